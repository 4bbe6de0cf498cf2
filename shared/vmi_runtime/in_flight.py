"""Which chunks of records are out with the agents, and how far each partition may be committed because of it."""

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Sequence
from typing import Any

from vmi_runtime.worker import Record

TopicPartition = tuple[str, int]


class Chunk:
    """What one fetch brought from one partition, or a part of it: records in the order of their offsets."""

    __slots__ = ("_in_flight", "bytes", "done", "epoch", "partition", "records")

    def __init__(self, partition: TopicPartition, records: Sequence[Record], epoch: int = 0) -> None:
        self.partition = partition
        self.records = records
        self.epoch = epoch
        """The epoch under which it was fetched: it may be written only while that one holds."""
        self.bytes = sum(len(record.value or b"") for record in records)
        self.done = False
        self._in_flight: InFlight | None = None

    @property
    def next_offset(self) -> int:
        """Where its partition goes on."""
        return self.records[-1].offset + 1

    @property
    def is_out(self) -> bool:
        """Whether it is still waited for: neither finished nor forgotten."""
        return self._in_flight is not None

    def finish(self) -> None:
        """Say that all its records are dealt with, for good: their partition may be committed past them."""
        self.done = True
        if self._in_flight is not None:
            self._in_flight.finished(self)


class InFlight:
    """The chunks that were fetched and are not yet dealt with.

    A partition is committed up to its first unfinished chunk and never past it, in whatever order chunks finish, and
    whatever became of Faust's own acknowledgements (see "Reproduced loss bugs" in the notes on Faust 0.15).
    """

    def __init__(self) -> None:
        self._chunks: dict[TopicPartition, deque[Chunk]] = {}
        self._committable: dict[TopicPartition, int] = {}
        self._reached: dict[TopicPartition, int] = {}
        self._records = 0
        self._working = 0
        self._changed = asyncio.Event()

    def add(self, chunk: Chunk) -> None:
        """Take note of a chunk before anyone else sees it."""
        chunk._in_flight = self
        self._chunks.setdefault(chunk.partition, deque()).append(chunk)
        self._records += len(chunk.records)

    def reached(self, partition: TopicPartition, position: int) -> None:
        """Take note that nothing below ``position`` is left to fetch, all of it having been added.

        It may lie past the last record: a transaction's marker takes an offset too.
        """
        self._reached[partition] = position

    def finished(self, chunk: Chunk) -> None:
        """Let partitions be committed past the chunk, once nothing unfinished is before it."""
        chunk._in_flight = None
        self._records -= len(chunk.records)
        chunks = self._chunks[chunk.partition]
        while chunks and chunks[0].done:
            self._committable[chunk.partition] = chunks.popleft().next_offset
        self._changed.set()

    def committable(self, partition: TopicPartition) -> int | None:
        """Return the offset up to which everything is dealt with; None if that is not known."""
        if self._chunks.get(partition):
            return self._committable.get(partition)
        known = (self._committable.get(partition), self._reached.get(partition))
        return max((offset for offset in known if offset is not None), default=None)

    def partitions(self) -> Iterator[TopicPartition]:
        """Yield the partitions of which anything is known."""
        yield from {*self._chunks, *self._reached}

    def forget(self, partitions: Iterable[TopicPartition] | None = None) -> None:
        """Drop what is known of partitions (of all, if none are named): they are fetched again, by us or by another."""
        for partition in list(self.partitions()) if partitions is None else partitions:
            for chunk in self._chunks.pop(partition, ()):
                if not chunk.done:
                    chunk._in_flight = None
                    self._records -= len(chunk.records)
            self._committable.pop(partition, None)
            self._reached.pop(partition, None)
        self._changed.set()

    async def room(self, at_most: int) -> None:
        """Wait until fewer than ``at_most`` records are in flight."""
        while self._records >= at_most:
            await self._change()

    def at_work(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Let an agent's work on a batch begin; who settles waits for it from now on, before its first step too."""
        self._working += 1
        task = asyncio.create_task(work)
        task.add_done_callback(self._worked)
        return task

    def _worked(self, _: asyncio.Task[None]) -> None:
        self._working -= 1
        self._changed.set()

    async def settle(self, seconds: float) -> bool:
        """Wait until no agent is at work on a batch, but no longer than ``seconds``; return whether none is."""
        try:
            async with asyncio.timeout(seconds):
                while self._working:
                    await self._change()
        except TimeoutError:
            return False
        return True

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
