"""Demand on a grid: chances in cells of base units, many keys at once."""

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain.distributions import Demand, Family
from vmi_domain.replenishment.policies.spreads import Spread

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

_AT_ONCE: Final = {1: 256 * 64, 2: 64 * 64**2}
"""Numbers that are computed together, by the power: they stay in the processor's cache, with what they lead to."""
_SMALLEST: Final = {1: 16, 2: 4}
"""Cells of the smallest grid: with few cells a call costs more than what it computes."""
_FEW = 512
"""Units up to which chances are computed one from the other."""
_MANY = 2048
"""Units up to which they are added up, to what demand stays within and to what it exceeds a level by."""
LARGEST: Final = 500.0
"""Means up to which the chance of no demand at all is a number that a computer can tell from zero."""


def grids(cells: NDArray[np.int64], keys: Places, *, power: int = 2) -> Iterator[tuple[Places, int]]:
    """Return the keys in groups of a like number of cells, with the most cells of each.

    A key's group depends on the key alone, so that what is computed for it does too. What is computed grows with
    the cells to this power.
    """
    size, least, own = _SMALLEST[power], -1, cells[keys]
    while least < own.max(initial=0):
        group = keys[(own > least) & (own <= size)]
        many = max(1, _AT_ONCE[power] // size**power)
        for start in range(0, len(group), many):
            yield group[start : start + many], size
        size, least = 2 * size, size


def cell_chances(demand: Demand, cell: Floats, size: int) -> Floats:
    """Return each key's chances that demand, rounded to cells, is 0, 1, … cells; halves go to both sides."""
    found = np.empty((len(cell), size))
    single = _single(demand, cell)
    found[single] = _count_chances(demand.at(single), size)
    other = np.flatnonzero(~single)
    if other.size:
        some, width = demand.at(other), cell[other]
        edges = (np.arange(size) + 0.5) * width[:, None]
        below = up_to(some, edges)
        # Between two units an edge has one number below it; on a unit it halves the unit's chance.
        even = np.flatnonzero((some.family != Family.NORMAL) & (width % 2 != 1))
        if even.size:
            below[even] = (below[even] + up_to(some.at(even), edges[even] - 0.5)) / 2.0
        found[other] = np.diff(below, axis=1, prepend=0.0)
    return found


def grid_cdf(demand: Demand, cell: Floats, size: int) -> Floats:
    """Return each key's P(demand ≤ k cells), k = 0, 1, …"""
    found = np.empty((len(cell), size))
    single = _single(demand, cell)
    found[single] = np.minimum(np.cumsum(_count_chances(demand.at(single), size), axis=1), 1.0)
    other = np.flatnonzero(~single)
    if other.size:
        found[other] = up_to(demand.at(other), np.arange(size) * cell[other, None])
    return found


def up_to(demand: Demand, levels: Floats) -> Floats:
    """Return P(demand ≤ level) of each key at its own rising levels.

    Of levels that are not too high the chances of the units, each from the one before, are added up: that takes a
    fifth of the time of a distribution function at each level. How a key is computed depends on the key alone.
    """
    found = np.empty(levels.shape)
    for some, few in _by_height(demand, levels):
        here = demand.at(some)
        if not few:
            found[some] = of_grid(here, levels[some])
            continue
        units = np.floor(levels[some]).astype(np.int64)
        covered = np.minimum(np.cumsum(_count_chances(here, int(units[:, -1].max()) + 1), axis=1), 1.0)
        # Nothing lies below zero.
        found[some] = np.where(units < 0, 0.0, np.take_along_axis(covered, np.maximum(units, 0), axis=1))
    return found


def _by_height(demand: Demand, levels: Floats) -> Iterator[tuple[Places, bool]]:
    """Return the keys whose highest levels are alike, so that none is followed twice as far as it needs to be.

    With each group whether its levels are few enough to be looked at unit by unit.
    """
    highest = levels.max(axis=1)
    few = (demand.family != Family.NORMAL) & (demand.mean < LARGEST) & (highest < _MANY)
    kind = np.where(few, np.ceil(np.log2(np.maximum(highest, 0.0) + 2.0)), -1.0)
    for like in np.unique(kind):
        yield np.flatnonzero(kind == like), bool(like > 0)


def of_grid(demand: Demand, grid: Floats) -> Floats:
    """Return P(demand ≤ level) of each key at its own levels."""
    keys, points = grid.shape
    return demand.at(np.repeat(np.arange(keys), points)).cdf(grid.ravel()).reshape(keys, points)


def _single(demand: Demand, cell: Floats) -> NDArray[np.bool_]:
    return np.asarray((cell == 1.0) & (demand.family != Family.NORMAL) & (demand.mean < LARGEST))


def _count_chances(demand: Demand, size: int) -> Floats:
    """Return P(demand = k), each from the one before: p(k + 1) / p(k) = (n + k) (1 − q) / (k + 1), or μ / (k + 1)."""
    mean, excess = demand.mean, np.maximum(demand.variance - demand.mean, 0.0)
    spread = (demand.family == Family.NEGATIVE_BINOMIAL) & (mean > 0)
    number = np.where(spread, mean**2 / np.where(spread, excess, 1.0), 0.0)
    fail = np.where(spread, excess / np.where(spread, demand.variance, 1.0), 0.0)
    found = np.empty((len(mean), size))
    found[:, 0] = np.exp(np.where(spread, number * np.log1p(-fail), -mean))
    k = np.arange(size - 1)
    ratio = found[:, 1:]
    np.multiply(fail[:, None], k / (k + 1), out=ratio)
    ratio += np.where(spread, number * fail, mean)[:, None] * (1.0 / (k + 1))
    return np.cumprod(found, axis=1, out=found)


def window_chances(demand: Demand, cell: Floats, first: Floats, size: int) -> Floats:
    """Return each key's chances that demand is ``first``, ``first`` + 1, … cells; what lies outside is at the ends."""
    found = np.empty((len(cell), size))
    single = _single(demand, cell) & (first + size <= _FEW)
    if single.any():
        start = first[single].astype(np.int64)
        chances = _count_chances(demand.at(single), int(start.max()) + size)
        below = np.concatenate([np.zeros((len(start), 1)), np.cumsum(chances, axis=1)], axis=1)
        found[single] = np.take_along_axis(chances, start[:, None] + np.arange(size), axis=1)
        rows = np.arange(len(start))
        inner = found[single]
        inner[:, 0] += below[rows, start]
        inner[:, -1] += np.maximum(1.0 - below[rows, start + size], 0.0)
        found[single] = inner
    other = np.flatnonzero(~single)
    if other.size:
        some = demand.at(other)
        edges = (first[other, None] + np.arange(size - 1) + 0.5) * cell[other, None]
        below_edges = up_to(some, edges)
        coarse = np.flatnonzero((some.family != Family.NORMAL) & (cell[other] != 1.0))
        if coarse.size:
            below_edges[coarse] = (below_edges[coarse] + up_to(some.at(coarse), edges[coarse] - 0.5)) / 2.0
        found[other] = np.diff(below_edges, axis=1, prepend=0.0, append=1.0)
    return found


def expected_short(demand: Demand, levels: Floats) -> Floats:
    """Return E[(demand − level)⁺] of each key at its own levels, whole numbers where demand is counted.

    Of levels that are not too high the chances of the units are added up: each of a distribution's own losses takes
    as long as a hundred of them. How a key is computed depends on the key alone.
    """
    found = np.empty(levels.shape)
    for some, few in _by_height(demand, levels):
        here = demand.at(some)
        if not few:
            keys, points = levels[some].shape
            repeated = here.at(np.repeat(np.arange(keys), points))
            found[some] = repeated.expected_shortage(levels[some].ravel()).reshape(keys, points)
            continue
        units = levels[some].astype(np.int64)
        ones = np.ones(len(some))
        table = short_on_grid(here.mean, grid_cdf(here, ones, int(units.max()) + 1), ones, np.ones(len(some), np.bool_))
        found[some] = np.take_along_axis(table, units, axis=1)
    return found


def short_on_grid(mean: Floats, covered: Floats, cell: Floats, counted: NDArray[np.bool_]) -> Floats:
    """Return E[(demand − k cells)⁺] from P(demand ≤ k cells): each cell more serves the demand that lies above it."""
    above = 1.0 - covered
    # Within a cell the chances lie on a straight line; of counts its units' lower ends are summed.
    lower = np.where(counted, 0.5, 0.0)[:, None] * (above[:, :-1] - above[:, 1:])
    served: Floats = cell[:, None] * (above[:, :-1] + above[:, 1:]) / 2.0 + lower
    so_far = np.concatenate([np.zeros((len(mean), 1)), np.cumsum(served, axis=1)], axis=1)
    return np.asarray(np.maximum(mean[:, None] - so_far, 0.0))


def over_spread(value: Floats, cell: Floats, spread: Spread) -> Floats:
    """Return the mean of ``value`` over the quantities that rounding makes of each; straight lines between cells."""
    starts = np.cumsum(spread.count) - spread.count
    columns = np.arange(value.shape[1])
    found = np.zeros_like(value)
    for number in range(int(spread.count.max(initial=1))):
        has = number < spread.count
        place = np.where(has, starts + number, 0)
        away = np.where(has, spread.distance[place], 0.0)[:, None] / cell[:, None]
        weight = np.where(has, spread.weight[place], 0.0)[:, None]
        at = np.clip(columns + away, 0, value.shape[1] - 1)
        low = np.floor(at).astype(np.int64)
        high = np.minimum(low + 1, value.shape[1] - 1)
        part = at - low
        below, above = (np.take_along_axis(value, one, axis=1) for one in (low, high))
        found += weight * ((1.0 - part) * below + part * above)
    return found


def first_from_zero(value: Floats, *, digits: int) -> Floats:
    """Return the first column that is zero or more to so many digits, or where between two columns it would be."""
    reached = value >= -0.5 * 10.0**-digits
    last = value.shape[1] - 1
    row = np.arange(len(value))
    first = np.argmax(reached, axis=1)
    first = np.where(reached[row, first], first, last)
    before = np.maximum(first - 1, 0)
    low, high = np.round(value[row, before], digits), np.round(value[row, first], digits)
    rise = np.where(first > before, high - low, 1.0)
    return np.asarray(np.where(first > before, before + np.clip(-low / np.maximum(rise, 1e-12), 0.0, 1.0), first))
