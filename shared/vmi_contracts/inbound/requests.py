"""What customers ask for beside answers."""

from datetime import date
from typing import Annotated, ClassVar, Final, Self

from pydantic import Field, model_validator

from vmi_contracts.document import MOST_LINES, Document, Line
from vmi_contracts.values import Amount, Identifier, Instant, ItemId, SupplierId, Text


class RequestLine(Line):
    item_id: ItemId

    quantity: Amount | None
    """Base units to send at that opportunity, in the place of what is computed, rounded to whole packs only; 0 sends
    nothing. Null takes the wish back."""

    order_on: date | None = None
    """The site's day of the order opportunity it is for; the next one from ``requested_at`` on where it is missing."""

    reason: Text = ""


class ReplenishmentRequested(Document):
    """What a customer wants sent at one order opportunity, whatever is computed (852 QX): an opening, a display fill.

    It never outlives its opportunity.
    """

    message_type: ClassVar[str] = "vmi.replenishment-requested.v1"

    requested_at: Instant

    lines: Annotated[tuple[RequestLine, ...], Field(min_length=1, max_length=MOST_LINES)]


MOST_NUMBERS_OF_A_RANGE: Final = 10_000


class OrderNumberLine(Line):
    """One number, or a range of them."""

    number: Identifier

    last: Identifier | None = None
    """The last of a range that begins with ``number``; the two differ in their last digits only."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers one by one."""
        if self.last is None:
            return (self.number,)
        head, digits = _head_and_digits(self.number)
        _, last = _head_and_digits(self.last)
        return tuple(f"{head}{number:0{len(digits)}d}" for number in range(int(digits), int(last) + 1))

    @model_validator(mode="after")
    def _range_counts_up(self) -> Self:
        if self.last is not None:
            (head, digits), (other, last) = _head_and_digits(self.number), _head_and_digits(self.last)
            if not digits or head != other or len(digits) != len(last):
                raise ValueError("a range runs between numbers that differ in their last digits only")
            if not 0 <= int(last) - int(digits) < MOST_NUMBERS_OF_A_RANGE:
                raise ValueError(f"a range counts up, over {MOST_NUMBERS_OF_A_RANGE} numbers at most")
        return self


def _head_and_digits(number: str) -> tuple[str, str]:
    digits = number[len(number.rstrip("0123456789")) :]
    return number[: len(number) - len(digits)], digits


class OrderNumbersAssigned(Document):
    """Purchase order numbers that a customer gives out for orders to come at a location (XPO)."""

    message_type: ClassVar[str] = "vmi.order-numbers-assigned.v1"

    assigned_at: Instant
    supplier_id: SupplierId | None = None
    """For orders to this supplier only."""

    lines: Annotated[tuple[OrderNumberLine, ...], Field(min_length=1, max_length=MOST_LINES)]
