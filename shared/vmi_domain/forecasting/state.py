"""The forecast's state: a fixed number of figures a series, whatever the length of its history."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

States = NDArray[np.float32]
"""One row a series, ``WIDTH`` figures each; what they are, the slices below say."""

LAYOUT: Final = 4
"""Counts up when what the figures mean changes: kept states of another layout are learned again from history."""

SMOOTHING: Final = (0.01, 0.02, 0.035, 0.06, 0.1)
"""Weights of the newest day in the smoothed means, a grid from a memory of 100 days to one of 10."""
CANDIDATES: Final = len(SMOOTHING) + 2
"""The smoothed means, SBA and TSB."""
HORIZONS: Final = (1, 2, 3, 5, 7, 10, 14, 21, 28)
"""Days of the overlapping sums whose spread is kept."""
KEPT_DAYS: Final = max(HORIZONS)
WEEK: Final = 7
BROKEN: Final = 0.02
"""Share of days with a demand that is no whole number, from which on demand counts as measured."""


def _slices(*widths: tuple[str, int]) -> tuple[dict[str, slice], int]:
    slices, end = {}, 0
    for name, width in widths:
        slices[name] = slice(end, end + width)
        end += width
    return slices, end


_SLICES, WIDTH = _slices(
    ("agreed", 1),
    ("age", 1),
    ("observed", 1),
    ("fractional", 1),
    ("surplus", 1),
    ("period", 1),
    ("level", 1),
    ("croston", 4),
    ("smoothed", len(SMOOTHING)),
    ("smoothed_weight", len(SMOOTHING)),
    ("levels", WEEK * CANDIDATES),
    ("errors", CANDIDATES),
    ("errors_weight", 1),
    ("weekday_demand", WEEK),
    ("weekday_weight", WEEK),
    ("weekdays_elsewhere", WEEK),
    ("days", KEPT_DAYS),
    ("sums_weight", len(HORIZONS)),
    ("sums_mean", len(HORIZONS)),
    ("sums_spread", len(HORIZONS)),
    ("chosen", 2),
    ("calibration", 1),
)

AGREED: Final = _SLICES["agreed"].start
"""The agreed daily demand; 0 where none is agreed."""
AGE: Final = _SLICES["age"].start
"""Days since the series began: with its first demand, or as soon as a rate is agreed. 0: not yet."""
OBSERVED: Final = _SLICES["observed"].start
"""Days of these on which there was something to sell."""
FRACTIONAL: Final = _SLICES["fractional"].start
"""Share of the days, the newer the more, whose demand was no whole number."""
SURPLUS: Final = _SLICES["surplus"].start
"""How far the last day's demand lay above what was expected when it sold out; carried on as long as nothing comes."""
PERIOD: Final = _SLICES["period"].start
"""Days of the periods that the series is counted by: 1, or 7 where it is reported by the week. All that is said here of
days is of periods then, but the agreed rate; within the week its location's profile tells the days."""
LEVEL: Final = _SLICES["level"].start
"""The combined level, base units a day, free of the weekday."""
CROSTON: Final = _SLICES["croston"]
"""Smoothed size ẑ, smoothed interval p̂, days since the last demand, smoothed probability."""
SMOOTHED: Final = _SLICES["smoothed"]
SMOOTHED_WEIGHT: Final = _SLICES["smoothed_weight"]
"""Discounted sums of demand and of ones; their ratios are the smoothed means, right from the first day."""
LEVELS: Final = _SLICES["levels"]
"""Each candidate's level on the last seven days, by day modulo 7: what it would have said a week ago."""
ERRORS: Final = _SLICES["errors"]
ERRORS_WEIGHT: Final = _SLICES["errors_weight"].start
"""Discounted squared errors of each candidate's sum of a week, and their number."""
WEEKDAY_DEMAND: Final = _SLICES["weekday_demand"]
WEEKDAY_WEIGHT: Final = _SLICES["weekday_weight"]
"""Discounted demand and days by weekday, Monday first."""
WEEKDAYS_ELSEWHERE: Final = _SLICES["weekdays_elsewhere"]
"""The weekday profile of all series of the location, towards which this one's is shrunk; 1 where not known."""
DAYS: Final = _SLICES["days"]
"""Demand of the last ``KEPT_DAYS`` days, by day modulo their number."""
SUMS_WEIGHT: Final = _SLICES["sums_weight"]
SUMS_MEAN: Final = _SLICES["sums_mean"]
SUMS_SPREAD: Final = _SLICES["sums_spread"]
"""Number, mean and sum of squared deviations of the overlapping sums over each horizon, all discounted."""
CHOSEN: Final = _SLICES["chosen"]
"""Logarithms of the shares that the model chosen for the series has of mean and standard deviation; 0: none is."""
CALIBRATION: Final = _SLICES["calibration"].start
"""Logarithm of what outcomes say the standard deviation is to be multiplied by."""


def start(expected_daily_demand: ArrayLike, period_days: ArrayLike = 1) -> States:
    """Return the states of series that have no history yet.

    ``expected_daily_demand`` has one agreed rate a series, base units a day, NaN or 0 where none is agreed;
    ``period_days`` is 7 for those that are reported by the week.
    """
    agreed = np.atleast_1d(np.nan_to_num(np.asarray(expected_daily_demand, np.float64)))
    states = np.zeros((len(agreed), WIDTH), np.float32)
    states[:, WEEKDAYS_ELSEWHERE] = 1.0
    states[:, AGREED] = agreed
    states[:, PERIOD] = period_days
    return states


def agree(states: States, expected_daily_demand: ArrayLike) -> States:
    """Return the states with the agreed daily demand as it is now; what was learned stays."""
    agreed = states.copy()
    agreed[:, AGREED] = np.nan_to_num(np.asarray(expected_daily_demand, np.float64))
    return agreed


def pooled(states: States) -> States:
    """Return the states with the weekday profile of them all in each: they are the series of one location.

    Each series counts by its share of demand, so that the profile is that of the location's total.
    """
    weight = states[:, WEEKDAY_WEIGHT]
    means = np.divide(states[:, WEEKDAY_DEMAND], weight, out=np.zeros_like(weight), where=weight > 0).sum(axis=0)
    pool = states.copy()
    pool[:, WEEKDAYS_ELSEWHERE] = means / means.mean() if means.mean() > 0 and (weight > 0).any(axis=0).all() else 1.0
    return pool


def with_what_lies_over(state: States, other: States) -> States:
    """Return a series' state with what did not come from its own days: another state of it knows its location's week,
    the model that was chosen and what outcomes said."""
    shared = state.copy()
    for figures in (WEEKDAYS_ELSEWHERE, CHOSEN, CALIBRATION):
        shared[..., figures] = other[..., figures]
    return shared


def laid_over(states: States, mean: ArrayLike, deviation: ArrayLike, scale: ArrayLike) -> States:
    """Return the states with a choice and a calibration: what mean and standard deviation are multiplied by.

    What is learned is not touched: the next day moves it as it would have, and they lie over what it says.
    """
    over = states.copy()
    figures = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(deviation, np.float64))
    over[:, CHOSEN] = np.log(np.stack(figures, axis=-1))
    over[:, CALIBRATION] = np.log(np.asarray(scale, np.float64))
    return over


def to_bytes(states: States) -> list[bytes]:
    """Return each series' state as it is kept."""
    return [row.tobytes() for row in np.ascontiguousarray(states, "<f4")]


def from_bytes(kept: Sequence[bytes]) -> States:
    """Return the states that ``to_bytes`` made these of."""
    return np.frombuffer(b"".join(kept), "<f4").reshape(len(kept), WIDTH).astype(np.float32)
