"""What a demand is like: how often, how much, when, how regularly, and where it is going."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.understanding import classes
from vmi_domain.values import dataclass

Floats = NDArray[np.float64]

WEEK: Final = 7
MONTHS: Final = 12
DAYS_OF_A_YEAR: Final = 365.25
LOOKED_BACK_DAYS: Final = 3 * 365
"""What a profile is made of: so many days up to the last one that is closed."""
INTERVAL_QUANTILES: Final = (0.1, 0.5, 0.9)
NAN: Final = float("nan")


@dataclass(frozen=True, slots=True)
class Profile:
    """The demand of one series, day by day from its first demand on; base units."""

    days: int
    """From the first demand to the last day looked at."""
    days_with_demand: int
    total: float
    mean_interval_days: float
    """Days / days with demand: ADI."""
    interval_days: tuple[float, ...]
    """0.1, 0.5 and 0.9 quantile of the days from one demand to the next."""
    mean_size: float
    """Of a day with demand."""
    size_variation: float
    """CV² of sizes."""
    regularity: float
    """1 where intervals are all the same, 0 where they scatter as chance would have them or wider."""
    weekdays: tuple[float, ...]
    """Monday first, mean 1."""
    months: tuple[float, ...]
    """January first, mean 1; ones with less than two years."""
    trend_a_year: float
    """Change of the level within a year, as a share of it; NaN with less than half a year."""
    pattern: str
    variation: float
    """Coefficient of variation of the demand of a week, without its season."""


def profile(demand: ArrayLike, first_day: date, *, held_pattern: str | None = None, period_days: int = 1) -> Profile:
    """Return the profile of a demand that has a figure a period from ``first_day`` on; zeros before the first are cut.

    Patterns and intervals are of that period: a demand is intermittent by the week or it is not (formulas.md 5.7).
    """
    figures = np.maximum(np.asarray(demand, np.float64), 0.0)
    hits = np.flatnonzero(figures > 0)
    if not hits.size:
        return Profile(0, 0, 0.0, NAN, (NAN,) * 3, NAN, NAN, NAN, (1.0,) * WEEK, (1.0,) * MONTHS, NAN, "none", NAN)
    start = first_day.toordinal() + int(hits[0]) * period_days
    figures = figures[hits[0] :]
    sizes, places = figures[figures > 0], np.flatnonzero(figures > 0)
    interval, variation = classes.demand_interval(figures), classes.size_variation(figures)
    between = np.diff(places)
    return Profile(
        days=len(figures) * period_days,
        days_with_demand=len(sizes),
        total=float(sizes.sum()),
        mean_interval_days=interval * period_days,
        interval_days=tuple(float(one) * period_days for one in _quantiles(between)),
        mean_size=float(sizes.mean()),
        size_variation=variation,
        regularity=regularity(between),
        weekdays=_weekdays(figures, start) if period_days == 1 else (1.0,) * WEEK,
        months=_months(figures, start, period_days),
        trend_a_year=trend_a_year(figures, period_days),
        pattern=classes.pattern(interval, variation, held_pattern),
        variation=classes.deseasonalised_variation(_weeks(figures, period_days), 52 if period_days <= WEEK else MONTHS),
    )


def _quantiles(between: NDArray[np.int64]) -> Sequence[float]:
    """Return what ``numpy.quantile`` does, to the last bit; it takes longer than all the rest of a profile."""
    if not between.size:
        return (NAN,) * len(INTERVAL_QUANTILES)
    ordered = np.sort(between).tolist()
    found = []
    for share in INTERVAL_QUANTILES:
        below, rest = divmod((len(ordered) - 1) * share, 1)
        low, high = ordered[int(below)], ordered[min(int(below) + 1, len(ordered) - 1)]
        found.append(low + (high - low) * rest if rest < 0.5 else high - (high - low) * (1 - rest))
    return found


def regularity(between: ArrayLike) -> float:
    """Return how regular intervals are, 0 to 1: 1 − their coefficient of variation over that of chance.

    Of chance alone, each day with probability 1 / m, intervals are geometric: CV √(1 − 1/m).
    """
    days = np.asarray(between, np.float64)
    if len(days) < 2:
        return NAN
    mean = float(days.mean())
    by_chance = np.sqrt(max(1.0 - 1.0 / mean, 0.0))
    if by_chance < 1e-9:  # every day
        return 1.0
    return float(np.clip(1.0 - days.std() / mean / by_chance, 0.0, 1.0))


def trend_a_year(figures: Floats, period_days: int = 1) -> float:
    """Return the slope of demand a week (or a longer period) by least squares, over a year, as a share of its mean."""
    weeks, days = _weeks(figures, period_days), max(period_days, WEEK)
    if len(weeks) * days < DAYS_OF_A_YEAR / 2 or weeks.mean() <= 0:
        return NAN
    place = np.arange(len(weeks)) - (len(weeks) - 1) / 2
    return float((place @ weeks) / (place @ place) * (DAYS_OF_A_YEAR / days) / weeks.mean())


def _weeks(figures: Floats, period_days: int) -> Floats:
    """Return whole weeks, counted back from the last day; what is counted by longer periods as it is."""
    if period_days > 1:
        return figures
    count = len(figures) // WEEK
    return np.asarray(figures[len(figures) - count * WEEK :].reshape(count, WEEK).sum(axis=1))


def _share(place: NDArray[np.int64], figures: Floats, width: int) -> tuple[float, ...]:
    days = np.bincount(place, minlength=width)
    means = np.bincount(place, figures, width) / np.maximum(days, 1)
    if (days == 0).any() or means.mean() <= 0:
        return (1.0,) * width
    return tuple((means / means.mean()).tolist())


def _weekdays(figures: Floats, start: int) -> tuple[float, ...]:
    return _share((start - 1 + np.arange(len(figures))) % WEEK, figures, WEEK)


def _months(figures: Floats, start: int, period_days: int) -> tuple[float, ...]:
    if len(figures) * period_days < 2 * DAYS_OF_A_YEAR - 2 - period_days:
        return (1.0,) * MONTHS
    days = (start + place * period_days for place in range(len(figures)))
    month = np.array([date.fromordinal(day).month - 1 for day in days], np.int64)
    return _share(month, figures, MONTHS)
