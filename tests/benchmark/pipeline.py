"""The whole pipeline: its peak, the time from event to proposal at half of it, and what the workers hold in memory.

All four workers run as processes of their own on a broker and a database of their own. Every event is a single-line
sale that changes its item's proposal (pack 1; events are a microsecond apart, so that no expected demand passes by
between them), so each event has a first proposal that shows it: the first whose
explanation starts from a stock that is no higher than what the sale left. Its latency is that record's append time less
the sale's own, both by the broker's clock; events that share a proposal each count.
"""

import argparse
import asyncio
import bisect
import random
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter

import numpy as np
import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.vmi_testing import builders
from tests.vmi_testing.waiting import until

from vmi_cli.supervision import WORKERS, Supervisor
from vmi_cli.surroundings import environment_of
from vmi_cli.workers import defined, prepare
from vmi_contracts import topics, writing
from vmi_contracts.outbound import ProposalsIssued
from vmi_local import local_servers
from vmi_runtime import pipeline
from vmi_runtime.clock import ClockMode
from vmi_runtime.pipeline import Pipeline
from vmi_runtime.settings import DatabaseSettings, KafkaSettings, Settings
from vmi_store import engine as engines

CUSTOMER = "bench"
OPENING_STOCK = 10_000
MORNING = datetime(2025, 3, 4, 6, tzinfo=UTC)
Series = tuple[str, str]
"""Location and item."""


@dataclass
class Run:
    """A running pipeline with its load, and what came out of it."""

    supervisor: Supervisor
    servers: dict[str, psutil.Process]
    """Broker and database."""
    producer: AIOKafkaProducer
    pipeline: Pipeline
    series: list[Series]
    sold: dict[Series, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Append time, in seconds, of each series' sales, in their order."""
    shown: dict[Series, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    """Append time of each proposal, and how many sales its stock shows."""
    sent: int = 0

    async def sell(self, series: Series) -> asyncio.Future[object]:
        """Send one single-line sale; the future is its record's metadata."""
        self.sent += 1
        location, item = series
        sale = builders.sale(CUSTOMER, {item: 1}, MORNING + timedelta(microseconds=self.sent), location)
        record = writing.record(sale, source="/bench", message_id=str(self.sent))
        future = await self.producer.send(topics.SALES.name, record.value, key=record.key, headers=record.headers)
        future.add_done_callback(lambda done: self.sold[series].append(done.result().timestamp / 1000))
        return future  # type: ignore[no-any-return]

    async def drained(self) -> None:
        """Wait until all that was sent is read by everybody and published."""

        async def at_rest() -> bool:
            return (await self.pipeline.backlog()).behind == 0

        await until(at_rest, seconds=600)

    async def read(self, consumer: AIOKafkaConsumer) -> None:
        """Take down proposals as they come, until cancelled."""
        async for record in consumer:
            document = ProposalsIssued.model_validate_json(record.value)
            for line in document.lines:
                usable = float(line.explanation["inputs"]["position"]["usable"])
                self.shown[document.location_id, line.item_id].append(
                    (record.timestamp / 1000, int(OPENING_STOCK - usable))
                )

    def latencies(self, since: dict[Series, int]) -> np.ndarray | None:
        """Return, for each sale after the first ``since`` of its series, when it was and how long no proposal told it.

        None while there is a sale that no proposal has shown.
        """
        found = []
        for series, times in self.sold.items():
            proposals = self.shown[series]
            levels = [level for _, level in proposals]
            for number in range(since.get(series, 0) + 1, len(times) + 1):
                place = bisect.bisect_left(levels, number)
                if place == len(proposals):
                    return None
                found.append((times[number - 1], proposals[place][0] - times[number - 1]))
        return np.array(sorted(found))

    def memory_mb(self) -> dict[str, float]:
        """Return each worker's resident memory; of several processes of one, that of the largest."""
        held: dict[str, float] = {}
        for worker in self.supervisor.workers:
            if worker.process is not None:
                resident = psutil.Process(worker.process.pid).memory_info().rss / 2**20
                held[worker.name] = max(held.get(worker.name, 0.0), resident)
        return held

    def cpu_seconds(self) -> dict[str, float]:
        """Return the processor time that workers, database and broker have used, and this load itself."""
        used = {"load": _cpu_seconds(psutil.Process())}
        for worker in self.supervisor.workers:
            if worker.process is not None:
                seconds = _cpu_seconds(psutil.Process(worker.process.pid))
                used[worker.name] = used.get(worker.name, 0.0) + seconds
        for name, server in self.servers.items():
            used[name] = sum(map(_cpu_seconds, (server, *server.children(recursive=True))))
        return used


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


async def _servers(engine: AsyncEngine, bootstrap_servers: str) -> dict[str, psutil.Process]:
    """Return the processes of broker and database; a database's backends are children of its first process."""
    port = int(bootstrap_servers.rpartition(":")[2])
    listening = [one for one in psutil.net_connections("tcp") if one.status == "LISTEN" and one.laddr.port == port]
    async with engine.connect() as connection:
        backend = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
    database = psutil.Process(backend).parent()
    assert database is not None
    return {"database": database, "broker": psutil.Process(listening[0].pid)}


@asynccontextmanager
async def running(locations: int, items: int, twice: Sequence[str] = ()) -> AsyncIterator[Run]:
    """Give a pipeline whose every series has an agreement, an opening stock and a first proposal.

    Workers that ``twice`` names run in two processes.
    """
    with tempfile.TemporaryDirectory() as directory, local_servers(Path(directory)) as addresses:
        settings = Settings(
            clock=ClockMode.EVENTS,
            kafka=KafkaSettings(bootstrap_servers=addresses.bootstrap_servers),
            database=DatabaseSettings(url=SecretStr(addresses.database_url)),
        )
        await prepare(settings)
        supervisor = Supervisor([*WORKERS, *twice], environment_of(settings), lambda name, line: None)
        keeping = asyncio.create_task(supervisor.run())
        engine = engines.create(addresses.database_url, application_name="vmi-bench")
        producer = AIOKafkaProducer(bootstrap_servers=addresses.bootstrap_servers, acks="all", linger_ms=2)
        consumer = AIOKafkaConsumer(
            topics.PROPOSALS.name,
            bootstrap_servers=addresses.bootstrap_servers,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
        )
        await producer.start()
        await consumer.start()
        places = [f"store-{number:03}" for number in range(locations)]
        names = [f"item-{number:03}" for number in range(items)]
        async with pipeline.watched(settings.kafka, engine, [defined(name) for name in WORKERS]) as pipe:
            servers = await _servers(engine, addresses.bootstrap_servers)
            run = Run(supervisor, servers, producer, pipe, [(place, name) for place in places for name in names])
            reading = asyncio.create_task(run.read(consumer))
            try:
                await _introduce(run, places, names)
                yield run
            finally:
                reading.cancel()
                supervisor.stop()
                await keeping
                await consumer.stop()
                await producer.stop()
        await engine.dispose()


async def _introduce(run: Run, places: list[str], names: list[str]) -> None:
    documents: list[tuple[topics.Topic, writing.Writable]] = [
        *((topics.CATALOGUE, builders.location(CUSTOMER, place)) for place in places),
        *((topics.CATALOGUE, builders.item(CUSTOMER, name)) for name in names),
        *(
            (
                topics.AGREEMENTS,
                # Where demand is lost, large quantities follow the stock in steps of several units, not sale by sale.
                builders.agreement(
                    CUSTOMER, name, place, expected_daily_demand=OPENING_STOCK, unmet_demand="backordered"
                ),
            )
            for place in places
            for name in names
        ),
        *((topics.STOCK, builders.stock(CUSTOMER, dict.fromkeys(names, OPENING_STOCK), MORNING, p)) for p in places),
    ]
    for number, (topic, document) in enumerate(documents):
        record = writing.record(document, source="/bench/master", message_id=str(number))
        await run.producer.send(topic.name, record.value, key=record.key, headers=record.headers)
    await run.producer.flush()
    await run.drained()


async def peak(run: Run, events: int) -> float:
    """Return events a second when all are there at once."""
    chosen = random.Random(1).choices(run.series, k=events)
    began = perf_counter()
    for series in chosen:
        await run.sell(series)
    await run.producer.flush()
    await run.drained()
    return events / (perf_counter() - began)


async def steadily(run: Run, rate: float, seconds: float) -> np.ndarray:
    """Send at a steady rate; return, a row an event in the order sold, when it was and its latency, both in seconds."""
    since = {series: len(times) for series, times in run.sold.items()}
    chosen = random.Random(2)
    began = perf_counter()
    sent = 0
    while (elapsed := perf_counter() - began) < seconds:
        while sent < elapsed * rate:
            await run.sell(chosen.choice(run.series))
            sent += 1
        await asyncio.sleep(0.005)
    await run.producer.flush()
    await run.drained()
    # What is published is still being read by us.
    found = await until(lambda: run.latencies(since), lambda times: times is not None, seconds=60)
    assert found is not None
    return found


async def watched_memory(run: Run) -> list[tuple[float, dict[str, float]]]:
    """Return the workers' memory, each second, with the minute it was looked at, until cancelled."""
    began, seen = perf_counter(), []
    try:
        while True:
            seen.append(((perf_counter() - began) / 60, run.memory_mb()))
            await asyncio.sleep(1)
    except asyncio.CancelledError:
        return seen


def growth(seen: list[tuple[float, dict[str, float]]], name: str) -> float:
    """Return by how many MB a minute a worker grew, over the second half of what was seen (least squares)."""
    late = seen[len(seen) // 2 :]
    return float(np.polyfit([minute for minute, _ in late], [memory[name] for _, memory in late], 1)[0])


async def measured(arguments: argparse.Namespace) -> None:
    """Print the table."""
    async with running(arguments.locations, arguments.items, arguments.twice) as run:
        await peak(run, arguments.events // 4)  # warm
        at_start = run.memory_mb()
        before = run.cpu_seconds()
        highest = await peak(run, arguments.events)
        used = {name: seconds - before[name] for name, seconds in run.cpu_seconds().items()}
        after_peak = run.memory_mb()
        rate = arguments.rate or highest / 2
        watching = asyncio.create_task(watched_memory(run))
        await asyncio.sleep(0)
        times = await steadily(run, rate, arguments.seconds)
        watching.cancel()
        seen = await watching
        at_end = run.memory_mb()
        deaths = sum(worker.deaths for worker in run.supervisor.workers)
    latencies = times[:, 1]
    p50, p99, longest = np.percentile(latencies, [50, 99, 100])
    print(f"series {arguments.locations * arguments.items}, single-line sales, four workers on this machine")
    print(f"peak of the whole pipeline   {highest:10,.0f} events/s ({arguments.events:,} events at once)")
    each = {name: 1e6 * seconds / arguments.events for name, seconds in used.items()}
    print(
        f"processor time an event       {sum(each.values()):9,.0f} µs: "
        + ", ".join(f"{name} {microseconds:,.0f}" for name, microseconds in each.items())
    )
    print(f"steadily, half of it         {rate:10,.0f} events/s for {arguments.seconds:g} s, {len(times):,} events")
    print(
        f"event to proposal            p50 {p50:.3f} s   p99 {p99:.3f} s   longest {longest:.3f} s   (asked: p99 < 1 s)"
    )
    parts = np.array_split(latencies, 10)
    print("  p99 of each tenth of it     " + " ".join(f"{np.percentile(part, 99):.2f}" for part in parts))
    print(
        f"{'memory, MB':28} {'warm':>8} {'peak':>8} {'end':>8} {'a minute':>9}   (asked: below 300, flat);"
        f" deaths {deaths}"
    )
    for name in at_start:
        print(
            f"  {name:26} {at_start[name]:8.0f} {after_peak[name]:8.0f} {at_end[name]:8.0f} {growth(seen, name):+9.2f}"
        )


def main() -> None:
    """Run it: ``python -m tests.benchmark pipeline [--events N] [--seconds S] [--rate R] [--twice NAME]``."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmark pipeline", description=__doc__)
    parser.add_argument("--events", type=int, default=40_000)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--locations", type=int, default=20)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--rate", type=float, help="events a second, in place of half the peak")
    parser.add_argument("--twice", nargs="*", default=(), choices=WORKERS, help="workers that run in two processes")
    asyncio.run(measured(parser.parse_args()))


if __name__ == "__main__":
    main()
