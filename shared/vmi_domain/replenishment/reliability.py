"""How long a supplier really takes, how much of it comes, and how much of that in time (F61)."""

from collections import deque
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from statistics import fmean, median, stdev
from uuid import UUID

from vmi_domain.stock.supply_facts import Accepted, Fact, Order, Received, Shipped, current
from vmi_domain.values import dataclass

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
    proposal_id: UUID | None = None
    """The proposal that the order came of."""


@dataclass(slots=True)
class _Placed:
    """What was ordered at once, and what came of it."""

    at: datetime
    quantity: Decimal
    expected_at: datetime | None
    proposal_id: UUID | None
    received: Decimal = Decimal(0)
    received_at: datetime | None = None
    """The last of its receipts."""
    is_completed: bool = False

    @property
    def is_over(self) -> bool:
        """Once it is, it stays so."""
        return self.is_completed or self.received >= self.quantity

    def receive(self, receipt: Received) -> None:
        self.received += receipt.quantity
        self.received_at = receipt.at if self.received_at is None else max(self.received_at, receipt.at)
        self.is_completed = self.is_completed or receipt.completed


def deliveries_of(facts: Iterable[Fact]) -> list[Delivery]:
    """Return the orders of one item at one location that have come, by what documents said.

    A receipt belongs to the order it names, or its shipment names; one that names none, to the oldest order that waits.
    An order is over when all of it came, somebody said that no more will, or a later one has come.
    """
    placed: dict[object, _Placed] = {}
    of_shipment: dict[str, _Placed] = {}
    entries = current(facts)
    for entry in entries:
        if isinstance(entry, Accepted):
            placed[entry.proposal_id] = _Placed(entry.at, entry.quantity, entry.expected_at, entry.proposal_id)
    for entry in entries:
        if isinstance(entry, Order):
            accepted = placed.pop(entry.proposal_id, None)
            expected_at = entry.expected_at or (None if accepted is None else accepted.expected_at)
            since = entry.at if accepted is None else min(accepted.at, entry.at)
            placed[entry.order_id] = _Placed(since, entry.quantity, expected_at, entry.proposal_id)
    by_proposal = {one.proposal_id: one for one in placed.values() if one.proposal_id is not None}
    for entry in entries:
        if isinstance(entry, Shipped):
            shipped = placed.get(entry.order_id) or by_proposal.get(entry.proposal_id or UUID(int=0))
            if shipped is not None:
                of_shipment[entry.shipment_id] = shipped
                shipped.expected_at = shipped.expected_at or entry.expected_at
    ordered = sorted((one for one in placed.values() if one.quantity > 0), key=lambda one: one.at)
    waiting = deque(ordered)
    for entry in sorted((one for one in entries if isinstance(one, Received)), key=lambda one: one.at):
        while waiting and waiting[0].is_over:
            waiting.popleft()
        named = placed.get(entry.order_id) or of_shipment.get(entry.shipment_id or "")
        oldest = waiting[0] if waiting and waiting[0].at <= entry.at else None
        if (order := named or oldest) is not None:
            order.receive(entry)
    last = max((one.at for one in ordered if one.received_at is not None), default=None)
    return [
        Delivery(one.at, one.received_at, one.quantity, one.received, one.expected_at, one.proposal_id)
        for one in ordered
        if one.received_at is not None and (one.is_over or (last is not None and one.at < last))
    ]


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
