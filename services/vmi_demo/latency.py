"""How long it took from an event to the proposal that shows it, by the broker's own clock.

Both ends are append times of the broker (``LogAppendTime``): that of the record with the event, and that of the record
with the proposal. Which event a proposal follows from is found by its explanation: during a day a store's shelf of an
item only goes down, by sales, so the usable stock that the explanation starts from names the sale after which just that
much was left. Another version that starts from the same stock, and one of an item that sold nothing, follow from the
day's stock report, if they came after it. Versions that answer an answer (accepted, shipped ...) are not timed, nor are
those of before the report that no sale explains (they follow from answers and deliveries); how many is told.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

import numpy as np

from vmi_contracts.outbound import ProposalStatus
from vmi_contracts.topics import STOCK
from vmi_demo.proposals import Proposal
from vmi_demo.wire import Sent

OWN_DECISIONS: Final = frozenset({ProposalStatus.PROPOSED, ProposalStatus.CANCELLED})

Key = tuple[str, str]
"""Location and item."""


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles of the time from event to proposal; none where nothing was timed."""

    timed: int
    p50_ms: float | None = None
    p99_ms: float | None = None
    longest_ms: float | None = None


@dataclass(slots=True)
class Stopwatch:
    """Holds the events of the day under way, and the times measured so far, in milliseconds."""

    _sold_down_to: dict[tuple[Key, int | None], datetime] = field(default_factory=dict)
    _reported: dict[str, datetime] = field(default_factory=dict)
    _shown: set[tuple[Key, int | None]] = field(default_factory=set)
    _after_sales: list[float] = field(default_factory=list)
    _after_reports: list[float] = field(default_factory=list)
    untimed: int = 0
    """Versions that no event of their day explains."""

    def begin_day(self) -> None:
        """Forget the events of the day before."""
        self._sold_down_to.clear()
        self._reported.clear()
        self._shown.clear()

    def sent(self, records: Iterable[Sent]) -> None:
        """Take down sales and stock reports."""
        for one in records:
            location_id = one.outgoing.location_id
            if one.outgoing.topic is STOCK:
                self._reported[location_id] = one.appended_at
            for item_id, left in one.outgoing.left:
                self._sold_down_to.setdefault(((location_id, item_id), left), one.appended_at)

    def proposed(self, proposal: Proposal, appended_at: datetime) -> float | None:
        """Take down a proposal; return how many milliseconds it came after its event, where that is known."""
        if proposal.status not in OWN_DECISIONS:
            return None
        shown = (proposal.location_id, proposal.item_id), proposal.usable
        sold_at = None if shown in self._shown else self._sold_down_to.get(shown)
        reported_at = self._reported.get(proposal.location_id)
        self._shown.add(shown)
        if sold_at is not None and sold_at <= appended_at:
            return _noted(self._after_sales, sold_at, appended_at)
        if reported_at is not None and reported_at <= appended_at:
            return _noted(self._after_reports, reported_at, appended_at)
        self.untimed += 1
        return None

    def after_sales(self) -> Latency:
        """Return the times from a sale to its proposal."""
        return _percentiles(self._after_sales)

    def after_reports(self) -> Latency:
        """Return the times from a stock report, with a line for every item, to the proposals it led to."""
        return _percentiles(self._after_reports)


def _noted(times_ms: list[float], caused_at: datetime, appended_at: datetime) -> float:
    milliseconds = (appended_at - caused_at).total_seconds() * 1000
    times_ms.append(milliseconds)
    return milliseconds


def _percentiles(times_ms: Sequence[float]) -> Latency:
    if not times_ms:
        return Latency(0)
    p50, p99, longest = np.percentile(times_ms, [50, 99, 100]).tolist()
    return Latency(len(times_ms), p50, p99, longest)
