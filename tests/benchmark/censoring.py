"""History censored by its own stock-outs: a policy that learns from what it let be sold (accuracy.md, lesson 4).

A store orders every seventh day up to a quantile of the demand until the next arrival, three days later; what is not
there is lost. After a begin of half a year in which all demand is seen, three of them run side by side on the same
real demand: one that sees the demand (*uncensored*), one that takes sales for demand (*untreated*), and one that is
told, as the live worker is, when the shelf was empty (*ours*). Run it: ``python -m tests.benchmark censoring``.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from tests.vmi_testing.panels import BUILDERS, DATA, RealDemand

from vmi_domain import forecasting

PANELS = ("OR item d", "CJ store×prod d")
QUANTILES = (0.75, 0.90, 0.975)
REVIEW_DAYS, LEAD_TIME_DAYS = 7, 3
SEEN_DAYS = 182
"""Days at the begin in which all demand is seen, by all three."""
FEWEST_DAYS_SOLD = 10
"""Of these, so that a series takes part: what nobody ever wanted is not on the shelf, and cannot be missed there."""

Shelf = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]
"""Of one day: demand, sold, stock at its begin and at its end."""


@dataclass(frozen=True)
class Run:
    """What came of one way to learn."""

    fill: float
    """Units sold over units wanted."""
    stock: float
    """Units on the shelves at the end of a day, all series together, on average."""


def sees_all(day: Shelf) -> tuple[np.ndarray, np.ndarray | None]:
    return day[0], None


def takes_sales_for_demand(day: Shelf) -> tuple[np.ndarray, np.ndarray | None]:
    return day[1], None


def knows_when_nothing_stood_there(day: Shelf) -> tuple[np.ndarray, np.ndarray | None]:
    """Nothing all day teaches nothing; nothing at the day's end: it sold out, nobody knows when."""
    _, sold, begin, end = day
    return sold, np.where(begin <= 0, 0.0, np.where(end <= 0, np.nan, 1.0))


WAYS: dict[str, Callable[[Shelf], tuple[np.ndarray, np.ndarray | None]]] = {
    "uncensored": sees_all,
    "untreated": takes_sales_for_demand,
    "ours": knows_when_nothing_stood_there,
}


def with_history(real: RealDemand) -> RealDemand:
    """Return the series that have something to begin with."""
    known = (real.demand[:, :SEEN_DAYS] > 0).sum(axis=1) >= FEWEST_DAYS_SOLD
    return replace(real, demand=real.demand[known], location=real.location[known], item=real.item[known])


def simulate(real: RealDemand, quantile: float, way: Callable[[Shelf], tuple[np.ndarray, np.ndarray | None]]) -> Run:
    count, days = real.demand.shape
    states = forecasting.start(np.full(count, np.nan))
    states = forecasting.update(states, real.demand[:, :SEEN_DAYS], real.first_period)
    on_hand = np.zeros(count)
    arriving = np.zeros((days + LEAD_TIME_DAYS + 1, count))
    sold_units = wanted_units = stock_units = 0.0
    for day in range(SEEN_DAYS, days):
        date = real.first_period + timedelta(days=day)
        on_hand = on_hand + arriving[day]
        if (day - SEEN_DAYS) % REVIEW_DAYS == 0:
            level = forecasting.demands_over(states, date, REVIEW_DAYS + LEAD_TIME_DAYS).quantile(quantile)
            position = on_hand + arriving[day + 1 :].sum(axis=0)
            ordered = np.maximum(level - position, 0.0)
            if day == SEEN_DAYS:
                on_hand = on_hand + ordered  # the first order stands there at once
            else:
                arriving[day + LEAD_TIME_DAYS] += ordered
        demand, begin = real.demand[:, day], on_hand
        sold = np.minimum(demand, begin)
        on_hand = begin - sold
        seen, in_stock = way((demand, sold, begin, on_hand))
        stocked = None if in_stock is None else in_stock[:, None]
        states = forecasting.update(states, seen[:, None], date, in_stock=stocked)
        sold_units, wanted_units = sold_units + sold.sum(), wanted_units + demand.sum()
        stock_units += on_hand.sum()
    return Run(sold_units / wanted_units, stock_units / (days - SEEN_DAYS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the public data sets")
    parser.add_argument("--panel", choices=PANELS, help="only this panel")
    arguments = parser.parse_args()
    print(
        "| panel | quantile | fill uncensored | untreated | ours | gap closed | off uncensored | stock / uncensored |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name in PANELS:
        if arguments.panel not in (None, name):
            continue
        try:
            real = with_history(BUILDERS[name](name, arguments.data))
        except (FileNotFoundError, ModuleNotFoundError) as missing:
            print(f"{name}: left out, {missing}")
            continue
        for quantile in QUANTILES:
            runs = {way: simulate(real, quantile, told) for way, told in WAYS.items()}
            best, worst, ours = runs["uncensored"], runs["untreated"], runs["ours"]
            closed = (ours.fill - worst.fill) / (best.fill - worst.fill)
            print(
                f"| {name} | {quantile:g} | {best.fill:.3f} | {worst.fill:.3f} | {ours.fill:.3f} | {closed:.0%} "
                f"| {ours.fill - best.fill:+.3f} | {ours.stock / best.stock:.3f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
