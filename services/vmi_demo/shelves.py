"""The simulated stores' shelves: what is there is sold, what is not there is lost."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(slots=True)
class Shelves:
    """Stock of every store and item, and how it fared; a day of it is closed by ``close_day``."""

    stock: NDArray[np.int64]
    """Units on the shelf, by store and item."""
    sold: int = 0
    wanted: int = 0
    closing_stock: list[NDArray[np.int64]] = field(default_factory=list)
    """Stock at the end of each day."""
    _short_today: NDArray[np.bool_] = field(init=False)
    short_item_days: int = 0
    """Store, item and day on which something was wanted that was not there."""

    def __post_init__(self) -> None:
        self.stock = self.stock.copy()
        self._short_today = np.zeros(self.stock.shape, dtype=np.bool_)

    def sell(self, store: int, items: NDArray[np.int64], wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the units sold of each of the items a buyer wants; the rest of the wish is lost."""
        sold: NDArray[np.int64] = np.minimum(self.stock[store, items], wanted)
        self.stock[store, items] -= sold
        self.sold += int(sold.sum())
        self.wanted += int(wanted.sum())
        self._short_today[store, items[sold < wanted]] = True
        return sold

    def receive(self, store: int, item: int, quantity: int) -> None:
        """Put what was delivered on the shelf."""
        self.stock[store, item] += quantity

    def close_day(self) -> None:
        """Take down the day's closing stock and shortages."""
        self.closing_stock.append(self.stock.copy())
        self.short_item_days += int(self._short_today.sum())
        self._short_today[:] = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a way of replenishing fared over the live days."""

    fill_rate: float
    """Units sold over units wanted."""
    average_stock: float
    """Units on all shelves together at the end of a day, averaged over the days."""
    days_of_cover: float
    """Average stock over the average units wanted in a day."""
    short_item_days: int
    """Store, item and day on which something was wanted that was not there."""


def outcome(shelves: Shelves) -> Outcome:
    """Return how the shelves fared on the days closed so far."""
    return outcome_of(
        sold=shelves.sold,
        wanted=shelves.wanted,
        closing_stock=sum(int(stock.sum()) for stock in shelves.closing_stock),
        days=len(shelves.closing_stock),
        short_item_days=shelves.short_item_days,
    )


def outcome_of(*, sold: int, wanted: int, closing_stock: int, days: int, short_item_days: int) -> Outcome:
    """Return the outcome of totals over all days; ``closing_stock`` adds up the stock of every day's end."""
    return Outcome(
        fill_rate=sold / wanted if wanted else 1.0,
        average_stock=closing_stock / days if days else 0.0,
        days_of_cover=closing_stock / wanted if wanted else 0.0,
        short_item_days=short_item_days,
    )
