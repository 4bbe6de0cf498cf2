"""Agreements: what is in force for a customer location and item on a day."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_contracts.inbound import AgreementMade, DemandStream, SnapshotCutOff
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_store import columns
from vmi_store.catalogue import ItemKey, LocationKey


async def make(connection: AsyncConnection, agreements: Sequence[tuple[AgreementMade, datetime]]) -> list[Key]:
    """Write the latest word on each agreement (each with its record's append time); return the keys that changed."""
    latest = {one.identity: (one, at) for one, at in sorted(agreements, key=lambda pair: pair[1])}
    if not latest:
        return []
    ordered = [latest[key] for key in sorted(latest)]
    result = await connection.execute(
        _MAKE,
        {
            "customers": [one.customer_id for one, _ in ordered],
            "locations": [one.location_id for one, _ in ordered],
            "items": [one.item_id for one, _ in ordered],
            "suppliers": [one.supplier_id for one, _ in ordered],
            "froms": [one.effective_from for one, _ in ordered],
            "tos": [one.effective_to for one, _ in ordered],
            "authorities": [one.stock_authority.value for one, _ in ordered],
            "terms": [one.model_dump_json(exclude_defaults=True) for one, _ in ordered],
            "recorded_ats": [at for _, at in ordered],
        },
    )
    return sorted({Key(row.customer_id, row.location_id, row.item_id) for row in result})


_MAKE = text("""
    WITH changed AS (INSERT INTO agreement (
        customer_id, location_id, item_id, supplier_id, effective_from, effective_to, stock_authority, terms,
        recorded_at)
    SELECT customer_id, location_id, item_id, supplier_id, effective_from, effective_to, stock_authority, terms::jsonb,
           recorded_at
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:suppliers AS text[]),
        CAST(:froms AS date[]), CAST(:tos AS date[]), CAST(:authorities AS text[]), CAST(:terms AS text[]),
        CAST(:recorded_ats AS timestamptz[])
    ) AS made (customer_id, location_id, item_id, supplier_id, effective_from, effective_to, stock_authority, terms,
               recorded_at)
    ON CONFLICT (customer_id, location_id, item_id, supplier_id, effective_from) DO UPDATE
        SET effective_to = excluded.effective_to, stock_authority = excluded.stock_authority, terms = excluded.terms,
            recorded_at = excluded.recorded_at
        WHERE excluded.recorded_at >= agreement.recorded_at AND excluded.terms IS DISTINCT FROM agreement.terms
    RETURNING customer_id, location_id, item_id, supplier_id, effective_from, terms, recorded_at
    ), told AS (
        INSERT INTO agreement_word (
            customer_id, location_id, item_id, supplier_id, effective_from, recorded_at, terms)
        SELECT customer_id, location_id, item_id, supplier_id, effective_from, recorded_at, terms FROM changed
        ON CONFLICT (customer_id, location_id, item_id, supplier_id, effective_from, recorded_at)
            DO UPDATE SET terms = excluded.terms
    )
    SELECT customer_id, location_id, item_id FROM changed
""")


async def in_force(
    connection: AsyncConnection, on: Sequence[tuple[Key, date]]
) -> Mapping[Key, Sequence[AgreementMade]]:
    """Return what is agreed for each key on its day, one agreement a supplier, suppliers in their order.

    Of one supplier's agreements the one that took effect last holds. A key without an agreement is left out.
    """
    days = dict(on)
    keys = sorted(days)
    result = await connection.execute(
        _IN_FORCE,
        {
            "customers": [key.customer_id for key in keys],
            "locations": [key.location_id for key in keys],
            "items": [key.item_id for key in keys],
            "days": [days[key] for key in keys],
        },
    )
    found: dict[Key, list[AgreementMade]] = {}
    for row in result:
        agreement = AgreementMade.model_validate_json(row.terms)
        found.setdefault(Key(agreement.customer_id, agreement.location_id, agreement.item_id), []).append(agreement)
    return found


async def wordings(
    connection: AsyncConnection, on: Sequence[tuple[Key, date]]
) -> list[tuple[Sequence[AgreementMade], Sequence[int]]]:
    """Return what is in force, as ``in_force`` does, but each wording once, and the places of the keys that go by it.

    Of the key itself a wording says nothing: it stands as its first key has it. Keys without an agreement are left out.
    """
    if not on:
        return []
    asked = {**columns.of_keys([key for key, _ in on]), "days": [day for _, day in on]}
    return _worded([key for key, _ in on], (await connection.execute(_WORDINGS, asked)).all())


def _worded(keys: Sequence[Key], rows: Sequence[Any]) -> list[tuple[Sequence[AgreementMade], Sequence[int]]]:
    found: list[tuple[Sequence[AgreementMade], Sequence[int]]] = []
    for wording, places in rows:
        key = keys[places[0] - 1]
        named = {"location_id": key.location_id, "item_id": key.item_id}
        terms = [orjson.dumps(orjson.loads(one) | named) for one in wording.split("\n")]
        found.append(([AgreementMade.model_validate_json(one) for one in terms], [place - 1 for place in places]))
    return found


# JSON writes a line's end as an escape.
_WORDINGS = text(f"""
    SELECT latest.wording, array_agg(wanted.place) AS places
    FROM unnest({columns.KEYS}, CAST(:days AS date[]))
        WITH ORDINALITY AS wanted (customer_id, location_id, item_id, day, place)
    CROSS JOIN LATERAL (
        SELECT string_agg(terms, chr(10) ORDER BY supplier_id) AS wording FROM (
            SELECT DISTINCT ON (supplier_id) supplier_id,
                   CAST(terms - ARRAY['location_id', 'item_id'] AS text) AS terms
            FROM agreement
            WHERE agreement.customer_id = wanted.customer_id AND agreement.location_id = wanted.location_id
              AND agreement.item_id = wanted.item_id AND agreement.effective_from <= wanted.day
              AND (agreement.effective_to IS NULL OR agreement.effective_to >= wanted.day)
            ORDER BY supplier_id, effective_from DESC
        ) AS of_supplier
    ) AS latest
    WHERE latest.wording IS NOT NULL
    GROUP BY latest.wording
""")  # noqa: S608 - our own words


async def of_keys(connection: AsyncConnection, keys: Sequence[Key]) -> Mapping[Key, Sequence[AgreementMade]]:
    """Return all that is agreed for each key, whenever it is in force.

    Suppliers stand in their order, and of one supplier's agreements the one that took effect last comes first: of those
    that are in force on a day it holds.
    """
    result = await connection.execute(
        _OF_KEYS,
        {
            "customers": [key.customer_id for key in keys],
            "locations": [key.location_id for key in keys],
            "items": [key.item_id for key in keys],
        },
    )
    found: dict[Key, list[AgreementMade]] = {}
    for row in result:
        agreement = AgreementMade.model_validate_json(row.terms)
        found.setdefault(Key(agreement.customer_id, agreement.location_id, agreement.item_id), []).append(agreement)
    return found


_OF_KEYS = text("""
    SELECT agreement.terms::text AS terms
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN agreement USING (customer_id, location_id, item_id)
    ORDER BY agreement.customer_id, agreement.location_id, agreement.item_id, agreement.supplier_id,
             agreement.effective_from DESC
""")


async def wordings_of_keys(
    connection: AsyncConnection, keys: Sequence[Key]
) -> list[tuple[Sequence[AgreementMade], Sequence[int]]]:
    """Return all that is agreed for keys, whenever it is in force: each wording once, and the places of its keys.

    In the order of ``of_keys``. Of the key itself a wording says nothing, as in ``wordings``.
    """
    if not keys:
        return []
    return _worded(keys, (await connection.execute(_WORDINGS_OF_KEYS, columns.of_keys(keys))).all())


_WORDINGS_OF_KEYS = text(f"""
    SELECT told.wording, array_agg(wanted.place) AS places
    FROM unnest({columns.KEYS}) WITH ORDINALITY AS wanted (customer_id, location_id, item_id, place)
    CROSS JOIN LATERAL (
        SELECT string_agg(
                   CAST(terms - ARRAY['location_id', 'item_id'] AS text), chr(10)
                   ORDER BY supplier_id, effective_from DESC
               ) AS wording
        FROM agreement
        WHERE agreement.customer_id = wanted.customer_id AND agreement.location_id = wanted.location_id
          AND agreement.item_id = wanted.item_id
    ) AS told
    WHERE told.wording IS NOT NULL
    GROUP BY told.wording
""")  # noqa: S608 - our own words

_IN_FORCE = text("""
    SELECT DISTINCT ON (agreement.customer_id, agreement.location_id, agreement.item_id, agreement.supplier_id)
           agreement.terms::text AS terms
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:days AS date[]))
        AS wanted (customer_id, location_id, item_id, day)
    JOIN agreement USING (customer_id, location_id, item_id)
    WHERE agreement.effective_from <= wanted.day
      AND (agreement.effective_to IS NULL OR agreement.effective_to >= wanted.day)
    ORDER BY agreement.customer_id, agreement.location_id, agreement.item_id, agreement.supplier_id,
             agreement.effective_from DESC
""")


async def locations(connection: AsyncConnection, keys: Sequence[LocationKey]) -> set[LocationKey]:
    """Return the locations among these that an agreement names, at whatever time it is in force."""
    result = await connection.execute(_NAMED_LOCATIONS, _pairs(keys))
    return {(row.customer_id, row.name) for row in result}


async def items(connection: AsyncConnection, keys: Sequence[ItemKey]) -> set[ItemKey]:
    """Return the (customer, item) among these that an agreement names, at whatever time it is in force."""
    result = await connection.execute(_NAMED_ITEMS, _pairs(keys))
    return {(row.customer_id, row.name) for row in result}


_WANTED = "unnest(CAST(:customers AS text[]), CAST(:names AS text[])) AS wanted (customer_id, name)"
_NAMED_LOCATIONS = text(f"""
    SELECT customer_id, name FROM {_WANTED}
    WHERE EXISTS (
        SELECT FROM agreement
        WHERE agreement.customer_id = wanted.customer_id AND agreement.location_id = wanted.name)
""")  # noqa: S608 - our own words
_NAMED_ITEMS = text(f"""
    SELECT customer_id, name FROM {_WANTED}
    WHERE EXISTS (
        SELECT FROM agreement
        WHERE agreement.customer_id = wanted.customer_id AND agreement.item_id = wanted.name)
""")  # noqa: S608 - our own words


async def keys_of(
    connection: AsyncConnection, *, locations: Sequence[LocationKey] = (), items: Sequence[ItemKey] = ()
) -> list[Key]:
    """Return the agreed keys at these locations and of these (customer, item)."""
    at = await connection.execute(_KEYS_AT, _pairs(locations))
    of = await connection.execute(_KEYS_OF, _pairs(items))
    return sorted({Key(*row) for row in at} | {Key(*row) for row in of})


_KEYS_AT = text(f"""
    SELECT DISTINCT agreement.customer_id, agreement.location_id, agreement.item_id
    FROM {_WANTED} JOIN agreement
        ON agreement.customer_id = wanted.customer_id AND agreement.location_id = wanted.name
""")  # noqa: S608 - our own words
_KEYS_OF = text(f"""
    SELECT DISTINCT agreement.customer_id, agreement.location_id, agreement.item_id
    FROM {_WANTED} JOIN agreement
        ON agreement.customer_id = wanted.customer_id AND agreement.item_id = wanted.name
""")  # noqa: S608 - our own words


async def aimed_by_class(connection: AsyncConnection, keys: Sequence[Key]) -> list[Key]:
    """Return those of the keys of which an agreement, on whatever day, chooses the service target by value class."""
    if not keys:
        return []
    result = await connection.execute(
        _AIMED_BY_CLASS,
        {
            "customers": [key.customer_id for key in keys],
            "locations": [key.location_id for key in keys],
            "items": [key.item_id for key in keys],
        },
    )
    return sorted(Key(*row) for row in result)


_AIMED_BY_CLASS = text("""
    SELECT DISTINCT customer_id, location_id, item_id
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN agreement USING (customer_id, location_id, item_id)
    WHERE agreement.terms ? 'service_target_by_class'
""")


async def sharing_trucks(connection: AsyncConnection, orders: Sequence[tuple[str, str, str]]) -> list[Key]:
    """Return the keys whose agreements, on whatever day, fill trucks of these (customer, location, supplier)."""
    result = await connection.execute(
        _SHARING_TRUCKS,
        {
            "customers": [customer for customer, _, _ in orders],
            "locations": [location for _, location, _ in orders],
            "suppliers": [supplier for _, _, supplier in orders],
        },
    )
    return sorted(Key(*row) for row in result)


_SHARING_TRUCKS = text("""
    SELECT DISTINCT agreement.customer_id, agreement.location_id, agreement.item_id
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:suppliers AS text[]))
        AS wanted (customer_id, location_id, supplier_id)
    JOIN agreement USING (customer_id, location_id, supplier_id)
    WHERE agreement.terms ->> 'load_building' = 'trucks'
""")


def _pairs(keys: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    distinct = sorted(set(keys))
    return {"customers": [customer for customer, _ in distinct], "names": [name for _, name in distinct]}


class Reading(NamedTuple):
    """How an agreement has facts read where that is not the default, from one day to another."""

    location_id: str
    item_id: str
    effective_from: date
    effective_to: date | None
    demand_stream: DemandStream
    snapshot_cut_off: SnapshotCutOff


async def readings(connection: AsyncConnection, customers: Sequence[str]) -> Mapping[str, list[Reading]]:
    """Return how these customers' facts are to be read: of each key that has an agreement which departs from the
    default, all its agreements, the one that holds before the others (of suppliers the first, then the latest)."""
    found: dict[str, list[Reading]] = {customer: [] for customer in customers}
    for row in await connection.execute(_READINGS, {"customers": sorted(customers)}):
        found[row.customer_id].append(
            Reading(
                row.location_id,
                row.item_id,
                row.effective_from,
                row.effective_to,
                DemandStream(row.demand_stream or DemandStream.SELL_THROUGH),
                SnapshotCutOff(row.snapshot_cut_off or SnapshotCutOff.END_OF_DAY),
            )
        )
    return found


# Defaults are not written down, so that what departs from them is found by its name (and by a small index).
_READINGS = text("""
    SELECT agreement.customer_id, agreement.location_id, agreement.item_id, agreement.effective_from,
           agreement.effective_to, agreement.terms ->> 'demand_stream' AS demand_stream,
           agreement.terms ->> 'snapshot_cut_off' AS snapshot_cut_off
    FROM (
        SELECT DISTINCT customer_id, location_id, item_id FROM agreement
        WHERE customer_id = ANY (CAST(:customers AS text[]))
          AND terms ?| ARRAY['demand_stream', 'snapshot_cut_off']
    ) AS special
    JOIN agreement USING (customer_id, location_id, item_id)
    ORDER BY agreement.customer_id, agreement.location_id, agreement.item_id, agreement.supplier_id,
             agreement.effective_from DESC
""")


@dataclass(frozen=True, slots=True)
class Word:
    """What was said of an agreement, and when we learned it."""

    agreement: AgreementMade
    recorded_at: datetime


async def standing(connection: AsyncConnection, *, customer_id: str | None = None) -> list[AgreementMade]:
    """Return every agreement as it stands, of all effective dates, in the order of their keys."""
    result = await connection.execute(_STANDING, {"customer": customer_id})
    return [AgreementMade.model_validate_json(row.terms) for row in result]


_STANDING = text("""
    SELECT terms::text AS terms FROM agreement
    WHERE CAST(:customer AS text) IS NULL OR customer_id = :customer
    ORDER BY customer_id, location_id, item_id, supplier_id, effective_from
""")


async def words(connection: AsyncConnection, key: Key) -> list[Word]:
    """Return all that was ever said of a key's agreements, the earliest first. Nothing of it is ever removed."""
    result = await connection.execute(
        _WORDS, {"customer": key.customer_id, "location": key.location_id, "item": key.item_id}
    )
    return [Word(AgreementMade.model_validate_json(row.terms), row.recorded_at) for row in result]


_WORDS = text("""
    SELECT terms::text AS terms, recorded_at FROM agreement_word
    WHERE customer_id = :customer AND location_id = :location AND item_id = :item
    ORDER BY recorded_at, supplier_id, effective_from
""")
