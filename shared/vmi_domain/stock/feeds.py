"""Whether a customer's feed of documents is alive: a dead one looks like no demand, or like a full shelf (F12)."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from vmi_domain.values import dataclass

GRACE: Final = timedelta(hours=1)
"""After the agreed cadence: documents are some minutes late on most days."""


class FeedKind(StrEnum):
    """Documents that come together. The names are stored and published."""

    STOCK = "stock"
    """Reports and counts."""
    SALES = "sales"
    ORDERS = "orders"
    """Orders, shipments and receipts."""


@dataclass(frozen=True, slots=True)
class Feed:
    """Up to when a location's feed has told."""

    reached_at: datetime | None = None
    """The latest time of which one of its documents speaks; None before the first."""
    watched_since: datetime | None = None
    """When somebody agreed to watch it: before its first document it is as old as that."""

    def fresh_until(self, cadence: timedelta) -> datetime | None:
        """Return when it becomes stale if nothing more comes; None where it cannot be told yet."""
        since = self.reached_at or self.watched_since
        return None if since is None else since + cadence + GRACE

    def is_stale(self, cadence: timedelta, now: datetime) -> bool:
        """Return whether it has told of nothing for longer than agreed."""
        until = self.fresh_until(cadence)
        return until is not None and now > until
