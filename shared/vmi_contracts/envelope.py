"""CloudEvents 1.0 over Kafka: binary mode is written, binary and structured are read."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, NamedTuple

import orjson

SPEC_VERSION: Final = "1.0"
LONGEST_ATTRIBUTE: Final = 300
STRUCTURED: Final = b"application/cloudevents+json"

Headers = Sequence[tuple[str, bytes]]


class UnreadableEnvelope(ValueError):
    """The record is no CloudEvent of a version we know; the message says what is missing."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        """``unreadable`` or ``unknown_version``."""


class Envelope(NamedTuple):
    """Who said it, under which name, what kind of document it is, and the document's bytes."""

    source: str
    message_id: str
    message_type: str
    data: bytes


def headers(
    *, source: str, message_id: str, message_type: str, time: datetime | None = None
) -> list[tuple[str, bytes]]:
    """Return the Kafka headers of a binary-mode CloudEvent whose value is the JSON document."""
    told = attributes(source=source, message_id=message_id, message_type=message_type, time=time)
    return [(name, value.encode()) for name, value in told.items()]


def attributes(*, source: str, message_id: str, message_type: str, time: datetime | None = None) -> dict[str, str]:
    """Return the same headers as texts by their names."""
    told = {
        "ce_specversion": SPEC_VERSION,
        "ce_id": message_id,
        "ce_source": source,
        "ce_type": message_type,
        "content-type": "application/json",
    }
    if time is not None:
        told["ce_time"] = time.isoformat()
    return told


def read(value: bytes | None, record_headers: Iterable[tuple[str, bytes]]) -> Envelope:
    """Return the envelope of a record in binary or structured mode, or raise ``UnreadableEnvelope``."""
    attributes = dict(record_headers)
    if value is None:
        raise UnreadableEnvelope("unreadable", "the record has no value")
    if "ce_specversion" in attributes or "ce_type" in attributes:
        return _binary(value, attributes)
    return _structured(value)


def _binary(value: bytes, attributes: dict[str, bytes]) -> Envelope:
    try:
        version = attributes["ce_specversion"].decode()
        source = attributes["ce_source"].decode()
        message_id = attributes["ce_id"].decode()
        message_type = attributes["ce_type"].decode()
    except KeyError as missing:
        raise UnreadableEnvelope("unreadable", f"the header {missing.args[0]} is missing") from None
    except (UnicodeDecodeError, AttributeError):  # a header's value may be null
        raise UnreadableEnvelope("unreadable", "a ce_ header is no UTF-8 text") from None
    return _checked(version, source, message_id, message_type, value)


def _structured(value: bytes) -> Envelope:
    try:
        event = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise UnreadableEnvelope(
            "unreadable", f"no ce_ headers, and the value is no CloudEvent in JSON: {error}"
        ) from None
    if not isinstance(event, dict) or "specversion" not in event:
        raise UnreadableEnvelope(
            "unreadable", "no ce_ headers, and the value has no specversion: send a CloudEvent, binary or structured"
        )
    text = {name: event.get(name) for name in ("specversion", "source", "id", "type")}
    for name, attribute in text.items():
        if not isinstance(attribute, str):
            raise UnreadableEnvelope("unreadable", f"the CloudEvents attribute {name} is missing or no text")
    if "data" not in event:
        raise UnreadableEnvelope("unreadable", "the CloudEvent carries no data")
    return _checked(
        str(text["specversion"]), str(text["source"]), str(text["id"]), str(text["type"]), orjson.dumps(event["data"])
    )


def _checked(version: str, source: str, message_id: str, message_type: str, data: bytes) -> Envelope:
    if version != SPEC_VERSION:
        raise UnreadableEnvelope("unknown_version", f"CloudEvents {version[:20]!r}; we read {SPEC_VERSION}")
    if not (_is_name(source) and _is_name(message_id) and _is_name(message_type)):
        told = {"source": source, "id": message_id, "type": message_type}
        wrong = next(name for name, attribute in told.items() if not _is_name(attribute))
        raise UnreadableEnvelope(
            "unreadable", f"the CloudEvents attribute {wrong} is empty, longer than {LONGEST_ATTRIBUTE} or has a NUL"
        )
    return Envelope(source, message_id, message_type, data)


def _is_name(attribute: str) -> bool:
    return 0 < len(attribute) <= LONGEST_ATTRIBUTE and "\x00" not in attribute
