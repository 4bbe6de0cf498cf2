"""A quantity that the customer asks for in the place of the one that was computed (F5)."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from vmi_domain.replenishment.proposals import BOUND, Proposal
from vmi_domain.replenishment.quantities import NOTHING, OrderRules, Sized, to_order
from vmi_domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Override:
    """A wish for one order opportunity; it never outlives that."""

    quantity: Decimal
    """Base units."""
    told_at: datetime
    reason: str = ""


def sized(quantity: Decimal, rules: OrderRules) -> Sized:
    """Return what to order for a wish: it goes before policy, minimum order and maximum, but packs stay whole."""
    free = replace(rules, minimum_order=NOTHING, largest_order=None, budget=None, maximum=None, load_step=None)
    free = replace(free, truck_fill=None, truck_room=None)
    return to_order(missing=quantity, position=NOTHING, rules=free)


def net_of(override: Override, parts: Iterable[Proposal]) -> Override:
    """Return the wish less what is bound at its opportunity already."""
    bound = sum((part.quantity for part in parts if part.status in BOUND), NOTHING)
    return replace(override, quantity=max(override.quantity - bound, NOTHING))
