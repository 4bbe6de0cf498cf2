"""``vmi send`` checks before it sends, and says what is wrong, where, and what to do."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_cli.console import Refused

SALE: dict[str, Any] = {
    "customer_id": "retailer-1",
    "location_id": "store-1",
    "occurred_at": "2025-03-04T12:00:00+01:00",
    "lines": [{"item_id": "milk", "quantity": "3"}],
}
EVENT = {"specversion": "1.0", "type": "vmi.sales-recorded.v1", "source": "/pos", "id": "1", "data": SALE}


def check(tmp_path: Path, text: str, *options: str) -> Any:
    file = tmp_path / "events.json"
    file.write_text(text)
    result = CliRunner().invoke(app, ["send", str(file), "--check", "--json", *options], catch_exceptions=True)
    if isinstance(result.exception, Refused):
        raise result.exception
    return json.loads(result.stdout)


@pytest.mark.parametrize(
    "text",
    [json.dumps(EVENT), json.dumps([EVENT]), json.dumps(EVENT, indent=2)],
    ids=["one", "list", "over lines"],
)
def test_an_event_goes_to_the_topic_of_its_type(tmp_path: Path, text: str) -> None:
    assert check(tmp_path, text) == [{"topic": "vmi.sales.v1", "key": "retailer-1|store-1", "id": "1", "sent": False}]


def test_each_line_may_be_an_event(tmp_path: Path) -> None:
    assert len(check(tmp_path, f"{json.dumps(EVENT)}\n\n{json.dumps({**EVENT, 'id': '2'})}\n")) == 2


def test_a_bare_document_is_sent_with_its_type(tmp_path: Path) -> None:
    assert check(tmp_path, json.dumps(SALE), "--type", "vmi.sales-recorded.v1")[0]["topic"] == "vmi.sales.v1"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "line 1, column 2: no JSON"),
        (f"{json.dumps(EVENT)}\n{{oops", "line 2, column 2: no JSON"),
        ("", "no JSON"),
        ("[]", "no event in it"),
        ("[3]", "event 1: an event is a JSON object"),
        (json.dumps(SALE), "no type"),
        (
            json.dumps({**EVENT, "type": "vmi.sales.v9"}),
            "no type of ours; there are: vmi.agreement-change-answered.v1, vmi.agreement-made.v1",
        ),
        (json.dumps({**EVENT, "type": "vmi.proposals-issued.v1"}), "ours to write"),
        (json.dumps({**EVENT, "data": {**SALE, "occurred_at": "noon"}}), "the event: occurred_at: "),
        (
            json.dumps({**EVENT, "data": {**SALE, "lines": [{"item_id": "milk", "quantity": "-3"}]}}),
            "lines.0.quantity: Input should be greater than or equal to 0",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(Refused) as refused:
        check(tmp_path, text)

    assert complaint in str(refused.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["send", str(tmp_path / "nowhere.json"), "--check"])

    assert isinstance(result.exception, Refused)
    assert "nowhere.json cannot be read: No such file" in str(result.exception)
