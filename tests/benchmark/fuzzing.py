"""Malformed messages through the real inventory worker: none stops a partition, and its memory stays flat.

Records that are no documents (random bytes, deep and endless JSON, NaN, NUL characters, broken UTF-8, endless numbers,
whole and broken headers; drawn by a seed) go onto the topics of sales, stock and orders, and one good sale after each
hundred of them. Printed are the memory of the worker after each tenth, and at the end what is in quarantine and how
many of the good ones count: all of both, and memory that stands still, or this ends with status 1.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path
from random import Random

import psutil
from aiokafka import AIOKafkaProducer
from pydantic import SecretStr
from sqlalchemy import text
from tests.chaos.load import malformed
from tests.vmi_testing import builders, servers
from tests.vmi_testing.processes import started
from tests.vmi_testing.waiting import until

from vmi_cli.workers import defined, prepare
from vmi_contracts import envelope, topics, writing
from vmi_runtime import pipeline
from vmi_runtime.settings import DatabaseSettings, KafkaSettings, Settings
from vmi_store import engine as engines

CUSTOMER = "fuzz"
TOPICS = (topics.SALES.name, topics.STOCK.name, topics.ORDERS.name)
GOOD_EVERY = 100
MOST_GROWTH = 0.1
"""Of the worker's memory, from the first tenth to the last."""


async def send(kafka: str, chance: Random, first: int, records: int) -> None:
    """Put malformed records on the topics, and good ones among them."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=20)
    await producer.start()
    try:
        for number in range(first, first + records):
            usual = envelope.headers(source="/fuzz", message_id=f"bad-{number}", message_type="vmi.sales-recorded.v1")
            value, headers = malformed(chance, usual)
            key = f"{CUSTOMER}|store-{chance.randrange(20)}".encode()
            await producer.send(chance.choice(TOPICS), value, key=key, headers=headers)
            if number % GOOD_EVERY == 0:
                made = writing.record(builders.sale(CUSTOMER, {"milk": 1}), source="/fuzz", message_id=f"good-{number}")
                await producer.send(topics.SALES.name, made.value, key=made.key, headers=made.headers)
    finally:
        await producer.stop()


async def run(arguments: argparse.Namespace, kafka: str, url: str, log: Path) -> bool:
    """Return whether every record was put aside or counted, and the worker holds no more for it."""
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=kafka), database=DatabaseSettings(url=SecretStr(url)), log_level="error"
    )
    await prepare(settings)
    engine = engines.create(url, application_name="fuzzing")
    variables = {"VMI_KAFKA__BOOTSTRAP_SERVERS": kafka, "VMI_DATABASE__URL": url, "VMI_LOG_LEVEL": "warning"}
    chance = Random(arguments.seed)
    tenth = arguments.records // 10
    begin = time.perf_counter()
    held_bytes = []
    with started("vmi_inventory", log=log, **variables) as worker:
        introduction = [builders.location(CUSTOMER, "store-1"), builders.item(CUSTOMER, "milk")]
        producer = AIOKafkaProducer(bootstrap_servers=kafka)
        await producer.start()
        for document in introduction:
            made = writing.record(document, source="/fuzz", message_id=document.key)
            topic = topics.of_type(document.message_type).name
            await producer.send_and_wait(topic, made.value, key=made.key, headers=made.headers)
        await producer.stop()
        process = psutil.Process(worker.pid)
        async with pipeline.watched(settings.kafka, engine, [defined("inventory")]) as pipe:

            async def behind() -> int:
                return sum(one.behind for one in (await pipe.backlog()).partitions)

            for part in range(10):
                await send(kafka, chance, part * tenth, tenth)
                await until(behind, lambda left: left == 0, seconds=600, every=0.5)
                held_bytes.append(process.memory_info().rss)
                print(
                    f"  {(part + 1) * tenth:>9,} malformed: {held_bytes[-1] / 2**20:6.0f} MB, "
                    f"{time.perf_counter() - begin:4.0f} s",
                    flush=True,
                )
        alive = worker.poll() is None
    async with engine.connect() as connection:
        held = (await connection.execute(text("SELECT count(*) FROM quarantine"))).scalar_one()
        counted = (
            await connection.execute(
                text("SELECT count(*) FROM journal WHERE customer_id = :customer"), {"customer": CUSTOMER}
            )
        ).scalar_one()
    await engine.dispose()
    sent, good = tenth * 10, -(-tenth * 10 // GOOD_EVERY)
    growth = held_bytes[-1] / held_bytes[0] - 1
    print(
        f"{held:,} of {sent:,} in quarantine, {counted:,} of {good:,} good ones count, the worker lives: {alive}, "
        f"its memory grew by {growth:.1%}"
    )
    return bool(held == sent and counted == good and alive and growth < MOST_GROWTH)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=100_000, help="malformed messages (default: 100,000)")
    parser.add_argument("--seed", type=int, default=8)
    arguments = parser.parse_args()
    with servers.local() as addresses, tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "worker.log"
        if not asyncio.run(run(arguments, addresses.bootstrap_servers, addresses.database_url, log)):
            print(log.read_text()[-2000:])
            sys.exit(1)


if __name__ == "__main__":
    main()
