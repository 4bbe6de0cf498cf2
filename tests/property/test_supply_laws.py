"""Laws of supply lines: free of the order of arrival and of repetition, and no unit is lost or doubled."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from vmi_domain.stock.closed_supply import CLOSED, closed
from vmi_domain.stock.supply import Stage, supply_lines, where_units_stand
from vmi_domain.stock.supply_facts import Accepted, Fact, Ordered, Received, Shipped

quantities = st.integers(0, 120).map(Decimal)
moments = st.integers(0, 20 * 24).map(lambda hours: datetime(2025, 3, 1, tzinfo=UTC) + timedelta(hours=hours))
proposals = st.integers(1, 3).map(lambda number: UUID(int=number))
orders = st.sampled_from(["O1", "O2", "O3"])
shipments = st.sampled_from(["S1", "S2", "S3"])
revisions = st.integers(0, 2)
ids = st.uuids()

facts = st.lists(
    st.one_of(
        st.builds(Accepted, proposals, quantities, moments, st.none() | moments, revisions, ids),
        st.builds(Ordered, orders, quantities, moments, st.none() | proposals, st.none() | moments, revisions, ids),
        st.builds(
            Shipped,
            shipments,
            quantities,
            moments,
            st.none() | orders,
            st.none() | proposals,
            st.none() | moments,
            revisions,
            ids,
        ),
        st.builds(
            Received,
            st.sampled_from(["R1", "R2", "R3"]),
            quantities,
            moments,
            st.none() | shipments,
            st.none() | orders,
            st.booleans(),
            ids,
        ),
    ),
    max_size=9,
)


@given(told=facts, data=st.data())
def test_neither_order_of_arrival_nor_repetition_changes_where_the_units_stand(
    told: list[Fact], data: st.DataObject
) -> None:
    again = data.draw(st.lists(st.sampled_from(told))) if told else []
    shuffled = data.draw(st.permutations(told + again))

    assert supply_lines(shuffled) == supply_lines(told)


@st.composite
def proposals_that_went_their_ways(draw: st.DrawFn) -> list[Fact]:
    """Nearly always what the short way takes, at times with a link that it must leave to the ledger."""
    told: list[Fact] = []
    few = st.integers(0, 3).map(Decimal)
    for number in range(draw(st.integers(0, 3))):
        proposal = UUID(int=draw(st.integers(1, 2**128 - 1)))
        shipment = draw(st.sampled_from([f"S{number}", "None", "A", "Z"]))
        left = draw(few)
        told += [
            Accepted(proposal, left + draw(few), draw(moments), draw(st.none() | moments), revision, draw(ids))
            for revision in range(draw(st.integers(1, 2)))
        ]
        if draw(st.booleans()):
            expected_at = draw(st.none() | moments)
            told.append(
                Shipped(shipment, left, draw(moments), proposal_id=proposal, expected_at=expected_at, fact_id=draw(ids))
            )
        if draw(st.booleans()):
            quantity = draw(st.just(left) | few)
            told.append(Received(f"R{number}", quantity, draw(moments), shipment_id=shipment, fact_id=draw(ids)))
    return told + draw(st.just([]) | facts.map(lambda others: others[:1]))


@given(told=facts | proposals_that_went_their_ways(), data=st.data())
def test_the_short_way_and_the_ledger_say_the_same_of_every_unit(told: list[Fact], data: st.DataObject) -> None:
    assert supply_lines(data.draw(st.permutations(told))) == where_units_stand(told)[0]


@given(told=facts)
def test_what_was_received_is_received_and_no_lot_is_below_zero(told: list[Fact]) -> None:
    lines = supply_lines(told)
    came = sum(fact.quantity for fact in set(told) if isinstance(fact, Received))

    assert all(line.quantity > 0 for line in lines)
    assert sum(line.quantity for line in lines if line.stage is Stage.RECEIVED) == came


@given(told=facts)
def test_each_stage_holds_no_more_than_was_ever_announced(told: list[Fact]) -> None:
    """Going from stage to stage moves units; only documents bring them, each at most its own quantity."""
    announced = sum(fact.quantity for fact in set(told))

    assert sum(line.quantity for line in supply_lines(told)) <= announced


@given(quantity=st.integers(1, 100).map(Decimal), data=st.data())
def test_a_chain_of_documents_that_name_each_other_is_one_quantity(quantity: Decimal, data: st.DataObject) -> None:
    """In whatever order its links are known, and wherever clocks were wrong: never two of it."""
    proposal = UUID(int=1)
    chain: list[Fact] = [
        Accepted(proposal, quantity, data.draw(moments)),
        Ordered("O1", quantity, data.draw(moments), proposal_id=proposal),
        Shipped("S1", quantity, data.draw(moments), order_id="O1"),
        Received("R1", quantity, data.draw(moments), shipment_id="S1"),
    ]
    known = data.draw(st.integers(1, 4))

    assert sum(line.quantity for line in supply_lines(chain[:known])) == quantity


@given(told=facts, data=st.data())
def test_what_is_closed_can_be_forgotten_and_no_unit_that_is_open_stands_elsewhere_by_it(
    told: list[Fact], data: st.DataObject
) -> None:
    may_go = set(data.draw(st.lists(st.sampled_from(told)))) if told and data.draw(st.booleans()) else set(told)
    gone = closed(told, may_go, deliveries_kept=data.draw(st.integers(0, 2)))
    kept = [fact for fact in told if fact not in gone]

    assert gone <= may_go
    before, after = supply_lines(told), supply_lines(kept)
    assert [line for line in after if line.stage not in CLOSED] == [line for line in before if line.stage not in CLOSED]
