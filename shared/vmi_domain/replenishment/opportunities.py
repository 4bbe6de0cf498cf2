"""Order opportunities in the site's own days: when to order, when it arrives, until when it must last (S23)."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from vmi_domain.values import dataclass

MONDAY: Final = date(1970, 1, 5)
"""The day from which intervals of days are counted where the agreement names no other."""
MOST_CLOSED_DAYS: Final = 400
"""Order days that may be holidays one after the other before the calendar is called empty."""
DAY: Final = timedelta(days=1)
WORKWEEK: Final = frozenset({1, 2, 3, 4, 5})


@dataclass(frozen=True, slots=True)
class Calendar:
    """On which days of a site orders go out, and by when; how long what was ordered takes to come."""

    zone: str = "UTC"
    """IANA name of the site's time zone."""
    cut_off: time = time(0, 0)
    """The moment of an order day, by the site's clock, at which its opportunity falls."""
    every_days: int = 1
    anchor: date = MONDAY
    """An order day every so many days, counted from the anchor."""
    weekdays: frozenset[int] | None = None
    """ISO weekdays (Monday 1) that are order days; they take the place of the interval."""
    holidays: frozenset[date] = frozenset()
    """Days without orders, without work and without arrivals."""
    lead_time_days: float = 1.0
    """From the order opportunity to goods on the shelf."""
    lead_time_in_working_days: bool = False
    """Whether the lead time counts Mondays to Fridays without holidays, or all days of the calendar."""
    receiving_weekdays: frozenset[int] | None = None
    """ISO weekdays on which goods are taken in; any where it is missing."""
    receiving_from: time | None = None
    receiving_until: time | None = None
    """The hours of such a day in which they are."""

    def __post_init__(self) -> None:
        if self.every_days < 1 or (self.weekdays is not None and not self.weekdays <= set(range(1, 8))):
            raise ValueError("orders go out every day or more seldom, or on ISO weekdays 1 to 7")


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A moment at which can be ordered, with what follows from it."""

    order_at: datetime
    """The cut-off; an order at this very moment is in time."""
    deliver_at: datetime
    """When what is ordered then stands on the shelf."""
    next_order_at: datetime
    next_deliver_at: datetime
    """When the *next* opportunity's order arrives; until then this one's must last."""

    protection_days: float
    """From this order to the arrival of the next, in days of the site's calendar (a day of 23 hours is a day)."""


def next_opportunity(calendar: Calendar, now: datetime) -> Opportunity:
    """Return the first opportunity at ``now`` or later."""
    return _from_day(calendar, _order_day_at_or_after(calendar, now))


def moment(day: date, clock: time, zone: str) -> datetime:
    """Return the moment, in UTC, at which the site's clock shows ``clock`` on ``day``.

    An hour that the clocks skip is read as if they had not; of an hour shown twice the first is meant.
    """
    return datetime.combine(day, clock, tzinfo=ZoneInfo(zone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Span:
    """A time to come, in a site's own days, the first of which may have begun already."""

    first_day: date
    elapsed: float
    """The share of the first day that is over."""
    days: float
    """From now on; whole or not."""


def span(now: datetime, until: datetime, *, zone: str, day_ends_at: time) -> Span:
    """Return the days of a site from ``now`` until a later moment, by its calendar and its cut-off.

    A day is named by its beginning: where it ends at four in the morning, three o'clock is still the day before.
    """
    there = ZoneInfo(zone)
    shift = timedelta(hours=day_ends_at.hour, minutes=day_ends_at.minute, seconds=day_ends_at.second)
    here = now.astimezone(there).replace(tzinfo=None) - shift
    elapsed = (here - datetime.combine(here, time(0))) / DAY
    return Span(here.date(), elapsed, days_until(now, until, zone))


def days_until(now: datetime, later: datetime, zone: str) -> float:
    """Return the days from ``now`` to ``later`` by the site's calendar and clock, never below zero."""
    there = ZoneInfo(zone)
    return max((later.astimezone(there).replace(tzinfo=None) - now.astimezone(there).replace(tzinfo=None)) / DAY, 0.0)


def _order_day_at_or_after(calendar: Calendar, now: datetime) -> date:
    day = _order_day_from(calendar, now.astimezone(ZoneInfo(calendar.zone)).date())
    if moment(day, calendar.cut_off, calendar.zone) >= now:
        return day
    return _order_day_from(calendar, day + DAY)


@lru_cache(maxsize=4096)
def _from_day(calendar: Calendar, day: date) -> Opportunity:
    following = _order_day_from(calendar, day + DAY)
    order_at = moment(day, calendar.cut_off, calendar.zone)
    next_deliver_at = _arrival(calendar, following)
    return Opportunity(
        order_at=order_at,
        deliver_at=_arrival(calendar, day),
        next_order_at=moment(following, calendar.cut_off, calendar.zone),
        next_deliver_at=next_deliver_at,
        protection_days=days_until(order_at, next_deliver_at, calendar.zone),
    )


def _order_day_from(calendar: Calendar, day: date) -> date:
    """Return the first order day on ``day`` or later that is no holiday."""
    for _ in range(MOST_CLOSED_DAYS):
        if calendar.weekdays is None:
            day += (-(day - calendar.anchor).days % calendar.every_days) * DAY
        else:
            while day.isoweekday() not in calendar.weekdays:
                day += DAY
        if day not in calendar.holidays:
            return day
        day += DAY
    raise ValueError(f"no order day within {MOST_CLOSED_DAYS} of them is free of holidays")


def _arrival(calendar: Calendar, day: date) -> datetime:
    """Return when an order of ``day`` stands on the shelf; part of a day is counted from the cut-off."""
    whole = int(calendar.lead_time_days)
    if calendar.lead_time_in_working_days:
        arrival = day
        for _ in range(whole):
            arrival = _next_working_day(calendar, arrival)
    else:
        arrival = day + whole * DAY
    part = (calendar.lead_time_days - whole) * DAY
    return _received(calendar, moment(arrival, calendar.cut_off, calendar.zone) + part)


def _received(calendar: Calendar, arrives: datetime) -> datetime:
    """Return when goods that arrive at a moment are taken in: then, or when the site takes in goods next."""
    here = arrives.astimezone(ZoneInfo(calendar.zone))
    day, opens = here.date(), calendar.receiving_from or time(0, 0)
    if calendar.receiving_until is not None and here.time() > calendar.receiving_until:
        day += DAY
    day = _receiving_day_from(calendar, day)
    if day > here.date():
        # Without hours of receiving they come on the later day at the same time of the day.
        clock = here.time() if calendar.receiving_from is calendar.receiving_until is None else opens
        return moment(day, clock, calendar.zone)
    return moment(day, opens, calendar.zone) if here.time() < opens else arrives


def _receiving_day_from(calendar: Calendar, day: date) -> date:
    weekdays = calendar.receiving_weekdays
    for _ in range(MOST_CLOSED_DAYS):
        if day not in calendar.holidays and (weekdays is None or day.isoweekday() in weekdays):
            return day
        day += DAY
    raise ValueError(f"no day of receiving within {MOST_CLOSED_DAYS} is free of holidays")


def _next_working_day(calendar: Calendar, day: date) -> date:
    day += DAY
    while day.isoweekday() not in WORKWEEK or day in calendar.holidays:
        day += DAY
    return day
