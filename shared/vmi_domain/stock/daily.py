"""What a fact does to the site's own days: how stock moved on them, and what was asked for."""

from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from vmi_domain.days import SiteCalendar
from vmi_domain.stock.position import ADDING, NOTHING, Kind


class DayEffect(NamedTuple):
    """What one fact adds to one day; base units."""

    day: date
    moved: Decimal = NOTHING
    """Stock that came or went, receipts aside."""
    received: Decimal = NOTHING
    sold: Decimal = NOTHING
    """Before returns."""
    returned: Decimal = NOTHING
    """Brought back and fit to be sold: stock comes, and demand is not less by it."""
    lost: Decimal = NOTHING
    """Asked for and not there: demand, and no stock moves."""
    held_back: Decimal = NOTHING
    """Stock that became unavailable, or usable again."""
    titled: Decimal = NOTHING
    """Stock that became the customer's."""

    def plus(self, other: "DayEffect") -> "DayEffect":
        """Return both together; they are of one day."""
        return DayEffect(
            self.day,
            self.moved + other.moved,
            self.received + other.received,
            self.sold + other.sold,
            self.returned + other.returned,
            self.lost + other.lost,
            self.held_back + other.held_back,
            self.titled + other.titled,
        )


class Sales(NamedTuple):
    """What a line about sales says beyond its effect on the stock; base units."""

    sold: Decimal
    returned: Decimal = NOTHING
    lost: Decimal = NOTHING
    defective: Decimal = NOTHING
    """Brought back and not fit to be sold: it comes, and is unavailable (S17)."""
    period_start: datetime | None = None
    """The period ends when the line occurred; None for a moment."""

    @property
    def quantity(self) -> Decimal:
        """Its effect on the stock."""
        return self.returned + self.defective - self.sold


def effects(
    kind: Kind,
    quantity: Decimal,
    occurred_at: datetime,
    sales: Sales | None,
    site: SiteCalendar,
    held_back: Decimal = NOTHING,
) -> list[DayEffect]:
    """Return what a journal line adds to the site's days; nothing where it moves no stock and sells nothing.

    Stock moves when it occurred, which for sales over a period is the period's end; the demand belongs to the days of
    the period. ``sales`` is None for a plain sale; ``held_back`` is what became unavailable by an adjustment.
    """
    if kind is Kind.SALE:
        if sales is None:
            first, moved_on = site.days_at(occurred_at)
            if first == moved_on:
                return [DayEffect(first, quantity, NOTHING, -quantity)]
        return _of_sales(sales or Sales(-quantity), occurred_at, site)
    if kind not in ADDING:
        return []
    day = site.day_up_to(occurred_at)
    if kind is Kind.RECEIPT:
        return [DayEffect(day, received=quantity)]
    if kind is Kind.TITLE:
        return [DayEffect(day, titled=quantity)]
    return [DayEffect(day, moved=quantity, held_back=held_back)]


def _of_sales(sales: Sales, occurred_at: datetime, site: SiteCalendar) -> list[DayEffect]:
    first, moved_on = site.days_at(occurred_at)
    start = sales.period_start
    if start is not None:
        first = site.day_of(start)
    if first == moved_on:
        return [DayEffect(first, sales.quantity, NOTHING, sales.sold, sales.returned, sales.lost, sales.defective)]
    moved = DayEffect(moved_on, moved=sales.quantity, held_back=sales.defective)
    if start is None:  # at the very instant at which a day ends and the next one begins
        return [moved, DayEffect(first, sold=sales.sold, returned=sales.returned, lost=sales.lost)]
    sold = site.spread(sales.sold, start, occurred_at)
    returned = site.spread(sales.returned, start, occurred_at)
    lost = site.spread(sales.lost, start, occurred_at)
    return [
        moved,
        *(
            DayEffect(day, sold=on_day, returned=returned[place][1], lost=lost[place][1])
            for place, (day, on_day) in enumerate(sold)
        ),
    ]
