"""Documents about supply to one key, and what of them stands: last revisions, in the order in which they happened."""

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from enum import IntEnum
from typing import Final, TypeVar
from uuid import UUID

from vmi_domain.stock.position import NO_ID, NOTHING
from vmi_domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Accepted:
    """A proposal that a party bound itself to. Of several acceptances of one proposal the last word counts."""

    proposal_id: UUID
    quantity: Decimal
    at: datetime
    expected_at: datetime | None = None
    revision: int = 0
    """Counts up with each word on the proposal."""
    fact_id: UUID = NO_ID


@dataclass(frozen=True, slots=True)
class Ordered:
    """A line of a replenishment order: what is wanted now. A higher revision changes it, quantity 0 cancels it."""

    order_id: str
    quantity: Decimal
    at: datetime
    proposal_id: UUID | None = None
    expected_at: datetime | None = None
    revision: int = 0
    fact_id: UUID = NO_ID


@dataclass(frozen=True, slots=True)
class Shipped:
    """A line of a shipment. A higher revision of it nets again."""

    shipment_id: str
    quantity: Decimal
    at: datetime
    order_id: str | None = None
    proposal_id: UUID | None = None
    expected_at: datetime | None = None
    revision: int = 0
    fact_id: UUID = NO_ID


@dataclass(frozen=True, slots=True)
class Received:
    """A line of a receipt: what came in it alone, never a running total."""

    receipt_id: str
    quantity: Decimal
    at: datetime
    shipment_id: str | None = None
    order_id: str | None = None
    completed: bool = False
    """Nothing more will come of what it names."""
    fact_id: UUID = NO_ID


Fact = Accepted | Ordered | Shipped | Received

# What of the facts is current ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Order:
    """An order line in its last revision."""

    order_id: str
    quantity: Decimal
    at: datetime
    most: Decimal
    """The most that any revision wanted: so much of a proposal was meant, whatever is left of it."""
    proposal_id: UUID | None
    expected_at: datetime | None
    fact_id: UUID


Entry = Accepted | Order | Shipped | Received


class _Rank(IntEnum):
    ACCEPTED, ORDERED, SHIPPED, RECEIVED = range(4)


_RANKS: Final[dict[type, _Rank]] = {
    Accepted: _Rank.ACCEPTED,
    Order: _Rank.ORDERED,
    Shipped: _Rank.SHIPPED,
    Received: _Rank.RECEIVED,
}

T = TypeVar("T", Accepted, Ordered, Shipped)


def current(facts: Iterable[Fact]) -> list[Entry]:
    """Return what stands: each document in its last revision, and each fact once.

    A document may have several lines of the item; they stand and fall with its revision together.
    """
    once: Collection[Fact] = list(facts)
    if len({fact.fact_id for fact in once}) < len(once):  # to compare all that they say takes longer
        once = set(once)
    entries: list[Entry] = [fact for fact in once if isinstance(fact, Received)]
    accepted = [fact for fact in once if isinstance(fact, Accepted)]
    entries += [last for each in _by(accepted, lambda fact: fact.proposal_id) for last in _last_revision(each)[-1:]]
    shipped = [fact for fact in once if isinstance(fact, Shipped)]
    entries += [line for each in _by(shipped, lambda fact: fact.shipment_id) for line in _last_revision(each)]
    ordered = [fact for fact in once if isinstance(fact, Ordered)]
    entries += [line for each in _by(ordered, lambda fact: fact.order_id) for line in _order_lines(each)]
    return entries


def _by(facts: Sequence[T], name: Callable[[T], object]) -> list[list[T]]:
    groups: dict[object, list[T]] = {}
    for fact in facts:
        groups.setdefault(name(fact), []).append(fact)
    return list(groups.values())


def _last_revision(facts: list[T]) -> list[T]:
    """Return the lines of a document's last revision, in a fixed order."""
    if len(facts) == 1:
        return facts
    last = max(fact.revision for fact in facts)
    return sorted((fact for fact in facts if fact.revision == last), key=lambda fact: (fact.at, fact.fact_id.int))


def _order_lines(facts: list[Ordered]) -> list[Order]:
    """Return an order's lines as they stand now, and how much they ever wanted of each proposal."""
    wanted: dict[tuple[UUID | None, int], Decimal] = {}
    for fact in facts:
        slot = (fact.proposal_id, fact.revision)
        wanted[slot] = wanted.get(slot, NOTHING) + fact.quantity
    most: dict[UUID | None, Decimal] = {}
    for (proposal_id, _), quantity in wanted.items():
        most[proposal_id] = max(most.get(proposal_id, NOTHING), quantity)
    first = min(fact.at for fact in facts)
    last = _last_revision(facts)
    lines = []
    for proposal_id in sorted(most, key=lambda one: one.int if one else -1):
        current = [fact for fact in last if fact.proposal_id == proposal_id]
        expected = [fact.expected_at for fact in current if fact.expected_at is not None]
        lines.append(
            Order(
                order_id=facts[0].order_id,
                quantity=sum((fact.quantity for fact in current), NOTHING),
                at=first,
                most=most[proposal_id],
                proposal_id=proposal_id,
                expected_at=min(expected, default=None),
                fact_id=min((fact.fact_id for fact in facts), key=lambda one: one.int),
            )
        )
    return lines


def in_order(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries as they are to be taken: by day, stage, time and name.

    Days and not instants, since a document that is dated by its day alone stands at midnight. What is named by
    another document happened no later than that one, whatever its own date says.
    """
    orders: dict[str, datetime] = {}
    shipments: dict[str, datetime] = {}
    proposals: dict[UUID, datetime] = {}
    for entry in sorted(entries, key=lambda entry: -_RANKS[type(entry)]):
        match entry:
            case Received():
                _pull(orders, entry.order_id, entry.at)
                _pull(shipments, entry.shipment_id, entry.at)
            case Shipped():
                at = min(entry.at, shipments.get(entry.shipment_id, entry.at))
                _pull(orders, entry.order_id, at)
                _pull(proposals, entry.proposal_id, at)
            case Order():
                _pull(proposals, entry.proposal_id, min(entry.at, orders.get(entry.order_id, entry.at)))

    def place(entry: Entry) -> tuple[int, _Rank, datetime, str, int, str]:
        match entry:
            case Accepted():
                at, name, order = proposals.get(entry.proposal_id, entry.at), str(entry.proposal_id), ""
            case Order():
                at, name, order = orders.get(entry.order_id, entry.at), entry.order_id, str(entry.proposal_id)
            case Shipped():
                at, name, order = shipments.get(entry.shipment_id, entry.at), entry.shipment_id, str(entry.order_id)
            case Received():
                at, name, order = entry.at, entry.receipt_id, str(entry.order_id)
        at = min(at, entry.at)
        return (int(at.timestamp() // 86_400), _RANKS[type(entry)], at, name, entry.fact_id.int, order)

    return sorted(entries, key=place)


N = TypeVar("N", str, UUID)


def _pull(times: dict[N, datetime], name: N | None, at: datetime) -> None:
    if name is not None:
        times[name] = min(at, times.get(name, at))
