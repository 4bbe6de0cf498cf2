"""What a closed day teaches: the state moves by one day in constant work, for many series at once."""

from datetime import date
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.distributions import by_the_data
from vmi_domain.forecasting import intermittent, weekdays
from vmi_domain.forecasting.intermittent import Intermittent
from vmi_domain.forecasting.state import (
    AGE,
    AGREED,
    BROKEN,
    CANDIDATES,
    CROSTON,
    DAYS,
    ERRORS,
    ERRORS_WEIGHT,
    FRACTIONAL,
    HORIZONS,
    KEPT_DAYS,
    LEVEL,
    LEVELS,
    OBSERVED,
    SMOOTHED,
    SMOOTHED_WEIGHT,
    SMOOTHING,
    SUMS_MEAN,
    SUMS_SPREAD,
    SUMS_WEIGHT,
    WEEK,
    WEEKDAY_DEMAND,
    WEEKDAY_WEIGHT,
    States,
)
from vmi_domain.forecasting.weekdays import Columns

MEMORY: Final = np.float32(0.995)
"""What a day's weight is worth a day later, in spreads and in errors: a memory of 200 days."""
WEEKLY_MEMORY: Final = np.float32(0.995**7)
FIRST_SHARE: Final = np.float32(0.6)
FIRST_DAYS: Final = np.float32(2)
"""The first day's demand counts as 0.6 of it in two days (measured on short histories)."""
GROWN_UP: Final = 28
"""Days from which intervals between demands are taken to be known."""
SERIES_AT_ONCE: Final = 1024
"""Series moved together: their states fit into a core's cache."""

_KEEP: Final = np.array([1 - weight for weight in SMOOTHING], np.float32)[:, None]
_HORIZONS: Final = np.array(HORIZONS)
_WHOLE_WEEKS: Final = (_HORIZONS // WEEK * WEEK).astype(np.float32)[:, None]
_SMALLEST: Final = np.float32(1e-12)

Flags = NDArray[np.bool_]


def update(states: States, demands: ArrayLike, first_day: date, *, in_stock: ArrayLike | None = None) -> States:
    """Return the states after the closed days from ``first_day`` on.

    ``demands`` has a row a series and a column a day, base units: what was sold and what is known to
    have been lost; a closed day without sales is a zero. ``in_stock`` of the same shape says for which
    share of the day there was something to sell (1 where it is not given). From a day with nothing to
    sell nothing is learned; on a day that sold out what was sold is the least that was wanted (S15).
    Days fed one by one and days fed together lead to the same state, to the last bit.
    """
    wanted = np.asarray(demands, np.float32)
    stocked = None if in_stock is None else np.broadcast_to(np.asarray(in_stock, np.float32), wanted.shape)
    moved = np.empty_like(states)
    for start in range(0, len(states), SERIES_AT_ONCE):
        some = slice(start, start + SERIES_AT_ONCE)
        columns = np.array(states[some].T, order="C")  # a copy, also of a single series
        for place, day in enumerate(range(first_day.toordinal(), first_day.toordinal() + wanted.shape[1])):
            _learn_day(columns, wanted[some, place], None if stocked is None else stocked[some, place], day)
        moved[some] = columns.T
    return moved


def _learn_day(columns: Columns, demand: Columns, stocked: Columns | None, day: int) -> None:
    """Move the states, turned on their side, by one day in place."""
    sold = demand = np.maximum(demand, np.float32(0))
    began = (columns[AGE] > 0) | (demand > 0) | (columns[AGREED] > 0)
    seen = began if stocked is None else began & (stocked > 0)
    columns[AGE] += began
    columns[OBSERVED] += seen

    weekday = (day - 1) % WEEK  # date.toordinal() counts from a Monday, as 1
    level = columns[LEVEL].copy()
    profile = weekdays.profile(columns)
    if stocked is not None:
        expected = level * profile[weekday]
        demand = _wanted(columns, expected, demand, np.flatnonzero(seen & (stocked < 1)))
        # A day with nothing to sell stands in the sums as it was expected to be, so that they stay whole.
        demand = np.where(seen, demand, expected)
    columns[DAYS][day % KEPT_DAYS] = demand

    _learn_weekday(columns, demand, seen, weekday)
    _learn_kind(columns, sold, seen)
    _learn_levels(columns, demand - level * (profile[weekday] - 1), demand, seen)
    _learn_spreads(columns, level, profile, seen, day)
    _learn_errors(columns, seen, day)


def _wanted(columns: Columns, expected: Columns, sold: Columns, sold_out: NDArray[np.intp]) -> Columns:
    """Return the demand, E[D | D ≥ sold] where the day ``sold_out``: a day that sells out is a day of high demand.

    ::

        E[D | D ≥ s] = s + E[(D − s)⁺] / P(D ≥ s)

    No more is added than one would expect of a day and one standard deviation: of a demand that never
    was met nobody knows how large it is.
    """
    if not sold_out.size:
        return sold
    mean, least = expected[sold_out].astype(np.float64), sold[sold_out].astype(np.float64)
    days = np.maximum(columns[SUMS_WEIGHT.start][sold_out], 1.0)
    whole = columns[FRACTIONAL][sold_out] < BROKEN
    day = by_the_data(mean, np.maximum(columns[SUMS_SPREAD.start][sold_out] / days, mean), counts=whole)
    at_least = 1.0 - day.cdf(np.where(whole, least - 1.0, least))
    more = day.expected_shortage(least) / np.maximum(at_least, _SMALLEST)
    wanted = sold.copy()
    wanted[sold_out] = least + np.minimum(more, mean + day.sd)
    return wanted


def _learn_weekday(columns: Columns, demand: Columns, seen: Flags, weekday: int) -> None:
    for figures, news in ((columns[WEEKDAY_DEMAND], demand), (columns[WEEKDAY_WEIGHT], np.float32(1))):
        figures[weekday] = np.where(seen, WEEKLY_MEMORY * figures[weekday] + news, figures[weekday])


def _learn_kind(columns: Columns, sold: Columns, seen: Flags) -> None:
    """Move the share of days whose demand was no whole number."""
    broken = sold != np.floor(sold)
    columns[FRACTIONAL] += np.where(seen, (1 - MEMORY) * (broken - columns[FRACTIONAL]), np.float32(0))


def _learn_levels(columns: Columns, usual: Columns, demand: Columns, seen: Flags) -> None:
    """Move the candidates. The smoothed means learn from ``usual``, the demand without its weekday's part."""
    # A series begins because something was sold: its first day says more of the size than of the rate.
    first = columns[OBSERVED] == 1
    usual = np.where(first, FIRST_SHARE * usual, usual)
    day = np.where(first, FIRST_DAYS, np.float32(1))
    for figures, news in ((columns[SMOOTHED], usual), (columns[SMOOTHED_WEIGHT], day)):
        figures[:] = np.where(seen, _KEEP * figures + news, figures)
    columns[CROSTON] = intermittent.learn(Intermittent(*columns[CROSTON]), demand, seen)


def _learn_spreads(columns: Columns, level: Columns, profile: Columns, seen: Flags, day: int) -> None:
    """Move number, mean and squared deviations of the sums of the last h days, without their weekdays' part."""
    newest_first = columns[DAYS][(day - np.arange(KEPT_DAYS)) % KEPT_DAYS]
    sums = np.cumsum(newest_first, axis=0)[_HORIZONS - 1]
    running = np.zeros((WEEK, columns.shape[1]), np.float32)
    np.cumsum(profile[(day - 1 - np.arange(WEEK - 1)) % WEEK], axis=0, out=running[1:])
    sums -= level * (running[_HORIZONS % WEEK] + _WHOLE_WEEKS - _HORIZONS.astype(np.float32)[:, None])

    whole = seen & (columns[AGE] >= _HORIZONS[:, None])
    weight, mean, spread = columns[SUMS_WEIGHT], columns[SUMS_MEAN], columns[SUMS_SPREAD]
    weight[:] = np.where(whole, MEMORY * weight + 1, weight)
    off = np.where(whole, sums - mean, np.float32(0))
    mean += off / np.maximum(weight, np.float32(1))
    spread[:] = np.where(whole, MEMORY * spread + off * (sums - mean), spread)


def _learn_errors(columns: Columns, seen: Flags, day: int) -> None:
    """Judge what each candidate said a week ago by the week's demand, and combine what they say now."""
    levels = columns[LEVELS].reshape(WEEK, CANDIDATES, -1)
    week = columns[DAYS][(day - np.arange(WEEK)) % KEPT_DAYS].sum(axis=0)
    off = week - WEEK * levels[day % WEEK]
    # A candidate's first word is that of the series' first day; nobody is judged before a week has passed on it.
    judged = seen & (columns[AGE] > WEEK)
    columns[ERRORS] = np.where(judged, MEMORY * columns[ERRORS] + off * off, columns[ERRORS])
    columns[ERRORS_WEIGHT] = np.where(judged, MEMORY * columns[ERRORS_WEIGHT] + 1, columns[ERRORS_WEIGHT])

    now = levels[day % WEEK]
    kept = Intermittent(*columns[CROSTON])
    now[: len(SMOOTHING)] = columns[SMOOTHED] / np.maximum(columns[SMOOTHED_WEIGHT], np.float32(1))
    grown_up = columns[AGE] > GROWN_UP
    now[len(SMOOTHING)] = np.where(grown_up, intermittent.sba(kept), now[0])
    now[len(SMOOTHING) + 1] = np.where(grown_up, intermittent.tsb(kept), now[0])
    np.maximum(now, np.float32(0), out=now)
    columns[LEVEL] = (now * _weights(columns[ERRORS])).sum(axis=0)


def _weights(errors: Columns) -> Columns:
    """Return the candidates' shares: by the fourth power of the inverse squared error, equal before there is one."""
    ratio = (errors.min(axis=0) + _SMALLEST) / (errors + _SMALLEST)
    ratio *= ratio
    ratio *= ratio
    return np.asarray(ratio / ratio.sum(axis=0), np.float32)
