"""Receipts that differ from what was shipped or ordered (S10, F65)."""

from collections.abc import Iterable
from decimal import Decimal

from vmi_domain.stock.position import NOTHING
from vmi_domain.stock.supply_facts import Fact, Order, Received, Shipped, current
from vmi_domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Mismatch:
    """What was announced, and what came; base units."""

    name: str
    """Of the shipment or order."""
    announced: Decimal
    received: Decimal

    @property
    def difference(self) -> Decimal:
        """Positive where more came."""
        return self.received - self.announced


def mismatches(facts: Iterable[Fact], tolerance_share: float = 0.0) -> list[Mismatch]:
    """Return the shipments and orders of one key that were received with another quantity than was announced.

    Too much is wrong at once; too little only when the receiver says that nothing more will come. A receipt counts for
    the shipment it names, else for the order; what names neither of them, or one that nobody has announced, is
    unsolicited and no mismatch.
    """
    announced: dict[str, Decimal] = {}
    received: dict[str, Decimal] = {}
    completed: set[str] = set()
    entries = current(facts)
    for entry in entries:
        match entry:
            case Shipped():
                _add(announced, f"shipment {entry.shipment_id}", entry.quantity)
            case Order():
                _add(announced, f"order {entry.order_id}", entry.quantity)
            case _:
                pass
    for entry in entries:
        if not isinstance(entry, Received):
            continue
        names = [f"shipment {entry.shipment_id}", f"order {entry.order_id}"]
        name = next((one for one in names if one in announced), None)
        if name is not None:
            _add(received, name, entry.quantity)
            completed |= {name} if entry.completed else set()
    found = [Mismatch(name, announced[name], quantity) for name, quantity in sorted(received.items())]
    return [one for one in found if _is_wrong(one, one.name in completed, tolerance_share)]


def _is_wrong(one: Mismatch, completed: bool, tolerance_share: float) -> bool:
    if abs(one.difference) <= one.announced * Decimal(str(tolerance_share)):
        return False
    return one.difference > 0 or (completed and one.difference < 0)


def _add(sums: dict[str, Decimal], name: str, quantity: Decimal) -> None:
    sums[name] = sums.get(name, NOTHING) + quantity
