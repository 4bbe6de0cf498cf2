"""A key that is left alone for some opportunities would have wanted nothing at any of them."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from vmi_domain import forecasting
from vmi_domain.forecasting import States
from vmi_domain.replenishment.expectations import Question, expectations
from vmi_domain.replenishment.needs import Policy, PolicyKind, Position, ServiceMeasure, UnmetDemand
from vmi_domain.replenishment.opportunities import Calendar, Opportunity, next_opportunity
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.reviewing import Case, Later, Terms, review
from vmi_domain.stock.position import Key

NOW = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
KEY = Key("acme", "store-1", "milk")
AHEAD = 3
A_MINUTE = timedelta(minutes=1)

policies = st.one_of(
    st.builds(
        Policy,
        kind=st.sampled_from([PolicyKind.ORDER_UP_TO, PolicyKind.REORDER_POINT_LEVEL, PolicyKind.DDMRP]),
        service_measure=st.sampled_from(ServiceMeasure),
        service_target=st.sampled_from([0.8, 0.95, 0.99]),
        unmet_demand=st.sampled_from(UnmetDemand),
    ),
    st.builds(Policy, kind=st.just(PolicyKind.DAYS_OF_SUPPLY), minimum_days=st.just(3.0), maximum_days=st.just(9.0)),
    st.builds(
        Policy, kind=st.just(PolicyKind.MINIMUM_MAXIMUM), minimum=st.just(Decimal(8)), maximum=st.just(Decimal(30))
    ),
)


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    calendar = Calendar(
        every_days=draw(st.sampled_from([1, 2, 7])),
        lead_time_days=draw(st.sampled_from([0.0, 1.0, 3.0, 10.0])),
        cut_off=draw(st.sampled_from([time(0, 1), time(15)])),
    )
    return Terms("dairy", calendar, draw(policies), OrderRules(multiple=Decimal(draw(st.sampled_from([1, 6])))))


@st.composite
def demands(draw: st.DrawFn) -> States:
    """A series that was learned for two months."""
    mean, dice = draw(st.sampled_from([0.1, 0.6, 3.0, 20.0])), np.random.default_rng(draw(st.integers(0, 99)))
    sold = dice.negative_binomial(2, 2 / (2 + mean), 60).astype(np.float64)
    first = (NOW - timedelta(days=60)).date()
    history = forecasting.History(first.toordinal() + np.arange(60), sold)
    states = forecasting.start([float("nan")], [1])
    return forecasting.fold(states, [first], [history], (NOW - timedelta(days=1)).date()).states


def case(agreed: Terms, states: States, usable: Decimal, now: datetime, *, looks_ahead: bool) -> Case:
    following = later = next_opportunity(agreed.calendar, now)
    for _ in range(AHEAD):
        later = next_opportunity(agreed.calendar, later.next_order_at)

    def question(opportunity: Opportunity) -> Question:
        return Question(now, agreed, opportunity, "UTC", time(0), states[0])

    expected, then = expectations([question(following), question(later)])
    if agreed.policy.kind is PolicyKind.MINIMUM_MAXIMUM:
        expected = then = None
    return Case(
        KEY,
        now,
        Position(usable),
        agreed,
        following,
        expected,
        later=Later(later, then) if looks_ahead else None,
    )


@given(terms(), demands(), st.integers(0, 400))
@settings(deadline=None)
def test_who_is_left_alone_for_days_wants_nothing_on_any_of_them(agreed: Terms, states: States, usable: int) -> None:
    one = case(agreed, states, Decimal(usable), NOW, looks_ahead=True)
    [result] = review([one])
    assert result.due_at is not None
    assert one.opportunity is not None

    moment = one.opportunity.order_at
    while moment < result.due_at:
        [meanwhile] = review([case(agreed, states, Decimal(usable), moment + A_MINUTE, looks_ahead=False)])
        assert not meanwhile.issues
        moment = next_opportunity(agreed.calendar, moment + A_MINUTE).order_at


def test_a_full_shelf_is_left_alone_and_one_that_soon_wants_something_is_not() -> None:
    agreed = Terms("dairy", Calendar(lead_time_days=1), Policy(), OrderRules(multiple=Decimal(1)))
    states = forecasting.start([1.0], [1])

    def looked_at_again(usable: int) -> datetime | None:
        return review([case(agreed, states, Decimal(usable), NOW, looks_ahead=True)])[0].due_at

    following = next_opportunity(agreed.calendar, NOW)
    assert looked_at_again(100) == following.order_at + timedelta(days=AHEAD)
    assert looked_at_again(5) == following.order_at
    assert review([replace(case(agreed, states, Decimal(100), NOW, looks_ahead=False))])[0].due_at == following.order_at
