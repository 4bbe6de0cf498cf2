"""Why a record or a line of it is not taken in: the codes that quarantine is browsed by, and the sentences."""

from enum import StrEnum
from typing import Any, Final

from pydantic import ValidationError

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


_OF_NUMBERS: Final = {
    "finite_number": Reason.NOT_A_NUMBER,
    "decimal_parsing": Reason.NOT_A_NUMBER,
    "decimal_type": Reason.NOT_A_NUMBER,
    "decimal_max_digits": Reason.TOO_LARGE,
    "decimal_whole_digits": Reason.TOO_LARGE,
}


def rejected(record: Record, reason: Reason, detail: str, **more: Any) -> Rejected:
    """Return a record, or with ``line`` one line of it, as it goes into quarantine."""
    return Rejected(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        recorded_at=recorded_at(record),
        key=record.key,
        value=record.value,
        headers=tuple(record.headers),
        reason=reason.value,
        detail=detail,
        **more,
    )


def line_errors(error: ValidationError) -> dict[int, tuple[Reason, str]] | None:
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
