"""The journal: every accepted fact, one row a document line, never changed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.daily import Sales
from vmi_domain.stock.position import ABSOLUTE, ADDING, NOTHING, Key, Kind
from vmi_store import columns

DOCUMENT_BYTES: Final = 12


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

    @property
    def document(self) -> bytes:
        """What the lines of one document have in common: the begin of its inbox key."""
        return self.line_id[:DOCUMENT_BYTES]

    @property
    def is_reversal(self) -> bool:
        """Whether it takes another line back: the one whose id differs in the reversal bit alone."""
        return bool(self.line_id[_REVERSAL_BYTE] & _REVERSAL_BIT)

    @property
    def undone_id(self) -> bytes:
        """Of a reversal, the id of the line that it takes back."""
        undone = bytearray(self.line_id)
        undone[_REVERSAL_BYTE] &= ~_REVERSAL_BIT & 0xFF
        return bytes(undone)


_REVERSAL_BYTE: Final = 12
_REVERSAL_BIT: Final = 0x80
"""The highest bit of a line's number, which no document is long enough to need."""


def reversal(line: JournalLine, recorded_at: datetime) -> JournalLine:
    """Return the line that takes another one back: of the same time, and recorded when we learned of it (S8).

    What moved stock or was sold is taken back by its opposite, so that sums over lines need not know of corrections.
    What set the stock, or was about supply, is voided: who reads such lines leaves out those that have a void.
    """
    reversed_id = bytearray(line.line_id)
    reversed_id[_REVERSAL_BYTE] |= _REVERSAL_BIT
    opposite = line._replace(line_id=bytes(reversed_id), recorded_at=recorded_at)
    if line.kind not in ADDING:
        return opposite._replace(kind=Kind.VOID, quantity=NOTHING, details=None)
    details = None if line.details is None else orjson.dumps(_opposite(orjson.loads(line.details))).decode()
    return opposite._replace(quantity=-line.quantity, details=details)


_QUANTITIES: Final = ("sold", "returned", "lost", "unavailable")
"""Those among the details of lines that move stock."""


def _opposite(details: dict[str, Any]) -> dict[str, Any]:
    return {name: str(-Decimal(value)) if name in _QUANTITIES else value for name, value in details.items()}


def standing(lines: Iterable[JournalLine]) -> list[JournalLine]:
    """Return those of some keys' lines that nothing among them has taken back; reversals are none of them."""
    known = list(lines)
    gone = {(*line[:4], line.undone_id) for line in known if line.is_reversal}
    return [line for line in known if not line.is_reversal and line[:5] not in gone]


STANDS: Final = """NOT EXISTS (
    SELECT FROM journal AS void
    WHERE void.customer_id = line.customer_id AND void.location_id = line.location_id AND void.item_id = line.item_id
      AND void.occurred_at = line.occurred_at AND void.line_id = set_byte(line.line_id, 12, 128)
    OFFSET 0)"""
"""In SQL: whether nothing has taken the journal's row ``line`` back. What moves stock needs no such question.

The offset keeps the planner from making a join of it: it would read all of a key's lines to ask it of the last one.
"""


def line_id(message_key: bytes, number: int) -> bytes:
    """Return the identity of a document's line: the begin of the document's inbox key, then the line's place."""
    return message_key[:DOCUMENT_BYTES] + number.to_bytes(4, "big")


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
        _quantity(told, "sold"),
        _quantity(told, "returned"),
        _quantity(told, "lost"),
        _quantity(told, "unavailable"),
        None if start is None else datetime.fromisoformat(start),
    )


def _quantity(told: Mapping[str, str], name: str) -> Decimal:
    return Decimal(told[name]) if name in told else NOTHING


def held_back_by(line: JournalLine) -> Decimal:
    """Return what became unavailable by a line, or (negative) usable again."""
    if line.details is None or line.kind not in (Kind.ADJUSTMENT, Kind.SALE):
        return NOTHING
    return Decimal(orjson.loads(line.details).get("unavailable", 0))


def set_apart_by(count: JournalLine) -> Decimal:
    """Return what a count or report says is unavailable or reserved."""
    if count.details is None:
        return NOTHING
    told = orjson.loads(count.details)
    return Decimal(told.get("unavailable", 0)) + Decimal(told.get("reserved", 0))


def statuses_of(line: JournalLine) -> dict[str, Decimal]:
    """Return what a line says of stock by the status that keeps it from being sold: a count, or a change of it."""
    if line.details is None or line.kind not in (Kind.ADJUSTMENT, *ABSOLUTE):
        return {}
    told = orjson.loads(line.details)
    if line.kind is Kind.ADJUSTMENT:
        return {told["status"]: held_back_by(line)} if "status" in told else {}
    return {name: Decimal(quantity) for name, quantity in told.get("statuses", {}).items()}


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
    # As ``line_of``, for very many rows: by place, and a key looked up once.
    of_key: list[JournalLine] = []
    last: tuple[str, ...] = ()
    for customer, location, item, at, line_id_, kind, quantity, recorded_at, details in result:
        if (customer, location, item) != last:
            last = (customer, location, item)
            of_key = found[Key(customer, location, item)]
        of_key.append(JournalLine(customer, location, item, at, line_id_, _KINDS[kind], quantity, recorded_at, details))
    return found


_KINDS: Final = {kind.value: kind for kind in Kind}


async def latest(connection: AsyncConnection, key: Key, *, at_most: int) -> list[JournalLine]:
    """Return the last lines of a key, the latest first."""
    values = {"customer": key.customer_id, "location": key.location_id, "item": key.item_id, "at_most": at_most}
    return [line_of(row) for row in await connection.execute(_LATEST, values)]


_COLUMNS = """
    customer_id, location_id, item_id, occurred_at, line_id, kind, quantity, recorded_at, details::text AS details
"""
_LATEST = text(f"""
    SELECT {_COLUMNS} FROM journal
    WHERE customer_id = :customer AND location_id = :location AND item_id = :item
    ORDER BY occurred_at DESC, line_id DESC LIMIT :at_most
""")  # noqa: S608 - our own words
_OF_KEYS = text(f"""
    SELECT {_COLUMNS}
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN journal USING (customer_id, location_id, item_id)
    ORDER BY customer_id, location_id, item_id, occurred_at, line_id
""")  # noqa: S608 - our own words


async def of_documents(connection: AsyncConnection, documents: Sequence[tuple[str, bytes]]) -> list[JournalLine]:
    """Return the lines of documents, given by customer and inbox key, as far as they have come; reversals aside.

    The inbox says where and when they are; what stands at other locations too (a transfer's arrival) is found by what
    they say.
    """
    result = await connection.execute(
        _OF_DOCUMENTS,
        {"customers": [customer for customer, _ in documents], "keys": [key for _, key in documents]},
    )
    found = [line_of(row) for row in result]
    elsewhere = [line._replace(location_id=there) for line in found if (there := _arrives_at(line)) is not None]
    return found + (await _of_identities(connection, elsewhere) if elsewhere else [])


def _arrives_at(line: JournalLine) -> str | None:
    if line.kind is not Kind.TRANSFER or line.details is None:
        return None
    there: str | None = orjson.loads(line.details).get("to")
    return there


# A day named alone begins and ends within a day of its days in UTC.
_OF_DOCUMENTS = text(f"""
    WITH document AS MATERIALIZED (
        SELECT inbox.customer_id, inbox.location_id, substring(inbox.message_key FOR 12) AS of_it,
               coalesce(occurred_at, (occurred_on - 1)::timestamp AT TIME ZONE 'UTC') AS first,
               coalesce(occurred_at, (occurred_on + 3)::timestamp AT TIME ZONE 'UTC') AS last
        FROM unnest(CAST(:customers AS text[]), CAST(:keys AS bytea[])) AS wanted (customer_id, message_key)
        JOIN inbox USING (customer_id, message_key)
        WHERE inbox.location_id IS NOT NULL
    )
    SELECT line.* FROM document
    JOIN position USING (customer_id, location_id)
    CROSS JOIN LATERAL (
        SELECT {_COLUMNS} FROM journal
        WHERE journal.customer_id = document.customer_id AND journal.location_id = document.location_id
          AND journal.item_id = position.item_id
          AND journal.occurred_at BETWEEN document.first AND document.last
          AND substring(journal.line_id FOR 12) = document.of_it AND get_byte(journal.line_id, 12) < 128
    ) AS line
""")  # noqa: S608 - our own words


async def _of_identities(connection: AsyncConnection, lines: Sequence[JournalLine]) -> list[JournalLine]:
    customers, locations, items, times, ids, *_ = zip(*lines, strict=True)
    result = await connection.execute(
        _OF_IDENTITIES,
        {"customers": customers, "locations": locations, "items": items, "times": times, "ids": ids},
    )
    return [line_of(row) for row in result]


_OF_IDENTITIES = text(f"""
    SELECT {_COLUMNS}
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:times AS timestamptz[]),
        CAST(:ids AS bytea[])) AS wanted (customer_id, location_id, item_id, occurred_at, line_id)
    JOIN journal USING (customer_id, location_id, item_id, occurred_at, line_id)
""")  # noqa: S608 - our own words


def line_of(row: Row[tuple[object, ...]]) -> JournalLine:
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
