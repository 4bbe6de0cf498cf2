"""The published JSON Schemas: ``python -m vmi_contracts.schema_files`` writes them, a test compares them."""

import json
from pathlib import Path
from typing import Any

from vmi_contracts.topics import ALL

FOLDER = Path(__file__).parent / "schemas"


def published() -> dict[str, dict[str, Any]]:
    """Return each document's JSON Schema as it is read or written, by CloudEvents type."""
    schemas = {}
    for topic in ALL:
        for message_type, document in topic.by_type.items():
            schema = document.model_json_schema()
            schemas[message_type] = {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "$id": f"urn:{message_type.replace('.', ':')}",
                "x-topic": topic.name,
                "x-key": topic.key,
                **schema,
            }
    return schemas


def write() -> None:
    """Write every schema anew."""
    FOLDER.mkdir(exist_ok=True)
    for message_type, schema in published().items():
        (FOLDER / f"{message_type}.json").write_text(json.dumps(schema, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write()
