"""What the periods before an origin say of the demand of a window after it: many simple views of it, and features.

Everything here is free of the future by construction: a ``Past`` is made of the periods up to its end, and a view
at an origin reads the sums up to that origin only. What acts on demand in a known way (weekday, promotion by plan)
comes as ``factors``; levels are demand per usual period, the sum of demand over the sum of factors.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from vmi_domain.distributions import by_the_data
from vmi_domain.forecasting.outlook import DISPERSION, DOUBT
from vmi_domain.forecasting.panel import Flags, Floats, Integers
from vmi_domain.values import dataclass

PROBABILITIES: Final = np.array([0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.975, 0.99])
"""Where quantiles are modelled; between them they are interpolated."""
SMOOTHING: Final = (0.02, 0.05, 0.1, 0.2, 0.35)
"""Weights of the newest period in the smoothed means; the last is a feature only."""
VIEWS: Final = ("mean", "ses .02", "ses .05", "ses .1", "ses .2", "sba", "empirical", "rescaled")
USUAL_SHARES: Final = np.array([0.15, 0.2, 0.2, 0.15, 0.05, 0.05, 0.1, 0.1])
"""What each view counts before a history says otherwise."""
USUAL_SHARES_OF_TAIL: Final = np.array([0.2, 0.2, 0.15, 0.1, 0.0, 0.1, 0.15, 0.1])
"""The same far out, where a short memory forgets what was large."""
INTERVAL_SMOOTHING: Final = 0.1
PROBABILITY_SMOOTHING: Final = 0.05
SUMS_OF_TRUST: Final = 0.2
"""The spread that is expected before any history counts as much as so many sums that do not overlap."""
PERIODS_OF_DOUBT: Final = 10.0
"""Periods of history that leave half of the doubt of the level there is before any."""
MOST_OFF: Final = 0.5
"""Share of a sum's variance that its mean is off by, at most: a history of two sums says no more."""
FEWEST_TO_SHRINK: Final = 10
"""Series from which on they say something of each other's spread."""
FEWEST_FREEDOM: Final = 3.0
"""Sums that do not overlap from which on a series does."""
LEAST_DISPERSION: Final = 0.1
"""What is steadier than chance by more than this says no more for it."""
SMALLEST_FACTOR: Final = 0.2
"""Below this share of usual demand a period says little of the level."""


class Window(NamedTuple):
    """Periods ``start`` to ``end`` − 1 after the origin; 0 is the first one ahead."""

    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


def stride(horizon: int) -> int:
    """Return how many periods past origins lie apart whose windows end so many periods ahead: half of them."""
    return max(horizon // 2, 1)


class Levels(NamedTuple):
    """What is smoothed, at one origin; demand per usual period."""

    smoothed: Floats
    sba: Floats
    waited: Floats
    probability: Floats


@dataclass(frozen=True, slots=True)
class Past:
    """Demand, factors and their running sums."""

    demand: Floats
    """n × T; NaN nowhere: what could not be observed is filled with what was expected."""
    factors: Floats
    """n × (T + N), 1 in a usual period."""
    begins: Integers
    counts: bool
    """Demand comes in whole base units."""
    a_year: int
    groups: tuple[Integers, ...]
    """Ways of putting series together: by location, by item."""
    extra: Floats | None
    """k × n × (T + N): further figures that are known ahead, such as relative prices; their means are features."""
    drawn: Floats | None = None
    """n × T: demand whose sums spread as those of demand do, where some of it had to be filled in; None: demand."""
    observed: Flags | None = None
    """n × T: periods in which there was something to observe; None: all."""

    @property
    def outcomes(self) -> Floats:
        """What sums are taken of."""
        return self.demand if self.drawn is None else self.drawn

    def at(self, rows: Integers) -> "Past":
        """Return some of the series."""
        return replace(
            self,
            demand=self.demand[rows],
            factors=self.factors[rows],
            begins=self.begins[rows],
            groups=tuple(group[rows] for group in self.groups),
            extra=None if self.extra is None else self.extra[:, rows],
            drawn=None if self.drawn is None else self.drawn[rows],
            observed=None if self.observed is None else self.observed[rows],
        )


class View(NamedTuple):
    """One origin: quantiles by each view (views × n × probabilities), means (views × n), features, spread."""

    quantiles: Floats
    means: Floats
    features: Floats
    spread: Floats


def levels(past: Past, origins: Sequence[int]) -> dict[int, Levels]:
    """Return the smoothed levels at each origin."""
    count = len(past.demand)
    keep = 1.0 - np.array(SMOOTHING)[:, None]
    above, below = np.zeros((len(SMOOTHING), count)), np.zeros((len(SMOOTHING), count))
    size, interval, waited, probability = np.zeros(count), np.zeros(count), np.zeros(count), np.zeros(count)
    found = {}
    wanted, last = set(origins), max(origins)
    for period in range(last + 1):
        if period in wanted:
            sba = (1 - INTERVAL_SMOOTHING / 2) * size / np.maximum(interval, 1.0)
            smoothed = above / np.maximum(below, 1e-12)
            found[period] = Levels(smoothed, sba, waited + 1.0, probability.copy())
        if period == last:
            break
        lives = period >= past.begins
        demand, factor = past.demand[:, period], past.factors[:, period]
        above = np.where(lives, keep * above + demand, above)
        below = np.where(lives, keep * below + factor, below)
        waited = waited + lives
        hit = lives & (demand > 0)
        first = hit & (interval == 0)
        usual = demand / np.maximum(factor, SMALLEST_FACTOR)
        size = np.where(first, usual, np.where(hit, size + INTERVAL_SMOOTHING * (usual - size), size))
        interval = np.where(first, waited, np.where(hit, interval + INTERVAL_SMOOTHING * (waited - interval), interval))
        waited = np.where(hit, 0.0, waited)
        probability = np.where(first, 1.0, probability + PROBABILITY_SMOOTHING * lives * (hit - probability))
    return found


def view(past: Past, origin: int, smoothed: Levels, window: Window) -> View:
    """Return what the periods before ``origin`` say of the demand of the ``window`` after it."""
    length = window.length
    factor = past.factors[:, origin + window.start : origin + window.end].sum(axis=1)
    sums, lived = _sums(past, origin, min(length, origin))
    sums *= length / min(length, origin)
    number = np.maximum(lived.sum(axis=1), 1)
    mean = np.where(lived, sums, 0.0).sum(axis=1) / number
    variance = np.where(lived, (sums - mean[:, None]) ** 2, 0.0).sum(axis=1) / np.maximum(number - 1, 1)
    apart = number / length
    off = level_off(number, length)
    variance = shrunk(mean, variance, number * 3 * length / (2 * length**2 + 1)) * off
    expected = DISPERSION * mean + (DOUBT * mean) ** 2 * PERIODS_OF_DOUBT / (PERIODS_OF_DOUBT + number + length)
    variance = (apart * variance + SUMS_OF_TRUST * expected) / (apart + SUMS_OF_TRUST)
    ratio = factor / length
    rates = np.concatenate([mean[None] / length, smoothed.smoothed[:4], smoothed.sba[None]])
    means = rates * factor
    grown = np.clip(rates * length / np.maximum(mean, 1e-9), 1.0, 9.0) * ratio**1.5
    spreads = _at_least_chance(means, variance * grown)
    shape = (*means.shape, len(PROBABILITIES))
    distributions = by_the_data(
        np.broadcast_to(means[..., None], shape), np.broadcast_to(spreads[..., None], shape), counts=past.counts
    )
    farther = np.sqrt(off)[:, None] * (_empirical(sums, lived) - mean[:, None])
    empirical = np.maximum(mean[:, None] + farther, 0.0) * ratio[:, None]
    usual = rates[1:5].mean(axis=0) * factor
    nearer = np.clip((usual + 0.25) / (mean * ratio + 0.25), 1 / 3, 3.0)
    quantiles = np.concatenate(
        [distributions.quantile(PROBABILITIES), empirical[None], (empirical * nearer[:, None])[None]]
    )
    spread = np.sqrt(_at_least_chance(usual, variance * ratio**1.5) + 0.5 * usual**2) + 0.3
    features = _features(past, origin, smoothed, window, sums, lived, mean, variance, ratio)
    return View(quantiles, np.concatenate([means, (mean * ratio)[None], usual[None]]), features, spread)


def level_off(number: Integers, length: int) -> Floats:
    """Return by what to multiply the variance within ``number`` overlapping sums for that of a sum to come about their
    mean.

    Of T independent periods a mean of sums of length L is off by L/T of a sum's variance. As much is missing within the
    sums, which lie about a mean of their own, and comes on top for the one to come: (1 + L/T) / (1 − L/T), but for the
    ends of the history, which fewer sums hold.
    """
    share = np.minimum(length / (number + length - 1.0), MOST_OFF)
    return np.asarray((1 + share) / (1 - share))


def shrunk(mean: Floats, variance: Floats, freedom: Floats) -> Floats:
    """Return variances shrunk towards what the series together say of one of this mean: empirical Bayes.

    A short history does not tell a steady series from a lucky one, and spreads that are too small for some and too
    large for others cover less than was promised. Dispersions (variance over mean) that lie about a line over the log
    of the mean no farther than chance puts them, 2 / ``freedom``, are taken for that line's; the farther they lie, the
    more each counts alone (Smyth 2004; a standard error of what is between the series is added to it).
    """
    known = (mean > 0) & (freedom > FEWEST_FREEDOM)
    if known.sum() < FEWEST_TO_SHRINK:
        return variance
    weight, size = freedom[known], np.log(mean[known])
    dispersion = np.log(np.maximum(variance[known] / mean[known], LEAST_DISPERSION))
    usual, usual_size = np.average(dispersion, weights=weight), np.average(size, weights=weight)
    apart = size - usual_size
    slope = (weight * apart * (dispersion - usual)).sum() / ((weight * apart**2).sum() + weight.mean())
    chance = 2 / weight
    off = dispersion - usual - slope * apart
    between = max(float(np.average(off**2 - chance, weights=weight)), 0.0)
    between += float(chance.mean()) * np.sqrt(2 / len(weight))
    worth = 2 / between
    line = usual + 1 / np.average(weight) + slope * (np.log(np.maximum(mean, 1e-9)) - usual_size)
    return np.asarray((freedom * variance + worth * np.exp(line) * mean) / (freedom + worth))


def outcome(past: Past, origin: int, window: Window) -> Floats:
    """Return the demand of the window after ``origin``."""
    return np.asarray(past.outcomes[:, origin + window.start : origin + window.end].sum(axis=1))


def _at_least_chance(mean: Floats, variance: Floats) -> Floats:
    """Return the variance, never below what chance alone brings, and a little above it: the history is short."""
    return np.asarray(np.maximum(variance, 1.1 * mean) + 0.1 * mean)


def _sums(past: Past, origin: int, length: int) -> tuple[Floats, Flags]:
    """Return the overlapping sums of ``length`` usual periods before ``origin``, and which of them were lived."""
    zero = np.zeros((len(past.demand), 1))
    demand = np.concatenate([zero, past.outcomes[:, :origin].cumsum(axis=1)], axis=1)
    factor = np.concatenate([zero, past.factors[:, :origin].cumsum(axis=1)], axis=1)
    within = factor[:, length:] - factor[:, :-length]
    sums = (demand[:, length:] - demand[:, :-length]) * length / np.maximum(within, SMALLEST_FACTOR * length)
    place = np.arange(sums.shape[1])
    lived = (place >= past.begins[:, None]) & (within >= SMALLEST_FACTOR * length)
    lived[:, -1] = True
    return np.asarray(sums), lived


def _empirical(sums: Floats, lived: Flags) -> Floats:
    ordered = np.sort(np.where(lived, sums, np.inf), axis=1)
    place = PROBABILITIES * (lived.sum(axis=1)[:, None] - 1)
    low = np.floor(place).astype(np.int64)
    row = np.arange(len(sums))[:, None]
    high = np.minimum(low + 1, np.maximum(lived.sum(axis=1)[:, None] - 1, 0))
    return np.asarray(ordered[row, low] + (place - low) * (ordered[row, high] - ordered[row, low]))


def _features(
    past: Past,
    origin: int,
    smoothed: Levels,
    window: Window,
    sums: Floats,
    lived: Flags,
    mean: Floats,
    variance: Floats,
    ratio: Floats,
) -> Floats:
    length = window.end
    demand, factors = past.demand[:, :origin], past.factors[:, :origin]
    age = np.maximum(origin - past.begins, 1)
    level = smoothed.smoothed[:4].mean(axis=0)
    floor = 0.3 / length

    def log(rate: Floats) -> Floats:
        return np.asarray(np.log(np.maximum(rate, 0.0) + floor))

    def recent(periods: int) -> Floats:
        last = slice(max(origin - periods, 0), origin)
        return np.asarray(demand[:, last].sum(axis=1) / np.maximum(factors[:, last].sum(axis=1), 1e-9))

    base = log(level)
    hits = demand > 0
    number = np.maximum(hits.sum(axis=1), 1)
    size = demand.sum(axis=1) / number
    broken = np.maximum((demand**2).sum(axis=1) / number - size**2, 0.0) / np.maximum(size, 1e-9) ** 2
    far = max(4 * window.length, 8)
    late = np.where(lived[:, -far:], sums[:, -far:], np.nan)
    variance_late = np.nanmean((late - np.nanmean(late, axis=1, keepdims=True)) ** 2, axis=1)
    peak = np.where(lived, sums, 0.0).max(axis=1)
    chance = level * window.length + 0.1
    columns = [
        base,
        *(log(one) - base for one in smoothed.smoothed),
        *(log(recent(times * length)) - base for times in (1, 2, 4)),
        log(mean / window.length) - base,
        log(smoothed.sba) - base,
        np.log(smoothed.waited),
        smoothed.probability,
        hits.sum(axis=1) / age,
        hits[:, max(origin - 4 * length, 0) :].sum(axis=1) / np.minimum(4 * length, age),
        np.log(size + 0.1),
        broken,
        np.log(age),
        np.log((variance + 0.1) / chance),
        np.log((variance_late + 0.1) / chance),
        np.log((peak + 1.0) / (chance + 1.0)),
        np.log(np.maximum(ratio, 0.01)),
        _growth(demand, (length, 2 * length)),
        _growth(demand, (4 * length, 8 * length)),
        _last_year(past, origin, window),
        *(_group_growth(demand, group, length) for group in past.groups),
    ]
    if past.extra is not None:
        ahead = slice(origin + window.start, origin + window.end)
        columns.extend(one[:, ahead].mean(axis=1) for one in past.extra)
        columns.extend(one[:, max(origin - length, 0) : origin].mean(axis=1) for one in past.extra)
    return np.stack([np.broadcast_to(column, base.shape) for column in columns], axis=1)


def _growth(demand: Floats, periods: tuple[int, int]) -> Floats:
    """Return the log of the newest periods' total demand over that of those before them."""
    total = demand.sum(axis=0)
    newer, both = total[-periods[0] :].sum(), total[-periods[1] :].sum()
    return np.asarray(np.log((newer + 1.0) / (both - newer + 1.0)))


def _last_year(past: Past, origin: int, window: Window) -> Floats:
    """Return how total demand went on from here a year ago, as a log ratio; 0 where that is not known."""
    then = origin - past.a_year
    if then - window.end < 0 or then + window.end > origin:
        return np.zeros(())
    total = past.demand.sum(axis=0)
    went = total[then + window.start : then + window.end].mean()
    return np.asarray(np.log((went + 1e-3) / (total[then - window.end : then].mean() + 1e-3)))


def _group_growth(demand: Floats, group: Integers, length: int) -> Floats:
    newer = np.bincount(group, demand[:, -length:].sum(axis=1))
    before = np.bincount(group, demand[:, -4 * length : -length].sum(axis=1)) / 3
    return np.asarray(np.log((newer + 1.0) / (before + 1.0))[group])
