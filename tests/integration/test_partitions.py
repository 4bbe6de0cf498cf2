"""The journal's partitions: every fact has its place, counts once, and finds it again."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_runtime import failure
from vmi_runtime.failure import Fault
from vmi_store import partitions
from vmi_store.partitions import Quarter
from vmi_testing import builders
from vmi_testing.inventory import RECORDED, Desk, record

LONG_AGO = datetime(1931, 5, 6, 12, tzinfo=UTC)
"""In a quarter that nobody else speaks of."""


async def places(engine: AsyncEngine, customer: str) -> list[str]:
    async with engine.connect() as connection:
        result = await connection.execute(
            text("SELECT tableoid::regclass::text FROM journal WHERE customer_id = :customer ORDER BY occurred_at"),
            {"customer": customer},
        )
        return list(result.scalars())


async def make(engine: AsyncEngine, *quarters: Quarter) -> list[Quarter]:
    async with engine.begin() as connection:
        return await partitions.prepare(connection, quarters)


def test_a_quarter_begins_where_the_one_before_ends() -> None:
    first = Quarter.of(date(2025, 11, 30))
    assert first == Quarter(2025, 4)
    assert first.ends == first.after(1).begins == datetime(2026, 1, 1, tzinfo=UTC)
    assert first.after(-4) == Quarter(2024, 4)
    assert [one.table for one in partitions.ahead(datetime(2025, 8, 1, tzinfo=UTC))] == [
        "journal_2025_q3",
        "journal_2025_q4",
        "journal_2026_q1",
    ]


async def test_a_fact_without_a_quarter_is_kept_and_moves_in_when_its_quarter_is_made(
    engine: AsyncEngine, customer: str
) -> None:
    desk = Desk(engine, customer)
    await desk.introduce("milk")
    await desk.tell(builders.stock(customer, {"milk": 9}, LONG_AGO), builders.sale(customer, {"milk": 2}, RECORDED))
    assert (await places(engine, customer))[0] == "journal_strays"

    quarter = Quarter.of(LONG_AGO.date())
    assert await make(engine, quarter) == [quarter]
    assert await make(engine, quarter) == []
    assert (await places(engine, customer))[0] == quarter.table == "journal_1931_q2"
    assert (await desk.stock()).physical == 7


async def test_a_line_counts_once_whichever_partition_it_is_in(engine: AsyncEngine, customer: str) -> None:
    desk = Desk(engine, customer)
    await desk.introduce("milk")
    at = datetime(1932, 5, 6, 12, tzinfo=UTC)
    sold = record(builders.sale(customer, {"milk": 3}, at))
    await desk.deliver([sold])
    await make(engine, Quarter.of(at.date()))
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM inbox WHERE customer_id = :customer"), {"customer": customer})

    await desk.deliver([sold, record(builders.sale(customer, {"milk": 1}, at))])
    assert (await desk.stock()).physical == -4
    assert await places(engine, customer) == ["journal_1932_q2"] * 2


async def test_a_count_folds_its_key_anew_over_several_quarters(engine: AsyncEngine, customer: str) -> None:
    desk = Desk(engine, customer)
    await desk.introduce("milk")
    first, second = Quarter(1933, 1), Quarter(1933, 2)
    await make(engine, first, second)
    await desk.tell(
        builders.sale(customer, {"milk": 5}, first.begins),
        builders.sale(customer, {"milk": 2}, second.begins),
        builders.sale(customer, {"milk": 1}, second.ends),
    )
    await desk.tell(builders.stock(customer, {"milk": 10}, second.begins))
    assert (await desk.stock()).physical == Decimal(9)


async def test_making_a_quarter_gives_up_rather_than_let_everybody_wait(engine: AsyncEngine) -> None:
    async with engine.begin() as reader:
        await reader.execute(text("SELECT count(*) FROM journal"))
        with pytest.raises(DBAPIError) as caught:
            await make(engine, Quarter(1934, 1))
    assert failure.fault(caught.value) is Fault.TRANSIENT
    assert await make(engine, Quarter(1934, 1)) == [Quarter(1934, 1)]


async def test_what_grows_for_years_has_few_indexes_that_lead_with_the_customer(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        found = await connection.execute(
            text("""
                SELECT relation.relname AS relation, count(*) AS indexes,
                       array_agg(DISTINCT pg_get_indexdef(index.indexrelid, 1, true)) AS first
                FROM pg_index AS index JOIN pg_class AS relation ON relation.oid = index.indrelid
                WHERE relation.relname IN ('journal', 'daily_balance', 'position') GROUP BY relation.relname
            """)
        )
        assert {row.relation: (row.indexes, row.first) for row in found} == {
            name: (1, ["customer_id"]) for name in ("journal", "daily_balance", "position")
        }


async def test_each_quarter_is_vacuumed_by_what_came_in_and_not_by_its_size(engine: AsyncEngine) -> None:
    quarter = Quarter(1935, 1)
    await make(engine, quarter)
    async with engine.connect() as connection:
        told = await connection.execute(
            text("SELECT reloptions FROM pg_class WHERE relname = :name"), {"name": quarter.table}
        )
        options = dict(one.split("=") for one in told.scalar_one())
    assert float(options["autovacuum_vacuum_insert_scale_factor"]) == 0
    assert int(options["autovacuum_vacuum_insert_threshold"]) > 0
