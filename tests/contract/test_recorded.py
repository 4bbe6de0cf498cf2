"""Messages as they were recorded when their schemas were new: whoever kept them can have them read for ever (P12).

A file in ``recorded`` is never changed. A new version of a document gets a file of its own.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from vmi_contracts import envelope, topics

RECORDED = sorted((Path(__file__).parent / "recorded").glob("*.json"))


def read(file: Path) -> tuple[type[BaseModel], dict[str, Any]]:
    recorded = json.loads(file.read_text())
    headers = [(name, value.encode()) for name, value in recorded["headers"].items()]
    message = envelope.read(json.dumps(recorded["value"]).encode(), headers)
    return topics.named(recorded["topic"]).by_type[message.message_type], json.loads(message.data)


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_p12_a_recorded_message_is_read_and_says_what_it_said(file: Path) -> None:
    document, value = read(file)

    said = document.model_validate_json(json.dumps(value)).model_dump_json(exclude_none=True)

    assert within(value, json.loads(said)), f"{value} is read as {said}"


@pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.stem)
def test_p12_a_message_with_fields_of_a_later_day_is_read_as_before(file: Path) -> None:
    document, value = read(file)
    later = {**value, "of_a_later_day": {"a": [1]}}
    if later.get("lines"):
        later["lines"] = [{**line, "of_a_later_day": "x"} for line in later["lines"]]

    assert document.model_validate_json(json.dumps(later)) == document.model_validate_json(json.dumps(value))


def within(recorded: Any, read: Any) -> bool:
    """Tell whether everything that was recorded is in what is read; new fields may have come to it."""
    if isinstance(recorded, dict):
        return isinstance(read, dict) and all(
            name in read and within(value, read[name]) for name, value in recorded.items()
        )
    if isinstance(recorded, list):
        return len(recorded) == len(read) and all(map(within, recorded, read))
    return bool(recorded == read)
