"""The inbox: each document counts once, however often it is delivered."""

from collections.abc import Sequence
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_store import columns


class Seen(Enum):
    """What the inbox says of a document."""

    NEW = "new"
    DUPLICATE = "duplicate"
    """Same identity, same contents: ignored."""
    CONFLICT = "conflict"
    """Same identity, other contents, and no revision that says so: quarantined."""


class Letter(NamedTuple):
    """A document's identity and contents, as the inbox compares them."""

    customer_id: str
    message_key: bytes
    payload_hash: int


def letter(*, customer_id: str, source: str, message_id: str, revision: int, payload: bytes) -> Letter:
    """Return the letter of a document. A bare message id is never trusted across customers or sources (S7)."""
    name = f"{customer_id}\x00{source}\x00{message_id}\x00{revision}".encode()
    return Letter(
        customer_id,
        blake2b(name, digest_size=16).digest(),
        int.from_bytes(blake2b(payload, digest_size=8).digest(), "big", signed=True),
    )


async def receive(connection: AsyncConnection, letters: Sequence[Letter]) -> list[Seen]:
    """Note the documents and return, in their order, which are new. Of two in one batch the first is the new one.

    To be called once in a transaction.
    """
    first: dict[tuple[str, bytes], Letter] = {}
    for one in letters:
        first.setdefault(one[:2], one)
    if not first:
        return []
    ordered = sorted(first.values())
    noted = await connection.execute(_RECEIVE, _columns(ordered))
    if noted.rowcount == len(letters):
        return [Seen.NEW] * len(letters)
    known = await _known(connection, ordered)
    verdicts = []
    for one in letters:
        identity = one[:2]
        if identity not in known and first[identity] is one:
            verdicts.append(Seen.NEW)
        elif known.get(identity, first[identity].payload_hash) == one.payload_hash:
            verdicts.append(Seen.DUPLICATE)
        else:
            verdicts.append(Seen.CONFLICT)
    return verdicts


def _columns(letters: Sequence[Letter]) -> dict[str, object]:
    customers, keys, hashes = zip(*letters, strict=True)
    return {"customers": columns.texts(customers), "keys": keys, "hashes": columns.integers(hashes)}


_LETTERS = """
    unnest(
        string_to_array(CAST(:customers AS text), chr(10)), CAST(:keys AS bytea[]),
        string_to_array(CAST(:hashes AS text), chr(10))
    ) AS letter (customer_id, message_key, payload_hash)
"""
_RECEIVE = text(f"""
    INSERT INTO inbox (customer_id, message_key, payload_hash)
    SELECT customer_id, message_key, payload_hash::bigint FROM {_LETTERS}
    ON CONFLICT (customer_id, message_key) DO NOTHING
""")  # noqa: S608 - our own words


async def _known(connection: AsyncConnection, letters: Sequence[Letter]) -> dict[tuple[str, bytes], int]:
    """Return the contents' hashes of documents that earlier transactions noted.

    ``received_at`` tells them apart: it is the beginning of the transaction. Should two transactions ever begin in the
    same microsecond with the same document, the journal still takes its lines once.
    """
    result = await connection.execute(_KNOWN, _columns(letters))
    return {(row.customer_id, row.message_key): row.payload_hash for row in result}


_KNOWN = text(f"""
    SELECT inbox.customer_id, inbox.message_key, inbox.payload_hash
    FROM {_LETTERS} JOIN inbox USING (customer_id, message_key)
    WHERE inbox.received_at <> now()
""")  # noqa: S608 - our own words
