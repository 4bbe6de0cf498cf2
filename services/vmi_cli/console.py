"""How the command line speaks: to people on a terminal, to programs as JSON, and how it fails."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any, Final, NoReturn

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a program to read.")]


class Refused(Exception):
    """What was asked cannot be done; the message is for the person who asked."""


def fail(message: str) -> NoReturn:
    """Print one line on standard error and exit with status 2."""
    err.print(f"[bold red]vmi:[/] {message}", markup=True, soft_wrap=True)
    raise typer.Exit(2)


def warn(text: str) -> None:
    """Say what may surprise, on standard error."""
    err.print(f"vmi: warning: {text}", markup=False, soft_wrap=True)


@contextmanager
def file_progress(what: str) -> Iterator[Callable[[float], None]]:
    """Show how much of the work is done, where somebody looks on; yields what is to be told the share."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def print_json(value: Any) -> None:
    """Print one JSON document; what JSON has no form for becomes text."""
    print(json.dumps(value, indent=2, default=str, ensure_ascii=False))


def print_rows(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, nothing: str, sentences: bool = False
) -> None:
    """Print a table, or one line where there is nothing to show.

    ``sentences``: the last column holds them. Where the terminal is too narrow, each stands below its row.
    """
    if not rows:
        out.print(nothing)
        return
    cells = [["" if value is None else str(value) for value in row] for row in rows]
    out.print(f"[italic]{escape(title)}[/]")
    table = Table(header_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*row)
    is_wide = out.measure(table, options=out.options.update(width=UNBOUNDED)).maximum > out.width
    if is_wide:
        table.padding = (0, 0, 0, 0)
    if sentences and is_wide:
        _print_with_sentences_below(columns[:-1], cells)
    else:
        out.print(table)
    out.print()


UNBOUNDED: Final = 10_000
BETWEEN: Final = 2
NARROWEST: Final = 6


def _print_with_sentences_below(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print what stands before the sentences in columns as wide as they need, the widest folded until all fit."""
    widths = [max(map(len, of_column)) for of_column in zip(columns, *(row[:-1] for row in rows), strict=True)]
    while sum(widths) + BETWEEN * (len(widths) - 1) > out.width and max(widths) > NARROWEST:
        widths[widths.index(max(widths))] -= 1
    for number, row in enumerate(((*columns, ""), *rows)):
        grid = Table.grid(padding=(0, BETWEEN, 0, 0), pad_edge=False)
        for width in widths:
            grid.add_column(width=width, overflow="fold", style="bold" if number == 0 else "")
        grid.add_row(*row[:-1])
        out.print(grid)
        if row[-1]:
            out.print(Padding(Text(row[-1]), (0, 0, 0, 4)))


def ago(at: datetime | None, now: datetime) -> str:
    """Return how long ago a moment was, as people say it; nothing for none."""
    if at is None:
        return ""
    seconds = max(0, int((now - at).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
