"""What a batch costs while the journal grows, and which way of partitioning it is the cheaper one.

4,000 keys (10 customers, 10 stores each, 40 items in each) sell five times a day. The database makes the past itself;
then the inventory worker's own statements take in batches of 2,000 lines of the next days, fed from memory: sales, 3 in
100 of them up to 30 days late, and 2 in 100 lines a stock report, which folds its key anew. Reading JSON is not in it.
Printed for each size are microseconds of a line: on the clock, of the cores of Python and of Postgres.

* **plain**: one table. **quarters**: by quarters of a year (what the migrations make). **months**: by months.
  **hash**: in eight by the customer, each by quarters.
"""

import argparse
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from tests.benchmark.inventory import LINES_AT_ONCE, _once, _Stopwatch, _uvloop
from tests.vmi_testing import servers

from vmi_contracts import envelope, topics
from vmi_contracts.inbound import ItemDefined, LocationDefined, SalesRecorded, StockReported
from vmi_inventory.documents import Post, read_facts
from vmi_inventory.master_data import Entries, record_master_data
from vmi_inventory.recording import Facts
from vmi_runtime.clock import Clock
from vmi_runtime.worker import FetchedRecord, Record, Transaction
from vmi_store import engine as engines
from vmi_store import partitions, schema_version

CUSTOMERS, STORES, ITEMS, SALES_A_DAY = 10, 10, 40, 5
KEYS: Final = CUSTOMERS * STORES * ITEMS
BEGIN: Final = datetime(2021, 1, 1, tzinfo=UTC)
WARM_UP: Final = 3


async def _autocommit(engine: AsyncEngine, *statements: str) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("SET statement_timeout = 0"))
        for statement in statements:
            await connection.execute(text(statement))


async def introduce(engine: AsyncEngine, layout: str) -> None:
    """Make an empty database of this layout, in which stores and items are known."""
    await schema_version.migrate(engine)
    entries = Entries()
    for customer in map(_customer, range(CUSTOMERS)):
        entries.locations += [
            (LocationDefined(customer_id=customer, location_id=_store(place)), BEGIN) for place in range(STORES)
        ]
        entries.items += [(ItemDefined(customer_id=customer, item_id=_item(place)), BEGIN) for place in range(ITEMS)]
    async with engine.begin() as connection:
        await record_master_data(entries, Transaction(connection, Clock()))
        await LAYOUTS[layout](connection)


def _customer(place: int) -> str:
    return f"customer-{place}"


def _store(place: int) -> str:
    return f"store-{place:04}"


def _item(place: int) -> str:
    return f"item-{place:08}"


async def _plain(connection: AsyncConnection) -> None:
    await connection.execute(text("ALTER TABLE journal DETACH PARTITION journal_strays"))
    await connection.execute(text("DROP TABLE journal"))
    await connection.execute(text("ALTER TABLE journal_strays RENAME TO journal"))


async def _quarters(connection: AsyncConnection) -> None:
    first = partitions.Quarter.of(BEGIN.date())
    await partitions.prepare(connection, list(partitions.quarters(first, first.after(15))))


async def _months(connection: AsyncConnection) -> None:
    await _ranges(connection, "journal", 1)


async def _hash(connection: AsyncConnection) -> None:
    await connection.execute(text("ALTER TABLE journal DETACH PARTITION journal_strays"))
    await connection.execute(text("DROP TABLE journal"))
    await connection.execute(
        text("CREATE TABLE journal (LIKE journal_strays INCLUDING ALL) PARTITION BY HASH (customer_id)")
    )
    for part in range(8):
        await connection.execute(
            text(f"""
                CREATE TABLE journal_{part} PARTITION OF journal FOR VALUES WITH (MODULUS 8, REMAINDER {part})
                PARTITION BY RANGE (occurred_at)
            """)
        )
        await _ranges(connection, f"journal_{part}", 3)


async def _ranges(connection: AsyncConnection, table: str, months: int) -> None:
    for month in range(0, 48, months):
        first, last = (
            f"'{BEGIN.year + of // 12}-{of % 12 + 1:02}-01T00:00:00+00:00'" for of in (month, month + months)
        )
        await connection.execute(
            text(f"CREATE TABLE {table}_m{month} PARTITION OF {table} FOR VALUES FROM ({first}) TO ({last})")
        )


LAYOUTS: Final[dict[str, Any]] = {"plain": _plain, "quarters": _quarters, "months": _months, "hash": _hash}


async def grow(engine: AsyncEngine, first_day: int, days: int) -> None:
    """Let the keys sell for so many days, without a word to anybody."""
    for day in range(first_day, first_day + days, 25):
        many = min(25, first_day + days - day)
        async with engine.begin() as connection:
            await connection.execute(text("SET LOCAL statement_timeout = 0"))
            await connection.execute(
                text(f"""
                    INSERT INTO journal (customer_id, location_id, item_id, occurred_at, line_id, kind, quantity,
                                         recorded_at)
                    SELECT 'customer-' || customer, 'store-' || lpad(store::text, 4, '0'),
                           'item-' || lpad(item::text, 8, '0'), at, uuid_send(gen_random_uuid()), 1, -1, at
                    FROM generate_series({day}, {day + many - 1}) AS day
                    CROSS JOIN generate_series(0, {CUSTOMERS - 1}) AS customer
                    CROSS JOIN generate_series(0, {STORES - 1}) AS store
                    CROSS JOIN generate_series(0, {ITEMS - 1}) AS item
                    CROSS JOIN generate_series(1, {SALES_A_DAY}) AS sale
                    CROSS JOIN LATERAL (
                        SELECT TIMESTAMPTZ '{BEGIN.isoformat()}' + day * interval '1 day' + random() * interval '24 h'
                    ) AS moment (at)
                """)
            )
            await connection.execute(
                text(f"""
                    INSERT INTO daily_balance (customer_id, location_id, item_id, day, moved, sold)
                    SELECT 'customer-' || customer, 'store-' || lpad(store::text, 4, '0'),
                           'item-' || lpad(item::text, 8, '0'), DATE '{BEGIN.date()}' + day,
                           -{SALES_A_DAY}, {SALES_A_DAY}
                    FROM generate_series({day}, {day + many - 1}) AS day
                    CROSS JOIN generate_series(0, {CUSTOMERS - 1}) AS customer
                    CROSS JOIN generate_series(0, {STORES - 1}) AS store
                    CROSS JOIN generate_series(0, {ITEMS - 1}) AS item
                """)
            )


def batches(day: int, count: int) -> Iterator[Post]:
    """Yield batches of a day, read already."""
    chance = random.Random(day)
    for batch in range(count):
        records: list[Record] = []
        for number in range(LINES_AT_ONCE):
            at = BEGIN + timedelta(days=day, seconds=86_400 / count * (batch + chance.random()))
            if chance.random() < 0.03:
                at -= timedelta(days=30 * chance.random())
            records.append(_record(chance, at, f"{day}-{batch}-{number}"))
        yield read_facts(records)


def _record(chance: random.Random, at: datetime, message_id: str) -> FetchedRecord:
    customer, store = _customer(chance.randrange(CUSTOMERS)), _store(chance.randrange(STORES))
    begin = f'{{"customer_id":"{customer}","location_id":"{store}"'
    item = f'"item_id":"{_item(chance.randrange(ITEMS))}"'
    if chance.random() < 0.02:
        topic, kind = topics.STOCK, StockReported.message_type
        body = f'{begin},"as_of":"{at.isoformat()}","lines":[{{{item},"on_hand":"40"}}]}}'
    else:
        topic, kind = topics.SALES, SalesRecorded.message_type
        body = f'{begin},"occurred_at":"{at.isoformat()}","lines":[{{{item},"quantity":"1"}}]}}'
    headers = envelope.headers(source="/bench", message_id=message_id, message_type=kind)
    return FetchedRecord(topic.name, 0, 0, round(at.timestamp() * 1000), b"", body.encode(), headers)


async def cost(engine: AsyncEngine, day: int, count: int) -> dict[str, float]:
    """Return microseconds of a line over so many batches, after a few that are not measured."""
    facts = Facts()
    async with engine.connect() as connection:
        backend = (await connection.execute(text("SELECT pg_backend_pid()"))).scalar_one()
        await connection.rollback()
        watch = _Stopwatch(backend)
        for place, post in enumerate(batches(day, WARM_UP + count)):
            if place == WARM_UP:
                watch = _Stopwatch(backend)
            await _once(facts, post, connection, watch)
    return watch.each(count * LINES_AT_ONCE)


async def run(arguments: argparse.Namespace) -> None:
    databases = servers.Databases(arguments.database)
    for layout in arguments.layouts:
        url = await databases.new()
        engine = engines.create(url, application_name="bench")
        await introduce(engine, layout)
        day = 0
        print(f"{layout}\n{'million lines':>14}{'µs a line':>12}{'Python':>9}{'Postgres':>10}{'GB':>7}", flush=True)
        for millions in arguments.millions:
            days = int(millions * 1e6) // (KEYS * SALES_A_DAY) - day
            began = time.perf_counter()
            await grow(engine, day, days)
            day += days
            await _autocommit(engine, "VACUUM (ANALYZE, FREEZE)", "CHECKPOINT")
            took = time.perf_counter() - began
            figures = await cost(engine, day, arguments.batches)
            day += 1  # the measured batches were that day's
            async with engine.connect() as connection:
                size = (await connection.execute(text("SELECT pg_database_size(current_database())"))).scalar_one()
            print(
                f"{millions:14}{figures['wall']:12.1f}{figures['python']:9.1f}{figures['postgres']:10.1f}"
                f"{size / 1e9:7.1f}   (made in {took:.0f} s)",
                flush=True,
            )
        await engine.dispose()
        await databases.drop_all()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--millions", nargs="*", type=float, default=[1, 5, 10, 20], help="sizes of the journal")
    parser.add_argument("--layouts", nargs="*", default=["quarters"], help="of " + ", ".join(LAYOUTS))
    parser.add_argument("--batches", type=int, default=40, help="batches measured at each size")
    parser.add_argument("--database", help="a server to make the databases on; one of its own where not given")
    arguments = parser.parse_args()
    if arguments.database:
        _uvloop(lambda: run(arguments))
        return
    with servers.local() as addresses:
        arguments.database = addresses.database_url
        _uvloop(lambda: run(arguments))


if __name__ == "__main__":
    main()
