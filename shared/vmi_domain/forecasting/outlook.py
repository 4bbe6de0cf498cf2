"""From a state to the demand of any horizon: mean, spread and distribution, many series at once."""

from datetime import date
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.distributions import Demand, Family, by_the_data
from vmi_domain.forecasting import weekdays
from vmi_domain.forecasting.plans import Usual
from vmi_domain.forecasting.state import (
    AGREED,
    BROKEN,
    CALIBRATION,
    CHOSEN,
    FRACTIONAL,
    HORIZONS,
    LEVEL,
    OBSERVED,
    PERIOD,
    SUMS_MEAN,
    SUMS_SPREAD,
    SUMS_WEIGHT,
    WEEK,
    WEEKDAYS_ELSEWHERE,
    States,
)
from vmi_domain.values import dataclass

Floats = NDArray[np.float64]

DISPERSION: Final = 2.0
"""Variance over mean of a day's demand, before any history says otherwise."""
DOUBT: Final = 0.5
"""How far the level itself is off before there is history: coefficient of variation of an agreed rate."""
DOUBT_WEIGHT: Final = 1.0
"""The expected spread counts as much as so many measured horizons that do not overlap."""
FEWEST_DAYS: Final = 7.0
MOST_DAYS: Final = 56.0
"""Days of history that weigh as much as the agreed rate, at least and at most."""

FEWEST_LEVEL_DAYS: Final = 40.0
MOST_LEVEL_DAYS: Final = 80.0
"""Days that a level is the mean of, in effect, at least and at most: what it may be off by follows from them."""

_HORIZONS: Final = np.array(HORIZONS, np.float64)


@dataclass(frozen=True, slots=True)
class DemandOver:
    """The demand of one series over one horizon, base units."""

    mean: float
    sd: float
    distribution: Demand

    @property
    def family(self) -> Family:
        return Family(int(self.distribution.family))

    def quantile(self, probability: float) -> float:
        """Return the least level that covers demand with at least this probability."""
        return float(self.distribution.quantile(probability))

    def cdf(self, level: float) -> float:
        """Return P(demand ≤ ``level``)."""
        return float(self.distribution.cdf(level))

    def expected_shortage(self, level: float) -> float:
        """Return E[(demand − ``level``)⁺]."""
        return float(self.distribution.expected_shortage(level))

    def expected_stock(self, level: float) -> float:
        """Return E[(``level`` − demand)⁺]."""
        return float(self.distribution.expected_stock(level))


def demand_over(state: States, first_day: date, days: float, *, elapsed: float = 0.0) -> DemandOver:
    """Return the demand of one series: see ``demands_over``."""
    demand = demands_over(np.atleast_2d(state), first_day, days, elapsed=elapsed).at(0)
    return DemandOver(float(demand.mean), float(demand.sd), demand)


def demands_over(states: States, first_day: date | ArrayLike, days: ArrayLike, *, elapsed: ArrayLike = 0.0) -> Demand:
    """Return each series' demand over ``days`` days, whole or not, that begin within ``first_day``.

    ``first_day`` is a date, or an array of ``date.toordinal()``; ``elapsed`` is the share of it that is
    over already, so that "from now" is today with the share of today that has gone. Mean and variance
    follow the weekdays the horizon touches. Arrays with one row more a horizon ask for several of each series at once.
    """
    first = first_day.toordinal() if isinstance(first_day, date) else np.asarray(first_day)
    length, gone = np.asarray(days, np.float64), np.asarray(elapsed, np.float64)
    shape = np.broadcast_shapes((len(states),), np.shape(first), length.shape, gone.shape)
    weekday, length, gone = (np.broadcast_to(one, shape) for one in ((first - 1) % WEEK, length, gone))
    if np.any(length < 0):
        raise ValueError("a horizon cannot be negative")
    usual_days = _usual_days(states, weekday, gone, length)
    return _demand(states, usual_days, length)


def usual_demand_over(states: States, days: ArrayLike) -> Demand:
    """Return each series' demand over ``days`` days of no particular weekday: what changes of it was learned."""
    length = np.broadcast_to(np.asarray(days, np.float64), len(states))
    return _demand(states, length, length)


def daily_rate(states: States) -> Floats:
    """Return each series' mean demand of a day, base units: what was learned, and the agreed rate as long as needed.

    The chosen model's share lies over it.
    """
    return _with_choice(states, _learned_rate(states))


def _with_choice(states: States, learned: Floats) -> Floats:
    return np.asarray(learned * np.exp(states[:, CHOSEN.start].astype(np.float64)))


def _learned_rate(states: States) -> Floats:
    agreed = states[:, AGREED].astype(np.float64)
    period = states[:, PERIOD].astype(np.float64)
    believed = _believed(agreed, states[:, OBSERVED] * period)
    return np.asarray((1 - believed) * agreed + believed * states[:, LEVEL] / period)


def _believed(agreed: Floats, observed: Floats) -> Floats:
    """Return the weight of the history against the agreed rate λ, 0 to 1: 1 − (κ / (n + κ))² after n days.

    κ days of history are as sure as the rate: their mean has the variance φ λ / κ, the rate (c λ)², so
    κ = φ / (c² λ), within bounds: a week at least, since a weekday is no week. The square lets a rate
    that was far off be forgotten within weeks.
    """
    worth = days_of_doubt(agreed)
    return np.where(agreed > 0, 1.0 - (worth / (observed + worth)) ** 2, 1.0)


def days_of_doubt(rate: Floats) -> Floats:
    """Return κ, the days of history that are as sure of a rate as one is without any."""
    return np.clip(DISPERSION / (DOUBT**2 * np.maximum(rate, 1e-9)), FEWEST_DAYS, MOST_DAYS)


def _demand(states: States, usual_days: Floats, length: Floats) -> Demand:
    period = states[:, PERIOD].astype(np.float64)
    rate = _learned_rate(states)
    mean = _with_choice(states, rate) * usual_days
    variance = _variance(states, rate * period, length / period) * usual_days / np.maximum(length, 1e-9)
    over = states[:, CHOSEN.stop - 1].astype(np.float64) + states[:, CALIBRATION]
    variance = variance * np.exp(2 * over)
    return by_the_data(mean, variance, counts=states[:, FRACTIONAL] < BROKEN)


def _usual_days(states: States, weekday: NDArray[np.int64], gone: Floats, length: Floats) -> Floats:
    """Return how many usual days' demand falls into the horizon: the sum of its weekday factors."""
    columns = np.ascontiguousarray(states.T)
    profile = weekdays.profile(columns, columns[WEEKDAYS_ELSEWHERE]).T.astype(np.float64)
    turned = profile[np.arange(len(states))[:, None], (weekday[..., None] + np.arange(WEEK + 1)) % WEEK]
    running = np.concatenate([np.zeros((*weekday.shape, 1)), np.cumsum(turned, axis=-1)], axis=-1)

    def until(days: Floats) -> Floats:
        weeks, rest = np.divmod(days, WEEK)
        whole = rest.astype(np.int64)
        begun = np.take_along_axis(running, whole[..., None], -1)[..., 0]
        day = np.take_along_axis(turned, whole[..., None], -1)[..., 0]
        return np.asarray(weeks * WEEK + begun + (rest - whole) * day)

    return until(gone + length) - until(gone)


def _variance(states: States, rate: Floats, length: Floats) -> Floats:
    """Return the variance of the demand of ``length`` usual periods of the series, base units squared.

    That of the history's overlapping sums, shrunk towards what would be expected (dispersion φ, doubt c
    of the level, of which κ days of history leave half) as long as few of them lie apart; straight lines
    between the measured horizons, and the last two's growth beyond. A series that now sells more than when
    it was measured spreads in proportion. The level is the mean of n days in effect, and off for all days
    of a horizon h alike, which makes 1 + h / n of the variance.
    """
    weight = states[:, SUMS_WEIGHT].astype(np.float64)
    measured = states[:, SUMS_SPREAD] / np.maximum(weight, 1.0)
    usual = np.maximum(states[:, SUMS_MEAN] / _HORIZONS, 0.0)
    grown = np.maximum(rate[:, None] / np.maximum(usual, np.maximum(0.1 * rate[:, None], 1e-9)), 1.0)
    worth = days_of_doubt(rate)
    doubt = DOUBT**2 * worth / (worth + states[:, OBSERVED].astype(np.float64))
    expected = DISPERSION * rate[:, None] * _HORIZONS + doubt[:, None] * (rate[:, None] * _HORIZONS) ** 2
    apart = weight / _HORIZONS
    rungs = (apart * measured * grown + DOUBT_WEIGHT * expected) / (apart + DOUBT_WEIGHT)
    days = np.clip(states[:, OBSERVED].astype(np.float64), FEWEST_LEVEL_DAYS, MOST_LEVEL_DAYS)
    return _between(rungs, length) * (1.0 + length / days)


def _between(rungs: Floats, length: Floats) -> Floats:
    """Return the variance at ``length`` days from those at ``HORIZONS``: variance a day on straight lines."""
    a_day = rungs / _HORIZONS
    after = np.clip(np.searchsorted(_HORIZONS, length), 1, len(_HORIZONS) - 1)
    row = np.arange(len(rungs))
    share = (length - _HORIZONS[after - 1]) / (_HORIZONS[after] - _HORIZONS[after - 1])
    inside = a_day[row, after - 1] + np.clip(share, 0.0, 1.0) * (a_day[row, after] - a_day[row, after - 1])

    last, half = rungs[:, -1], rungs[:, HORIZONS.index(HORIZONS[-1] // 2)]
    growth = np.clip(np.log2(np.maximum(last, 1e-12) / np.maximum(half, 1e-12)), 1.0, 2.0)
    beyond = last * (np.maximum(length, HORIZONS[-1]) / HORIZONS[-1]) ** growth
    return np.where(length > HORIZONS[-1], beyond, inside * length)


def usual_days(state: States, first_day: date, days: float, *, elapsed: float = 0.0) -> Usual:
    """Return one series' demand over a horizon as ``demand_over`` has it, day by day: what plans are laid over."""
    one = np.atleast_2d(state)
    columns = np.ascontiguousarray(one.T)
    profile = weekdays.profile(columns, columns[WEEKDAYS_ELSEWHERE])[:, 0].astype(np.float64)
    count = max(int(np.ceil(elapsed + days)), 1)
    place = np.arange(count)
    shares = np.clip(np.minimum(place + 1, elapsed + days) - np.maximum(place, elapsed), 0.0, 1.0)
    means = daily_rate(one)[0] * profile[(first_day.toordinal() - 1 + place) % WEEK] * shares
    variance = float(demands_over(one, first_day, days, elapsed=elapsed).variance[0])
    return Usual(first_day, shares, np.asarray(means), variance)


def daily_means(states: States, first_days: NDArray[np.int64], days: int) -> Floats:
    """Return each series' mean demand of each of ``days`` whole days from its first day (``date.toordinal()``) on."""
    columns = np.ascontiguousarray(states.T)
    profile = weekdays.profile(columns, columns[WEEKDAYS_ELSEWHERE]).astype(np.float64)
    weekday = (first_days[:, None] - 1 + np.arange(days)) % WEEK
    return np.asarray(daily_rate(states)[:, None] * profile[weekday, np.arange(len(states))[:, None]])
