"""Which model of the pool a series goes by: a rolling-origin backtest, a champion and its challengers."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import date
from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain.distributions import Demand
from vmi_domain.forecasting import classical, learning, outlook, state
from vmi_domain.forecasting.neural import Neural
from vmi_domain.forecasting.pool import HORIZONS, Bucket, Fitted, Floats, Integers, Known, Model
from vmi_domain.forecasting.regression import Boosting, Linear
from vmi_domain.forecasting.windows import stride
from vmi_domain.values import dataclass

LIVE: Final = "live"
"""The state that the worker moves by each closed day: the first champion, and what is fallen back to."""
LOOKED_BACK_DAYS: Final = 400
AT_ONCE: Final = 500
"""Series held against the pool together: what is learned over all series is learned over these."""
ORIGINS: Final = 8
FEWEST_ORIGINS: Final = 4
FEWEST_PERIODS: Final = 56
"""History before the first origin below which nothing is chosen."""
GROUP_ORIGINS: Final = 80.0
"""What all series of a pattern say of a model counts as much as so many origins of the series itself."""
MARGIN: Final = 0.2
"""A challenger's loss must be below the champion's by this share (hysteresis)."""
MOST_BIAS: Final = 0.3
"""A challenger that is off by more than this share of demand over all origins is left out, unless the live state is
further off."""
SHARE_BOUNDS: Final = (0.6, 1.6)
"""How far a choice may move the live state's mean, and its standard deviation."""
LOWEST_QUANTILE: Final = 0.5
HIGHEST_QUANTILE: Final = 0.98
"""Farther out a few origins show nothing."""


class _Live(Fitted):
    """The worker's state behind the pool's interface."""

    def __init__(self, known: Known) -> None:
        super().__init__(known)
        self._states = state.start(np.full(len(known.demand), np.nan))
        self._states = learning.update(self._states, known.demand, date.fromordinal(known.first_day))

    def _learn(self, bucket: Bucket) -> None:
        day = date.fromordinal(self.first_day + self.now)
        self._states = learning.update(self._states, bucket.demand[:, None], day)

    def mean_over(self, horizon: int) -> Floats:
        return self.demand_over(horizon).mean

    def demand_over(self, horizon: int) -> Demand:
        return outlook.demands_over(state.pooled(self._states), date.fromordinal(self.first_day + self.now), horizon)


LIVE_STATE: Final = classical.Classical(LIVE, 0, _Live)


def horizon_of(days: float) -> int:
    """Return the horizon that stands for a protection interval: few of them, so that many series go together."""
    return min(HORIZONS, key=lambda one: (abs(one - days), one))


def light_pool() -> tuple[Model, ...]:
    """Return the models that are fitted by a pass over the history."""
    return (
        LIVE_STATE,
        classical.SEASONAL_NAIVE,
        classical.SES,
        classical.HOLT_WINTERS,
        classical.CROSTON,
        classical.SBA,
        classical.TSB,
        classical.ADIDA,
        classical.IMAPA,
        classical.THETA,
        classical.COMBINATION,
    )


def whole_pool(horizon: int) -> tuple[Model, ...]:
    """Return all models; those that learn from all series together learn for one horizon."""
    blend = classical.blended("blend", (LIVE_STATE, Boosting(horizon), Neural(horizon)))
    return (*light_pool(), Linear(), Boosting(horizon), Neural(horizon), blend)


@dataclass(frozen=True, slots=True)
class Tried:
    """What a backtest found of one model, a figure a series."""

    loss: Floats
    """Pinball loss of the horizon's sum at the agreed quantile, summed over the origins."""
    bias: Floats
    """Σ (f − y) over the origins, base units."""
    now: Demand
    """What it says after the whole history."""


@dataclass(frozen=True, slots=True)
class Backtest:
    """Models side by side."""

    horizon: int
    quantile: Floats
    tried: Mapping[str, Tried]
    origins: Integers
    """Origins that count, by series: those with history enough before them."""
    wanted: Floats
    """Σ y over these origins."""
    fewest: Mapping[str, int]
    lived: Integers
    """Periods of history of each series."""


def backtest(known: Known, models: Sequence[Model], horizon: int, quantile: float | Floats) -> Backtest:
    """Return how models would have done at past origins, each knowing what was known then.

    Each model is fitted before the first origin and then moved period by period, as it would be live; only what
    learns over all series together is not refitted on the way.
    """
    count, periods = known.demand.shape
    asked = np.clip(np.broadcast_to(np.asarray(quantile, np.float64), count), LOWEST_QUANTILE, HIGHEST_QUANTILE)
    origins = sorted(periods - horizon - stride(horizon) * step for step in range(ORIGINS))
    origins = [origin for origin in origins if origin >= FEWEST_PERIODS]
    counted = [known.begins <= origin - FEWEST_PERIODS for origin in origins]
    outcomes = [known.demand[:, origin : origin + horizon].sum(axis=1) for origin in origins]
    tried = {}
    past = known.until(origins[0] if origins else periods)
    fitted = [model.fit(past) for model in models]
    losses, biases = np.zeros((len(models), count)), np.zeros((len(models), count))
    for period in range(past.periods, periods + 1):
        if period in origins:
            place = origins.index(period)
            for number, one in enumerate(fitted):
                said = one.demand_over(horizon)
                off = outcomes[place] - said.quantile(asked)
                losses[number] += np.maximum(asked * off, (asked - 1) * off) * counted[place]
                biases[number] += (said.mean - outcomes[place]) * counted[place]
        if period < periods:
            bucket = Bucket(
                known.demand[:, period],
                None if known.price is None else known.price[:, period],
                None if known.promoted is None else known.promoted[:, period],
            )
            for one in fitted:
                one.update(bucket)
    for number, (model, one) in enumerate(zip(models, fitted, strict=True)):
        tried[model.name] = Tried(losses[number], biases[number], one.demand_over(horizon))
    return Backtest(
        horizon,
        asked,
        tried,
        np.sum(counted, axis=0, dtype=np.int64) if counted else np.zeros(count, np.int64),
        np.sum([y * one for y, one in zip(outcomes, counted, strict=True)], axis=0) if counted else np.zeros(count),
        {model.name: model.fewest_periods for model in models},
        known.periods - known.begins,
    )


class ChosenBy(StrEnum):
    """Who decided which model a series goes by."""

    SERVICE = "service"
    AGREED_POOL = "service, of what is agreed"
    AGREEMENT = "agreement"


@dataclass(frozen=True, slots=True)
class Choice:
    """The model that one series goes by, and why."""

    model: str
    mean_share: float
    """The chosen model's mean over the live state's, over the horizon."""
    spread_share: float
    """The same of the standard deviation over the mean's change."""
    why: str
    ratios: Mapping[str, float]
    """Each model's loss over the live state's, as it was judged; what was left out is not in it."""
    origins: int
    chosen_by: ChosenBy = ChosenBy.SERVICE


def choose(
    found: Backtest,
    champions: Sequence[str],
    groups: NDArray[np.object_] | Sequence[str],
    agreed: Sequence[Collection[str]] = (),
) -> list[Choice]:
    """Return a choice a series: the champion stays unless a challenger's loss is clearly below its.

    ``agreed`` names the models that each series may go by, none: all of the pool. A single one is gone by whatever its
    loss, as soon as the history is long enough for it.

    A series' own losses over a few origins are mostly noise: they are taken together with those of all series of its
    group (demand pattern), which weigh as ``GROUP_ORIGINS`` origins.
    """
    names = list(found.tried)
    live = found.tried[LIVE]
    label = np.asarray(groups, object)
    usual = np.maximum(live.loss / np.maximum(found.origins, 1), 1e-9)
    ratios = np.ones((len(names), len(label)))
    allowed = np.zeros((len(names), len(label)), np.bool_)
    limit = np.maximum(MOST_BIAS * found.wanted, np.abs(live.bias))
    for place, name in enumerate(names):
        one = found.tried[name]
        allowed[place] = (np.abs(one.bias) <= limit) & (found.lived >= found.fewest[name])
        for group in np.unique(label):
            here = (label == group) & (found.origins > 0)
            # Each series counts alike: large ones would speak for all otherwise.
            pooled = float(np.mean(one.loss[here] / found.origins[here] / usual[here])) if here.any() else 1.0
            rows = label == group
            ratios[place, rows] = (one.loss[rows] + GROUP_ORIGINS * pooled * usual[rows]) / (
                live.loss[rows] + GROUP_ORIGINS * usual[rows]
            )
    allowed[names.index(LIVE)] = True
    judged = np.where(allowed, ratios, np.inf)
    losses = [
        {name: round(float(judged[place, row]), 4) for place, name in enumerate(names) if allowed[place, row]}
        for row in range(len(champions))
    ]
    return [
        _agreed_choice(found, ratios, champion, pool, row) if pool else _choice(found, ratios, champion, row)
        for row, (ratios, champion, pool) in enumerate(
            zip(losses, champions, agreed or [()] * len(champions), strict=True)
        )
    ]


def _agreed_choice(
    found: Backtest, ratios: Mapping[str, float], champion: str, pool: Collection[str], row: int
) -> Choice:
    """Return the choice of what is agreed; the live state's where that is not possible yet."""
    origins, lived = int(found.origins[row]), int(found.lived[row])
    if len(pool) == 1:
        [name] = pool
        if lived < found.fewest[name]:
            why = f"agreed is {name}, which needs {found.fewest[name]} periods of history, there are {lived}"
            return Choice(LIVE, 1.0, 1.0, why, ratios, origins)
        return Choice(name, *_shares(found, name, row), "it is agreed", ratios, origins, ChosenBy.AGREEMENT)
    open_to = {name: ratio for name, ratio in ratios.items() if name in pool}
    if not open_to:
        why = f"of the agreed {', '.join(sorted(pool))} each is biased or needs a longer history"
        return Choice(LIVE, 1.0, 1.0, why, ratios, origins)
    if champion not in open_to:
        champion = LIVE if LIVE in open_to else min(open_to, key=lambda name: (open_to[name], name))
    return replace(_choice(found, open_to, champion, row), ratios=ratios, chosen_by=ChosenBy.AGREED_POOL)


def _choice(found: Backtest, ratios: Mapping[str, float], champion: str, row: int) -> Choice:
    """Return the choice among the models that ``ratios`` names."""
    origins = int(found.origins[row])
    if origins < FEWEST_ORIGINS:
        why = f"{origins} past origins with {FEWEST_PERIODS} periods before them, {FEWEST_ORIGINS} are needed"
        return Choice(LIVE, 1.0, 1.0, why, {}, origins)
    if champion not in ratios:
        left, champion = champion, LIVE
        before = f"{left} is biased or unknown now; " if left != LIVE else ""
    else:
        before = ""
    best = min(ratios, key=lambda name: (ratios[name], name))
    if ratios[best] < (1 - MARGIN) * ratios[champion]:
        gain = 1 - ratios[best] / ratios[champion]
        why = f"{before}its loss is {gain:.0%} below that of {champion}"
        return Choice(best, *_shares(found, best, row), why, ratios, origins)
    if best == champion:
        why = f"{before}no other has a lower loss"
    else:
        gain = 1 - ratios[best] / max(ratios[champion], 1e-9)
        why = f"{before}{best} is {gain:.1%} better, {MARGIN:.0%} is asked of a challenger"
    return Choice(champion, *_shares(found, champion, row), why, ratios, origins)


def _shares(found: Backtest, name: str, row: int) -> tuple[float, float]:
    """Return the chosen distribution over the live one, as shares of mean and standard deviation."""
    if name == LIVE:
        return 1.0, 1.0
    chosen, live = found.tried[name].now, found.tried[LIVE].now
    if live.mean[row] <= 0:
        return 1.0, 1.0
    mean = float(np.clip(chosen.mean[row] / live.mean[row], *SHARE_BOUNDS))
    sd = float(np.clip(chosen.sd[row] / max(float(live.sd[row]), 1e-9), *SHARE_BOUNDS))
    return mean, sd
