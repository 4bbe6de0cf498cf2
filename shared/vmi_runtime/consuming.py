"""Consuming: the one agent there is, and the failure policy round what workers do with records.

A batch is what waits, up to a limit: chunks of records of one or more partitions. It becomes one Postgres transaction,
and is acknowledged only after that is committed. What goes wrong is the surroundings' fault (tried again in place, for
as long as it takes), the data's (the batch is halved until the record is found, which is put aside with its bytes),
or ours (the process ends at once, and nothing is acknowledged).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from vmi_runtime import failure
from vmi_runtime.batch_path import Consumer, ready_chunks
from vmi_runtime.clock import Clock
from vmi_runtime.failure import Fault
from vmi_runtime.faust_app import App
from vmi_runtime.in_flight import Chunk, TopicPartition
from vmi_runtime.worker import Record, Subscription, Tick, Transaction, recorded_at
from vmi_store import progress, quarantine

log = structlog.get_logger(__name__)

PutAside = Callable[[AsyncConnection, Record, str], Awaitable[None]]
"""Writes a record that the database refuses into quarantine, with the reason."""


async def put_aside(connection: AsyncConnection, record: Record, reason: str) -> None:
    """Write a record that the database refuses into quarantine, with its bytes."""
    rejected = quarantine.Rejected(
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        recorded_at=recorded_at(record),
        key=record.key,
        value=record.value,
        headers=record.headers,
        reason="refused_by_database",
        detail=reason,
    )
    await quarantine.add(connection, [rejected])


@dataclass(frozen=True, slots=True)
class Database:
    """Where batches are written, and on whose behalf."""

    engine: AsyncEngine
    group: progress.Group
    owner: str
    """This process, for those who ask who holds a partition."""
    clock: Clock
    put_aside: PutAside

    async def draw(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        """Draw epochs for partitions that were just assigned (see ``batch_path.Fence``)."""
        assigned = list(partitions)

        async def once() -> Mapping[TopicPartition, int]:
            async with self.engine.begin() as connection:
                return await progress.draw(connection, self.group, self.owner, assigned)

        return await failure.retried("drawing epochs", once)


def subscribe(app: App, subscription: Subscription[Any], database: Database) -> None:
    """Let ``app`` follow the topics of a subscription and write what stands there to the database."""
    follow(app, [topic.name for topic in subscription.topics], Batches(subscription, database).write)


def follow(app: App, topics: Sequence[str], write: Callable[[Sequence[Chunk]], Awaitable[Sequence[Chunk]]]) -> None:
    """Let ``app`` follow topics. This is the only agent there is.

    ``write`` deals with a batch for good, and returns the chunks that were ours to deal with.
    """
    limits = app.consuming
    patience = 3 * limits.session_timeout_seconds

    async def consume(stream: Any) -> None:
        in_flight = cast(Consumer, app.consumer).in_flight
        waiting: list[Chunk] = []
        async for first in stream:
            waiting.append(first)
            while waiting:
                waiting += ready_chunks(stream)
                # What a rebalance has taken from us meanwhile is no longer out.
                batch, waiting = take(
                    [chunk for chunk in waiting if chunk.is_out],
                    records=limits.batch_records,
                    size=limits.batch_bytes,
                )
                if not batch:
                    break
                with in_flight.working():
                    try:
                        written = await write(batch)
                    except asyncio.CancelledError:
                        raise
                    except BaseException as error:
                        failure.die(f"a batch of {topics}", error)
                    for chunk in written:
                        chunk.finish()
                for chunk in batch:
                    if chunk.is_out:
                        asyncio.get_running_loop().call_later(patience, _require_a_rebalance, chunk)

    app.agent(app.topic(*topics), name=f"{app.conf.id}.{'+'.join(topics)}", concurrency=1)(consume)


def _require_a_rebalance(fenced: Chunk) -> None:
    """End the process if a partition was taken from us and the group never said so: it would stand still for ever."""
    if fenced.is_out:
        failure.die("a partition's records", RuntimeError(f"{fenced.partition} was fenced, and no rebalance came"))


def take(chunks: Sequence[Chunk], *, records: int, size: int) -> tuple[list[Chunk], list[Chunk]]:
    """Return the chunks of one batch, at least one, and what is left for the next."""
    taken_records = taken_bytes = 0
    for place, chunk in enumerate(chunks):
        taken_records += len(chunk.records)
        taken_bytes += chunk.bytes
        if place and (taken_records > records or taken_bytes > size):
            return list(chunks[:place]), list(chunks[place:])
    return list(chunks), []


class Batches:
    """Writes the batches of one subscription."""

    def __init__(self, subscription: Subscription[Any], database: Database) -> None:
        self._subscription = subscription
        self._database = database

    async def write(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """Write a batch, however long it takes; return the chunks that were ours to write.

        A chunk whose partition has moved to another worker since it was fetched is dropped quietly.
        """
        epochs = {chunk.partition: chunk.epoch for chunk in chunks}  # the last of a partition has the latest
        current = [chunk for chunk in chunks if chunk.epoch == epochs[chunk.partition]]
        records = [record for chunk in current for record in chunk.records]
        fenced = await self._write(records, epochs)
        return [chunk for chunk in current if chunk.partition not in fenced]

    async def _write(self, records: Sequence[Record], epochs: Mapping[TopicPartition, int]) -> set[TopicPartition]:
        """Write records, or halve them until those that the database refuses are found; return fenced partitions."""
        decoded = self._subscription.decode(records)

        async def apply(ours: Sequence[Record], transaction: Transaction) -> None:
            again = decoded if len(ours) == len(records) else self._subscription.decode(ours)
            await self._subscription.apply(again, transaction)

        try:
            return await failure.retried(self._name, lambda: self._once(records, epochs, apply))
        except Exception as error:
            if failure.fault(error) is not Fault.DATA:
                raise
            refusal = failure.reason(error)
        if len(records) > 1:
            half = len(records) // 2
            fenced = await self._write(records[:half], epochs)
            return fenced | await self._write(records[half:], epochs)
        return await self._put_aside(records, epochs, refusal)

    async def _put_aside(
        self, records: Sequence[Record], epochs: Mapping[TopicPartition, int], refusal: str
    ) -> set[TopicPartition]:
        """Put one record aside, which the database refuses; return its partition if that is no longer ours."""
        [record] = records
        log.error(
            "the database refuses a record; it is put aside",
            reason=refusal,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )

        async def aside(ours: Sequence[Record], transaction: Transaction) -> None:
            await self._database.put_aside(transaction.connection, ours[0], refusal)

        return await failure.retried(self._name, lambda: self._once(records, epochs, aside))

    async def _once(
        self,
        records: Sequence[Record],
        epochs: Mapping[TopicPartition, int],
        apply: Callable[[Sequence[Record], Transaction], Awaitable[None]],
    ) -> set[TopicPartition]:
        """Write records in one transaction; return the partitions that are no longer ours."""
        next_offsets = {(record.topic, record.partition): record.offset + 1 for record in records}
        claims = [progress.Claim(at, epochs[at], next_offset) for at, next_offset in next_offsets.items()]
        async with self._database.engine.begin() as connection:
            ours = await progress.claim(connection, self._database.group, claims)
            fenced = next_offsets.keys() - ours
            if fenced:
                log.info("dropped: another worker has taken over", partitions=sorted(fenced))
                records = [record for record in records if (record.topic, record.partition) in ours]
            if records:
                await apply(records, Transaction(connection, self._database.clock))
        return fenced

    @property
    def _name(self) -> str:
        return f"the batch of {[topic.name for topic in self._subscription.topics]}"


def periodically(app: App, tick: Tick, database: Database) -> None:
    """Let a worker do something by itself, under the same policy (data that is refused is a bug here)."""

    async def once() -> bool:
        async with database.engine.begin() as connection:
            return await tick.do(Transaction(connection, database.clock))

    async def run() -> None:
        try:
            while await failure.retried(tick.name, once):
                if app.should_stop:
                    return
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failure.die(tick.name, error)

    app.timer(interval=tick.every_seconds, name=f"{app.conf.id}.{tick.name}")(run)
