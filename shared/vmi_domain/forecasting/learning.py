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
    PERIOD,
    SMOOTHED,
    SMOOTHED_WEIGHT,
    SMOOTHING,
    SUMS_MEAN,
    SUMS_SPREAD,
    SUMS_WEIGHT,
    SURPLUS,
    WEEK,
    WEEKDAY_DEMAND,
    WEEKDAY_WEIGHT,
    WEEKDAYS_ELSEWHERE,
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
MOST_DEVIATIONS: Final = 2.0
MOST_DRAWN: Final = 3.0
"""What is added to a day that was short of stock, at most: its mean and so many standard deviations; a draw, so many
times as much."""
CLUSTERING: Final = np.float32(0.05)
"""Share of a sold-out day's surplus over what was expected that the empty days after it would have seen as well: busy
days come in runs (measured on daily retail: 0.06 to 0.1)."""
SURPLUS_KEPT: Final = np.float32(0.95)
"""What is left of the surplus an empty day later."""
WORTH_LEARNING: Final = np.float32(0.1)
"""Empty days are learned, as far as they can be told, while the surplus is above this share of a day's level."""
SPIKE: Final = np.float32(16.0)
"""Standard deviations of a day above its level from which on a day's demand is a one-off: the rest of it says nothing
of other days. Where it comes again it is wider spread by then, and counts."""
SPIKE_DAYS: Final = 14
"""Days of history before a spike can be told."""
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
    share of the day there was something to sell (1 where it is not given), NaN: it sold out, nobody
    knows when. From a day with nothing to sell nothing is learned; on a day that sold out what was
    sold is the least that was wanted, and of a known share the rest is what it suggests (S15).
    Days fed one by one and days fed together lead to the same state, to the last bit. Of series by the
    week a column is a week, and ``first_day`` counts weeks.
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


def likely(states: States, days: ArrayLike, sold: ArrayLike, in_stock: ArrayLike) -> NDArray[np.float64]:
    """Return the demand of one day a series (``date.toordinal()``), given what was sold and for which share of it.

    The same as ``update`` learns, by what the states know now.
    """
    columns = np.array(states.T, order="C")
    day = np.asarray(days, np.int64)
    weekday = weekdays.profile(columns, columns[WEEKDAYS_ELSEWHERE])[(day - 1) % WEEK, np.arange(len(day))]
    stocked = np.asarray(in_stock, np.float32)
    short = np.flatnonzero(~(stocked >= 1))
    wanted, _ = _wanted(columns, columns[LEVEL] * weekday, np.asarray(sold, np.float32), stocked, short, 0)
    return wanted.astype(np.float64)


def _learn_day(columns: Columns, demand: Columns, stocked: Columns | None, day: int) -> None:
    """Move the states, turned on their side, by one day in place."""
    sold = demand = np.maximum(demand, np.float32(0))
    began = (columns[AGE] > 0) | (demand > 0) | (columns[AGREED] > 0)
    seen = began if stocked is None else began & ~(stocked <= 0)  # NaN was seen
    columns[AGE] += began
    columns[OBSERVED] += seen

    weekday = (day - 1) % WEEK  # date.toordinal() counts from a Monday, as 1
    level = columns[LEVEL].copy()
    profile = weekdays.profile(columns)
    demand = _without_spikes(columns, level, demand)
    kept, told = demand, seen
    if stocked is not None:
        expected = level * profile[weekday]
        empty = began & ~seen
        short = np.flatnonzero(began & ~(stocked >= 1))
        likely = expected + np.where(empty, CLUSTERING * columns[SURPLUS], np.float32(0))
        demand, kept = _wanted(columns, likely, demand, stocked, short, day)
        surplus = np.where(stocked >= 1, np.float32(0), np.maximum(demand - expected, np.float32(0)))
        columns[SURPLUS] = np.where(empty, SURPLUS_KEPT * columns[SURPLUS], surplus)
        told = seen | (empty & (columns[SURPLUS] > WORTH_LEARNING * level))
    columns[DAYS][day % KEPT_DAYS] = kept

    _learn_weekday(columns, demand, seen & (columns[PERIOD] == 1), weekday)
    _learn_kind(columns, sold, seen)
    _learn_levels(columns, demand - level * (profile[weekday] - 1), demand, seen, told)
    _learn_spreads(columns, level, profile, told, day)
    _learn_errors(columns, seen, day)


def _without_spikes(columns: Columns, level: Columns, demand: Columns) -> Columns:
    """Return the demand without what exceeds anything this series has ever shown (F50)."""
    days = np.maximum(columns[SUMS_WEIGHT.start], np.float32(1))
    sd = np.sqrt(np.maximum(columns[SUMS_SPREAD.start] / days, level))
    most = level + SPIKE * sd
    return np.where((columns[OBSERVED] >= SPIKE_DAYS) & (most > 0), np.minimum(demand, most), demand)


def _wanted(
    columns: Columns, expected: Columns, sold: Columns, stocked: Columns, short: NDArray[np.intp], day: int
) -> tuple[Columns, Columns]:
    """Return the demand where days were ``short`` of stock, as expected, and as one draw of it (S15).

    Nobody knows when it sold out: E[D | D ≥ s] = s + E[(D − s)⁺] / P(D ≥ s), since a day that sells out is a day of
    high demand. In stock for a share p of the day: what was sold, and (1 − p) of the rate that it suggests,
    (a + s) / (b + p) with demand gamma-Poisson of shape a and rate b a day. Nothing to sell: as was expected.

    Levels learn from expectations. Sums over several days are made of draws: they spread as those of demand do, which
    sums of expectations do not. No more is added than one would expect of a day and some standard deviations: of a
    demand that never was met nobody knows how large it is.
    """
    if not short.size:
        return sold, sold
    mean, least = expected[short].astype(np.float64), sold[short].astype(np.float64)
    share = stocked[short].astype(np.float64)
    unknown = np.isnan(share)
    days = np.maximum(columns[SUMS_WEIGHT.start][short], 1.0)
    whole = columns[FRACTIONAL][short] < BROKEN
    variance = np.maximum(columns[SUMS_SPREAD.start][short] / days, mean)
    usual = by_the_data(mean, variance, counts=whole)
    below = usual.cdf(np.where(whole, least - 1.0, least))
    more = usual.expected_shortage(least) / np.maximum(1.0 - below, _SMALLEST)
    shape = mean**2 / np.maximum(variance - mean, 0.1 * mean + _SMALLEST)
    rest = (1 - share) * (shape + least) / np.maximum(shape / np.maximum(mean, _SMALLEST) + share, _SMALLEST)
    wanted, drawn = sold.copy(), sold.copy()
    most = mean + MOST_DEVIATIONS * usual.sd
    wanted[short] = least + np.minimum(np.where(unknown, more, rest), most)

    chance = _chances(columns[LEVEL][short], day)
    beyond = usual.quantile(np.clip(below + chance * (1.0 - below), _SMALLEST, 1.0 - 1e-6)) - least
    of_the_rest = by_the_data(rest, (1 - share) * np.maximum(variance, rest), counts=whole)
    ahead = np.where(unknown, beyond, of_the_rest.quantile(np.clip(chance, 1e-6, 1.0 - 1e-6)))
    drawn[short] = least + np.clip(ahead, 0.0, least + MOST_DRAWN * most)
    return wanted, drawn


def _chances(levels: Columns, day: int) -> NDArray[np.float64]:
    """Return a number from 0 to 1 a series that nothing but its level and the day decide: no replay draws otherwise."""
    mixed = (levels.view(np.uint32).astype(np.uint64) + np.uint64(day)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    return np.asarray((mixed >> np.uint64(11)) / 2.0**53)


def _learn_weekday(columns: Columns, demand: Columns, seen: Flags, weekday: int) -> None:
    for figures, news in ((columns[WEEKDAY_DEMAND], demand), (columns[WEEKDAY_WEIGHT], np.float32(1))):
        figures[weekday] = np.where(seen, WEEKLY_MEMORY * figures[weekday] + news, figures[weekday])


def _learn_kind(columns: Columns, sold: Columns, seen: Flags) -> None:
    """Move the share of days whose demand was no whole number."""
    broken = sold != np.floor(sold)
    columns[FRACTIONAL] += np.where(seen, (1 - MEMORY) * (broken - columns[FRACTIONAL]), np.float32(0))


def _learn_levels(columns: Columns, usual: Columns, demand: Columns, seen: Flags, told: Flags) -> None:
    """Move the candidates. The smoothed means learn from ``usual``, the demand without its weekday's part.

    They learn from all days that something can be ``told`` of, Croston's kin from those that were ``seen``.
    """
    # A series begins because something was sold: its first day says more of the size than of the rate.
    first = (columns[OBSERVED] == 1) & (columns[PERIOD] == 1)
    usual = np.where(first, FIRST_SHARE * usual, usual)
    day = np.where(first, FIRST_DAYS, np.float32(1))
    for figures, news in ((columns[SMOOTHED], usual), (columns[SMOOTHED_WEIGHT], day)):
        figures[:] = np.where(told, _KEEP * figures + news, figures)
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
