"""The inventory worker: its own SQL against a bare upsert, the whole worker against its SQL, and beside it the same job
written with plain aiokafka and with Quix Streams.

* **bare**: an upsert of as many rows by ``unnest`` into a table with the position's key, 2,000 rows a transaction.
* **S**: the worker's own statements fed from memory, 2,000 lines a transaction: master data held, inbox, journal,
  locks, positions and daily balances, watermarks, outbox, commit. Reading JSON and checking lines is not in it.
* **worker**: the inventory worker from Kafka, with everything, and as many lines in a transaction.
* **aiokafka**, **Quix Streams**: the same reading, the same SQL, the same transactions, offsets committed after each.
* **worker as set**: with the limits it has by itself, 2,000 documents or 2 MB in a transaction.

Every contender is a process of its own on one core, and starts on a database of its own in which 20 stores with 200
items each are known and agreed. They take turns; ratios are medians over the rounds. Each round is printed, for bare
and S with the microseconds of a line: on the clock, and of the cores of Python and of Postgres.
"""

import argparse
import asyncio
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.vmi_testing.waiting import until

from vmi_contracts import envelope, topics
from vmi_contracts.inbound import AgreementMade, ItemDefined, LocationDefined, SalesRecorded
from vmi_inventory.documents import Post, read_facts
from vmi_inventory.lines import Accepted, accept
from vmi_inventory.master_data import Entries, record_master_data
from vmi_inventory.recording import Facts
from vmi_runtime.clock import Clock
from vmi_runtime.worker import FetchedRecord, Record, Transaction
from vmi_store import engine as engines
from vmi_store import inbox, progress, schema_version

CUSTOMER = "bench"
STORES = [f"{store:04}" for store in range(20)]
ITEMS = [f"{item:08}" for item in range(200)]
LINES_AT_ONCE = 2000
PARTITIONS = 8
BEGIN = datetime(2025, 3, 4, 6, tzinfo=UTC)
TOPIC = topics.SALES.name


# The load ------------------------------------------------------------------------------------------------------------


WEIGHTS = [1 / rank**0.8 for rank in range(1, len(ITEMS) + 1)]
"""Some items sell more than others. So weighted, 2,000 lines touch 1,200 keys, as 2,000 consecutive sales of the
Complete Journey's 20 busiest stores and 200 busiest product types do."""


def some_items(chance: random.Random, count: int) -> list[str]:
    """Return different items, those that sell more rather than the others."""
    if count == 1:
        return chance.choices(ITEMS, WEIGHTS)
    ranked = sorted(zip(WEIGHTS, ITEMS, strict=True), key=lambda one: chance.random() ** (1 / one[0]), reverse=True)
    return [item for _, item in ranked[:count]]


def sales(lines: int, lines_each: int) -> Iterator[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """Yield key, value and headers of documents that together have so many lines; half a second between two lines."""
    chance = random.Random(7)
    for number in range(lines // lines_each):
        store = chance.choice(STORES)
        at = BEGIN + timedelta(milliseconds=500 * number * lines_each)
        document = {
            "customer_id": CUSTOMER,
            "location_id": store,
            "occurred_at": at.isoformat(),
            "lines": [
                {"item_id": item, "quantity": str(chance.randint(1, 4))} for item in some_items(chance, lines_each)
            ],
        }
        headers = envelope.headers(source="/bench/pos", message_id=str(number), message_type=SalesRecorded.message_type)
        yield f"{CUSTOMER}|{store}".encode(), json.dumps(document, separators=(",", ":")).encode(), headers


async def fill(kafka: str, lines: int, lines_each: int) -> None:
    """Make the topic anew and put the documents on it."""
    from aiokafka import AIOKafkaProducer
    from aiokafka.admin import AIOKafkaAdminClient, NewTopic

    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    names = [topics.SALES.name, topics.STOCK.name, topics.ORDERS.name]
    if TOPIC in await admin.list_topics():
        await admin.delete_topics(names)

        async def gone() -> bool:
            return not set(names) & set(await admin.list_topics())

        await until(gone, seconds=60)
    await admin.create_topics(
        [NewTopic(name, PARTITIONS, 1, topic_configs={"message.timestamp.type": "LogAppendTime"}) for name in names]
    )
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=kafka, linger_ms=20, max_batch_size=256 * 1024)
    await producer.start()
    for key, value, headers in sales(lines, lines_each):
        await producer.send(TOPIC, value, key=key, headers=headers)
    await producer.stop()


async def introduce(url: str) -> None:
    """Migrate a database, let stores and items be known and agreed, and make room for the bare upsert."""
    engine = engines.create(url, application_name="bench")
    await schema_version.migrate(engine)
    entries = Entries()
    for store in STORES:
        entries.locations.append(
            (LocationDefined(customer_id=CUSTOMER, location_id=store, time_zone="Europe/Berlin"), BEGIN)
        )
        entries.agreements += [
            (AgreementMade(customer_id=CUSTOMER, location_id=store, item_id=item, supplier_id="s"), BEGIN)
            for item in ITEMS
        ]
    entries.items += [(ItemDefined(customer_id=CUSTOMER, item_id=item), BEGIN) for item in ITEMS]
    async with engine.begin() as connection:
        await record_master_data(entries, Transaction(connection, Clock()))
        await connection.execute(
            text("""
                CREATE TABLE bare (
                    customer_id text NOT NULL, location_id text NOT NULL, item_id text NOT NULL,
                    quantity numeric(20, 6) NOT NULL, PRIMARY KEY (customer_id, location_id, item_id)
                ) WITH (fillfactor = 70)
            """)
        )
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))
    await engine.dispose()


# The contenders ------------------------------------------------------------------------------------------------------


class Meter:
    """Counts lines, and ends the process when all have come."""

    def __init__(self, lines: int) -> None:
        self._lines = self._left = lines
        self._transactions = 0
        self._started = self._computed = 0.0

    def __call__(self, lines: int) -> None:
        if not self._started:
            # Groups take their time to form and statements to be prepared: only what follows is measured.
            self._started, self._computed = time.perf_counter(), time.process_time()
            self._lines -= lines
        else:
            self._transactions += 1
        self._left -= lines
        if self._left <= 0:
            seconds = time.perf_counter() - self._started
            spent = (time.process_time() - self._computed) / self._lines * 1e6
            in_each = self._lines / max(1, self._transactions)
            figures = {"rate": self._lines / seconds, "lines a transaction": in_each, "python": spent}
            print(json.dumps(figures), flush=True)
            os._exit(0)


def _uvloop(main: Callable[[], Awaitable[None]]) -> None:
    import uvloop

    from vmi_runtime import process

    process.collect_garbage_less_often()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(main())  # type: ignore[arg-type]


def _posts(lines: int, lines_each: int) -> Iterator[Post]:
    """Yield what would come from Kafka in batches, read already."""
    batch: list[Record] = []
    for offset, (key, value, headers) in enumerate(sales(lines, lines_each)):
        batch.append(FetchedRecord(TOPIC, 0, offset, 1_760_000_000_000 + offset // 500, key, value, headers))
        if len(batch) * lines_each >= LINES_AT_ONCE:
            yield read_facts(batch)
            batch = []


def _lines(post: Post) -> int:
    return sum(len(told.body.lines) for told in post.told)


def bare(arguments: argparse.Namespace) -> None:
    """The bare upsert."""
    statement = text("""
        INSERT INTO bare (customer_id, location_id, item_id, quantity)
        SELECT * FROM unnest(
            CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]),
            CAST(:quantities AS numeric[]))
        ON CONFLICT (customer_id, location_id, item_id) DO UPDATE SET quantity = bare.quantity + excluded.quantity
    """)

    async def run() -> None:
        chance = random.Random(7)
        keys = [(CUSTOMER, store, item) for store in STORES for item in ITEMS]
        engine = engines.create(arguments.database, application_name="bench")
        async with engine.connect() as connection:
            backend = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await connection.rollback()
            watch = _Stopwatch(backend)
            batches = arguments.lines // LINES_AT_ONCE
            for batch in range(batches):
                if batch == 1:
                    watch = _Stopwatch(backend)
                customers, locations, items = zip(*sorted(chance.sample(keys, LINES_AT_ONCE)), strict=True)
                rows = {"customers": customers, "locations": locations, "items": items}
                quantities = [Decimal(3)] * LINES_AT_ONCE
                async with watch.running(), connection.begin():
                    await connection.execute(statement, {**rows, "quantities": quantities})
        lines = (batches - 1) * LINES_AT_ONCE
        print(json.dumps({"rate": lines / watch.wall, **watch.each(lines)}), flush=True)

    _uvloop(run)


CLOCK = Clock()


async def _once(facts: Facts, post: Post, connection: AsyncConnection, clock: "_Stopwatch") -> None:
    """Do with a batch what the worker does, and measure the statements alone."""
    async with clock.running():
        transaction = await connection.begin()
        known = await facts.known(connection, post.told)
        await inbox.receive(connection, [told.letter for told in post.told])
    accepted = Accepted()
    for told in post.told:
        accept(told, known, accepted)
    async with clock.running():
        await facts.enter(Transaction(connection, CLOCK), accepted, known)
        await transaction.commit()


class _Stopwatch:
    """Adds up stretches of time: on the clock, of this process's core, and of the database's."""

    def __init__(self, backend: int) -> None:
        self.wall = self.python = self.postgres = 0.0
        self._backend = backend

    def _now(self) -> tuple[float, float, float]:
        postgres = 0.0
        if Path(f"/proc/{self._backend}/schedstat").exists():
            postgres = int(Path(f"/proc/{self._backend}/schedstat").read_text().split()[0]) / 1e9
        return time.perf_counter(), time.process_time(), postgres

    def each(self, lines: int) -> dict[str, float]:
        """Return microseconds of a line."""
        return {name: getattr(self, name) / lines * 1e6 for name in ("wall", "python", "postgres")}

    def running(self) -> "_Stretch":
        return _Stretch(self)


class _Stretch:
    def __init__(self, watch: _Stopwatch) -> None:
        self._watch = watch
        self._began = (0.0, 0.0, 0.0)

    async def __aenter__(self) -> None:
        self._began = self._watch._now()

    async def __aexit__(self, *_: object) -> None:
        wall, python, postgres = self._watch._now()
        self._watch.wall += wall - self._began[0]
        self._watch.python += python - self._began[1]
        self._watch.postgres += postgres - self._began[2]


def sql(arguments: argparse.Namespace) -> None:
    """S: the worker's own SQL fed from memory."""

    async def run() -> None:
        engine = engines.create(arguments.database, application_name="bench")
        facts, lines = Facts(), 0
        async with engine.connect() as connection:
            backend = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
            await connection.rollback()
            watch = _Stopwatch(backend)
            for batch, post in enumerate(_posts(arguments.lines, arguments.lines_each)):
                if batch == 1:
                    watch, lines = _Stopwatch(backend), 0
                await _once(facts, post, connection, watch)
                lines += _lines(post)
        print(json.dumps({"rate": lines / watch.wall, **watch.each(lines)}), flush=True)

    _uvloop(run)


def worker(arguments: argparse.Namespace) -> None:
    """The inventory worker with transactions of the size of the others'."""
    from vmi_runtime.settings import ConsumingSettings

    most = max(1, LINES_AT_ONCE // arguments.lines_each)
    _work(arguments, ConsumingSettings(batch_records=most, chunk_records=min(500, most)))


def worker_as_set(arguments: argparse.Namespace) -> None:
    """The inventory worker, as ``vmi worker inventory`` runs it."""
    from vmi_runtime.settings import ConsumingSettings

    _work(arguments, ConsumingSettings())


def _work(arguments: argparse.Namespace, consuming: Any) -> None:
    from pydantic import SecretStr

    from vmi_runtime import process
    from vmi_runtime.settings import DatabaseSettings, KafkaSettings, Settings
    from vmi_runtime.worker import Subscription, Worker

    meter, facts = Meter(arguments.lines), Facts()

    async def counted(post: Post, transaction: Transaction) -> None:
        await facts.record(post, transaction)
        meter(_lines(post))

    subscription = Subscription((topics.STOCK, topics.SALES, topics.ORDERS), decode=read_facts, apply=counted)
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers=arguments.kafka),
        database=DatabaseSettings(url=SecretStr(arguments.database)),
        consuming=consuming,
        log_level="error",
    )
    process.run(Worker(f"bench-{uuid4().hex}", subscriptions=(subscription,)), settings)


class _Progress:
    """The row that each batch moves forward, as the worker's does."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._group = progress.Group("bench", f"bench-{uuid4().hex}")
        self._epochs: dict[progress.Partition, int] = {}

    async def claim(self, connection: AsyncConnection, ends: dict[progress.Partition, int]) -> None:
        if missing := ends.keys() - self._epochs.keys():
            async with self._engine.begin() as another:
                self._epochs |= await progress.draw(another, self._group, "bench", missing)
        claims = [progress.Claim(at, self._epochs[at], end) for at, end in ends.items()]
        await progress.claim(connection, self._group, claims)


def _ends(records: Sequence[Record]) -> dict[progress.Partition, int]:
    return {(record.topic, record.partition): record.offset + 1 for record in records}


def aiokafka(arguments: argparse.Namespace) -> None:
    """Plain aiokafka: fetch, read, one transaction, commit."""
    from aiokafka import AIOKafkaConsumer

    async def run() -> None:
        engine = engines.create(arguments.database, application_name="bench")
        facts, meter, claimed = Facts(), Meter(arguments.lines), _Progress(engine)
        consumer = AIOKafkaConsumer(
            TOPIC,
            bootstrap_servers=arguments.kafka,
            group_id=f"bench-{uuid4().hex}",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            isolation_level="read_committed",
        )
        await consumer.start()
        most = max(1, LINES_AT_ONCE // arguments.lines_each)
        while True:
            fetched = await consumer.getmany(timeout_ms=1000, max_records=most)
            records: list[Any] = [record for chunk in fetched.values() for record in chunk]
            if not records:
                continue
            post = read_facts(records)
            async with engine.begin() as connection:
                await claimed.claim(connection, _ends(records))
                await facts.record(post, Transaction(connection, Clock()))
            await consumer.commit()
            meter(_lines(post))

    _uvloop(run)


def quix(arguments: argparse.Namespace) -> None:
    """Quix Streams: a sink that writes what came since the last checkpoint, in one transaction."""
    import uvloop
    from quixstreams import Application
    from quixstreams.sinks import BaseSink

    from vmi_runtime import process

    process.collect_garbage_less_often()
    loop = uvloop.new_event_loop()
    engine = engines.create(arguments.database, application_name="bench")
    facts, meter, claimed = Facts(), Meter(arguments.lines), _Progress(engine)

    class Store(BaseSink):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self._records: list[Record] = []

        def add(
            self, value: bytes, key: bytes, timestamp: int, headers: Any, topic: str, partition: int, offset: int
        ) -> None:
            self._records.append(FetchedRecord(topic, partition, offset, timestamp, key, value, headers))

        def flush(self) -> None:
            records, self._records = self._records, []
            if records:
                loop.run_until_complete(self._write(records))

        async def _write(self, records: Sequence[Record]) -> None:
            post = read_facts(records)
            async with engine.begin() as connection:
                await claimed.claim(connection, _ends(records))
                await facts.record(post, Transaction(connection, Clock()))
            meter(_lines(post))

        def on_paused(self) -> None:
            self._records = []

    app = Application(
        broker_address=arguments.kafka,
        consumer_group=f"bench-{uuid4().hex}",
        auto_offset_reset="earliest",
        commit_every=max(1, LINES_AT_ONCE // arguments.lines_each),
        auto_create_topics=False,
        loglevel="ERROR",
    )
    frame = app.dataframe(app.topic(TOPIC, value_deserializer="bytes"))
    frame.sink(Store())
    app.run()


CONTENDERS: dict[str, Callable[[argparse.Namespace], None]] = {
    "bare": bare,
    "S": sql,
    "worker": worker,
    "aiokafka": aiokafka,
    "Quix Streams": quix,
    "worker as set": worker_as_set,
}


# The measurement -----------------------------------------------------------------------------------------------------


def measure(name: str, arguments: argparse.Namespace, kafka: str, database: str) -> dict[str, float]:
    """Return the lines a second of one contender in a process of its own, and where its time went if it knows."""
    command = [sys.executable, "-m", "tests.benchmark.inventory", "--as", name, "--kafka", kafka]
    command += ["--database", database, "--lines", str(arguments.lines), "--lines-each", str(arguments.lines_each)]
    command += ["--core", str(arguments.core)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if result.returncode:
        raise RuntimeError(f"{name}: {result.stderr}")
    figures: dict[str, float] = json.loads(result.stdout.splitlines()[-1])
    return figures


async def rounds(arguments: argparse.Namespace) -> dict[str, list[float]]:
    """Let the contenders take turns."""
    from tests.vmi_testing import servers

    rates: dict[str, list[float]] = {name: [] for name in arguments.contenders}
    with servers.local() as addresses:
        databases = servers.Databases(addresses.database_url)
        template = await databases.new()
        await introduce(template)
        await fill(addresses.bootstrap_servers, arguments.lines, arguments.lines_each)
        for number in range(arguments.rounds):
            order = list(rates) if number % 2 == 0 else list(reversed(rates))
            for name in order:
                database = await databases.new(template)
                figures = await asyncio.to_thread(measure, name, arguments, addresses.bootstrap_servers, database)
                rates[name].append(figures["rate"])
                print(f"  {name}: " + ", ".join(f"{key} {value:,.1f}" for key, value in figures.items()), flush=True)
        await databases.drop_all()
    return rates


def ratio(rates: dict[str, list[float]], one: str, other: str) -> str:
    """Return the median of the rounds' ratios, if both were measured."""
    if one not in rates or other not in rates:
        return ""
    return f"{statistics.median(a / b for a, b in zip(rates[one], rates[other], strict=True)):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--lines", type=int, help="lines in each run; 60,000 of single-line and 400,000 of long documents"
    )
    parser.add_argument("--lines-each", type=int, help="lines in each document; 1 and then 100 where not given")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--core", type=int, default=(os.cpu_count() or 1) - 1)
    parser.add_argument("--contenders", nargs="*", default=list(CONTENDERS), help="of " + ", ".join(CONTENDERS))
    parser.add_argument("--as", dest="contender")
    parser.add_argument("--kafka")
    parser.add_argument("--database")
    arguments = parser.parse_args()
    if arguments.contender:
        os.sched_setaffinity(0, {arguments.core})
        CONTENDERS[arguments.contender](arguments)
        return
    for lines_each, lines in ((1, 100_000), (100, 400_000)):
        if arguments.lines_each not in (None, lines_each):
            continue
        one = argparse.Namespace(**{**vars(arguments), "lines_each": lines_each, "lines": arguments.lines or lines})
        rates = asyncio.run(rounds(one))
        print(f"{one.lines:,} lines in documents of {lines_each}, {one.rounds} rounds, one core each")
        print(f"{'':16}{'lines/s':>12}{'/ bare':>10}{'/ S':>10}{'/ aiokafka':>12}{'/ Quix':>10}")
        for name, measured in rates.items():
            columns = [ratio(rates, name, other) for other in ("bare", "S", "aiokafka", "Quix Streams")]
            widths = (10, 10, 12, 10)
            print(
                f"{name:16}{statistics.median(measured):12,.0f}"
                + "".join(f"{value:>{width}}" for value, width in zip(columns, widths, strict=True))
            )


if __name__ == "__main__":
    main()
