"""The whole service, every worker a process of its own, on a real broker and a real database."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_cli.supervision import WORKERS, Supervisor
from vmi_cli.surroundings import environment_of
from vmi_cli.workers import defined, prepare
from vmi_contracts import topics, writing
from vmi_contracts.outbound import ExceptionLine, ExceptionsChanged, ProposalLine, ProposalsIssued
from vmi_contracts.topics import Topic
from vmi_runtime import broker, pipeline
from vmi_runtime.clock import ClockMode
from vmi_runtime.pipeline import Pipeline
from vmi_runtime.settings import DatabaseSettings, KafkaSettings, Settings
from vmi_store import engine as engines
from vmi_testing.waiting import until


@dataclass
class Published:
    """One proposal line as it stood on the topic, in the order of the topic."""

    message_id: str
    line: ProposalLine


@dataclass
class Service:
    """The running service as a partner sees it, and its inside for the checks."""

    settings: Settings
    engine: AsyncEngine
    supervisor: Supervisor
    producer: AIOKafkaProducer
    pipeline: Pipeline
    said: list[str] = field(default_factory=list)

    async def send(self, topic: Topic, *documents: writing.Writable, source: str = "/test") -> None:
        """Send documents, each under an id of its own."""
        for document in documents:
            record = writing.record(document, source=source, message_id=uuid4().hex)
            await self.producer.send(topic.name, record.value, key=record.key, headers=record.headers)
        await self.producer.flush()

    async def settled(self, within_seconds: float = 60) -> None:
        """Wait until all that was sent is read by everybody and published."""
        try:
            await until(self._nothing_is_behind, seconds=within_seconds)
        except AssertionError:
            backlog = await self.pipeline.backlog()
            behind = [lag for lag in backlog.partitions if lag.behind]
            raise AssertionError(
                f"{behind}, unpublished {backlog.unpublished}; " + "\n".join(self.said[-20:])
            ) from None

    async def proposals(self, customer: str) -> list[Published]:
        """Return every proposal line of a customer that stands on the topic, in order."""
        return [
            Published(message_id, line)
            for message_id, value in await self._read(topics.PROPOSALS, customer)
            for line in ProposalsIssued.model_validate_json(value).lines
        ]

    async def exceptions(self, customer: str) -> list[ExceptionLine]:
        """Return every word on an exception of a customer that stands on the topic, in order."""
        return [
            line
            for _, value in await self._read(topics.EXCEPTIONS, customer)
            for line in ExceptionsChanged.model_validate_json(value).lines
        ]

    async def _read(self, topic: Topic, customer: str) -> list[tuple[str, bytes]]:
        """Return id and value of a customer's records on a topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.kafka.bootstrap_servers, isolation_level="read_committed"
        )
        await consumer.start()
        try:
            ends = await broker.end_offsets(self.settings.kafka, [topic.name])
            partitions = {TopicPartition(*place): end for place, end in ends.items()}
            consumer.assign(list(partitions))
            await consumer.seek_to_beginning()
            found = []
            while behind := [tp for tp, end in partitions.items() if await consumer.position(tp) < end]:
                for records in (await consumer.getmany(*behind, timeout_ms=500)).values():
                    found += [
                        (dict(record.headers)["ce_id"].decode(), record.value)
                        for record in records
                        if record.key.decode().startswith(f"{customer}|")
                    ]
            return found
        finally:
            await consumer.stop()

    async def _nothing_is_behind(self) -> bool:
        return (await self.pipeline.backlog()).behind == 0


@pytest.fixture(scope="module")
async def service(kafka: str, new_database: Callable[..., Awaitable[str]]) -> AsyncIterator[Service]:
    """All workers running under supervision, on the clock of events, in a database that no other test looks into.

    They end with their module: their ticks would go on for other tests' customers.
    """
    database_url = await new_database()
    settings = Settings(
        clock=ClockMode.EVENTS,
        kafka=KafkaSettings(bootstrap_servers=kafka),
        database=DatabaseSettings(url=SecretStr(database_url)),
    )
    await prepare(settings)
    said: list[str] = []
    environment = {**os.environ, **environment_of(settings)}
    supervisor = Supervisor(WORKERS, environment, lambda name, line: said.append(f"{name}: {line}"))
    running = asyncio.create_task(supervisor.run())
    engine = engines.create(database_url, application_name="vmi-e2e", pool_size=4)
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        async with pipeline.watched(settings.kafka, engine, [defined(name) for name in WORKERS]) as pipe:
            yield Service(settings, engine, supervisor, producer, pipe, said)
    finally:
        await producer.stop()
        supervisor.stop()
        with suppress(asyncio.CancelledError):
            assert await running is None, "\n".join(said[-20:])
        await engine.dispose()
