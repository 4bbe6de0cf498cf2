"""What leaves the journal, and what stays of it: sums by day, each key's last count, and a note of the file."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.daily import DayEffect
from vmi_domain.stock.position import Key, Kind
from vmi_domain.values import dataclass
from vmi_store import journal, partitions
from vmi_store.engine import be_patient
from vmi_store.journal import JournalLine
from vmi_store.partitions import STRAYS, Partition

LINES_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Archive:
    """A file that holds what the journal held."""

    file: str
    lines: int
    first_at: datetime
    last_at: datetime
    sha256: str


class ChangedMeanwhileError(Exception):
    """Facts came into what was being archived."""


class SessionLostError(Exception):
    """The session is gone, and with it all that was noted beside: it cannot be tried again in place."""


async def parts(connection: AsyncConnection, before: datetime) -> list[Partition]:
    """Return the partitions that hold nothing but what is older than ``before``, and what has no quarter if any of it
    is older."""
    old = [one for one in await partitions.present(connection) if one.quarter and one.quarter.ends <= before]
    strays = (await connection.execute(_HAS_OLD_STRAYS, {"before": before})).scalar_one()
    return [*old, *[one for one in await partitions.present(connection) if one.quarter is None and strays]]


_HAS_OLD_STRAYS = text(f"SELECT EXISTS (SELECT FROM {STRAYS} WHERE occurred_at < :before)")  # noqa: S608


async def lines_of(connection: AsyncConnection, part: Partition, before: datetime) -> AsyncIterator[list[JournalLine]]:
    """Yield the lines of a partition before a time, key by key, however long they take to be written."""
    await be_patient(connection)
    result = await connection.stream(text(_LINES.format(table=part.table)), {"before": before})
    of_key: list[JournalLine] = []
    async for row in result:
        line = journal.line_of(row)
        if of_key and of_key[0].key != line.key:
            yield of_key
            of_key = []
        of_key.append(line)
    if of_key:
        yield of_key


_LINES: Final = """
    SELECT customer_id, location_id, item_id, occurred_at, line_id, kind, quantity, recorded_at,
           details::text AS details
    FROM {table} WHERE occurred_at < :before
    ORDER BY customer_id, location_id, item_id, occurred_at, line_id
"""


async def begin(connection: AsyncConnection) -> None:
    """Make room beside for what is summed up; it is gone with the session."""
    await be_patient(connection)
    await connection.execute(text("DROP TABLE IF EXISTS summed_day, leaving"))  # of an earlier run in this session
    await connection.execute(
        text("CREATE TEMPORARY TABLE summed_day (LIKE archived_day INCLUDING ALL) ON COMMIT PRESERVE ROWS")
    )
    await connection.execute(
        text("""
            CREATE TEMPORARY TABLE leaving (
                customer_id text, location_id text, item_id text, occurred_at timestamptz, line_id bytea, kind smallint,
                recorded_at timestamptz
            ) ON COMMIT PRESERVE ROWS
        """)
    )


_EFFECTS: Final = tuple(name for name in DayEffect._fields if name != "day")


async def note(
    connection: AsyncConnection, lines: Sequence[JournalLine], days: Sequence[tuple[Key, DayEffect]]
) -> None:
    """Note lines that are to leave, and what they add to days; a day comes once."""
    customers, locations, items, times, ids, kinds, _, recorded, _ = zip(*lines, strict=True)
    await connection.execute(
        _NOTE_LINES,
        {
            "customers": customers,
            "locations": locations,
            "items": items,
            "times": times,
            "ids": ids,
            "kinds": kinds,
            "recorded": recorded,
        },
    )
    if days:
        await connection.execute(
            _NOTE_DAYS,
            {
                "customers": [key.customer_id for key, _ in days],
                "locations": [key.location_id for key, _ in days],
                "items": [key.item_id for key, _ in days],
                "days": [effect.day for _, effect in days],
                **{name: [getattr(effect, name) for _, effect in days] for name in _EFFECTS},
            },
        )


_NOTE_LINES = text("""
    INSERT INTO leaving SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:times AS timestamptz[]),
        CAST(:ids AS bytea[]), CAST(:kinds AS smallint[]), CAST(:recorded AS timestamptz[]))
""")
_NOTE_DAYS = text(f"""
    INSERT INTO summed_day (customer_id, location_id, item_id, day, {", ".join(_EFFECTS)})
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:days AS date[]),
        {", ".join(f"CAST(:{name} AS numeric[])" for name in _EFFECTS)})
""")  # noqa: S608 - our own words


async def leave(
    connection: AsyncConnection, part: Partition, before: datetime, archive: Archive, *, lines: int, who: str
) -> None:
    """Take what was noted out of the journal, keep its sums, and note the file, all or nothing.

    ``lines`` is how many the partition had when it was read: had more come meanwhile, ChangedMeanwhileError. Who writes
    into the partition waits for the commit; who reads the journal waits for the last moment of it.
    """
    await be_patient(connection)
    await connection.execute(text("SET LOCAL lock_timeout = '5s'"))
    await connection.execute(text(f"LOCK TABLE {part.table} IN SHARE ROW EXCLUSIVE MODE"))
    now = await connection.execute(
        text(f"SELECT count(*) FROM {part.table} WHERE occurred_at < :before"),  # noqa: S608
        {"before": before},
    )
    if now.scalar_one() != lines:
        raise ChangedMeanwhileError
    for statement in (_KEEP_SUMS, _KEEP_REACHED, _KEEP_SUPPLY):
        await connection.execute(statement)
    await connection.execute(_NOTE_FILE, {**_columns(archive), "who": who})
    await connection.execute(text(_DELETE.format(table=part.table)))
    if part.quarter is not None:
        await connection.execute(text(f"ALTER TABLE journal DETACH PARTITION {part.table}"))
        await connection.execute(text(f"INSERT INTO journal SELECT * FROM {part.table}"))  # noqa: S608
        await connection.execute(text(f"DROP TABLE {part.table}"))


def _columns(archive: Archive) -> dict[str, object]:
    return {
        "file": archive.file,
        "lines": archive.lines,
        "first_at": archive.first_at,
        "last_at": archive.last_at,
        "sha256": archive.sha256,
    }


_KEEP_SUMS = text(f"""
    INSERT INTO archived_day AS kept (customer_id, location_id, item_id, day, {", ".join(_EFFECTS)})
    SELECT customer_id, location_id, item_id, day, {", ".join(_EFFECTS)} FROM summed_day
    ON CONFLICT (customer_id, location_id, item_id, day) DO UPDATE SET
        {", ".join(f"{name} = kept.{name} + excluded.{name}" for name in _EFFECTS)}
""")  # noqa: S608 - our own words
_KEEP_REACHED = text("""
    INSERT INTO archived_location AS kept (customer_id, location_id, reached_at)
    SELECT customer_id, location_id, max(least(occurred_at, recorded_at)) FROM leaving GROUP BY customer_id, location_id
    ON CONFLICT (customer_id, location_id) DO UPDATE SET reached_at = greatest(kept.reached_at, excluded.reached_at)
""")
_KEEP_SUPPLY = text(f"""
    UPDATE supply_fact AS fact SET archived = true FROM leaving
    WHERE leaving.kind IN ({Kind.ORDER:d}, {Kind.SHIPMENT:d}, {Kind.RECEIPT:d})
      AND fact.customer_id = leaving.customer_id AND fact.location_id = leaving.location_id
      AND fact.item_id = leaving.item_id AND fact.fact_id = encode(leaving.line_id, 'hex')::uuid
""")  # noqa: S608 - our own words
_NOTE_FILE = text("""
    INSERT INTO journal_archive (file, first_at, last_at, lines, sha256, archived_by)
    VALUES (:file, :first_at, :last_at, :lines, :sha256, :who)
""")
_DELETE: Final = """
    DELETE FROM {table} AS line USING leaving
    WHERE line.customer_id = leaving.customer_id AND line.location_id = leaving.location_id
      AND line.item_id = leaving.item_id AND line.occurred_at = leaving.occurred_at AND line.line_id = leaving.line_id
"""


async def days(connection: AsyncConnection, key: Key) -> list[DayEffect]:
    """Return what the archived lines of a key add to the site's days, the earliest first."""
    found = await connection.execute(_DAYS, key._asdict())
    return [DayEffect(*row) for row in found]


_DAYS = text(f"""
    SELECT {", ".join(DayEffect._fields)} FROM archived_day
    WHERE customer_id = :customer_id AND location_id = :location_id AND item_id = :item_id ORDER BY day
""")  # noqa: S608 - our own words


async def finished(connection: AsyncConnection) -> None:
    """Forget what was noted."""
    await be_patient(connection)
    await connection.execute(text("TRUNCATE summed_day, leaving"))


async def counted_at(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, datetime]:
    """Return the last counts of these keys, of those that have one."""
    result = await connection.execute(
        _COUNTED_AT,
        {
            "customers": [key.customer_id for key in keys],
            "locations": [key.location_id for key in keys],
            "items": [key.item_id for key in keys],
        },
    )
    return {Key(*row[:3]): row.counted_at for row in result}


_COUNTED_AT = text("""
    SELECT customer_id, location_id, item_id, counted_at
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN position USING (customer_id, location_id, item_id) WHERE counted_at IS NOT NULL
""")
