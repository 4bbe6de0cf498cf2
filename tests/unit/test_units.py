"""Units: exact, and named where they are not known (S18)."""

from decimal import Decimal

import pytest

from vmi_domain.units import QuantityTooLargeError, UnitNotConvertibleError, to_base

UNITS = {"CS": Decimal(12), "LB": Decimal("0.45359237")}


@pytest.mark.parametrize(
    ("quantity", "unit", "expected"),
    [
        ("25", None, "25"),
        ("25", "EA", "25"),
        ("3", "CS", "36"),
        ("0.5", "CS", "6"),
        ("-2", "CS", "-24"),
        ("3", "LB", "1.360777"),
    ],
)
def test_a_line_comes_to_the_items_base_unit(quantity: str, unit: str | None, expected: str) -> None:
    assert to_base(Decimal(quantity), unit, base_unit="EA", units=UNITS) == Decimal(expected)


def test_a_unit_the_item_does_not_know_is_named() -> None:
    with pytest.raises(UnitNotConvertibleError, match="no unit 'PAL'; it knows EA, CS, LB"):
        to_base(Decimal(1), "PAL", base_unit="EA", units=UNITS)


def test_what_becomes_too_large_to_be_kept_is_refused() -> None:
    with pytest.raises(QuantityTooLargeError):
        to_base(Decimal(10) ** 13, "CS", base_unit="EA", units=UNITS)
