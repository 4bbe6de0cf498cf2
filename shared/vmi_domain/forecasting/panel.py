"""The history of many series over the same periods, as a batch fit sees it."""

from dataclasses import replace
from datetime import date
from enum import Enum
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from vmi_domain.values import dataclass

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]
Known = TypeVar("Known", bound=np.generic)


class Period(Enum):
    """What a history is counted by, and what the models run at."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"


A_YEAR = {Period.DAY: 364, Period.WEEK: 52, Period.MONTH: 12}
"""Periods after which the season returns; whole weeks where they are days."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Demand of n series in T periods, and what is known of them and of the N periods ahead."""

    period: Period
    first_period: date
    demand: Floats
    """n × T, base units: what was sold and what is known to have been lost."""
    begins: Integers
    """Each series' first period, 0 to T; before it there was no such series."""
    location: Integers
    """Which series are of one location."""
    item: Integers
    """Which series are of one item."""
    in_stock: Floats | None = None
    """n × T, share of the period with something to sell; NaN: it sold out, nobody knows when. None: always in stock."""
    event: Integers | None = None
    """n × (T + N), number of the promotion or holiday that acts on a period, 0 for none; None: no plan is known."""
    price: Floats | None = None
    """n × (T + N), NaN where it is not known."""
    closed: Flags | None = None
    """n × (T + N), periods without any demand, by the calendar."""
    agreed: Floats | None = None
    """Each series' agreed demand of a period, NaN where none is agreed."""

    @property
    def periods(self) -> int:
        """T, the periods that have ended."""
        return int(self.demand.shape[1])

    def at(self, rows: Integers) -> "Panel":
        """Return some of the series."""

        def of(known: NDArray[Known] | None) -> NDArray[Known] | None:
            return None if known is None else known[rows]

        return replace(
            self,
            demand=self.demand[rows],
            begins=self.begins[rows],
            location=self.location[rows],
            item=self.item[rows],
            in_stock=of(self.in_stock),
            event=of(self.event),
            price=of(self.price),
            closed=of(self.closed),
            agreed=of(self.agreed),
        )
