"""Looking at keys again: what follows is issued, and when to look next is noted."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from vmi_domain.replenishment.proposals import Proposal, Status, message_id
from vmi_domain.replenishment.reviewing import Case, Review, joined, review_shared
from vmi_domain.stock.position import Key
from vmi_domain.stock.supply_facts import Accepted
from vmi_replenishment import promised, situations
from vmi_replenishment.loads import whole
from vmi_replenishment.master_data import MasterData
from vmi_replenishment.publishing import publish
from vmi_replenishment.situations import Situations
from vmi_replenishment.watching import watch
from vmi_runtime.worker import Transaction
from vmi_store import due, positions, supply


async def reconsider(keys: Iterable[Key], transaction: Transaction, master_data: MasterData) -> None:
    """Decide on keys again, all in the transaction. The caller has the turn at their locations.

    Nobody is kept from taking in facts meanwhile: what changes after this read leads to another look (``turns``).
    """
    ordered = sorted(set(keys))
    if not ordered:
        return
    found = await whole(await situations.read(ordered, transaction, master_data), transaction, master_data)
    if not found.cases:
        return
    found, further = await promised.limit(found, transaction, master_data)
    reviews, issued = review_shared(found.cases, further)
    await publish(issued, transaction, master_data)
    await bind(transaction, _accepted_by_agreement(reviews))
    watched = await watch(_as_one(found, further, reviews), reviews, transaction)
    await _note_due(found, reviews, watched, transaction)


def _as_one(found: Situations, further: Mapping[int, Sequence[Case]], reviews: Sequence[Review]) -> Situations:
    """Return the situations with what further sources are asked for taken into each key's own case."""
    if not further:
        return found
    cases = list(found.cases)
    for place, sources in further.items():
        cases[place] = joined(cases[place], sources, reviews[place])
    return replace(found, cases=cases)


def _accepted_by_agreement(reviews: Sequence[Review]) -> list[Proposal]:
    return [
        issue.proposal
        for result in reviews
        for issue in result.issues
        if issue.proposal.status is Status.ACCEPTED and issue.decision is None
    ]


async def bind(transaction: Transaction, accepted: Sequence[Proposal]) -> None:
    """Let what was accepted count as supply on order. This takes the locks of the keys' positions."""
    if facts := acceptances(accepted):
        await positions.lock(transaction.connection, [key for key, _ in facts])
        await supply.record(transaction.connection, facts)
        await supply.refold(transaction.connection, [key for key, _ in facts])


def acceptances(accepted: Sequence[Proposal]) -> list[tuple[Key, Accepted]]:
    """Return that these versions were accepted, as the facts about supply that follow from it."""
    return [
        (
            proposal.key,
            Accepted(
                proposal_id=proposal.proposal_id,
                quantity=proposal.quantity,
                at=proposal.issued_at,
                expected_at=proposal.deliver_at,
                revision=proposal.version,
                fact_id=message_id([(proposal.proposal_id, proposal.version)]),
            ),
        )
        for proposal in accepted
    ]


async def _note_due(
    found: Situations, reviews: Sequence[Review], watched: Mapping[Key, datetime], transaction: Transaction
) -> None:
    """Write when each key is due, where that changed: once an opportunity, not once an event."""
    changed = {}
    for case, noted, result in zip(found.cases, found.due_ats, reviews, strict=True):
        due_at, also_at = result.due_at, watched.get(case.key)
        if due_at is None or (also_at is not None and also_at < due_at):
            due_at = also_at
        if due_at != noted:
            changed[case.key] = due_at
    await due.note(transaction.connection, {key: at for key, at in changed.items() if at is not None})
    await due.forget(transaction.connection, [key for key, at in changed.items() if at is None])
