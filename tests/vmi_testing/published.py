"""Messages of proposals as a partner reads them.

They are written without models, so of every one that a test reads it is asked that its model would have written the
same, byte for byte; of explanations the promise says little.
"""

import orjson

from vmi_contracts.outbound import ProposalsIssued, ProposalStands


def proposals_issued(payload: bytes) -> ProposalsIssued:
    """Read a message of vmi.proposals.v1."""
    document = ProposalsIssued.model_validate_json(payload)
    told = document.model_dump(mode="json", exclude_none=True)
    for line, written in zip(told["lines"], orjson.loads(payload)["lines"], strict=True):
        line["explanation"] = written["explanation"]
    assert orjson.dumps(told) == payload
    return document


def proposal_stands(payload: bytes) -> ProposalStands:
    """Read a message of vmi.live-proposals.v1."""
    document = ProposalStands.model_validate_json(payload)
    told = document.model_dump(mode="json", exclude_none=True)
    assert orjson.dumps(told | {"issued_at": document.issued_at.isoformat()}) == payload
    return document
