"""Which changes of a forecast matter: those that would change what is ordered (F38)."""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.forecasting.outlook import usual_demand_over
from vmi_domain.forecasting.state import States
from vmi_domain.values import dataclass

MATERIAL_SHARE: Final = 0.05
"""A level matters when it moved by this share of the one that was told."""
LOWEST_SERVICE: Final = 0.5
HIGHEST_SERVICE: Final = 0.995


@dataclass(frozen=True, slots=True)
class Protection:
    """What a forecast is used for: covering so many days with such a probability."""

    days: float = 7.0
    """The agreed lead time and review period, or a week where nothing is agreed."""
    service: float = 0.95


def levels(states: States, protection_days: ArrayLike, service: ArrayLike) -> NDArray[np.float64]:
    """Return the level that covers the demand of each series' protection interval, base units.

    Taken over days of no particular weekday: that Saturday follows Friday is no news.
    """
    served = np.clip(np.asarray(service, np.float64), LOWEST_SERVICE, HIGHEST_SERVICE)
    return usual_demand_over(states, protection_days).quantile(served)


def matter(now: NDArray[np.float64], told: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which levels moved enough from those told to be told again; before anything was told, from nothing."""
    return np.abs(now - told) > MATERIAL_SHARE * np.maximum(told, 0.0)
