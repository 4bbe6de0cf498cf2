"""How long it took from an event to the proposal that shows it, by the broker's own clock.

Both ends are append times of the broker (``LogAppendTime``): that of the record with the event, and that of the record
with the proposal. Which event a proposal follows from is found by its explanation: during a day a store's shelf of an
item only goes down, by sales, so the usable stock that the explanation starts from names the sale after which just that
much was left. A later version that starts from the same stock, and the first version of a key that sold nothing,
follow from the day's stock report. Versions that answer an answer (accepted, ordered …) are not counted, nor are those
that no event of the day explains; how many those were is told.

The stores send a whole day in one burst. A latency therefore contains the wait behind the rest of the day's events.
"""

from collections.abc import Iterable
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
class Latencies:
    """Percentiles of the time from event to proposal."""

    measured: int
    unexplained: int
    p50_ms: float | None
    p99_ms: float | None
    longest_ms: float | None


@dataclass(slots=True)
class Stopwatch:
    """Holds the events of the day under way, and the times measured so far, in milliseconds."""

    _sold_down_to: dict[tuple[Key, int | None], datetime] = field(default_factory=dict)
    _reported: dict[str, datetime] = field(default_factory=dict)
    _shown: set[tuple[Key, int | None]] = field(default_factory=set)
    _times_ms: list[float] = field(default_factory=list)
    _unexplained: int = 0
    _running: bool = False

    def begin_day(self) -> None:
        """Forget the events of the day before, and measure."""
        self._running = True
        self._sold_down_to.clear()
        self._reported.clear()
        self._shown.clear()

    def end_day(self) -> None:
        """Measure no more: what comes now follows from answers and deliveries."""
        self.begin_day()
        self._running = False

    def sent(self, records: Iterable[Sent]) -> None:
        """Take down a day's sales and stock reports."""
        for one in records:
            location_id = one.outgoing.location_id
            if one.outgoing.topic is STOCK:
                self._reported[location_id] = one.appended_at
            for item_id, left in one.outgoing.left:
                self._sold_down_to.setdefault(((location_id, item_id), left), one.appended_at)

    def proposed(self, proposal: Proposal, appended_at: datetime) -> float | None:
        """Take down a proposal; return how many milliseconds it came after its event, where that is measured."""
        if not self._running or proposal.status not in OWN_DECISIONS:
            return None
        shown = (proposal.location_id, proposal.item_id), proposal.usable
        sold_at = None if shown in self._shown else self._sold_down_to.get(shown)
        self._shown.add(shown)
        caused_at = sold_at or self._reported.get(proposal.location_id)
        if caused_at is None or appended_at < caused_at:
            self._unexplained += 1
            return None
        milliseconds = (appended_at - caused_at).total_seconds() * 1000
        self._times_ms.append(milliseconds)
        return milliseconds

    def latencies(self) -> Latencies:
        """Return what was measured so far."""
        if not self._times_ms:
            return Latencies(0, self._unexplained, None, None, None)
        p50, p99, longest = np.percentile(self._times_ms, [50, 99, 100]).tolist()
        return Latencies(len(self._times_ms), self._unexplained, p50, p99, longest)
