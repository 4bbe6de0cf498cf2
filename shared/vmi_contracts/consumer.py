"""For those who read proposals: apply only higher versions, and be right whatever comes twice, late or never (S25)."""

from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Final, Literal
from uuid import UUID, uuid5

from vmi_contracts import envelope
from vmi_contracts.envelope import UnreadableEnvelope
from vmi_contracts.inbound import Answer, AnswerLine, Party, ProposalAnswered, ReasonCode
from vmi_contracts.outbound import ProposalsIssued, ProposalStands, ProposalStatus

Held = MutableMapping[UUID, ProposalStands]
"""What a reader keeps: the last version of each proposal. A dict will do; a table with the proposal as its key is
better, since it survives a restart: write it in one transaction with what you do about a change."""

FIRM: Final = frozenset({ProposalStatus.ACCEPTED, ProposalStatus.CHANGED, ProposalStatus.ORDERED})
"""Agreed and not shipped yet."""
_NAMESPACE: Final = UUID("f0b5f7c2-4f0e-5f57-8f5c-0a9e7c1d2b63")


@dataclass(frozen=True, slots=True)
class Change:
    """A version that is higher than what was held."""

    now: ProposalStands
    before: ProposalStands | None

    @property
    def missed(self) -> range:
        """Versions between the two that never came, or come later: nothing needs them."""
        return range(1 if self.before is None else self.before.version + 1, self.now.version)


def read(value: bytes | None, headers: Iterable[tuple[str, bytes]]) -> ProposalsIssued:
    """Return the document of a record, or raise ``UnreadableEnvelope`` or pydantic's ``ValidationError``."""
    message = envelope.read(value, headers)
    if message.message_type != ProposalsIssued.message_type:
        raise UnreadableEnvelope("unknown_type", f"{message.message_type!r} is no document of proposals")
    return ProposalsIssued.model_validate_json(message.data)


def apply(document: ProposalsIssued, held: Held) -> list[Change]:
    """Keep what of a document is newer than what is held; return what changed. The same document again changes nothing.

    Whatever the order of documents, however often each comes, and whichever earlier versions are
    missing: of every proposal the highest version that came is held.
    """
    changes = []
    for line in document.lines:
        before = held.get(line.proposal_id)
        if before is not None and line.version <= before.version:
            continue
        now = ProposalStands(
            **{name: getattr(line, name) for name in type(line).model_fields if name in ProposalStands.model_fields},
            customer_id=document.customer_id,
            location_id=document.location_id,
            supplier_id=document.supplier_id,
            consolidation_id=document.consolidation_id,
            issued_at=document.issued_at,
        )
        held[line.proposal_id] = now
        changes.append(Change(now, before))
    return changes


def orders(held: Iterable[ProposalStands]) -> Iterator[tuple[UUID, list[ProposalStands]]]:
    """Yield what is agreed and not shipped, as one order a location, supplier and order day (its consolidation id)."""
    firm = sorted((one for one in held if one.status in FIRM), key=lambda one: (str(one.consolidation_id), one.item_id))
    for consolidation_id, lines in groupby(firm, key=lambda one: one.consolidation_id):
        yield consolidation_id, list(lines)


def answer(
    proposal: ProposalStands,
    kind: Literal["accept", "change", "reject", "counter"],
    *,
    answered_at: datetime,
    party: Party = "supplier",
    quantity: Decimal | None = None,
    expected_at: datetime | None = None,
    reason_code: ReasonCode | None = None,
    reason: str = "",
) -> ProposalAnswered:
    """Return the answer to a proposal in the version that is held."""
    line = AnswerLine(
        proposal_id=proposal.proposal_id,
        version=proposal.version,
        answer=Answer(kind),
        quantity=quantity,
        expected_at=expected_at,
        reason_code=reason_code,
        reason=reason,
    )
    return ProposalAnswered(
        customer_id=proposal.customer_id,
        location_id=proposal.location_id,
        answered_at=answered_at,
        party=party,
        lines=(line,),
    )


def answer_id(document: ProposalAnswered) -> str:
    """Return a message id that is the same for the same answer, so that who starts again says nothing twice."""
    said = "|".join(line.model_dump_json() for line in document.lines)
    return str(uuid5(_NAMESPACE, f"{document.customer_id}|{document.location_id}|{document.party}|{said}"))
