"""The relay on a real broker and database: nothing lost, each key in its order, after a crash the same ids."""

import asyncio
import signal
from contextlib import contextmanager
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from vmi_relay.line import Line
from vmi_store import engine as engines
from vmi_store import outbox, schema_version
from vmi_store.outbox import SHARDS, OutboxMessage, Unpublished, shard_of
from vmi_testing.processes import ended, started
from vmi_testing.topics import new_topic, read_all
from vmi_testing.waiting import until

SHORT_LEASE = {"VMI_RELAY__LEASE_SECONDS": "2"}


@pytest.fixture
async def database(new_database):
    """The URL of a database of the test's own: a relay sends whatever it finds."""
    url = await new_database()
    engine = engines.create(url, application_name="vmi-test")
    await schema_version.migrate(engine)
    await engine.dispose()
    return url


@pytest.fixture
async def engine(database):
    made = engines.create(database, application_name="vmi-test", pool_size=6)
    yield made
    await made.dispose()


@pytest.fixture
def relay(kafka, database, tmp_path):
    log = tmp_path / "relays.log"

    @contextmanager
    def start(**variables):
        addresses = {"VMI_KAFKA__BOOTSTRAP_SERVERS": kafka, "VMI_DATABASE__URL": database, "VMI_LOG_FORMAT": "json"}
        with started("vmi_relay", log=log, **addresses, **variables) as process:
            yield process

    start.log = log
    return start


def message(topic, key, number):
    return OutboxMessage(topic, key, "customer", "vmi.test.v1", uuid4(), "vmi/test", str(number).encode())


async def write(engine, messages):
    """Write messages as workers do: each transaction holds the lock of its keys while it draws its sequences."""
    async with engine.begin() as connection:
        for key in sorted({shard_of(one.key) for one in messages}):
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        await outbox.add(connection, messages)


def numbers_by_key(records):
    found = {}
    for _, key, value, _ in records:
        found.setdefault(key.decode(), []).append(int(value))
    return found


def ids(records):
    return [headers["ce_id"].decode() for *_, headers in records]


def firsts(numbers):
    return list(dict.fromkeys(numbers))


async def waiting(engine):
    async with engine.connect() as connection:
        return (await outbox.waiting(connection))[0]


async def shards_by_owner(engine):
    async with engine.connect() as connection:
        rows = await connection.execute(text("SELECT owner, count(*) AS shards FROM outbox_lease GROUP BY owner"))
        return {row.owner: row.shards for row in rows}


async def test_what_is_in_the_outbox_is_published_with_key_document_and_headers(engine, kafka, relay):
    topic = await new_topic(kafka, partitions=2)
    written = message(topic, "customer|location", 7)
    await write(engine, [written])

    with relay() as process:
        await until(lambda: waiting(engine), lambda count: count == 0)
        process.send_signal(signal.SIGTERM)
        assert await ended(process) == 0

    [(_, key, value, headers)] = await read_all(kafka, topic)
    assert (key, value) == (b"customer|location", b"7")
    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": str(written.message_id).encode(),
        "ce_source": b"vmi/test",
        "ce_type": b"vmi.test.v1",
        "content-type": b"application/json",
    }
    assert await shards_by_owner(engine) == {}


async def test_a_relay_with_a_single_database_session_renews_its_leases(engine, relay):
    async def leased_until():
        async with engine.connect() as connection:
            return (await connection.execute(text("SELECT expires_at FROM outbox_relay"))).scalar()

    with relay(**SHORT_LEASE, VMI_DATABASE__POOL_SIZE="1"):
        first = await until(leased_until)
        await until(leased_until, lambda renewed: renewed > first + timedelta(seconds=3))


async def test_a_relay_whose_database_sessions_are_ended_sends_on(engine, kafka, relay):
    topic = await new_topic(kafka)
    with relay():
        for number in range(3):
            await write(engine, [message(topic, "customer|location", number)])
            await until(lambda: waiting(engine), lambda count: count == 0)
            async with engine.begin() as connection:
                ended_now = await connection.execute(_END_SESSIONS_OF_RELAYS)
                assert ended_now.rowcount
    assert firsts(numbers_by_key(await read_all(kafka, topic))["customer|location"]) == [0, 1, 2]


_END_SESSIONS_OF_RELAYS = text("""
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND application_name <> 'vmi-test' AND pid <> pg_backend_pid()
""")


async def test_p05_two_relays_share_the_shards_and_every_key_keeps_its_order(engine, kafka, relay):
    topic = await new_topic(kafka)
    keys = [f"customer|{number}" for number in range(30)]

    async def writer(mine):
        for number in range(60):
            await write(engine, [message(topic, key, number) for key in mine])

    with relay(**SHORT_LEASE), relay(**SHORT_LEASE):
        await until(lambda: shards_by_owner(engine), lambda owners: list(owners.values()) == [SHARDS // 2] * 2)
        await asyncio.gather(*(writer(keys[start::3]) for start in range(3)))
        await until(lambda: waiting(engine), lambda count: count == 0)

    records = await read_all(kafka, topic)
    assert len(set(ids(records))) == len(records) == 30 * 60
    assert numbers_by_key(records) == {key: list(range(60)) for key in keys}


async def test_p02_p04_a_relay_that_dies_after_sending_and_before_marking_repeats_the_same_ids_and_no_others(
    engine, kafka, relay
):
    topic = await new_topic(kafka)
    keys = [f"customer|{number}" for number in range(20)]
    for number in range(5):
        await write(engine, [message(topic, key, number) for key in keys])

    async def published():
        return await read_all(kafka, topic)

    with relay(**SHORT_LEASE) as first:
        async with engine.begin() as connection:
            await engines.be_patient(connection)  # a relay takes long to start on a busy machine
            # Whoever reads the outbox may, whoever marks its rows waits.
            await connection.execute(text("LOCK TABLE outbox IN SHARE MODE"))
            await until(published, lambda records: len(records) == 100)
            first.kill()
            first.wait()
        assert await waiting(engine) == 100
        with relay(**SHORT_LEASE):
            await until(lambda: waiting(engine), lambda count: count == 0)

    records = await published()
    async with engine.connect() as connection:
        in_outbox = {str(id_) for id_ in (await connection.execute(text("SELECT id FROM outbox"))).scalars()}
    assert set(ids(records)) == in_outbox
    assert all(ids(records).count(id_) <= 2 for id_ in in_outbox)
    assert {key: firsts(numbers) for key, numbers in numbers_by_key(records).items()} == {
        key: list(range(5)) for key in keys
    }


async def test_relays_that_are_killed_again_and_again_lose_nothing(engine, kafka, relay):
    topic = await new_topic(kafka)
    keys = [f"customer|{number}" for number in range(20)]

    async def writer():
        for number in range(100):
            await write(engine, [message(topic, key, number) for key in keys])
            await asyncio.sleep(0.02)

    async def published():
        async with engine.connect() as connection:
            return (
                await connection.execute(text("SELECT count(*) FROM outbox WHERE published_at IS NOT NULL"))
            ).scalar_one()

    writing = asyncio.create_task(writer())
    for killed_at in (200, 600, 1000):
        with relay(VMI_RELAY__LEASE_SECONDS="1", VMI_RELAY__BATCH_MESSAGES="3") as process:
            await until(published, lambda count, least=killed_at: count >= least, every=0.01)
            process.kill()
    await writing
    with relay(VMI_RELAY__LEASE_SECONDS="1"):
        await until(lambda: waiting(engine), lambda count: count == 0)

    records = await read_all(kafka, topic)
    assert len(set(ids(records))) == 2000
    assert {key: firsts(numbers) for key, numbers in numbers_by_key(records).items()} == {
        key: list(range(100)) for key in keys
    }


async def test_p06_a_relay_that_wakes_after_its_shard_moved_can_send_nothing(kafka):
    topic = await new_topic(kafka, partitions=1)
    transactional_id = f"test-{uuid4().hex}"
    frozen, successor = (Line(transactional_id, {"bootstrap_servers": kafka}) for _ in range(2))

    def row(number):
        return Unpublished(number, 0, topic, "key", str(number).encode(), {"ce_id": str(number)})

    assert await frozen.send([row(1)]) == [1]
    assert await successor.send([row(2)]) == [2]
    assert await frozen.send([row(99)]) == []
    assert await successor.send([row(3)]) == [3]
    await frozen.close()
    await successor.close()

    assert numbers_by_key(await read_all(kafka, topic)) == {"key": [1, 2, 3]}


async def test_the_shards_of_a_relay_that_is_gone_pass_to_another_when_its_lease_has_run_out(engine):
    async def lease(owner, seconds=60):
        async with engine.begin() as connection:
            return await outbox.take_leases(connection, owner=owner, lease=timedelta(seconds=seconds))

    assert await lease("gone", seconds=0.05) == list(range(SHARDS))
    await asyncio.sleep(0.1)

    assert await lease("heir") == list(range(SHARDS))


async def test_a_third_relay_gets_its_share(engine):
    async def lease(owner):
        async with engine.begin() as connection:
            return await outbox.take_leases(connection, owner=owner, lease=timedelta(seconds=60))

    for _ in range(3):
        held = {owner: await lease(owner) for owner in ("a", "b", "c")}

    assert sorted(len(shards) for shards in held.values()) == [1, 1, 2]
    assert sorted(shard for shards in held.values() for shard in shards) == list(range(SHARDS))


async def test_published_messages_are_deleted_when_they_are_old_and_the_others_stay(engine):
    await write(engine, [message("t", f"key {number}", number) for number in range(20)])
    async with engine.begin() as connection:
        heads = await outbox.heads(connection, range(SHARDS), at_most=5)
        await outbox.mark_published(connection, [head.sequence for head in heads[:8]])

        assert await outbox.purge(connection, keep=timedelta(hours=1)) == 0
        assert await outbox.purge(connection, keep=timedelta(0), at_most=1000) == 8
        assert (await outbox.waiting(connection))[0] == 12


async def test_a_key_always_falls_into_the_same_shard():
    assert [shard_of(key) for key in ("customer|location", "bench|store-1", "")] == [2, 1, 0]
