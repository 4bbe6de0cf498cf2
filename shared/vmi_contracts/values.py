"""The kinds of value that documents are made of: identifiers, quantities, instants."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final, Literal, cast

from pydantic import (
    AfterValidator,
    AwareDatetime,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

SIGNIFICANT_DIGITS_OF_A_JSON_NUMBER: Final = 15
"""What survives a double on the way; a JSON number with more has been changed silently by somebody."""

Identifier = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=80, pattern=r"^[^\x00-\x1f\x7f|]*$")
]
"""A party's own name for a thing, kept as written (leading zeros too); no control characters and no ``|``."""

CustomerId = Identifier
LocationId = Identifier
ItemId = Identifier
SupplierId = Identifier

Party = Literal["customer", "supplier"]
"""Who of the two that an agreement is between.

One name everywhere: to typing both orders are equal, and a schema would tell the one that was made first.
"""
Text = Annotated[str, StringConstraints(max_length=500, pattern=r"^[^\x00]*$")]
"""Words for people."""

Unit = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=12, pattern=r"^[^\x00-\x1f\x7f|]*$")
]
"""A unit of measure as the item names it, say ``EA`` or ``CS``."""


MILLIONTH: Final = Decimal("0.000001")
"""The finest quantity that is kept."""

NOISE: Final = Decimal("0.00000001")
"""What binary arithmetic leaves behind somewhere on the way: 24.000000001 was 24 (F26)."""


def _exact(value: object) -> object:
    """Refuse a JSON number whose digits a double cannot have carried; strings carry any. Drop what is noise."""
    if type(value) is str:
        return _without_noise(value, value)
    if type(value) is float:
        written = repr(value)
        if len(written.replace(".", "").lstrip("-0").split("e")[0]) > SIGNIFICANT_DIGITS_OF_A_JSON_NUMBER:
            raise ValueError(
                f"the number has more than {SIGNIFICANT_DIGITS_OF_A_JSON_NUMBER} significant digits; "
                "send it as a string"
            )
        return _without_noise(value, written) if len(written) > 8 else value
    if type(value) is bool:
        raise ValueError("a quantity is a number, not true or false")
    return value


def _without_noise(value: object, written: str) -> object:
    """Return the number in millionths where it is one but for noise, else the value as it is."""
    whole, _, fraction = written.strip().partition(".")
    if len(fraction) <= 6 or not (whole.lstrip("-+") + fraction).isdecimal() or len(whole) > 15:
        return value
    exact = Decimal(written)
    rounded = round(exact, 6)
    return rounded if abs(rounded - exact) <= NOISE else value


def plain(quantity: Decimal) -> str:
    """Return the quantity in digits without an exponent or needless zeros."""
    text = format(quantity, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


LONGEST_REMEMBERED: Final = 8
MOST_REMEMBERED: Final = 4096


def _remembering() -> WrapValidator:
    """Return what reads a kind of quantity, and a short text that it has read before a second time at once.

    Quantities are most of what is read, and most of them are few units: "0" alone is a third of some reports. To check
    one takes four times as long as to look it up.
    """
    known: dict[str, Decimal] = {}

    def read(value: object, checked: ValidatorFunctionWrapHandler) -> Decimal:
        if type(value) is not str or len(value) > LONGEST_REMEMBERED:
            return cast(Decimal, checked(_exact(value)))
        quantity = known.get(value)
        if quantity is None:
            if len(known) >= MOST_REMEMBERED:
                known.clear()
            quantity = known[value] = checked(value)
        return quantity

    return WrapValidator(read)


Quantity = Annotated[
    Decimal,
    Field(max_digits=18, decimal_places=6, allow_inf_nan=False),
    _remembering(),
    PlainSerializer(plain, return_type=str, when_used="json"),
]
"""An exact decimal. It travels as a JSON string; numbers of up to 15 significant digits are read too."""

Amount = Annotated[
    Decimal,
    Field(max_digits=18, decimal_places=6, allow_inf_nan=False, ge=0),
    _remembering(),
    PlainSerializer(plain, return_type=str, when_used="json"),
]
"""A quantity that cannot be negative."""


def _within_history(moment: datetime) -> datetime:
    """Refuse what Postgres or a shift of time zone could not hold: years near 1 and 9999."""
    if not 1900 <= moment.year <= 9998:
        raise ValueError("the time lies outside the years 1900 to 9998")
    return moment


Instant = Annotated[AwareDatetime, AfterValidator(_within_history)]
"""A moment with its offset from UTC."""
