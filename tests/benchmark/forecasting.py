"""Forecasts: accuracy beside two plain methods on five panels of real demand, and speed.

Demand is forecast for the *sum* of a horizon from several origins, stepping back from the end, and judged by the
quantile loss of that sum. ``ours`` is what ``vmi forecast run`` writes with default settings; ``live`` the state that
the forecast worker moves by one day (daily panels), alone and as it is served: with the model that the weekly pass
would have chosen and the calibration by outcomes laid over it. Beside them stand SBA and optimised simple smoothing,
both with a negative binomial whose variance is that of the history's overlapping sums. Run it:
``python -m tests.benchmark forecasting [--data FOLDER] [--panel NAME] [--speed-only]``.
"""

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
from tests.vmi_testing.panels import BUILDERS, DATA, RealDemand, panels

from vmi_domain import forecasting
from vmi_domain.distributions import by_the_data
from vmi_domain.forecasting import calibration, classical, selection
from vmi_domain.forecasting.ahead import ahead
from vmi_domain.forecasting.panel import Panel, Period
from vmi_domain.forecasting.pool import Known
from vmi_domain.understanding.profiles import profile

SHARES = np.round([*np.arange(0.05, 0.96, 0.05), 0.96, 0.97, 0.98, 0.99], 2)
JUDGED = slice(0, 19)
AT_95 = 18
WEEK = 7
CALIBRATED_WEEKS = 26
"""So long what was said is kept."""
BEST_KNOWN = {
    "OR item d": (0.372, 0.229),
    "OR cust×item w": (0.683, 0.483),
    "CJ store×prod d": (0.460, 0.230),
    "OJ store×brand w": (0.328, 0.166),
    "RAF m": (0.905, 0.909),
}
"""CRPS~ and wQL .95: the best of 17 methods in each column, as measured elsewhere."""


@dataclass(frozen=True)
class Forecast:
    """The demand of a horizon's sum, a row a series."""

    mean: np.ndarray
    quantiles: np.ndarray


def ours(real: RealDemand, origin: int) -> Forecast:
    """Return what the file door says, without any plan."""
    return _ahead(real.until(origin), real.horizon)


def ours_with_plan(real: RealDemand, origin: int) -> Forecast:
    """Return what the file door says with promotions and prices of the horizon as planned."""
    return _ahead(real.until(origin, plan=True), real.horizon)


def _ahead(panel: Panel, horizon: int) -> Forecast:
    found = ahead(panel, horizon, SHARES.tolist())
    return Forecast(found.cumulative_mean[:, -1], found.cumulative_quantiles[:, -1])


def live(real: RealDemand, origin: int) -> Forecast:
    """Return what the worker's state says, moved day by day; series of one location share their week."""
    return _quantiles(real, origin, _live(real, origin))


def live_served(real: RealDemand, origin: int) -> Forecast:
    """Return the same as it is served: with the model that the weekly pass would have chosen, and as outcomes of the
    weeks before have calibrated it, by location and demand pattern."""
    patterns = np.array([profile(one, real.first_period).pattern for one in real.demand[:, :origin]], object)
    choices = _chosen(real, origin, patterns)
    states = forecasting.laid_over(
        _live(real, origin),
        [one.mean_share for one in choices],
        [one.spread_share for one in choices],
        _calibrated(real, origin, patterns),
    )
    return _quantiles(real, origin, states)


def _chosen(real: RealDemand, origin: int, patterns: np.ndarray) -> list[selection.Choice]:
    history = real.demand[:, :origin]
    begins = np.where(history.any(axis=1), (history > 0).argmax(axis=1), origin)
    known = Known(history, begins, real.first_period.toordinal())
    found = selection.backtest(known, selection.whole_pool(real.horizon), real.horizon, 0.95)
    return selection.choose(found, [selection.LIVE] * len(history), patterns)


def _calibrated(real: RealDemand, origin: int, patterns: np.ndarray) -> np.ndarray:
    """Return what the outcomes of the last half year's weeks, taken in one by one, multiply the spread by."""
    scale = np.ones(len(real.demand))
    groups = [
        np.flatnonzero((real.location == location) & (patterns == pattern))
        for location in np.unique(real.location)
        for pattern in np.unique(patterns)
    ]
    first = origin - WEEK * CALIBRATED_WEEKS
    states = forecasting.update(
        forecasting.start(np.full(len(real.demand), np.nan)), real.demand[:, :first], real.first_period
    )
    for week in range(first, origin, WEEK):
        day = real.first_period + timedelta(days=week)
        said = forecasting.demands_over(_shared(real, forecasting.laid_over(states, 1.0, 1.0, scale)), day, WEEK)
        level, demand = said.quantile(0.95), real.demand[:, week : week + WEEK]
        for here in groups:
            if here.size:
                scale[here] = calibration.moved(scale[here[0]], demand[here].sum(axis=1), said.mean[here], level[here])
        states = forecasting.update(states, demand, day)
    return scale


def _live(real: RealDemand, origin: int) -> forecasting.States:
    states = forecasting.start(np.full(len(real.demand), np.nan))
    states = forecasting.update(states, real.demand[:, :origin], real.first_period)
    return _shared(real, states)


def _shared(real: RealDemand, states: forecasting.States) -> forecasting.States:
    shared = states.copy()
    for location in np.unique(real.location):
        here = real.location == location
        shared[here] = forecasting.pooled(states[here])
    return shared


def _quantiles(real: RealDemand, origin: int, states: forecasting.States) -> Forecast:
    demand = forecasting.demands_over(states, real.first_period + timedelta(days=origin), real.horizon)
    return Forecast(demand.mean, np.stack([demand.quantile(share) for share in SHARES], axis=1))


def plain(level: Callable[[np.ndarray], np.ndarray]) -> Callable[[RealDemand, int], Forecast]:
    """Return a method: a level fitted anew at each origin, with the variance of overlapping sums."""

    def forecast(real: RealDemand, origin: int) -> Forecast:
        history = real.demand[:, :origin]
        mean, variance = level(history) * real.horizon, _variance_of_sums(history, real.horizon)
        demand = by_the_data(mean, variance)
        return Forecast(mean, np.stack([demand.quantile(share) for share in SHARES], axis=1))

    return forecast


def sba(history: np.ndarray, smoothing: float = 0.1) -> np.ndarray:
    """Return SBA's rate; the first interval is that from the start to the first demand."""
    size, interval = np.zeros(len(history)), np.zeros(len(history))
    waited = np.ones(len(history))
    for demand in history.T:
        hit, first = demand > 0, (demand > 0) & (interval == 0)
        size = np.where(first, demand, np.where(hit, size + smoothing * (demand - size), size))
        interval = np.where(first, waited, np.where(hit, interval + smoothing * (waited - interval), interval))
        waited = np.where(hit, 1, waited + 1)
    return (1 - smoothing / 2) * size / np.maximum(interval, 1)


def optimised_ses(history: np.ndarray) -> np.ndarray:
    """Return the level of simple smoothing whose weight has the least squared error of one step."""
    best_error, best_level = np.full(len(history), np.inf), np.zeros(len(history))
    begins = (history > 0).argmax(axis=1)
    for smoothing in (0.01, *np.arange(0.05, 1, 0.05)):
        level, error = np.zeros(len(history)), np.zeros(len(history))
        for period, demand in enumerate(history.T):
            error += np.where(period > begins, (demand - level) ** 2, 0)
            moved = np.where(period > begins, level + smoothing * (demand - level), level)
            level = np.where(period == begins, demand, moved)
        better = error < best_error
        best_error, best_level = np.where(better, error, best_error), np.where(better, level, best_level)
    return best_level


def _variance_of_sums(history: np.ndarray, horizon: int) -> np.ndarray:
    running = np.concatenate([np.zeros((len(history), 1)), history.cumsum(axis=1)], axis=1)
    sums = running[:, horizon:] - running[:, :-horizon]
    begins = np.minimum((history > 0).argmax(axis=1), sums.shape[1] - 2)
    lived = np.arange(sums.shape[1]) >= begins[:, None]
    return np.nanvar(np.where(lived, sums, np.nan), axis=1, ddof=1)


@dataclass(frozen=True)
class Score:
    """How good forecasts of the horizon's sum were, over all series and origins."""

    crps: float
    wql_95: float
    bias: float
    coverage_95: float
    """By randomised PIT: counts jump over .95, a coin decides between."""
    seconds: float
    """Of one thousand series' forecast, processor time."""
    places: np.ndarray
    """The outcomes' places in their distributions."""


def score(real: RealDemand, method: Callable[[RealDemand, int], Forecast]) -> Score:
    started = time.process_time()
    forecasts = [method(real, origin) for origin in real.ends()]
    seconds = (time.process_time() - started) / real.origins / len(real.demand) * 1000
    sums = np.concatenate([real.outcomes(origin) for origin in real.ends()])
    mean = np.concatenate([one.mean for one in forecasts])
    quantiles = np.concatenate([one.quantiles for one in forecasts])
    off = sums[:, None] - quantiles
    losses = 2 * np.maximum(SHARES * off, (SHARES - 1) * off).sum(axis=0) / sums.sum()
    padded = np.concatenate([[0.0], SHARES])
    below, at = padded[(quantiles < sums[:, None]).sum(axis=1)], padded[(quantiles <= sums[:, None]).sum(axis=1)]
    places = below + np.random.default_rng(0).random(len(sums)) * (at - below)
    return Score(
        float(losses[JUDGED].mean()),
        float(losses[AT_95]),
        float((mean - sums).sum() / sums.sum()),
        float((places < 0.95).mean()),
        seconds,
        places,
    )


def report_accuracy(data: Path, only: str | None) -> None:
    print("| panel | method | CRPS~ | / best known | wQL .95 | / best known | bias | coverage of .95 | s / 1,000 |")
    print("|---|---|---|---|---|---|---|---|---|")
    places = []
    for real in panels(data, print):
        if only not in (None, real.name):
            continue
        methods = {"ours": ours, "SBA + NB": plain(sba), "opt. SES + NB": plain(optimised_ses)}
        if real.period is Period.DAY:
            methods["live"] = live
            methods["live, as served"] = live_served
        if real.price is not None:
            methods["ours, with the plan"] = ours_with_plan
        for name, method in methods.items():
            found = score(real, method)
            crps, wql = BEST_KNOWN[real.name]
            if name == "ours":
                places.append(found.places)
            print(
                f"| {real.name} | {name} | {found.crps:.4f} | {found.crps / crps:.3f} | {found.wql_95:.4f} "
                f"| {found.wql_95 / wql:.3f} | {found.bias:+.3f} | {found.coverage_95:.3f} | {found.seconds:.2f} |",
                flush=True,
            )
    if places:
        print(f"\ncoverage of .95 by ours, all panels: {(np.concatenate(places) < 0.95).mean():.3f}")
    print("best known: the best of 17 known methods in that column; a ratio below 1 is better")


def report_speed(series: int = 20_000, days: int = 60) -> None:
    """A closed bucket with three published quantiles, the first learning of a long history, and a batch fit."""
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

    many, long = 10_000, 400
    demand = random.negative_binomial(0.3, 0.3, (many, long)).astype(float)
    started = time.process_time()
    found = selection.backtest(
        Known(demand, (demand > 0).argmax(axis=1), begins.toordinal()), selection.light_pool(), 14, 0.95
    )
    selection.choose(found, [selection.LIVE] * many, ["all"] * many)
    spent = time.process_time() - started
    print(f"light pool fitted, judged and chosen from, {many:,} series × {long} days: {spent:.1f} s")
    _beside(demand[:1000], begins)
    number = np.arange(many)
    panel = Panel(Period.DAY, begins, demand, number * 0, number % 50, number // 50)
    started = time.process_time()
    ahead(panel, 14, [0.5, 0.9, 0.95])
    print(f"batch fit with its selection, {many:,} series × {long} days: {time.process_time() - started:.0f} s")


def _beside(demand: np.ndarray, begins: date) -> None:
    """One thousand series fitted and forecast by some of the pool, and by statsforecast where it is installed."""
    known = Known(demand, (demand > 0).argmax(axis=1), begins.toordinal())
    for model in (classical.SES, classical.SBA, classical.TSB, classical.ADIDA, classical.THETA, selection.LIVE_STATE):
        started = time.process_time()
        over = model.fit(known).demand_over(14)
        for share in (0.5, 0.9, 0.95):
            over.quantile(share)
        print(f"{model.name}, with three quantiles: {time.process_time() - started:.3f} s / 1,000")
    try:
        library, methods = import_module("statsforecast"), import_module("statsforecast.models")
    except ModuleNotFoundError:
        print("statsforecast is not installed here: left out")
        return
    count, days = demand.shape
    series, day = np.repeat(np.arange(count), days), np.tile(np.arange(days), count)
    table = pd.DataFrame({"unique_id": series, "ds": day, "y": demand.ravel()})
    named = {
        "SES, optimised": methods.SimpleExponentialSmoothingOptimized(),
        "SBA": methods.CrostonSBA(),
        "TSB": methods.TSB(alpha_d=0.1, alpha_p=0.05),
        "ADIDA": methods.ADIDA(),
    }
    for name, method in named.items():
        fast = library.StatsForecast(models=[method], freq=1, n_jobs=1)
        fast.forecast(df=table[table.unique_id < 20], h=14)  # compiled before it is timed
        started = time.process_time()
        fast.forecast(df=table, h=14)
        print(f"statsforecast {name}, no quantiles: {time.process_time() - started:.3f} s / 1,000")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="the folder of the public data sets")
    parser.add_argument("--panel", choices=list(BUILDERS), help="only this panel")
    parser.add_argument("--speed-only", action="store_true", help="leave the panels out")
    arguments = parser.parse_args()
    if not arguments.speed_only:
        report_accuracy(arguments.data, arguments.panel)
    if arguments.panel is None:
        report_speed()


if __name__ == "__main__":
    main()
