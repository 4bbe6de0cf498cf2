"""How far positions lie above a level after ordering: whole packs and fixed quantities carry them there."""

import numpy as np
from numpy.typing import NDArray

from vmi_domain.values import dataclass

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spread:
    """How far the position lies above a level once was ordered: packs and fixed quantities carry it there.

    Each key has ``count`` distances, base units, with weights that add up to 1; they stand one after the other.
    """

    count: NDArray[np.int64]
    distance: Floats
    weight: Floats

    def of(self, keys: NDArray[np.intp]) -> "Spread":
        """Return the spread of some keys."""
        count = self.count[keys]
        starts = (np.cumsum(self.count) - self.count)[keys]
        places = np.repeat(starts - (np.cumsum(count) - count), count) + np.arange(count.sum())
        return Spread(count, self.distance[places], self.weight[places])


def no_spread(keys: int) -> Spread:
    """Return the spread of orders that meet the level exactly."""
    return Spread(np.ones(keys, np.int64), np.zeros(keys), np.ones(keys))
