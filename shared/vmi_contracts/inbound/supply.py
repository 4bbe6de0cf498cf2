"""What suppliers can send."""

from datetime import date
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from vmi_contracts.document import MOST_LINES, Line, Part
from vmi_contracts.values import Amount, CustomerId, Identifier, Instant, ItemId, SupplierId


class Production(Part):
    """What can be shipped in addition from a day on."""

    ready_on: date
    quantity: Amount
    """Base units."""


class SupplyLine(Line):
    """One item, by the customer's name of it; base units."""

    item_id: ItemId

    available_to_promise: Amount | None = None
    """What can be promised now, commitments up to ``stated_at`` taken off."""
    on_hand: Amount | None = None
    """The supplier's stock; taken for what can be promised where that is missing."""
    production: Annotated[tuple[Production, ...], Field(max_length=1000)] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.available_to_promise is None and self.on_hand is None and not self.production:
            raise ValueError("neither available_to_promise nor on_hand nor production is stated")
        return self


class SupplyStated(Part):
    """A supplier's stock, production plan and availability to promise (UBL StockAvailabilityReport).

    Of each item the statement that was made last holds; an item that is not in it stays as it was.
    """

    message_type: ClassVar[str] = "vmi.supply-stated.v1"

    supplier_id: SupplierId
    customer_id: CustomerId | None = None
    """Whom it is for; whoever has an agreement with the supplier for the item, where it is missing."""
    stated_at: Instant
    valid_until: Instant | None = None
    """Not relied on afterwards."""
    allocation: Literal["proportional", "equal_share_of_target", "quota", "priority"] = "proportional"
    """How it is shared out where it is short for several (S27)."""
    revision: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Counts up when the same statement is made again with other contents."""
    document_id: Identifier | None = None

    lines: Annotated[tuple[SupplyLine, ...], Field(min_length=1, max_length=MOST_LINES)]

    @property
    def key(self) -> str:
        return self.supplier_id if self.customer_id is None else f"{self.customer_id}|{self.supplier_id}"
