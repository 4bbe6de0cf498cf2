"""Goods between order and shelf."""

from collections import defaultdict
from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    item: int
    """Index of the item."""
    quantity: int
    proposal_id: UUID


@dataclass(frozen=True, slots=True)
class Delivery:
    """What one store was promised at the end of one day: one lorry, one receipt."""

    store: int
    """Index of the store."""
    ordered_on: int
    """Index of the live day at whose end it was ordered."""
    shipment_id: str
    lines: tuple[DeliveryLine, ...]


@dataclass(slots=True)
class OnTheWay:
    """Deliveries, to be found by the day on which the next thing happens to them."""

    _leaving: dict[int, list[Delivery]] = field(default_factory=lambda: defaultdict(list))
    _arriving: dict[int, list[Delivery]] = field(default_factory=lambda: defaultdict(list))

    def add(self, delivery: Delivery, *, leaves_on: int, arrives_on: int) -> None:
        """Take in what leaves the supplier during one day and arrives at the end of another."""
        self._leaving[leaves_on].append(delivery)
        self._arriving[arrives_on].append(delivery)

    def leaving_on(self, day: int) -> list[Delivery]:
        """Return, and forget, what leaves the supplier during the day."""
        return self._leaving.pop(day, [])

    def arriving_on(self, day: int) -> list[Delivery]:
        """Return, and forget, what arrives at the end of the day."""
        return self._arriving.pop(day, [])
