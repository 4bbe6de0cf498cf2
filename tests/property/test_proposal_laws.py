"""Laws of a proposal's life: answers in any order, duplicates, and reviews that settle."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import given, settings

from vmi_domain.replenishment.decisions import Policy, PolicyKind, Position
from vmi_domain.replenishment.opportunities import Calendar, next_opportunity
from vmi_domain.replenishment.proposals import STEPS, Answer, AnswerKind, IllegalStep, Proposal, Status, answered
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.reviewing import Case, Terms, review
from vmi_domain.stock.position import Key

NOW = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
KEY = Key("acme", "store-1", "milk")
OFFERED = {1: Decimal(100), 2: Decimal(140), 3: Decimal(20)}
OPEN = Proposal(
    proposal_id=UUID(int=1),
    key=KEY,
    supplier_id="dairy",
    order_at=NOW + DAY,
    part=1,
    version=3,
    status=Status.PROPOSED,
    quantity=OFFERED[3],
    deliver_at=NOW + 3 * DAY,
    expires_at=NOW + 8 * DAY,
    issued_at=NOW,
)


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    version, kind = draw(st.sampled_from(sorted(OFFERED))), draw(st.sampled_from(AnswerKind))
    change = draw(st.sampled_from([Decimal(0), Decimal(60), Decimal(100), Decimal(150)]))
    if kind is AnswerKind.COUNTER:
        change = change or Decimal(80)
    quantity = {AnswerKind.ACCEPT: OFFERED[version], AnswerKind.REJECT: Decimal(0)}.get(kind, change)
    return Answer(
        answer_id=UUID(int=draw(st.integers(0, 9))),
        kind=kind,
        version=version,
        answered_at=NOW + timedelta(minutes=draw(st.integers(0, 3))),
        offered=OFFERED[version],
        quantity=quantity,
        deliver_at=NOW + draw(st.sampled_from([3, 4])) * DAY,
    )


def after(given_answers: list[Answer]) -> Proposal:
    proposal = OPEN
    for one in given_answers:
        try:
            proposal = answered(proposal, one, NOW)
        except IllegalStep:
            continue
    return proposal


distinct_answers = st.lists(answers(), max_size=6, unique_by=lambda answer: answer.answer_id)


@given(distinct_answers, st.data())
def test_answers_in_any_order_and_twice_lead_to_the_same_state(told: list[Answer], data: st.DataObject) -> None:
    repeated = [*told, *data.draw(st.lists(st.sampled_from(told), max_size=4))] if told else []
    shuffled = data.draw(st.permutations(repeated))

    one, other = after(told), after(shuffled)

    assert (one.status, one.quantity, one.deliver_at) == (other.status, other.quantity, other.deliver_at)


@given(distinct_answers)
def test_a_version_counts_up_by_one_and_only_where_something_changed(told: list[Answer]) -> None:
    proposal = OPEN
    for one in told:
        try:
            following = answered(proposal, one, NOW)
        except IllegalStep:
            continue
        changed = (following.status, following.quantity, following.deliver_at) != (
            proposal.status,
            proposal.quantity,
            proposal.deliver_at,
        )
        assert following.version == proposal.version + changed
        assert following.status is proposal.status or following.status in STEPS[proposal.status]
        proposal = following


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[timedelta, int]]:
    """Moments and stock on hand at them."""
    steps = draw(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 130)), min_size=1, max_size=12))
    return [(timedelta(hours=hours), usable) for hours, usable in steps]


@given(histories(), st.booleans(), st.sampled_from([None, timedelta(hours=5)]))
@settings(deadline=None)
def test_there_is_one_live_proposal_for_an_opportunity_and_never_too_much(
    history: list[tuple[timedelta, int]], by_itself: bool, answer_within: timedelta | None
) -> None:
    """Whatever the stock does, what is open and bound fits below the maximum as it was when last decided."""
    terms = Terms(
        supplier_id="dairy",
        calendar=Calendar(weekdays=frozenset({1, 4}), lead_time_days=2),
        policy=Policy(PolicyKind.MINIMUM_MAXIMUM, minimum=Decimal(60), maximum=Decimal(100)),
        rules=OrderRules(multiple=Decimal(12), maximum=Decimal(100)),
        accepts_by_itself=by_itself,
        answer_within=answer_within,
    )
    held: dict[UUID, Proposal] = {}
    now = NOW
    for passed, usable in history:
        now += passed
        bound = sum((one.quantity for one in held.values() if one.status is Status.ACCEPTED), Decimal(0))
        case = Case(
            KEY,
            now,
            Position(Decimal(usable), on_order=bound),
            terms,
            next_opportunity(terms.calendar, now),
            live=list(held.values()),
        )
        [result] = review([case])
        for issue in result.issues:
            standing = held.get(issue.proposal.proposal_id)
            assert issue.proposal.version == (standing.version if standing else 0) + 1
            held[issue.proposal.proposal_id] = issue.proposal

        assert result.decision is not None
        opportunities = [one.order_at for one in held.values() if one.is_open]
        assert len(opportunities) == len(set(opportunities))
        if result.decision.quantity:
            position = result.decision.need.position.inventory_position
            assert position + result.decision.quantity <= 100

        [again] = review([replace(case, live=list(held.values()), position=_with_accepted(case, held))])
        assert again.issues == ()


def _with_accepted(case: Case, held: dict[UUID, Proposal]) -> Position:
    bound = sum((one.quantity for one in held.values() if one.status is Status.ACCEPTED), Decimal(0))
    return replace(case.position, on_order=bound)


@given(histories(), st.data())
@settings(deadline=None)
def test_s25_a_consumer_of_higher_versions_only_is_right_under_reordering_and_duplication(
    history: list[tuple[timedelta, int]], data: st.DataObject
) -> None:
    terms = Terms(
        supplier_id="dairy",
        calendar=Calendar(weekdays=frozenset({1, 4}), lead_time_days=2),
        policy=Policy(PolicyKind.MINIMUM_MAXIMUM, minimum=Decimal(60), maximum=Decimal(100)),
        rules=OrderRules(multiple=Decimal(12)),
    )
    held: dict[UUID, Proposal] = {}
    published: list[Proposal] = []
    now = NOW
    for passed, usable in history:
        now += passed
        opportunity = next_opportunity(terms.calendar, now)
        case = Case(KEY, now, Position(Decimal(usable)), terms, opportunity, live=list(held.values()))
        published += [issue.proposal for issue in review([case])[0].issues]
        held |= {one.proposal_id: one for one in published}

    repeats = data.draw(st.lists(st.sampled_from(published), max_size=5)) if published else []
    consumed: dict[UUID, Proposal] = {}
    for one in data.draw(st.permutations([*published, *repeats])):
        if one.proposal_id not in consumed or one.version > consumed[one.proposal_id].version:
            consumed[one.proposal_id] = one

    assert consumed == held
