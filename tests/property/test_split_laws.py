"""Laws of a need that two sources share: no more than the need, nothing twice, nothing without a reason (F62)."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import hypothesis.strategies as st
import orjson
from hypothesis import given, settings

from vmi_domain.replenishment import proposals
from vmi_domain.replenishment.decisions import Policy, PolicyKind, Position
from vmi_domain.replenishment.explanations import explained, explained_in_words, recompute
from vmi_domain.replenishment.opportunities import Calendar, next_opportunity
from vmi_domain.replenishment.promising import Limit, PassedOver, Promise
from vmi_domain.replenishment.proposals import BOUND, Answer, AnswerKind, Proposal, Status
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.reviewing import (
    Case,
    Issued,
    Review,
    Sourcing,
    Terms,
    as_shared,
    fixed_elsewhere,
    joined,
    limited,
    review_shared,
    shared,
    stays_with,
    wants,
)
from vmi_domain.replenishment.steadiness import Steadiness
from vmi_domain.stock.position import Key

NOW = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
NOTHING = Decimal(0)
DAIRY = Terms(
    supplier_id="dairy",
    calendar=Calendar(weekdays=frozenset({4}), lead_time_days=2),
    policy=Policy(PolicyKind.MINIMUM_MAXIMUM, minimum=Decimal(60), maximum=Decimal(150)),
    rules=OrderRules(Decimal(5), maximum=Decimal(150)),
    sourcing=Sourcing(Limit.CAP, splits=True),
)
FARM = replace(
    DAIRY,
    supplier_id="farm",
    rules=OrderRules(Decimal(3), maximum=Decimal(150)),
    sourcing=Sourcing(source_priority=2),
)


@dataclass
class World:
    """A shelf, what the dairy can send, and what stands of both."""

    usable: Decimal
    available: Decimal
    steadiness: Steadiness
    live: dict[UUID, Proposal]

    def look(self) -> tuple[list[Review], list[Issued], Case]:
        """Review the need as the worker does with these two sources."""
        on_order = sum((one.quantity for one in self.live.values() if one.status in BOUND), NOTHING)
        dairy, farm = (replace(terms, steadiness=self.steadiness) for terms in (DAIRY, FARM))
        case = as_shared(
            Case(
                Key("acme", "store-1", "milk"),
                NOW,
                Position(self.usable, on_order=on_order),
                dairy,
                next_opportunity(dairy.calendar, NOW),
                live=tuple(self.live.values()),
                others={"farm": farm},
            )
        )
        assert stays_with(case) is None or not self.of("dairy")
        [want] = wants([case])
        sent = sum((one.quantity for one in self.of("dairy") if one.status in BOUND), NOTHING)
        share = min(max(self.available - sent, NOTHING) // 5 * 5, want.quantity)
        promise = Promise(Limit.CAP, NOW, self.available, want.quantity, share)
        further = {}
        if promise.short or fixed_elsewhere(case):
            other = replace(case, terms=farm, others={"dairy": dairy}, bound_here=NOTHING, elsewhere=NOTHING)
            other = replace(other, position=Position(self.usable, on_order=on_order))
            case, other = shared(case, other, [PassedOver("dairy", promise.wanted, promise.share)])
            further = {0: [other]}
        case = limited(case, promise)
        reviews, issued = review_shared([case], further)
        return reviews, issued, joined(case, further.get(0, ()), reviews[0])

    def of(self, supplier: str) -> list[Proposal]:
        return [one for one in self.live.values() if one.supplier_id == supplier and one.is_undecided]

    def hear(self, issued: list[Issued]) -> None:
        for one in issued:
            before = self.live.get(one.issue.proposal.proposal_id)
            assert one.issue.proposal.version == (1 if before is None else before.version + 1)
            self.live[one.issue.proposal.proposal_id] = one.issue.proposal

    def happens(self, data: Any) -> None:
        self.usable = max(self.usable - data.draw(st.integers(0, 20)), NOTHING)
        self.available = Decimal(data.draw(st.sampled_from([int(self.available), 0, 40, 200])))
        for supplier in ("dairy", "farm"):
            said = data.draw(st.sampled_from(["nothing", "nothing", "accept", "change", "reject", "counter"]))
            for one in self.of(supplier) if said != "nothing" else ():
                some = {"accept": one.quantity, "reject": NOTHING}.get(said, one.quantity - 1 or Decimal(1))
                answer = Answer(uuid4(), AnswerKind(said), one.version, NOW, one.quantity, some, one.deliver_at)
                self.live[one.proposal_id] = proposals.answered(one, answer, NOW)


@st.composite
def worlds(draw: st.DrawFn) -> World:
    quiet = draw(st.sampled_from([Steadiness(), Steadiness(Decimal(8)), Steadiness(freeze_days=5)]))
    return World(Decimal(draw(st.integers(0, 90))), Decimal(draw(st.integers(0, 160))), quiet, {})


@settings(max_examples=100, deadline=None)
@given(world=worlds(), data=st.data())
def test_two_sources_share_a_need_and_nothing_is_asked_twice(world: World, data: Any) -> None:
    for step in range(4):
        _, issued, _ = world.look()
        world.hear(issued)
        standing = [one for one in world.live.values() if one.is_undecided or one.status in BOUND]
        if not step:
            total = sum((one.quantity for one in standing), NOTHING)
            assert world.usable + total <= 150, "never above the maximum, both together"
            if world.usable <= 60:
                assert total > 150 - world.usable - 5, "what one cannot send the other does, but for a pack"
        undecided = [(one.supplier_id, one.order_at) for one in standing if one.is_undecided]
        assert len(undecided) == len(set(undecided))
        for one in issued:
            if one.issue.decision is not None:
                assert one.opportunity is not None
                told = orjson.loads(orjson.dumps(explained(one.issue, one.opportunity)))
                assert recompute(told) == one.issue.proposal.quantity
                assert explained_in_words(one.issue)

        _, again, _ = world.look()
        assert not [(str(one.issue.proposal.status), one.issue.proposal.quantity) for one in again]

        world.happens(data)


def test_what_the_further_source_sends_is_no_shortage() -> None:
    world = World(Decimal(50), Decimal(40), Steadiness(), {})

    reviews, issued, as_one = world.look()

    assert [(one.issue.proposal.supplier_id, one.issue.proposal.quantity) for one in issued] == [
        ("dairy", 40),
        ("farm", 60),
    ]
    assert as_one.promise is not None
    assert as_one.promise.short == 0
    assert {one.proposal.status for one in reviews[0].issues} == {Status.PROPOSED}
