"""The calendar file: promotions, holidays and closed days, past and planned."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain.forecasting.panel import Period
from vmi_files import cells, tables
from vmi_files.periods import Periods
from vmi_files.sales import Sales, Series
from vmi_files.tables import FileRefused, Warn

REQUIRED: Final = ("date", "event")
OPTIONAL: Final = ("customer_id", "location_id", "item_id", "kind", "price")
KINDS: Final = ("", "promotion", "holiday", "closed")
ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class Plan:
    """What acts on each series in each period, history and horizon: a number an event, a price, closed or not."""

    event: NDArray[np.int64]
    price: NDArray[np.float64] | None
    closed: NDArray[np.bool_] | None


def read(path: str, sales: Sales, periods: Periods, horizon: int, warn: Warn) -> Plan:
    """Return the calendar's rows on the sales file's series, together with the promotions and prices of its rows."""
    table = tables.read(path, required=REQUIRED, optional=OPTIONAL, warn=warn)
    rows = np.arange(len(table.lines), dtype=np.int64)
    number = periods.number(cells.dates(table, "date", rows)) - sales.first
    events = cells.texts(table, "event", rows, default="")
    kinds = cells.texts(table, "kind", rows, default="")
    prices = cells.numbers(table, "price", rows, empty=0.0, least=0.0)
    for row, kind in enumerate(kinds):
        if kind not in KINDS:
            raise FileRefused(f"{table.place(row, 'kind')}: {kind!r} is not one of {', '.join(KINDS[1:])}")
    names = [cells.texts(table, column, rows, default=ALL) for column in ("customer_id", "location_id", "item_id")]
    matching = _Matching(sales.series)
    shape = (len(sales.series), sales.demand.shape[1] + horizon)
    named = dict(sales.promotion)
    price = np.full(shape, np.nan)
    if sales.price is not None:
        price[:, : sales.price.shape[1]] = sales.price
    closed = np.zeros(shape, np.bool_)
    for row, period in enumerate(number.tolist()):
        if not 0 <= period < shape[1]:
            continue
        places = matching.of(*(column[row] for column in names))
        if kinds[row] == "closed":
            closed[places, period] = True
        elif events[row]:
            named.update(((place, period), events[row]) for place in places.tolist())
        if prices[row] > 0:
            price[places, period] = prices[row]
    # A closed day closes a day; in a week or month it is one of several.
    by_day = periods.period is Period.DAY and closed.any()
    return Plan(_numbered(named, shape), price if (price > 0).any() else None, closed if by_day else None)


class _Matching:
    """Finds the series that identifiers mean, ``*`` meaning all."""

    def __init__(self, series: Sequence[Series]) -> None:
        self._columns = [np.array(column, object) for column in zip(*series, strict=True)]
        self._known: dict[tuple[str, ...], NDArray[np.intp]] = {}
        self._exact = {tuple(one): np.array([place]) for place, one in enumerate(series)}

    def of(self, *names: str) -> NDArray[np.intp]:
        """Return the places of the series."""
        if names not in self._known:
            self._known[names] = self._find(names)
        return self._known[names]

    def _find(self, names: tuple[str, ...]) -> NDArray[np.intp]:
        if ALL not in names:
            return self._exact.get(names, np.zeros(0, np.intp))
        matches = np.ones(len(self._columns[0]), np.bool_)
        for column, name in zip(self._columns, names, strict=True):
            if name != ALL:
                matches &= np.asarray(column == name, np.bool_)
        return np.flatnonzero(matches)


def _numbered(named: dict[tuple[int, int], str], shape: tuple[int, int]) -> NDArray[np.int64]:
    codes = {name: code for code, name in enumerate(sorted(set(named.values())), start=1)}
    event = np.zeros(shape, np.int64)
    for place, name in named.items():
        event[place] = codes[name]
    return event
