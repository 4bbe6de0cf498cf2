"""Packs, minimum orders and maxima: the vectors of S4 and S18."""

from decimal import Decimal

import pytest

from vmi_domain.replenishment.quantities import Constraint, OrderRules, Rounding, Sized, to_order


def ordered(missing: str, rules: OrderRules, position: str = "0") -> Sized:
    return to_order(missing=Decimal(missing), position=Decimal(position), rules=rules)


def test_s18_the_minimum_order_comes_before_the_multiple() -> None:
    sized = ordered("5", OrderRules(multiple=Decimal(12), minimum_order=Decimal(30)))

    assert sized.quantity == 36
    assert [(step.constraint, step.quantity) for step in sized.steps] == [
        (Constraint.NEED, 5),
        (Constraint.MINIMUM_ORDER, 30),
        (Constraint.MULTIPLE, 36),
    ]


def test_s18_pieces_become_whole_cases() -> None:
    assert ordered("25", OrderRules(multiple=Decimal(12))).quantity == 3 * 12


def test_s18_where_nothing_is_missing_the_minimum_order_asks_for_nothing() -> None:
    sized = ordered("0", OrderRules(minimum_order=Decimal(30)))

    assert sized.quantity == 0
    assert sized.binding is Constraint.NEED


def test_s18_what_the_largest_order_cuts_is_rounded_down_to_the_multiple_again() -> None:
    sized = ordered("70", OrderRules(multiple=Decimal(12), largest_order=Decimal(65)))

    assert sized.quantity == 60
    assert sized.binding is Constraint.LARGEST_ORDER


def test_f26_noise_of_arithmetic_does_not_open_another_case() -> None:
    assert ordered("24.000000001", OrderRules(multiple=Decimal(12))).quantity == 24
    assert ordered("24.000001", OrderRules(multiple=Decimal(12))).quantity == 36


def s4(rounding: Rounding, *, hard: bool, tolerance: str = "0.5") -> Sized:
    """S4: position 43, level and maximum 100, multiple 25: 57 are missing."""
    rules = OrderRules(
        multiple=Decimal(25),
        maximum=Decimal(100),
        maximum_is_hard=hard,
        rounding=rounding,
        tolerance=Decimal(tolerance),
    )
    return ordered("57", rules, position="43")


def test_s4_rounding_up_passes_a_soft_maximum() -> None:
    sized = s4(Rounding.UP, hard=False)

    assert sized.quantity == 75
    assert sized.binding is Constraint.MULTIPLE


@pytest.mark.parametrize("rounding", list(Rounding))
def test_s4_a_hard_maximum_holds_and_is_named(rounding: Rounding) -> None:
    sized = s4(rounding, hard=True, tolerance="0")

    assert sized.quantity == 50
    assert sized.binding is (
        Constraint.MULTIPLE if rounding is Rounding.DOWN_IF_BREACHES_MAXIMUM else Constraint.MAXIMUM
    )


def test_s4_rounding_down_keeps_to_a_soft_maximum_too() -> None:
    assert s4(Rounding.DOWN_IF_BREACHES_MAXIMUM, hard=False).quantity == 50


def test_s4_rounding_to_the_nearest_leaves_out_no_more_than_is_tolerated() -> None:
    assert s4(Rounding.NEAREST, hard=False, tolerance="0.3").quantity == 50, "7 of 25 are left out"
    assert s4(Rounding.NEAREST, hard=False, tolerance="0.2").quantity == 75


def test_rounding_to_the_nearest_does_not_fall_below_the_minimum_order() -> None:
    rules = OrderRules(multiple=Decimal(12), minimum_order=Decimal(30), rounding=Rounding.NEAREST)

    assert ordered("5", rules).quantity == 36


def test_a_position_above_its_maximum_leaves_no_room() -> None:
    sized = ordered("5", OrderRules(maximum=Decimal(10)), position="12")

    assert sized.quantity == 0
    assert sized.binding is Constraint.MAXIMUM


def test_a_multiple_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple"):
        OrderRules(multiple=Decimal(0))
