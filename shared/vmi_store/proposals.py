"""Proposals as they stand, their versions, and when keys are due. Callers hold the locks of the keys they touch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.position import Key
from vmi_domain.proposals import FINISHED, Answer, AnswerKind, Progress, Proposal, Status, progress_of
from vmi_domain.supply import Stage, SupplyLine


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it is issued: the proposal, one sentence, and the explanation it is recomputed from."""

    proposal: Proposal
    reason: str
    explanation: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Offer:
    """What one version of a proposal said."""

    proposal: Proposal
    """The proposal as it stands now."""
    version: int
    status: Status
    quantity: Decimal
    deliver_at: datetime


_COLUMNS = """
    customer_id, location_id, item_id, order_at, supplier_id, part, version, status, quantity, deliver_at, expires_at,
    issued_at, answer_id, answer_kind, answer_version, answer_at, answer_offered, answer_quantity, answer_deliver_at,
    answer_party, answer_reason
"""


async def live(
    connection: AsyncConnection, opportunities: Sequence[tuple[Key, datetime | None]]
) -> dict[Key, list[Proposal]]:
    """Return for each key the proposals that are not finished, and all of the opportunity that is given with it."""
    result = await connection.execute(
        _LIVE,
        {
            "customers": [key.customer_id for key, _ in opportunities],
            "locations": [key.location_id for key, _ in opportunities],
            "items": [key.item_id for key, _ in opportunities],
            "order_ats": [order_at for _, order_at in opportunities],
        },
    )
    found: dict[Key, list[Proposal]] = {}
    for row in result:
        proposal = _proposal(row)
        found.setdefault(proposal.key, []).append(proposal)
    return found


_LIVE = text(f"""
    SELECT found.* FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]),
        CAST(:order_ats AS timestamptz[])
    ) AS wanted (customer_id, location_id, item_id, order_at)
    CROSS JOIN LATERAL (
        SELECT {_COLUMNS} FROM proposal
        WHERE proposal.customer_id = wanted.customer_id AND proposal.location_id = wanted.location_id
          AND proposal.item_id = wanted.item_id AND NOT finished
        UNION ALL
        SELECT {_COLUMNS} FROM proposal
        WHERE proposal.customer_id = wanted.customer_id AND proposal.location_id = wanted.location_id
          AND proposal.item_id = wanted.item_id AND proposal.order_at = wanted.order_at AND finished
    ) AS found
""")  # noqa: S608 - the names of our own columns


async def goods(connection: AsyncConnection, proposals: Iterable[Proposal]) -> dict[UUID, Progress]:
    """Return how far the goods of these proposals are, where any document named them."""
    wanted = sorted((proposal.key, proposal.proposal_id) for proposal in proposals)
    if not wanted:
        return {}
    result = await connection.execute(
        _GOODS, {**_columns_of_keys([key for key, _ in wanted]), "ids": [proposal for _, proposal in wanted]}
    )
    return progress_of(
        SupplyLine(Stage(row.stage), row.quantity, proposal_id=row.proposal_id, order_id=row.order_id) for row in result
    )


_GOODS = text("""
    SELECT line.proposal_id, line.stage, max(line.order_id) AS order_id, sum(line.quantity) AS quantity
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:ids AS uuid[])
    ) AS wanted (customer_id, location_id, item_id, proposal_id)
    JOIN supply_line AS line USING (customer_id, location_id, item_id, proposal_id)
    GROUP BY line.proposal_id, line.stage, line.order_id IS NULL
""")


async def keys_of(connection: AsyncConnection, proposals: Sequence[tuple[str, UUID]]) -> dict[tuple[str, UUID], Key]:
    """Return the key of each proposal that is known, by customer and proposal id. It never changes."""
    result = await connection.execute(
        _KEYS_OF,
        {"customers": [customer for customer, _ in proposals], "ids": [proposal for _, proposal in proposals]},
    )
    return {(row.customer_id, row.proposal_id): Key(row.customer_id, row.location_id, row.item_id) for row in result}


_KEYS_OF = text("""
    SELECT customer_id, proposal_id, location_id, item_id
    FROM proposal JOIN unnest(CAST(:customers AS text[]), CAST(:ids AS uuid[])) AS wanted (customer_id, proposal_id)
        USING (customer_id, proposal_id)
""")


async def offers(
    connection: AsyncConnection, versions: Sequence[tuple[str, UUID, int]]
) -> dict[tuple[str, UUID, int], Offer]:
    """Return what the versions said that are known, by customer, proposal id and version."""
    result = await connection.execute(
        _OFFERS,
        {
            "customers": [customer for customer, _, _ in versions],
            "ids": [proposal for _, proposal, _ in versions],
            "versions": [version for _, _, version in versions],
        },
    )
    return {
        (row.customer_id, row.proposal_id, row.said_version): Offer(
            _proposal(row), row.said_version, Status(row.said_status), row.said_quantity, row.said_deliver_at
        )
        for row in result
    }


_OFFERS = text("""
    SELECT proposal.*, said.version AS said_version, said.status AS said_status, said.quantity AS said_quantity,
           said.deliver_at AS said_deliver_at
    FROM unnest(CAST(:customers AS text[]), CAST(:ids AS uuid[]), CAST(:versions AS int[]))
        AS wanted (customer_id, proposal_id, version)
    JOIN proposal_version AS said USING (customer_id, proposal_id, version)
    JOIN proposal ON proposal.customer_id = said.customer_id AND proposal.proposal_id = said.proposal_id
""")


async def explanations(
    connection: AsyncConnection, versions: Sequence[tuple[str, UUID, int]]
) -> dict[tuple[str, UUID, int], dict[str, Any]]:
    """Return the explanations of versions, by customer, proposal id and version."""
    if not versions:
        return {}
    result = await connection.execute(
        _EXPLANATIONS,
        {
            "customers": [customer for customer, _, _ in versions],
            "ids": [proposal for _, proposal, _ in versions],
            "versions": [version for _, _, version in versions],
        },
    )
    return {(row.customer_id, row.proposal_id, row.version): orjson.loads(row.explanation) for row in result}


_EXPLANATIONS = text("""
    SELECT customer_id, proposal_id, version, explanation::text AS explanation
    FROM proposal_version
    JOIN unnest(CAST(:customers AS text[]), CAST(:ids AS uuid[]), CAST(:versions AS int[]))
        AS wanted (customer_id, proposal_id, version) USING (customer_id, proposal_id, version)
""")


async def save(connection: AsyncConnection, versions: Sequence[Version]) -> None:
    """Write new versions and what the proposals now are. No proposal stands twice in ``versions``."""
    if not versions:
        return
    ordered = sorted(versions, key=lambda one: (one.proposal.key, one.proposal.order_at, one.proposal.part))
    await keep(connection, [version.proposal for version in ordered])
    await connection.execute(
        _SAVE_VERSIONS,
        _columns_of_proposals([version.proposal for version in ordered])
        | {
            "reasons": [version.reason for version in ordered],
            "explanations": [orjson.dumps(version.explanation).decode() for version in ordered],
        },
    )


async def keep(connection: AsyncConnection, proposals: Sequence[Proposal]) -> None:
    """Write what the proposals now are, without a new version."""
    if not proposals:
        return
    answers = [proposal.answer for proposal in proposals]
    await connection.execute(
        _SAVE_PROPOSALS,
        _columns_of_proposals(proposals)
        | {
            "locations": [proposal.key.location_id for proposal in proposals],
            "items": [proposal.key.item_id for proposal in proposals],
            "order_ats": [proposal.order_at for proposal in proposals],
            "suppliers": [proposal.supplier_id for proposal in proposals],
            "parts": [proposal.part for proposal in proposals],
            "finished": [proposal.status in FINISHED for proposal in proposals],
            "answer_ids": [answer and answer.answer_id for answer in answers],
            "answer_kinds": [answer and answer.kind.value for answer in answers],
            "answer_versions": [answer and answer.version for answer in answers],
            "answer_ats": [answer and answer.answered_at for answer in answers],
            "answer_offereds": [answer and answer.offered for answer in answers],
            "answer_quantities": [answer and answer.quantity for answer in answers],
            "answer_deliver_ats": [answer and answer.deliver_at for answer in answers],
            "answer_parties": [answer and answer.party for answer in answers],
            "answer_reasons": [answer and answer.reason for answer in answers],
        },
    )


def _columns_of_proposals(proposals: Sequence[Proposal]) -> dict[str, list[Any]]:
    return {
        "customers": [proposal.key.customer_id for proposal in proposals],
        "ids": [proposal.proposal_id for proposal in proposals],
        "versions": [proposal.version for proposal in proposals],
        "statuses": [proposal.status.value for proposal in proposals],
        "quantities": [proposal.quantity for proposal in proposals],
        "deliver_ats": [proposal.deliver_at for proposal in proposals],
        "expires_ats": [proposal.expires_at for proposal in proposals],
        "issued_ats": [proposal.issued_at for proposal in proposals],
    }


_SAVE_PROPOSALS = text("""
    INSERT INTO proposal (
        customer_id, location_id, item_id, order_at, supplier_id, part, proposal_id, version, status, quantity,
        deliver_at, expires_at, issued_at, finished, answer_id, answer_kind, answer_version, answer_at, answer_offered,
        answer_quantity, answer_deliver_at, answer_party, answer_reason
    )
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]),
        CAST(:order_ats AS timestamptz[]), CAST(:suppliers AS text[]), CAST(:parts AS smallint[]),
        CAST(:ids AS uuid[]), CAST(:versions AS int[]), CAST(:statuses AS text[]), CAST(:quantities AS numeric[]),
        CAST(:deliver_ats AS timestamptz[]), CAST(:expires_ats AS timestamptz[]), CAST(:issued_ats AS timestamptz[]),
        CAST(:finished AS boolean[]), CAST(:answer_ids AS uuid[]), CAST(:answer_kinds AS text[]),
        CAST(:answer_versions AS int[]), CAST(:answer_ats AS timestamptz[]), CAST(:answer_offereds AS numeric[]),
        CAST(:answer_quantities AS numeric[]), CAST(:answer_deliver_ats AS timestamptz[]),
        CAST(:answer_parties AS text[]), CAST(:answer_reasons AS text[])
    )
    ON CONFLICT (customer_id, location_id, item_id, order_at, supplier_id, part) DO UPDATE SET
        version = excluded.version, status = excluded.status, quantity = excluded.quantity,
        deliver_at = excluded.deliver_at, expires_at = excluded.expires_at, issued_at = excluded.issued_at,
        finished = excluded.finished, answer_id = excluded.answer_id, answer_kind = excluded.answer_kind,
        answer_version = excluded.answer_version, answer_at = excluded.answer_at,
        answer_offered = excluded.answer_offered, answer_quantity = excluded.answer_quantity,
        answer_deliver_at = excluded.answer_deliver_at, answer_party = excluded.answer_party,
        answer_reason = excluded.answer_reason
""")

_SAVE_VERSIONS = text("""
    INSERT INTO proposal_version (
        customer_id, proposal_id, version, status, quantity, deliver_at, expires_at, issued_at, reason, explanation
    )
    SELECT customer_id, proposal_id, version, status, quantity, deliver_at, expires_at, issued_at, reason,
           explanation::jsonb
    FROM unnest(
        CAST(:customers AS text[]), CAST(:ids AS uuid[]), CAST(:versions AS int[]), CAST(:statuses AS text[]),
        CAST(:quantities AS numeric[]), CAST(:deliver_ats AS timestamptz[]), CAST(:expires_ats AS timestamptz[]),
        CAST(:issued_ats AS timestamptz[]), CAST(:reasons AS text[]), CAST(:explanations AS text[])
    ) AS version (
        customer_id, proposal_id, version, status, quantity, deliver_at, expires_at, issued_at, reason, explanation
    )
""")


def _proposal(row: Row[Any]) -> Proposal:
    answer = None
    if row.answer_id is not None:
        answer = Answer(
            answer_id=row.answer_id,
            kind=AnswerKind(row.answer_kind),
            version=row.answer_version,
            answered_at=row.answer_at,
            offered=row.answer_offered,
            quantity=row.answer_quantity,
            deliver_at=row.answer_deliver_at,
            party=row.answer_party,
            reason=row.answer_reason,
        )
    return Proposal(
        key=Key(row.customer_id, row.location_id, row.item_id),
        supplier_id=row.supplier_id,
        order_at=row.order_at,
        part=row.part,
        version=row.version,
        status=Status(row.status),
        quantity=row.quantity,
        deliver_at=row.deliver_at,
        expires_at=row.expires_at,
        issued_at=row.issued_at,
        answer=answer,
    )


# When keys are to be looked at again


async def due(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, datetime]:
    """Return when each key is due, where that is known."""
    result = await connection.execute(_DUE, _columns_of_keys(keys))
    return {Key(row.customer_id, row.location_id, row.item_id): row.due_at for row in result}


_DUE = text("""
    SELECT customer_id, location_id, item_id, due_at FROM replenishment_due
    JOIN unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id) USING (customer_id, location_id, item_id)
""")


async def set_due(connection: AsyncConnection, due_at: Mapping[Key, datetime]) -> None:
    """Note when keys are to be looked at again."""
    if not due_at:
        return
    keys = sorted(due_at)
    await connection.execute(_SET_DUE, _columns_of_keys(keys) | {"due_ats": [due_at[key] for key in keys]})


_SET_DUE = text("""
    INSERT INTO replenishment_due (customer_id, location_id, item_id, due_at)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:due_ats AS timestamptz[])
    )
    ON CONFLICT (customer_id, location_id, item_id) DO UPDATE SET due_at = excluded.due_at
""")


async def clear_due(connection: AsyncConnection, keys: Sequence[Key]) -> None:
    """Note that keys need not be looked at again until something happens."""
    if keys:
        await connection.execute(_CLEAR_DUE, _columns_of_keys(sorted(keys)))


_CLEAR_DUE = text("""
    DELETE FROM replenishment_due USING unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[])
    ) AS done (customer_id, location_id, item_id)
    WHERE replenishment_due.customer_id = done.customer_id AND replenishment_due.location_id = done.location_id
      AND replenishment_due.item_id = done.item_id
""")


async def due_before(connection: AsyncConnection, now: datetime, *, at_most: int) -> list[Key]:
    """Return keys that were due before ``now``, the longest waiting first."""
    result = await connection.execute(_DUE_BEFORE, {"now": now, "at_most": at_most})
    return [Key(row.customer_id, row.location_id, row.item_id) for row in result]


_DUE_BEFORE = text("""
    SELECT customer_id, location_id, item_id FROM replenishment_due
    WHERE due_at < :now ORDER BY due_at LIMIT :at_most
""")


async def due_at_locations(connection: AsyncConnection, locations: Mapping[tuple[str, str], datetime]) -> list[Key]:
    """Return the keys of each location that were due before the moment given with it."""
    result = await connection.execute(
        _DUE_AT_LOCATIONS,
        {
            "customers": [customer for customer, _ in locations],
            "locations": [location for _, location in locations],
            "nows": list(locations.values()),
        },
    )
    return [Key(row.customer_id, row.location_id, row.item_id) for row in result]


_DUE_AT_LOCATIONS = text("""
    SELECT customer_id, location_id, item_id
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:nows AS timestamptz[]))
        AS reached (customer_id, location_id, now)
    JOIN replenishment_due USING (customer_id, location_id)
    WHERE due_at < now
""")


def _columns_of_keys(keys: Sequence[Key]) -> dict[str, list[str]]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }
