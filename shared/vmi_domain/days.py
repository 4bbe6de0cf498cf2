"""A location's own days: bounded by its cut-off in its time zone, 23 or 25 hours long where the clocks change."""

from collections.abc import Iterator
from dataclasses import field
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from vmi_domain.units import FINEST
from vmi_domain.values import dataclass

DAY: Final = timedelta(days=1)
MIDNIGHT: Final = time(0, 0)


@dataclass(frozen=True, slots=True)
class SiteCalendar:
    """When a location's day ends and the next one begins. A day is named by the date on which it begins."""

    zone: str = "UTC"
    """IANA name."""
    day_ends_at: time = MIDNIGHT
    """The cut-off, by the site's own clock."""

    _last: list[tuple[date, datetime, datetime]] = field(default_factory=list, init=False, repr=False, compare=False)
    """The day that was found last, with its bounds: most moments lie in the day of the one before."""

    def bounds(self, day: date) -> tuple[datetime, datetime]:
        """Return the instants, in UTC, at which ``day`` begins and ends."""
        return _bounds(self.zone, self.day_ends_at, day)

    def day_of(self, moment: datetime) -> date:
        """Return the day in which something happened: it holds its first instant, and not its last."""
        return self._around(moment)[0]

    def day_up_to(self, moment: datetime) -> date:
        """Return the day that ``moment`` completes or lies in: it holds its last instant, and not its first.

        So stock is kept: a report as of a day's end, and the sales of a period that ends there, belong to that day.
        """
        return self.days_at(moment)[1]

    def days_at(self, moment: datetime) -> tuple[date, date]:
        """Return ``day_of`` and ``day_up_to`` of a moment: one day, unless it is the instant between two."""
        day, begins = self._around(moment)
        return day, day - DAY if moment == begins else day

    def last_closed_day(self, reached_at: datetime) -> date:
        """Return the last day that is over for facts that have reached ``reached_at``, the watermark (S28)."""
        return self.day_of(reached_at) - DAY

    def end_of(self, day: date) -> datetime:
        """Return the instant a report means that names only its day: the day's end (S6)."""
        return self.bounds(day)[1]

    def days_of(self, start: datetime, end: datetime) -> Iterator[date]:
        """Yield the days that the period from ``start`` to ``end`` touches; one day where it is a moment."""
        day, last = self.day_of(start), self.day_up_to(end)
        yield day
        while day < last:
            day += DAY
            yield day

    def spread(self, quantity: Decimal, start: datetime, end: datetime) -> list[tuple[date, Decimal]]:
        """Share a period's quantity among its days, each by the part of it that the period covers.

        A whole day counts as one, be it 23 or 25 hours long. The shares are kept to a millionth and add up exactly.
        """
        days = list(self.days_of(start, end))
        if len(days) == 1:
            return [(days[0], quantity)]
        covered = [self._covered(day, start, end) for day in days]
        total, seen, given = sum(covered), Decimal(0), Decimal(0)
        shares = []
        for day, part in zip(days, covered, strict=True):
            seen += part
            until_here = (quantity * seen / total).quantize(FINEST, rounding=ROUND_HALF_EVEN)
            shares.append((day, until_here - given))
            given = until_here
        return shares

    def _covered(self, day: date, start: datetime, end: datetime) -> Decimal:
        """Return the share of ``day`` that lies in the period."""
        begins, ends = self.bounds(day)
        covered = min(end, ends) - max(start, begins)
        return Decimal(covered // _INSTANT) / Decimal((ends - begins) // _INSTANT)

    def _around(self, moment: datetime) -> tuple[date, datetime]:
        """Return the day of ``moment`` and the instant at which it begins."""
        for day, begins, ends in self._last:
            if begins <= moment < ends:
                return day, begins
        local = moment.astimezone(_zone(self.zone))
        day = local.date()
        if local.time() < self.day_ends_at:
            day -= DAY
        begins, ends = self.bounds(day)
        while moment < begins:  # the clocks change near the cut-off
            day -= DAY
            begins, ends = self.bounds(day)
        while moment >= ends:
            day += DAY
            begins, ends = self.bounds(day)
        self._last[:] = [(day, begins, ends)]
        return day, begins


_INSTANT: Final = timedelta(microseconds=1)


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


@lru_cache(maxsize=65_536)
def _bounds(zone: str, day_ends_at: time, day: date) -> tuple[datetime, datetime]:
    """A cut-off that the clocks skip is read as if they had not; of one that is shown twice the first is meant."""
    place = _zone(zone)
    begins = datetime.combine(day, day_ends_at, tzinfo=place).astimezone(UTC)
    ends = datetime.combine(day + DAY, day_ends_at, tzinfo=place).astimezone(UTC)
    return begins, ends
