"""A world of lost sales, exactly: its optimum by dynamic programming, and what a policy costs in it."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]


class LostSalesWorld:
    """One review a period; an order lands L ≥ 1 periods later, before demand; holding h a unit left, p a unit lost.

    A state is what stands there after the day's arrival, then what lands in 1, 2, … L − 1 periods.
    """

    def __init__(self, chances: Floats, *, lead: int, holding: float, shortage: float, most: int, largest: int) -> None:
        self.chances, self.lead, self.most, self.largest = chances / chances.sum(), lead, most, largest
        self.shape = (most + 1,) + (largest + 1,) * (lead - 1)
        stock, demand = np.arange(most + 1)[:, None], np.arange(len(chances))[None]
        left, lost = np.maximum(stock - demand, 0), np.maximum(demand - stock, 0)
        self.cost = (holding * left + shortage * lost) @ self.chances
        self._after = np.zeros((most + 1, most + 1))
        for units, chance in enumerate(self.chances):
            self._after[stock[:, 0], np.maximum(stock[:, 0] - units, 0)] += chance
        self._next = np.minimum(np.arange(most + 1)[:, None] + np.arange(largest + 1), most)

    def states(self) -> Whole:
        """Return all states, one a row."""
        return np.indices(self.shape).reshape(self.lead, -1).T

    def best_cost(self) -> float:
        """Return the least cost a period."""
        return self._iterate(lambda values: values.min(axis=-1))

    def cost_of(self, quantities: Whole) -> float:
        """Return the cost a period of a policy: the quantity that each state orders."""
        chosen = np.clip(quantities, 0, self.largest).reshape(self.shape)[..., None]
        return self._iterate(lambda values: np.take_along_axis(values, chosen, axis=-1)[..., 0])

    def _iterate(self, choose: Callable[[Floats], Floats]) -> float:
        own = self.cost.reshape((-1,) + (1,) * (self.lead - 1))
        value = np.zeros(self.shape)
        while True:
            # What is left meets what lands next; the order placed now takes the last place.
            ahead = np.tensordot(self._after, value[self._next], axes=(1, 0))
            following = own + choose(ahead)
            change = following - value
            value = following - following.flat[0]
            if np.ptp(change) < 1e-5 * abs(change).max():
                return float((change.max() + change.min()) / 2.0)
