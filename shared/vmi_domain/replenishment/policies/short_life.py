"""Goods of a short life: the newsvendor, and what of the stock will expire unsold (S20)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.distributions import Demand
from vmi_domain.replenishment.policies.cycles import Cycles

Floats = NDArray[np.float64]


def newsvendor(demand: Demand, critical_ratio: ArrayLike) -> Floats:
    """Return S* = F⁻¹(p / (p + h)): the stock of least cost where what is left is scrapped (formulas.md 5.3)."""
    return demand.quantile(critical_ratio)


def selling_window(cycles: Cycles, review_days: Floats, shelf_life_days: Floats) -> Demand:
    """Return the demand up to the next arrival, or to the end of the shelf life where that comes earlier."""
    share = np.clip(shelf_life_days / np.maximum(review_days, 1e-9), 0.0, 1.0)
    shorter = cycles.at_share(share)
    later = cycles.until_next_arrival
    whole = share >= 1.0
    return Demand(
        np.where(whole, later.mean, shorter.mean),
        np.where(whole, later.variance, shorter.variance),
        np.where(whole, later.family, shorter.family).astype(np.int8),
    )


def expected_outdating(by_expiry: Sequence[tuple[float, float]], daily_demand: float) -> float:
    """Return how many units expire unsold at a mean demand, where the oldest are sold first (EWA).

    ``by_expiry`` has (days until it expires, units), the earliest first; what is sold of the oldest is not
    sold of the others. Look at the ages that expire before the next order arrives.

    >>> expected_outdating([(1.0, 5.0), (3.0, 5.0)], daily_demand=2.0)
    4.0
    """
    outdated = sold = 0.0
    for days, units in by_expiry:
        could_sell = max(daily_demand * days - sold, 0.0)
        sold_of_these = min(units, could_sell)
        sold += sold_of_these
        outdated += units - sold_of_these
    return outdated
