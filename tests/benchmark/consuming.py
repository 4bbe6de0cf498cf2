"""Consuming alone: an agent of ours that counts, beside plain aiokafka, Quix Streams and stock Faust.

Every contender is a process of its own on one core, with a group of its own, and reads the same topic from its
beginning; time runs from the first record to the last. They take turns, several rounds of them, and the ratio is the
median of the rounds' ratios, since a machine that others use is never twice the same.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from uuid import uuid4

RECORD_BYTES = 400
PARTITIONS = 4


class Count:
    """Counts records, and ends the process when all have come."""

    def __init__(self, records: int) -> None:
        self._left = self._records = records
        self._started = 0.0

    def __call__(self, records: int) -> None:
        if not self._started:
            # Only what comes after the first records is measured: a group takes its time to form.
            self._started = time.perf_counter()
            self._records -= records
        self._left -= records
        if self._left <= 0:
            seconds = time.perf_counter() - self._started
            print(json.dumps({"rate": self._records / seconds}), flush=True)
            os._exit(0)


def ours(kafka: str, topic: str, count: Count) -> None:
    """The batch path, with the one agent of vmi_runtime.consuming."""
    import uvloop

    from vmi_runtime import consuming, faust_app, process
    from vmi_runtime.settings import KafkaSettings, Settings

    async def write(chunks):
        count(sum(len(chunk.records) for chunk in chunks))
        return chunks

    async def run() -> None:
        settings = Settings(kafka=KafkaSettings(bootstrap_servers=kafka))
        app = faust_app.create(settings, f"bench-{uuid4().hex}")
        consuming.follow(app, [topic], lambda chunks: chunks, write)
        app.finalize()
        await app.start()
        await app.wait_until_crashed()

    process.collect_garbage_less_often()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(run())


def getmany(kafka: str, topic: str, count: Count) -> None:
    """Plain aiokafka: the limit of what Faust, which stands on it, can reach."""
    import uvloop
    from aiokafka import AIOKafkaConsumer

    async def run() -> None:
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=kafka,
            group_id=f"bench-{uuid4().hex}",
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            auto_commit_interval_ms=1000,
        )
        await consumer.start()
        while True:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                count(len(records))

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(run())


def getmany_tuned(kafka: str, topic: str, count: Count) -> None:
    """The same with the garbage collector set as our workers set it."""
    from vmi_runtime import process

    process.collect_garbage_less_often()
    getmany(kafka, topic, count)


def quix(kafka: str, topic: str, count: Count) -> None:
    """Quix Streams: a dataframe that counts, on librdkafka."""
    from quixstreams import Application

    app = Application(
        broker_address=kafka,
        consumer_group=f"bench-{uuid4().hex}",
        auto_offset_reset="earliest",
        commit_interval=1.0,
        auto_create_topics=False,
        loglevel="ERROR",
    )
    frame = app.dataframe(app.topic(topic, value_deserializer="bytes"))
    frame.update(lambda value: count(1))
    app.run()


def stock_faust(kafka: str, topic: str, count: Count) -> None:
    """Faust as it comes: an agent over events."""
    import faust
    import uvloop

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())

    async def run() -> None:
        app = faust.App(
            f"bench-{uuid4().hex}",
            broker=f"kafka://{kafka}",
            value_serializer="raw",
            datadir="/tmp",
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
        )

        @app.agent(app.topic(topic))
        async def agent(stream):
            async for _ in stream:
                count(1)

        app.finalize()
        await app.start()
        await asyncio.Event().wait()

    asyncio.run(run())


CONTENDERS: dict[str, Callable[[str, str, Count], None]] = {
    "ours": ours,
    "aiokafka getmany": getmany,
    "getmany, gc as ours": getmany_tuned,
    "Quix Streams": quix,
    "stock Faust": stock_faust,
}


async def fill(kafka: str, topic: str, records: int) -> None:
    """Make the topic, and put records on it."""
    from aiokafka import AIOKafkaProducer
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=5, max_batch_size=256 * 1024)
    await producer.start()
    value = b"x" * RECORD_BYTES
    for number in range(records):
        await producer.send(topic, value, key=b"customer|%d" % (number % 1000))
    await producer.stop()


def measure(name: str, kafka: str, topic: str, records: int, core: int) -> float:
    """Return the records a second of one contender in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmark.consuming", "--as", name, "--kafka", kafka, "--topic", topic]
    result = subprocess.run(
        [*command, "--records", str(records), "--core", str(core)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if result.returncode:
        raise RuntimeError(f"{name}: {result.stderr}")
    return float(json.loads(result.stdout.splitlines()[-1])["rate"])


def table(rates: dict[str, list[float]], against: Iterable[str]) -> None:
    """Print medians of rates, and medians of the rounds' ratios."""
    print(f"{'':22}{'records/s':>12}" + "".join(f"{'/ ' + name:>22}" for name in against))
    for name, measured in rates.items():
        ratios = (statistics.median(a / b for a, b in zip(measured, rates[other], strict=True)) for other in against)
        print(f"{name:22}{statistics.median(measured):12,.0f}" + "".join(f"{ratio:22.2f}" for ratio in ratios))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=(os.cpu_count() or 1) - 1)
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS), help="of " + ", ".join(CONTENDERS))
    parser.add_argument("--as", dest="contender")
    parser.add_argument("--kafka")
    parser.add_argument("--topic")
    arguments = parser.parse_args()
    if arguments.contender:
        os.sched_setaffinity(0, {arguments.core})
        CONTENDERS[arguments.contender](arguments.kafka, arguments.topic, Count(arguments.records))
        return
    from tests.vmi_testing import servers

    with servers.local() as addresses:
        kafka, topic = addresses.bootstrap_servers, f"bench.{uuid4().hex[:8]}"
        asyncio.run(fill(kafka, topic, arguments.records))
        rates: dict[str, list[float]] = {name: [] for name in arguments.contenders}
        for _ in range(arguments.rounds):
            for name, measured in rates.items():
                # Stock Faust would take minutes for what the others read in seconds.
                records = arguments.records if name != "stock Faust" else arguments.records // 20
                measured.append(measure(name, kafka, topic, records, arguments.core))
    print(f"{arguments.records:,} records of {RECORD_BYTES} bytes, {arguments.rounds} rounds, one core each")
    table(rates, [name for name in ("aiokafka getmany", "getmany, gc as ours", "Quix Streams") if name in rates])


if __name__ == "__main__":
    main()
