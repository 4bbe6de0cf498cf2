"""What reaches the worker: which keys changed, and what was answered; broken records and lines are set aside."""

from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import partial
from typing import Final
from uuid import UUID, uuid5

from pydantic import ValidationError

from vmi_contracts import envelope
from vmi_contracts.envelope import Envelope, UnreadableEnvelope
from vmi_contracts.inbound import OrderNumbersAssigned, ProposalAnswered, ReplenishmentRequested
from vmi_contracts.internal import ForecastsChanged, PositionLine, PositionsChanged
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_runtime import rejections
from vmi_runtime.rejections import document_error, good_lines
from vmi_runtime.worker import Record
from vmi_store.quarantine import Rejected

NAMESPACE: Final = UUID("b3a6c0c4-9a52-5c39-9d0c-1a8f6d2b7e44")
"""Lines of answers are named by their message, so that a line delivered twice has one name."""
WORKER: Final = "replenishment"
rejected: Final = partial(rejections.rejected, worker=WORKER)
"""Return a record, or one line of it, as quarantine keeps it for this worker."""
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
    lessened: set[Key] = field(default_factory=set)
    """Those of which less may be wanted now, and not more: a count found what was expected, or less is expected.

    (Where demand is lost, what is left at the landing is rounded: time alone may add a unit to a need that is open.)
    """
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
            changes.rejected.append(rejected(record, *document_error(error)))
        else:
            for line in document.lines:
                key = Key(document.customer_id, document.location_id, line.item_id)
                asks_for_less = line.confirmed if isinstance(line, PositionLine) else line.lowered
                (changes.lessened if asks_for_less else changes.keys).add(key)
    changes.lessened -= changes.keys
    return changes


def read_answers(records: Sequence[Record]) -> Answers:
    """Return the answers; a bad line is set aside without its document's other lines."""
    answers = Answers()
    for record in records:
        try:
            message = _envelope(record, set(_SAID))
        except UnreadableEnvelope as error:
            answers.rejected.append(rejected(record, error.reason, str(error)))
        else:
            found, bad = _document(record, message)
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
    """Return the document with the lines that can be read, and what of it cannot."""
    model: type[Said] = _SAID[message.message_type]
    try:
        whole = model.model_validate_json(message.data)
    except ValidationError as error:
        document, numbers, bad = good_lines(record, model, message.data, error, worker=WORKER)
        heard = None if document is None else Heard(record, message, document, tuple(numbers))
        return heard, bad
    return Heard(record, message, whole, tuple(range(1, len(whole.lines) + 1))), []
