"""The broker and the database are killed while a worker consumes: it goes on when they are back."""

import os
import signal

from sqlalchemy import text

from vmi_store import engine as engines
from vmi_store import schema_version
from vmi_testing.counting_worker import SEEN
from vmi_testing.processes import started
from vmi_testing.topics import lag, new_topic, produce
from vmi_testing.waiting import until


def kill(servers, name):
    [pid] = [server.pid for server in servers.status().servers if server.name == name]
    # A Postgres that is killed with SIGKILL leaves children that a new one waits for; SIGQUIT is its sudden death.
    os.kill(pid, signal.SIGKILL if name == "Kafka" else signal.SIGQUIT)


async def test_p11_a_worker_outlives_its_broker_and_its_database(servers, tmp_path):
    kafka, url = servers.addresses().bootstrap_servers, servers.addresses().database_url
    engine = engines.create(url, application_name="vmi-chaos")
    await schema_version.migrate(engine)
    async with engine.begin() as connection:
        await connection.execute(text(SEEN))
    topic = await new_topic(kafka)
    values = [str(number).encode() for number in range(1500)]

    async def seen():
        async with engine.connect() as connection:
            rows = await connection.execute(text("SELECT value, times FROM seen"))
            return {row.value: row.times for row in rows}

    log = tmp_path / "worker.log"
    variables = {"VMI_KAFKA__BOOTSTRAP_SERVERS": kafka, "VMI_DATABASE__URL": url}
    with started("vmi_testing.counting_worker", "chaos", topic, log=log, **variables) as worker:
        await produce(kafka, topic, values[:500])
        await until(seen, lambda found: len(found) == 500)

        kill(servers, "Kafka")
        servers.up()
        await produce(kafka, topic, values[500:1000])
        await until(seen, lambda found: len(found) == 1000, seconds=60)

        kill(servers, "Postgres")
        await engine.dispose()
        await produce(kafka, topic, values[1000:])
        await until(lambda: _read(log), lambda lines: "tried again" in lines)
        servers.up()
        found = await until(seen, lambda found: len(found) == 1500, seconds=60)
        await until(lambda: lag(kafka, "vmi-chaos", topic), lambda lags: set(lags.values()) == {0})

        assert worker.poll() is None
    assert set(found.values()) == {1}
    await engine.dispose()


async def _read(log):
    return log.read_text()
