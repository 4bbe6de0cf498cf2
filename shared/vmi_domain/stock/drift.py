"""What a count finds that the facts did not say: drift, against the count before and what moved since (F22)."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from vmi_domain.stock.position import NOTHING, Count, Kind, Movement
from vmi_domain.values import dataclass

LEAST_TOLERANCE: Final = Decimal(2)
"""Base units, where a share is tolerated: of three units one is no drift worth a person's time."""


class Cause(StrEnum):
    """What the adjustment is booked for. Stored: none is given a new meaning."""

    SNAPSHOT_RECONCILE = "snapshot_reconcile"
    """A stock record of the customer's system."""
    COUNT_RECONCILE = "count_reconcile"
    """People looked."""

    @classmethod
    def of(cls, kind: Kind) -> "Cause":
        return cls.COUNT_RECONCILE if kind is Kind.COUNT else cls.SNAPSHOT_RECONCILE


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """A count, and what was expected of it; base units, as reported (gross or available)."""

    as_of: datetime
    cause: Cause
    counted: Decimal
    since: datetime | None = None
    """The count before; None for the first, which nothing can be expected of."""
    before: Decimal = NOTHING
    """What was counted then."""
    moved: Decimal = NOTHING
    """Since then, receipts aside: what was sold and adjusted, and what came or went to other locations."""
    received: Decimal = NOTHING

    @property
    def expected(self) -> Decimal | None:
        """What the facts said just before the count."""
        return None if self.since is None else self.before + self.moved + self.received

    @property
    def drift(self) -> Decimal:
        """The adjustment that is booked: counted − expected; nothing for the first count."""
        return NOTHING if self.expected is None else self.counted - self.expected


def reconcile(counts: Iterable[Count], movements: Iterable[Movement]) -> list[Reconciliation]:
    """Return every count, the earliest first, with what was expected of it.

    It depends on when facts happened, not on when they came: a late sale before a count explains a part of its drift.
    Of several counts at one instant the last by ``Count.order`` is the count. What moved at its very instant is in it.

    This is the reference. The store keeps the same incrementally.
    """
    at_instants: dict[datetime, Count] = {}
    for count in sorted(counts, key=lambda one: one.order):
        at_instants[count.as_of] = count
    moving = list(movements)
    found: list[Reconciliation] = []
    last: Count | None = None
    for as_of, count in at_instants.items():
        cause = Cause.of(count.kind)
        if last is None:
            found.append(Reconciliation(as_of, cause, count.quantity))
        else:
            between = [one for one in moving if last.as_of < one.occurred_at <= as_of]
            found.append(
                Reconciliation(
                    as_of,
                    cause,
                    count.quantity,
                    since=last.as_of,
                    before=last.quantity,
                    moved=sum((one.quantity for one in between if not one.is_receipt), NOTHING),
                    received=sum((one.quantity for one in between if one.is_receipt), NOTHING),
                )
            )
        last = count
    return found


def unexplained(drift: Decimal, *, probably_received: Decimal = NOTHING, set_apart: Decimal = NOTHING) -> Decimal:
    """Return the drift that nothing explains; base units.

    A shipment that was expected by the count and has no receipt yet may be in it (S11): it explains a surplus up to its
    quantity. Where the available stock is reported (S1), what was newly ``set_apart`` (unavailable, reserved) is
    missing from it and not lost.
    """
    rest = drift + set_apart
    return rest if rest <= 0 else max(NOTHING, rest - probably_received)


def is_tolerated(drift: Decimal, expected: Decimal, *, tolerance: Decimal | None, share: float) -> bool:
    """Return whether a drift is small enough to be nobody's business: ``tolerance`` in base units, else the share."""
    limit = tolerance
    if limit is None:
        limit = max(LEAST_TOLERANCE, abs(expected) * Decimal(str(share)))
    return abs(drift) <= limit
