"""The journal: every accepted fact, one row a document line, never changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple
from uuid import UUID

from asyncpg.pgproto import pgproto
from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.position import Key, Kind


class JournalLine(NamedTuple):
    """One line of a document as it stands in the journal. The order of fields is the order of the index."""

    customer_id: str
    location_id: str
    item_id: str
    occurred_at: datetime
    line_id: UUID
    kind: Kind
    quantity: Decimal
    """Base units: what it adds to the stock, or (reports, counts) what it sets it to."""
    recorded_at: datetime
    details: str | None = None
    """JSON; None for a plain sale."""

    @property
    def key(self) -> Key:
        return Key(self.customer_id, self.location_id, self.item_id)


def line_id(message_key: bytes, number: int) -> UUID:
    """Return the identity of a document's line: the begin of the document's inbox key, then the line's place."""
    made: UUID = pgproto.UUID(message_key[:12] + number.to_bytes(4, "big"))
    return made


async def enter(connection: AsyncConnection, lines: Sequence[JournalLine]) -> Sequence[JournalLine]:
    """Write lines and return those that were not there yet, sorted by key and time.

    The inbox keeps known documents out, so that lines that are known already are rare (its old rows are deleted some
    day): they are looked for only when a plain insert finds one.
    """
    ordered = sorted(lines)
    if not ordered:
        return ordered
    columns = _columns(ordered)
    try:
        async with connection.begin_nested():
            await connection.execute(_INSERT, columns)
    except IntegrityError:
        once = sorted({line[:5]: line for line in ordered}.values())
        result = await connection.execute(_INSERT_NEW, _columns(once))
        new = {tuple(row) for row in result}
        return [line for line in once if line[:5] in new]
    return ordered


def _columns(lines: Sequence[JournalLine]) -> dict[str, object]:
    customers, locations, items, times, ids, kinds, quantities, recorded, details = zip(*lines, strict=True)
    return {
        "customers": customers,
        "locations": locations,
        "items": items,
        "times": times,
        "ids": ids,
        "kinds": kinds,
        "quantities": list(map(str, quantities)),
        "recorded": recorded,
        "details": details,
    }


_ROWS = """
    INSERT INTO journal (
        customer_id, location_id, item_id, occurred_at, line_id, kind, quantity, recorded_at, details
    )
    SELECT customer_id, location_id, item_id, occurred_at, line_id, kind, quantity::numeric, recorded_at, details::jsonb
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:times AS timestamptz[]),
        CAST(:ids AS uuid[]), CAST(:kinds AS smallint[]), CAST(:quantities AS text[]), CAST(:recorded AS timestamptz[]),
        CAST(:details AS text[])
    ) AS line (customer_id, location_id, item_id, occurred_at, line_id, kind, quantity, recorded_at, details)
"""
_INSERT = text(_ROWS)
_INSERT_NEW = text(f"""
    {_ROWS}
    ON CONFLICT (customer_id, location_id, item_id, occurred_at, line_id) DO NOTHING
    RETURNING customer_id, location_id, item_id, occurred_at, line_id
""")


async def of_keys(connection: AsyncConnection, keys: Sequence[Key]) -> Mapping[Key, list[JournalLine]]:
    """Return all lines of some keys, each key's in the order in which they happened."""
    result = await connection.execute(
        _OF_KEYS,
        {
            "customers": [key.customer_id for key in keys],
            "locations": [key.location_id for key in keys],
            "items": [key.item_id for key in keys],
        },
    )
    found: dict[Key, list[JournalLine]] = {key: [] for key in keys}
    for row in result:
        line = _line(row)
        found[line.key].append(line)
    return found


_OF_KEYS = text("""
    SELECT customer_id, location_id, item_id, occurred_at, line_id, kind, quantity, recorded_at,
           details::text AS details
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN journal USING (customer_id, location_id, item_id)
    ORDER BY customer_id, location_id, item_id, occurred_at, line_id
""")


def _line(row: Row[tuple[object, ...]]) -> JournalLine:
    return JournalLine(
        row.customer_id,
        row.location_id,
        row.item_id,
        row.occurred_at,
        row.line_id,
        Kind(row.kind),
        row.quantity,
        row.recorded_at,
        row.details,
    )
