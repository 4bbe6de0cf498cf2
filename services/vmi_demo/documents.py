"""What the simulated customers and their supplier write: every document of the demo is made here."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from vmi_contracts import inbound, writing
from vmi_contracts.topics import AGREEMENTS, CATALOGUE, ORDERS, PROPOSAL_ANSWERS, SALES, STOCK, Topic
from vmi_demo.deliveries import Delivery
from vmi_demo.journey import TIME_ZONE, Basket, Journey, day_start
from vmi_demo.proposals import Proposal

CUSTOMER: Final = "complete-journey"
SUPPLIER: Final = "wholesale"
SERVICE_TARGET: Final = 0.98
"""Agreed probability of no stock-out between two arrivals. (The same fill rate for every item would cost more stock
for the same sales: it gives as much to the items whose last unit hardly ever sells.)"""
LEAD_TIME_DAYS: Final = 3
REVIEW_DAYS: Final = 1
ORDER_CUT_OFF: Final = time(0, 1)
"""The order opportunity falls a minute after the day's closing stock report, before anybody buys again."""

PACK_SIZES: Final = (1, 2, 3, 4, 6, 12)
MOST_DAYS_IN_A_PACK: Final = 14


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record and the topic it goes to, with what the demo wants to remember of it."""

    topic: Topic
    record: writing.Record
    lines: int
    location_id: str = ""
    left: tuple[tuple[str, int], ...] = ()
    """Of a sale: its items, and how many units were left of each on the shelf."""


def pack_sizes(history: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each item's pack: the largest that a store sells in two weeks on average, at least one unit."""
    most = history.mean(axis=(0, 1)) * MOST_DAYS_IN_A_PACK
    return np.array([max(size for size in PACK_SIZES if size <= max(1.0, units)) for units in most], dtype=np.int64)


def closing_time(day: date) -> datetime:
    """Return the end of a store's day, when its stock report is made."""
    return day_start(day + timedelta(days=1))


def opportunity(day: date) -> datetime:
    """Return the order opportunity that follows a day's end."""
    tomorrow = day + timedelta(days=1)
    return datetime.combine(tomorrow, ORDER_CUT_OFF, tzinfo=ZoneInfo(TIME_ZONE)).astimezone(UTC)


class Writer:
    """Makes the journey's documents; it knows the names behind the indexes, and numbers nothing at random."""

    def __init__(self, journey: Journey, packs: NDArray[np.int64], run: str) -> None:
        self._journey = journey
        self._packs = packs
        self._source = f"urn:vmi:demo:{run}"

    def catalogue(self) -> Iterator[Outgoing]:
        """Return every store and item."""
        for store in self._journey.stores:
            location = inbound.LocationDefined(
                customer_id=CUSTOMER, location_id=store, name=f"Store {store}", time_zone=TIME_ZONE
            )
            yield self._outgoing(CATALOGUE, location, f"location-{store}")
        for item, name in zip(self._journey.items, self._journey.item_names, strict=True):
            yield self._outgoing(
                CATALOGUE, inbound.ItemDefined(customer_id=CUSTOMER, item_id=item, name=name), f"item-{item}"
            )

    def agreements(self) -> Iterator[Outgoing]:
        """Return one agreement a store and item, in force from the first live day on."""
        for store in self._journey.stores:
            for item, pack in zip(self._journey.items, self._packs.tolist(), strict=True):
                agreement = inbound.AgreementMade(
                    customer_id=CUSTOMER,
                    location_id=store,
                    item_id=item,
                    supplier_id=SUPPLIER,
                    effective_from=self._journey.live_days[0],
                    service_measure=inbound.ServiceMeasure.CYCLE_SERVICE,
                    service_target=SERVICE_TARGET,
                    lead_time_days=LEAD_TIME_DAYS,
                    review_days=REVIEW_DAYS,
                    order_cut_off=ORDER_CUT_OFF,
                    pack=Decimal(pack),
                )
                yield self._outgoing(AGREEMENTS, agreement, f"agreement-{store}-{item}")

    def history(self) -> Iterator[Outgoing]:
        """Return one sales document a store and day, in time order, at the moment of the day's last sale."""
        for number, day in enumerate(self._journey.history_days):
            for store in range(len(self._journey.stores)):
                sold = self._journey.history[number, store]
                if sold.any():
                    at = self._journey.history_last_sale[number, store]
                    lines = self._sales_lines(np.flatnonzero(sold), sold[sold > 0])
                    yield self._sales(store, f"day-{day}", at, lines, period_start=day_start(day))

    def sale(self, basket: Basket, sold: NDArray[np.int64], left: NDArray[np.int64]) -> Outgoing | None:
        """Return what a buyer took home, or none where the shelf was empty."""
        taken = sold > 0
        if not taken.any():
            return None
        items = basket.items[taken]
        lines = self._sales_lines(items, sold[taken])
        remaining = zip((self._journey.items[item] for item in items.tolist()), left[taken].tolist(), strict=True)
        return self._sales(basket.store, f"basket-{basket.basket_id}", basket.at, lines, left=tuple(remaining))

    def stock_report(self, store: int, stock: NDArray[np.int64], as_of: datetime) -> Outgoing:
        """Return what a store says is on its shelves, every item."""
        lines = tuple(
            inbound.StockLine(item_id=item, on_hand=Decimal(units))
            for item, units in zip(self._journey.items, stock.tolist(), strict=True)
        )
        report = inbound.StockReported(
            customer_id=CUSTOMER, location_id=self._journey.stores[store], as_of=as_of, lines=lines
        )
        return self._outgoing(STOCK, report, f"stock-{as_of.isoformat()}-{store}", len(lines))

    def acceptance(self, store: int, proposals: Sequence[Proposal], answered_at: datetime) -> Outgoing:
        """Return the supplier's consent to the proposals of one store."""
        answered = inbound.ProposalAnswered(
            customer_id=CUSTOMER,
            location_id=self._journey.stores[store],
            answered_at=answered_at,
            lines=tuple(
                inbound.AnswerLine(proposal_id=one.proposal_id, version=one.version, answer=inbound.Answer.ACCEPT)
                for one in proposals
            ),
        )
        return self._outgoing(PROPOSAL_ANSWERS, answered, f"answer-{answered_at.isoformat()}-{store}", len(proposals))

    def shipment(self, delivery: Delivery, shipped_at: datetime, expected_at: datetime) -> Outgoing:
        dispatched = inbound.ShipmentDispatched(
            customer_id=CUSTOMER,
            location_id=self._journey.stores[delivery.store],
            shipment_id=delivery.shipment_id,
            shipped_at=shipped_at,
            expected_at=expected_at,
            lines=tuple(
                inbound.ShipmentLine(
                    item_id=self._journey.items[line.item],
                    quantity=Decimal(line.quantity),
                    proposal_id=line.proposal_id,
                )
                for line in delivery.lines
            ),
        )
        return self._outgoing(ORDERS, dispatched, delivery.shipment_id, len(delivery.lines))

    def receipt(self, delivery: Delivery, received_at: datetime) -> Outgoing:
        received = inbound.GoodsReceived(
            customer_id=CUSTOMER,
            location_id=self._journey.stores[delivery.store],
            receipt_id=f"receipt-{delivery.shipment_id}",
            received_at=received_at,
            lines=tuple(
                inbound.ReceiptLine(
                    item_id=self._journey.items[line.item],
                    quantity=Decimal(line.quantity),
                    shipment_id=delivery.shipment_id,
                )
                for line in delivery.lines
            ),
        )
        return self._outgoing(ORDERS, received, f"receipt-{delivery.shipment_id}", len(delivery.lines))

    def _sales_lines(self, items: NDArray[np.int64], quantities: NDArray[np.int64]) -> tuple[inbound.SalesLine, ...]:
        return tuple(
            inbound.SalesLine(item_id=self._journey.items[item], quantity=Decimal(quantity))
            for item, quantity in zip(items.tolist(), quantities.tolist(), strict=True)
        )

    def _sales(
        self,
        store: int,
        name: str,
        at: datetime,
        lines: tuple[inbound.SalesLine, ...],
        *,
        period_start: datetime | None = None,
        left: tuple[tuple[str, int], ...] = (),
    ) -> Outgoing:
        location_id = self._journey.stores[store]
        document = inbound.SalesRecorded(
            customer_id=CUSTOMER, location_id=location_id, occurred_at=at, period_start=period_start, lines=lines
        )
        return self._outgoing(SALES, document, f"sales-{location_id}-{name}", len(lines), left)

    def _outgoing(
        self,
        topic: Topic,
        document: writing.Writable,
        message_id: str,
        lines: int = 1,
        left: tuple[tuple[str, int], ...] = (),
    ) -> Outgoing:
        record = writing.record(document, source=self._source, message_id=message_id, in_short=True)
        return Outgoing(topic, record, lines, getattr(document, "location_id", ""), left)
