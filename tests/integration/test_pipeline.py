"""What is still to be done is never taken for nothing: who waits for it to become nothing goes on too early."""

from itertools import pairwise
from uuid import uuid4

from aiokafka import AIOKafkaProducer
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_cli.workers import prepare
from vmi_contracts.topics import POSITIONS
from vmi_runtime import pipeline
from vmi_runtime.settings import DatabaseSettings, KafkaSettings, Settings
from vmi_runtime.worker import Subscription, Worker


async def test_a_message_counts_from_the_moment_its_transaction_has_ended(
    engine: AsyncEngine, kafka: str, database_url: str
) -> None:
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka), database=DatabaseSettings(url=SecretStr(database_url))
    )
    await prepare(settings)
    reader = Worker(
        f"nobody-{uuid4().hex}",
        subscriptions=(Subscription((POSITIONS,), decode=lambda records: records, apply=lambda *_: _nothing()),),
    )
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", transactional_id=f"test-{uuid4().hex}")
    await producer.start()
    try:
        async with pipeline.watched(settings.kafka, engine, [reader]) as pipe:
            behind = [(await pipe.backlog()).behind]
            for number in range(100):
                async with producer.transaction():
                    await producer.send_and_wait(POSITIONS.name, b"{}", partition=number % 8)
                behind.append((await pipe.backlog()).behind)
    finally:
        await producer.stop()

    assert [after > before for before, after in pairwise(behind)] == [True] * 100


async def _nothing() -> None:
    return None
