"""Whether a proposal may be accepted by itself, or a person must look at it first (F53)."""

from decimal import Decimal
from enum import StrEnum
from typing import Final

from vmi_domain.replenishment.needs import Expected
from vmi_domain.units import plain
from vmi_domain.values import dataclass


class Doubt(StrEnum):
    """Why what a proposal rests on may be wrong; nothing is accepted by itself on it."""

    NEGATIVE_STOCK = "negative_stock"
    """The record says that less than nothing is there (S9)."""

    @property
    def in_words(self) -> str:
        return _DOUBTS[self]


_DOUBTS: Final = {Doubt.NEGATIVE_STOCK: "the stock record is below zero"}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """Up to where a proposal is accepted by itself; None is no bound."""

    quantity: Decimal | None = None
    """Base units."""
    value: Decimal | None = None
    """Quantity times the agreed price."""
    deviation: float | None = None
    """The share by which the quantity may differ from the demand between two arrivals, the usual order."""


def usual_order(expected: Expected | None, days_between_arrivals: float) -> Decimal | None:
    """Return the demand expected between two arrivals, base units; None where nothing is known of it."""
    daily = None if expected is None else expected.until_next_arrival.daily_mean
    return None if daily is None else Decimal(repr(round(daily * days_between_arrivals, 6)))


def reason_to_look(
    quantity: Decimal,
    *,
    tolerance: Tolerance | None,
    unit_price: Decimal | None,
    usual: Decimal | None,
    doubts: tuple[Doubt, ...] = (),
) -> str:
    """Return why a person must look at a quantity before it is accepted, nothing where it is within what is agreed.

    What cannot be judged (a bound on the value without a price) is not within.
    """
    if doubts:
        return ", ".join(doubt.in_words for doubt in doubts)
    if tolerance is None or not quantity:
        return ""
    if tolerance.quantity is not None and quantity > tolerance.quantity:
        return f"the quantity {plain(quantity)} is above {plain(tolerance.quantity)}"
    if tolerance.value is not None:
        if unit_price is None:
            return "no price is agreed by which its value could be judged"
        value = quantity * unit_price
        if value > tolerance.value:
            return f"the value {plain(value)} is above {plain(tolerance.value)}"
    if tolerance.deviation is not None:
        if usual is None or not usual:
            return "no demand is known by which its size could be judged"
        deviation = abs(float(quantity / usual) - 1.0)
        if deviation > tolerance.deviation:
            return (
                f"it differs by {deviation:.0%} from the usual {plain(round(usual, 1))}, "
                f"more than {tolerance.deviation:.0%}"
            )
    return ""


def is_the_same_ground(reason: str, other: str) -> bool:
    """Return whether two reasons to look are of one kind: none, the size of the quantity, or the same doubt.

    By how much a size is out of bounds changes with every unit sold, and is no news.
    """
    if reason == other or not (reason and other):
        return reason == other
    return not any(one.startswith(tuple(_DOUBTS.values())) for one in (reason, other))
