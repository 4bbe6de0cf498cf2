"""Cells of text as what they mean; the first one that means nothing is named by file, line and column."""

from collections.abc import Callable, Sequence
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from vmi_files.tables import FileRefused, Table

Rows = NDArray[np.int64]
SOLD_OUT: Final = float("nan")
TRUE: Final = frozenset({"true", "yes", "t"})
FALSE: Final = frozenset({"false", "no", "f"})

Value = TypeVar("Value")


def texts(table: Table, column: str, rows: Rows, *, default: str | None = None) -> list[str]:
    """Return identifiers as they stand; an empty one is refused unless there is a default."""
    if column not in table.columns and default is not None:
        return [default] * len(rows)
    cells = table.columns[column]
    found = [cells[row].strip() for row in rows.tolist()]
    if default is None and "" in found:
        raise FileRefused(f"{table.place(int(rows[found.index('')]), column)}: empty")
    return [text or (default or "") for text in found]


def dates(table: Table, column: str, rows: Rows) -> NDArray[np.int64]:
    """Return days as ``date.toordinal()``."""
    known: dict[str, int] = {}

    def day(cell: str) -> int:
        if cell not in known:
            known[cell] = date.fromisoformat(
                cell.strip()[:10] if "T" in cell or " " in cell.strip() else cell.strip()
            ).toordinal()
        return known[cell]

    return np.array(_each(table, column, rows, day, "a date like 2025-03-31"), np.int64)


def numbers(
    table: Table, column: str, rows: Rows, *, empty: float | None = None, least: float | None = None
) -> NDArray[np.float64]:
    """Return finite numbers; ``empty`` is what an empty cell means, None: it is refused."""
    if column not in table.columns:
        assert empty is not None
        return np.full(len(rows), empty)

    def number(cell: str) -> float:
        if not cell.strip() and empty is not None:
            return empty
        value = float(cell)
        if not np.isfinite(value) or "_" in cell or (least is not None and value < least):
            raise ValueError
        return value

    meaning = "a number" if least is None else f"a number of {least:g} or more"
    return np.array(_each(table, column, rows, number, meaning), np.float64)


def decimals(table: Table, column: str, rows: Rows, *, least: Decimal | None = None) -> list[Decimal]:
    """Return exact quantities; an empty cell and a missing column are none."""
    if column not in table.columns:
        return [Decimal(0)] * len(rows)

    def quantity(cell: str) -> Decimal:
        try:
            value = Decimal(cell.strip() or 0)
        except InvalidOperation:
            raise ValueError from None
        if not value.is_finite() or "_" in cell or (least is not None and value < least):
            raise ValueError
        return value

    meaning = "a number" if least is None else f"a number of {least} or more"
    return list(_each(table, column, rows, quantity, meaning))


def shares_in_stock(table: Table, column: str, rows: Rows) -> NDArray[np.float64]:
    """Return the share of each period in stock; NaN where it is only known that it was not in stock throughout."""

    def share(cell: str) -> float:
        text = cell.strip().lower()
        if not text or text in TRUE:
            return 1.0
        if text in FALSE:
            return SOLD_OUT
        value = float(text)
        if not 0 <= value <= 1:
            raise ValueError
        return value

    return np.array(_each(table, column, rows, share, "a share from 0 to 1, or true or false"), np.float64)


def _each(table: Table, column: str, rows: Rows, parse: Callable[[str], Value], meaning: str) -> Sequence[Value]:
    cells = table.columns[column]
    found = []
    for row in rows.tolist():
        try:
            found.append(parse(cells[row]))
        except ValueError:
            said = f"{cells[row]!r} is not {meaning}" if cells[row].strip() else f"empty, where {meaning} is needed"
            raise FileRefused(f"{table.place(row, column)}: {said}") from None
    return found
