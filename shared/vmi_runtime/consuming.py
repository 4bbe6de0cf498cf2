"""Consuming: the one agent there is.

A batch is what waits, up to a limit: chunks of records of one or more partitions. It becomes one Postgres transaction,
and is acknowledged only after that is committed. What goes wrong is the surroundings' fault (tried again in place, for
as long as it takes), the data's (the batch is halved until the record is found, which is put aside with its bytes),
or ours (the process ends at once, and nothing is acknowledged).

While a batch is written, which is mostly waiting for the database, the next one is decoded, if much is waiting.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar, cast

from vmi_runtime import failure
from vmi_runtime.batch_path import Consumer, ready_chunks
from vmi_runtime.batches import Batches, Database
from vmi_runtime.faust_app import App
from vmi_runtime.in_flight import Chunk
from vmi_runtime.worker import Subscription, Tick, Transaction

MUCH = 200
"""Records. With fewer waiting, the next batch is better formed when the last is written: it will be larger then."""


def subscribe(app: App, subscription: Subscription[Any], database: Database) -> None:
    """Let ``app`` follow the topics of a subscription and write what stands there to the database."""
    batches = Batches(subscription, database)
    follow(app, [topic.name for topic in subscription.topics], batches.read, batches.write)


Read = TypeVar("Read")


def follow(
    app: App,
    topics: Sequence[str],
    read: Callable[[Sequence[Chunk]], Read],
    write: Callable[[Read], Awaitable[Sequence[Chunk]]],
) -> None:
    """Let ``app`` follow topics. This is the only agent there is.

    ``read`` makes a batch of chunks, which ``write`` deals with for good; it returns the chunks that were ours to deal
    with. Batches are written one after the other.
    """

    async def consume(stream: Any) -> None:
        await _Agent(app, stream, topics, read, write).run()

    app.agent(app.topic(*topics), name=f"{app.conf.id}.{'+'.join(topics)}", concurrency=1)(consume)


class _Agent(Generic[Read]):
    """The body of the agent."""

    def __init__(
        self,
        app: App,
        stream: Any,
        topics: Sequence[str],
        read: Callable[[Sequence[Chunk]], Read],
        write: Callable[[Read], Awaitable[Sequence[Chunk]]],
    ) -> None:
        self._consumer = cast(Consumer, app.consumer)
        self._limits = app.consuming
        self._stream = stream
        self._what = f"a batch of {list(topics)}"
        self._read = read
        self._write = write
        self._waiting: list[Chunk] = []
        self._writing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Consume until cancelled. Nothing is raised: what is no one else's fault ends the process."""
        try:
            async for first in self._stream:
                self._waiting.append(first)
                while chunks := await self._next():
                    batch = await self._decoded(chunks)
                    await self._written()
                    if self._consumer.flow_active:
                        self._writing = self._consumer.in_flight.at_work(self._deal_with(chunks, batch))
                        await asyncio.sleep(0)  # it asks the database before we decode on
        except asyncio.CancelledError:
            if self._writing is not None:
                self._writing.cancel()
            raise
        except BaseException as error:
            failure.die(self._what, error)

    async def _next(self) -> list[Chunk]:
        """Return the chunks of the next batch, if any wait."""
        self._collect()
        if self._writing is not None and sum(len(chunk.records) for chunk in self._waiting) < MUCH:
            await self._written()
            self._collect()
        chunks, self._waiting = take(self._waiting, records=self._limits.batch_records, size=self._limits.batch_bytes)
        return chunks

    def _collect(self) -> None:
        """Take what waits, but for what a rebalance has taken from us, or is about to."""
        self._waiting += ready_chunks(self._stream)
        if self._consumer.flow_active:
            self._waiting = [chunk for chunk in self._waiting if chunk.is_out]
        else:
            self._waiting = []

    async def _decoded(self, chunks: Sequence[Chunk]) -> Read:
        if self._writing is None or self._writing.done():
            return self._read(chunks)
        return await asyncio.to_thread(self._read, chunks)

    async def _written(self) -> None:
        """Wait until the batch that is being written is dealt with."""
        if self._writing is not None:
            await self._writing
            self._writing = None

    async def _deal_with(self, chunks: Sequence[Chunk], batch: Read) -> None:
        try:
            written = await self._write(batch)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failure.die(self._what, error)
        for chunk in written:
            chunk.finish()
        patience = 3 * self._limits.session_timeout_seconds
        for chunk in chunks:
            if chunk.is_out:
                asyncio.get_running_loop().call_later(patience, _require_a_rebalance, chunk)


def _require_a_rebalance(fenced: Chunk) -> None:
    """End the process if a partition was taken from us and the group never said so: it would stand still for ever."""
    if fenced.is_out:
        failure.die("a partition's records", RuntimeError(f"{fenced.partition} was fenced, and no rebalance came"))


def take(chunks: Sequence[Chunk], *, records: int, size: int) -> tuple[list[Chunk], list[Chunk]]:
    """Return the chunks of one batch, at least one, and what is left for the next."""
    taken_records = taken_bytes = 0
    for place, chunk in enumerate(chunks):
        taken_records += len(chunk.records)
        taken_bytes += chunk.bytes
        if place and (taken_records > records or taken_bytes > size):
            return list(chunks[:place]), list(chunks[place:])
    return list(chunks), []


def periodically(app: App, tick: Tick, database: Database) -> None:
    """Let a worker do something by itself, under the same policy (data that is refused is a bug here)."""

    async def once() -> bool:
        async with database.engine.begin() as connection:
            return await tick.do(Transaction(connection, database.clock))

    async def run() -> None:
        try:
            while await failure.retried(tick.name, once):
                if app.should_stop:
                    return
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failure.die(tick.name, error)

    app.timer(interval=tick.every_seconds, name=f"{app.conf.id}.{tick.name}")(run)
