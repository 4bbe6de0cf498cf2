"""Counts on a real Postgres: drift is booked and explained, late facts derive it again, and counts are asked for."""

import asyncio
import random
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts.inbound import StockReported, StockRetracted
from vmi_contracts.outbound import CountRequestLine, CountsRequested, ExceptionLine, ExceptionsChanged
from vmi_domain.stock.drift import Cause, reconcile
from vmi_domain.stock.position import Count, Key, Movement
from vmi_domain.stock.position import Kind as Said
from vmi_inventory.reconciling import reconcile as reconcile_counts
from vmi_inventory.requesting import ask_for_counts
from vmi_runtime.clock import Clock, ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import reconciling
from vmi_store.journal import JournalLine
from vmi_store.reconciling import Booked
from vmi_testing import builders
from vmi_testing.builders import DAY, HOUR, NOON
from vmi_testing.inventory import Desk, record

STORE = "store-1"
EVENTS = Clock(ClockMode.EVENTS)
MIDNIGHT = NOON - 12 * HOUR


class Shop:
    """A store whose counts are reconciled."""

    def __init__(self, engine: AsyncEngine, customer: str) -> None:
        self.engine = engine
        self.customer = customer
        self.desk = Desk(engine, customer, ClockMode.EVENTS)

    async def opens(self, *items: str, counts_a_day: int = 5, **terms: Any) -> None:
        await self.desk.introduce(*(items or ("milk",)), counts_a_day=counts_a_day)
        await self.desk.define(*(builders.agreement(self.customer, item, **terms) for item in items or ("milk",)))

    async def tells(self, *documents: Any) -> None:
        await self.desk.tell(*documents)

    async def reconciles(self) -> None:
        more = True
        while more:
            async with self.engine.begin() as connection:
                more = await reconcile_counts(Transaction(connection, EVENTS))

    async def asks(self) -> None:
        more = True
        while more:
            async with self.engine.begin() as connection:
                more = await ask_for_counts(Transaction(connection, EVENTS))

    async def booked(self, item: str = "milk") -> list[Booked]:
        async with self.engine.connect() as connection:
            found = await reconciling.history(connection, Key(self.customer, STORE, item), at_most=100)
        return found[::-1]

    async def exceptions(self) -> list[ExceptionLine]:
        return [
            line
            for payload in await self._outbox("vmi.exceptions.v1")
            for line in ExceptionsChanged.model_validate_json(payload).lines
        ]

    async def requests(self) -> list[CountRequestLine]:
        return [
            line
            for payload in await self._outbox("vmi.count-requests.v1")
            for line in CountsRequested.model_validate_json(payload).lines
        ]

    async def _outbox(self, topic: str) -> list[bytes]:
        async with self.engine.connect() as connection:
            rows = await connection.execute(_OUTBOX, {"customer": self.customer, "topic": topic})
            return [row.payload for row in rows]


_OUTBOX = text("""
    SELECT payload FROM outbox WHERE customer_id = :customer AND aggregatetype = :topic ORDER BY sequence
""")


@pytest.fixture
def shop(engine: AsyncEngine, customer: str) -> Shop:
    return Shop(engine, customer)


def at(hour: float) -> datetime:
    return MIDNIGHT + hour * HOUR


async def test_f22_a_drift_is_booked_with_its_cause_and_above_tolerance_a_person_is_told(shop: Shop) -> None:
    await shop.opens(drift_tolerance="4")
    milk = shop.customer
    await shop.tells(builders.stock(milk, {"milk": 100}, at(10)))
    await shop.tells(builders.sale(milk, {"milk": 5}, at(12)), builders.sale(milk, {"milk": 7}, at(9)))
    receipt = builders.receipt(milk, "GR-1", [{"item_id": "milk", "quantity": "30"}], at(11))
    await shop.tells(receipt, builders.stock(milk, {"milk": 90}, at(8)), builders.stock(milk, {"milk": 120}, at(13)))
    await shop.reconciles()

    last = (await shop.booked())[-1]
    assert (last.cause, last.expected, last.drift) == (Cause.SNAPSHOT_RECONCILE, 125, -5)
    assert (last.sold, last.received, last.facts, last.since) == (5, 30, 2, at(10))
    [told] = await shop.exceptions()
    assert (told.kind.value, told.status.value, told.details["unexplained"]) == ("drift", "open", "-5")
    assert "expected 125" in told.reason


async def test_a_late_sale_explains_the_drift_of_the_count_after_it_and_ends_the_exception(shop: Shop) -> None:
    await shop.opens(drift_tolerance="4")
    await shop.tells(
        builders.stock(shop.customer, {"milk": 100}, at(8)), builders.stock(shop.customer, {"milk": 95}, at(10))
    )
    await shop.tells(builders.stock(shop.customer, {"milk": 95}, at(12)))
    await shop.reconciles()
    await shop.tells(builders.stock(shop.customer, {"milk": 85}, at(14)))
    await shop.reconciles()
    assert [line.status.value for line in await shop.exceptions()] == ["open"]

    await shop.tells(
        builders.sale(shop.customer, {"milk": 5}, at(9)), builders.sale(shop.customer, {"milk": 8}, at(13))
    )
    await shop.reconciles()

    assert [one.drift for one in await shop.booked()] == [0, 0, 0, -2]
    assert [line.status.value for line in await shop.exceptions()] == ["open", "closed"]


async def test_facts_in_any_order_book_what_the_reference_books(engine: AsyncEngine, customer: str) -> None:
    dice = random.Random(20250304)
    facts: list[Count | Movement] = []
    there = Decimal(0)
    for hour in sorted(dice.sample(range(400), 60)):
        quantity = Decimal(dice.randint(1, 40))
        if hour % 5 == 0:
            there = there if there >= 0 and dice.random() < 0.6 else 10 * quantity  # half of them find what is expected
            facts.append(Count(at(hour / 4), there, kind=Said.COUNT if hour % 2 else Said.REPORT))
        else:
            there -= quantity
            facts.append(Movement(at(hour / 4), -quantity))
    counts = [one for one in facts if isinstance(one, Count)]
    movements = [one for one in facts if isinstance(one, Movement)]
    expected = [(one.as_of, one.cause, one.expected, one.drift) for one in reconcile(counts, movements)]

    for number in range(3):
        shop = Shop(engine, f"{customer}-{number}")
        await shop.opens()
        dice.shuffle(facts)
        for first in range(0, len(facts), 7):
            await shop.tells(*(_document(shop.customer, one) for one in facts[first : first + 7]))
            if dice.random() < 0.5:
                await shop.reconciles()
        await shop.reconciles()

        assert [(one.as_of, one.cause, one.expected, one.drift) for one in await shop.booked()] == expected


def _document(customer: str, fact: Count | Movement) -> Any:
    if isinstance(fact, Movement):
        return builders.sale(customer, {"milk": -fact.quantity}, fact.occurred_at)
    made = builders.count if fact.kind is Said.COUNT else builders.stock
    return made(customer, {"milk": fact.quantity}, fact.as_of)


async def test_a_report_of_what_was_expected_is_booked_at_once(shop: Shop) -> None:
    await shop.opens()
    await shop.tells(builders.stock(shop.customer, {"milk": 100}, at(8)))
    await shop.reconciles()
    await shop.tells(builders.sale(shop.customer, {"milk": 5}, at(9)))
    await shop.tells(builders.stock(shop.customer, {"milk": 95}, at(10)))

    at_once = await shop.booked()
    assert (at_once[-1].expected, at_once[-1].drift, at_once[-1].sold, at_once[-1].facts) == (95, 0, 5, 1)
    await shop.tells(builders.sale(shop.customer, {"milk": 2}, at(9)))
    await shop.reconciles()
    late = (await shop.booked())[-1]
    assert (late.as_of, late.expected, late.drift, late.facts) == (at(10), 93, 2, 2), "a late sale derives it again"


async def test_what_came_beside_a_report_is_in_what_is_booked_at_once(shop: Shop) -> None:
    await shop.opens()
    await shop.tells(builders.stock(shop.customer, {"milk": 100}, at(8)))
    await shop.reconciles()
    came = builders.receipt(shop.customer, "GR-1", [{"item_id": "milk", "quantity": "30"}], at(9))
    sold = builders.sale(shop.customer, {"milk": 5}, at(9))
    await shop.tells(came, builders.stock(shop.customer, {"milk": 125}, at(10)), sold)

    last = (await shop.booked())[-1]
    assert (last.as_of, last.expected, last.drift, last.received, last.sold, last.facts) == (at(10), 125, 0, 30, 5, 2)


async def test_a_report_that_sets_stock_apart_is_derived_and_the_next_one_is_booked_at_once(shop: Shop) -> None:
    def report(hour: float) -> StockReported:
        line = {"item_id": "milk", "on_hand": "100", "reserved": "3", "damaged": "1"}
        told = builders.stock(shop.customer, {"milk": 100}, at(hour)).model_dump()
        return StockReported.model_validate({**told, "lines": [line]})

    await shop.opens()
    await shop.tells(builders.stock(shop.customer, {"milk": 100}, at(8)))
    await shop.reconciles()
    await shop.tells(report(9))
    assert (await shop.booked())[-1].as_of == at(8)
    await shop.reconciles()
    await shop.tells(report(10))

    found = [(one.as_of, one.drift, one.newly_apart) for one in await shop.booked()]
    assert found[1:] == [(at(9), 0, 4), (at(10), 0, 0)]


async def test_what_was_found_by_counts_is_found_again_when_it_is_lost(shop: Shop) -> None:
    await shop.opens()
    await shop.tells(
        builders.stock(shop.customer, {"milk": 100}, at(8)),
        builders.sale(shop.customer, {"milk": 8}, at(9)),
        builders.count(shop.customer, {"milk": 95}, at(10)),
    )
    await shop.reconciles()
    before = await shop.booked()
    async with shop.engine.begin() as connection:
        lost = text("DELETE FROM reconciliation WHERE customer_id = :customer")
        await connection.execute(lost, {"customer": shop.customer})
        key = Key(shop.customer, STORE, "milk")
        await reconciling.note_missing(connection, [(key, at(8)), (key, at(10))])
    await shop.reconciles()

    assert await shop.booked() == before
    assert [one.drift for one in before] == [0, 3]


async def test_who_reconciles_does_not_wait_for_who_takes_facts_in_nor_the_other_way_round(shop: Shop) -> None:
    await shop.opens()
    for hour in (1, 3):
        await shop.tells(builders.stock(shop.customer, {"milk": 100}, at(hour)))
    await shop.reconciles()
    await shop.tells(builders.sale(shop.customer, {"milk": 1}, at(0.5)))
    key = Key(shop.customer, STORE, "milk")

    def late(hour: float) -> dict[Key, list[JournalLine]]:
        return {key: [JournalLine(*key, at(hour), b"", Said.SALE, Decimal(-1), at(hour))]}

    async with shop.engine.begin() as taking_in:
        await reconciling.note(taking_in, late(2), {key: at(3)})
        async with asyncio.timeout(30):
            reconciled = asyncio.create_task(shop.reconciles())
            await asyncio.wait([reconciled], timeout=0.5)  # it waits where it did
            await reconciling.note(taking_in, late(0.75), {key: at(3)})
            await reconciled
    await shop.tells(builders.sale(shop.customer, {"milk": 2}, at(2)))
    await shop.reconciles()

    assert [(one.as_of, one.facts, one.drift) for one in await shop.booked()] == [(at(1), 0, 0), (at(3), 1, 2)]


async def test_a_count_that_is_taken_back_leaves_no_trace(shop: Shop) -> None:
    await shop.opens()
    wrong = builders.stock(shop.customer, {"milk": 9}, at(10))
    await shop.desk.deliver([record(wrong, message_id="typo")])
    await shop.tells(
        builders.stock(shop.customer, {"milk": 100}, at(8)), builders.stock(shop.customer, {"milk": 99}, at(12))
    )
    await shop.reconciles()
    assert [one.drift for one in await shop.booked()] == [0, -91, 90]

    await shop.tells(
        StockRetracted.model_validate(
            {"customer_id": shop.customer, "location_id": STORE, "retracts": [{"message_id": "typo"}]}
        )
    )
    await shop.reconciles()

    assert [one.drift for one in await shop.booked()] == [0, -1]


async def test_s11_a_report_that_holds_a_shipment_without_a_receipt_is_no_drift(shop: Shop) -> None:
    await shop.opens()
    await shop.tells(builders.stock(shop.customer, {"milk": 10}, at(0)))
    shipped = builders.shipment(shop.customer, "ASN-1", [{"item_id": "milk", "quantity": "60"}], at(1))
    await shop.tells(shipped.model_copy(update={"expected_at": at(5)}))
    await shop.tells(builders.stock(shop.customer, {"milk": 70}, at(6)))
    await shop.reconciles()

    assert (await shop.booked())[-1].drift == 60
    assert await shop.exceptions() == []


async def test_s10_a_receipt_that_is_short_is_one_exception_for_its_shipment(shop: Shop) -> None:
    await shop.opens(stock_authority="ledger")
    line = {"item_id": "milk", "quantity": "100"}
    await shop.tells(builders.shipment(shop.customer, "ASN-1", [line], at(1)))
    part = {"item_id": "milk", "quantity": "60", "shipment_id": "ASN-1"}
    await shop.tells(builders.receipt(shop.customer, "GR-1", [part], at(5)))
    assert await shop.exceptions() == []

    rest = {"item_id": "milk", "quantity": "30", "shipment_id": "ASN-1", "completed": True}
    await shop.tells(builders.receipt(shop.customer, "GR-2", [rest], at(6)))
    more = {"item_id": "milk", "quantity": "10", "shipment_id": "ASN-1"}
    await shop.tells(builders.receipt(shop.customer, "GR-3", [more], at(7)))

    short, closed = await shop.exceptions()
    assert (short.kind.value, short.subject, short.details["difference"]) == (
        "receipt_mismatch",
        "shipment ASN-1",
        "-10",
    )
    assert (closed.status.value, closed.exception_id) == ("closed", short.exception_id)


# Counts that are asked for


async def sold_for_a_month_and_then_no_more(shop: Shop, *items: str) -> None:
    """Ten a day until the thirtieth day, and nothing after it, though twenty are still on record."""
    begin = MIDNIGHT
    await shop.tells(builders.count(shop.customer, dict.fromkeys(items, 320), begin))
    for day in range(30):
        await shop.tells(builders.sale(shop.customer, dict.fromkeys(items, 10), begin + day * DAY + HOUR))
    await shop.reconciles()


async def test_f25_stock_that_does_not_sell_any_more_is_to_be_counted_and_the_count_answers(shop: Shop) -> None:
    await shop.opens("milk", "bread")
    await sold_for_a_month_and_then_no_more(shop, "milk")
    await shop.tells(builders.count(shop.customer, {"bread": 50}, MIDNIGHT + 29 * DAY))
    await shop.asks()
    assert await shop.requests() == []

    await shop.tells(builders.sale(shop.customer, {"bread": 1}, MIDNIGHT + 37 * DAY + HOUR))
    await shop.reconciles()
    await shop.asks()
    await shop.asks()
    [asked] = await shop.requests()
    await shop.tells(builders.count(shop.customer, {"milk": 0}, MIDNIGHT + 38 * DAY))
    await shop.reconciles()
    answered = (await shop.requests())[-1]

    assert (asked.item_id, asked.reason.value, asked.status.value) == ("milk", "phantom_suspect", "open")
    assert (asked.expected, asked.unit) == (20, "EA")
    assert asked.confidence < 0.1
    assert (answered.request_id, answered.status.value, answered.counted) == (asked.request_id, "answered", 0)


async def test_a_location_is_not_asked_for_more_counts_a_day_than_it_can_do(shop: Shop) -> None:
    items = [f"item-{number}" for number in range(6)]
    await shop.opens(*items, counts_a_day=2)
    await sold_for_a_month_and_then_no_more(shop, *items)
    for day in (38, 39):
        await shop.tells(builders.sale(shop.customer, {items[0]: 1}, MIDNIGHT + day * DAY + HOUR))
        await shop.asks()

    asked = await shop.requests()

    assert len(asked) == 4
    assert len({line.item_id for line in asked}) == 4
    assert items[0] not in {line.item_id for line in asked}


async def test_where_nobody_counts_no_more_is_asked_for_than_a_week_can_do(shop: Shop) -> None:
    items = [f"item-{number}" for number in range(9)]
    await shop.opens(*items, counts_a_day=1)
    await sold_for_a_month_and_then_no_more(shop, *items)
    for day in range(38, 48):
        await shop.tells(builders.sale(shop.customer, {items[0]: 1}, MIDNIGHT + day * DAY + HOUR))
        await shop.asks()

    assert len(await shop.requests()) == 7
