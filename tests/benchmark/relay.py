"""The relay: from the commit of an outbox row to the record in a reader's hands, and how many it sends a second.

The relay runs as a process of its own. The reader is plain aiokafka that reads what is committed, as our workers do, so
the time includes the Kafka transaction and the fetch.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.vmi_testing import servers
from tests.vmi_testing.processes import started

from vmi_store import engine as engines
from vmi_store import outbox, schema_version
from vmi_store.outbox import OutboxMessage

PAYLOAD = b"x" * 400
KEYS = 200


class Arrivals:
    """When each message was committed to the outbox, and when it reached the reader."""

    def __init__(self) -> None:
        self.committed: dict[bytes, float] = {}
        self.seconds: list[float] = []
        self.count = 0

    async def read(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                now = time.perf_counter()
                self.count += len(records)
                for record in records:
                    written = self.committed.pop(dict(record.headers)["ce_id"], None)
                    if written is not None:
                        self.seconds.append(now - written)


async def write(engine: AsyncEngine, topic: str, messages: int) -> list[UUID]:
    ids = [uuid4() for _ in range(messages)]
    async with engine.begin() as connection:
        await outbox.add(
            connection,
            [OutboxMessage(topic, f"c|{id_.int % KEYS}", "c", "bench.v1", id_, "bench", PAYLOAD) for id_ in ids],
        )
    return ids


async def steadily(engine: AsyncEngine, topic: str, arrivals: Arrivals, *, rate: int, seconds: float) -> str:
    """Return the latency while ``rate`` messages a second are written, each in a transaction of its own."""
    arrivals.seconds.clear()
    begin = time.perf_counter()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, begin + number / rate - time.perf_counter()))
        [id_] = await write(engine, topic, 1)
        arrivals.committed[str(id_).encode()] = time.perf_counter()
    await asyncio.sleep(1)
    found = sorted(arrivals.seconds)
    p50, p99 = (found[int(len(found) * share)] * 1000 for share in (0.5, 0.99))
    return f"{rate:>6}/s one by one   p50 {p50:6.1f} ms   p99 {p99:6.1f} ms   most {found[-1] * 1000:6.1f} ms"


async def at_once(engine: AsyncEngine, topic: str, arrivals: Arrivals, *, messages: int) -> str:
    """Return how many a second are sent of a large backlog."""
    before = arrivals.count
    for _ in range(messages // 1000):
        await write(engine, topic, 1000)
    begin, start = time.perf_counter(), arrivals.count
    while arrivals.count < before + messages:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    rate = (arrivals.count - start) / (time.perf_counter() - begin)
    return f"a backlog of {messages:,}: {rate:,.0f} messages/s"


@asynccontextmanager
async def surroundings() -> AsyncIterator[tuple[AsyncEngine, str, Arrivals]]:
    with servers.local() as addresses, tempfile.TemporaryDirectory() as directory:
        databases = servers.Databases(addresses.database_url)
        url, kafka, topic = await databases.new(), addresses.bootstrap_servers, f"bench.{uuid4().hex[:8]}"
        engine = engines.create(url, application_name="bench")
        await schema_version.migrate(engine)
        admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
        await admin.start()
        await admin.create_topics([NewTopic(topic, 8, 1)])
        await admin.close()
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=kafka,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            fetch_max_wait_ms=100,
        )
        await consumer.start()
        arrivals = Arrivals()
        reading = asyncio.create_task(arrivals.read(consumer))
        variables = {"VMI_KAFKA__BOOTSTRAP_SERVERS": kafka, "VMI_DATABASE__URL": url}
        with started("vmi_relay", log=Path(directory) / "relay.log", **variables):
            await write(engine, topic, 100)
            while arrivals.count < 100:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            yield engine, topic, arrivals
        reading.cancel()
        await consumer.stop()
        await engine.dispose()
        await databases.drop_all()


async def run(seconds: float, backlog: int) -> None:
    async with surroundings() as (engine, topic, arrivals):
        for rate in (5, 50, 200):
            print(await steadily(engine, topic, arrivals, rate=rate, seconds=seconds))
        print(await at_once(engine, topic, arrivals, messages=backlog))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--backlog", type=int, default=50_000)
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, {KEYS} keys, {len(PAYLOAD)} bytes")
    asyncio.run(run(arguments.seconds, arguments.backlog))


if __name__ == "__main__":
    main()
