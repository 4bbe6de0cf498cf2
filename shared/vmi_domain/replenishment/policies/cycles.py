"""Between two arrivals: the demand of an order's cycle, and how its parts follow from the two outlooks there are."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain.distributions import Demand, Family, by_the_data
from vmi_domain.values import dataclass

Floats = NDArray[np.float64]

MOST_PERIODS: Final = 28
"""Ends of periods between two arrivals at which stock is looked at; of more than these an even choice."""


@dataclass(frozen=True, slots=True)
class Cycles:
    """Many keys' demand until this order arrives and until the next one does, base units."""

    until_arrival: Demand
    until_next_arrival: Demand
    periods: Floats
    """R: periods between the two arrivals, 1 or more."""

    @property
    def wanted(self) -> Floats:
        """Mean demand between the two arrivals."""
        return np.maximum(self.until_next_arrival.mean - self.until_arrival.mean, 0.0)

    def repeated(self, times: NDArray[np.int64]) -> "Cycles":
        """Return each key so many times, one after the other."""
        return self.at(np.repeat(np.arange(len(self.periods)), times))

    def at(self, places: NDArray[np.intp]) -> "Cycles":
        """Return some of the keys."""
        return Cycles(self.until_arrival.at(places), self.until_next_arrival.at(places), self.periods[places])

    def at_share(self, share: Floats) -> Demand:
        """Return the demand up to a moment between the arrivals: 0 is this one, 1 the next.

        Means grow evenly. Variances grow as α m + β m² with the mean m, through both outlooks: α is the
        spread of periods that are independent, β that of a level which is off for all of them.
        """
        earlier, later = self.until_arrival, self.until_next_arrival
        mean = earlier.mean + share * self.wanted
        variance = earlier.variance + share * (later.variance - earlier.variance)
        known = (earlier.mean > 0) & (self.wanted > 0)
        near, far = (
            np.where(known, one.variance / np.where(one.mean > 0, one.mean, 1.0), 0.0) for one in (earlier, later)
        )
        common = (far - near) / np.where(known, self.wanted, 1.0)
        curved = np.where(known & (common > 0) & (near > common * earlier.mean), common, 0.0)
        variance = np.where(curved > 0, (near + curved * (mean - earlier.mean)) * mean, variance)
        return by_the_data(mean, variance, counts=later.family != Family.NORMAL)

    def between_arrivals(self) -> Demand:
        """Return the demand from this arrival to the next."""
        variance = np.maximum(self.until_next_arrival.variance - self.until_arrival.variance, 0.0)
        return by_the_data(self.wanted, variance, counts=self.until_next_arrival.family != Family.NORMAL)

    def period_ends(self) -> tuple[Demand, NDArray[np.int64]]:
        """Return the demand up to the end of each period between the arrivals, and how many there are of each key."""
        count = np.clip(np.round(self.periods), 1, MOST_PERIODS).astype(np.int64)
        which = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + 1
        return self.repeated(count).at_share(which / np.repeat(count, count)), count


def averaged(values: Floats, count: NDArray[np.int64], weights: Floats | None = None) -> Floats:
    """Return each key's (weighted) mean of its values, which stand one after the other, ``count`` of them."""
    starts = np.cumsum(count) - count
    if weights is None:
        return np.add.reduceat(values, starts) / count
    return np.add.reduceat(values * weights, starts)
