"""Agreements: what is in force for a customer location and item on a day."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_contracts.inbound import AgreementMade
from vmi_domain.position import Key
from vmi_store import catalogue


async def make(connection: AsyncConnection, agreements: Sequence[tuple[AgreementMade, datetime]]) -> None:
    """Write the latest word on each agreement; each comes with its record's append time."""
    latest = {one.key: (one, at) for one, at in sorted(agreements, key=lambda pair: pair[1])}
    if not latest:
        return
    ordered = [latest[key] for key in sorted(latest)]
    await connection.execute(
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
    await catalogue.touch(connection, [one.customer_id for one, _ in ordered])


_MAKE = text("""
    INSERT INTO agreement (
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
        WHERE excluded.recorded_at >= agreement.recorded_at
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
