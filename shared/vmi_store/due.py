"""When each key is to be looked at again though nothing happens: its cut-off passes, a proposal expires."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.position import Key

AT_ONCE: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What is due since then is due by every clock."""


async def note(connection: AsyncConnection, due_at: Mapping[Key, datetime]) -> None:
    """Note when keys are to be looked at again."""
    if not due_at:
        return
    keys = sorted(due_at)
    await connection.execute(_NOTE, _columns_of_keys(keys) | {"due_ats": [due_at[key] for key in keys]})


_NOTE = text("""
    INSERT INTO replenishment_due (customer_id, location_id, item_id, due_at)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:due_ats AS timestamptz[])
    )
    ON CONFLICT (customer_id, location_id, item_id) DO UPDATE SET due_at = excluded.due_at
""")


async def bring_forward(connection: AsyncConnection, keys: Sequence[Key], at: datetime) -> None:
    """Note that keys are to be looked at by then, or earlier where that is noted already."""
    if keys:
        ordered = sorted(set(keys))
        await connection.execute(_BRING_FORWARD, _columns_of_keys(ordered) | {"due_ats": [at] * len(ordered)})


_BRING_FORWARD = text(f"""
    {_NOTE.text.rpartition("SET")[0]} SET due_at = least(replenishment_due.due_at, excluded.due_at)
""")


async def forget(connection: AsyncConnection, keys: Sequence[Key]) -> None:
    """Note that keys need not be looked at again until something happens."""
    if keys:
        await connection.execute(_FORGET, _columns_of_keys(sorted(keys)))


_FORGET = text("""
    DELETE FROM replenishment_due USING unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[])
    ) AS done (customer_id, location_id, item_id)
    WHERE replenishment_due.customer_id = done.customer_id AND replenishment_due.location_id = done.location_id
      AND replenishment_due.item_id = done.item_id
""")


async def before(connection: AsyncConnection, now: datetime, *, at_most: int) -> list[Key]:
    """Return keys that were due before ``now``, the longest waiting first."""
    result = await connection.execute(_BEFORE, {"now": now, "at_most": at_most})
    return [Key(row.customer_id, row.location_id, row.item_id) for row in result]


_BEFORE = text("""
    SELECT customer_id, location_id, item_id FROM replenishment_due
    WHERE due_at < :now ORDER BY due_at LIMIT :at_most
""")


async def at_locations(connection: AsyncConnection, locations: Mapping[tuple[str, str], datetime]) -> list[Key]:
    """Return the keys of each location that were due before the moment given with it."""
    result = await connection.execute(
        _AT_LOCATIONS,
        {
            "customers": [customer for customer, _ in locations],
            "locations": [location for _, location in locations],
            "nows": list(locations.values()),
        },
    )
    return [Key(row.customer_id, row.location_id, row.item_id) for row in result]


_AT_LOCATIONS = text("""
    SELECT customer_id, location_id, item_id
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:nows AS timestamptz[]))
        AS reached (customer_id, location_id, now)
    JOIN replenishment_due USING (customer_id, location_id)
    WHERE due_at < now
""")


def _columns_of_keys(keys: Sequence[Key]) -> dict[str, list[str]]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }
