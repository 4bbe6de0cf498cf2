"""Minimum and maximum by days of supply: dynamic levels that follow the demand to come."""

from collections.abc import Sequence
from decimal import Decimal


def dynamic_level(demand: Sequence[Decimal], period: int, days_of_supply: int) -> Decimal:
    """Return what the demand of the periods *after* ``period`` adds up to, so many of them (S24, F42).

    The period's own demand is left out: the level is compared with what is projected at its end. Beyond
    the last known period the demand counts as nothing.

    >>> dynamic_level([Decimal(10), Decimal(20), Decimal(30), Decimal(40)], 0, 2)
    Decimal('50')
    """
    return sum(demand[period + 1 : period + 1 + days_of_supply], Decimal(0))
