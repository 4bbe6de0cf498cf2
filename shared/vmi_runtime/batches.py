"""Batches of records, written to the database: one transaction each, under the failure policy."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from vmi_domain.values import dataclass
from vmi_runtime import failure
from vmi_runtime.clock import Clock
from vmi_runtime.failure import Fault
from vmi_runtime.in_flight import Chunk, TopicPartition
from vmi_runtime.rejections import Reason, rejected
from vmi_runtime.worker import Record, Subscription, Transaction
from vmi_store import progress, quarantine

log = structlog.get_logger(__name__)

PutAside = Callable[[AsyncConnection, Record, str], Awaitable[None]]
"""Writes a record that the database refuses into quarantine, with the reason."""


async def put_aside(connection: AsyncConnection, record: Record, reason: str, *, worker: str) -> None:
    """Write a record that the database refuses into quarantine, with its bytes."""
    refused = rejected(record, Reason.REFUSED_BY_DATABASE, reason, worker=worker)
    await quarantine.add(connection, [refused])


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


@dataclass(frozen=True, slots=True)
class Batch:
    """Chunks that are written together, and what their records say."""

    chunks: Sequence[Chunk]
    records: Sequence[Record]
    epochs: Mapping[TopicPartition, int]
    decoded: Any


class Batches:
    """Reads and writes the batches of one subscription."""

    def __init__(self, subscription: Subscription[Any], database: Database) -> None:
        self._subscription = subscription
        self._database = database

    def read(self, chunks: Sequence[Chunk]) -> Batch:
        """Decode a batch. This waits for nothing and touches nothing: it may run while another batch is written."""
        epochs = {chunk.partition: chunk.epoch for chunk in chunks}  # the last of a partition has the latest
        current = [chunk for chunk in chunks if chunk.epoch == epochs[chunk.partition]]
        records = [record for chunk in current for record in chunk.records]
        return Batch(current, records, epochs, self._subscription.decode(records))

    async def write(self, batch: Batch) -> list[Chunk]:
        """Write a batch, however long it takes; return the chunks that were ours to write.

        A chunk whose partition has moved to another worker since it was fetched is dropped quietly.
        """
        fenced = await self._write(batch.records, batch.decoded, batch.epochs)
        return [chunk for chunk in batch.chunks if chunk.partition not in fenced]

    async def _write(
        self, records: Sequence[Record], decoded: Any, epochs: Mapping[TopicPartition, int]
    ) -> set[TopicPartition]:
        """Write records, or halve them until those that the database refuses are found; return fenced partitions."""

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
            fenced = set()
            for part in (records[:half], records[half:]):
                fenced |= await self._write(part, self._subscription.decode(part), epochs)
            return fenced
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
