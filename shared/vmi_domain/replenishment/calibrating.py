"""One number of the policy, found by replaying the history through the decisions and shrunk to theory.

It is what is added to the log odds of the service target: what is to be aimed at, so that the agreed target comes out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from scipy import special

from vmi_domain.forecasting.panel import Panel
from vmi_domain.forecasting.rehearsal import rehearsal
from vmi_domain.replenishment.needs import ServiceMeasure
from vmi_domain.replenishment.rehearsing import Agreed
from vmi_domain.replenishment.replaying import Floats, Integers, Replayed, World, replay
from vmi_domain.replenishment.reviewing import Terms
from vmi_domain.replenishment.sizing import follows_a_target
from vmi_domain.values import dataclass

SHIFTS: Final = (-1.0, 0.0, 1.0)
"""Log odds that are replayed; between them is interpolated, beyond them nothing is believed."""
AS_MUCH_AS_THEORY: Final = 20.0
"""Cycles that may end short by the target, from which on the history counts more than theory."""
INTERMITTENT: Final = 1.32
"""Periods a period with demand from which on a series is intermittent (formulas.md 5.7)."""
_NEVER: Final = 1e-4
"""Shares are kept so far from 0 and 1: log odds have no ends."""


@dataclass(frozen=True, slots=True)
class Group:
    """Series that one number is found for: of one policy, in one world, of a like demand."""

    measure: ServiceMeasure
    target: float
    is_lost: bool
    lead_time: int
    review_period: int
    is_intermittent: bool


@dataclass(frozen=True, slots=True)
class Calibration:
    """What a replay says of a group."""

    shift: float
    """What is added to the log odds of the target, shrunk."""
    attained: float
    """The share that came out with nothing added; by cost the mean cost of a series and period, holding taken as 1."""
    series: int
    cycles: int


def calibrations(
    terms: Sequence[Terms], panel: Panel, world: World, first: int, *, period_days: float = 1.0
) -> tuple[list[Group | None], Mapping[Group, Calibration]]:
    """Return the group of each series, None where its policy has no target, and what the replay says of each.

    What is replayed is the ``world``, from period ``first`` on, as a backtest does it: nothing is known of what
    follows a decision, and what was lost in the replay is hidden from the forecasts.
    """
    groups = [
        Group(
            one.policy.service_measure,
            one.policy.agreed,
            bool(world.lost[row]),
            int(world.lead_time[row]),
            int(world.review_period[row]),
            bool(is_intermittent),
        )
        if follows_a_target(one.policy)
        else None
        for row, (one, is_intermittent) in enumerate(zip(terms, _intermittent(world, panel.begins, first), strict=True))
    ]
    found = [_replayed(terms, panel, world, first, shift, period_days) for shift in SHIFTS]
    said = {}
    for group in dict.fromkeys(one for one in groups if one is not None):
        rows = np.array([row for row, one in enumerate(groups) if one == group], np.int64)
        old = rows[panel.begins[rows] < first]
        said[group] = _calibration(group, [_of(one, old) for one in found])
    return groups, said


def calibrated(
    terms: Sequence[Terms], groups: Sequence[Group | None], found: Mapping[Group, Calibration]
) -> list[Terms]:
    """Return the terms with the numbers of their groups; where an agreement has one of its own, that stays."""
    return [
        one if group is None or one.policy.calibration else _calibrated(one, found[group].shift)
        for one, group in zip(terms, groups, strict=True)
    ]


def _calibrated(terms: Terms, shift: float) -> Terms:
    return replace(terms, policy=replace(terms.policy, calibration=round(shift, 3)).aiming_at(terms.policy.agreed))


def _intermittent(world: World, begins: Integers, first: int) -> Sequence[bool]:
    lived = np.maximum(first - begins, 1)
    with_demand = (world.demand[:, :first] > 0).sum(axis=1)
    return [bool(one) for one in lived >= INTERMITTENT * with_demand]


def _replayed(
    terms: Sequence[Terms], panel: Panel, world: World, first: int, shift: float, period_days: float
) -> Replayed:
    orders = Agreed(
        [_calibrated(one, shift) for one in terms],
        rehearsal(panel, first),
        lead_time=world.lead_time,
        review_period=world.review_period,
        period_days=period_days,
    )
    return replay(world, orders, orders.opening(np.arange(len(terms))), first)


@dataclass(frozen=True, slots=True)
class _Sums:
    """What came of a group's replay."""

    series: int
    periods: float
    wanted: float
    served: float
    stock: float
    waiting: float
    cycles: float
    good: float

    def attained(self, group: Group) -> float:
        """Return the share that the group's target is about, or its cost."""
        match group.measure:
            case ServiceMeasure.FILL_RATE:
                return self.served / self.wanted if self.wanted else np.nan
            case ServiceMeasure.CYCLE_SERVICE:
                return self.good / self.cycles if self.cycles else np.nan
            case _:
                short = self.wanted - self.served if group.is_lost else self.waiting
                dear = group.target / (1.0 - group.target)
                return (self.stock + dear * short) / self.periods if self.periods else np.nan


def _of(found: Replayed, rows: Integers) -> _Sums:
    figures: list[Floats | Integers] = [
        found.periods, found.wanted, found.served, found.stock, found.waiting, found.cycles,
        found.cycles_without_stock_out,
    ]  # fmt: skip
    return _Sums(len(rows), *(float(one[rows].sum()) for one in figures))


def _calibration(group: Group, found: Sequence[_Sums]) -> Calibration:
    attained = [one.attained(group) for one in found]
    usual = found[SHIFTS.index(0.0)]
    told = Calibration(0.0, attained[SHIFTS.index(0.0)], usual.series, int(usual.cycles))
    if not all(np.isfinite(attained)):
        return told
    shift = _cheapest(attained) if group.measure is ServiceMeasure.COST else _reaching(attained, group.target)
    seen = usual.cycles * (1.0 - group.target)
    return replace(told, shift=round(shift * seen / (seen + AS_MUCH_AS_THEORY), 3))


def _reaching(attained: Sequence[float], target: float) -> float:
    """Return the shift by which the target comes out, on straight lines of log odds."""
    odds = np.maximum.accumulate(special.logit(np.clip(attained, _NEVER, 1.0 - _NEVER)))
    return float(np.interp(special.logit(target), odds, SHIFTS))


def _cheapest(costs: Sequence[float]) -> float:
    """Return the shift of least cost, on the parabola through what was replayed; none where it has no lowest point."""
    bend, slope, _ = np.polyfit(SHIFTS, costs, 2)
    return 0.0 if bend <= 0 else float(np.clip(-slope / (2.0 * bend), SHIFTS[0], SHIFTS[-1]))
