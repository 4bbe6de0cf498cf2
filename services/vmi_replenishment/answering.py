"""Answers to proposals: what was said is put to the version it names, and what it binds becomes supply."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from vmi_contracts.document import Line
from vmi_contracts.inbound import Answer as Spoken
from vmi_contracts.inbound import (
    AnswerLine,
    OrderNumberLine,
    OrderNumbersAssigned,
    ProposalAnswered,
    ReplenishmentRequested,
    RequestLine,
)
from vmi_domain.exceptions.rules import OF_AN_ITEM
from vmi_domain.replenishment import proposals as life
from vmi_domain.replenishment.promising import Limit
from vmi_domain.replenishment.proposals import BOUND, Answer, AnswerKind, IllegalStep, Proposal, Status
from vmi_domain.replenishment.quantities import NOTHING
from vmi_domain.replenishment.reviewing import Issue, Issued
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_replenishment.master_data import Agreements, MasterData
from vmi_replenishment.publishing import publish
from vmi_replenishment.reading import Answers, Heard, read_answers, rejected
from vmi_replenishment.reconsidering import bind, reconsider
from vmi_replenishment.situations import nows
from vmi_runtime import retrying
from vmi_runtime.worker import Transaction
from vmi_store import due, exceptions, inbox, order_numbers, positions, proposals, quarantine, turns, wishes
from vmi_store.inbox import Seen
from vmi_store.proposals import Offer
from vmi_store.quarantine import Held, Rejected
from vmi_store.turns import Work
from vmi_store.wishes import Wish

ProposalName = tuple[str, UUID]
"""Customer and proposal id."""


@dataclass(frozen=True, slots=True)
class Word:
    """One line of what a party says, with where it stands."""

    source: Heard
    number: int
    line: Line

    @property
    def answer(self) -> AnswerLine:
        assert isinstance(self.line, AnswerLine)
        return self.line

    @property
    def answered(self) -> ProposalAnswered:
        """The document of an answer."""
        assert isinstance(self.source.document, ProposalAnswered)
        return self.source.document

    @property
    def proposal(self) -> ProposalName:
        return (self.source.document.customer_id, self.answer.proposal_id)

    @property
    def key(self) -> Key:
        """The key that a request is about."""
        assert isinstance(self.line, RequestLine)
        return Key(self.source.document.customer_id, self.source.document.location_id, self.line.item_id)

    def refused(self, reason: str, detail: str) -> Rejected:
        document = self.source.document
        return rejected(
            self.source.record,
            reason,
            detail,
            line=self.number,
            customer_id=document.customer_id,
            location_id=document.location_id,
        )


async def take_answers(answers: Answers, transaction: Transaction, master_data: MasterData) -> None:
    """Take in what was answered: bound quantities count as supply, and the rest of their keys is decided again."""
    new, held = await new_documents(answers.documents, transaction)
    refused = await _take_words([word for document in new for word in words_of(document)], transaction, master_data)
    await quarantine.add(transaction.connection, [*answers.rejected, *held, *refused])


async def take_answers_again(
    due: Sequence[Held], transaction: Transaction, master_data: MasterData
) -> Sequence[Rejected]:
    """Put words to their proposals once more; return what is refused again.

    Lines go past the inbox, which has their document already; a document that was held as a whole does not.
    """
    refused: list[Rejected] = []
    documents: list[tuple[Heard, frozenset[int] | None]] = []
    for held in retrying.by_record(due):
        numbers = retrying.numbers_of(held)
        answers = read_answers([retrying.record_of(held[0].rejected)])
        refused += [one for one in answers.rejected if numbers is None or one.line is None or one.line in numbers]
        documents += [(one, numbers) for one in answers.documents]
    new, conflicting = await new_documents([one for one, numbers in documents if numbers is None], transaction)
    words = [
        word
        for one, numbers in documents
        for word in words_of(one)
        if (one in new if numbers is None else word.number in numbers)
    ]
    return [*refused, *conflicting, *await _take_words(words, transaction, master_data)]


def words_of(document: Heard) -> list[Word]:
    return [
        Word(document, number, line) for number, line in zip(document.numbers, document.document.lines, strict=True)
    ]


async def _take_words(words: Sequence[Word], transaction: Transaction, master_data: MasterData) -> list[Rejected]:
    """Take in words: put answers to their proposals, keep what is asked for; return what is refused."""
    connection = transaction.connection
    answers = [word for word in words if isinstance(word.line, AnswerLine)]
    keys = await proposals.keys_of(connection, list({word.proposal for word in answers})) if answers else {}
    asked_for = {word.key for word in words if isinstance(word.line, RequestLine)}
    await turns.take(connection, Work.REPLENISHING, {key[:2] for key in (*keys.values(), *asked_for)})
    await keep_requests(words, transaction)
    settled, refused = await _settled(answers, keys, transaction)
    changed = await _write(settled, transaction, master_data)
    as_it_stood = await _accepted_as_they_stood(settled, transaction, master_data)
    again = asked_for | {proposal.key for _, proposal in settled} - as_it_stood
    await due.bring_forward(connection, sorted(as_it_stood - again), due.AT_ONCE)
    bound = [one for one in changed if one.status in BOUND]
    # Facts are taken in until here. From here on keys are locked, all at once and in their order: those of what is
    # bound now, and of what the agreement may accept when they are decided again (not of what is wished for and no fact
    # has told of: to lock a key makes its row).
    if bound and again:
        told_of = await positions.read(connection, sorted(asked_for)) if asked_for else ()
        locked = (again - asked_for).union((row.key for row in told_of), (one.key for one in bound))
        await positions.lock(connection, sorted(locked))
    await bind(transaction, bound)
    await reconsider(again, transaction, master_data)
    return refused


async def _accepted_as_they_stood(
    settled: Sequence[tuple[Proposal, Proposal]], transaction: Transaction, master_data: MasterData
) -> set[Key]:
    """Return the keys at which nothing was said but yes to what stood, and which need not be looked at for that.

    What waited for an answer counted as supply in the same amount, so no other quantity follows. The next look is soon
    enough: the tick's, or that at what else changes at the location. It is not where a person is to act on something,
    which may be over now, nor where more than this one item hangs on what is bound: what a supplier has, or a truck.
    """
    said: dict[Key, bool] = {}
    for before, after in settled:
        said[after.key] = said.get(after.key, True) and _takes_what_stands(before, after)
    taken = sorted(key for key, nothing_else in said.items() if nothing_else)
    if not taken:
        return set()
    copies = await master_data.as_of_now(transaction, {key.customer_id for key in taken})
    calendars = await copies.calendars({key[:2] for key in taken})
    agreements = await copies.agreements(taken, calendars)
    alone = [key for key, agreed in zip(taken, agreements, strict=True) if _stands_alone(agreed)]
    active = await exceptions.active(transaction.connection, alone, OF_AN_ITEM)
    return set(alone) - {Key(one.customer_id, one.location_id, one.item_id) for one in active}


def _stands_alone(agreements: Agreements) -> bool:
    """Whether an item has one supplier, who limits nothing by its own supply, and shares no truck with others."""
    every = [term.agreed.terms for term in agreements.terms]
    limited = any(terms.sourcing.limit is not Limit.NONE or terms.truck is not None for terms in every)
    return not limited and len({terms.supplier_id for terms in every}) == 1


def _takes_what_stands(before: Proposal, after: Proposal) -> bool:
    """Whether a proposal is accepted in the version that stands, which asked for all that was missing."""
    told = (before.version, before.quantity, before.deliver_at)
    answer = after.answer
    return (
        before.is_open
        and before.requested is None
        and before.needed <= before.quantity
        and answer is not None
        and after.status is Status.ACCEPTED
        and (answer.version, after.quantity, after.deliver_at) == told
    )


async def keep_requests(words: Sequence[Word], transaction: Transaction) -> None:
    """Keep what customers want sent, and the order numbers they gave out."""
    asked = []
    for word in words:
        document, line = word.source.document, word.line
        if isinstance(document, ReplenishmentRequested) and isinstance(line, RequestLine):
            asked.append(Wish(word.key, line.order_on, line.quantity, document.requested_at, line.reason))
        if isinstance(document, OrderNumbersAssigned) and isinstance(line, OrderNumberLine):
            await order_numbers.assign(
                transaction.connection,
                customer_id=document.customer_id,
                location_id=document.location_id,
                supplier_id=document.supplier_id,
                numbers=line.numbers,
            )
    await wishes.keep(transaction.connection, asked)


async def new_documents(documents: Sequence[Heard], transaction: Transaction) -> tuple[list[Heard], list[Rejected]]:
    """Return the documents that were not taken in before, and those that contradict one that was."""
    if not documents:
        return [], []
    letters = [
        inbox.letter(
            customer_id=one.document.customer_id,
            source=one.message.source,
            message_id=one.message.message_id,
            revision=one.document.revision,
            payload=one.message.data,
        )
        for one in documents
    ]
    verdicts = await inbox.receive(transaction.connection, letters)
    new = [one for one, seen in zip(documents, verdicts, strict=True) if seen in (Seen.NEW, Seen.AWAITED)]
    conflicts = [
        rejected(
            one.record,
            "conflict",
            f"message {one.message.message_id} of {one.message.source} was received with other contents",
            customer_id=one.document.customer_id,
        )
        for one, seen in zip(documents, verdicts, strict=True)
        if seen is Seen.CONFLICT
    ]
    return new, conflicts


async def _settled(
    words: Sequence[Word], keys: Mapping[ProposalName, Key], transaction: Transaction
) -> tuple[list[tuple[Proposal, Proposal]], list[Rejected]]:
    """Put words to their proposals, whose turn we have. Return what changed (before, after) and what is refused."""
    connection = transaction.connection
    named = [(word, word.proposal) for word in words]
    offers = await proposals.offers(
        connection, list({(*name, word.answer.version) for word, name in named if name in keys})
    )
    now = await nows(sorted({key[:2] for key in keys.values()}), transaction)
    before: dict[ProposalName, Proposal] = {}
    after: dict[ProposalName, Proposal] = {}
    refused = []
    for word, name in named:
        try:
            offer, answer = put(word, keys, offers)
            standing = before.setdefault(name, offer.proposal)
            moment = now.get(offer.proposal.key[:2], word.answered.answered_at)
            after[name] = life.answered(after.get(name, standing), answer, moment)
        except IllegalStep as error:
            refused.append(word.refused(error.reason, str(error)))
    return [(before[name], one) for name, one in after.items() if one != before[name]], refused


def put(
    word: Word, keys: Mapping[ProposalName, Key], offers: Mapping[tuple[str, UUID, int], Offer]
) -> tuple[Offer, Answer]:
    """Return the version that a word answers and what it says, or raise ``IllegalStep``: who gives it may not, or there
    is no such offer."""
    line, key = word.answer, keys.get(word.proposal)
    if key is None or key.location_id != word.source.document.location_id:
        raise IllegalStep("unknown_proposal", f"no proposal {line.proposal_id} for this location")
    offer = offers.get((*word.proposal, line.version))
    if offer is None or not offer.is_open_to_answers:
        raise IllegalStep("unknown_version", f"version {line.version} of proposal {line.proposal_id} offered nothing")
    if line.answer is Spoken.ACCEPT and offer.countered_by == word.answered.party:
        raise IllegalStep("own_counter", "it is the other party that accepts a counter-proposal")
    return offer, answer_of(word, offer)


def answer_of(word: Word, offer: Offer) -> Answer:
    """Return the answer. What it leaves out of a counter-proposal's quantity is judged by what *we* had offered."""
    line = word.answer
    answered_before = offer.proposal.answer
    offered = offer.quantity
    if offer.countered_by and answered_before is not None:
        offered = answered_before.offered
    quantity = {Spoken.ACCEPT: offer.quantity, Spoken.REJECT: NOTHING}.get(line.answer, line.quantity)
    assert quantity is not None  # the contract asks it of a change
    return Answer(
        answer_id=word.source.line_name(word.number),
        kind=AnswerKind(line.answer.value),
        version=line.version,
        answered_at=word.answered.answered_at,
        offered=offered,
        quantity=quantity,
        deliver_at=line.expected_at or offer.deliver_at,
        party=word.answered.party,
        reason=line.reason,
        reason_code="" if line.reason_code is None else line.reason_code.value,
    )


async def _write(
    settled: Sequence[tuple[Proposal, Proposal]], transaction: Transaction, master_data: MasterData
) -> list[Proposal]:
    """Issue what changed, and return it: each proposal in one new version however many words led to it."""
    repeated = [after for before, after in settled if after.version == before.version]
    await proposals.keep(transaction.connection, repeated)
    changed = [
        replace(after, version=before.version + 1) for before, after in settled if after.version != before.version
    ]
    await publish([Issued(Issue(one, one.version - 1, None)) for one in changed], transaction, master_data)
    return changed
