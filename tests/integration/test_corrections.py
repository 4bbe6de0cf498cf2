"""Documents that replace and retract others, on a real Postgres: what stands is what the valid documents say."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise, permutations
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts.inbound import (
    GoodsReceived,
    OrderPlaced,
    OrdersRetracted,
    Retraction,
    SalesRetracted,
    ShipmentDispatched,
    StockAdjusted,
    StockReported,
    StockRetracted,
    StockTransferred,
)
from vmi_domain.stock.corrections import Version, standing, targets
from vmi_domain.stock.position import Authority, Key, Kind
from vmi_domain.stock.supply import supply_lines, totals
from vmi_store import inbox, journal, positions, supply
from vmi_testing import builders
from vmi_testing.builders import DAY, HOUR, NOON, item, order, receipt, sale, shipment, stock
from vmi_testing.inventory import RECORDED, Desk, record

from .test_position_laws import documents, reference, reference_days


@pytest.fixture
async def desk(engine: AsyncEngine, customer: str) -> Desk:
    made = Desk(engine, customer)
    await made.introduce("milk", "bread")
    return made


def retraction(desk: Desk, kind: type[Retraction] = SalesRetracted, *names: str, **more: Any) -> Retraction:
    return kind.model_validate(
        {
            "customer_id": desk.customer,
            "location_id": "store-1",
            "retracts": [{"message_id": name} for name in names],
            **more,
        }
    )


def corrected(document: Any, *names: str, revision: int = 0) -> Any:
    """Return the document as one that replaces others."""
    told = document.model_dump()
    return type(document).model_validate(
        {**told, "revision": revision, "replaces": [{"message_id": name} for name in names]}
    )


async def sold(desk: Desk) -> dict[str, Decimal]:
    """Return what was sold on each day on which something was."""
    return {day: effects[2] for day, effects in (await desk.days()).items() if effects[2]}


async def test_s7_an_error_declaration_under_its_events_own_id_is_no_duplicate(desk: Desk) -> None:
    await desk.told(sale(desk.customer, {"milk": 3}), "event-1")
    await desk.told(retraction(desk), "event-1")
    await desk.told(retraction(desk), "event-1")

    assert (await desk.stock()).physical == 0
    assert await sold(desk) == {}
    assert await desk.quarantined() == []


async def test_s7_a_retraction_may_come_before_what_it_retracts(desk: Desk) -> None:
    await desk.told(retraction(desk), "event-1")
    await desk.told(sale(desk.customer, {"milk": 3}), "event-1")

    assert (await desk.stock()).physical == 0
    assert await sold(desk) == {}


async def test_s7_another_document_under_the_id_of_a_retracted_one_is_still_a_conflict(desk: Desk) -> None:
    await desk.told(retraction(desk), "event-1")
    await desk.told(sale(desk.customer, {"milk": 3}), "event-1")
    await desk.told(sale(desk.customer, {"milk": 3}), "event-1")
    await desk.told(sale(desk.customer, {"milk": 4}), "event-1")

    assert [held.rejected.reason for held in await desk.quarantined()] == ["conflicting_duplicate"]


@pytest.mark.parametrize("first", [0, 1])
async def test_f9_a_report_that_replaces_another_leaves_it_out_whichever_came_first(desk: Desk, first: int) -> None:
    wrong = (stock(desk.customer, {"milk": 500}, NOON + HOUR), "A")
    right = (corrected(stock(desk.customer, {"milk": 50}, NOON), "A"), "B")
    for document, name in (wrong, right) if first == 0 else (right, wrong):
        await desk.told(document, name)

    assert (await desk.stock()).physical == 50
    assert (await desk.row()).balance.counted_at == NOON


async def test_a_higher_revision_of_sales_takes_the_place_of_the_lower_ones_in_any_order(
    engine: AsyncEngine, customer: str
) -> None:
    for place, order_ in enumerate(permutations(range(3))):
        desk = Desk(engine, f"{customer}-{place}")
        await desk.introduce()
        said = [
            corrected(sale(desk.customer, {"milk": quantity}, NOON + revision * DAY), revision=revision)
            for revision, quantity in enumerate((30, 4, 5))
        ]
        for revision in order_:
            await desk.told(said[revision], "receipt-1")

        assert (await desk.stock()).physical == -5, order_
        assert await sold(desk) == {"2025-03-06": 5}, order_


async def test_u20_s8_what_is_taken_back_changes_the_day_on_which_it_had_been_told(desk: Desk) -> None:
    await desk.told(sale(desk.customer, {"milk": 3}, NOON), "A", recorded_at=NOON)
    await desk.told(sale(desk.customer, {"milk": 2}, NOON + 9 * DAY), "B", recorded_at=NOON + 9 * DAY)
    await desk.told(retraction(desk, SalesRetracted, "A"), "C", recorded_at=NOON + 10 * DAY)

    assert await sold(desk) == {"2025-03-13": 2}
    assert (await desk.published())[-1].lines[0].demand_from == date(2025, 3, 4)
    [_, reversed_] = [line for line in await lines_of(desk) if line.occurred_at == NOON]
    assert (reversed_.kind, reversed_.quantity, reversed_.recorded_at) == (Kind.SALE, 3, NOON + 10 * DAY)


async def test_without_its_last_report_the_stock_is_that_of_the_one_before(desk: Desk) -> None:
    await desk.told(stock(desk.customer, {"milk": 100}, NOON), "A")
    await desk.told(sale(desk.customer, {"milk": 7}, NOON + HOUR), "S")
    await desk.told(stock(desk.customer, {"milk": 20}, NOON + DAY), "B")
    await desk.told(retraction(desk, StockRetracted, "B"), "C")
    assert (await desk.stock()).physical == 93

    await desk.told(retraction(desk, StockRetracted, "A"), "D")
    assert (await desk.stock()).physical == -7
    assert (await desk.row()).balance.counted_at is None


async def test_a_document_is_corrected_by_one_of_another_location(desk: Desk) -> None:
    await desk.introduce("milk", location_id="store-2")
    await desk.told(sale(desk.customer, {"milk": 3}), "A")
    await desk.told(corrected(sale(desk.customer, {"milk": 3}, location_id="store-2"), "A"), "B")

    assert (await desk.stock()).physical == 0
    assert (await desk.stock(location_id="store-2")).physical == -3


async def test_a_transfer_that_is_retracted_never_arrived(desk: Desk) -> None:
    await desk.introduce("milk", location_id="store-2")
    moved = StockTransferred.model_validate(
        {
            "customer_id": desk.customer,
            "location_id": "store-1",
            "to_location_id": "store-2",
            "occurred_at": NOON,
            "lines": [{"item_id": "milk", "quantity": 7}],
        }
    )
    await desk.told(moved, "A")
    await desk.told(retraction(desk, StockRetracted, "A"), "B")

    assert [(await desk.stock(location_id=place)).physical for place in ("store-1", "store-2")] == [0, 0]


async def test_a_receipt_that_is_corrected_leaves_the_rest_in_transit(desk: Desk) -> None:
    def came(quantity: int) -> GoodsReceived:
        return receipt(desk.customer, "R", [{"item_id": "milk", "quantity": quantity, "shipment_id": "S"}], NOON + DAY)

    await desk.told(order(desk.customer, "O", [{"item_id": "milk", "quantity": 100}]), "O")
    await desk.told(shipment(desk.customer, "S", [{"item_id": "milk", "quantity": 100, "order_id": "O"}]), "S")
    await desk.told(came(100), "R")
    await desk.told(corrected(came(60), revision=1), "R")

    held = await desk.stock(authority=Authority.LEDGER)
    assert (held.physical, held.in_transit, held.on_order) == (60, 40, 0)
    await desk.told(retraction(desk, OrdersRetracted, "S", "R"), "X")
    held = await desk.stock(authority=Authority.LEDGER)
    assert (held.physical, held.in_transit, held.on_order) == (0, 0, 100)


async def test_an_order_whose_revisions_are_changes_is_retracted_with_all_of_them(desk: Desk) -> None:
    for revision, quantity in enumerate((40, 30)):
        await desk.told(order(desk.customer, "O", [{"item_id": "milk", "quantity": quantity}], revision=revision), "O")
    assert (await desk.stock()).on_order == 30

    await desk.told(retraction(desk, OrdersRetracted, "O"), "X")
    assert (await desk.stock()).on_order == 0


async def test_a_line_that_waited_is_not_taken_in_when_its_document_was_replaced_meanwhile(desk: Desk) -> None:
    await desk.told(sale(desk.customer, {"milk": 3, "caviar": 2}), "A")
    await desk.told(corrected(sale(desk.customer, {"milk": 4}), "A"), "B")
    await desk.define(item(desk.customer, "caviar"), recorded_at=RECORDED + HOUR)
    await desk.release()

    assert (await desk.stock()).physical == -4
    assert (await desk.stock("caviar")).physical == 0


async def test_a_replacement_that_waits_for_its_location_replaces_when_it_is_known(desk: Desk) -> None:
    await desk.told(sale(desk.customer, {"milk": 3}), "A")
    await desk.told(corrected(sale(desk.customer, {"milk": 5}, location_id="store-9"), "A"), "B")
    assert (await desk.stock()).physical == -3

    await desk.define(builders.location(desk.customer, "store-9"), recorded_at=RECORDED + HOUR)
    await desk.release()
    assert (await desk.stock()).physical == 0
    assert (await desk.stock(location_id="store-9")).physical == -5


async def test_a_retraction_says_nothing_of_another_sources_or_customers_document(
    engine: AsyncEngine, desk: Desk
) -> None:
    other = Desk(engine, desk.customer + "-b")
    await other.introduce()
    await other.told(sale(other.customer, {"milk": 3}), "A")
    await desk.told(sale(desk.customer, {"milk": 4}), "A")
    elsewhere = [{"message_id": "A", "source": "/another"}]
    await desk.told(retraction(desk, retracts=elsewhere), "B")

    assert ((await desk.stock()).physical, (await other.stock()).physical) == (-4, -3)


async def test_a_report_of_a_day_alone_is_found_again(engine: AsyncEngine, customer: str) -> None:
    desk = Desk(engine, customer)
    await desk.introduce(time_zone="Pacific/Auckland")
    report = StockReported.model_validate(
        {
            "customer_id": customer,
            "location_id": "store-1",
            "as_of": "2025-03-04",
            "lines": [{"item_id": "milk", "on_hand": 9}],
        }
    )
    await desk.told(report, "A")
    await desk.told(retraction(desk, StockRetracted, "A"), "B")

    assert (await desk.row()).balance.counted_at is None


async def lines_of(desk: Desk, item_id: str = "milk") -> list[journal.JournalLine]:
    key = Key(desk.customer, "store-1", item_id)
    async with desk.engine.connect() as connection:
        return (await journal.of_keys(connection, [key]))[key]


# The law -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Said:
    """A document under its name, and what it says about others."""

    name: str
    kind: type[Any]
    fields: dict[str, Any]

    def identity(self) -> tuple[str, int, bool]:
        return (self.name, self.fields.get("revision", 0), issubclass(self.kind, Retraction))

    def version(self) -> Version:
        name, revision, is_retraction = self.identity()
        told = self.fields.get("replaces") or self.fields.get("retracts") or ()
        others = [(one["message_id"].encode(), one.get("revision")) for one in told]
        if is_retraction:
            return Version(b"", 0, targets(b"", 0, others or [(name.encode(), None)]))
        revises = self.kind not in (OrderPlaced, ShipmentDispatched)
        return Version(name.encode(), revision, targets(name.encode(), revision, others, revises=revises))


names = st.sampled_from(["A", "B", "C", "D", "E"])
references = st.fixed_dictionaries({"message_id": names}, optional={"revision": st.integers(0, 2)})
facts = st.builds(
    lambda name, said, revision, replaces: Said(name, said[0], {**said[1], "revision": revision, "replaces": replaces}),
    names,
    documents,
    st.integers(0, 2),
    st.lists(references, max_size=1),
)
retractions = st.builds(
    lambda name, kind, retracts: Said(name, kind, {"lines": [], "retracts": retracts}),
    names,
    st.sampled_from([SalesRetracted, StockRetracted, OrdersRetracted]),
    st.lists(references, max_size=1),
)


@st.composite
def stories(draw: st.DrawFn) -> tuple[Sequence[Said], Sequence[Sequence[int]]]:
    told = draw(
        st.lists(
            st.one_of(facts, facts, facts, retractions), min_size=1, max_size=9, unique_by=lambda one: one.identity()
        )
    )
    arrivals = draw(st.permutations([*range(len(told)), *draw(st.lists(st.integers(0, len(told) - 1), max_size=4))]))
    cuts = sorted(draw(st.sets(st.integers(1, len(arrivals)), max_size=4)))
    return told, [arrivals[a:b] for a, b in pairwise([0, *cuts, len(arrivals)])]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(story=stories())
async def test_everything_ends_as_if_only_the_valid_documents_had_come(
    engine: AsyncEngine, story: tuple[Sequence[Said], Sequence[Sequence[int]]]
) -> None:
    told, batches = story
    desk = Desk(engine, f"corrected-{uuid4().hex}")
    await desk.introduce("milk", time_zone="Europe/Berlin")
    records = [
        record(
            one.kind.model_validate({"customer_id": desk.customer, "location_id": "store-1", **one.fields}),
            message_id=one.name,
            recorded_at=RECORDED + timedelta(minutes=place),
        )
        for place, one in enumerate(told)
    ]
    for batch in batches:
        await desk.deliver([records[place] for place in batch])

    valid = {version for version in standing(one.version() for one in told) if version.name}
    documents = {
        inbox.message_key(
            customer_id=desk.customer,
            source="/test",
            message_id=version.name.decode(),
            revision=version.revision,
        )[: journal.DOCUMENT_BYTES]
        for version in valid
    }
    key = Key(desk.customer, "store-1", "milk")
    async with engine.begin() as connection:
        lines = (await journal.of_keys(connection, [key]))[key]
        row = (await positions.read(connection, [key]) or [None])[0]
        stood = (await supply.lines(connection, [key]))[key]
        kept = (await supply.facts(connection, [key]))[key]
    originals = [line for line in lines if not line.is_reversal]
    assert len(originals) == sum(len(one.fields["lines"]) for one in told), "the journal forgets nothing"
    true = [line for line in originals if line.document in documents]
    assert {line.line_id for line in journal.standing(lines)} == {line.line_id for line in true}
    if row is None:
        assert not lines
        return
    assert row.balance == reference(true)
    days = {day: effects for day, effects in (await desk.days(whole=True)).items() if any(effects)}
    assert days == {day: effects for day, effects in reference_days(true).items() if any(effects)}
    assert {fact.fact_id.bytes for fact in kept} == {
        line.line_id for line in true if line.kind in (Kind.ORDER, Kind.SHIPMENT, Kind.RECEIPT)
    }
    assert stood == supply_lines(kept)
    assert row.supply == totals(stood, row.balance.counted_at)


@pytest.mark.parametrize("adjusted", [-4, 4])
async def test_an_adjustment_is_taken_back_by_its_opposite(desk: Desk, adjusted: int) -> None:
    change = StockAdjusted.model_validate(
        {
            "customer_id": desk.customer,
            "location_id": "store-1",
            "occurred_at": datetime(2025, 3, 4, tzinfo=UTC),
            "lines": [{"item_id": "milk", "quantity": adjusted, "reason": "found"}],
        }
    )
    await desk.told(change, "A")
    await desk.told(retraction(desk, StockRetracted, "A"), "B")

    assert (await desk.stock()).physical == 0
