"""Purchase order numbers that customers gave out: each is taken by one order, and never again (F13)."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """An order that wants a number: all proposals of one consolidation."""

    customer_id: str
    location_id: str
    supplier_id: str
    consolidation_id: UUID


async def assign(
    connection: AsyncConnection, *, customer_id: str, location_id: str, supplier_id: str | None, numbers: Sequence[str]
) -> None:
    """Add numbers to a location's pool, in their order; one that was given out before stays what it was."""
    await connection.execute(
        _ASSIGN,
        {
            "customer": customer_id,
            "location": location_id,
            "supplier": supplier_id or "",
            "numbers": list(dict.fromkeys(numbers)),
        },
    )


_ASSIGN = text("""
    INSERT INTO order_number (customer_id, number, location_id, supplier_id)
    SELECT :customer, number, :location, :supplier
    FROM unnest(CAST(:numbers AS text[])) WITH ORDINALITY AS given (number, place)
    ORDER BY place
    ON CONFLICT (customer_id, number) DO NOTHING
""")


@dataclass(frozen=True, slots=True)
class Taken:
    """A number that an order went out with."""

    customer_id: str
    location_id: str
    consolidation_id: UUID
    number: str


async def restore(connection: AsyncConnection, taken: Sequence[Taken]) -> None:
    """Let numbers be taken by the orders that went out with them: they are not given out again."""
    rows = list({(one.customer_id, one.consolidation_id): one for one in taken}.values())
    if rows:
        await connection.execute(
            _RESTORE,
            {
                "customers": [one.customer_id for one in rows],
                "numbers": [one.number for one in rows],
                "locations": [one.location_id for one in rows],
                "consolidations": [one.consolidation_id for one in rows],
            },
        )


_RESTORE = text("""
    INSERT INTO order_number AS known (customer_id, number, location_id, supplier_id, taken_by, taken_at)
    SELECT customer_id, number, location_id, '', consolidation_id, clock_timestamp()
    FROM unnest(
        CAST(:customers AS text[]), CAST(:numbers AS text[]), CAST(:locations AS text[]),
        CAST(:consolidations AS uuid[])
    ) AS taken (customer_id, number, location_id, consolidation_id)
    WHERE NOT EXISTS (
        SELECT FROM order_number AS other
        WHERE other.customer_id = taken.customer_id AND other.taken_by = taken.consolidation_id)
    ON CONFLICT (customer_id, number) DO UPDATE SET taken_by = excluded.taken_by, taken_at = excluded.taken_at
        WHERE known.taken_by IS NULL
""")


async def take(connection: AsyncConnection, orders: Sequence[Order]) -> dict[UUID, str | None]:
    """Return the number of each order whose location has a pool, taking one where it has none yet; None where the
    pool is empty. The caller has the turn at the locations.
    """
    if not orders:
        return {}
    values = {
        "customers": [order.customer_id for order in orders],
        "locations": [order.location_id for order in orders],
        "suppliers": [order.supplier_id for order in orders],
        "consolidations": [order.consolidation_id for order in orders],
    }
    pooled = {row.consolidation_id for row in await connection.execute(_POOLED, values)}
    if not pooled:
        return {}
    await connection.execute(_TAKE, values)
    taken = {row.taken_by: row.number for row in await connection.execute(_TAKEN, values)}
    return {consolidation: taken.get(consolidation) for consolidation in pooled}


_ORDERS = """
    unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:suppliers AS text[]),
           CAST(:consolidations AS uuid[])) AS wanted (customer_id, location_id, supplier_id, consolidation_id)
"""
_POOLED = text(f"""
    SELECT DISTINCT wanted.consolidation_id FROM {_ORDERS}
    WHERE EXISTS (
        SELECT FROM order_number AS pool
        WHERE pool.customer_id = wanted.customer_id AND pool.location_id = wanted.location_id
          AND pool.supplier_id IN ('', wanted.supplier_id)
    )
""")  # noqa: S608 - our own words
# Numbers for one supplier go before those for any: each order and each number is numbered within its pool, and equal
# places meet.
_TAKE = text(f"""
    WITH unnumbered AS (
        SELECT DISTINCT wanted.* FROM {_ORDERS}
        WHERE NOT EXISTS (
            SELECT FROM order_number
            WHERE order_number.customer_id = wanted.customer_id AND taken_by = wanted.consolidation_id
        )
    ), own AS (
        SELECT wanted.*, (
            SELECT count(*) FROM order_number AS pool
            WHERE pool.customer_id = wanted.customer_id AND pool.location_id = wanted.location_id
              AND pool.supplier_id = wanted.supplier_id AND pool.taken_by IS NULL
        ) AS own_numbers,
        row_number() OVER (
            PARTITION BY customer_id, location_id, supplier_id ORDER BY consolidation_id
        ) AS own_place
        FROM unnumbered AS wanted
    ), pooled AS (
        SELECT customer_id, location_id, consolidation_id,
               CASE WHEN own_place <= own_numbers THEN supplier_id ELSE '' END AS pool_of
        FROM own
    ), placed AS (
        SELECT *, row_number() OVER (PARTITION BY customer_id, location_id, pool_of ORDER BY consolidation_id) AS place
        FROM pooled
    ), free AS (
        SELECT customer_id, location_id, supplier_id, number, row_number() OVER (
            PARTITION BY customer_id, location_id, supplier_id ORDER BY order_number.place
        ) AS place
        FROM order_number
        WHERE taken_by IS NULL
          AND (customer_id, location_id) IN (SELECT customer_id, location_id FROM placed)
    )
    UPDATE order_number SET taken_by = placed.consolidation_id, taken_at = clock_timestamp()
    FROM placed JOIN free ON free.customer_id = placed.customer_id AND free.location_id = placed.location_id
        AND free.supplier_id = placed.pool_of AND free.place = placed.place
    WHERE order_number.customer_id = free.customer_id AND order_number.number = free.number
""")  # noqa: S608 - our own words
_TAKEN = text(f"""
    SELECT taken_by, number FROM order_number
    WHERE (customer_id, taken_by) IN (SELECT customer_id, consolidation_id FROM {_ORDERS})
""")  # noqa: S608 - our own words
