"""The simulated customers in a closed loop: what they send on a day depends on what reached their shelves before."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final

from vmi_demo.deliveries import Delivery, DeliveryLine, OnTheWay
from vmi_demo.documents import LEAD_TIME_DAYS, Outgoing, Writer, closing_time
from vmi_demo.journey import Journey, day_start
from vmi_demo.proposals import Proposal
from vmi_demo.shelves import Shelves

ANSWER_AFTER: Final = timedelta(seconds=30)
"""From the day's closing stock report."""
LEAVES_AFTER_DAYS: Final = 2
LEAVES_AT: Final = timedelta(hours=6)
"""An order of the end of day d leaves the supplier at six in the morning of day d + 2."""
UNLOADED_AFTER: Final = timedelta(seconds=1)
"""Deliveries come in right after the closing report of their day, so that the day's sales see none of them."""


@dataclass(slots=True)
class Stores:
    """All stores and their supplier, between the documents they send and the proposals they get."""

    journey: Journey
    writer: Writer
    shelves: Shelves
    on_the_way: OnTheWay = field(default_factory=OnTheWay)
    ordered_units: int = 0

    def opening_reports(self) -> list[Outgoing]:
        """Return the stock reports of the moment at which the first live day begins."""
        return self._reports(day_start(self.journey.live_days[0]))

    def day(self, day: int) -> list[Outgoing]:
        """Live through a day and return what is written until its end: lorries leave, baskets are sold."""
        leaves_at = day_start(self.journey.live_days[day]) + LEAVES_AT
        written = [
            self.writer.shipment(delivery, leaves_at, self._arrival(delivery))
            for delivery in self.on_the_way.leaving_on(day)
        ]
        for basket in self.journey.baskets[day]:
            sold = self.shelves.sell(basket.store, basket.items, basket.wanted)
            sale = self.writer.sale(basket, sold, self.shelves.stock[basket.store, basket.items])
            if sale is not None:
                written.append(sale)
        self.shelves.close_day()
        return written

    def closing_reports(self, day: int) -> list[Outgoing]:
        """Return the stock reports of the day's end."""
        return self._reports(closing_time(self.journey.live_days[day]))

    def arrivals(self, day: int) -> list[Outgoing]:
        """Put on the shelves what arrives in the evening, and return the receipts of it.

        The evening before the first live day is that of day -1.
        """
        written = []
        for delivery in self.on_the_way.arriving_on(day):
            for line in delivery.lines:
                self.shelves.receive(delivery.store, line.item, line.quantity)
            written.append(self.writer.receipt(delivery, closing_time(self.date_of(day)) + UNLOADED_AFTER))
        return written

    def acceptances(self, day: int, due: Sequence[Proposal]) -> list[Outgoing]:
        """Accept what is due in the evening, and return the answers; nothing arrives before the next day is over."""
        written = []
        for store, proposals in self._by_store(due).items():
            written.append(self.writer.acceptance(store, proposals, closing_time(self.date_of(day)) + ANSWER_AFTER))
            self._order(day, store, proposals)
        return written

    def _reports(self, as_of: datetime) -> list[Outgoing]:
        return [
            self.writer.stock_report(store, self.shelves.stock[store], as_of)
            for store in range(len(self.journey.stores))
        ]

    def _by_store(self, proposals: Sequence[Proposal]) -> dict[int, list[Proposal]]:
        by_store = defaultdict(list)
        for proposal in proposals:
            by_store[self.journey.stores.index(proposal.location_id)].append(proposal)
        return dict(sorted(by_store.items()))

    def _order(self, day: int, store: int, proposals: Sequence[Proposal]) -> None:
        """Send what was accepted on its way: the acceptance is the order."""
        name = f"{self.date_of(day)}-{self.journey.stores[store]}"
        lines = tuple(
            DeliveryLine(self.journey.items.index(one.item_id), one.quantity, one.proposal_id) for one in proposals
        )
        delivery = Delivery(store, day, f"shipment-{name}", lines)
        self.on_the_way.add(delivery, leaves_on=day + LEAVES_AFTER_DAYS, arrives_on=day + LEAD_TIME_DAYS)
        self.ordered_units += sum(line.quantity for line in lines)

    def _arrival(self, delivery: Delivery) -> datetime:
        return closing_time(self.date_of(delivery.ordered_on + LEAD_TIME_DAYS)) + UNLOADED_AFTER

    def date_of(self, day: int) -> date:
        """Return the date of a live day, also of those before the first and after the last."""
        return self.journey.live_days[0] + timedelta(days=day)
