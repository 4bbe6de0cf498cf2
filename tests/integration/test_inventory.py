"""The inventory worker on a real Postgres: what documents do to stock, days, supply and to those who listen."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts.inbound import SalesRecorded, StockAdjusted, StockCounted, StockReported, StockTransferred
from vmi_contracts.internal import PositionsChanged
from vmi_domain.stock.position import Authority, Basis, Key, inventory_position
from vmi_inventory import publishing
from vmi_runtime.clock import ClockMode
from vmi_store import journal, watermarks
from vmi_store.folding import Changed
from vmi_testing.builders import DAY, HOUR, NOON, agreement, item, location, order, receipt, sale, shipment, stock
from vmi_testing.inventory import RECORDED, Desk, record


@pytest.fixture
async def desk(engine: AsyncEngine, customer: str) -> Desk:
    made = Desk(engine, customer)
    await made.introduce("milk", "bread")
    return made


def at(hour: int) -> datetime:
    return datetime(2025, 3, 4, hour, tzinfo=UTC)


def received(customer: str, quantity: int, when: datetime, name: str = "R", **line: Any) -> Any:
    return receipt(customer, name, [{"item_id": "milk", "quantity": str(quantity), **line}], when)


def s5(customer: str) -> list[tuple[Any, int]]:
    """The vector: documents in their order of arrival, and the stock after each."""
    return [
        (stock(customer, {"milk": 100}, at(10)), 100),
        (sale(customer, {"milk": 5}, at(12)), 95),
        (sale(customer, {"milk": 7}, at(9)), 95),
        (received(customer, 30, at(11)), 125),
        (stock(customer, {"milk": 90}, at(8)), 125),
        (stock(customer, {"milk": 120}, at(13)), 120),
    ]


async def test_s5_each_arrival_leads_to_the_stock_of_the_vector(desk: Desk) -> None:
    for document, expected in s5(desk.customer):
        await desk.tell(document)
        assert (await desk.stock(authority=Authority.LEDGER)).physical == expected

    assert (await desk.days())["2025-03-04"] == (-12, 30, 12, 0, 0)


async def test_s5_in_any_order_and_batches_the_vector_ends_the_same(engine: AsyncEngine, customer: str) -> None:
    for place, order_ in enumerate(list(permutations(range(6)))[::37]):
        desk = Desk(engine, f"{customer}-{place}")
        await desk.introduce()
        documents = [s5(desk.customer)[one][0] for one in order_]
        cut = place % 7
        await desk.tell(*documents[:cut])
        await desk.tell(*documents[cut:])

        assert (await desk.stock(authority=Authority.LEDGER)).physical == 120, order_
        assert (await desk.days())["2025-03-04"] == (-12, 30, 12, 0, 0), order_


async def test_s6_a_report_that_names_a_day_means_its_end_at_the_site(engine: AsyncEngine, customer: str) -> None:
    desk = Desk(engine, customer)
    await desk.introduce(time_zone="America/New_York")
    await desk.tell(
        StockReported.model_validate(
            {
                "customer_id": customer,
                "location_id": "store-1",
                "as_of": "2025-03-04",
                "lines": [{"item_id": "milk", "on_hand": "100"}],
            }
        ),
        sale(customer, {"milk": 5}, datetime.fromisoformat("2025-03-04T23:00:00-05:00")),
        sale(customer, {"milk": 2}, datetime.fromisoformat("2025-03-05T09:00:00-05:00")),
    )

    assert (await desk.stock()).physical == 98
    assert (await desk.row()).balance.counted_at == datetime.fromisoformat("2025-03-05T00:00:00-05:00")


async def test_s7_the_same_document_delivered_again_counts_once(desk: Desk) -> None:
    one = record(sale(desk.customer, {"milk": 3}), message_id="1")
    again = record(sale(desk.customer, {"milk": 3}), message_id="1")

    await desk.deliver([one])
    await desk.deliver([one, again])

    assert (await desk.stock()).physical == -3
    assert await desk.quarantined() == []


async def test_s7_another_document_under_the_same_name_is_put_aside(desk: Desk) -> None:
    await desk.deliver([record(sale(desk.customer, {"milk": 3}), message_id="1")])
    await desk.deliver([record(sale(desk.customer, {"milk": 4}), message_id="1")])

    assert (await desk.stock()).physical == -3
    [held] = await desk.quarantined()
    assert held.rejected.reason == "conflicting_duplicate"


async def test_s9_stock_below_zero_is_kept_until_the_facts_are_complete(desk: Desk) -> None:
    await desk.tell(sale(desk.customer, {"milk": 5}, at(12)))
    assert (await desk.stock()).is_negative

    await desk.tell(stock(desk.customer, {"milk": 20}, at(9)))
    assert (await desk.stock()).physical == 15


async def test_s10_one_quantity_goes_from_stage_to_stage(desk: Desk) -> None:
    seen = []
    for document in (
        order(desk.customer, "O", [{"item_id": "milk", "quantity": "100"}], NOON),
        shipment(desk.customer, "S", [{"item_id": "milk", "quantity": "100", "order_id": "O"}], NOON + DAY),
        received(desk.customer, 60, NOON + 2 * DAY, "R1", shipment_id="S"),
        received(desk.customer, 30, NOON + 3 * DAY, "R2", shipment_id="S", completed=True),
    ):
        await desk.tell(document)
        held = await desk.stock(authority=Authority.LEDGER)
        seen.append((held.physical, held.on_order, held.in_transit, inventory_position(held)))

    assert seen == [(0, 100, 0, 100), (0, 0, 100, 100), (60, 0, 40, 100), (90, 0, 0, 90)]


async def test_s11_a_report_that_holds_the_shipment_before_its_receipt_does_not_count_it_twice(desk: Desk) -> None:
    customer = desk.customer
    on_its_way = shipment(customer, "S", [{"item_id": "milk", "quantity": "60"}], NOON)
    seen = []
    for document in (
        stock(customer, {"milk": 10}, NOON),
        on_its_way.model_copy(update={"expected_at": NOON + DAY}),
        stock(customer, {"milk": 70}, NOON + 2 * DAY),
        received(customer, 60, NOON + DAY, shipment_id="S"),
    ):
        await desk.tell(document)
        seen.append(inventory_position(await desk.stock()))

    assert seen == [10, 70, 70, 70]


async def test_s11_what_was_received_is_unconfirmed_until_a_report_as_of_it(desk: Desk) -> None:
    await desk.tell(stock(desk.customer, {"milk": 10}, at(8)), received(desk.customer, 60, at(9)))
    held = await desk.stock()
    assert (held.physical, held.received_unconfirmed) == (10, 60)

    await desk.tell(stock(desk.customer, {"milk": 70}, at(9)))
    held = await desk.stock()
    assert (held.physical, held.received_unconfirmed) == (70, 0)


async def test_s1_what_a_report_holds_back_is_not_available(desk: Desk) -> None:
    report = StockReported.model_validate(
        {
            "customer_id": desk.customer,
            "location_id": "store-1",
            "as_of": NOON,
            "lines": [{"item_id": "milk", "on_hand": 100, "unavailable": 10, "reserved": 30, "backlog": 4}],
        }
    )
    await desk.tell(report)

    held = await desk.stock()
    assert (held.available, held.backlog, inventory_position(held)) == (60, 4, 86)
    assert (await desk.stock(basis=Basis.AVAILABLE)).available == 100


async def test_a_count_beats_a_report_of_the_same_moment_whichever_came_first(desk: Desk) -> None:
    counted = StockCounted.model_validate(
        {
            "customer_id": desk.customer,
            "location_id": "store-1",
            "as_of": NOON,
            "lines": [{"item_id": "milk", "on_hand": 11}, {"item_id": "bread", "on_hand": 11}],
        }
    )
    await desk.tell(stock(desk.customer, {"milk": 10}))
    await desk.tell(counted)
    await desk.tell(stock(desk.customer, {"bread": 10}))

    assert (await desk.stock("milk")).physical == 11
    assert (await desk.stock("bread")).physical == 11


async def test_stock_that_is_found_written_off_or_moved_moves(desk: Desk) -> None:
    await desk.define(location(desk.customer, "store-2"))
    place = {"customer_id": desk.customer, "location_id": "store-1", "occurred_at": NOON}
    await desk.tell(
        stock(desk.customer, {"milk": 50}, NOON - HOUR),
        StockAdjusted.model_validate({**place, "lines": [{"item_id": "milk", "quantity": -4, "reason": "damaged"}]}),
        StockAdjusted.model_validate({**place, "lines": [{"item_id": "milk", "quantity": 1, "reason": "found"}]}),
        StockTransferred.model_validate(
            {**place, "to_location_id": "store-2", "lines": [{"item_id": "milk", "quantity": 7}]}
        ),
    )

    assert (await desk.stock()).physical == 40
    assert (await desk.stock(location_id="store-2")).physical == 7
    assert (await desk.days())["2025-03-04"] == (-10, 0, 0, 0, 0)


def sales(customer: str, **line: Any) -> SalesRecorded:
    period = {name: line.pop(name) for name in ("occurred_at", "period_start") if name in line}
    return SalesRecorded.model_validate(
        {
            "customer_id": customer,
            "location_id": "store-1",
            "occurred_at": NOON,
            **period,
            "lines": [{"item_id": "milk", **line}],
        }
    )


async def test_returns_raise_stock_apart_from_sales_and_what_was_lost_moves_nothing(desk: Desk) -> None:
    await desk.tell(sales(desk.customer, quantity=10, returned=2, lost=3))

    assert (await desk.stock()).physical == -8
    assert await desk.days() == {"2025-03-04": (-8, 0, 10, 2, 3)}


async def test_a_weeks_sales_move_stock_at_its_end_and_are_demand_of_each_day(desk: Desk) -> None:
    await desk.tell(
        stock(desk.customer, {"milk": 100}, datetime(2025, 3, 7, tzinfo=UTC)),
        sales(
            desk.customer,
            quantity=14,
            period_start=datetime(2025, 3, 3, tzinfo=UTC),
            occurred_at=datetime(2025, 3, 10, tzinfo=UTC),
        ),
    )

    assert (await desk.stock()).physical == 86
    days = await desk.days()
    assert [sold for _, _, sold, _, _ in days.values()] == [2] * 7
    assert days["2025-03-09"][0] == -14


async def test_a_days_sales_are_in_a_report_of_its_end(desk: Desk) -> None:
    midnight = datetime(2025, 3, 5, tzinfo=UTC)
    await desk.tell(
        stock(desk.customer, {"milk": 100}, midnight),
        sales(desk.customer, quantity=14, period_start=midnight - DAY, occurred_at=midnight),
    )

    assert (await desk.stock()).physical == 100
    assert await desk.days() == {"2025-03-04": (-14, 0, 14, 0, 0)}


async def test_a_late_count_finds_what_moved_at_the_very_end_of_its_day(desk: Desk) -> None:
    midnight = datetime(2025, 3, 5, tzinfo=UTC)
    await desk.tell(sale(desk.customer, {"milk": 5}, midnight), sale(desk.customer, {"milk": 2}, midnight + HOUR))
    await desk.tell(stock(desk.customer, {"milk": 100}, midnight - HOUR))

    assert (await desk.stock()).physical == 93


async def test_units_come_to_the_items_base_unit_also_after_they_changed(desk: Desk) -> None:
    case = {"quantity": 2, "unit": "CS"}
    await desk.define(item(desk.customer, units={"CS": 12}))
    await desk.tell(sales(desk.customer, **case))
    await desk.define(item(desk.customer, units={"CS": 10}), recorded_at=RECORDED + HOUR)
    await desk.tell(sales(desk.customer, **case))

    assert (await desk.stock()).physical == -44


async def test_another_workers_copy_of_master_data_is_read_again_when_they_change(
    engine: AsyncEngine, desk: Desk
) -> None:
    other = Desk(engine, desk.customer)
    await desk.define(item(desk.customer, units={"CS": 12}))
    await other.tell(sales(desk.customer, quantity=1, unit="CS"))
    await desk.define(item(desk.customer, units={"CS": 10}), recorded_at=RECORDED + HOUR)
    await other.tell(sales(desk.customer, quantity=1, unit="CS"))

    assert (await desk.stock()).physical == -22


async def test_days_are_counted_anew_when_a_sites_calendar_changes(desk: Desk) -> None:
    late = datetime(2025, 3, 4, 23, 30, tzinfo=UTC)
    await desk.tell(stock(desk.customer, {"milk": 100}), sale(desk.customer, {"milk": 5}, late))
    assert list(await desk.days()) == ["2025-03-04"]

    await desk.define(location(desk.customer, time_zone="Europe/Berlin"), recorded_at=RECORDED + HOUR)

    assert await desk.days() == {"2025-03-05": (-5, 0, 5, 0, 0)}
    assert (await desk.published())[-1].lines[0].demand_from == date(2025, 3, 4)
    assert (await desk.stock()).physical == 95
    await desk.tell(stock(desk.customer, {"milk": 90}, late - HOUR))
    assert (await desk.stock()).physical == 85


async def test_a_location_may_be_told_of_after_what_was_agreed_for_it(desk: Desk) -> None:
    """Its items have positions then, and no fact that days could be counted of."""
    await desk.define(agreement(desk.customer))

    await desk.define(location(desk.customer, time_zone="Europe/Berlin"), recorded_at=RECORDED + HOUR)

    await desk.tell(stock(desk.customer, {"milk": 36}))
    assert (await desk.stock()).physical == 36


async def test_the_watermark_is_the_latest_time_of_a_locations_facts_and_never_ahead_of_the_record(
    desk: Desk, engine: AsyncEngine
) -> None:
    async def reached() -> datetime | None:
        async with engine.connect() as connection:
            place = (desk.customer, "store-1")
            return (await watermarks.read(connection, [place])).get(place)

    assert await reached() is None
    await desk.tell(sale(desk.customer, {"milk": 1}, NOON), sale(desk.customer, {"milk": 1}, NOON - DAY))
    assert await reached() == NOON
    await desk.tell(sale(desk.customer, {"milk": 1}, NOON - 2 * DAY))
    assert await reached() == NOON
    await desk.tell(sale(desk.customer, {"milk": 1}, RECORDED + HOUR))
    assert await reached() == RECORDED


async def test_what_changed_is_told_once_a_location_and_batch(desk: Desk) -> None:
    await desk.define(location(desk.customer, "store-2"))
    await desk.tell(
        sale(desk.customer, {"milk": 1, "bread": 1}, NOON),
        sale(desk.customer, {"milk": 1}, NOON - 3 * DAY),
        sale(desk.customer, {"milk": 1}, NOON, location_id="store-2"),
    )
    await desk.tell(stock(desk.customer, {"bread": 5}, NOON))

    told = await desk.published()
    assert [
        (one.location_id, [(line.item_id, line.version, line.demand_from) for line in one.lines]) for one in told
    ] == [
        ("store-1", [("bread", 1, date(2025, 3, 4)), ("milk", 1, date(2025, 3, 1))]),
        ("store-2", [("milk", 1, date(2025, 3, 4))]),
        ("store-1", [("bread", 2, None)]),
    ]
    assert {one.reached_at for one in told} == {NOON}


async def test_a_report_that_says_what_was_known_is_told_as_a_confirmation(desk: Desk) -> None:
    await desk.tell(stock(desk.customer, {"milk": 10}, at(8)), sale(desk.customer, {"milk": 3}, at(9)))
    assert not await confirmed(desk), "it was the first report"

    await desk.tell(stock(desk.customer, {"milk": 7}, at(10)))
    assert await confirmed(desk)
    await desk.tell(stock(desk.customer, {"milk": 6}, at(11)))
    assert not await confirmed(desk), "one is missing"
    await desk.tell(stock(desk.customer, {"milk": 6}, at(12)), sale(desk.customer, {"milk": 2}, at(13)))
    assert not await confirmed(desk), "something was sold beside it"
    await desk.tell(received(desk.customer, 5, at(14)))
    await desk.tell(stock(desk.customer, {"milk": 9}, at(15)))
    assert not await confirmed(desk), "what was received is confirmed by it"
    await desk.tell(holding_back(desk.customer, 9, at(16), unavailable=1))
    assert not await confirmed(desk), "one of them is not for sale any more"
    await desk.tell(holding_back(desk.customer, 9, at(17), unavailable=1))
    assert await confirmed(desk)
    await desk.tell(stock(desk.customer, {"milk": 9}, at(7)))
    assert not await confirmed(desk), "an old report confirms nothing"
    ordered = order(desk.customer, "O", [{"item_id": "milk", "quantity": "6"}], at(6))
    await desk.tell(holding_back(desk.customer, 9, at(18), unavailable=1), ordered)
    assert not await confirmed(desk), "something was ordered beside it"


async def confirmed(desk: Desk) -> bool:
    [line] = (await desk.published())[-1].lines
    return line.confirmed


def holding_back(customer: str, on_hand: int, as_of: datetime, *, unavailable: int) -> StockReported:
    line = {"item_id": "milk", "on_hand": on_hand, "unavailable": unavailable}
    return StockReported.model_validate(
        {"customer_id": customer, "location_id": "store-1", "as_of": as_of, "lines": [line]}
    )


async def test_a_new_agreement_is_told_so_that_a_first_proposal_can_be_made(desk: Desk) -> None:
    await desk.define(agreement(desk.customer))

    [told] = await desk.published()
    assert [line.item_id for line in told.lines] == ["milk"]
    assert (await desk.row()).version == 1


async def test_by_the_clock_of_events_a_location_without_facts_is_told_of_with_its_first_fact(
    engine: AsyncEngine, customer: str
) -> None:
    desk = Desk(engine, customer, ClockMode.EVENTS)
    await desk.define(agreement(customer))
    assert await desk.published() == []

    await desk.tell(stock(customer, {"milk": 3}))
    assert [one.reached_at for one in await desk.published()] == [NOON]


async def test_what_an_agreement_names_is_known_without_a_catalogue(engine: AsyncEngine, customer: str) -> None:
    desk = Desk(engine, customer)
    await desk.define(agreement(customer))
    await desk.tell(sale(customer, {"milk": 2}))

    assert (await desk.stock()).physical == -2


async def test_a_line_that_is_in_the_journal_already_counts_once_though_the_inbox_forgot_it(
    desk: Desk, engine: AsyncEngine
) -> None:
    known, new = record(sale(desk.customer, {"milk": 3})), record(sale(desk.customer, {"milk": 4}))
    await desk.deliver([known])
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM inbox WHERE customer_id = :customer"), {"customer": desk.customer})
    await desk.deliver([known, new])

    assert (await desk.stock()).physical == -7
    assert (await desk.days())["2025-03-04"] == (-7, 0, 7, 0, 0)


async def test_the_journal_keeps_every_line_with_both_its_times(desk: Desk, engine: AsyncEngine) -> None:
    await desk.tell(
        sales(desk.customer, quantity=10, returned=2),
        order(desk.customer, "O", [{"item_id": "milk", "quantity": "6", "expected_at": (NOON + DAY).isoformat()}]),
    )
    key = Key(desk.customer, "store-1", "milk")
    async with engine.connect() as connection:
        lines = (await journal.of_keys(connection, [key]))[key]

    assert {(line.kind.name, line.quantity, line.occurred_at, line.recorded_at) for line in lines} == {
        ("SALE", Decimal(-8), NOON, RECORDED),
        ("ORDER", Decimal(6), NOON, RECORDED),
    }


async def test_a_batch_of_nothing_but_rubbish_changes_nothing(desk: Desk) -> None:
    await desk.tell()

    assert await desk.published() == []


async def test_quantities_finer_than_units_add_up_exactly(desk: Desk) -> None:
    for _ in range(10):
        await desk.tell(sale(desk.customer, {"milk": "0.1"}))

    assert (await desk.stock()).physical == -1


async def test_other_customers_items_of_the_same_name_are_others(engine: AsyncEngine, desk: Desk) -> None:
    other = Desk(engine, desk.customer + "-b")
    await other.introduce()
    await desk.deliver([record(sale(desk.customer, {"milk": 3}), message_id="1")])
    await other.deliver([record(sale(other.customer, {"milk": 5}), message_id="1")])

    assert ((await desk.stock()).physical, (await other.stock()).physical) == (-3, -5)


async def test_a_late_fact_tells_from_which_day_on_demand_changed(desk: Desk) -> None:
    await desk.tell(stock(desk.customer, {"milk": 50}, NOON))
    await desk.tell(sale(desk.customer, {"milk": 5}, NOON - timedelta(days=40)))

    assert (await desk.published())[-1].lines[0].demand_from == date(2025, 1, 23)
    assert (await desk.stock()).physical == 50


def test_what_is_told_is_what_its_contract_would_write() -> None:
    changed = [
        Changed(Key("c", "l", "a"), 3, date(2025, 3, 4)),
        Changed(Key("c", "l", 'b "quoted" ü'), 4, None),
        Changed(Key("c", "l", "d"), 5, None, is_confirmed=True),
    ]

    [message] = publishing._messages(changed, {("c", "l"): NOON})

    told = PositionsChanged.model_validate_json(message.payload)
    assert [(line.item_id, line.version, line.demand_from, line.confirmed) for line in told.lines] == [
        (one.key.item_id, one.version, one.demand_from, one.is_confirmed) for one in changed
    ]
    assert (told.customer_id, told.location_id, told.reached_at, message.key) == ("c", "l", NOON, told.key)
