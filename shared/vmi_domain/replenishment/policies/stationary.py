"""The long run of a base stock whose unmet demand is lost: one chain of the sales of a lead time, many keys at once."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.distributions import Demand, Family, by_the_data
from vmi_domain.replenishment.policies.cycles import Cycles
from vmi_domain.replenishment.policies.grids import cell_chances, grid_cdf, grids, short_on_grid

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

MOST_CELLS: Final = 64
"""Steps that stock is followed in; where a level has more units, a step is several of them."""
MANY_REVIEWS: Final = 5.0
"""Reviews in a lead time from which on twice as many steps are followed."""
_USUALLY_LOST: Final = 0.05
_TINY: Final = 1e-300


@dataclass(frozen=True, slots=True)
class LongRun:
    """What a level leads to in the long run."""

    fill_rate: Floats
    cycle_service: Floats


def least_level_for_fill_rate(cycles: Cycles, fill_rate: ArrayLike, enough: Floats) -> Floats:
    """Return the least level S whose long-run fill rate is at least the agreed one, where unmet demand is lost.

    ``enough`` is a level known to reach it: that of waiting demand does, since whoever is lost takes
    nothing that the next one could have. Whole units where demand is counted.
    """
    goal = np.broadcast_to(np.asarray(fill_rate, np.float64), enough.shape)
    found = np.zeros(enough.shape)
    counted = cycles.until_next_arrival.family != Family.NORMAL
    # A review's demand has to be told apart from others: the more reviews a lead time has, the finer the steps.
    most = np.where(cycles.until_arrival.mean > MANY_REVIEWS * cycles.wanted, 2.0 * MOST_CELLS, MOST_CELLS)
    cell = np.where(counted, np.maximum(np.ceil(enough / most), 1.0), np.maximum(enough / most, 1e-9))
    cells = np.ceil(enough / cell).astype(np.int64)
    for some, size in grids(cells, np.flatnonzero(cycles.wanted > 0)):
        chain = _Chain(cycles.at(some), cell[some], size + 1, 1.0 - goal[some])
        level = chain.least_steps(goal[some], cells[some]) * cell[some]
        found[some] = np.where(counted[some], np.ceil(level - 1e-6), level)
    return found


def long_run(cycles: Cycles, level: ArrayLike) -> LongRun:
    """Return fill rate and cycle service of order-up-to levels in the long run, where unmet demand is lost.

    After an order the position is S. What stands there when that order arrives is S less the sales Y of
    the lead time, and of the demand of the review interval R that follows, min(D_R, S − Y) is sold. For
    L < R the next Y follows from it exactly; for L ≥ R the sales of the oldest R leave the window, and of
    them is known only that sales of equal times are alike: they are drawn from Y as demand would be.
    (Against simulation, L and R from 1 to 28: within 0.2 points; see tests/benchmark.)
    """
    levels = np.broadcast_to(np.asarray(level, np.float64), cycles.periods.shape)
    counted = cycles.until_next_arrival.family != Family.NORMAL
    most = 4 * MOST_CELLS
    cell = np.where(counted, np.maximum(np.ceil(levels / most), 1.0), np.maximum(levels / most, 1e-9))
    steps = np.maximum(np.round(levels / cell), 0).astype(np.int64)
    fill_rate, cycle_service = np.ones(len(levels)), np.ones(len(levels))
    for some, size in grids(steps, np.flatnonzero(cycles.wanted > 0)):
        lost = np.full(len(some), _USUALLY_LOST)
        for _ in range(2):
            found = _Chain(cycles.at(some), cell[some], size + 1, lost).long_run(steps[some])
            lost = 1.0 - found.fill_rate
        fill_rate[some], cycle_service[some] = found.fill_rate, found.cycle_service
    return LongRun(fill_rate, cycle_service)


class _Chain:
    """Keys of one grid: stock in cells 0 … size − 1.

    ``lost`` is the share of demand that is lost, about: it is lost at the ends of reviews, which matters
    for what stays of a window that is no whole number of them.
    """

    def __init__(self, cycles: Cycles, cell: Floats, size: int, lost: Floats) -> None:
        self._size = size
        whole = cycles.until_next_arrival
        dispersion = whole.variance / np.maximum(whole.mean, 1e-12)
        counted = whole.family != Family.NORMAL
        lead, review = cycles.until_arrival.mean, cycles.wanted

        def demand(mean: Floats) -> Demand:
            return by_the_data(mean, dispersion * mean, counts=counted)

        self._review = cell_chances(demand(review), cell, size)
        self._covers = grid_cdf(demand(review), cell, size)
        self._short = short_on_grid(review, self._covers, cell, counted) / np.maximum(review, 1e-12)[:, None]
        self._within = lead < review * (1.0 - 1e-9)
        self._lead = cell_chances(demand(np.where(self._within, lead, 0.0)), cell, size)
        self._rest = cell_chances(demand(np.where(self._within, review - lead, 0.0)), cell, size)
        whole_reviews, part = np.divmod(lead / np.maximum(review, 1e-12) + 1e-9, 1.0)
        ends = whole_reviews - (1.0 - part) ** 3
        stays = np.where(self._within, 0.0, np.maximum(lead - review - ends * lost * review, 0.0))
        self._kept = _kept(
            cell_chances(demand(stays), cell, size), cell_chances(demand((1.0 - lost) * review), cell, size)
        )

    def long_run(self, steps: Whole, rows: NDArray[np.intp] | None = None) -> LongRun:
        """Return what levels of so many cells lead to, of the keys in ``rows``."""
        rows = np.arange(len(self._review)) if rows is None else rows
        sold = _stationary(self._transitions(steps, rows))
        left = np.clip(steps[:, None] - np.arange(self._size), 0, None)
        inside = np.arange(self._size) <= steps[:, None]
        short = np.where(inside, np.take_along_axis(self._short[rows], left, axis=1), 0.0)
        covers = np.where(inside, np.take_along_axis(self._covers[rows], left, axis=1), 0.0)
        return LongRun(1.0 - (sold * short).sum(axis=1), (sold * covers).sum(axis=1))

    def least_steps(self, goal: Floats, enough: Whole) -> Floats:
        """Return the least level in cells that reaches the fill rate; between cells on a straight line."""
        low, low_rate = np.zeros_like(enough), np.zeros(len(enough))
        high, high_rate = enough.copy(), np.ones(len(enough))
        known_high = np.zeros(len(enough), bool)
        guess = np.maximum((0.93 * enough).astype(np.int64), 1)
        while True:
            active = np.flatnonzero((high - low > 1) | ~known_high)
            if not active.size:
                break
            at = np.where(high - low > 1, np.clip(guess, low + 1, high - 1), high)[active]
            rate = self.long_run(at, active).fill_rate
            reached = rate >= goal[active]
            # What is enough stays enough, also where the grid makes it fall short by a trifle.
            reached |= at >= enough[active]
            high[active] = np.where(reached, at, high[active])
            high_rate[active] = np.where(reached, rate, high_rate[active])
            known_high[active] |= reached
            low[active] = np.where(reached, low[active], at)
            low_rate[active] = np.where(reached, low_rate[active], rate)
            guess = _between(low, high, low_rate, high_rate, goal, known_high)
        share = np.clip((goal - low_rate) / np.maximum(high_rate - low_rate, 1e-12), 0.0, 1.0)
        return low + share

    def _transitions(self, steps: Whole, rows: NDArray[np.intp]) -> Floats:
        """Return each key's chances of the next lead time's sales (last axis) given this one's (middle axis)."""
        moves = np.empty((len(rows), self._size, self._size))
        within = self._within[rows]
        if within.any():
            moves[within] = self._moves_within(steps[within], rows[within])
        if not within.all():
            moves[~within] = self._moves_beyond(steps[~within], rows[~within])
        return moves

    def _moves_beyond(self, steps: Whole, rows: NDArray[np.intp]) -> Floats:
        """L ≥ R: what is kept of the window, and the sales of one review more."""
        left = np.clip(steps[:, None] - np.arange(self._size), 0, None)
        place = np.arange(self._size)
        chances = self._review[rows][:, None, :]
        sold = np.where(place < left[:, :, None], chances, 0.0)
        np.put_along_axis(sold, left[:, :, None], (1.0 - sold.sum(axis=2))[:, :, None], axis=2)
        wide = 2 * self._size
        both = np.fft.rfft(sold, wide, axis=2) * np.fft.rfft(self._kept[rows], wide, axis=2)
        return np.maximum(np.fft.irfft(both, wide, axis=2)[:, :, : self._size], 0.0)

    def _moves_within(self, steps: Whole, rows: NDArray[np.intp]) -> Floats:
        """L < R: what is left when the next order is placed, and what of it the lead time sells."""
        left = np.clip(steps[:, None] - np.arange(self._size), 0, None)[:, :, None]
        place = np.arange(self._size)
        away = left - place
        rest = self._rest[rows]
        below = np.concatenate([np.zeros((len(rows), 1)), np.cumsum(rest, axis=1)], axis=1)
        row = np.arange(len(rows))[:, None, None]
        more = below[row, np.clip(away, 0, self._size)]
        exactly = np.where(away >= 0, rest[row, np.clip(away, 0, self._size - 1)], 0.0)
        exactly[:, :, 0] = 1.0 - below[row, np.clip(left, 0, self._size)][:, :, 0]
        lead = self._lead[rows][:, None, :]
        at_least = 1.0 - np.concatenate([np.zeros((len(rows), 1)), np.cumsum(self._lead[rows], axis=1)[:, :-1]], axis=1)
        return np.asarray(np.maximum(more * lead + exactly * at_least[:, None, :], 0.0))


def _between(
    low: Whole, high: Whole, low_rate: Floats, high_rate: Floats, goal: Floats, known: NDArray[np.bool_]
) -> Whole:
    """Return the next level to try: logarithms of what is lost lie on a straight line, nearly; else the middle."""
    lost = [np.log(np.maximum(1.0 - rate, 1e-9)) for rate in (low_rate, high_rate, goal)]
    steep = np.maximum(lost[0] - lost[1], 1e-9)
    share = np.clip((lost[0] - lost[2]) / steep, 0.05, 0.95)
    straight = low + np.floor(share * (high - low)).astype(np.int64)
    # Where only what is below is known, a step up by what a review's spread usually asks for.
    upwards = low + np.maximum((high - low) // 4, 1)
    downwards = high - np.maximum((high - low) // 8, 1)
    return np.asarray(np.where(known & (low_rate > 0), straight, np.where(known, downwards, upwards)))


def _kept(kept: Floats, review: Floats) -> Floats:
    """Return, for each total of a window (middle axis), the chances of what stays of it when its oldest R leave."""
    size = kept.shape[1]
    away = np.arange(size)[:, None] - np.arange(size)
    joint = np.where(away >= 0, review[:, np.clip(away, 0, None)], 0.0) * kept[:, None, :]
    total = joint.sum(axis=2, keepdims=True)
    none = np.zeros((size, size))
    none[:, 0] = 1.0
    return np.where(total > _TINY, joint / np.maximum(total, _TINY), none)


def _stationary(moves: Floats) -> Floats:
    """Return the long-run chances of each chain: π (P − I) = 0 with Σ π = 1."""
    size = moves.shape[1]
    moves = moves / np.maximum(moves.sum(axis=2, keepdims=True), _TINY)
    system = np.swapaxes(moves, 1, 2) - np.eye(size)
    system[:, 0, :] = 1.0
    right = np.zeros((len(moves), size, 1))
    right[:, 0] = 1.0
    found = np.maximum(np.linalg.solve(system, right)[:, :, 0], 0.0)
    return np.asarray(found / found.sum(axis=1, keepdims=True))
