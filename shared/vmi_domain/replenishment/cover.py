"""How long stock lasts: the period in which it runs out if nothing more is ordered, and cover in days."""

from decimal import Decimal
from math import floor

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def periods_until_out(on_hand: Floats, arrivals: Floats, mean: Floats) -> Floats:
    """Return after how many periods, whole or not, stock is expected to be gone, infinity where it lasts beyond.

    ``arrivals`` and ``mean`` have a row a series and a column a period: what arrives at its start, and what is expected
    to be asked for in it. What is asked for and not there waits here: it is the first time that counts.
    """
    before = on_hand[:, None] + arrivals.cumsum(axis=1)
    left = before - mean.cumsum(axis=1)
    out = (left <= 0) & (mean > 0)
    first = out.argmax(axis=1)
    row = np.arange(len(left))
    share = 1.0 + left[row, first] / np.maximum(mean[row, first], 1e-12)
    return np.where(out.any(axis=1), first + np.clip(share, 0.0, 1.0), np.inf)


def days_of_cover(position: Decimal, daily_mean: float) -> float | None:
    """Return for how many days of mean demand a position lasts; None where there is no demand to speak of."""
    return max(float(position), 0.0) / daily_mean if daily_mean > 1e-9 else None


def whole_days(days: float) -> int:
    """Return the days that are over; a hair below a whole day is a whole day."""
    return floor(days + 1e-9)
