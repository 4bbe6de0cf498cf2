"""The stock and the supply file: what stands at the start of the as-of day, and what is on its way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Final

import numpy as np

from vmi_files import cells, tables
from vmi_files.sales import ONLY_CUSTOMER, Series
from vmi_files.tables import FileRefused, Table, Warn

REQUIRED_OF_STOCK: Final = ("location_id", "item_id", "on_hand")
OPTIONAL_OF_STOCK: Final = ("customer_id", "reserved", "unavailable", "backlog", "unit")
REQUIRED_OF_SUPPLY: Final = ("location_id", "item_id", "quantity", "arrives_on")
OPTIONAL_OF_SUPPLY: Final = ("customer_id", "stage", "reference")
ORDERED: Final = "ordered"
SHIPPED: Final = "shipped"
BASE_UNIT: Final = "EA"
NOTHING: Final = Decimal(0)


@dataclass(frozen=True, slots=True)
class Held:
    """What stands there, base units."""

    on_hand: Decimal
    reserved: Decimal
    unavailable: Decimal
    backlog: Decimal
    unit: str

    @property
    def usable(self) -> Decimal:
        """What may be sold; a balance below zero is not known to be more than nothing (S9)."""
        return max(self.on_hand - self.unavailable, NOTHING)


@dataclass(frozen=True, slots=True)
class Arrival:
    """Supply on its way."""

    quantity: Decimal
    on: date
    """Never before the as-of day."""
    shipped: bool


def read_stock(path: str, warn: Warn, *, customer: str = ONLY_CUSTOMER) -> dict[Series, Held]:
    """Return what stands there, a row a series; ``customer`` is whose it is where the file does not say."""
    table = tables.read(path, required=REQUIRED_OF_STOCK, optional=OPTIONAL_OF_STOCK, warn=warn)
    rows = np.arange(len(table.lines), dtype=np.int64)
    on_hand = cells.decimals(_filled(table, "on_hand"), "on_hand", rows)
    reserved, unavailable, backlog = (
        cells.decimals(table, column, rows, least=NOTHING) for column in ("reserved", "unavailable", "backlog")
    )
    units = cells.texts(table, "unit", rows, default=BASE_UNIT)
    series = _series(table, rows, customer)
    found: dict[Series, Held] = {}
    line_of: dict[Series, int] = {}
    below = []
    for row, held in enumerate(zip(on_hand, reserved, unavailable, backlog, units, strict=True)):
        name = series[row]
        if name in found:
            said = f"{'/'.join(name)} again, as on {table.row_word} {table.lines[line_of[name]]}"
            raise FileRefused(f"{table.place(row, 'item_id')}: {said}")
        found[name], line_of[name] = Held(*held), row
        if held[0] < 0:
            below.append(row)
    if below:
        warn(f"{table.place(below[0], 'on_hand')}: below zero is taken as nothing ({len(below)} rows)")
    return found


def read_supply(
    path: str, as_of: date, warn: Warn, *, customer: str = ONLY_CUSTOMER
) -> Mapping[Series, Sequence[Arrival]]:
    """Return what is on its way, by series; what is overdue arrives on the as-of day."""
    table = tables.read(path, required=REQUIRED_OF_SUPPLY, optional=OPTIONAL_OF_SUPPLY, warn=warn)
    rows = np.arange(len(table.lines), dtype=np.int64)
    quantities = cells.decimals(_filled(table, "quantity"), "quantity", rows, least=NOTHING)
    days = cells.dates(table, "arrives_on", rows)
    stages = cells.texts(table, "stage", rows, default=ORDERED)
    found: dict[Series, list[Arrival]] = {}
    overdue = []
    for row, (name, quantity, day, stage) in enumerate(
        zip(_series(table, rows, customer), quantities, days.tolist(), stages, strict=True)
    ):
        if stage not in (ORDERED, SHIPPED):
            raise FileRefused(f"{table.place(row, 'stage')}: {stage!r} is not one of {ORDERED}, {SHIPPED}")
        if day < as_of.toordinal():
            overdue.append(row)
        on = date.fromordinal(max(day, as_of.toordinal()))
        found.setdefault(name, []).append(Arrival(quantity, on, stage == SHIPPED))
    if overdue:
        said = f"overdue, counts as arriving on {as_of} ({len(overdue)} rows)"
        warn(f"{table.place(overdue[0], 'arrives_on')}: {said}")
    return found


def _series(table: Table, rows: cells.Rows, customer: str) -> list[Series]:
    names = zip(
        cells.texts(table, "customer_id", rows, default=customer),
        cells.texts(table, "location_id", rows),
        cells.texts(table, "item_id", rows),
        strict=True,
    )
    return [Series(*name) for name in names]


def _filled(table: Table, column: str) -> Table:
    """Refuse an empty cell in a column that must say something."""
    for row, cell in enumerate(table.columns[column]):
        if not cell.strip():
            raise FileRefused(f"{table.place(row, column)}: empty, where a number is needed")
    return table
