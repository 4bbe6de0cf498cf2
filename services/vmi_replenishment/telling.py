"""Why a quantity is what it is, gathered for a planner: the decision, its versions, its facts, and what else to do."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Final

from vmi_domain.exceptions.lifecycle import Kind
from vmi_domain.replenishment.approving import Doubt
from vmi_domain.replenishment.decisions import Decision, decide
from vmi_domain.replenishment.explanations import Explanation, explain, in_words, need_of
from vmi_domain.replenishment.proposals import BOUND, BY_ORDER, Proposal
from vmi_domain.replenishment.reviewing import Case, Review, as_shared, review, splits
from vmi_domain.replenishment.telling import (
    Difference,
    Elsewhere,
    Subject,
    Telling,
    differences,
    differences_in_record,
    tell,
)
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_replenishment import situations
from vmi_replenishment.loads import whole
from vmi_replenishment.master_data import MasterData
from vmi_runtime.worker import Transaction
from vmi_store import count_requests, exceptions, journal, positions, proposals, supply
from vmi_store.journal import JournalLine
from vmi_store.proposals import Issued

MOST_LOCATIONS: Final = 300
"""Locations that are asked whether they have something to spare."""
MOST_EVENTS: Final = 12
_HELD: Final = {
    "stale_data": "the customer's data are older than agreed: the proposal is held",
    "shadow": "the agreement is on trial: nothing goes out",
}


@dataclass(frozen=True, slots=True)
class Story:
    """All that is told of one quantity."""

    key: Key
    unit: str
    proposal: Proposal | None
    reason: str
    """In one sentence."""
    decision: Decision
    order_at: datetime
    deliver_at: datetime
    told: Telling
    versions: Sequence[Issued] = ()
    changed: Sequence[Difference] = ()
    """What the last version that we decided on had otherwise than the one before."""
    now: Sequence[Difference] = ()
    """What is otherwise now in the position that the last version rests on, and led to no other quantity."""
    events: Sequence[JournalLine] = ()
    """What the position rests on, the latest first."""


async def of_proposal(proposal: Proposal, transaction: Transaction) -> Story:
    """Return the story of a proposal, by the last version that was decided on, and what is otherwise since."""
    case, result, unit = await _case(proposal.key, transaction)
    return await _of_proposal(proposal, case, result, unit, transaction)


async def of_key(key: Key, transaction: Transaction) -> Story | None:
    """Return why so much, or nothing, is proposed for a key now; None where nothing is agreed or known of it."""
    case, result, unit = await _case(key, transaction)
    if case is None or result is None or case.opportunity is None or case.terms is None:
        return None
    parts = [one for one in case.live if one.order_at == case.opportunity.order_at and one.is_undecided]
    if parts:
        return await _of_proposal(parts[-1], case, result, unit, transaction)
    decision = result.decision
    assert decision is not None
    warnings = [doubt.in_words for doubt in case.doubts]
    warnings += await _open_about(key, transaction)
    if case.held_because is not None:
        warnings.append(_HELD[case.held_because.value])
    at = case.opportunity
    subject = Subject(decision, Decimal(0), case.now, at.order_at, at.deliver_at, warnings=warnings)
    return Story(
        key=key,
        unit=unit,
        proposal=None,
        reason=_settled_already(case) or in_words(decision),
        decision=decision,
        order_at=at.order_at,
        deliver_at=at.deliver_at,
        told=await _told(subject, case, transaction),
        events=await journal.latest(transaction.connection, key, at_most=MOST_EVENTS),
    )


async def _of_proposal(
    proposal: Proposal, case: Case | None, result: Review | None, unit: str, transaction: Transaction
) -> Story:
    issued = await proposals.versions(transaction.connection, proposal)
    own = [one for one in issued if "steps" in one.explanation and one.issued_at == _decided_at(one.explanation)]
    explanation = (own or issued)[-1].explanation
    order_at, deliver_at = (datetime.fromisoformat(explanation["opportunity"][at]) for at in ("order_at", "deliver_at"))
    [decision] = decide([need_of(explanation)])
    # The quantity stands; how long it lasts, and what else to do, follow from what stands there today.
    today, as_it_stands = _as_it_stands(proposal, case, result) or (decision, explanation)
    warnings = [Doubt(one).in_words for one in as_it_stands.get("warnings", ())]
    warnings += await _open_about(proposal.key, transaction)
    if proposal.held_because is not None:
        warnings.append(_HELD[proposal.held_because.value])
    subject = Subject(today, proposal.quantity, _decided_at(as_it_stands), order_at, deliver_at, warnings=warnings)
    return Story(
        key=proposal.key,
        unit=unit,
        proposal=proposal,
        reason=issued[-1].reason,
        decision=decision,
        order_at=order_at,
        deliver_at=deliver_at,
        told=await _told(subject, case, transaction),
        versions=issued,
        changed=differences(own[-2].explanation, own[-1].explanation) if len(own) > 1 else (),
        now=differences_in_record(explanation, as_it_stands),
        events=await journal.latest(transaction.connection, proposal.key, at_most=MOST_EVENTS),
    )


def _as_it_stands(proposal: Proposal, case: Case | None, result: Review | None) -> tuple[Decision, Explanation] | None:
    """Return what would be decided now of a proposal whose quantity still follows the need; None of others."""
    if case is None or case.opportunity is None or not proposal.is_undecided:
        return None
    if proposal.order_at != case.opportunity.order_at:
        return None
    if case.terms is None or proposal.supplier_id != case.terms.supplier_id:
        return None
    if result is None or result.decision is None:
        return None
    told = explain(result.decision, case.opportunity, case.now)
    return result.decision, {**told, "warnings": [doubt.value for doubt in case.doubts]}


def _settled_already(case: Case) -> str:
    """Return what was answered or ordered at this opportunity, where that is why nothing more is proposed.

    What was agreed to and has come to nothing since is no such reason: what is missing is proposed again.
    """
    assert case.opportunity is not None
    settled = [
        (one.part, one.answer)
        for one in case.live
        if one.order_at == case.opportunity.order_at
        and one.answer is not None
        and (one.status in BOUND or one.answer.declines)
    ]
    if not settled:
        return ""
    _, answer = max(settled, key=lambda one: one[0])
    quantity, day = f"{answer.quantity.normalize():f}", f"{case.opportunity.order_at:%Y-%m-%d}"
    if answer.party == BY_ORDER:
        return f"It is ordered for {day}: {quantity}."
    refused = "; what was refused is not asked for again at this opportunity" if answer.declines else ""
    return (
        f"The {answer.party} has answered {answer.status.value} for {day} "
        f"({quantity} of {answer.offered.normalize():f}){refused}."
    )


async def _case(key: Key, transaction: Transaction) -> tuple[Case | None, Review | None, str]:
    """Return the key as it stands now and what would follow, its item's unit last: nothing is changed by asking."""
    master_data = MasterData()
    found = await situations.as_offered([key], transaction, master_data)
    found = await whole(found, transaction, master_data)
    copies = await master_data.as_of_now(transaction, {key.customer_id})
    units = await copies.units([key])
    unit = units[key.customer_id, key.item_id]
    if not found.cases or found.cases[0].key != key:
        return None, None, unit
    cases = [as_shared(case) if splits(case) else case for case in found.cases]
    return cases[0], review(cases)[0], unit


async def _open_about(key: Key, transaction: Transaction) -> list[str]:
    """Return what a person must act on here, and whether the stock record itself is in doubt."""
    active = await exceptions.standing(transaction.connection, [key], tuple(Kind))
    told = [f"{one.subject.kind.value.replace('_', ' ')}: {one.sentence}" for one in active]
    waiting = await count_requests.waiting(transaction.connection, [key[:2]])
    if key.item_id in waiting[key[:2]]:
        told.append("the stock record is likely wrong: a count is asked for, see `vmi counts list`")
    return told


async def _told(subject: Subject, case: Case | None, transaction: Transaction) -> Telling:
    if case is not None:
        lines = await supply.lines(transaction.connection, [case.key])
        subject = replace(subject, supply=lines[case.key], elsewhere=await _elsewhere(case.key, transaction))
        if case.terms is not None:
            subject = replace(subject, pack=case.terms.pack, unit_price=case.terms.unit_price)
    return tell(subject)


async def _elsewhere(key: Key, transaction: Transaction) -> list[Elsewhere]:
    """Return which other locations of the customer have more on their shelves than their own level asks for."""
    keys = await positions.keys_of(transaction.connection, key.customer_id, key.item_id, at_most=MOST_LOCATIONS)
    others = [other for other in keys if other != key]
    if not others:
        return []
    found = await situations.read(others, transaction, MasterData())
    spare = []
    for case, result in zip(found.cases, review([_alone(case) for case in found.cases]), strict=True):
        if result.decision is not None and result.decision.level is not None:
            more = case.position.usable - result.decision.level
            if more > 0:
                spare.append(Elsewhere(case.key.location_id, more))
    return spare


def _alone(case: Case) -> Case:
    """Only the level is asked for: what lives of proposals does not matter."""
    return replace(case, live=(), progress={})


def _decided_at(explanation: Explanation) -> datetime:
    return datetime.fromisoformat(explanation["opportunity"]["decided_at"])
