"""The promise is a file; changing it is a diff to review (``make schemas``)."""

import json
import subprocess
import sys
from typing import Any

import pytest
from pydantic import TypeAdapter

from vmi_contracts import schema_files, topics
from vmi_contracts.schema_files import FOLDER, published

PUBLISHED = published()


@pytest.mark.parametrize("message_type", PUBLISHED)
def test_the_published_schema_is_the_one_we_promised(message_type: str) -> None:
    promised = json.loads((FOLDER / f"{message_type}.json").read_text())

    assert PUBLISHED[message_type] == promised, "run `make schemas` and review the difference"


@pytest.mark.parametrize("first", ["outbound", "inbound", "internal", "consumer"])
def test_a_schema_is_the_same_whatever_is_imported_first(first: str) -> None:
    asking = f"import json, vmi_contracts.{first}; from vmi_contracts import schema_files as files; "
    asking += "print(json.dumps(files.published()))"
    said = subprocess.run([sys.executable, "-c", asking], capture_output=True, check=True).stdout

    assert json.loads(said) == PUBLISHED


def test_no_schema_file_outlives_its_document() -> None:
    assert {file.stem for file in FOLDER.glob("*.json")} == set(PUBLISHED)


def test_every_document_stands_on_one_topic_only() -> None:
    types = [message_type for topic in topics.ALL for message_type in topic.by_type]

    assert len(types) == len(set(types))


def test_only_topics_whose_key_is_the_whole_identity_are_compacted() -> None:
    assert {topic.name for topic in topics.ALL if topic.compacted} == {
        "vmi.catalogue.v1",
        "vmi.agreements.v1",
        "vmi.live-proposals.v1",
    }


@pytest.mark.parametrize("topic", topics.ALL, ids=lambda topic: topic.name)
def test_a_topics_name_says_its_plural_and_version(topic: topics.Topic) -> None:
    namespace, plural, version = topic.name.split(".")

    assert namespace == "vmi"
    assert plural.endswith("s") or plural in {"stock", "supply", "catalogue"}
    assert version.startswith("v")
    assert topics.named(plural) is topic


def _properties(schema: Any) -> set[str]:
    found: set[str] = set()
    if isinstance(schema, dict):
        found |= set(schema.get("properties", {}))
        for value in schema.values():
            found |= _properties(value)
    elif isinstance(schema, list):
        for value in schema:
            found |= _properties(value)
    return found


@pytest.mark.parametrize("message_type", PUBLISHED)
def test_names_say_what_they_are(message_type: str) -> None:
    """Moments end in _at (or as_of), spans carry their unit: nobody has to guess."""
    shy = {"qty", "uom", "lt", "sku", "timestamp", "ts", "amount_available"}

    assert not _properties(PUBLISHED[message_type]) & shy


def test_the_schema_writer_writes_what_the_test_compares(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema_files, "FOLDER", tmp_path)

    schema_files.write()

    assert {file.stem for file in tmp_path.glob("*.json")} == set(PUBLISHED)
    TypeAdapter(dict[str, Any]).validate_json(next(iter(tmp_path.glob("*.json"))).read_bytes())
