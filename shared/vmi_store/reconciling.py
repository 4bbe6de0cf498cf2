"""Counts against what the facts said before them. Who takes in facts notes what is due; who reconciles derives it.

The notes never miss a fact: who notes a row locks it, and who derives it holds it. So a note either is there when the
row is taken, or waits until it was derived and then makes it due again. Who derives waits for nobody, since who notes
may hold one row and wait for another: what is not to be had is left for the next time.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.exceptions.lifecycle import Kind as ExceptionKind
from vmi_domain.stock.drift import Cause
from vmi_domain.stock.position import ABSOLUTE, MOVING, Key, Kind
from vmi_domain.values import dataclass
from vmi_store import columns, journal
from vmi_store.journal import JournalLine, OfKeys


@dataclass(frozen=True, slots=True)
class Booked:
    """A count with its adjustment and what explains it; base units, as reported."""

    key: Key
    as_of: datetime
    cause: Cause
    counted: Decimal
    since: datetime | None
    expected: Decimal | None
    drift: Decimal
    newly_apart: Decimal
    """Unavailable and reserved, since the count before."""
    facts: int
    """That moved stock since the count before."""
    sold: Decimal
    received: Decimal
    adjusted: Decimal
    transferred: Decimal


class Counted(NamedTuple):
    """What was counted or reported as of a time."""

    key: Key
    as_of: datetime
    cause: Cause
    counted: Decimal


async def note(connection: AsyncConnection, entered: OfKeys, counted_at: Mapping[Key, datetime | None]) -> None:
    """Note what lines that were just entered change: counts, and counts after late facts.

    ``counted_at`` is each key's last count before they came. A report after it that finds what was expected is booked
    at once: that is most of what comes. The caller holds the keys' locks.
    """
    counts: dict[tuple[Key, datetime], None] = {}
    late: dict[tuple[Key, datetime], None] = {}
    reports: list[JournalLine] = []
    for key, lines in entered.items():
        last = counted_at.get(key)
        report = _next_report(lines, last)
        if report is not None:
            reports.append(report)
            if len(lines) == 1:
                continue
        for line in lines:
            if line.kind in ABSOLUTE or (line.kind is Kind.VOID and last is not None and line.occurred_at <= last):
                if line is not report:
                    counts[key, line.occurred_at] = None
            elif last is not None and line.occurred_at <= last and line.kind in MOVING:
                late[key, line.occurred_at] = None
    if reports:
        await connection.execute(
            _NOTE_REPORTS,
            {
                **columns.of_keys([line.key for line in reports]),
                "ats": columns.instants([line.occurred_at for line in reports]),
                "counted": columns.decimals([line.quantity for line in reports]),
                "set_apart": columns.decimals([journal.set_apart_by(line) for line in reports]),
            },
        )
    if counts:
        await connection.execute(_NOTE_COUNTS, _columns(list(counts)))
    if late:
        await connection.execute(_NOTE_LATE, _columns(list(late)))


def _next_report(lines: Sequence[JournalLine], last: datetime | None) -> JournalLine | None:
    """Return the one report among a key's lines, where it is the next count after the last one."""
    if last is None:
        return None
    counts = [line for line in lines if line.kind in _SETTING]
    if len(counts) == 1 and counts[0].kind is Kind.REPORT and counts[0].occurred_at > last:
        return counts[0]
    return None


_SETTING = ABSOLUTE | {Kind.VOID}


_WANTED = """
    unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:ats AS timestamptz[]))
    AS wanted (customer_id, location_id, item_id, at)
"""
_NOTE_COUNTS = text(f"""
    INSERT INTO reconciliation (customer_id, location_id, item_id, as_of, due)
    SELECT customer_id, location_id, item_id, at, true FROM {_WANTED}
    ORDER BY customer_id, location_id, item_id, at
    ON CONFLICT (customer_id, location_id, item_id, as_of) DO UPDATE SET due = true
""")  # noqa: S608 - our own words
# What moved since the count before; the names are those of ``_DERIVE``.
_MOVED = f"""
    SELECT count(*)::int AS facts, coalesce(sum(quantity), 0) AS quantity,
           coalesce(-sum(quantity) FILTER (WHERE kind = {Kind.SALE:d}), 0) AS sold,
           coalesce(sum(quantity) FILTER (WHERE kind = {Kind.RECEIPT:d}), 0) AS received,
           coalesce(sum(quantity) FILTER (WHERE kind = {Kind.ADJUSTMENT:d}), 0) AS adjusted,
           coalesce(sum(quantity) FILTER (WHERE kind = {Kind.TRANSFER:d}), 0) AS transferred
    FROM journal AS line
    WHERE line.customer_id = target.customer_id AND line.location_id = target.location_id
      AND line.item_id = target.item_id AND line.occurred_at > before.as_of AND line.occurred_at <= target.as_of
      AND line.kind IN ({Kind.SALE:d}, {Kind.ADJUSTMENT:d}, {Kind.TRANSFER:d}, {Kind.RECEIPT:d})
"""  # noqa: S608 - our own words
# Only what is as expected is booked so: where anything is in doubt, or was wrong, it is noted to be derived.
_NOTE_REPORTS = text(f"""
    INSERT INTO reconciliation (
        customer_id, location_id, item_id, as_of, due, cause, counted, set_apart, since, expected, facts, sold,
        received, adjusted, transferred)
    SELECT target.customer_id, target.location_id, target.item_id, target.as_of,
           before.due IS DISTINCT FROM false OR before.counted + moved.quantity <> target.counted
           OR before.set_apart <> target.set_apart OR EXISTS (
               SELECT FROM exception
               WHERE exception.customer_id = target.customer_id AND exception.location_id = target.location_id
                 AND exception.item_id = target.item_id AND status <> 'closed'
                 AND exception.kind = '{ExceptionKind.DRIFT.value}'),
           '{Cause.SNAPSHOT_RECONCILE.value}', target.counted, target.set_apart, before.as_of,
           before.counted + moved.quantity, moved.facts, moved.sold, moved.received, moved.adjusted, moved.transferred
    FROM (
        SELECT customer_id, location_id, item_id, 'epoch'::timestamptz + at::bigint * interval '1 microsecond' AS as_of,
               counted::numeric AS counted, set_apart::numeric AS set_apart
        FROM unnest(
            string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
            string_to_array(CAST(:items AS text), chr(10)), string_to_array(CAST(:ats AS text), chr(10)),
            string_to_array(CAST(:counted AS text), chr(10)), string_to_array(CAST(:set_apart AS text), chr(10))
        ) AS target (customer_id, location_id, item_id, at, counted, set_apart)
    ) AS target
    LEFT JOIN LATERAL (
        SELECT as_of, due, counted, set_apart FROM reconciliation AS count
        WHERE count.customer_id = target.customer_id AND count.location_id = target.location_id
          AND count.item_id = target.item_id AND count.as_of < target.as_of
        ORDER BY as_of DESC LIMIT 1
    ) AS before ON true
    CROSS JOIN LATERAL ({_MOVED}) AS moved
    ORDER BY target.customer_id, target.location_id, target.item_id
    ON CONFLICT (customer_id, location_id, item_id, as_of) DO UPDATE SET due = true
""")  # noqa: S608 - our own words
_NOTE_LATE = text(f"""
    UPDATE reconciliation AS count SET due = true
    FROM (
        SELECT DISTINCT wanted.customer_id, wanted.location_id, wanted.item_id, following.as_of
        FROM {_WANTED}
        CROSS JOIN LATERAL (
            SELECT as_of FROM reconciliation AS count
            WHERE count.customer_id = wanted.customer_id AND count.location_id = wanted.location_id
              AND count.item_id = wanted.item_id AND count.as_of >= wanted.at
            ORDER BY as_of LIMIT 1
        ) AS following
    ) AS following
    WHERE count.customer_id = following.customer_id AND count.location_id = following.location_id
      AND count.item_id = following.item_id AND count.as_of = following.as_of
""")  # noqa: S608 - our own words


async def note_missing(connection: AsyncConnection, counts: Sequence[tuple[Key, datetime]]) -> None:
    """Note counts that the journal has and nobody noted (their table was lost). What is older than all that are kept
    of its key was deleted in time."""
    if counts:
        await connection.execute(_NOTE_MISSING, _columns(sorted(set(counts))))


_NOTE_MISSING = text(f"""
    INSERT INTO reconciliation (customer_id, location_id, item_id, as_of, due)
    SELECT customer_id, location_id, item_id, at, true FROM {_WANTED}
    WHERE at > coalesce((
        SELECT min(as_of) FROM reconciliation AS count
        WHERE count.customer_id = wanted.customer_id AND count.location_id = wanted.location_id
          AND count.item_id = wanted.item_id), '-infinity')
    ON CONFLICT (customer_id, location_id, item_id, as_of) DO NOTHING
""")  # noqa: S608 - our own words


async def due(connection: AsyncConnection, *, at_most: int) -> list[Key]:
    """Return keys with counts to be derived."""
    return [Key(*row) for row in await connection.execute(_DUE, {"at_most": at_most})]


_DUE = text("""
    SELECT customer_id, location_id, item_id FROM (
        SELECT customer_id, location_id, item_id FROM reconciliation WHERE due LIMIT :at_most
    ) AS due GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
""")


async def derive(connection: AsyncConnection, keys: Sequence[Key]) -> list[Counted]:
    """Derive what is due of these keys, and the counts after that; return these counts.

    What somebody is just noting, or what would change that, is left for the next time. The caller has the turn at the
    locations.
    """
    taken = (await connection.execute(_TAKE, _of_keys(keys))).all()
    if not taken:
        return []
    wanted = _columns([(Key(row.customer_id, row.location_id, row.item_id), row.as_of) for row in taken])
    standing = (await connection.execute(_COUNTED, wanted)).rowcount
    if standing < len(taken):
        await connection.execute(_GONE, wanted)
    return [
        Counted(Key(customer_id, location_id, item_id), as_of, Cause(cause), counted)
        for customer_id, location_id, item_id, as_of, cause, counted in await connection.execute(_DERIVE, wanted)
    ]


_KEYS = """
    unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
    AS wanted (customer_id, location_id, item_id)
"""
# Deriving a count writes to the count after it too, or to the next two where it was taken back: all of them or none.
_TAKE = text(f"""
    WITH due AS MATERIALIZED (
        SELECT customer_id, location_id, item_id, as_of
        FROM {_KEYS} JOIN reconciliation AS count USING (customer_id, location_id, item_id)
        WHERE count.due
    ), written AS MATERIALIZED (
        SELECT due.*, due.as_of AS at FROM due
        UNION ALL
        SELECT due.*, following.as_of AS at FROM due CROSS JOIN LATERAL (
            SELECT as_of FROM reconciliation AS count
            WHERE count.customer_id = due.customer_id AND count.location_id = due.location_id
              AND count.item_id = due.item_id AND count.as_of > due.as_of AND count.cause <> ''
            ORDER BY as_of LIMIT 2
        ) AS following
    ), held AS MATERIALIZED (
        SELECT wanted.*
        FROM (SELECT DISTINCT customer_id, location_id, item_id, at FROM written) AS wanted
        JOIN reconciliation AS count ON count.customer_id = wanted.customer_id
         AND count.location_id = wanted.location_id AND count.item_id = wanted.item_id AND count.as_of = wanted.at
        FOR UPDATE OF count SKIP LOCKED
    )
    SELECT customer_id, location_id, item_id, as_of
    FROM written LEFT JOIN (SELECT *, true AS is_held FROM held) AS held USING (customer_id, location_id, item_id, at)
    GROUP BY 1, 2, 3, 4 HAVING every(is_held IS NOT NULL) ORDER BY 1, 2, 3, 4
""")  # noqa: S608 - our own words
# Of several counts at one instant the order of vmi_domain.stock.position.Count holds.
_STANDING = f"""
    SELECT line.kind, line.quantity,
           coalesce((line.details ->> 'unavailable')::numeric, 0)
           + coalesce((line.details ->> 'reserved')::numeric, 0) AS set_apart
    FROM journal AS line
    WHERE line.customer_id = wanted.customer_id AND line.location_id = wanted.location_id
      AND line.item_id = wanted.item_id AND line.occurred_at = wanted.at
      AND line.kind IN ({Kind.REPORT:d}, {Kind.COUNT:d}) AND {journal.STANDS}
    ORDER BY coalesce((line.details ->> 'revision')::int, 0) DESC, line.kind DESC, line.line_id DESC LIMIT 1
"""  # noqa: S608 - our own words
_OF_THE_COUNT = """
    count.customer_id = wanted.customer_id AND count.location_id = wanted.location_id
    AND count.item_id = wanted.item_id AND count.as_of = wanted.at
"""
_COUNTED = text(f"""
    UPDATE reconciliation AS count SET
        counted = standing.quantity, set_apart = standing.set_apart,
        cause = CASE standing.kind WHEN {Kind.COUNT:d} THEN '{Cause.COUNT_RECONCILE.value}'
                ELSE '{Cause.SNAPSHOT_RECONCILE.value}' END
    FROM {_WANTED} CROSS JOIN LATERAL ({_STANDING}) AS standing
    WHERE {_OF_THE_COUNT}
""")  # noqa: S608 - our own words
# A count that is not there and was not taken back is archived: what was found by it stays.
_GONE = text(f"""
    DELETE FROM reconciliation AS count USING {_WANTED}
    WHERE {_OF_THE_COUNT} AND NOT EXISTS ({_STANDING}) AND EXISTS (
        SELECT FROM journal AS line
        WHERE line.customer_id = wanted.customer_id AND line.location_id = wanted.location_id
          AND line.item_id = wanted.item_id AND line.occurred_at = wanted.at AND line.kind = {Kind.VOID:d})
""")  # noqa: S608 - our own words
_DERIVE = text(f"""
    WITH target AS MATERIALIZED (
        SELECT DISTINCT count.customer_id, count.location_id, count.item_id, count.as_of, count.counted,
               count.set_apart
        FROM {_WANTED}
        CROSS JOIN LATERAL (
            SELECT * FROM reconciliation AS count
            WHERE count.customer_id = wanted.customer_id AND count.location_id = wanted.location_id
              AND count.item_id = wanted.item_id AND count.as_of >= wanted.at AND count.cause <> ''
            ORDER BY as_of LIMIT 2
        ) AS count
    ), derived AS (
        SELECT target.*, before.as_of AS since, before.counted + moved.quantity AS expected,
               target.set_apart - before.set_apart AS newly_apart, moved.*
        FROM target
        LEFT JOIN LATERAL (
            SELECT as_of, counted, set_apart FROM reconciliation AS count
            WHERE count.customer_id = target.customer_id AND count.location_id = target.location_id
              AND count.item_id = target.item_id AND count.as_of < target.as_of AND count.cause <> ''
            ORDER BY as_of DESC LIMIT 1
        ) AS before ON true
        CROSS JOIN LATERAL ({_MOVED}) AS moved
    )
    UPDATE reconciliation AS count SET
        due = false, since = derived.since, expected = derived.expected,
        drift = coalesce(derived.counted - derived.expected, 0), newly_apart = coalesce(derived.newly_apart, 0),
        facts = derived.facts, sold = derived.sold, received = derived.received, adjusted = derived.adjusted,
        transferred = derived.transferred
    FROM derived
    WHERE count.customer_id = derived.customer_id AND count.location_id = derived.location_id
      AND count.item_id = derived.item_id AND count.as_of = derived.as_of
    RETURNING count.customer_id, count.location_id, count.item_id, count.as_of, count.cause, count.counted
""")  # noqa: S608 - our own words


async def differing(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, Booked]:
    """Return the last count of each key where it is one that found something else than was expected."""
    found = [_booked(row) for row in await connection.execute(_DIFFERING, _of_keys(keys))]
    return {one.key: one for one in found}


_BOOKED = """
    customer_id, location_id, item_id, as_of, cause, counted, since, expected, drift, newly_apart, facts, sold,
    received, adjusted, transferred
"""
_DIFFERING = text(f"""
    SELECT count.*
    FROM {_KEYS}
    CROSS JOIN LATERAL (
        SELECT {_BOOKED} FROM reconciliation AS count
        WHERE count.customer_id = wanted.customer_id AND count.location_id = wanted.location_id
          AND count.item_id = wanted.item_id AND NOT count.due
        ORDER BY as_of DESC LIMIT 1
    ) AS count
    WHERE count.drift <> 0 OR count.newly_apart <> 0
""")  # noqa: S608 - our own words


async def history(connection: AsyncConnection, key: Key, *, at_most: int) -> list[Booked]:
    """Return a key's counts, the latest first."""
    result = await connection.execute(_HISTORY, {**key._asdict(), "at_most": at_most})
    return [_booked(row) for row in result]


_HISTORY = text(f"""
    SELECT {_BOOKED} FROM reconciliation
    WHERE customer_id = :customer_id AND location_id = :location_id AND item_id = :item_id AND NOT due
    ORDER BY as_of DESC LIMIT :at_most
""")  # noqa: S608 - our own words


def _booked(row: Row[tuple[object, ...]]) -> Booked:
    return Booked(
        Key(row.customer_id, row.location_id, row.item_id),
        row.as_of,
        Cause(row.cause),
        row.counted,
        row.since,
        row.expected,
        row.drift,
        row.newly_apart,
        row.facts,
        row.sold,
        row.received,
        row.adjusted,
        row.transferred,
    )


def _of_keys(keys: Sequence[Key]) -> dict[str, list[str]]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }


def _columns(at: Sequence[tuple[Key, datetime]]) -> dict[str, object]:
    return {**_of_keys([key for key, _ in at]), "ats": [moment for _, moment in at]}
