"""Changes of agreements that one party asks for: open until the other one answers, or the agreement is made anew."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_contracts.inbound import AgreementMade

NAMESPACE: Final = UUID("6d0a3d0e-6c34-5a5e-8a3b-2f3f5f0f7a11")

Status = Literal["open", "accepted", "rejected", "superseded"]


@dataclass(frozen=True, slots=True)
class Request:
    """A change that is asked for, and what became of it."""

    request_id: UUID
    agreement: AgreementMade
    """As it would be."""
    recorded_at: datetime
    status: Status
    answered_at: datetime | None
    answered_by: str | None
    reason: str


def request_id(agreement: AgreementMade, recorded_at: datetime) -> UUID:
    """Return a request's name, the same however often its record is delivered."""
    return uuid5(NAMESPACE, f"{agreement.key}|{recorded_at.isoformat()}")


async def ask(connection: AsyncConnection, requests: Sequence[tuple[AgreementMade, datetime]]) -> None:
    """Note requests, each with its record's append time. A later one of the same party takes an open one's place."""
    for agreement, at in requests:
        named = {**_names([(agreement, at)]), "by": agreement.made_by}
        await connection.execute(_REPLACE, named)
        said = {
            **{name: getattr(agreement, name) for name in ("customer_id", "location_id", "item_id", "supplier_id")},
            "effective_from": agreement.effective_from,
            "request_id": request_id(agreement, at),
            "requested_by": agreement.made_by,
            "recorded_at": at,
            "terms": agreement.model_dump_json(exclude_defaults=True),
        }
        await connection.execute(_ASK, said)


_NAMED = """
    unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:suppliers AS text[]),
           CAST(:froms AS date[]), CAST(:ats AS timestamptz[]))
        AS said (customer_id, location_id, item_id, supplier_id, effective_from, at)
"""
_OF_THEM = """
    request.status = 'open' AND request.customer_id = said.customer_id AND request.location_id = said.location_id
    AND request.item_id = said.item_id AND request.supplier_id = said.supplier_id
    AND request.effective_from = said.effective_from
"""
_REPLACE = text(f"""
    UPDATE agreement_request AS request SET status = 'superseded', answered_at = said.at, answered_by = :by
    FROM {_NAMED} WHERE {_OF_THEM} AND request.recorded_at < said.at AND request.requested_by = :by
""")  # noqa: S608 - our own words
_ASK = text("""
    INSERT INTO agreement_request (
        customer_id, request_id, location_id, item_id, supplier_id, effective_from, requested_by, recorded_at, terms)
    VALUES (:customer_id, :request_id, :location_id, :item_id, :supplier_id, :effective_from, :requested_by,
            :recorded_at, CAST(:terms AS jsonb))
    ON CONFLICT (customer_id, request_id) DO NOTHING
""")


async def overtake(connection: AsyncConnection, made: Sequence[tuple[AgreementMade, datetime]]) -> None:
    """Close what was asked for of agreements before they were made anew: that is the answer to it."""
    if made:
        await connection.execute(_OVERTAKE, _names(made))


_OVERTAKE = text(f"""
    UPDATE agreement_request AS request SET status = 'superseded', answered_at = said.at
    FROM {_NAMED} WHERE {_OF_THEM} AND request.recorded_at <= said.at
""")  # noqa: S608 - our own words


def _names(said: Sequence[tuple[AgreementMade, datetime]]) -> dict[str, Any]:
    latest = {one.identity: (one, at) for one, at in sorted(said, key=lambda pair: pair[1])}
    some = [latest[identity] for identity in sorted(latest)]
    return {
        "customers": [one.customer_id for one, _ in some],
        "locations": [one.location_id for one, _ in some],
        "items": [one.item_id for one, _ in some],
        "suppliers": [one.supplier_id for one, _ in some],
        "froms": [one.effective_from for one, _ in some],
        "ats": [at for _, at in some],
    }


async def held(connection: AsyncConnection, customer_id: str, name: UUID) -> Request | None:
    """Return a request, and keep others from answering it until the commit."""
    row = (await connection.execute(_HELD, {"customer": customer_id, "request": name})).one_or_none()
    return None if row is None else _request(row)


_COLUMNS = "request_id, terms::text AS terms, recorded_at, status, answered_at, answered_by, reason"
_HELD = text(f"""
    SELECT {_COLUMNS} FROM agreement_request WHERE customer_id = :customer AND request_id = :request FOR UPDATE
""")  # noqa: S608 - our own words


async def answer(
    connection: AsyncConnection, request: Request, status: Status, *, at: datetime, by: str | None, reason: str
) -> None:
    """Write what was answered."""
    said = {"status": status, "at": at, "by": by, "reason": reason}
    await connection.execute(
        _ANSWER, {**said, "customer": request.agreement.customer_id, "request": request.request_id}
    )


_ANSWER = text("""
    UPDATE agreement_request SET status = :status, answered_at = :at, answered_by = :by, reason = :reason
    WHERE customer_id = :customer AND request_id = :request
""")


async def read(connection: AsyncConnection, *, customer_id: str | None = None, open_only: bool = True) -> list[Request]:
    """Return requests, the earliest first."""
    rows = await connection.execute(_READ, {"customer": customer_id, "open_only": open_only})
    return [_request(row) for row in rows]


_READ = text(f"""
    SELECT {_COLUMNS} FROM agreement_request
    WHERE (CAST(:customer AS text) IS NULL OR customer_id = :customer) AND (status = 'open' OR NOT :open_only)
    ORDER BY recorded_at, customer_id, request_id
""")  # noqa: S608 - our own words


def _request(row: Any) -> Request:
    return Request(
        row.request_id,
        AgreementMade.model_validate_json(row.terms),
        row.recorded_at,
        row.status,
        row.answered_at,
        row.answered_by,
        row.reason,
    )
