"""How demand spreads over the week: a series' own profile, shrunk by its noise towards its location's."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain.forecasting.state import (
    SUMS_SPREAD,
    SUMS_WEIGHT,
    WEEK,
    WEEKDAY_DEMAND,
    WEEKDAY_WEIGHT,
)

Columns = NDArray[np.float32]
"""States turned on their side: one row a figure, one column a series."""

SPREAD_OF_PROFILES: Final = 0.05
"""Usual variance of an item's true weekday factors around its location's (measured: 0.03 to 0.1 serve alike)."""
NOISE_FLOOR: Final = 2.0
"""What a series' own profile varies by must exceed its noise by this factor before it is taken as its own."""
_SMALLEST: Final = np.float32(1e-9)


def profile(columns: Columns, towards: Columns | float = 1.0) -> Columns:
    """Return each series' weekday factors, Monday first, with mean 1.

    A weekday's mean is believed as far as weekdays truly differ (τ²), against its own noise, σ² of one
    day over the number n of such weekdays seen::

        f = (1 − w) · towards + w · own        w = τ² / (τ² + σ²/n)

    τ² is what is usual among items, and more where the series' own profile stands out of its noise.
    """
    seen = columns[WEEKDAY_WEIGHT]
    mean = np.divide(columns[WEEKDAY_DEMAND], seen, out=np.zeros_like(seen), where=seen > 0)
    level = mean.mean(axis=0)
    days = columns[SUMS_WEIGHT.start]
    variance = np.divide(columns[SUMS_SPREAD.start], days, out=np.zeros_like(days), where=days > 0)
    # In units of demand squared throughout, so that nothing is divided by a demand that is not there. The spread of one
    # day is never taken to be below that of chance, a Poisson's.
    noise = np.maximum(variance, level) / np.maximum(seen, np.float32(1))
    off = mean - towards * level
    surely = np.maximum((off * off).mean(axis=0) - NOISE_FLOOR * noise.mean(axis=0), np.float32(0))
    spread = np.float32(SPREAD_OF_PROFILES) * level * level + surely
    weight = spread / (spread + noise + _SMALLEST)
    weight *= (seen > 0).all(axis=0)
    factors = towards + weight * off / np.maximum(level, _SMALLEST)
    return np.asarray(factors * (WEEK / factors.sum(axis=0)), np.float32)
