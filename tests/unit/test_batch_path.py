"""The batch path: Faust's consumer with chunks in place of records, and nothing committed that is not dealt with."""

import asyncio
import hashlib
import inspect
from types import SimpleNamespace

import faust
import pytest
from aiokafka.consumer import fetcher, subscription_state
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from faust import streams
from faust.transport import conductor
from faust.transport import consumer as stock
from faust.transport.drivers import aiokafka as driver
from faust.types import TP

from vmi_runtime import faust_app
from vmi_runtime.batch_path import Fetched, ready_chunks
from vmi_runtime.settings import ConsumingSettings, KafkaSettings, Settings
from vmi_testing.records import records

SALES = TP("vmi.sales.v1", 0)
STOCK = TP("vmi.stock.v1", 1)

# What the batch path knows of its libraries' insides. When one of these changes, read what changed, see that the batch
# path still holds (this file, and tests/integration/test_consuming.py), and write the new fingerprint down.
INSIDES = {
    (stock.Consumer, "getmany"): "4b168d84",
    (stock.Consumer, "perform_seek"): "0e8c130f",
    (stock.Consumer, "on_partitions_revoked"): "d04b7ae7",
    (stock.Consumer, "on_partitions_assigned"): "29ce9659",
    (stock.Consumer, "commit"): "a354437b",
    (stock.Consumer, "force_commit"): "cc094614",
    (stock.Consumer, "_commit_tps"): "a20e230b",
    (stock.Consumer, "_commit_offsets"): "1a697990",
    (stock.Consumer, "_filter_committable_offsets"): "dc5e9baf",
    (stock.Consumer, "_filter_tps_with_pending_acks"): "f6f92397",
    (stock.Consumer, "_should_commit"): "5ce94179",
    (stock.Consumer, "_new_offset"): "1d2c7ea8",
    (stock.Consumer, "_add_gap"): "4df2573d",
    (stock.Consumer, "_drain_messages"): "44a25003",
    (stock.Consumer, "_get_active_partitions"): "b24897f3",
    (stock.Consumer, "stop_flow"): "cf7e875a",
    (driver.Consumer, "_new_consumer_thread"): "0870ec53",
    (driver.AIOKafkaConsumerThread, "_create_worker_consumer"): "c2701bfc",
    (driver.AIOKafkaConsumerThread, "_fetch_records"): "39a2c6c7",
    (driver.AIOKafkaConsumerThread, "_commit"): "932852ce",
    (driver.ConsumerRebalanceListener, "on_partitions_assigned"): "1c1f8406",
    (conductor.ConductorCompiler, "build"): "837cf521",
    (streams.Stream, "_c_aiter"): "fa44582a",
    (streams.Stream, "_py_aiter"): "3a48ee25",
    (faust.App, "_create_directories"): "a9f571c3",
    (faust.App, "_on_partitions_revoked"): "d5c895bb",
    (faust.App, "_on_partitions_assigned"): "de932b79",
    (faust.App, "_stop_consumer"): "55854a5d",
    (fetcher.Fetcher, "fetched_records"): "be434889",
    (fetcher.FetchResult, "getall"): "3e717e30",
    (_DefaultRecordBatchPy, "_maybe_uncompress"): "c9d0dc2b",
    (_DefaultRecordBatchPy, "_read_msg"): "0997ab7a",
    (_MemoryRecordsPy, "next_batch"): "f1779ecb",
    (subscription_state.TopicPartitionState, "consumed_to"): "c7b8f0f9",
}


def fingerprint(owner, name):
    return hashlib.sha256(inspect.getsource(getattr(owner, name)).encode()).hexdigest()[:8]


@pytest.mark.parametrize(("owner", "name"), INSIDES, ids=lambda part: getattr(part, "__name__", part))
def test_the_insides_of_the_libraries_are_those_the_batch_path_was_written_for(owner, name):
    assert fingerprint(owner, name) == INSIDES[owner, name]


class FakeFence:
    """Gives every assignment the next epoch."""

    def __init__(self):
        self.drawn = 0

    async def draw(self, partitions):
        self.drawn += 1
        return dict.fromkeys(partitions, self.drawn)


class FakeThread:
    """Stands for the thread of the bare client: hands out what the test fetched, remembers what it was told."""

    def __init__(self):
        self.fetches = []
        self.rewound = {}

    async def getmany(self, active, timeout):  # noqa: ASYNC109
        fetched, positions = self.fetches.pop(0)
        found = Fetched(fetched)
        found.positions = positions
        return found

    async def call_thread(self, do, *arguments):
        return await do(*arguments)

    async def rewind(self, offsets):
        self.rewound |= offsets


@pytest.fixture
async def consumer():
    """A consumer of the batch path as Faust makes it, to which two partitions are assigned; no broker."""
    settings = Settings(
        kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"), consuming=ConsumingSettings(chunk_records=10)
    )
    app = faust_app.create(settings, "vmi-test", fence=FakeFence())
    app.topics.acks_enabled_for = lambda topic: True
    consumer = app.transport.create_consumer(
        callback=_nothing, on_partitions_revoked=_nothing, on_partitions_assigned=_nothing
    )
    consumer._thread.thread_loop.close()
    consumer._thread = FakeThread()
    consumer.assignment = lambda: {SALES, STOCK}
    consumer._set_active_tps({SALES, STOCK})
    app.consumer_generation_id = 1
    return consumer


async def _nothing(*_):
    pass


async def fetch(consumer, fetched, positions=None):
    """Return the messages that one fetch leads to."""
    consumer._thread.fetches.append((fetched, positions or {}))
    return [message async for _, message in consumer.getmany(timeout=1)]


def committable(consumer):
    return consumer._filter_committable_offsets(list(consumer._filter_tps_with_pending_acks()))


def acknowledge(consumer, message):
    """Do what Faust does when an agent is through with a message."""
    message.tracked = True
    consumer.track_message(message)
    message.incref()
    message.ack(consumer)


async def test_one_message_carries_what_one_fetch_brought_from_one_partition(consumer):
    [sales, stock_] = await fetch(consumer, {SALES: records(SALES, 0, 6), STOCK: records(STOCK, 40, 41)})

    assert [r.offset for r in sales.value.records] == [0, 1, 2, 3, 4, 5, 6]
    assert (sales.tp, sales.offset) == (SALES, 6)
    assert [r.offset for r in stock_.value.records] == [40, 41]


async def test_what_piled_up_in_one_partition_keeps_no_other_waiting(consumer):
    messages = await fetch(consumer, {SALES: records(SALES, 0, 35), STOCK: records(STOCK, 40, 52)})

    assert [(message.topic, message.value.records[0].offset) for message in messages] == [
        (SALES.topic, 0),
        (STOCK.topic, 40),
        (SALES.topic, 10),
        (STOCK.topic, 50),
        (SALES.topic, 20),
        (SALES.topic, 30),
    ]


async def test_a_large_fetch_is_cut_into_chunks_in_order(consumer):
    messages = await fetch(consumer, {SALES: records(SALES, 0, 24)})

    assert [(m.value.records[0].offset, m.value.next_offset) for m in messages] == [(0, 10), (10, 20), (20, 25)]


async def test_p09_faust_committing_by_itself_never_passes_an_unprocessed_chunk(consumer):
    first, second = await fetch(consumer, {SALES: records(SALES, 0, 19)}, {("vmi.sales.v1", 0): 20})

    acknowledge(consumer, second)  # what Faust does with the chunk after one that is still being written
    acknowledge(consumer, first)  # and with one whose agent died
    assert committable(consumer) == {}

    second.value.finish()
    assert committable(consumer) == {}

    first.value.finish()
    assert committable(consumer) == {SALES: 20}


async def test_the_jump_between_two_chunks_is_no_gap_that_may_be_committed(consumer):
    [first] = await fetch(consumer, {SALES: records(SALES, 0, 9)})
    [second] = await fetch(consumer, {SALES: records(SALES, 50, 59)})

    await consumer._add_gap(SALES, 10, 59)  # Faust's drain loop, which sees only the last offset of each chunk
    first.value.finish()

    assert not consumer._gap[SALES]
    assert committable(consumer) == {SALES: 10}
    second.value.finish()
    assert committable(consumer) == {SALES: 60}


async def test_an_idle_partition_is_committed_to_its_end(consumer):
    [only] = await fetch(consumer, {SALES: records(SALES, 0, 9)}, {SALES: 11, STOCK: 7})
    only.value.finish()

    # 11: behind the last record stands the marker of its transaction. 7: nothing but a marker was fetched.
    assert committable(consumer) == {SALES: 11, STOCK: 7}

    consumer._committed_offset.update({SALES: 11, STOCK: 7})
    assert committable(consumer) == {}


async def test_what_faust_keeps_of_acknowledgements_does_not_grow(consumer):
    for start in range(0, 100, 10):
        [message] = await fetch(consumer, {SALES: records(SALES, start, start + 9)})
        acknowledge(consumer, message)
        message.value.finish()
        committable(consumer)

    assert not consumer._acked
    assert not consumer._acked_index


async def test_a_fetch_that_a_rebalance_overtakes_is_not_handed_on_and_will_be_fetched_again(consumer):
    consumer._thread.fetches.append(
        ({SALES: records(SALES, 0, 19), STOCK: records(STOCK, 5, 6)}, {SALES: 20, STOCK: 7})
    )
    seen = []
    async for _, message in consumer.getmany(timeout=1):
        seen.append(message.value.next_offset)
        consumer.app.consumer_generation_id = 2

    assert seen == [10]
    assert consumer._thread.rewound == {SALES: 10, STOCK: 5}
    assert committable(consumer) == {}


async def test_after_a_rebalance_nothing_is_known_of_what_was_in_flight(consumer):
    [message] = await fetch(consumer, {SALES: records(SALES, 0, 9)}, {SALES: 10})

    consumer.commit = _nothing
    await consumer.on_partitions_revoked({SALES, STOCK})
    message.value.finish()

    assert committable(consumer) == {}


async def test_a_chunk_is_bound_to_the_epoch_under_which_it_was_fetched(consumer):
    [before] = await fetch(consumer, {SALES: records(SALES, 0, 9)})
    [still] = await fetch(consumer, {SALES: records(SALES, 10, 19)})
    consumer.app.consumer_generation_id = 2
    [after] = await fetch(consumer, {SALES: records(SALES, 0, 9)})

    assert (before.value.epoch, still.value.epoch, after.value.epoch) == (1, 1, 2)


async def test_faust_does_not_drop_what_is_fetched_again(consumer):
    [_] = await fetch(consumer, {SALES: records(SALES, 0, 9)})
    consumer._read_offset[SALES] = 9  # Faust's drain loop, after handing it on
    [again] = await fetch(consumer, {SALES: records(SALES, 0, 4)})

    assert consumer._read_offset[again.tp] is None


async def test_a_seek_that_comes_just_after_a_revocation_leaves_nothing_in_flight(consumer):
    [message] = await fetch(consumer, {SALES: records(SALES, 0, 9)}, {SALES: 10})

    async def not_assigned():
        raise driver.IllegalStateError("No current assignment")

    consumer.seek_to_committed = not_assigned
    with pytest.raises(driver.IllegalStateError):
        await consumer.perform_seek()

    assert not message.value.is_out


def test_what_waits_for_an_agent_is_taken_without_waiting_but_not_what_an_old_assignment_left():
    def event(generation, chunk):
        return SimpleNamespace(message=SimpleNamespace(generation_id=generation), value=chunk)

    queue = asyncio.Queue()
    for waiting in (event(1, "old"), event(2, "first"), event(2, "second")):
        queue.put_nowait(waiting)
    stream = SimpleNamespace(channel=SimpleNamespace(queue=queue), app=SimpleNamespace(consumer_generation_id=2))

    assert list(ready_chunks(stream)) == ["first", "second"]


async def test_the_app_writes_nothing_to_the_disk_and_opens_no_port(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Settings(kafka=KafkaSettings(bootstrap_servers="127.0.0.1:1"))
    app = faust_app.create(settings, "vmi-test")
    app._create_directories()

    assert app.conf.web_enabled is False
    assert app.conf.topic_allow_declare is False
    assert app.conf.topic_disable_leader is True
    assert list(tmp_path.iterdir()) == []
