"""The one agent: batches one after the other, the next decoded meanwhile, none written that is no longer ours."""

import asyncio
from types import SimpleNamespace

import pytest

from vmi_runtime import consuming, failure
from vmi_runtime.consuming import take
from vmi_runtime.in_flight import Chunk, InFlight
from vmi_runtime.settings import ConsumingSettings
from vmi_testing.records import records

SALES = ("vmi.sales.v1", 0)


class FakeApp:
    """What the agent asks of its app, and the stream it is given: chunks that the test lets come."""

    consumer_generation_id = 1

    def __init__(self, **limits):
        self.consumer = SimpleNamespace(in_flight=InFlight(), flow_active=True)
        self.consuming = ConsumingSettings(**limits)
        self.queue = asyncio.Queue()
        self.channel = SimpleNamespace(queue=self.queue)
        self.app = self
        self._next_offset = 0

    def fetched(self, count):
        """Let a chunk of ``count`` records come."""
        first = self._next_offset
        self._next_offset += count
        chunk = Chunk(SALES, records(SALES, first, first + count - 1))
        self.consumer.in_flight.add(chunk)
        self.queue.put_nowait(SimpleNamespace(message=SimpleNamespace(generation_id=1), value=chunk))
        return chunk

    async def __aiter__(self):
        while True:
            yield (await self.queue.get()).value

    def committable(self):
        return self.consumer.in_flight.committable(SALES)


class Writing:
    """Writes batches when the test lets it, and takes down what it was asked to do."""

    def __init__(self):
        self.steps = []
        self.let = asyncio.Event()
        self.ours = True
        self.while_reading = lambda: None

    def read(self, chunks):
        self.while_reading()
        self.steps.append(("read", sum(len(chunk.records) for chunk in chunks)))
        return chunks

    async def write(self, chunks):
        self.steps.append(("write", sum(len(chunk.records) for chunk in chunks)))
        await self.let.wait()
        return chunks if self.ours else []


@pytest.fixture
async def agent(request):
    """Run an agent on a fake app; give the app and what it writes with."""
    app, writing = FakeApp(**getattr(request, "param", {})), Writing()
    running = asyncio.create_task(consuming._Agent(app, app, ["vmi.sales.v1"], writing.read, writing.write).run())
    yield app, writing
    # What is still out would be required to have been rebalanced away, long after this test, and end the process.
    app.consumer.in_flight.forget()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def reached(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def test_a_batch_is_acknowledged_only_when_it_is_written(agent):
    app, writing = agent
    app.fetched(5)
    await reached(lambda: writing.steps == [("read", 5), ("write", 5)])
    assert app.committable() is None

    writing.let.set()

    await reached(lambda: app.committable() == 5)


async def test_the_next_batch_is_read_while_one_is_written_if_much_waits_and_written_after_it(agent):
    app, writing = agent
    app.fetched(5)
    await reached(lambda: ("write", 5) in writing.steps)
    app.fetched(consuming.MUCH)
    app.fetched(1)

    app.queue.put_nowait(SimpleNamespace(message=SimpleNamespace(generation_id=0), value="of an old assignment"))
    await asyncio.sleep(0.05)
    assert ("write", consuming.MUCH + 1) not in writing.steps
    writing.let.set()

    await reached(lambda: app.committable() == consuming.MUCH + 6)
    assert writing.steps[:2] == [("read", 5), ("write", 5)]
    assert writing.steps[-1] == ("write", consuming.MUCH + 1)


async def test_much_that_waits_already_is_read_before_the_batch_before_it_is_written(agent):
    app, writing = agent
    app.fetched(1999)
    app.fetched(consuming.MUCH)

    await reached(lambda: len(writing.steps) == 3)

    assert writing.steps == [("read", 1999), ("write", 1999), ("read", consuming.MUCH)]


async def test_little_waits_until_the_batch_before_is_written_and_is_more_by_then(agent):
    app, writing = agent
    app.fetched(5)
    await reached(lambda: ("write", 5) in writing.steps)
    app.fetched(1)
    await asyncio.sleep(0.02)
    app.fetched(1)

    writing.let.set()

    await reached(lambda: app.committable() == 7)
    assert writing.steps[2:] == [("read", 2), ("write", 2)]


async def test_what_a_rebalance_is_about_to_take_is_not_written_any_more(agent):
    app, writing = agent
    app.fetched(1999)
    app.fetched(consuming.MUCH)
    await reached(lambda: len(writing.steps) == 3)

    app.consumer.flow_active = False
    writing.let.set()

    assert await app.consumer.in_flight.settle(5)
    await reached(lambda: app.committable() == 1999)
    assert writing.steps[-1] == ("read", consuming.MUCH)


async def test_who_stops_waits_for_a_batch_that_is_about_to_be_written(agent):
    app, writing = agent
    stopping = []
    # Asked after the agent's last look at whether it may go on, and before the first step of writing.
    writing.while_reading = lambda: stopping.append(asyncio.create_task(app.consumer.in_flight.settle(5)))
    app.fetched(5)
    await reached(lambda: writing.steps == [("read", 5), ("write", 5)])
    assert not stopping[0].done()

    writing.let.set()

    assert await asyncio.wait_for(stopping[0], 5) is True
    assert app.committable() == 5


async def test_what_a_rebalance_took_is_dropped_and_what_came_after_it_is_written(agent):
    app, writing = agent
    app.fetched(5)
    await reached(lambda: ("write", 5) in writing.steps)
    app.fetched(7)
    app.consumer.in_flight.forget()
    app.fetched(9)

    writing.let.set()

    await reached(lambda: writing.steps[2:] == [("read", 9), ("write", 9)])


async def test_a_fenced_chunk_is_not_acknowledged(agent):
    app, writing = agent
    writing.ours = False
    writing.let.set()
    chunk = app.fetched(5)

    await reached(lambda: ("write", 5) in writing.steps)
    await app.consumer.in_flight.settle(5)

    assert chunk.is_out
    assert app.committable() is None


class Died(BaseException):
    pass


@pytest.fixture
def deaths(monkeypatch):
    found = []

    def die(what, error):
        found.append(error)
        raise Died

    monkeypatch.setattr(failure, "die", die)
    return found


async def test_a_chunk_that_stays_fenced_without_a_rebalance_ends_the_process(deaths):
    in_flight = InFlight()
    chunk = Chunk(SALES, records(SALES, 0, 0))
    in_flight.add(chunk)
    with pytest.raises(Died):
        consuming._require_a_rebalance(chunk)

    in_flight.forget()
    consuming._require_a_rebalance(chunk)

    assert len(deaths) == 1


@pytest.mark.parametrize("broken", ["read", "write"])
async def test_a_bug_ends_the_process_and_acknowledges_nothing(deaths, broken):
    app, writing = FakeApp(), Writing()
    writing.let.set()

    def fail(*_):
        raise KeyError("a bug")

    async def fail_to_write(*_):
        raise KeyError("a bug")

    read, write = (fail, writing.write) if broken == "read" else (writing.read, fail_to_write)
    app.fetched(5)
    app.fetched(5)
    with pytest.raises(Died):
        await asyncio.wait_for(consuming._Agent(app, app, ["vmi.sales.v1"], read, write).run(), 5)

    assert isinstance(deaths[0], KeyError)
    assert app.committable() is None


def chunk_of(count, size=2):
    return Chunk(SALES, records(SALES, 0, count - 1, value=b"x" * size))


def test_a_batch_is_at_least_one_chunk_however_large():
    large = chunk_of(500)

    assert take([large, large], records=10, size=10) == ([large], [large])


def test_a_batch_holds_as_many_chunks_as_its_limits_allow():
    chunks = [chunk_of(10) for _ in range(5)]

    assert take(chunks, records=30, size=10**6) == (chunks[:3], chunks[3:])
    assert take(chunks, records=1000, size=45) == (chunks[:2], chunks[2:])
    assert take(chunks, records=1000, size=10**6) == (chunks, [])
    assert take([], records=1, size=1) == ([], [])
