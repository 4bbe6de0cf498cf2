"""The inbox: each document counts once, however often it is delivered."""

from collections.abc import Sequence
from datetime import date, datetime
from enum import Enum
from hashlib import blake2b
from typing import NamedTuple

from sqlalchemy import CursorResult, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_store import columns

Identity = tuple[str, bytes]
"""A customer and a message key."""


class Seen(Enum):
    """What the inbox says of a document."""

    NEW = "new"
    AWAITED = "awaited"
    """New, and another document replaced or retracted it before it came."""
    DUPLICATE = "duplicate"
    """Same identity, same contents: ignored."""
    CONFLICT = "conflict"
    """Same identity, other contents, and no revision that says so: quarantined."""


class Letter(NamedTuple):
    """A document's identity and contents, as the inbox compares them, and where its lines stand in the journal."""

    customer_id: str
    message_key: bytes
    payload_hash: int
    location_id: str | None = None
    happened: datetime | date | None = None
    """A day where the document names no more than that; the lines may then be of a day before or after."""


def message_key(*, customer_id: str, source: str, message_id: str, revision: int, declaration: str = "") -> bytes:
    """Return a document's identity. A bare message id is never trusted across customers or sources (S7).

    A ``declaration`` about a document that travels under the document's own id has an identity of its own.
    """
    name = f"{customer_id}\x00{source}\x00{message_id}\x00{revision}"
    return blake2b(f"{name}\x00{declaration}".encode() if declaration else name.encode(), digest_size=16).digest()


def letter(
    *,
    customer_id: str,
    source: str,
    message_id: str,
    revision: int,
    payload: bytes,
    declaration: str = "",
    location_id: str | None = None,
    happened: datetime | date | None = None,
) -> Letter:
    """Return the letter of a document."""
    return Letter(
        customer_id,
        message_key(
            customer_id=customer_id,
            source=source,
            message_id=message_id,
            revision=revision,
            declaration=declaration,
        ),
        int.from_bytes(blake2b(payload, digest_size=8).digest(), "big", signed=True),
        location_id,
        happened,
    )


async def receive(connection: AsyncConnection, letters: Sequence[Letter], names: Sequence[Identity] = ()) -> list[Seen]:
    """Note the documents and return, in their order, which are new. Of two in one batch the first is the new one.

    ``names`` are documents (revision 0 of each) that these letters say something about: they are held until the commit,
    whether they have come or not, so that nobody takes one of them in at the same time. To be called once in a
    transaction.
    """
    first: dict[Identity, Letter] = {}
    for one in letters:
        first.setdefault(one[:2], one)
    if not first and not names:
        return []
    ordered = sorted(first.values(), key=_identity)
    known: dict[Identity, int | None]
    if names:
        known = await _note_and_hold(connection, first, names)
    else:
        noted = await _receive(connection, ordered)
        if noted.rowcount == len(letters):
            return [Seen.NEW] * len(letters)
        known = await _known(connection, ordered)
    claimed = await _claim(connection, [one for one in ordered if known.get(one[:2], 0) is None])
    if any(hash_ is None for identity, hash_ in known.items() if identity in first and identity not in claimed):
        known |= await _known(connection, ordered)  # somebody else took it in meanwhile
    verdicts = []
    for one in letters:
        identity = one[:2]
        if identity in claimed:
            seen = Seen.AWAITED if first[identity] is one else _compared(first[identity].payload_hash, one)
        elif identity not in known and first[identity] is one:
            seen = Seen.NEW
        else:
            seen = _compared(known.get(identity, first[identity].payload_hash), one)
        verdicts.append(seen)
    return verdicts


def _identity(one: Letter) -> Identity:
    return one[:2]


def _compared(payload_hash: int | None, one: Letter) -> Seen:
    return Seen.DUPLICATE if payload_hash == one.payload_hash else Seen.CONFLICT


async def hold(connection: AsyncConnection, names: Sequence[Identity]) -> None:
    """Hold documents (revision 0 of each) until the commit, whether they have come or not: nobody says anything about
    them meanwhile."""
    if names:
        await _note_and_hold(connection, {}, names)


async def _note_and_hold(
    connection: AsyncConnection, first: dict[Identity, Letter], names: Sequence[Identity]
) -> dict[Identity, int | None]:
    """Note letters and names, in one order, and return what was known of them before: their contents' hashes."""
    rows: dict[Identity, Letter | None] = dict.fromkeys(names) | first
    ordered = sorted(rows)
    result = await connection.execute(
        _NOTE_AND_HOLD,
        {
            "customers": [customer for customer, _ in ordered],
            "keys": [key for _, key in ordered],
            "hashes": [None if (one := rows[identity]) is None else one.payload_hash for identity in ordered],
            **_places([rows[identity] for identity in ordered]),
        },
    )
    return {(row.customer_id, row.message_key): row.payload_hash for row in result if not row.is_new}


async def _receive(connection: AsyncConnection, letters: Sequence[Letter]) -> CursorResult[object]:
    customers, keys, hashes, locations, happened = zip(*letters, strict=True)
    noted = {
        "customers": columns.texts(customers),
        "keys": keys,
        "hashes": columns.integers(hashes),
        "locations": columns.optional(locations),
    }
    if all(isinstance(one, datetime) for one in happened):
        return await connection.execute(_RECEIVE, {**noted, "times": happened})
    return await connection.execute(_RECEIVE_DAYS, {**noted, **_times(happened)})


def _places(letters: Sequence[Letter | None]) -> dict[str, object]:
    return {
        "locations": columns.optional([one and one.location_id for one in letters]),
        **_times([one and one.happened for one in letters]),
    }


def _times(happened: Sequence[datetime | date | None]) -> dict[str, object]:
    return {
        "times": [one if isinstance(one, datetime) else None for one in happened],
        "days": [None if isinstance(one, datetime) else one for one in happened],
    }


_LETTERS = """
    string_to_array(CAST(:customers AS text), chr(10)), CAST(:keys AS bytea[]),
    string_to_array(CAST(:hashes AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10), ''),
    CAST(:times AS timestamptz[])
"""
_NAMES = "customer_id, message_key, payload_hash, location_id, occurred_at"
_RECEIVE = text(f"""
    INSERT INTO inbox ({_NAMES})
    SELECT customer_id, message_key, payload_hash::bigint, location_id, occurred_at
    FROM unnest({_LETTERS}) AS letter ({_NAMES})
    ON CONFLICT (customer_id, message_key) DO NOTHING
""")  # noqa: S608 - our own words
_RECEIVE_DAYS = text(f"""
    INSERT INTO inbox ({_NAMES}, occurred_on)
    SELECT customer_id, message_key, payload_hash::bigint, location_id, occurred_at, occurred_on
    FROM unnest({_LETTERS}, CAST(:days AS date[])) AS letter ({_NAMES}, occurred_on)
    ON CONFLICT (customer_id, message_key) DO NOTHING
""")  # noqa: S608 - our own words
# A row that is there is locked: who takes that document in, or says something about it, waits for the commit.
_NOTE_AND_HOLD = text(f"""
    INSERT INTO inbox ({_NAMES}, occurred_on)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:keys AS bytea[]), CAST(:hashes AS bigint[]),
        string_to_array(CAST(:locations AS text), chr(10), ''), CAST(:times AS timestamptz[]), CAST(:days AS date[]))
    ON CONFLICT (customer_id, message_key) DO UPDATE SET payload_hash = inbox.payload_hash
    RETURNING customer_id, message_key, payload_hash, received_at = now() AS is_new
""")  # noqa: S608 - our own words


async def _known(connection: AsyncConnection, letters: Sequence[Letter]) -> dict[Identity, int | None]:
    """Return the contents' hashes of documents that earlier transactions noted, None of those that have not come.

    ``received_at`` tells them apart: it is the beginning of the transaction. Should two transactions ever begin in the
    same microsecond with the same document, the journal still takes its lines once.
    """
    result = await connection.execute(
        _KNOWN,
        {"customers": [one.customer_id for one in letters], "keys": [one.message_key for one in letters]},
    )
    return {(row.customer_id, row.message_key): row.payload_hash for row in result}


_KNOWN = text("""
    SELECT inbox.customer_id, inbox.message_key, inbox.payload_hash
    FROM unnest(CAST(:customers AS text[]), CAST(:keys AS bytea[])) AS letter (customer_id, message_key)
    JOIN inbox USING (customer_id, message_key)
    WHERE inbox.received_at <> now()
""")


async def _claim(connection: AsyncConnection, letters: Sequence[Letter]) -> set[Identity]:
    """Take in documents that something was said about before they came; return those that nobody else took in."""
    if not letters:
        return set()
    result = await connection.execute(
        _CLAIM,
        {
            "customers": [one.customer_id for one in letters],
            "keys": [one.message_key for one in letters],
            "hashes": [one.payload_hash for one in letters],
            **_places(letters),
        },
    )
    return {(row.customer_id, row.message_key) for row in result}


_CLAIM = text("""
    UPDATE inbox SET
        payload_hash = letter.payload_hash, location_id = letter.location_id, occurred_at = letter.occurred_at,
        occurred_on = letter.occurred_on
    FROM unnest(
        CAST(:customers AS text[]), CAST(:keys AS bytea[]), CAST(:hashes AS bigint[]),
        string_to_array(CAST(:locations AS text), chr(10), ''), CAST(:times AS timestamptz[]), CAST(:days AS date[])
    ) AS letter (customer_id, message_key, payload_hash, location_id, occurred_at, occurred_on)
    WHERE inbox.customer_id = letter.customer_id AND inbox.message_key = letter.message_key
      AND inbox.payload_hash IS NULL
    RETURNING inbox.customer_id, inbox.message_key
""")
