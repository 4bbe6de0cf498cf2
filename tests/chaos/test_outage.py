"""The database is away for longer than a session lasts: its worker waits, and holds no more than it can carry."""

import os
import signal

import psutil
import pytest
from sqlalchemy import text

from vmi_store import engine as engines
from vmi_store import schema_version
from vmi_testing.counting_worker import SEEN
from vmi_testing.processes import started
from vmi_testing.topics import new_topic, produce
from vmi_testing.waiting import until

TRIES = 45
"""The pauses between them add up to some 60 s: six times a session."""
RECORDS, BYTES = 150_000, 1000
MOST_GROWTH_MB = 75
"""Half of what is sent meanwhile."""


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_p11_while_the_database_is_away_nothing_is_lost_memory_is_bounded_and_partitions_stay(servers, tmp_path):
    kafka, url = servers.addresses().bootstrap_servers, servers.addresses().database_url
    engine = engines.create(url, application_name="vmi-outage")
    await schema_version.migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(text(SEEN))
    topic = await new_topic(kafka)
    log = tmp_path / "worker.log"

    async def seen():
        async with engine.connect() as connection:
            return tuple((await connection.execute(text("SELECT count(*), max(times) FROM seen"))).one())

    async def epochs():
        async with engine.connect() as connection:
            return {
                tuple(row) for row in await connection.execute(text("SELECT partition, epoch FROM consumer_progress"))
            }

    variables = {"VMI_KAFKA__BOOTSTRAP_SERVERS": kafka, "VMI_DATABASE__URL": url}
    with started("vmi_testing.counting_worker", "outage", topic, log=log, **variables) as worker:
        await produce(kafka, topic, [b"before"] * 1000)
        await until(seen, lambda found: found[0] == 1000)
        held, memory = await epochs(), psutil.Process(worker.pid).memory_info().rss

        [database] = [server.pid for server in servers.status().servers if server.name == "Postgres"]
        os.kill(database, signal.SIGQUIT)
        await engine.dispose()
        await produce(kafka, topic, [b"x" * BYTES] * RECORDS)
        most = memory

        def tries():
            nonlocal most
            most = max(most, psutil.Process(worker.pid).memory_info().rss)
            return log.read_text().count("tried again")

        await until(tries, lambda times: times >= TRIES, seconds=300)
        servers.up()
        found = await until(seen, lambda found: found[0] == RECORDS + 1000, seconds=300)

        assert found[1] == 1, "a record was written twice"
        assert await epochs() == held, "partitions moved though the worker was alive"
        assert worker.poll() is None
        assert (most - memory) / 2**20 < MOST_GROWTH_MB
    await engine.dispose()
