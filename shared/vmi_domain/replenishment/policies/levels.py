"""Levels where unmet demand waits, from the forecast's own distribution, many keys at once."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.distributions import Demand, Family
from vmi_domain.replenishment.policies.cycles import Cycles, averaged
from vmi_domain.replenishment.policies.grids import (
    LARGEST,
    first_from_zero,
    grid_cdf,
    grids,
    over_spread,
    short_on_grid,
)
from vmi_domain.replenishment.policies.spreads import Spread, no_spread

Floats = NDArray[np.float64]

FINEST: Final = 1e-6
"""Levels of continuous demand are found to this share of a standard deviation."""
_SMALL: Final = 1024
_FAR: Final = 8.0
"""Counts whose mean and so many standard deviations are below so many units are looked at unit by unit."""


def fill_rate_of_level(*, level: ArrayLike, until_arrival: Demand, until_next_arrival: Demand) -> Floats:
    """Return the fill rate β of an order-up-to level S whose unmet demand waits, for demand of any distribution.

    What is short when the next order arrives, less what was short already when this one did, is what
    this order's cycle leaves unserved (for normal demand formulas.md 5.4, last line)::

        β = 1 − (E[(D_τ − S)⁺] − E[(D_L − S)⁺]) / (E D_τ − E D_L)
    """
    unserved = until_next_arrival.expected_shortage(level) - until_arrival.expected_shortage(level)
    wanted = until_next_arrival.mean - until_arrival.mean
    return np.where(wanted > 0, 1.0 - unserved / np.where(wanted > 0, wanted, 1.0), 1.0)


def level_for_cycle_service(demand: Demand, cycle_service_level: ArrayLike) -> Floats:
    """Return the least level that demand of the protection interval stays within, with the agreed probability."""
    return demand.quantile(cycle_service_level)


def level_for_fill_rate(cycles: Cycles, fill_rate: ArrayLike, spread: Spread | None = None) -> Floats:
    """Return the least level whose fill rate is at least the agreed one; whole units where demand is counted.

    With a ``spread`` it is the mean over the positions that orders lead to.
    """
    spread = spread or no_spread(len(cycles.periods))
    goal = np.broadcast_to(np.asarray(fill_rate, np.float64), cycles.periods.shape)
    whole = cycles.until_next_arrival
    # Nearly all that is ever reached fits on a grid of single units: looked at as a whole.
    cells = np.ceil(whole.mean + _FAR * whole.sd + _FAR * whole.variance / np.maximum(whole.mean, 1e-9)) + 1
    small = (whole.family != Family.NORMAL) & (cells <= _SMALL) & (whole.mean > 0) & (whole.mean < LARGEST)
    found = np.full(len(goal), np.nan)
    for some, size in grids(np.where(small, cells, 0).astype(np.int64), np.flatnonzero(small), power=1):
        found[some] = _on_grid(cycles.at(some), goal[some], spread.of(some), size)
    rest = np.flatnonzero(np.isnan(found))
    if rest.size:
        found[rest] = _by_halving(cycles.at(rest), goal[rest], spread.of(rest))
    return found


def _on_grid(cycles: Cycles, goal: Floats, spread: Spread, size: int) -> Floats:
    """Return the least levels of a grid that reach the goals; not a number where none does."""
    cell, counted = np.ones(len(goal)), np.ones(len(goal), bool)
    short = [
        short_on_grid(demand.mean, grid_cdf(demand, cell, size), cell, counted)
        for demand in (cycles.until_arrival, cycles.until_next_arrival)
    ]
    wanted = np.where(cycles.wanted > 0, cycles.wanted, 1.0)[:, None]
    rates = np.where(cycles.wanted[:, None] > 0, 1.0 - (short[1] - short[0]) / wanted, 1.0)
    beyond = over_spread(rates, cell, spread) - goal[:, None]
    return np.where(beyond[:, -1] >= -5e-13, np.ceil(first_from_zero(beyond, digits=12) - 1e-6), np.nan)


def _by_halving(cycles: Cycles, goal: Floats, spread: Spread) -> Floats:
    each = cycles.repeated(spread.count)

    def reached(level: Floats) -> Floats:
        lifted = np.repeat(level, spread.count) + spread.distance
        rates = fill_rate_of_level(
            level=lifted, until_arrival=each.until_arrival, until_next_arrival=each.until_next_arrival
        )
        return averaged(rates, spread.count, spread.weight)

    return least_level(reached, cycles.until_next_arrival, goal)


def level_for_cost(cycles: Cycles, critical_ratio: ArrayLike, spread: Spread | None = None) -> Floats:
    """Return the level of least holding and shortage cost where unmet demand waits (formulas.md 5.3).

    It is the least S at which the chance of no shortage at the end of a period, averaged over the R
    periods between the arrivals, reaches the critical ratio p / (p + h)::

        (1/R) Σ_{j=1..R} F_{L+j}(S) ≥ p / (p + h)

    F_{L+R} alone would overstock for R > 1. With a ``spread`` it is the mean over the positions that
    orders lead to: of an (R, nQ) policy the optimal reorder point of that Q.
    """
    spread = spread or no_spread(len(cycles.periods))
    ends, periods = cycles.repeated(spread.count).period_ends()

    def covered(level: Floats) -> Floats:
        lifted = np.repeat(level, spread.count) + spread.distance
        chance = averaged(ends.cdf(np.repeat(lifted, periods)), periods)
        return averaged(chance, spread.count, spread.weight)

    return least_level(covered, cycles.until_next_arrival, critical_ratio)


def least_level(measure: Callable[[Floats], Floats], demand: Demand, target: ArrayLike) -> Floats:
    """Return the least level at which ``measure`` (rising with the level) reaches its target.

    Whole units for the counting families; for normal demand to a millionth of a standard deviation.
    """
    goal = np.broadcast_to(np.asarray(target, np.float64), demand.mean.shape)
    step = np.where(demand.family == Family.NORMAL, np.maximum(FINEST * demand.sd, 1e-9), 1.0)

    # Levels are counted in steps. Invariant once the first loop ends: low misses the target (−1 covers nothing), high
    # reaches it.
    low = np.full(demand.mean.shape, -1.0)
    high = np.ceil(demand.mean / step)
    missed = measure(high * step) < goal
    while missed.any():
        low = np.where(missed, high, low)
        high = np.where(missed, 2.0 * high + 1.0, high)
        missed = measure(high * step) < goal
    while (high - low > 1.0).any():
        middle = np.where(high - low > 1.0, np.floor((low + high) / 2.0), high)
        reaches = measure(middle * step) >= goal
        low = np.where(reaches, low, middle)
        high = np.where(reaches, middle, high)
    return np.where(demand.mean > 0, high * step, 0.0)
