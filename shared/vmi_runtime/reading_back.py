"""Topics read from their beginning by a plain consumer that belongs to no group and commits nothing."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from vmi_runtime import broker, kafka_client
from vmi_runtime.broker import BrokerUnreachable
from vmi_runtime.settings import KafkaSettings
from vmi_runtime.worker import Record
from vmi_store import progress
from vmi_store.engine import Engine

RECORDS_AT_ONCE = 4000
FETCH_MS = 200


class Kept:
    """What topics hold today, from the oldest record that is kept."""

    def __init__(
        self, consumer: AIOKafkaConsumer, begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> None:
        self._consumer = consumer
        self._begins = begins
        self._ends = ends

    @property
    def total(self) -> int:
        """How many offsets there are to be read."""
        return sum(max(0, end - self._begins[tp]) for tp, end in self._ends.items())

    async def batches(self) -> AsyncIterator[tuple[Sequence[Record], int]]:
        """Yield records, each partition's in their order, and how many offsets are done."""
        behind = {tp for tp, end in self._ends.items() if end > self._begins[tp]}
        self._consumer.assign(sorted(behind))
        for tp in behind:
            self._consumer.seek(tp, self._begins[tp])
        done = dict.fromkeys(behind, 0)
        while behind:
            fetched: Mapping[TopicPartition, Sequence[Any]] = await self._consumer.getmany(
                *behind, timeout_ms=FETCH_MS, max_records=RECORDS_AT_ONCE
            )
            records = [one for tp, of_it in fetched.items() for one in of_it if one.offset < self._ends[tp]]
            for tp in sorted(behind):
                # Behind the last record there may stand markers of transactions: a position passes them.
                reached = await self._consumer.position(tp)
                done[tp] = min(reached, self._ends[tp]) - self._begins[tp]
                if reached >= self._ends[tp]:
                    behind.discard(tp)
                    self._consumer.pause(tp)
            if records:
                yield records, sum(done.values())


async def read_so_far(engine: Engine, kafka: KafkaSettings, group: str) -> Mapping[tuple[str, int], int]:
    """Return which offset of each partition a worker reads next; partitions that it never read are left out."""
    cluster_id = await broker.cluster_id(kafka)
    async with engine.connect() as connection:
        return {
            (one.topic, one.partition): one.next_offset
            for one in await progress.of_cluster(connection, cluster_id)
            if one.group == group and one.next_offset is not None
        }


@asynccontextmanager
async def kept(
    kafka: KafkaSettings, topics: Sequence[str], no_further: Mapping[tuple[str, int], int]
) -> AsyncIterator[Kept]:
    """Give what topics hold up to now, in some partitions ``no_further`` than an offset, or raise BrokerUnreachable."""
    consumer = AIOKafkaConsumer(
        **kafka_client.arguments(kafka),
        client_id="vmi-reading-back",
        group_id=None,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    try:
        try:
            await consumer.start()
            partitions = [tp for topic in topics for tp in await _partitions(consumer, topic)]
            begins = await consumer.beginning_offsets(partitions)
            ends = await consumer.end_offsets(partitions)
        except (KafkaError, OSError) as error:
            raise BrokerUnreachable(await broker.why_not(kafka, error)) from None
        yield Kept(
            consumer, begins, {tp: min(end, no_further.get((tp.topic, tp.partition), end)) for tp, end in ends.items()}
        )
    finally:
        await consumer.stop()


async def _partitions(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    metadata = await consumer._client.fetch_all_metadata()
    found = metadata.partitions_for_topic(topic)
    if not found:
        raise BrokerUnreachable(f"the topic {topic} does not exist; run: vmi topics create")
    return [TopicPartition(topic, number) for number in sorted(found)]
