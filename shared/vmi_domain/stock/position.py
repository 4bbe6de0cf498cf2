"""What stands at a location of one item: facts, the fold over them, and the quantities by their names (S1, S5, S11)."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from enum import IntEnum, StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from vmi_domain.values import dataclass

NOTHING: Final = Decimal(0)
NO_ID: Final = UUID(int=0)


class Key(NamedTuple):
    """The grain of everything: a customer, one of its locations, an item. Keys are locked and written in this order."""

    customer_id: str
    location_id: str
    item_id: str


class Kind(IntEnum):
    """What a journal line says. The numbers are stored: they are never given a new meaning."""

    SALE = 1
    """Sold or withdrawn, returned and lost sales, at a moment or over a period."""
    ADJUSTMENT = 2
    TRANSFER = 3
    RECEIPT = 4
    REPORT = 5
    """A stock record, absolute: what the customer's system says."""
    COUNT = 6
    """A physical count, absolute. Of two at one instant, people beat the record."""
    ORDER = 7
    SHIPMENT = 8
    TITLE = 10
    """Stock that became the customer's where it stood; it moves nothing. Negative: it is the supplier's again."""
    OBSERVATION = 11
    """Sales of another stream than the agreed one (S14): kept, and counted nowhere."""
    VOID = 9
    """Takes back a line that set the stock, or was about supply alone; what moved stock its opposite takes back."""


ABSOLUTE: Final = frozenset({Kind.REPORT, Kind.COUNT})
"""Kinds that set the stock."""

MOVING: Final = frozenset({Kind.SALE, Kind.ADJUSTMENT, Kind.TRANSFER, Kind.RECEIPT})
"""Kinds that add to the stock."""

ADDING: Final = MOVING | {Kind.TITLE}
"""Kinds of which days keep sums."""


@dataclass(frozen=True, slots=True)
class Count:
    """Stock as of a time, whoever said so; base units."""

    as_of: datetime
    quantity: Decimal
    """Gross or available, as agreed (``Basis``)."""
    unavailable: Decimal = NOTHING
    reserved: Decimal = NOTHING
    backlog: Decimal = NOTHING
    supplier_owned: Decimal | None = None
    """What of it is still the supplier's (S16); None where nothing was said."""
    revision: int = 0
    kind: Kind = Kind.REPORT
    line_id: UUID = NO_ID

    @property
    def order(self) -> tuple[datetime, int, int, UUID]:
        """The order of counts (S5): the later one is the anchor, whenever it arrived."""
        return (self.as_of, self.revision, self.kind, self.line_id)


@dataclass(frozen=True, slots=True)
class Movement:
    """Stock that came or went; base units, positive where it came."""

    occurred_at: datetime
    quantity: Decimal
    is_receipt: bool = False
    """Whether it came of an order: in snapshot authority it stays unconfirmed until the next report."""
    held_back: Decimal = NOTHING
    """What became unavailable by it, or (negative) usable again; ``quantity`` is what came or went of all there is."""
    titled: Decimal = NOTHING
    """What became the customer's by it, or (negative) the supplier's."""


@dataclass(frozen=True, slots=True)
class Balance:
    """The last count and what moved after it: all that the facts say about one key's stock, base units."""

    counted_at: datetime | None = None
    """As-of time of the last count, the anchor; None before the first."""
    counted: Decimal = NOTHING
    unavailable: Decimal = NOTHING
    """At the anchor, as are the next two."""
    reserved: Decimal = NOTHING
    backlog: Decimal = NOTHING
    moved: Decimal = NOTHING
    """After the anchor, receipts aside."""
    received: Decimal = NOTHING
    """After the anchor."""
    held_back: Decimal = NOTHING
    """What became unavailable after the anchor."""
    supplier_owned: Decimal | None = None
    """At the anchor; None where the count said nothing of it."""
    titled: Decimal = NOTHING
    """What became the customer's after the anchor."""


def fold(counts: Iterable[Count], movements: Iterable[Movement]) -> Balance:
    """Return the balance: the last count, and the sums of what moved after it.

    What moved up to the count, or at its very instant, is in the count already. Facts may reach us late and in any
    order; the result depends only on when they happened. A count deletes no movement: it only stands later. What the
    last count does not say (unavailable, reserved, backlog) is nothing.

    This is the reference. The store keeps the same incrementally.
    """
    anchor = max(counts, key=lambda count: count.order, default=None)
    moved = received = held_back = titled = NOTHING
    for movement in movements:
        if anchor is not None and movement.occurred_at <= anchor.as_of:
            continue
        if movement.is_receipt:
            received += movement.quantity
        else:
            moved += movement.quantity
        held_back += movement.held_back
        titled += movement.titled
    if anchor is None:
        return Balance(moved=moved, received=received, held_back=held_back, titled=titled)
    return Balance(
        counted_at=anchor.as_of,
        counted=anchor.quantity,
        unavailable=anchor.unavailable,
        reserved=anchor.reserved,
        backlog=anchor.backlog,
        moved=moved,
        received=received,
        held_back=held_back,
        supplier_owned=anchor.supplier_owned,
        titled=titled,
    )


class Authority(StrEnum):
    """Which stream says what stands on the shelf (S11)."""

    SNAPSHOT = "snapshot"
    LEDGER = "ledger"


class Basis(StrEnum):
    """What a report's quantity means (S1)."""

    GROSS = "gross"
    AVAILABLE = "available"


@dataclass(frozen=True, slots=True)
class Supply:
    """What is on its way to one key; base units, each unit in one stage only."""

    on_order: Decimal = NOTHING
    """Accepted or ordered, not shipped."""
    in_transit: Decimal = NOTHING
    """Shipped, not received."""
    probably_received: Decimal = NOTHING
    """That part of ``in_transit`` which was expected by the time of the last count: the count may hold it already."""


@dataclass(frozen=True, slots=True)
class Stock:
    """The quantities of one key by their names (S1); base units."""

    physical: Decimal
    """Gross on hand. Below zero while facts are out of order, or when the records are wrong (S9)."""
    unavailable: Decimal
    reserved: Decimal
    received_unconfirmed: Decimal
    """Received, and in no stock report yet (snapshot authority only)."""
    in_transit: Decimal
    """Shipped, and neither received nor probably in the last report."""
    probably_received: Decimal
    """Shipped, no receipt yet, and in snapshot authority expected before the last report: left out of the position."""
    on_order: Decimal
    backlog: Decimal

    @property
    def available(self) -> Decimal:
        """What can be sold: physical − unavailable − reserved."""
        return self.physical - self.unavailable - self.reserved

    @property
    def usable(self) -> Decimal:
        """Physical stock that planning counts with: without what is unavailable, and never below zero."""
        there = self.physical - self.unavailable
        return there if there > NOTHING else NOTHING

    @property
    def usable_unconfirmed(self) -> Decimal:
        """What was received and is in no report yet, less what the physical stock is below zero by."""
        if not self.received_unconfirmed:  # which is most keys
            return NOTHING
        return max(NOTHING, self.received_unconfirmed + min(NOTHING, self.physical - self.unavailable))

    @property
    def is_negative(self) -> bool:
        """Whether more is gone than ever came. In a stream that is normal for a while (S9)."""
        return self.physical + self.received_unconfirmed < 0


def stock(balance: Balance, supply: Supply, *, authority: Authority, basis: Basis) -> Stock:
    """Return the named quantities, as the agreement reads the facts.

    Snapshot authority: reports set the physical stock, what was sold since reduces it, and what was received since
    waits as unconfirmed. A shipment that was expected before the last report and has no receipt yet may be in that
    report: it is set apart, so that it never counts twice (S11). Ledger authority: receipts are physical at once.

    Basis available: the report was without what is unavailable and reserved; they are added to come to the gross
    stock, and are not subtracted a second time.
    """
    physical = balance.counted + balance.moved
    if basis is Basis.AVAILABLE:
        physical += balance.unavailable + balance.reserved
    in_snapshots = authority is Authority.SNAPSHOT
    probably_received = supply.probably_received if in_snapshots else NOTHING
    return Stock(
        physical=physical if in_snapshots else physical + balance.received,
        unavailable=balance.unavailable + balance.held_back,
        reserved=balance.reserved,
        received_unconfirmed=balance.received if in_snapshots else NOTHING,
        in_transit=supply.in_transit - probably_received,
        probably_received=probably_received,
        on_order=supply.on_order,
        backlog=balance.backlog,
    )


class Title(StrEnum):
    """When what the supplier sends becomes the customer's (S16): who manages stock need not own it."""

    ON_RECEIPT = "on_receipt"
    ON_WITHDRAWAL = "on_withdrawal"
    """Consignment: when it is sold or taken out; until then it is the supplier's."""


@dataclass(frozen=True, slots=True)
class Ownership:
    """Whose the stock is that stands there; base units. Both parts count in the position."""

    supplier: Decimal
    customer: Decimal


def ownership(balance: Balance, held: Stock, title: Title) -> Ownership:
    """Return how the stock that is there is split among its owners.

    The last count says what was the supplier's, or else the agreement does: all of it in consignment, else nothing.
    In consignment what comes is the supplier's, and what goes was. What was handed over (``titled``) changes the split
    and not the stock.
    """
    there = max(NOTHING, held.physical + held.received_unconfirmed)
    consigned = title is Title.ON_WITHDRAWAL
    if balance.supplier_owned is None:
        suppliers = there if consigned else NOTHING
    else:
        suppliers = balance.supplier_owned + (balance.moved + balance.received if consigned else NOTHING)
    suppliers = min(there, max(NOTHING, suppliers - balance.titled))
    return Ownership(suppliers, there - suppliers)


def inventory_position(held: Stock, *, proposed_open: Decimal = NOTHING, reserved_is_forecast: bool = True) -> Decimal:
    """Return the inventory position, base units: what is there and on its way, less what is owed.

        usable + received, unconfirmed + in transit + on order + proposed and open − backlog

    ``proposed_open`` leaves out the proposal that is being decided, or it would shrink itself to nothing. What is
    reserved is subtracted only where the demand it is reserved for is in no forecast.
    """
    there = held.usable + held.usable_unconfirmed
    owed = held.backlog if reserved_is_forecast else held.backlog + held.reserved
    return there + held.in_transit + held.on_order + proposed_open - owed
