"""How a document becomes a Kafka record."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from vmi_contracts import envelope


class Writable(Protocol):
    """A document: it knows its type, its key and its JSON."""

    @property
    def message_type(self) -> str: ...
    @property
    def key(self) -> str: ...
    def model_dump_json(self, *, exclude_none: bool = ..., exclude_unset: bool = ...) -> str: ...


@dataclass(frozen=True, slots=True)
class Record:
    """Key, value and headers of one Kafka record."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def record(
    document: Writable, *, source: str, message_id: str, time: datetime | None = None, in_short: bool = False
) -> Record:
    """Return the record of a document as a binary-mode CloudEvent; in short, without what nobody set."""
    return Record(
        document.key.encode(),
        document.model_dump_json(exclude_none=True, exclude_unset=in_short).encode(),
        envelope.headers(source=source, message_id=message_id, message_type=document.message_type, time=time),
    )
