"""From a line's unit to the item's base unit, in exact decimals (S18)."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Context, Decimal
from functools import lru_cache
from typing import Final

FINEST: Final = Decimal("0.000001")
"""The finest quantity that is kept."""

LARGEST: Final = Decimal(10) ** 14
"""Quantities stay below it: 14 digits before the point and 6 after it are kept."""

_EXACT: Final = Context(prec=60, rounding=ROUND_HALF_EVEN)


class UnitNotConvertibleError(ValueError):
    """The item knows no such unit."""


class QuantityTooLargeError(ValueError):
    """In base units the quantity is larger than what is kept."""


def to_base(quantity: Decimal, unit: str | None, *, base_unit: str, units: Mapping[str, Decimal]) -> Decimal:
    """Return ``quantity`` in the item's base unit; ``units`` says how many base units one of another unit is.

    A line without a unit is in the base unit. The product is exact, and rounded once, half to even, where it is finer
    than a millionth (a pound is 0.45359237 kg).

    >>> to_base(Decimal(3), "CS", base_unit="EA", units={"CS": Decimal(12)})
    Decimal('36')
    """
    if unit is None or unit == base_unit:
        return quantity
    factor = units.get(unit)
    if factor is None:
        known = ", ".join((base_unit, *units))
        raise UnitNotConvertibleError(f"the item has no unit {unit!r}; it knows {known}")
    product = _EXACT.multiply(quantity, factor)
    if abs(product) >= LARGEST:
        raise QuantityTooLargeError(f"{quantity} {unit} are too many base units to be kept")
    if int(product.as_tuple().exponent) < -6:
        product = product.quantize(FINEST, context=_EXACT)
    return product


@lru_cache(maxsize=16_384)  # most quantities are small and whole: a batch asks for the same some thousand times
def plain(quantity: Decimal) -> str:
    """Return a quantity in words: no exponent, no zeros at its end.

    >>> plain(Decimal("12.500")), plain(Decimal("1E+2")), plain(Decimal("-0.0"))
    ('12.5', '100', '0')
    """
    if not quantity:
        return "0"
    text = format(quantity, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
