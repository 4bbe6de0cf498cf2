"""One shard's way to Kafka: its messages in their order, all or none of a batch, from one sender at a time."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from vmi_store.outbox import Unpublished

log = structlog.get_logger(__name__)

SEND_SECONDS = 20.0
"""A batch that is not through by then is given up and sent again."""

LARGEST_MESSAGE = 2 * 1024 * 1024


class Line:
    """Sends one shard.

    Its producer has a ``transactional.id`` of its own. Who starts a producer of that id fences whoever had it before:
    a relay that was frozen, lost its lease and wakes can send nothing more, and what it had begun is undone.
    """

    def __init__(self, transactional_id: str, client: Mapping[str, Any]) -> None:
        self._transactional_id = transactional_id
        self._client = client
        self._producer: AIOKafkaProducer | None = None

    async def send(self, messages: Sequence[Unpublished]) -> list[int]:
        """Send messages in their order, in one Kafka transaction; return the sequences that Kafka has for good.

        None of them if anything fails: they are sent again, under the same ids.
        """
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._send(messages)
        except (KafkaError, TimeoutError) as error:
            log.warning(
                "not sent; sent again soon",
                transactional_id=self._transactional_id,
                messages=len(messages),
                reason=f"{type(error).__name__}: {error}",
            )
            await self.close()
            return []
        return [message.sequence for message in messages]

    async def _send(self, messages: Sequence[Unpublished]) -> None:
        if self._producer is None:
            self._producer = await self._started()
        producer = self._producer
        async with producer.transaction():
            by_partition = await _by_partition(producer, messages)
            acknowledgements: list[asyncio.Future[Any]] = []
            for (topic, partition), some in by_partition.items():
                acknowledgements += await _handed_over(producer, topic, partition, some)
            await asyncio.gather(*acknowledgements)

    async def _started(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._client,
            client_id="vmi-relay",
            transactional_id=self._transactional_id,
            # What a relay leaves open when it is killed hides later messages from readers for so long, at most.
            transaction_timeout_ms=int(SEND_SECONDS * 1000),
            acks="all",
            max_batch_size=256 * 1024,
            max_request_size=LARGEST_MESSAGE,
            retry_backoff_ms=20,
        )
        try:
            await producer.start()
        except BaseException:
            await _ended(producer)
            raise
        return producer

    async def close(self) -> None:
        """Let go of the producer; the next message starts a new one, under a new epoch."""
        if self._producer is not None:
            producer, self._producer = self._producer, None
            await _ended(producer)


async def _by_partition(
    producer: AIOKafkaProducer, messages: Sequence[Unpublished]
) -> dict[tuple[str, int], list[Unpublished]]:
    """Return the messages of each topic's partition, in their order."""
    partitions = {topic: sorted(await producer.partitions_for(topic)) for topic in {one.topic for one in messages}}
    found: dict[tuple[str, int], list[Unpublished]] = defaultdict(list)
    for message in messages:
        there = partitions[message.topic]
        found[message.topic, there[_hash(message.key) % len(there)]].append(message)
    return found


@lru_cache(maxsize=65_536)
def _hash(key: str) -> int:
    """Return what places a key, as Kafka's own clients do: the same keys come again and again."""
    positive: int = murmur2(key.encode()) & 0x7FFFFFFF
    return positive


async def _handed_over(
    producer: AIOKafkaProducer, topic: str, partition: int, messages: Sequence[Unpublished]
) -> list[asyncio.Future[Any]]:
    """Give a partition's messages to the producer; return what will say that the broker has them.

    Whole batches: message by message each would have a future of its own, and cost twice as much.
    """
    acknowledgements = []
    batch = producer.create_batch()
    for message in messages:
        record = {
            "timestamp": None,
            "key": message.key.encode(),
            "value": message.payload,
            "headers": [(name, value.encode()) for name, value in message.headers.items()],
        }
        if batch.append(**record) is None:  # it is full; an empty one takes any message
            acknowledgements.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(**record)
    batch.close()
    acknowledgements.append(await producer.send_batch(batch, topic, partition=partition))
    return acknowledgements


async def _ended(producer: AIOKafkaProducer) -> None:
    # It waits for brokers that may be gone; and what it had fenced or aborted it reports once more.
    try:
        async with asyncio.timeout(2):
            await producer.stop()
    except (KafkaError, TimeoutError) as error:
        log.debug("a producer did not end cleanly", reason=str(error))
