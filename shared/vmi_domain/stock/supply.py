"""Supply on its way to one key: each unit in one stage, whatever the order in which documents arrived (S10 to S12)."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final
from uuid import UUID

from vmi_domain.stock.position import NOTHING, Supply
from vmi_domain.stock.supply_facts import Accepted, Entry, Fact, Order, Received, Shipped, current, in_order
from vmi_domain.values import dataclass


class Stage(StrEnum):
    """Where a unit is. Proposed and open is the proposal's own affair."""

    ORDERED = "ordered"
    """Accepted or ordered, not shipped."""
    SHIPPED = "shipped"
    RECEIVED = "received"
    CANCELLED = "cancelled"
    """Ordered once, and taken back."""
    SHORT = "short"
    """Ordered or shipped, and declared as never to come."""


UNDER_WAY: Final = frozenset({Stage.ORDERED, Stage.SHIPPED})
"""What is still to come."""


@dataclass(frozen=True, slots=True)
class SupplyLine:
    """Units that share one way and stand in one stage; base units."""

    stage: Stage
    quantity: Decimal
    proposal_id: UUID | None = None
    order_id: str | None = None
    shipment_id: str | None = None
    expected_at: datetime | None = None
    """When it should arrive, by the latest document that said so."""
    since: datetime | None = None
    """When its first document happened: the oldest is served first."""

    @property
    def is_unsolicited(self) -> bool:
        """Whether it came without anybody having announced it."""
        return (
            self.stage is Stage.RECEIVED
            and self.proposal_id is None
            and self.order_id is None
            and self.shipment_id is None
        )


def supply_lines(facts: Iterable[Fact]) -> list[SupplyLine]:
    """Return where every unit stands that the facts of one key tell of; no unit stands in two lines.

    A pure function of the *set* of facts: not of the order in which they arrived, nor of how often. Documents are
    taken in the order of their days, and within a day accepted, ordered, shipped, received; one that is named by
    another counts as early as that. Then

    * an order takes over the accepted proposal it names; without a name the oldest open one. What it wants beyond that
      is new. An order that is reduced or cancelled takes back what it took over, too, and what it wanted of
      a proposal that nobody had accepted.
    * a shipment takes from the order (or proposal) it names, else the oldest that is open. More than ordered is new.
    * a receipt takes from the shipment it names, else from what of the order it names is in transit and then ordered,
      else from what is in transit and then ordered, oldest first. More than the named ones hold is received on top and
      touches nothing else; what nothing explains is unsolicited.
    * ``completed`` closes what the receipt names (or, if it names nothing, what it touched): the rest is short.

    A name that is not known (yet) is no name, except an order's proposal: our own ids are never somebody else's, so
    such an order takes over nothing.
    """
    told = list(facts)
    plain = _whole_ways(told)
    return where_units_stand(told)[0] if plain is None else plain


def _whole_ways(facts: Sequence[Fact]) -> list[SupplyLine] | None:
    """Return where the units of proposals stand that went each a way of its own; None where it is not so plain.

    Most keys have nothing else: of each proposal one acceptance that holds, at most one shipment, which names it, and
    of that at most one receipt, none of more than there was before. Then nothing is ever taken from what it does not
    name, and what names another comes after it whatever its date says. (It takes a tenth of the ledger's time.)
    """
    accepted: dict[UUID, Accepted] = {}
    shipped: dict[UUID, Shipped] = {}
    received: dict[str, Received] = {}
    for fact in facts:
        if type(fact) is Accepted:
            other = accepted.get(fact.proposal_id)
            if other is None or _word(fact) > _word(other):
                accepted[fact.proposal_id] = fact
        elif type(fact) is Shipped:
            if fact.order_id is not None or fact.proposal_id is None or fact.proposal_id in shipped:
                return None
            shipped[fact.proposal_id] = fact
        elif type(fact) is Received:
            if fact.completed or fact.shipment_id is None or fact.shipment_id in received:
                return None
            received[fact.shipment_id] = fact
        else:
            return None
    if not (accepted.keys() >= shipped.keys()):
        return None
    shipments = {shipment.shipment_id for shipment in shipped.values()}
    if len(shipments) < len(shipped) or not (shipments >= received.keys()):
        return None
    lines: list[SupplyLine] = []
    for proposal_id in sorted(accepted, key=_number):
        shipment = shipped.get(proposal_id)
        receipt = None if shipment is None else received.get(shipment.shipment_id)
        way = _whole_way(accepted[proposal_id], shipment, receipt)
        if way is None:
            return None
        lines += way
    return lines


def _whole_way(acceptance: Accepted, shipment: Shipped | None, receipt: Received | None) -> list[SupplyLine] | None:
    """Return where the units of one proposal stand, as ``_Ledger.lines`` puts them; None where more came than was."""
    proposal_id = acceptance.proposal_id
    under_way = NOTHING if shipment is None else shipment.quantity
    came = NOTHING if receipt is None else receipt.quantity
    ordered = acceptance.quantity - under_way
    under_way -= came
    if ordered < 0 or under_way < 0:
        return None
    lines = []
    if shipment is not None:
        name, expected_at = shipment.shipment_id, shipment.expected_at or acceptance.expected_at
        if receipt is not None and came > 0:
            lines.append(SupplyLine(Stage.RECEIVED, came, proposal_id, None, name, expected_at, receipt.at))
        if under_way > 0:
            lines.append(SupplyLine(Stage.SHIPPED, under_way, proposal_id, None, name, expected_at, shipment.at))
    if ordered > 0:
        rest = SupplyLine(Stage.ORDERED, ordered, proposal_id, None, None, acceptance.expected_at, acceptance.at)
        # By their names: what has no shipment stands under "None".
        lines.insert(0 if shipment is None or str(None) <= shipment.shipment_id else len(lines), rest)
    return lines


def _number(proposal_id: UUID) -> int:
    return proposal_id.int


def _word(accepted: Accepted) -> tuple[int, datetime, int]:
    return (accepted.revision, accepted.at, accepted.fact_id.int)


Taking = tuple[Received, Sequence[SupplyLine]]
"""A receipt, and what it was taken from."""


def where_units_stand(facts: Iterable[Fact]) -> tuple[list[SupplyLine], list[Taking]]:
    """Return the supply lines, and what each receipt was taken from as it stood before."""
    entries = in_order(current(facts))
    ledger = _Ledger(entries)
    for entry in entries:
        match entry:
            case Accepted():
                ledger.accept(entry)
            case Order():
                ledger.order(entry)
            case Shipped():
                ledger.ship(entry)
            case Received():
                ledger.receive(entry)
    return ledger.lines(), ledger.takings


# Where the units stand -----------------------------------------------------------------------------------------------


class _Ledger:
    """The units so far, in lots. A lot is split where a part of it goes on to the next stage."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._lots: list[SupplyLine] = []
        self.takings: list[Taking] = []
        shipped = [entry for entry in entries if isinstance(entry, Shipped)]
        ordered = [entry for entry in entries if isinstance(entry, Order)]
        received = [entry for entry in entries if isinstance(entry, Received)]
        self._proposals = {entry.proposal_id for entry in entries if isinstance(entry, Accepted)}
        self._orders = {entry.order_id for entry in ordered}
        self._shipments = {entry.shipment_id for entry in shipped}
        self._orders_shipped = {entry.order_id for entry in shipped}
        # What will be asked for by name is not given to those who name nothing.
        self._kept_in_proposals = _sums((entry.proposal_id, entry.most) for entry in ordered)
        self._kept_in_orders = _sums((entry.order_id, entry.quantity) for entry in shipped)
        self._kept_in_shipments = _sums((entry.shipment_id, entry.quantity) for entry in received)

    def lines(self) -> list[SupplyLine]:
        """Return the lots, those of one way and stage together."""
        together: dict[tuple[str, str, str, str], SupplyLine] = {}
        for lot in self._lots:
            if lot.quantity <= 0:
                continue
            way = (str(lot.proposal_id), str(lot.order_id), str(lot.shipment_id), lot.stage.value)
            other = together.get(way)
            together[way] = lot if other is None else _merged(other, lot)
        return [together[way] for way in sorted(together)]

    def accept(self, entry: Accepted) -> None:
        self._add(
            SupplyLine(
                Stage.ORDERED,
                entry.quantity,
                proposal_id=entry.proposal_id,
                expected_at=entry.expected_at,
                since=entry.at,
            )
        )

    def order(self, entry: Order) -> None:
        taken = self._taken_over(entry)
        ours = [
            replace(lot, order_id=entry.order_id, expected_at=entry.expected_at or lot.expected_at) for lot in taken
        ]
        self._add(*ours)
        surplus = entry.quantity - _total(ours)
        if surplus > 0:
            self._add(
                SupplyLine(
                    Stage.ORDERED,
                    surplus,
                    proposal_id=entry.proposal_id,
                    order_id=entry.order_id,
                    expected_at=entry.expected_at,
                    since=entry.at,
                )
            )
        elif surplus < 0:
            open_lots = [lot for lot in ours if lot.stage is Stage.ORDERED]
            self._add(*(replace(lot, stage=Stage.CANCELLED) for lot in self._take(open_lots, -surplus)))
        if entry.proposal_id is not None and entry.proposal_id not in self._proposals:
            # Nobody accepted it before, so the order is what bound it, and what it once wanted is what it gives up.
            self._add(
                SupplyLine(
                    Stage.CANCELLED,
                    entry.most - entry.quantity,
                    proposal_id=entry.proposal_id,
                    order_id=entry.order_id,
                    since=entry.at,
                )
            )

    def _taken_over(self, entry: Order) -> list[SupplyLine]:
        """Take what an order takes over of accepted proposals; of a named one also what is shipped already."""
        accepted = [lot for lot in self._lots if lot.order_id is None and lot.proposal_id is not None]
        if entry.proposal_id is None:
            open_lots = [lot for lot in accepted if lot.stage is Stage.ORDERED]
            return self._take_first(open_lots, entry.most, self._kept_in_proposals, lambda lot: lot.proposal_id)
        if entry.proposal_id not in self._proposals:
            return []
        _release(self._kept_in_proposals, entry.proposal_id, entry.most)
        of_it = [lot for lot in accepted if lot.proposal_id == entry.proposal_id]
        return self._take(sorted(of_it, key=lambda lot: _STAGES.index(lot.stage)), entry.most)

    def ship(self, entry: Shipped) -> None:
        open_lots = [lot for lot in self._lots if lot.stage is Stage.ORDERED]
        if entry.order_id is not None:
            _release(self._kept_in_orders, entry.order_id, entry.quantity)
        if entry.order_id in self._orders:
            taken = self._take([lot for lot in open_lots if lot.order_id == entry.order_id], entry.quantity)
        elif entry.proposal_id in self._proposals:
            taken = self._take([lot for lot in open_lots if lot.proposal_id == entry.proposal_id], entry.quantity)
        else:
            taken = self._take_first(open_lots, entry.quantity, self._kept_in_orders, lambda lot: lot.order_id)
        more = SupplyLine(Stage.SHIPPED, entry.quantity - _total(taken), proposal_id=entry.proposal_id)
        self._add(
            *(
                replace(
                    lot,
                    stage=Stage.SHIPPED,
                    order_id=lot.order_id or entry.order_id,
                    shipment_id=entry.shipment_id,
                    expected_at=entry.expected_at or lot.expected_at,
                    since=entry.at,
                )
                for lot in (*taken, more)
            )
        )

    def receive(self, entry: Received) -> None:
        if entry.shipment_id is not None:
            _release(self._kept_in_shipments, entry.shipment_id, entry.quantity)
        if entry.shipment_id in self._shipments:
            named = self._in_stages(lambda lot: lot.shipment_id == entry.shipment_id, Stage.SHIPPED)
            taken = self._take(named, entry.quantity)
            more = SupplyLine(
                Stage.RECEIVED, entry.quantity - _total(taken), order_id=entry.order_id, shipment_id=entry.shipment_id
            )
        elif entry.order_id is not None and entry.order_id in self._orders | self._orders_shipped:
            named = self._in_stages(lambda lot: lot.order_id == entry.order_id, Stage.SHIPPED, Stage.ORDERED)
            taken = self._take(named, entry.quantity)
            more = SupplyLine(Stage.RECEIVED, entry.quantity - _total(taken), order_id=entry.order_id)
        else:
            taken = self._taken_by_whatever_comes(entry.quantity)
            more = SupplyLine(Stage.RECEIVED, entry.quantity - _total(taken))
        self.takings.append((entry, taken))
        self._add(*(replace(lot, stage=Stage.RECEIVED, since=entry.at) for lot in (*taken, more)))
        if entry.completed:
            self._close(entry, taken)

    def _taken_by_whatever_comes(self, quantity: Decimal) -> list[SupplyLine]:
        """Take for a receipt that names nothing we know: in transit first, then ordered, the oldest first."""
        in_transit = self._in_stages(lambda lot: True, Stage.SHIPPED)
        taken = self._take_first(in_transit, quantity, self._kept_in_shipments, lambda lot: lot.shipment_id)
        ordered = self._in_stages(lambda lot: True, Stage.ORDERED)
        rest = quantity - _total(taken)
        return taken + self._take_first(ordered, rest, self._kept_in_orders, lambda lot: lot.order_id)

    def _close(self, entry: Received, touched: Sequence[SupplyLine]) -> None:
        """Declare what is left of the receipt's shipment or order as short."""
        if entry.shipment_id in self._shipments:
            left = self._in_stages(lambda lot: lot.shipment_id == entry.shipment_id, Stage.SHIPPED)
        elif entry.order_id is not None and entry.order_id in self._orders | self._orders_shipped:
            left = self._in_stages(lambda lot: lot.order_id == entry.order_id, Stage.SHIPPED, Stage.ORDERED)
        else:
            ways = {(lot.proposal_id, lot.order_id, lot.shipment_id) for lot in touched}
            left = self._in_stages(
                lambda lot: (lot.proposal_id, lot.order_id, lot.shipment_id) in ways, Stage.SHIPPED, Stage.ORDERED
            )
        self._add(*(replace(lot, stage=Stage.SHORT) for lot in self._take(left, _total(left))))

    def _add(self, *lots: SupplyLine) -> None:
        self._lots.extend(lot for lot in lots if lot.quantity > 0)

    def _in_stages(self, which: Callable[[SupplyLine], bool], *stages: Stage) -> list[SupplyLine]:
        # Sorted only when chosen: most lots of a key that is years old were received long ago.
        return [
            lot
            for stage in stages
            for lot in _oldest_first([lot for lot in self._lots if lot.stage is stage and which(lot)])
        ]

    def _take(self, lots: Sequence[SupplyLine], quantity: Decimal) -> list[SupplyLine]:
        """Take up to ``quantity`` out of these lots, in their order."""
        taken = []
        for lot in lots:
            part = min(lot.quantity, quantity)
            if part <= 0:
                break
            quantity -= part
            taken.append(self._split(lot, part))
        return taken

    def _take_first(
        self,
        lots: Sequence[SupplyLine],
        quantity: Decimal,
        kept: dict[object, Decimal],
        name: Callable[[SupplyLine], object],
    ) -> list[SupplyLine]:
        """Take up to ``quantity`` out of the oldest of these lots, but not what is kept for those who name them."""
        free = _sums((name(lot), lot.quantity) for lot in lots)
        taken = []
        for lot in _oldest_first(lots):
            mine = name(lot)
            left = free[mine] - kept.get(mine, NOTHING) if mine is not None else lot.quantity
            part = min(lot.quantity, quantity, left)
            if part <= 0:
                continue
            if mine is not None:
                free[mine] -= part
            quantity -= part
            taken.append(self._split(lot, part))
        return taken

    def _split(self, lot: SupplyLine, part: Decimal) -> SupplyLine:
        """Take a part out of a lot, which is left with the rest."""
        place = next(place for place, other in enumerate(self._lots) if other is lot)
        rest = lot.quantity - part
        self._lots[place : place + 1] = [replace(lot, quantity=rest)] if rest > 0 else []
        return replace(lot, quantity=part)


_STAGES: Final = list(Stage)


def _oldest_first(lots: Iterable[SupplyLine]) -> list[SupplyLine]:
    def age(lot: SupplyLine) -> tuple[float, str, str, str]:
        since = lot.since.timestamp() if lot.since else 0.0
        return (since, str(lot.order_id), str(lot.shipment_id), str(lot.proposal_id))

    return sorted(lots, key=age)


def _merged(one: SupplyLine, other: SupplyLine) -> SupplyLine:
    expected = [at for at in (one.expected_at, other.expected_at) if at is not None]
    since = [at for at in (one.since, other.since) if at is not None]
    return replace(
        one,
        quantity=one.quantity + other.quantity,
        expected_at=min(expected, default=None),
        since=min(since, default=None),
    )


def _total(lots: Iterable[SupplyLine]) -> Decimal:
    return sum((lot.quantity for lot in lots), NOTHING)


def _sums(quantities: Iterable[tuple[object, Decimal]]) -> dict[object, Decimal]:
    sums: dict[object, Decimal] = {}
    for name, quantity in quantities:
        sums[name] = sums.get(name, NOTHING) + quantity
    return sums


def _release(kept: dict[object, Decimal], name: object, quantity: Decimal) -> None:
    kept[name] = kept.get(name, NOTHING) - quantity


def totals(lines: Iterable[SupplyLine], counted_at: datetime | None) -> Supply:
    """Return what is on its way, and how much of it the count as of ``counted_at`` may hold already (S11)."""
    on_order = in_transit = probably_received = NOTHING
    for line in lines:
        if line.stage is Stage.ORDERED:
            on_order += line.quantity
        elif line.stage is Stage.SHIPPED:
            in_transit += line.quantity
            if counted_at is not None and line.expected_at is not None and line.expected_at <= counted_at:
                probably_received += line.quantity
    return Supply(on_order, in_transit, probably_received)
