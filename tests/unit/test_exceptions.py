"""Exceptions: which states of an item are wrong, and what becomes of an exception that opened."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from vmi_domain.exceptions.lifecycle import (
    Kind,
    NotActive,
    Observation,
    Standing,
    Status,
    Subject,
    acknowledged,
    observed,
    suppressed,
)
from vmi_domain.exceptions.rules import Arrival, Item, Thresholds, due_at, of_item
from vmi_domain.replenishment import proposals
from vmi_domain.replenishment.proposals import Answer, AnswerKind, Proposal, Wanted
from vmi_domain.stock.position import Key
from vmi_testing.builders import DAY, HOUR, NOON

KEY = Key("retailer-1", "store-1", "milk")
SUBJECT = Subject(Kind.BELOW_MINIMUM, *KEY)
WRONG = Observation(SUBJECT, True, "too little")
BETWEEN = Observation(SUBJECT, None)
RIGHT = Observation(SUBJECT, False)


def an_item(**changes: Any) -> Item:
    """Sixty cartons, ten sold a day, two days from order to shelf, to be kept between 20 and 100: all is well."""
    well: dict[str, Any] = {
        "usable": Decimal(60),
        "physical": Decimal(60),
        "daily_demand": 10.0,
        "arrives_next": NOON + 2 * DAY,
        "minimum": Decimal(20),
        "maximum": Decimal(100),
    }
    return Item(key=KEY, now=NOON, supplier_id="dairy", **(well | changes))


def stands(quantity: int, **changes: Any) -> dict[str, Any]:
    return {"usable": Decimal(max(quantity, 0)), "physical": Decimal(quantity), **changes}


def arrival(quantity: int, at: datetime, **changes: Any) -> Arrival:
    return Arrival(Decimal(quantity), at, "shipment ASN-1", **changes)


def a_proposal(**changes: Any) -> Proposal:
    made = proposals.proposed(
        [],
        Wanted(Decimal(48), Decimal(48), deliver_at=NOON + 3 * DAY, expires_at=NOON + 2 * DAY),
        key=KEY,
        supplier_id="dairy",
        order_at=NOON + DAY,
        now=NOON - DAY,
    )
    assert made is not None
    return replace(made, **changes)


def an_answer(quantity: int) -> Answer:
    kind = AnswerKind.CHANGE if quantity else AnswerKind.REJECT
    return Answer(uuid4(), kind, 1, NOON, Decimal(48), Decimal(quantity), NOON + 3 * DAY, reason="out of cups")


ANSWERED = proposals.answered(a_proposal(), an_answer(48), NOON)
CUT = proposals.answered(a_proposal(), an_answer(24), NOON)
REFUSED = proposals.answered(a_proposal(), an_answer(0), NOON)

STATES: list[tuple[str, dict[str, Any], set[Kind]]] = [
    ("all is well", {}, set()),
    ("nothing is agreed about a band", {"minimum": None, "maximum": None}, set()),
    ("nobody ever counted", stands(0, is_known=False), set()),
    ("an empty shelf", stands(0), {Kind.STOCK_OUT, Kind.BELOW_MINIMUM}),
    ("an empty shelf, and goods for tomorrow", stands(0, arrivals=[arrival(80, NOON + DAY)], minimum=None),
     {Kind.STOCK_OUT}),
    ("enough until tomorrow only", stands(15, minimum=None), {Kind.STOCK_OUT_PROJECTED}),
    ("enough until tomorrow, when more comes", stands(15, minimum=None, arrivals=[arrival(40, NOON + DAY)]), set()),
    ("enough until the very moment more comes", stands(10, minimum=None, arrivals=[arrival(40, NOON + DAY)]), set()),
    ("enough until the lead time's end, when more comes", stands(20, minimum=None,
     arrivals=[arrival(40, NOON + 2 * DAY)]), set()),
    ("not enough until the lead time's end, when more comes", stands(19, minimum=None,
     arrivals=[arrival(40, NOON + 2 * DAY)]), {Kind.STOCK_OUT_PROJECTED}),
    ("what comes, comes too late", stands(15, minimum=None, arrivals=[arrival(40, NOON + 3 * DAY)]),
     {Kind.STOCK_OUT_PROJECTED}),
    ("what comes, is in the last report", stands(15, minimum=None,
     arrivals=[arrival(40, NOON, may_be_there=True)]), {Kind.STOCK_OUT_PROJECTED}),
    ("no demand is known", stands(15, minimum=None, daily_demand=None), set()),
    ("below the minimum now", stands(19, arrivals=[arrival(40, NOON + DAY)]), {Kind.BELOW_MINIMUM}),
    ("below the minimum within the lead time", stands(39), {Kind.BELOW_MINIMUM}),
    ("at the minimum, at the lead time's end", stands(40), set()),
    ("at a reorder point", stands(20, minimum_is_reorder_point=True, daily_demand=None), set()),
    ("below a reorder point", stands(19, minimum_is_reorder_point=True, daily_demand=None), {Kind.BELOW_MINIMUM}),
    ("below a reorder point, and ordered", stands(10, minimum_is_reorder_point=True, daily_demand=None,
     arrivals=[arrival(80, NOON + 2 * DAY)]), set()),
    ("at the maximum", stands(60, arrivals=[arrival(40, NOON + DAY)]), set()),
    ("above the maximum, within its tolerance", stands(104), set()),
    ("above the maximum", stands(60, arrivals=[arrival(60, NOON + DAY)]), {Kind.ABOVE_MAXIMUM}),
    ("above a soft maximum by a pack", stands(112, overshoot=Decimal(12)), set()),
    ("late, within its grace", {"arrivals": [arrival(10, NOON - 23 * HOUR)]}, set()),
    ("overdue", {"arrivals": [arrival(10, NOON - 25 * HOUR)]}, {Kind.SHIPMENT_OVERDUE}),
    ("overdue, and counted upon", stands(15, minimum=None, arrivals=[arrival(40, NOON - 25 * HOUR)]),
     {Kind.SHIPMENT_OVERDUE, Kind.STOCK_OUT_PROJECTED}),
    ("late by our own guess", {"arrivals": [arrival(10, NOON - 25 * HOUR, is_announced=False)]}, set()),
    ("more gone than ever came", stands(-3, is_negative=True, minimum=None), {Kind.STOCK_OUT, Kind.NEGATIVE_STOCK}),
    ("a proposal that has time", {"proposals": [a_proposal()]}, set()),
    ("a proposal past its cut-off", {"proposals": [a_proposal(order_at=NOON - HOUR)]}, {Kind.UNANSWERED}),
    ("a proposal that waits for longer than agreed", {"proposals": [a_proposal()],
     "thresholds": Thresholds(unanswered_after=12 * HOUR)}, {Kind.UNANSWERED}),
    ("a proposal that ran out", {"proposals": [a_proposal(status=proposals.Status.EXPIRED)]}, {Kind.UNANSWERED}),
    ("a proposal answered", {"proposals": [ANSWERED]}, set()),
    ("a proposal cut", {"proposals": [CUT]}, {Kind.SUPPLY_SHORT}),
    ("a proposal refused", {"proposals": [REFUSED]}, {Kind.SUPPLY_SHORT}),
    ("a proposal cut, and the next one answered in full", {"proposals": [CUT, replace(ANSWERED,
     order_at=NOON + 2 * DAY)]}, set()),
    ("promised less than proposed", {"promised_short": Decimal(5)}, {Kind.SUPPLY_SHORT}),
]  # fmt: skip


@pytest.mark.parametrize(("state", "wrong"), [(s, w) for _, s, w in STATES], ids=[name for name, _, _ in STATES])
def test_an_item_raises_exactly_what_is_wrong_with_it(state: dict[str, Any], wrong: set[Kind]) -> None:
    seen = of_item(an_item(**state))

    assert {one.subject.kind for one in seen if one.is_wrong} == wrong


def test_between_its_threshold_and_the_margin_a_value_changes_nothing() -> None:
    assert [one.is_wrong for one in of_item(an_item(**stands(40, daily_demand=None, minimum=Decimal(39))))] == [None]


def test_what_is_told_already_is_seen_and_not_put_in_words_again() -> None:
    out = Subject(Kind.STOCK_OUT, *KEY)
    item = an_item(**stands(0))

    [first, _] = of_item(replace(item, active=frozenset()))
    [again, below] = of_item(replace(item, active={out}))

    assert (first.subject, first.is_wrong) == (again.subject, again.is_wrong) == (out, True)
    assert first.sentence
    assert not again.sentence
    assert below.sentence


def test_what_lies_between_right_and_wrong_is_of_no_matter_where_nothing_is_active() -> None:
    between = an_item(**stands(40, daily_demand=None, minimum=Decimal(39)))

    assert of_item(replace(between, active={Subject(Kind.STOCK_OUT, *KEY)})) == []
    assert [one.is_wrong for one in of_item(replace(between, active={SUBJECT}))] == [None]


def test_an_item_is_looked_at_again_when_the_next_thing_is_overdue() -> None:
    item = an_item(arrivals=[arrival(10, NOON), arrival(10, NOON - 3 * DAY)], proposals=[a_proposal()])

    assert due_at(item) == NOON + DAY


def seen_so(*seen: Observation, every: timedelta = HOUR) -> tuple[Standing | None, list[Status]]:
    """Return how an exception stands after observations an hour apart, and what was told."""
    standing: Standing | None = None
    told = []
    for number, one in enumerate(seen):
        step = observed(standing, one, NOON + number * every)
        if step is not None:
            standing = step.standing
            told += [standing.status] if step.is_told else []
    return standing, told


def test_a_hundred_events_below_the_minimum_are_one_exception_that_closes_on_recovery() -> None:
    standing, told = seen_so(*[WRONG] * 100, RIGHT)

    assert told == [Status.OPEN, Status.CLOSED]
    assert standing is not None
    assert (standing.version, standing.occurrence) == (2, 1)


def test_what_happens_again_is_a_new_occurrence_of_the_same_exception() -> None:
    standing, told = seen_so(WRONG, RIGHT, WRONG)

    assert told == [Status.OPEN, Status.CLOSED, Status.OPEN]
    assert standing is not None
    assert (standing.version, standing.occurrence, standing.exception_id) == (3, 2, SUBJECT.exception_id)


def test_a_value_that_wavers_between_the_thresholds_opens_nothing_and_closes_nothing() -> None:
    assert seen_so(BETWEEN, WRONG, BETWEEN, WRONG, BETWEEN, RIGHT, BETWEEN)[1] == [Status.OPEN, Status.CLOSED]


def test_what_must_last_is_told_only_when_it_has_lasted() -> None:
    lasting = replace(WRONG, must_last=3 * HOUR)

    assert seen_so(lasting, lasting, RIGHT, lasting)[1] == []
    assert seen_so(lasting, lasting, lasting, lasting)[1] == [Status.OPEN]


def test_an_exception_that_a_person_has_taken_up_closes_by_itself() -> None:
    [opened] = [observed(None, WRONG, NOON)]
    assert opened is not None
    taken_up = acknowledged(opened.standing, author="ann", note="truck is on its way", now=NOON + HOUR)

    assert observed(taken_up.standing, WRONG, NOON + DAY) is None
    closed = observed(taken_up.standing, RIGHT, NOON + DAY)

    assert closed is not None
    assert (closed.standing.status, closed.standing.author) == (Status.CLOSED, "ann")


def test_nothing_is_heard_of_a_suppressed_exception_until_its_time_is_over() -> None:
    opened = observed(None, WRONG, NOON)
    assert opened is not None
    quiet = suppressed(opened.standing, author="ann", note="rebuilding", until=NOON + 2 * DAY, now=NOON).standing
    closed = observed(quiet, RIGHT, NOON + HOUR)
    assert closed is not None
    again = observed(closed.standing, WRONG, NOON + DAY)
    assert again is not None
    assert again.standing.status is Status.SUPPRESSED

    assert observed(again.standing, WRONG, NOON + DAY + HOUR) is None
    loud = observed(again.standing, WRONG, NOON + 2 * DAY)

    assert loud is not None
    assert loud.standing.status is Status.OPEN


def test_what_cannot_end_by_itself_is_closed_by_a_person_and_opens_for_other_figures_only() -> None:
    short = Observation(Subject(Kind.RECEIPT_MISMATCH, *KEY, "shipment ASN-1"), True, "short", {"short": "10"})
    opened = observed(None, short, NOON)
    assert opened is not None
    settled = acknowledged(opened.standing, author="ann", note="credited", now=NOON).standing
    assert settled.status is Status.CLOSED

    assert observed(settled, short, NOON + DAY) is None
    assert observed(settled, replace(short, details={"short": "20"}), NOON + DAY) is not None


def test_a_closed_exception_cannot_be_acknowledged() -> None:
    standing, _ = seen_so(WRONG, RIGHT)
    assert standing is not None

    with pytest.raises(NotActive, match="closed"):
        acknowledged(standing, author="ann", note="", now=NOON)
