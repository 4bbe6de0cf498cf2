"""Changes of agreements that one party asks for: open until the other one answers, or the agreement is made anew."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID, uuid5

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_contracts.inbound import AgreementMade
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass

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


async def ask(connection: AsyncConnection, requests: Sequence[tuple[AgreementMade, datetime]]) -> dict[UUID, Key]:
    """Note requests, each with its record's append time; return the new ones and those whose place they take (an open
    one of the same party gives way to a later one), with their keys."""
    if not requests:
        return {}
    said = {request_id(one, at): (one, at) for one, at in requests}
    values = {
        **_columns(list(said.values())),
        "requests": list(said),
        "parties": [one.made_by for one, _ in said.values()],
        "terms": [one.model_dump_json(exclude_defaults=True) for one, _ in said.values()],
    }
    noted = _keys(await connection.execute(_ASK, values))
    return noted | _keys(await connection.execute(_GIVE_WAY, values))


def _keys(rows: Iterable[Any]) -> dict[UUID, Key]:
    return {row.request_id: Key(row.customer_id, row.location_id, row.item_id) for row in rows}


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
_ASK = text("""
    INSERT INTO agreement_request (
        customer_id, request_id, location_id, item_id, supplier_id, effective_from, requested_by, recorded_at, terms)
    SELECT customer_id, request_id, location_id, item_id, supplier_id, effective_from, requested_by, recorded_at,
           terms::jsonb
    FROM unnest(
        CAST(:customers AS text[]), CAST(:requests AS uuid[]), CAST(:locations AS text[]), CAST(:items AS text[]),
        CAST(:suppliers AS text[]), CAST(:froms AS date[]), CAST(:parties AS text[]), CAST(:ats AS timestamptz[]),
        CAST(:terms AS text[])
    ) AS said (customer_id, request_id, location_id, item_id, supplier_id, effective_from, requested_by, recorded_at,
               terms)
    ON CONFLICT (customer_id, request_id) DO NOTHING
    RETURNING request_id, customer_id, location_id, item_id
""")
_GIVE_WAY = text(f"""
    UPDATE agreement_request AS gone SET status = 'superseded', answered_at = later.at, answered_by = requested_by
    FROM (
        SELECT request.customer_id, request.request_id, min(said.at) AS at
        FROM unnest(
            CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:suppliers AS text[]),
            CAST(:froms AS date[]), CAST(:ats AS timestamptz[]), CAST(:parties AS text[])
        ) AS said (customer_id, location_id, item_id, supplier_id, effective_from, at, party)
        JOIN agreement_request AS request
            ON {_OF_THEM} AND request.recorded_at < said.at AND request.requested_by = said.party
        GROUP BY request.customer_id, request.request_id
    ) AS later
    WHERE gone.customer_id = later.customer_id AND gone.request_id = later.request_id
    RETURNING gone.request_id, gone.customer_id, gone.location_id, gone.item_id
""")  # noqa: S608 - our own words


async def overtake(connection: AsyncConnection, made: Sequence[tuple[AgreementMade, datetime]]) -> dict[UUID, Key]:
    """Close what was asked for of agreements before they were made anew: that is the answer to it. Return which, with
    their keys."""
    if not made:
        return {}
    latest = {one.identity: (one, at) for one, at in sorted(made, key=lambda pair: pair[1])}
    values = _columns([latest[identity] for identity in sorted(latest)])
    return _keys(await connection.execute(_OVERTAKE, values))


_OVERTAKE = text(f"""
    UPDATE agreement_request AS request SET status = 'superseded', answered_at = said.at
    FROM {_NAMED} WHERE {_OF_THEM} AND request.recorded_at <= said.at
    RETURNING request.request_id, request.customer_id, request.location_id, request.item_id
""")  # noqa: S608 - our own words


def _columns(said: Sequence[tuple[AgreementMade, datetime]]) -> dict[str, Any]:
    return {
        "customers": [one.customer_id for one, _ in said],
        "locations": [one.location_id for one, _ in said],
        "items": [one.item_id for one, _ in said],
        "suppliers": [one.supplier_id for one, _ in said],
        "froms": [one.effective_from for one, _ in said],
        "ats": [at for _, at in said],
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


async def open_of(connection: AsyncConnection, keys: Sequence[Key]) -> list[Request]:
    """Return what is asked for of these keys and not answered, the earliest first."""
    return [
        _request(row)
        for row in await connection.execute(
            _OPEN_OF,
            {
                "customers": [key.customer_id for key in keys],
                "locations": [key.location_id for key in keys],
                "items": [key.item_id for key in keys],
            },
        )
    ]


_OPEN_OF = text(f"""
    SELECT {_COLUMNS}
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN agreement_request USING (customer_id, location_id, item_id)
    WHERE status = 'open' ORDER BY recorded_at, request_id
""")  # noqa: S608 - our own words


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
