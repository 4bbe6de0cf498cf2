"""What a worker is: topics it follows, what it does with their records, and what it does from time to time.

**The convention.** Each worker package ``vmi_<name>`` has a ``__main__.py`` that names one frozen value and runs it::

    WORKER = Worker("inventory", subscriptions=(Subscription((SALES, STOCK), decode=read_facts, apply=record_facts),))

    if __name__ == "__main__":
        process.main(WORKER)

Importing it does nothing. ``vmi worker inventory`` imports ``vmi_inventory.__main__`` and gives its ``WORKER`` to
``vmi_runtime.process.run``, as does ``python -m vmi_inventory``. The worker's name makes its consumer group,
``vmi-inventory``.

**A subscription is two functions.** ``decode`` is pure and synchronous: bytes in, documents and rejected lines out; it
never raises for what a partner sent, however broken (what it raises is a bug and ends the process). ``apply`` writes
what was decoded, all in the one transaction it is given, which the runtime opened and will commit: inbox, journal, fold
and outbox stand or fall together. The runtime may call both again with the same records or with a part of them: after a
deadlock, after a failover, and while it looks for the one record that the database refuses. So ``apply`` keeps nothing
outside its transaction, and writes the rejected lines (``vmi_store.quarantine``) in it too.
"""

from asyncio import Event
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from vmi_contracts.topics import Topic
from vmi_domain.values import dataclass
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings

Decoded = TypeVar("Decoded")

UNIX_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

EXIT_CANNOT_START = 78
"""The settings, the schema or the topics are not as they must be. Starting again does not help; a person does."""


class Record(Protocol):
    """One Kafka record as it was fetched. Its bytes are what the partner sent, unread."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int:
        """Milliseconds since 1970: the broker's append time. ``recorded_at`` gives it as a datetime."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes]]: ...


@dataclass(frozen=True, slots=True)
class FetchedRecord:
    """A ``Record`` made by hand: for tests, and for what is read back from quarantine."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def recorded_at(record: Record) -> datetime:
    """Return when the broker appended the record: the fact's ``recorded_at``, the same at every replay."""
    return UNIX_EPOCH + timedelta(milliseconds=record.timestamp)


@dataclass(frozen=True, slots=True)
class Transaction:
    """The one Postgres transaction of a batch or of a tick. The runtime opens and commits it; nobody else does."""

    connection: AsyncConnection
    clock: Clock


@dataclass(frozen=True, slots=True)
class Subscription(Generic[Decoded]):
    """Topics, and what is done with their records: one batch, one transaction.

    The records of a batch come from one or more partitions and topics, in each partition in the order of their offsets.
    """

    topics: Sequence[Topic]
    decode: Callable[[Sequence[Record]], Decoded]
    apply: Callable[[Decoded, Transaction], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Tick:
    """What a worker does by itself, every so many seconds, in one transaction (closing days, say).

    Several processes of one worker all tick: ``do`` locks what it changes, and finds nothing left to do when another
    was first. It is called again at once while it returns True (there is more to do).
    """

    name: str
    every_seconds: float
    do: Callable[[Transaction], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a task is given: the settings, the database, and the event that is set when the process is to end."""

    settings: Settings
    engine: AsyncEngine
    clock: Clock
    stopping: Event


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker, as a list of what it does."""

    name: str
    """``inventory`` for the package ``vmi_inventory`` and the consumer group ``vmi-inventory``."""

    subscriptions: Sequence[Subscription[Any]] = ()
    ticks: Sequence[Tick] = ()

    tasks: Sequence[Callable[[Surroundings], Awaitable[None]]] = ()
    """What runs as long as the process and is no subscription (the relay); returns soon after ``stopping`` is set."""

    @property
    def group(self) -> str:
        return f"vmi-{self.name}"
