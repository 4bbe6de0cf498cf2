"""Regressions of the pool: a linear one a series for short histories, and one boosted over all series together."""

from typing import Final

import numpy as np

from vmi_domain.distributions import Demand, by_the_data
from vmi_domain.forecasting import boosting
from vmi_domain.forecasting.pool import Bucket, Fitted, Floats, Integers, Known
from vmi_domain.forecasting.windows import stride
from vmi_domain.values import dataclass

RIDGE: Final = 10.0
"""Periods of history that pull each coefficient, but the level, towards nothing."""
FORGETTING: Final = 0.99
"""What a period is worth a period later."""
YEAR_DAYS: Final = 365.25
LONG_ENOUGH: Final = 540
"""Periods from which a year's season can be told from a trend."""
LOOKED_BACK: Final = (3, 7, 14, 28, 56, 112)
"""Periods of the sums that the global models see."""
SAMPLES: Final = 20_000
ORIGINS: Final = 12
PROBABILITIES: Final = np.array([0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.98])
_STEPS: Final = np.diff(np.concatenate([[0.0], (PROBABILITIES[1:] + PROBABILITIES[:-1]) / 2, [1.0]]))
_NORMAL: Final = np.array([-1.645, -1.036, -0.524, 0.0, 0.524, 1.036, 1.645, 2.054])
FEWEST_SAMPLES: Final = 200


class _Linear(Fitted):
    """y = x β by ridge regression (Hoerl and Kennard 1970), its normal equations summed period by period.

    x: one, weekday, a year's sine and cosine where the history is long, logarithm of price over its mean, promotion.
    """

    def __init__(self, known: Known) -> None:
        super().__init__(known)
        self._yearly = known.periods >= LONG_ENOUGH
        self._usual_price = None if known.price is None else np.nanmean(known.price, axis=1)
        self._price, self._promoted = known.price, known.promoted
        calendar = self._calendar(np.arange(known.periods))
        self._width = calendar.shape[1] + 2
        count = len(known.demand)
        self._squares = np.zeros((count, self._width, self._width))
        self._products = np.zeros((count, self._width))
        weight = FORGETTING ** (known.periods - 1 - np.arange(known.periods))
        for start in range(0, count, 256):
            some = slice(start, start + 256)
            demand = known.demand[some]
            x = np.zeros((*demand.shape, self._width))
            x[:, :, :-2] = calendar
            x[:, :, -2] = self._log_price(known.price, some)
            x[:, :, -1] = 0.0 if known.promoted is None else known.promoted[some]
            lived = (np.arange(known.periods) >= known.begins[some, None]) * weight
            weighted = x * lived[:, :, None]
            self._squares[some] = weighted.transpose(0, 2, 1) @ x
            self._products[some] = (weighted * demand[:, :, None]).sum(axis=1)

    def _calendar(self, periods: Integers) -> Floats:
        columns = [np.ones(len(periods))]
        if self.season > 1:
            place = (self.first_day + periods) % self.season
            columns += [(place == one).astype(float) - 1 / self.season for one in range(self.season)]
        if self._yearly:
            turn = 2 * np.pi * (self.first_day + periods) / YEAR_DAYS
            columns += [np.sin(turn), np.cos(turn)]
        return np.stack(columns, axis=1)

    def _log_price(self, price: Floats | None, some: slice = slice(None)) -> Floats | float:
        if price is None or self._usual_price is None:
            return 0.0
        usual = self._usual_price[some]
        return np.asarray(np.nan_to_num(np.log((price[some].T / usual).T)), np.float64)

    def _learn(self, bucket: Bucket) -> None:
        x = np.zeros((len(bucket.demand), self._width))
        x[:, :-2] = self._calendar(np.array([self.now]))
        x[:, -2] = self._log_price(bucket.price)
        x[:, -1] = 0.0 if bucket.promoted is None else bucket.promoted
        x *= self._lives()[:, None]
        self._squares *= FORGETTING
        self._products *= FORGETTING
        self._squares += x[:, :, None] * x[:, None, :]
        self._products += x * bucket.demand[:, None]

    def coefficients(self) -> Floats:
        """Return β, a row a series."""
        pull = np.eye(self._width) * RIDGE
        pull[0, 0] = 1e-6
        return np.asarray(np.linalg.solve(self._squares + pull, self._products[:, :, None])[:, :, 0])

    def mean_over(self, horizon: int) -> Floats:
        return self.planned(horizon, 0.0, 0.0)

    def planned(self, horizon: int, log_price: float, promoted: float) -> Floats:
        """Return the mean of the horizon's sum at a price (logarithm over the usual) and a promoted share."""
        x = np.zeros(self._width)
        x[:-2] = self._calendar(self.now + np.arange(horizon)).sum(axis=0)
        x[-2:] = horizon * log_price, horizon * promoted
        return np.asarray(np.maximum(self.coefficients() @ x, 0.0))


class Windows:
    """What global models see of each series: sums of the latest periods, kept as a ring."""

    def __init__(self, known: Known) -> None:
        longest = max(LOOKED_BACK)
        self._ring = np.zeros((longest, len(known.demand)))
        for period in range(max(known.periods - longest, 0), known.periods):
            self._ring[period % longest] = known.demand[:, period]
        self._begins, self._now = known.begins, known.periods

    def learn(self, demand: Floats) -> None:
        self._ring[self._now % max(LOOKED_BACK)] = demand
        self._now += 1

    def look(self) -> tuple[Floats, Floats, Floats]:
        """Return features (a row a series), and the level and the standard deviation of a period that they are of."""
        latest = self._ring[(self._now - 1 - np.arange(max(LOOKED_BACK))) % max(LOOKED_BACK)]
        return seen(latest, np.maximum(self._now - self._begins, 1))


def seen(latest: Floats, age: np.ndarray) -> tuple[Floats, Floats, Floats]:
    """Return what ``Windows.look`` does of the latest periods, the newest first, a column a series."""
    lived = np.minimum(np.array(LOOKED_BACK)[:, None], age)
    means = latest.cumsum(axis=0)[np.array(LOOKED_BACK) - 1] / lived
    level = 0.5 * means[-1] + 0.5 * means[LOOKED_BACK.index(28)]
    days = np.minimum(age, max(LOOKED_BACK))
    variance = np.maximum((latest**2).sum(axis=0) / days - means[-1] ** 2, level) + 1e-6
    floor = level + 0.05
    features = [np.log((mean + 0.05) / floor) for mean in means[:-1]]
    hit = latest > 0
    waited = np.where(hit.any(axis=0), hit.argmax(axis=0), len(latest))
    features += [np.log(floor), np.log1p(waited), hit.sum(axis=0) / days, np.sqrt(variance) / floor, np.log(days)]
    return np.stack(features, axis=1), level, np.sqrt(variance)


def lessons(known: Known, horizon: int) -> tuple[Floats, Floats]:
    """Return features of past windows, and how far their outcomes lay above the level, in spreads of the window."""
    longest = max(LOOKED_BACK)
    origins = [known.periods - horizon - stride(horizon) * step for step in range(ORIGINS)]
    origins = [origin for origin in origins if origin >= 2 * horizon]
    count = len(known.demand)
    features, residuals = [], []
    random = np.random.default_rng(0)
    for origin in origins:
        rows = np.flatnonzero(known.begins < origin - horizon)
        rows = random.permutation(rows)[: max(SAMPLES // len(origins), 1)] if count * len(origins) > SAMPLES else rows
        latest = known.demand[rows, max(origin - longest, 0) : origin][:, ::-1].T
        padded = np.concatenate([latest, np.zeros((longest - len(latest), len(rows)))])
        found, level, sd = seen(padded, origin - known.begins[rows])
        outcome = known.demand[rows, origin : origin + horizon].sum(axis=1)
        features.append(found)
        residuals.append((outcome - level * horizon) / (sd * np.sqrt(horizon)))
    if not features:
        return np.zeros((0, len(LOOKED_BACK) + 4)), np.zeros(0)
    return np.concatenate(features), np.concatenate(residuals)


class _Boosted(Fitted):
    """Quantiles of the horizon's sum around a recent level, boosted over all series together (``boosting``)."""

    def __init__(self, known: Known, horizon: int) -> None:
        super().__init__(known)
        self._windows, self._horizon = Windows(known), horizon
        features, residuals = lessons(known, horizon)
        self._trees = None
        if len(residuals) >= FEWEST_SAMPLES:
            off = residuals[:, None] - _NORMAL
            self._trees = boosting.fit(
                features, off, np.ones(len(off)), PROBABILITIES, len(off) * stride(horizon) / horizon
            )

    def _learn(self, bucket: Bucket) -> None:
        self._windows.learn(bucket.demand)

    def _quantiles(self) -> Floats:
        features, level, sd = self._windows.look()
        moved = np.zeros((len(level), len(PROBABILITIES))) if self._trees is None else self._trees.predict(features)
        spread = (sd * np.sqrt(self._horizon))[:, None]
        return np.asarray(np.maximum(level[:, None] * self._horizon + spread * (_NORMAL + moved), 0.0))

    def mean_over(self, horizon: int) -> Floats:
        return np.asarray(self._quantiles() @ _STEPS * horizon / self._horizon)

    def demand_over(self, horizon: int) -> Demand:
        quantiles = self._quantiles()
        mean = quantiles @ _STEPS
        variance = np.maximum(np.square(quantiles - mean[:, None]) @ _STEPS, mean)
        share = horizon / self._horizon
        return by_the_data(mean * share, variance * share ** (1 if share < 1 else 1.5), counts=self.spread.counts())


@dataclass(frozen=True, slots=True)
class Linear:
    """Ridge regression on calendar, price and promotion."""

    name: str = "linear"
    fewest_periods: int = 28

    def fit(self, known: Known) -> "_Linear":
        return _Linear(known)


@dataclass(frozen=True, slots=True)
class Boosting:
    """Global gradient boosting, learned for one horizon."""

    horizon: int
    name: str = "boosting"
    fewest_periods: int = 56

    def fit(self, known: Known) -> Fitted:
        return _Boosted(known, self.horizon)
