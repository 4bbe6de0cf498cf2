"""Laws that hold whatever fails or comes: crashes at every statement, other customers, broken bytes, replays."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.chaos.load import malformed

from vmi_contracts import envelope
from vmi_contracts.inbound import SalesRetracted
from vmi_inventory.documents import read_facts
from vmi_runtime.worker import FetchedRecord
from vmi_store import engine as engines
from vmi_testing import builders
from vmi_testing.builders import DAY, HOUR, NOON
from vmi_testing.inventory import RECORDED, Desk, raw_record, record

ITEMS = ("milk", "bread")


class Crash(Exception):
    """The process ends here."""


@pytest.fixture
async def own_engine(database_url: str, engine: AsyncEngine) -> AsyncIterator[AsyncEngine]:
    """An engine of this test's own on the migrated database, which may be made to fail."""
    made = engines.create(database_url, application_name="vmi-test-crashing", pool_size=2)
    yield made
    await made.dispose()


@contextmanager
def crash(engine: AsyncEngine, moment: str, at: int) -> Iterator[list[int]]:
    """Let the ``at``-th statement (from 0) crash before or after it is executed, or the ``at``-th commit."""
    numbers = count()
    passed = [0]

    def strike(*_: Any) -> None:
        passed[0] += 1
        if next(numbers) == at:
            raise Crash(f"{moment} {at}")

    event.listen(engine.sync_engine, moment, strike)
    try:
        yield passed
    finally:
        event.remove(engine.sync_engine, moment, strike)


def history(customer: str, shift: timedelta = timedelta(0)) -> list[FetchedRecord]:
    """Return a customer's records, of most kinds there are: the same ids for every customer."""
    at = NOON + shift
    recorded = RECORDED + shift
    retracted = SalesRetracted.model_validate(
        {"customer_id": customer, "location_id": "store-1", "retracts": [{"message_id": "S2"}]}
    )
    shipped = [{"item_id": "milk", "quantity": "12", "order_id": "O1"}]
    told = [
        ("A", builders.stock(customer, {"milk": 100, "bread": 50}, at)),
        ("S1", builders.sale(customer, {"milk": 3, "bread": 1}, at + HOUR)),
        ("S1", builders.sale(customer, {"milk": 3, "bread": 1}, at + HOUR)),
        ("S1", builders.sale(customer, {"milk": 4}, at + HOUR)),
        ("S2", builders.sale(customer, {"milk": 30}, at + 2 * HOUR)),
        ("X", retracted),
        ("O", builders.order(customer, "O1", [{"item_id": "milk", "quantity": "24"}], at)),
        ("D", builders.shipment(customer, "D1", shipped, at + DAY)),
        ("R", builders.receipt(customer, "R1", [{"item_id": "milk", "quantity": "12", "shipment_id": "D1"}], at + DAY)),
        ("C", builders.count(customer, {"bread": 45}, at + DAY)),
        ("U", builders.sale(customer, {"caviar": 1}, at + DAY)),
        ("L", builders.sale(customer, {"bread": 2}, at - 9 * DAY)),
    ]
    good = [record(document, message_id=name, recorded_at=recorded) for name, document in told]
    usual = envelope.headers(source="/test", message_id="bad", message_type="vmi.sales-recorded.v1")
    return [*good, raw_record(b"{", usual, recorded_at=recorded)]


async def known(engine: AsyncEngine, customer: str) -> Desk:
    desk = Desk(engine, customer)
    await desk.introduce(*ITEMS)
    return desk


async def state(desk: Desk, shift: timedelta = timedelta(0)) -> dict[str, Any]:
    """Return what stands of a customer, without its name and, moved back by ``shift``, its time."""
    whole = {}
    for item in ITEMS:
        row = await desk.row(item)
        at = row.balance.counted_at
        whole[item] = (
            await desk.stock(item),
            at and at - shift,
            row.supply,
            [effects for _, effects in sorted((await desk.days(item, whole=True)).items())],
        )
    async with desk.engine.connect() as connection:
        rows = await connection.execute(
            text("""
                SELECT item_id, occurred_at, kind, quantity, details FROM journal
                WHERE customer_id = :customer ORDER BY item_id, occurred_at, kind, quantity
            """),
            {"customer": desk.customer},
        )
        journal = [(one.item_id, one.occurred_at - shift, one.kind, one.quantity, one.details) for one in rows]
    refused = sorted((held.rejected.reason, held.rejected.line or 0) for held in await desk.quarantined())
    return {"stock": whole, "journal": journal, "quarantine": refused}


@pytest.mark.parametrize("moment", ["before_cursor_execute", "after_cursor_execute", "commit"])
async def test_p02_a_crash_at_any_statement_of_a_batch_leaves_no_trace_when_it_is_delivered_again(
    engine: AsyncEngine, own_engine: AsyncEngine, moment: str
) -> None:
    name = uuid4().hex[:8]
    calm = await known(engine, f"calm-{name}")
    await calm.deliver(history(calm.customer))
    expected = await state(calm)

    for at in range(1000):
        customer = f"crashed-{name}-{moment}-{at}"
        await known(engine, customer)
        records = history(customer)
        desk = Desk(own_engine, customer)
        with crash(own_engine, moment, at) as passed:
            try:
                await desk.deliver(records)
            except Crash:
                crashed = True
            else:
                crashed = False
        assert (passed[0] > at) == crashed
        if crashed:
            survivor = Desk(engine, customer)
            async with engine.connect() as connection:
                entered = await connection.execute(
                    text("SELECT count(*) FROM journal WHERE customer_id = :customer"), {"customer": customer}
                )
                assert entered.scalar_one() == 0, "half a batch"
            await survivor.deliver(records)  # the worker that comes after it
            await survivor.deliver(records)  # and one that died after its commit, before it could acknowledge
            assert await state(survivor) == expected, f"{moment} {at}"
            told = [line.item_id for one in await survivor.published() for line in one.lines]
            assert len(told) == len(set(told)), "a change is told twice"
        else:
            assert at > (0 if moment == "commit" else 8), "nothing was tried"
            break


async def test_p07_what_one_customer_sends_changes_nothing_of_another_who_uses_the_same_ids(
    engine: AsyncEngine,
) -> None:
    name = uuid4().hex[:8]
    alone, first, second = [await known(engine, f"{label}-{name}") for label in ("alone", "first", "second")]
    await alone.deliver(history(alone.customer))
    mixed = [one for pair in zip(history(first.customer), history(second.customer), strict=True) for one in pair]
    await first.deliver(mixed[:9])
    await second.deliver(mixed[9:])

    assert await state(first) == await state(second) == await state(alone)

    before = await state(second), [row.version for row in [await second.row(item) for item in ITEMS]]
    told = len(await second.published())
    await first.told(builders.sale(first.customer, {"milk": 9}, NOON + 2 * DAY), "S9")
    await first.told(
        SalesRetracted.model_validate(
            {"customer_id": first.customer, "location_id": "store-1", "retracts": [{"message_id": "S1"}]}
        ),
        "X9",
    )
    await first.deliver([raw_record(b"[", [])])

    assert (await state(second), [row.version for row in [await second.row(item) for item in ITEMS]]) == before
    assert len(await second.published()) == told


async def test_p10_a_replay_under_another_name_and_at_another_time_ends_the_same(engine: AsyncEngine) -> None:
    name = uuid4().hex[:8]
    weeks = 8 * 7 * DAY
    live, replayed, moved = [await known(engine, f"{label}-{name}") for label in ("live", "replayed", "moved")]
    for one in history(live.customer):
        await live.deliver([one])
    await replayed.deliver(history(replayed.customer))
    for one in reversed(history(moved.customer, weeks)[4:]):
        await moved.deliver([one])
    await moved.deliver(history(moved.customer, weeks)[:4])

    assert await state(replayed) == await state(live)
    assert await state(moved, weeks) == await state(live)


async def test_p08_thousands_of_malformed_messages_are_all_put_aside_and_good_ones_among_them_count(
    engine: AsyncEngine, customer: str
) -> None:
    desk = await known(engine, customer)
    chance = Random(8)
    before = await _held(engine)
    batch: list[FetchedRecord] = []
    bad = 3000
    for number in range(bad):
        usual = envelope.headers(source="/t", message_id=str(number), message_type="vmi.sales-recorded.v1")
        value, headers = malformed(chance, usual)
        batch.append(raw_record(value, headers))
        if number % 500 == 0:
            batch.append(record(builders.sale(customer, {"milk": 1}, NOON + timedelta(minutes=number))))
            await desk.deliver(batch)
            batch = []
    await desk.deliver(batch)

    assert (await desk.stock()).physical == -(bad // 500)
    assert await _held(engine) - before == bad


@pytest.mark.parametrize(
    "value",
    [
        b"x" * 10_000_000,
        b"[" * 10_000_000,
        b'{"customer_id": "c", "location_id": "l", "occurred_at": "2025-03-04T12:00:00Z", "lines": ['
        + b'{"item_id": "i", "quantity": "1"},' * 250_000
        + b"{}]}",
        b'{"customer_id": "' + b"c" * 10_000_000 + b'"}',
        b'{"lines": ' + b"9" * 10_000_000 + b"}",
    ],
    ids=["no JSON", "deep", "many lines", "a long name", "a long number"],
)
def test_p08_ten_megabytes_of_anything_are_put_aside_with_a_reason(value: bytes) -> None:
    usual = envelope.headers(source="/t", message_id="1", message_type="vmi.sales-recorded.v1")

    [held] = read_facts([raw_record(value, usual)]).rejected

    assert held.reason
    assert len(held.detail) < 2000


async def _held(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        held: int = (await connection.execute(text("SELECT count(*) FROM quarantine WHERE line IS NULL"))).scalar_one()
        return held
