"""A pool of models behind one interface: fit, update by one bucket, distribution over a horizon; many series at once.

The mean of a horizon is the model's own. The distribution around it is negative binomial (normal where demand is
measured), with the variance of the history's overlapping sums: between sane methods means differ by little, and the
distribution matters more.
"""

from abc import ABC, abstractmethod
from functools import cached_property
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from vmi_domain.distributions import Demand, by_the_data
from vmi_domain.values import dataclass

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HORIZONS: Final = (1, 2, 3, 5, 7, 10, 14, 21, 28)
"""Periods of the overlapping sums whose variance is kept."""
DISPERSION: Final = 2.0
"""Variance over mean of demand, before a history says otherwise; it counts as one horizon seen."""
LEVEL_PERIODS: Final = (40.0, 80.0)
"""Periods that a level is the mean of, in effect, at least and at most: it is off for a whole horizon alike."""
MEMORY: Final = 0.99
"""What a sum is worth a period later: the spread is that of the last hundred periods, so that a trend is not taken for
it."""
BROKEN: Final = 0.02
"""Share of periods with a demand that is no whole number, from which on demand counts as measured."""


@dataclass(frozen=True)
class Known:
    """What a model learns from: n series over the same T periods."""

    demand: Floats
    """n × T, base units; nothing before a series begins."""
    begins: Integers
    """Each series' first period, 0 to T."""
    first_day: int
    """``date.toordinal()`` of the first period, or its number."""
    season: int = 7
    """Periods after which the season returns; 1 for none."""
    price: Floats | None = None
    """n × T; None where no price is known."""
    promoted: Floats | None = None
    """n × T, share of the period under promotion; None where no plan is known."""

    @property
    def periods(self) -> int:
        return int(self.demand.shape[1])

    @cached_property
    def spread(self) -> "Spread":
        """The spread of the sums; models of one pool share it."""
        return Spread(self)

    def until(self, period: int) -> "Known":
        """Return what was known before a period."""

        def cut(figures: Floats | None) -> Floats | None:
            return None if figures is None else figures[:, :period]

        begins = np.minimum(self.begins, period)
        demand = self.demand[:, :period]
        return Known(demand, begins, self.first_day, self.season, cut(self.price), cut(self.promoted))


@dataclass(frozen=True, slots=True)
class Bucket:
    """One period that closed, a figure a series."""

    demand: Floats
    price: Floats | None = None
    promoted: Floats | None = None


class Fitted(ABC):
    """A model that has learned; the series stay those it was fitted to."""

    def __init__(self, known: Known) -> None:
        self.begins = known.begins
        self.now = known.periods
        """The number of the next period."""
        self.first_day = known.first_day
        self.season = known.season
        self.spread = known.spread

    def update(self, bucket: Bucket) -> None:
        """Learn one more period, in constant work."""
        self.spread.learn(self.now, bucket.demand)
        self._learn(bucket)
        self.now += 1

    def demand_over(self, horizon: int) -> Demand:
        """Return the distribution of the sum of the next ``horizon`` periods."""
        mean = np.maximum(self.mean_over(horizon), 0.0)
        return by_the_data(mean, self.spread.variance(horizon, mean), counts=self.spread.counts())

    @abstractmethod
    def mean_over(self, horizon: int) -> Floats:
        """Return the mean of the sum of the next ``horizon`` periods."""

    @abstractmethod
    def _learn(self, bucket: Bucket) -> None: ...

    def _lives(self) -> NDArray[np.bool_]:
        return np.asarray(self.begins <= self.now)


class Model(Protocol):
    """A way to forecast."""

    @property
    def name(self) -> str: ...

    @property
    def fewest_periods(self) -> int:
        """History below which it is not asked."""
        ...

    def fit(self, known: Known) -> Fitted:
        """Return it as learned from a history."""
        ...


class Spread:
    """Number, mean and squared deviations of the overlapping sums over each horizon (Welford), discounted."""

    def __init__(self, known: Known) -> None:
        demand, begins = known.demand, known.begins
        count, self._learned = demand.shape
        self._begins = begins
        self._last = np.zeros((max(HORIZONS), count))
        self._number = np.zeros((len(HORIZONS), count))
        self._mean = np.zeros((len(HORIZONS), count))
        self._squares = np.zeros((len(HORIZONS), count))
        self._broken = (demand != np.floor(demand)).sum(axis=1).astype(np.float64)
        running = np.concatenate([np.zeros((count, 1)), demand.cumsum(axis=1)], axis=1)
        for place, horizon in enumerate(HORIZONS):
            if self._learned < horizon:
                continue
            sums = running[:, horizon:] - running[:, :-horizon]
            lived = (np.arange(sums.shape[1]) >= begins[:, None]) * MEMORY ** np.arange(sums.shape[1])[::-1]
            number = lived.sum(axis=1)
            mean = (sums * lived).sum(axis=1) / np.maximum(number, 1e-9)
            self._number[place], self._mean[place] = number, mean
            self._squares[place] = (np.square(sums - mean[:, None]) * lived).sum(axis=1)
        for period in range(max(self._learned - max(HORIZONS), 0), self._learned):
            self._last[period % max(HORIZONS)] = demand[:, period]

    def learn(self, period: int, demand: Floats) -> None:
        """Learn one period, once: models that share it all tell it."""
        if period < self._learned:
            return
        self._last[period % max(HORIZONS)] = demand
        self._learned = period + 1
        self._broken += demand != np.floor(demand)
        sums = self._last[(period - np.arange(max(HORIZONS))) % max(HORIZONS)].cumsum(axis=0)[np.array(HORIZONS) - 1]
        lived = period + 1 - self._begins >= np.array(HORIZONS)[:, None]
        self._number = np.where(lived, MEMORY * self._number + 1, self._number)
        off = np.where(lived, sums - self._mean, 0.0)
        self._mean += off / np.maximum(self._number, 1)
        kept = np.where(lived, MEMORY * self._squares, self._squares)
        self._squares = kept + off * np.where(lived, sums - self._mean, 0.0)

    def variance(self, horizon: int, mean: Floats) -> Floats:
        """Return the variance of the sum of ``horizon`` periods, base units squared, around a model's mean.

        Shrunk towards an expected dispersion while few sums lie apart; in proportion where more is sold now; straight
        lines in variance a period between the kept horizons. The level is off for all periods alike: 1 + h/n.
        """
        at = np.array(HORIZONS, np.float64)
        apart = self._number / at[:, None]
        measured = self._squares / np.maximum(self._number - 1, 1)
        usual = np.maximum(self._mean / at[:, None], 1e-9)
        grown = np.clip(mean / horizon / usual, 1.0, 10.0)
        expected = DISPERSION * mean / horizon * at[:, None]
        a_period = (apart * measured * grown + expected) / (apart + 1) / at[:, None]
        after = int(np.clip(np.searchsorted(at, horizon), 1, len(at) - 1))
        share = float(np.clip((horizon - at[after - 1]) / (at[after] - at[after - 1]), 0.0, 1.0))
        found = (a_period[after - 1] * (1 - share) + a_period[after] * share) * horizon
        lived = np.clip(self._learned - self._begins, *LEVEL_PERIODS)
        return np.asarray(found * (1 + horizon / lived))

    def counts(self) -> NDArray[np.bool_]:
        """Return which series come in whole base units."""
        return np.asarray(self._broken < BROKEN * np.maximum(self._learned - self._begins, 1))
