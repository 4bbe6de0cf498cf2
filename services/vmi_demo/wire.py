"""The demo's ends of the wire: what stores and supplier send, and the proposals they read."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from vmi_contracts import envelope
from vmi_contracts.outbound import ProposalsIssued
from vmi_contracts.topics import PROPOSALS
from vmi_demo.documents import Outgoing
from vmi_runtime import kafka_client
from vmi_runtime.settings import KafkaSettings

LINGER_MS: Final = 2


@dataclass(frozen=True, slots=True)
class Sent:
    """A record that the broker has."""

    outgoing: Outgoing
    appended_at: datetime
    """The broker's time of its append."""


@dataclass(frozen=True, slots=True)
class Received:
    """A document of proposals, and when the broker appended it."""

    issued: ProposalsIssued
    appended_at: datetime


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, tz=UTC)


class Sender:
    """Sends records in the order given and hands back when the broker appended them."""

    def __init__(self, producer: Any) -> None:
        self._producer = producer
        self.sent = 0

    async def send(self, outgoing: Iterable[Outgoing]) -> list[Sent]:
        """Send all of them; return when the broker has acknowledged every one."""
        under_way = []
        for one in outgoing:
            record = one.record
            future = await self._producer.send(one.topic.name, record.value, key=record.key, headers=record.headers)
            under_way.append((one, future))
        acknowledged = await asyncio.gather(*(future for _, future in under_way))
        self.sent += len(under_way)
        return [
            Sent(one, _moment(metadata.timestamp)) for (one, _), metadata in zip(under_way, acknowledged, strict=True)
        ]


@asynccontextmanager
async def sender(kafka: KafkaSettings) -> AsyncIterator[Sender]:
    """Give a connected producer: all replicas acknowledge, and nothing is doubled by a retry."""
    producer = AIOKafkaProducer(
        **kafka_client.arguments(kafka), acks="all", enable_idempotence=True, linger_ms=LINGER_MS, client_id="vmi-demo"
    )
    await producer.start()
    try:
        yield Sender(producer)
    finally:
        await producer.stop()


class Reader:
    """Reads the proposals topic from its beginning, committed records only."""

    def __init__(self, consumer: Any, asking: Any, partitions: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self._asking = asking
        """A connection of its own: a fetch that waits for records would hold up the question where they end."""
        self._partitions = partitions

    async def up_to_now(self) -> list[Received]:
        """Return the proposals that are committed at this moment and were not returned before."""
        ends = await self._asking.end_offsets(self._partitions)
        received: list[Received] = []
        while not await self._reached(ends):
            batches = await self._consumer.getmany(timeout_ms=20)
            received += [
                Received(_proposals(record.value, record.headers), _moment(record.timestamp))
                for records in batches.values()
                for record in records
            ]
        return received

    async def _reached(self, ends: dict[TopicPartition, int]) -> bool:
        for partition, end in ends.items():
            if await self._consumer.position(partition) < end:
                return False
        return True


def _proposals(value: bytes, headers: Sequence[tuple[str, bytes]]) -> ProposalsIssued:
    return ProposalsIssued.model_validate_json(envelope.read(value, headers).data)


@asynccontextmanager
async def reader(kafka: KafkaSettings) -> AsyncIterator[Reader]:
    """Give a reader of all proposals; it is in no consumer group."""
    partitions = [TopicPartition(PROPOSALS.name, number) for number in range(PROPOSALS.partitions)]
    options = {**kafka_client.arguments(kafka), "client_id": "vmi-demo", "isolation_level": "read_committed"}
    async with (
        AIOKafkaConsumer(**options, auto_offset_reset="earliest", enable_auto_commit=False) as consumer,
        AIOKafkaConsumer(**options) as asking,
    ):
        consumer.assign(partitions)
        yield Reader(consumer, asking, partitions)
