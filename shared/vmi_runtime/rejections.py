"""What is not taken in, and why: the codes that quarantine is browsed by, and the sentences.

One bad line does not stop the others of its document.
"""

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from vmi_runtime.worker import Record, recorded_at
from vmi_store.quarantine import Rejected


class Reason(StrEnum):
    """Stored with each rejected line: a name is never given a new meaning."""

    UNREADABLE = "unreadable"
    """Bytes that are no document."""
    UNKNOWN_VERSION = "unknown_version"
    UNKNOWN_TYPE = "unknown_type"
    """A document that does not belong on this topic."""
    INVALID = "invalid"
    """A field is missing or is not what it should be."""
    NOT_A_NUMBER = "not_a_number"
    TOO_LARGE = "too_large"
    NEGATIVE_COUNT = "negative_count"
    """A report or count below zero: there is no such stock."""
    FUTURE_TIME = "future_time"
    """Later than the record itself, by more than clocks and reports for the day that is running can explain."""
    UNKNOWN_LOCATION = "unknown_location"
    """Waits until the catalogue or an agreement names it."""
    UNKNOWN_ITEM = "unknown_item"
    """Waits until the catalogue or an agreement names it."""
    UNIT_NOT_CONVERTIBLE = "unit_not_convertible"
    """Waits until the catalogue says what the unit is."""
    CONFLICTING_DUPLICATE = "conflicting_duplicate"
    """Another document came under this name before."""
    OUTDATED_BASE = "outdated_base"
    """A plan that was made from another revision than the one that stands."""
    UNKNOWN_REQUEST = "unknown_request"
    """An answer to a change of an agreement that nobody asked for."""
    OWN_REQUEST = "own_request"
    """An answer by the party that asked: it is the other one's to give."""
    REFUSED_BY_DATABASE = "refused_by_database"
    """It can be read, and the database can never take it: a NUL in a text, a number out of range."""


_OF_NUMBERS: Final = {
    "finite_number": Reason.NOT_A_NUMBER,
    "decimal_parsing": Reason.NOT_A_NUMBER,
    "decimal_type": Reason.NOT_A_NUMBER,
    "decimal_max_digits": Reason.TOO_LARGE,
    "decimal_whole_digits": Reason.TOO_LARGE,
}

LONGEST_NAME: Final = 80

D = TypeVar("D", bound=BaseModel)


def rejected(record: Record, reason: str, detail: str, *, worker: str, **more: Any) -> Rejected:
    """Return a record, or with ``line`` one line of it, as it goes into quarantine for the worker that read it."""
    return Rejected(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        recorded_at=recorded_at(record),
        key=record.key,
        value=record.value,
        headers=record.headers,
        reason=str(reason),
        detail=detail,
        worker=worker,
        **more,
    )


def good_lines(
    record: Record, document: type[D], data: bytes, error: ValidationError, *, worker: str
) -> tuple[D | None, Sequence[int], list[Rejected]]:
    """Return what can be read of a document that ``error`` was raised for: the document with its good lines, their
    places in it as it was sent, from 1, and each bad line. It is refused as a whole where no line is to blame."""
    wrong = _line_errors(error)
    if wrong is None:
        return None, (), [rejected(record, *document_error(error), worker=worker)]
    # As pydantic reads it: a producer's NaN is a bad line, and not a document that cannot be read.
    raw = from_json(data, allow_inf_nan=True)
    lines = raw["lines"]
    bad = [
        rejected(
            record,
            reason,
            detail,
            line=place + 1,
            customer_id=_name(raw.get("customer_id")),
            location_id=_name(raw.get("location_id")),
            item_id=_name(lines[place].get("item_id")) if isinstance(lines[place], dict) else None,
            worker=worker,
        )
        for place, (reason, detail) in sorted(wrong.items())
    ]
    good = [place for place in range(len(lines)) if place not in wrong]
    if not good:
        return None, (), bad
    try:
        body = document.model_validate_json(json.dumps({**raw, "lines": [lines[place] for place in good]}))
    except ValidationError as other:
        return None, (), [*bad, rejected(record, *document_error(other), worker=worker)]
    return body, [place + 1 for place in good], bad


def _name(value: object) -> str | None:
    """Return what a broken line calls a thing, if it can be shown."""
    return value[:LONGEST_NAME] if isinstance(value, str) else None


def _line_errors(error: ValidationError) -> dict[int, tuple[Reason, str]] | None:
    """Return what is wrong with which lines, by their place from 0; None where the document itself is wrong."""
    found: dict[int, tuple[Reason, str]] = {}
    for one in error.errors(include_url=False, include_context=False, include_input=False):
        place = one["loc"]
        if len(place) >= 2 and place[0] == "lines" and isinstance(place[1], int):
            field = ".".join(str(part) for part in place[2:]) or "the line"
            reason = _OF_NUMBERS.get(one["type"], Reason.INVALID)
            found.setdefault(place[1], (reason, f"{field}: {_sentence(one['msg'])}"))
        elif not (found and place == ("lines",) and one["type"] == "too_short"):
            return None
    return found


def document_error(error: ValidationError) -> tuple[Reason, str]:
    """Return what is wrong with a document as a whole."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return Reason.UNREADABLE, _sentence(first["msg"])
    field = ".".join(str(part) for part in first["loc"]) or "the document"
    return Reason.INVALID, f"{field}: {_sentence(first['msg'])}"


def _sentence(words: str) -> str:
    return words.removeprefix("Value error, ")
