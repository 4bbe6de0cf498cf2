"""The journal made anew from documents, beside the live one: compared with it, and what is missing there entered.

As in ``rebuilding`` the tables beside are temporary ones of the same names, so that the very code that takes documents
in writes there. The live ones are named with their schema.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.position import Key, Kind
from vmi_domain.values import dataclass
from vmi_store.inbox import Identity
from vmi_store.plans import PlanName
from vmi_store.rebuilding import Scope

TABLES: Final = (
    "inbox",
    "supersession",
    "journal",
    "position",
    "quarantine",
    "quarantined_record",
    "demand_plan",
    "demand_plan_line",
)
LINES_AT_ONCE: Final = 50_000
MOST_SHOWN: Final = 1000


class MissingLine(NamedTuple):
    """A line that a document says and the journal has not."""

    key: Key
    occurred_at: datetime
    kind: Kind
    quantity: Decimal
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Compared:
    """The journal that the topics give, beside the live one."""

    lines: int
    """What the topics give."""
    missing: Sequence[MissingLine]
    """The first of them."""
    missing_lines: int
    archived: int
    """Lines that are in the journal no more, since they are in an archive."""
    kept: int
    """Lines of the journal that the topics no longer give."""
    otherwise: int
    """Lines that would be read otherwise today; they stay as they are."""
    corrections: int
    """Missing words on what supersedes what."""
    documents: int
    """Missing in the inbox. Its old rows are deleted by and by: this is no difference."""
    plans: int
    rejected: int
    """Missing in quarantine."""

    @property
    def is_same(self) -> bool:
        return not (self.missing_lines or self.corrections or self.plans or self.rejected)


class BesideJournal:
    """The tables beside, in a session of their own."""

    def __init__(self, schema: str, scope: Scope) -> None:
        self._schema = schema
        self._scope = scope

    @classmethod
    async def make(cls, connection: AsyncConnection, scope: Scope) -> "BesideJournal":
        """Make tables beside the live ones, empty but for what is superseded; they last as long as the session.

        What superseded a document may have left the topics before it: it stays superseded.
        """
        await connection.execute(text("SET temp_buffers = '128MB'"))
        schema: str = (await connection.execute(text("SELECT quote_ident(current_schema())"))).scalar_one()
        for table in TABLES:
            await connection.execute(text(f"CREATE TEMPORARY TABLE {table} (LIKE {schema}.{table} INCLUDING ALL)"))
        made = cls(schema, scope)
        await made._do(connection, _SEED_SUPERSESSIONS)
        await made._do(connection, _SEED_NAMES)
        await connection.commit()
        return made

    async def _do(self, connection: AsyncConnection, statement: str, **more: object) -> int:
        result = await connection.execute(text(statement.format(live=self._schema)), {**self._scope.columns, **more})
        return result.rowcount

    async def _count(self, connection: AsyncConnection, statement: str) -> int:
        result = await connection.execute(text(statement.format(live=self._schema)), self._scope.columns)
        return int(result.scalar_one())

    async def names_without_document(self, connection: AsyncConnection) -> list[Identity]:
        """Return the names of superseded documents that did not come."""
        result = await connection.execute(_NAMES_WITHOUT_DOCUMENT)
        return [(row.customer_id, row.message_key) for row in result]

    async def compare(self, connection: AsyncConnection) -> Compared:
        """Return how the tables beside differ from the live ones. What is missing is noted, to be entered."""
        for table in TABLES:
            await connection.execute(text(f"ANALYZE {table}"))
        await self._do(connection, _NOTE_MISSING)
        await connection.execute(text("CREATE INDEX ON missing_line (place)"))  # else all is read for each part entered
        shown = await connection.execute(_SHOWN, {"at_most": MOST_SHOWN})
        whole = self._scope.location_id is None
        found = Compared(
            lines=await self._count(connection, _LINES),
            missing=[MissingLine(Key(*row[:3]), row[3], Kind(row[4]), row[5], row[6]) for row in shown],
            missing_lines=await self._count(connection, "SELECT count(*) FROM missing_line"),
            archived=await self._count(connection, _ARCHIVED),
            kept=await self._count(connection, _KEPT),
            otherwise=await self._count(connection, _OTHERWISE),
            corrections=await self._count(connection, _MISSING_SUPERSESSIONS),
            documents=await self._count(connection, _MISSING_LETTERS) if whole else 0,
            plans=await self._count(connection, _MISSING_PLANS) if whole else 0,
            rejected=await self._count(connection, _MISSING_REJECTIONS) if whole else 0,
        )
        await connection.commit()
        return found

    async def enter(self, connection: AsyncConnection, compared: Compared) -> AsyncIterator[int]:
        """Enter what is missing, and yield how many lines are entered so far."""
        for first in range(0, compared.missing_lines, LINES_AT_ONCE):
            await self._do(connection, _ENTER_LINES, first=first, last=first + LINES_AT_ONCE)
            await connection.commit()
            yield min(first + LINES_AT_ONCE, compared.missing_lines)
        # A document is known only when its lines are there.
        statements = [_ENTER_SUPERSESSIONS]
        if self._scope.location_id is None:
            statements += [_ENTER_LETTERS, _ENTER_REJECTED_RECORDS, _ENTER_REJECTIONS]
        for statement in statements:
            await self._do(connection, statement)
        await connection.commit()

    async def enter_plans(self, connection: AsyncConnection) -> list[PlanName]:
        """Enter the revisions of plans that are missing, and let of each plan the last one stand; return which."""
        if self._scope.location_id is not None:
            return []
        result = await connection.execute(text(_NAMES_OF_MISSING_PLANS.format(live=self._schema)), self._scope.columns)
        names: list[PlanName] = [(row[0], row[1], row[2], row[3]) for row in result]
        wanted = {
            "customers": [name[0] for name in names],
            "locations": [name[1] for name in names],
            "documents": [name[2] for name in names],
            "plans": [name[3] for name in names],
        }
        for statement in (_ENTER_PLANS, _ENTER_PLAN_LINES, _LET_THE_LAST_STAND):
            if names:
                await connection.execute(text(statement.format(live=self._schema)), wanted)
        await connection.commit()
        return names


async def discarded(connection: AsyncConnection, scope: Scope) -> Mapping[UUID, frozenset[int] | None]:
    """Return the records of which a person discarded something: lines, or (None) all of it. That stays discarded."""
    found: dict[UUID, frozenset[int] | None] = {}
    for row in await connection.execute(_DISCARDED, {"customer_id": scope.customer_id}):
        found[row.record_id] = None if row.whole else frozenset(row.lines)
    return found


_DISCARDED = text("""
    SELECT record_id, bool_or(line IS NULL) AS whole, array_agg(line) AS lines FROM quarantine
    WHERE settled_by = 'discarded' AND worker = 'inventory'
      AND (CAST(:customer_id AS text) IS NULL OR customer_id = :customer_id)
    GROUP BY record_id
""")


@asynccontextmanager
async def written(session: AsyncConnection) -> AsyncIterator[None]:
    """Let what is written beside stand, or, if anything fails, nothing of it."""
    try:
        yield
    except BaseException:
        if not session.invalidated:
            await session.rollback()
        raise
    await session.commit()


_OF_CUSTOMER: Final = "(CAST(:customer_id AS text) IS NULL OR {of}.customer_id = :customer_id)"


def _of_customer(of: str) -> str:
    return _OF_CUSTOMER.format(of=of)


def _in_scope(of: str) -> str:
    return f"""{_of_customer(of)}
    AND (CAST(:location_id AS text) IS NULL OR {of}.location_id = :location_id)
    AND (CAST(:item_id AS text) IS NULL OR {of}.item_id = :item_id)"""


_SEED_SUPERSESSIONS: Final = f"""
    INSERT INTO supersession SELECT known.* FROM {{live}}.supersession AS known WHERE {_of_customer("known")}
"""  # noqa: S608 - our own words, here and below
_SEED_NAMES: Final = (
    "INSERT INTO inbox (customer_id, message_key) SELECT DISTINCT customer_id, name_key FROM supersession"
)
_NAMES_WITHOUT_DOCUMENT = text("SELECT customer_id, message_key FROM inbox WHERE payload_hash IS NULL ORDER BY 1, 2")

# Without the time: a report that names a day alone may be of another moment since its site's calendar changed.
_SAME_LINE: Final = """
    live.customer_id = beside.customer_id AND live.location_id = beside.location_id
    AND live.item_id = beside.item_id AND live.line_id = beside.line_id
"""
_NOT_LIVE: Final = f"NOT EXISTS (SELECT FROM {{live}}.journal AS live WHERE {_SAME_LINE})"
_IN_AN_ARCHIVE: Final = """EXISTS (
    SELECT FROM {live}.journal_archive AS archive
    WHERE beside.occurred_at BETWEEN archive.first_at AND archive.last_at
      AND beside.recorded_at < archive.archived_at)"""
_NOTE_MISSING: Final = f"""
    CREATE TEMPORARY TABLE missing_line AS
    SELECT beside.*,
           row_number() OVER (ORDER BY customer_id, location_id, item_id, occurred_at, line_id) - 1 AS place
    FROM journal AS beside WHERE {_in_scope("beside")} AND {_NOT_LIVE} AND NOT {_IN_AN_ARCHIVE}
"""  # noqa: S608
_SHOWN = text("""
    SELECT customer_id, location_id, item_id, occurred_at, kind, quantity, recorded_at FROM missing_line
    WHERE place < :at_most ORDER BY place
""")
_LINES: Final = f"SELECT count(*) FROM journal AS beside WHERE {_in_scope('beside')}"  # noqa: S608
_ARCHIVED: Final = f"{_LINES} AND {_NOT_LIVE} AND {_IN_AN_ARCHIVE}"
_KEPT: Final = f"""
    SELECT count(*) FROM {{live}}.journal AS live
    WHERE {_in_scope("live")} AND NOT EXISTS (SELECT FROM journal AS beside WHERE {_SAME_LINE})
"""  # noqa: S608
_OTHERWISE: Final = f"""
    SELECT count(*) FROM journal AS beside JOIN {{live}}.journal AS live ON {_SAME_LINE}
    WHERE {_in_scope("beside")} AND (live.occurred_at, live.kind, live.quantity, live.recorded_at, live.details)
        IS DISTINCT FROM (beside.occurred_at, beside.kind, beside.quantity, beside.recorded_at, beside.details)
"""  # noqa: S608
_LINE_COLUMNS: Final = """
    customer_id, location_id, item_id, occurred_at, line_id, kind, quantity, recorded_at, details
"""
_ENTER_LINES: Final = f"""
    INSERT INTO {{live}}.journal ({_LINE_COLUMNS}) SELECT {_LINE_COLUMNS} FROM missing_line
    WHERE place >= :first AND place < :last ORDER BY place
    ON CONFLICT DO NOTHING
"""  # noqa: S608
_MISSING_SUPERSESSIONS: Final = """
    SELECT count(*) FROM supersession LEFT JOIN {live}.supersession AS live USING (customer_id, name_key, by_key)
    WHERE live.customer_id IS NULL
"""
_ENTER_SUPERSESSIONS: Final = """
    INSERT INTO {live}.supersession SELECT * FROM supersession ORDER BY customer_id, name_key, by_key
    ON CONFLICT DO NOTHING
"""
_MISSING_LETTERS: Final = """
    SELECT count(*) FROM inbox LEFT JOIN {live}.inbox AS live USING (customer_id, message_key)
    WHERE live.customer_id IS NULL OR live.payload_hash IS NULL AND inbox.payload_hash IS NOT NULL
"""
_LETTER_COLUMNS: Final = "customer_id, message_key, payload_hash, location_id, occurred_at, occurred_on"
_ENTER_LETTERS: Final = f"""
    INSERT INTO {{live}}.inbox AS live ({_LETTER_COLUMNS}) SELECT {_LETTER_COLUMNS} FROM inbox
    ORDER BY customer_id, message_key
    ON CONFLICT (customer_id, message_key) DO UPDATE SET
        payload_hash = excluded.payload_hash, location_id = excluded.location_id,
        occurred_at = excluded.occurred_at, occurred_on = excluded.occurred_on
    WHERE live.payload_hash IS NULL AND excluded.payload_hash IS NOT NULL
"""  # noqa: S608
_MISSING_REJECTIONS: Final = """
    SELECT count(*) FROM quarantine LEFT JOIN {live}.quarantine AS live USING (id) WHERE live.id IS NULL
"""
_ENTER_REJECTED_RECORDS: Final = """
    INSERT INTO {live}.quarantined_record SELECT record.* FROM quarantined_record AS record
    WHERE EXISTS (SELECT FROM quarantine WHERE record_id = record.id AND NOT EXISTS (
        SELECT FROM {live}.quarantine AS live WHERE live.id = quarantine.id))
    ON CONFLICT DO NOTHING
"""
_ENTER_REJECTIONS: Final = "INSERT INTO {live}.quarantine SELECT * FROM quarantine ON CONFLICT DO NOTHING"

_PLAN_NAMES: Final = "customer_id, location_id, document, plan_id"
_PLAN_LINE_COLUMNS: Final = f"""
    {_PLAN_NAMES}, item_id, revision, line, kind, first_day, last_day, quantity, factor, commitment, net, other_item,
    interchangeable, stated_at, author, reason, stands
"""
_PLAN_COLUMNS: Final = f"{_PLAN_NAMES}, revision, stated_at, withdrawn, author, reason, recorded_at"
_NOT_STATED: Final = f"""
    NOT EXISTS (
        SELECT FROM {{live}}.demand_plan AS live
        WHERE ({", ".join(f"live.{name}" for name in _PLAN_NAMES.split(", "))}, live.revision, live.stated_at)
            = ({", ".join(f"beside.{name}" for name in _PLAN_NAMES.split(", "))}, beside.revision, beside.stated_at))
    OR EXISTS (
        SELECT {_PLAN_NAMES}, item_id, revision, stated_at, line, kind FROM demand_plan_line AS said
        WHERE ({", ".join(f"said.{name}" for name in _PLAN_NAMES.split(", "))}, said.revision, said.stated_at)
            = ({", ".join(f"beside.{name}" for name in _PLAN_NAMES.split(", "))}, beside.revision, beside.stated_at)
        EXCEPT
        SELECT {_PLAN_NAMES}, item_id, revision, stated_at, line, kind FROM {{live}}.demand_plan_line AS live
        WHERE ({", ".join(f"live.{name}" for name in _PLAN_NAMES.split(", "))})
            = ({", ".join(f"beside.{name}" for name in _PLAN_NAMES.split(", "))}))
"""  # noqa: S608
_MISSING_PLANS: Final = f"SELECT count(*) FROM demand_plan AS beside WHERE {_NOT_STATED}"  # noqa: S608
_NAMES_OF_MISSING_PLANS: Final = f"""
    SELECT DISTINCT {_PLAN_NAMES} FROM demand_plan AS beside WHERE {_NOT_STATED} ORDER BY {_PLAN_NAMES}
"""  # noqa: S608
_NAMED_PLANS: Final = f"""
    unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:documents AS text[]), CAST(:plans AS text[]))
        AS wanted ({_PLAN_NAMES})
"""
_ENTER_PLANS: Final = f"""
    INSERT INTO {{live}}.demand_plan ({_PLAN_COLUMNS})
    SELECT {_PLAN_COLUMNS} FROM {_NAMED_PLANS} JOIN demand_plan USING ({_PLAN_NAMES}) ON CONFLICT DO NOTHING
"""  # noqa: S608
_ENTER_PLAN_LINES: Final = f"""
    INSERT INTO {{live}}.demand_plan_line ({_PLAN_LINE_COLUMNS})
    SELECT {_PLAN_LINE_COLUMNS} FROM {_NAMED_PLANS} JOIN demand_plan_line USING ({_PLAN_NAMES}) ON CONFLICT DO NOTHING
"""  # noqa: S608
_LET_THE_LAST_STAND: Final = f"""
    UPDATE {{live}}.demand_plan_line AS line SET stands = NOT line.stands
    FROM (
        SELECT DISTINCT ON ({_PLAN_NAMES}) {_PLAN_NAMES}, revision, stated_at
        FROM {_NAMED_PLANS} JOIN {{live}}.demand_plan USING ({_PLAN_NAMES})
        ORDER BY {_PLAN_NAMES}, revision DESC, stated_at DESC
    ) AS last
    WHERE ({", ".join(f"line.{name}" for name in _PLAN_NAMES.split(", "))})
        = ({", ".join(f"last.{name}" for name in _PLAN_NAMES.split(", "))})
      AND line.stands <> ((line.revision, line.stated_at) = (last.revision, last.stated_at))
"""  # noqa: S608
