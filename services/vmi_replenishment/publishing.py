"""New versions of proposals, as rows and as messages: written in one transaction with what they follow from."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import orjson

from vmi_contracts import topics
from vmi_contracts.outbound import ProposalsIssued, ProposalStands
from vmi_domain.replenishment.explanations import explained, explained_in_words, settled, settled_in_words
from vmi_domain.replenishment.proposals import BOUND, FINISHED, Proposal, consolidation_id, message_id
from vmi_domain.replenishment.reviewing import Issue, Issued
from vmi_domain.units import FINEST, plain
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
    in_common = _InCommon()
    told = [(one, _version(one, known, in_common)) for one in issued]
    await proposals.save(connection, [version for _, version in told])
    told = [(one, version) for one, version in told if not one.issue.is_private]
    if not told:
        return
    packing = await _packing([version.proposal for _, version in told], transaction, master_data)
    numbers = await order_numbers.take(connection, _orders(told, packing))
    messages = list(_messages(told, packing, numbers))
    # Who acts on proposals does not wait until it is written of each how it stands.
    messages.sort(key=lambda one: one.topic != topics.PROPOSALS.name)
    await outbox.add(connection, messages)


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
    orders: dict[tuple[str, str, str, datetime], tuple[date, UUID]] = {}  # most proposals of a batch share theirs
    for one in issued:
        if (order := _order_of(one)) not in orders:
            order_day = calendars[one.key[:2]].day_of(one.order_at)
            orders[order] = (order_day, consolidation_id(*order[:3], order_day))
    agreed = await copies.agreed(
        [(one.key, orders[_order_of(one)][0], calendars[one.key[:2]], one.supplier_id) for one in issued]
    )
    return {
        one.proposal_id: Packing(
            units[one.key.customer_id, one.key.item_id],
            NO_PACK if terms is None else terms.terms.pack,
            *orders[_order_of(one)],
        )
        for one, terms in zip(issued, agreed, strict=True)
    }


def _order_of(proposal: Proposal) -> tuple[str, str, str, datetime]:
    return (proposal.key.customer_id, proposal.key.location_id, proposal.supplier_id, proposal.order_at)


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


class _InCommon:
    """What explanations of a batch have in common, each part of it written once.

    A value is known again by its identity: rules, policies and opportunities are shared by all keys to which they
    apply (``MasterData``), and it costs more to compare them than to write most of them.
    """

    def __init__(self) -> None:
        self._written: dict[tuple[int, ...], tuple[tuple[object, ...], orjson.Fragment]] = {}

    def __call__(self, tell: Callable[..., Any], *values: object) -> orjson.Fragment:
        name = tuple(map(id, values))
        known = self._written.get(name)
        if known is None:  # with its values, so that nothing else takes their identity
            known = self._written[name] = (values, orjson.Fragment(orjson.dumps(tell(*values))))
        return known[1]


def _version(issued: Issued, known: Mapping[VersionName, bytes], in_common: _InCommon) -> Version:
    proposal, decision = issued.issue.proposal, issued.issue.decision
    if decision is None or issued.opportunity is None:
        return Version(proposal, settled_in_words(proposal), _with_outcome(known[_basis(issued.issue)], proposal))
    explanation = explained(issued.issue, issued.opportunity, in_common)
    return Version(proposal, explained_in_words(issued.issue), orjson.dumps(explanation))


def _with_outcome(explanation: bytes, proposal: Proposal) -> bytes:
    """Return the explanation of a version with what became of it. Most have no outcome yet, and are not read for it."""
    if b'"outcome":' in explanation:
        return orjson.dumps(settled(orjson.loads(explanation), proposal))
    return _joined(explanation, orjson.dumps(settled({}, proposal)))


def _messages(
    told: Sequence[tuple[Issued, Version]], packing: Mapping[UUID, Packing], numbers: Mapping[UUID, str | None]
) -> Iterator[OutboxMessage]:
    """Return one message a location, supplier and order day, or more where it would get long, in a steady order;
    and for each proposal one of how it stands.
    """
    by_order: dict[tuple[str, str, str, date], list[tuple[Issued, Version]]] = {}
    for one in told:
        proposal = one[1].proposal
        place = (*_order_of(proposal)[:3], packing[proposal.proposal_id].order_day)
        by_order.setdefault(place, []).append(one)
    for place in sorted(by_order):
        lines = by_order[place]
        for start in range(0, len(lines), MOST_LINES):
            yield from _of_one_order(lines[start : start + MOST_LINES], packing, numbers)


def _of_one_order(
    told: Sequence[tuple[Issued, Version]], packing: Mapping[UUID, Packing], numbers: Mapping[UUID, str | None]
) -> Iterator[OutboxMessage]:
    """Return the message of versions that are lines of one order (``ProposalsIssued``), and those of how they stand
    (``ProposalStands``).

    Both say the same of a version, which is written once. Models would check here what we computed ourselves, for a
    third of what a version costs; tests ask of what is written that it is what a model would write.
    """
    first = told[0][1].proposal
    customer_id, location_id, supplier_id, _ = _order_of(first)
    order = packing[first.proposal_id]
    issued_at = max(version.proposal.issued_at for _, version in told)
    lines = [_line(*one, packing, numbers) for one in told]
    document = {
        "customer_id": customer_id,
        "location_id": location_id,
        "revision": 0,
        "lines": [
            orjson.Fragment(_joined(line, b'{"explanation":%b}' % version.explanation))
            for line, (_, version) in zip(lines, told, strict=True)
        ],
        "supplier_id": supplier_id,
        "issued_at": issued_at,
        "consolidation_id": str(order.consolidation_id),
        "order_day": order.order_day,
    }
    yield OutboxMessage(
        topic=topics.PROPOSALS.name,
        key=f"{customer_id}|{location_id}",
        customer_id=customer_id,
        type=ProposalsIssued.message_type,
        message_id=message_id([(version.proposal.proposal_id, version.proposal.version) for _, version in told]),
        source=SOURCE,
        payload=orjson.dumps(document, option=orjson.OPT_UTC_Z),
        time=issued_at,
    )
    whose = orjson.dumps(
        {
            "customer_id": customer_id,
            "location_id": location_id,
            "supplier_id": supplier_id,
            "consolidation_id": str(order.consolidation_id),
            "issued_at": issued_at,
        }
    )
    for line, (_, version) in zip(lines, told, strict=True):
        proposal = version.proposal
        yield OutboxMessage(
            topic=topics.LIVE_PROPOSALS.name,
            key=str(proposal.proposal_id),
            customer_id=customer_id,
            type=ProposalStands.message_type,
            message_id=message_id([(proposal.proposal_id, proposal.version)]),
            source=SOURCE,
            payload=None if proposal.status in FINISHED else _joined(line, whose),
            time=issued_at,
        )


def _joined(one: bytes, other: bytes) -> bytes:
    """Return two JSON objects as one that has the fields of both."""
    return b"{%b}" % b",".join([fields for fields in (one[1:-1], other[1:-1]) if fields])


def _line(
    issued: Issued, version: Version, packing: Mapping[UUID, Packing], numbers: Mapping[UUID, str | None]
) -> bytes:
    """Return what is said of a version, without its explanation, as JSON (``ProposalState``)."""
    proposal, issue = version.proposal, issued.issue
    counted = packing[proposal.proposal_id]
    order = counted.consolidation_id
    bound = proposal.status in BOUND
    quantity = plain(proposal.quantity)
    told = {
        "proposal_id": str(proposal.proposal_id),
        "version": proposal.version,
        "supersedes_version": issue.supersedes,
        "status": proposal.status,
        "held_because": proposal.held_because,
        "item_id": proposal.key.item_id,
        "quantity": quantity,
        "unit": counted.unit,
        "packs": quantity if counted.pack == 1 else plain((proposal.quantity / counted.pack).quantize(FINEST)),
        "order_at": proposal.order_at,
        "deliver_at": proposal.deliver_at,
        "expires_at": proposal.expires_at,
        "fill_quantity": _fill(issue),
        "requested_quantity": None if proposal.requested is None else plain(proposal.requested),
        "countered_by": proposal.countered_by or None,
        "review_because": proposal.review_because or None,
        "order_number": numbers.get(order) if bound else None,
        "order_number_missing": bound and order in numbers and numbers[order] is None,
        "supply_confidence": None if issue.promise is None else issue.promise.confidence,
        "reason": version.reason,
    }
    return orjson.dumps({name: value for name, value in told.items() if value is not None}, option=orjson.OPT_UTC_Z)


def _fill(issue: Issue) -> str | None:
    """Return what of a version's quantity fills up a load; only what was decided is known of."""
    decided = issue.decision
    if decided is None or not decided.sized.fill or decided.quantity != issue.proposal.quantity:
        return None
    return plain(decided.sized.fill)
