"""What a document says, as lines for the journal and facts about supply, all in base units."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any, Final, TypeVar
from uuid import UUID

import orjson

from vmi_contracts.inbound import (
    AdjustmentLine,
    DemandStream,
    GoodsReceived,
    ItemLine,
    OrderLine,
    OrderPlaced,
    ReceiptLine,
    SalesLine,
    SalesRecorded,
    ShipmentDispatched,
    ShipmentLine,
    SnapshotCutOff,
    Status,
    StockAdjusted,
    StockCounted,
    StockLine,
    StockReported,
    StockTransferred,
    TitleLine,
    TitleTransferred,
    TransferLine,
)
from vmi_contracts.plans import DOCUMENTS as PLANS
from vmi_contracts.plans import DemandPlan
from vmi_contracts.values import plain
from vmi_domain.days import SiteCalendar
from vmi_domain.stock.feeds import FeedKind
from vmi_domain.stock.position import NOTHING, Key, Kind
from vmi_domain.stock.supply_facts import Fact, Ordered, Received, Shipped
from vmi_domain.units import QuantityTooLargeError, UnitNotConvertibleError, to_base
from vmi_inventory.documents import FactDocument, Told
from vmi_inventory.known import Known
from vmi_inventory.planning import Draft, stated_lines
from vmi_inventory.rejecting import rejected
from vmi_runtime.rejections import Reason
from vmi_store.catalogue import Item, LocationKey
from vmi_store.feeds import FeedKey
from vmi_store.journal import JournalLine, line_id
from vmi_store.quarantine import Rejected


@dataclass(slots=True)
class Accepted:
    """What a batch of documents adds to the facts, and what of it is refused."""

    told: list[Told] = field(default_factory=list)
    """The documents that were taken in, be it without some of their lines."""
    lines: list[JournalLine] = field(default_factory=list)
    supply: list[tuple[Key, Fact]] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    """Plans, each with the lines that can be read."""
    reached: dict[LocationKey, datetime] = field(default_factory=dict)
    """The latest time that each location's facts have reached, never later than when we were told."""
    withdrawn: list[tuple[Key, UUID]] = field(default_factory=list)
    """What was said about supply, and is taken back."""
    corrected_at: set[LocationKey] = field(default_factory=set)
    """Where something is taken back: not always at the locations of the documents that say so."""
    heard: dict[FeedKey, datetime] = field(default_factory=dict)
    """The same for each kind of document."""
    rejected: list[Rejected] = field(default_factory=list)


def locations_of(told: Told) -> list[LocationKey]:
    """Return the locations whose stock a document is about."""
    body = told.body
    if not told.is_fact:
        return []
    here = (body.customer_id, body.location_id)
    if type(body) is StockTransferred:
        return [here, (body.customer_id, body.to_location_id)]
    return [here]


def accept(told: Told, known: Known, accepted: Accepted, only: frozenset[int] | None = None) -> None:
    """Add a document's lines to ``accepted``, or only those with these numbers; what cannot be, to its rejected."""
    places = locations_of(told)
    for place in places:
        if place not in known.sites:
            accepted.rejected.append(_unknown_location(told, place))
            return
    accepted.told.append(told)
    if not places:
        return
    customer_id = told.body.customer_id
    happened = _moment(told.happened, known.sites[places[0]])
    read, feed = _READERS[type(told.body)], _FEEDS.get(type(told.body))
    if told.is_plan:
        accepted.drafts.append(Draft(told))
    items = known.items[customer_id]
    special = bool(known.readings.get(customer_id))
    entered = False
    for number, line in told.numbered:
        if only is not None and number not in only:
            continue
        item = items.get(line.item_id)
        try:
            if item is None:
                raise _Refused(
                    Reason.UNKNOWN_ITEM,
                    f"neither the catalogue nor an agreement names the item {line.item_id!r}",
                    waits=True,
                )
            entry = _Entry(told, number, line, item, happened)
            if special and (as_agreed := known.reading(*entry.key, told.happened)) is not None:
                entry.stream = as_agreed.demand_stream
                entry.happened = _moment(told.happened, known.sites[places[0]], as_agreed.snapshot_cut_off)
            read(entry, told.body, line, accepted)
            entered = True
        except _Refused as refusal:
            accepted.rejected.append(_refused(told, number, line, refusal))
    if entered or getattr(told.body, "withdrawn", False):
        moment = min(happened, told.recorded_at)
        for place in places:
            reach(accepted.reached, place, moment)
        if feed is not None:
            reach(accepted.heard, (*places[0], feed), moment)


def _moment(
    happened: datetime | date, site: SiteCalendar, cut_off: SnapshotCutOff = SnapshotCutOff.END_OF_DAY
) -> datetime:
    """Return when something happened; a report that names a day alone means its end, or its start as agreed (S6)."""
    if isinstance(happened, datetime):
        return happened
    begins, ends = site.bounds(happened)
    return begins if cut_off is SnapshotCutOff.START_OF_DAY else ends


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


_FEEDS: Final[Mapping[type[FactDocument], FeedKind]] = {
    SalesRecorded: FeedKind.SALES,
    StockReported: FeedKind.STOCK,
    StockCounted: FeedKind.STOCK,
    OrderPlaced: FeedKind.ORDERS,
    ShipmentDispatched: FeedKind.ORDERS,
    GoodsReceived: FeedKind.ORDERS,
}
"""Which feed a document shows to be alive."""

_At = TypeVar("_At", LocationKey, FeedKey)


def reach(reached: dict[_At, datetime], at: _At, moment: datetime) -> None:
    """Note that a location's facts, or one of its feeds, have reached a moment."""
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
    stream: DemandStream = DemandStream.SELL_THROUGH
    """The one that is agreed to be demand."""

    @property
    def id(self) -> bytes:
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


def _read_sale(entry: _Entry, body: SalesRecorded, line: SalesLine, accepted: Accepted) -> None:
    """Sales move stock when they happened, which for a period is its end; what was lost moves none.

    Of another stream than the agreed one they are kept and count nowhere (S14).
    """
    sold = entry.base(line.quantity)
    agreed = body.stream is entry.stream
    if agreed and body.period_start is None and not (line.returned or line.lost or line.returned_defective):
        accepted.lines.append(entry.journal(Kind.SALE, -sold))
        return
    returned, defective = entry.base(line.returned), entry.base(line.returned_defective)
    details: dict[str, Any] = {
        "sold": sold,
        "returned": returned,
        "lost": entry.base(line.lost),
        "unavailable": defective,
        "period_start": body.period_start and body.period_start.astimezone(UTC),
    }
    if body.stream is DemandStream.NET_SELL_THROUGH:  # what came back is in it already
        details |= {"returned": None, "returned_within": returned}
        returned = NOTHING
    if not agreed:
        details |= {"stream": body.stream.value}
    kind = Kind.SALE if agreed else Kind.OBSERVATION
    accepted.lines.append(entry.journal(kind, returned + defective - sold, _given(details)))


def _read_report(entry: _Entry, body: StockReported, line: StockLine, accepted: Accepted) -> None:
    accepted.lines.append(_stock(entry, Kind.REPORT, body.revision, line))


def _read_count(entry: _Entry, body: StockCounted, line: StockLine, accepted: Accepted) -> None:
    accepted.lines.append(_stock(entry, Kind.COUNT, body.revision, line))


def _stock(entry: _Entry, kind: Kind, revision: int, line: StockLine) -> JournalLine:
    if line.on_hand < 0:
        raise _Refused(Reason.NEGATIVE_COUNT, f"on_hand: {plain(line.on_hand)} of an item cannot be there")
    on_hand = entry.base(line.on_hand)
    # By far most reports say no more than that.
    if not revision and line.supplier_owned is None and not any(_BESIDE_ON_HAND(line)):
        return entry.journal(kind, on_hand)
    statuses = {status.value: entry.base(getattr(line, status.value)) for status in Status}
    details = {
        "unavailable": entry.base(line.unavailable) + sum(statuses.values()),
        "statuses": {name: plain(quantity) for name, quantity in statuses.items() if quantity},
        "reserved": entry.base(line.reserved),
        "backlog": entry.base(line.backlog),
        "revision": revision,
    }
    said = _given(details)
    if line.supplier_owned is not None:
        said["supplier_owned"] = entry.base(line.supplier_owned)
    return entry.journal(kind, on_hand, said)


_BESIDE_ON_HAND: Final = attrgetter("unavailable", "reserved", "backlog", *(status.value for status in Status))


def _read_adjustment(entry: _Entry, _: StockAdjusted, line: AdjustmentLine, accepted: Accepted) -> None:
    details = {
        "reason": line.reason,
        "unavailable": entry.base(line.unavailable),
        "status": line.status and line.status.value,
    }
    accepted.lines.append(entry.journal(Kind.ADJUSTMENT, entry.base(line.quantity), _given(details)))


def _read_title(entry: _Entry, _: TitleTransferred, line: TitleLine, accepted: Accepted) -> None:
    accepted.lines.append(entry.journal(Kind.TITLE, entry.base(line.quantity)))


def _read_transfer(entry: _Entry, body: StockTransferred, line: TransferLine, accepted: Accepted) -> None:
    """What leaves here arrives there at the same moment, or is on its way until it is received there."""
    quantity = entry.base(line.quantity)
    there = body.to_location_id
    accepted.lines.append(entry.journal(Kind.TRANSFER, -quantity, {"to": there}))
    if body.transfer_id is None:
        accepted.lines.append(entry.journal(Kind.TRANSFER, quantity, {"from": body.location_id}, location_id=there))
        return
    fact = Shipped(
        body.transfer_id,
        quantity,
        entry.happened,
        expected_at=body.expected_at,
        revision=body.revision,
        fact_id=UUID(bytes=entry.id),
    )
    _add_supply(entry, Kind.SHIPMENT, fact, accepted, location_id=there)


def _read_order(entry: _Entry, body: OrderPlaced, line: OrderLine, accepted: Accepted) -> None:
    fact = Ordered(
        body.order_id,
        entry.base(line.quantity),
        entry.happened,
        proposal_id=line.proposal_id,
        expected_at=line.expected_at,
        revision=body.revision,
        fact_id=UUID(bytes=entry.id),
    )
    _add_supply(entry, Kind.ORDER, fact, accepted)


def _read_shipment(entry: _Entry, body: ShipmentDispatched, line: ShipmentLine, accepted: Accepted) -> None:
    fact = Shipped(
        body.shipment_id,
        entry.base(line.quantity),
        entry.happened,
        order_id=line.order_id,
        proposal_id=line.proposal_id,
        expected_at=body.expected_at,
        revision=body.revision,
        fact_id=UUID(bytes=entry.id),
    )
    _add_supply(entry, Kind.SHIPMENT, fact, accepted)


def _read_receipt(entry: _Entry, body: GoodsReceived, line: ReceiptLine, accepted: Accepted) -> None:
    fact = Received(
        body.receipt_id,
        entry.base(line.quantity),
        entry.happened,
        shipment_id=line.shipment_id,
        order_id=line.order_id,
        completed=line.completed,
        fact_id=UUID(bytes=entry.id),
    )
    _add_supply(entry, Kind.RECEIPT, fact, accepted)


def _read_plan(entry: _Entry, body: DemandPlan, line: ItemLine, accepted: Accepted) -> None:
    quantities = {name: getattr(line, name, None) for name in ("quantity", "change_per_day")}
    base = {name: entry.base(quantity) for name, quantity in quantities.items() if quantity is not None}
    accepted.drafts[-1].lines.extend(stated_lines(body, line, entry.number, base))


def _add_supply(
    entry: _Entry,
    kind: Kind,
    fact: Ordered | Shipped | Received,
    accepted: Accepted,
    location_id: str | None = None,
) -> None:
    """A document about supply stands in the journal with all it says, so that supply can be made anew from there."""
    said = {name: getattr(fact, name) for name in fact.__slots__ if name not in _IN_THE_JOURNAL}
    journalled = entry.journal(kind, fact.quantity, _given(said), location_id)
    accepted.lines.append(journalled)
    accepted.supply.append((journalled.key, fact))


_IN_THE_JOURNAL: Final = {"quantity", "at", "fact_id"}
"""What the journal has columns for."""

_READERS: Final[Mapping[type[FactDocument], Callable[[_Entry, Any, Any, Accepted], None]]] = {
    SalesRecorded: _read_sale,
    StockReported: _read_report,
    StockCounted: _read_count,
    StockAdjusted: _read_adjustment,
    StockTransferred: _read_transfer,
    TitleTransferred: _read_title,
    OrderPlaced: _read_order,
    ShipmentDispatched: _read_shipment,
    GoodsReceived: _read_receipt,
    **dict.fromkeys(PLANS, _read_plan),
}
"""What each kind of document says in a line."""


def _given(details: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is not nothing."""
    return {name: value for name, value in details.items() if value}


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    raise TypeError(f"{type(value).__name__} is not kept in details")
