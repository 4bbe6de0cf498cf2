"""Positions as they stand. Their rows are also the locks of their keys, for those who take in facts.

Who decides from positions locks no row here (``vmi_store.turns``), unless what is decided becomes supply.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.position import Balance, Key, Supply
from vmi_domain.values import dataclass
from vmi_store import columns

LocationKey = tuple[str, str]
"""Customer and location."""


class Locked(NamedTuple):
    """What a key's row says when its lock is had."""

    version: int
    counted_at: datetime | None


@dataclass(frozen=True, slots=True)
class PositionRow:
    """A key's position as it stands: what the facts say.

    ``vmi_domain.stock.position.stock`` reads it by the agreement.
    """

    key: Key
    version: int
    balance: Balance
    supply: Supply


async def lock(connection: AsyncConnection, keys: Sequence[Key]) -> Mapping[Key, Locked]:
    """Hold the rows of ``keys``, in sorted order, so that two workers never wait for each other in a ring.

    Rows that are missing are made. What else is read of a key is to be read in a *later* statement: this one's
    snapshot is older than the locks it waited for. (Of the locked rows themselves Postgres returns the latest version.)
    """
    ordered = sorted(set(keys))
    locked = await _lock(connection, ordered)
    missing = [key for key in ordered if key not in locked]
    if missing:
        await ensure(connection, missing)
        locked |= await _lock(connection, missing)
    return locked


async def _lock(connection: AsyncConnection, ordered: Sequence[Key]) -> dict[Key, Locked]:
    if not ordered:
        return {}
    rows = (await connection.execute(_LOCK, columns.of_keys(ordered))).all()
    if len(rows) == len(ordered):  # they come in the keys' order
        return {key: Locked(version, counted_at) for key, (_, version, counted_at) in zip(ordered, rows, strict=True)}
    return {ordered[place - 1]: Locked(version, counted_at) for place, version, counted_at in rows}


_LOCK = text("""
    SELECT wanted.place, position.version, position.counted_at
    FROM unnest(
        string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
        string_to_array(CAST(:items AS text), chr(10))
    ) WITH ORDINALITY AS wanted (customer_id, location_id, item_id, place)
    JOIN position USING (customer_id, location_id, item_id)
    ORDER BY position.customer_id, position.location_id, position.item_id
    FOR NO KEY UPDATE OF position
""")


_KEYS = "unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))"


async def ensure(connection: AsyncConnection, keys: Sequence[Key]) -> None:
    """Make an empty position of each key that has none."""
    await connection.execute(_ENSURE, _columns(sorted(set(keys))))


_ENSURE = text(f"""
    INSERT INTO position (customer_id, location_id, item_id)
    SELECT customer_id, location_id, item_id FROM {_KEYS} AS wanted (customer_id, location_id, item_id)
    ON CONFLICT (customer_id, location_id, item_id) DO NOTHING
""")  # noqa: S608 - our own words


async def read(connection: AsyncConnection, keys: Sequence[Key]) -> list[PositionRow]:
    """Return the positions there are of these keys, in the keys' order."""
    result = await connection.execute(_READ, _columns(sorted(set(keys))))
    return [position(Key(customer, location, item), values) for customer, location, item, *values in result]


COLUMNS: Final = (
    "version",
    "counted_at",
    "counted",
    "unavailable",
    "reserved",
    "backlog",
    "moved",
    "received",
    "held_back",
    "supplier_owned",
    "titled",
    "on_order",
    "in_transit",
    "probably_received",
)


def position(key: Key, values: Sequence[Any]) -> PositionRow:
    """Return the position of these values, which stand in the order of ``COLUMNS``, whatever comes after them."""
    return PositionRow(key, values[0], Balance(*values[1:11]), Supply(*values[11:14]))


_READ = text(f"""
    SELECT customer_id, location_id, item_id, {", ".join(COLUMNS)}
    FROM {_KEYS} AS wanted (customer_id, location_id, item_id)
    JOIN position USING (customer_id, location_id, item_id)
    ORDER BY customer_id, location_id, item_id
""")  # noqa: S608 - our own words


async def keys_at(connection: AsyncConnection, location: LocationKey) -> list[Key]:
    """Return the keys of a location, in their order."""
    result = await connection.execute(_KEYS_AT, {"customer_id": location[0], "location_id": location[1]})
    return sorted(Key(*row) for row in result)


_KEYS_AT = text("""
    SELECT customer_id, location_id, item_id FROM position
    WHERE customer_id = :customer_id AND location_id = :location_id
""")


async def keys_of(connection: AsyncConnection, customer_id: str, item_id: str, *, at_most: int) -> list[Key]:
    """Return the keys of one item at a customer's locations, in the locations' order."""
    result = await connection.execute(_KEYS_OF, {"customer": customer_id, "item": item_id, "at_most": at_most})
    return [Key(customer_id, row.location_id, item_id) for row in result]


_KEYS_OF = text("""
    SELECT location_id FROM position WHERE customer_id = :customer AND item_id = :item
    ORDER BY location_id LIMIT :at_most
""")


async def count_up(connection: AsyncConnection, keys: Sequence[Key]) -> Mapping[Key, int]:
    """Give keys a new version, though no fact of theirs changed (their agreement did), and return it.

    This takes their locks, and makes rows that are missing.
    """
    result = await connection.execute(_COUNT_UP, _columns(sorted(set(keys))))
    return {Key(row.customer_id, row.location_id, row.item_id): row.version for row in result}


_COUNT_UP = text(f"""
    INSERT INTO position (customer_id, location_id, item_id, version)
    SELECT customer_id, location_id, item_id, 1 FROM {_KEYS} AS wanted (customer_id, location_id, item_id)
    ON CONFLICT (customer_id, location_id, item_id) DO UPDATE SET version = position.version + 1
    RETURNING customer_id, location_id, item_id, version
""")  # noqa: S608 - our own words


def _columns(keys: Sequence[Key]) -> dict[str, object]:
    if not keys:
        return {"customers": [], "locations": [], "items": []}
    customers, locations, items = zip(*keys, strict=True)
    return {"customers": customers, "locations": locations, "items": items}
