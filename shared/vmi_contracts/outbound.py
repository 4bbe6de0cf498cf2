"""What suppliers and customers read from us: our promise, kept strictly."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field

from vmi_contracts.document import Document, Line
from vmi_contracts.values import Amount, Instant, ItemId, SupplierId, Unit


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


class ProposalLine(Line):
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

    reason: str
    """One sentence for a planner."""

    explanation: Mapping[str, Any]
    """The inputs, the formula's steps and the binding constraint: the quantity can be recomputed from it alone."""


class ProposalsIssued(Document):
    """Replenishment proposals of one supplier for one location."""

    message_type: ClassVar[str] = "vmi.proposals-issued.v1"

    supplier_id: SupplierId
    issued_at: Instant

    lines: Annotated[tuple[ProposalLine, ...], Field(min_length=1)]
