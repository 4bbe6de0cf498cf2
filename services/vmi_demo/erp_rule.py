"""The rule to compare with: a fixed minimum and maximum per store and item, as an ERP system keeps them."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from vmi_demo.shelves import Outcome, outcome_of

SAFETY_DAYS = 7.0
"""The week of demand that the minimum holds in reserve."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Minimum and maximum of the inventory position, units, by store and item."""

    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]


def bounds(history: NDArray[np.int64], *, lead_time_days: float, review_days: float) -> Bounds:
    """Return the ERP rule's minimum and maximum from the history's daily sales (day, store, item)::

        minimum = μ (L + R + 7)        maximum = minimum + μ R

    with μ the mean of one day's sales over the whole history, days without sales counted as nought.

    >>> at_ten_a_day = bounds(np.full((5, 1, 1), 10), lead_time_days=3, review_days=1)
    >>> at_ten_a_day.minimum.item(), at_ten_a_day.maximum.item()
    (110.0, 120.0)
    """
    demand_mean = history.mean(axis=0)
    minimum = demand_mean * (lead_time_days + review_days + SAFETY_DAYS)
    return Bounds(minimum, minimum + demand_mean * review_days)


def opening_stock(rule: Bounds, packs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the stock with which both ways start: the ERP rule's minimum, rounded up to whole packs."""
    return _whole_packs(rule.minimum, packs)


def replay(
    wanted: NDArray[np.int64],
    rule: Bounds,
    *,
    opening: NDArray[np.int64],
    packs: NDArray[np.int64],
    lead_time_days: int,
    covers: Sequence[float] = (1.0,),
) -> list[Outcome]:
    """Return how the rule fares on the demand (day, store, item), once for each factor in ``covers``.

    A factor multiplies minimum and maximum alike. The rule looks at every store and item at the end of every day, the
    day before the first one included: at or below the minimum it orders up to the maximum, rounded up to packs. An
    order of the end of day d is on the shelf at the end of day d + ``lead_time_days``. Demand that is not on the shelf
    is lost.
    """
    factors = np.asarray(covers, dtype=np.float64)[:, None, None]
    # A factor does not add a sliver of a unit: 1.1 × 10 is 11, not 11.000000000000002 and so 12 units.
    minimum = np.round(rule.minimum * factors, 9)
    maximum = np.round(rule.maximum * factors, 9)
    stock = np.repeat(opening[None, :, :], len(factors), axis=0)
    arriving = np.zeros((lead_time_days, *stock.shape), dtype=np.int64)
    arriving[-1] = _ordered(stock, minimum, maximum, packs)
    sold_units = np.zeros(len(factors), dtype=np.int64)
    stock_sum = np.zeros(len(factors), dtype=np.int64)
    short = np.zeros(len(factors), dtype=np.int64)
    for day, wanted_today in enumerate(wanted):
        sold = np.minimum(stock, wanted_today)
        stock -= sold
        sold_units += sold.sum(axis=(1, 2))
        short += (sold < wanted_today).sum(axis=(1, 2))
        stock_sum += stock.sum(axis=(1, 2))
        ordered = _ordered(stock + arriving.sum(axis=0), minimum, maximum, packs)
        slot = day % lead_time_days
        stock += arriving[slot]
        arriving[slot] = ordered
    return [
        outcome_of(
            sold=int(sold_units[place]),
            wanted=int(wanted.sum()),
            closing_stock=int(stock_sum[place]),
            days=len(wanted),
            short_item_days=int(short[place]),
        )
        for place in range(len(factors))
    ]


def at_fill_rate(fill_rate: float, curve: Sequence[Outcome]) -> Outcome | None:
    """Return what the rule needs for this fill rate, between the two points of the curve that enclose it.

    The curve runs from small covers to large ones. Taken is the first place at which it reaches the fill rate; none
    where it never does.
    """
    if not curve or curve[0].fill_rate >= fill_rate:
        return curve[0] if curve else None
    for below, above in pairwise(curve):
        if below.fill_rate < fill_rate <= above.fill_rate:
            share = (fill_rate - below.fill_rate) / (above.fill_rate - below.fill_rate)
            return Outcome(
                fill_rate=fill_rate,
                average_stock=_between(below.average_stock, above.average_stock, share),
                days_of_cover=_between(below.days_of_cover, above.days_of_cover, share),
                short_item_days=round(_between(below.short_item_days, above.short_item_days, share)),
            )
    return None


def _between(low: float, high: float, share: float) -> float:
    return low + (high - low) * share


def _ordered(
    position: NDArray[np.int64], minimum: NDArray[np.float64], maximum: NDArray[np.float64], packs: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return what is ordered at these inventory positions."""
    return np.where(position <= minimum, _whole_packs(maximum - position, packs), 0)


def _whole_packs(quantity: NDArray[np.float64], packs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the quantity rounded up to whole packs, nought where it is not above nought."""
    return np.maximum(np.ceil(quantity / packs), 0).astype(np.int64) * packs
