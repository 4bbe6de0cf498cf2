"""The journal's partitions: quarters of a year by when facts occurred, made ahead, and one for what has no quarter.

Inserting touches the quarters of the batch alone, so that what it costs does not grow with the years behind; and a
quarter that is old enough leaves as a whole.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.values import dataclass

QUARTERS_AHEAD: Final = 2
"""So many are made before they begin: a database that nobody looks after for half a year still has its partition."""

STRAYS: Final = "journal_strays"
"""The default partition."""


@dataclass(frozen=True, slots=True, order=True)
class Quarter:
    """A quarter of a year, in UTC."""

    year: int
    number: int
    """From 1 to 4."""

    @classmethod
    def of(cls, day: date) -> "Quarter":
        return cls(day.year, (day.month + 2) // 3)

    @property
    def begins(self) -> datetime:
        return datetime(self.year, 3 * self.number - 2, 1, tzinfo=UTC)

    @property
    def ends(self) -> datetime:
        """The first instant after it."""
        return self.after(1).begins

    @property
    def table(self) -> str:
        return f"journal_{self.year:04}_q{self.number}"

    def after(self, quarters: int) -> "Quarter":
        """Return the quarter so many later, or earlier."""
        place = self.year * 4 + self.number - 1 + quarters
        return Quarter(place // 4, place % 4 + 1)


def quarters(first: Quarter, last: Quarter) -> Iterator[Quarter]:
    """Yield the quarters from one to another."""
    while first <= last:
        yield first
        first = first.after(1)


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of the journal as it stands."""

    table: str
    quarter: Quarter | None
    """None: what has no quarter."""
    rows: int
    """As the database estimates."""
    size: int
    """Bytes, with the index."""


async def present(connection: AsyncConnection) -> list[Partition]:
    """Return the journal's partitions, the oldest first."""
    result = await connection.execute(_PRESENT)
    found = [Partition(row.relname, _quarter(row.relname), row.rows, row.size) for row in result]
    return sorted(found, key=lambda one: (one.quarter is None, one.quarter or Quarter(1, 1)))


_PRESENT = text("""
    SELECT part.relname, greatest(part.reltuples, 0)::bigint AS rows, pg_total_relation_size(part.oid) AS size
    FROM pg_inherits JOIN pg_class AS part ON part.oid = pg_inherits.inhrelid
    WHERE pg_inherits.inhparent = to_regclass('journal') AND NOT pg_inherits.inhdetachpending
""")


def _quarter(table: str) -> Quarter | None:
    if table == STRAYS:
        return None
    year, number = table.removeprefix("journal_").split("_q")
    return Quarter(int(year), int(number))


async def prepare(connection: AsyncConnection, wanted: Sequence[Quarter]) -> list[Quarter]:
    """Make partitions for those of these quarters that have none, and return them; strays of theirs move in.

    Whoever reads or writes the journal waits for the commit; this gives up (a lock not to be had, to be tried again)
    rather than let them queue behind it while somebody's transaction is long.
    """
    there = {one.quarter for one in await present(connection)}
    missing = [quarter for quarter in wanted if quarter not in there]
    if not missing:
        return []
    await connection.execute(text("SET LOCAL lock_timeout = '2s'"))
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ONE_AT_A_TIME})
    there = {one.quarter for one in await present(connection)}
    missing = [quarter for quarter in missing if quarter not in there]
    for quarter in missing:
        await _make(connection, quarter)
    return missing


_ONE_AT_A_TIME = 0x766D69_6A6F75


async def _make(connection: AsyncConnection, quarter: Quarter) -> None:
    bounds = f"TIMESTAMPTZ '{quarter.begins.isoformat()}'", f"TIMESTAMPTZ '{quarter.ends.isoformat()}'"
    await connection.execute(text(f"LOCK TABLE {STRAYS} IN ACCESS EXCLUSIVE MODE"))
    # Rows come and stay: they are frozen while they are few.
    await connection.execute(
        text(f"""
            CREATE TABLE {quarter.table} (LIKE journal INCLUDING ALL) WITH (
                autovacuum_vacuum_insert_scale_factor = 0.0, autovacuum_vacuum_insert_threshold = 500000,
                autovacuum_analyze_scale_factor = 0.02
            )
        """)
    )
    await connection.execute(
        text(f"""
            WITH moved AS (
                DELETE FROM {STRAYS} WHERE occurred_at >= {bounds[0]} AND occurred_at < {bounds[1]} RETURNING *
            )
            INSERT INTO {quarter.table} SELECT * FROM moved
        """)  # noqa: S608 - our own words
    )
    await connection.execute(
        text(f"ALTER TABLE journal ATTACH PARTITION {quarter.table} FOR VALUES FROM ({bounds[0]}) TO ({bounds[1]})")
    )


def ahead(now: datetime) -> list[Quarter]:
    """Return the quarters that should have a partition at ``now``."""
    current = Quarter.of(now.astimezone(UTC).date())
    return list(quarters(current, current.after(QUARTERS_AHEAD)))
