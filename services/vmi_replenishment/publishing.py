"""New versions of proposals, as rows and as messages: written in one transaction with what they follow from."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import orjson

from vmi_contracts import topics
from vmi_contracts.outbound import HeldBecause, ProposalLine, ProposalsIssued, ProposalStands, ProposalStatus
from vmi_domain.replenishment.explanations import explained, explained_in_words, settled, settled_in_words
from vmi_domain.replenishment.proposals import BOUND, FINISHED, Proposal, Status, consolidation_id, message_id
from vmi_domain.replenishment.quantities import FINEST
from vmi_domain.replenishment.reviewing import Issue, Issued
from vmi_domain.values import dataclass
from vmi_replenishment.master_data import MasterData
from vmi_runtime.worker import Transaction
from vmi_store import order_numbers, outbox, proposals
from vmi_store.order_numbers import Order
from vmi_store.outbox import OutboxMessage
from vmi_store.proposals import Version

SOURCE: Final = "vmi/replenishment"
MOST_LINES: Final = 200
"""Lines of one message: with its explanation a line has some 2 kB, and a message has to stay below 2 MB."""
NO_PACK: Final = Decimal(1)

VersionName = tuple[str, UUID, int]
"""Customer, proposal id and version."""


async def publish(issued: Sequence[Issued], transaction: Transaction, master_data: MasterData) -> None:
    """Write the versions and put their messages into the outbox; of agreements on trial nothing goes out.

    The caller has the turn at their locations.
    """
    if not issued:
        return
    connection = transaction.connection
    known = await proposals.explanations(
        connection, [_basis(one.issue) for one in issued if one.issue.decision is None]
    )
    told = [(one, _version(one, known)) for one in issued]
    await proposals.save(connection, [version for _, version in told])
    told = [(one, version) for one, version in told if not one.issue.is_private]
    if not told:
        return
    packing = await _packing([version.proposal for _, version in told], transaction, master_data)
    numbers = await order_numbers.take(connection, _orders(told, packing))
    await outbox.add(connection, list(_messages(told, packing, numbers)))


@dataclass(frozen=True, slots=True)
class Packing:
    """How an item is counted."""

    unit: str
    """Its base unit."""
    pack: Decimal
    """Base units in what is ordered and shipped as one."""
    order_day: date
    """The site's day of the order opportunity."""
    consolidation_id: UUID
    """The order it is a line of."""


async def _packing(
    issued: Sequence[Proposal], transaction: Transaction, master_data: MasterData
) -> Mapping[UUID, Packing]:
    """Return how each proposal's item is counted, as it is agreed for the order's day."""
    copies = await master_data.as_of_now(transaction, {one.key.customer_id for one in issued})
    calendars = await copies.calendars({one.key[:2] for one in issued})
    units = await copies.units([one.key for one in issued])
    agreed = await copies.agreed(
        [
            (one.key, calendars[one.key[:2]].day_of(one.order_at), calendars[one.key[:2]], one.supplier_id)
            for one in issued
        ]
    )
    return {
        one.proposal_id: _packed(
            one,
            units[one.key.customer_id, one.key.item_id],
            NO_PACK if terms is None else terms.terms.pack,
            calendars[one.key[:2]].day_of(one.order_at),
        )
        for one, terms in zip(issued, agreed, strict=True)
    }


def _packed(proposal: Proposal, unit: str, pack: Decimal, order_day: date) -> Packing:
    key = proposal.key
    return Packing(
        unit, pack, order_day, consolidation_id(key.customer_id, key.location_id, proposal.supplier_id, order_day)
    )


def _orders(told: Sequence[tuple[Issued, Version]], packing: Mapping[UUID, Packing]) -> list[Order]:
    """Return the orders that want a number: those of which a line is bound."""
    orders = {
        packing[proposal.proposal_id].consolidation_id: Order(
            proposal.key.customer_id,
            proposal.key.location_id,
            proposal.supplier_id,
            packing[proposal.proposal_id].consolidation_id,
        )
        for proposal in (version.proposal for _, version in told)
        if proposal.status in BOUND
    }
    return list(orders.values())


def _basis(issue: Issue) -> VersionName:
    """The version whose explanation stands under what was settled: the one that was answered, or the last."""
    proposal = issue.proposal
    version = proposal.answer.version if proposal.answer is not None else issue.supersedes
    return (proposal.key.customer_id, proposal.proposal_id, version or 1)


def _version(issued: Issued, known: Mapping[VersionName, dict[str, Any]]) -> Version:
    proposal, decision = issued.issue.proposal, issued.issue.decision
    if decision is None or issued.opportunity is None:
        explanation = settled(known[_basis(issued.issue)], proposal)
        return Version(proposal, settled_in_words(proposal), orjson.dumps(explanation))
    explanation = explained(issued.issue, issued.opportunity)
    return Version(proposal, explained_in_words(issued.issue), orjson.dumps(explanation))


def _messages(
    told: Sequence[tuple[Issued, Version]], packing: Mapping[UUID, Packing], numbers: Mapping[UUID, str | None]
) -> Iterator[OutboxMessage]:
    """Return one message a location, supplier and order day, or more where it would get long, in a steady order;
    and for each proposal one of how it stands.
    """

    def place(one: tuple[Issued, Version]) -> tuple[str, str, str, date]:
        proposal = one[1].proposal
        order_day = packing[proposal.proposal_id].order_day
        return (proposal.key.customer_id, proposal.key.location_id, proposal.supplier_id, order_day)

    for (customer_id, location_id, supplier_id, order_day), group in groupby(sorted(told, key=place), key=place):
        lines = list(group)
        for start in range(0, len(lines), MOST_LINES):
            some = lines[start : start + MOST_LINES]
            document = ProposalsIssued(
                customer_id=customer_id,
                location_id=location_id,
                supplier_id=supplier_id,
                issued_at=max(version.proposal.issued_at for _, version in some),
                consolidation_id=packing[some[0][1].proposal.proposal_id].consolidation_id,
                order_day=order_day,
                lines=tuple(_line(*one, packing, numbers) for one in some),
            )
            yield OutboxMessage(
                topic=topics.PROPOSALS.name,
                key=document.key,
                customer_id=customer_id,
                type=document.message_type,
                message_id=message_id((line.proposal_id, line.version) for line in document.lines),
                source=SOURCE,
                payload=_written(document, [version for _, version in some]),
                time=document.issued_at,
            )
            yield from (_standing(document, line) for line in document.lines)


def _standing(document: ProposalsIssued, line: ProposalLine) -> OutboxMessage:
    """Return what the topic of the living keeps of a proposal; nothing of one that is finished."""
    finished = Status(line.status.value) in FINISHED
    payload = None
    if not finished:
        told = line.model_dump(mode="json", exclude_none=True, exclude={"explanation"})
        told |= {
            "customer_id": document.customer_id,
            "location_id": document.location_id,
            "supplier_id": document.supplier_id,
            "consolidation_id": str(document.consolidation_id),
            "issued_at": document.issued_at.isoformat(),
        }
        payload = orjson.dumps(told)
    return OutboxMessage(
        topic=topics.LIVE_PROPOSALS.name,
        key=str(line.proposal_id),
        customer_id=document.customer_id,
        type=ProposalStands.message_type,
        message_id=message_id([(line.proposal_id, line.version)]),
        source=SOURCE,
        payload=payload,
        time=document.issued_at,
    )


def _written(document: ProposalsIssued, versions: Sequence[Version]) -> bytes:
    """Return the document as JSON. Its explanations, the most of it, are written already."""
    told = document.model_dump(mode="json", exclude_none=True)
    for line, version in zip(told["lines"], versions, strict=True):
        line["explanation"] = orjson.Fragment(version.explanation)
    return orjson.dumps(told)


def _line(
    issued: Issued, version: Version, packing: Mapping[UUID, Packing], numbers: Mapping[UUID, str | None]
) -> ProposalLine:
    """Return a line without its explanation."""
    proposal = version.proposal
    name = proposal.proposal_id
    order = packing[name].consolidation_id
    bound = proposal.status in BOUND
    return ProposalLine(
        proposal_id=name,
        version=proposal.version,
        supersedes_version=issued.issue.supersedes,
        status=ProposalStatus(proposal.status.value),
        held_because=None if proposal.held_because is None else HeldBecause(proposal.held_because.value),
        item_id=proposal.key.item_id,
        quantity=proposal.quantity,
        unit=packing[name].unit,
        packs=(proposal.quantity / packing[name].pack).quantize(FINEST),
        order_at=proposal.order_at,
        deliver_at=proposal.deliver_at,
        expires_at=proposal.expires_at,
        order_number=numbers.get(order) if bound else None,
        order_number_missing=bound and order in numbers and numbers[order] is None,
        fill_quantity=_fill(issued.issue),
        supply_confidence=None if issued.issue.promise is None else issued.issue.promise.confidence,
        reason=version.reason,
        requested_quantity=proposal.requested,
        countered_by=proposal.countered_by or None,
        review_because=proposal.review_because or None,
        explanation={},
    )


def _fill(issue: Issue) -> Decimal | None:
    """Return what of a version's quantity fills up a load; only what was decided is known of."""
    decided = issue.decision
    if decided is None or not decided.sized.fill or decided.quantity != issue.proposal.quantity:
        return None
    return decided.sized.fill
