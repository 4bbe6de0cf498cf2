"""What to propose and why, with numbers a person can check (S2, S3, S4, S18, F56)."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pytest

from vmi_domain import distributions
from vmi_domain.replenishment.decisions import (
    Basis,
    Decision,
    Expected,
    LevelSource,
    Need,
    Policy,
    PolicyKind,
    Position,
    ReasonForZero,
    ServiceMeasure,
    decide,
    is_triggered,
    outlooks,
)
from vmi_domain.replenishment.explanations import NO_HISTORY, explain, in_words, recompute
from vmi_domain.replenishment.opportunities import Calendar, next_opportunity
from vmi_domain.replenishment.quantities import Constraint, OrderRules

NOW = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
OPPORTUNITY = next_opportunity(Calendar(lead_time_days=2), NOW)
BAND = Policy(PolicyKind.MINIMUM_MAXIMUM, minimum=Decimal(50), maximum=Decimal(100))


def normal_demand(mean: float, sd: float, days: float = 17, lead_time_sd_days: float = 0.0) -> Expected:
    [outlook] = outlooks([days], distributions.normal([mean], [sd**2]))
    return Expected(Basis.HISTORY, outlook, lead_time_sd_days=lead_time_sd_days)


def decided(need: Need) -> Decision:
    [decision] = decide([need])
    return decision


def on_hand(quantity: int, **others: int) -> Position:
    return Position(Decimal(quantity), **{name: Decimal(value) for name, value in others.items()})


def test_s2_what_is_on_order_keeps_a_low_shelf_from_triggering() -> None:
    decision = decided(Need(on_hand(20, on_order=100), BAND, OrderRules()))

    assert decision.quantity == 0
    assert decision.reason_for_zero is ReasonForZero.ABOVE_REORDER_POINT


@pytest.mark.parametrize(("position", "quantity"), [(51, 0), (50, 50), (49, 51)])
def test_s3_a_position_at_the_reorder_point_triggers(position: int, quantity: int) -> None:
    assert is_triggered(inventory_position=Decimal(position), reorder_point=Decimal(50)) is (quantity > 0)
    assert decided(Need(on_hand(position), BAND, OrderRules())).quantity == quantity


def test_s4_the_maximum_is_hard_and_named() -> None:
    policy = Policy(PolicyKind.MINIMUM_MAXIMUM, minimum=Decimal(50), maximum=Decimal(100))
    rules = OrderRules(multiple=Decimal(25), maximum=Decimal(100))

    decision = decided(Need(on_hand(43), policy, rules))

    assert decision.missing == 57
    assert decision.quantity == 50
    assert decision.binding is Constraint.MAXIMUM


def test_s1_every_quantity_counts_once_and_what_is_owed_counts_against_it() -> None:
    position = on_hand(10, received_unconfirmed=1, in_transit=2, on_order=3, proposed_open=4, backlog=5, reserved=6)

    assert position.inventory_position == 10 + 1 + 2 + 3 + 4 - 5 - 6


@pytest.mark.parametrize(("lead_time_sd_days", "level"), [(0.0, "1835.64"), (2.0, "2055.84")])
def test_the_golden_level_becomes_the_golden_quantity(lead_time_sd_days: float, level: str) -> None:
    """formulas.md 5.2: μ 100, σ 20, L 10, R 7, p .95."""
    expected = normal_demand(1700, 20 * np.sqrt(17), lead_time_sd_days=lead_time_sd_days)

    decision = decided(Need(on_hand(300), Policy(service_target=0.95), OrderRules(), expected))

    assert decision.level is not None
    assert round(decision.level, 2) == Decimal(level)
    assert decision.quantity == (Decimal(level) - 300).to_integral_value(rounding="ROUND_CEILING")


def test_a_fill_rate_target_asks_for_less_than_the_same_cycle_service() -> None:
    """formulas.md 5.9: R 7, 99 % fill is 83.9 % cycle service, a safety stock of 82."""
    until_arrival, until_next = outlooks([10, 17], distributions.normal([1000, 1700], [4000, 6800]))
    expected = Expected(Basis.HISTORY, until_next, until_arrival)

    by_fill = decided(
        Need(on_hand(0), Policy(service_measure=ServiceMeasure.FILL_RATE, service_target=0.99), OrderRules(), expected)
    )
    by_cycle = decided(Need(on_hand(0), Policy(service_target=0.99), OrderRules(), expected))

    assert by_fill.quantity == 1782
    assert by_cycle.quantity > by_fill.quantity


def test_a_covered_position_says_why_nothing_is_proposed() -> None:
    decision = decided(Need(on_hand(300), Policy(), OrderRules(), normal_demand(100, 10)))

    assert decision.quantity == 0
    assert decision.reason_for_zero is ReasonForZero.COVERED
    assert "covers" in in_words(decision)


def test_a_maximum_without_room_for_a_multiple_says_so() -> None:
    rules = OrderRules(multiple=Decimal(24), maximum=Decimal(100))

    decision = decided(Need(on_hand(90), Policy(), rules, normal_demand(200, 10)))

    assert decision.reason_for_zero is ReasonForZero.AT_MAXIMUM


def test_an_agreed_minimum_is_left_until_the_next_arrival_where_it_asks_for_more_than_the_service() -> None:
    policy = Policy(PolicyKind.ORDER_UP_TO, minimum=Decimal(40))
    asks_for_more = decided(Need(on_hand(20), policy, OrderRules(), normal_demand(100, 10)))
    asks_for_less = decided(
        Need(on_hand(20), replace(policy, minimum=Decimal(5)), OrderRules(), normal_demand(100, 10))
    )
    at_a_point = decided(
        Need(
            on_hand(139),
            replace(policy, kind=PolicyKind.REORDER_POINT_QUANTITY, order_quantity=Decimal(30)),
            OrderRules(),
            normal_demand(100, 10),
        )
    )

    assert (asks_for_more.level, asks_for_more.quantity) == (140, 120)
    assert "the agreed minimum and expected demand, together 140" in in_words(asks_for_more)
    assert asks_for_less.level == decided(Need(on_hand(20), Policy(), OrderRules(), normal_demand(100, 10))).level
    assert (at_a_point.reorder_point, at_a_point.level, at_a_point.quantity) == (140, 170, 30)


def test_a_minimum_says_nothing_of_a_net_plan_and_never_passes_the_maximum() -> None:
    policy = Policy(PolicyKind.ORDER_UP_TO, minimum=Decimal(40), maximum=Decimal(120))
    expected = normal_demand(100, 10)
    netted = decided(Need(on_hand(0), policy, OrderRules(), replace(expected, basis=Basis.NET_PLAN)))
    bounded = decided(Need(on_hand(20), policy, OrderRules(maximum=Decimal(120)), expected))

    assert netted.source is LevelSource.CYCLE_SERVICE
    assert (bounded.quantity, bounded.binding) == (100, Constraint.MAXIMUM)


def test_without_history_or_rate_the_agreed_band_serves_and_the_explanation_says_so() -> None:
    policy = Policy(PolicyKind.ORDER_UP_TO, minimum=Decimal(50), maximum=Decimal(100))

    decision = decided(Need(on_hand(10), policy, OrderRules()))

    assert decision.quantity == 90
    assert decision.source is LevelSource.AGREED_MAXIMUM
    assert explain(decision, OPPORTUNITY, NOW)["note"] == NO_HISTORY
    assert NO_HISTORY in in_words(decision)


def test_without_anything_to_go_by_nothing_is_proposed_with_a_reason() -> None:
    decision = decided(Need(on_hand(0), Policy(), OrderRules()))

    assert decision.quantity == 0
    assert decision.reason_for_zero is ReasonForZero.DEMAND_UNKNOWN
    assert in_words(decision).startswith("Nothing is known")


def test_the_explanation_holds_inputs_steps_and_what_bound() -> None:
    rules = OrderRules(multiple=Decimal(12), minimum_order=Decimal(30), maximum=Decimal(1000))
    decision = decided(Need(on_hand(95, in_transit=1), Policy(service_target=0.9), rules, normal_demand(100, 0.001)))

    explanation = explain(decision, OPPORTUNITY, NOW)

    assert explanation["inputs"]["position"]["inventory_position"] == "96"
    assert [(step["step"], step["value"]) for step in explanation["steps"][-4:]] == [
        ("missing", "4.001282"),
        ("need", "4.001282"),
        ("minimum_order", "30"),
        ("multiple", "36"),
    ]
    assert explanation["binding"] == "multiple"
    assert recompute(explanation) == 36


def test_what_people_settled_goes_before_the_formula() -> None:
    decision = decided(Need(on_hand(10), BAND, OrderRules()))

    assert recompute(explain(decision, OPPORTUNITY, NOW) | {"outcome": {"status": "changed", "quantity": "60"}}) == 60


def test_rounding_what_is_told_keeps_a_distribution_that_suits() -> None:
    """A variance barely above the mean falls below it when rounded: that is Poisson, not a broken negative binomial."""
    [told] = outlooks([1.0], distributions.negative_binomial([0.0009996], [0.00099965]))

    assert told.family is distributions.Family.POISSON
    need = Need(on_hand(0), Policy(service_target=0.9999), OrderRules(), Expected(Basis.HISTORY, told))
    assert decided(need).quantity == 1
