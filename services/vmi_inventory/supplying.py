"""Suppliers' statements of their supply: taken in, and those told who are limited by it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydantic import ValidationError

from vmi_contracts import envelope
from vmi_contracts.envelope import UnreadableEnvelope
from vmi_contracts.inbound import SupplyStated
from vmi_inventory.documents import FUTURE_SKEW, documents_of, unknown_type
from vmi_inventory.master_data import tell
from vmi_inventory.rejecting import WORKER, rejected
from vmi_runtime.rejections import Reason, good_lines
from vmi_runtime.worker import Record, Transaction, recorded_at
from vmi_store import promises, quarantine
from vmi_store.quarantine import Rejected

Stated = tuple[SupplyStated, datetime]
"""What a supplier states, with its record's append time."""


@dataclass(slots=True)
class Statements:
    """What a batch of records says of supply, each with its record's append time."""

    stated: list[Stated] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def read_supply(records: Sequence[Record]) -> Statements:
    """Return what suppliers state; a bad line is set aside without its document's other lines."""
    found = Statements()
    for record in records:
        try:
            message = envelope.read(record.value, record.headers)
        except UnreadableEnvelope as error:
            found.rejected.append(rejected(record, error.reason, str(error)))
            continue
        if message.message_type not in documents_of(record.topic):
            found.rejected.append(unknown_type(record, message.message_type))
            continue
        body = _read(found, record, message.data)
        if body is None:
            continue
        told_at = recorded_at(record)
        if body.stated_at > told_at + FUTURE_SKEW:
            detail = f"it is of {body.stated_at.isoformat()}, and was recorded at {told_at.isoformat()}"
            found.rejected.append(rejected(record, Reason.FUTURE_TIME, detail, customer_id=body.customer_id))
        else:
            found.stated.append((body, told_at))
    return found


def _read(found: Statements, record: Record, data: bytes) -> SupplyStated | None:
    try:
        return SupplyStated.model_validate_json(data)
    except ValidationError as error:
        body, _, bad = good_lines(record, SupplyStated, data, error, worker=WORKER)
        found.rejected += bad
        return body


def last_of_each(stated: Iterable[Stated]) -> list[Stated]:
    """Return of each supplier's item, for each customer, the statement that was made last, one line each."""
    last: dict[tuple[str | None, str, str], Stated] = {}
    for said, at in promises.as_made(stated):
        for line in said.lines:
            last[said.customer_id, said.supplier_id, line.item_id] = (said.model_copy(update={"lines": (line,)}), at)
    return list(last.values())


async def record_supply(found: Statements, transaction: Transaction) -> None:
    """Let statements stand; who has an agreement that is limited by them is to be looked at."""
    connection = transaction.connection
    await quarantine.add(connection, found.rejected)
    if not found.stated:
        return
    changed = await promises.state(connection, found.stated)
    concerned = await promises.limited_by(connection, changed)
    await tell(transaction, concerned, {}, max(at for _, at in found.stated))
