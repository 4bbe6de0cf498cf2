"""What could not be taken in: kept with reason, place and original bytes until a person or a fact settles it."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

NAMESPACE = UUID("6b1c1d0e-6f6d-5b1e-9d55-0f4b4f3f8a01")
"""Ids are derived from the place, so that a record that is delivered again is not kept twice."""

LONGEST_DETAIL = 1000


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record, or one line of its document, that could not be taken in."""

    topic: str
    partition: int
    offset: int
    recorded_at: datetime
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    reason: str
    """A code to count and to browse by: ``unreadable``, ``unknown_item``, ``future_time`` …"""
    detail: str
    """One sentence for a person: what is wrong, and where."""
    line: int | None = None
    """The line's place in the document, from 1; None for the whole record."""
    customer_id: str | None = None
    location_id: str | None = None
    item_id: str | None = None
    waits_for_location: bool = False
    """The line is right and its location unknown: it is taken in when the catalogue or an agreement names it."""
    waits_for_item: bool = False

    @property
    def record_id(self) -> UUID:
        """The same for all lines of one record. Offsets start again on a re-created topic; append times do not."""
        return uuid5(NAMESPACE, repr((self.topic, self.partition, self.offset, self.recorded_at.isoformat())))

    @property
    def id(self) -> UUID:
        return uuid5(self.record_id, str(self.line))


@dataclass(frozen=True, slots=True)
class Held:
    """A rejected record or line as it stands in quarantine."""

    id: UUID
    rejected: Rejected
    quarantined_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    """``released`` when it was taken in after all."""


async def add(connection: AsyncConnection, rejected: Sequence[Rejected]) -> None:
    """Keep what was rejected. What is there already (the record was delivered again) stays as it is."""
    if not rejected:
        return
    distinct = {one.id: one for one in rejected}
    records = {one.record_id: one for one in rejected}
    await connection.execute(
        _ADD_RECORDS,
        {
            "ids": sorted(records),
            "keys": [records[id_].key for id_ in sorted(records)],
            "values": [records[id_].value for id_ in sorted(records)],
            "headers": [_header_text(records[id_].headers) for id_ in sorted(records)],
        },
    )
    ordered = [distinct[id_] for id_ in sorted(distinct)]
    await connection.execute(
        _ADD,
        {
            "ids": sorted(distinct),
            "records": [one.record_id for one in ordered],
            "topics": [one.topic for one in ordered],
            "partitions": [one.partition for one in ordered],
            "offsets": [one.offset for one in ordered],
            "recorded": [one.recorded_at for one in ordered],
            "lines": [one.line for one in ordered],
            **_reasons(ordered),
        },
    )


def _reasons(rejected: Sequence[Rejected]) -> dict[str, object]:
    return {
        "reasons": [one.reason for one in rejected],
        "details": [_storable(one.detail)[:LONGEST_DETAIL] for one in rejected],
        "customers": [_storable_or_none(one.customer_id) for one in rejected],
        "locations": [_storable_or_none(one.location_id) for one in rejected],
        "items": [_storable_or_none(one.item_id) for one in rejected],
        "for_location": [one.waits_for_location for one in rejected],
        "for_item": [one.waits_for_item for one in rejected],
    }


_ADD_RECORDS = text("""
    INSERT INTO quarantined_record (id, key, value, headers)
    SELECT id, key, value, headers::jsonb
    FROM unnest(CAST(:ids AS uuid[]), CAST(:keys AS bytea[]), CAST(:values AS bytea[]), CAST(:headers AS text[]))
        AS record (id, key, value, headers)
    ON CONFLICT (id) DO NOTHING
""")
_ADD = text("""
    INSERT INTO quarantine (
        id, record_id, topic, partition, "offset", recorded_at, line, reason, detail, customer_id, location_id, item_id,
        waits_for_location, waits_for_item
    )
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:records AS uuid[]), CAST(:topics AS text[]), CAST(:partitions AS int[]),
        CAST(:offsets AS bigint[]), CAST(:recorded AS timestamptz[]), CAST(:lines AS int[]), CAST(:reasons AS text[]),
        CAST(:details AS text[]), CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]),
        CAST(:for_location AS boolean[]), CAST(:for_item AS boolean[]))
    ON CONFLICT (id) DO NOTHING
""")


async def make_due(
    connection: AsyncConnection, *, locations: Sequence[tuple[str, str]], items: Sequence[tuple[str, str]]
) -> int:
    """Let what waits for one of these (customer, location) or (customer, item) be tried again; return how many."""
    result = await connection.execute(
        _MAKE_DUE,
        {
            "location_customers": [customer for customer, _ in locations],
            "locations": [location for _, location in locations],
            "item_customers": [customer for customer, _ in items],
            "items": [item for _, item in items],
        },
    )
    return result.rowcount


_MAKE_DUE = text("""
    UPDATE quarantine SET due_at = clock_timestamp()
    WHERE settled_at IS NULL AND (
        (waits_for_location AND (customer_id, location_id) IN (
            SELECT * FROM unnest(CAST(:location_customers AS text[]), CAST(:locations AS text[]))))
        OR (waits_for_item AND (customer_id, item_id) IN (
            SELECT * FROM unnest(CAST(:item_customers AS text[]), CAST(:items AS text[])))))
""")


async def take_due(connection: AsyncConnection, *, at_most: int) -> list[Held]:
    """Return, locked, some of what is to be tried again, in the order in which it came; not what another one holds."""
    result = await connection.execute(_TAKE_DUE, {"at_most": at_most})
    return [_held(row) for row in result]


_COLUMNS = """
    quarantine.id, topic, partition, "offset", recorded_at, record.key, record.value, record.headers::text AS headers,
    line, reason, detail, customer_id, location_id, item_id, waits_for_location, waits_for_item, quarantined_at,
    settled_at, settled_by
"""
_FROM = "quarantine JOIN quarantined_record AS record ON record.id = quarantine.record_id"
_TAKE_DUE = text(f"""
    SELECT {_COLUMNS} FROM {_FROM}
    WHERE due_at IS NOT NULL
    ORDER BY recorded_at, topic, partition, "offset", line LIMIT :at_most
    FOR UPDATE OF quarantine SKIP LOCKED
""")  # noqa: S608 - the columns are a constant of this module


async def keep(connection: AsyncConnection, rejected: Sequence[Rejected]) -> None:
    """Hold on to what was tried again and refused again, with the reason of today."""
    if rejected:
        await connection.execute(_KEEP, {"ids": [one.id for one in rejected], **_reasons(rejected)})


_KEEP = text("""
    UPDATE quarantine SET
        due_at = NULL, reason = again.reason, detail = again.detail, customer_id = again.customer_id,
        location_id = again.location_id, item_id = again.item_id, waits_for_location = again.waits_for_location,
        waits_for_item = again.waits_for_item
    FROM unnest(
        CAST(:ids AS uuid[]), CAST(:reasons AS text[]), CAST(:details AS text[]), CAST(:customers AS text[]),
        CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:for_location AS boolean[]),
        CAST(:for_item AS boolean[])
    ) AS again (id, reason, detail, customer_id, location_id, item_id, waits_for_location, waits_for_item)
    WHERE quarantine.id = again.id
""")


async def settle(connection: AsyncConnection, ids: Sequence[UUID], *, by: str) -> None:
    """Note that these are dealt with (``released``); their rows stay as a record of it."""
    if ids:
        await connection.execute(_SETTLE, {"ids": list(ids), "by": by})


_SETTLE = text("""
    UPDATE quarantine SET settled_at = clock_timestamp(), settled_by = :by, due_at = NULL
    WHERE id = ANY (CAST(:ids AS uuid[])) AND settled_at IS NULL
""")


async def counts(connection: AsyncConnection) -> Mapping[str, int]:
    """Return how many are held for each reason, the most frequent first."""
    result = await connection.execute(_COUNTS)
    return {row.reason: row.held for row in result}


_COUNTS = text("""
    SELECT reason, count(*) AS held FROM quarantine WHERE settled_at IS NULL GROUP BY reason ORDER BY held DESC, reason
""")


async def held(
    connection: AsyncConnection, *, reason: str | None = None, customer_id: str | None = None, at_most: int = 50
) -> list[Held]:
    """Return what is held, the latest first."""
    result = await connection.execute(_LIST, {"reason": reason, "customer_id": customer_id, "at_most": at_most})
    return [_held(row) for row in result]


_LIST = text(f"""
    SELECT {_COLUMNS} FROM {_FROM}
    WHERE settled_at IS NULL
      AND (CAST(:reason AS text) IS NULL OR reason = :reason)
      AND (CAST(:customer_id AS text) IS NULL OR customer_id = :customer_id)
    ORDER BY quarantined_at DESC, quarantine.id LIMIT :at_most
""")  # noqa: S608 - the columns are a constant of this module


async def named(connection: AsyncConnection, id_prefix: str) -> list[Held]:
    """Return those whose id begins so, settled ones too; a few at most."""
    result = await connection.execute(_NAMED, {"prefix": id_prefix.lower()})
    return [_held(row) for row in result]


_NAMED = text(f"""
    SELECT {_COLUMNS} FROM {_FROM} WHERE starts_with(quarantine.id::text, :prefix) ORDER BY quarantine.id LIMIT 5
""")  # noqa: S608 - the columns are a constant of this module


def _held(row: Row[tuple[object, ...]]) -> Held:
    rejected = Rejected(
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        recorded_at=row.recorded_at,
        key=row.key,
        value=row.value,
        headers=[(b64decode(name).decode(), b64decode(value)) for name, value in orjson.loads(row.headers)],
        reason=row.reason,
        detail=row.detail,
        line=row.line,
        customer_id=row.customer_id,
        location_id=row.location_id,
        item_id=row.item_id,
        waits_for_location=row.waits_for_location,
        waits_for_item=row.waits_for_item,
    )
    return Held(row.id, rejected, row.quarantined_at, row.settled_at, row.settled_by)


def _header_text(headers: Sequence[tuple[str, bytes]]) -> str:
    return orjson.dumps(
        [
            (b64encode(name.encode(errors="backslashreplace")).decode(), b64encode(value or b"").decode())
            for name, value in headers
        ]
    ).decode()


def _storable(words: str) -> str:
    """Postgres holds no NUL and no lone surrogate; what a partner sent must not keep its reason from being written."""
    return words.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()


def _storable_or_none(words: str | None) -> str | None:
    return None if words is None else _storable(words)
