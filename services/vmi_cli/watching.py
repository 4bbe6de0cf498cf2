"""``vmi watch``: a topic as it goes by, in words a person can read."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from vmi_cli.console import Refused, err, out
from vmi_cli.surroundings import connected
from vmi_contracts import envelope, topics
from vmi_contracts.topics import Topic
from vmi_runtime import broker, kafka_client
from vmi_runtime.settings import KafkaSettings


def watch(
    topic: Annotated[str, typer.Argument(help="proposals, sales, stock, ... or a full name such as vmi.proposals.v1.")],
    last: Annotated[int, typer.Option("--last", "-n", min=0, help="Begin so many records before the end.")] = 10,
    from_start: Annotated[bool, typer.Option("--from-start", help="Begin with the oldest record kept.")] = False,
    follow: Annotated[bool, typer.Option("--follow/--no-follow", help="Go on with new records; Ctrl-C ends.")] = True,
    key: Annotated[str | None, typer.Option(help="Only keys that begin so: customer|location.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, for a program to read.")] = False,
) -> None:
    """Show the records of a topic as they come.

    vmi watch proposals
    vmi watch sales --key 'retailer-1|store-1'
    vmi watch proposals --from-start --no-follow --json | jq .data.lines[0].quantity
    """
    try:
        watched = topics.named(topic)
    except KeyError:
        names = ", ".join(each.name.split(".")[1] for each in topics.ALL)
        raise Refused(f"there is no topic {topic!r}; there are: {names}") from None
    show = _as_json if as_json else _in_words
    with suppress(KeyboardInterrupt):
        asyncio.run(_watch(connected().kafka, watched, None if from_start else last, follow, key, show))


async def _watch(
    kafka: KafkaSettings,
    topic: Topic,
    last: int | None,
    follow: bool,
    key: str | None,
    show: Callable[[ConsumerRecord[bytes, bytes]], None],
) -> None:
    if await broker.missing_topics(kafka, [topic]):
        raise Refused(f"the broker has no topic {topic.name}: run `vmi topics create`")
    ends = {TopicPartition(*place): end for place, end in (await broker.end_offsets(kafka, [topic.name])).items()}
    consumer = AIOKafkaConsumer(
        **kafka_client.arguments(kafka),
        client_id="vmi-watch",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        consumer.assign(list(ends))
        begins = await consumer.beginning_offsets(list(ends))
        for partition, end in ends.items():
            start = begins[partition] if last is None else max(begins[partition], end - last)
            consumer.seek(partition, start)
        backlog = await _until(consumer, ends)
        for record in backlog if last is None else backlog[-last:] if last else []:
            _shown(record, key, show)
        if follow:
            err.print(f"[dim]following {topic.name}; Ctrl-C ends[/]", markup=True)
            async for record in consumer:
                _shown(record, key, show)
    finally:
        await consumer.stop()


async def _until(consumer: AIOKafkaConsumer, ends: dict[TopicPartition, int]) -> list[ConsumerRecord[bytes, bytes]]:
    """Return what stands before ``ends``, by time. Positions pass what a transaction's markers occupy too."""
    found: list[ConsumerRecord[bytes, bytes]] = []
    while True:
        behind = [partition for partition, end in ends.items() if await consumer.position(partition) < end]
        if not behind:
            return sorted(found, key=lambda record: (record.timestamp, record.partition, record.offset))
        for records in (await consumer.getmany(*behind, timeout_ms=500)).values():
            found += records


def _shown(record: Any, key: str | None, show: Callable[[Any], None]) -> None:
    if key is None or (record.key or b"").decode(errors="replace").startswith(key):
        show(record)


def _as_json(record: Any) -> None:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    try:
        data = orjson.loads(record.value or b"null")
    except orjson.JSONDecodeError:
        data = (record.value or b"").decode(errors="replace")
    event = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "appended_at": _time(record).isoformat(),
        "key": (record.key or b"").decode(errors="replace"),
        "headers": headers,
        "data": data,
    }
    print(orjson.dumps(event).decode(), flush=True)


def _in_words(record: Any) -> None:
    place = (record.key or b"").decode(errors="replace").replace("|", " ")
    head = f"[dim]{_time(record).time().isoformat('milliseconds')}[/] [bold]{place}[/]"
    try:
        event = envelope.read(record.value, record.headers)
        data = orjson.loads(event.data)
    except (envelope.UnreadableEnvelope, orjson.JSONDecodeError) as error:
        out.print(head, f"[red]unreadable[/]: {error}")
        return
    out.print(
        head, f"[cyan]{event.message_type.removeprefix('vmi.').rsplit('.', 1)[0]}[/]", _moment(data), soft_wrap=True
    )
    lines = data.get("lines") if isinstance(data, dict) else None
    for line in lines[:MOST_LINES_SHOWN] if isinstance(lines, list) else [data]:
        out.print("   ", _line(line), soft_wrap=True, markup=False)
    if isinstance(lines, list) and len(lines) > MOST_LINES_SHOWN:
        out.print(f"    ... and {len(lines) - MOST_LINES_SHOWN} more lines")


MOST_LINES_SHOWN = 12


def _moment(data: Any) -> str:
    names = ("occurred_at", "as_of", "placed_at", "shipped_at", "received_at", "issued_at", "answered_at", "reached_at")
    return next((f"[dim]{name} {data[name]}[/]" for name in names if isinstance(data, dict) and name in data), "")


def _line(line: Any) -> str:
    if not isinstance(line, dict):
        return str(line)
    if "proposal_id" in line and "status" in line:
        return (
            f"{line['item_id']}: {line['quantity']} {line.get('unit', '')} {line['status']} (v{line['version']})"
            f" for {line['deliver_at']}: {line['reason']}"
        )
    if "exception_id" in line:
        about = " ".join(line[name] for name in ("item_id", "subject") if line.get(name))
        return f"{line['kind']} {about}: {line['status']} (v{line['version']}): {line['reason']}"
    return ", ".join(f"{name} {value}" for name, value in line.items() if not isinstance(value, (dict, list)))


def _time(record: Any) -> datetime:
    return datetime.fromtimestamp(record.timestamp / 1000, tz=UTC)
