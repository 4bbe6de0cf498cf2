"""What customers tell of stock: reports, counts, adjustments, transfers, title."""

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from vmi_contracts.document import MOST_LINES
from vmi_contracts.inbound.documents import CorrectableDocument, ItemLine, Retraction
from vmi_contracts.values import Amount, Identifier, Instant, LocationId, Quantity


class Status(StrEnum):
    """Why stock that is there is unavailable."""

    QUALITY_CONTROL = "quality_control"
    DAMAGED = "damaged"
    ON_HOLD = "on_hold"
    DISPLAY = "display"
    """On display, not for sale."""
    PROMOTIONAL = "promotional"
    """Set aside for a promotion: not for base demand."""
    RECALLED = "recalled"


class StockLine(ItemLine):
    """What stands at a location of one item (S1: quantities have names)."""

    on_hand: Quantity
    """Gross or available as agreed (``stock_basis``); a negative record is refused, its line quarantined."""

    unavailable: Amount = Decimal(0)
    """There, and not to be sold for a reason without a field of its own. All that is unavailable is the sum of this and
    the following six."""
    quality_control: Amount = Decimal(0)
    damaged: Amount = Decimal(0)
    on_hold: Amount = Decimal(0)
    display: Amount = Decimal(0)
    """On display, not for sale."""
    promotional: Amount = Decimal(0)
    """Set aside for a promotion."""
    recalled: Amount = Decimal(0)

    reserved: Amount = Decimal(0)
    """Promised to somebody already."""

    backlog: Amount = Decimal(0)
    """Owed to the customer's own buyers."""

    supplier_owned: Amount | None = None
    """What of the gross stock is still the supplier's (consigned); where it is missing, as ``title_transfer`` has it.
    It counts in the position as all stock does."""


class StockReported(CorrectableDocument):
    """Stock records, absolute, as of a time: what the customer's system says is there."""

    message_type: ClassVar[str] = "vmi.stock-reported.v1"

    as_of: Instant | date
    """A date alone means the end of that day at the site, or its start as agreed (``snapshot_cut_off``, S6)."""

    lines: Annotated[tuple[StockLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class StockCounted(CorrectableDocument):
    """A physical count: people looked, and this is there."""

    message_type: ClassVar[str] = "vmi.stock-counted.v1"

    as_of: Instant

    lines: Annotated[tuple[StockLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class AdjustmentLine(ItemLine):
    quantity: Quantity = Decimal(0)
    """What was added (positive) or written off (negative)."""

    unavailable: Quantity = Decimal(0)
    """What became unavailable without leaving (positive), or is held back no longer (negative): it is usable again, or
    gone. Of 5 that are recalled: ``unavailable`` 5; when they go back: ``quantity`` -5 and ``unavailable`` -5."""

    status: Status | None = None
    """Which status ``unavailable`` is about."""

    reason: Literal[
        "damaged",
        "expired",
        "lost",
        "found",
        "correction",
        "recalled",
        "status_changed",
        "returned_to_supplier",
        "other",
    ] = "other"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if "quantity" not in self.model_fields_set and "unavailable" not in self.model_fields_set:
            raise ValueError("neither quantity nor unavailable is given")
        return self


class StockAdjusted(CorrectableDocument):
    """Stock that changed without being sold, received or moved: found, written off, sent back."""

    message_type: ClassVar[str] = "vmi.stock-adjusted.v1"

    occurred_at: Instant

    lines: Annotated[tuple[AdjustmentLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class TransferLine(ItemLine):
    quantity: Amount


class StockTransferred(CorrectableDocument):
    """Stock that left this location for another one of the same customer.

    It arrives there at the same moment; with a ``transfer_id`` it is on its way until goods are received there that
    name it as their shipment.
    """

    message_type: ClassVar[str] = "vmi.stock-transferred.v1"

    occurred_at: Instant

    to_location_id: LocationId

    transfer_id: Identifier | None = None
    expected_at: Instant | None = None
    """When it should arrive, if it is on its way."""

    lines: Annotated[tuple[TransferLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class TitleLine(ItemLine):
    quantity: Quantity
    """What became the customer's; negative: what became the supplier's again."""


class TitleTransferred(CorrectableDocument):
    """Stock that changed its owner and not its place (S16): consigned goods that were taken over, or have aged."""

    message_type: ClassVar[str] = "vmi.title-transferred.v1"

    occurred_at: Instant

    lines: Annotated[tuple[TitleLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class StockRetracted(Retraction):
    """Reports, counts, adjustments or transfers that are taken back."""

    message_type: ClassVar[str] = "vmi.stock-retracted.v1"
