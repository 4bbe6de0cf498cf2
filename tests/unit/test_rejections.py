"""One line that cannot be read is set aside by itself, whoever reads its document."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from vmi_contracts import envelope, topics
from vmi_contracts.inbound import ProposalAnswered, SalesRecorded, SupplyStated
from vmi_inventory.documents import read_facts
from vmi_inventory.supplying import read_supply
from vmi_replenishment.reading import read_answers
from vmi_runtime.worker import Record
from vmi_store.quarantine import Rejected
from vmi_testing.inventory import raw_record

AT = b'"2025-03-04T12:00:00Z"'
PROPOSAL = b'"proposal_id": "5b1c1b5e-2a5f-5f0a-9a44-6d1f0f8a7c33", "version": 1, "answer": "change", "quantity": '
READ: dict[Any, tuple[Callable[[Sequence[Record]], Any], str, bytes, bytes]] = {
    SalesRecorded: (
        read_facts,
        "told",
        b'{"customer_id": "c", "location_id": "l", "occurred_at": ' + AT,
        b'"item_id": "milk", "quantity": ',
    ),
    SupplyStated: (
        read_supply,
        "stated",
        b'{"supplier_id": "dairy", "customer_id": "c", "stated_at": ' + AT,
        b'"item_id": "milk", "available_to_promise": ',
    ),
    ProposalAnswered: (
        read_answers,
        "documents",
        b'{"customer_id": "c", "location_id": "l", "answered_at": ' + AT,
        PROPOSAL,
    ),
}


def told(document: Any, *quantities: bytes) -> tuple[list[Any], list[Rejected]]:
    """Return the documents that are read of one with lines of these quantities, and what is set aside."""
    read, name, head, line = READ[document]
    lines = b", ".join(b"{" + line + quantity + b"}" for quantity in quantities)
    headers = envelope.headers(source="/erp", message_id="m", message_type=document.message_type)
    topic = topics.of_type(document.message_type).name
    found = read([raw_record(head + b', "lines": [' + lines + b"]}", headers, topic=topic)])
    return getattr(found, name), found.rejected


@pytest.mark.parametrize("document", READ, ids=lambda document: document.message_type)
@pytest.mark.parametrize("quantity", [b"NaN", b"Infinity", b'"many"', b"{}"])
def test_a_line_without_a_number_does_not_stop_the_other_lines(document: Any, quantity: bytes) -> None:
    documents, rejected = told(document, b'"3"', quantity, b'"4"')

    assert len(documents) == 1
    assert [(one.line, one.customer_id) for one in rejected] == [(2, "c")]


@pytest.mark.parametrize("document", READ, ids=lambda document: document.message_type)
def test_where_no_line_can_be_read_each_is_set_aside_by_itself(document: Any) -> None:
    documents, rejected = told(document, b"NaN", b"NaN")

    assert documents == []
    assert [one.line for one in rejected] == [1, 2]
