"""Agreements on trial: what was kept of their proposals, and what was ordered meanwhile."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.replenishment.shadowing import Ordered, Proposed
from vmi_domain.stock.position import Key


@dataclass(slots=True)
class Kept:
    """What is kept of one key's trial."""

    proposed: list[Proposed] = field(default_factory=list)
    ordered: list[Ordered] = field(default_factory=list)
    lost: Decimal = Decimal(0)


async def read(
    connection: AsyncConnection, *, customer_id: str | None, location_id: str | None, since: datetime | None
) -> dict[Key, Kept]:
    """Return the trials there are, by key: proposals whose opportunity has passed, and orders from the first one on."""
    values = {"customer": customer_id, "location": location_id, "since": since}
    found: dict[Key, Kept] = {}
    for row in await connection.execute(_PROPOSED, values):
        kept = found.setdefault(Key(row.customer_id, row.location_id, row.item_id), Kept())
        kept.proposed.append(Proposed(row.order_at, row.deliver_at, row.quantity))
    if not found:
        return {}
    keys = sorted(found)
    wanted = {**_columns(keys), "since": [min(one.order_at for one in found[key].proposed) for key in keys]}
    for row in await connection.execute(_ORDERED, wanted):
        found[Key(row.customer_id, row.location_id, row.item_id)].ordered.append(Ordered(row.at, row.quantity))
    for row in await connection.execute(_LOST, wanted):
        found[Key(row.customer_id, row.location_id, row.item_id)].lost = row.lost
    return found


_PROPOSED = text("""
    SELECT customer_id, location_id, item_id, order_at, proposal.deliver_at, held.quantity
    FROM proposal
    CROSS JOIN LATERAL (
        SELECT quantity FROM proposal_version AS version
        WHERE version.customer_id = proposal.customer_id AND version.proposal_id = proposal.proposal_id
          AND version.status = 'held'
        ORDER BY version DESC LIMIT 1
    ) AS held
    WHERE held_because = 'shadow' AND status = 'expired'
      AND (CAST(:customer AS text) IS NULL OR customer_id = :customer)
      AND (CAST(:location AS text) IS NULL OR location_id = :location)
      AND (CAST(:since AS timestamptz) IS NULL OR order_at >= :since)
    ORDER BY customer_id, location_id, item_id, order_at
""")
_WANTED = """
    unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:since AS timestamptz[])
    ) AS wanted (customer_id, location_id, item_id, since)
"""
# Of an order's revisions the last counts; it was placed when the first one was.
_ORDERED = text(f"""
    WITH line AS (
        SELECT customer_id, location_id, item_id, document_id, quantity, since,
               revision = max(revision) OVER document AS is_last, min(occurred_at) OVER document AS at
        FROM {_WANTED} JOIN supply_fact USING (customer_id, location_id, item_id)
        WHERE stage = 'ordered'
        WINDOW document AS (PARTITION BY customer_id, location_id, item_id, document_id)
    )
    SELECT customer_id, location_id, item_id, at, sum(quantity) AS quantity
    FROM line WHERE is_last AND at >= since - interval '1 day'
    GROUP BY customer_id, location_id, item_id, document_id, at
    HAVING sum(quantity) > 0
    ORDER BY at
""")  # noqa: S608 - our own words
_LOST = text(f"""
    SELECT customer_id, location_id, item_id, sum(lost) AS lost
    FROM {_WANTED} JOIN daily_balance USING (customer_id, location_id, item_id)
    WHERE day >= since::date
    GROUP BY customer_id, location_id, item_id
""")  # noqa: S608 - our own words


def _columns(keys: Sequence[Key]) -> dict[str, list[str]]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }
