"""Looking at keys again: what follows is issued, and when to look next is noted."""

from collections.abc import Iterable, Sequence

from vmi_domain.position import Key
from vmi_domain.proposals import Proposal, Status, message_id
from vmi_domain.replenishing import Case, Review, review
from vmi_domain.supply_facts import Accepted
from vmi_replenishment import situations
from vmi_replenishment.master_data import MasterData
from vmi_replenishment.publishing import Issued, publish
from vmi_runtime.worker import Transaction
from vmi_store import positions, proposals, supply


async def reconsider(keys: Iterable[Key], transaction: Transaction, master_data: MasterData) -> None:
    """Decide on keys again, all in the transaction. Locks come before reads, in sorted order."""
    ordered = sorted(set(keys))
    if not ordered:
        return
    await positions.lock(transaction.connection, ordered)
    cases = await situations.read(ordered, transaction, master_data)
    reviews = review(cases)
    issued = [
        Issued(issue, case.opportunity) for case, result in zip(cases, reviews, strict=True) for issue in result.issues
    ]
    await publish(issued, transaction, master_data)
    await bind(transaction, _accepted_by_agreement(reviews))
    await _note_due(ordered, cases, reviews, transaction)


def _accepted_by_agreement(reviews: Sequence[Review]) -> list[Proposal]:
    return [issue.proposal for result in reviews for issue in result.issues if issue.proposal.status is Status.ACCEPTED]


async def bind(transaction: Transaction, accepted: Sequence[Proposal]) -> None:
    """Let what was accepted count as supply on order. The caller holds the locks of the keys."""
    facts = [
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
    if facts:
        await supply.record(transaction.connection, facts)
        await supply.refold(transaction.connection, [key for key, _ in facts])


async def _note_due(
    keys: Sequence[Key], cases: Sequence[Case], reviews: Sequence[Review], transaction: Transaction
) -> None:
    """Write when each key is due, where that changed: once an opportunity, not once an event."""
    due = {case.key: result.due_at for case, result in zip(cases, reviews, strict=True) if result.due_at is not None}
    connection = transaction.connection
    noted = await proposals.due(connection, keys)
    await proposals.set_due(connection, {key: at for key, at in due.items() if noted.get(key) != at})
    await proposals.clear_due(connection, [key for key in noted if key not in due])
