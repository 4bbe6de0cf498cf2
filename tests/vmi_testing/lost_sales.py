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


Draw = Callable[[np.random.Generator, int], Floats]
"""A period's demand of so many stores."""


def drawn(mean: float, variance: float, *, normal: bool = False) -> Draw:
    """Return draws of independent demand: normal (never below zero), Poisson, or negative binomial by its variance."""
    if normal:
        return lambda random, stores: np.maximum(random.normal(mean, variance**0.5, stores), 0.0)
    if variance <= mean:
        return lambda random, stores: random.poisson(mean, stores).astype(np.float64)
    size, success = mean**2 / (variance - mean), mean / variance
    return lambda random, stores: random.negative_binomial(size, success, stores).astype(np.float64)


def simulated_base_stock(
    level: float,
    draw: Draw,
    lead: int,
    review: int,
    *,
    lost: bool = True,
    stores: int = 2000,
    days: int | None = None,
    seed: int = 7,
) -> tuple[float, float]:
    """Return fill rate and cycle service of a base stock: receive, order, demand; many stores side by side."""
    random = np.random.default_rng(seed)
    warm = 4 * (lead + review)
    stock, position = np.full(stores, float(level)), np.full(stores, float(level))
    landing_on = np.zeros((lead + 1, stores))
    sold = wanted = good = cycles = 0.0
    unbroken = np.ones(stores, bool)
    for day in range(warm + (days or 40 * review + 2 * (lead + review))):
        counts = day >= warm
        stock += landing_on[day % (lead + 1)]
        landing_on[day % (lead + 1)] = 0.0
        if day % review == 0:
            landing_on[(day + lead) % (lead + 1)] = level - position
            position[:] = level
        if day % review == lead % review:
            good, cycles = (good + unbroken.sum(), cycles + stores) if counts else (good, cycles)
            unbroken[:] = True
        demand = draw(random, stores)
        served = np.minimum(np.maximum(stock, 0.0), demand)
        unbroken &= served == demand
        taken = served if lost else demand
        stock -= taken
        position -= taken
        if counts:
            sold, wanted = sold + served.sum(), wanted + demand.sum()
    return sold / wanted, good / cycles
