"""Demand of each of the next periods and of their sums, for many series at once, from their whole history.

The file door runs this. The live worker moves its state (``state``, ``learning``) by one day at a time instead: it
shares the distributions, the weekday's shrinkage and the worth of an agreed rate, and knows neither boosting nor plans.
"""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from vmi_domain.distributions import by_the_data
from vmi_domain.forecasting import batch, censoring, effects, windows
from vmi_domain.forecasting.batch import WindowDemand, at_probabilities
from vmi_domain.forecasting.outlook import DISPERSION, DOUBT, FEWEST_DAYS, MOST_DAYS
from vmi_domain.forecasting.panel import A_YEAR, Flags, Floats, Panel, Period
from vmi_domain.forecasting.windows import PROBABILITIES, SMALLEST_FACTOR, VIEWS, Past, Window
from vmi_domain.values import dataclass

DAYS_OF: Final = {Period.DAY: 1.0, Period.WEEK: 7.0, Period.MONTH: 30.4375}

_FAR_OUT: Final = np.geomspace(1e-5, 0.01, 16)
_EDGES: Final = np.concatenate([[0.0], _FAR_OUT[:-1], np.linspace(0.01, 0.99, 99), 1 - _FAR_OUT[-2::-1], [1.0]])
ALL: Final = (_EDGES[1:] + _EDGES[:-1]) / 2
"""Probabilities that stand for all outcomes: a hundredth each, and finer far out, where much of the variance is."""
_WEIGHTS: Final = np.diff(_EDGES)

Told = Callable[[float], None]
"""Called with the share of the work that is behind."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """Forecasts of n series, N periods and Q probabilities; base units."""

    mean: Floats
    """n × N, of each period."""
    quantiles: Floats
    """n × N × Q, of each period."""
    cumulative_mean: Floats
    """n × N, of the sum of the first periods."""
    cumulative_quantiles: Floats
    """n × N × Q, of the sum of the first periods."""
    model: Sequence[str]
    reason: Sequence[str]


def silent(share: float) -> None:
    """Tell nobody."""


def ahead(panel: Panel, horizon: int, probabilities: Sequence[float], *, told: Told = silent) -> Ahead:
    """Return the demand of the next ``horizon`` periods of each series.

    The sum of the first h periods is modelled as such, at some h, and on straight lines over log h between them:
    it is what an order has to cover, and its spread is not that of independent periods.
    """
    wanted = np.asarray(probabilities, np.float64)
    past, planned = _past(panel, horizon)
    sums = [Window(0, end) for end in sorted({1, -(-horizon // 4), -(-horizon // 2), horizon})]
    single = [] if horizon == 1 else [Window(horizon - 1, horizon)]
    fitted = _fitted(panel, past, [*sums, *single], told)
    totals = past.factors[:, panel.periods :].cumsum(axis=1)
    cumulative_mean, cumulative = _sums(sums, fitted, totals, wanted)
    mean = np.maximum(np.diff(cumulative_mean, axis=1, prepend=0.0), 0.0)
    mean[past.factors[:, panel.periods :] <= 0] = 0.0
    cumulative_mean = mean.cumsum(axis=1)
    first, last = fitted[sums[0]], fitted[single[0] if single else sums[0]]
    quantiles = _periods(first, last, past.factors[:, panel.periods :], mean, past.counts, wanted)
    agreed = _Agreed.of(panel, past, wanted)
    model, reason = _reasons(panel, fitted[sums[-1]], planned)
    found = Ahead(
        *agreed.mixed(mean, quantiles, past.factors[:, panel.periods :]),
        *agreed.mixed(cumulative_mean, cumulative, totals),
        model,
        agreed.told(reason),
    )
    told(1.0)
    return _whole(found) if past.counts else found


@dataclass(frozen=True, slots=True)
class Totals:
    """Demand of the sum of the first h periods, h = 1 … N, of n series; base units."""

    mean: Floats
    """n × N."""
    variance: Floats
    """n × N."""
    counts: bool | Flags
    """Demand comes in whole units: all of it, or of each series."""
    model: Sequence[str]
    reason: Sequence[str]


def totals_ahead(panel: Panel, horizon: int, ends: Sequence[int], *, told: Told = silent) -> Totals:
    """Return the demand of the sum of the first h periods, modelled as such at ``ends``: when orders arrive.

    It is what ``ahead`` says of sums, with a fit at each of the ends and none of single periods.
    """
    past, planned = _past(panel, horizon)
    sums = [Window(0, end) for end in sorted({min(max(end, 1), horizon) for end in ends})]
    fitted = _fitted(panel, past, sums, told)
    totals = past.factors[:, panel.periods :].cumsum(axis=1)
    mean, quantiles = _sums(sums, fitted, totals, ALL)
    agreed = _Agreed.of(panel, past, ALL)
    mean, quantiles = agreed.mixed(mean, quantiles, totals)
    squared = (quantiles - (quantiles @ _WEIGHTS)[..., None]) ** 2
    variance = np.maximum(squared @ _WEIGHTS, mean if past.counts else 0.0)
    model, reason = _reasons(panel, fitted[sums[-1]], planned)
    told(1.0)
    return Totals(mean, variance, past.counts, model, agreed.told(reason))


def _fitted(panel: Panel, past: Past, wanted: Sequence[Window], told: Told) -> dict[Window, WindowDemand]:
    needed = {origin for window in wanted for origin in batch.origins(panel.periods, window)}
    smoothed = windows.levels(past, [*sorted(needed), panel.periods])
    fitted: dict[Window, WindowDemand] = {}
    for window in wanted:
        told(len(fitted) / len(wanted))
        fitted[window] = batch.window_demand(past, smoothed, window)
    return fitted


def _past(panel: Panel, horizon: int) -> tuple[Past, bool]:
    """Return the history with what could not be seen filled in, its factors, and whether a plan was used."""
    demand = np.maximum(panel.demand, 0.0)
    counts = bool((demand == np.floor(demand)).mean() >= 0.98)
    lived = np.arange(panel.periods) >= panel.begins[:, None]
    calendar = effects.calendar_factors(panel, horizon)
    factors, extra, observed = calendar, None, lived
    drawn, unobserved = None, None
    for _ in range(2 if panel.in_stock is not None else 1):
        found = effects.plan_effects(panel, demand, calendar, observed)
        if found is not None:
            factors, extra = calendar * np.exp(found[0]), found[1]
        if panel.in_stock is not None:
            seen = np.maximum(panel.demand, 0.0)
            demand, drawn, unobserved = censoring.uncensored(seen, panel.in_stock, factors[:, : panel.periods], lived)
            observed = lived & unobserved
    groups = tuple(group for group in (panel.location, panel.item) if len(np.unique(group)) > 1)
    year = A_YEAR[panel.period]
    return Past(demand, factors, panel.begins, counts, year, groups, extra, drawn, unobserved), extra is not None


def _sums(
    sums: list[Window], fitted: dict[Window, WindowDemand], totals: Floats, wanted: Floats
) -> tuple[Floats, Floats]:
    """Return mean and quantiles of the sum of the first h periods, for each h."""
    ends = np.array([window.end for window in sums])
    horizon = totals.shape[1]
    per_usual = 1 / np.maximum(totals[:, ends - 1], 1e-9)
    means = np.stack([fitted[window].mean for window in sums], axis=1) * per_usual
    modelled = [at_probabilities(fitted[one].quantiles, wanted, fitted[one].mean) for one in sums]
    quantiles = np.stack(modelled, axis=1) * per_usual[:, :, None]
    # A sum of closed days says nothing of a usual one: what the next longer sum says stands for it.
    for place in reversed(range(len(ends))):
        closed = totals[:, ends[place] - 1] < SMALLEST_FACTOR * ends[place]
        longer = place + 1 < len(ends)
        means[closed, place] = means[closed, place + 1] if longer else 0.0
        quantiles[closed, place] = quantiles[closed, place + 1] if longer else 0.0
    length = np.log(np.arange(1, horizon + 1))
    after = np.clip(np.searchsorted(np.log(ends), length), min(1, len(ends) - 1), len(ends) - 1)
    before = np.maximum(after - 1, 0)
    span = np.maximum(np.log(ends)[after] - np.log(ends)[before], 1e-9)
    share = np.clip((length - np.log(ends)[before]) / span, 0.0, 1.0)
    mean = (means[:, before] + share * (means[:, after] - means[:, before])) * totals
    between = quantiles[:, before] + share[:, None] * (quantiles[:, after] - quantiles[:, before])
    between = np.maximum.accumulate(between * totals[:, :, None], axis=1)
    return np.maximum.accumulate(mean, axis=1), between


def _periods(
    first: WindowDemand, last: WindowDemand, factors: Floats, mean: Floats, counts: bool, wanted: Floats
) -> Floats:
    """Return the quantiles of each period: a negative binomial, moved as far as the first and the last one are."""
    horizon = mean.shape[1]
    share = np.linspace(0.0, 1.0, horizon)
    ends = []
    for one, place in ((first, 0), (last, horizon - 1)):
        modelled = at_probabilities(one.quantiles, wanted, one.mean)
        variance = np.maximum((one.quantiles**2).mean(axis=1) - one.quantiles.mean(axis=1) ** 2, 1.1 * one.mean)
        moved = modelled - _quantiles(one.mean, variance, counts, wanted)
        factor = factors[:, place]
        moved[factor < SMALLEST_FACTOR] = 0.0
        variance = np.where(factor < SMALLEST_FACTOR, 0.0, variance)
        ends.append((variance, moved, np.maximum(factor, SMALLEST_FACTOR)))
    found = np.zeros((*mean.shape, len(wanted)))
    for step in range(horizon):
        ratios = [np.clip(factors[:, step] / factor, 0.0, 5.0) for _, _, factor in ends]
        parts = (1 - share[step], share[step])
        variance = sum(part * end[0] * ratio**1.5 for part, end, ratio in zip(parts, ends, ratios, strict=True))
        moved = sum(part * end[1] * ratio[:, None] for part, end, ratio in zip(parts, ends, ratios, strict=True))
        found[:, step] = _quantiles(mean[:, step], np.maximum(variance, 1.1 * mean[:, step]), counts, wanted) + moved
        found[factors[:, step] <= 0, step] = 0.0
    return np.maximum(np.maximum.accumulate(found, axis=2), 0.0)


def _quantiles(mean: Floats, variance: Floats, counts: bool, wanted: Floats) -> Floats:
    shape = (len(mean), len(wanted))
    spread = by_the_data(
        np.broadcast_to(mean[:, None], shape), np.broadcast_to(variance[:, None], shape), counts=counts
    )
    return spread.quantile(wanted)


@dataclass(frozen=True, slots=True)
class _Agreed:
    """An agreed rate, which counts as long as the history is short (as in the live worker)."""

    rate: Floats
    part: Floats
    wanted: Floats

    @classmethod
    def of(cls, panel: Panel, past: Past, wanted: Floats) -> "_Agreed":
        rate = np.zeros(len(panel.demand)) if panel.agreed is None else np.nan_to_num(panel.agreed)
        days = DAYS_OF[panel.period]
        worth = np.clip(DISPERSION / (DOUBT**2 * np.maximum(rate / days, 1e-9)), FEWEST_DAYS, MOST_DAYS) / days
        age = np.maximum(panel.periods - panel.begins, 0)
        return cls(rate, np.where(rate > 0, worth / (worth + age), 0.0), wanted)

    def mixed(self, mean: Floats, quantiles: Floats, usual: Floats) -> tuple[Floats, Floats]:
        """Return mean and quantiles with what is agreed in them; ``usual`` periods it is of."""
        if not self.part.any():
            return mean, quantiles
        part = self.part[:, None]
        agreed = self.rate[:, None] * usual
        shape = quantiles.shape
        variance = DISPERSION * agreed + (DOUBT * agreed) ** 2
        of_agreed = by_the_data(
            np.broadcast_to(agreed[..., None], shape), np.broadcast_to(variance[..., None], shape)
        ).quantile(self.wanted)
        mixed = (1 - part[..., None]) * quantiles + part[..., None] * of_agreed
        return (1 - part) * mean + part * agreed, mixed

    def told(self, reasons: Sequence[str]) -> list[str]:
        return [
            f"{one}; the agreed rate counts {share:.0%}" if share > 0.005 else one
            for one, share in zip(reasons, self.part.tolist(), strict=True)
        ]


def _whole(found: Ahead) -> Ahead:
    """Return the quantiles of counts as whole numbers: modelled spread over the unit around each, so to the nearest."""
    return Ahead(
        found.mean,
        np.floor(found.quantiles + 0.5),
        found.cumulative_mean,
        np.floor(found.cumulative_quantiles + 0.5),
        found.model,
        found.reason,
    )


def _reasons(panel: Panel, last: WindowDemand, planned: bool) -> tuple[list[str], list[str]]:
    fit = last.fit
    boosted = bool((fit.trust > 0).any())
    model = "combination" + ("+boosting" if boosted else "") + ("+plan" if planned else "")
    shares = fit.shares[:, 0]
    largest = np.argsort(-shares, kind="stable")[:3].tolist()
    views = ", ".join(f"{VIEWS[place]} {shares[place]:.0%}" for place in largest)
    learned = f"{len(PROBABILITIES)} quantiles of {len(VIEWS)} views ({views}) over {fit.samples} past horizons"
    if boosted:
        learned += f", boosted correction kept {fit.trust[0]:.0%} and {fit.trust[1]:.0%} in the tail"
    elif not fit.samples:
        learned = f"history too short to judge by: usual shares of {len(VIEWS)} views"
    if planned:
        learned += "; promotions and prices by plan"
    sold_once = (panel.demand.max(axis=1, initial=0.0) > 0).tolist()
    return (
        [model if sold else "none" for sold in sold_once],
        [learned if sold else "no demand in the history" for sold in sold_once],
    )
