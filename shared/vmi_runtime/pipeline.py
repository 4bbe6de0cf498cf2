"""How far behind the pipeline is: what each group has not yet read, and what waits to be published."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts import topics
from vmi_runtime import broker, kafka_client
from vmi_runtime.settings import KafkaSettings
from vmi_runtime.worker import Worker
from vmi_store import outbox, progress

WRITTEN_BY_THE_RELAY: Final = {topic.name for topic in (topics.POSITIONS, topics.FORECASTS, topics.PROPOSALS)}
"""The relay writes in Kafka transactions: behind the last record stand commit markers, which nobody reads."""
MOST_MARKERS: Final = 64
"""Shards share a partition, so several markers may stand there in a row; more offsets than these are records too."""


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """How far one group is behind in one partition. From the database's progress, not from Kafka's commits."""

    group: str
    topic: str
    partition: int
    behind: int
    """Records (and, while there is more to do, now and then a marker that nobody reads)."""
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
        engine: AsyncEngine,
        cluster_id: str,
        follows: Mapping[str, Sequence[str]],
        partitions: Mapping[str, int],
    ) -> None:
        self._consumer = consumer
        self._engine = engine
        self._cluster_id = cluster_id
        self._follows = follows
        self._partitions = [
            TopicPartition(topic, number) for topic, count in partitions.items() for number in range(count)
        ]
        self._markers_only: dict[TopicPartition, tuple[int, int]] = {}
        """From where to where a partition was found to hold no records."""

    async def backlog(self) -> Backlog:
        """Return what is still to be done, now.

        The order matters to whoever waits for it to become nothing. A batch moves its progress in the transaction that
        writes its outbox, so these two are read at one instant; a message leaves the outbox only after it stands in
        its topic, so the topics' ends are read after that.
        """
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            reached = {
                (row.group, row.topic, row.partition): row
                for row in await progress.of_cluster(connection, self._cluster_id)
            }
            unpublished, oldest = await outbox.waiting(connection)
        ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(self._partitions)
        unread = [tp for tp in self._partitions if ends[tp] > 0]
        begins: Mapping[TopicPartition, int] = await self._consumer.beginning_offsets(unread) if unread else {}
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
                        behind=max(0, ends[tp] - start),
                        owner=row.owner if row else None,
                        advanced_at=row.advanced_at if row else None,
                    )
                )
        return Backlog(await self._without_markers(lags, ends), unpublished, oldest)

    async def _without_markers(
        self, lags: Sequence[PartitionLag], ends: Mapping[TopicPartition, int]
    ) -> Sequence[PartitionLag]:
        """Return the lags without what nobody reads. It takes a look at the records, so only small rests are judged."""
        judged = []
        for lag in lags:
            tp = TopicPartition(lag.topic, lag.partition)
            small = lag.topic in WRITTEN_BY_THE_RELAY and 0 < lag.behind <= MOST_MARKERS
            done = small and await self._holds_no_records(tp, ends[tp] - lag.behind, ends[tp])
            judged.append(replace(lag, behind=0) if done else lag)
        return judged

    async def _holds_no_records(self, tp: TopicPartition, start: int, end: int) -> bool:
        known_start, known_end = self._markers_only.get(tp, (end, end))
        if known_start <= start and end <= known_end:
            return True
        self._consumer.assign([tp])
        self._consumer.seek(tp, start)
        while await self._consumer.position(tp) < end:
            if await self._consumer.getmany(tp, timeout_ms=20, max_records=1):
                return False
        self._markers_only[tp] = (start, end)
        return True


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
    consumer = AIOKafkaConsumer(
        **kafka_client.arguments(kafka),
        client_id="vmi-pipeline",
        isolation_level="read_committed",
        enable_auto_commit=False,
    )
    try:
        await consumer.start()
    except (KafkaError, OSError) as error:
        await consumer.stop()
        raise broker.BrokerUnreachable(f"no Kafka answers at {kafka.bootstrap_servers} ({error})") from None
    try:
        yield Pipeline(consumer, engine, cluster_id, follows, partitions)
    finally:
        await consumer.stop()
