"""A history replayed: what a policy would have ordered, period by period, and what came of it; many series at once.

A period is: receive, order, demand, count. Nothing here knows the future: what is ordered in a period is asked of the
``Orders`` that have been told the periods before it, and those alone.
"""

from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from vmi_domain.values import dataclass

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

SOLD_OUT: Final = float("nan")
"""What is told of the share of a period in stock where it sold out: nobody knows when it did."""
NOISE: Final = 5e-7
"""What rounding leaves out (as for orders, ``quantities.NOISE``)."""


@dataclass(frozen=True, slots=True)
class World:
    """What happens whatever is ordered: n series over T periods, all quantities base units."""

    demand: Floats
    """n × T, what was wanted."""
    lead_time: Integers
    """L: what is ordered in period t is there at the start of t + L, before demand."""
    review_period: Integers
    """R: the first period of the replay is an opportunity, and every R-th after it."""
    lost: Flags
    """Whether demand that finds no stock is lost; else it waits."""


@dataclass(frozen=True, slots=True)
class Stand:
    """Some series as they stand at an opportunity, after what arrives has arrived."""

    rows: Integers
    on_hand: Floats
    """Below zero where demand waits."""
    arriving: Floats
    """A row a series: what arrives at the start of each of the next periods."""

    @property
    def position(self) -> Floats:
        """What is there and on its way, less what waits."""
        return np.asarray(self.on_hand + self.arriving.sum(axis=1))

    def at(self, places: Integers) -> "Stand":
        """Return some of the series."""
        return Stand(self.rows[places], self.on_hand[places], self.arriving[places])


class Orders(Protocol):
    """Who orders: learns each period as the live service would, and is asked at each opportunity."""

    def place(self, period: int, stand: Stand) -> Floats:
        """Return what to order for each series of the stand."""

    def learn(self, period: int, sold: Floats, in_stock: Floats, wanted: Floats) -> None:
        """Take note of a period that has ended: sales, the share of it in stock, and what was truly wanted."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it, of each series, over the periods that count; base units."""

    periods: Integers
    """Periods that count: those after the first L + R."""
    wanted: Floats
    served: Floats
    """Units from stock in the period in which they were wanted."""
    stock: Floats
    """Sum of the stock at the ends of periods."""
    waiting: Floats
    """Sum of what was waiting at the ends of periods."""
    orders: Integers
    ordered: Floats
    cycles: Integers
    cycles_without_stock_out: Integers
    variance_of_orders: Floats
    variance_of_demand: Floats
    """Both of sums over a review period: Var(q) / Var(D) is the bullwhip ratio (formulas.md 5.11)."""

    @property
    def unmet(self) -> Floats:
        """Units wanted and not there: lost, or served late."""
        return self.wanted - self.served


def replay(world: World, orders: Orders, opening: Floats, first: int) -> Replayed:
    """Return what comes of a policy from period ``first`` on, with so much stock at its start and nothing on its way.

    The first L + R periods of each series are warm-up: they are left out of all figures.
    """
    count, periods = world.demand.shape
    longest = int(world.lead_time.max(initial=0))
    on_hand = opening.astype(np.float64).copy()
    arriving = np.zeros((count, longest + 1))
    warm = first + world.lead_time + world.review_period
    tally = _Tally.of(count)
    for period in range(first, periods):
        on_hand += arriving[:, 0]
        arriving[:, :-1] = arriving[:, 1:]
        arriving[:, -1] = 0.0
        since = period - first
        due = np.flatnonzero(since % world.review_period == 0)
        quantity = np.zeros(count)
        if due.size:
            stand = Stand(due, on_hand[due], arriving[due])
            quantity[due] = orders.place(period, stand)
            at_once = due[world.lead_time[due] == 0]
            later = due[world.lead_time[due] > 0]
            on_hand[at_once] += quantity[at_once]
            arriving[later, world.lead_time[later] - 1] += quantity[later]
        wanted = world.demand[:, period]
        there = np.maximum(on_hand, 0.0)
        served = np.minimum(there, wanted)
        left = there - served
        on_hand = np.where(world.lost, left, on_hand - wanted)
        counts = period >= warm
        begins = counts & ((since - world.lead_time) % world.review_period == 0)
        tally.add(counts, begins, due, quantity, wanted, served, on_hand)
        in_stock = np.where(left > NOISE, 1.0, np.where(there > NOISE, SOLD_OUT, 0.0))
        orders.learn(period, np.where(world.lost, served, wanted), np.where(world.lost, in_stock, 1.0), wanted)
    return tally.replayed(np.maximum(periods - warm, 0))


@dataclass(slots=True)
class _Tally:
    """Running sums."""

    sums: Floats
    """A row a figure: wanted, served, stock, waiting, ordered."""
    orders: Integers
    cycles: Integers
    good: Integers
    clean: Flags
    """No stock-out so far in the cycle that runs."""
    running: Flags
    of_review: Floats
    """Demand and orders since the last opportunity."""
    moments: Floats
    """Number, and of demand and orders of review periods each: sum and sum of squares."""

    @classmethod
    def of(cls, count: int) -> "_Tally":
        zeros = (np.zeros(count, np.int64), np.zeros(count, np.int64), np.zeros(count, np.int64))
        flags = (np.ones(count, np.bool_), np.zeros(count, np.bool_))
        return cls(np.zeros((5, count)), *zeros, *flags, np.zeros((2, count)), np.zeros((5, count)))

    def add(
        self,
        counts: Flags,
        begins: Flags,
        due: Integers,
        quantity: Floats,
        wanted: Floats,
        served: Floats,
        left: Floats,
    ) -> None:
        """Add a period, ``left`` being the stock at its end, below zero where demand waits."""
        opens = np.zeros(len(counts), np.bool_)
        opens[due] = True
        closed = opens & counts
        if closed.any():
            demand, ordered = self.of_review[:, closed]
            self.moments[:, closed] += np.stack([np.ones_like(demand), demand, demand**2, ordered, ordered**2])
        self.of_review[:, opens] = 0.0
        self.of_review += np.stack([wanted, quantity])

        whole = begins & self.running
        self.cycles += whole
        self.good += whole & self.clean
        self.running |= begins
        self.clean = np.where(begins, True, self.clean) & (wanted - served <= NOISE)
        figures = np.stack([wanted, served, np.maximum(left, 0.0), np.maximum(-left, 0.0), quantity])
        self.sums += np.where(counts, figures, 0.0)
        self.orders += counts & (quantity > 0)

    def replayed(self, periods: Integers) -> Replayed:
        number = np.maximum(self.moments[0], 1.0)
        of_demand = self.moments[2] / number - (self.moments[1] / number) ** 2
        of_orders = self.moments[4] / number - (self.moments[3] / number) ** 2
        wanted, served, stock, waiting, ordered = self.sums
        return Replayed(
            periods, wanted, served, stock, waiting, self.orders, ordered, self.cycles, self.good, of_orders, of_demand
        )


def in_multiples(missing: Floats, multiple: Floats, minimum_order: Floats, room: Floats) -> Floats:
    """Return what is ordered where so much is missing: ``quantities.to_order`` for many series, rounding up.

    At least the minimum order, to the multiple, and at most what the maximum leaves room for, down to the multiple.
    """
    wanted = np.maximum(missing, minimum_order)
    up = np.ceil((wanted - NOISE) / multiple) * multiple
    down = np.floor((np.maximum(room, 0.0) + NOISE) / multiple) * multiple
    return np.where(missing > NOISE, np.minimum(up, down), 0.0)
