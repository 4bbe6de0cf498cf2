"""The forecast of many series at once from their whole history: views combined, boosted, calibrated on what came.

For each window ahead the same views are taken at past origins, whose outcomes are known: they say what share each
view gets, where its quantiles lie off (boosting, over all series together) and how far that correction can be
trusted (the latest outcomes, which it has not seen).
"""

from typing import Final, NamedTuple

import numpy as np
from scipy import special

from vmi_domain.distributions import by_the_data
from vmi_domain.forecasting import boosting, combining, windows
from vmi_domain.forecasting.panel import Floats, Integers
from vmi_domain.forecasting.windows import (
    PROBABILITIES,
    USUAL_SHARES,
    USUAL_SHARES_OF_TAIL,
    Levels,
    Past,
    Window,
    stride,
)
from vmi_domain.values import dataclass

ORIGINS: Final = 16
"""Past origins looked at, at most, half a horizon apart."""
SAMPLES: Final = 20_000
"""Past windows learned from, at most; of more series than that some stand for all."""
FEWEST_TO_BOOST: Final = 500
FEWEST_ORIGINS: Final = 4
FEWEST_LENGTHS: Final = 3
"""An origin has so many lengths of the window before it, at least."""
SEEN_ENOUGH: Final = 0.25
"""Share of a window with something to observe for it to be learned from. Windows seen whole are not enough: those in
which nothing ran out are those of low demand."""
USUAL_TRUST: Final = (0.9, 0.2)
"""Share of the boosted correction that is kept before the latest outcomes say otherwise, in the body and in the tail:
what lies far out is learned from few outcomes."""
TRUST_IN_THE_LATEST: Final = (0.35, 0.3)
"""How far the latest outcomes say otherwise."""
USUAL_TRUST_OF_PLAN: Final = (0.9, 1.0)
TRUST_IN_THE_LATEST_OF_PLAN: Final = (0.35, 0.1)
"""The same where a plan is known: how promotions spread, no view of the past tells."""
TRUSTS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
TAIL: Final = 0.9
"""Probabilities from here on have a trust of their own."""
OUTCOMES_OF_TRUST: Final = 400.0
"""Outcomes that do not overlap at which the boosted correction is trusted half as far as usual: from few outcomes it
learns their chance, which comes no second time, and tells too narrow a spread. The rest is the one shift for all."""
SAMPLES_OF_TRUST: Final = 300.0
NEWER: Final = 0.93
"""What an outcome weighs against one from the next origin after it."""
ENSEMBLES: Final = 2
"""Boosted alike but for chance, and averaged."""
TRUST_IN_BIAS: Final = 0.5
BIAS_BOUNDS: Final = (0.7, 1.4)
"""What past outcomes may move the mean by."""
_BODY_AND_TAIL: Final = (np.flatnonzero(PROBABILITIES < TAIL), np.flatnonzero(PROBABILITIES >= TAIL))
_SCORES: Final = special.ndtri(PROBABILITIES)
_STEPS: Final = np.diff(np.concatenate([[0.0], (PROBABILITIES[1:] + PROBABILITIES[:-1]) / 2, [1.0]]))
"""The share of all outcomes that each probability stands for."""


class Fit(NamedTuple):
    """How a window's forecast came about."""

    shares: Floats
    """Views × probabilities."""
    samples: int
    trust: Floats
    """In the body and in the tail; 0 where nothing was boosted."""
    bias: float = 1.0
    """Total of past outcomes over that of the means as combined: the mean is multiplied by it."""


@dataclass(frozen=True, slots=True)
class WindowDemand:
    """The demand of a window: a mean a series, and quantiles at ``PROBABILITIES``."""

    mean: Floats
    quantiles: Floats
    fit: Fit


class _Samples(NamedTuple):
    quantiles: Floats
    means: Floats
    features: Floats
    spread: Floats
    outcomes: Floats
    origin: Integers
    """Number of the origin, 0 the latest."""


def origins(periods: int, window: Window) -> list[int]:
    """Return the past origins of a window, the latest first."""
    found = [periods - window.end - step * stride(window.end) for step in range(ORIGINS)]
    return [origin for origin in found if origin >= FEWEST_LENGTHS * max(window.length, 2) and origin >= window.end]


def window_demand(past: Past, smoothed: dict[int, Levels], window: Window) -> WindowDemand:
    """Return each series' demand of the window after the last period."""
    now = past.demand.shape[1]
    before = origins(now, window)
    view = windows.view(past, now, smoothed[now], window)
    samples = _samples(past, smoothed, window, before)
    if samples is None:
        return _finished(
            past, view, view.spread[:, None] * np.zeros(len(PROBABILITIES)), Fit(_usual_shares(), 0, np.zeros(2))
        )
    shares = _usual_shares()
    for part in _BODY_AND_TAIL:
        usual = shares[:, part[0]]
        learned = combining.shares(samples.quantiles[:, :, part], samples.outcomes, PROBABILITIES[part], usual)
        shares[:, part] = learned[:, None]
    residuals = _residuals(samples, shares)
    if len(residuals) < FEWEST_TO_BOOST or len(before) < FEWEST_ORIGINS:
        shift = _shift(residuals, samples.spread)
        bias = _bias(samples, shares, samples.spread[:, None] * shift)
        return _finished(past, view, view.spread[:, None] * shift, Fit(shares, len(residuals), np.zeros(2), bias))
    apart = min(1.0, stride(window.end) / window.length)
    few = OUTCOMES_OF_TRUST / (OUTCOMES_OF_TRUST + apart * len(residuals))
    trust = _trust(samples, shares, residuals, apart, few, planned=past.extra is not None)
    shift = few * _shift(residuals, samples.spread)
    weight = samples.spread * NEWER**samples.origin
    ensembles = [
        boosting.fit(samples.features, residuals, weight, PROBABILITIES, apart * len(residuals), seed=seed)
        for seed in range(ENSEMBLES)
    ]
    kept = np.where(PROBABILITIES < TAIL, trust[0], trust[1]) / ENSEMBLES
    moved = np.sum([boosted.predict(samples.features) for boosted in ensembles], axis=0) * kept + shift
    bias = _bias(samples, shares, samples.spread[:, None] * moved)
    ahead = np.sum([boosted.predict(view.features) for boosted in ensembles], axis=0) * kept + shift
    correction = view.spread[:, None] * ahead
    return _finished(past, view, correction, Fit(shares, len(residuals), trust, bias))


def _bias(samples: _Samples, shares: Floats, correction: Floats) -> float:
    """Return what the means have to be multiplied by, shrunk by the number of outcomes."""
    means = np.maximum(shares[:, 0] @ samples.means + correction @ _STEPS, 0.0)
    weight = NEWER**samples.origin
    ratio = float((weight * samples.outcomes).sum() / max((weight * means).sum(), 1e-9))
    worth = TRUST_IN_BIAS * len(means) / (len(means) + SAMPLES_OF_TRUST)
    return float(np.clip(1 + worth * (ratio - 1), *BIAS_BOUNDS))


def _usual_shares() -> Floats:
    return np.where(PROBABILITIES < TAIL, USUAL_SHARES[:, None], USUAL_SHARES_OF_TAIL[:, None])


def _combined(shares: Floats, quantiles: Floats) -> Floats:
    return np.asarray(np.einsum("vq,vnq->nq", shares, quantiles))


def _samples(past: Past, smoothed: dict[int, Levels], window: Window, before: list[int]) -> _Samples | None:
    count = len(past.demand)
    some = np.arange(count)
    if before and count * len(before) > SAMPLES:
        some = np.sort(np.random.default_rng(0).choice(count, max(SAMPLES // len(before), 1), replace=False))
    sampled = past.at(some)
    parts = []
    for number, origin in enumerate(before):
        lived = sampled.begins < origin - window.length
        if sampled.observed is not None:
            seen = sampled.observed[:, origin + window.start : origin + window.end].mean(axis=1)
            lived &= seen >= SEEN_ENOUGH
        rows = np.flatnonzero(lived)
        if not rows.size:
            continue
        # Features that speak of groups and totals look at all series that are sampled, not only at those that lived.
        level = Levels(*(figures[..., some] for figures in smoothed[origin]))
        view = windows.view(sampled, origin, level, window)
        parts.append(
            _Samples(
                view.quantiles[:, rows],
                view.means[:, rows],
                view.features[rows],
                view.spread[rows],
                windows.outcome(sampled, origin, window)[rows],
                np.full(len(rows), number),
            )
        )
    if not parts:
        return None
    return _Samples(
        np.concatenate([part.quantiles for part in parts], axis=1),
        np.concatenate([part.means for part in parts], axis=1),
        *(np.concatenate([part[place] for part in parts]) for place in range(2, 6)),
    )


def _residuals(samples: _Samples, shares: Floats) -> Floats:
    """Return how far outcomes lie above each quantile as combined, in spreads.

    Counts are spread over the unit around them, so that a quantile among them is a place and not a jump.
    """
    combined = _combined(shares, samples.quantiles)
    spread_out = samples.outcomes + np.random.default_rng(1).random(len(samples.outcomes)) - 0.5
    return np.asarray((spread_out[:, None] - combined) / samples.spread[:, None])


def _shift(residuals: Floats, weight: Floats) -> Floats:
    """Return the one correction a probability that few outcomes allow: conformal, shrunk by their number."""
    order = np.argsort(residuals, axis=0)
    running = np.cumsum(weight[order], axis=0)
    place = (running < PROBABILITIES * running[-1]).sum(axis=0).clip(0, len(residuals) - 1)
    columns = np.arange(residuals.shape[1])
    found = residuals[order[place, columns], columns]
    return np.asarray(found * len(residuals) / (len(residuals) + SAMPLES_OF_TRUST))


def _trust(samples: _Samples, shares: Floats, residuals: Floats, apart: float, few: float, *, planned: bool) -> Floats:
    """Return which share of the boosted correction the latest third of the origins would have had, shrunk.

    ``apart`` is the share of the outcomes that do not overlap, ``few`` what is taken from the usual trust for want of
    them.
    """
    usual = np.array(USUAL_TRUST_OF_PLAN if planned else USUAL_TRUST)
    said = np.array(TRUST_IN_THE_LATEST_OF_PLAN if planned else TRUST_IN_THE_LATEST)
    latest = max(2, (int(samples.origin.max()) + 1) // 3)
    judged, learned = samples.origin < latest, samples.origin >= latest + 1
    usual *= 1 - few
    if learned.sum() < FEWEST_TO_BOOST // 2:
        return usual / 2
    weight = (samples.spread * NEWER**samples.origin)[learned]
    boosted = boosting.fit(
        samples.features[learned], residuals[learned], weight, PROBABILITIES, apart * float(learned.sum())
    )
    correction = samples.spread[judged, None] * boosted.predict(samples.features[judged])
    combined = _combined(shares, samples.quantiles[:, judged])
    outcomes = samples.outcomes[judged]
    losses = np.array(
        [
            combining.quantile_loss(outcomes, combined + trust * correction, PROBABILITIES).sum(axis=0)
            for trust in TRUSTS
        ]
    )
    best = np.array([TRUSTS[int(losses[:, part].sum(axis=1).argmin())] for part in _BODY_AND_TAIL])
    return np.asarray(said * best + (1 - said) * usual)


def _finished(past: Past, view: windows.View, correction: Floats, fit: Fit) -> WindowDemand:
    quantiles = np.maximum(np.sort(_combined(fit.shares, view.quantiles) + correction, axis=1), 0.0)
    mean = np.maximum(fit.shares[:, 0] @ view.means + correction @ _STEPS, 0.0) * fit.bias
    return WindowDemand(mean, quantiles, fit)


def usual_combination(view: windows.View) -> tuple[Floats, Floats]:
    """Return mean and quantiles (at ``PROBABILITIES``) of views in their usual shares, before any outcome is known."""
    shares = _usual_shares()
    quantiles = np.maximum(np.sort(_combined(shares, view.quantiles), axis=1), 0.0)
    return np.maximum(shares[:, 0] @ view.means, 0.0), quantiles


def at_probabilities(modelled: Floats, probabilities: Floats, mean: Floats) -> Floats:
    """Return quantiles at other probabilities than ``PROBABILITIES``, along the last axis.

    Between two, on a straight line over the normal score; beyond the last, as a negative binomial with the
    spread that they tell goes on from there.
    """
    scores = special.ndtri(probabilities)
    after = np.clip(np.searchsorted(_SCORES, scores), 1, len(_SCORES) - 1)
    share = np.clip((scores - _SCORES[after - 1]) / (_SCORES[after] - _SCORES[after - 1]), 0.0, 1.0)
    found = modelled[..., after - 1] + share * (modelled[..., after] - modelled[..., after - 1])
    for place, probability in enumerate(probabilities):
        if PROBABILITIES[0] <= probability <= PROBABILITIES[-1]:
            continue
        end = 0 if probability < PROBABILITIES[0] else -1
        variance = np.maximum((modelled**2) @ _STEPS - (modelled @ _STEPS) ** 2, mean * 1.1)
        beyond = by_the_data(mean, variance)
        further = beyond.quantile(probability) - beyond.quantile(PROBABILITIES[end])
        found[..., place] = np.maximum(modelled[..., end] + further, 0.0)
    return np.asarray(np.maximum.accumulate(found, axis=-1))
