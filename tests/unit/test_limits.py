"""What cuts a quantity, each by its name: budget, shelf life, space; and trucks filled up (S18 to S20, F46)."""

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest

from vmi_contracts.inbound import AgreementMade
from vmi_domain.distributions import Family
from vmi_domain.replenishment.decisions import (
    Basis,
    Expected,
    Need,
    Outlook,
    Policy,
    PolicyKind,
    Position,
    ReasonForZero,
    decide,
)
from vmi_domain.replenishment.loading import Load, LoadLine, Sizes, Truck, build
from vmi_domain.replenishment.quantities import Constraint, OrderRules, to_order
from vmi_replenishment.terms import terms_of


@pytest.mark.parametrize(
    ("limit", "constraint", "quantity"),
    [
        ({"largest_order": Decimal(40)}, Constraint.LARGEST_ORDER, 36),
        ({"budget": Decimal(30)}, Constraint.BUDGET, 24),
        ({"maximum": Decimal(70)}, Constraint.MAXIMUM, 48),
        ({"sells_in_life": Decimal(50)}, Constraint.SHELF_LIFE, 24),
        ({"capacity": Decimal(33)}, Constraint.CAPACITY, 12),
        ({"available": Decimal(59)}, Constraint.SUPPLY, 48),
    ],
)
def test_what_cuts_a_quantity_leaves_whole_packs_and_is_named(limit, constraint, quantity):
    sized = to_order(missing=Decimal(60), position=Decimal(20), rules=OrderRules(multiple=Decimal(12), **limit))

    assert (sized.quantity, sized.binding) == (quantity, constraint)


def test_of_several_limits_the_tightest_is_named():
    rules = OrderRules(maximum=Decimal(100), capacity=Decimal(60), budget=Decimal(90))

    assert to_order(missing=Decimal(95), position=Decimal(0), rules=rules).binding is Constraint.CAPACITY


def selling_ten_a_day(position: int, life_days: float, **policy: object) -> Need:
    """A week until the arrival after this one, two days until this one."""
    agreed = Policy(
        kind=PolicyKind.MINIMUM_MAXIMUM,
        minimum=Decimal(100),
        maximum=Decimal(200),
        shelf_life_days=life_days,
        **policy,  # type: ignore[arg-type]
    )
    expected = Expected(
        Basis.HISTORY,
        Outlook(7.0, 70.0, 10.0, Family.NORMAL),
        Outlook(2.0, 20.0, 5.0, Family.NORMAL),
    )
    return Need(Position(Decimal(position)), agreed, OrderRules(), expected)


def test_f49_cover_never_exceeds_the_life_that_remains_at_the_arrival():
    [short, long, full] = decide([selling_ten_a_day(30, 5), selling_ten_a_day(30, 50), selling_ten_a_day(80, 5)])

    assert (short.quantity, short.binding) == (40, Constraint.SHELF_LIFE), "at the arrival 10 + 40, sold in five days"
    assert (long.quantity, long.binding) == (170, Constraint.NEED)
    assert (full.quantity, full.reason_for_zero) == (0, ReasonForZero.SHORT_LIFE)


def test_an_agreed_value_is_what_it_pays_for():
    agreed = {"customer_id": "c", "location_id": "l", "item_id": "i", "supplier_id": "s"}
    agreement = AgreementMade.model_validate({**agreed, "largest_value": "100", "unit_price": "3", "capacity": "50"})

    rules = terms_of(agreement, zone="UTC").rules

    assert (rules.budget, rules.capacity) == (Decimal("33.333333"), 50)


def line(
    name: str, pallets: int, *, cover: int, maximum: int | None = None, minimum: int = 0, trucks: int | None = None
) -> LoadLine:
    """An item of ten a pallet, 26 a truck, that sells one a day: its cover in days is its position with the need."""
    position = Decimal(cover - 10 * pallets)
    return LoadLine(
        name,
        need=Decimal(10 * pallets),
        truck=Truck(Sizes(pallets=Fraction(26)), Sizes(pallets=Fraction(1, 10)), Decimal(10), trucks),
        position=position,
        daily_demand=1.0,
        minimum=Decimal(minimum),
        most=None if maximum is None else Decimal(maximum) - position,
    )


def fills(load: Load) -> dict[str, Decimal]:
    return {one.name: one.fill for one in load.lines}


def test_s19_f46_a_truck_of_26_pallets_for_22_pulls_forward_four_by_lowest_cover_never_above_the_maximum():
    lines = [line("a", 10, cover=200), line("b", 6, cover=60, maximum=75), line("c", 6, cover=80)]

    load = build(lines)

    assert fills(load) == {"a": 0, "b": 10, "c": 30}
    assert {one.name: one.need for one in load.lines} == {"a": 100, "b": 60, "c": 60}, "need and fill are kept apart"
    assert (load.loads, load.pallets) == (1, 26)


def test_what_does_not_fit_under_any_maximum_stays_empty():
    load = build([line("a", 22, cover=220, maximum=235)])

    assert (fills(load), load.pallets) == ({"a": 10}, 23)


def test_s19_what_exceeds_the_agreed_trucks_waits_by_highest_cover_never_below_the_minimum():
    lines = [line("a", 20, cover=300, minimum=295, trucks=1), line("b", 7, cover=200)]

    load = build(lines)

    assert load.exceeded
    assert (fills(load), load.loads, load.pallets) == ({"a": 0, "b": -10}, 1, 26)


def test_what_fills_up_a_pallet_already_is_no_need_of_the_truck():
    truck = Truck(Sizes(pallets=Fraction(6)), Sizes(pallets=Fraction(1, 10)), Decimal(10))

    load = build([replace(line("a", 5, cover=40), truck=truck, filled=Decimal(7))])

    assert ([(one.need, one.fill) for one in load.lines], load.pallets) == ([(43, 17)], 6)


def test_a_full_truck_needs_nothing():
    assert fills(build([line("a", 26, cover=10)])) == {"a": 0}
    assert build([]).loads == 0


@pytest.mark.parametrize(
    ("missing", "rules", "quantity", "fill"),
    [
        (25, {}, 84, 48),
        (25, {"maximum": Decimal(104)}, 84, 48),
        (25, {"maximum": Decimal(103)}, 36, 0),
        (25, {"maximum": Decimal(103), "maximum_is_hard": False}, 36, 0),
        (25, {"largest_order": Decimal(48)}, 36, 0),
        (75, {"capacity": Decimal(200)}, 84, 0),
        (0, {}, 0, 0),
    ],
    ids=[
        "filled up",
        "up to the maximum",
        "never above it",
        "nor a soft one",
        "nor the largest order",
        "whole",
        "none",
    ],
)
def test_s19_what_is_needed_is_filled_up_to_whole_layers_and_fill_is_kept_apart(missing, rules, quantity, fill):
    agreed = OrderRules(multiple=Decimal(12), load_step=Decimal(84), **rules)

    sized = to_order(missing=Decimal(missing), position=Decimal(20), rules=agreed)

    assert (sized.quantity, sized.fill) == (quantity, fill)
    assert (sized.binding is Constraint.LOAD) == bool(fill)
