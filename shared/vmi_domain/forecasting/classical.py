"""Time-series models of the pool: a few figures a series, moved by each period, vectorised over the series."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from vmi_domain.distributions import Demand, by_the_data
from vmi_domain.forecasting import intermittent
from vmi_domain.forecasting.intermittent import Intermittent
from vmi_domain.forecasting.pool import Bucket, Fitted, Floats, Integers, Known, Model
from vmi_domain.values import dataclass

WEIGHTS: Final = (0.02, 0.05, 0.1, 0.2, 0.4)
"""α of simple smoothing: per series that of the least squared error of one step."""
DAMPED: Final = ((0.05, 0.01, 0.05, 0.95), (0.1, 0.02, 0.1, 0.9), (0.3, 0.05, 0.1, 0.9))
"""Candidates of α, β, γ and φ."""
MEMORY: Final = 0.99
"""What a squared error is worth a period later."""
AGGREGATED: Final = 0.2
"""α of simple smoothing over aggregates, whose first ones are plainly averaged."""
LEVELS: Final = (1, 2, 3, 4, 5, 7, 10, 14, 21, 28)
"""Aggregation levels of IMAPA, up to each series' mean interval."""


def _replay(fitted: "_Recursive", known: Known) -> None:
    """Learn a whole history, period by period, as ``update`` does."""
    fitted.now = 0
    for period in range(known.periods):
        fitted.learn(known.demand[:, period])
        fitted.now += 1


class _Recursive(Fitted):
    """What learns a period from its demand alone."""

    def learn(self, demand: Floats) -> None:
        raise NotImplementedError

    def _learn(self, bucket: Bucket) -> None:
        self.learn(bucket.demand)


class _SeasonalNaive(_Recursive):
    def __init__(self, known: Known) -> None:
        super().__init__(known)
        self._last = np.zeros((known.season, len(known.demand)))
        for period in range(max(known.periods - known.season, 0), known.periods):
            self._last[period % known.season] = known.demand[:, period]

    def learn(self, demand: Floats) -> None:
        self._last[self.now % self.season] = demand

    def mean_over(self, horizon: int) -> Floats:
        return np.asarray(self._last[(self.now + np.arange(horizon)) % self.season].sum(axis=0))


class _Smoothed(_Recursive):
    """l ← l + α (y − l), from the first demand on (Brown 1956); α by squared one-step error."""

    def __init__(self, known: Known, weights: Sequence[float] = WEIGHTS) -> None:
        super().__init__(known)
        count = len(known.demand)
        self._weights = np.array(weights)[:, None]
        self._levels = np.zeros((len(weights), count))
        self._errors = np.zeros((len(weights), count))
        _replay(self, known)

    def learn(self, demand: Floats) -> None:
        off = demand - self._levels
        after = self.begins < self.now
        self._errors *= MEMORY
        self._errors += np.square(off) * after
        self._levels += np.where(after, self._weights, self.begins == self.now) * off

    def best(self) -> Integers:
        """Return the place of each series' α."""
        return np.asarray(self._errors.argmin(axis=0))

    def level(self) -> Floats:
        return np.asarray(np.take_along_axis(self._levels, self.best()[None], axis=0)[0])

    def mean_over(self, horizon: int) -> Floats:
        return self.level() * horizon


class _Theta(_Smoothed):
    """Simple smoothing with half the linear trend as drift (Assimakopoulos and Nikolopoulos 2000).

    In the form of Hyndman and Billah (2003): ŷ(k) = l + ½ b (k − 1 + (1 − (1 − α)ⁿ) / α).
    """

    def __init__(self, known: Known) -> None:
        self._moments = np.zeros((2, len(known.demand)))
        super().__init__(known)

    def learn(self, demand: Floats) -> None:
        super().learn(demand)
        age = np.maximum(self.now - self.begins + 1, 0)
        self._moments += np.stack([demand, age * demand]) * (age > 0)

    def slope(self) -> Floats:
        """Return the least-squares trend, base units a period."""
        n = np.maximum(self.now - self.begins, 0).astype(np.float64)
        total, timed = self._moments
        return np.asarray(np.where(n > 2, 12 * (timed - (n + 1) / 2 * total) / np.maximum(n * (n * n - 1), 1), 0.0))

    def mean_over(self, horizon: int) -> Floats:
        weight = self._weights[self.best(), 0]
        n = np.maximum(self.now - self.begins, 0)
        drift = horizon * (horizon - 1) / 2 + horizon * (1 - (1 - weight) ** n) / weight
        return np.asarray(np.maximum(self.level() * horizon + self.slope() / 2 * drift, 0.0))


class _HoltWinters(_Recursive):
    """Additive season and damped trend (Gardner and McKenzie 1985; recurrences of Hyndman's book)::

        l = α (y − s) + (1 − α) (l + φ b);  b = β (l − l₋) + (1 − β) φ b;  s = γ (y − l₋ − φ b₋) + (1 − γ) s₋

    The first season is the start: its mean is the level, what each period is off is the season, and there is no trend.
    """

    def __init__(self, known: Known, candidates: Sequence[tuple[float, float, float, float]] = DAMPED) -> None:
        super().__init__(known)
        shape = (len(candidates), len(known.demand))
        self._weights = np.array(candidates).T[:, :, None]
        self._level, self._trend, self._errors = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        self._steps = np.zeros(shape[1])
        self._season = np.zeros((known.season, *shape))
        _replay(self, known)

    def learn(self, demand: Floats) -> None:
        alpha, beta, gamma, phi = self._weights
        place = self.now % self.season
        age = self.now - self.begins
        grown = age >= self.season
        if not grown.all():
            young = (age >= 0) & ~grown
            self._level += np.where(young, (demand - self._level) / np.maximum(age + 1, 1), 0.0)
            self._season[place] = np.where(young, demand, self._season[place])
            self._season -= np.where(age == self.season - 1, self._level, 0.0)
        before = self._level + phi * self._trend
        off = demand - before - self._season[place]
        self._errors *= MEMORY
        self._errors += np.square(off) * grown
        self._steps = MEMORY * self._steps + grown
        level = np.where(grown, before + alpha * off, self._level)
        trend = beta * (level - self._level) + (1 - beta) * phi * self._trend
        self._season[place] += np.where(grown, gamma * off, 0.0)
        self._trend = np.where(grown, trend, self._trend)
        self._level = level

    def mean_over(self, horizon: int) -> Floats:
        phi = self._weights[3]
        ahead = np.arange(1, horizon + 1)
        damped = sum(phi**k * (horizon + 1 - k) for k in ahead.tolist())
        grown = self.now - self.begins >= self.season
        season = self._season[(self.now + ahead - 1) % self.season].sum(axis=0) * grown
        found = horizon * self._level + damped * self._trend + season
        best = self._errors.argmin(axis=0)
        return np.asarray(np.maximum(np.take_along_axis(found, best[None], axis=0)[0], 0.0))

    def demand_over(self, horizon: int) -> Demand:
        """Spread by its own errors, since sums of a trend spread by it: σ² Σ (1 + α (h − j))², j = 1 … h."""
        mean = self.mean_over(horizon)
        best = self._errors.argmin(axis=0)
        alpha = self._weights[0][best, 0]
        one_step = self._errors.min(axis=0) / np.maximum(self._steps, 1)
        widened = np.square(1 + alpha * np.arange(horizon)[:, None]).sum(axis=0)
        grown = self._steps > 0
        variance = np.where(grown, one_step * widened, self.spread.variance(horizon, mean))
        return by_the_data(mean, variance, counts=self.spread.counts())


class _Intermittent(_Recursive):
    """Croston's size and interval, from the first demand on (formulas in ``intermittent``)."""

    def __init__(self, known: Known, rate: Callable[[Intermittent], object]) -> None:
        super().__init__(known)
        self._rate = rate
        self._kept = Intermittent(*np.zeros((4, len(known.demand)), np.float32))
        _replay(self, known)

    def learn(self, demand: Floats) -> None:
        self._kept = intermittent.learn(self._kept, demand.astype(np.float32), self._lives())

    def mean_over(self, horizon: int) -> Floats:
        return np.asarray(self._rate(self._kept), np.float64) * horizon


class _Aggregated(_Recursive):
    """Simple smoothing of sums that do not overlap, over one length (ADIDA: Nikolopoulos et al. 2011) or the mean of
    several (IMAPA: Petropoulos and Kourentzes 2015), the longest being the mean interval between demands."""

    def __init__(self, known: Known, *, several: bool) -> None:
        super().__init__(known)
        number = (known.demand > 0).sum(axis=1)
        lived = known.periods - known.begins
        interval = np.clip(np.rint(lived / np.maximum(number, 1)), 1, max(LEVELS)).astype(np.int64)
        if several:
            self._lengths = np.broadcast_to(np.array(LEVELS)[:, None], (len(LEVELS), len(interval)))
            self._used = self._lengths <= interval
        else:
            self._lengths, self._used = interval[None], np.ones((1, len(interval)), np.bool_)
        shape = self._lengths.shape
        self._sum, self._level, self._buckets = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        _replay(self, known)

    def learn(self, demand: Floats) -> None:
        age = self.now - self.begins + 1
        self._sum += np.where(age > 0, demand, 0.0)
        full = (age > 0) & (age % self._lengths == 0)
        self._buckets += full
        weight = np.maximum(AGGREGATED, 1 / np.maximum(self._buckets, 1))
        self._level += np.where(full, weight * (self._sum / self._lengths - self._level), 0.0)
        self._sum[full] = 0.0

    def mean_over(self, horizon: int) -> Floats:
        used = self._used & (self._buckets > 0)
        return np.asarray((self._level * used).sum(axis=0) / np.maximum(used.sum(axis=0), 1) * horizon)


class _Combined(Fitted):
    def __init__(self, known: Known, models: Sequence[Model]) -> None:
        super().__init__(known)
        self._members = [model.fit(known) for model in models]

    def _learn(self, bucket: Bucket) -> None:
        for member in self._members:
            member.update(bucket)

    def mean_over(self, horizon: int) -> Floats:
        return np.asarray(np.mean([member.mean_over(horizon) for member in self._members], axis=0))


class _Blended(_Combined):
    """Means and standard deviations averaged, as quantile functions of one form are."""

    def demand_over(self, horizon: int) -> Demand:
        said = [member.demand_over(horizon) for member in self._members]
        mean = np.mean([one.mean for one in said], axis=0)
        sd = np.mean([one.sd for one in said], axis=0)
        return by_the_data(mean, sd**2, counts=self.spread.counts())


@dataclass(frozen=True, slots=True)
class Classical:
    """A time-series model by its name."""

    name: str
    fewest_periods: int
    fitted: Callable[[Known], Fitted]

    def fit(self, known: Known) -> Fitted:
        return self.fitted(known)


SEASONAL_NAIVE: Final = Classical("seasonal naive", 28, _SeasonalNaive)
SES: Final = Classical("simple smoothing", 14, _Smoothed)
THETA: Final = Classical("theta", 28, _Theta)
HOLT_WINTERS: Final = Classical("damped Holt-Winters", 56, _HoltWinters)
CROSTON: Final = Classical("Croston", 28, lambda known: _Intermittent(known, intermittent.croston))
SBA: Final = Classical("SBA", 28, lambda known: _Intermittent(known, intermittent.sba))
TSB: Final = Classical("TSB", 28, lambda known: _Intermittent(known, intermittent.tsb))
ADIDA: Final = Classical("ADIDA", 28, lambda known: _Aggregated(known, several=False))
IMAPA: Final = Classical("IMAPA", 28, lambda known: _Aggregated(known, several=True))
COMBINATION: Final = Classical("combination", 28, lambda known: _Combined(known, (SBA, ADIDA, SES, THETA)))
"""The mean of SBA, ADIDA, simple smoothing and Theta."""


def blended(name: str, models: Sequence[Model]) -> Classical:
    """Return the models' mean distribution as a model."""
    fewest = max(model.fewest_periods for model in models)
    return Classical(name, fewest, lambda known: _Blended(known, models))


def smoothed(known: Known, weights: Sequence[float]) -> Fitted:
    """Return simple smoothing with the best of these weights."""
    return _Smoothed(known, weights)


def holt_winters(known: Known, candidates: Sequence[tuple[float, float, float, float]]) -> Fitted:
    """Return damped Holt-Winters with the best of these α, β, γ and φ."""
    return _HoltWinters(known, candidates)
