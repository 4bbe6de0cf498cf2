"""Accuracy of forecasts on a history in a file: made anew at past origins, of which each knows what was known then."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from vmi_domain.forecasting.accuracy import Group, Said, coverage, groups
from vmi_domain.forecasting.ahead import ahead
from vmi_domain.forecasting.panel import Panel
from vmi_domain.understanding import classes
from vmi_files.forecasts import Order, read
from vmi_files.sales import Series
from vmi_files.tables import FileRefused, Warn

FEWEST_PERIODS: Final = 8
"""Periods of history before the earliest origin, at least."""


def report(
    order: Order, origins: int, by: str, *, warn: Warn, told: Callable[[float], None]
) -> tuple[list[Group], int]:
    """Return errors by lag of forecasts from ``origins`` origins before the as-of day, a horizon apart."""
    series, panel, _ = read(order, warn)
    starts = [panel.periods - order.horizon * (step + 1) for step in range(origins)]
    starts = [start for start in starts if start >= FEWEST_PERIODS]
    if not starts:
        needed = FEWEST_PERIODS + order.horizon
        raise FileRefused(f"{order.sales}: {panel.periods} periods before --as-of; a report needs {needed} at least")
    means, wanted, before, covered = [], [], [], []
    names: list[str] = []
    labels = _labels(series, panel, by)
    for number, start in enumerate(starts):
        lived = np.flatnonzero(panel.begins < start)
        past = _until(panel, start, order.horizon).at(lived)
        found = ahead(past, order.horizon, [0.95], told=_part(told, number, len(starts)))
        came = panel.demand[lived, start : start + order.horizon].copy()
        if panel.in_stock is not None:
            came[~(panel.in_stock[lived, start : start + order.horizon] == 1)] = np.nan
        means.append(found.mean)
        wanted.append(came)
        before.append(panel.demand[lived, start - 1])
        covered.append(found.quantiles[:, 0, 0])
        names.extend(labels[place] for place in lived.tolist())
    said = Said(np.concatenate(means), np.concatenate(wanted), np.concatenate(before))
    level, label = np.concatenate(covered), np.array(names)
    shares = {name: coverage(said.wanted[label == name, 0], level[label == name]) for name in dict.fromkeys(names)}
    return groups(said, names, shares), len(starts)


def _part(told: Callable[[float], None], number: int, parts: int) -> Callable[[float], None]:
    """Return what is to be told the share of one of several parts."""

    def tell(share: float) -> None:
        told((number + share) / parts)

    return tell


def _until(panel: Panel, start: int, horizon: int) -> Panel:
    """Return what was known at an origin: plans too, as far as they reach."""
    known = slice(0, start + horizon)
    return replace(
        panel,
        demand=panel.demand[:, :start],
        begins=np.minimum(panel.begins, start),
        in_stock=None if panel.in_stock is None else panel.in_stock[:, :start],
        event=None if panel.event is None else panel.event[:, known],
        price=None if panel.price is None else panel.price[:, known],
        closed=None if panel.closed is None else panel.closed[:, known],
    )


def _labels(series: Sequence[Series], panel: Panel, by: str) -> list[str]:
    """Return the group of each series."""
    match by:
        case "series":
            return ["|".join(one) for one in series]
        case "customer":
            return [one.customer_id for one in series]
        case "location":
            return [f"{one.customer_id}|{one.location_id}" for one in series]
        case "class":
            values = classes.by_value(panel.demand.sum(axis=1))
            patterns = [
                classes.pattern(classes.demand_interval(row[begin:]), classes.size_variation(row[begin:]))
                for row, begin in zip(panel.demand, panel.begins.tolist(), strict=True)
            ]
            return [f"{value} {pattern}" for value, pattern in zip(values, patterns, strict=True)]
        case _:
            return ["all"] * len(series)
