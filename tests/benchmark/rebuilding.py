"""How fast derived tables are made anew from the journal, beside how fast they were kept live.

4,000 keys sell; the inventory worker's own functions take the lines in, 2,000 a transaction, fed from memory (reading
JSON and Kafka are not in it, which flatters the live rate). Then, on the same database: a dry run (fold beside and
compare) and a rebuild after all derived rows are lost (fold beside, put in place under the locks, tell).
"""

import argparse
import time

from sqlalchemy import text
from tests.benchmark.inventory import LINES_AT_ONCE, _uvloop
from tests.benchmark.journal import _autocommit, batches, introduce
from tests.vmi_testing import servers

from vmi_inventory.rebuilding import rebuild
from vmi_inventory.recording import Facts
from vmi_runtime.clock import Clock
from vmi_runtime.worker import Transaction
from vmi_store import engine as engines
from vmi_store.rebuilding import Scope


async def run(arguments: argparse.Namespace) -> None:
    databases = servers.Databases(arguments.database)
    url = await databases.new()
    engine = engines.create(url, application_name="bench")
    await introduce(engine, "quarters")
    facts, posts = Facts(), [post for day in range(arguments.days) for post in batches(day, arguments.batches)]
    lines = len(posts) * LINES_AT_ONCE
    began = time.perf_counter()
    for post in posts:
        async with engine.begin() as connection:
            await facts.record(post, Transaction(connection, Clock()))
    live = lines / (time.perf_counter() - began)
    await _autocommit(engine, "VACUUM (ANALYZE)")
    print(f"live: {live:,.0f} lines/s ({lines:,} lines)", flush=True)

    async def measured(what: str, *, dry_run: bool) -> None:
        beside = engines.create(url, application_name="bench-beside", pool_size=1)
        began = time.perf_counter()
        outcome = await rebuild(engine, beside, Scope(), dry_run=dry_run, report=lambda done, total: None)
        rate = outcome.lines / (time.perf_counter() - began)
        await beside.dispose()
        assert outcome.is_same == dry_run
        print(f"{what}: {rate:,.0f} lines/s, {rate / live:.1f} × live", flush=True)

    await measured("dry run", dry_run=True)
    async with engine.begin() as connection:
        await connection.execute(text("TRUNCATE position, daily_balance, supply_line, location_watermark"))
    await measured("after a loss", dry_run=False)
    await measured("dry run again", dry_run=True)
    await engine.dispose()
    await databases.drop_all()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=10, help="days that are told of")
    parser.add_argument("--batches", type=int, default=6, help="batches of 2,000 lines a day")
    parser.add_argument("--database", help="a server to make the database on; one of its own where not given")
    arguments = parser.parse_args()
    if arguments.database:
        _uvloop(lambda: run(arguments))
        return
    with servers.local() as addresses:
        arguments.database = addresses.database_url
        _uvloop(lambda: run(arguments))


if __name__ == "__main__":
    main()
