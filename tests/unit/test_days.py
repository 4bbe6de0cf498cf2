"""A location's days: cut-offs, time zones, clocks that change, and periods spread over days."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from vmi_domain.days import SiteCalendar

BERLIN = SiteCalendar("Europe/Berlin")
BAR = SiteCalendar("Europe/Berlin", time(4, 0))


def berlin(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo("Europe/Berlin"))  # type: ignore[misc, arg-type]


def test_a_day_is_the_sites_own_not_that_of_utc() -> None:
    assert BERLIN.day_of(datetime(2025, 3, 4, 23, 30, tzinfo=UTC)) == date(2025, 3, 5)
    assert SiteCalendar("America/New_York").day_of(datetime(2025, 3, 5, 4, 30, tzinfo=UTC)) == date(2025, 3, 4)


def test_a_day_with_a_cut_off_at_four_is_named_by_its_beginning() -> None:
    assert BAR.day_of(berlin(2025, 3, 5, 3, 59)) == date(2025, 3, 4)
    assert BAR.day_of(berlin(2025, 3, 5, 4, 0)) == date(2025, 3, 5)
    assert BAR.bounds(date(2025, 3, 4)) == (berlin(2025, 3, 4, 4), berlin(2025, 3, 5, 4))


def test_a_days_last_instant_completes_it_and_begins_the_next() -> None:
    midnight = berlin(2025, 3, 5)

    assert BERLIN.day_of(midnight) == date(2025, 3, 5)
    assert BERLIN.day_up_to(midnight) == date(2025, 3, 4)
    assert BERLIN.end_of(date(2025, 3, 4)) == midnight


@pytest.mark.parametrize(("day", "hours"), [(date(2025, 3, 30), 23), (date(2025, 10, 26), 25), (date(2025, 3, 4), 24)])
def test_days_are_as_long_as_the_clocks_make_them(day: date, hours: int) -> None:
    begins, ends = BERLIN.bounds(day)

    assert ends - begins == timedelta(hours=hours)


def test_a_day_is_closed_when_the_watermark_has_reached_its_end() -> None:
    assert BERLIN.last_closed_day(berlin(2025, 3, 5) - timedelta(seconds=1)) == date(2025, 3, 3)
    assert BERLIN.last_closed_day(berlin(2025, 3, 5)) == date(2025, 3, 4)


def test_days_follow_each_other_without_gap_where_clocks_change_at_the_cut_off() -> None:
    """In Santiago the clocks change at midnight: once it does not exist, once it comes twice."""
    for cut_off in (time(0, 0), time(0, 30), time(23, 30)):
        site = SiteCalendar("America/Santiago", cut_off)
        for first in (date(2025, 4, 3), date(2025, 9, 4)):
            for day in (first + timedelta(days=more) for more in range(7)):
                begins, ends = site.bounds(day)
                assert begins < ends == site.bounds(day + timedelta(days=1))[0]
                moment = begins
                while moment < ends:
                    assert site.day_of(moment) == day
                    moment += timedelta(minutes=10)


def test_a_week_is_shared_among_its_days_and_adds_up_exactly() -> None:
    shares = BERLIN.spread(Decimal(10), berlin(2025, 3, 24), berlin(2025, 3, 31))

    assert [day for day, _ in shares] == [date(2025, 3, 24) + timedelta(days=more) for more in range(7)]
    assert sum(share for _, share in shares) == 10
    assert {share for _, share in shares} <= {Decimal("1.428571"), Decimal("1.428572")}


def test_a_day_in_part_gets_the_part_that_is_covered() -> None:
    assert BERLIN.spread(Decimal(3), berlin(2025, 3, 4, 12), berlin(2025, 3, 6)) == [
        (date(2025, 3, 4), 1),
        (date(2025, 3, 5), 2),
    ]


def test_a_day_or_a_moment_is_not_shared() -> None:
    assert BERLIN.spread(Decimal(7), berlin(2025, 3, 4), berlin(2025, 3, 5)) == [(date(2025, 3, 4), 7)]
    assert BERLIN.spread(Decimal(7), berlin(2025, 3, 5), berlin(2025, 3, 5)) == [(date(2025, 3, 5), 7)]
