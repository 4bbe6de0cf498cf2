"""Proposals as they stand, their versions, and when keys are due.

Who writes them has the turn of replenishing at their locations (``vmi_store.turns``).
"""

from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.forecasting.plans import PlanKind
from vmi_domain.replenishment.proposals import (
    BOUND,
    FINISHED,
    MAY_CHANGE,
    Answer,
    AnswerKind,
    HeldBecause,
    Progress,
    Proposal,
    Status,
    progress_of,
)
from vmi_domain.stock.position import Key
from vmi_domain.stock.supply import UNDER_WAY, Stage, SupplyLine
from vmi_domain.values import dataclass
from vmi_store import columns, positions
from vmi_store.positions import PositionRow


@dataclass(frozen=True, slots=True)
class Version:
    """A version as it is issued: the proposal, one sentence, and the explanation it is recomputed from."""

    proposal: Proposal
    reason: str
    explanation: bytes
    """As JSON."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What one version of a proposal said."""

    proposal: Proposal
    """The proposal as it stands now."""
    version: int
    status: Status
    quantity: Decimal
    deliver_at: datetime
    requested: Decimal | None = None
    countered_by: str = ""

    @property
    def is_open_to_answers(self) -> bool:
        """Whether it offered something, or asked for a change of what is bound."""
        return self.status is Status.PROPOSED or self.requested is not None


@dataclass(slots=True)
class Standing:
    """How a key stands, all of it at one instant."""

    position: PositionRow | None = None
    """None where no position was ever made."""
    due_at: datetime | None = None
    """When it is to be looked at again, as noted last."""
    live: Sequence[Proposal] = ()
    """The proposals that are not finished, and all of the opportunity that was asked for."""
    goods: Mapping[UUID, Progress] = field(default_factory=dict)
    """How far the goods of those are that are not finished, where any document named them."""
    coming: Sequence[SupplyLine] = ()
    """What is ordered or shipped."""
    is_planned: bool = False
    """Whether people said something of its demand to come that stands, of the kinds and days that were asked for."""
    is_wished: bool = False
    """Whether the customer ever wanted a quantity of its own sent."""
    is_claiming: bool = False
    """Whether it claims some of a supplier's stated supply."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is asked for of all that people said of demand."""

    since: date
    """Nothing that ended before."""
    kinds: frozenset[PlanKind]


async def standing(
    connection: AsyncConnection, keys: Sequence[Key], order_ats: Sequence[datetime | None], said: Said
) -> list[Standing]:
    """Return how each key stands, with the proposals of the opportunity that is given with it.

    In one statement, so that goods that a document names count in the position and with their proposal, or in neither.
    """
    found = [Standing() for _ in keys]
    result = await connection.execute(
        _STANDING,
        {
            **columns.of_keys(keys),
            "order_ats": columns.repeated(order_ats),
            "since": said.since,
            "kinds": sorted(said.kinds),
        },
    )
    for place, due_at, is_planned, is_wished, is_claiming, *values in result.all():
        key, one = keys[place - 1], found[place - 1]
        told = _supply_lines(values[_LINES_AT:_PROPOSAL_AT]) if values[_LINES_AT] else ()
        if one.position is None:  # the first of the key's rows
            one.due_at, one.is_planned, one.is_wished, one.is_claiming = due_at, is_planned, is_wished, is_claiming
            one.coming = [line for line in told if line.stage in UNDER_WAY]
            one.position = None if values[0] is None else positions.position(key, values)
        if values[_PROPOSAL_AT] is not None:
            proposal = _proposal(key, values[_PROPOSAL_AT:])
            one.live = [*one.live, proposal]
            if told and proposal.status not in FINISHED:
                named = proposal.proposal_id
                one.goods = {**one.goods, **progress_of([line for line in told if line.proposal_id == named])}
    return found


_COLUMNS = """
    proposal_id, order_at, supplier_id, part, version, status, quantity, deliver_at, expires_at, issued_at,
    held_because, needed, requested, review_because, answer_id, answer_kind, answer_version, answer_at, answer_offered,
    answer_quantity, answer_deliver_at, answer_party, answer_reason, answer_reason_code
"""
_STAGES: Final = {stage.value: stage for stage in Stage}
_LINE = ("stage", "quantity", "proposal_id", "order_id", "shipment_id", "expected_at", "since")
_LINES_AT: Final = len(positions.COLUMNS)
_PROPOSAL_AT: Final = _LINES_AT + len(_LINE)
"""Where the supply lines and the proposal begin, after the position."""
_HELD = ", ".join(f"position.{column}" for column in positions.COLUMNS)
_TOLD = ", ".join(f"told.{column}" for column in _LINE)
_FOUND = ", ".join(f"found.{column.strip()}" for column in _COLUMNS.split(","))


def _supply_lines(columns_of_lines: Sequence[Sequence[Any]]) -> list[SupplyLine]:
    stages, *others = columns_of_lines
    return list(map(SupplyLine, [_STAGES[stage] for stage in stages], *others))


def _of_the_key(table: str) -> str:
    names = ("customer_id", "location_id", "item_id")
    return " AND ".join(f"{table}.{name} = wanted.{name}" for name in names)


_STANDING = text(f"""
    SELECT wanted.place, due.due_at,
           EXISTS (
               SELECT FROM demand_plan_line AS said WHERE {_of_the_key("said")} AND said.stands
                 AND said.last_day >= :since AND said.kind = ANY (CAST(:kinds AS text[]))
           ),
           EXISTS (
               SELECT FROM replenishment_wish AS wish WHERE {_of_the_key("wish")} AND wish.quantity IS NOT NULL
           ),
           EXISTS (SELECT FROM supply_claim AS claim WHERE {_of_the_key("claim")}),
           {_HELD}, {_TOLD}, {_FOUND}
    FROM unnest(
        string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
        string_to_array(CAST(:items AS text), chr(10)), string_to_array(CAST(:order_ats AS text), chr(10), '')
    ) WITH ORDINALITY AS wanted (customer_id, location_id, item_id, opportunity, place)
    LEFT JOIN replenishment_due AS due USING (customer_id, location_id, item_id)
    LEFT JOIN position USING (customer_id, location_id, item_id)
    LEFT JOIN LATERAL (
        SELECT finished, {_COLUMNS} FROM proposal WHERE {_of_the_key("proposal")} AND NOT finished
        UNION ALL
        SELECT finished, {_COLUMNS} FROM proposal
        WHERE {_of_the_key("proposal")} AND proposal.order_at = wanted.opportunity::timestamptz AND finished
    ) AS found ON true
    LEFT JOIN LATERAL (
        SELECT {", ".join(f"array_agg(line.{column}) AS {column}" for column in _LINE)}
        FROM (
            SELECT {", ".join(_LINE)} FROM supply_line AS line
            WHERE {_of_the_key("line")}
              AND (line.stage IN ('ordered', 'shipped') OR line.proposal_id = found.proposal_id)
            ORDER BY place
        ) AS line
    ) AS told ON NOT found.finished OR position.on_order > 0 OR position.in_transit > 0
""")  # noqa: S608 - the names of our own columns


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
    found = {}
    for customer_id, location_id, item_id, version, status, *said in result:
        quantity, deliver_at, requested, countered_by, *values = said
        proposal = _proposal(Key(customer_id, location_id, item_id), values)
        offer = Offer(proposal, version, Status(status), quantity, deliver_at, requested, countered_by or "")
        found[customer_id, proposal.proposal_id, version] = offer
    return found


_OFFERS = text(f"""
    SELECT proposal.customer_id, location_id, item_id, said_version, said_status, said_quantity, said_deliver_at,
           said_requested, said_countered_by, {_COLUMNS}
    FROM unnest(CAST(:customers AS text[]), CAST(:ids AS uuid[]), CAST(:versions AS int[]))
        AS wanted (customer_id, wanted_id, wanted_version)
    JOIN (
        SELECT customer_id AS said_by, proposal_id AS said_id, version AS said_version, status AS said_status,
               quantity AS said_quantity, deliver_at AS said_deliver_at, requested AS said_requested,
               countered_by AS said_countered_by
        FROM proposal_version
    ) AS said ON said_by = wanted.customer_id AND said_id = wanted_id AND said_version = wanted_version
    JOIN proposal ON proposal.customer_id = wanted.customer_id AND proposal.proposal_id = wanted_id
""")  # noqa: S608 - the names of our own columns


async def last_bound(
    connection: AsyncConnection, proposals: Sequence[tuple[str, UUID]]
) -> dict[tuple[str, UUID], tuple[Decimal, datetime]]:
    """Return quantity (base units) and day of the last version of each proposal that was bound, if any ever was."""
    if not proposals:
        return {}
    result = await connection.execute(
        _LAST_BOUND,
        {
            "customers": [customer for customer, _ in proposals],
            "ids": [proposal for _, proposal in proposals],
            "bound": [status.value for status in BOUND],
        },
    )
    return {(row.customer_id, row.proposal_id): (row.quantity, row.deliver_at) for row in result}


_LAST_BOUND = text("""
    SELECT DISTINCT ON (customer_id, proposal_id) customer_id, proposal_id, quantity, deliver_at
    FROM proposal_version
    JOIN unnest(CAST(:customers AS text[]), CAST(:ids AS uuid[])) AS wanted (customer_id, proposal_id)
        USING (customer_id, proposal_id)
    WHERE status = ANY(CAST(:bound AS text[]))
    ORDER BY customer_id, proposal_id, version DESC
""")


async def named(connection: AsyncConnection, name: str, *, at_most: int = 10) -> list[Proposal]:
    """Return the proposals whose id begins so."""
    result = await connection.execute(_NAMED, {"name": f"{name.lower()}%", "at_most": at_most})
    return [_proposal(Key(row[0], row[1], row[2]), row[3:]) for row in result]


_NAMED = text(f"""
    SELECT customer_id, location_id, item_id, {_COLUMNS} FROM proposal
    WHERE proposal_id::text LIKE :name ORDER BY proposal_id LIMIT :at_most
""")  # noqa: S608 - the names of our own columns


async def waiting(
    connection: AsyncConnection,
    *,
    customer_id: str | None = None,
    location_id: str | None = None,
    status: Status | None = Status.PROPOSED,
    at_most: int = 50,
) -> list[Proposal]:
    """Return proposals in a status (None: in any that is not finished), the next order opportunity first."""
    values = {"customer": customer_id, "location": location_id, "status": status, "at_most": at_most}
    result = await connection.execute(_WAITING, values)
    return [_proposal(Key(row[0], row[1], row[2]), row[3:]) for row in result]


_WAITING = text(f"""
    SELECT customer_id, location_id, item_id, {_COLUMNS} FROM proposal
    WHERE NOT finished AND (CAST(:status AS text) IS NULL OR status = :status)
      AND (CAST(:customer AS text) IS NULL OR customer_id = :customer)
      AND (CAST(:location AS text) IS NULL OR location_id = :location)
    ORDER BY order_at, customer_id, location_id, item_id LIMIT :at_most
""")  # noqa: S608 - the names of our own columns


async def changeable(connection: AsyncConnection, keys: Sequence[Key]) -> set[Key]:
    """Return those of the keys that have a proposal without goods, of which less may be wanted."""
    values = {
        "customers": columns.texts([key.customer_id for key in keys]),
        "locations": columns.texts([key.location_id for key in keys]),
        "items": columns.texts([key.item_id for key in keys]),
        "statuses": sorted(MAY_CHANGE),
    }
    return {Key(*row) for row in await connection.execute(_CHANGEABLE, values)}


_CHANGEABLE = text("""
    SELECT DISTINCT customer_id, location_id, item_id
    FROM unnest(
        string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
        string_to_array(CAST(:items AS text), chr(10))
    ) AS wanted (customer_id, location_id, item_id)
    JOIN proposal USING (customer_id, location_id, item_id)
    WHERE NOT finished AND status = ANY (CAST(:statuses AS text[]))
""")


@dataclass(frozen=True, slots=True)
class Issued:
    """One version as it was issued."""

    version: int
    status: Status
    quantity: Decimal
    issued_at: datetime
    reason: str
    explanation: dict[str, Any]


async def versions(connection: AsyncConnection, proposal: Proposal) -> list[Issued]:
    """Return every version of a proposal, the first first."""
    result = await connection.execute(
        _VERSIONS, {"customer": proposal.key.customer_id, "proposal": proposal.proposal_id}
    )
    return [
        Issued(row.version, Status(row.status), row.quantity, row.issued_at, row.reason, orjson.loads(row.explanation))
        for row in result
    ]


_VERSIONS = text("""
    SELECT version, status, quantity, issued_at, reason, explanation::text AS explanation
    FROM proposal_version WHERE customer_id = :customer AND proposal_id = :proposal ORDER BY version
""")


async def explanations(
    connection: AsyncConnection, versions: Sequence[tuple[str, UUID, int]]
) -> dict[tuple[str, UUID, int], bytes]:
    """Return the explanations of versions as they were written (JSON), by customer, proposal id and version."""
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
    return {(customer, proposal, version): explanation.encode() for customer, proposal, version, explanation in result}


_EXPLANATIONS = text("""
    SELECT customer_id, proposal_id, version, explanation::text AS explanation
    FROM proposal_version
    JOIN unnest(CAST(:customers AS text[]), CAST(:ids AS uuid[]), CAST(:versions AS int[]))
        AS wanted (customer_id, proposal_id, version) USING (customer_id, proposal_id, version)
""")


async def given(
    connection: AsyncConnection, before: Mapping[Key, datetime], *, at_most: int
) -> dict[Key, dict[str, Decimal]]:
    """Return what each supplier of a key was asked for, at the latest opportunities before a moment; base units.

    What it refused counts as it was offered: its turn was had.
    """
    keys = sorted(before)
    rows = await connection.execute(
        _GIVEN,
        {
            "customers": [key.customer_id for key in keys],
            "locations": [key.location_id for key in keys],
            "items": [key.item_id for key in keys],
            "before": [before[key] for key in keys],
            "at_most": at_most,
        },
    )
    found: dict[Key, dict[str, Decimal]] = {}
    for row in rows:
        found.setdefault(Key(row.customer_id, row.location_id, row.item_id), {})[row.supplier_id] = row.quantity
    return found


_GIVEN = text("""
    SELECT wanted.customer_id, wanted.location_id, wanted.item_id, asked.supplier_id, sum(asked.quantity) AS quantity
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:before AS timestamptz[])
    ) AS wanted (customer_id, location_id, item_id, before)
    CROSS JOIN LATERAL (
        SELECT supplier_id, coalesce(nullif(quantity, 0), answer_offered, 0) AS quantity
        FROM proposal
        WHERE proposal.customer_id = wanted.customer_id AND proposal.location_id = wanted.location_id
          AND proposal.item_id = wanted.item_id AND proposal.order_at < wanted.before
          AND proposal.status NOT IN ('cancelled', 'superseded')
        ORDER BY proposal.order_at DESC LIMIT :at_most
    ) AS asked
    GROUP BY wanted.customer_id, wanted.location_id, wanted.item_id, asked.supplier_id
""")


async def save(connection: AsyncConnection, versions: Sequence[Version]) -> None:
    """Write new versions and what the proposals now are. No proposal stands twice in ``versions``."""
    if not versions:
        return
    ordered = sorted(versions, key=lambda one: (one.proposal.key, one.proposal.order_at, one.proposal.part))
    proposals = [version.proposal for version in ordered]
    named = _columns_of_versions(proposals)
    await _keep(connection, proposals, named)
    await _save_versions(connection, ordered, [proposal.countered_by for proposal in proposals], named)


async def restore(connection: AsyncConnection, told: Sequence[tuple[Version, str]]) -> list[Version]:
    """Write versions, each with who countered by it, that are missing, and let the highest of a proposal stand, with
    the last answer that any of them brings; return which were missing."""
    if not told:
        return []
    distinct = {(one.proposal.key.customer_id, one.proposal.proposal_id, one.proposal.version): one for one, _ in told}
    countered = {(one.proposal.proposal_id, one.proposal.version): by for one, by in told}
    names = sorted(distinct)
    values = {
        "customers": [customer for customer, _, _ in names],
        "ids": [proposal for _, proposal, _ in names],
        "versions": [version for _, _, version in names],
    }
    missing = [
        distinct[row.customer_id, row.proposal_id, row.version] for row in await connection.execute(_MISSING, values)
    ]
    standing = {
        (row.customer_id, row.proposal_id): row.version for row in await connection.execute(_VERSION_OF, values)
    }
    highest: dict[UUID, Proposal] = {}
    for proposal in (one.proposal for one in missing):  # they come with versions going up
        before = highest.get(proposal.proposal_id, proposal)
        highest[proposal.proposal_id] = replace(proposal, answer=proposal.answer or before.answer)
    await keep(
        connection,
        [one for one in highest.values() if one.version > standing.get((one.key.customer_id, one.proposal_id), 0)],
    )
    if missing:
        by = [countered[one.proposal.proposal_id, one.proposal.version] for one in missing]
        await _save_versions(connection, missing, by, _columns_of_versions([one.proposal for one in missing]))
    return missing


_NAMED_VERSIONS = """
    unnest(CAST(:customers AS text[]), CAST(:ids AS uuid[]), CAST(:versions AS int[]))
        AS wanted (customer_id, proposal_id, version)
"""
_MISSING = text(f"""
    SELECT customer_id, proposal_id, version FROM {_NAMED_VERSIONS}
    WHERE NOT EXISTS (
        SELECT FROM proposal_version AS known
        WHERE known.customer_id = wanted.customer_id AND known.proposal_id = wanted.proposal_id
          AND known.version = wanted.version)
    ORDER BY customer_id, proposal_id, version
""")  # noqa: S608 - our own words
_VERSION_OF = text(f"""
    SELECT DISTINCT customer_id, proposal_id, proposal.version
    FROM {_NAMED_VERSIONS} JOIN proposal USING (customer_id, proposal_id)
""")  # noqa: S608 - our own words


async def _save_versions(
    connection: AsyncConnection, versions: Sequence[Version], countered_by: Sequence[str], named: Mapping[str, Any]
) -> None:
    """Write versions, each with the party whose counter-proposal it is, and with what their proposals have too."""
    await connection.execute(
        _SAVE_VERSIONS,
        {
            **named,
            "reasons": [version.reason for version in versions],
            "explanations": columns.documents([version.explanation for version in versions]),
            "requested": columns.optional([version.proposal.requested for version in versions]),
            "countered": columns.texts(countered_by),
        },
    )


async def keep(connection: AsyncConnection, proposals: Sequence[Proposal]) -> None:
    """Write what the proposals now are, without a new version."""
    if proposals:
        await _keep(connection, proposals, _columns_of_versions(proposals))


async def _keep(connection: AsyncConnection, proposals: Sequence[Proposal], named: Mapping[str, Any]) -> None:
    await connection.execute(_KEEP, {**named, **_columns_of_proposals(proposals)})
    if answered := [proposal for proposal in proposals if proposal.answer is not None]:
        await connection.execute(_KEEP_ANSWERS, _columns_of_answers(answered))


def _columns_of_versions(proposals: Sequence[Proposal]) -> dict[str, Any]:
    return {
        "customers": columns.texts([proposal.key.customer_id for proposal in proposals]),
        "ids": [proposal.proposal_id for proposal in proposals],
        "versions": columns.integers([proposal.version for proposal in proposals]),
        "statuses": columns.texts([proposal.status.value for proposal in proposals]),
        "quantities": columns.decimals([proposal.quantity for proposal in proposals]),
        "deliver_ats": columns.instants([proposal.deliver_at for proposal in proposals]),
        "expires_ats": columns.instants([proposal.expires_at for proposal in proposals]),
        "issued_ats": columns.instants([proposal.issued_at for proposal in proposals]),
    }


def _columns_of_proposals(proposals: Sequence[Proposal]) -> dict[str, Any]:
    """Return what of the proposals their versions have not."""
    return {
        "locations": columns.texts([proposal.key.location_id for proposal in proposals]),
        "items": columns.texts([proposal.key.item_id for proposal in proposals]),
        "order_ats": columns.instants([proposal.order_at for proposal in proposals]),
        "suppliers": columns.texts([proposal.supplier_id for proposal in proposals]),
        "parts": columns.integers([proposal.part for proposal in proposals]),
        "needed": columns.decimals([proposal.needed for proposal in proposals]),
        "requested": columns.optional([proposal.requested for proposal in proposals]),
        "reviews": columns.texts([proposal.review_because for proposal in proposals]),
        "held": columns.texts([proposal.held_because or "" for proposal in proposals]),
        "finished": columns.texts(["yes" if proposal.status in FINISHED else "no" for proposal in proposals]),
    }


def _columns_of_answers(proposals: Sequence[Proposal]) -> dict[str, Any]:
    answers = [proposal.answer for proposal in proposals if proposal.answer is not None]
    return {
        "customers": columns.texts([proposal.key.customer_id for proposal in proposals]),
        "ids": [proposal.proposal_id for proposal in proposals],
        "answer_ids": [answer.answer_id for answer in answers],
        "kinds": columns.texts([answer.kind for answer in answers]),
        "versions": columns.integers([answer.version for answer in answers]),
        "ats": columns.instants([answer.answered_at for answer in answers]),
        "offered": columns.decimals([answer.offered for answer in answers]),
        "quantities": columns.decimals([answer.quantity for answer in answers]),
        "deliver_ats": columns.instants([answer.deliver_at for answer in answers]),
        "parties": columns.texts([answer.party for answer in answers]),
        "reasons": [answer.reason for answer in answers],
        "codes": columns.texts([answer.reason_code for answer in answers]),
    }


_EPOCH = "'epoch'::timestamptz + interval '1 microsecond' *"
_NAMES = "customer_id, proposal_id, version, status, quantity, deliver_at, expires_at, issued_at"
_TEXTS = """
    string_to_table(CAST(:customers AS text), chr(10)), unnest(CAST(:ids AS uuid[])),
    string_to_table(CAST(:versions AS text), chr(10)), string_to_table(CAST(:statuses AS text), chr(10)),
    string_to_table(CAST(:quantities AS text), chr(10)), string_to_table(CAST(:deliver_ats AS text), chr(10)),
    string_to_table(CAST(:expires_ats AS text), chr(10)), string_to_table(CAST(:issued_ats AS text), chr(10))
"""
_VALUES = f"""
    customer_id, proposal_id, version::int, status, quantity::numeric, {_EPOCH} deliver_at::bigint,
    {_EPOCH} expires_at::bigint, {_EPOCH} issued_at::bigint
"""

_KEEP = text(f"""
    INSERT INTO proposal ({_NAMES}, location_id, item_id, order_at, supplier_id, part, held_because, needed, requested,
                          review_because, finished)
    SELECT {_VALUES}, location_id, item_id, {_EPOCH} order_at::bigint, supplier_id, part::smallint,
           nullif(held_because, ''), needed::numeric, requested::numeric, coalesce(review_because, ''),
           finished::boolean
    FROM ROWS FROM (
        {_TEXTS}, string_to_table(CAST(:locations AS text), chr(10)), string_to_table(CAST(:items AS text), chr(10)),
        string_to_table(CAST(:order_ats AS text), chr(10)), string_to_table(CAST(:suppliers AS text), chr(10)),
        string_to_table(CAST(:parts AS text), chr(10)), string_to_table(CAST(:held AS text), chr(10)),
        string_to_table(CAST(:needed AS text), chr(10)), string_to_table(CAST(:requested AS text), chr(10), ''),
        string_to_table(CAST(:reviews AS text), chr(10)), string_to_table(CAST(:finished AS text), chr(10))
    ) AS kept ({_NAMES}, location_id, item_id, order_at, supplier_id, part, held_because, needed, requested,
               review_because, finished)
    ON CONFLICT (customer_id, location_id, item_id, order_at, supplier_id, part) DO UPDATE SET
        version = excluded.version, status = excluded.status, quantity = excluded.quantity,
        deliver_at = excluded.deliver_at, expires_at = excluded.expires_at, issued_at = excluded.issued_at,
        held_because = excluded.held_because, needed = excluded.needed, requested = excluded.requested,
        review_because = excluded.review_because, finished = excluded.finished
""")  # noqa: S608 - our own words

_KEEP_ANSWERS = text(f"""
    UPDATE proposal SET
        answer_id = given.answer_id, answer_kind = given.kind, answer_version = given.version::int,
        answer_at = {_EPOCH} given.at::bigint, answer_offered = given.offered::numeric,
        answer_quantity = given.quantity::numeric, answer_deliver_at = {_EPOCH} given.deliver_at::bigint,
        answer_party = given.party, answer_reason = given.reason, answer_reason_code = nullif(given.code, '')
    FROM unnest(
        string_to_array(CAST(:customers AS text), chr(10)), CAST(:ids AS uuid[]), CAST(:answer_ids AS uuid[]),
        string_to_array(CAST(:kinds AS text), chr(10)), string_to_array(CAST(:versions AS text), chr(10)),
        string_to_array(CAST(:ats AS text), chr(10)), string_to_array(CAST(:offered AS text), chr(10)),
        string_to_array(CAST(:quantities AS text), chr(10)), string_to_array(CAST(:deliver_ats AS text), chr(10)),
        string_to_array(CAST(:parties AS text), chr(10)), CAST(:reasons AS text[]),
        string_to_array(CAST(:codes AS text), chr(10))
    ) AS given (
        customer_id, proposal_id, answer_id, kind, version, at, offered, quantity, deliver_at, party, reason, code
    )
    WHERE proposal.customer_id = given.customer_id AND proposal.proposal_id = given.proposal_id
""")  # noqa: S608 - our own words

_SAVE_VERSIONS = text(f"""
    INSERT INTO proposal_version ({_NAMES}, reason, explanation, requested, countered_by)
    SELECT {_VALUES}, reason, explanation::json, requested::numeric, nullif(countered_by, '')
    FROM ROWS FROM (
        {_TEXTS}, unnest(CAST(:reasons AS text[])),
        string_to_table(convert_from(CAST(:explanations AS bytea), 'UTF8'), chr(10)),
        string_to_table(CAST(:requested AS text), chr(10), ''), string_to_table(CAST(:countered AS text), chr(10))
    ) AS issued ({_NAMES}, reason, explanation, requested, countered_by)
""")  # noqa: S608 - our own words


def _proposal(key: Key, values: Sequence[Any]) -> Proposal:
    """Return the proposal of these values, which stand in the order of ``_COLUMNS``."""
    proposal_id, order_at, supplier_id, part, version, status, quantity, *rest = values
    deliver_at, expires_at, issued_at, held_because, needed, requested, review_because, answer_id, *answered = rest
    answer = None
    if answer_id is not None:
        kind, answered_version, answered_at, offered, bound, bound_for, party, reason, code = answered
        answer = Answer(
            answer_id=answer_id,
            kind=_ANSWERS[kind],
            version=answered_version,
            answered_at=answered_at,
            offered=offered,
            quantity=bound,
            deliver_at=bound_for,
            party=party,
            reason=reason,
            reason_code=code or "",
        )
    return Proposal(
        proposal_id=proposal_id,
        key=key,
        supplier_id=supplier_id,
        order_at=order_at,
        part=part,
        version=version,
        status=_STATUSES[status],
        quantity=quantity,
        deliver_at=deliver_at,
        expires_at=expires_at,
        issued_at=issued_at,
        answer=answer,
        held_because=None if held_because is None else HeldBecause(held_because),
        needed=quantity if needed is None else needed,
        requested=requested,
        review_because=review_because,
    )


_ANSWERS: Final = {kind.value: kind for kind in AnswerKind}
_STATUSES: Final = {status.value: status for status in Status}
