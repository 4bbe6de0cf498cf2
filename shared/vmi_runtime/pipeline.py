"""How far behind the pipeline is: what each group has not yet read, and what waits to be published."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts import topics
from vmi_domain.values import dataclass
from vmi_runtime import broker, kafka_client
from vmi_runtime.settings import KafkaSettings
from vmi_runtime.worker import Worker
from vmi_store import outbox, progress

WRITTEN_BY_THE_RELAY: Final = {topic.name for topic in (topics.POSITIONS, topics.FORECASTS, topics.PROPOSALS)}
"""The relay writes in Kafka transactions: behind the last record stand commit markers, which nobody reads."""
MOST_MARKERS: Final = 64
"""Shards share a partition, so several markers may stand there in a row, but no more than these."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far one group is behind in one partition. From the database's progress, not from Kafka's commits."""

    group: str
    topic: str
    partition: int
    behind: int
    """Records (and among many of them some markers that nobody reads), those that cannot be read yet included."""
    owner: str | None
    """The process that reads it; None where no worker of the group has ever come."""
    advanced_at: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """All that is still to be done."""

    partitions: Sequence[PartitionLag]
    unpublished: int
    oldest_unpublished: timedelta | None

    @property
    def behind(self) -> int:
        """Records unread by somebody, and messages unpublished."""
        return sum(partition.behind for partition in self.partitions) + self.unpublished


class Pipeline:
    """A look at the backlog, as often as wanted, over connections that stay open."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        uncommitted: AIOKafkaConsumer,
        engine: AsyncEngine,
        cluster_id: str,
        follows: Mapping[str, Sequence[str]],
        partitions: Mapping[str, int],
    ) -> None:
        self._consumer = consumer
        self._uncommitted = uncommitted
        self._engine = engine
        self._cluster_id = cluster_id
        self._follows = follows
        self._partitions = [
            TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)
        ]
        self._of_the_relay = [one for one in self._partitions if one.topic in WRITTEN_BY_THE_RELAY]
        self._records = _LastRecords(consumer, self._of_the_relay)

    async def backlog(self) -> Backlog:
        """Return what is still to be done, now.

        The order matters to whoever waits for it to become nothing. A batch moves its progress in the transaction that
        writes its outbox, so these two are read at one instant; a message leaves the outbox only after it stands in
        its topic, so the topics' ends are read after that. Standing there is not being readable yet: a Kafka
        transaction's commit is answered before its markers are written, so what stands beyond the last stable record
        counts, too, and where that is is asked last.
        """
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            reached = {
                (row.group, row.topic, row.partition): row
                for row in await progress.of_cluster(connection, self._cluster_id)
            }
            unpublished, oldest = await outbox.waiting(connection)
        written: Mapping[TopicPartition, int] = await self._uncommitted.end_offsets(self._of_the_relay)
        ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(self._partitions)
        last_records = await self._records.up_to(ends)
        new = [
            tp
            for tp in self._partitions
            if any(
                tp.topic in followed and (group, tp.topic, tp.partition) not in reached
                for group, followed in self._follows.items()
            )
        ]
        begins: Mapping[TopicPartition, int] = await self._consumer.beginning_offsets(new) if new else {}
        lags = []
        for group, followed in self._follows.items():
            for tp in self._partitions:
                if tp.topic not in followed:
                    continue
                row = reached.get((group, tp.topic, tp.partition))
                start = begins.get(tp, 0) if row is None or row.next_offset is None else row.next_offset
                lags.append(
                    PartitionLag(
                        group,
                        tp.topic,
                        tp.partition,
                        behind=max(0, last_records.get(tp, ends[tp]) - start) + max(0, written.get(tp, 0) - ends[tp]),
                        owner=row.owner if row else None,
                        advanced_at=row.advanced_at if row else None,
                    )
                )
        return Backlog(lags, unpublished, oldest)


class _LastRecords:
    """Knows where the last record of each partition stands, whatever markers stand behind it."""

    def __init__(self, consumer: AIOKafkaConsumer, partitions: Sequence[TopicPartition]) -> None:
        self._consumer = consumer
        self._partitions = partitions
        self._after_last: dict[TopicPartition, int] = {}

    async def up_to(self, ends: Mapping[TopicPartition, int]) -> Mapping[TopicPartition, int]:
        """Return the offset after the last record before each end, of the partitions that have any near their end."""
        if not self._consumer.assignment() and self._partitions:
            self._consumer.assign(self._partitions)
            for tp in self._partitions:
                self._consumer.seek(tp, max(0, ends[tp] - MOST_MARKERS))
        while behind := [tp for tp in self._partitions if await self._consumer.position(tp) < ends[tp]]:
            self._consumer.resume(*behind)
            for tp, records in (await self._consumer.getmany(timeout_ms=10)).items():
                self._after_last[tp] = records[-1].offset + 1
        # A fetch that waits for records holds up whatever else is asked of the broker.
        self._consumer.pause(*self._partitions)
        return self._after_last


@asynccontextmanager
async def watched(kafka: KafkaSettings, engine: AsyncEngine, workers: Iterable[Worker]) -> AsyncIterator[Pipeline]:
    """Give a Pipeline over what these workers follow, or raise BrokerUnreachable."""
    follows = {
        worker.group: [topic.name for subscription in worker.subscriptions for topic in subscription.topics]
        for worker in workers
        if worker.subscriptions
    }
    cluster_id = await broker.cluster_id(kafka)
    followed = [topic for topic in topics.ALL if any(topic.name in names for names in follows.values())]
    found = await broker.partitions_and_config(kafka, followed)
    partitions = {name: count for name, (count, _) in sorted(found.items())}
    async with (
        reader(kafka) as consumer,
        reader(kafka, "read_uncommitted") as uncommitted,
    ):
        yield Pipeline(consumer, uncommitted, engine, cluster_id, follows, partitions)


@asynccontextmanager
async def reader(kafka: KafkaSettings, isolation_level: str = "read_committed") -> AsyncIterator[AIOKafkaConsumer]:
    """Give a started consumer that belongs to no group, or raise BrokerUnreachable."""
    consumer = AIOKafkaConsumer(
        **kafka_client.arguments(kafka),
        client_id="vmi-pipeline",
        isolation_level=isolation_level,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
    except (KafkaError, OSError) as error:
        await consumer.stop()
        raise broker.BrokerUnreachable(await broker.why_not(kafka, error)) from None
    try:
        yield consumer
    finally:
        await consumer.stop()
