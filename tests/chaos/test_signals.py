"""Workers that are killed, stopped, interrupted and frozen at random: no record is lost."""

import asyncio
import random
import signal
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import text

from vmi_store import engine as engines
from vmi_store import schema_version
from vmi_testing.counting_worker import SEEN
from vmi_testing.processes import started
from vmi_testing.topics import lag, new_topic, produce
from vmi_testing.waiting import until

RECORDS = 6000
WORKERS = 2
CHAOS_SECONDS = 25.0
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGSTOP)


@pytest.fixture
async def engine(database_url):
    made = engines.create(database_url, application_name="vmi-chaos")
    await schema_version.migrate(made)
    async with made.begin() as connection:
        await connection.execute(text("DROP TABLE IF EXISTS seen"))
        await connection.execute(text(SEEN))
    yield made
    await made.dispose()


class Fleet:
    """Workers of one group, each of which is started again when it has ended."""

    def __init__(self, start):
        self._start = start
        self._stacks = [ExitStack() for _ in range(WORKERS)]
        self.processes = [stack.enter_context(start()) for stack in self._stacks]

    def revive(self):
        for place, process in enumerate(self.processes):
            if process.poll() is not None:
                self.close(place)
                self.processes[place] = self._stacks[place].enter_context(self._start())

    def close(self, place):
        self._stacks[place].close()
        self._stacks[place] = ExitStack()

    def close_all(self):
        for place in range(WORKERS):
            self.close(place)


@pytest.mark.parametrize("seed", [4])
async def test_p03_no_record_is_lost_whatever_happens_to_the_workers(seed, engine, kafka, database_url, tmp_path):
    chance = random.Random(seed)
    topic = await new_topic(kafka)
    log = tmp_path / "workers.log"
    variables = {
        "VMI_KAFKA__BOOTSTRAP_SERVERS": kafka,
        "VMI_DATABASE__URL": database_url,
        "VMI_LOG_FORMAT": "json",
        "VMI_CONSUMING__SESSION_TIMEOUT_SECONDS": "6",
        "VMI_CONSUMING__HEARTBEAT_SECONDS": "1",
        "VMI_CONSUMING__CHUNK_RECORDS": "10",
        "VMI_CONSUMING__BATCH_RECORDS": "20",
    }

    @contextmanager
    def start():
        with started("vmi_testing.counting_worker", topic, topic, log=log, **variables) as process:
            yield process

    async def seen():
        async with engine.connect() as connection:
            rows = await connection.execute(
                text("SELECT value, times FROM seen WHERE topic = :topic"), {"topic": topic}
            )
            return {row.value: row.times for row in rows}

    async def producer():
        values = [str(number).encode() for number in range(RECORDS)]
        for begin in range(0, RECORDS, 100):
            await produce(kafka, topic, values[begin : begin + 100])
            await asyncio.sleep(CHAOS_SECONDS / (RECORDS / 100))

    producing = asyncio.create_task(producer())
    fleet = Fleet(start)
    try:
        loop = asyncio.get_running_loop()
        end = loop.time() + CHAOS_SECONDS
        while loop.time() < end:
            await asyncio.sleep(chance.uniform(0.3, 2))
            victim = chance.choice(fleet.processes)
            number = chance.choice(SIGNALS)
            victim.send_signal(number)
            if number is signal.SIGSTOP:
                loop.call_later(chance.uniform(1, 12), victim.send_signal, signal.SIGCONT)
            fleet.revive()
        await producing

        async def look():
            fleet.revive()
            return await seen()

        found = await until(look, lambda found: len(found) == RECORDS, seconds=90)
        await until(lambda: lag(kafka, f"vmi-{topic}", topic), lambda lags: set(lags.values()) == {0}, seconds=30)
    finally:
        fleet.close_all()
    repeated = sum(times - 1 for times in found.values())
    print(f"{repeated} of {RECORDS} records were written again after a crash")
    assert "a bug ends this process" not in log.read_text()
