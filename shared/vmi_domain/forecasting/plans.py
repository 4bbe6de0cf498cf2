"""What people say of demand to come, laid over what was learned: plans, orders booked, overrides, promotions, surveys.

Order of the layers on each day: factors multiply what is usual (promotions, surveys), changes add to it, a plan of the
customer takes its place, an override takes the place of that, and booked orders use up what is then expected of their
time. What was usual before is kept, so that it can be told.
"""

from collections.abc import Sequence
from dataclasses import field
from datetime import date, datetime
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain.values import dataclass

Floats = NDArray[np.float64]


class PlanKind(StrEnum):
    """What a line of a plan does."""

    PLAN = "plan"
    BOOKED = "booked"
    OVERRIDE = "override"
    PROMOTION = "promotion"
    SURVEY = "survey"
    ADJUSTMENT = "adjustment"
    """Of the history: adds."""
    EXCLUSION = "exclusion"
    """Of the history: nothing is learned from its days."""
    ENDING = "ending"
    """An item that ends, and perhaps its successor."""
    SUCCESSION = "succession"
    """The same, told of the successor."""


AHEAD: Final = frozenset({PlanKind.PLAN, PlanKind.BOOKED, PlanKind.OVERRIDE, PlanKind.PROMOTION, PlanKind.SURVEY})
"""What acts on days to come."""
OF_HISTORY: Final = frozenset(
    {PlanKind.ADJUSTMENT, PlanKind.EXCLUSION, PlanKind.PROMOTION, PlanKind.SUCCESSION, PlanKind.ENDING}
)
"""What acts on what is learned."""

COMMITTED_SPREAD: Final = {"firm": 0.0, "manufacturing": 0.25, "material": 0.5, "forecast": 1.0}
"""Variance that is left of a planned quantity, against that of a forecast as large, by commitment (EDIFACT 4017)."""
GROWTH_OF_SPREAD: Final = 1.5
"""Demand that grows by a factor f is spread by f to this power: between chance alone (1) and all in step (2)."""
ORDERS_EARLIER_DAYS: Final = 6
ORDERS_LATER_DAYS: Final = 0
"""So far around its own day an order uses up the forecast: a buyer who comes seldom is in the forecast of his week."""
USUAL_DISPERSION: Final = 2.0
"""Variance over mean of a planned day's demand where nothing was learned."""


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One line that stands for one key; quantities in base units."""

    kind: PlanKind
    first_day: date
    last_day: date
    plan_id: str
    stated_at: datetime
    quantity: float | None = None
    """Of all its days; of a survey, the change of each."""
    factor: float | None = None
    """None for a promotion: its uplift is learned. Of a succession, the ratio."""
    commitment: str = "forecast"
    net: bool = False
    author: str = ""
    reason: str = ""
    other_item: str | None = None
    """The predecessor of a successor; the successor of an item that ends."""
    interchangeable: bool = False

    @property
    def days(self) -> int:
        return (self.last_day - self.first_day).days + 1


@dataclass(frozen=True, slots=True)
class Usual:
    """What was learned of a horizon: its days, how much of each lies in it, and what is usual on them."""

    first_day: date
    shares: Floats
    """The share of each day that lies in the horizon, 0 to 1."""
    means: Floats
    """Expected demand of that share of each day."""
    variance: float
    """Of the whole horizon's demand."""


@dataclass(frozen=True, slots=True)
class Layer:
    """What one line changed: for the explanation."""

    line: PlanLine
    before: float
    after: float
    """Mean of the horizon without it and with it."""
    factor: float | None = None


@dataclass(frozen=True, slots=True)
class Planned:
    """A horizon's demand with all that was said of it."""

    mean: float
    variance: float
    layers: tuple[Layer, ...] = field(default_factory=tuple)


def net_of_orders(
    forecast: Floats, orders: Floats, *, earlier: int = ORDERS_EARLIER_DAYS, later: int = ORDERS_LATER_DAYS
) -> Floats:
    """Return what is left of a forecast, bucket by bucket, when orders have used it up: net = max(0, gross − orders).

    What is not used in its own bucket uses up earlier ones first, the nearest before the others, then later ones
    (formulas.md 5.8, netting).

    >>> net_of_orders(np.array([350.0]), np.array([130.0])).tolist()
    [220.0]
    """
    left = forecast.astype(np.float64).copy()
    for place in np.flatnonzero(orders > 0).tolist():
        unused = float(orders[place])
        buckets = [*range(place, max(place - earlier, 0) - 1, -1), *range(place + 1, min(place + later + 1, len(left)))]
        for bucket in buckets:
            used = min(unused, left[bucket])
            left[bucket] -= used
            unused -= used
            if unused <= 0:
                break
    return left


def planned(usual: Usual, lines: Sequence[PlanLine], *, learned_uplift: float = 1.0) -> Planned:
    """Return a horizon's demand with plans laid over what is usual."""
    means = usual.means.copy()
    total = float(means.sum())
    spread = usual.variance * means / total if total > 0 else np.zeros(len(means))
    owners: list[tuple[PlanKind, str] | None] = [None] * len(means)
    layers = []
    for line in sorted((one for one in lines if one.kind in AHEAD), key=_layer):
        days, share = _days_in(line, usual)
        if not days.size or line.kind is PlanKind.BOOKED:
            continue
        before, factor = float(means.sum()), None
        match line.kind:
            case PlanKind.PROMOTION | PlanKind.SURVEY if line.quantity is None:
                factor = line.factor if line.factor is not None else learned_uplift
                means[days] *= factor
                spread[days] *= factor**GROWTH_OF_SPREAD
            case PlanKind.SURVEY:
                means[days] = np.maximum(means[days] + (line.quantity or 0.0) * usual.shares[days], 0.0)
            case PlanKind.PLAN | PlanKind.OVERRIDE:
                quantity, variance = _of_its_days(line, usual, days, share)
                # Lines of one plan about one day add up; those of another plan take their place.
                same = np.array([owners[day] == (line.kind, line.plan_id) for day in days.tolist()])
                means[days] = np.where(same, means[days], 0.0) + quantity
                spread[days] = np.where(same, spread[days], 0.0) + variance
                for day in days.tolist():
                    owners[day] = (line.kind, line.plan_id)
        layers.append(Layer(line, before, float(means.sum()), factor))
    booked = [line for line in lines if line.kind is PlanKind.BOOKED and _days_in(line, usual)[0].size]
    if booked:
        before = float(means.sum())
        orders = np.zeros(len(means))
        for line in booked:
            orders[_days_in(line, usual)[0][0]] += line.quantity or 0.0
        left = net_of_orders(means, orders)
        spread *= np.divide(left, means, out=np.zeros(len(means)), where=means > 0)
        means = left + orders
        layers.extend(Layer(line, before, float(means.sum())) for line in booked)
    return Planned(float(means.sum()), float(spread.sum()), tuple(layers))


def net_requirement(usual: Usual, lines: Sequence[PlanLine]) -> Planned | None:
    """Return what net plans want delivered in a horizon, None where none speaks of it.

    Stock and receipts are netted there already (S13).
    """
    layers, total = [], 0.0
    for line in lines:
        days, share = _days_in(line, usual)
        if line.kind is PlanKind.PLAN and line.net and days.size:
            quantity = float((line.quantity or 0.0) * share)
            layers.append(Layer(line, total, total + quantity))
            total += quantity
    return Planned(total, 0.0, tuple(layers)) if layers else None


def _layer(line: PlanLine) -> tuple[int, datetime, str]:
    """Return the order of the layers; of two plans of one kind the one stated last lies on top."""
    order = (PlanKind.PROMOTION, PlanKind.SURVEY, PlanKind.PLAN, PlanKind.OVERRIDE, PlanKind.BOOKED)
    adds = line.kind is PlanKind.SURVEY and line.quantity is not None
    return (2 * order.index(line.kind) + adds, line.stated_at, line.plan_id)


def _days_in(line: PlanLine, usual: Usual) -> tuple[NDArray[np.intp], float]:
    """Return the places of a line's days in the horizon, and the share of all its days that lies there."""
    first = (line.first_day - usual.first_day).days
    places = np.arange(max(first, 0), min(first + line.days, len(usual.shares)))
    if line.kind is PlanKind.BOOKED:
        return places, 1.0
    return places, float(usual.shares[places].sum()) / line.days


def _of_its_days(line: PlanLine, usual: Usual, days: NDArray[np.intp], share: float) -> tuple[Floats, Floats]:
    """Return a planned quantity's part of each day and its variance.

    As days usually differ, and evenly where nothing is usual; spread as a forecast so large would be, as far as the
    commitment leaves it open.
    """
    usually = usual.means[days]
    weight = usually if usually.sum() > 0 else usual.shares[days]
    quantity = np.asarray((line.quantity or 0.0) * share * weight / max(float(weight.sum()), 1e-12))
    left = COMMITTED_SPREAD[line.commitment] if line.kind is PlanKind.PLAN else 1.0
    total = float(usual.means.sum())
    known = usual.variance * usually / total if total > 0 else np.zeros(len(days))
    grown = known * (quantity / np.maximum(usually, 1e-9)) ** GROWTH_OF_SPREAD
    return quantity, left * np.where(usually > 1e-9, grown, USUAL_DISPERSION * quantity)


UPLIFT_SHAPE: Final = 4.0
"""How surely a promotion's uplift is known before there was one: a gamma prior of this shape, cv 0.5."""
MOST_UPLIFT: Final = 20.0


def learned_uplift(expected: float, observed: float, all_expected: float, all_observed: float) -> float:
    """Return what promotions do to an item: learned from its own, shrunk to all of its customer's, those to nothing.

    With demand Poisson around uplift × expected and a gamma prior of shape a and mean p: (a + observed) / (a / p +
    expected).
    """
    usual = (UPLIFT_SHAPE + all_observed) / (UPLIFT_SHAPE + all_expected)
    own = (UPLIFT_SHAPE + observed) / (UPLIFT_SHAPE / max(usual, 1e-9) + expected)
    return min(own, MOST_UPLIFT)
