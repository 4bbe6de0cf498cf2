"""What customers' figures mean (S1, S6, S14, S16, S17, S28), from documents to positions on a real Postgres."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts.inbound import SalesRecorded, StockAdjusted, StockReported, StockTransferred, TitleTransferred
from vmi_domain.days import SiteCalendar
from vmi_domain.stock.position import Authority, Basis, Key, Kind, Ownership, Title, inventory_position, ownership
from vmi_store import demand, journal
from vmi_store.forecasts import Location
from vmi_testing.builders import DAY, HOUR, NOON, agreement, item, location, receipt, sale, stock
from vmi_testing.inventory import RECORDED, Desk


@pytest.fixture
async def desk(engine: AsyncEngine, customer: str) -> Desk:
    made = Desk(engine, customer)
    await made.introduce("milk")
    return made


def document(kind: type[Any], desk: Desk, line: dict[str, Any], **fields: Any) -> Any:
    """Return a document of one line about milk."""
    when = "as_of" if kind is StockReported else "occurred_at"
    place = {"customer_id": desk.customer, "location_id": "store-1", when: NOON}
    return kind.model_validate({**place, **fields, "lines": [{"item_id": "milk", **line}]})


async def demanded(desk: Desk) -> dict[date, float]:
    """Return the demand of each day, as forecasts learn it."""
    key, begin = Key(desk.customer, "store-1", "milk"), date(2025, 3, 1)
    async with desk.engine.connect() as connection:
        [history] = await demand.read(
            connection,
            [(key, begin)],
            until=date(2025, 3, 31),
            calendars={Location(desk.customer, "store-1"): SiteCalendar()},
        )
    days = [date.fromordinal(day) for day in history.days.tolist()]
    return dict(zip(days, history.demand.tolist(), strict=True))


async def split(desk: Desk, title: Title) -> Ownership:
    return ownership((await desk.row()).balance, await desk.stock(), title)


# Statuses ------------------------------------------------------------------------------------------------------------


async def test_s1_two_partners_maps_lead_to_the_same_available_stock(desk: Desk) -> None:
    await desk.tell(document(StockReported, desk, {"on_hand": 100, "quality_control": 30, "on_hold": 10}))
    assert (await desk.stock(basis=Basis.GROSS)).available == 60

    await desk.tell(document(StockReported, desk, {"on_hand": 60, "quality_control": 30}, as_of=NOON + HOUR))
    held = await desk.stock(basis=Basis.AVAILABLE)
    assert (held.available, held.physical) == (60, 90)


async def test_f16_what_is_in_quality_control_is_no_stock_to_plan_with(desk: Desk) -> None:
    await desk.tell(document(StockReported, desk, {"on_hand": 100, "quality_control": 30}))

    held = await desk.stock()
    assert (held.available, inventory_position(held)) == (70, 70)


async def test_f16_statuses_are_kept_by_name_and_counted_together(desk: Desk) -> None:
    told = {"quality_control": 1, "damaged": 2, "on_hold": 3, "display": 4, "promotional": 5, "recalled": 6}
    await desk.tell(document(StockReported, desk, {"on_hand": 100, "unavailable": 7, **told}))

    assert (await desk.stock()).unavailable == 28
    async with desk.engine.connect() as connection:
        lines = await journal.of_keys(connection, [Key(desk.customer, "store-1", "milk")])
    [line] = lines[Key(desk.customer, "store-1", "milk")]
    assert journal.statuses_of(line) == {name: Decimal(quantity) for name, quantity in told.items()}


@pytest.mark.parametrize("basis", list(Basis))
async def test_stock_that_becomes_unavailable_stays_there_until_it_is_written_off(desk: Desk, basis: Basis) -> None:
    gross = 50 if basis is Basis.GROSS else 46
    await desk.tell(document(StockReported, desk, {"on_hand": gross, "damaged": 4}, as_of=NOON - DAY))
    await desk.tell(document(StockAdjusted, desk, {"unavailable": 3, "status": "damaged", "reason": "status_changed"}))
    held = await desk.stock(basis=basis)
    assert (held.physical, held.unavailable, held.available) == (50, 7, 43)

    await desk.tell(document(StockAdjusted, desk, {"quantity": -7, "unavailable": -7, "status": "damaged"}))
    held = await desk.stock(basis=basis)
    assert (held.physical, held.unavailable, held.available) == (43, 0, 43)
    assert await demanded(desk) == {}


# Snapshots of a day --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cut_off", "expected"), [("end_of_day", 100), ("start_of_day", 95)])
async def test_s6_a_report_of_a_day_holds_its_sales_as_its_cut_off_is_agreed(
    desk: Desk, cut_off: str, expected: int
) -> None:
    await desk.define(
        location(desk.customer, time_zone="Europe/Berlin"), agreement(desk.customer, snapshot_cut_off=cut_off)
    )
    await desk.tell(
        document(StockReported, desk, {"on_hand": 100}, as_of="2025-03-04"),
        sale(desk.customer, {"milk": 5}, datetime(2025, 3, 4, 8, tzinfo=UTC)),
    )

    assert (await desk.stock()).physical == expected


# Streams -------------------------------------------------------------------------------------------------------------


async def test_s14_only_the_agreed_stream_is_demand_and_moves_stock(desk: Desk) -> None:
    await desk.define(agreement(desk.customer, demand_stream="withdrawal"))
    await desk.tell(
        document(SalesRecorded, desk, {"quantity": 40}, stream="sell_through"),
        document(SalesRecorded, desk, {"quantity": 48}, stream="withdrawal"),
    )

    assert (await desk.stock()).physical == -48
    assert await demanded(desk) == {date(2025, 3, 4): 48}
    async with desk.engine.connect() as connection:
        lines = (await journal.of_keys(connection, [Key(desk.customer, "store-1", "milk")])).popitem()[1]
    assert sorted(line.kind for line in lines) == [Kind.SALE, Kind.OBSERVATION]


async def test_f33_streams_are_not_summed_where_the_agreed_one_changes(desk: Desk) -> None:
    await desk.define(
        agreement(desk.customer), agreement(desk.customer, effective_from="2025-03-05", demand_stream="order")
    )
    for day in (NOON, NOON + DAY):
        for stream, quantity in (("sell_through", 10), ("order", 12)):
            await desk.tell(document(SalesRecorded, desk, {"quantity": quantity}, stream=stream, occurred_at=day))

    assert await demanded(desk) == {date(2025, 3, 4): 10, date(2025, 3, 5): 12}
    assert (await desk.stock()).physical == -22


async def test_s14_net_sales_are_not_added_to_what_came_back(desk: Desk) -> None:
    await desk.define(agreement(desk.customer, demand_stream="net_sell_through"))
    await desk.tell(document(SalesRecorded, desk, {"quantity": 8, "returned": 2}, stream="net_sell_through"))

    assert (await desk.stock()).physical == -8
    assert await demanded(desk) == {date(2025, 3, 4): 8}


# Owners --------------------------------------------------------------------------------------------------------------


async def test_f17_a_transfer_of_title_changes_the_split_and_not_the_position(desk: Desk) -> None:
    await desk.tell(document(StockReported, desk, {"on_hand": 100, "supplier_owned": 60}, as_of=NOON - DAY))
    before = inventory_position(await desk.stock())
    assert await split(desk, Title.ON_RECEIPT) == Ownership(supplier=Decimal(60), customer=Decimal(40))

    await desk.tell(document(TitleTransferred, desk, {"quantity": 25}))

    assert await split(desk, Title.ON_RECEIPT) == Ownership(supplier=Decimal(35), customer=Decimal(65))
    assert inventory_position(await desk.stock()) == before == 100
    await desk.tell(document(StockReported, desk, {"on_hand": 100, "supplier_owned": 35}, as_of=NOON + DAY))
    assert await split(desk, Title.ON_RECEIPT) == Ownership(supplier=Decimal(35), customer=Decimal(65))


async def test_s16_consigned_goods_are_the_suppliers_from_receipt_to_withdrawal(desk: Desk) -> None:
    await desk.tell(
        document(StockReported, desk, {"on_hand": 20, "supplier_owned": 20}, as_of=NOON - DAY),
        receipt(desk.customer, "R", [{"item_id": "milk", "quantity": 30}], NOON),
        sale(desk.customer, {"milk": 5}, NOON + HOUR),
    )

    assert await split(desk, Title.ON_WITHDRAWAL) == Ownership(supplier=Decimal(45), customer=Decimal(0))
    assert await split(desk, Title.ON_RECEIPT) == Ownership(supplier=Decimal(20), customer=Decimal(25))
    assert inventory_position(await desk.stock()) == 45


async def test_s16_without_a_word_in_the_report_the_agreement_says_whose_it_is(desk: Desk) -> None:
    await desk.tell(stock(desk.customer, {"milk": 20}, NOON))

    assert await split(desk, Title.ON_WITHDRAWAL) == Ownership(supplier=Decimal(20), customer=Decimal(0))
    assert await split(desk, Title.ON_RECEIPT) == Ownership(supplier=Decimal(0), customer=Decimal(20))


# Returns -------------------------------------------------------------------------------------------------------------


async def test_f8_s17_what_buyers_bring_back_fit_for_sale_raises_stock_and_leaves_demand(desk: Desk) -> None:
    await desk.tell(stock(desk.customer, {"milk": 50}, NOON - DAY))
    await desk.tell(document(SalesRecorded, desk, {"quantity": 10, "returned": 3}))

    assert (await desk.stock()).available == 43
    assert await demanded(desk) == {date(2025, 3, 4): 10}


async def test_s17_what_comes_back_defective_is_there_and_unavailable(desk: Desk) -> None:
    await desk.tell(stock(desk.customer, {"milk": 50}, NOON - DAY))
    await desk.tell(document(SalesRecorded, desk, {"quantity": 10, "returned_defective": 3}))

    held = await desk.stock()
    assert (held.physical, held.unavailable, inventory_position(held)) == (43, 3, 40)
    assert await demanded(desk) == {date(2025, 3, 4): 10}


async def test_s17_what_goes_back_to_the_supplier_leaves_the_stock_and_is_no_demand(desk: Desk) -> None:
    await desk.tell(stock(desk.customer, {"milk": 50}, NOON - DAY))
    await desk.tell(document(StockAdjusted, desk, {"quantity": -6, "reason": "returned_to_supplier"}))

    assert (await desk.stock()).physical == 44
    assert await demanded(desk) == {}


async def test_s17_a_recall_sets_stock_aside_before_it_goes_back(desk: Desk) -> None:
    await desk.tell(stock(desk.customer, {"milk": 50}, NOON - DAY))
    seen = []
    for line in (
        {"unavailable": 6, "status": "recalled", "reason": "recalled"},
        {"quantity": -6, "unavailable": -6, "status": "recalled", "reason": "returned_to_supplier"},
    ):
        await desk.tell(document(StockAdjusted, desk, line))
        held = await desk.stock()
        seen.append((held.physical, inventory_position(held)))

    assert seen == [(50, 44), (44, 44)]
    assert await demanded(desk) == {}


# Transfers -----------------------------------------------------------------------------------------------------------


async def test_a_named_transfer_is_on_its_way_until_it_is_received(desk: Desk) -> None:
    await desk.introduce("milk", location_id="store-2")
    await desk.tell(stock(desk.customer, {"milk": 50}, NOON - DAY))
    await desk.tell(
        document(
            StockTransferred, desk, {"quantity": 7}, to_location_id="store-2", transfer_id="T", expected_at=NOON + DAY
        )
    )
    there = await desk.stock(location_id="store-2", authority=Authority.LEDGER)
    assert (await desk.stock()).physical == 43
    assert (there.physical, there.in_transit, inventory_position(there)) == (0, 7, 7)

    came = receipt(desk.customer, "R", [{"item_id": "milk", "quantity": 7, "shipment_id": "T"}], NOON + DAY)
    await desk.tell(came.model_copy(update={"location_id": "store-2"}))
    there = await desk.stock(location_id="store-2", authority=Authority.LEDGER)
    assert (there.physical, there.in_transit) == (7, 0)
    assert await demanded(desk) == {}


# Units and late data -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("noisy", ["24.000000001", 24.000000001, "23.999999999", "24.0000000"])
async def test_f26_noise_of_binary_arithmetic_makes_no_third_pack(desk: Desk, noisy: str | float) -> None:
    await desk.define(item(desk.customer, units={"CS": 12}), recorded_at=RECORDED + HOUR)
    await desk.tell(document(SalesRecorded, desk, {"quantity": noisy}))

    assert (await desk.stock()).physical == -24
    assert await desk.quarantined() == []


async def test_s28_a_late_fact_changes_history_and_the_stock_after_it_but_moves_no_watermark_back(desk: Desk) -> None:
    await desk.tell(stock(desk.customer, {"milk": 50}, NOON), sale(desk.customer, {"milk": 5}, NOON + 9 * DAY))
    await desk.tell(sale(desk.customer, {"milk": 2}, NOON + DAY))

    told = (await desk.published())[-1]
    assert told.lines[0].demand_from == date(2025, 3, 5)
    assert told.reached_at == NOON + 9 * DAY
    assert (await desk.stock()).physical == 43
