"""Exceptions as they stand. Who writes one holds its row (``lock``); who opens one also holds the key it is about."""

from collections.abc import Collection, Sequence
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.exceptions.lifecycle import Active, Kind, Standing, Status, Subject
from vmi_store import columns

ItemAt = tuple[str, str, str]
"""Customer, location and item; an empty item is the location as a whole."""

_COLUMNS = """
    customer_id, location_id, item_id, kind, name, version, occurrence, status, seen_at, changed_at, due_at, opened_at,
    closed_at, sentence, details::text AS details, author, note, suppressed, suppressed_until
"""


async def active(
    connection: AsyncConnection, items: Sequence[ItemAt], kinds: Collection[Kind]
) -> dict[Subject, Active]:
    """Return which exceptions of these kinds and items are not closed, suppressed ones among them.

    Without words and figures, which few ask for: a worker looks at all of a batch.
    """
    if not items:
        return {}
    result = await connection.execute(_ACTIVE, _of_items(items, kinds))
    return {
        Subject(_KINDS[kind], customer, location, item, name): Active(_STATUSES[status], due_at, suppressed, until)
        for kind, customer, location, item, name, status, due_at, suppressed, until in result
    }


async def standing(connection: AsyncConnection, items: Sequence[ItemAt], kinds: Collection[Kind]) -> list[Standing]:
    """Return the same exceptions with all that is known of them."""
    if not items:
        return []
    return [_standing(row) for row in await connection.execute(_STANDING, _of_items(items, kinds))]


def _of_items(items: Sequence[ItemAt], kinds: Collection[Kind]) -> dict[str, object]:
    customers, locations, names = zip(*items, strict=True)
    return {
        "customers": columns.texts(customers),
        "locations": columns.texts(locations),
        "items": list(names),
        "kinds": [kind.value for kind in kinds],
    }


_KINDS: Final = {kind.value: kind for kind in Kind}
_STATUSES: Final = {status.value: status for status in Status}
_ACTIVE_OF_ITEMS = """
    FROM unnest(
        string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
        CAST(:items AS text[])
    ) AS wanted (customer_id, location_id, item_id)
    JOIN exception USING (customer_id, location_id, item_id)
    WHERE status <> 'closed' AND kind = ANY (CAST(:kinds AS text[]))
"""
_ACTIVE = text(f"""
    SELECT kind, customer_id, location_id, item_id, name, status, due_at, suppressed, suppressed_until
    {_ACTIVE_OF_ITEMS}
""")
_STANDING = text(f"SELECT {_COLUMNS} {_ACTIVE_OF_ITEMS}")


async def lock(connection: AsyncConnection, ids: Collection[tuple[str, UUID]]) -> dict[UUID, Standing]:
    """Hold the rows there are of these (customer, exception id), in their order, and return them as they stand."""
    if not ids:
        return {}
    ordered = sorted(set(ids))
    result = await connection.execute(
        _LOCK, {"customers": [customer for customer, _ in ordered], "ids": [one for _, one in ordered]}
    )
    return {standing.exception_id: standing for standing in map(_standing, result)}


_LOCK = text(f"""
    SELECT {_COLUMNS}
    FROM unnest(CAST(:customers AS text[]), CAST(:ids AS uuid[])) AS wanted (customer_id, exception_id)
    JOIN exception USING (customer_id, exception_id)
    ORDER BY customer_id, exception_id
    FOR NO KEY UPDATE OF exception
""")  # noqa: S608 - our own words


async def save(connection: AsyncConnection, standing: Sequence[Standing]) -> None:
    """Write exceptions as they stand now, none twice. The caller holds their rows."""
    if not standing:
        return
    rows = [_values(one) for one in sorted(standing, key=lambda one: (one.subject.customer_id, one.exception_id))]
    await connection.execute(_SAVE, {name: [row[name] for row in rows] for name in rows[0]})


def _values(one: Standing) -> dict[str, Any]:
    return {
        "customer_ids": one.subject.customer_id,
        "exception_ids": one.exception_id,
        "location_ids": one.subject.location_id,
        "item_ids": one.subject.item_id,
        "kinds": one.subject.kind.value,
        "names": one.subject.name,
        "versions": one.version,
        "occurrences": one.occurrence,
        "statuses": one.status.value,
        "seen_ats": one.seen_at,
        "changed_ats": one.changed_at,
        "due_ats": one.due_at,
        "opened_ats": one.opened_at,
        "closed_ats": one.closed_at,
        "sentences": one.sentence,
        "details": orjson.dumps(dict(one.details)).decode(),
        "authors": one.author,
        "notes": one.note,
        "suppressed": one.suppressed,
        "suppressed_untils": one.suppressed_until,
    }


_SAVE = text("""
    INSERT INTO exception (
        customer_id, exception_id, location_id, item_id, kind, name, version, occurrence, status, seen_at, changed_at,
        due_at, opened_at, closed_at, sentence, details, author, note, suppressed, suppressed_until)
    SELECT customer_id, exception_id, location_id, item_id, kind, name, version, occurrence, status, seen_at,
           changed_at, due_at, opened_at, closed_at, sentence, details::jsonb, author, note, suppressed,
           suppressed_until
    FROM unnest(
        CAST(:customer_ids AS text[]), CAST(:exception_ids AS uuid[]), CAST(:location_ids AS text[]),
        CAST(:item_ids AS text[]), CAST(:kinds AS text[]), CAST(:names AS text[]), CAST(:versions AS int[]),
        CAST(:occurrences AS int[]), CAST(:statuses AS text[]), CAST(:seen_ats AS timestamptz[]),
        CAST(:changed_ats AS timestamptz[]), CAST(:due_ats AS timestamptz[]), CAST(:opened_ats AS timestamptz[]),
        CAST(:closed_ats AS timestamptz[]), CAST(:sentences AS text[]), CAST(:details AS text[]),
        CAST(:authors AS text[]), CAST(:notes AS text[]), CAST(:suppressed AS boolean[]),
        CAST(:suppressed_untils AS timestamptz[])
    ) AS now_is (customer_id, exception_id, location_id, item_id, kind, name, version, occurrence, status, seen_at,
                 changed_at, due_at, opened_at, closed_at, sentence, details, author, note, suppressed,
                 suppressed_until)
    ON CONFLICT (customer_id, exception_id) DO UPDATE SET
        version = excluded.version, occurrence = excluded.occurrence, status = excluded.status,
        seen_at = excluded.seen_at, changed_at = excluded.changed_at, due_at = excluded.due_at,
        opened_at = excluded.opened_at, closed_at = excluded.closed_at, sentence = excluded.sentence,
        details = excluded.details, author = excluded.author, note = excluded.note,
        suppressed = excluded.suppressed, suppressed_until = excluded.suppressed_until
""")


async def listed(
    connection: AsyncConnection,
    *,
    statuses: Collection[Status],
    customer_id: str | None = None,
    location_id: str | None = None,
    kind: Kind | None = None,
    at_most: int = 100,
) -> list[Standing]:
    """Return exceptions in these statuses, the latest change first."""
    result = await connection.execute(
        _LISTED,
        {
            "statuses": [status.value for status in statuses],
            "customer_id": customer_id,
            "location_id": location_id,
            "kind": kind.value if kind else None,
            "at_most": at_most,
        },
    )
    return [_standing(row) for row in result]


_LISTED = text(f"""
    SELECT {_COLUMNS} FROM exception
    WHERE status = ANY (CAST(:statuses AS text[])) AND occurrence > 0
      AND (CAST(:customer_id AS text) IS NULL OR customer_id = :customer_id)
      AND (CAST(:location_id AS text) IS NULL OR location_id = :location_id)
      AND (CAST(:kind AS text) IS NULL OR kind = :kind)
    ORDER BY changed_at DESC, exception_id LIMIT :at_most
""")  # noqa: S608 - our own words


async def named(connection: AsyncConnection, prefix: str) -> list[Standing]:
    """Return the exceptions whose id begins so."""
    result = await connection.execute(_NAMED, {"prefix": prefix.lower()})
    return [_standing(row) for row in result]


_NAMED = text(f"""
    SELECT {_COLUMNS} FROM exception WHERE starts_with(exception_id::text, :prefix) ORDER BY exception_id LIMIT 20
""")  # noqa: S608 - our own words


async def counts(connection: AsyncConnection) -> dict[str, int]:
    """Return how many exceptions are open or acknowledged, by kind."""
    result = await connection.execute(_COUNTS)
    return {row.kind: row.active for row in result}


_COUNTS = text("""
    SELECT kind, count(*) AS active FROM exception
    WHERE status IN ('open', 'acknowledged') GROUP BY kind ORDER BY active DESC, kind
""")


def _standing(row: Row[tuple[Any, ...]]) -> Standing:
    return Standing(
        subject=Subject(_KINDS[row.kind], row.customer_id, row.location_id, row.item_id, row.name),
        version=row.version,
        occurrence=row.occurrence,
        status=_STATUSES[row.status],
        seen_at=row.seen_at,
        changed_at=row.changed_at,
        due_at=row.due_at,
        opened_at=row.opened_at,
        closed_at=row.closed_at,
        sentence=row.sentence,
        details=orjson.loads(row.details),
        author=row.author,
        note=row.note,
        suppressed=row.suppressed,
        suppressed_until=row.suppressed_until,
    )
