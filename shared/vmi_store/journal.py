"""The journal: every accepted fact, one row a document line, never changed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

import orjson
from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.daily import Sales
from vmi_domain.stock.position import Key, Kind
from vmi_store import columns


class JournalLine(NamedTuple):
    """One line of a document as it stands in the journal. The order of fields is the order of the index."""

    customer_id: str
    location_id: str
    item_id: str
    occurred_at: datetime
    line_id: bytes
    kind: Kind
    quantity: Decimal
    """Base units: what it adds to the stock, or (reports, counts) what it sets it to."""
    recorded_at: datetime
    details: str | None = None
    """JSON; None for a plain sale."""

    @property
    def key(self) -> Key:
        return Key(self.customer_id, self.location_id, self.item_id)


def line_id(message_key: bytes, number: int) -> bytes:
    """Return the identity of a document's line: the begin of the document's inbox key, then the line's place."""
    return message_key[:12] + number.to_bytes(4, "big")


OfKeys = Mapping[Key, Sequence[JournalLine]]
"""Lines by their keys, in the order of the keys."""


async def enter(connection: AsyncConnection, lines: Iterable[JournalLine]) -> OfKeys:
    """Write lines and return those that were not there yet.

    The inbox keeps known documents out, so that lines that are known already are rare (its old rows are deleted some
    day): they are looked for only when a plain insert finds one.
    """
    of_keys = _by_keys(lines)
    ordered = [line for of_key in of_keys.values() for line in of_key]
    if not ordered:
        return of_keys
    try:
        async with connection.begin_nested():
            if all(line.kind is Kind.SALE and line.details is None for line in ordered):
                await connection.execute(_INSERT_PLAIN_SALES, _columns(ordered))
            else:
                await connection.execute(_INSERT, _columns_and_kinds(ordered))
    except IntegrityError:
        once = sorted({line[:5]: line for line in ordered}.values())
        result = await connection.execute(_INSERT_NEW, _columns_and_kinds(once))
        new = set(map(tuple, result))
        return _by_keys(line for line in once if line[:5] in new)
    return of_keys


def _by_keys(lines: Iterable[JournalLine]) -> dict[Key, list[JournalLine]]:
    found: dict[tuple[str, str, str], list[JournalLine]] = {}
    for line in lines:
        found.setdefault(line[:3], []).append(line)
    return {Key(*key): found[key] for key in sorted(found)}


def _columns(lines: Sequence[JournalLine]) -> dict[str, object]:
    customers, locations, items, times, ids, _, quantities, recorded, _ = zip(*lines, strict=True)
    return {
        "customers": columns.texts(customers),
        "locations": columns.texts(locations),
        "items": columns.texts(items),
        "times": times,
        "ids": ids,
        "quantities": columns.decimals(quantities),
        "recorded": columns.instants(recorded),
    }


def _columns_and_kinds(lines: Sequence[JournalLine]) -> dict[str, object]:
    return {
        **_columns(lines),
        "kinds": columns.integers([line.kind for line in lines]),
        "details": columns.optional([line.details for line in lines]),
    }


_INTO = """
    INSERT INTO journal (
        customer_id, location_id, item_id, occurred_at, line_id, kind, quantity, recorded_at, details)
"""
_ROWS = """
    string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
    string_to_array(CAST(:items AS text), chr(10)), CAST(:times AS timestamptz[]), CAST(:ids AS bytea[]),
    string_to_array(CAST(:quantities AS text), chr(10)), string_to_array(CAST(:recorded AS text), chr(10))
"""
_NAMES = "customer_id, location_id, item_id, occurred_at, line_id, quantity, recorded_at"
_RECORDED = "'epoch'::timestamptz + recorded_at::bigint * interval '1 microsecond'"
_INSERT_PLAIN_SALES = text(f"""
    {_INTO}
    SELECT customer_id, location_id, item_id, occurred_at, line_id, {Kind.SALE:d}, quantity::numeric, {_RECORDED}, NULL
    FROM unnest({_ROWS}) AS line ({_NAMES})
""")  # noqa: S608 - our own words
_INSERT = text(f"""
    {_INTO}
    SELECT customer_id, location_id, item_id, occurred_at, line_id, kind::smallint, quantity::numeric, {_RECORDED},
           details::jsonb
    FROM unnest(
        {_ROWS}, string_to_array(CAST(:kinds AS text), chr(10)), string_to_array(CAST(:details AS text), chr(10), '')
    ) AS line ({_NAMES}, kind, details)
""")  # noqa: S608 - our own words
_INSERT_NEW = text(f"""
    {_INSERT.text}
    ON CONFLICT (customer_id, location_id, item_id, occurred_at, line_id) DO NOTHING
    RETURNING customer_id, location_id, item_id, occurred_at, line_id
""")


def sales_of(line: JournalLine) -> Sales | None:
    """Return what a line about sales says beyond its quantity; None for a plain sale and for other lines."""
    if line.details is None or line.kind is not Kind.SALE:
        return None
    told = orjson.loads(line.details)
    start = told.get("period_start")
    return Sales(
        sold=Decimal(told.get("sold", 0)),
        returned=Decimal(told.get("returned", 0)),
        lost=Decimal(told.get("lost", 0)),
        period_start=None if start is None else datetime.fromisoformat(start),
    )


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
