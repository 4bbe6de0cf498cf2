"""Levels where unmet demand is lost: what was never served is never ordered, so less is needed than where it waits."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.replenishment.policies.cycles import Cycles, averaged
from vmi_domain.replenishment.policies.levels import fill_rate_of_level, least_level
from vmi_domain.replenishment.policies.spreads import Spread, no_spread

Floats = NDArray[np.float64]

_IMPOSSIBLE: Final = 1e-12
"""A chance below it is none: the level is below anything that is ever ordered in the lead time."""


def level_for_cycle_service(cycles: Cycles, cycle_service_level: ArrayLike) -> Floats:
    """Return the least level without a stock-out between two arrivals, with the agreed probability.

    In stationary sales the lead time's demand that was ordered never passed the level (as Erlang's loss
    formula has it), so that the chance is F_τ(S) / F_L(S).
    """

    def reached(level: Floats) -> Floats:
        before = cycles.until_arrival.cdf(level)
        whole = cycles.until_next_arrival.cdf(level)
        return np.where(before > _IMPOSSIBLE, whole / np.maximum(before, _IMPOSSIBLE), 0.0)

    return least_level(reached, cycles.until_next_arrival, cycle_service_level)


def level_for_fill_rate(cycles: Cycles, fill_rate: ArrayLike, spread: Spread | None = None) -> Floats:
    """Return the least level whose fill rate is at least the agreed one (see ``level_for_cycle_service``)."""
    spread = spread or no_spread(len(cycles.periods))
    each = cycles.repeated(spread.count)

    def reached(level: Floats) -> Floats:
        lifted = np.repeat(level, spread.count) + spread.distance
        waiting = fill_rate_of_level(
            level=lifted, until_arrival=each.until_arrival, until_next_arrival=each.until_next_arrival
        )
        before = each.until_arrival.cdf(lifted)
        rates = np.where(before > _IMPOSSIBLE, waiting / np.maximum(before, _IMPOSSIBLE), 0.0)
        return averaged(rates, spread.count, spread.weight)

    return least_level(reached, cycles.until_next_arrival, fill_rate)


def level_for_cost(cycles: Cycles, critical_ratio: ArrayLike, spread: Spread | None = None) -> Floats:
    """Return the level of least holding cost h a unit and period and shortage cost p a unit lost.

    One unit more is held in the periods that would end without a shortage, and sold in a cycle that would
    run short before its end and did not before its beginning::

        h Σ_{j=1..R} F_{L+j}(S) ≥ p (F_L(S) − F_{L+R}(S))
    """
    spread = spread or no_spread(len(cycles.periods))
    ratio = np.broadcast_to(np.asarray(critical_ratio, np.float64), cycles.periods.shape)
    each = cycles.repeated(spread.count)
    ends, periods = each.period_ends()

    def reached(level: Floats) -> Floats:
        lifted = np.repeat(level, spread.count) + spread.distance
        held = averaged(ends.cdf(np.repeat(lifted, periods)), periods) * np.maximum(np.round(each.periods), 1.0)
        sold = each.until_arrival.cdf(lifted) - each.until_next_arrival.cdf(lifted)
        held, sold = (averaged(one, spread.count, spread.weight) for one in (held, sold))
        return np.where(held > _IMPOSSIBLE, (1.0 - ratio) * held - ratio * sold, -1.0)

    return least_level(reached, cycles.until_next_arrival, 0.0)
