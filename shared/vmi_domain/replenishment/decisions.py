"""How much to propose and why: from position, demand and agreement to a quantity, as a pure function of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain.distributions import Demand, Family, by_the_data
from vmi_domain.replenishment import policies
from vmi_domain.replenishment.quantities import NOTHING, Constraint, OrderRules, Sized, to_order

DIGITS: Final = 6
"""Levels, means and deviations are rounded to so many digits *before* they are used, so that what is said is what was
computed with."""


class PolicyKind(StrEnum):
    """When is ordered and up to where (formulas.md 5.3)."""

    ORDER_UP_TO = "order_up_to"
    """(R, S): at every opportunity up to S."""
    MINIMUM_MAXIMUM = "minimum_maximum"
    """(R, s, S): at or below the agreed minimum, up to the agreed maximum."""


class ServiceMeasure(StrEnum):
    """What the target of an order-up-to level means."""

    CYCLE_SERVICE = "cycle_service"
    FILL_RATE = "fill_rate"
    COST = "cost"
    """The target is the critical ratio p / (p + h) of shortage and holding cost."""


class ReasonForZero(StrEnum):
    """Why nothing is proposed."""

    COVERED = "covered"
    """The inventory position reaches the order-up-to level already."""
    ABOVE_REORDER_POINT = "above_reorder_point"
    AT_MAXIMUM = "at_maximum"
    """Something is missing, but the maximum leaves no room for one multiple."""
    BELOW_LARGEST_ORDER = "below_largest_order"
    """Something is missing, but the largest order is smaller than one multiple."""
    LESS_THAN_ROUNDING = "less_than_rounding"
    """What is missing is less than rounding leaves out."""
    DEMAND_UNKNOWN = "demand_unknown"
    """There is no history, no agreed daily demand, and no agreed minimum and maximum."""


@dataclass(frozen=True, slots=True)
class Position:
    """The quantities that a decision counts with (S1), base units; no unit stands in two of them."""

    usable: Decimal
    """Physical stock, never below zero, without what is unavailable."""
    received_unconfirmed: Decimal = NOTHING
    """Received, and not in a stock report yet (S11)."""
    in_transit: Decimal = NOTHING
    on_order: Decimal = NOTHING
    """Accepted or ordered, not shipped."""
    proposed_open: Decimal = NOTHING
    """Proposed at other opportunities and not answered; never the proposal's own quantity."""
    backlog: Decimal = NOTHING
    reserved: Decimal = NOTHING
    """Promised for demand that no forecast knows of."""

    @property
    def inventory_position(self) -> Decimal:
        """What is there and on its way, less what is owed."""
        supply = self.usable + self.received_unconfirmed + self.in_transit + self.on_order + self.proposed_open
        return supply - self.backlog - self.reserved


class Basis(StrEnum):
    """What the demand is known from."""

    HISTORY = "history"
    AGREED_RATE = "agreed_rate"
    """No history yet: the agreement's expected daily demand."""
    PLAN = "plan"
    """History or agreed rate, and plans laid over them."""
    NET_PLAN = "net_plan"
    """The customer's own requirement, in which stock and receipts are netted already (S13)."""


@dataclass(frozen=True, slots=True)
class PlanNote:
    """A plan that changed what is expected until the next arrival, and by how much; base units."""

    kind: str
    plan_id: str
    before: float
    after: float
    factor: float | None = None
    author: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Outlook:
    """Demand of some days to come, base units."""

    days: float
    mean: float
    sd: float
    family: Family
    """The form of its distribution."""


def outlooks(days: Sequence[float], demand: Demand) -> list[Outlook]:
    """Return the outlooks on demand of so many days each, in the digits that are told.

    The family is chosen again for the rounded numbers, so that it always suits them.
    """
    mean = np.round(demand.mean, DIGITS)
    sd = np.round(demand.sd, DIGITS)
    told = by_the_data(mean, sd * sd, counts=demand.family != Family.NORMAL)
    return [
        Outlook(round(day, DIGITS), *numbers, _FAMILIES[code])
        for day, numbers, code in zip(
            days, zip(mean.tolist(), sd.tolist(), strict=True), told.family.tolist(), strict=True
        )
    ]


_FAMILIES: Final = tuple(Family)


@dataclass(frozen=True, slots=True)
class Expected:
    """Demand from now until the next order arrives, and until this one does."""

    basis: Basis
    until_next_arrival: Outlook
    until_arrival: Outlook | None = None
    """Needed by the measures that tell the cycle's shortage from what was short before (fill rate, cost)."""
    lead_time_sd_days: float = 0.0
    """s_L: it widens demand by μ² s_L², μ the mean of one day (formulas.md 5.2)."""
    plans: tuple[PlanNote, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """Up to where, from when, and measured how."""

    kind: PolicyKind = PolicyKind.ORDER_UP_TO
    service_measure: ServiceMeasure = ServiceMeasure.CYCLE_SERVICE
    service_target: float = 0.95
    minimum: Decimal | None = None
    maximum: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """All that a quantity depends on."""

    position: Position
    policy: Policy
    rules: OrderRules
    expected: Expected | None = None


class LevelSource(StrEnum):
    """Where a decision's level comes from, which is the formula it is recomputed by."""

    CYCLE_SERVICE = "cycle_service"
    FILL_RATE = "fill_rate"
    COST = "cost"
    AGREED_MAXIMUM = "agreed_maximum"
    NONE = "none"


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
    """Level less inventory position where an order is triggered, else 0."""
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
    sources = [_source(need) for need in needs]
    levels: list[Decimal | None] = [need.policy.maximum for need in needs]
    for source, formula in _FORMULAS.items():
        places = [place for place, chosen in enumerate(sources) if chosen is source]
        if places:
            for place, level in zip(places, formula([needs[place] for place in places]), strict=True):
                levels[place] = Decimal(repr(level)) if level % 1 else Decimal(int(level))
    return [_decided(need, source, level) for need, source, level in zip(needs, sources, levels, strict=True)]


def _source(need: Need) -> LevelSource:
    """Without any demand to go by, an agreed minimum and maximum serve as the policy."""
    banded = need.policy.minimum is not None and need.policy.maximum is not None
    if need.policy.kind is PolicyKind.MINIMUM_MAXIMUM or need.expected is None:
        return LevelSource.AGREED_MAXIMUM if banded else LevelSource.NONE
    return LevelSource(need.policy.service_measure.value)


def is_triggered(*, inventory_position: Decimal, reorder_point: Decimal) -> bool:
    """Return whether to order: the *position*, not what is on hand (S2), has come down to s or below it (S3)."""
    return inventory_position <= reorder_point


def _decided(need: Need, source: LevelSource, level: Decimal | None) -> Decision:
    position = need.position.inventory_position
    if source is LevelSource.NONE or level is None:
        nothing = to_order(missing=NOTHING, position=position, rules=need.rules)
        return Decision(need, LevelSource.NONE, None, None, NOTHING, nothing, ReasonForZero.DEMAND_UNKNOWN)
    reorder_point = need.policy.minimum if source is LevelSource.AGREED_MAXIMUM else None
    triggered = reorder_point is None or is_triggered(inventory_position=position, reorder_point=reorder_point)
    missing = max(level - position, NOTHING) if triggered else NOTHING
    sized = to_order(missing=missing, position=position, rules=need.rules)
    reason = None
    if not sized.quantity:
        reason = _reason_for_zero(sized, triggered=triggered)
    return Decision(need, source, level, reorder_point, missing, sized, reason)


def _reason_for_zero(sized: Sized, *, triggered: bool) -> ReasonForZero:
    if not triggered:
        return ReasonForZero.ABOVE_REORDER_POINT
    match sized.binding:
        case Constraint.MAXIMUM:
            return ReasonForZero.AT_MAXIMUM
        case Constraint.LARGEST_ORDER:
            return ReasonForZero.BELOW_LARGEST_ORDER
        case Constraint.MULTIPLE:
            return ReasonForZero.LESS_THAN_ROUNDING
        case _:
            return ReasonForZero.COVERED


# Levels, one array a formula.


def _by_cycle_service(needs: Sequence[Need]) -> list[float]:
    return _whole_digits(policies.level_for_cycle_service(_until_next_arrival(needs), _targets(needs)))


def _by_fill_rate(needs: Sequence[Need]) -> list[float]:
    return _whole_digits(
        policies.level_for_fill_rate(_until_arrival(needs), _until_next_arrival(needs), _targets(needs))
    )


def _by_cost(needs: Sequence[Need]) -> list[float]:
    return _whole_digits(policies.level_for_cost(_until_arrival(needs), _until_next_arrival(needs), _targets(needs)))


_FORMULAS: Final[Mapping[LevelSource, Callable[[Sequence[Need]], list[float]]]] = {
    LevelSource.CYCLE_SERVICE: _by_cycle_service,
    LevelSource.FILL_RATE: _by_fill_rate,
    LevelSource.COST: _by_cost,
}


def _targets(needs: Sequence[Need]) -> NDArray[np.float64]:
    return np.array([need.policy.service_target for need in needs])


def _until_next_arrival(needs: Sequence[Need]) -> Demand:
    expected = [need.expected for need in needs if need.expected is not None]
    return _demand([one.until_next_arrival for one in expected], expected)


def _until_arrival(needs: Sequence[Need]) -> Demand:
    """Without an outlook until the arrival nothing is short before it, which asks for more rather than less."""
    expected = [need.expected for need in needs if need.expected is not None]
    nothing = Outlook(0.0, 0.0, 0.0, Family.POISSON)
    return _demand([one.until_arrival or nothing for one in expected], expected)


def _demand(outlooks: Sequence[Outlook], expected: Sequence[Expected]) -> Demand:
    """Return the demand of the outlooks, widened by the spread of the lead time."""
    mean = np.array([outlook.mean for outlook in outlooks])
    days = np.array([outlook.days for outlook in outlooks])
    sd = np.array([outlook.sd for outlook in outlooks])
    spread = np.array([one.lead_time_sd_days for one in expected])
    demand = Demand(mean, sd * sd, np.array([outlook.family for outlook in outlooks], np.int8))
    if not spread.any():
        return demand
    daily = mean / np.where(days > 0, days, np.inf)
    return demand.widened((daily * spread) ** 2)


def _whole_digits(levels: NDArray[np.float64]) -> list[float]:
    rounded: list[float] = np.round(levels, DIGITS).tolist()
    return rounded
