"""The fold over facts and the named quantities: vectors S1, S2, S5, S6, S9 and S11 of the semantics."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import permutations

import pytest

from vmi_domain.days import SiteCalendar
from vmi_domain.stock.position import (
    Authority,
    Balance,
    Basis,
    Count,
    Kind,
    Movement,
    Supply,
    fold,
    inventory_position,
    stock,
)

DAY = datetime(2025, 3, 4, tzinfo=UTC)
NO_SUPPLY = Supply()


def at(hour: int) -> datetime:
    return DAY + timedelta(hours=hour)


def count(quantity: int, hour: int, **named: Decimal) -> Count:
    return Count(at(hour), Decimal(quantity), **named)


def sale(quantity: int, hour: int) -> Movement:
    return Movement(at(hour), Decimal(-quantity))


def receipt(quantity: int, hour: int) -> Movement:
    return Movement(at(hour), Decimal(quantity), is_receipt=True)


def physical(facts: list[Count | Movement], authority: Authority = Authority.LEDGER) -> Decimal:
    counts = [fact for fact in facts if isinstance(fact, Count)]
    movements = [fact for fact in facts if isinstance(fact, Movement)]
    return stock(fold(counts, movements), NO_SUPPLY, authority=authority, basis=Basis.GROSS).physical


def test_s1_gross_stock_is_available_less_what_is_held_back() -> None:
    reported = Balance(counted=Decimal(100), unavailable=Decimal(10), reserved=Decimal(30))

    held = stock(reported, NO_SUPPLY, authority=Authority.SNAPSHOT, basis=Basis.GROSS)

    assert (held.physical, held.available) == (100, 60)


def test_s1_available_stock_is_not_reduced_a_second_time() -> None:
    reported = Balance(counted=Decimal(60), reserved=Decimal(30))

    held = stock(reported, NO_SUPPLY, authority=Authority.SNAPSHOT, basis=Basis.AVAILABLE)

    assert (held.physical, held.available) == (90, 60)


def test_s2_what_is_on_order_counts_in_the_position() -> None:
    held = stock(
        Balance(counted=Decimal(20)), Supply(on_order=Decimal(100)), authority=Authority.SNAPSHOT, basis=Basis.GROSS
    )

    assert held.physical == 20
    assert inventory_position(held) == 120


def test_the_position_counts_what_is_there_and_coming_less_what_is_owed() -> None:
    held = stock(
        Balance(counted=Decimal(50), unavailable=Decimal(5), reserved=Decimal(8), backlog=Decimal(3)),
        Supply(on_order=Decimal(20), in_transit=Decimal(10)),
        authority=Authority.LEDGER,
        basis=Basis.GROSS,
    )

    assert inventory_position(held, proposed_open=Decimal(7)) == 50 - 5 + 20 + 10 + 7 - 3
    assert inventory_position(held, reserved_is_forecast=False) == 50 - 5 + 20 + 10 - 3 - 8


S5 = [
    (count(100, 10), 100),
    (sale(5, 12), 95),
    (sale(7, 9), 95),
    (receipt(30, 11), 125),
    (count(90, 8), 125),
    (count(120, 13), 120),
]


def test_s5_each_arrival_leads_to_the_stock_of_the_vector() -> None:
    arrived = []
    for fact, expected in S5:
        arrived.append(fact)
        assert physical(arrived) == expected


def test_s5_every_order_of_arrival_ends_at_the_same_stock() -> None:
    for order in permutations([fact for fact, _ in S5]):
        assert physical(list(order)) == 120


def test_what_moved_at_the_instant_of_the_count_is_in_it() -> None:
    assert physical([count(100, 10), sale(5, 10)]) == 100


def test_of_two_counts_at_one_instant_the_later_revision_stands_and_people_beat_the_record() -> None:
    report = Count(DAY, Decimal(10))
    replaced = Count(DAY, Decimal(12), revision=1)
    counted = Count(DAY, Decimal(11), kind=Kind.COUNT)

    assert fold([report, counted], []).counted == 11
    assert fold([replaced, report, counted], []).counted == 12


@pytest.mark.parametrize(("of_the_days_end", "expected"), [(True, 100), (False, 95)])
def test_s6_a_report_for_a_day_holds_that_days_sales_if_it_was_taken_at_its_end(
    of_the_days_end: bool, expected: int
) -> None:
    site = SiteCalendar("Europe/Berlin")
    begins, ends = site.bounds(date(2025, 3, 4))
    sold = Movement(datetime(2025, 3, 4, 8, tzinfo=UTC), Decimal(-5))

    assert physical([Count(ends if of_the_days_end else begins, Decimal(100)), sold]) == expected
    assert site.end_of(date(2025, 3, 4)) == ends


def test_s9_stock_below_zero_is_kept_and_told_and_planned_with_as_nothing() -> None:
    held = stock(fold([], [sale(5, 9)]), NO_SUPPLY, authority=Authority.SNAPSHOT, basis=Basis.GROSS)

    assert held.physical == -5
    assert held.is_negative
    assert inventory_position(held) == 0


def test_s9_what_was_sold_out_of_an_unconfirmed_receipt_is_not_planned_with() -> None:
    held = stock(
        fold([count(10, 8)], [receipt(20, 9), sale(15, 10)]),
        NO_SUPPLY,
        authority=Authority.SNAPSHOT,
        basis=Basis.GROSS,
    )

    assert (held.physical, held.received_unconfirmed, held.is_negative) == (-5, 20, False)
    assert inventory_position(held) == 15


def test_s11_a_receipt_waits_as_unconfirmed_until_a_report_as_of_it() -> None:
    before = fold([count(10, 8)], [receipt(60, 9)])
    after = fold([count(10, 8), count(70, 9)], [receipt(60, 9)])

    held = stock(before, NO_SUPPLY, authority=Authority.SNAPSHOT, basis=Basis.GROSS)
    assert (held.physical, held.received_unconfirmed, inventory_position(held)) == (10, 60, 70)
    held = stock(after, NO_SUPPLY, authority=Authority.SNAPSHOT, basis=Basis.GROSS)
    assert (held.physical, held.received_unconfirmed, inventory_position(held)) == (70, 0, 70)


def test_s11_in_ledger_authority_a_receipt_is_physical_at_once() -> None:
    held = stock(fold([count(10, 8)], [receipt(60, 9)]), NO_SUPPLY, authority=Authority.LEDGER, basis=Basis.GROSS)

    assert (held.physical, held.received_unconfirmed) == (70, 0)
