"""What the demand in a sales file is like, series by series and customer by customer."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from vmi_domain.forecasting.ahead import DAYS_OF
from vmi_domain.forecasting.panel import Period
from vmi_domain.understanding import classes
from vmi_domain.understanding.profiles import Profile, profile
from vmi_files import sales
from vmi_files.periods import Periods
from vmi_files.sales import Series
from vmi_files.tables import Warn


@dataclass(frozen=True, slots=True)
class Shown:
    """One series or customer with its classes."""

    name: tuple[str, ...]
    value: float
    """Of the last year's demand: by price where the file has one, else base units."""
    value_class: str
    variation_class: str
    customer_class: str | None
    profile: Profile


def run(path: str, periods: Periods, warn: Warn) -> tuple[list[Shown], list[Shown]]:
    """Return the profiles of series, and of customers, the most valuable first."""
    history = sales.read(path, periods, warn)
    price = np.ones(history.demand.shape)
    if history.price is not None:
        usual = np.nanmean(np.where(np.isfinite(history.price), history.price, np.nan), axis=1, keepdims=True)
        price = np.where(np.isfinite(history.price), history.price, np.nan_to_num(usual, nan=1.0))
    a_year = round(365.25 / DAYS_OF[periods.period])
    value = (history.demand * price)[:, -a_year:].sum(axis=1)
    found = [
        _shown(tuple(series), demand[begin:], worth, ranked, periods, history.first + begin)
        for series, demand, begin, worth, ranked in zip(
            history.series,
            history.demand,
            history.begins.tolist(),
            value.tolist(),
            classes.by_value(value),
            strict=True,
        )
    ]
    customers = _customers(history.series, history.demand, value, periods, history.first)
    return sorted(found, key=lambda one: -one.value), customers


def _customers(
    series: list[Series], demand: np.ndarray, value: np.ndarray, periods: Periods, first: int
) -> list[Shown]:
    names = sorted({one.customer_id for one in series})
    rows = {name: [place for place, one in enumerate(series) if one.customer_id == name] for name in names}
    worth = [float(value[rows[name]].sum()) for name in names]
    found = []
    for name, total, ranked in zip(names, worth, classes.by_value(worth), strict=True):
        bought = demand[rows[name]].sum(axis=0)
        one = _shown((name,), bought, total, ranked, periods, first)
        known = classes.customer_class(ranked, one.profile.mean_interval_days, one.profile.regularity)
        found.append(Shown(one.name, one.value, ranked, one.variation_class, known, one.profile))
    return sorted(found, key=lambda one: -one.value)


def _shown(name: tuple[str, ...], demand: np.ndarray, value: float, ranked: str, periods: Periods, first: int) -> Shown:
    days = {Period.DAY: 1, Period.WEEK: 7, Period.MONTH: 30}[periods.period]
    found = profile(demand, periods.start(first), period_days=days)
    return Shown(name, value, ranked, classes.by_variation(found.variation), None, found)


def as_json(one: Shown) -> dict[str, Any]:
    """Return a profile for a program; what is not known is null."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(part) for part in value]
        if isinstance(value, float):
            return round(value, 4) if np.isfinite(value) else None
        return value

    names = ("customer_id", "location_id", "item_id")[: len(one.name)]
    return {
        **dict(zip(names, one.name, strict=True)),
        "value": round(one.value, 4),
        "value_class": one.value_class,
        "variation_class": one.variation_class,
        **({"customer_class": one.customer_class} if one.customer_class else {}),
        **{name: plain(value) for name, value in asdict(one.profile).items()},
    }
