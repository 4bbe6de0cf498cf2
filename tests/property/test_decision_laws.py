"""Laws of decisions: recomputed from what is told, whole multiples, hard maxima, alone as among others."""

from datetime import UTC, datetime
from decimal import Decimal

import hypothesis.strategies as st
import orjson
from hypothesis import given, settings

from vmi_domain.distributions import by_the_data
from vmi_domain.replenishment.decisions import (
    Arrival,
    Basis,
    BufferFactors,
    Expected,
    Need,
    Outlook,
    Policy,
    PolicyKind,
    Position,
    ServiceMeasure,
    UnmetDemand,
    decide,
    outlooks,
)
from vmi_domain.replenishment.explanations import explain, in_words, recompute
from vmi_domain.replenishment.opportunities import Calendar, next_opportunity
from vmi_domain.replenishment.quantities import OrderRules, Rounding, to_order

NOW = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
OPPORTUNITY = next_opportunity(Calendar(lead_time_days=2), NOW)

units = st.decimals(0, 5000, places=3)
multiples = st.decimals("0.5", 500, places=1)


@st.composite
def positions(draw: st.DrawFn) -> Position:
    return Position(*[draw(units) for _ in range(8)])


@st.composite
def rules(draw: st.DrawFn) -> OrderRules:
    return OrderRules(
        multiple=draw(multiples),
        minimum_order=draw(units),
        largest_order=draw(st.none() | units),
        maximum=draw(st.none() | units),
        maximum_is_hard=draw(st.booleans()),
        rounding=draw(st.sampled_from(Rounding)),
    )


def outlook(days: float, mean: float, spread: float, *, counts: bool) -> Outlook:
    [one] = outlooks([days], by_the_data([mean], [mean * spread], counts=[counts]))
    return one


@st.composite
def expectations(draw: st.DrawFn) -> Expected:
    """Demand whose variance grows with its mean; the part until the arrival is less than the whole."""
    mean, share = draw(st.floats(0, 3000)), draw(st.floats(0.05, 0.95))
    spread, counts = draw(st.floats(0.5, 8)), draw(st.booleans())
    days = draw(st.floats(1, 60))
    return Expected(
        Basis.HISTORY,
        outlook(days, mean, spread, counts=counts),
        draw(st.none() | st.just(outlook(days * share, mean * share, spread, counts=counts))),
        lead_time_sd_days=draw(st.sampled_from([0.0, 0.5, 2.0])),
    )


@st.composite
def needs(draw: st.DrawFn) -> Need:
    low, high = sorted([draw(units), draw(units)])
    banded = draw(st.booleans())
    policy = Policy(
        kind=draw(st.sampled_from(PolicyKind)),
        service_measure=draw(st.sampled_from(ServiceMeasure)),
        service_target=draw(st.sampled_from([0.5, 0.9, 0.95, 0.98, 0.995])),
        minimum=low if banded else None,
        maximum=high if banded else None,
        unmet_demand=draw(st.sampled_from(UnmetDemand)),
        order_quantity=draw(st.none() | st.decimals(1, 500, places=1)),
        order_cost_periods=draw(st.sampled_from([0.0, 5.0, 100.0])),
        minimum_days=draw(st.floats(0, 9)),
        maximum_days=draw(st.floats(9, 30)),
        buffer=BufferFactors(draw(st.floats(0.2, 1)), draw(st.floats(0, 1)), draw(st.floats(0, 9))),
        shelf_life_days=draw(st.none() | st.floats(0.5, 30)),
    )
    arrivals = draw(st.lists(st.builds(Arrival, st.floats(-1, 40), units), max_size=3))
    return Need(draw(positions()), policy, draw(rules()), draw(st.none() | expectations()), tuple(arrivals))


@given(needs())
@settings(deadline=None, max_examples=150)
def test_the_quantity_is_recomputed_from_the_message_alone(need: Need) -> None:
    [decision] = decide([need])

    told = orjson.loads(orjson.dumps(explain(decision, OPPORTUNITY, NOW)))

    assert recompute(told) == decision.quantity
    assert in_words(decision)
    assert (decision.reason_for_zero is None) == (decision.quantity > 0)


@given(st.lists(needs(), min_size=2, max_size=6))
@settings(deadline=None, max_examples=60)
def test_the_same_inputs_give_the_same_decision_alone_and_among_others(several: list[Need]) -> None:
    together = decide(several)

    assert together == [decide([need])[0] for need in several]


@given(units, st.decimals(-500, 5000, places=3), rules())
def test_what_is_ordered_is_a_whole_number_of_multiples(missing: Decimal, position: Decimal, rules: OrderRules) -> None:
    sized = to_order(missing=missing, position=position, rules=rules)

    assert sized.quantity >= 0
    assert sized.quantity % rules.multiple == 0
    assert sized.steps[-1].quantity == sized.quantity


@given(units, st.decimals(-500, 5000, places=3), rules())
def test_the_position_with_the_order_stays_within_a_hard_maximum(
    missing: Decimal, position: Decimal, rules: OrderRules
) -> None:
    sized = to_order(missing=missing, position=position, rules=rules)

    if rules.maximum is not None and rules.maximum_is_hard and sized.quantity:
        assert position + sized.quantity <= rules.maximum
    if rules.largest_order is not None:
        assert sized.quantity <= rules.largest_order


@given(units.filter(bool), rules())
def test_more_missing_never_orders_less(missing: Decimal, rules: OrderRules) -> None:
    less = to_order(missing=missing / 2, position=Decimal(0), rules=rules)
    more = to_order(missing=missing, position=Decimal(0), rules=rules)

    if rules.rounding is not Rounding.DOWN_IF_BREACHES_MAXIMUM:
        assert more.quantity >= less.quantity
