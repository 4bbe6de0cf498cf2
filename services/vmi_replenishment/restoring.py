"""Proposals and what was said to them, made anew from the topics: a lost decision is restored, never made again."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar
from uuid import UUID

import orjson
from pydantic import ValidationError

from vmi_contracts import envelope, topics
from vmi_contracts.envelope import UnreadableEnvelope
from vmi_contracts.inbound import AnswerLine
from vmi_contracts.outbound import ProposalLine, ProposalsIssued
from vmi_domain.replenishment.hearing import Told, refusals
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
from vmi_replenishment.answering import ProposalName, Word, keep_requests, new_documents, put, words_of
from vmi_replenishment.reading import Heard, read_answers
from vmi_replenishment.reconsidering import acceptances
from vmi_runtime import reading_back
from vmi_runtime.clock import Clock
from vmi_runtime.settings import KafkaSettings
from vmi_runtime.worker import Record, Transaction, recorded_at
from vmi_store import due, order_numbers, proposals, quarantine, supply, turns
from vmi_store.engine import Engine
from vmi_store.order_numbers import Taken
from vmi_store.proposals import Offer, Version
from vmi_store.quarantine import Rejected
from vmi_store.rebuilding import Scope
from vmi_store.turns import Work

AT_ONCE: Final = 500
MOST_PARTS: Final = 100


@dataclass(slots=True)
class Restored:
    """What the topics give that was missing."""

    versions: int = 0
    """Of proposals."""
    documents: int = 0
    """Answers, requests and order numbers; also those of which a word was refused."""
    refused: int = 0
    """Words in quarantine, and what there cannot be read."""

    @property
    def is_same(self) -> bool:
        return not self.versions and not self.documents and not self.refused


@dataclass(slots=True)
class Words:
    """What came of words that were read again."""

    documents: int = 0
    """Those that nobody had."""
    refused: dict[UUID, Rejected] = field(default_factory=dict)
    """By the line's name (one that is delivered twice is refused once), or the record's where it is all of it."""
    open_to_doubt: set[ProposalName] = field(default_factory=set)
    """Proposals that do not stand as one of the words on them left them: it was refused, or another went before it."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A version of a proposal as it was issued, and the order number it was issued with."""

    at: datetime
    """When it was appended to its topic."""
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
    nobody: those stay lost. What was refused is in quarantine again, for the reason it was refused for. With
    ``dry_run`` nothing is changed, and while versions are missing nobody can tell which answers were refused.
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
    refused: set[UUID] = set()
    open_to_doubt: set[ProposalName] = set()
    judges = not (dry_run and done.versions)
    async with reading_back.kept(kafka, [topics.PROPOSAL_ANSWERS.name], no_further) as kept:
        async for records, _ in kept.batches():
            answers = read_answers(records)
            unreadable = [one for one in answers.rejected if scope.customer_id in (None, one.customer_id)]
            done.refused += await _put_aside(engine, unreadable, dry_run=dry_run)
            wanted = [one for one in answers.documents if scope.customer_id in (None, one.document.customer_id)]
            for documents in _some_at_once(wanted):
                async with engine.connect() as connection:
                    words = await restore_words(documents, Transaction(connection, Clock()))
                    await (connection.rollback() if dry_run else connection.commit())
                done.documents += words.documents
                if judges:
                    new = [one for name, one in words.refused.items() if name not in refused]
                    done.refused += await _put_aside(engine, new, dry_run=dry_run)
                    refused |= words.refused.keys()
                    open_to_doubt |= words.open_to_doubt
    for again in await _refused(engine, kafka, no_further, open_to_doubt) if open_to_doubt else ():
        done.refused += await _put_aside(engine, again, dry_run=dry_run)
    return done


async def _put_aside(engine: Engine, refused: Sequence[Rejected], *, dry_run: bool) -> int:
    """Return how many of what was refused are not in quarantine, and, unless ``dry_run``, keep them there."""
    async with engine.connect() as connection:
        added = await quarantine.add(connection, refused)
        await (connection.rollback() if dry_run else connection.commit())
    return added


T = TypeVar("T")


def _some_at_once(all_of_them: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(all_of_them), AT_ONCE):
        yield all_of_them[first : first + AT_ONCE]


def read_proposals(records: Sequence[Record], scope: Scope) -> list[Issued]:
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
            at = recorded_at(record)
            found += [issued for line in lines if (issued := _issued(at, document, line)) is not None]
    return found


def _issued(at: datetime, document: ProposalsIssued, line: ProposalLine) -> Issued | None:
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
    return Issued(at, version, line.countered_by or "", taken, answers="by" in outcome)


def _in_a_partys_place(proposal: Proposal, outcome: Mapping[str, Any]) -> Answer | None:
    """Return the acceptance that led to a version where no party spoke: it stands on no topic but this one."""
    if outcome.get("by") not in (BY_AGREEMENT, BY_ORDER) or outcome["of_version"] != proposal.version - 1:
        return None
    before = replace(proposal, version=outcome["of_version"])
    return acceptance(before, Decimal(outcome["offered"]), outcome["by"], proposal.issued_at)


async def restore_versions(told: Sequence[Issued], transaction: Transaction) -> int:
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
    await due.bring_forward(connection, [one.proposal.key for one in missing], due.AT_ONCE)
    return len(missing)


async def restore_words(documents: Sequence[Heard], transaction: Transaction) -> Words:
    """Take documents in that nobody has. An answer stands where its proposal shows that it counted."""
    connection = transaction.connection
    new, conflicting = await new_documents(documents, transaction)
    found = Words(len(new), {one.record_id: one for one in conflicting})
    words = [word for one in documents if _record_id(one) not in found.refused for word in words_of(one)]
    answers = [word for word in words if isinstance(word.line, AnswerLine)]
    keys = await proposals.keys_of(connection, sorted({word.proposal for word in answers})) if answers else {}
    fresh = {id(one) for one in new}
    decided = {word.proposal for word in answers if id(word.source) in fresh and word.proposal in keys}
    await turns.take(connection, Work.REPLENISHING, {keys[name][:2] for name in decided})
    await keep_requests([word for word in words if id(word.source) in fresh], transaction)
    offers = await proposals.offers(
        connection, sorted({(*word.proposal, word.answer.version) for word in answers if word.proposal in keys})
    )
    bound = await proposals.last_bound(connection, sorted(decided))
    standing: dict[ProposalName, Proposal] = {}
    for word in answers:
        try:
            offer, answer = put(word, keys, offers)
        except IllegalStep as error:
            found.refused.setdefault(word.source.line_name(word.number), word.refused(error.reason, str(error)))
            continue
        proposal = standing.get(word.proposal, offer.proposal)
        if id(word.source) in fresh and _counted(proposal, answer, bound.get(word.proposal)):
            standing[word.proposal] = replace(proposal, answer=answer)
        elif proposal.answer is None or proposal.answer.answer_id != answer.answer_id:
            found.open_to_doubt.add(word.proposal)
    await proposals.keep(connection, list(standing.values()))
    return found


def _record_id(heard: Heard) -> UUID:
    record = heard.record
    return quarantine.record_id(record.topic, record.partition, record.offset, recorded_at(record))


async def _refused(
    engine: Engine, kafka: KafkaSettings, no_further: Mapping[tuple[str, int], int], names: Set[ProposalName]
) -> list[list[Rejected]]:
    """Return the words on some proposals that were refused, by the proposals as they stood when that was said."""
    said: dict[ProposalName, list[Word]] = {name: [] for name in names}
    async with reading_back.kept(kafka, [topics.PROPOSAL_ANSWERS.name], no_further) as kept:
        async for records, _ in kept.batches():
            for word in (word for one in read_answers(records).documents for word in words_of(one)):
                if isinstance(word.line, AnswerLine) and word.proposal in names:
                    said[word.proposal].append(word)
    history: dict[ProposalName, dict[int, Told]] = {name: {} for name in names}
    places = {word.source.document.key.encode() for words in said.values() for word in words}
    async with reading_back.kept(kafka, [topics.PROPOSALS.name], {}) as kept:
        async for records, _ in kept.batches():
            for issued in read_proposals([one for one in records if one.key in places], Scope()):
                proposal = issued.version.proposal
                if (versions := history.get((proposal.key.customer_id, proposal.proposal_id))) is not None:
                    versions.setdefault(proposal.version, Told(issued.at, proposal, issued.countered_by))
    found = []
    for some in _some_at_once(sorted(names)):
        async with engine.connect() as connection:
            words = [word for name in some for word in said[name]]
            versions_named = sorted({(*word.proposal, word.answer.version) for word in words})
            keys = await proposals.keys_of(connection, some)
            offers = await proposals.offers(connection, versions_named)
        found.append([one for name in some for one in _of_one(said[name], history[name], keys, offers)])
    return found


def _of_one(
    words: Sequence[Word],
    history: Mapping[int, Told],
    keys: Mapping[ProposalName, Key],
    offers: Mapping[tuple[str, UUID, int], Offer],
) -> list[Rejected]:
    """Return the words on one proposal that were refused by how it stood."""
    answers: dict[UUID, tuple[Word, Answer]] = {}
    for word in words:
        try:
            answer = put(word, keys, offers)[1]
        except IllegalStep:
            continue  # whatever it stood
        answers.setdefault(answer.answer_id, (word, answer))  # a word that is delivered twice is one
    if not history or not answers:
        return []
    versions = [history[version] for version in sorted(history)]
    said = [(recorded_at(word.source.record), answer) for word, answer in answers.values()]
    return [
        word.refused(refusal.reason, str(refusal))
        for (word, _), refusal in zip(answers.values(), refusals(versions, said), strict=True)
        if refusal is not None
    ]


def _counted(proposal: Proposal, answer: Answer, bound: tuple[Decimal, datetime] | None) -> bool:
    """Return whether a proposal stands as an answer left it: some come too late, and are refused.

    ``bound``: quantity and day of the last version that was bound. A version that an answer led to says what that said.
    """
    if proposal.answer is not None and (proposal.answer.party == BY_ORDER or answer.rank <= proposal.answer.rank):
        return False
    if answer.is_counter:
        return proposal.is_open
    return bound == (answer.quantity, answer.deliver_at) if answer.binds else proposal.status is Status.REJECTED
