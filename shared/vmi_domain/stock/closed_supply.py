"""Which facts about supply are over: they can go without a unit that is still on its way standing elsewhere by it."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from vmi_domain.stock.supply import Stage, where_units_stand
from vmi_domain.stock.supply_facts import Accepted, Fact, Ordered, Received, Shipped

DELIVERIES_KEPT: Final = 50
"""The latest deliveries of a key stay in any case: from so many a supplier's reliability is learned."""

CLOSED: Final = frozenset({Stage.RECEIVED, Stage.CANCELLED, Stage.SHORT})

Name = tuple[str, object]


def closed(facts: Collection[Fact], may_go: Collection[Fact], *, deliveries_kept: int = DELIVERIES_KEPT) -> set[Fact]:
    """Return those of ``may_go`` that are of no consequence any more: without them the open lines are the same.

    Facts belong together that name one proposal, order or shipment, and a receipt with what it was taken from. What
    belongs together goes together: when every unit of it is received, cancelled or short, all of it may go, and at
    least ``deliveries_kept`` of those of the key that were received are younger (by their last fact).

    Receipts that name nothing chain what they were taken from, as far as one ends in the midst of an order: of such a
    chain all goes or nothing.
    """
    lines, takings = where_units_stand(facts)
    names = _Joined()
    for fact in facts:
        names.join(_names(fact))
    for line in lines:
        names.join(_named(line.proposal_id, line.order_id, line.shipment_id))
    for receipt, taken in takings:
        for lot in taken:
            names.join([("receipt", receipt), *_named(lot.proposal_id, lot.order_id, lot.shipment_id)])
    still_open = {
        names.of(name)
        for line in lines
        if line.stage not in CLOSED
        for name in _named(line.proposal_id, line.order_id, line.shipment_id)
    }
    together: dict[Name, list[Fact]] = {}
    for fact in facts:
        together.setdefault(names.of(next(_names(fact))), []).append(fact)
    free = set(may_go)
    gone: set[Fact] = set()
    deliveries = 0
    for name, group in sorted(together.items(), key=lambda one: max(fact.at for fact in one[1]), reverse=True):
        if name in still_open:
            continue
        is_delivery = any(isinstance(fact, Received) for fact in group)
        if free.issuperset(group) and (deliveries >= deliveries_kept or not is_delivery):
            gone.update(group)
        deliveries += is_delivery
    return gone


def _names(fact: Fact) -> Iterator[Name]:
    """Yield the names in a fact, at least one."""
    match fact:
        case Accepted():
            yield from _named(fact.proposal_id, None, None)
        case Ordered():
            yield from _named(fact.proposal_id, fact.order_id, None)
        case Shipped():
            yield from _named(fact.proposal_id, fact.order_id, fact.shipment_id)
        case Received():
            yield ("receipt", fact)
            yield from _named(None, fact.order_id, fact.shipment_id)


def _named(proposal_id: object, order_id: object, shipment_id: object) -> Iterator[Name]:
    for what, name in (("proposal", proposal_id), ("order", order_id), ("shipment", shipment_id)):
        if name is not None:
            yield (what, name)


class _Joined:
    """Names that belong together, by one of them that stands for all."""

    def __init__(self) -> None:
        self._stands_for: dict[Name, Name] = {}

    def of(self, name: Name) -> Name:
        """Return the name that stands for all that ``name`` belongs to."""
        passed = []
        while (other := self._stands_for.get(name)) is not None:
            passed.append(name)
            name = other
        # Else the way to a standing order's name grows by each of its receipts.
        self._stands_for.update(dict.fromkeys(passed, name))
        return name

    def join(self, names: Iterable[Name]) -> None:
        """Let names belong together."""
        first: Name | None = None
        for name in names:
            of_it = self.of(name)
            if first is None:
                first = of_it
            elif of_it != first:
                self._stands_for[of_it] = first
