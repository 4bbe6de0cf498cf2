"""What customers want sent at one order opportunity, whatever is computed."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Wish:
    """A quantity for one opportunity of a key."""

    key: Key
    order_on: date | None
    """The site's day of the opportunity; None for the next one after it was told."""
    quantity: Decimal | None
    """Base units; None takes it back."""
    told_at: datetime
    reason: str = ""


async def keep(connection: AsyncConnection, wishes: Sequence[Wish]) -> None:
    """Keep wishes; of several for one opportunity the one told last counts, also where one is taken back."""
    latest: dict[tuple[Key, date | None], Wish] = {}
    for wish in sorted(wishes, key=lambda one: one.told_at):
        latest[wish.key, wish.order_on] = wish
    if latest:
        rows = list(latest.values())
        await connection.execute(
            _KEEP,
            {
                **_columns([wish.key for wish in rows]),
                "days": [wish.order_on for wish in rows],
                "quantities": [wish.quantity for wish in rows],
                "times": [wish.told_at for wish in rows],
                "reasons": [wish.reason for wish in rows],
            },
        )


_KEEP = text("""
    INSERT INTO replenishment_wish AS wish (customer_id, location_id, item_id, order_on, quantity, told_at, reason)
    SELECT customer_id, location_id, item_id, coalesce(day, 'infinity'), quantity, told_at, reason
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:days AS date[]),
        CAST(:quantities AS numeric[]), CAST(:times AS timestamptz[]), CAST(:reasons AS text[])
    ) AS told (customer_id, location_id, item_id, day, quantity, told_at, reason)
    ON CONFLICT (customer_id, location_id, item_id, order_on) DO UPDATE
        SET quantity = excluded.quantity, told_at = excluded.told_at, reason = excluded.reason
        WHERE excluded.told_at >= wish.told_at
""")


async def read(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, list[Wish]]:
    """Return the wishes of each key that has any, the one told last first."""
    result = await connection.execute(_READ, _columns(keys))
    found: dict[Key, list[Wish]] = {}
    for row in result:
        key = Key(row.customer_id, row.location_id, row.item_id)
        day = None if row.for_the_next else row.order_on
        found.setdefault(key, []).append(Wish(key, day, row.quantity, row.told_at, row.reason))
    return found


_READ = text("""
    SELECT customer_id, location_id, item_id, order_on = 'infinity' AS for_the_next,
           nullif(order_on, 'infinity') AS order_on, quantity, told_at, reason
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN replenishment_wish USING (customer_id, location_id, item_id)
    WHERE quantity IS NOT NULL
    ORDER BY told_at DESC
""")


def _columns(keys: Sequence[Key]) -> dict[str, list[str]]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }
