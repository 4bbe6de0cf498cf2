"""The outbox: what is to be published, written in the transaction that decided it, and how relays take it from there.

Its rows have Debezium's columns, so that Debezium's outbox router can take our relay's place. A key always falls into
the same shard, a shard has one sender at a time, and a sender takes the head of the line: so each key keeps its order.
Rows are found by ``published_at IS NULL``, never by ``sequence > last seen``: sequences commit out of order.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID
from zlib import crc32

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_contracts import envelope
from vmi_domain.values import dataclass
from vmi_store import columns

SHARDS: Final = 4
"""As many relays can share the work. What one shard sends at a time is a Kafka transaction, and these are what costs:
with 16 of them the broker took twice as long for a message. The shard is written with the row: who changes this number
to one that does not divide it has rows that wait to think of."""


@dataclass(frozen=True, slots=True)
class OutboxMessage:
    """One message to be published."""

    topic: str
    key: str
    customer_id: str
    type: str
    """The CloudEvents type of the document."""
    message_id: UUID
    """Derived, not drawn: the same decision has the same id at every replay."""
    source: str
    payload: bytes | None
    """The document as JSON; None makes a compacted topic forget the key."""
    time: datetime | None = None
    """When what the message tells happened."""


@dataclass(frozen=True, slots=True)
class Unpublished:
    """A row at the head of its shard's line."""

    sequence: int
    shard: int
    topic: str
    key: str
    payload: bytes | None
    headers: dict[str, str]


def shard_of(key: str) -> int:
    """Return the shard of a record key."""
    return crc32(key.encode()) % SHARDS


async def add(connection: AsyncConnection, messages: Sequence[OutboxMessage]) -> None:
    """Write what is to be published. Sequences are drawn in the order of ``messages``.

    The caller holds the locks of the keys it writes about, so that a key's sequences rise in the order of its commits.
    """
    if not messages:
        return
    names = [str(message.message_id) for message in messages]
    await connection.execute(
        _ADD,
        {
            "shards": columns.integers([shard_of(message.key) for message in messages]),
            "ids": columns.texts(names),
            "topics": columns.texts([message.topic for message in messages]),
            "keys": columns.texts([message.key for message in messages]),
            "types": columns.texts([message.type for message in messages]),
            "payloads": [message.payload for message in messages],
            "headers": columns.texts(_headers(messages, names)),
            "customers": columns.texts([message.customer_id for message in messages]),
        },
    )


_ADD = text("""
    INSERT INTO outbox (shard, id, aggregatetype, aggregateid, type, payload, headers, customer_id)
    SELECT shard::smallint, id::uuid, topic, key, type, payload, headers::jsonb, customer_id
    FROM ROWS FROM (
        string_to_table(CAST(:shards AS text), chr(10)), string_to_table(CAST(:ids AS text), chr(10)),
        string_to_table(CAST(:topics AS text), chr(10)), string_to_table(CAST(:keys AS text), chr(10)),
        string_to_table(CAST(:types AS text), chr(10)), unnest(CAST(:payloads AS bytea[])),
        string_to_table(CAST(:headers AS text), chr(10)), string_to_table(CAST(:customers AS text), chr(10))
    ) WITH ORDINALITY AS message (shard, id, topic, key, type, payload, headers, customer_id, place)
    ORDER BY place
""")


def _headers(messages: Sequence[OutboxMessage], names: Sequence[str]) -> list[str]:
    """Return the headers of each message as JSON. Most messages of a batch differ in nothing but their name."""
    alike: dict[tuple[str, str, int], dict[str, str]] = {}
    written = []
    for message, name in zip(messages, names, strict=True):
        kind = (message.source, message.type, id(message.time))  # what is equal may be told with another offset
        if kind not in alike:
            alike[kind] = envelope.attributes(
                source=message.source, message_id=name, message_type=message.type, time=message.time
            )
        written.append(orjson.dumps({**alike[kind], "ce_id": name}).decode())
    return written


async def installation(connection: AsyncConnection) -> str:
    """Return a name for this outbox that no other has, also where several installations share one Kafka."""
    result = await connection.execute(
        text("SELECT system_identifier::text || '-' || current_database() FROM pg_control_system()")
    )
    return str(result.scalar_one())


async def take_leases(connection: AsyncConnection, *, owner: str, lease: timedelta) -> list[int]:
    """Renew the leases of the relay ``owner`` and return the shards it may send until ``lease`` from now.

    Each living relay gets its fair share: one that holds more gives some back, one that holds less takes what is free
    or has run out. Call it well within ``lease``.
    """
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LEASES_LOCK})
    await connection.execute(_SAY_ALIVE, {"owner": owner, "lease": lease})
    await connection.execute(text("DELETE FROM outbox_relay WHERE expires_at < clock_timestamp()"))
    result = await connection.execute(_LEASE, {"owner": owner, "lease": lease, "shards": SHARDS})
    return sorted(result.scalars())


_LEASES_LOCK = 0x766D69_6F7862
_SAY_ALIVE = text("""
    INSERT INTO outbox_relay (owner, expires_at) VALUES (:owner, clock_timestamp() + CAST(:lease AS interval))
    ON CONFLICT (owner) DO UPDATE SET expires_at = excluded.expires_at
""")
# In one statement: what is given back is free for the others only after the commit, when nothing of it is being sent.
_LEASE = text("""
    WITH share AS (
        SELECT CAST(:shards AS int) / count(*)
               + (count(*) FILTER (WHERE owner <= :owner) <= CAST(:shards AS int) % count(*))::int AS shards
        FROM outbox_relay
    ), candidate AS (
        SELECT shard, lease.owner IS NOT DISTINCT FROM CAST(:owner AS text) AS ours
        FROM generate_series(0, CAST(:shards AS int) - 1) AS every (shard)
        LEFT JOIN outbox_lease AS lease USING (shard)
        WHERE lease.owner IS NULL OR lease.owner = :owner OR lease.expires_at < clock_timestamp()
    ), kept AS (
        SELECT shard FROM candidate ORDER BY ours DESC, shard LIMIT (SELECT shards FROM share)
    ), given_back AS (
        DELETE FROM outbox_lease WHERE owner = :owner AND shard NOT IN (SELECT shard FROM kept)
    )
    INSERT INTO outbox_lease (shard, owner, expires_at)
    SELECT shard, :owner, clock_timestamp() + CAST(:lease AS interval) FROM kept
    ON CONFLICT (shard) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
    RETURNING shard
""")


async def give_back_leases(connection: AsyncConnection, *, owner: str) -> None:
    """Free the shards of a relay that stops, so that another need not wait for the leases to run out."""
    await connection.execute(text("DELETE FROM outbox_lease WHERE owner = :owner"), {"owner": owner})
    await connection.execute(text("DELETE FROM outbox_relay WHERE owner = :owner"), {"owner": owner})


async def heads(connection: AsyncConnection, shards: Sequence[int], *, at_most: int) -> list[Unpublished]:
    """Return up to ``at_most`` unpublished rows of each shard, each shard's in their order."""
    result = await connection.execute(_HEADS, {"shards": list(shards), "at_most": at_most})
    return [
        Unpublished(sequence, shard, topic, key, payload, orjson.loads(headers))
        for sequence, shard, topic, key, payload, headers in result.all()
    ]


_HEADS = text("""
    SELECT head.sequence, leased.shard, head.aggregatetype, head.aggregateid, head.payload, head.headers::text
    FROM unnest(CAST(:shards AS smallint[])) AS leased (shard)
    CROSS JOIN LATERAL (
        SELECT * FROM outbox
        WHERE outbox.shard = leased.shard AND published_at IS NULL
        ORDER BY sequence LIMIT :at_most
    ) AS head
    ORDER BY leased.shard, head.sequence
""")


async def mark_published(connection: AsyncConnection, sequences: Sequence[int]) -> None:
    """Take rows out of the line: the broker has acknowledged them."""
    await connection.execute(_MARK, {"sequences": list(sequences)})


_MARK = text("""
    UPDATE outbox SET published_at = clock_timestamp()
    WHERE sequence = ANY (CAST(:sequences AS bigint[]))
""")


async def purge(connection: AsyncConnection, *, keep: timedelta, at_most: int = 5000) -> int:
    """Delete some published rows that are older than ``keep``; return how many, to be called again while it is many."""
    result = await connection.execute(_PURGE, {"keep": keep, "at_most": at_most})
    return result.rowcount


# Old rows are those with the lowest sequences, or nearly: the primary key finds them without an index of its own.
_PURGE = text("""
    DELETE FROM outbox WHERE sequence IN (
        SELECT sequence FROM (SELECT sequence, published_at FROM outbox ORDER BY sequence LIMIT :at_most) AS oldest
        WHERE published_at < clock_timestamp() - CAST(:keep AS interval)
    )
""")


async def waiting(connection: AsyncConnection) -> tuple[int, timedelta | None]:
    """Return how many messages wait to be published, and how long the first of them has waited."""
    row = (await connection.execute(_WAITING)).one()
    return row.messages, row.age


_WAITING = text("""
    SELECT count(*) AS messages, clock_timestamp() - min(created_at) AS age
    FROM outbox WHERE published_at IS NULL
""")


async def relays_alive(connection: AsyncConnection) -> int:
    """Return how many relays hold a lease on life."""
    count: int = (
        await connection.execute(text("SELECT count(*) FROM outbox_relay WHERE expires_at > clock_timestamp()"))
    ).scalar_one()
    return count
