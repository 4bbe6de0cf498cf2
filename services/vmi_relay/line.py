"""One shard's way to Kafka: its messages in their order, all or none of a batch, from one sender at a time."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

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
            acknowledgements = [
                await producer.send(
                    message.topic,
                    key=message.key.encode(),
                    value=message.payload,
                    headers=[(name, value.encode()) for name, value in message.headers.items()],
                )
                for message in messages
            ]
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


async def _ended(producer: AIOKafkaProducer) -> None:
    # It waits for brokers that may be gone; and what it had fenced or aborted it reports once more.
    try:
        async with asyncio.timeout(2):
            await producer.stop()
    except (KafkaError, TimeoutError) as error:
        log.debug("a producer did not end cleanly", reason=str(error))
