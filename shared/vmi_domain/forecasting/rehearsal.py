"""Forecasts of a replay: moved period by period as the live worker's are, and free of what follows.

Days move the live worker's own state. Weeks and months are seen by the batch model's views in their usual shares,
without boosting: light enough to be taken anew at every opportunity.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final, Protocol

import numpy as np

from vmi_domain.distributions import Demand, by_the_data
from vmi_domain.forecasting import censoring, learning, outlook, state, windows
from vmi_domain.forecasting.ahead import Ahead, Totals
from vmi_domain.forecasting.batch import at_probabilities, usual_combination
from vmi_domain.forecasting.panel import A_YEAR, Flags, Floats, Integers, Panel, Period
from vmi_domain.forecasting.windows import Past, Window
from vmi_domain.values import dataclass

WEEK: Final = 7
EACH_DAY: Final = 28
"""Days ahead up to which each is told; farther ones a week apart, evenly between."""
LIVE: Final = "live"
EVENLY: Final = (np.arange(50) + 0.5) / 50


class Rehearsal(Protocol):
    """Forecasts that learn as time goes on."""

    def learn(self, demand: Floats, in_stock: Floats) -> None:
        """Take note of the next period: demand, and the share of it in stock, NaN where it sold out at some time."""

    def demand(self, rows: Integers, periods: Integers) -> Demand:
        """Return the demand of so many periods from now on, of some series."""


def rehearsal(panel: Panel, until: int, over: "Over | None" = None) -> Rehearsal:
    """Return forecasts that know the first ``until`` periods of a history; a choice may lie over those of days."""
    return Days(panel, until, over) if panel.period is Period.DAY else Periods(panel, until)


@dataclass(frozen=True, slots=True)
class Over:
    """What a choice of models lays over the live state of each series: it multiplies mean and standard deviation."""

    mean: Floats
    deviation: Floats


class Days:
    """The live worker's state; a location's weekday profile is pooled once a week."""

    def __init__(self, panel: Panel, until: int, over: Over | None = None) -> None:
        self._day = panel.first_period
        agreed = np.full(len(panel.demand), np.nan) if panel.agreed is None else panel.agreed
        self._states = state.start(agreed)
        self._places = [np.flatnonzero(panel.location == one) for one in np.unique(panel.location)]
        self._states = learning.update(
            self._states, panel.demand[:, :until], self._day, in_stock=_in_stock(panel, until)
        )
        self._day += timedelta(days=until)
        self._pool()
        if over is not None:
            self._states = state.laid_over(self._states, over.mean, over.deviation, 1.0)

    def learn(self, demand: Floats, in_stock: Floats) -> None:
        self._states = learning.update(self._states, demand[:, None], self._day, in_stock=in_stock[:, None])
        self._day += timedelta(days=1)
        if self._day.weekday() == 0:
            self._pool()

    def demand(self, rows: Integers, periods: Integers) -> Demand:
        return outlook.demands_over(self._states[rows], self._day, periods.astype(np.float64))

    def on_day(self, rows: Integers, ahead: int) -> Demand:
        """Return the demand of the day after so many days from now, of some series."""
        return outlook.demands_over(self._states[rows], self._day + timedelta(days=ahead), 1.0)

    def counted(self) -> Flags:
        """Return for each series whether its demand comes in whole units."""
        return np.asarray(self._states[:, state.FRACTIONAL] < state.BROKEN)

    def _pool(self) -> None:
        for place in self._places:
            self._states[place] = state.pooled(self._states[place])


def _in_stock(panel: Panel, until: int) -> Floats | None:
    """Return the share of each day in stock. What is agreed is expected from the first day on: there was nothing to see
    before the series began."""
    early = np.arange(until) < panel.begins[:, None]
    agreed = np.zeros(len(early), np.bool_) if panel.agreed is None else panel.agreed > 0
    early &= agreed[:, None]
    if panel.in_stock is None:
        return np.where(early, 0.0, 1.0) if early.any() else None
    return np.where(early, 0.0, panel.in_stock[:, :until])


def totals_by_day(panel: Panel, horizon: int, over: Over | None = None) -> Totals:
    """Return the demand of the sums of the next days as the live worker's state tells it after the whole history, and
    as a choice of models that lies over it has it."""
    forecasts = Days(panel, panel.periods, over)
    rows = np.arange(len(panel.demand))
    ends = sorted({*range(1, min(horizon, EACH_DAY) + 1), *range(EACH_DAY, horizon, WEEK), horizon})
    found = [forecasts.demand(rows, np.full(len(rows), end)) for end in ends]

    def at_each(figures: Sequence[Floats]) -> Floats:
        known = np.stack([np.zeros(len(rows)), *figures], axis=1)
        place = np.arange(1, horizon + 1)
        after = np.searchsorted([0, *ends], place)
        begin, end = np.array([0, *ends])[after - 1], np.array([0, *ends])[after]
        share = (place - begin) / (end - begin)
        return np.asarray(known[:, after - 1] * (1 - share) + known[:, after] * share)

    sold = np.any(panel.demand > 0, axis=1).tolist()
    return Totals(
        at_each([one.mean for one in found]),
        at_each([one.variance for one in found]),
        forecasts.counted(),
        [LIVE if one else "none" for one in sold],
        ["learned day by day" if one else "no demand in the history" for one in sold],
    )


def ahead_by_day(panel: Panel, rows: Integers, horizon: int, probabilities: Floats, over: Over) -> Ahead:
    """Return the demand of the next days of some series as the live worker's state, with a choice over it, tells it."""
    forecasts = Days(panel, panel.periods, over)
    singles = [forecasts.on_day(rows, ahead) for ahead in range(horizon)]
    sums = [forecasts.demand(rows, np.full(len(rows), ahead + 1)) for ahead in range(horizon)]

    def figures(told: Sequence[Demand]) -> tuple[Floats, Floats]:
        quantiles = [np.stack([one.quantile(each) for each in probabilities.tolist()], axis=-1) for one in told]
        return np.stack([one.mean for one in told], axis=1), np.stack(quantiles, axis=1)

    return Ahead(*figures(singles), *figures(sums), [LIVE] * len(rows), [""] * len(rows))


class Periods:
    """Views of the sums of past weeks or months, in their usual shares."""

    def __init__(self, panel: Panel, until: int) -> None:
        self._panel = panel
        self._demand = [panel.demand[:, :until]]
        known = np.ones((len(panel.demand), until)) if panel.in_stock is None else panel.in_stock[:, :until]
        self._in_stock = [known]
        self._past: Past | None = None
        self._levels: windows.Levels | None = None

    def learn(self, demand: Floats, in_stock: Floats) -> None:
        self._demand.append(demand[:, None])
        self._in_stock.append(in_stock[:, None])
        self._past = None

    def demand(self, rows: Integers, periods: Integers) -> Demand:
        past = self._now()
        assert self._levels is not None
        origin = past.demand.shape[1]
        mean, variance = np.zeros(len(rows)), np.zeros(len(rows))
        for length in np.unique(periods).tolist():
            here = np.flatnonzero(periods == length)
            if length == 0:
                continue
            some = rows[here]
            factors = np.ones((len(some), origin + length))
            levels = windows.Levels(*(figures[..., some] for figures in self._levels))
            sampled = Past(
                past.demand[some], factors, past.begins[some], past.counts, past.a_year, (), None,
                None if past.drawn is None else past.drawn[some],
            )  # fmt: skip
            view = windows.view(sampled, origin, levels, Window(0, length))
            mean[here], modelled = usual_combination(view)
            variance[here] = at_probabilities(modelled, EVENLY, mean[here]).var(axis=1)
        return by_the_data(mean, np.maximum(variance, mean if past.counts else 0.0), counts=past.counts)

    def _now(self) -> Past:
        if self._past is None:
            demand = np.concatenate(self._demand, axis=1)
            in_stock = np.concatenate(self._in_stock, axis=1)
            self._demand, self._in_stock = [demand], [in_stock]
            lived = np.arange(demand.shape[1]) >= self._panel.begins[:, None]
            seen, drawn = demand, None
            if not bool((in_stock == 1).all()):
                seen, drawn, _ = censoring.uncensored(demand, in_stock, np.ones_like(demand), lived)
            counts = bool((demand == np.floor(demand)).mean() >= 0.98)
            year = A_YEAR[self._panel.period]
            factors = np.ones((len(demand), demand.shape[1] + 1))
            self._past = Past(seen, factors, self._panel.begins, counts, year, (), None, drawn)
            self._levels = windows.levels(self._past, [demand.shape[1]])[demand.shape[1]]
        return self._past
