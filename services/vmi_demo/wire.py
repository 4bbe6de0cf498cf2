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
async def sender(bootstrap_servers: str) -> AsyncIterator[Sender]:
    """A connected producer: all replicas acknowledge, nothing is doubled by a retry."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True, linger_ms=LINGER_MS
    )
    await producer.start()
    try:
        yield Sender(producer)
    finally:
        await producer.stop()


class ProposalReader:
    """Reads the proposals topic from its beginning, committed records only."""

    def __init__(self, consumer: Any, partitions: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self._partitions = partitions

    async def newest(self, wait_seconds: float = 0.0) -> list[Received]:
        """Return what has come since the last call, waiting a little for the first of it."""
        batches = await self._consumer.getmany(timeout_ms=int(wait_seconds * 1000))
        return [
            Received(_proposals(record.value, record.headers), _moment(record.timestamp))
            for records in batches.values()
            for record in records
        ]

    async def up_to_now(self) -> list[Received]:
        """Return everything that is committed on the topic at this moment and was not returned before."""
        ends = await self._consumer.end_offsets(self._partitions)
        received: list[Received] = []
        while not await self._reached(ends):
            received += await self.newest(wait_seconds=0.05)
        return received

    async def _reached(self, ends: dict[TopicPartition, int]) -> bool:
        for partition, end in ends.items():
            if await self._consumer.position(partition) < end:
                return False
        return True


def _proposals(value: bytes, headers: Sequence[tuple[str, bytes]]) -> ProposalsIssued:
    return ProposalsIssued.model_validate_json(envelope.read(value, headers).data)


@asynccontextmanager
async def proposal_reader(bootstrap_servers: str) -> AsyncIterator[ProposalReader]:
    """A reader of the whole proposals topic, in no consumer group."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap_servers,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
    )
    await consumer.start()
    try:
        partitions = [TopicPartition(PROPOSALS.name, number) for number in range(PROPOSALS.partitions)]
        consumer.assign(partitions)
        yield ProposalReader(consumer, partitions)
    finally:
        await consumer.stop()
