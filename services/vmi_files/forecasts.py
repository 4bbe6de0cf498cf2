"""Forecasts from a sales file to a forecast file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vmi_domain.forecasting.ahead import DAYS_OF, Ahead, ahead
from vmi_domain.forecasting.panel import Floats, Panel
from vmi_domain.forecasting.rehearsal import ahead_by_day
from vmi_files import agreements, calendars, models, sales, tables
from vmi_files.agreements import Agreements
from vmi_files.calendars import Plan
from vmi_files.classes import value_classes
from vmi_files.models import Chosen
from vmi_files.periods import Periods
from vmi_files.sales import Sales, Series
from vmi_files.tables import Warn


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be forecast, from what."""

    sales: str
    periods: Periods
    horizon: int
    quantiles: Sequence[float]
    calendar: str | None = None
    agreements: str | None = None


def run(order: Order, out: str, *, warn: Warn, told: Callable[[float], None]) -> int:
    """Write the forecasts and return the number of series."""
    tables.check_writable(out)
    series, panel, terms = read(order, warn)
    chosen = None if terms is None else _chosen(order, series, panel, terms, warn, told)
    found = ahead(panel, order.horizon, order.quantiles, told=told)
    if chosen is not None:
        found = _as_agreed(found, panel, order, chosen)
    tables.write(out, _columns(order, series, found))
    return len(series)


def read(order: Order, warn: Warn) -> tuple[list[Series], Panel, Agreements | None]:
    """Return the series and what the files say of them."""
    history = sales.read(order.sales, order.periods, warn)
    agreed, terms = None, None
    if order.agreements is not None:
        terms = agreements.read(order.agreements, order.periods.as_of, warn)
        customers = {one.customer_id for one in history.series}
        named = terms.named(customers.pop() if len(customers) == 1 else sales.ONLY_CUSTOMER)
        rates = agreements.rates([terms.of(one) for one in named])
        history = with_new(history, [one for one, rate in zip(named, rates, strict=True) if rate > 0])
        agreed = np.array(agreements.rates([terms.of(one) for one in history.series]), np.float64)
    plan = None
    if order.calendar is not None:
        plan = calendars.read(order.calendar, history, order.periods, order.horizon, warn)
    elif history.promotion:
        warn_of_promotions(order.sales, warn)
    return history.series, panel_of(history, order.periods, plan, agreed), terms


def _chosen(
    order: Order, series: Sequence[Series], panel: Panel, terms: Agreements, warn: Warn, told: Callable[[float], None]
) -> Chosen | None:
    """Return what is chosen of the models that are agreed, None where none are, or do not count."""
    assert order.agreements is not None
    if not models.is_by_day(panel):
        agreements.warn_of_models(order.agreements, terms, models.NOT_BY_DAY, warn)
        return None
    found = [terms.of(one) for one in series]
    names = value_classes(series, panel.demand, order.periods.period, found)
    return models.chosen(panel, [None if one is None else one.agreement for one in found], names, told)


def _as_agreed(found: Ahead, panel: Panel, order: Order, chosen: Chosen) -> Ahead:
    """Return the forecasts with those of agreed models in their places, as the live service would tell them."""
    rows = np.flatnonzero(chosen.is_agreed)
    if not rows.size:
        return found
    agreed = ahead_by_day(panel, rows, order.horizon, np.asarray(order.quantiles, np.float64), chosen.over)
    model, reason = list(found.model), list(found.reason)
    for row in rows.tolist():
        model[row], reason[row] = chosen.model[row], chosen.why[row]

    def put(figures: Floats, others: Floats) -> Floats:
        both = figures.copy()
        both[rows] = others
        return both

    return Ahead(
        put(found.mean, agreed.mean),
        put(found.quantiles, agreed.quantiles),
        put(found.cumulative_mean, agreed.cumulative_mean),
        put(found.cumulative_quantiles, agreed.cumulative_quantiles),
        model,
        reason,
    )


def warn_of_promotions(path: str, warn: Warn) -> None:
    """Say that a history has promotions, and that nothing is known of those ahead."""
    warn(f"{path}: promotions are taken as ordinary demand; with --calendar those ahead are known")


def panel_of(history: Sales, periods: Periods, plan: Plan | None, daily_rates: Floats | None) -> Panel:
    """Return a history as the models see it; ``daily_rates`` are the agreed ones, NaN for none."""
    places = {(one.customer_id, one.location_id): 0 for one in history.series}
    locations = {name: number for number, name in enumerate(places)}
    items = {name: number for number, name in enumerate({one.item_id: 0 for one in history.series})}
    return Panel(
        period=periods.period,
        first_period=periods.start(history.first),
        demand=history.demand,
        begins=history.begins,
        location=np.array([locations[one.customer_id, one.location_id] for one in history.series], np.int64),
        item=np.array([items[one.item_id] for one in history.series], np.int64),
        in_stock=history.in_stock,
        event=None if plan is None else plan.event,
        price=None if plan is None else plan.price,
        closed=None if plan is None else plan.closed,
        agreed=None if daily_rates is None else daily_rates * DAYS_OF[periods.period],
    )


def with_new(history: Sales, named: Sequence[Series]) -> Sales:
    """Return the history with series that are agreed and have sold nothing yet."""
    known = set(history.series)
    series = sorted({*known, *named})
    if len(series) == len(known):
        return history
    old = {one: place for place, one in enumerate(history.series)}
    new = {old[one]: place for place, one in enumerate(series) if one in known}
    rows = np.array([new[place] for place in range(len(old))], np.int64)
    periods = history.demand.shape[1]

    def spread(figures: Any, otherwise: float) -> Any:
        if figures is None:
            return None
        wider = np.full((len(series), *figures.shape[1:]), otherwise, figures.dtype)
        wider[rows] = figures
        return wider

    return Sales(
        series,
        history.first,
        spread(history.begins, periods),
        spread(history.demand, 0.0),
        spread(history.in_stock, 1.0),
        spread(history.price, np.nan),
        {(new[row], period): name for (row, period), name in history.promotion.items()},
    )


def _columns(order: Order, series: Sequence[Series], found: Ahead) -> dict[str, Any]:
    horizon = order.horizon
    starts = [order.periods.start(number) for number in range(horizon)]
    columns: dict[str, Any] = {
        name: [getattr(one, name) for one in series for _ in range(horizon)]
        for name in ("customer_id", "location_id", "item_id")
    }
    columns["period"] = np.tile(np.arange(1, horizon + 1), len(series))
    columns["period_start"] = starts * len(series)
    for prefix, mean, quantiles in (
        ("", found.mean, found.quantiles),
        ("cumulative_", found.cumulative_mean, found.cumulative_quantiles),
    ):
        columns[f"{prefix}mean"] = mean.ravel()
        for place, probability in enumerate(order.quantiles):
            columns[f"{prefix}q{probability:g}"] = quantiles[:, :, place].ravel()
    columns["model"] = [one for one in found.model for _ in range(horizon)]
    columns["reason"] = [one for one in found.reason for _ in range(horizon)]
    return columns
