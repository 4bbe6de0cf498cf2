"""Proposals and what was said to them, made anew from the topics: a lost decision is restored, never made again."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

import orjson
from pydantic import ValidationError

from vmi_contracts import envelope, topics
from vmi_contracts.envelope import UnreadableEnvelope
from vmi_contracts.inbound import AnswerLine
from vmi_contracts.outbound import ProposalLine, ProposalsIssued
from vmi_domain.replenishment.proposals import (
    BY_AGREEMENT,
    BY_ORDER,
    PROMISES,
    Answer,
    HeldBecause,
    IllegalStep,
    Proposal,
    Status,
    acceptance,
    proposal_id,
)
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_replenishment.answering import ProposalName, answer_of, keep_requests, new_documents, words_of
from vmi_replenishment.reading import Heard, read_answers
from vmi_replenishment.reconsidering import acceptances
from vmi_runtime import reading_back
from vmi_runtime.clock import Clock
from vmi_runtime.settings import KafkaSettings
from vmi_runtime.worker import Record, Transaction
from vmi_store import due, order_numbers, proposals, supply, turns
from vmi_store.engine import Engine
from vmi_store.order_numbers import Taken
from vmi_store.proposals import Version
from vmi_store.rebuilding import Scope
from vmi_store.turns import Work

AT_ONCE: Final = 500
MOST_PARTS: Final = 100
LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What is due since then is due by every clock."""


@dataclass(slots=True)
class Restored:
    """What the topics give that was missing."""

    versions: int = 0
    """Of proposals."""
    documents: int = 0
    """Answers, requests and order numbers; also those of which a word was refused."""

    @property
    def is_same(self) -> bool:
        return not self.versions and not self.documents


@dataclass(frozen=True, slots=True)
class Told:
    """A version of a proposal as it was issued, and the order number it was issued with."""

    version: Version
    countered_by: str
    taken: Taken | None
    answers: bool
    """Whether an answer led to it, whoever gave it."""


async def restore(
    engine: Engine, kafka: KafkaSettings, no_further: Mapping[tuple[str, int], int], scope: Scope, *, dry_run: bool
) -> Restored:
    """Restore the versions of proposals that are missing, then the words on them that nobody has taken in.

    ``no_further``: of answers, what the worker has before it is left to it. What is there stays. What was accepted is
    a fact again; the supply of its keys is to be folded anew afterwards. Agreements on trial told their proposals to
    nobody: those stay lost. With ``dry_run`` nothing is changed.
    """
    done = Restored()
    async with reading_back.kept(kafka, [topics.PROPOSALS.name], {}) as kept:
        async for records, _ in kept.batches():
            for some in _some_at_once(read_proposals(records, scope)):
                async with engine.connect() as connection:
                    done.versions += await restore_versions(some, Transaction(connection, Clock()))
                    await (connection.rollback() if dry_run else connection.commit())
    if scope.location_id is not None:
        return done
    async with reading_back.kept(kafka, [topics.PROPOSAL_ANSWERS.name], no_further) as kept:
        async for records, _ in kept.batches():
            heard = read_answers(records).documents
            wanted = [one for one in heard if scope.customer_id in (None, one.document.customer_id)]
            for documents in _some_at_once(wanted):
                async with engine.connect() as connection:
                    done.documents += await restore_words(documents, Transaction(connection, Clock()))
                    await (connection.rollback() if dry_run else connection.commit())
    return done


T = TypeVar("T")


def _some_at_once(all_of_them: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(all_of_them), AT_ONCE):
        yield all_of_them[first : first + AT_ONCE]


def read_proposals(records: Sequence[Record], scope: Scope) -> list[Told]:
    """Return the versions of proposals that records of ours tell, of a scope."""
    found = []
    for record in records:
        try:
            message = envelope.read(record.value, record.headers)
            document = ProposalsIssued.model_validate_json(message.data)
        except (UnreadableEnvelope, ValidationError):
            continue  # not of ours, or of a version that had other words: it stays in the topic
        if scope.holds(document.customer_id, document.location_id):
            lines = [line for line in document.lines if scope.item_id in (None, line.item_id)]
            found += [told for line in lines if (told := _told(document, line)) is not None]
    return found


def _told(document: ProposalsIssued, line: ProposalLine) -> Told | None:
    key = Key(document.customer_id, document.location_id, line.item_id)
    names = (proposal_id(key, document.supplier_id, line.order_at, part) for part in range(1, MOST_PARTS))
    part = next((part for part, name in enumerate(names, 1) if name == line.proposal_id), None)
    if part is None:
        return None
    proposal = Proposal(
        proposal_id=line.proposal_id,
        key=key,
        supplier_id=document.supplier_id,
        order_at=line.order_at,
        part=part,
        version=line.version,
        status=Status(line.status.value),
        quantity=line.quantity,
        deliver_at=line.deliver_at,
        expires_at=line.expires_at,
        issued_at=document.issued_at,
        held_because=None if line.held_because is None else HeldBecause(line.held_because.value),
        needed=line.quantity,
        requested=line.requested_quantity,
        review_because=line.review_because or "",
    )
    taken = None
    if line.order_number is not None:
        taken = Taken(*key[:2], document.consolidation_id, line.order_number)
    outcome = line.explanation.get("outcome", {})
    proposal = replace(proposal, answer=_in_a_partys_place(proposal, outcome))
    version = Version(proposal, line.reason, orjson.dumps(dict(line.explanation)))
    return Told(version, line.countered_by or "", taken, answers="by" in outcome)


def _in_a_partys_place(proposal: Proposal, outcome: Mapping[str, Any]) -> Answer | None:
    """Return the acceptance that led to a version where no party spoke: it stands on no topic but this one."""
    if outcome.get("by") not in (BY_AGREEMENT, BY_ORDER) or outcome["of_version"] != proposal.version - 1:
        return None
    before = replace(proposal, version=outcome["of_version"])
    return acceptance(before, Decimal(outcome["offered"]), outcome["by"], proposal.issued_at)


async def restore_versions(told: Sequence[Told], transaction: Transaction) -> int:
    """Restore the versions that are missing, and what was accepted by them; return how many there were."""
    connection = transaction.connection
    await turns.take(connection, Work.REPLENISHING, {one.version.proposal.key[:2] for one in told})
    missing = await proposals.restore(connection, [(one.version, one.countered_by) for one in told])
    if not missing:
        return 0
    names = {(one.proposal.proposal_id, one.proposal.version) for one in missing}
    restored = [one for one in told if (one.version.proposal.proposal_id, one.version.proposal.version) in names]
    await order_numbers.restore(connection, [one.taken for one in restored if one.taken is not None])
    promised = [one.version.proposal for one in restored if one.answers and one.version.proposal.status in PROMISES]
    await supply.record(connection, acceptances(promised))
    await due.bring_forward(connection, [one.proposal.key for one in missing], LONG_AGO)
    return len(missing)


async def restore_words(documents: Sequence[Heard], transaction: Transaction) -> int:
    """Take documents in that nobody has; return how many. An answer stands where its proposal shows that it counted."""
    connection = transaction.connection
    new, _ = await new_documents(documents, transaction)
    words = [word for document in new for word in words_of(document)]
    answers = [word for word in words if isinstance(word.line, AnswerLine)]
    keys = await proposals.keys_of(connection, sorted({word.proposal for word in answers})) if answers else {}
    await turns.take(connection, Work.REPLENISHING, {key[:2] for key in keys.values()})
    await keep_requests(words, transaction)
    offers = await proposals.offers(
        connection, sorted({(*word.proposal, word.answer.version) for word in answers if word.proposal in keys})
    )
    bound = await proposals.last_bound(connection, sorted(keys))
    standing: dict[ProposalName, Proposal] = {}
    for word in answers:
        offer = offers.get((*word.proposal, word.answer.version))
        if offer is None or not offer.is_open_to_answers:
            continue
        proposal = standing.get(word.proposal, offer.proposal)
        try:
            answer = answer_of(word, offer)
        except IllegalStep:
            continue
        if _counted(proposal, answer, bound.get(word.proposal)):
            standing[word.proposal] = replace(proposal, answer=answer)
    await proposals.keep(connection, list(standing.values()))
    return len(new)


def _counted(proposal: Proposal, answer: Answer, bound: tuple[Decimal, datetime] | None) -> bool:
    """Return whether a proposal stands as an answer left it: some come too late, and are refused.

    ``bound``: quantity and day of the last version that was bound. A version that an answer led to says what that said.
    """
    if proposal.answer is not None and (proposal.answer.party == BY_ORDER or answer.rank <= proposal.answer.rank):
        return False
    if answer.is_counter:
        return proposal.is_open
    return bound == (answer.quantity, answer.deliver_at) if answer.binds else proposal.status is Status.REJECTED
