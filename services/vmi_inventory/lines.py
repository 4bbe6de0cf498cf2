"""What a document says, as lines for the journal and facts about supply, all in base units."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, cast
from uuid import UUID

import orjson

from vmi_contracts.inbound import (
    AdjustmentLine,
    GoodsReceived,
    ItemLine,
    OrderLine,
    OrderPlaced,
    ReceiptLine,
    SalesLine,
    SalesRecorded,
    ShipmentDispatched,
    ShipmentLine,
    StockAdjusted,
    StockCounted,
    StockLine,
    StockReported,
    StockTransferred,
    TransferLine,
)
from vmi_contracts.values import plain
from vmi_domain.position import Key, Kind
from vmi_domain.supply_facts import Fact, Ordered, Received, Shipped
from vmi_domain.units import QuantityTooLargeError, UnitNotConvertibleError, to_base
from vmi_inventory.documents import Told
from vmi_inventory.known import Known
from vmi_inventory.rejections import Reason, rejected
from vmi_store.catalogue import Item, LocationKey
from vmi_store.journal import JournalLine, line_id
from vmi_store.quarantine import Rejected


@dataclass(slots=True)
class Accepted:
    """What a batch of documents adds to the facts, and what of it is refused."""

    lines: list[JournalLine] = field(default_factory=list)
    supply: list[tuple[Key, Fact]] = field(default_factory=list)
    reached: dict[LocationKey, datetime] = field(default_factory=dict)
    """The latest time that each location's facts have reached, never later than when we were told."""
    rejected: list[Rejected] = field(default_factory=list)


def locations_of(told: Told) -> list[LocationKey]:
    """Return the locations whose stock a document is about."""
    body = told.body
    if isinstance(body, StockTransferred):
        return [(body.customer_id, body.location_id), (body.customer_id, body.to_location_id)]
    return [(body.customer_id, body.location_id)]


def accept(told: Told, known: Known, accepted: Accepted, only: frozenset[int] | None = None) -> None:
    """Add a document's lines to ``accepted``, or only those with these numbers; what cannot be, to its rejected."""
    places = locations_of(told)
    for place in places:
        if place not in known.sites:
            accepted.rejected.append(_unknown_location(told, place))
            return
    customer_id = told.body.customer_id
    happened = _instant(told, known)
    entered = False
    for number, line in told.numbered:
        if only is not None and number not in only:
            continue
        item = known.items.get((customer_id, line.item_id))
        try:
            if item is None:
                raise _Refused(
                    Reason.UNKNOWN_ITEM,
                    f"neither the catalogue nor an agreement names the item {line.item_id!r}",
                    waits=True,
                )
            _accept_line(_Entry(told, number, line, item, happened), accepted)
            entered = True
        except _Refused as refusal:
            accepted.rejected.append(_refused(told, number, line, refusal))
    if entered:
        moment = min(happened, told.recorded_at)
        for place in places:
            _reach(accepted.reached, place, moment)


def _unknown_location(told: Told, place: LocationKey) -> Rejected:
    return rejected(
        told.record,
        Reason.UNKNOWN_LOCATION,
        f"neither the catalogue nor an agreement names the location {place[1]!r}",
        customer_id=place[0],
        location_id=place[1],
        waits_for_location=True,
    )


def _refused(told: Told, number: int, line: ItemLine, refusal: "_Refused") -> Rejected:
    return rejected(
        told.record,
        refusal.reason,
        str(refusal),
        line=number,
        customer_id=told.body.customer_id,
        location_id=told.body.location_id,
        item_id=line.item_id,
        waits_for_item=refusal.waits,
    )


class _Refused(Exception):
    """A line cannot be taken in."""

    def __init__(self, reason: Reason, detail: str, *, waits: bool = False) -> None:
        super().__init__(detail)
        self.reason = reason
        self.waits = waits
        """Whether the item's catalogue entry may help."""


def _instant(told: Told, known: Known) -> datetime:
    """Return when the document's facts happened, in UTC; a report that names a day means its end at the site (S6)."""
    body = told.body
    match body:
        case SalesRecorded() | StockAdjusted() | StockTransferred():
            return body.occurred_at.astimezone(UTC)
        case StockCounted():
            return body.as_of.astimezone(UTC)
        case StockReported():
            as_of: datetime | date = body.as_of
            if isinstance(as_of, datetime):
                return as_of.astimezone(UTC)
            return known.sites[body.customer_id, body.location_id].end_of(as_of)
        case OrderPlaced():
            return body.placed_at.astimezone(UTC)
        case ShipmentDispatched():
            return body.shipped_at.astimezone(UTC)
        case GoodsReceived():
            return body.received_at.astimezone(UTC)


def _reach(reached: dict[LocationKey, datetime], at: LocationKey, moment: datetime) -> None:
    before = reached.get(at)
    if before is None or before < moment:
        reached[at] = moment


# One line, by what its document is -----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Entry:
    """A line, with all that is needed to read it."""

    told: Told
    number: int
    line: ItemLine
    item: Item
    happened: datetime

    @property
    def id(self) -> UUID:
        return line_id(self.told.letter.message_key, self.number)

    @property
    def key(self) -> Key:
        return Key(self.told.body.customer_id, self.told.body.location_id, self.line.item_id)

    def base(self, quantity: Decimal) -> Decimal:
        """Return a quantity of the line in base units."""
        if self.line.unit is None:
            return quantity
        try:
            return to_base(quantity, self.line.unit, base_unit=self.item.base_unit, units=self.item.units)
        except UnitNotConvertibleError as error:
            raise _Refused(Reason.UNIT_NOT_CONVERTIBLE, str(error), waits=True) from None
        except QuantityTooLargeError as error:
            raise _Refused(Reason.TOO_LARGE, str(error)) from None

    def journal(
        self, kind: Kind, quantity: Decimal, details: Mapping[str, Any] | None = None, location_id: str | None = None
    ) -> JournalLine:
        """Return the journal's line, at the document's location or at another one."""
        body = self.told.body
        return JournalLine(
            body.customer_id,
            body.location_id if location_id is None else location_id,
            self.line.item_id,
            self.happened,
            self.id,
            kind,
            quantity,
            self.told.recorded_at,
            orjson.dumps(details, default=_as_text).decode() if details else None,
        )


def _accept_line(entry: _Entry, accepted: Accepted) -> None:
    body, line = entry.told.body, entry.line
    match body:
        case SalesRecorded():
            accepted.lines.append(_sale(entry, body, cast(SalesLine, line)))
        case StockReported() | StockCounted():
            accepted.lines.append(_stock(entry, body, cast(StockLine, line)))
        case StockAdjusted():
            adjustment = cast(AdjustmentLine, line)
            details = {"reason": adjustment.reason}
            accepted.lines.append(entry.journal(Kind.ADJUSTMENT, entry.base(adjustment.quantity), details))
        case StockTransferred():
            accepted.lines += _transfer(entry, body, cast(TransferLine, line))
        case OrderPlaced():
            _add(accepted, entry, Kind.ORDER, _order(entry, body, cast(OrderLine, line)))
        case ShipmentDispatched():
            _add(accepted, entry, Kind.SHIPMENT, _shipment(entry, body, cast(ShipmentLine, line)))
        case GoodsReceived():
            _add(accepted, entry, Kind.RECEIPT, _receipt(entry, body, cast(ReceiptLine, line)))


def _sale(entry: _Entry, body: SalesRecorded, line: SalesLine) -> JournalLine:
    """Sales move stock when they happened, which for a period is its end; what was lost moves none."""
    if body.period_start is None and not line.returned and not line.lost:
        return entry.journal(Kind.SALE, -entry.base(line.quantity))
    sold, returned = entry.base(line.quantity), entry.base(line.returned)
    details = {
        "sold": sold,
        "returned": returned,
        "lost": entry.base(line.lost),
        "period_start": body.period_start and body.period_start.astimezone(UTC),
    }
    return entry.journal(Kind.SALE, returned - sold, {name: value for name, value in details.items() if value})


def _stock(entry: _Entry, body: StockReported | StockCounted, line: StockLine) -> JournalLine:
    if line.on_hand < 0:
        raise _Refused(Reason.NEGATIVE_COUNT, f"on_hand: {plain(line.on_hand)} of an item cannot be there")
    details = {
        "unavailable": entry.base(line.unavailable),
        "reserved": entry.base(line.reserved),
        "backlog": entry.base(line.backlog),
        "revision": body.revision,
    }
    kind = Kind.COUNT if isinstance(body, StockCounted) else Kind.REPORT
    return entry.journal(kind, entry.base(line.on_hand), {name: value for name, value in details.items() if value})


def _transfer(entry: _Entry, body: StockTransferred, line: TransferLine) -> list[JournalLine]:
    """What leaves here arrives there at the same moment."""
    quantity = entry.base(line.quantity)
    return [
        entry.journal(Kind.TRANSFER, -quantity, {"to": body.to_location_id}),
        entry.journal(Kind.TRANSFER, quantity, {"from": body.location_id}, location_id=body.to_location_id),
    ]


def _order(entry: _Entry, body: OrderPlaced, line: OrderLine) -> Ordered:
    return Ordered(
        body.order_id,
        entry.base(line.quantity),
        entry.happened,
        proposal_id=line.proposal_id,
        expected_at=line.expected_at,
        revision=body.revision,
        fact_id=entry.id,
    )


def _shipment(entry: _Entry, body: ShipmentDispatched, line: ShipmentLine) -> Shipped:
    return Shipped(
        body.shipment_id,
        entry.base(line.quantity),
        entry.happened,
        order_id=line.order_id,
        proposal_id=line.proposal_id,
        expected_at=body.expected_at,
        revision=body.revision,
        fact_id=entry.id,
    )


def _receipt(entry: _Entry, body: GoodsReceived, line: ReceiptLine) -> Received:
    return Received(
        body.receipt_id,
        entry.base(line.quantity),
        entry.happened,
        shipment_id=line.shipment_id,
        order_id=line.order_id,
        completed=line.completed,
        fact_id=entry.id,
    )


def _add(accepted: Accepted, entry: _Entry, kind: Kind, fact: Ordered | Shipped | Received) -> None:
    """A document about supply stands in the journal with all it says, so that supply can be made anew from there."""
    said = {name: value for name in fact.__slots__ if (value := getattr(fact, name)) and name not in _IN_THE_JOURNAL}
    accepted.lines.append(entry.journal(kind, fact.quantity, said))
    accepted.supply.append((entry.key, fact))


_IN_THE_JOURNAL: Final = {"quantity", "at", "fact_id"}
"""What the journal has columns for."""


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    raise TypeError(f"{type(value).__name__} is not kept in details")
