"""How long a supplier really takes, how much of it comes, and how much of that in time (F61)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import fmean, median, stdev

DAY = timedelta(days=1)
ENOUGH = 5
"""Receipts below which nothing is learned: two late trucks are no distribution."""
MOST = 50
"""The latest receipts that count, so that a supplier may get better."""
SPREAD = 1.4826
"""The median absolute deviation of a normal times this is its standard deviation."""
FAR = 3.0
"""Standard deviations from the median at which an outlier is capped: one lost truck is not the lead time."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An order that has come, as far as it came."""

    ordered_at: datetime
    received_at: datetime
    """The last of its receipts."""
    ordered: Decimal
    received: Decimal
    expected_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Reliability:
    """What a supplier's deliveries show."""

    deliveries: int
    lead_time_days: float
    lead_time_sd_days: float
    on_time_in_full: float
    """The share of orders that came by the day expected and in full."""
    in_full: float
    """Units received over units ordered (yield)."""


def learned(deliveries: Sequence[Delivery], *, lead_time_days: float | None = None) -> Reliability | None:
    """Return what deliveries show of lead time, punctuality and yield; None while they are too few.

    Lead times further than three robust deviations (of a day at least a tenth of the median and half a day) from the
    median are capped there. In time is within a day of what was expected; without a word on that, of the agreed lead
    time, without that of the median.
    """
    latest = sorted(deliveries, key=lambda one: (one.received_at, one.ordered_at))[-MOST:]
    if len(latest) < ENOUGH:
        return None
    times = [max((one.received_at - one.ordered_at) / DAY, 0.0) for one in latest]
    middle = median(times)
    spread = max(SPREAD * median(abs(one - middle) for one in times), 0.1 * middle, 0.5)
    capped = [min(max(one, middle - FAR * spread), middle + FAR * spread) for one in times]
    usual = (middle if lead_time_days is None else lead_time_days) * DAY
    good = [
        one.received_at <= (one.expected_at or one.ordered_at + usual) + DAY and one.received >= one.ordered
        for one in latest
    ]
    ordered = sum((one.ordered for one in latest), Decimal(0))
    received = sum((min(one.received, one.ordered) for one in latest), Decimal(0))
    return Reliability(
        deliveries=len(latest),
        lead_time_days=fmean(capped),
        lead_time_sd_days=stdev(capped),
        on_time_in_full=sum(good) / len(good),
        in_full=float(received / ordered) if ordered else 1.0,
    )
