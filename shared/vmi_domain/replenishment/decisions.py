"""How much to propose and why: from position, demand and agreement to a quantity, as a pure function of them."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum

from vmi_domain.replenishment.needs import (
    Arrival,
    Basis,
    BufferFactors,
    Expected,
    Need,
    Outlook,
    PlanNote,
    Policy,
    PolicyKind,
    Position,
    ServiceMeasure,
    UnmetDemand,
    outlooks,
)
from vmi_domain.replenishment.quantities import NOTHING, Constraint, OrderRules, Sized, to_order
from vmi_domain.replenishment.sizing import LevelSource, Size, sizes
from vmi_domain.units import FINEST
from vmi_domain.values import dataclass

__all__ = [
    "Arrival",
    "Basis",
    "BufferFactors",
    "Decision",
    "Expected",
    "LevelSource",
    "Need",
    "Outlook",
    "PlanNote",
    "Policy",
    "PolicyKind",
    "Position",
    "ReasonForZero",
    "ServiceMeasure",
    "UnmetDemand",
    "decide",
    "is_triggered",
    "outlooks",
]


class ReasonForZero(StrEnum):
    """Why nothing is proposed."""

    COVERED = "covered"
    """The inventory position reaches the order-up-to level already."""
    ABOVE_REORDER_POINT = "above_reorder_point"
    AT_MAXIMUM = "at_maximum"
    """Something is missing, but the maximum leaves no room for one multiple."""
    BELOW_LARGEST_ORDER = "below_largest_order"
    """Something is missing, but the largest order is smaller than one multiple."""
    NO_BUDGET = "no_budget"
    """Something is missing, but the agreed value of an order pays for less than one multiple."""
    SHORT_LIFE = "short_life"
    """Something is missing, but more would not be sold before it expires."""
    NO_SPACE = "no_space"
    """Something is missing, but the customer has no space for one multiple."""
    SUPPLY_SHORT = "supply_short"
    """Something is missing, but the supplier can promise less than one multiple of it."""
    TRUCKS_FULL = "trucks_full"
    """Something is missing, but the agreed trucks are full of what is wanted more urgently."""
    LESS_THAN_ROUNDING = "less_than_rounding"
    """What is missing is less than rounding leaves out."""
    DEMAND_UNKNOWN = "demand_unknown"
    """There is no history, no agreed daily demand, and no agreed minimum and maximum."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A quantity with what led to it; base units."""

    need: Need
    source: LevelSource
    level: Decimal | None
    """The order-up-to level S, or the agreed maximum."""
    reorder_point: Decimal | None
    """At or below it an order is triggered (S3); none where every opportunity orders up to the level."""
    missing: Decimal
    """Level less inventory position where an order is triggered, else 0; a fixed order quantity in its multiples."""
    sized: Sized
    reason_for_zero: ReasonForZero | None

    @property
    def quantity(self) -> Decimal:
        return self.sized.quantity

    @property
    def binding(self) -> Constraint:
        return self.sized.binding


def decide(needs: Sequence[Need]) -> list[Decision]:
    """Return one decision a need. The same need gives the same decision, alone or among others."""
    return [_decided(need, size) for need, size in zip(needs, sizes(needs), strict=True)]


def is_triggered(*, inventory_position: Decimal, reorder_point: Decimal) -> bool:
    """Return whether to order: the *position*, not what is on hand (S2), has come down to s or below it (S3)."""
    return inventory_position <= reorder_point


def _decided(need: Need, size: Size) -> Decision:
    position = need.position.inventory_position
    if size.level is None:
        nothing = to_order(missing=NOTHING, position=position, rules=need.rules)
        return Decision(need, size.source, None, None, NOTHING, nothing, ReasonForZero.DEMAND_UNKNOWN)
    point = size.reorder_point
    triggered = point is None or is_triggered(inventory_position=position, reorder_point=point)
    missing = max(_missing(size, position) - need.elsewhere, NOTHING) if triggered else NOTHING
    sized = to_order(missing=missing, position=position + need.elsewhere, rules=within_life(need))
    reason = None
    if not sized.quantity:
        reason = _reason_for_zero(sized, triggered=triggered)
    return Decision(need, size.source, size.level, point, missing, sized, reason)


def on_trucks(decision: Decision, fill: Decimal) -> Decision:
    """Return the decision with what its trucks add to its need, or, below zero, have no room for."""
    if not fill:
        return decision
    rules = decision.need.rules
    rules = replace(rules, truck_fill=fill) if fill > 0 else replace(rules, truck_room=decision.quantity + fill)
    need, point = replace(decision.need, rules=rules), decision.reorder_point
    position = need.position.inventory_position
    sized = to_order(missing=decision.missing, position=need.standing, rules=within_life(need))
    triggered = point is None or is_triggered(inventory_position=position, reorder_point=point)
    reason = None if sized.quantity else _reason_for_zero(sized, triggered=triggered)
    return replace(decision, need=need, sized=sized, reason_for_zero=reason)


def within_life(need: Need) -> OrderRules:
    """Return the rules with what sells before it expires: the demand until the arrival, and as long as it keeps then.

    The newsvendor has its shelf life in its level already.
    """
    policy, expected = need.policy, need.expected
    if policy.shelf_life_days is None or policy.kind is PolicyKind.NEWSVENDOR or expected is None:
        return need.rules
    daily = expected.until_next_arrival.daily_mean
    if daily is None:
        return need.rules
    until_arrival = 0.0 if expected.until_arrival is None else expected.until_arrival.days
    sold = daily * (until_arrival + policy.shelf_life_days)
    return replace(need.rules, sells_in_life=Decimal(sold).quantize(FINEST))


def _missing(size: Size, position: Decimal) -> Decimal:
    """Return what lifts the position to the level; of a fixed quantity as many as lift it above the reorder point."""
    assert size.level is not None
    if size.order_quantity is None or size.reorder_point is None:
        return max(size.level - position, NOTHING)
    return ((size.reorder_point - position) // size.order_quantity + 1) * size.order_quantity


def _reason_for_zero(sized: Sized, *, triggered: bool) -> ReasonForZero:
    if not triggered:
        return ReasonForZero.ABOVE_REORDER_POINT
    match sized.binding:
        case Constraint.MAXIMUM:
            return ReasonForZero.AT_MAXIMUM
        case Constraint.LARGEST_ORDER:
            return ReasonForZero.BELOW_LARGEST_ORDER
        case Constraint.BUDGET:
            return ReasonForZero.NO_BUDGET
        case Constraint.SHELF_LIFE:
            return ReasonForZero.SHORT_LIFE
        case Constraint.CAPACITY:
            return ReasonForZero.NO_SPACE
        case Constraint.SUPPLY:
            return ReasonForZero.SUPPLY_SHORT
        case Constraint.TRUCKS:
            return ReasonForZero.TRUCKS_FULL
        case Constraint.MULTIPLE:
            return ReasonForZero.LESS_THAN_ROUNDING
        case _:
            return ReasonForZero.COVERED
