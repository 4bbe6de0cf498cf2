"""The demo from its first server to its summary."""

import asyncio
import logging
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import uuid4

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from vmi_contracts.outbound import ProposalStatus
from vmi_contracts.topics import SALES
from vmi_demo import erp_rule, journey, purchases, wire
from vmi_demo.documents import (
    CUSTOMER,
    LEAD_TIME_DAYS,
    REVIEW_DAYS,
    SERVICE_TARGET,
    Outgoing,
    Writer,
    opportunity,
    pack_sizes,
)
from vmi_demo.erp_rule import Bounds
from vmi_demo.journey import Journey
from vmi_demo.latency import Stopwatch
from vmi_demo.proposals import ProposalBook
from vmi_demo.screen import Screen, Shown
from vmi_demo.settling import Places, settle
from vmi_demo.shelves import Outcome, Shelves, outcome
from vmi_demo.stage import Stage, stage
from vmi_demo.stores import Stores
from vmi_demo.summary import Summary, Took, Volume
from vmi_demo.wire import Reader, Received, Sender
from vmi_runtime.clock import monotonic

COVERS: Final = np.arange(0, 121) * 0.05
"""Factors on the ERP rule's minimum and maximum, among which the one with the service's fill rate is sought."""
DOCUMENTS_AT_ONCE: Final = 500
PARTS_OF_A_DAY: Final = 4
SECONDS_BETWEEN_PARTS: Final = 0.05
"""A day's sales come in parts, so that they do not all wait behind each other."""


@dataclass(frozen=True, slots=True)
class Options:
    """What the user may choose."""

    days: int = 90
    stores: int = 20
    items: int = 200
    keep: bool = False


async def run(options: Options, console: Console) -> Summary:
    """Run the whole demo, servers and workers included, and return its summary; print what happens on the console.

    ``vmi demo`` calls it so, and prints the summary (``screen.print_summary``) or writes it (``Summary.as_json``)::

        summary = asyncio.run(vmi_demo.run(vmi_demo.Options(days=30), console))

    A Ctrl-C (or SIGTERM) cancels it: everything it started is stopped and removed before KeyboardInterrupt
    (CancelledError) comes out. What it cannot do it says in a ``DemoError``, ``purchases.DataMissing``,
    ``settling.Stuck`` or ``LocalServerError``, each one line for the person who started it.
    """
    began = monotonic()
    # A client that finds a new topic's leader at the second try is no news; what fails for good is raised.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    data = await asyncio.to_thread(_journey, options)
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        async with stage(console, keep=options.keep) as scene:
            summary = await _played(data, scene, console, began)
            if options.keep:
                _say_how_to_look_around(scene, data, console)
    except asyncio.CancelledError:
        console.print("Stopped. Workers, broker and database have ended, and their data are removed.")
        raise
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
    return summary


def _journey(options: Options) -> Journey:
    return journey.choose(purchases.read(), stores=options.stores, items=options.items, days=options.days)


async def _played(data: Journey, scene: Stage, console: Console, began: float) -> Summary:
    """Play the journey on running servers."""
    packs = pack_sizes(data.history)
    rule = erp_rule.bounds(data.history, lead_time_days=LEAD_TIME_DAYS, review_days=REVIEW_DAYS)
    opening = erp_rule.opening_stock(rule, packs)
    comparison = asyncio.create_task(asyncio.to_thread(_erp_curve, data, rule, opening, packs))
    writer = Writer(data, packs, run=uuid4().hex[:8])
    stores = Stores(data, writer, Shelves(opening))
    async with AsyncExitStack() as stack:
        screen = stack.enter_context(Screen(console))
        sender = await stack.enter_async_context(wire.sender(scene.settings.kafka))
        reader = await stack.enter_async_context(wire.reader(scene.settings.kafka))
        play = Play(stores, scene, sender, reader, screen)
        started = monotonic()
        await play.history()
        loaded = monotonic()
        for day in range(len(data.live_days)):
            await play.day(day)
        await play.last_night()
        ended = monotonic()
    curve = await comparison
    fared = outcome(stores.shelves)
    return Summary(
        stores=len(data.stores),
        items=len(data.items),
        history_days=len(data.history_days),
        live_days=len(data.live_days),
        volume=play.volume,
        proposals=len(play.book),
        versions=play.book.versions,
        repeated_versions=play.book.repeated,
        accepted=play.accepted,
        ordered_units=stores.ordered_units,
        sale_to_proposal=play.stopwatch.after_sales(),
        report_to_proposal=play.stopwatch.after_reports(),
        untimed_versions=play.stopwatch.untimed,
        service_target=SERVICE_TARGET,
        opening_stock=int(opening.sum()),
        service=fared,
        erp=curve[COVERS.tolist().index(1.0)],
        erp_at_same_fill_rate=erp_rule.at_fill_rate(fared.fill_rate, curve),
        took=Took(start=started - began, history=loaded - started, live=ended - loaded),
    )


def _erp_curve(data: Journey, rule: Bounds, opening: NDArray[np.int64], packs: NDArray[np.int64]) -> list[Outcome]:
    return erp_rule.replay(
        data.wanted, rule, opening=opening, packs=packs, lead_time_days=LEAD_TIME_DAYS, covers=COVERS.tolist()
    )


@dataclass(slots=True)
class Play:
    """Stores and service, day by day."""

    stores: Stores
    scene: Stage
    sender: Sender
    reader: Reader
    screen: Screen
    book: ProposalBook = field(default_factory=ProposalBook)
    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    volume: Volume = field(default_factory=Volume)
    accepted: int = 0
    overnight: list[Outgoing] = field(default_factory=list)
    """What happened since the closing reports of the day before, and is not sent yet: goods came in, proposals were
    accepted."""
    sales: list[Outgoing] = field(default_factory=list)
    """What the stores write on the day to come: it depends on no proposal of the evening before it."""

    async def history(self) -> None:
        """Send catalogue, agreements and history, and the stock with which the live part opens."""
        writer = self.stores.writer
        await self._send(list(writer.catalogue()))
        await self._settle()
        await self._send(list(writer.agreements()))
        await self._settle()
        past = await asyncio.to_thread(lambda: list(writer.history()))
        for first in range(0, len(past), DOCUMENTS_AT_ONCE):
            await self._send(past[first : first + DOCUMENTS_AT_ONCE])
            self.screen.progress("history, sent", min(first + DOCUMENTS_AT_ONCE, len(past)), len(past))
        await self._settle(partial(self._show_history, len(past)))
        await self._send(self.stores.opening_reports())
        self._live_ahead(0)
        await self._settle()
        self._accept(-1)

    async def day(self, day: int) -> None:
        """Live through one day, from what follows from last night's proposals to tonight's.

        There is one barrier a day, at its end, when the proposals are read. Nobody waits for the answers to be
        processed: until they are, the proposals that they accept stay open, and count as supply in the same way. While
        the workers work on the day's end, the stores live through the next day already: nothing that is ordered
        tonight can arrive before it is over.
        """
        data = self.stores.journey
        self.stopwatch.begin_day()
        await self._send(self.overnight)
        for some in _in_parts(self.sales, PARTS_OF_A_DAY):
            self.stopwatch.sent(await self._send(some))
            await asyncio.sleep(SECONDS_BETWEEN_PARTS)
        self.stopwatch.sent(await self._send(self.stores.closing_reports(day)))
        fared = outcome(self.stores.shelves)
        self._live_ahead(day + 1)
        await self._settle()
        self._accept(day)
        note = f"{data.live_days[day]}, fill rate {fared.fill_rate:.1%}, {self.book.versions:,} proposal versions"
        self.screen.day(day + 1, len(data.live_days), note)

    async def last_night(self) -> None:
        """Send what followed from the last day's proposals."""
        self.stopwatch.begin_day()
        await self._send(self.overnight)
        await self._settle()

    def _live_ahead(self, day: int) -> None:
        """Let goods come in on the evening before a day, and live through the day, if there is another one."""
        self.overnight = self.stores.arrivals(day - 1)
        self.sales = self.stores.day(day) if day < len(self.stores.journey.live_days) else []

    def _accept(self, day: int) -> None:
        """Let the supplier accept what is due tonight."""
        due = self.book.due(opportunity(self.stores.date_of(day)))
        self.accepted += len(due)
        self.overnight += self.stores.acceptances(day, due)

    async def _send(self, outgoing: list[Outgoing]) -> list[wire.Sent]:
        sent = await self.sender.send(outgoing)
        self.volume.add(sent)
        return sent

    async def _settle(self, look: Callable[[Places], None] = lambda _: None) -> None:
        def looked(places: Places) -> None:
            self.scene.require_workers()
            look(places)

        await settle(self.scene.pipeline, self.reader, self._take_in, looked)

    def _take_in(self, received: list[Received]) -> None:
        shown = []
        for one in received:
            for proposal in self.book.apply(one.issued):
                after_ms = self.stopwatch.proposed(proposal, one.appended_at)
                if proposal.status is ProposalStatus.PROPOSED:
                    shown.append(Shown(proposal, after_ms))
        self.screen.proposals(shown)

    def _show_history(self, total: int, places: Places) -> None:
        waiting = places.get(("vmi-inventory", SALES.name), 0)
        self.screen.progress("history, taken", total - waiting, total)


def _in_parts(outgoing: list[Outgoing], parts: int) -> list[list[Outgoing]]:
    """Return the documents in so many parts of about the same length, in their order."""
    size = max(1, -(-len(outgoing) // parts))
    return [outgoing[first : first + size] for first in range(0, len(outgoing), size)]


def _say_how_to_look_around(scene: Stage, data: Journey, console: Console) -> None:
    process = scene.workers.process()
    for line in (
        f"Left running in {scene.directory}. To look around:",
        f"    export VMI_LOCAL__DIRECTORY={scene.directory}",
        "    vmi status",
        "    vmi watch proposals --last 5",
        f"    vmi position show {CUSTOMER} {data.stores[0]} {data.items[0]}",
        "To stop it:",
        f"    kill {process.pid if process else '-'} && vmi local down && rm -r {scene.directory}",
        "The next vmi demo removes it, too.",
    ):
        console.print(line, highlight=False, soft_wrap=True)
