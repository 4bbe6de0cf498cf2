"""The simulated stores: what is not on the shelf is lost, what is accepted arrives."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import numpy as np
import orjson
import pytest

from vmi_contracts.outbound import ProposalLine, ProposalsIssued, ProposalStatus
from vmi_contracts.topics import ORDERS, PROPOSAL_ANSWERS, SALES, STOCK
from vmi_demo.documents import Outgoing, Writer, closing_time, opportunity, pack_sizes
from vmi_demo.journey import Basket, Journey
from vmi_demo.proposals import Proposal, ProposalBook
from vmi_demo.shelves import Shelves, outcome
from vmi_demo.stores import Stores

NOON = datetime(2017, 10, 3, 16, tzinfo=UTC)
LIVE = tuple(date(2017, 10, 3) + timedelta(days=day) for day in range(6))


def basket(day: int, wanted: int, at: datetime | None = None) -> Basket:
    return Basket(at or NOON + timedelta(days=day), 100 + day, 0, np.array([0]), np.array([wanted]))


def stores(*wanted_by_day: int, stock: int) -> Stores:
    """One store, one item, one basket a day."""
    wanted = np.array(wanted_by_day).reshape(-1, 1, 1)
    journey = Journey(
        stores=("7",),
        items=("milk",),
        item_names=("Milk",),
        history_days=(),
        history=np.zeros((0, 1, 1), dtype=np.int64),
        history_last_sale={},
        live_days=LIVE[: len(wanted_by_day)],
        wanted=wanted,
        baskets=tuple((basket(day, units),) for day, units in enumerate(wanted_by_day)),
    )
    packs = np.array([1])
    return Stores(journey, Writer(journey, packs, "test"), Shelves(np.array([[stock]])))


def proposal(quantity: int, *, order_at: datetime, version: int = 1, proposal_id: UUID | None = None) -> Proposal:
    return Proposal(
        proposal_id or uuid4(),
        version,
        ProposalStatus.PROPOSED,
        "7",
        "milk",
        quantity,
        order_at,
        order_at + timedelta(days=3),
        "",
        None,
    )


def documents(outgoing: list[Outgoing], topic: object) -> list[dict[str, object]]:
    return [orjson.loads(one.record.value) for one in outgoing if one.topic is topic]


def test_what_is_wanted_and_not_there_is_lost_and_never_reported():
    simulated = stores(5, stock=3)

    sent = simulated.day(0)

    [line] = documents(sent, SALES)[0]["lines"]
    assert line == {"item_id": "milk", "quantity": "3"}
    assert documents(simulated.closing_reports(0), STOCK)[0]["lines"][0]["on_hand"] == "0"
    fared = outcome(simulated.shelves)
    assert fared.fill_rate == pytest.approx(3 / 5)
    assert fared.short_item_days == 1


def test_an_empty_shelf_sells_nothing_and_writes_no_sale():
    assert documents(stores(5, stock=0).day(0), SALES) == []


def test_the_days_stock_is_reported_as_of_its_end_in_the_stores_zone():
    assert documents(stores(1, stock=3).closing_reports(0), STOCK)[0]["as_of"] == "2017-10-04T04:00:00Z"


def test_what_is_accepted_is_shipped_and_on_the_shelf_after_the_lead_time():
    simulated = stores(3, 1, 1, 1, 4, stock=3)
    accepted = proposal(4, order_at=opportunity(LIVE[0]))
    simulated.day(0)

    evening = simulated.arrivals(0) + simulated.acceptances(0, [accepted])

    answer = documents(evening, PROPOSAL_ANSWERS)[0]["lines"][0]
    assert (answer["proposal_id"], answer["version"], answer["answer"]) == (str(accepted.proposal_id), 1, "accept")
    happened = {}
    for day in range(1, 5):
        happened[day] = documents(simulated.day(day) + simulated.arrivals(day), ORDERS)
    assert [day for day, written in happened.items() if written] == [2, 3]
    assert happened[2][0]["lines"][0]["proposal_id"] == str(accepted.proposal_id)
    assert happened[2][0]["shipment_id"] == "shipment-2017-10-03-7"
    assert happened[2][0]["shipped_at"] == "2017-10-05T10:00:00Z"
    assert happened[3][0]["receipt_id"] == "receipt-shipment-2017-10-03-7"
    assert happened[3][0]["received_at"] == "2017-10-07T04:00:01Z"
    assert happened[3][0]["lines"][0]["quantity"] == "4"
    fared = outcome(simulated.shelves)
    assert fared.fill_rate == pytest.approx(7 / 10)
    assert fared.short_item_days == 3


def test_what_is_accepted_before_the_first_day_arrives_at_the_end_of_the_third():
    simulated = stores(0, 0, 0, 0, stock=0)
    simulated.acceptances(-1, [proposal(4, order_at=opportunity(LIVE[0] - timedelta(days=1)))])

    received = {day: documents(simulated.arrivals(day), ORDERS) for day in range(4)}

    assert [day for day, written in received.items() if written] == [2]
    assert received[2][0]["received_at"] == "2017-10-06T04:00:01Z"


def test_goods_arrive_before_they_were_promised():
    simulated = stores(0, 0, 0, 0, stock=0)
    due = proposal(4, order_at=opportunity(LIVE[0]))
    simulated.acceptances(0, [due])

    received_at = closing_time(LIVE[3])

    assert received_at <= due.deliver_at


def issued(*lines: tuple[UUID, int, ProposalStatus, int]) -> ProposalsIssued:
    """A document from (proposal, version, status, quantity)."""
    return ProposalsIssued(
        customer_id="complete-journey",
        location_id="7",
        supplier_id="wholesale",
        issued_at=NOON,
        consolidation_id=UUID(int=7),
        order_day=date(2025, 1, 1),
        lines=tuple(
            ProposalLine(
                proposal_id=proposal_id,
                version=version,
                status=status,
                item_id="milk",
                quantity=Decimal(quantity),
                unit="EA",
                packs=Decimal(quantity),
                order_at=opportunity(LIVE[0]),
                deliver_at=opportunity(LIVE[3]),
                expires_at=opportunity(LIVE[1]),
                reason="",
                explanation={},
            )
            for proposal_id, version, status, quantity in lines
        ),
    )


def test_only_a_higher_version_of_a_proposal_is_applied():
    book, milk = ProposalBook(), uuid4()
    book.apply(issued((milk, 2, ProposalStatus.PROPOSED, 5)))

    changed = book.apply(issued((milk, 1, ProposalStatus.PROPOSED, 9), (milk, 2, ProposalStatus.PROPOSED, 5)))

    assert changed == []
    assert [due.quantity for due in book.due(opportunity(LIVE[0]))] == [5]
    assert (len(book), book.versions, book.repeated) == (1, 1, 2)


def test_a_proposal_that_was_answered_or_cancelled_is_due_no_more():
    book, milk, bread = ProposalBook(), uuid4(), uuid4()
    book.apply(issued((milk, 1, ProposalStatus.PROPOSED, 5), (bread, 1, ProposalStatus.PROPOSED, 5)))

    book.apply(issued((milk, 2, ProposalStatus.ACCEPTED, 5), (bread, 2, ProposalStatus.CANCELLED, 0)))

    assert book.due(opportunity(LIVE[5])) == []


def test_a_proposal_for_a_later_opportunity_waits():
    book = ProposalBook()
    book.apply(issued((uuid4(), 1, ProposalStatus.PROPOSED, 5)))

    assert book.due(opportunity(LIVE[0]) - timedelta(seconds=1)) == []
    assert len(book.due(opportunity(LIVE[0]))) == 1


def test_a_pack_is_what_a_store_sells_in_two_weeks_at_most():
    history = np.array([[[0, 0, 9]], [[1, 0, 9]]])

    assert pack_sizes(history).tolist() == [6, 1, 12]
