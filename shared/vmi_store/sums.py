"""What lines of a key add up to, for the site's days and for its position: plain sums, before anything is written."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from vmi_domain.days import SiteCalendar
from vmi_domain.stock import daily
from vmi_domain.stock.daily import DayEffect
from vmi_domain.stock.position import ABSOLUTE, NOTHING, Key, Kind
from vmi_store.journal import JournalLine, held_back_by, sales_of


class Change(NamedTuple):
    """What the lines of one key add up to."""

    key: Key
    days: Sequence[DayEffect]
    """What is added to each day, the earliest first; a day only once."""
    moved: Decimal
    """After the anchor, receipts aside."""
    received: Decimal
    """After the anchor."""
    held_back: Decimal
    """After the anchor."""
    titled: Decimal
    """After the anchor."""
    anchor: datetime | None
    """The as-of time of a count that is not older than the anchor."""
    is_plain: bool
    """Whether there is nothing but plain sales, none at the very end of a day."""
    is_voided: bool = False
    """Whether a count is taken back that may have been the anchor."""

    @property
    def of_days_alone(self) -> "Change":
        """The same, changing nothing after the anchor."""
        return self._replace(moved=NOTHING, received=NOTHING, held_back=NOTHING, titled=NOTHING)

    @property
    def demand_from(self) -> date | None:
        for day in self.days:
            if day.sold or day.returned or day.lost:
                return day.day
        return None


def added_up(key: Key, lines: Sequence[JournalLine], counted_at: datetime | None, site: SiteCalendar) -> Change:
    """Add the lines of one key up, for each day and for what came after the anchor."""
    if len(lines) == 1 and lines[0].kind is Kind.SALE and lines[0].details is None:  # which is most of what comes
        [line] = lines
        effects = daily.effects(Kind.SALE, line.quantity, line.occurred_at, None, site)
        after = line.quantity if counted_at is None or line.occurred_at > counted_at else NOTHING
        return Change(key, effects, after, NOTHING, NOTHING, NOTHING, None, len(effects) == 1)
    moved = received = held_back = titled = NOTHING
    anchor: datetime | None = None
    is_plain, is_voided = True, False
    days: dict[date, DayEffect] = {}
    plainly: dict[date, Decimal] = {}
    for line in lines:
        kind, occurred_at = line.kind, line.occurred_at
        if kind is Kind.SALE and line.details is None:
            first, moved_on = site.days_at(occurred_at)
            if first == moved_on:
                plainly[first] = plainly.get(first, NOTHING) + line.quantity
                if counted_at is None or occurred_at > counted_at:
                    moved += line.quantity
                continue
        if kind in ABSOLUTE:
            is_plain = False
            if counted_at is None or occurred_at >= counted_at:
                anchor = occurred_at if anchor is None else max(anchor, occurred_at)
            continue
        if kind is Kind.VOID:
            is_voided = is_voided or counted_at is None or occurred_at >= counted_at
        sales = sales_of(line)
        unavailable = held_back_by(line) if sales is None else sales.defective
        effects = daily.effects(kind, line.quantity, occurred_at, sales, site, unavailable)
        if kind is not Kind.SALE or line.details is not None or len(effects) > 1:
            is_plain = False
        for effect in effects:
            before = days.get(effect.day)
            days[effect.day] = effect if before is None else before.plus(effect)
        if effects and (counted_at is None or occurred_at > counted_at):
            if kind is Kind.RECEIPT:
                received += line.quantity
            elif kind is Kind.TITLE:
                titled += line.quantity
            else:
                moved += line.quantity
            held_back += unavailable
    for day, quantity in plainly.items():
        effect = DayEffect(day, quantity, NOTHING, -quantity)
        days[day] = effect.plus(days[day]) if day in days else effect
    ordered = list(days.values()) if len(days) < 2 else [days[day] for day in sorted(days)]
    return Change(key, ordered, moved, received, held_back, titled, anchor, is_plain, is_voided)


def days_of(key: Key, lines: Sequence[JournalLine], site: SiteCalendar) -> Sequence[DayEffect]:
    """Return what lines of a key add to the site's days, each day once."""
    return added_up(key, lines, None, site).days
