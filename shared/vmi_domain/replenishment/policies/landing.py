"""From the stock as it is: what will stand there when an order lands, and how much it should bring; demand is lost."""

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from vmi_domain.distributions import LARGE_MEAN, Demand, Family, by_the_data
from vmi_domain.replenishment.policies.cycles import Cycles
from vmi_domain.replenishment.policies.grids import cell_chances, first_from_zero, grid_cdf, grids, over_spread
from vmi_domain.replenishment.policies.spreads import Spread
from vmi_domain.values import dataclass

Floats = NDArray[np.float64]
Places = NDArray[np.intp]

MOST_CELLS: Final = 127
"""Steps that stock is followed in; where there are more units, a step is several of them."""
LATE_KNOWLEDGE: Final = 0.22
"""How much dearer than one review's holding a unit too many is, for each review of the lead time: the orders that are
under way by then do not know of it. Fitted to optima by dynamic programming (Poisson and negative binomial demand,
L 1 to 3 reviews, p / h 4 to 39), where any value from 0.15 to 0.3 costs less than half a per cent more."""
LEVELS_OFF: Final = (1 / 6, 1 / 2, 5 / 6)
"""Quantiles of the level's own error that are followed, one a path for all its periods."""
_NO_ERROR: Final = 1e-3
"""Variance of the level, relative to its square, below which it counts as known."""
_TAIL: Final = 1e-5
"""Demand beyond this chance is not followed; nor beyond a tenth of the chance of shortage that is meant to be left."""
_ENDS: Final = 7
"""Ends of periods between two arrivals at which stock is looked at; of more than these an even choice."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Many keys' stock and what comes before their order lands, base units."""

    on_hand: Floats
    arriving: Floats
    """One column an arrival, the earliest first; nothing where a key has fewer."""
    at_share: Floats
    """When, as a share of the lead time: 0 is now, 1 and more is with the order or after it."""

    def at(self, places: Places) -> "Pipeline":
        """Return some of the keys."""
        return Pipeline(self.on_hand[places], self.arriving[places], self.at_share[places])


def quantity_for_cycle_service(cycles: Cycles, pipeline: Pipeline, target: ArrayLike) -> Floats:
    """Return the least quantity that leaves no stock-out between its arrival and the next, with the agreed chance.

    It may be below zero: then nothing is needed, and so much could be taken away.
    """
    goal = np.broadcast_to(np.asarray(target, np.float64), cycles.periods.shape)

    def worth(lasts: Floats, _: Floats, some: Places) -> Floats:
        return np.asarray(lasts - goal[some, None])

    return _least(cycles, pipeline, worth, tail=np.minimum(_TAIL, (1.0 - goal) / 10.0), ends_matter=False)


def quantity_for_cost(
    cycles: Cycles, pipeline: Pipeline, critical_ratio: ArrayLike, spread: Spread | None = None
) -> Floats:
    """Return the quantity of least cost: h a unit and period in stock, p a unit lost; it may be below zero.

    One unit more is held for the periods it lasts through, and saves a sale where it does not::

        κ h Σ_{j=1..R} P(stock + q ≥ D_j) ≥ p P(stock + q < D_R)        κ = 1 + 0.22 L / R

    A unit left over meets orders that were placed without knowing of it, which makes it dearer than its
    holding until the next arrival; κ stands for that. With a ``spread`` it is the mean over the quantities
    that whole packs make of it.
    """
    ratio = np.broadcast_to(np.asarray(critical_ratio, np.float64), cycles.periods.shape)
    wanted = np.where(cycles.wanted > 0, cycles.wanted, 1.0)
    dearer = 1.0 + LATE_KNOWLEDGE * cycles.until_arrival.mean / wanted
    held = (1.0 - ratio) * dearer * np.maximum(np.round(cycles.periods), 1.0)

    def worth(lasts: Floats, at_ends: Floats, some: Places) -> Floats:
        return np.asarray(held[some, None] * at_ends - ratio[some, None] * (1.0 - lasts))

    return _least(cycles, pipeline, worth, spread, tail=np.minimum(_TAIL, (1.0 - ratio) / 10.0))


def are_covered(cycles: Cycles, supply: Floats, parts: Places, target: ArrayLike) -> NDArray[np.bool_]:
    """Return whether ``quantity_for_cycle_service`` is sure to be zero or less, at a tenth of what it takes to find it.

    ``supply`` is what stands there and comes in ``parts``, less what gets lost where parts are split in whole units.
    At the landing there is at least what demand of the lead time leaves of all of it, so that it suffices if that lasts
    until the next arrival. The level's error is taken at its worst: of three paths with mean 1 and variance v none is
    above 1 + √(2 v). Where a step may be several units, as many are lost to rounding. False says nothing: not of what
    is measured, nor of demand that is so large that it counts as such.
    """
    goal = np.broadcast_to(np.asarray(target, np.float64), supply.shape)
    level_variance, dispersion = _errors(cycles)
    worst = 1.0 + np.sqrt(2.0 * level_variance) + 1e-9
    mean = worst * cycles.until_next_arrival.mean
    demand = by_the_data(mean, dispersion * mean)
    # Sub-gamma: demand is above m + √(2 x V) + x V / m with a chance below exp(−x).
    unlikely = -np.log(np.minimum(_TAIL, (1.0 - goal) / 10.0))
    review = worst * cycles.wanted
    spread = np.maximum(dispersion, 1.0)
    reach = supply + parts + review + np.sqrt(2.0 * unlikely * spread * review) + unlikely * spread + 1.0
    step = np.ceil(reach / MOST_CELLS)
    sure = np.where(step > 1.0, supply - 2.0 * step * (parts + 1), supply)
    counted = (cycles.until_next_arrival.family != Family.NORMAL) & (mean < LARGE_MEAN)
    return np.asarray(counted & (sure >= 0) & ((cycles.wanted <= 0) | (demand.cdf(sure) >= goal + 1e-9)))


Worth = Callable[[Floats, Floats, Places], Floats]
"""Chances that the stock lasts until the next arrival, and until the ends of periods; rising with the quantity."""


def _least(
    cycles: Cycles,
    pipeline: Pipeline,
    worth: Worth,
    spread: Spread | None = None,
    *,
    tail: Floats,
    ends_matter: bool = True,
) -> Floats:
    """Return the least quantity from which ``worth`` is zero or more; whole units where demand is counted."""
    counted = cycles.until_next_arrival.family != Family.NORMAL
    paths = _Paths(cycles, tail)
    stock = pipeline.on_hand + pipeline.arriving.sum(axis=1)
    reach = stock + paths.most_wanted
    cell = np.where(counted, np.maximum(np.ceil(reach / MOST_CELLS), 1.0), np.maximum(reach / MOST_CELLS, 1e-9))
    cells = np.ceil(reach / cell).astype(np.int64) + 1
    found: Floats = -stock
    periods = np.maximum(np.round(cycles.periods), 1.0) if ends_matter else np.ones(len(cell))
    exactly = spread is None or not spread.distance.any()
    for ends in np.unique(periods):
        for some, size in grids(cells, np.flatnonzero((cycles.wanted > 0) & (periods == ends)), power=1):
            lasts, at_ends = _chances(paths, pipeline, cell, some, size, float(ends))
            value = worth(lasts, at_ends, some)
            if spread is not None and not exactly:
                value = over_spread(value, cell[some], spread.of(some))
            quantity = (first_from_zero(value, digits=12) - (size - 1)) * cell[some]
            found[some] = np.where(counted[some], np.ceil(quantity - 1e-6), quantity)
    return found


class _Paths:
    """What demand is drawn from on paths that each have an error of the level of their own."""

    def __init__(self, cycles: Cycles, tail: Floats) -> None:
        earlier, later = cycles.until_arrival, cycles.until_next_arrival
        self.level_variance, self.dispersion = _errors(cycles)
        self.lead, self.review = earlier.mean, cycles.wanted
        self.counted = later.family != Family.NORMAL
        self.factors = self._factors()
        self.most_wanted = self.demand(self.factors[:, -1] * self.review).quantile(1.0 - tail)

    def _factors(self) -> Floats:
        """Return the level on each path, relative to its mean: gamma distributed."""
        if not self.level_variance.any():
            return np.ones((len(self.level_variance), 1))
        factors = np.ones((len(self.level_variance), len(LEVELS_OFF)))
        uncertain = np.flatnonzero(self.level_variance)
        variance = self.level_variance[uncertain, None]
        drawn = special.gammaincinv(1.0 / variance, np.array(LEVELS_OFF)) * variance
        drawn = 1.0 + (drawn - drawn.mean(axis=1, keepdims=True))
        drawn = 1.0 + (drawn - 1.0) * np.sqrt(variance / np.maximum(drawn.var(axis=1, keepdims=True), 1e-12))
        factors[uncertain] = np.maximum(drawn, 0.0)
        return factors

    def demand(self, mean: Floats) -> Demand:
        return by_the_data(mean, self.dispersion * mean, counts=self.counted)

    def at(self, places: Places) -> "_Paths":
        some = object.__new__(_Paths)
        for name, values in self.__dict__.items():
            setattr(some, name, values[places])
        return some


def _errors(cycles: Cycles) -> tuple[Floats, Floats]:
    """Return the variance of the level, relative to its square, and what periods vary by once the level is known.

    With variances V = α m + β m² of a mean m they are β and α.
    """
    earlier, later = cycles.until_arrival, cycles.until_next_arrival
    near = earlier.variance / np.where(earlier.mean > 0, earlier.mean, 1.0)
    far = later.variance / np.where(later.mean > 0, later.mean, 1.0)
    known = (earlier.mean > 0) & (cycles.wanted > 0)
    level = np.where(known, (far - near) / np.where(known, cycles.wanted, 1.0), 0.0)
    level = np.clip(level, 0.0, np.where(known, near / np.where(known, earlier.mean, 1.0), 0.0))
    level = np.where(level > _NO_ERROR, level, 0.0)
    return level, np.maximum(far - level * later.mean, 0.0)


def _chances(
    paths: _Paths, pipeline: Pipeline, cell: Floats, some: Places, size: int, periods: float
) -> tuple[Floats, Floats]:
    """Return the chances that stock and a quantity of −(size − 1) … size − 1 cells last, averaged over the paths.

    First until the next arrival, then until the ends of the ``periods`` before it, averaged too. One row a key of
    ``some``.
    """
    levels = paths.factors.shape[1]
    many = min(periods, _ENDS)
    # Of R ends, 1/R, 2/R … 1, the mean is that of fewer which lie evenly among them.
    shares = ((np.arange(many) + 0.5) * periods / many + 0.5) / periods
    # All keys on the first path, all on the second …: small batches cost as much as there are calls.
    rows = np.tile(some, levels)
    factor = paths.factors[some].T.ravel()
    paths, pipeline, cell = paths.at(rows), pipeline.at(rows), cell[rows]
    landed = _Landed.of(_landed(paths, factor, pipeline, cell, size), levels)
    review = factor * paths.review
    lasts = landed.covered_by(grid_cdf(paths.demand(review), cell, size))
    if many <= 1:
        return lasts, lasts
    parts = [grid_cdf(paths.demand(review * share), cell, size) for share in shares]
    return lasts, landed.covered_by(np.mean(parts, axis=0))


def _landed(paths: _Paths, factor: Floats, pipeline: Pipeline, cell: Floats, size: int) -> Floats:
    """Return the chances of the stock at the arrival: from arrival to arrival demand takes what there is, no more."""
    lead = factor * paths.lead
    # Up to the first arrival the stock is known, and what is left of it is what demand leaves of one number.
    now = (pipeline.at_share <= 0) & (pipeline.arriving > 0)
    later = (pipeline.arriving > 0) & ~now
    stands = pipeline.on_hand + np.where(now, pipeline.arriving, 0.0).sum(axis=1)
    before = np.minimum(np.where(later, pipeline.at_share, 1.0).min(axis=1, initial=1.0), 1.0)
    between = lead * np.round(before, 9)
    chances = cell_chances(paths.demand(between), cell, size)
    stock = _left(chances, stands / cell)
    # Arrivals mostly come evenly: demand between two of them has the chances of that between the two before.
    known, spectrum = np.full(len(cell), np.nan), np.empty((len(cell), size + 1), np.complex128)
    columns = np.flatnonzero(later.any(axis=0)).tolist()
    for column in (*columns, -1):
        last = column < 0
        moment = 1.0 if last else np.where(later[:, column], pipeline.at_share[:, column], before)
        share = np.clip(moment, before, 1.0)
        drawn = np.flatnonzero((share > before) & (lead > 0))
        if drawn.size:
            mean = lead * np.round(share - before, 9)
            new = drawn[mean[drawn] != known[drawn]]
            if new.size:
                known[new] = mean[new]
                other = new[mean[new] != between[new]]
                if other.size:
                    between[other] = mean[other]
                    chances[other] = cell_chances(paths.at(other).demand(mean[other]), cell[other], size)
                spectrum[new] = np.fft.rfft(chances[new], 2 * size, axis=1).conj()
            stock[drawn] = _taken(stock[drawn], spectrum[drawn])
        if not last and (come := np.flatnonzero(later[:, column])).size:
            stock[come] = _moved(stock[come], pipeline.arriving[come, column] / cell[come])
        before = share
    return stock


def _left(demand: Floats, cells: Floats) -> Floats:
    """Return the chances of what demand leaves of so many cells; parts of a cell are shared between its neighbours."""
    keys, size = demand.shape
    whole = np.floor(cells + 1e-9)
    part = np.maximum(cells - whole, 0.0)[:, None]
    # Demand from the most to none, then nothing: j cells are left where demand is j less than there is.
    room = np.concatenate([np.zeros((keys, 1)), demand[:, ::-1], np.zeros((keys, size))], axis=1)
    starts = np.arange(keys) * (2 * size + 1) + size - np.minimum(whole, size - 1).astype(np.int64)
    place = starts[:, None] + np.arange(size)
    left: Floats = room.ravel()[place]
    if (part > 0).any():
        left = (1.0 - part) * left + part * room.ravel()[place - 1]
    left[:, 0] = np.maximum(1.0 - left[:, 1:].sum(axis=1), 0.0)
    return left


def _taken(stock: Floats, demand: NDArray[np.complex128]) -> Floats:
    """Return the chances of what is left of the stock after demand, whose chances are transformed already."""
    size = stock.shape[1]
    both = np.fft.rfft(stock, 2 * size, axis=1) * demand
    left = np.maximum(np.fft.irfft(both, 2 * size, axis=1)[:, :size], 0.0)
    left[:, 0] = np.maximum(1.0 - left[:, 1:].sum(axis=1), 0.0)
    return left


def _moved(stock: Floats, cells: Floats) -> Floats:
    """Return the chances after so many cells have come; parts of a cell are shared between its neighbours."""
    whole = np.floor(cells + 1e-9)
    part = np.maximum(cells - whole, 0.0)[:, None]
    keys, size = stock.shape
    # From the right place of a row that begins with nothing, as wide as the stock can move.
    room = np.concatenate([np.zeros((keys, size + 1)), stock], axis=1)
    starts = np.arange(keys) * (2 * size + 1) + size + 1 - np.minimum(whole, size).astype(np.int64)
    place = starts[:, None] + np.arange(size)
    moved: Floats = room.ravel()[place]
    return moved if not (part > 0).any() else (1.0 - part) * moved + part * room.ravel()[place - 1]


@dataclass(frozen=True, slots=True)
class _Landed:
    """The stock at the arrival on all paths, ready to be held against demand."""

    spectrum: NDArray[np.complex128]
    beyond: Floats
    """A row a key: P(stock ≥ size − q) for q = 1 … size − 1, the mean over its paths."""
    levels: int

    @classmethod
    def of(cls, chances: Floats, levels: int) -> "_Landed":
        size = chances.shape[1]
        mean = chances.reshape(levels, -1, size).mean(axis=0)
        beyond = np.cumsum(mean[:, :0:-1], axis=1)
        return cls(np.fft.rfft(chances, 2 * size, axis=1).conj(), beyond, levels)

    def covered_by(self, covered: Floats) -> Floats:
        """Return Σ_i P(stock = i) P(demand ≤ i + q), for q = −(size − 1) … size − 1 cells, the mean over the paths.

        From ``size`` cells on all demand is covered, whatever the grid: that part is the chance of so much stock.
        """
        size = covered.shape[1]
        both = np.fft.rfft(covered, 2 * size, axis=1) * self.spectrum
        mean = both.reshape(self.levels, -1, size + 1).mean(axis=0)
        found = np.fft.irfft(mean, 2 * size, axis=1)
        return np.concatenate([found[:, size + 1 :], found[:, :1], found[:, 1:size] + self.beyond], axis=1)
