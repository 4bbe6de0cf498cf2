"""What could not be taken in: kept with reason, place and original bytes until a person or a fact settles it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid5

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
    def id(self) -> UUID:
        place = (self.topic, self.partition, self.offset, self.recorded_at.isoformat(), self.line)
        return uuid5(NAMESPACE, repr(place))


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
    await connection.execute(
        _ADD,
        [
            {
                "id": id_,
                "topic": one.topic,
                "partition": one.partition,
                "offset": one.offset,
                "recorded_at": one.recorded_at,
                "key": one.key,
                "value": one.value,
                "header_names": [_storable(name) for name, _ in one.headers],
                "header_values": [value for _, value in one.headers],
                "line": one.line,
                "reason": one.reason,
                "detail": _storable(one.detail)[:LONGEST_DETAIL],
                "customer_id": _storable_or_none(one.customer_id),
                "location_id": _storable_or_none(one.location_id),
                "item_id": _storable_or_none(one.item_id),
                "waits_for_location": one.waits_for_location,
                "waits_for_item": one.waits_for_item,
            }
            for id_, one in sorted(distinct.items())
        ],
    )


# Rare, and its arrays of headers have different lengths: a row a statement, not unnest.
_ADD = text("""
    INSERT INTO quarantine (
        id, topic, partition, "offset", recorded_at, key, value, header_names, header_values, line, reason, detail,
        customer_id, location_id, item_id, waits_for_location, waits_for_item
    ) VALUES (
        :id, :topic, :partition, :offset, :recorded_at, :key, :value, CAST(:header_names AS text[]),
        CAST(:header_values AS bytea[]), :line, :reason, :detail, :customer_id, :location_id, :item_id,
        :waits_for_location, :waits_for_item
    ) ON CONFLICT (id) DO NOTHING
""")


async def waiting(
    connection: AsyncConnection, *, locations: Sequence[tuple[str, str]], items: Sequence[tuple[str, str]]
) -> list[Held]:
    """Return, locked, what waits for one of these (customer, location) or (customer, item), as it came in."""
    result = await connection.execute(
        _WAITING,
        {
            "location_customers": [customer for customer, _ in locations],
            "locations": [location for _, location in locations],
            "item_customers": [customer for customer, _ in items],
            "items": [item for _, item in items],
        },
    )
    return [_held(row) for row in result]


_COLUMNS = """
    id, topic, partition, "offset", recorded_at, key, value, header_names, header_values, line, reason, detail,
    customer_id, location_id, item_id, waits_for_location, waits_for_item, quarantined_at, settled_at, settled_by
"""
_WAITING = text(f"""
    SELECT {_COLUMNS} FROM quarantine
    WHERE settled_at IS NULL AND (
        (waits_for_location AND (customer_id, location_id) IN (
            SELECT * FROM unnest(CAST(:location_customers AS text[]), CAST(:locations AS text[]))))
        OR (waits_for_item AND (customer_id, item_id) IN (
            SELECT * FROM unnest(CAST(:item_customers AS text[]), CAST(:items AS text[]))))
    )
    ORDER BY recorded_at, topic, partition, "offset", line
    FOR UPDATE
""")  # noqa: S608 - the columns are a constant of this module


async def settle(connection: AsyncConnection, ids: Sequence[UUID], *, by: str) -> None:
    """Note that these are dealt with (``released``); their rows stay as a record of it."""
    if ids:
        await connection.execute(_SETTLE, {"ids": list(ids), "by": by})


_SETTLE = text("""
    UPDATE quarantine SET settled_at = clock_timestamp(), settled_by = :by
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
    SELECT {_COLUMNS} FROM quarantine
    WHERE settled_at IS NULL
      AND (CAST(:reason AS text) IS NULL OR reason = :reason)
      AND (CAST(:customer_id AS text) IS NULL OR customer_id = :customer_id)
    ORDER BY quarantined_at DESC, id LIMIT :at_most
""")  # noqa: S608 - the columns are a constant of this module


async def named(connection: AsyncConnection, id_prefix: str) -> list[Held]:
    """Return those whose id begins so, settled ones too; a few at most."""
    result = await connection.execute(_NAMED, {"prefix": id_prefix.lower()})
    return [_held(row) for row in result]


_NAMED = text(f"SELECT {_COLUMNS} FROM quarantine WHERE starts_with(id::text, :prefix) ORDER BY id LIMIT 5")  # noqa: S608


def _held(row: Row[tuple[object, ...]]) -> Held:
    rejected = Rejected(
        topic=row.topic,
        partition=row.partition,
        offset=row.offset,
        recorded_at=row.recorded_at,
        key=row.key,
        value=row.value,
        headers=list(zip(row.header_names, row.header_values, strict=True)),
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


def _storable(words: str) -> str:
    """Postgres holds no NUL and no lone surrogate; what a partner sent must not keep its reason from being written."""
    return words.replace("\x00", "\\x00").encode(errors="backslashreplace").decode()


def _storable_or_none(words: str | None) -> str | None:
    return None if words is None else _storable(words)
