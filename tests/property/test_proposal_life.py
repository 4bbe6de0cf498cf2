"""A proposal's whole life as a machine: whatever happens in whatever order, only legal steps are taken (F51)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vmi_domain.replenishment.decisions import Policy, PolicyKind, Position
from vmi_domain.replenishment.hearing import Told, refusals
from vmi_domain.replenishment.opportunities import Calendar, next_opportunity
from vmi_domain.replenishment.proposals import (
    BOUND,
    BY_AGREEMENT,
    BY_ORDER,
    STEPS,
    TERMINAL,
    Answer,
    AnswerKind,
    HeldBecause,
    IllegalStep,
    Progress,
    Proposal,
    Status,
    answered,
)
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.reviewing import Case, Terms, review
from vmi_domain.replenishment.steadiness import Steadiness
from vmi_domain.stock.position import Key

KEY = Key("acme", "store-1", "milk")
TERMS = Terms(
    supplier_id="dairy",
    calendar=Calendar(weekdays=frozenset({1, 4}), lead_time_days=2),
    policy=Policy(PolicyKind.MINIMUM_MAXIMUM, minimum=Decimal(60), maximum=Decimal(100)),
    rules=OrderRules(multiple=Decimal(12), maximum=Decimal(100)),
)
NOTHING = Decimal(0)
VOID = {Status.REJECTED, Status.SUPERSEDED, Status.EXPIRED, Status.CANCELLED}


class LifeOfProposals(RuleBasedStateMachine):
    """One key: its shelf, its agreement, what was told of it, and the goods that move."""

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2025, 6, 2, 8, 0, tzinfo=UTC)
        self.usable = Decimal(80)
        self.terms: Terms | None = TERMS
        self.held_because: HeldBecause | None = None
        self.histories: dict[UUID, list[Proposal]] = {}
        self.progress: dict[UUID, Progress] = {}
        self.appended = self.now
        self.told: dict[UUID, list[Told]] = {}
        self.words: dict[UUID, list[tuple[datetime, Answer]]] = {}
        self.refused: dict[UUID, list[str | None]] = {}

    def append(self) -> datetime:
        """Return when the next record stands on its topic, whatever the time is at the shelf."""
        self.appended += timedelta(seconds=1)
        return self.appended

    @property
    def standing(self) -> list[Proposal]:
        return [history[-1] for history in self.histories.values()]

    def take(self, following: Proposal) -> None:
        history = self.histories.setdefault(following.proposal_id, [])
        if history:
            before = history[-1]
            assert following.status in STEPS[before.status], f"{before.status} to {following.status}"
            assert following.version == before.version + 1
        else:
            assert following.version == 1
            assert following.status in {Status.PROPOSED, Status.HELD}
        history.append(following)
        answer = following.answer
        in_a_partys_place = (
            answer is not None and answer.party in (BY_AGREEMENT, BY_ORDER) and answer.version == following.version - 1
        )
        told = replace(following, answer=answer if in_a_partys_place else None)
        versions = self.told.setdefault(following.proposal_id, [])
        versions.append(Told(self.append(), told, following.countered_by))

    def look(self) -> None:
        on_order = sum((one.outstanding for one in self.progress.values()), NOTHING)
        unshipped = sum((p.quantity for p in self.standing if p.status in {Status.ACCEPTED, Status.CHANGED}), NOTHING)
        [result] = review(
            [
                Case(
                    KEY,
                    self.now,
                    Position(self.usable, on_order=on_order + unshipped),
                    self.terms,
                    None if self.terms is None else next_opportunity(self.terms.calendar, self.now),
                    live=self.standing,
                    progress=dict(self.progress),
                    held_because=self.held_because,
                )
            ]
        )
        for issue in result.issues:
            self.take(issue.proposal)

    @rule(usable=st.integers(0, 130), hours=st.integers(0, 50))
    def stock_is_reported(self, usable: int, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.usable = Decimal(usable)
        self.look()

    @rule(because=st.sampled_from([None, *HeldBecause]))
    def the_feed_goes_stale_or_comes_back(self, because: HeldBecause | None) -> None:
        self.held_because = because
        self.look()

    @rule(
        terms=st.sampled_from(
            [
                TERMS,
                None,
                replace(TERMS, supplier_id="farm"),
                replace(TERMS, accepts_by_itself=True),
                replace(TERMS, steadiness=Steadiness(Decimal(5), 0.1, freeze_days=2)),
            ]
        )
    )
    def the_agreement_changes(self, terms: Terms | None) -> None:
        self.terms = terms
        self.look()

    @precondition(lambda self: self.histories)
    @rule(data=st.data(), kind=st.sampled_from(AnswerKind), share=st.sampled_from(["0", "0.5", "1.5"]))
    def somebody_answers(self, data: st.DataObject, kind: AnswerKind, share: str) -> None:
        history = self.histories[data.draw(st.sampled_from(sorted(self.histories)))]
        said = data.draw(st.sampled_from(history))
        if said.status is not Status.PROPOSED or (kind is AnswerKind.COUNTER and share == "0"):
            return
        quantity = {AnswerKind.ACCEPT: said.quantity, AnswerKind.REJECT: NOTHING}.get(
            kind, said.quantity * Decimal(share)
        )
        answer = Answer(data.draw(st.uuids()), kind, said.version, self.now, said.quantity, quantity, said.deliver_at)
        name, refused = said.proposal_id, None
        self.words.setdefault(name, []).append((self.append(), answer))
        try:
            following = answered(history[-1], answer, self.now)
        except IllegalStep as error:
            refused = error.reason
        self.refused.setdefault(name, []).append(refused)
        if refused is not None:
            return
        if following.version != history[-1].version:
            self.take(following)
        else:
            history[-1] = following
        self.look()

    @precondition(lambda self: self.histories)
    @rule(data=st.data(), stage=st.sampled_from(["ordered", "shipped", "received", "short", "cancelled"]))
    def goods_move(self, data: st.DataObject, stage: str) -> None:
        proposal = self.histories[data.draw(st.sampled_from(sorted(self.histories)))][-1]
        some = proposal.quantity or Decimal(12)
        self.progress[proposal.proposal_id] = {
            "ordered": Progress(ordered=some, outstanding=some),
            "shipped": Progress(ordered=some, shipped=some, outstanding=some),
            "received": Progress(ordered=some, shipped=some, received=some),
            "short": Progress(short=some),
            "cancelled": Progress(cancelled=some),
        }[stage]
        self.look()

    @invariant()
    def what_is_void_has_no_quantity_and_what_is_held_says_why(self) -> None:
        for proposal in self.standing:
            assert proposal.quantity == 0 or proposal.status not in VOID
            assert proposal.quantity > 0 or not proposal.is_undecided
            assert proposal.held_because is not None or proposal.status is not Status.HELD
            assert proposal.held_because is None or proposal.status in {Status.HELD, Status.EXPIRED}

    @invariant()
    def who_hears_all_words_once_more_refuses_the_same_for_the_same_reason(self) -> None:
        for name, words in self.words.items():
            again = refusals(self.told[name], words)
            assert [None if one is None else one.reason for one in again] == self.refused[name]

    @invariant()
    def an_opportunity_has_one_undecided_proposal_at_most(self) -> None:
        undecided = [(one.order_at, one.supplier_id) for one in self.standing if one.is_undecided]
        assert len(undecided) == len(set(undecided))

    @invariant()
    def what_ended_is_never_touched_again(self) -> None:
        for history in self.histories.values():
            assert all(one.status not in TERMINAL for one in history[:-1])

    @invariant()
    def what_was_promised_is_never_proposed_again(self) -> None:
        for history in self.histories.values():
            bound = [place for place, one in enumerate(history) if one.status in BOUND]
            if bound:
                assert all(not one.is_undecided for one in history[bound[0] :])


LifeOfProposals.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestLifeOfProposals = LifeOfProposals.TestCase
