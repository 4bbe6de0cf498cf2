"""What could not be taken in: kept with reason, place and original bytes until a person or a fact settles it."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid5

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.values import dataclass

NAMESPACE = UUID("6b1c1d0e-6f6d-5b1e-9d55-0f4b4f3f8a01")
"""Ids are derived from the place, so that a record that is delivered again is not kept twice."""

LONGEST_DETAIL = 1000


def record_id(topic: str, partition: int, offset: int, recorded_at: datetime) -> UUID:
    """Return a record's name, the same for all its lines. Offsets start again on a re-created topic; append times do
    not."""
    return uuid5(NAMESPACE, repr((topic, partition, offset, recorded_at.isoformat())))


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
    worker: str
    """Who could not take it in, and will try again."""
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
        return record_id(self.topic, self.partition, self.offset, self.recorded_at)

    @property
    def id(self) -> UUID:
        """One topic may have several readers, who have each their own reasons."""
        return uuid5(self.record_id, f"{'' if self.worker == 'inventory' else self.worker}{self.line}")


@dataclass(frozen=True, slots=True)
class Held:
    """A rejected record or line as it stands in quarantine."""

    id: UUID
    rejected: Rejected
    quarantined_at: datetime
    settled_at: datetime | None
    settled_by: str | None
    """``released`` when it was taken in after all, ``discarded`` when somebody decided that it never will be."""
    settled_who: str | None = None
    settled_why: str | None = None
    tries: int = 0
    """How often it was tried again."""
    tried_at: datetime | None = None
    is_due: bool = False
    """Whether it is to be tried again now."""

    @property
    def state(self) -> str:
        """``held``, ``due``, ``released`` or ``discarded``."""
        return self.settled_by or ("due" if self.is_due else "held")


@dataclass(frozen=True, slots=True)
class Selection:
    """Which of what is in quarantine is meant; all conditions that are given hold."""

    ids: Sequence[UUID] | None = None
    reason: str | None = None
    customer_id: str | None = None
    location_id: str | None = None
    topic: str | None = None
    worker: str | None = None
    since: datetime | None = None
    """Put aside at this time or later."""
    until: datetime | None = None
    """Put aside before this time."""

    @property
    def columns(self) -> dict[str, object]:
        return {
            "ids": None if self.ids is None else list(self.ids),
            "reason": self.reason,
            "customer_id": self.customer_id,
            "location_id": self.location_id,
            "topic": self.topic,
            "worker": self.worker,
            "since": self.since,
            "until": self.until,
        }


EVERYTHING = Selection()


async def add(connection: AsyncConnection, rejected: Sequence[Rejected]) -> int:
    """Keep what was rejected. What is there already (the record was delivered again) stays as it is; return how much
    was not."""
    if not rejected:
        return 0
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
    added = await connection.execute(
        _ADD,
        {
            "ids": sorted(distinct),
            "records": [one.record_id for one in ordered],
            "topics": [one.topic for one in ordered],
            "partitions": [one.partition for one in ordered],
            "offsets": [one.offset for one in ordered],
            "recorded": [one.recorded_at for one in ordered],
            "lines": [one.line for one in ordered],
            "workers": [one.worker for one in ordered],
            **_reasons(ordered),
        },
    )
    return added.rowcount


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
        waits_for_location, waits_for_item, worker
    )
    SELECT * FROM unnest(
        CAST(:ids AS uuid[]), CAST(:records AS uuid[]), CAST(:topics AS text[]), CAST(:partitions AS int[]),
        CAST(:offsets AS bigint[]), CAST(:recorded AS timestamptz[]), CAST(:lines AS int[]), CAST(:reasons AS text[]),
        CAST(:details AS text[]), CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]),
        CAST(:for_location AS boolean[]), CAST(:for_item AS boolean[]), CAST(:workers AS text[]))
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


async def make_selected_due(connection: AsyncConnection, selection: Selection) -> list[UUID]:
    """Let what is held be tried again by its workers; return which."""
    result = await connection.execute(_MAKE_SELECTED_DUE, selection.columns)
    return sorted(result.scalars())


_SELECTED = """
    (CAST(:ids AS uuid[]) IS NULL OR quarantine.id = ANY (CAST(:ids AS uuid[])))
    AND (CAST(:reason AS text) IS NULL OR reason = :reason)
    AND (CAST(:customer_id AS text) IS NULL OR customer_id = :customer_id)
    AND (CAST(:location_id AS text) IS NULL OR location_id = :location_id)
    AND (CAST(:topic AS text) IS NULL OR topic = :topic)
    AND (CAST(:worker AS text) IS NULL OR worker = :worker)
    AND (CAST(:since AS timestamptz) IS NULL OR quarantined_at >= :since)
    AND (CAST(:until AS timestamptz) IS NULL OR quarantined_at < :until)
"""
_MAKE_SELECTED_DUE = text(f"""
    UPDATE quarantine SET due_at = clock_timestamp() WHERE settled_at IS NULL AND {_SELECTED} RETURNING id
""")  # noqa: S608 - a constant of this module


async def take_due(connection: AsyncConnection, *, at_most: int, worker: str, topics: Sequence[str] = ()) -> list[Held]:
    """Return, locked, some of what a worker is to try again, in the order in which it came: of these topics, and of
    the parties' own topics below them; of all where none is given.

    One process at a time takes from a worker's line, so that the order holds: another one finds nothing.
    """
    ours = await connection.execute(_TAKE_TURNS, {"line": f"vmi quarantine {worker} {','.join(sorted(topics))}"})
    if not ours.scalar_one():
        return []
    result = await connection.execute(_TAKE_DUE, {"at_most": at_most, "worker": worker, "topics": list(topics)})
    return [_held(row) for row in result]


_TAKE_TURNS = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:line, 0))")
_COLUMNS = """
    quarantine.id, topic, partition, "offset", recorded_at, record.key, record.value, record.headers::text AS headers,
    line, reason, detail, customer_id, location_id, item_id, waits_for_location, waits_for_item, quarantined_at,
    settled_at, settled_by, worker, settled_who, settled_why, tries, tried_at, due_at IS NOT NULL AS is_due
"""
_FROM = "quarantine LEFT JOIN quarantined_record AS record ON record.id = quarantine.record_id"
_TAKE_DUE = text(f"""
    SELECT {_COLUMNS} FROM {_FROM}
    WHERE due_at IS NOT NULL AND worker = :worker
      AND (CAST(:topics AS text[]) = '{{}}' OR EXISTS (
          SELECT FROM unnest(CAST(:topics AS text[])) AS wanted (name)
          WHERE topic = name OR starts_with(topic, name || '.')))
    ORDER BY recorded_at, topic, partition, "offset", line LIMIT :at_most
    FOR UPDATE OF quarantine SKIP LOCKED
""")  # noqa: S608 - the columns are a constant of this module


async def keep(connection: AsyncConnection, rejected: Sequence[Rejected]) -> None:
    """Hold on to what was tried again and refused again, with the reason of today."""
    if rejected:
        await connection.execute(_KEEP, {"ids": [one.id for one in rejected], **_reasons(rejected)})


_KEEP = text("""
    UPDATE quarantine SET
        due_at = NULL, tries = tries + 1, tried_at = clock_timestamp(), reason = again.reason,
        detail = again.detail, customer_id = again.customer_id, location_id = again.location_id,
        item_id = again.item_id, waits_for_location = again.waits_for_location,
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
    UPDATE quarantine SET
        settled_at = clock_timestamp(), settled_by = :by, due_at = NULL, tries = tries + 1, tried_at = clock_timestamp()
    WHERE id = ANY (CAST(:ids AS uuid[])) AND settled_at IS NULL
""")


async def discard(connection: AsyncConnection, selection: Selection, *, who: str, why: str) -> list[UUID]:
    """Settle what is held and selected as never to be taken in; return which. Who and why stay with it for good."""
    result = await connection.execute(
        _DISCARD, {**selection.columns, "who": _storable(who), "why": _storable(why)[:LONGEST_DETAIL]}
    )
    return sorted(result.scalars())


_DISCARD = text(f"""
    UPDATE quarantine SET
        settled_at = clock_timestamp(), settled_by = 'discarded', settled_who = :who, settled_why = :why, due_at = NULL
    WHERE settled_at IS NULL AND {_SELECTED}
    RETURNING id
""")  # noqa: S608 - a constant of this module


async def counts(connection: AsyncConnection) -> Mapping[str, int]:
    """Return how many are held for each reason, the most frequent first."""
    result = await connection.execute(_COUNTS)
    return {row.reason: row.held for row in result}


_COUNTS = text("""
    SELECT reason, count(*) AS held FROM quarantine WHERE settled_at IS NULL GROUP BY reason ORDER BY held DESC, reason
""")


async def held(
    connection: AsyncConnection,
    selection: Selection = EVERYTHING,
    *,
    customer_id: str | None = None,
    state: str = "held",
    at_most: int = 50,
) -> list[Held]:
    """Return what is held (or, as ``state`` says, ``released``, ``discarded``, or ``any``), the latest first."""
    wanted = replace(selection, customer_id=customer_id) if customer_id is not None else selection
    result = await connection.execute(_LIST, {**wanted.columns, "state": state, "at_most": at_most})
    return [_held(row) for row in result]


_LIST = text(f"""
    SELECT {_COLUMNS} FROM {_FROM}
    WHERE CASE CAST(:state AS text)
          WHEN 'any' THEN true WHEN 'held' THEN settled_at IS NULL ELSE settled_by = :state END
      AND {_SELECTED}
    ORDER BY coalesce(settled_at, quarantined_at) DESC, quarantine.id LIMIT :at_most
""")  # noqa: S608 - the columns are a constant of this module


async def count_held(connection: AsyncConnection, selection: Selection) -> int:
    """Return how many of those selected are held."""
    count: int = (await connection.execute(_COUNT_HELD, selection.columns)).scalar_one()
    return count


_COUNT_HELD = text(f"""
    SELECT count(*) FROM quarantine WHERE settled_at IS NULL AND {_SELECTED}
""")  # noqa: S608 - a constant of this module


async def purge(connection: AsyncConnection, *, keep: timedelta, at_most: int = 5000) -> int:
    """Delete some of what was taken in after all longer than ``keep`` ago, and the bytes of what was discarded as long
    ago; return how many, to be called again while it is many.

    What is held is never deleted, nor what says who discarded what and why.
    """
    released = await connection.execute(_PURGE_RELEASED, {"keep": keep, "at_most": at_most})
    gone = list({row.record_id for row in released})
    left = await connection.execute(_PURGE_RECORDS, {"keep": keep, "records": gone})
    discarded = await connection.execute(_PURGE_DISCARDED, {"keep": keep, "at_most": at_most})
    return released.rowcount + left.rowcount + discarded.rowcount


_PURGE_RELEASED = text("""
    DELETE FROM quarantine WHERE id IN (
        SELECT id FROM quarantine
        WHERE settled_by = 'released' AND settled_at < statement_timestamp() - CAST(:keep AS interval) LIMIT :at_most)
    RETURNING record_id
""")
_IS_WANTED = """
    EXISTS (
        SELECT FROM quarantine AS other WHERE other.record_id = record.id
          AND (other.settled_at IS NULL OR other.settled_at >= statement_timestamp() - CAST(:keep AS interval)))
"""
_PURGE_RECORDS = text(f"""
    DELETE FROM quarantined_record AS record WHERE id = ANY (CAST(:records AS uuid[])) AND NOT {_IS_WANTED}
""")  # noqa: S608 - our own words
# From the rows that are old to their records: of these there are many more, and they have no time of their own.
_PURGE_DISCARDED = text(f"""
    DELETE FROM quarantined_record WHERE id IN (
        SELECT record.id FROM quarantine JOIN quarantined_record AS record ON record.id = quarantine.record_id
        WHERE quarantine.settled_by = 'discarded'
          AND quarantine.settled_at < statement_timestamp() - CAST(:keep AS interval) AND NOT {_IS_WANTED}
        LIMIT :at_most)
""")  # noqa: S608 - our own words


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
        headers=[(b64decode(name).decode(), b64decode(value)) for name, value in orjson.loads(row.headers or "[]")],
        reason=row.reason,
        detail=row.detail,
        line=row.line,
        customer_id=row.customer_id,
        location_id=row.location_id,
        item_id=row.item_id,
        waits_for_location=row.waits_for_location,
        waits_for_item=row.waits_for_item,
        worker=row.worker,
    )
    return Held(
        row.id,
        rejected,
        row.quarantined_at,
        row.settled_at,
        row.settled_by,
        row.settled_who,
        row.settled_why,
        row.tries,
        row.tried_at,
        row.is_due,
    )


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
