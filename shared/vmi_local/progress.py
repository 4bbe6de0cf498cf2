"""What a start reports while it goes on, and a bar that shows it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from vmi_local.errors import LocalServerError


class Report(Protocol):
    """Called with what a server does now and which share of its start, 0 to 1, is behind it."""

    def __call__(self, server: str, doing: str, share: float) -> None: ...


def silent(server: str, doing: str, share: float) -> None:
    """Report nothing."""


class Cancellation:
    """Ends a start from another thread: a Ctrl-C, or the other server's failure."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def cancel(self) -> None:
        self._event.set()

    def check(self) -> None:
        """Raise when the start was called off."""
        if self._event.is_set():
            raise LocalServerError("The start was called off.")

    def pause(self, seconds: float) -> None:
        """Wait, and raise when the start was called off meanwhile."""
        self._event.wait(seconds)
        self.check()


@contextmanager
def progress_bar(console: Console | None = None) -> Iterator[Report]:
    """Show one bar a server on the terminal until the block ends."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[doing]}"))
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        tasks: dict[str, TaskID] = {}

        def report(server: str, doing: str, share: float) -> None:
            if server not in tasks:
                tasks[server] = progress.add_task(server, total=1.0, doing=doing)
            progress.update(tasks[server], completed=share, doing=doing)

        yield report
