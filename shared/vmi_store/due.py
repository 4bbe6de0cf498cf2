"""When each key is to be looked at again though nothing happens: its cut-off passes, a proposal expires."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.position import Key
from vmi_store import columns

AT_ONCE: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What is due since then is due by every clock."""


async def note(connection: AsyncConnection, due_at: Mapping[Key, datetime]) -> None:
    """Note when keys are to be looked at again."""
    if not due_at:
        return
    keys = sorted(due_at)
    await connection.execute(
        _NOTE, {**columns.of_keys(keys), "due_ats": columns.instants([due_at[key] for key in keys])}
    )


_NOTE = text(f"""
    INSERT INTO replenishment_due (customer_id, location_id, item_id, due_at)
    SELECT customer_id, location_id, item_id, 'epoch'::timestamptz + interval '1 microsecond' * due_at::bigint
    FROM unnest({columns.KEYS}, string_to_array(CAST(:due_ats AS text), chr(10)))
        AS noted (customer_id, location_id, item_id, due_at)
    ON CONFLICT (customer_id, location_id, item_id) DO UPDATE SET due_at = excluded.due_at
""")  # noqa: S608 - our own words


async def bring_forward(connection: AsyncConnection, keys: Sequence[Key], at: datetime) -> None:
    """Note that keys are to be looked at by then, or earlier where that is noted already."""
    if keys:
        ordered = sorted(set(keys))
        await connection.execute(
            _BRING_FORWARD, {**columns.of_keys(ordered), "due_ats": columns.instants([at] * len(ordered))}
        )


_BRING_FORWARD = text(f"""
    {_NOTE.text.rpartition("SET")[0]} SET due_at = least(replenishment_due.due_at, excluded.due_at)
""")


async def forget(connection: AsyncConnection, keys: Sequence[Key]) -> None:
    """Note that keys need not be looked at again until something happens."""
    if keys:
        await connection.execute(_FORGET, columns.of_keys(sorted(keys)))


_FORGET = text(f"""
    DELETE FROM replenishment_due USING unnest({columns.KEYS}) AS done (customer_id, location_id, item_id)
    WHERE replenishment_due.customer_id = done.customer_id AND replenishment_due.location_id = done.location_id
      AND replenishment_due.item_id = done.item_id
""")  # noqa: S608 - our own words


async def before(connection: AsyncConnection, now: datetime, *, at_most: int) -> list[Key]:
    """Return keys that were due before ``now``, the longest waiting first."""
    result = await connection.execute(_BEFORE, {"now": now, "at_most": at_most})
    return [Key(*row) for row in result.all()]


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
    return [Key(*row) for row in result.all()]


_AT_LOCATIONS = text("""
    SELECT customer_id, location_id, item_id
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:nows AS timestamptz[]))
        AS reached (customer_id, location_id, now)
    JOIN replenishment_due USING (customer_id, location_id)
    WHERE due_at < now
""")
