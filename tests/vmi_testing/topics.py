"""Topics for one test, and what a group has committed of them."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from uuid import uuid4

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.producer import message_accumulator
from aiokafka.producer import producer as producer_module
from aiokafka.record.default_records import DefaultRecordBatchBuilder, _DefaultRecordBatchBuilderPy


@asynccontextmanager
async def admin(kafka: str) -> AsyncIterator[AIOKafkaAdminClient]:
    """A client to manage the broker with."""
    client = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


async def new_topic(kafka: str, *, partitions: int = 4) -> str:
    """Return the name of a new topic that no other test knows."""
    name = f"test.{uuid4().hex[:12]}"
    async with admin(kafka) as client:
        await client.create_topics(
            [NewTopic(name, partitions, 1, topic_configs={"message.timestamp.type": "LogAppendTime"})]
        )
    return name


async def produce(kafka: str, topic: str, values: Iterable[bytes], *, transactional_id: str | None = None) -> None:
    """Send values, each under a key of its own, in one transaction if it has an id."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, transactional_id=transactional_id, linger_ms=2)
    await producer.start()
    try:
        if transactional_id is not None:
            await producer.begin_transaction()
        for place, value in enumerate(values):
            await producer.send(topic, value, key=str(place).encode())
        if transactional_id is not None:
            await producer.commit_transaction()
    finally:
        await producer.stop()


async def lag(kafka: str, group: str, topic: str) -> dict[int, int | None]:
    """Return, by partition, how many offsets a group has not committed; None where it never committed."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, group_id=group, enable_auto_commit=False)
    partitions = await _started(consumer, topic)
    try:
        ends = await consumer.end_offsets(partitions)
        committed = {tp: await consumer.committed(tp) for tp in partitions}
    finally:
        await consumer.stop()
    return {tp.partition: None if committed[tp] is None else ends[tp] - committed[tp] for tp in partitions}


async def read_all(kafka: str, topic: str) -> list[tuple[int, bytes | None, bytes | None, dict[str, bytes]]]:
    """Return partition, key, value and headers of all that was committed to a topic, by partition in order."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka, auto_offset_reset="earliest", isolation_level="read_committed", group_id=None
    )
    partitions = await _started(consumer, topic)
    try:
        consumer.assign(partitions)
        ends = await consumer.end_offsets(partitions)
        await consumer.seek_to_beginning()
        found = []
        behind = {tp for tp in partitions if ends[tp]}
        while behind:
            fetched = await consumer.getmany(timeout_ms=100)
            found += [
                (tp.partition, r.key, r.value, dict(r.headers)) for tp, records in fetched.items() for r in records
            ]
            behind = {tp for tp in behind if await consumer.position(tp) < ends[tp]}
    finally:
        await consumer.stop()
    return sorted(found, key=lambda record: record[0])


async def _started(consumer: AIOKafkaConsumer, topic: str) -> list[TopicPartition]:
    """Start a consumer that is not subscribed, and return the partitions of a topic."""
    await consumer.start()
    metadata = await consumer._client.fetch_all_metadata()
    return [TopicPartition(topic, partition) for partition in sorted(metadata.partitions_for_topic(topic) or ())]


class _Unencodable(str):
    """A header name that goes over the wire as bytes that are no UTF-8, as clients in other languages can send it."""

    __slots__ = ()

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        return b"caf\xe9"


async def produce_with_a_broken_header(kafka: str, topic: str, value: bytes, partition: int) -> None:
    """Send a record with a header whose name cannot be read."""
    usual = DefaultRecordBatchBuilder
    for module in (producer_module, message_accumulator):
        module.DefaultRecordBatchBuilder = _DefaultRecordBatchBuilderPy
    try:
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            await producer.send_and_wait(topic, value, partition=partition, headers=[(_Unencodable("x"), b"y")])
    finally:
        for module in (producer_module, message_accumulator):
            module.DefaultRecordBatchBuilder = usual
