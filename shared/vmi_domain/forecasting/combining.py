"""Shares of several views of one future, learned from what came: their quantile functions are averaged."""

from typing import Final

import numpy as np

from vmi_domain.forecasting.panel import Floats

ROUNDS: Final = 100
STEP: Final = 4.0
TRUST: Final = 0.25
"""How far learned shares are believed against the usual ones, at most."""
SAMPLES_OF_TRUST: Final = 500.0
"""Outcomes at which they are believed half as far as at most."""


def shares(quantiles: Floats, outcomes: Floats, probabilities: Floats, usual: Floats) -> Floats:
    """Return the share of each view (first axis of ``quantiles``), shrunk towards the ``usual`` ones.

    Exponentiated gradient on the quantile loss of the average; all outcomes count by their units.
    """
    if not outcomes.size:
        return usual
    share = np.maximum(usual, 0.01)
    share /= share.sum()
    kept = np.zeros_like(share)
    scale = max(float(np.abs(outcomes).mean()), float(quantiles.mean()), 1e-9) * outcomes.size * len(probabilities)
    flat = quantiles.reshape(len(share), -1)
    for step in range(ROUNDS):
        mixed = np.tensordot(share, quantiles, 1)
        slope = flat @ ((outcomes[:, None] < mixed) - probabilities).ravel() / scale
        share = share * np.exp(-STEP * (slope - slope @ share))
        share /= share.sum()
        if step >= ROUNDS // 2:
            kept += share
    trust = TRUST * outcomes.size / (outcomes.size + SAMPLES_OF_TRUST)
    return np.asarray(trust * kept / kept.sum() + (1 - trust) * usual)


def quantile_loss(outcomes: Floats, quantiles: Floats, probabilities: Floats) -> Floats:
    """Return max(τ(y − q), (1 − τ)(q − y)), a row an outcome and a column a probability."""
    off = outcomes[:, None] - quantiles
    return np.asarray(np.maximum(probabilities * off, (probabilities - 1) * off))
