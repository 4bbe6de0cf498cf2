"""Tables as files hold them: columns of text with the line each row stands on, CSV or Parquet by extension."""

import csv
import io
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import numpy as np

STANDARD: Final = "-"
"""The name of standard input and output; CSV."""
SUFFIXES: Final = (".csv", ".parquet")

Warn = Callable[[str], None]


class FileRefused(Exception):
    """A file cannot be read or written; the message names it, and line and column where there is one."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of text; an empty text is an empty cell."""

    name: str
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int]
    """The line (CSV) or the row from 1 on (Parquet) of each row."""
    row_word: str = "line"

    def place(self, row: int, column: str) -> str:
        """Return where a cell is, for people."""
        return f"{self.name}, {self.row_word} {self.lines[row]}, column {column}"


def read(path: str, *, required: Sequence[str], optional: Sequence[str], warn: Warn) -> Table:
    """Return the known columns of a file; the others are named in one warning and left out."""
    table = _read_parquet(path) if _suffix(path) == ".parquet" else _read_csv(path)
    missing = [name for name in required if name not in table.columns]
    if missing:
        plural = "columns" if len(missing) > 1 else "column"
        raise FileRefused(f"{table.name}: {plural} {', '.join(missing)} missing; it has {', '.join(table.columns)}")
    known = {name: values for name, values in table.columns.items() if name in {*required, *optional}}
    unknown = [name for name in table.columns if name not in known]
    if unknown:
        warn(f"{table.name}: not used: {', '.join(unknown)}")
    return Table(table.name, known, table.lines, table.row_word)


def _suffix(path: str) -> str:
    if path == STANDARD:
        return ".csv"
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise FileRefused(f"{path}: a file is .csv or .parquet, by its name")
    return suffix


def check_writable(path: str) -> None:
    """Refuse, before any work, a place that cannot be written to."""
    if path == STANDARD:
        return
    _suffix(path)
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise FileRefused(f"{path}: there is no folder {folder}")
    if Path(path).is_dir() or not os.access(folder, os.W_OK):
        raise FileRefused(f"{path}: cannot be written")
    if _suffix(path) == ".parquet":
        _parquet()


def _read_csv(path: str) -> Table:
    name = "standard input" if path == STANDARD else path
    try:
        raw = sys.stdin.buffer.read() if path == STANDARD else Path(path).read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise FileRefused(f"{name}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise FileRefused(f"{name}, line {line}: not UTF-8") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows, lines = [], []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(name, header)
        for row in reader:
            if not row:
                continue
            if len(row) != len(header):
                raise FileRefused(f"{name}, line {reader.line_num}: {len(row)} cells under {len(header)} columns")
            rows.append(row)
            lines.append(reader.line_num)
    except csv.Error as error:
        raise FileRefused(f"{name}, line {reader.line_num}: {error}") from None
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(header)
    return Table(name, dict(zip(header, columns, strict=True)), lines)


def _check_header(name: str, header: Sequence[str]) -> None:
    if not any(header):
        raise FileRefused(f"{name}: empty; the first line names the columns")
    if len(header) == 1 and ";" in header[0]:
        raise FileRefused(f"{name}, line 1: columns are separated by commas, not by semicolons")
    twice = sorted({one for one in header if header.count(one) > 1})
    if twice:
        raise FileRefused(f"{name}, line 1: column {', '.join(twice)} twice")


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ModuleNotFoundError:
        raise FileRefused("Parquet files need pyarrow: pip install 'vmi[files]', or use CSV") from None
    return pyarrow


def _read_parquet(path: str) -> Table:
    pyarrow = _parquet()
    try:
        found = pyarrow.parquet.read_table(path)
    except OSError as error:
        raise FileRefused(f"{path}: {error.strerror or error}") from None
    except pyarrow.ArrowException as error:
        raise FileRefused(f"{path}: not a Parquet file: {error}") from None
    columns = {name: _texts(pyarrow, path, name, found.column(name)) for name in found.column_names}
    return Table(path, columns, range(1, found.num_rows + 1), "row")


def _texts(pyarrow: Any, path: str, name: str, column: Any) -> Sequence[str]:
    if pyarrow.types.is_timestamp(column.type):
        column = column.cast(pyarrow.date32(), safe=False)
    try:
        texts = column.cast(pyarrow.string())
    except pyarrow.ArrowException:
        raise FileRefused(f"{path}, column {name}: {column.type} is no text, number or date") from None
    return ["" if text is None else text for text in texts.to_pylist()]


def write(path: str, columns: Mapping[str, Sequence[Any] | np.ndarray[Any, Any]]) -> None:
    """Write a table of texts, dates, numbers and None; the file is there whole or not at all."""
    if path == STANDARD:
        _write_csv(sys.stdout, columns)
        sys.stdout.flush()
        return
    target = Path(path)
    handle, partial = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.resolve().parent)
    os.close(handle)
    try:
        if _suffix(path) == ".parquet":
            pyarrow = _parquet()
            numbers = {name: [_number(cell) for cell in cells] for name, cells in columns.items()}
            pyarrow.parquet.write_table(pyarrow.table(numbers), partial)
        else:
            with Path(partial).open("w", encoding="utf-8", newline="") as file:
                _write_csv(file, columns)
        mask = os.umask(0)
        os.umask(mask)
        Path(partial).chmod(0o666 & ~mask)
        Path(partial).replace(target)
    except OSError as error:
        raise FileRefused(f"{path}: {error.strerror or error}") from None
    finally:
        Path(partial).unlink(missing_ok=True)


def _write_csv(file: Any, columns: Mapping[str, Iterable[Any]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(_cells(column) for column in columns.values()), strict=True))


def _cells(column: Iterable[Any]) -> Iterable[Any]:
    return (_text(cell) for cell in (column.tolist() if isinstance(column, np.ndarray) else column))


def _text(cell: Any) -> Any:
    if isinstance(cell, Decimal):
        return f"{cell.normalize():f}"
    return f"{cell:.10g}" if isinstance(cell, float) else cell


def _number(cell: Any) -> Any:
    return float(cell) if isinstance(cell, Decimal) else cell
