"""Drift, receipts that differ, and how far a record can be trusted."""

from datetime import datetime
from decimal import Decimal
from itertools import permutations

import pytest

from vmi_domain.stock.confidence import Candidate, Reason, Record, confidence, reason_to_count, worth_counting
from vmi_domain.stock.drift import Cause, is_tolerated, reconcile, unexplained
from vmi_domain.stock.mismatches import Mismatch, mismatches
from vmi_domain.stock.position import Count, Kind, Movement
from vmi_domain.stock.supply_facts import Ordered, Received, Shipped
from vmi_testing.builders import DAY, HOUR, NOON

MIDNIGHT = NOON - 12 * HOUR


def at(hour: int) -> datetime:
    return MIDNIGHT + hour * HOUR


S5 = [
    Count(at(10), Decimal(100)),
    Movement(at(12), Decimal(-5)),
    Movement(at(9), Decimal(-7)),
    Movement(at(11), Decimal(30), is_receipt=True),
    Count(at(8), Decimal(90)),
    Count(at(13), Decimal(120)),
]


def test_s5_the_last_report_drifts_by_five_in_whatever_order_facts_came() -> None:
    for facts in permutations(S5):
        counts = [one for one in facts if isinstance(one, Count)]
        movements = [one for one in facts if isinstance(one, Movement)]

        booked = reconcile(counts, movements)

        assert [(one.expected, one.counted, one.drift) for one in booked] == [
            (None, 90, 0),
            (83, 100, 17),
            (125, 120, -5),
        ]
        assert booked[-1].cause is Cause.SNAPSHOT_RECONCILE


def test_a_count_by_people_has_its_own_cause_and_beats_a_report_of_the_same_instant() -> None:
    counts = [Count(NOON, Decimal(9), kind=Kind.COUNT), Count(NOON, Decimal(10)), Count(NOON - DAY, Decimal(10))]

    [_, last] = reconcile(counts, [])

    assert (last.cause, last.counted, last.drift) == (Cause.COUNT_RECONCILE, 9, -1)


def test_a_surplus_that_a_shipment_without_a_receipt_explains_is_no_drift() -> None:
    assert unexplained(Decimal(60), probably_received=Decimal(60)) == 0
    assert unexplained(Decimal(70), probably_received=Decimal(60)) == 10
    assert unexplained(Decimal(-5), probably_received=Decimal(60)) == -5


def test_what_was_set_apart_since_is_missing_from_the_available_stock_and_not_lost() -> None:
    assert unexplained(Decimal(-8), set_apart=Decimal(8)) == 0


@pytest.mark.parametrize(
    ("drift", "expected", "tolerance", "tolerated"),
    [(-5, 125, None, True), (-13, 125, None, False), (-5, 125, 4, False), (-4, 125, 4, True), (2, 3, None, True)],
)
def test_a_drift_is_tolerated_up_to_what_is_agreed(
    drift: int, expected: int, tolerance: int | None, tolerated: bool
) -> None:
    limit = None if tolerance is None else Decimal(tolerance)

    assert is_tolerated(Decimal(drift), Decimal(expected), tolerance=limit, share=0.1) is tolerated


def shipped(quantity: int, revision: int = 0) -> Shipped:
    return Shipped("ASN-1", Decimal(quantity), NOON, revision=revision)


def received(quantity: int, *, completed: bool = False, receipt: str = "GR-1") -> Received:
    return Received(receipt, Decimal(quantity), NOON + DAY, shipment_id="ASN-1", completed=completed)


def test_s10_a_short_receipt_is_a_mismatch_once_nothing_more_will_come() -> None:
    facts = [shipped(100), received(60)]
    assert mismatches(facts) == []

    [short] = mismatches([*facts, received(30, completed=True, receipt="GR-2")])

    assert short == Mismatch("shipment ASN-1", Decimal(100), Decimal(90))
    assert short.difference == -10


def test_s10_more_than_was_shipped_is_a_mismatch_at_once_and_none_when_the_shipment_is_corrected() -> None:
    facts = [shipped(100), received(110)]

    assert [one.difference for one in mismatches(facts)] == [10]
    assert mismatches([*facts, shipped(110, revision=1)]) == []


def test_what_nobody_announced_is_unsolicited_and_no_mismatch() -> None:
    assert mismatches([received(50)]) == []


def test_a_receipt_of_an_order_without_a_shipment_is_compared_with_the_order() -> None:
    ordered = Ordered("PO-1", Decimal(40), NOON)
    came = Received("GR-1", Decimal(30), NOON + DAY, order_id="PO-1", completed=True)

    assert [(one.name, one.difference) for one in mismatches([ordered, came])] == [("order PO-1", -10)]


def a_record(**changes: float) -> Record:
    return Record(**({"on_hand": 10.0, "age_days": 10.0, "observed_days": 100.0} | changes))


SELLER = {"selling_days": 14, "window_days": 56, "daily_demand": 2.0}


def test_f25_no_sales_for_many_times_the_usual_interval_with_stock_on_record_suspects_a_phantom() -> None:
    quiet = a_record(quiet_days=20, **SELLER)

    assert reason_to_count(quiet) is Reason.PHANTOM_SUSPECT
    assert reason_to_count(a_record(quiet_days=19, **SELLER)) is not Reason.PHANTOM_SUSPECT
    assert reason_to_count(a_record(on_hand=0.0, quiet_days=200, **SELLER)) is None, "nothing there, nothing sold"
    assert confidence(quiet) < 0.1


def test_a_record_is_trusted_less_the_longer_nobody_looked_and_the_more_often_it_was_wrong() -> None:
    fresh, old, wrong = a_record(), a_record(age_days=200.0), a_record(errors=5)

    assert confidence(fresh) > confidence(old)
    assert confidence(fresh) > confidence(wrong)
    assert reason_to_count(old) is Reason.LOW_CONFIDENCE


def test_a_record_that_was_right_today_is_trusted_however_unlikely_its_quiet_days_were() -> None:
    """By Bayes' rule; in floating point there was nothing left to divide by, which ended the worker."""
    assert confidence(a_record(age_days=0.0, quiet_days=20, selling_days=50, window_days=56)) == 1.0


def test_a_record_below_zero_is_wrong() -> None:
    assert confidence(a_record(on_hand=-1.0)) == 0
    assert reason_to_count(a_record(on_hand=-1.0)) is Reason.NEGATIVE_STOCK


def test_counts_are_asked_for_where_they_pay_most_within_the_budget() -> None:
    slow = Candidate("slow", a_record(quiet_days=60, selling_days=10, window_days=56, daily_demand=0.2))
    fast = Candidate("fast", a_record(quiet_days=10, selling_days=50, window_days=56, daily_demand=20.0))
    dear = Candidate("dear", a_record(quiet_days=60, selling_days=10, window_days=56, daily_demand=0.2), 500.0)
    wrong = Candidate("wrong", a_record(on_hand=-1.0))
    good = Candidate("good", a_record())

    asked = worth_counting([slow, fast, dear, wrong, good], 3)

    assert [one.item_id for one, _ in asked] == ["wrong", "dear", "fast"]
    assert worth_counting([wrong], 0) == []
