"""Croston's method and its kin: demand that comes seldom, as a size and an interval (formulas.md 5.8)."""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

SMOOTHING: Final = 0.1
"""α of the size and of the interval."""
PROBABILITY_SMOOTHING: Final = 0.05
"""β of TSB's probability."""


class Intermittent(NamedTuple):
    """What the methods keep of each series."""

    size: NDArray[np.float32]
    """ẑ, base units of a day with demand."""
    interval: NDArray[np.float32]
    """p̂, days from one demand to the next; 0 before the first."""
    waited: NDArray[np.float32]
    """Days since the last demand, or since the start."""
    probability: NDArray[np.float32]
    """Of demand on a day, smoothed every day, so that it decays for an item that died."""


def learn(kept: Intermittent, demand: NDArray[np.float32], counted: NDArray[np.bool_]) -> Intermittent:
    """Return what is kept after one more day; days that are not ``counted`` change nothing.

    Size and interval start at the first demand, with it and with its distance from the start.
    """
    waited = kept.waited + np.float32(1)
    hit = counted & (demand > 0)
    first = hit & (kept.interval == 0)
    size = kept.size + np.float32(SMOOTHING) * (demand - kept.size)
    interval = kept.interval + np.float32(SMOOTHING) * (waited - kept.interval)
    probability = kept.probability + np.float32(PROBABILITY_SMOOTHING) * (hit - kept.probability)
    return Intermittent(
        np.where(first, demand, np.where(hit, size, kept.size)),
        np.where(first, waited, np.where(hit, interval, kept.interval)),
        np.where(hit, np.float32(0), np.where(counted, waited, kept.waited)),
        np.where(first, np.float32(1) / waited, np.where(counted & (kept.interval > 0), probability, kept.probability)),
    )


def croston(kept: Intermittent) -> NDArray[np.float32]:
    """Return ẑ / p̂, base units a day."""
    return np.divide(kept.size, kept.interval, out=np.zeros_like(kept.size), where=kept.interval > 0)


def sba(kept: Intermittent) -> NDArray[np.float32]:
    """Return Croston's rate less its bias, (1 − α/2) ẑ / p̂ (Syntetos and Boylan)."""
    return croston(kept) * np.float32(1 - SMOOTHING / 2)


def sbj(kept: Intermittent) -> NDArray[np.float32]:
    """Return Croston's rate less its bias, (1 − α/(2 − α)) ẑ / p̂ (Shale, Boylan and Johnston)."""
    return croston(kept) * np.float32(1 - SMOOTHING / (2 - SMOOTHING))


def tsb(kept: Intermittent) -> NDArray[np.float32]:
    """Return size times probability, base units a day (Teunter, Syntetos and Babai)."""
    return kept.size * kept.probability
