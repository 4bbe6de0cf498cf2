"""Learning the days that are missing, for series that stand at different days and know only their days with demand."""

from collections.abc import Iterator, Sequence
from dataclasses import field
from datetime import date

import numpy as np
from numpy.typing import NDArray

from vmi_domain.forecasting.checkpoints import kept_days
from vmi_domain.forecasting.learning import update
from vmi_domain.forecasting.state import WEEK, States
from vmi_domain.values import dataclass


def _no_days() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class History:
    """The demand of one series from some day on; days that are not named had none."""

    days: NDArray[np.int64]
    """``date.toordinal()``."""
    demand: NDArray[np.float64]
    """Base units, one figure a day."""
    sold_out: NDArray[np.int64] = field(default_factory=_no_days)
    """Days on which it sold out: what was sold is the least that was wanted."""
    empty: NDArray[np.int64] = field(default_factory=_no_days)
    """Days with nothing to sell throughout."""
    shares: NDArray[np.float64] | None = None
    """Of each ``sold_out`` day, the share of it that was over when it sold out; NaN, and None for all, where nobody
    knows."""
    set_aside: NDArray[np.int64] = field(default_factory=_no_days)
    """Days that say nothing of what is usual: promotions, and what people excluded. Their demand is not in it."""
    week_begins: int | None = None
    """Where it is reported by the week: ``date.toordinal()`` of a day on which such a week begins."""
    known_through: int | None = None
    """The last day that a report of a week may speak of by now."""
    adjusted: NDArray[np.int64] = field(default_factory=_no_days)
    """Days whose demand people corrected."""
    tells_periods: bool = False
    """Whether a report of sales in it speaks of a period, of a week perhaps."""

    @property
    def is_partial(self) -> bool:
        """Whether there are days that do not show their whole demand."""
        return bool(self.sold_out.size or self.empty.size or self.set_aside.size)


NO_DEMAND = History(_no_days(), np.zeros(0))


@dataclass(frozen=True, slots=True)
class Folded:
    """States after their last day, and some on the way there."""

    states: States
    throughs: list[date]
    """The last day each series has learned: of one by the week, the end of its last whole week."""
    checkpoints: list[tuple[int, date, NDArray[np.float32]]]
    """Place of the series, day, and its state after it: to be kept."""


def fold(states: States, first_days: Sequence[date], histories: Sequence[History], through: date) -> Folded:
    """Return the states after all days up to ``through``, each series from its own first day on.

    Series that begin on the same day go together. Those by the week learn whole weeks only.
    """
    folded = Folded(states.copy(), [through] * len(first_days), [])
    first = np.array([day.toordinal() for day in first_days], np.int64)
    weekly = np.array([history.week_begins is not None for history in histories], np.bool_)
    for place in np.flatnonzero(weekly).tolist():
        _fold_weeks(folded, place, int(first[place]), histories[place], through)
    for begin in np.unique(first[~weekly]).tolist():
        places = np.flatnonzero((first == begin) & ~weekly)
        demand, in_stock = _by_day([histories[place] for place in places.tolist()], begin, through.toordinal())
        moved = folded.states[places]
        for start, end, kept in _stretches(begin, through.toordinal()):
            days = slice(start - begin, end - begin + 1)
            stocked = None if in_stock is None else in_stock[:, days]
            moved = update(moved, demand[:, days], date.fromordinal(start), in_stock=stocked)
            if kept:
                day = date.fromordinal(end)
                folded.checkpoints.extend((int(place), day, state) for place, state in zip(places, moved, strict=True))
        folded.states[places] = moved
    return folded


def _fold_weeks(folded: Folded, place: int, first: int, history: History, through: date) -> None:
    """Learn the whole weeks of one series, from the one that holds its first day, in place."""
    assert history.week_begins is not None
    begin = first - (first - history.week_begins) % WEEK
    last = through.toordinal() if history.known_through is None else history.known_through
    weeks = max((last + 1 - begin) // WEEK, 0)
    folded.throughs[place] = date.fromordinal(begin + weeks * WEEK - 1)
    if not weeks:
        return
    demand, in_stock = _by_day([history], begin, begin + weeks * WEEK - 1)
    stocked = None if in_stock is None else in_stock.reshape(weeks, WEEK).mean(axis=1)[None]
    # Shares of a week are kept to a millionth, and add up to what was reported.
    sums = demand.reshape(weeks, WEEK).sum(axis=1).round(6)[None]
    folded.states[place] = update(folded.states[[place]], sums, date.fromordinal(begin // WEEK), in_stock=stocked)[0]


def _stretches(begin: int, last: int) -> Iterator[tuple[int, int, bool]]:
    """Yield first day, last day, and whether the state after it is kept, of stretches that cover all days."""
    for day in kept_days(date.fromordinal(last)):
        if begin <= day.toordinal() <= last:
            yield begin, day.toordinal(), True
            begin = day.toordinal() + 1
    if begin <= last:
        yield begin, last, False


def _by_day(
    histories: Sequence[History], first: int, last: int
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Return demand and share of the day in stock, a row a series and a column a day; None where none sold out."""
    shape = (len(histories), max(last - first + 1, 0))
    demand = np.zeros(shape)
    some = [(row, history) for row, history in enumerate(histories) if history is not NO_DEMAND]
    if not some:
        return demand, None
    rows = np.repeat([row for row, _ in some], [len(history.days) for _, history in some])
    days = np.concatenate([history.days for _, history in some])
    inside = (days >= first) & (days <= last)
    wanted = np.concatenate([history.demand for _, history in some])
    demand[rows[inside], days[inside] - first] = wanted[inside]
    partial = [(row, history) for row, history in some if history.is_partial]
    in_stock = np.ones(shape) if partial else None
    for row, history in partial:
        assert in_stock is not None
        shares = np.full(len(history.sold_out), np.nan) if history.shares is None else history.shares
        for of_kind, share in ((history.sold_out, shares), (history.empty, 0.0), (history.set_aside, 0.0)):
            known = (of_kind >= first) & (of_kind <= last)
            in_stock[row, of_kind[known] - first] = share[known] if isinstance(share, np.ndarray) else share
    return demand, in_stock
