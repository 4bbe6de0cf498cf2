"""What follows for a key when something happened or time has passed: its proposals settled, decided, re-versioned."""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from vmi_domain.replenishment import proposals
from vmi_domain.replenishment.approving import Doubt, Tolerance, reason_to_look, usual_order
from vmi_domain.replenishment.decisions import Decision, decide, on_trucks, within_life
from vmi_domain.replenishment.loading import Filled, Load, LoadLine, Truck, build
from vmi_domain.replenishment.needs import Arrival, Expected, Need, Policy, Position
from vmi_domain.replenishment.opportunities import Calendar, Opportunity, days_until
from vmi_domain.replenishment.overriding import Override, net_of, sized
from vmi_domain.replenishment.promising import Limit, PassedOver, Promise
from vmi_domain.replenishment.proposals import BOUND, FINISHED, HeldBecause, Progress, Proposal, Status, Wanted
from vmi_domain.replenishment.quantities import NOTHING, OrderRules, most_to_fill, to_order
from vmi_domain.replenishment.reliability import Reliability
from vmi_domain.replenishment.sizing import are_covered, least_position
from vmi_domain.replenishment.steadiness import (
    EVERY_CHANGE,
    MAY_BE_ASKED,
    Steadiness,
    asked,
    is_damped,
    is_frozen,
    is_quiet,
)
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Sourcing:
    """What is agreed about the supplier's own supply."""

    limit: Limit = Limit.NONE
    """What its word on it does to a proposal."""
    quota: Decimal = Decimal(1)
    priority: int = 1
    """Of supply that is short for several."""
    source_share: Decimal = Decimal(1)
    source_priority: int = 1
    """Of several suppliers."""
    splits: bool = False
    """Whether what it cannot send is asked of the next source; else the whole need goes there."""


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
    lead_time_is_learned: bool = False
    """Whether deliveries say how long they take and how much that varies."""
    extra_cover_days: float = 0.0
    """By so much longer an order must last than until the next one arrives; no due date moves by it (S29)."""
    expected_daily_demand: float | None = None
    """Base units a day, for an item that has no history yet."""
    answer_within: timedelta | None = None
    """How long a version waits for its answer; up to the opportunity after its own where nothing is agreed."""
    accepts_by_itself: bool = False
    """Whether a proposal stands as accepted once its order opportunity has passed."""
    tolerance: Tolerance | None = None
    """Up to where it does so; a person looks at the rest."""
    unit_price: Decimal | None = None
    steadiness: Steadiness = EVERY_CHANGE
    is_shadow: bool = False
    """Whether the agreement is only tried out: nothing is offered."""
    sourcing: Sourcing = Sourcing()
    truck: Truck | None = None
    """What its orders go on, where that is agreed."""
    on_time_in_full: float | None = None
    """The share of orders that came so, where that was learned."""
    target_by_class: tuple[tuple[str, float], ...] = ()
    """Service targets by the item's value class, in the place of the policy's own; none where none are agreed."""

    def after(self, deliveries: Reliability | None) -> "Terms":
        """Return the terms as deliveries correct them: their spread, and cover for what they take longer than agreed.

        Due dates stay as agreed: to learn of lateness must not make orders later (S29).
        """
        if deliveries is None:
            return self
        longer = max(deliveries.lead_time_days - self.calendar.lead_time_days, 0.0)
        return replace(
            self,
            lead_time_sd_days=deliveries.lead_time_sd_days,
            extra_cover_days=self.extra_cover_days + longer,
            on_time_in_full=deliveries.on_time_in_full,
        )

    def of_class(self, name: str | None) -> "Terms":
        """Return the terms for an item of a value class; as they stand where it has none, or none of these."""
        target = dict(self.target_by_class).get(name or "")
        return self if target is None else replace(self, policy=self.policy.aiming_at(target))


class PromisedBefore(NamedTuple):
    """What of a supplier's supply is a key's already, before its next order; base units."""

    offered: Decimal = NOTHING
    """For other opportunities, and not answered."""
    accepted: Decimal = NOTHING
    """Just now."""


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
    doubts: tuple[Doubt, ...] = ()
    """Why the position may be wrong: nothing is accepted by itself then."""
    override: Override | None = None
    """What the customer asks for at this opportunity."""
    others: Mapping[str, Terms] = field(default_factory=dict)
    """What is agreed with further suppliers, whose turn it is not; their proposals for other opportunities stand."""
    promise: Promise | None = None
    """What the supplier can send for it; None where it said nothing, or nothing is agreed on that."""
    instead_of: tuple[PassedOver, ...] = ()
    """Sources whose turn it was before, and who are short."""
    elsewhere: Decimal = NOTHING
    """What other sources are asked for at the same opportunity."""
    bound_here: Decimal = NOTHING
    """What any source of a shared need has agreed to at this opportunity already; it counts here, not as on order."""
    promised_before: PromisedBefore | None = None
    """Of a further source, whose older proposals stand with the first one; else ``live`` says it."""
    changes_at: datetime | None = None
    """When other terms come into force, or these end, or what a supplier stated does, though nothing happens."""


@dataclass(frozen=True, slots=True)
class Issue:
    """A new version of a proposal, and the decision that led to it where it was ours."""

    proposal: Proposal
    supersedes: int | None
    decision: Decision | None
    override: Override | None = None
    """The wish that went before the decision's own quantity."""
    doubts: tuple[Doubt, ...] = ()
    promise: Promise | None = None
    instead_of: tuple[PassedOver, ...] = ()
    load: Load | None = None
    """The trucks that the whole order goes on, where proposals fill these."""
    rest_to: tuple[tuple[str, Decimal], ...] = ()
    """Further sources, and what of the need each is asked for at the same opportunity."""
    is_private: bool = False
    """Whether nobody is to hear of it: the agreement is only tried out."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A new version, and the opportunity that was decided for where it was our decision."""

    issue: Issue
    opportunity: Opportunity | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """What follows for one key."""

    issues: tuple[Issue, ...]
    due_at: datetime | None
    """After this moment the key is to be looked at again, even if nothing happens."""
    decision: Decision | None
    """The decision for the opportunity, also where it changes nothing (see ``review``)."""
    load: Load | None = None
    """The trucks that its order goes on, where proposals fill these."""


def review(cases: Sequence[Case], *, every_decision: bool = True) -> list[Review]:
    """Return one review a case. Cases that have been reviewed and saved give no issues when reviewed again.

    What fills a truck depends on all that goes on it: cases whose agreements fill trucks come with all others of their
    location and supplier that do. Without ``every_decision`` there is none where nothing is proposed and the position
    is sure to reach its level, however high that is exactly: nothing follows from it.
    """
    settled = [_settled(case) for case in cases]
    open_cases = [place for place, case in enumerate(cases) if case.terms is not None and case.opportunity is not None]
    needs = [_need(cases[place], settled[place]) for place in open_cases]
    if not every_decision:
        open_cases, needs = _in_question(cases, settled, open_cases, needs)
    decisions: list[Decision | None] = [None] * len(cases)
    for place, decision in zip(open_cases, decide(needs), strict=True):
        decisions[place] = decision
    aboard = _loaded(cases, settled, decisions)
    return [
        _reviewed(case, after, decision, aboard.get(place))
        for place, (case, after, decision) in enumerate(zip(cases, settled, decisions, strict=True))
    ]


def _in_question(
    cases: Sequence[Case], settled: "Sequence[_Settled]", places: Sequence[int], needs: Sequence[Need]
) -> tuple[list[int], list[Need]]:
    """Return the places and needs from which something may follow."""
    idle = [at for at, place in enumerate(places) if _follows_need_alone(cases[place], settled[place])]
    covered = are_covered([needs[at] for at in idle])
    out = {at for at, is_covered in zip(idle, covered, strict=True) if is_covered}
    kept = [at for at in range(len(places)) if at not in out]
    return [places[at] for at in kept], [needs[at] for at in kept]


def _follows_need_alone(case: Case, settled: "_Settled") -> bool:
    """Whether nothing is proposed where nothing is needed: no part, no wish and no truck has a say in it."""
    assert case.terms is not None
    assert case.opportunity is not None
    if case.override is not None or case.terms.truck is not None:
        return False
    order_at, supplier = case.opportunity.order_at, case.terms.supplier_id
    return not any(one.order_at == order_at and one.supplier_id == supplier for one in settled.standing)


@dataclass(frozen=True, slots=True)
class Want:
    """What would be proposed without limits of supply; base units."""

    quantity: Decimal
    level: Decimal
    position: Decimal
    """The inventory position, proposals of other opportunities among it."""
    before: PromisedBefore
    """Of the same supplier: what others are to send is not taken from its supply."""


def wants(cases: Sequence[Case]) -> list[Want]:
    """Return what each case would want of a supply that knows no limits; each has terms and an opportunity."""
    settled = [_settled(case) for case in cases]
    needs = [_need(*one) for one in zip(cases, settled, strict=True)]
    return [_want(*one) for one in zip(cases, settled, decide(needs), strict=True)]


def _want(case: Case, settled: "_Settled", decision: Decision) -> Want:
    assert case.terms is not None
    assert case.opportunity is not None
    quantity, position = decision.quantity, decision.need.position
    before = case.promised_before or _promised_before(settled, case.terms.supplier_id, case.opportunity.order_at)
    if case.override is not None:
        parts = proposals.at_opportunity(settled.standing, case.terms.supplier_id, case.opportunity.order_at)
        quantity = sized(net_of(case.override, parts).quantity, case.terms.rules).quantity
    level = position.inventory_position + quantity if decision.level is None else decision.level
    return Want(quantity, level, decision.need.standing, before)


def _promised_before(settled: "_Settled", supplier_id: str, order_at: datetime) -> PromisedBefore:
    accepted = [one.proposal for one in settled.issues if one.proposal.status is Status.ACCEPTED]
    return PromisedBefore(
        proposals.open_elsewhere((one for one in settled.standing if one.supplier_id == supplier_id), order_at),
        sum((one.quantity for one in accepted if one.supplier_id == supplier_id), NOTHING),
    )


def promised_before(case: Case, supplier_id: str) -> PromisedBefore:
    """Return what of a supplier's supply is the case's already, though it asks another one now."""
    assert case.opportunity is not None
    return _promised_before(_settled(case), supplier_id, case.opportunity.order_at)


def limited(case: Case, promise: Promise) -> Case:
    """Return the case with what its supplier can promise, by which its quantity is capped where that is agreed."""
    if case.terms is None or promise.limit is not Limit.CAP or promise.share >= promise.wanted:
        return replace(case, promise=promise)
    rules = replace(case.terms.rules, available=promise.share)
    return replace(case, promise=promise, terms=replace(case.terms, rules=rules))


def stays_with(case: Case) -> str | None:
    """Return the other supplier whose open proposal for this opportunity is revised no more (S26), if there is one."""
    if case.opportunity is None:
        return None
    order_at = case.opportunity.order_at
    if case.terms is not None and case.terms.sourcing.splits:
        own = proposals.at_opportunity(case.live, case.terms.supplier_id, order_at)
        if any(part.is_undecided for part in own):
            return None
    for proposal in case.live:
        terms = case.others.get(proposal.supplier_id)
        if terms is not None and _is_fixed(case, terms, proposal) and proposal.order_at == order_at:
            return proposal.supplier_id
    return None


def asked_instead(case: Case) -> str | None:
    """Return the other supplier that the proposal for the next opportunity stands with, None where it is this one."""
    if case.terms is None:
        return None
    to_come = [one for one in case.live if one.is_undecided and one.order_at >= case.now]
    names = [one.supplier_id for one in sorted(to_come, key=lambda one: one.order_at)]
    return names[0] if names and case.terms.supplier_id not in names and names[0] in case.others else None


def may_fall_over(case: Case, promise: Promise) -> bool:
    """Whether a short promise sends a need to its next source: not by way of alert, nor once its proposal is frozen."""
    if case.terms is None or not case.others or promise.limit is not Limit.CAP or not promise.short:
        return False
    assert case.opportunity is not None
    parts = proposals.at_opportunity(case.live, case.terms.supplier_id, case.opportunity.order_at)
    return not any(_is_fixed(case, case.terms, part) for part in parts)


# A need that several sources share


def splits(case: Case) -> bool:
    """Return whether what the supplier cannot send is asked of the next source; a customer's wish goes to one."""
    if case.terms is None or case.opportunity is None or case.override is not None:
        return False
    return case.terms.sourcing.splits and case.terms.sourcing.limit is Limit.CAP and bool(case.others)


def fixed_elsewhere(case: Case) -> Mapping[str, Decimal]:
    """Return what stands with further sources at this opportunity, and is not ours to change, by their names."""
    assert case.opportunity is not None
    found: dict[str, Decimal] = {}
    for one in case.live:
        terms = case.others.get(one.supplier_id)
        if terms is None or one.order_at != case.opportunity.order_at:
            continue
        if _is_fixed(case, terms, one) or one.countered_by:
            found[one.supplier_id] = found.get(one.supplier_id, NOTHING) + one.quantity
    return found


def as_shared(case: Case) -> Case:
    """Return a case whose sources share a need, as the whole need of the opportunity: what one of them has agreed to
    is a part of it, and must not keep the others' parts below a reorder point. What stands fixed with others, likewise.
    """
    assert case.opportunity is not None
    here = [one for one in case.live if one.order_at == case.opportunity.order_at]
    here = [one for one in here if one.is_undecided or one.status in BOUND]
    bound = NOTHING
    if any(one.is_undecided for one in here):
        bound = sum((one.quantity for one in here if one.status in _ON_ORDER), NOTHING)
        bound = min(bound, case.position.on_order)
    position = replace(case.position, on_order=case.position.on_order - bound)
    fixed = sum(fixed_elsewhere(case).values(), NOTHING)
    return replace(case, position=position, bound_here=bound, elsewhere=fixed)


_ON_ORDER: Final = frozenset({Status.ACCEPTED, Status.CHANGED, Status.ORDERED})


def shared(case: Case, further: Case, passed: Sequence[PassedOver]) -> tuple[Case, Case]:
    """Return a case and one of a further source of it as two that are decided one after the other.

    Each has its own proposals of the opportunity; all that is older stays with the first, and is supply for both.
    """
    assert case.opportunity is not None
    assert further.terms is not None
    settled = _settled(case)
    proposed_open = proposals.open_elsewhere(settled.standing, case.opportunity.order_at) + settled.taken_up
    own = proposals.at_opportunity(case.live, further.terms.supplier_id, case.opportunity.order_at)
    return (
        replace(case, live=tuple(one for one in case.live if one not in own)),
        replace(
            further,
            live=tuple(own),
            position=replace(
                further.position,
                on_order=max(further.position.on_order - case.bound_here, NOTHING),
                proposed_open=proposed_open,
            ),
            bound_here=case.bound_here,
            promised_before=_promised_before(settled, further.terms.supplier_id, case.opportunity.order_at),
            instead_of=tuple(passed),
            terms=replace(further.terms, truck=None),  # it goes on a truck that is filled without it
        ),
    )


def review_shared(cases: Sequence[Case], further: Mapping[int, Sequence[Case]]) -> tuple[list[Review], list[Issued]]:
    """Return the reviews of cases, those with further sources counting what these are asked for; and all that follows.

    ``further`` holds cases of further sources by the place of the first one, in the order in which they are asked. Of
    decisions there are only those from which something may follow.
    """
    reviews = review(cases, every_decision=False)
    issued = {
        place: [Issued(one, case.opportunity) for one in result.issues]
        for place, (case, result) in enumerate(zip(cases, reviews, strict=True))
    }
    for place, sources in further.items():
        first, elsewhere, rest, after = reviews[place], _asked(cases[place], reviews[place]), [], []
        for source in sources:
            assert source.terms is not None
            [result] = review([replace(source, elsewhere=elsewhere)])
            some = _asked(source, result)
            elsewhere += some
            if some:
                rest.append((source.terms.supplier_id, some))
            after.append((source, result))
        own = tuple(one if one.decision is None else replace(one, rest_to=tuple(rest)) for one in first.issues)
        issued[place] = [Issued(one, cases[place].opportunity) for one in own]
        issued[place] += [Issued(one, source.opportunity) for source, result in after for one in result.issues]
        dues = [at for at in (first.due_at, *(result.due_at for _, result in after)) if at is not None]
        every = (*own, *(one for _, result in after for one in result.issues))
        reviews[place] = replace(first, issues=every, due_at=min(dues, default=None))
    return reviews, [one for of_place in issued.values() for one in of_place]


def joined(case: Case, further: Sequence[Case], result: Review) -> Case:
    """Return a case with its further sources' proposals, short of what none of them sends."""
    live = (*case.live, *(one for source in further for one in source.live))
    if case.promise is None:
        return replace(case, live=live)
    rest = sum((_asked(replace(source, live=live), result) for source in further), NOTHING)
    return replace(case, live=live, promise=replace(case.promise, share=case.promise.share + rest))


def _asked(case: Case, result: Review) -> Decimal:
    """Return what the supplier of a case is asked for at its opportunity, and has not agreed to, after a review."""
    if case.terms is None or case.opportunity is None:
        return NOTHING
    after = {one.proposal_id: one for one in case.live}
    after |= {issue.proposal.proposal_id: issue.proposal for issue in result.issues}
    parts = proposals.at_opportunity(after.values(), case.terms.supplier_id, case.opportunity.order_at)
    return sum((part.quantity for part in parts if part.is_undecided), NOTHING)


def _is_fixed(case: Case, terms: Terms, proposal: Proposal) -> bool:
    return proposal.is_open and is_frozen(proposal.order_at, case.now, terms.steadiness)


@dataclass(frozen=True, slots=True)
class _Settled:
    """The live proposals after what time and goods did to them."""

    issues: tuple[Issue, ...]
    standing: tuple[Proposal, ...]
    taken_up: Decimal
    """What is accepted just now, and in no position yet."""


_NOTHING_LIVES: Final = _Settled((), (), NOTHING)


def _settled(case: Case) -> _Settled:
    if not case.live:
        return _NOTHING_LIVES
    issues, standing, taken_up = [], [], NOTHING
    for proposal in case.live:
        following = _step(case, proposal)
        if following is None:
            standing.append(proposal)
            continue
        was_private = proposal.held_because is HeldBecause.SHADOW and following.status in FINISHED
        issues.append(Issue(following, proposal.version, None, is_private=was_private))
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
    terms = _terms_of(case, case.terms, proposal)
    if terms is None:
        return proposal.stepped(Status.SUPERSEDED, NOTHING, case.now)
    if _accepts_by_itself(case, terms, proposal) and proposal.order_at < case.now:
        return proposals.accepted_by_agreement(proposal, case.now)
    is_stale = case.held_because is HeldBecause.STALE_DATA
    if (gone := proposals.expired(proposal, case.now, is_withheld=is_stale)) is not None:
        return gone
    if is_stale and _waits_from_before(case, terms, proposal):
        return proposals.withheld(proposal, HeldBecause.STALE_DATA, case.now)
    return None


def _terms_of(case: Case, terms: Terms, proposal: Proposal) -> Terms | None:
    """Return what is agreed with the proposal's supplier, None where another one takes its place."""
    if proposal.supplier_id == terms.supplier_id:
        return terms
    is_this_one = case.opportunity is not None and case.opportunity.order_at == proposal.order_at
    return None if is_this_one else case.others.get(proposal.supplier_id)


def _waits_from_before(case: Case, terms: Terms, proposal: Proposal) -> bool:
    """Whether it is offered for an opportunity that has passed; this one's own is decided again anyway."""
    is_this_one = case.opportunity is not None and case.opportunity.order_at == proposal.order_at
    return proposal.is_open and not is_this_one and not is_frozen(proposal.order_at, case.now, terms.steadiness)


def _accepts_by_itself(case: Case, terms: Terms, proposal: Proposal) -> bool:
    """A counter-proposal needs a person's word, and so does what is out of tolerance or rests on doubtful data."""
    trusted = case.held_because is None and not case.doubts
    undisputed = proposal.is_open and not proposal.review_because and not proposal.countered_by
    return terms.accepts_by_itself and trusted and undisputed


def _need(case: Case, settled: _Settled) -> Need:
    assert case.terms is not None
    assert case.opportunity is not None
    proposed_open = NOTHING
    if settled.standing:
        proposed_open = proposals.open_elsewhere(settled.standing, case.opportunity.order_at) + settled.taken_up
    return Need(
        position=replace(case.position, proposed_open=proposed_open) if proposed_open else case.position,
        policy=case.terms.policy,
        rules=case.terms.rules,
        expected=case.expected,
        arrivals=case.arrivals,
        elsewhere=case.elsewhere + case.bound_here,
    )


# On trucks (S19)


@dataclass(frozen=True, slots=True)
class _Aboard:
    """What of a case goes on its trucks."""

    load: Load
    filled: Filled


def _loaded(
    cases: Sequence[Case], settled: Sequence[_Settled], decisions: Sequence[Decision | None]
) -> Mapping[int, _Aboard]:
    """Return how the orders of cases whose agreements fill trucks are loaded, by the cases' places.

    A truck takes what goes from a supplier to a location at one opportunity; what is withheld, or only tried out, goes
    on none of those that are sent.
    """
    orders: dict[tuple[object, ...], list[tuple[int, LoadLine]]] = {}
    for place, (case, after, decision) in enumerate(zip(cases, settled, decisions, strict=True)):
        terms, at = case.terms, case.opportunity
        if terms is None or terms.truck is None or not terms.truck.fills or at is None or decision is None:
            continue
        order = (*case.key[:2], terms.supplier_id, at.order_at, _held_because(case, terms))
        orders.setdefault(order, []).append((place, _load_line(case, terms, terms.truck, at, after, decision)))
    found = {}
    for of_order in orders.values():
        load = build([line for _, line in of_order])
        for (place, _), filled in zip(of_order, load.lines, strict=True):
            found[place] = _Aboard(load, filled)
    return found


def _load_line(
    case: Case, terms: Terms, truck: Truck, at: Opportunity, settled: _Settled, decision: Decision
) -> LoadLine:
    """Return a case as a line of its order.

    What a person has a say in is not changed by a truck: what is countered, declined or frozen, and what the customer
    asked for.
    """
    parts = proposals.at_opportunity(settled.standing, terms.supplier_id, at.order_at)
    last = parts[-1] if parts else None
    line = load_line(
        case.key.item_id,
        decision,
        truck,
        aboard=sum((part.quantity for part in parts if part.status in BOUND), NOTHING),
        spare=None if case.promise is None or case.promise.limit is not Limit.CAP else case.promise.spare,
    )
    if case.override is not None:
        return replace(line, need=sized(net_of(case.override, parts).quantity, terms.rules).quantity, is_fixed=True)
    if last is None:
        return line
    if last.countered_by:
        return replace(line, need=last.quantity, is_fixed=True)
    if proposals.is_declined(parts):
        most = last.quantity if proposals.reopens(parts) else NOTHING
        return replace(line, need=min(line.need, most), is_fixed=True)
    if is_frozen(at.order_at, case.now, terms.steadiness) and last.status in MAY_BE_ASKED:
        stands = last.is_open and (line.most is None or last.quantity <= max(line.need, line.most))
        return replace(line, told=last.quantity if stands else None, is_fixed=True)
    if not proposals.reopens(parts):
        return line if line.need else replace(line, is_fixed=True)
    return _as_told(line, case, terms, parts, decision)


def load_line(
    name: str, decision: Decision, truck: Truck, *, aboard: Decimal = NOTHING, spare: Decimal | None = None
) -> LoadLine:
    """Return what was decided as a line of an order that goes on trucks.

    ``spare`` is what of the supplier's supply nobody needs, where supply limits the order.
    """
    need, rules = decision.need, within_life(decision.need)
    position, expected = need.standing, need.expected
    until_next, daily = 0.0, 0.0
    if expected is not None:
        until_next = expected.until_next_arrival.mean
        daily = expected.until_next_arrival.daily_mean or 0.0
    limits = [most_to_fill(position, rules)]
    if spare is not None:
        limits.append(decision.quantity + spare)
    if truck.cover_days is not None:
        limits.append(Decimal(repr(daily * truck.cover_days)) - position)
    return LoadLine(
        name,
        need=decision.quantity,
        truck=truck,
        position=position,
        daily_demand=daily,
        minimum=least_position(need.policy.minimum or NOTHING, until_next),
        most=min((one for one in limits if one is not None), default=None),
        least=rules.minimum_order,
        filled=decision.sized.fill,
        aboard=aboard,
    )


def _as_told(line: LoadLine, case: Case, terms: Terms, parts: Sequence[Proposal], decision: Decision) -> LoadLine:
    """Return a line with what its standing proposal says, and how far that is to stay although the need has moved."""
    last, told = parts[-1], parts[-1].quantity
    line = replace(line, told=told)
    if not _differs_in_quantity_only(last, _wanted(case, terms, decision, None)):
        return line
    quiet = is_quiet(last, quantity=line.need, missing=decision.missing, steadiness=terms.steadiness)
    if not quiet and last.needed != decision.missing:
        return line
    then = to_order(missing=last.needed, position=line.position, rules=within_life(decision.need))
    needed_then = min(then.quantity, told)
    if line.most is not None and told > max(line.need, line.most, needed_then):
        return line
    line = replace(line, is_quiet=True)
    # Of what was told more than is needed now may fill the truck; what is less stays by the rule for one item alone.
    stays = quiet if told >= line.need else _is_damped(terms, last, line.need, decision.missing, decision)
    return replace(line, damped=needed_then) if stays else line


# What follows


def _reviewed(case: Case, settled: _Settled, decision: Decision | None, aboard: _Aboard | None) -> Review:
    issues, standing = settled.issues, settled.standing
    is_loaded = aboard is not None and (aboard.filled.fill >= 0 or aboard.load.exceeded)
    if decision is not None and aboard is not None and is_loaded:
        decision = on_trucks(decision, aboard.filled.fill - decision.sized.fill)
    if decision is not None and case.terms is not None and case.opportunity is not None:
        parts = proposals.at_opportunity(standing, case.terms.supplier_id, case.opportunity.order_at)
        override = None if case.override is None else net_of(case.override, parts)
        wanted = _wanted(case, case.terms, decision, override)
        following = _following(case, case.terms, parts, wanted, decision, is_loaded=is_loaded)
        if following is not None:
            supersedes = following.version - 1 or None
            private = _is_private(parts[-1] if parts else None, following)
            issue = Issue(
                following,
                supersedes,
                decision,
                override,
                case.doubts,
                case.promise,
                case.instead_of,
                None if aboard is None else aboard.load,
                is_private=private,
            )
            issues = (*issues, issue)
            standing = (*(one for one in standing if one.proposal_id != following.proposal_id), following)
    load = None if aboard is None else aboard.load
    return Review(issues, _due_at(case.opportunity, standing, case.changes_at), decision, load)


def _is_private(last: Proposal | None, following: Proposal) -> bool:
    """Whether a version is of a trial, and no earlier one was offered that somebody may act on."""
    if following.status is Status.CANCELLED:
        return last is not None and last.held_because is HeldBecause.SHADOW
    fresh = last is None or last.proposal_id != following.proposal_id or last.status is Status.CANCELLED
    return following.held_because is HeldBecause.SHADOW and (
        fresh or (last is not None and last.held_because is HeldBecause.SHADOW)
    )


def _following(
    case: Case, terms: Terms, parts: Sequence[Proposal], wanted: Wanted, decision: Decision, *, is_loaded: bool
) -> Proposal | None:
    """Return what is wanted of the opportunity's proposal as its next version, None where it stays as it is.

    A truck that ``is_loaded`` with it keeps what was told already wherever that serves; else it is to change.
    """
    assert case.opportunity is not None
    order_at, now = case.opportunity.order_at, case.now
    following = proposals.proposed(
        parts, wanted, key=case.key, supplier_id=terms.supplier_id, order_at=order_at, now=now
    )
    if not parts or case.override is not None or parts[-1].countered_by:
        return following
    last, damps = parts[-1], False
    told = wanted
    if last.status in BOUND:
        told = replace(wanted, quantity=last.quantity + wanted.quantity, needed=last.quantity + wanted.needed)
    if last.requested is not None or (
        not is_loaded and proposals.reopens(parts) and _differs_in_quantity_only(last, wanted)
    ):
        damps = _is_damped(terms, last, told.quantity, told.needed, decision)
    if damps:
        return None
    if not is_frozen(order_at, now, terms.steadiness) or last.status not in MAY_BE_ASKED:
        return following
    if last.is_open and wanted.held_because is HeldBecause.SHADOW:
        return following
    # What was told stands, stale data or not; what is refused is not asked for again.
    if proposals.is_declined(parts):
        return None
    return asked(last, quantity=told.quantity, missing=told.needed, now=now)


def _is_damped(terms: Terms, last: Proposal, quantity: Decimal, missing: Decimal, decision: Decision) -> bool:
    return is_damped(
        last,
        quantity=quantity,
        missing=missing,
        need=decision.need,
        steadiness=terms.steadiness,
        rules=terms.rules,
    )


def _held_because(case: Case, terms: Terms) -> HeldBecause | None:
    return HeldBecause.SHADOW if terms.is_shadow else case.held_because


def _wanted(case: Case, terms: Terms, decision: Decision, override: Override | None) -> Wanted:
    opportunity = case.opportunity
    assert opportunity is not None
    if override is not None:
        quantity, needed = sized(override.quantity, terms.rules).quantity, override.quantity
    else:
        quantity, needed = decision.quantity, decision.missing
    tolerance = terms.tolerance if terms.accepts_by_itself else None
    usual = None
    if tolerance is not None and tolerance.deviation is not None:
        between = days_until(opportunity.deliver_at, opportunity.next_deliver_at, terms.calendar.zone)
        usual = usual_order(case.expected, between)
    return Wanted(
        quantity=quantity,
        needed=needed,
        deliver_at=opportunity.deliver_at,
        expires_at=_expires_at(terms, opportunity, case.now),
        held_because=_held_because(case, terms),
        review_because=reason_to_look(
            quantity,
            tolerance=tolerance,
            unit_price=terms.unit_price,
            usual=usual,
            doubts=case.doubts,
        ),
    )


def _differs_in_quantity_only(last: Proposal, wanted: Wanted) -> bool:
    """Whether nothing but the quantity is new: what is held, offered again or due another day is told at once."""
    if last.status is Status.CANCELLED:
        return True
    if not wanted.quantity:
        return last.held_because is wanted.held_because
    return proposals.differs_in_quantity_only(last, wanted)


def _expires_at(terms: Terms, opportunity: Opportunity, now: datetime) -> datetime:
    return opportunity.next_order_at if terms.answer_within is None else now + terms.answer_within


def _due_at(
    opportunity: Opportunity | None, standing: Sequence[Proposal], changes_at: datetime | None
) -> datetime | None:
    moments = [proposal.expires_at for proposal in standing if proposal.is_open]
    if opportunity is not None:
        moments.append(opportunity.order_at)
    if changes_at is not None:
        moments.append(changes_at)
    return min(moments, default=None)
