"""Learning the days that are missing, for series that stand at different days and know only their days with demand."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from vmi_domain.forecasting.checkpoints import kept_days
from vmi_domain.forecasting.learning import update
from vmi_domain.forecasting.state import States


@dataclass(frozen=True, slots=True)
class History:
    """The demand of one series from some day on; days that are not named had none."""

    days: NDArray[np.int64]
    """``date.toordinal()``."""
    demand: NDArray[np.float64]
    """Base units, one figure a day."""


NO_DEMAND = History(np.zeros(0, np.int64), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Folded:
    """States after their last day, and some on the way there."""

    states: States
    checkpoints: list[tuple[int, date, NDArray[np.float32]]]
    """Place of the series, day, and its state after it: to be kept."""


def fold(states: States, first_days: Sequence[date], histories: Sequence[History], through: date) -> Folded:
    """Return the states after all days up to ``through``, each series from its own first day on.

    Series that begin on the same day go together.
    """
    folded = Folded(states.copy(), [])
    first = np.array([day.toordinal() for day in first_days], np.int64)
    for begin in np.unique(first).tolist():
        places = np.flatnonzero(first == begin)
        demand = _by_day([histories[place] for place in places.tolist()], begin, through.toordinal())
        moved = folded.states[places]
        for start, end, kept in _stretches(begin, through.toordinal()):
            moved = update(moved, demand[:, start - begin : end - begin + 1], date.fromordinal(start))
            if kept:
                day = date.fromordinal(end)
                folded.checkpoints.extend((int(place), day, state) for place, state in zip(places, moved, strict=True))
        folded.states[places] = moved
    return folded


def _stretches(begin: int, last: int) -> Iterator[tuple[int, int, bool]]:
    """Yield first day, last day, and whether the state after it is kept, of stretches that cover all days."""
    for day in kept_days(date.fromordinal(last)):
        if begin <= day.toordinal() <= last:
            yield begin, day.toordinal(), True
            begin = day.toordinal() + 1
    if begin <= last:
        yield begin, last, False


def _by_day(histories: Sequence[History], first: int, last: int) -> NDArray[np.float64]:
    """Return a row a series and a column a day."""
    demand = np.zeros((len(histories), max(last - first + 1, 0)))
    for row, history in zip(demand, histories, strict=True):
        inside = (history.days >= first) & (history.days <= last)
        row[history.days[inside] - first] = history.demand[inside]
    return demand
