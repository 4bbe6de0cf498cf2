"""Reorder points: (s, Q) and (s, S), reviewed at every opportunity; where they leave the position, what is optimal."""

from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain.distributions import Demand, Family
from vmi_domain.replenishment.policies.cycles import Cycles, averaged
from vmi_domain.replenishment.policies.grids import cell_chances
from vmi_domain.replenishment.policies.spreads import Spread
from vmi_domain.values import dataclass

Floats = NDArray[np.float64]

MOST_DISTANCES: Final = 16
"""Positions above a level that are looked at; of more than these an even choice."""
MOST_CELLS: Final = 64
"""Steps in which what orders of a variable size lead to is followed."""


def economic_order_quantity(*, demand_mean: float, order_cost: float, holding_cost: float) -> float:
    """Return Q* = √(2 K λ / h), base units: λ units a period, K an order, h a unit and period.

    >>> round(economic_order_quantity(demand_mean=1300, order_cost=8, holding_cost=0.225), 2)
    304.05
    """
    return sqrt(2.0 * order_cost * demand_mean / holding_cost)


def even_spread(width: Floats, first: Floats, sd: Floats, counted: NDArray[np.bool_]) -> Spread:
    """Return positions that lie evenly over ``width`` base units, from ``first`` on.

    So they do after orders of whole packs or of n Q (Hadley and Whitin): over the whole numbers where
    demand is ``counted``, else over the interval. The wider they lie beside the spread of demand, ``sd``,
    the more of them are looked at.
    """
    width = np.where(counted, np.maximum(np.round(width), 1.0), width)
    count = np.where(counted, np.minimum(width, MOST_DISTANCES), np.where(width > 0, MOST_DISTANCES, 1)).astype(
        np.int64
    )
    place = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    of = np.repeat(np.arange(len(count)), count)
    middle = (place + 0.5) * width[of] / count[of]
    distance = np.where(counted[of], np.floor(middle), middle) + first[of]
    return Spread(count, distance, 1.0 / count[of])


def renewal_spread(width: Floats, review: Demand) -> Spread:
    """Return where an (s, S) policy's positions lie above s, as an order lifts them to S = s + ``width``.

    Between orders the position comes down by the demand of whole reviews, so that the chance to find
    it at S − j is m(j) / M(width − 1), m the renewal density of ``review`` demand (Zheng and
    Federgruen 1991). What the reorder point is undershot by is in it.
    """
    counted = review.family != Family.NORMAL
    width = np.where(counted, np.maximum(np.round(width), 1.0), np.maximum(width, 1e-9))
    cells = np.where(counted, np.minimum(width, MOST_CELLS), MOST_CELLS).astype(np.int64)
    cell = width / cells
    most = int(cells.max(initial=1))
    chance = cell_chances(review, cell, most)
    stays = np.minimum(chance[:, 0], 1.0 - 1e-9)
    density = np.zeros_like(chance)
    density[:, 0] = 1.0 / (1.0 - stays)
    for j in range(1, most):
        density[:, j] = (chance[:, 1 : j + 1] * density[:, j - 1 :: -1][:, :j]).sum(axis=1) / (1.0 - stays)
    inside = np.arange(most) < cells[:, None]
    density = np.where(inside, density, 0.0)
    weight = density / density.sum(axis=1, keepdims=True)
    distance = width[:, None] - np.arange(most) * cell[:, None]
    return Spread(cells, distance[inside], weight[inside])


@dataclass(frozen=True, slots=True)
class ReorderLevels:
    """A reorder point s, a level S or quantity Q, and what they cost a review."""

    reorder_point: int
    level: int
    cost: float


def cheapest_levels(cost_rates: Floats, chances: Floats, order_cost: float, first: int) -> ReorderLevels:
    """Return the (s, S) of least long-run cost, exactly, where unmet demand waits (Zheng and Federgruen 1991).

    ``cost_rates[i]`` is G, the expected holding and shortage cost of a review whose position after
    ordering is ``first + i``; it has to have its minimum inside and to rise to both sides. ``chances``
    are those of a review's demand of 0, 1, … units. An order costs K = ``order_cost``::

        c(s, S) = (K + Σ_{j=0}^{S−s−1} m(j) G(S − j)) / M(S − s)

    with m the renewal density of demand. Orders go out at or below s.
    """
    best = int(np.argmin(cost_rates))
    stays = min(float(chances[0]), 1.0 - 1e-12)
    size = len(cost_rates)
    density = np.zeros(size + 1)
    density[0] = 1.0 / (1.0 - stays)
    padded = np.zeros(size + 1)
    padded[: min(size + 1, len(chances))] = chances[: size + 1]
    for j in range(1, size + 1):
        density[j] = padded[1 : j + 1] @ density[j - 1 :: -1][:j] / (1.0 - stays)
    total = np.concatenate([[0.0], np.cumsum(density)])

    def cost(point: int, level: int) -> float:
        steps = level - point
        return float((order_cost + density[:steps] @ cost_rates[level - steps + 1 : level + 1][::-1]) / total[steps])

    # With the level at the best single position, the point goes down until going on would not pay.
    point = best - 1
    while point >= 0 and cost(point, best) > cost_rates[point]:
        point -= 1
    level, found = best, cost(point, best)
    following = best + 1
    while following < size and cost_rates[following] <= found:
        if cost(point, following) < found:
            level = following
            found = cost(point, level)
            while found <= cost_rates[point + 1]:
                point += 1
                found = cost(point, level)
        following += 1
    return ReorderLevels(first + point, first + level, found)


def cheapest_quantity(cost_rates: Floats, demand_mean: float, order_cost: float, first: int) -> ReorderLevels:
    """Return the (r, Q) of least long-run cost, exactly, for demand of single units (Federgruen and Zheng 1992).

    ``cost_rates[i]`` is G of the position ``first + i``. The position lies evenly over r + 1 … r + Q, so
    that c(r, Q) = (K λ + Σ_{y=r+1}^{r+Q} G(y)) / Q: the best Q positions are the cheapest ones, taken as
    long as the next costs less than the mean so far. The level is r + Q.
    """
    low = high = int(np.argmin(cost_rates))
    total, quantity = order_cost * demand_mean + float(cost_rates[low]), 1
    while True:
        below = cost_rates[low - 1] if low > 0 else np.inf
        above = cost_rates[high + 1] if high + 1 < len(cost_rates) else np.inf
        following = float(min(below, above))
        if following >= total / quantity:
            return ReorderLevels(first + low - 1, first + high, total / quantity)
        total, quantity = total + following, quantity + 1
        low, high = (low - 1, high) if below <= above else (low, high + 1)


def cost_rates(cycles: Cycles, levels: Floats, holding: float, shortage: float) -> Floats:
    """Return G(y) of one key's positions y after ordering, for the periods between the arrivals together.

    ::

        G(y) = Σ_{j=1..R} h E[(y − D_{L+j})⁺] + p E[(D_{L+j} − y)⁺]
    """
    each = cycles.repeated(np.array([len(levels)]))
    ends, count = each.period_ends()
    reached = np.repeat(levels, count)
    paid = holding * ends.expected_stock(reached) + shortage * ends.expected_shortage(reached)
    return averaged(paid, count) * float(max(round(float(cycles.periods[0])), 1))
