"""What the demo shows while it runs, and its summary."""

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, Self
from zoneinfo import ZoneInfo

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from vmi_demo.journey import TIME_ZONE
from vmi_demo.latency import Latency
from vmi_demo.proposals import Proposal
from vmi_demo.shelves import Outcome
from vmi_demo.summary import HOW_IT_IS_COMPARED, HOW_LATENCY_IS_MEASURED, Summary

ROWS: Final = 12
A_LINE_EVERY_DAYS: Final = 10
"""Where there is no terminal to paint on, a line is printed so often."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A proposal as the table shows it."""

    proposal: Proposal
    after_ms: float | None


class Screen:
    """A progress bar and a table of the newest proposals on a terminal; now and then a line elsewhere."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description:14}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        )
        self._newest: deque[Shown] = deque(maxlen=ROWS)
        self._live: AbstractContextManager[object] = nullcontext()
        if console.is_terminal:
            self._live = Live(get_renderable=self._painted, console=console, refresh_per_second=4, transient=True)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._live.__exit__(None, None, None)

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._console.print(text, highlight=False, soft_wrap=True)

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Show how far something is."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total, note=note)
        self._progress.update(self._tasks[what], completed=done, total=total, note=note)
        if done >= total:
            self._progress.stop_task(self._tasks[what])

    def day(self, done: int, total: int, note: str) -> None:
        """Show that a live day is over."""
        self.progress("live days", done, total, note)
        if not self._console.is_terminal and (done % A_LINE_EVERY_DAYS == 0 or done == total):
            self.say(f"day {done} of {total}: {note}")

    def proposals(self, shown: Sequence[Shown]) -> None:
        """Put the newest proposals on top of the table."""
        self._newest.extendleft(shown[-ROWS:])

    def _painted(self) -> RenderableType:
        if not self._newest:
            return self._progress
        table = Table(title="Newest proposals", title_justify="left", header_style="bold", expand=True)
        table.add_column("store", no_wrap=True)
        table.add_column("item", no_wrap=True, max_width=28)
        table.add_column("send", justify="right", no_wrap=True)
        table.add_column("v", justify="right", no_wrap=True)
        table.add_column("on the shelf by", no_wrap=True)
        table.add_column("why", overflow="ellipsis", no_wrap=True, ratio=1)
        table.add_column("after", justify="right", no_wrap=True)
        for shown in list(self._newest):
            proposal = shown.proposal
            table.add_row(
                proposal.location_id,
                proposal.item_id,
                str(proposal.quantity),
                str(proposal.version),
                f"{proposal.deliver_at.astimezone(ZoneInfo(TIME_ZONE)):%a %d %b %H:%M}",
                proposal.reason,
                "" if shown.after_ms is None else f"{shown.after_ms:.0f} ms",
            )
        return Group(self._progress, table)


def print_summary(summary: Summary, console: Console) -> None:
    """Print what was sent, what came back, how fast, and how the shelves fared."""
    volume = summary.volume
    flow = Table(title="The flow", title_justify="left", show_header=False)
    flow.add_row("sent", f"{sum(volume.documents.values()):,} documents with {volume.lines:,} lines")
    flow.add_row("proposals", f"{summary.proposals:,} in {summary.versions:,} versions; {summary.accepted:,} accepted")
    flow.add_row("sale to proposal", _in_words(summary.sale_to_proposal))
    flow.add_row("report to proposal", _in_words(summary.report_to_proposal))
    took = summary.took
    flow.add_row(
        "took",
        f"{took.whole:.0f} s: start {took.start:.0f} s, history ({summary.history_days} days) {took.history:.0f} s, "
        f"{summary.live_days} live days {took.live:.0f} s",
    )
    console.print(flow)

    fared = Table(
        title=f"{summary.live_days} live days, {summary.stores} stores × {summary.items} items", title_justify="left"
    )
    fared.add_column("")
    for way in ("this service", "ERP rule", "ERP rule, same fill rate"):
        fared.add_column(way, justify="right")
    columns = (summary.service, summary.erp, summary.erp_at_same_fill_rate)
    fared.add_row("fill rate", *(_cell(one, lambda of: f"{of.fill_rate:.2%}") for one in columns))
    fared.add_row("average stock, units", *(_cell(one, lambda of: f"{of.average_stock:,.0f}") for one in columns))
    fared.add_row(
        "average stock, days of cover", *(_cell(one, lambda of: f"{of.days_of_cover:.1f}") for one in columns)
    )
    fared.add_row("stock-outs, item-days", *(_cell(one, lambda of: f"{of.short_item_days:,}") for one in columns))
    console.print(fared)
    console.print(f"[dim]Compared: {HOW_IT_IS_COMPARED}.[/]", soft_wrap=True, highlight=False)
    console.print(f"[dim]Latency: {HOW_LATENCY_IS_MEASURED}.[/]", soft_wrap=True, highlight=False)


def _in_words(latency: Latency) -> str:
    if latency.p50_ms is None:
        return "nothing timed"
    return (
        f"p50 {latency.p50_ms:,.0f} ms, p99 {latency.p99_ms:,.0f} ms, longest {latency.longest_ms:,.0f} ms "
        f"({latency.timed:,} versions)"
    )


def _cell(outcome: Outcome | None, text: Callable[[Outcome], str]) -> str:
    return "not reached" if outcome is None else text(outcome)
