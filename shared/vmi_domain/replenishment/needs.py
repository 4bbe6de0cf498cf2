"""All that a quantity depends on: the position, what is on its way, the demand expected, the policy and the rules."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from enum import StrEnum
from math import exp
from typing import Final

import numpy as np

from vmi_domain.distributions import Demand, Family, by_the_data
from vmi_domain.replenishment.quantities import NOTHING, OrderRules
from vmi_domain.values import dataclass

DIGITS: Final = 6
"""Levels, means and deviations are rounded to so many digits *before* they are used, so that what is said is what was
computed with."""


class PolicyKind(StrEnum):
    """When is ordered and up to where (formulas.md 5.3, 5.6)."""

    ORDER_UP_TO = "order_up_to"
    """(R, S): at every opportunity up to S; with an opportunity every period it is a base stock."""
    REORDER_POINT_QUANTITY = "reorder_point_quantity"
    """(s, Q): at or below s the quantity Q, or as many of it as lift the position above s."""
    REORDER_POINT_LEVEL = "reorder_point_level"
    """(s, S), or (R, s, S): at an opportunity, at or below s, up to S; s covers the time until the next one's arrival
    and what s is undershot by."""
    MINIMUM_MAXIMUM = "minimum_maximum"
    """At or below the agreed minimum, up to the agreed maximum."""
    DAYS_OF_SUPPLY = "days_of_supply"
    """Minimum and maximum in days of the demand to come (S24): they follow the season."""
    ONE_TO_ONE = "one_to_one"
    """What was taken is sent again: up to the agreed maximum at every opportunity."""
    DDMRP = "ddmrp"
    """Net flow at or below the top of yellow: up to the top of green."""
    NEWSVENDOR = "newsvendor"
    """Short life: what is left at the end of the shelf life is scrapped, each order stands alone."""


class ServiceMeasure(StrEnum):
    """What the target of a level means."""

    CYCLE_SERVICE = "cycle_service"
    """The probability of no stock-out between two arrivals."""
    FILL_RATE = "fill_rate"
    """Units from stock over units wanted, in the long run."""
    COST = "cost"
    """The target is the critical ratio p / (p + h) of shortage and holding cost."""


class UnmetDemand(StrEnum):
    """What becomes of demand that finds an empty shelf; the two worlds need different levels (formulas.md 5.3)."""

    LOST = "lost"
    BACKORDERED = "backordered"


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
    outdating: Decimal = NOTHING
    """That part of the stock which is expected to expire unsold before the next order arrives (S20)."""

    @property
    def inventory_position(self) -> Decimal:
        """What is there and on its way, less what is owed and what will not last."""
        supply = self.usable + self.received_unconfirmed + self.in_transit + self.on_order + self.proposed_open
        return supply - self.backlog - self.reserved - self.outdating

    @property
    def on_its_way(self) -> Decimal:
        """What has not arrived yet."""
        return self.in_transit + self.on_order + self.proposed_open

    @property
    def on_hand(self) -> Decimal:
        """What can serve demand today; below zero where more is owed than there is."""
        return self.inventory_position - self.on_its_way


@dataclass(frozen=True, slots=True)
class Arrival:
    """A part of what is on its way."""

    days: float
    """From now until it stands on the shelf; 0 or less: any moment."""
    quantity: Decimal


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

    @property
    def daily_mean(self) -> float | None:
        """Return the mean of one day, None where it is over no time at all."""
        return self.mean / self.days if self.days > 0 else None


def outlooks(days: Sequence[float], demand: Demand) -> list[Outlook]:
    """Return the outlooks on demand of so many days each, in the digits that are told.

    The family is chosen again for the rounded numbers, so that it always suits them.
    """
    mean = np.round(demand.mean, DIGITS)
    sd = np.round(demand.sd, DIGITS)
    told = by_the_data(mean, sd * sd, counts=demand.family != Family.NORMAL)
    rounded = {day: round(day, DIGITS) for day in set(days)}
    families = [_FAMILIES[code] for code in told.family.tolist()]
    return [
        Outlook(rounded[day], *numbers)
        for day, *numbers in zip(days, mean.tolist(), sd.tolist(), families, strict=True)
    ]


_FAMILIES: Final = tuple(Family)


@dataclass(frozen=True, slots=True)
class Expected:
    """Demand from now until the next order arrives, and until this one does."""

    basis: Basis
    until_next_arrival: Outlook
    until_arrival: Outlook | None = None
    """Without it this order counts as arriving at once, which asks for more rather than less."""
    lead_time_sd_days: float = 0.0
    """s_L: it widens demand by μ² s_L², μ the mean of one day (formulas.md 5.2)."""
    plans: tuple[PlanNote, ...] = ()
    period_days: float = 1.0
    """The periods at whose ends stock is counted and costs fall due: a day, or 7 where the data are weekly."""
    until_minimum: Outlook | None = None
    until_maximum: Outlook | None = None
    """By days of supply: demand up to so many days after the period of this order's arrival."""


@dataclass(frozen=True, slots=True)
class BufferFactors:
    """What shapes a DDMRP buffer beside demand and lead time (formulas.md 5.6)."""

    lead_time_factor: float = 0.5
    """LTF: 0.2 to 0.4 for a long lead time, up to 0.6 for a medium one, up to 1 for a short one."""
    variability_factor: float = 0.5
    """VF: 0.2 to 0.4 for low variability, up to 0.6 for medium, up to 1 for high."""
    order_cycle_days: float = 0.0
    """The desired or imposed order cycle."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Up to where, from when, and measured how. Costs are a base unit and *period* (``Expected.period_days``)."""

    kind: PolicyKind = PolicyKind.ORDER_UP_TO
    service_measure: ServiceMeasure = ServiceMeasure.CYCLE_SERVICE
    service_target: float = 0.95
    """By cost the critical ratio p / (p + h): p once for a unit lost, or for a unit and period while backordered."""
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    unmet_demand: UnmetDemand = UnmetDemand.BACKORDERED
    order_quantity: Decimal | None = None
    """Q; without it the economic quantity of ``order_cost_periods``, without that the multiple."""
    order_cost_periods: float = 0.0
    """K / h: the cost of an order over that of holding a base unit for a period."""
    minimum_days: float | None = None
    maximum_days: float | None = None
    buffer: BufferFactors = BufferFactors()
    shelf_life_days: float | None = None
    """From the arrival on; up to the next arrival where it is missing."""
    calibration: float = 0.0
    """What the history adds to the log odds of the agreed target, so that it comes out; the target has it in it."""

    @property
    def agreed(self) -> float:
        """Return the target before calibration."""
        return _shifted(self.service_target, -self.calibration)

    def aiming_at(self, target: float) -> "Policy":
        """Return the policy with another agreed target."""
        return replace(self, service_target=_shifted(target, self.calibration))


def _shifted(target: float, shift: float) -> float:
    """Return the share whose odds are exp(``shift``) times those of ``target``."""
    return round(1.0 / (1.0 + (1.0 - target) / target * exp(-shift)), DIGITS) if shift else target


@dataclass(frozen=True, slots=True)
class Need:
    """All that a quantity depends on."""

    position: Position
    policy: Policy
    rules: OrderRules
    expected: Expected | None = None
    arrivals: tuple[Arrival, ...] = ()
    """When what is on its way arrives, as far as it is known; the rest is spread evenly until this order's arrival."""
    elsewhere: Decimal = Decimal(0)
    """What other sources are asked for at the same opportunity: of what is missing only the rest is asked here."""

    @property
    def standing(self) -> Decimal:
        """Return the inventory position that an order comes on top of."""
        return self.position.inventory_position + self.elsewhere
