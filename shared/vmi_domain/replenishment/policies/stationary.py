"""The long run of a base stock whose unmet demand is lost: a chain of the sales of a lead time, many keys at once.

After an order the position is S. What stands there when that order arrives is S less the sales Y of the lead time, and
of the demand of the review interval R that follows, min(D_R, S − Y) is sold. If Y were demand that stayed within S the
rest would be a closed form (as in Erlang's loss formula)::

    lost₀(S) = Σ_{y ≤ S} P(D_L = y) E[(D_R − (S − y))⁺] / (μ_R P(D_L ≤ S))

The chain says by what factor the truth differs from it. The factor changes little with S and with the size of a step,
so that a few dozen steps about the sales that do occur give it, and the closed form gives the level to the unit.
"""

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.distributions import Demand, Family, by_the_data
from vmi_domain.replenishment.policies.cycles import Cycles, averaged
from vmi_domain.replenishment.policies.grids import (
    expected_short,
    first_from_zero,
    grid_cdf,
    grids,
    of_grid,
    over_spread,
    short_on_grid,
    up_to,
    window_chances,
)
from vmi_domain.replenishment.policies.spreads import Spread, no_spread
from vmi_domain.values import dataclass

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Places = NDArray[np.intp]

MOST_CELLS: Final = 32
"""Steps that sales are followed in where a level is looked for; where there are more units, a step is several."""
FINE_CELLS: Final = 128
"""Steps where the long run of a level is asked for."""
MANY_REVIEWS: Final = 5.0
"""Reviews in a lead time from which on more steps are followed: a review has to be told from others."""
_USUALLY_LOST: Final = 0.05
_ROUNDS: Final = 4
"""Levels that are tried at most; nearly all are settled after two."""
_WIDE: Final = 5.0
"""Standard deviations of a lead time's sales that are followed on each side."""
_SMALL: Final = 256
"""Levels up to which the closed form is tabulated unit by unit."""
_POINTS: Final = 64
"""Levels that it is tabulated at where there are more."""
_FARTHEST: Final = 0.1
"""Logarithm by which a factor is carried on from what was looked at, at most."""
_STRAYS: Final = 1e-9
"""The chance by which a chain in several parts is taken to move anywhere."""
_TINY: Final = 1e-300
_NOTHING_LOST: Final = 1e-12


@dataclass(frozen=True, slots=True)
class LongRun:
    """What a level leads to in the long run."""

    fill_rate: Floats
    cycle_service: Floats
    """Of levels that are followed in steps of several units only about right."""


def least_level_for_fill_rate(
    cycles: Cycles, fill_rate: ArrayLike, enough: Floats, spread: Spread | None = None
) -> Floats:
    """Return the least level S whose long-run fill rate is at least the agreed one, where unmet demand is lost.

    ``enough`` is a level known to reach it: that of waiting demand does, since whoever is lost takes
    nothing that the next one could have. Whole units where demand is counted. With a ``spread`` it is the
    mean over the positions that orders lead to.
    """
    may_lose = 1.0 - np.broadcast_to(np.asarray(fill_rate, np.float64), enough.shape)
    spread = spread or no_spread(len(enough))
    found = np.zeros(enough.shape)
    asked = np.flatnonzero(cycles.wanted > 0)
    if not asked.size:
        return found
    parts = _Parts(cycles.at(asked))
    may_lose = np.maximum(may_lose[asked], _NOTHING_LOST)
    curve = _Closed(parts, may_lose, enough[asked], spread.of(asked))
    lifted = averaged(spread.distance, spread.count, spread.weight)[asked]
    every = np.arange(len(asked))
    level, seen = curve.least_level(every, _Factor.none(len(asked))), _Factor.none(len(asked))
    open_ = every
    for number in range(_ROUNDS + 1):
        last = number == _ROUNDS or not open_.size
        if last:
            # Once more, in other steps, just below what was found: the least level is the one that has none below it.
            open_ = every
        some = parts.at(open_)
        looked_at = level[open_] - np.where(some.counted & last & (level[open_] > 1), 1.0, 0.0)
        steps = np.full(len(open_), 2 * MOST_CELLS) if last else some.steps(MOST_CELLS)
        look = _looked(some, looked_at + lifted[open_], may_lose[open_], steps).below(lifted[open_])
        seen.learn(open_, look, None if not last else some)
        better = curve.least_level(open_, seen.at(open_))
        still = np.abs(better - level[open_]) > np.where(some.counted, 0.5, 2e-3 * some.lead_and_review.sd)
        level[open_] = better
        open_ = open_[still]
        if last:
            break
    found[asked] = level
    return found


@dataclass(frozen=True, slots=True)
class _Look:
    """What a chain says of levels: by what the closed form's loss is to be multiplied, and the cycle service."""

    level: Floats
    """Those asked for, or where a step is several units the nearest that are a whole number of steps."""
    factor: Floats
    cycle_service: Floats
    cell: Floats

    def below(self, lifted: Floats) -> "_Look":
        """Return it by the levels that orders lift so far."""
        return replace(self, level=self.level - lifted)


@dataclass(slots=True)
class _Factor:
    """By what the closed form's loss is to be multiplied, near the levels that were looked at: a straight logarithm."""

    level: Floats
    factor: Floats
    slope: Floats
    """Not a number until two levels were looked at."""
    cell: Floats

    @classmethod
    def none(cls, keys: int) -> "_Factor":
        return cls(np.full(keys, np.nan), np.ones(keys), np.full(keys, np.nan), np.ones(keys))

    def at(self, places: Places) -> "_Factor":
        return _Factor(self.level[places], self.factor[places], self.slope[places], self.cell[places])

    def learn(self, places: Places, look: _Look, in_other_steps: "_Parts | None") -> None:
        """Take a level's factor, and with the one before it the slope; what other steps say is taken to the limit."""
        before, factor = self.at(places), look.factor
        away = look.level - before.level
        known = np.isfinite(away) & (np.abs(away) > 1e-9)
        rise = np.log(factor / before.factor) / np.where(known, away, 1.0)
        if in_other_steps is None:
            self.slope[places] = np.where(known, rise, before.slope)
        else:
            self.slope[places] = np.where(known & np.isnan(before.slope), rise, before.slope)
            there = np.exp(before.log_at(look.level[:, None])[:, 0])
            factor = _in_the_limit(in_other_steps, (there, before.cell), (factor, look.cell))
        self.level[places], self.factor[places], self.cell[places] = look.level, factor, look.cell

    def log_at(self, level: Floats) -> Floats:
        """Return its logarithm at levels, a row a key."""
        away = level - np.where(np.isfinite(self.level), self.level, 0.0)[:, None]
        slope = np.where(np.isfinite(self.slope), self.slope, 0.0)
        return np.asarray(np.log(self.factor)[:, None] + slope[:, None] * away)


def _in_the_limit(parts: "_Parts", one: tuple[Floats, Floats], other: tuple[Floats, Floats]) -> Floats:
    """Return the factor that two looks in different steps lead to as steps become single units, or none.

    Each is a factor and the size of its steps, whose square the error grows with: by rounding to the middle of a step.
    Where there are many reviews in a lead time the roundings of each add up, and it grows with the size itself.
    """
    power = np.where(parts.many_reviews, 1.0, 2.0)
    off, other_off = (np.maximum(cell - parts.counted, 0.0) ** power for _, cell in (one, other))
    finer = np.where(off <= other_off, np.log(one[0]), np.log(other[0]))
    apart = np.abs(other_off - off) > 0.2 * np.maximum(off, other_off)
    line = (other_off * np.log(one[0]) - off * np.log(other[0])) / np.where(apart, other_off - off, 1.0)
    return np.asarray(np.exp(np.where(apart, np.clip(line, finer - _FARTHEST, finer + _FARTHEST), finer)))


def long_run(cycles: Cycles, level: ArrayLike) -> LongRun:
    """Return fill rate and cycle service of order-up-to levels in the long run, where unmet demand is lost.

    For L < R the next Y follows from this one exactly; for L ≥ R the sales of the oldest R leave the window,
    and of them is known only that sales of equal times are alike: they are drawn from Y as demand would be.
    (Against simulation, L and R from 1 to 28: within 0.2 points; see tests/benchmark.)
    """
    levels = np.broadcast_to(np.asarray(level, np.float64), cycles.periods.shape)
    fill_rate, cycle_service = np.ones(len(levels)), np.ones(len(levels))
    asked = np.flatnonzero(cycles.wanted > 0)
    if asked.size:
        parts = _Parts(cycles.at(asked))
        at = levels[asked]
        lost = np.full(len(asked), _USUALLY_LOST)
        for _ in range(4):
            factor, covers = _at_level(parts, at, lost)
            lost = np.clip(_closed_loss(parts, at) * factor, _NOTHING_LOST, 1.0)
        fill_rate[asked], cycle_service[asked] = 1.0 - lost, covers
    return LongRun(fill_rate, cycle_service)


def _at_level(parts: "_Parts", level: Floats, lost: Floats) -> tuple[Floats, Floats]:
    """Return factor and cycle service at levels: between the steps on both sides, and in the limit of fine steps."""
    found = []
    for steps in (parts.steps(FINE_CELLS), parts.steps(FINE_CELLS) // 2):
        look = _looked(parts, level, lost, steps, lasting=True)
        beside = _looked(parts, np.maximum(level + 2.0 * (level - look.level), 0.0), lost, steps, lasting=True)
        away = beside.level - look.level
        part = np.where(away != 0, (level - look.level) / np.where(away != 0, away, 1.0), 0.0)
        covers = look.cycle_service + part * (beside.cycle_service - look.cycle_service)
        found.append((look.factor * (beside.factor / look.factor) ** part, look.cell, covers))
    (factor, cell, covers), (coarser, its_cell, _) = found
    return _in_the_limit(parts, (factor, cell), (coarser, its_cell)), covers


class _Parts:
    """The demand of the parts of a cycle, all of one dispersion: that of the whole."""

    def __init__(self, cycles: Cycles) -> None:
        whole = cycles.until_next_arrival
        self.periods = cycles.periods
        self.dispersion = whole.variance / np.maximum(whole.mean, 1e-12)
        self.counted = whole.family != Family.NORMAL
        self.lead, self.review = cycles.until_arrival.mean, cycles.wanted
        self.lead_and_review = whole

    def demand(self, mean: Floats) -> Demand:
        return by_the_data(mean, self.dispersion * mean, counts=self.counted)

    @property
    def many_reviews(self) -> NDArray[np.bool_]:
        return np.asarray(self.lead > MANY_REVIEWS * self.review)

    def steps(self, most: int) -> Whole:
        """Return in how many steps sales are followed: more where there are many reviews."""
        return np.where(self.many_reviews, max(2 * most, FINE_CELLS), most)

    def at(self, places: Places) -> "_Parts":
        some = object.__new__(_Parts)
        some.periods, some.dispersion, some.counted = (
            self.periods[places],
            self.dispersion[places],
            self.counted[places],
        )
        some.lead, some.review = self.lead[places], self.review[places]
        some.lead_and_review = self.lead_and_review.at(places)
        return some


def _closed_loss(parts: _Parts, level: Floats) -> Floats:
    """Return the share of demand that is lost by the closed form, one level a key."""
    before, whole = parts.demand(parts.lead), parts.lead_and_review
    inside = np.maximum(before.cdf(level), _TINY)
    waiting = 1.0 - (whole.expected_shortage(level) - before.expected_shortage(level)) / parts.review
    return np.clip(1.0 - waiting / inside, _NOTHING_LOST, 1.0)


class _Closed:
    """The closed form as tables of levels, over the positions that orders lead to: unit by unit where these are few.

    Levels far below the demand until the next arrival are left out: no more than a level is ever sold in that time, and
    what is lost of it is the agreed share, or one review's more on either side.
    """

    def __init__(self, parts: _Parts, may_lose: Floats, enough: Floats, spread: Spread) -> None:
        self._parts, self._spread, self._may_lose = parts, spread, may_lose
        farthest = np.maximum(np.maximum.reduceat(spread.distance, np.cumsum(spread.count) - spread.count), 0.0)
        highest = np.maximum(enough, 1.0) + farthest
        cells = np.ceil(highest).astype(np.int64) + 2
        small = parts.counted & (cells <= _SMALL) & (parts.lead_and_review.family != Family.NORMAL)
        lowest = parts.lead_and_review.mean - may_lose * (parts.lead_and_review.mean + 2.0 * parts.review)
        lowest = np.maximum(lowest - farthest - 1.0, 0.0)
        step = (highest - lowest) / (_POINTS - 2)
        self._step = np.where(small, 1.0, np.where(parts.counted, np.maximum(np.ceil(step), 1.0), step))
        self._least = np.where(small, 0.0, np.where(parts.counted, np.floor(lowest), lowest))
        self._lowest = np.where(parts.counted, np.floor(lowest), lowest)
        self._size = np.full(len(enough), _POINTS)
        self._row = np.arange(len(enough))
        tables: dict[int, list[tuple[Places, Floats]]] = {}
        for some, size in grids(np.where(small, cells, 0), np.flatnonzero(small)):
            tables.setdefault(size, []).append((some, self._unit_by_unit(some, size)))
        large = np.flatnonzero(~small)
        if large.size:
            tables.setdefault(_POINTS, []).append((large, self._at_points(large)))
        self._table = {size: np.concatenate([table for _, table in groups]) for size, groups in tables.items()}
        for size, groups in tables.items():
            places = np.concatenate([some for some, _ in groups])
            self._size[places], self._row[places] = size, np.arange(len(places))

    def _unit_by_unit(self, some: Places, size: int) -> Floats:
        parts = self._parts.at(some)
        cell = np.ones(len(some))
        lead = _inside(parts.demand(parts.lead), cell, np.zeros(len(some)), size)
        review = parts.demand(parts.review)
        short = short_on_grid(parts.review, grid_cdf(review, cell, size), cell, parts.counted)
        both = np.fft.rfft(lead, 2 * size, axis=1) * np.fft.rfft(short, 2 * size, axis=1)
        within = np.fft.irfft(both, 2 * size, axis=1)[:, :size]
        inside = np.maximum(np.cumsum(lead, axis=1), _TINY)
        lost = np.clip(within / inside / parts.review[:, None], _NOTHING_LOST, 1.0)
        # Below all that is ever ordered in a lead time nothing is served.
        lost = np.where(inside < _NOTHING_LOST, 1.0, lost)
        return np.log(over_spread(lost, cell, self._spread.of(some)))

    def _at_points(self, some: Places) -> Floats:
        parts, step = self._parts.at(some), self._step[some]
        levels = np.asarray(self._least[some, None] + step[:, None] * np.arange(_POINTS), np.float64)
        before, whole = parts.demand(parts.lead), parts.lead_and_review
        inside = np.maximum(up_to(before, levels), _TINY)
        unserved = expected_short(whole, levels) - expected_short(before, levels)
        lost = np.clip(1.0 - (1.0 - unserved / parts.review[:, None]) / inside, _NOTHING_LOST, 1.0)
        return np.log(over_spread(lost, step, self._spread.of(some)))

    def least_level(self, places: Places, factor: _Factor) -> Floats:
        """Return the least levels of these keys that lose no more than they may."""
        found = np.zeros(len(places))
        for size in np.unique(self._size[places]).tolist():
            here = np.flatnonzero(self._size[places] == size)
            some = places[here]
            levels = self._least[some, None] + self._step[some, None] * np.arange(size)
            lost = self._table[size][self._row[some]] + factor.at(here).log_at(levels)
            beyond = np.where(levels < self._lowest[some, None], -1.0, np.log(self._may_lose[some, None]) - lost)
            level = self._least[some] + self._step[some] * first_from_zero(beyond, digits=9)
            found[here] = np.where(self._parts.counted[some], np.ceil(level - 1e-6), level)
        return found


def _looked(parts: _Parts, level: Floats, lost: Floats, steps: Whole, *, lasting: bool = False) -> _Look:
    """Return what chains of so many steps say of these levels; of cycle service, which takes longer, if asked for.

    ``lost`` is the share of demand that is lost, about: it is lost at the ends of reviews, which matters
    for what stays of a window that is no whole number of them.
    """
    factor, covers = np.ones(len(level)), np.ones(len(level))
    spread = _WIDE * np.sqrt(parts.dispersion * parts.lead)
    within = parts.lead < parts.review * (1.0 - 1e-9)
    kept, oldest = _least_parts(parts, lost)
    # A level that is lower than what is usually sold has sold less.
    low = np.clip((level - spread) / np.maximum(kept + oldest, 1e-9), 0.0, 1.0)
    kept, oldest = kept * low, oldest * low
    begins = np.where(within | (parts.counted & (level < steps)), 0.0, kept + oldest)
    highest = np.where(within, np.minimum(parts.lead + spread + 3.0 * parts.dispersion, level), level)
    reach = np.maximum(highest - begins, 1e-9)
    cell = np.where(parts.counted, np.maximum(np.ceil((reach + 1.0) / (steps - 1)), 1.0), reach / (steps - 3))
    cell = np.where(parts.counted | (level <= 0), cell, level / np.maximum(np.ceil(level / cell - 1e-9), 1.0))
    top = np.maximum(np.round(level / cell), 0.0)
    first = np.where(begins > 0, np.stack([np.floor(kept / cell), np.floor(oldest / cell)]), 0.0)
    cells = np.where(within, np.floor(highest / cell + 1e-9), top - first.sum(axis=0)).astype(np.int64) + 1
    cells = np.maximum(cells, 1)
    for some, size in grids(cells, np.arange(len(level))):
        chain = _Chain(parts.at(some), cell[some], size, lost[some], top[some], first[:, some])
        factor[some], sold = chain.compared()
        if lasting:
            covers[some] = chain.cycle_service(sold)
    return _Look(top * cell, factor, covers, cell)


def _stays(parts: _Parts, lost: Floats) -> Floats:
    """Return the mean of what stays of a window when its oldest R leave; which need not be whole reviews."""
    reviews, part = np.divmod(parts.lead / parts.review + 1e-9, 1.0)
    ends = reviews - (1.0 - part) ** 3
    return np.maximum(parts.lead - parts.review - ends * lost * parts.review, 0.0)


def _least_parts(parts: _Parts, lost: Floats) -> tuple[Floats, Floats]:
    """Return from where on what stays of a window, and the oldest review in it, are followed."""
    stays, oldest = _stays(parts, lost), (1.0 - lost) * parts.review
    share = stays / np.maximum(stays + oldest, 1e-12)
    # What both have in common, the window's own spread, and what one has at the other's cost.
    common = _WIDE * np.sqrt(parts.dispersion * (stays + oldest))
    own = _WIDE * np.sqrt(parts.dispersion * (stays + oldest) * share * (1.0 - share))
    sold = _WIDE * np.sqrt(parts.dispersion * parts.review)
    kept = np.maximum(stays - share * common - own, 0.0)
    return kept, np.maximum(np.minimum(oldest - (1.0 - share) * common - own, parts.review - sold), 0.0)


def _inside(demand: Demand, cell: Floats, first: Floats, size: int) -> Floats:
    """Return the chances of a grid without what lies above it."""
    return window_chances(demand, cell, first, size + 1)[:, :-1]


class _Chain:
    """Keys of one grid: the sales of a lead time are ``first`` … ``first`` + size − 1 cells, the level ``top``.

    ``first`` is told in two rows: of what stays of a window, and of the oldest review that leaves it.
    """

    def __init__(self, parts: _Parts, cell: Floats, size: int, lost: Floats, top: Floats, first: Floats) -> None:
        self._parts, self._cell, self._size, self._lost = parts, cell, size, lost
        self._top, self._first, self._kept_first = top.astype(np.int64), first.sum(axis=0), first[0]
        self._within = parts.lead < parts.review * (1.0 - 1e-9)

    def compared(self) -> tuple[Floats, Floats]:
        """Return what is lost over what the closed form says, and the chances of a lead time's sales."""
        parts, size = self._parts, self._size
        place = self._first[:, None] + np.arange(size)
        inside = place <= self._top[:, None]
        left = np.maximum(self._top[:, None] - place, 0.0)
        review = parts.demand(parts.review)
        short = np.where(inside, expected_short(review, left * self._cell[:, None]) / parts.review[:, None], 1.0)
        free = np.where(inside, _inside(parts.demand(parts.lead), self._cell, self._first, size), 0.0)
        total = free.sum(axis=1)
        free = np.where(total[:, None] > _TINY, free / np.maximum(total, _TINY)[:, None], 0.0)
        sold = _stationary(self._transitions(left))
        chain, closed = (sold * short).sum(axis=1), (free * short).sum(axis=1)
        known = (total > _NOTHING_LOST) & (closed > _NOTHING_LOST) & (chain > 0)
        factor = np.where(known, np.clip(chain / np.where(known, closed, 1.0), 0.05, 20.0), 1.0)
        return factor, sold

    def cycle_service(self, sold: Floats) -> Floats:
        """Return the chance that a review's demand is met after these sales."""
        place = self._first[:, None] + np.arange(self._size)
        left = np.maximum(self._top[:, None] - place, 0.0)
        covers = of_grid(self._parts.demand(self._parts.review), left * self._cell[:, None])
        return np.asarray((sold * np.where(place <= self._top[:, None], covers, 0.0)).sum(axis=1))

    def _transitions(self, left: Floats) -> Floats:
        """Return each key's chances of the next lead time's sales (last axis) given this one's (middle axis)."""
        moves = np.empty((len(left), self._size, self._size))
        for within, found in ((True, self._moves_within), (False, self._moves_beyond)):
            rows = np.flatnonzero(self._within == within)
            if rows.size:
                moves[rows] = found(rows, left[rows])
        return moves

    def _moves_beyond(self, rows: Places, left: Floats) -> Floats:
        """L ≥ R: what is kept of the window, and the sales of one review more."""
        parts, cell, size, lost = self._parts.at(rows), self._cell[rows], self._size, self._lost[rows]
        first, kept_first = self._first[rows], self._kept_first[rows]
        begin = first - kept_first
        kept = _kept(
            _inside(parts.demand(_stays(parts, lost)), cell, kept_first, size),
            _inside(parts.demand((1.0 - lost) * parts.review), cell, begin, size),
        )
        chances = window_chances(parts.demand(parts.review), cell, begin, size)
        most = np.clip(left - begin[:, None], 0, size - 1).astype(np.int64)
        sold = np.where(np.arange(size) < most[:, :, None], chances[:, None, :], 0.0)
        np.put_along_axis(sold, most[:, :, None], (1.0 - sold.sum(axis=2))[:, :, None], axis=2)
        wide = 2 * size
        both = np.fft.rfft(sold, wide, axis=2) * np.fft.rfft(kept, wide, axis=2)
        moves = np.maximum(np.fft.irfft(both, wide, axis=2), 0.0)
        top = np.minimum(self._top[rows] - first, size - 1).astype(np.int64)
        return _up_to(moves, top)[:, :, :size]

    def _moves_within(self, rows: Places, left: Floats) -> Floats:
        """L < R: what is left when the next order is placed, and what of it the lead time sells.

        P(next ≥ y) = P(lead time's demand ≥ y) P(demand before it ≤ S − Y − y).
        """
        parts, cell, size = self._parts.at(rows), self._cell[rows], self._size
        rest = parts.demand(parts.review - parts.lead)
        away = (self._top[rows, None] - np.arange(2 * size - 1)) * cell[:, None]
        single = parts.counted & (cell == 1.0)
        half = np.where(single, 0.0, cell / 2.0)[:, None]
        enough = of_grid(rest, away + half)
        coarse = np.flatnonzero(parts.counted & ~single)
        if coarse.size:
            enough[coarse] = (enough[coarse] + of_grid(rest.at(coarse), (away + half)[coarse] - 0.5)) / 2.0
        lead = window_chances(parts.demand(parts.lead), cell, np.zeros(len(rows)), size)
        at_least = np.cumsum(lead[:, ::-1], axis=1)[:, ::-1]
        place = np.arange(size)
        reached = enough[:, place[:, None] + place] * at_least[:, None, :]
        reached[:, :, 0] = 1.0
        return np.asarray(np.maximum(-np.diff(reached, axis=2, append=0.0), 0.0))


def _up_to(moves: Floats, top: Whole) -> Floats:
    """Return the chances with all that a grid's rounding puts above the level put on it."""
    place = np.arange(moves.shape[2])
    above = np.where(place > top[:, None, None], moves, 0.0)
    moves = moves - above
    rows = np.arange(len(moves))
    moves[rows, :, top] += above.sum(axis=2)
    return moves


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
    moves = moves / np.maximum(moves.sum(axis=2, keepdims=True), _TINY)
    try:
        found = _solved(moves)
    except np.linalg.LinAlgError:
        found = np.concatenate([_solved_somehow(one[None]) for one in moves])
    found = np.maximum(found, 0.0)
    return np.asarray(found / found.sum(axis=1, keepdims=True))


def _solved_somehow(moves: Floats) -> Floats:
    """Return the same of one chain; where it never comes from one part of it to another, as if it strayed at times."""
    try:
        return _solved(moves)
    except np.linalg.LinAlgError:
        return _solved((1.0 - _STRAYS) * moves + _STRAYS / moves.shape[1])


def _solved(moves: Floats) -> Floats:
    size = moves.shape[1]
    system = np.swapaxes(moves, 1, 2) - np.eye(size)
    system[:, 0, :] = 1.0
    right = np.zeros((len(moves), size, 1))
    right[:, 0] = 1.0
    return np.asarray(np.linalg.solve(system, right)[:, :, 0])
