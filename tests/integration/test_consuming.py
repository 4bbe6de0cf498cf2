"""Workers as processes on a real broker and a real database: what becomes of records when something goes wrong."""

import os
import signal
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from vmi_store import progress, quarantine
from vmi_testing.counting_worker import SEEN
from vmi_testing.processes import ended, started
from vmi_testing.topics import lag, new_topic, produce, produce_with_a_broken_header
from vmi_testing.waiting import until


@pytest.fixture(scope="module")
async def seen(engine):
    """How often each record of a topic was written down, by value."""
    async with engine.begin() as connection:
        await connection.execute(text(SEEN))

    async def look(topic):
        async with engine.connect() as connection:
            rows = await connection.execute(
                text("SELECT value, times FROM seen WHERE topic = :topic"), {"topic": topic}
            )
            return {row.value: row.times for row in rows}

    return look


@pytest.fixture
def worker(kafka, database_url, tmp_path):
    """Start a counting worker on a topic; all of them of one test are in one group."""
    log = tmp_path / "workers.log"

    @contextmanager
    def start(topic, **variables):
        addresses = {"VMI_KAFKA__BOOTSTRAP_SERVERS": kafka, "VMI_DATABASE__URL": database_url}
        arguments = ("vmi_testing.counting_worker", topic, topic)
        with started(*arguments, log=log, **addresses, VMI_LOG_FORMAT="json", **variables) as process:
            yield process

    start.log = log
    return start


def values(count):
    return [str(number).encode() for number in range(count)]


async def test_every_record_is_written_once_and_every_partition_committed_to_its_end(kafka, seen, worker):
    topic = await new_topic(kafka)
    await produce(kafka, topic, values(2000), transactional_id=topic)

    with worker(topic) as process:
        await until(lambda: seen(topic), lambda found: len(found) == 2000)
        # The marker of the transaction stands behind the last record, and is committed too.
        await until(lambda: lag(kafka, f"vmi-{topic}", topic), lambda lags: set(lags.values()) == {0})
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == 0

    assert set((await seen(topic)).values()) == {1}


async def test_p02_a_worker_that_is_killed_loses_nothing_and_another_goes_on(kafka, seen, worker):
    topic = await new_topic(kafka)
    await produce(kafka, topic, values(3000))
    small = {"VMI_CONSUMING__CHUNK_RECORDS": "10", "VMI_CONSUMING__BATCH_RECORDS": "20"}
    short = {"VMI_CONSUMING__SESSION_TIMEOUT_SECONDS": "6", "VMI_CONSUMING__HEARTBEAT_SECONDS": "1"}

    with worker(topic, **small, **short) as first:
        await until(lambda: seen(topic), lambda found: len(found) > 200)
        first.kill()
    with worker(topic):
        await until(lambda: seen(topic), lambda found: len(found) == 3000, seconds=60)


async def test_a_worker_that_stops_leaves_nothing_to_be_done_twice(kafka, seen, worker):
    topic = await new_topic(kafka)
    await produce(kafka, topic, values(3000))
    small = {"VMI_CONSUMING__CHUNK_RECORDS": "10", "VMI_CONSUMING__BATCH_RECORDS": "20"}

    with worker(topic, **small) as first:
        await until(lambda: seen(topic), lambda found: len(found) > 200)
        first.send_signal(signal.SIGTERM)
        assert await ended(first) == 0
    with worker(topic):
        found = await until(lambda: seen(topic), lambda found: len(found) == 3000, seconds=60)

    assert set(found.values()) == {1}


async def test_workers_share_the_partitions_and_a_newcomer_repeats_nothing(kafka, seen, worker):
    topic = await new_topic(kafka)
    await produce(kafka, topic, values(4000))
    small = {"VMI_CONSUMING__CHUNK_RECORDS": "10", "VMI_CONSUMING__BATCH_RECORDS": "20"}

    with worker(topic, **small):
        await until(lambda: seen(topic), lambda found: len(found) > 200)
        with worker(topic, **small):
            found = await until(lambda: seen(topic), lambda found: len(found) == 4000, seconds=60)

    assert set(found.values()) == {1}


async def test_a_bug_ends_the_process_and_acknowledges_nothing(engine, kafka, seen, worker):
    topic = await new_topic(kafka, partitions=1)
    await produce(kafka, topic, [*values(50), b"bug", *values(50)])

    with worker(topic) as process:
        assert await ended(process) == 70

    assert await seen(topic) == {}
    assert await lag(kafka, f"vmi-{topic}", topic) == {0: None}
    async with engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT next_offset FROM consumer_progress WHERE topic = :t"), {"t": topic}
        )
        assert rows.scalars().all() == [None]
    assert "a bug of the worker's" in worker.log.read_text()


async def test_a_record_that_the_database_refuses_is_put_aside_and_the_others_are_written(engine, kafka, seen, worker):
    topic = await new_topic(kafka, partitions=1)
    await produce(kafka, topic, [*values(300), b"a NUL: \0", *(b"x" + value for value in values(300))])

    with worker(topic):
        found = await until(lambda: seen(topic), lambda found: len(found) == 600)
        await until(lambda: lag(kafka, f"vmi-{topic}", topic), lambda lags: lags == {0: 0})

    assert set(found.values()) == {1}
    async with engine.connect() as connection:
        held = [one for one in await quarantine.held(connection, at_most=1000) if one.rejected.topic == topic]
    assert [(one.rejected.offset, one.rejected.value, one.rejected.reason) for one in held] == [
        (300, b"a NUL: \0", "refused_by_database")
    ]


async def test_a_header_whose_name_cannot_be_read_stops_nobody(kafka, seen, worker):
    topic = await new_topic(kafka, partitions=3)
    await produce(kafka, topic, values(300))
    for partition in range(2):
        await produce_with_a_broken_header(kafka, topic, b"broken %d" % partition, partition)
    await produce(kafka, topic, [b"x" + value for value in values(300)])

    with worker(topic) as process:
        found = await until(lambda: seen(topic), lambda found: len(found) == 602)
        assert process.poll() is None

    assert set(found.values()) == {1}
    assert "a header name that is no UTF-8" in worker.log.read_text()


async def test_p02_a_worker_whose_connections_are_cut_goes_on_when_they_are_back(engine, kafka, seen, worker):
    topic = await new_topic(kafka)
    await produce(kafka, topic, values(4000))

    async def cut():
        async with engine.begin() as connection:
            await connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name"),
                {"name": f"vmi-{topic}"},
            )
        return await seen(topic)

    small = {"VMI_CONSUMING__CHUNK_RECORDS": "10", "VMI_CONSUMING__BATCH_RECORDS": "20"}
    with worker(topic, **small) as process:
        found = await until(cut, lambda found: len(found) == 4000, seconds=60, every=0.2)
        assert process.poll() is None

    assert set(found.values()) == {1}
    assert "tried again" in worker.log.read_text()


async def test_p06_a_frozen_worker_that_wakes_after_its_partitions_moved_writes_nothing(engine, kafka, seen, worker):
    topic = await new_topic(kafka, partitions=2)
    short = {"VMI_CONSUMING__SESSION_TIMEOUT_SECONDS": "6", "VMI_CONSUMING__HEARTBEAT_SECONDS": "1"}
    small = {"VMI_CONSUMING__CHUNK_RECORDS": "1", "VMI_CONSUMING__BATCH_RECORDS": "1"}
    await produce(kafka, topic, [b"first", *(f"thinking {number}".encode() for number in range(40))])

    async def owners():
        async with engine.connect() as connection:
            rows = await connection.execute(
                text("SELECT DISTINCT owner FROM consumer_progress WHERE topic = :topic"), {"topic": topic}
            )
            return {row.owner.rpartition(":")[2] for row in rows}

    with worker(topic, **short, **small) as frozen:
        await until(lambda: seen(topic), lambda found: len(found) > 2)
        frozen.send_signal(signal.SIGSTOP)
        before = await seen(topic)
        with worker(topic, **short) as successor:
            after = await until(lambda: seen(topic), lambda found: len(found) == 41, seconds=60)
            assert await owners() == {str(successor.pid)}
            written_by_the_successor = set(after) - set(before)
            successor.send_signal(signal.SIGSTOP)  # nobody but the one that wakes could write now
            frozen.send_signal(signal.SIGCONT)
            await until(lambda: _read(worker.log), lambda lines: "another worker has taken over" in lines)
            os.kill(successor.pid, signal.SIGCONT)

    found = await seen(topic)
    assert {value: found[value] for value in written_by_the_successor} == dict.fromkeys(written_by_the_successor, 1)


async def _read(log):
    return log.read_text()


async def test_an_epoch_that_was_drawn_earlier_no_longer_holds(engine):
    group = progress.Group("cluster", "group-of-epochs")
    async with engine.begin() as connection:
        mine = await progress.draw(connection, group, "me", [("t", 0), ("t", 1)])
        theirs = await progress.draw(connection, group, "another", [("t", 1)])

        held = await progress.claim(
            connection, group, [progress.Claim(("t", 0), mine["t", 0], 5), progress.Claim(("t", 1), mine["t", 1], 5)]
        )
        assert held == {("t", 0)}
        assert await progress.claim(connection, group, [progress.Claim(("t", 1), theirs["t", 1], 7)]) == {("t", 1)}


async def test_a_worker_whose_topic_does_not_exist_says_so_and_does_not_start(worker):
    with worker("no.such.topic") as process:
        assert await ended(process) != 0

    assert "the topic no.such.topic does not exist; run: vmi topics create" in worker.log.read_text()


async def test_a_worker_refuses_a_database_without_our_schema_in_one_line(kafka, new_database, tmp_path):
    log = tmp_path / "relay.log"
    empty = await new_database()
    with started("vmi_relay", log=log, VMI_KAFKA__BOOTSTRAP_SERVERS=kafka, VMI_DATABASE__URL=empty) as process:
        assert await ended(process) == 78

    [line] = log.read_text().splitlines()
    assert "The database has no schema yet" in line
    assert line.endswith("run: vmi migrate")
