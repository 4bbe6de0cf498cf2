"""Order opportunities and how long an order must last: calendars, cut-offs, zones and holidays (S23)."""

from datetime import UTC, date, datetime, time, timedelta

import pytest

from vmi_domain.replenishment.opportunities import Calendar, days_until, next_opportunity, span

MONDAY = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def test_s23_a_holiday_delays_thursdays_order_and_it_must_last_until_mondays_arrives() -> None:
    """Orders Monday and Thursday, two working days of lead time, the Friday a holiday."""
    calendar = Calendar(
        weekdays=frozenset({1, 4}),
        lead_time_days=2,
        lead_time_in_working_days=True,
        holidays=frozenset({date(2025, 6, 6)}),
    )

    thursday = next_opportunity(calendar, MONDAY + 2 * DAY)

    assert thursday.order_at.date() == date(2025, 6, 5)
    assert thursday.deliver_at.date() == date(2025, 6, 10), "Tuesday: Friday is a holiday, then the weekend"
    assert thursday.next_order_at.date() == date(2025, 6, 9)
    assert thursday.next_deliver_at.date() == date(2025, 6, 11), "Monday's order arrives on Wednesday"
    assert thursday.protection_days == 6


def test_s23_with_orders_on_monday_and_thursday_the_interval_alternates() -> None:
    calendar = Calendar(weekdays=frozenset({1, 4}), lead_time_days=2)

    monday = next_opportunity(calendar, datetime(2025, 6, 2, tzinfo=UTC))
    thursday = next_opportunity(calendar, monday.order_at + DAY)

    assert (monday.protection_days, thursday.protection_days) == (3 + 2, 4 + 2)


@pytest.mark.parametrize(("ends", "days"), [("2025-03-30", 23), ("2025-10-26", 25)])
def test_s23_a_day_of_23_or_25_hours_is_one_day(ends: str, days: int) -> None:
    """Berlin changes its clocks in the night of both Sundays."""
    sunday = date.fromisoformat(ends)
    calendar = Calendar(zone="Europe/Berlin", cut_off=time(1, 30), lead_time_days=0)

    opportunity = next_opportunity(calendar, datetime.combine(sunday, time(0), tzinfo=UTC) - timedelta(hours=2))

    assert opportunity.next_order_at - opportunity.order_at == timedelta(hours=days)
    assert opportunity.protection_days == 1


def test_s23_a_cut_off_in_the_hour_that_is_skipped_still_has_its_moment() -> None:
    calendar = Calendar(zone="Europe/Berlin", cut_off=time(2, 30))

    opportunity = next_opportunity(calendar, datetime(2025, 3, 29, 12, 0, tzinfo=UTC))

    assert opportunity.order_at == datetime(2025, 3, 30, 1, 30, tzinfo=UTC)


def test_the_cut_off_is_in_the_sites_own_zone() -> None:
    calendar = Calendar(zone="America/New_York", cut_off=time(15, 0))

    assert next_opportunity(calendar, MONDAY).order_at == datetime(2025, 6, 2, 19, 0, tzinfo=UTC)


def test_an_order_at_the_cut_off_is_in_time_and_a_moment_later_is_not() -> None:
    calendar = Calendar(cut_off=time(8, 0), every_days=7)

    assert next_opportunity(calendar, MONDAY).order_at == MONDAY
    assert next_opportunity(calendar, MONDAY + timedelta(microseconds=1)).order_at == MONDAY + 7 * DAY


def test_intervals_are_counted_from_a_monday_in_1970() -> None:
    weekly = Calendar(every_days=7, lead_time_days=3)

    opportunity = next_opportunity(weekly, MONDAY)

    assert opportunity.order_at.isoweekday() == 1
    assert opportunity.protection_days == 7 + 3


def test_an_order_day_that_is_a_holiday_does_not_take_place() -> None:
    calendar = Calendar(weekdays=frozenset({4}), holidays=frozenset({date(2025, 6, 5)}))

    assert next_opportunity(calendar, MONDAY).order_at.date() == date(2025, 6, 12)


def test_a_calendar_of_holidays_only_is_refused() -> None:
    christmas = Calendar(every_days=1, holidays=frozenset(date(2025, 1, 1) + n * DAY for n in range(900)))

    with pytest.raises(ValueError, match="holidays"):
        next_opportunity(christmas, MONDAY)


def test_part_of_a_day_of_lead_time_is_counted_from_the_cut_off() -> None:
    calendar = Calendar(cut_off=time(12, 0), lead_time_days=1.5)

    assert next_opportunity(calendar, MONDAY).deliver_at == datetime(2025, 6, 4, 0, 0, tzinfo=UTC)


def test_days_are_those_of_the_sites_calendar_and_never_below_zero() -> None:
    saturday_noon = datetime(2025, 3, 29, 11, 0, tzinfo=UTC)

    assert days_until(saturday_noon, saturday_noon + timedelta(hours=23), "Europe/Berlin") == 1
    assert days_until(saturday_noon, saturday_noon - DAY, "Europe/Berlin") == 0


def test_a_span_begins_within_the_sites_own_day() -> None:
    """A bar in Berlin whose day ends at four in the morning: at three on Tuesday it is still Monday."""
    now = datetime(2025, 6, 3, 1, 0, tzinfo=UTC)

    bar = span(now, now + 2 * DAY, zone="Europe/Berlin", day_ends_at=time(4, 0))

    assert bar.first_day == date(2025, 6, 2)
    assert bar.elapsed == pytest.approx(23 / 24)
    assert bar.days == 2


def test_a_span_over_a_day_of_23_hours_counts_whole_days() -> None:
    friday = datetime(2025, 3, 28, 11, 0, tzinfo=UTC)

    assert span(friday, friday + timedelta(hours=71), zone="Europe/Berlin", day_ends_at=time(0)).days == 3


def test_what_would_come_on_a_holiday_comes_on_the_day_after() -> None:
    calendar = Calendar(weekdays=frozenset({1}), lead_time_days=2, holidays=frozenset({date(2025, 6, 11)}))

    assert next_opportunity(calendar, MONDAY).deliver_at.date() == date(2025, 6, 12)


def test_goods_are_taken_in_on_receiving_days_within_their_hours() -> None:
    weekly = {"weekdays": frozenset({1}), "lead_time_days": 2.75, "receiving_weekdays": frozenset({2, 4})}
    sunday = MONDAY - DAY

    any_hour = next_opportunity(Calendar(**weekly), sunday)  # type: ignore[arg-type]
    morning = next_opportunity(Calendar(**weekly, receiving_until=time(12, 0)), sunday)  # type: ignore[arg-type]
    late = next_opportunity(Calendar(**weekly, receiving_from=time(7, 0)), sunday)  # type: ignore[arg-type]

    assert any_hour.deliver_at == datetime(2025, 6, 5, 18, 0, tzinfo=UTC), "Wednesday at six waits for Thursday"
    assert morning.deliver_at == datetime(2025, 6, 5, 0, 0, tzinfo=UTC)
    assert late.deliver_at == datetime(2025, 6, 5, 7, 0, tzinfo=UTC)
