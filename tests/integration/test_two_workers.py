"""Two workers that meet in one row: nothing is lost, nothing counts twice, and none waits for ever."""

import asyncio
from datetime import timedelta
from decimal import Decimal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_domain.days import SiteCalendar
from vmi_domain.stock.position import Key, Kind
from vmi_runtime import failure
from vmi_runtime.worker import FetchedRecord
from vmi_store import folding, journal, positions
from vmi_testing.builders import HOUR, NOON, sale, stock
from vmi_testing.inventory import Desk, record

ITEMS = [f"item-{number}" for number in range(20)]


async def deliver(desk: Desk, records: list[FetchedRecord]) -> None:
    """Deliver as the runtime does: what fails by the surroundings is tried again."""
    await failure.retried("a batch", lambda: desk.deliver(records))


async def test_sales_of_one_item_by_two_workers_are_all_counted(engine: AsyncEngine, customer: str) -> None:
    one, other = Desk(engine, customer), Desk(engine, customer)
    await one.introduce("milk")

    async def work(desk: Desk) -> None:
        for _ in range(25):
            await deliver(desk, [record(sale(customer, {"milk": 1})) for _ in range(4)])

    await asyncio.gather(work(one), work(other))

    row = await one.row()
    assert row.balance.moved == -200
    assert row.version == 50
    [(moved, _, sold, _, _)] = (await one.days()).values()
    assert (moved, sold) == (-200, 200)


async def test_the_fold_waits_for_the_other_workers_commit_before_it_reads(engine: AsyncEngine, customer: str) -> None:
    """A fold that reads in the statement that waits for the lock sees the journal as it was before: it loses sales."""
    desk = Desk(engine, customer)
    await desk.introduce("milk")
    await desk.tell(stock(customer, {"milk": 100}, NOON - HOUR))
    key = Key(customer, "store-1", "milk")

    async with engine.connect() as holding:
        await positions.lock(holding, [key])
        counting = asyncio.create_task(desk.tell(stock(customer, {"milk": 90}, NOON)))
        await _until_somebody_waits(engine)
        lines = [
            journal.JournalLine(
                *key,
                NOON + HOUR,
                journal.line_id(b"\x01" * 16, 1),
                Kind.SALE,
                Decimal(-7),
                NOON + HOUR,
            )
        ]
        await folding.fold(holding, await journal.enter(holding, lines), {key[:2]: SiteCalendar()})
        await holding.commit()
        await counting

    assert (await desk.stock()).physical == 83


_WAITING = text("""
    SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
""")


async def _until_somebody_waits(engine: AsyncEngine) -> None:
    async with asyncio.timeout(10), engine.connect() as connection:
        while True:
            waiting = await connection.execute(_WAITING)
            await connection.commit()
            if waiting.scalar_one():
                return
            await asyncio.sleep(0.01)


async def test_workers_that_write_many_rows_in_any_order_do_not_wait_in_a_ring(
    engine: AsyncEngine, customer: str
) -> None:
    desks = [Desk(engine, customer) for _ in range(3)]
    await desks[0].introduce(*ITEMS)

    async def work(desk: Desk, backwards: bool) -> None:
        for _ in range(10):
            items = reversed(ITEMS) if backwards else ITEMS
            await desk.deliver([record(sale(customer, {name: 1})) for name in items])

    await asyncio.gather(*(work(desk, place % 2 == 1) for place, desk in enumerate(desks)))

    assert [(await desks[0].stock(name)).physical for name in ITEMS] == [-30] * len(ITEMS)


async def test_a_document_that_reaches_two_workers_counts_once(engine: AsyncEngine, customer: str) -> None:
    desks = [Desk(engine, customer) for _ in range(2)]
    await desks[0].introduce("milk")
    for _ in range(20):
        same = [record(sale(customer, {"milk": 1}, NOON + timedelta(minutes=m))) for m in range(5)]
        await asyncio.gather(*(deliver(desk, same) for desk in desks))

    assert (await desks[0].stock()).physical == -100
