"""Derived tables made anew from the journal, beside the live ones, compared with them, and put in their place.

The tables beside are temporary ones of the same names: in their session every statement of this package that reads or
writes ``position`` means the one beside, so that the very code that keeps the live tables makes them anew. What is read
of the live ones is named with their schema.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.days import SiteCalendar
from vmi_domain.stock.position import ABSOLUTE, Key
from vmi_domain.values import dataclass
from vmi_store import folding, journal, positions, supply
from vmi_store.catalogue import LocationKey
from vmi_store.engine import be_patient
from vmi_store.folding import Changed


class Table(NamedTuple):
    """A derived table, and what names its rows within a key."""

    name: str
    within: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return ("customer_id", "location_id", "item_id", *self.within)


POSITION: Final = Table("position", ())
DERIVED: Final = (
    POSITION,
    Table("daily_balance", ("day",)),
    Table("supply_fact", ("fact_id",)),
    Table("supply_line", ("place",)),
)
"""In this order they are put in place."""

NOT_COMPARED: Final = {"position": {"version"}}
"""Versions count changes, and go on above the live ones."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What is to be made anew: everything, one customer's, or one key's."""

    customer_id: str | None = None
    location_id: str | None = None
    item_id: str | None = None

    @property
    def columns(self) -> dict[str, object]:
        return {"customer_id": self.customer_id, "location_id": self.location_id, "item_id": self.item_id}

    def holds(self, customer_id: str, location_id: str) -> bool:
        return self.customer_id in (None, customer_id) and self.location_id in (None, location_id)


_IN_SCOPE: Final = """
    (CAST(:customer_id AS text) IS NULL OR customer_id = :customer_id)
    AND (CAST(:location_id AS text) IS NULL OR location_id = :location_id)
    AND (CAST(:item_id AS text) IS NULL OR item_id = :item_id)
"""


async def keys(connection: AsyncConnection, scope: Scope) -> list[tuple[Key, int]]:
    """Return every key that the journal or a derived table names, with how many lines it has, in their order."""
    result = await connection.execute(_KEYS, scope.columns)
    return [(Key(*row[:3]), int(row.lines)) for row in result]


_NAMED = "customer_id, location_id, item_id"
_WANTED: Final = """
    unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
"""
_KEYS = text(f"""
    SELECT {_NAMED}, sum(lines) AS lines FROM (
        SELECT {_NAMED}, count(*) AS lines FROM journal WHERE {_IN_SCOPE} GROUP BY {_NAMED}
        UNION ALL SELECT {_NAMED}, 0 FROM position WHERE {_IN_SCOPE}
        UNION ALL SELECT DISTINCT {_NAMED}, 0 FROM daily_balance WHERE {_IN_SCOPE}
        UNION ALL SELECT DISTINCT {_NAMED}, 0 FROM archived_day WHERE {_IN_SCOPE}
        UNION ALL SELECT DISTINCT {_NAMED}, 0 FROM supply_fact WHERE {_IN_SCOPE}
    ) AS named
    GROUP BY {_NAMED} ORDER BY {_NAMED}
""")  # noqa: S608 - our own words


class Beside:
    """The tables beside, in a session of their own."""

    def __init__(self, schema: str, columns: Mapping[str, Mapping[str, str]]) -> None:
        self._schema = schema
        self._columns = columns

    @classmethod
    async def make(cls, connection: AsyncConnection) -> "Beside":
        """Make empty tables beside the live ones; they last as long as the session, their rows until the commit."""
        await connection.execute(text("SET temp_buffers = '64MB'"))
        schema: str = (await connection.execute(text("SELECT quote_ident(current_schema())"))).scalar_one()
        columns: dict[str, Mapping[str, str]] = {}
        for table in DERIVED:
            found = await connection.execute(_COLUMNS, {"name": f"{schema}.{table.name}"})
            columns[table.name] = {row.attname: row.type for row in found}
            await connection.execute(
                text(f"""
                    CREATE TEMPORARY TABLE {table.name} (LIKE {schema}.{table.name} INCLUDING ALL)
                    ON COMMIT DELETE ROWS
                """)
            )
        await connection.commit()
        return cls(schema, columns)

    async def fold(
        self, connection: AsyncConnection, keys: Sequence[Key], sites: Mapping[LocationKey, SiteCalendar]
    ) -> list[tuple[Key, datetime]]:
        """Fold these keys anew from the journal, from what of it is archived, and from what was accepted.

        Return the counts that stand, by their keys and moments.
        """
        await positions.ensure(connection, keys)
        await connection.execute(text(_KEEP_DECISIONS.format(schema=self._schema)), _columns_of(keys))
        _, counts, concerned = await _fold(connection, keys, sites)
        await supply.refold(connection, concerned)
        return counts

    async def differences(self, connection: AsyncConnection, keys: Sequence[Key], shown: int) -> "list[Difference]":
        """Return where the tables beside differ from the live ones, row by row; what the rows say of ``shown`` at most,
        since after a loss that is all there is."""
        found: list[Difference] = []
        for table in DERIVED:
            at_most = {"shown": max(0, shown - len(found))}
            result = await connection.execute(text(self._difference(table)), _columns_of(keys) | at_most)
            found += [
                Difference(table.name, Key(*row[:3]), row.live, row.rebuilt, row.day if row.day else None)
                for row in result
            ]
        return found

    def _difference(self, table: Table) -> str:
        compared = [
            name
            for name in self._columns[table.name]
            if name not in table.names and name not in NOT_COMPARED.get(table.name, set())
        ]
        live, rebuilt = (", ".join(f"{of}.{name}" for name in compared) for of in ("live", "rebuilt"))
        shown = ("live", "rebuilt")
        rows = [
            f"""CASE WHEN {of}.customer_id IS NULL THEN NULL
                WHEN row_number() OVER () <= :shown THEN to_jsonb({of})::text ELSE '{{}}' END AS {of}"""
            for of in shown
        ]
        return f"""
            SELECT {_NAMED}, {", ".join(rows)}, {"day" if "day" in table.within else "NULL::date"} AS day
            FROM (
                SELECT live.* FROM {_WANTED} JOIN {self._schema}.{table.name} AS live USING ({_NAMED})
            ) AS live
            FULL JOIN {table.name} AS rebuilt USING ({", ".join(table.names)})
            WHERE live.customer_id IS NULL OR rebuilt.customer_id IS NULL
               OR ROW({live}) IS DISTINCT FROM ROW({rebuilt})
        """  # noqa: S608 - names out of the catalogue

    async def marks(self, connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, str]:
        """Return what changes with every word that is written about a live key; keys without a position have none."""
        result = await connection.execute(text(_MARKS.format(prefix=f"{self._schema}.")), _columns_of(keys))
        return {Key(*row[:3]): row.mark for row in result}

    async def rows(self, connection: AsyncConnection, keys: Sequence[Key]) -> "Rebuilt":
        """Return the rows beside of some keys, to be put in place from another session."""
        found = {}
        for table in DERIVED:
            texts = ", ".join(
                f"string_agg(coalesce(rebuilt.{name}::text, ''), chr(10)) AS {name}"
                for name in self._columns[table.name]
            )
            statement = f"""
                SELECT {texts} FROM {_WANTED} JOIN {table.name} AS rebuilt USING ({_NAMED})
            """  # noqa: S608 - names out of the catalogue
            row = (await connection.execute(text(statement), _columns_of(keys))).one()
            found[table.name] = {name: value or "" for name, value in row._mapping.items()}
        return Rebuilt(found, self._columns)


async def lost(connection: AsyncConnection, keys: Sequence[Key]) -> list[Key]:
    """Return the keys that have no days, and no position but perhaps an empty one, as a lock makes it."""
    return [Key(*row) for row in await connection.execute(_LOST, _columns_of(keys))]


_LOST = text(f"""
    SELECT {_NAMED} FROM {_WANTED} LEFT JOIN position USING ({_NAMED})
    WHERE coalesce(position.version, 0) = 0
      AND NOT EXISTS (
        SELECT FROM daily_balance AS balance
        WHERE balance.customer_id = wanted.customer_id AND balance.location_id = wanted.location_id
          AND balance.item_id = wanted.item_id)
    ORDER BY {_NAMED}
""")  # noqa: S608 - our own words


async def fold_lost(
    connection: AsyncConnection,
    keys: Sequence[Key],
    sites: Mapping[LocationKey, SiteCalendar],
    floors: Mapping[Key, int],
) -> tuple[list[Changed], list[tuple[Key, datetime]]]:
    """Fold keys in place of which nothing is left, and return what is to be told of them, and the counts that stand.

    Their versions go on from ``floors``. The caller holds their locks.
    """
    await connection.execute(_FORGET_TOLD_SUPPLY, _columns_of(keys))
    changed, counts, concerned = await _fold(connection, keys, sites)
    await supply.refold(connection, concerned)
    versions = {
        Key(*row[:3]): row.version
        for row in await connection.execute(
            _RAISE_VERSIONS, _columns_of(keys) | {"floors": [floors.get(key, 0) for key in keys]}
        )
    }
    days = {one.key: one.demand_from for one in changed}
    return [Changed(key, versions[key], days.get(key)) for key in sorted(versions)], counts


_RAISE_VERSIONS = text("""
    UPDATE position SET version = greatest(position.version, floor) + 1
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:floors AS bigint[])
    ) AS wanted (customer_id, location_id, item_id, floor)
    WHERE position.customer_id = wanted.customer_id AND position.location_id = wanted.location_id
      AND position.item_id = wanted.item_id
    RETURNING position.customer_id, position.location_id, position.item_id, position.version
""")
# What was accepted, and what is archived, no line of the journal tells.
_FORGET_TOLD_SUPPLY = text(f"""
    DELETE FROM supply_fact AS fact USING {_WANTED}
    WHERE fact.customer_id = wanted.customer_id AND fact.location_id = wanted.location_id
      AND fact.item_id = wanted.item_id AND fact.stage <> 'accepted' AND NOT fact.archived
""")  # noqa: S608 - our own words


async def written(connection: AsyncConnection, keys: Sequence[Key], shown: int) -> "list[Difference]":
    """Return the rows that were made of keys of which there were none; what ``shown`` of them at most say."""
    found: list[Difference] = []
    for table in DERIVED:
        result = await connection.execute(
            text(f"""
                SELECT {_NAMED}, {"day" if "day" in table.within else "NULL::date"} AS day,
                       CASE WHEN row_number() OVER () <= :shown THEN to_jsonb(made)::text ELSE '{{}}' END AS made
                FROM {_WANTED} JOIN {table.name} AS made USING ({_NAMED})
            """),  # noqa: S608 - our own words
            _columns_of(keys) | {"shown": max(0, shown - len(found))},
        )
        found += [Difference(table.name, Key(*row[:3]), None, row.made, row.day) for row in result]
    return found


async def _fold(
    connection: AsyncConnection, keys: Sequence[Key], sites: Mapping[LocationKey, SiteCalendar]
) -> tuple[list[Changed], list[tuple[Key, datetime]], list[Key]]:
    """Fold keys of which nothing is there; return what changed, the counts that stand, and whose supply was told."""
    await folding.seed_archived_days(connection, keys)
    await connection.execute(_SEED_POSITIONS, _columns_of(keys))
    lines = await journal.of_keys(connection, keys)
    changed = await folding.fold(connection, {key: lines[key] for key in sorted(keys) if lines[key]}, sites)
    facts = [(key, fact) for key in keys for fact in supply.facts_of(lines[key])]
    await supply.record(connection, facts)
    counts = [
        (line.key, line.occurred_at)
        for of_key in lines.values()
        if any(line.kind in ABSOLUTE for line in of_key)
        for line in journal.standing(of_key)
        if line.kind in ABSOLUTE
    ]
    return changed, counts, [Key(*row) for row in await connection.execute(_WITH_SUPPLY, _columns_of(keys))]


async def are_as_seen(connection: AsyncConnection, keys: Sequence[Key], marks: Mapping[Key, str]) -> bool:
    """Return whether nobody has written anything about keys since their marks were read; the caller holds their locks.

    Whoever writes about a key writes its position too. One that had none is as seen where this transaction made it.
    """
    result = await connection.execute(text(_MARKS.format(prefix="")), _columns_of(keys))
    return all(marks.get(Key(*row[:3]), row.own) == row.mark for row in result)


@asynccontextmanager
async def snapshot(session: AsyncConnection) -> AsyncIterator[None]:
    """Let all statements see the same state; what they write beside is gone afterwards."""
    await session.rollback()
    await session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
    await be_patient(session)  # an ended session would lose the tables beside
    try:
        yield
    except BaseException:
        await session.rollback()
        raise
    await session.commit()  # which empties the tables beside; a rollback would leave their dead rows


class Difference(NamedTuple):
    """A row that is not what it should be."""

    table: str
    key: Key
    live: str | None
    """As JSON; None where it is missing."""
    rebuilt: str | None
    """As JSON; None where it should not be there."""
    day: date | None

    @property
    def columns(self) -> dict[str, tuple[Any, Any]]:
        """What differs: live, rebuilt."""
        live, rebuilt = (orjson.loads(one) if one else {} for one in (self.live, self.rebuilt))
        names = {*live, *rebuilt} - NOT_COMPARED.get(self.table, set())
        return {
            name: (live.get(name), rebuilt.get(name)) for name in sorted(names) if live.get(name) != rebuilt.get(name)
        }


class Rebuilt(NamedTuple):
    """Rows to be put in place."""

    rows: Mapping[str, Mapping[str, str]]
    """By table, then by column: its values as one text (see ``vmi_store.columns``), which takes a fraction of the time
    that rows as JSON take. No value is empty that is not null."""
    columns: Mapping[str, Mapping[str, str]]
    """By table: names and types."""


_MARKS: Final = f"""
    SELECT {_NAMED}, position.xmin::text AS mark, coalesce(pg_current_xact_id_if_assigned()::xid::text, '') AS own
    FROM {_WANTED} JOIN {{prefix}}position AS position USING ({_NAMED})
"""  # noqa: S608 - our own words
_COLUMNS = text("""
    SELECT attname, format_type(atttypid, atttypmod) AS type FROM pg_attribute
    WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped
    ORDER BY attnum
""")
_SEED_POSITIONS = text(f"""
    UPDATE position SET
        moved = archived.moved, received = archived.received, held_back = archived.held_back, titled = archived.titled
    FROM (
        SELECT customer_id, location_id, item_id, sum(moved) AS moved, sum(received) AS received,
               sum(held_back) AS held_back, sum(titled) AS titled
        FROM {_WANTED} JOIN archived_day USING ({_NAMED}) GROUP BY customer_id, location_id, item_id
    ) AS archived
    WHERE position.customer_id = archived.customer_id AND position.location_id = archived.location_id
      AND position.item_id = archived.item_id
""")  # noqa: S608 - our own words
_KEEP_DECISIONS: Final = f"""
    INSERT INTO supply_fact SELECT fact.* FROM {_WANTED}
    JOIN {{schema}}.supply_fact AS fact USING ({_NAMED}) WHERE fact.stage = 'accepted' OR fact.archived
"""  # noqa: S608 - our own words
_WITH_SUPPLY = text(f"SELECT DISTINCT {_NAMED} FROM {_WANTED} JOIN supply_fact USING ({_NAMED})")  # noqa: S608


async def put_in_place(
    connection: AsyncConnection, keys: Sequence[Key], rebuilt: Rebuilt, floors: Mapping[Key, int]
) -> Mapping[Key, int]:
    """Write rebuilt rows in the place of those of these keys; return the keys' versions, which go on from the live
    ones, or from ``floors`` where those are higher.

    The caller holds the locks of the keys, and had them when the rows were made.
    """
    wanted = _columns_of(keys) | {"floors": [floors[key] for key in keys]}
    for table in DERIVED:
        names = rebuilt.columns[table.name]
        said = {**wanted, **{f"of_{name}": value for name, value in rebuilt.rows[table.name].items()}}
        columns = ", ".join(names)
        fresh = f"""
            SELECT {", ".join(f"CAST({name} AS {of}) AS {name}" for name, of in names.items())}
            FROM unnest({", ".join(f"string_to_array(CAST(:of_{name} AS text), chr(10), '')" for name in names)})
                AS fresh ({columns})
        """  # noqa: S608 - names out of the catalogue
        if table is POSITION:
            others = [name for name in names if name not in {*table.names, "version"}]
            changes = ", ".join(f"{name} = fresh.{name}" for name in others)
            await connection.execute(
                text(f"""
                    UPDATE position AS live SET version = greatest(live.version, floor) + 1, {changes}
                    FROM ({fresh}) AS fresh
                    JOIN unnest(
                        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]),
                        CAST(:floors AS bigint[])
                    ) AS wanted (customer_id, location_id, item_id, floor) USING (customer_id, location_id, item_id)
                    WHERE live.customer_id = fresh.customer_id AND live.location_id = fresh.location_id
                      AND live.item_id = fresh.item_id
                """),  # noqa: S608
                said,
            )
            continue
        await connection.execute(
            text(f"""
                DELETE FROM {table.name} AS live USING {_WANTED}
                WHERE live.customer_id = wanted.customer_id AND live.location_id = wanted.location_id
                  AND live.item_id = wanted.item_id
            """),  # noqa: S608
            wanted,
        )
        await connection.execute(text(f"INSERT INTO {table.name} ({columns}) {fresh}"), said)
    return {row.key: row.version for row in await positions.read(connection, keys)}


async def watermarks_behind(connection: AsyncConnection, scope: Scope) -> dict[LocationKey, datetime]:
    """Return the watermarks of locations that are behind what their facts have reached, as they should be."""
    result = await connection.execute(_WATERMARKS_BEHIND, scope.columns)
    return {(row.customer_id, row.location_id): row.reached_at for row in result}


# Never back: what reached further may be archived, or retracted since.
_WATERMARKS_BEHIND = text(f"""
    SELECT customer_id, location_id, told.reached_at
    FROM (
        SELECT customer_id, location_id, max(reached_at) AS reached_at
        FROM (
            SELECT customer_id, location_id, max(least(occurred_at, recorded_at)) AS reached_at
            FROM journal WHERE {_IN_SCOPE} GROUP BY customer_id, location_id
            UNION ALL
            SELECT customer_id, location_id, reached_at FROM archived_location
            WHERE (CAST(:customer_id AS text) IS NULL OR customer_id = :customer_id)
              AND (CAST(:location_id AS text) IS NULL OR location_id = :location_id)
        ) AS each GROUP BY customer_id, location_id
    ) AS told
    LEFT JOIN location_watermark AS mark USING (customer_id, location_id)
    WHERE mark.reached_at IS NULL OR mark.reached_at < told.reached_at
""")  # noqa: S608 - our own words


def _columns_of(keys: Sequence[Key]) -> dict[str, object]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }
