"""What follows for a key when something happened or time has passed: its proposals settled, decided, re-versioned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from vmi_domain.replenishment import proposals
from vmi_domain.replenishment.decisions import Decision, decide
from vmi_domain.replenishment.needs import Arrival, Expected, Need, Policy, Position
from vmi_domain.replenishment.opportunities import Calendar, Opportunity
from vmi_domain.replenishment.proposals import HeldBecause, Progress, Proposal, Status
from vmi_domain.replenishment.quantities import NOTHING, OrderRules
from vmi_domain.stock.position import Key


@dataclass(frozen=True, slots=True)
class Terms:
    """What the agreement in force says about replenishment."""

    supplier_id: str
    calendar: Calendar
    policy: Policy
    rules: OrderRules
    pack: Decimal = Decimal(1)
    """Base units in what is ordered and shipped as one."""
    lead_time_sd_days: float = 0.0
    expected_daily_demand: float | None = None
    """Base units a day, for an item that has no history yet."""
    answer_within: timedelta | None = None
    """How long a version waits for its answer; up to the opportunity after its own where nothing is agreed."""
    accepts_by_itself: bool = False
    """Whether a proposal stands as accepted once its order opportunity has passed."""


@dataclass(frozen=True, slots=True)
class Case:
    """A key as it stands now. ``position`` says nothing of proposals; they stand beside it."""

    key: Key
    now: datetime
    position: Position
    terms: Terms | None = None
    """None where no agreement is in force."""
    opportunity: Opportunity | None = None
    """The first one at ``now`` or later, by the terms' calendar."""
    expected: Expected | None = None
    arrivals: tuple[Arrival, ...] = ()
    """When what is on its way arrives, as far as it is known."""
    live: Sequence[Proposal] = ()
    """Proposals that are not finished, and all of this opportunity."""
    progress: Mapping[UUID, Progress] = field(default_factory=dict)
    held_because: HeldBecause | None = None
    """Why nothing may be offered now; what is decided is kept as held."""
    is_doubtful: bool = False
    """Whether the stock record is wrong for certain (below zero): then nothing is accepted by itself (S9)."""


@dataclass(frozen=True, slots=True)
class Issue:
    """A new version of a proposal, and the decision that led to it where it was ours."""

    proposal: Proposal
    supersedes: int | None
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class Review:
    """What follows for one key."""

    issues: tuple[Issue, ...]
    due_at: datetime | None
    """After this moment the key is to be looked at again, even if nothing happens."""
    decision: Decision | None
    """The decision for the opportunity, also where it changes nothing."""


def review(cases: Sequence[Case]) -> list[Review]:
    """Return one review a case. A case that has been reviewed and saved gives no issues when reviewed again."""
    settled = [_settled(case) for case in cases]
    open_cases = [place for place, case in enumerate(cases) if case.terms is not None and case.opportunity is not None]
    needs = [_need(cases[place], settled[place]) for place in open_cases]
    decisions: list[Decision | None] = [None] * len(cases)
    for place, decision in zip(open_cases, decide(needs), strict=True):
        decisions[place] = decision
    return [_reviewed(*one) for one in zip(cases, settled, decisions, strict=True)]


@dataclass(frozen=True, slots=True)
class _Settled:
    """The live proposals after what time and goods did to them."""

    issues: tuple[Issue, ...]
    standing: tuple[Proposal, ...]
    taken_up: Decimal
    """What is accepted just now, and in no position yet."""


def _settled(case: Case) -> _Settled:
    issues, standing, taken_up = [], [], NOTHING
    for proposal in case.live:
        following = _step(case, proposal)
        if following is None:
            standing.append(proposal)
            continue
        issues.append(Issue(following, proposal.version, None))
        standing.append(following)
        if following.status is Status.ACCEPTED:
            taken_up += following.quantity
    return _Settled(tuple(issues), tuple(standing), taken_up)


def _step(case: Case, proposal: Proposal) -> Proposal | None:
    """Return the proposal after what goods, agreement or time did to it, or None where they did nothing."""
    progress = case.progress.get(proposal.proposal_id)
    if progress is not None and (followed := proposals.followed(proposal, progress, case.now)) is not None:
        return followed
    if not proposal.is_undecided:
        return None
    if case.terms is None:
        return proposal.stepped(Status.CANCELLED, NOTHING, case.now)
    if case.terms.supplier_id != proposal.supplier_id:
        return proposal.stepped(Status.SUPERSEDED, NOTHING, case.now)
    accepts = case.terms.accepts_by_itself and case.held_because is None and not case.is_doubtful
    if accepts and proposal.is_open and proposal.order_at < case.now:
        return proposals.accepted_by_agreement(proposal, case.now)
    return proposals.expired(proposal, case.now)


def _need(case: Case, settled: _Settled) -> Need:
    assert case.terms is not None
    assert case.opportunity is not None
    proposed_open = proposals.open_elsewhere(settled.standing, case.opportunity.order_at) + settled.taken_up
    return Need(
        position=replace(case.position, proposed_open=proposed_open) if proposed_open else case.position,
        policy=case.terms.policy,
        rules=case.terms.rules,
        expected=case.expected,
        arrivals=case.arrivals,
    )


def _reviewed(case: Case, settled: _Settled, decision: Decision | None) -> Review:
    issues, standing = settled.issues, settled.standing
    if decision is not None and case.terms is not None and case.opportunity is not None:
        parts = proposals.at_opportunity(standing, case.terms.supplier_id, case.opportunity.order_at)
        following = proposals.proposed(
            parts,
            key=case.key,
            supplier_id=case.terms.supplier_id,
            order_at=case.opportunity.order_at,
            deliver_at=case.opportunity.deliver_at,
            expires_at=_expires_at(case.terms, case.opportunity, case.now),
            quantity=decision.quantity,
            now=case.now,
            held_because=case.held_because,
        )
        if following is not None:
            supersedes = following.version - 1 or None
            issues = (*issues, Issue(following, supersedes, decision))
            standing = (*(one for one in standing if one.proposal_id != following.proposal_id), following)
    return Review(issues, _due_at(case.opportunity, standing), decision)


def _expires_at(terms: Terms, opportunity: Opportunity, now: datetime) -> datetime:
    return opportunity.next_order_at if terms.answer_within is None else now + terms.answer_within


def _due_at(opportunity: Opportunity | None, standing: Sequence[Proposal]) -> datetime | None:
    moments = [proposal.expires_at for proposal in standing if proposal.is_open]
    if opportunity is not None:
        moments.append(opportunity.order_at)
    return min(moments, default=None)
