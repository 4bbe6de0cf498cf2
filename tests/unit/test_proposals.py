"""The life of a proposal: one live one for an opportunity, versions, answers, goods (S25, F51 to F55)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid5

import pytest

from vmi_domain.replenishment.decisions import Policy, PolicyKind, Position
from vmi_domain.replenishment.hearing import Told, refusals
from vmi_domain.replenishment.opportunities import Calendar, next_opportunity
from vmi_domain.replenishment.proposals import (
    NAMESPACE,
    STEPS,
    TERMINAL,
    Answer,
    AnswerKind,
    HeldBecause,
    IllegalStep,
    Progress,
    Proposal,
    Status,
    answered,
    followed,
    message_id,
    progress_of,
    proposal_id,
    require_step,
)
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.reviewing import Case, Review, Terms, review
from vmi_domain.stock.position import Key
from vmi_domain.stock.supply import Stage, SupplyLine

NOW = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
KEY = Key("acme", "store-1", "milk")
WEEKLY = Terms(
    supplier_id="dairy",
    calendar=Calendar(weekdays=frozenset({4}), lead_time_days=2),
    policy=Policy(PolicyKind.MINIMUM_MAXIMUM, minimum=Decimal(50), maximum=Decimal(100)),
    rules=OrderRules(),
)


def case(
    usable: int,
    *live: Proposal,
    now: datetime = NOW,
    terms: Terms | None = WEEKLY,
    on_order: int = 0,
    held_because: HeldBecause | None = None,
    **progress: Progress,
) -> Case:
    return Case(
        key=KEY,
        now=now,
        position=Position(Decimal(usable), on_order=Decimal(on_order)),
        terms=terms,
        opportunity=None if terms is None else next_opportunity(terms.calendar, now),
        live=live,
        progress={live[0].proposal_id: progress["goods"]} if progress else {},
        held_because=held_because,
    )


def reviewed(*args: object, **kwargs: object) -> Review:
    [one] = review([case(*args, **kwargs)])  # type: ignore[arg-type]
    return one


def issued(*args: object, **kwargs: object) -> list[Proposal]:
    return [issue.proposal for issue in reviewed(*args, **kwargs).issues]


def first(usable: int = 30) -> Proposal:
    [proposal] = issued(usable)
    return proposal


def answer(kind: AnswerKind, proposal: Proposal, quantity: int | None = None, minutes: int = 1) -> Answer:
    bound = {AnswerKind.ACCEPT: proposal.quantity, AnswerKind.REJECT: Decimal(0)}.get(kind, Decimal(quantity or 0))
    return Answer(
        answer_id=uuid5(NAMESPACE, f"{kind}{proposal.version}{quantity}{minutes}"),
        kind=kind,
        version=proposal.version,
        answered_at=NOW + timedelta(minutes=minutes),
        offered=proposal.quantity,
        quantity=bound,
        deliver_at=proposal.deliver_at,
    )


# Versions


def test_a_need_becomes_the_first_version_of_a_proposal() -> None:
    proposal = first()

    assert (proposal.version, proposal.status, proposal.quantity) == (1, Status.PROPOSED, 70)
    assert proposal.order_at == datetime(2025, 6, 5, tzinfo=UTC)
    assert proposal.deliver_at == datetime(2025, 6, 7, tzinfo=UTC)
    assert proposal.expires_at == datetime(2025, 6, 12, tzinfo=UTC), "up to the opportunity after its own"


def test_s25_a_new_version_supersedes_under_the_same_id() -> None:
    one = first()

    result = reviewed(20, one)

    [two] = result.issues
    assert (two.proposal.proposal_id, two.proposal.version, two.supersedes) == (one.proposal_id, 2, 1)
    assert two.proposal.quantity == 80, "its own 70 do not count against it"


def test_an_unchanged_decision_is_no_new_version() -> None:
    assert issued(30, first()) == []


def test_s25_a_need_that_is_gone_is_cancelled_with_quantity_0() -> None:
    [cancelled] = issued(100, first())

    assert (cancelled.version, cancelled.status, cancelled.quantity) == (2, Status.CANCELLED, 0)
    assert issued(100, cancelled) == [], "and said once"


def test_a_need_that_comes_back_before_the_cut_off_takes_the_same_proposal_up_again() -> None:
    [cancelled] = issued(100, first())

    [again] = issued(40, cancelled)

    assert (again.version, again.status, again.quantity) == (3, Status.PROPOSED, 60)
    assert again.proposal_id == cancelled.proposal_id


def test_what_is_open_from_an_earlier_opportunity_counts_as_supply() -> None:
    one = first(30)

    assert issued(30, one, now=NOW + 4 * DAY) == [], "30 and the 70 that are open"


def test_an_unanswered_proposal_expires_and_is_planned_again_once() -> None:
    one = first(30)

    expired, again = issued(30, one, now=one.expires_at + timedelta(seconds=1))

    assert (expired.status, expired.quantity, expired.version) == (Status.EXPIRED, 0, 2)
    assert (again.status, again.quantity, again.order_at) == (Status.PROPOSED, 70, datetime(2025, 6, 19, tzinfo=UTC))
    assert issued(30, expired, again, now=again.issued_at) == []


def test_the_agreed_time_for_an_answer_goes_before_the_calendar() -> None:
    terms = replace(WEEKLY, answer_within=timedelta(hours=4))
    [one] = issued(30, terms=terms)

    expired, again = issued(30, one, terms=terms, now=NOW + timedelta(hours=5))

    assert expired.status is Status.EXPIRED
    assert (again.part, again.quantity, again.order_at) == (2, 70, one.order_at)


def test_the_next_look_is_due_at_the_cut_off_or_when_an_answer_is() -> None:
    assert reviewed(30).due_at == datetime(2025, 6, 5, tzinfo=UTC)
    assert reviewed(30, terms=replace(WEEKLY, answer_within=DAY)).due_at == NOW + DAY


def test_when_the_agreement_ends_its_open_proposals_are_cancelled() -> None:
    [cancelled] = issued(30, first(), terms=None)

    assert (cancelled.status, cancelled.quantity) == (Status.CANCELLED, 0)


def test_when_another_supplier_takes_over_nothing_is_proposed_twice() -> None:
    superseded, taken_over = issued(30, first(), terms=replace(WEEKLY, supplier_id="farm"))

    assert (superseded.supplier_id, superseded.status, superseded.quantity) == ("dairy", Status.SUPERSEDED, 0)
    assert (taken_over.supplier_id, taken_over.quantity) == ("farm", 70)


def test_an_agreement_that_wants_no_answer_accepts_when_the_opportunity_has_passed() -> None:
    terms = replace(WEEKLY, accepts_by_itself=True)
    [one] = issued(30, terms=terms)

    assert issued(30, one, terms=terms, now=one.order_at) == []
    [accepted] = issued(30, one, terms=terms, now=one.order_at + timedelta(seconds=1))

    assert (accepted.status, accepted.quantity, accepted.version) == (Status.ACCEPTED, 70, 2)


# Answers


def test_accepting_binds_what_was_proposed() -> None:
    one = first()

    accepted = answered(one, answer(AnswerKind.ACCEPT, one), NOW)

    assert (accepted.status, accepted.quantity, accepted.version) == (Status.ACCEPTED, 70, 2)
    assert issued(30, accepted, on_order=70) == []


def test_accepting_an_old_version_binds_that_quantity_and_the_rest_is_netted_again() -> None:
    one = first(30)
    [two] = issued(10, one)

    accepted = answered(two, answer(AnswerKind.ACCEPT, one), NOW)
    [rest] = issued(10, accepted, on_order=int(accepted.quantity), terms=replace(WEEKLY, policy=two_hundred()))

    assert (accepted.quantity, accepted.version) == (70, 3)
    assert (rest.part, rest.quantity, rest.version) == (2, 120, 1)
    assert rest.proposal_id != accepted.proposal_id, "nobody can take the rest for a change of what is agreed"


def two_hundred() -> Policy:
    return Policy(PolicyKind.MINIMUM_MAXIMUM, minimum=Decimal(100), maximum=Decimal(200))


def test_a_rejected_proposal_is_not_proposed_again_at_the_same_opportunity() -> None:
    one = first()
    rejected = answered(one, answer(AnswerKind.REJECT, one), NOW)

    assert (rejected.status, rejected.quantity) == (Status.REJECTED, 0)
    assert issued(10, rejected) == []
    assert [proposal.quantity for proposal in issued(10, rejected, now=NOW + 4 * DAY)] == [90]


def test_what_a_change_leaves_out_is_not_asked_again_at_the_same_opportunity() -> None:
    one = first()
    changed = answered(one, answer(AnswerKind.CHANGE, one, 40), NOW)

    assert (changed.status, changed.quantity) == (Status.CHANGED, 40)
    assert issued(5, changed, on_order=40) == []
    assert [proposal.quantity for proposal in issued(5, changed, on_order=40, now=NOW + 4 * DAY)] == [55]


def test_a_change_to_the_same_quantity_is_an_acceptance_and_to_nothing_a_rejection() -> None:
    one = first()

    assert answered(one, answer(AnswerKind.CHANGE, one, 70), NOW).status is Status.ACCEPTED
    assert answered(one, answer(AnswerKind.CHANGE, one, 0), NOW).status is Status.REJECTED


def test_a_refusal_after_a_promise_is_refused_with_its_reason() -> None:
    one = first()
    accepted = answered(one, answer(AnswerKind.ACCEPT, one), NOW)

    with pytest.raises(IllegalStep) as refused:
        answered(accepted, answer(AnswerKind.REJECT, one, minutes=2), NOW)

    assert refused.value.reason == "already_answered"


def test_who_comes_after_the_order_hears_that_it_is_ordered_whatever_was_answered_before() -> None:
    one = first()
    accepted = answered(one, answer(AnswerKind.ACCEPT, one, minutes=5), NOW)
    ordered = accepted.stepped(Status.ORDERED, accepted.quantity, NOW)

    for late in (answer(AnswerKind.REJECT, one, minutes=2), answer(AnswerKind.CHANGE, one, 40, minutes=9)):
        with pytest.raises(IllegalStep) as refused:
            answered(ordered, late, NOW)
        assert refused.value.reason == "proposal_ordered"
    assert answered(ordered, answer(AnswerKind.ACCEPT, one, minutes=5), NOW) == ordered


def test_the_same_answer_twice_changes_nothing() -> None:
    one = first()
    accepted = answered(one, answer(AnswerKind.ACCEPT, one), NOW)

    assert answered(accepted, answer(AnswerKind.ACCEPT, one), NOW) == accepted
    assert answered(accepted, answer(AnswerKind.ACCEPT, one, minutes=9), NOW).version == accepted.version


def test_a_later_version_has_the_last_word_whenever_it_was_said() -> None:
    one = first(30)
    [two] = issued(10, one)
    first_answer, second_answer = answer(AnswerKind.ACCEPT, one, minutes=9), answer(AnswerKind.ACCEPT, two, minutes=1)

    raised = answered(answered(two, first_answer, NOW), second_answer, NOW)

    assert raised.quantity == 90
    with pytest.raises(IllegalStep):
        answered(answered(two, second_answer, NOW), first_answer, NOW)


def test_saying_it_again_later_goes_before_what_was_said_between() -> None:
    one = first()
    accepted = answered(one, answer(AnswerKind.ACCEPT, one, minutes=1), NOW)
    repeated = answered(accepted, answer(AnswerKind.ACCEPT, one, minutes=3), NOW)

    with pytest.raises(IllegalStep):
        answered(repeated, answer(AnswerKind.CHANGE, one, 40, minutes=2), NOW)
    assert answered(accepted, answer(AnswerKind.CHANGE, one, 40, minutes=2), NOW).quantity == 40


@pytest.mark.parametrize("status", [Status.EXPIRED, Status.CANCELLED, Status.RECEIVED, Status.CLOSED, Status.SHIPPED])
def test_an_answer_comes_too_late_for_what_is_over_or_under_way(status: Status) -> None:
    one = first()

    with pytest.raises(IllegalStep) as refused:
        answered(replace(one, status=status), answer(AnswerKind.ACCEPT, one), NOW)

    assert refused.value.reason == f"proposal_{status.value}"


@pytest.mark.parametrize(
    ("status", "following"),
    [
        (Status.RECEIVED, Status.PROPOSED),
        (Status.EXPIRED, Status.ACCEPTED),
        (Status.SHIPPED, Status.ORDERED),
        (Status.ACCEPTED, Status.EXPIRED),
        (Status.REJECTED, Status.PROPOSED),
    ],
)
def test_an_illegal_step_is_refused(status: Status, following: Status) -> None:
    with pytest.raises(IllegalStep, match=following.value):
        require_step(status, following)


def test_every_status_says_what_may_follow() -> None:
    assert set(STEPS) == set(Status)
    assert {Status.RECEIVED, Status.CLOSED, Status.SUPERSEDED, Status.EXPIRED} == TERMINAL


@pytest.mark.parametrize("status", sorted(TERMINAL))
@pytest.mark.parametrize("following", Status)
def test_what_has_ended_is_immutable(status: Status, following: Status) -> None:
    with pytest.raises(IllegalStep) as refused:
        require_step(status, following)

    assert refused.value.reason == f"proposal_{status.value}"


# Held


def test_f12_while_its_data_are_stale_a_proposal_is_held_and_offered_when_they_are_fresh_again() -> None:
    [held] = issued(30, held_because=HeldBecause.STALE_DATA)
    [offered] = issued(30, held)

    assert (held.status, held.quantity, held.held_because) == (Status.HELD, 70, HeldBecause.STALE_DATA)
    assert issued(30, held, held_because=HeldBecause.STALE_DATA) == []
    assert (offered.status, offered.version, offered.held_because) == (Status.PROPOSED, 2, None)


def test_f12_an_offer_whose_data_went_stale_is_taken_back_until_they_are_fresh() -> None:
    [held] = issued(30, first(), held_because=HeldBecause.STALE_DATA)

    assert (held.status, held.version, held.quantity) == (Status.HELD, 2, 70)


def test_what_is_held_past_its_cut_off_expires_and_counts_as_no_supply() -> None:
    [held] = issued(30, held_because=HeldBecause.SHADOW)

    expired, again = issued(30, held, now=held.order_at + timedelta(seconds=1), held_because=HeldBecause.SHADOW)

    assert (expired.status, expired.quantity) == (Status.EXPIRED, 0)
    assert (again.status, again.quantity) == (Status.HELD, 70)


def test_who_read_the_offer_before_it_was_held_may_still_accept_it() -> None:
    one = first()
    [held] = issued(30, one, held_because=HeldBecause.STALE_DATA)

    assert answered(held, answer(AnswerKind.ACCEPT, one), NOW).status is Status.ACCEPTED


# Goods


def line(stage: Stage, quantity: int, *, order_id: str | None = "PO-1", of: Proposal | None = None) -> SupplyLine:
    return SupplyLine(stage, Decimal(quantity), (of or first()).proposal_id, order_id)


@pytest.mark.parametrize(
    ("goods", "status"),
    [
        ([line(Stage.ORDERED, 70)], Status.ORDERED),
        ([line(Stage.ORDERED, 30), line(Stage.SHIPPED, 40)], Status.SHIPPED),
        ([line(Stage.SHIPPED, 10), line(Stage.RECEIVED, 60)], Status.SHIPPED),
        ([line(Stage.RECEIVED, 70)], Status.RECEIVED),
        ([line(Stage.RECEIVED, 75)], Status.RECEIVED),
        ([line(Stage.RECEIVED, 60), line(Stage.SHORT, 10)], Status.CLOSED),
        ([line(Stage.SHORT, 70)], Status.CLOSED),
    ],
)
def test_the_status_follows_the_goods(goods: list[SupplyLine], status: Status) -> None:
    one = first()
    accepted = answered(one, answer(AnswerKind.ACCEPT, one), NOW)
    progress = progress_of(goods)[one.proposal_id]

    following = followed(accepted, progress, NOW)

    assert following is not None
    assert (following.status, following.quantity, following.version) == (status, 70, 3)
    assert followed(following, progress, NOW) is None


def test_what_is_accepted_and_not_ordered_yet_stays_accepted() -> None:
    one = first()
    accepted = answered(one, answer(AnswerKind.ACCEPT, one), NOW)

    assert followed(accepted, progress_of([line(Stage.ORDERED, 70, order_id=None)])[one.proposal_id], NOW) is None


def test_an_order_that_names_an_unanswered_proposal_accepts_it() -> None:
    [ordered] = issued(40, first(), on_order=60, goods=progress_of([line(Stage.ORDERED, 60)])[first().proposal_id])

    assert (ordered.status, ordered.quantity) == (Status.ORDERED, 60)


def test_after_a_cancelled_order_what_is_missing_is_a_part_of_its_own() -> None:
    one = first()
    accepted = answered(one, answer(AnswerKind.ACCEPT, one), NOW)

    cancelled, again = issued(30, accepted, goods=progress_of([line(Stage.CANCELLED, 70)])[one.proposal_id])

    assert (cancelled.status, cancelled.quantity) == (Status.CANCELLED, 0)
    assert (again.part, again.quantity, again.status) == (2, 70, Status.PROPOSED)


def test_so_it_is_where_the_order_was_the_only_answer() -> None:
    one = first()
    [ordered] = issued(40, one, on_order=60, goods=progress_of([line(Stage.ORDERED, 60)])[one.proposal_id])

    cancelled, again = issued(30, ordered, goods=progress_of([line(Stage.CANCELLED, 60)])[one.proposal_id])

    assert (cancelled.proposal_id, cancelled.status, cancelled.quantity) == (one.proposal_id, Status.CANCELLED, 0)
    assert (again.part, again.quantity, again.status) == (2, 70, Status.PROPOSED)


# Names


def test_names_are_derived_and_never_change() -> None:
    """A change of these numbers would make every known proposal a new one."""
    name = proposal_id(KEY, "dairy", datetime(2025, 6, 5, tzinfo=UTC), 1)

    assert name == UUID("2cac224b-78b9-5232-aff8-b78c4ef98d0b")
    assert message_id([(name, 1)]) != message_id([(name, 2)])
    assert message_id([(name, 1)]) == uuid5(NAMESPACE, f"{name}:1")
    assert name == proposal_id(KEY, "dairy", datetime.fromisoformat("2025-06-05T02:00:00+02:00"), 1)


# What was said, heard once more


def test_words_that_one_version_told_of_were_not_refused() -> None:
    offered = first()
    counter = answer(AnswerKind.COUNTER, offered, 40)
    accepted = answer(AnswerKind.ACCEPT, offered, minutes=2)
    bound = replace(answered(offered, accepted, NOW), answer=None)
    history = [Told(NOW, offered), Told(NOW + HOUR, bound)]

    assert refusals(history, [(NOW, counter), (NOW, accepted)]) == [None, None]


def test_a_word_that_was_read_late_was_refused_for_what_went_before_it_meanwhile() -> None:
    offered = first()
    ordered = followed(offered, Progress(ordered=offered.quantity, outstanding=offered.quantity), NOW + HOUR)
    assert ordered is not None
    history = [Told(NOW, offered), Told(NOW + HOUR, ordered)]

    [late] = refusals(history, [(NOW, answer(AnswerKind.CHANGE, offered, 40))])

    assert late is not None
    assert late.reason == "proposal_ordered"
