"""The sales file: what was sold, by series and period, and what else is known of those periods."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vmi_domain.forecasting.panel import Period
from vmi_files import cells, tables
from vmi_files.periods import Periods
from vmi_files.tables import FileRefused, Table, Warn

REQUIRED: Final = ("location_id", "item_id", "date", "quantity")
OPTIONAL: Final = ("customer_id", "in_stock", "price", "promotion", "lost_sales")
ONLY_CUSTOMER: Final = "default"
ENOUGH_TO_TELL: Final = 30
"""Rows, all on one weekday, from which daily data looks like weekly data."""


class Series(NamedTuple):
    """What a forecast is of."""

    customer_id: str
    location_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class Sales:
    """Series by name, with a row each; periods from the first one of the file to the last that ended."""

    series: list[Series]
    first: int
    """Number of the first period; the as-of day begins number 0."""
    begins: NDArray[np.int64]
    """Place of each series' first row, counted from ``first``."""
    demand: NDArray[np.float64]
    """Sold and known to be lost, base units."""
    in_stock: NDArray[np.float64] | None
    price: NDArray[np.float64] | None
    promotion: Mapping[tuple[int, int], str]
    """Name of the promotion by place of series and period."""


def read(path: str, periods: Periods, warn: Warn, *, may_be_empty: bool = False) -> Sales:
    """Return the history before the as-of day; of later rows nothing but the date is read.

    Where it ``may_be_empty`` that is a history of one period without series.
    """
    table = tables.read(path, required=REQUIRED, optional=OPTIONAL, warn=warn)
    every = np.arange(len(table.lines), dtype=np.int64)
    days = cells.dates(table, "date", every)
    rows = np.flatnonzero(days < periods.as_of.toordinal())
    if not rows.size and may_be_empty:
        return Sales([], -1, np.zeros(0, np.int64), np.zeros((0, 1)), None, None, {})
    if not rows.size:
        raise FileRefused(f"{table.name}: no row before --as-of {periods.as_of}")
    _check_days(table, periods, days, rows, warn)
    number = periods.number(days[rows])
    series, row_series = _series(table, rows)
    first = int(number.min())
    shape = (len(series), -first)
    place = row_series * shape[1] + number - first
    demand = cells.numbers(table, "quantity", rows) + cells.numbers(table, "lost_sales", rows, empty=0.0, least=0.0)
    begins = np.full(len(series), shape[1], np.int64)
    np.minimum.at(begins, row_series, number - first)
    return Sales(
        series,
        first,
        begins,
        np.bincount(place, demand, minlength=shape[0] * shape[1]).astype(np.float64).reshape(shape),
        _in_stock(table, rows, place, shape),
        _prices(table, rows, place, shape),
        _promotions(table, rows, row_series, number - first),
    )


def end_of(path: str, period: Period) -> date:
    """Return the day after the last period of a file."""
    if path == tables.STANDARD:
        raise FileRefused("standard input: say with --until where the history ends")
    table = tables.read(path, required=REQUIRED, optional=OPTIONAL, warn=_silently)
    days = cells.dates(table, "date", np.arange(len(table.lines), dtype=np.int64))
    if not days.size:
        raise FileRefused(f"{table.name}: no row")
    return Periods(period, date.fromordinal(int(days.max()))).start(1)


def _silently(text: str) -> None:
    """What is to be warned of is said when the file is read for good."""


def _check_days(table: Table, periods: Periods, days: NDArray[np.int64], rows: NDArray[np.int64], warn: Warn) -> None:
    kept = Table(table.name, {}, [table.lines[row] for row in rows.tolist()], table.row_word)
    periods.check(kept, days[rows])
    if periods.period is Period.DAY and len(rows) >= ENOUGH_TO_TELL and len(np.unique(days[rows] % 7)) == 1:
        day = date.fromordinal(int(days[rows[0]]))
        warn(f"{table.name}: every date is a {day:%A}; if each row is a week, say --period week")


def _series(table: Table, rows: NDArray[np.int64]) -> tuple[list[Series], NDArray[np.int64]]:
    """Return the series in order of their names, and which of them each row belongs to."""
    names = list(
        zip(
            cells.texts(table, "customer_id", rows, default=ONLY_CUSTOMER),
            cells.texts(table, "location_id", rows),
            cells.texts(table, "item_id", rows),
            strict=True,
        )
    )
    series = [Series(*name) for name in sorted(set(names))]
    places = {tuple(one): place for place, one in enumerate(series)}
    return series, np.array([places[name] for name in names], np.int64)


def _in_stock(
    table: Table, rows: NDArray[np.int64], place: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.float64] | None:
    """Return the share of each period in stock; of two rows of one period the lower one counts."""
    if "in_stock" not in table.columns:
        return None
    share = cells.shares_in_stock(table, "in_stock", rows)
    sold = cells.numbers(table, "quantity", rows)
    share = np.where(np.isnan(share) & (sold <= 0), 0.0, share)
    found = np.ones(shape[0] * shape[1])
    with np.errstate(invalid="ignore"):
        np.minimum.at(found, place, share)  # NaN, sold out at an unknown time, stays NaN
    return None if bool((found == 1).all()) else found.reshape(shape)


def _prices(
    table: Table, rows: NDArray[np.int64], place: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.float64] | None:
    """Return the mean price of each period, NaN where no row says one."""
    if "price" not in table.columns:
        return None
    price = cells.numbers(table, "price", rows, empty=0.0, least=0.0)
    known = price > 0
    size = shape[0] * shape[1]
    number = np.bincount(place[known], minlength=size)
    total = np.bincount(place[known], price[known], minlength=size)
    mean = np.divide(total, number, out=np.full(size, np.nan), where=number > 0)
    return mean.reshape(shape) if known.any() else None


def _promotions(
    table: Table, rows: NDArray[np.int64], series: NDArray[np.int64], number: NDArray[np.int64]
) -> dict[tuple[int, int], str]:
    if "promotion" not in table.columns:
        return {}
    names = cells.texts(table, "promotion", rows, default="")
    found: dict[tuple[int, int], str] = {}
    for name, row, period in zip(names, series.tolist(), number.tolist(), strict=True):
        if name:
            found[row, period] = max(name, found.get((row, period), ""))
    return found
