"""``vmi send``: documents from a file, checked, to the topic where they belong."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer
from aiokafka import AIOKafkaProducer
from pydantic import BaseModel, ValidationError

from vmi_cli.console import AsJson, Refused, err, print_json
from vmi_cli.surroundings import connected
from vmi_contracts import topics, writing
from vmi_contracts.topics import Topic
from vmi_runtime import broker, kafka_client
from vmi_runtime.settings import KafkaSettings

SOURCE = "/vmi/cli"
OURS_TO_WRITE = {
    "vmi.positions-changed.v1",
    "vmi.forecasts-changed.v1",
    "vmi.proposals-issued.v1",
    "vmi.proposal-stands.v1",
}


@dataclass(frozen=True, slots=True)
class Addressed:
    """A checked document and where it goes."""

    topic: Topic
    document: Any
    source: str
    message_id: str


def send(
    file: Annotated[
        Path, typer.Argument(help="JSON: one event, a list of events, or one event a line; - is standard input.")
    ],
    message_type: Annotated[
        str | None, typer.Option("--type", help="The CloudEvents type of bare documents, e.g. vmi.sales-recorded.v1.")
    ] = None,
    source: Annotated[str, typer.Option(help="The CloudEvents source of events that name none.")] = SOURCE,
    check_only: Annotated[bool, typer.Option("--check", help="Only check; send nothing.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check events and send them to their topics. Nothing is sent unless all are
    right.

    An event is a CloudEvent in JSON ({"specversion": "1.0", "type": ...,
    "source": ..., "id": ..., "data": {...}}), or with --type the bare
    document. An event without an id gets one; send it again with the same
    id and it counts once.

        vmi send sale.json
        vmi send --type vmi.sales-recorded.v1 document.json
        vmi send --check history.jsonl
    """
    text = typer.get_text_stream("stdin").read() if str(file) == "-" else _read(file)
    addressed = list(_checked(text, message_type, source))
    if not check_only:
        asyncio.run(deliver(connected().kafka, addressed))
    if as_json:
        print_json(
            [
                {"topic": a.topic.name, "key": a.document.key, "id": a.message_id, "sent": not check_only}
                for a in addressed
            ]
        )
        return
    verb = "would be sent" if check_only else "sent"
    for topic in sorted({a.topic.name for a in addressed}):
        count = sum(a.topic.name == topic for a in addressed)
        err.print(f"{count} {verb} to {topic}")


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise Refused(f"{file} is no UTF-8 text") from None


def _checked(text: str, message_type: str | None, source: str) -> Iterator[Addressed]:
    found = False
    for place, event in _events(text):
        found = True
        if not isinstance(event, dict):
            raise Refused(f"{place}: an event is a JSON object, not {type(event).__name__}")
        yield _addressed(place, event, message_type, source)
    if not found:
        raise Refused("there is no event in it")


def _events(text: str) -> Iterator[tuple[str, Any]]:
    """Yield each event and its place: the whole text is one JSON document, or each line is one."""
    try:
        whole = json.loads(text)
    except json.JSONDecodeError as error:
        lines = [(number, line) for number, line in enumerate(text.splitlines(), start=1) if line.strip()]
        if len(lines) < 2 or not lines[0][1].lstrip().startswith("{"):
            raise Refused(f"line {error.lineno}, column {error.colno}: no JSON: {error.msg}") from None
        for number, line in lines:
            try:
                yield f"line {number}", json.loads(line)
            except json.JSONDecodeError as wrong:
                raise Refused(f"line {number}, column {wrong.colno}: no JSON: {wrong.msg}") from None
        return
    if isinstance(whole, list):
        yield from ((f"event {number}", event) for number, event in enumerate(whole, start=1))
    else:
        yield "the event", whole


def _addressed(place: str, event: dict[str, Any], message_type: str | None, source: str) -> Addressed:
    enveloped = "specversion" in event or ("type" in event and "data" in event)
    kind = event.get("type") if enveloped else message_type
    if kind is None:
        raise Refused(
            f"{place}: no type: send a CloudEvent, or name the document with --type (see `vmi topics describe`)"
        )
    try:
        topic = topics.of_type(kind)
    except KeyError:
        known = ", ".join(sorted(t for each in topics.ALL for t in each.by_type if t not in OURS_TO_WRITE))
        raise Refused(f"{place}: {kind!r} is no type of ours; there are: {known}") from None
    if kind in OURS_TO_WRITE:
        raise Refused(f"{place}: {kind} is ours to write; send what happened, and we follow")
    model: type[BaseModel] = topic.by_type[kind]
    try:
        document = model.model_validate_json(json.dumps(event["data"] if enveloped else event))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or "the document"
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        raise Refused(f"{place}: {field}: {first['msg'].removeprefix('Value error, ')}{more}") from None
    identity = event if enveloped else {}
    return Addressed(topic, document, str(identity.get("source") or source), str(identity.get("id") or uuid4()))


async def deliver(kafka: KafkaSettings, addressed: list[Addressed]) -> None:
    missing = await broker.missing_topics(kafka, {a.topic for a in addressed})
    if missing:
        raise Refused(f"the broker has no topic {', '.join(sorted(missing))}: run `vmi topics create`")
    producer = AIOKafkaProducer(**kafka_client.arguments(kafka), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        pending = []
        for event in addressed:
            record = writing.record(event.document, source=event.source, message_id=event.message_id)
            pending.append(await producer.send(event.topic.name, record.value, key=record.key, headers=record.headers))
        await asyncio.gather(*pending)
    finally:
        await producer.stop()
