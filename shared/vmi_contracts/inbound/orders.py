"""Orders, shipments and receipts."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import Field

from vmi_contracts.document import MOST_LINES
from vmi_contracts.inbound.documents import CorrectableDocument, ItemLine, Retraction
from vmi_contracts.values import Amount, Identifier, Instant


class OrderLine(ItemLine):
    quantity: Amount
    """What is wanted now, not the change; 0 cancels the line."""

    proposal_id: UUID | None = None
    """The proposal it answers; without it the oldest open accepted proposal is taken."""

    expected_at: Instant | None = None
    """When the goods should arrive."""


class OrderPlaced(CorrectableDocument):
    """A replenishment order placed, or changed (a higher ``revision`` of the same order)."""

    message_type: ClassVar[str] = "vmi.order-placed.v1"

    order_id: Identifier
    placed_at: Instant

    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class ShipmentLine(ItemLine):
    quantity: Amount

    order_id: Identifier | None = None
    proposal_id: UUID | None = None


class ShipmentDispatched(CorrectableDocument):
    """Goods on their way to the location (despatch advice, ASN)."""

    message_type: ClassVar[str] = "vmi.shipment-dispatched.v1"

    shipment_id: Identifier
    shipped_at: Instant
    expected_at: Instant | None = None

    lines: Annotated[tuple[ShipmentLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class ReceiptLine(ItemLine):
    quantity: Amount
    """Received in this receipt alone, never a running total."""

    shipment_id: Identifier | None = None
    order_id: Identifier | None = None

    completed: bool = False
    """Nothing more will come of this line, whatever was shipped."""


class GoodsReceived(CorrectableDocument):
    """Goods that arrived at the location (receiving advice)."""

    message_type: ClassVar[str] = "vmi.goods-received.v1"

    receipt_id: Identifier
    received_at: Instant

    lines: Annotated[tuple[ReceiptLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class OrdersRetracted(Retraction):
    """Orders, shipments or receipts that are taken back as errors. An order is cancelled by ordering 0 of it."""

    message_type: ClassVar[str] = "vmi.orders-retracted.v1"
