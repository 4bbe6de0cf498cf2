"""Profiles and classes of demand: what they are made of, and as they were last found."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.position import Key
from vmi_domain.understanding.classes import Held
from vmi_domain.values import dataclass
from vmi_store.forecasts import Location

YEAR_1 = date(1, 1, 1)


@dataclass(frozen=True, slots=True)
class ItemProfile:
    """What is known of one key's demand."""

    key: Key
    as_of: date
    value: float
    value_class: Held
    variation_class: Held
    pattern: Held
    figures: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Classes:
    """The classes that one key is held in."""

    value: Held
    variation: Held
    pattern: Held


@dataclass(frozen=True, slots=True)
class CustomerProfile:
    customer_id: str
    as_of: date
    value: float
    customer_class: Held
    figures: Mapping[str, Any]


async def due(connection: AsyncConnection, *, every_days: int, at_most: int) -> dict[Location, date]:
    """Return some locations that have closed so many days since their profiles were refreshed, with the last one."""
    result = await connection.execute(_DUE, {"every_days": every_days, "at_most": at_most})
    return {Location(row.customer_id, row.location_id): row.through_day for row in result}


_DUE = text("""
    SELECT customer_id, location_id, through_day
    FROM forecast_location LEFT JOIN profile_refresh USING (customer_id, location_id)
    WHERE profile_refresh.as_of IS NULL OR through_day >= profile_refresh.as_of + CAST(:every_days AS int)
    ORDER BY profile_refresh.as_of NULLS FIRST, customer_id, location_id LIMIT :at_most
""")


async def daily_demand(
    connection: AsyncConnection, location: Location, *, since: date, until: date
) -> dict[Key, tuple[list[int], list[float]]]:
    """Return days (``date.toordinal()``) and demand of each key of a location, corrected where that is known."""
    result = await connection.execute(
        _DAILY_DEMAND,
        {"customer": location.customer_id, "location": location.location_id, "since": since, "until": until},
    )
    return {Key(*location, item): (days, demand) for item, days, demand in result.all()}


_DAILY_DEMAND = text("""
    SELECT item_id, array_agg(day - DATE '0001-01-01' + 1 ORDER BY day) AS days,
           array_agg(demand ORDER BY day) AS demand
    FROM (
        SELECT item_id, day, coalesce(corrected.demand, CAST(sold + lost AS double precision), 0) AS demand
        FROM (
            SELECT item_id, day, sold, lost FROM daily_balance
            WHERE customer_id = :customer AND location_id = :location AND day BETWEEN :since AND :until
              AND (sold > 0 OR lost > 0)
        ) AS balance
        FULL JOIN (
            SELECT item_id, day, demand FROM corrected_demand
            WHERE customer_id = :customer AND location_id = :location AND day BETWEEN :since AND :until
        ) AS corrected USING (item_id, day)
    ) AS wanted
    GROUP BY item_id
""")


async def values(connection: AsyncConnection, customer_id: str, *, since: date, until: date) -> dict[Key, float]:
    """Return the value of each of a customer's keys' demand: by the agreed price, in base units without one."""
    result = await connection.execute(_VALUES, {"customer": customer_id, "since": since, "until": until})
    return {Key(customer_id, location, item): value for location, item, value in result.all()}


_VALUES = text("""
    SELECT location_id, item_id, CAST(sum(sold + lost) * coalesce(max(agreed.price), 1) AS double precision) AS value
    FROM daily_balance
    LEFT JOIN (
        SELECT location_id, item_id, max((terms ->> 'unit_price')::numeric) AS price
        FROM agreement WHERE customer_id = :customer GROUP BY location_id, item_id
    ) AS agreed USING (location_id, item_id)
    WHERE customer_id = :customer AND day BETWEEN :since AND :until
    GROUP BY location_id, item_id
""")


async def purchases(
    connection: AsyncConnection, customer_id: str, *, since: date, until: date
) -> tuple[list[int], list[float]]:
    """Return the days on which a customer's shelves were bought from, and how much, all items together."""
    result = await connection.execute(_PURCHASES, {"customer": customer_id, "since": since, "until": until})
    rows = result.all()
    return [row.day + YEAR_1.toordinal() for row in rows], [row.demand for row in rows]


_PURCHASES = text("""
    SELECT day - DATE '0001-01-01' AS day, CAST(sum(sold + lost) AS double precision) AS demand
    FROM daily_balance WHERE customer_id = :customer AND day BETWEEN :since AND :until AND (sold > 0 OR lost > 0)
    GROUP BY daily_balance.day ORDER BY daily_balance.day
""")


async def items(
    connection: AsyncConnection, *, customer_id: str, location_id: str | None = None, item_id: str | None = None
) -> list[ItemProfile]:
    """Return the profiles of a customer's keys, in their order."""
    result = await connection.execute(_ITEMS, {"customer": customer_id, "location": location_id, "item": item_id})
    return [
        ItemProfile(
            Key(row.customer_id, row.location_id, row.item_id),
            row.as_of,
            row.value,
            Held(row.value_class, row.value_held),
            Held(row.variation_class, row.variation_held),
            Held(row.pattern, row.pattern_held),
            orjson.loads(row.figures),
        )
        for row in result
    ]


_ITEMS = text("""
    SELECT customer_id, location_id, item_id, as_of, value, value_class, value_held, variation_class, variation_held,
           pattern, pattern_held, figures::text AS figures
    FROM demand_profile
    WHERE customer_id = :customer AND (CAST(:location AS text) IS NULL OR location_id = :location)
      AND (CAST(:item AS text) IS NULL OR item_id = :item)
    ORDER BY customer_id, location_id, item_id
""")


async def classes(connection: AsyncConnection, customer_id: str) -> dict[Key, Classes]:
    """Return the classes of a customer's keys that have a profile."""
    rows = (await connection.execute(_CLASSES, {"customer": customer_id})).all()
    return {
        Key(customer_id, location, item): Classes(
            Held(value, value_held), Held(variation, variation_held), Held(pattern, pattern_held)
        )
        for location, item, value, value_held, variation, variation_held, pattern, pattern_held in rows
    }


_CLASSES = text("""
    SELECT location_id, item_id, value_class, value_held, variation_class, variation_held, pattern, pattern_held
    FROM demand_profile WHERE customer_id = :customer
""")


async def value_classes(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, str]:
    """Return A, B or C of each key that has a profile."""
    if not keys:
        return {}
    result = await connection.execute(_VALUE_CLASSES, _columns(sorted(set(keys))))
    return {Key(row.customer_id, row.location_id, row.item_id): row.value_class for row in result}


_VALUE_CLASSES = text("""
    SELECT customer_id, location_id, item_id, value_class
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN demand_profile USING (customer_id, location_id, item_id)
""")


async def classes_of(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, str]:
    """Return value class and pattern of each key that has a profile, as ``A smooth``."""
    if not keys:
        return {}
    result = await connection.execute(_CLASSES_OF, _columns(sorted(set(keys))))
    return {Key(row.customer_id, row.location_id, row.item_id): f"{row.value_class} {row.pattern}" for row in result}


_CLASSES_OF = text("""
    SELECT customer_id, location_id, item_id, value_class, pattern
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN demand_profile USING (customer_id, location_id, item_id)
""")


async def write(
    connection: AsyncConnection, profiles: Sequence[ItemProfile], refreshed: Mapping[Location, date]
) -> None:
    """Put profiles in the place of those there were, and note up to when locations were looked at."""
    if profiles:
        await connection.execute(
            _WRITE,
            {
                **_columns([one.key for one in profiles]),
                "as_ofs": [one.as_of for one in profiles],
                "values": [one.value for one in profiles],
                "value_classes": [one.value_class.name for one in profiles],
                "value_helds": [one.value_class.refreshes for one in profiles],
                "variation_classes": [one.variation_class.name for one in profiles],
                "variation_helds": [one.variation_class.refreshes for one in profiles],
                "patterns": [one.pattern.name for one in profiles],
                "pattern_helds": [one.pattern.refreshes for one in profiles],
                "figures": [orjson.dumps(one.figures).decode() for one in profiles],
            },
        )
    await connection.execute(
        _REFRESHED,
        {
            "customers": [location.customer_id for location in refreshed],
            "locations": [location.location_id for location in refreshed],
            "as_ofs": list(refreshed.values()),
        },
    )


_WRITE = text("""
    INSERT INTO demand_profile (
        customer_id, location_id, item_id, as_of, value, value_class, value_held, variation_class, variation_held,
        pattern, pattern_held, figures)
    SELECT customer_id, location_id, item_id, as_of, value, value_class, value_held, variation_class, variation_held,
           pattern, pattern_held, figures::jsonb
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:as_ofs AS date[]),
        CAST(:values AS double precision[]), CAST(:value_classes AS text[]), CAST(:value_helds AS int[]),
        CAST(:variation_classes AS text[]), CAST(:variation_helds AS int[]), CAST(:patterns AS text[]),
        CAST(:pattern_helds AS int[]), CAST(:figures AS text[])
    ) AS found (
        customer_id, location_id, item_id, as_of, value, value_class, value_held, variation_class, variation_held,
        pattern, pattern_held, figures)
    ON CONFLICT (customer_id, location_id, item_id) DO UPDATE SET
        as_of = excluded.as_of, value = excluded.value, value_class = excluded.value_class,
        value_held = excluded.value_held, variation_class = excluded.variation_class,
        variation_held = excluded.variation_held, pattern = excluded.pattern, pattern_held = excluded.pattern_held,
        figures = excluded.figures
""")
_REFRESHED = text("""
    INSERT INTO profile_refresh (customer_id, location_id, as_of)
    SELECT * FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:as_ofs AS date[]))
    ON CONFLICT (customer_id, location_id) DO UPDATE SET as_of = excluded.as_of
""")


async def customers(connection: AsyncConnection) -> list[CustomerProfile]:
    """Return the profiles of all customers, the most valuable first."""
    result = await connection.execute(_CUSTOMERS)
    return [
        CustomerProfile(
            row.customer_id, row.as_of, row.value, Held(row.customer_class, row.class_held), orjson.loads(row.figures)
        )
        for row in result
    ]


_CUSTOMERS = text("""
    SELECT customer_id, as_of, value, customer_class, class_held, figures::text AS figures
    FROM customer_profile ORDER BY value DESC, customer_id
""")


async def write_customer(connection: AsyncConnection, profile: CustomerProfile) -> None:
    """Put a customer's profile in the place of the one there was."""
    await connection.execute(
        _WRITE_CUSTOMER,
        {
            "customer": profile.customer_id,
            "as_of": profile.as_of,
            "value": profile.value,
            "class": profile.customer_class.name,
            "held": profile.customer_class.refreshes,
            "figures": orjson.dumps(profile.figures).decode(),
        },
    )


_WRITE_CUSTOMER = text("""
    INSERT INTO customer_profile (customer_id, as_of, value, customer_class, class_held, figures)
    VALUES (:customer, :as_of, :value, :class, :held, CAST(:figures AS jsonb))
    ON CONFLICT (customer_id) DO UPDATE SET
        as_of = excluded.as_of, value = excluded.value, customer_class = excluded.customer_class,
        class_held = excluded.class_held, figures = excluded.figures
""")


def _columns(keys: Sequence[Key]) -> dict[str, object]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }
