"""Locations and items as the customers name them, and how often a customer's master data changed.

Facts are read by the master data, and master data change. So that no fact falls between the old and the new: whoever
changes a customer's data first counts that up (``touch``), which holds the customer until the commit, and whoever takes
in facts first shares it (``hold``).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_contracts.inbound import ItemDefined, LocationDefined
from vmi_domain.values import dataclass

LocationKey = tuple[str, str]
"""Customer and location."""
ItemKey = tuple[str, str]
"""Customer and item."""


@dataclass(frozen=True, slots=True)
class Location:
    """What days mean at a location."""

    time_zone: str = "UTC"
    day_ends_at: time = time(0, 0)


@dataclass(frozen=True, slots=True)
class Item:
    """What units mean for an item."""

    base_unit: str
    units: Mapping[str, Decimal]
    """Base units in one of each other unit."""


async def define_locations(
    connection: AsyncConnection, locations: Sequence[tuple[LocationDefined, datetime]]
) -> list[LocationKey]:
    """Write the latest word on each location (each with its record's append time); return those that changed."""
    latest = {(one.customer_id, one.location_id): (one, at) for one, at in sorted(locations, key=lambda pair: pair[1])}
    if not latest:
        return []
    result = await connection.execute(
        _DEFINE_LOCATIONS,
        {
            "customers": [customer for customer, _ in sorted(latest)],
            "locations": [location for _, location in sorted(latest)],
            "names": [latest[key][0].name for key in sorted(latest)],
            "zones": [latest[key][0].time_zone for key in sorted(latest)],
            "day_ends": [latest[key][0].day_ends_at.replace(tzinfo=None) for key in sorted(latest)],
            "counts_a_day": [latest[key][0].counts_a_day for key in sorted(latest)],
            "recorded_ats": [latest[key][1] for key in sorted(latest)],
        },
    )
    return sorted((row.customer_id, row.location_id) for row in result)


_DEFINE_LOCATIONS = text("""
    INSERT INTO location (customer_id, location_id, name, time_zone, day_ends_at, counts_a_day, recorded_at)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:names AS text[]), CAST(:zones AS text[]),
        CAST(:day_ends AS time[]), CAST(:counts_a_day AS int[]), CAST(:recorded_ats AS timestamptz[]))
    ON CONFLICT (customer_id, location_id) DO UPDATE
        SET name = excluded.name, time_zone = excluded.time_zone, day_ends_at = excluded.day_ends_at,
            counts_a_day = excluded.counts_a_day, recorded_at = excluded.recorded_at
        WHERE excluded.recorded_at >= location.recorded_at
          AND (excluded.name, excluded.time_zone, excluded.day_ends_at, excluded.counts_a_day)
              IS DISTINCT FROM (location.name, location.time_zone, location.day_ends_at, location.counts_a_day)
    RETURNING customer_id, location_id
""")


async def define_items(connection: AsyncConnection, items: Sequence[tuple[ItemDefined, datetime]]) -> list[ItemKey]:
    """Write the latest word on each item (each with its record's append time); return those that changed."""
    latest = {(one.customer_id, one.item_id): (one, at) for one, at in sorted(items, key=lambda pair: pair[1])}
    if not latest:
        return []
    keys = sorted(latest)
    result = await connection.execute(
        _DEFINE_ITEMS,
        {
            "customers": [customer for customer, _ in keys],
            "items": [item for _, item in keys],
            "names": [latest[key][0].name for key in keys],
            "base_units": [latest[key][0].base_unit for key in keys],
            "units": [
                orjson.dumps({unit: str(size) for unit, size in latest[key][0].units.items()}).decode() for key in keys
            ],
            "shelf_lives": [latest[key][0].shelf_life_days for key in keys],
            "recorded_ats": [latest[key][1] for key in keys],
        },
    )
    return sorted((row.customer_id, row.item_id) for row in result)


_DEFINE_ITEMS = text("""
    INSERT INTO item (customer_id, item_id, name, base_unit, units, shelf_life_days, recorded_at)
    SELECT customer_id, item_id, name, base_unit, units::jsonb, shelf_life_days, recorded_at FROM unnest(
        CAST(:customers AS text[]), CAST(:items AS text[]), CAST(:names AS text[]), CAST(:base_units AS text[]),
        CAST(:units AS text[]), CAST(:shelf_lives AS int[]), CAST(:recorded_ats AS timestamptz[])
    ) AS defined (customer_id, item_id, name, base_unit, units, shelf_life_days, recorded_at)
    ON CONFLICT (customer_id, item_id) DO UPDATE
        SET name = excluded.name, base_unit = excluded.base_unit, units = excluded.units,
            shelf_life_days = excluded.shelf_life_days, recorded_at = excluded.recorded_at
        WHERE excluded.recorded_at >= item.recorded_at
          AND (excluded.name, excluded.base_unit, excluded.units, excluded.shelf_life_days)
              IS DISTINCT FROM (item.name, item.base_unit, item.units, item.shelf_life_days)
    RETURNING customer_id, item_id
""")


async def touch(connection: AsyncConnection, customers: Sequence[str]) -> None:
    """Count that master data of these customers change, and keep all others out until the commit.

    To be called before anything of them is read or written, and once: customers are held in sorted order.
    """
    await connection.execute(_TOUCH, {"customers": sorted(set(customers))})


_TOUCH = text("""
    INSERT INTO master_data_version (customer_id, version)
    SELECT customer_id, 1 FROM unnest(CAST(:customers AS text[])) AS changed (customer_id)
    ON CONFLICT (customer_id) DO UPDATE SET version = master_data_version.version + 1
""")


async def hold(connection: AsyncConnection, customers: Sequence[str]) -> Mapping[str, int]:
    """Return each customer's count of changes, and keep it from changing until the commit.

    Customers that nobody has told us of are held as well: what is found unknown here is unknown until the commit.
    """
    ordered = sorted(set(customers))
    found = await _hold(connection, ordered)
    missing = [customer for customer in ordered if customer not in found]
    if missing:
        await connection.execute(_EXPECT, {"customers": missing})
        found |= await _hold(connection, missing)
    return found


async def versions(connection: AsyncConnection, customers: Sequence[str]) -> Mapping[str, int]:
    """Return each customer's count of changes, without holding anybody; who was never heard of is left out."""
    result = await connection.execute(_VERSIONS, {"customers": sorted(set(customers))})
    return {row.customer_id: row.version for row in result}


_VERSIONS = text("""
    SELECT customer_id, version FROM master_data_version WHERE customer_id = ANY (CAST(:customers AS text[]))
""")


async def _hold(connection: AsyncConnection, ordered: Sequence[str]) -> dict[str, int]:
    result = await connection.execute(_HOLD, {"customers": ordered})
    return {row.customer_id: row.version for row in result}


_HOLD = text("""
    SELECT customer_id, version FROM master_data_version
    WHERE customer_id = ANY (CAST(:customers AS text[])) ORDER BY customer_id FOR SHARE
""")
_EXPECT = text("""
    INSERT INTO master_data_version (customer_id, version)
    SELECT customer_id, 0 FROM unnest(CAST(:customers AS text[])) AS unheard (customer_id)
    ON CONFLICT (customer_id) DO NOTHING
""")


async def locations(connection: AsyncConnection, keys: Sequence[LocationKey]) -> Mapping[LocationKey, Location]:
    """Return the locations among these that the catalogue knows."""
    result = await connection.execute(_LOCATIONS, _pairs(keys))
    return {(row.customer_id, row.location_id): Location(row.time_zone, row.day_ends_at) for row in result}


_LOCATIONS = text("""
    SELECT customer_id, location_id, time_zone, day_ends_at
    FROM unnest(CAST(:customers AS text[]), CAST(:names AS text[])) AS wanted (customer_id, location_id)
    JOIN location USING (customer_id, location_id)
""")


COUNTS_A_DAY = 5
"""At a location that the catalogue does not describe."""


async def counts_a_day(connection: AsyncConnection, keys: Sequence[LocationKey]) -> Mapping[LocationKey, int]:
    """Return how many counts a day each of these locations can do that the catalogue knows."""
    result = await connection.execute(_COUNTS_A_DAY, _pairs(keys))
    return {(row.customer_id, row.location_id): row.counts_a_day for row in result}


_COUNTS_A_DAY = text("""
    SELECT customer_id, location_id, counts_a_day
    FROM unnest(CAST(:customers AS text[]), CAST(:names AS text[])) AS wanted (customer_id, location_id)
    JOIN location USING (customer_id, location_id)
""")


async def items(connection: AsyncConnection, keys: Sequence[ItemKey]) -> Mapping[ItemKey, Item]:
    """Return the items among these that the catalogue knows."""
    result = await connection.execute(_ITEMS, _pairs(keys))
    return {
        (row.customer_id, row.item_id): Item(
            row.base_unit, {unit: Decimal(size) for unit, size in orjson.loads(row.units).items()}
        )
        for row in result
    }


_ITEMS = text("""
    SELECT customer_id, item_id, base_unit, units::text AS units
    FROM unnest(CAST(:customers AS text[]), CAST(:names AS text[])) AS wanted (customer_id, item_id)
    JOIN item USING (customer_id, item_id)
""")


def _pairs(keys: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    distinct = sorted(set(keys))
    return {"customers": [customer for customer, _ in distinct], "names": [name for _, name in distinct]}
