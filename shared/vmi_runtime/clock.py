"""The only wall clock of the service, and the rule for what *now* means at a location."""

import time
from datetime import UTC, datetime
from enum import StrEnum

from vmi_domain.values import dataclass


class ClockMode(StrEnum):
    """Where *now* comes from (``VMI_CLOCK``)."""

    WALL = "wall"
    """The machine's clock: production."""

    EVENTS = "events"
    """Each location's watermark: a year of history replays in minutes, with every day closed where it belongs."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Tells the time. Workers get one with each transaction; the domain gets ``now`` as a parameter."""

    mode: ClockMode = ClockMode.WALL

    def wall(self) -> datetime:
        """Return the machine's time: for leases, ages and logs, never for a decision about stock."""
        return datetime.now(UTC)

    def now(self, reached_at: datetime) -> datetime:
        """Return *now* at a location whose facts have reached ``reached_at`` (its watermark)."""
        return reached_at if self.mode is ClockMode.EVENTS else self.wall()


def monotonic() -> float:
    """Return seconds that never go backwards: for deadlines and waits."""
    return time.monotonic()
