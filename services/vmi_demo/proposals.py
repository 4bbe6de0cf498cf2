"""The reader's side of the proposals topic: the latest version of each proposal, and what is due."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from vmi_contracts.outbound import ProposalsIssued, ProposalStatus


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal in its latest version, as far as the supplier needs it."""

    proposal_id: UUID
    version: int
    status: ProposalStatus
    location_id: str
    item_id: str
    quantity: int
    order_at: datetime
    deliver_at: datetime
    reason: str
    usable: int | None
    """The usable stock that its explanation starts from; none where it names none."""


@dataclass(slots=True)
class ProposalBook:
    """Proposals by id. A version that is not higher than the one held is passed over, as the contract asks."""

    versions: int = 0
    repeated: int = 0
    """Lines that came with a version held already or a lower one."""
    _latest_version: dict[UUID, int] = field(default_factory=dict)
    _waiting: dict[UUID, Proposal] = field(default_factory=dict)
    """The proposals that wait for an answer."""

    def apply(self, issued: ProposalsIssued) -> list[Proposal]:
        """Take in a document and return the proposals of it that are new or changed."""
        changed = []
        for line in issued.lines:
            if self._latest_version.get(line.proposal_id, 0) >= line.version:
                self.repeated += 1
                continue
            proposal = Proposal(
                line.proposal_id,
                line.version,
                line.status,
                issued.location_id,
                line.item_id,
                int(line.quantity),
                line.order_at,
                line.deliver_at,
                line.reason,
                usable_stock(line.explanation),
            )
            self._latest_version[line.proposal_id] = line.version
            self._waiting.pop(line.proposal_id, None)
            if line.status is ProposalStatus.PROPOSED and line.quantity > 0:
                self._waiting[line.proposal_id] = proposal
            self.versions += 1
            changed.append(proposal)
        return changed

    def due(self, by: datetime) -> list[Proposal]:
        """Return the proposals that wait for an answer and whose order opportunity comes at ``by`` or earlier."""
        return [proposal for proposal in self._waiting.values() if proposal.order_at <= by]

    def __len__(self) -> int:
        return len(self._latest_version)


def usable_stock(explanation: Mapping[str, Any]) -> int | None:
    """Return the usable stock that an explanation starts from, or none where it names none."""
    inputs = explanation.get("inputs")
    position = inputs.get("position") if isinstance(inputs, Mapping) else None
    usable = position.get("usable") if isinstance(position, Mapping) else None
    return None if usable is None else int(Decimal(usable))
