"""Against nervousness: damping, freezing, and what a person must look at (S26, F48, F53, F5)."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from vmi_domain import forecasting
from vmi_domain.distributions import Family
from vmi_domain.replenishment.approving import Doubt, Tolerance, reason_to_look, usual_order
from vmi_domain.replenishment.expectations import Question, expectations
from vmi_domain.replenishment.explanations import explained, explained_in_words, recompute
from vmi_domain.replenishment.needs import Basis, Expected, Outlook, Policy, PolicyKind, Position
from vmi_domain.replenishment.opportunities import Calendar, next_opportunity
from vmi_domain.replenishment.overriding import Override
from vmi_domain.replenishment.proposals import NAMESPACE, Answer, AnswerKind, Proposal, Status, answered
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.reviewing import Case, Issue, Terms, review
from vmi_domain.replenishment.steadiness import Steadiness
from vmi_domain.stock.position import Key

NOW = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
"""A Monday; orders go out on Thursdays."""
DAY = timedelta(days=1)
KEY = Key("acme", "store-1", "milk")
WEEKLY = Terms(
    supplier_id="dairy",
    calendar=Calendar(weekdays=frozenset({4}), lead_time_days=2),
    policy=Policy(PolicyKind.MINIMUM_MAXIMUM, minimum=Decimal(500), maximum=Decimal(1000)),
    rules=OrderRules(multiple=Decimal(10)),
)
DAMPED = replace(WEEKLY, steadiness=Steadiness(minimum_change_share=0.05))
FROZEN = replace(WEEKLY, steadiness=Steadiness(freeze_days=3))


def issues(
    usable: float, *live: Proposal, terms: Terms = DAMPED, now: datetime = NOW, **more: Any
) -> tuple[Issue, ...]:
    position = Position(Decimal(str(usable)), on_order=Decimal(more.pop("on_order", 0)))
    opportunity = next_opportunity(terms.calendar, now)
    [result] = review([Case(KEY, now, position, terms, opportunity, live=live, **more)])
    return result.issues


def only(usable: float, *live: Proposal, **more: Any) -> Proposal:
    [issue] = issues(usable, *live, **more)
    return issue.proposal


# Damping


def test_f48_a_need_that_moved_by_less_than_is_agreed_is_not_told_again() -> None:
    one = only(400)

    assert one.quantity == 600
    assert issues(385, one) == (), "15 of 600 is less than 5 %"
    assert only(365, one).quantity == 640


def test_many_small_moves_one_way_are_told_when_they_add_up() -> None:
    one = only(400)
    assert issues(390, one) == issues(380, one) == ()

    assert only(366, one).quantity == 640


def test_a_need_at_the_edge_of_a_pack_does_not_turn_it_over_and_back() -> None:
    boxes = replace(DAMPED, rules=OrderRules(multiple=Decimal(100)))
    one = only(401, terms=boxes)

    assert one.quantity == 600
    assert issues(399, one, terms=boxes) == (), "601 would be 7 boxes"


def test_the_larger_of_both_agreed_bounds_counts() -> None:
    terms = replace(WEEKLY, steadiness=Steadiness(Decimal(50), 0.05))

    assert issues(360, only(400, terms=terms), terms=terms) == ()


def test_a_quantity_that_breaks_a_hard_maximum_never_stays() -> None:
    terms = replace(DAMPED, rules=OrderRules(multiple=Decimal(10), maximum=Decimal(1000)))
    one = only(400, terms=terms)

    assert only(411, one, terms=terms).quantity == 580


def test_a_change_of_the_agreement_is_told_however_small_the_need_moved() -> None:
    small = replace(DAMPED, rules=OrderRules(multiple=Decimal(10), largest_order=Decimal(200)))

    assert only(400, only(400, terms=small)).quantity == 600


def test_by_default_every_change_is_told() -> None:
    assert only(390, only(400, terms=WEEKLY), terms=WEEKLY).quantity == 610


# Freezing


def test_s26_inside_the_freeze_a_change_is_asked_for_and_the_quantity_stands() -> None:
    one = only(400, terms=FROZEN)

    [issue] = issues(300, one, terms=FROZEN)

    asked = issue.proposal
    assert (asked.quantity, asked.requested, asked.version, asked.status) == (600, 700, 2, Status.PROPOSED)
    assert issues(300, asked, terms=FROZEN) == (), "and asked once"
    assert "600 stands" in explained_in_words(issue)
    assert recompute(explained(issue, next_opportunity(FROZEN.calendar, NOW))) == 600


def test_s26_a_need_that_comes_back_takes_the_question_back() -> None:
    one = only(400, terms=FROZEN)
    asked = only(300, one, terms=FROZEN)

    back = only(400, asked, terms=FROZEN)

    assert (back.version, back.quantity, back.requested) == (3, 600, None)


def test_s26_before_the_freeze_a_change_is_a_revision() -> None:
    earlier = NOW - DAY
    one = only(400, terms=FROZEN, now=earlier)

    assert only(300, one, terms=FROZEN, now=earlier).quantity == 700


def test_s26_inside_the_freeze_a_need_that_is_gone_is_asked_for_too() -> None:
    asked = only(1200, only(400, terms=FROZEN), terms=FROZEN)

    assert (asked.status, asked.quantity, asked.requested) == (Status.PROPOSED, 600, 0)


def test_inside_the_freeze_a_first_need_is_proposed() -> None:
    assert only(400, terms=FROZEN).status is Status.PROPOSED


def said(kind: AnswerKind, one: Proposal, quantity: int, party: str = "supplier", minutes: int = 1) -> Answer:
    offered = one.answer.offered if one.countered_by and one.answer else one.quantity
    at = NOW + timedelta(minutes=minutes)
    name = NAMESPACE
    return Answer(name, kind, one.version, at, offered, Decimal(quantity), one.deliver_at, party=party)


def test_s25_inside_the_freeze_more_than_is_bound_is_a_change_request_not_a_proposal_of_its_own() -> None:
    one = only(400, terms=FROZEN)
    bound = answered(one, said(AnswerKind.ACCEPT, one, 600), NOW)
    higher = replace(FROZEN, policy=replace(FROZEN.policy, minimum=Decimal(1000), maximum=Decimal(1000)))

    asked = only(300, bound, terms=higher, on_order=600)

    assert (asked.status, asked.quantity, asked.requested) == (Status.ACCEPTED, 600, 700)
    assert issues(300, asked, terms=higher, on_order=600) == ()
    taken_up = answered(asked, said(AnswerKind.CHANGE, asked, 700, minutes=2), NOW)
    assert (taken_up.status, taken_up.quantity, taken_up.requested) == (Status.CHANGED, 700, None)


# Tolerance


TOLERANT = replace(WEEKLY, accepts_by_itself=True, tolerance=Tolerance(quantity=Decimal(650)), unit_price=Decimal(2))


def test_f53_what_is_within_tolerance_is_accepted_by_itself_and_what_is_not_waits_for_a_person() -> None:
    within, above = only(400, terms=TOLERANT), only(300, terms=TOLERANT)
    after = within.order_at + timedelta(seconds=1)

    assert within.review_because == ""
    assert only(400, within, terms=TOLERANT, now=after).status is Status.ACCEPTED
    assert above.review_because == "the quantity 700 is above 650"
    assert issues(300, above, terms=TOLERANT, now=after) == ()
    assert answered(above, said(AnswerKind.ACCEPT, above, 700), after).review_because == ""


def test_s9_on_a_record_below_zero_nothing_is_accepted_by_itself() -> None:
    doubted = only(0, terms=replace(TOLERANT, tolerance=None), doubts=(Doubt.NEGATIVE_STOCK,))

    assert doubted.review_because == "the stock record is below zero"


DOUBTED = {"doubts": (Doubt.NEGATIVE_STOCK,)}


@pytest.mark.parametrize("terms", [WEEKLY, TOLERANT, DAMPED], ids=["accepted by people", "by itself", "damped"])
def test_s9_a_doubt_that_appears_or_clears_is_told_though_the_quantity_stays(terms: Terms) -> None:
    one = only(300, terms=terms)

    doubted = only(300, one, terms=terms, **DOUBTED)
    cleared = only(300, doubted, terms=terms)

    assert [after.quantity for after in (one, doubted, cleared)] == [700, 700, 700]
    assert [after.version for after in (doubted, cleared)] == [2, 3]
    assert doubted.review_because == "the stock record is below zero"
    assert cleared.review_because == one.review_because
    assert issues(300, doubted, terms=terms, **DOUBTED) == issues(300, cleared, terms=terms) == ()


def test_by_how_much_a_quantity_is_out_of_tolerance_is_no_news() -> None:
    steady = replace(TOLERANT, steadiness=Steadiness(Decimal(50)))

    assert issues(299, only(300, terms=steady), terms=steady) == ()


@pytest.mark.parametrize(
    ("tolerance", "price", "usual", "words"),
    [
        (Tolerance(value=Decimal(100)), Decimal(1), None, ""),
        (Tolerance(value=Decimal(100)), Decimal(2), None, "the value 200 is above 100"),
        (Tolerance(value=Decimal(100)), None, None, "no price is agreed by which its value could be judged"),
        (Tolerance(deviation=0.5), None, Decimal(80), ""),
        (Tolerance(deviation=0.2), None, Decimal(80), "it differs by 25% from the usual 80, more than 20%"),
        (Tolerance(deviation=0.2), None, None, "no demand is known by which its size could be judged"),
        (None, None, None, ""),
    ],
)
def test_f53_value_and_deviation_are_judged_too(
    tolerance: Tolerance | None, price: Decimal | None, usual: Decimal | None, words: str
) -> None:
    assert reason_to_look(Decimal(100), tolerance=tolerance, unit_price=price, usual=usual) == words


def test_the_usual_order_is_the_demand_between_two_arrivals() -> None:
    expected = Expected(Basis.HISTORY, Outlook(9.0, 90.0, 9.0, Family.POISSON))

    assert usual_order(expected, 7.0) == 70


# Override


def test_f5_a_quantity_that_the_customer_asks_for_goes_before_the_policy_but_not_before_the_packs() -> None:
    wish = Override(Decimal(35), NOW, "opening")

    [issue] = issues(400, override=wish)

    assert (issue.proposal.quantity, issue.proposal.status) == (40, Status.PROPOSED)
    explanation = explained(issue, next_opportunity(DAMPED.calendar, NOW))
    assert explanation["binding"] == "customer_override"
    assert recompute(explanation) == 40
    assert issues(400, issue.proposal, override=wish) == ()


def test_f5_what_is_bound_already_is_part_of_the_wish() -> None:
    wish = Override(Decimal(700), NOW)
    one = only(400, override=wish)
    bound = answered(one, said(AnswerKind.CHANGE, one, 700), NOW)

    assert issues(400, bound, override=wish, on_order=700) == ()


def test_u7_a_wish_is_not_kept_for_the_next_opportunity() -> None:
    one = only(400, override=Override(Decimal(40), NOW))

    assert only(400, one, now=one.order_at + DAY, terms=WEEKLY).quantity == 560, "600 less the 40 that are open"


# Counter-proposals


def test_f54_a_counter_proposal_binds_nobody_until_the_other_party_accepts_it() -> None:
    one = only(400)

    countered = answered(one, said(AnswerKind.COUNTER, one, 300, "customer"), NOW)

    assert (countered.status, countered.quantity, countered.version) == (Status.PROPOSED, 300, 2)
    assert countered.countered_by == "customer"
    assert issues(100, countered) == (), "while people talk we keep silent"
    bound = answered(countered, said(AnswerKind.ACCEPT, countered, 300, "supplier"), NOW)
    assert (bound.status, bound.quantity, bound.countered_by) == (Status.CHANGED, 300, "")
    assert issues(100, bound, on_order=300) == (), "what both left out is not asked for again at this opportunity"


def test_f54_a_counter_proposal_may_be_countered_or_refused() -> None:
    one = only(400)
    countered = answered(one, said(AnswerKind.COUNTER, one, 300, "customer"), NOW)

    again = answered(countered, said(AnswerKind.COUNTER, countered, 500, "supplier", 2), NOW)
    refused = answered(countered, said(AnswerKind.REJECT, countered, 0, "supplier", 2), NOW)

    assert (again.quantity, again.countered_by, again.version) == (500, "supplier", 3)
    assert (refused.status, refused.quantity) == (Status.REJECTED, 0)


def test_a_counter_proposal_is_never_accepted_by_the_agreement_alone() -> None:
    one = only(400, terms=TOLERANT)
    countered = answered(one, said(AnswerKind.COUNTER, one, 300, "customer"), NOW)

    assert issues(400, countered, terms=TOLERANT, now=one.order_at + timedelta(seconds=1)) == ()


# The figure


SERIES = 600
QUIET = replace(
    WEEKLY,
    calendar=Calendar(weekdays=frozenset({4}), lead_time_days=2),
    policy=Policy(),
    steadiness=Steadiness(minimum_change_share=0.02),
)


@pytest.fixture(scope="module", params=[3, 7, 28])
def world(request: pytest.FixtureRequest) -> "_World":
    """Series of 5 to 500 units a day in packs from 1 to half a day's demand, ordered every so many days."""
    random = np.random.default_rng(7)
    daily = np.exp(random.uniform(np.log(5), np.log(500), SERIES))
    packs = [max(1, int(share)) for share in daily * random.uniform(0, 0.5, SERIES)]
    return _World(daily, packs, request.param, random)


def test_three_per_cent_of_noise_changes_fewer_than_one_proposal_in_twenty(world: "_World") -> None:
    noise = 1 + np.random.default_rng(8).uniform(-0.03, 0.03, SERIES)

    closed = world.closes_a_day_with(noise)

    assert closed.affected / SERIES > 0.1, "as many would change if every change were told"
    assert closed.told / SERIES < 0.05


def test_a_step_of_thirty_per_cent_is_told_after_one_closed_day(world: "_World") -> None:
    closed = world.closes_a_day_with(np.full(SERIES, 1.3))

    assert closed.affected / SERIES > 0.9
    assert closed.told_of_affected / closed.affected >= 0.95


class _Closed:
    def __init__(self, told: list[bool], affected: list[bool]) -> None:
        self.told = sum(told)
        self.affected = sum(affected)
        self.told_of_affected = sum(one for one, other in zip(told, affected, strict=True) if other)


class _World:
    """Stores with ten weeks of demand behind them, on a Monday morning, with their proposals told on Sunday."""

    def __init__(self, daily: Any, packs: list[int], review_days: int, random: np.random.Generator) -> None:
        self.daily, first = daily, date(2025, 3, 24)
        self.calendar = Calendar(every_days=review_days, anchor=date(2025, 6, 3), lead_time_days=2)
        self.days_until_next_arrival = 4 + review_days
        self.terms = [
            replace(QUIET, calendar=self.calendar, rules=OrderRules(multiple=Decimal(pack))) for pack in packs
        ]
        days = (date(2025, 6, 1) - first).days
        demand = daily[:, None] * (1 + random.uniform(-0.03, 0.03, (SERIES, days)))
        numbers = np.arange(first.toordinal(), first.toordinal() + days)
        histories = [forecasting.History(numbers, row) for row in demand]
        start = forecasting.start(np.full(SERIES, np.nan))
        self.states = forecasting.fold(start, [first] * SERIES, histories, date(2025, 5, 31)).states
        self.usable = daily * (self.days_until_next_arrival - review_days * random.uniform(0.8, 1.2, SERIES))
        self.sunday = datetime(2025, 6, 1, tzinfo=UTC)
        self.standing = [
            issue.proposal if issue else None for issue in self._reviewed(self.states, self.usable, self.sunday, True)
        ]

    def closes_a_day_with(self, factor: Any) -> _Closed:
        demand = self.daily * factor
        day = np.array([self.sunday.toordinal()])
        histories = [forecasting.History(day, np.array([one])) for one in demand]
        states = forecasting.fold(self.states, [self.sunday.date()] * SERIES, histories, self.sunday.date()).states
        usable, monday = self.usable - demand, self.sunday + DAY
        damped = self._reviewed(states, usable, monday, True)
        every = self._reviewed(states, usable, monday, False)
        return _Closed([one is not None for one in damped], [one is not None for one in every])

    def _reviewed(self, states: Any, usable: Any, now: datetime, damped: bool) -> list[Issue | None]:
        terms = self.terms if damped else [replace(one, steadiness=Steadiness()) for one in self.terms]
        opportunity = next_opportunity(self.calendar, now)
        expected = expectations([Question(now, one, opportunity, "UTC", time(0)) for one in terms], states)
        live = getattr(self, "standing", [None] * SERIES)
        results = review(
            [
                Case(
                    Key("acme", "store-1", str(number)),
                    now,
                    Position(Decimal(str(round(float(usable[number]), 3)))),
                    terms[number],
                    opportunity,
                    expected[number],
                    live=() if live[number] is None else (live[number],),
                )
                for number in range(SERIES)
            ]
        )
        return [result.issues[-1] if result.issues else None for result in results]
