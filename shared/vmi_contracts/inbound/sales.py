"""What customers sold."""

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Self

from pydantic import Field, model_validator

from vmi_contracts.document import MOST_LINES
from vmi_contracts.inbound.documents import CorrectableDocument, ItemLine, Retraction
from vmi_contracts.values import Amount, Instant


class SalesLine(ItemLine):
    """What one item sold."""

    quantity: Amount
    """Sold or withdrawn, before returns."""

    returned: Amount = Decimal(0)
    """Brought back by buyers and fit to be sold again: stock comes, demand is none the less."""

    returned_defective: Amount = Decimal(0)
    """Brought back and not fit to be sold: it is there, and unavailable."""

    lost: Amount = Decimal(0)
    """Asked for and not there: demand, but no movement of stock."""


class DemandStream(StrEnum):
    """What figures are figures of (S14). Streams show one demand at several places: they are never summed."""

    SELL_THROUGH = "sell_through"
    """Sold to the customer's own buyers, before returns."""
    NET_SELL_THROUGH = "net_sell_through"
    """The same less what came back: ``returned`` is in it already, and is not added to the stock again."""
    WITHDRAWAL = "withdrawal"
    """Taken out of a warehouse, in the customer's own batches."""
    ORDER = "order"
    """Ordered by the customer's own buyers or stores."""


class SalesRecorded(CorrectableDocument):
    """What a customer sold on to its own buyers (sell-out, not our sell-in), at a moment or over a period."""

    message_type: ClassVar[str] = "vmi.sales-recorded.v1"

    occurred_at: Instant
    """When it was sold; for a period its end, which is when stock moves."""

    period_start: Instant | None = None
    """Set when the lines add up a period that ends at ``occurred_at``."""

    stream: DemandStream = DemandStream.SELL_THROUGH
    """Only the agreed one (``demand_stream``) is demand and moves stock; the others are kept and count nowhere."""

    lines: Annotated[tuple[SalesLine, ...], Field(min_length=1, max_length=MOST_LINES)]

    @model_validator(mode="after")
    def _period_runs_forward(self) -> Self:
        if self.period_start is not None and self.period_start > self.occurred_at:
            raise ValueError("period_start lies after occurred_at, the period's end")
        return self


class SalesRetracted(Retraction):
    """Sales that are taken back: they were not made, or not so."""

    message_type: ClassVar[str] = "vmi.sales-retracted.v1"
