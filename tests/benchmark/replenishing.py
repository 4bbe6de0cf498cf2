"""The replenishment worker's own SQL and maths, fed from memory: keys decided a second, and where the time goes.

20 stores with 200 items each stand in a database of their own, with agreements, positions, 60 days of learned demand
and a watermark. A round changes the stock of as many keys as a batch holds and lets the worker decide them in one
transaction, in two worlds: every decision changes (a new version, its explanation, its message), and none does. Beside
it stands the bare ``unnest`` upsert of as many rows, in the same run. ``--profile`` shows the Python.
"""

import argparse
import asyncio
import cProfile
import gc
import os
import pstats
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.vmi_testing import builders, servers

from vmi_domain import forecasting
from vmi_domain.stock.position import Key
from vmi_replenishment.following import Replenishment
from vmi_replenishment.reading import Changes
from vmi_runtime.clock import Clock, ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import agreements, catalogue, forecasts, schema_version
from vmi_store import engine as engines
from vmi_store.forecasts import Forecast

CUSTOMER = "bench"
STORES, ITEMS, DAYS = 20, 200, 60
NOW = datetime(2025, 3, 4, 12, tzinfo=UTC)
KEYS = [Key(CUSTOMER, f"store-{store:02}", f"item-{item:03}") for store in range(STORES) for item in range(ITEMS)]


@asynccontextmanager
async def database() -> AsyncIterator[AsyncEngine]:
    """A migrated database of our own, on the server that the environment names or on one started here."""
    url = os.environ.get("VMI_DATABASE__URL")
    if url is None:
        with servers.local() as addresses:
            async with _database(addresses.database_url) as engine:
                yield engine
    else:
        async with _database(url) as engine:
            yield engine


@asynccontextmanager
async def _database(server_url: str) -> AsyncIterator[AsyncEngine]:
    databases = servers.Databases(server_url)
    engine = engines.create(await databases.new(), application_name="vmi-bench")
    try:
        await schema_version.migrate(engine)
        yield engine
    finally:
        await engine.dispose()
        await databases.drop_all()


async def furnish(engine: AsyncEngine) -> None:
    """Agree, learn and count."""
    random = np.random.default_rng(1)
    rates = random.gamma(1.0, 4.0, len(KEYS))
    states = forecasting.update(
        forecasting.start([float("nan")] * len(KEYS)),
        random.poisson(rates[:, None], (len(KEYS), DAYS)).astype(float),
        (NOW - timedelta(days=DAYS)).date(),
    )
    async with engine.begin() as connection:
        sites = sorted({key.location_id for key in KEYS})
        await catalogue.touch(connection, [CUSTOMER])
        await catalogue.define_locations(
            connection, [(builders.location(CUSTOMER, site, time_zone="America/New_York"), NOW) for site in sites]
        )
        await catalogue.define_items(
            connection, [(builders.item(CUSTOMER, item), NOW) for item in sorted({key.item_id for key in KEYS})]
        )
        agreed = {"lead_time_days": 2, "service_target": 0.98, "maximum": "100000", "order_cut_off": "18:00"}
        await agreements.make(
            connection, [(builders.agreement(CUSTOMER, key.item_id, key.location_id, **agreed), NOW) for key in KEYS]
        )
        await connection.execute(_OPEN, {**_columns(KEYS), "at": NOW})
        await connection.execute(_REACH, {"sites": sites, "customer": CUSTOMER, "at": NOW})
        yesterday = (NOW - timedelta(days=1)).date()
        began = (NOW - timedelta(days=DAYS)).date()
        await forecasts.write(
            connection,
            [Forecast(key, 1, yesterday, began, state) for key, state in zip(KEYS, states, strict=True)],
        )
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text("VACUUM ANALYZE"))


_OPEN = text("""
    INSERT INTO position (customer_id, location_id, item_id, version, counted_at, counted)
    SELECT customer_id, location_id, item_id, 1, :at, 0
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS key (customer_id, location_id, item_id)
""")
_REACH = text("""
    INSERT INTO location_watermark (customer_id, location_id, reached_at)
    SELECT :customer, site, :at FROM unnest(CAST(:sites AS text[])) AS site
""")
_SELL = text("""
    UPDATE position SET version = version + 1, backlog = backlog + 1
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS key (customer_id, location_id, item_id)
    WHERE position.customer_id = key.customer_id AND position.location_id = key.location_id
      AND position.item_id = key.item_id
""")
_BARE_TABLE = text(
    "CREATE TABLE bare (customer_id text, location_id text, item_id text, moved numeric, "
    "PRIMARY KEY (customer_id, location_id, item_id))"
)
_BARE = text("""
    INSERT INTO bare (customer_id, location_id, item_id, moved)
    SELECT customer_id, location_id, item_id, 1
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS key (customer_id, location_id, item_id)
    ON CONFLICT (customer_id, location_id, item_id) DO UPDATE SET moved = bare.moved + excluded.moved
""")


def _columns(keys: list[Key]) -> dict[str, list[str]]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }


class Bench:
    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.worker = Replenishment()
        self.clock = Clock(ClockMode.EVENTS)

    async def sell(self, keys: list[Key]) -> None:
        """Let each key owe one more, so that each decision changes: what is on the shelves may cover what is sold."""
        async with self.engine.begin() as connection:
            await connection.execute(_SELL, _columns(keys))

    async def decide(self, keys: list[Key]) -> float:
        """Return the seconds that one batch takes, from the lock to the commit."""
        started = time.perf_counter()
        async with self.engine.begin() as connection:
            await self.worker.follow_changes(Changes(set(keys)), Transaction(connection, self.clock))
        return time.perf_counter() - started

    async def upsert(self, keys: list[Key]) -> float:
        started = time.perf_counter()
        async with self.engine.begin() as connection:
            await connection.execute(_BARE, _columns(keys))
        return time.perf_counter() - started


async def measure(bench: Bench, size: int, rounds: int) -> None:
    """Print the rates of batches of one size."""
    random = np.random.default_rng(size)
    changing, standing, bare = [], [], []
    computing = 0.0
    for _ in range(rounds):
        keys = [KEYS[place] for place in sorted(random.choice(len(KEYS), size, replace=False))]
        await bench.sell(keys)
        before = time.process_time()
        changing.append(await bench.decide(keys))
        computing += time.process_time() - before
        standing.append(await bench.decide(keys))
        bare.append(await bench.upsert(keys))
    new, same, upsert = (size / statistics.median(times) for times in (changing, standing, bare))
    print(
        f"{size:5} keys a batch: {new:9,.0f} keys/s where each is a new version ({new / upsert:.3f} of a bare upsert), "
        f"{same:9,.0f} where nothing changes; a batch takes {1000 * statistics.median(changing):7.1f} ms, "
        f"the slowest {1000 * max(changing):7.1f}; the worker computes {1e6 * computing / size / rounds:6.0f} µs a key"
    )


async def main(arguments: argparse.Namespace) -> None:
    gc.set_threshold(250_000, 5, 10)  # as in a worker (vmi_runtime.process)
    async with database() as engine:
        await furnish(engine)
        async with engine.begin() as connection:
            await connection.execute(_BARE_TABLE)
        bench = Bench(engine)
        await bench.decide(KEYS)  # the first proposals; master data is read
        for size in (1, 10, 100, 500, 1000, 2000):
            await measure(bench, size, arguments.rounds)
        if arguments.profile:
            await bench.sell(KEYS[:2000])
            profile = cProfile.Profile()
            profile.enable()
            await bench.decide(KEYS[:2000])
            profile.disable()
            pstats.Stats(profile).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--profile", action="store_true")
    asyncio.run(main(parser.parse_args()))
