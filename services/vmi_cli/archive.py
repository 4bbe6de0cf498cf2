"""``vmi archive``: what is old leaves the journal for files, and what is left still folds right."""

import asyncio
import csv
import getpass
import gzip
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from importlib.util import find_spec
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from vmi_cli.console import AsJson, Refused, err, out, print_json
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_inventory import archiving
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_store.archiving import Archive, ChangedMeanwhileError, SessionLostError
from vmi_store.journal import JournalLine

SUMS: Final = "SHA256SUMS"


class Format(StrEnum):
    """How a file is written."""

    PARQUET = "parquet"
    CSV = "csv"


def archive(
    before: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="Archive what occurred before this day, UTC.")],
    out_: Annotated[Path, typer.Option("--out", help="The directory for the files; it is made where it is missing.")],
    format_: Annotated[
        Format | None, typer.Option("--format", help="Parquet where pyarrow is installed, else CSV (gzip).")
    ] = None,
    who: Annotated[str | None, typer.Option(help="Who did so; the user of this machine without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Move old facts out of the journal into files: whole quarters that ended before
    a day, and older facts that have no quarter.

    Each file is written, read again and counted, and its SHA-256 noted,
    before its lines leave the journal (check any time: sha256sum -c
    SHA256SUMS). The last count of each key stays, and the sums of every
    day: positions, refolds and `vmi rebuild` are as before. Orders with all
    that came of them leave, too, but for each item's latest fifty
    deliveries, from which suppliers are judged. Corrections of
    archived documents find nothing to take back, and questions about what
    was known then find sums only: keep as many years as anybody asks for
    (forecasts learn from up to three).

        vmi archive --before 2022-01-01 --out /backup/vmi
    """
    chosen = format_ or (Format.PARQUET if find_spec("pyarrow") else Format.CSV)
    if chosen is Format.PARQUET and not find_spec("pyarrow"):
        raise Refused("Parquet files need pyarrow: pip install 'vmi[files]', or say --format csv")
    day = before.replace(tzinfo=UTC)
    if day > Clock().wall():
        raise Refused("--before lies in the future: what has not happened yet cannot be old")
    try:
        out_.mkdir(parents=True, exist_ok=True)
        written = asyncio.run(_archive(connected(), day, out_, chosen, who or getpass.getuser()))
    except ChangedMeanwhileError:
        raise Refused("facts of that time came in meanwhile; nothing of their partition left: run it again") from None
    except SessionLostError:
        raise Refused(
            "the connection to the database was lost; what left the journal is noted with its file, and nothing else"
            " left: run it again"
        ) from None
    except OSError as error:
        raise Refused(f"{out_}: {error.strerror or error}; nothing of that file left the journal") from None
    if as_json:
        print_json([_as_json(one) for one in written])
    elif not written:
        err.print("Nothing is that old, but what has to stay")
    for one in [] if as_json else written:
        out.print(f"{one.file}: {one.lines:,} lines, {one.first_at:%Y-%m-%d} to {one.last_at:%Y-%m-%d}")


async def _archive(settings: Settings, before: datetime, directory: Path, format_: Format, who: str) -> list[Archive]:
    stamp = f"{Clock().wall():%Y%m%dT%H%M%S}"

    def writer_of(table: str) -> File:
        return WRITERS[format_](directory / f"{table}-{stamp}.{EXTENSIONS[format_]}")

    async with opened(settings, patient=True) as database:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True) as progress:
            bar = progress.add_task("Looking for what is old", total=None)

            def report(table: str, lines: int) -> None:
                progress.update(bar, description=f"{table}: {lines:,} lines")

            return await archiving.archive(database, before, writer_of, who=who, report=report)


class File:
    """A file of journal lines: under another name until it is whole and verified."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(path.name + ".partial")

    def write(self, lines: Sequence[JournalLine]) -> None:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError

    def count(self) -> int:
        """Return how many lines can be read from the file."""
        raise NotImplementedError

    def verified(self, lines: int, first_at: datetime, last_at: datetime) -> Archive:
        self.close()
        found = self.count()
        if found != lines:
            raise OSError(f"{self.partial} holds {found} lines, not {lines}")
        with self.partial.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self.partial.rename(self.path)
        with (self.path.parent / SUMS).open("a", encoding="utf-8") as sums:
            sums.write(f"{digest}  {self.path.name}\n")
        return Archive(self.path.name, lines, first_at, last_at, digest)

    def abandon(self) -> None:
        self.partial.unlink(missing_ok=True)


class Csv(File):
    """CSV, compressed by gzip."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file: TextIOWrapper | None = None

    def write(self, lines: Sequence[JournalLine]) -> None:
        if self._file is None:
            self._file = TextIOWrapper(gzip.open(self.partial, "wb"), encoding="utf-8", newline="")  # noqa: SIM115
            csv.writer(self._file).writerow(JournalLine._fields)
        csv.writer(self._file).writerows(
            (*one[:3], one.occurred_at.isoformat(), one.line_id.hex(), int(one.kind), one.quantity,
             one.recorded_at.isoformat(), one.details)
            for one in lines
        )  # fmt: skip

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def count(self) -> int:
        with gzip.open(self.partial, "rt", encoding="utf-8", newline="") as file:
            return sum(1 for _ in csv.reader(file)) - 1


class Parquet(File):
    """Parquet, a row group each time."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._writer: Any = None

    def write(self, lines: Sequence[JournalLine]) -> None:
        import pyarrow
        import pyarrow.parquet

        instant = pyarrow.timestamp("us", tz="UTC")
        text = pyarrow.string()
        types = (text, text, text, instant, pyarrow.binary(), pyarrow.int16(), pyarrow.decimal128(20, 6), instant, text)
        schema = pyarrow.schema(list(zip(JournalLine._fields, types, strict=True)))
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self.partial, schema)
        columns = list(zip(*lines, strict=True))
        columns[5] = tuple(int(kind) for kind in columns[5])
        self._writer.write_table(
            pyarrow.table([pyarrow.array(c, t) for c, t in zip(columns, types, strict=True)], schema=schema)
        )

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()

    def count(self) -> int:
        import pyarrow.parquet

        file = pyarrow.parquet.ParquetFile(self.partial)
        return sum(batch.num_rows for batch in file.iter_batches())


WRITERS: Final[dict[Format, type[File]]] = {Format.PARQUET: Parquet, Format.CSV: Csv}
EXTENSIONS: Final = {Format.PARQUET: "parquet", Format.CSV: "csv.gz"}


def _as_json(one: Archive) -> dict[str, Any]:
    return {
        "file": one.file,
        "lines": one.lines,
        "first_at": one.first_at.isoformat(),
        "last_at": one.last_at.isoformat(),
        "sha256": one.sha256,
    }
