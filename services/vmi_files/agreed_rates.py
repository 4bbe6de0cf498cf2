"""What the agreements file says of demand: an expected daily demand, for items without a history."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from vmi_files import cells, tables
from vmi_files.periods import Periods
from vmi_files.sales import Series
from vmi_files.tables import Warn

REQUIRED: Final = ("location_id", "item_id")
OPTIONAL: Final = ("customer_id", "expected_daily_demand", "effective_from", "effective_to")
ALL: Final = "*"


@dataclass(frozen=True, slots=True)
class AgreedRates:
    """Expected daily demand by identifiers, ``*`` for all; the more specific one wins."""

    rates: dict[tuple[str, str, str], float]

    def of(self, series: Series) -> float:
        """Return the rate that is agreed for a series, NaN where none is."""
        fitting = [
            (sum(name != ALL for name in names), names)
            for names in self.rates
            if all(name in (ALL, own) for name, own in zip(names, series, strict=True))
        ]
        return self.rates[max(fitting)[1]] if fitting else float("nan")

    def new_series(self) -> list[Series]:
        """Return the series that are named in full: they are forecast even where nothing was sold yet."""
        return [Series(*names) for names in self.rates if ALL not in names]


def read(path: str, periods: Periods, warn: Warn) -> AgreedRates:
    """Return the rates in force on the as-of day. Further columns of an agreement are not for the forecast."""
    table = tables.read(path, required=REQUIRED, optional=OPTIONAL, warn=_no_warning)
    rows = np.arange(len(table.lines), dtype=np.int64)
    today = periods.as_of.toordinal()
    for column, before in (("effective_from", True), ("effective_to", False)):
        if column in table.columns:
            filled = np.array([bool(table.columns[column][row].strip()) for row in rows.tolist()], np.bool_)
            days = cells.dates(table, column, rows[filled])
            out = rows[filled][days > today] if before else rows[filled][days < today]
            rows = np.setdiff1d(rows, out)
    rates = cells.numbers(table, "expected_daily_demand", rows, empty=0.0, least=0.0)
    names = zip(
        cells.texts(table, "customer_id", rows, default=ALL if "customer_id" in table.columns else "default"),
        cells.texts(table, "location_id", rows, default=ALL),
        cells.texts(table, "item_id", rows, default=ALL),
        strict=True,
    )
    return AgreedRates({name: rate for name, rate in zip(names, rates.tolist(), strict=True) if rate > 0})


def _no_warning(text: str) -> None:
    """An agreement says much that is not for the forecast."""
