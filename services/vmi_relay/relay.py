"""The relay: from the outbox to Kafka, in the order of each key, nothing lost.

A message is marked as published after the broker has it. A crash between the two sends it again, under the same id;
that is all that can happen. Shards are held under leases, so that several relays share them.
"""

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from uuid import uuid4

import structlog

from vmi_relay.line import Line
from vmi_runtime import failure, kafka_client
from vmi_runtime.clock import monotonic
from vmi_runtime.worker import Surroundings
from vmi_store import outbox
from vmi_store.engine import Connection
from vmi_store.outbox import Unpublished

log = structlog.get_logger(__name__)

IDLE_AFTER_SECONDS = 1.0
"""An outbox that was empty for so long is looked at less often."""

PURGE_EVERY_SECONDS = 10.0
PURGED_AT_ONCE = 5000


async def run(surroundings: Surroundings) -> None:
    """Send what the outbox holds until the process is to stop."""
    tasks = {asyncio.create_task(Relay(surroundings).run()), asyncio.create_task(_purge(surroundings))}
    done, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in running:
        task.cancel()
    for task in done:
        task.result()


class Relay:
    """One relay: the shards it holds, and what is being sent of them."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._settings = surroundings.settings.relay
        self._client = kafka_client.arguments(surroundings.settings.kafka)
        self._engine = surroundings.engine
        # A look is one statement: without BEGIN and COMMIT it takes a third of the time. Marks have a transaction: what
        # a killed relay was about to mark, waiting for a lock perhaps, is not to be marked after its death.
        self._looking = surroundings.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._session: Connection | None = None
        self._stopping = surroundings.stopping
        self._owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._installation = ""
        self._held: set[int] = set()
        self._lines: dict[int, Line] = {}
        self._sending: dict[int, asyncio.Task[list[int]]] = {}
        self._published: list[int] = []
        self._leased_until = 0.0
        self._renew_at = 0.0

    async def run(self) -> None:
        """Send until told to stop; then let what is on its way arrive, and give the shards back."""
        idle_since = monotonic()
        while not self._stopping.is_set():
            if monotonic() >= self._renew_at:
                await failure.retried("leasing shards", self._renew)
            if await failure.retried("looking into the outbox", self._look):
                idle_since = monotonic()
            await self._wait(busy=monotonic() - idle_since < IDLE_AFTER_SECONDS)
        if self._sending:
            await asyncio.wait(self._sending.values(), timeout=2 * self._settings.lease_seconds)
        self._collect()
        await self._end_session()
        await failure.retried("giving shards back", self._give_back)
        await asyncio.gather(*(line.close() for line in self._lines.values()))

    async def _renew(self) -> None:
        """Renew the leases, and take our share of shards."""
        # The pool may hold this one session: who else waits for one (what is old is deleted) gets it now, too.
        await self._end_session()
        asked_at = monotonic()
        async with self._engine.begin() as connection:
            self._installation = self._installation or await outbox.installation(connection)
            lease = timedelta(seconds=self._settings.lease_seconds)
            held = set(await outbox.take_leases(connection, owner=self._owner, lease=lease))
        if held != self._held:
            log.info("holds shards", shards=sorted(held))
        self._held = held
        for shard in self._lines.keys() - held - self._sending.keys():
            await self._lines.pop(shard).close()
        self._leased_until = asked_at + self._settings.lease_seconds
        self._renew_at = asked_at + self._settings.lease_seconds / 3

    async def _look(self) -> bool:
        """Mark what was sent, and begin to send what now heads each line; return whether there was anything."""
        free = sorted(self._held - self._sending.keys())
        if self._published:
            async with self._engine.begin() as connection:
                await outbox.mark_published(connection, self._published)
        async with self._kept_session() as connection:
            heads = await outbox.heads(connection, free, at_most=self._settings.batch_messages)
        self._published = []
        if monotonic() >= self._leased_until:
            # The database kept us waiting: another relay may have our shards.
            self._renew_at = 0.0
            return True
        by_shard: dict[int, list[Unpublished]] = {}
        for message in heads:
            by_shard.setdefault(message.shard, []).append(message)
        for shard, messages in by_shard.items():
            self._sending[shard] = asyncio.create_task(self._line(shard).send(messages))
        return bool(heads)

    @asynccontextmanager
    async def _kept_session(self) -> AsyncIterator[Connection]:
        """Give the session that looks, kept as long as it serves: to fetch one each time costs as much as the look."""
        if self._session is None:
            self._session = await self._looking.connect()
        try:
            yield self._session
        except BaseException:
            await self._session.invalidate()
            await self._end_session()
            raise

    async def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _line(self, shard: int) -> Line:
        if shard not in self._lines:
            self._lines[shard] = Line(f"vmi-relay-{self._installation}-{shard}", self._client)
        return self._lines[shard]

    async def _wait(self, *, busy: bool) -> None:
        """Wait until what is being sent has arrived, or for the next look."""
        seconds = self._settings.poll_seconds if busy else self._settings.idle_poll_seconds
        if self._sending:
            # A shard that is slow (a broker gone, a topic missing) does not keep the others waiting.
            await asyncio.wait(self._sending.values(), timeout=seconds)
            failed = self._collect()
            if not failed:
                return
        await asyncio.sleep(seconds)

    def _collect(self) -> bool:
        """Take note of what has arrived; return whether anything failed."""
        failed = False
        for shard, task in list(self._sending.items()):
            if task.done():
                sequences = task.result()
                failed |= not sequences
                self._published += sequences
                del self._sending[shard]
        return failed

    async def _give_back(self) -> None:
        async with self._engine.begin() as connection:
            if self._published:
                await outbox.mark_published(connection, self._published)
            await outbox.give_back_leases(connection, owner=self._owner)
        self._published = []


async def _purge(surroundings: Surroundings) -> None:
    """Delete, from time to time, what was published long ago."""
    keep = timedelta(hours=surroundings.settings.relay.keep_hours)

    async def once() -> int:
        async with surroundings.engine.begin() as connection:
            return await outbox.purge(connection, keep=keep, at_most=PURGED_AT_ONCE)

    while True:
        deleted = await failure.retried("purging the outbox", once)
        await asyncio.sleep(PURGE_EVERY_SECONDS if deleted < PURGED_AT_ONCE else 0.1)
