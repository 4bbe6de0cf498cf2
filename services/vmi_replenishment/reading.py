"""What reaches the worker: which keys changed, and what was answered; broken records and lines are set aside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

import orjson
from pydantic import ValidationError

from vmi_contracts import envelope
from vmi_contracts.envelope import Envelope, UnreadableEnvelope
from vmi_contracts.inbound import OrderNumbersAssigned, ProposalAnswered, ReplenishmentRequested
from vmi_contracts.internal import ForecastsChanged, PositionsChanged
from vmi_domain.stock.position import Key
from vmi_runtime.worker import Record, recorded_at
from vmi_store.quarantine import Rejected

NAMESPACE: Final = UUID("b3a6c0c4-9a52-5c39-9d0c-1a8f6d2b7e44")
"""Lines of answers are named by their message, so that a line delivered twice has one name."""
_CHANGED: Final = {document.message_type: document for document in (PositionsChanged, ForecastsChanged)}


Said = ProposalAnswered | ReplenishmentRequested | OrderNumbersAssigned
"""What parties say to us about proposals, past ones and those to come."""
_SAID: Final[Mapping[str, type[Said]]] = {
    document.message_type: document for document in (ProposalAnswered, ReplenishmentRequested, OrderNumbersAssigned)
}


@dataclass(slots=True)
class Changes:
    """The keys that a batch of messages names, each once."""

    keys: set[Key] = field(default_factory=set)
    rejected: list[Rejected] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Heard:
    """A document of a party, as far as it could be read."""

    record: Record
    message: Envelope
    document: Said
    numbers: tuple[int, ...]
    """The place of each line in the document as it was sent, from 1."""

    def line_name(self, number: int) -> UUID:
        """Return the name of one line, the same however often it is delivered."""
        parts = (self.document.customer_id, self.message.source, self.message.message_id, self.document.revision)
        return uuid5(NAMESPACE, "|".join(map(str, (*parts, number))))


@dataclass(slots=True)
class Answers:
    """What a batch of records says."""

    documents: list[Heard] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def read_changes(records: Sequence[Record]) -> Changes:
    """Return the keys that changed; many messages about a key come down to one look at it."""
    changes = Changes()
    for record in records:
        try:
            message = _envelope(record, set(_CHANGED))
            document = _CHANGED[message.message_type].model_validate_json(message.data)
        except UnreadableEnvelope as error:
            changes.rejected.append(rejected(record, error.reason, str(error)))
        except ValidationError as error:
            changes.rejected.append(rejected(record, "invalid", _in_words(error)))
        else:
            changes.keys.update(
                Key(document.customer_id, document.location_id, line.item_id) for line in document.lines
            )
    return changes


def read_answers(records: Sequence[Record]) -> Answers:
    """Return the answers; a bad line is set aside without its document's other lines."""
    answers = Answers()
    for record in records:
        try:
            message = _envelope(record, set(_SAID))
            found, bad = _document(record, message)
        except UnreadableEnvelope as error:
            answers.rejected.append(rejected(record, error.reason, str(error)))
        except ValidationError as error:
            answers.rejected.append(rejected(record, "invalid", _in_words(error)))
        else:
            answers.rejected += bad
            if found is not None:
                answers.documents.append(found)
    return answers


def _envelope(record: Record, known: set[str]) -> Envelope:
    message = envelope.read(record.value, record.headers)
    if message.message_type not in known:
        raise UnreadableEnvelope("unknown_type", f"{message.message_type[:80]!r} does not belong on this topic")
    return message


def _document(record: Record, message: Envelope) -> tuple[Heard | None, list[Rejected]]:
    """Return the document with the lines that can be read, and those that cannot; raise where no line is to blame."""
    model = _SAID[message.message_type]
    try:
        whole = model.model_validate_json(message.data)
    except ValidationError as error:
        failed = error
    else:
        return Heard(record, message, whole, tuple(range(1, len(whole.lines) + 1))), []

    bad: dict[int, str] = {}
    for one in failed.errors():
        place = one["loc"]
        if len(place) < 2 or place[0] != "lines" or not isinstance(place[1], int):
            raise failed
        bad.setdefault(place[1], f"{'.'.join(map(str, place[2:])) or 'line'}: {one['msg']}")
    told: dict[str, Any] = orjson.loads(message.data)
    good = [number for number in range(len(told["lines"])) if number not in bad]
    held = [
        rejected(record, "invalid_line", detail, line=number + 1, customer_id=str(told.get("customer_id")))
        for number, detail in sorted(bad.items())
    ]
    if not good:
        return None, held
    document = model.model_validate_json(orjson.dumps({**told, "lines": [told["lines"][number] for number in good]}))
    return Heard(record, message, document, tuple(number + 1 for number in good)), held


def rejected(
    record: Record,
    reason: str,
    detail: str,
    *,
    line: int | None = None,
    customer_id: str | None = None,
    location_id: str | None = None,
) -> Rejected:
    """Return a record, or one line of it, as quarantine keeps it."""
    return Rejected(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        recorded_at=recorded_at(record),
        key=record.key,
        value=record.value,
        headers=record.headers,
        reason=reason,
        detail=detail,
        line=line,
        customer_id=customer_id,
        location_id=location_id,
        worker="replenishment",
    )


def _in_words(error: ValidationError) -> str:
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc'])) or 'document'}: {first['msg']}"
