"""What suppliers and customers read from us: our promise, kept strictly."""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field

from vmi_contracts.document import Document, Line
from vmi_contracts.values import Amount, CustomerId, Instant, ItemId, LocationId, Party, Quantity, SupplierId, Unit


class ProposalStatus(StrEnum):
    """Where a proposal stands in its life (F51)."""

    HELD = "held"
    """Computed, and not offered: nothing is to be sent for it now."""
    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    CHANGED = "changed"
    REJECTED = "rejected"
    ORDERED = "ordered"
    SHIPPED = "shipped"
    RECEIVED = "received"
    CLOSED = "closed"
    SUPERSEDED = "superseded"
    """Another proposal, to another supplier, has taken its place."""
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class HeldBecause(StrEnum):
    """Why a proposal is not offered."""

    STALE_DATA = "stale_data"
    SHADOW = "shadow"


class ProposalState(Line):
    """One proposal in one version. Apply it only if its version is higher than what you hold."""

    proposal_id: UUID
    """The same through all versions: one agreement, one order opportunity."""

    version: Annotated[int, Field(ge=1)]
    supersedes_version: Annotated[int, Field(ge=1)] | None = None

    status: ProposalStatus
    held_because: HeldBecause | None = None

    item_id: ItemId

    quantity: Amount
    """What to send, base units; 0 when cancelled."""

    unit: Unit

    packs: Amount
    """The same in packs."""

    order_at: Instant
    """The order opportunity it is for."""

    deliver_at: Instant
    """When it should stand on the shelf."""

    expires_at: Instant
    """Unanswered after this it no longer counts."""

    fill_quantity: Amount | None = None
    """What of the quantity, base units, is not needed yet and fills up a layer or a pallet: demand of later days that
    is pulled forward, and no sign of more of it."""

    requested_quantity: Amount | None = None
    """What we ask to change the quantity to, where the proposal is frozen or accepted. It binds nobody: accepting this
    version keeps ``quantity``, a change to the requested one takes it up."""

    countered_by: Party | None = None
    """Whose counter-proposal this version is; the other party accepts it, refuses it or counters again."""

    review_because: str | None = None
    """Why a person must look at it: what it rests on is doubtful, or it is out of the tolerance within which the
    agreement has proposals accepted by themselves."""

    order_number: str | None = None
    """The customer's purchase order number of the order it belongs to, taken from the pool it sent when a first line
    was accepted; all lines of one consolidation have the same."""

    order_number_missing: bool = False
    """Set where the customer sends numbers and none was left: it goes out without, and the pool wants filling."""

    supply_confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    """How far what is needed can be relied on, by the supplier's own word on its supply; missing where it gave none,
    or nothing is agreed on that."""

    reason: str
    """What a planner reads first."""


class ProposalLine(ProposalState):
    """A proposal in one version, with why."""

    explanation: Mapping[str, Any]
    """The inputs, the formula's steps and the binding constraint: the quantity can be recomputed from it alone."""


class ProposalStands(ProposalState):
    """A living proposal as it stands now; its record is deleted when nothing more is to come of it."""

    message_type: ClassVar[str] = "vmi.proposal-stands.v1"

    customer_id: CustomerId
    location_id: LocationId
    supplier_id: SupplierId
    consolidation_id: UUID
    issued_at: Instant

    @property
    def key(self) -> str:
        """The record's key: the proposal alone, so that the topic keeps the last of each."""
        return str(self.proposal_id)


class ProposalsIssued(Document):
    """Replenishment proposals of one supplier for one location and one order day: lines of one order (F57)."""

    message_type: ClassVar[str] = "vmi.proposals-issued.v1"

    supplier_id: SupplierId
    issued_at: Instant

    consolidation_id: UUID
    """The same in every document of this location, supplier and order day: who makes orders of proposals makes one of
    all lines under it."""

    order_day: date
    """The site's own day of the order opportunity."""

    lines: Annotated[tuple[ProposalLine, ...], Field(min_length=1)]


class CountReason(StrEnum):
    """Why a count is asked for (F25)."""

    NEGATIVE_STOCK = "negative_stock"
    PHANTOM_SUSPECT = "phantom_suspect"
    """Stock is on record and nothing of it is sold, for far longer than chance explains."""
    LOW_CONFIDENCE = "low_confidence"


class CountRequestStatus(StrEnum):
    OPEN = "open"
    ANSWERED = "answered"


class CountRequestLine(Line):
    """An item to be counted. A stock-counted document as of the request or later answers it."""

    request_id: UUID
    status: CountRequestStatus
    item_id: ItemId
    reason: CountReason

    expected: Quantity
    """On the shelf by the record, when it was asked for."""

    unit: Unit

    confidence: Annotated[float, Field(ge=0, le=1)]
    """The probability that the record is right."""

    requested_at: Instant
    answered_at: Instant | None = None
    counted: Quantity | None = None


class CountsRequested(Document):
    """Counts that are asked for at one location, or were answered."""

    message_type: ClassVar[str] = "vmi.counts-requested.v1"

    issued_at: Instant

    lines: Annotated[tuple[CountRequestLine, ...], Field(min_length=1)]


class ExceptionKind(StrEnum):
    """What a person must act on; nothing else alarms (F63 to F65)."""

    STOCK_OUT = "stock_out"
    STOCK_OUT_PROJECTED = "stock_out_projected"
    """It will run out before what can be ordered next arrives."""
    BELOW_MINIMUM = "below_minimum"
    """Now, or within the lead time."""
    ABOVE_MAXIMUM = "above_maximum"
    STALE_FEED = "feed_stale"
    SHIPMENT_OVERDUE = "shipment_overdue"
    RECEIPT_MISMATCH = "receipt_mismatch"
    DRIFT = "drift"
    """A count or report differs from the facts by more than is tolerated."""
    NEGATIVE_STOCK = "negative_stock"
    """More has gone than ever came, and late facts have not explained it."""
    UNANSWERED = "proposal_unanswered"
    SUPPLY_SHORT = "supply_short"
    BAND_CHANGE_REQUESTED = "band_change_requested"
    """One party asks for another band than the one that the other owns, and waits for its answer."""


class ExceptionStatus(StrEnum):
    """Where an exception stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    SUPPRESSED = "suppressed"
    CLOSED = "closed"
    """Its cause is gone (or, where it cannot go, a person has settled it)."""


class ExceptionLine(Line):
    """One exception in one version. Apply it only if its version is higher than what you hold."""

    exception_id: UUID
    """The same whenever it happens again: kind, customer, location, item and subject."""

    version: Annotated[int, Field(ge=1)]
    occurrence: Annotated[int, Field(ge=1)]
    """Counts how often it has been opened."""

    kind: ExceptionKind
    status: ExceptionStatus

    item_id: ItemId | None = None
    """Missing where it concerns the location as a whole."""
    subject: str | None = None
    """What of it: a shipment, an order, a supplier, a kind of document, a request."""

    opened_at: Instant
    closed_at: Instant | None = None

    reason: str
    """One sentence, as it was when it opened."""
    details: Mapping[str, str]
    """The figures behind it."""

    author: str | None = None
    """Who acknowledged or suppressed it."""
    note: str | None = None
    suppressed_until: Instant | None = None


class ExceptionsChanged(Document):
    """Exceptions of one location that opened, closed, or were taken up by a person."""

    message_type: ClassVar[str] = "vmi.exceptions-changed.v1"

    changed_at: Instant

    lines: Annotated[tuple[ExceptionLine, ...], Field(min_length=1)]
