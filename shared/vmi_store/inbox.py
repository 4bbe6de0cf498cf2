"""The inbox: each document counts once, however often it is delivered."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Seen(Enum):
    """What the inbox says of a document."""

    NEW = "new"
    DUPLICATE = "duplicate"
    """Same identity, same contents: ignored."""
    CONFLICT = "conflict"
    """Same identity, other contents, and no revision that says so: quarantined."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A document's identity and contents, as the inbox compares them."""

    customer_id: str
    message_key: UUID
    payload_hash: int


def letter(*, customer_id: str, source: str, message_id: str, revision: int, payload: bytes) -> Letter:
    """Return the letter of a document. A bare message id is never trusted across customers or sources (S7)."""
    name = b"\x00".join((customer_id.encode(), source.encode(), message_id.encode(), str(revision).encode()))
    return Letter(
        customer_id,
        UUID(bytes=blake2b(name, digest_size=16).digest()),
        int.from_bytes(blake2b(payload, digest_size=8).digest(), "big", signed=True),
    )


async def receive(connection: AsyncConnection, letters: Sequence[Letter]) -> list[Seen]:
    """Note the documents and return, in their order, which are new. Of two in one batch the first is the new one."""
    first: dict[tuple[str, UUID], Letter] = {}
    for one in letters:
        first.setdefault((one.customer_id, one.message_key), one)
    ordered = [first[key] for key in sorted(first)]
    result = await connection.execute(
        _RECEIVE,
        {
            "customers": [one.customer_id for one in ordered],
            "keys": [one.message_key for one in ordered],
            "hashes": [one.payload_hash for one in ordered],
        },
    )
    new = {(row.customer_id, row.message_key) for row in result}
    known = [one for one in ordered if (one.customer_id, one.message_key) not in new]
    hashes = await _hashes(connection, known) if known else {}
    verdicts = []
    for one in letters:
        identity = (one.customer_id, one.message_key)
        if identity in new and first[identity] is one:
            verdicts.append(Seen.NEW)
        elif hashes.get(identity, first[identity].payload_hash) == one.payload_hash:
            verdicts.append(Seen.DUPLICATE)
        else:
            verdicts.append(Seen.CONFLICT)
    return verdicts


_RECEIVE = text("""
    INSERT INTO inbox (customer_id, message_key, payload_hash)
    SELECT * FROM unnest(CAST(:customers AS text[]), CAST(:keys AS uuid[]), CAST(:hashes AS bigint[]))
    ON CONFLICT (customer_id, message_key) DO NOTHING
    RETURNING customer_id, message_key
""")


async def _hashes(connection: AsyncConnection, letters: Sequence[Letter]) -> dict[tuple[str, UUID], int]:
    """Return the contents' hashes of documents that are there. A new statement: another worker may just have come."""
    result = await connection.execute(
        _HASHES,
        {"customers": [one.customer_id for one in letters], "keys": [one.message_key for one in letters]},
    )
    return {(row.customer_id, row.message_key): row.payload_hash for row in result}


_HASHES = text("""
    SELECT customer_id, message_key, payload_hash
    FROM unnest(CAST(:customers AS text[]), CAST(:keys AS uuid[])) AS wanted (customer_id, message_key)
    JOIN inbox USING (customer_id, message_key)
""")
