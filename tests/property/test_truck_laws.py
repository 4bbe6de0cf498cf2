"""Laws of trucks: a need is never cut for them, no item passes its limits, nothing moves without a reason (S19)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from uuid import uuid4

import hypothesis.strategies as st
import orjson
from hypothesis import given, settings

from vmi_domain.distributions import Family
from vmi_domain.replenishment import proposals
from vmi_domain.replenishment.decisions import Basis, Expected, Outlook, Policy, PolicyKind, Position
from vmi_domain.replenishment.explanations import explained, explained_in_words, recompute
from vmi_domain.replenishment.loading import Load, Sizes, Truck
from vmi_domain.replenishment.opportunities import Calendar, next_opportunity
from vmi_domain.replenishment.overriding import Override
from vmi_domain.replenishment.promising import Limit, Promise
from vmi_domain.replenishment.proposals import Answer, AnswerKind, HeldBecause, Proposal
from vmi_domain.replenishment.quantities import OrderRules, most_to_fill
from vmi_domain.replenishment.reviewing import Case, Review, Terms, review
from vmi_domain.replenishment.steadiness import Steadiness
from vmi_domain.stock.position import Key

NOW = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
NOTHING = Decimal(0)
CALENDAR = Calendar(weekdays=frozenset({4}), lead_time_days=2)
AT = next_opportunity(CALENDAR, NOW)
SETTINGS = settings(max_examples=40, deadline=None)

HAPPENINGS = ("accept", "change", "reject", "counter", "wish", "short", "stale")
limits = st.fixed_dictionaries(
    {
        "minimum_order": st.sampled_from([NOTHING, Decimal(20)]),
        "largest_order": st.sampled_from([None, Decimal(120)]),
        "maximum": st.none() | st.integers(50, 600).map(Decimal),
        "maximum_is_hard": st.booleans(),
        "capacity": st.none() | st.integers(50, 600).map(Decimal),
    }
)


@st.composite
def agreed(draw: st.DrawFn, most: int | None) -> Terms:
    """Ten a layer, forty a pallet; a truck of some pallets, and of some weight.

    Where only so many trucks are agreed nothing is frozen: what is cut and frozen is cut otherwise once more.
    """
    holds = Sizes(Fraction(draw(st.integers(2, 6))), draw(st.none() | st.integers(100, 900).map(Fraction)))
    takes = Sizes(Fraction(1, 40), Fraction(draw(st.integers(1, 5))))
    share = Steadiness(NOTHING, 0.1, freeze_days=5 if most is None and draw(st.booleans()) else 0)
    quiet = draw(st.sampled_from([Steadiness(), Steadiness(Decimal(8)), share]))
    return Terms(
        supplier_id="dairy",
        calendar=CALENDAR,
        policy=Policy(
            draw(st.sampled_from([PolicyKind.ORDER_UP_TO, PolicyKind.MINIMUM_MAXIMUM])),
            minimum=Decimal(60),
            maximum=Decimal(150),
            shelf_life_days=draw(st.sampled_from([None, 20.0])),
        ),
        rules=OrderRules(Decimal(5), **draw(limits)),
        steadiness=quiet,
        truck=Truck(holds, takes, Decimal(10), most, draw(st.sampled_from([None, 30.0])), fills=True),
    )


@st.composite
def case(draw: st.DrawFn, item: str, most: int | None) -> Case:
    daily = draw(st.sampled_from([0.0, 1.0, 4.0, 9.0]))
    expected = Expected(
        Basis.HISTORY,
        Outlook(12.0, 12 * daily, 3 * daily**0.5, Family.NORMAL),
        Outlook(5.0, 5 * daily, 2 * daily**0.5, Family.NORMAL),
    )
    return Case(
        Key("acme", "store-1", item),
        NOW,
        Position(Decimal(draw(st.integers(0, 200)))),
        draw(agreed(most)),
        AT,
        expected if daily or draw(st.booleans()) else None,
    )


@st.composite
def orders(draw: st.DrawFn, most: tuple[int | None, ...] = (None,)) -> list[Case]:
    names = ["ale", "bun", "cod", "dip", "eel"][: draw(st.integers(1, 5))]
    at_most = draw(st.sampled_from(most))
    return [draw(case(name, at_most)) for name in names]


@dataclass
class Told:
    """What stands after some reviews."""

    live: dict[Any, Proposal]

    def on(self, cases: list[Case]) -> list[Case]:
        return [replace(one, live=[of for of in self.live.values() if of.key == one.key]) for one in cases]

    def hear(self, reviews: list[Review]) -> int:
        issues = [issue for result in reviews for issue in result.issues]
        self.live |= {issue.proposal.proposal_id: issue.proposal for issue in issues}
        return len(issues)


def sold(data: st.DataObject, cases: list[Case], most: int = 60) -> list[Case]:
    """Return the cases after some of their stock is gone."""
    return [
        replace(one, position=Position(max(one.position.usable - data.draw(st.integers(0, most)), NOTHING)))
        for one in cases
    ]


def load_of(reviews: list[Review]) -> Load:
    [load] = {id(result.load): result.load for result in reviews}.values()
    assert load is not None
    return load


@SETTINGS
@given(cases=orders(), data=st.data())
def test_s19_no_need_is_cut_and_no_item_is_filled_up_beyond_its_own_limits(cases: list[Case], data: Any) -> None:
    told = Told({})
    for _ in range(3):
        now = told.on(cases)
        alone = review([replace(one, terms=_without_truck(one)) for one in now])
        reviews = review(now)
        for result, needed in zip(reviews, alone, strict=True):
            decision, need = result.decision, needed.decision
            assert decision is not None
            assert need is not None
            assert decision.quantity >= need.quantity
            assert decision.sized.fill == decision.quantity - need.quantity
            position = need.need.position.inventory_position
            most = most_to_fill(position, need.need.rules)
            assert not decision.sized.fill or most is None or decision.quantity <= most
        told.hear(reviews)
        cases = sold(data, cases)


@SETTINGS
@given(cases=orders(), data=st.data())
def test_no_truck_goes_for_what_nobody_needs_and_none_is_overloaded(cases: list[Case], data: Any) -> None:
    told = Told({})
    for _ in range(3):
        reviews = review(told.on(cases))
        load = load_of(reviews)
        for size, there in zip(load.loaded, load.of_a_truck, strict=True):
            assert size is None or there is None or size <= load.loads * there
        if not any(line.need for line in load.lines) and not told.live:
            assert load.loads == 0
            assert all(result.decision is None or not result.decision.quantity for result in reviews)
        told.hear(reviews)
        cases = sold(data, cases)


@SETTINGS
@given(cases=orders(most=(None, 1, 2)), data=st.data())
def test_what_was_reviewed_and_saved_gives_no_new_version(cases: list[Case], data: Any) -> None:
    told = Told({})
    for _ in range(4):
        told.hear(review(told.on(cases)))

        again = review(told.on(cases))
        assert not [_said(issue) for result in again for issue in result.issues]

        cases = _happens(data, sold(data, cases), told)


@SETTINGS
@given(cases=orders(most=(None, 1)), data=st.data())
def test_the_quantity_follows_from_the_message_alone(cases: list[Case], data: Any) -> None:
    told = Told({})
    for _ in range(3):
        reviews = review(told.on(cases))
        for result in reviews:
            for issue in result.issues:
                if issue.decision is not None:
                    written = orjson.loads(orjson.dumps(explained(issue, AT)))
                    assert recompute(written) == issue.proposal.quantity
                    assert ("load" in written) == (issue.load is not None)
                    assert explained_in_words(issue)
        told.hear(reviews)
        cases = _happens(data, sold(data, cases), told)


@SETTINGS
@given(cases=orders(), data=st.data())
def test_small_noise_in_the_needs_changes_no_line_of_a_truck(cases: list[Case], data: Any) -> None:
    cases = [replace(one, terms=_quiet_without_limits(one)) for one in cases]
    told = Told({})
    told.hear(review(told.on(cases)))
    offered = {one.key for one in told.live.values()}
    for _ in range(3):
        noisy = [
            replace(one, position=Position(max(one.position.usable + data.draw(st.integers(-4, 4)), NOTHING)))
            for one in cases
        ]
        issues = [issue for result in review(told.on(noisy)) for issue in result.issues]
        if all(issue.proposal.key in offered for issue in issues):
            assert not [_said(issue) for issue in issues]


def _quiet_without_limits(one: Case) -> Terms:
    """What a limit leaves room for moves with the stock, and at a reorder point the need leaps."""
    terms = one.terms
    assert terms is not None
    assert terms.truck is not None
    return replace(
        terms,
        policy=Policy(),
        rules=OrderRules(Decimal(5)),
        steadiness=Steadiness(Decimal(25)),
        truck=replace(terms.truck, cover_days=None),
    )


def _without_truck(one: Case) -> Terms:
    assert one.terms is not None
    return replace(one.terms, truck=None)


def _happens(data: Any, cases: list[Case], told: Told) -> list[Case]:
    """Let somebody answer, ask for something, or state what can be sent, for some of the items."""
    found = []
    for one in cases:
        what = data.draw(st.sampled_from(["nothing", "nothing", *HAPPENINGS]))
        [*_, last] = [None, *(of for of in told.live.values() if of.key == one.key and of.is_open)]
        if last is not None and what in {"accept", "change", "reject", "counter"}:
            kind = AnswerKind(what)
            some = {"accept": last.quantity, "reject": NOTHING}.get(what, last.quantity - 5 or Decimal(5))
            answer = Answer(uuid4(), kind, last.version, NOW, last.quantity, some, last.deliver_at)
            told.live[last.proposal_id] = proposals.answered(last, answer, NOW)
        if what == "wish":
            one = replace(one, override=Override(Decimal(45), NOW))
        if what == "short":
            promise = Promise(Limit.CAP, NOW, Decimal(90), Decimal(50), Decimal(50), spare=Decimal(20))
            one = replace(one, promise=promise)
        if what == "stale":
            one = replace(one, held_because=HeldBecause.STALE_DATA)
        found.append(one)
    return found


def _said(issue: Any) -> str:
    proposal = issue.proposal
    return (
        f"{proposal.key.item_id} {proposal.status} {proposal.quantity} {proposal.version} {explained_in_words(issue)}"
    )
