"""What suppliers say they can send, and who needs of it. A statement's row is the lock of all who share in it."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_contracts.inbound import SupplyStated
from vmi_domain.replenishment.promising import Statement
from vmi_domain.replenishment.proposals import BOUND
from vmi_domain.replenishment.sharing import Claim, Rule
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass

ANYBODY = ""
"""The customer of a statement that is for whoever has an agreement."""


class Pool(NamedTuple):
    """A supply that some share in: of one supplier's item, for one customer or for anybody."""

    customer_id: str
    supplier_id: str
    item_id: str


@dataclass(frozen=True, slots=True)
class Stated:
    """What stands of a pool."""

    statement: Statement
    allocation: Rule


def as_made(statements: Iterable[tuple[SupplyStated, datetime]]) -> list[tuple[SupplyStated, datetime]]:
    """Return statements (each with its record's append time) in the order they were made: the last one stands."""
    return sorted(statements, key=lambda one: (one[0].stated_at, one[0].revision, one[1]))


async def state(connection: AsyncConnection, statements: Sequence[tuple[SupplyStated, datetime]]) -> list[Pool]:
    """Let each item's statement stand that was made last (each with its record's append time); return what changed."""
    latest = {}
    for said, at in as_made(statements):
        for line in said.lines:
            latest[Pool(said.customer_id or ANYBODY, said.supplier_id, line.item_id)] = (said, line, at)
    pools = sorted(latest)
    rows = [latest[pool] for pool in pools]
    result = await connection.execute(
        _STATE,
        {
            **_pools(pools),
            "times": [said.stated_at for said, _, _ in rows],
            "revisions": [said.revision for said, _, _ in rows],
            "available": [line.available_to_promise for _, line, _ in rows],
            "on_hand": [line.on_hand for _, line, _ in rows],
            "production": [
                orjson.dumps([[one.ready_on.isoformat(), str(one.quantity)] for one in line.production]).decode()
                for _, line, _ in rows
            ],
            "valid": [said.valid_until for said, _, _ in rows],
            "allocations": [said.allocation for said, _, _ in rows],
            "recorded": [at for _, _, at in rows],
        },
    )
    return sorted(Pool(*row) for row in result)


_STATE = text("""
    INSERT INTO supply_statement AS statement (
        customer_id, supplier_id, item_id, stated_at, revision, available, on_hand, production, valid_until, allocation,
        recorded_at)
    SELECT customer_id, supplier_id, item_id, stated_at, revision, available, on_hand, production::jsonb, valid_until,
           allocation, recorded_at
    FROM unnest(
        CAST(:customers AS text[]), CAST(:suppliers AS text[]), CAST(:items AS text[]), CAST(:times AS timestamptz[]),
        CAST(:revisions AS int[]), CAST(:available AS numeric[]), CAST(:on_hand AS numeric[]),
        CAST(:production AS text[]), CAST(:valid AS timestamptz[]), CAST(:allocations AS text[]),
        CAST(:recorded AS timestamptz[])
    ) AS said (customer_id, supplier_id, item_id, stated_at, revision, available, on_hand, production, valid_until,
               allocation, recorded_at)
    ON CONFLICT (customer_id, supplier_id, item_id) DO UPDATE
        SET stated_at = excluded.stated_at, revision = excluded.revision, available = excluded.available,
            on_hand = excluded.on_hand, production = excluded.production, valid_until = excluded.valid_until,
            allocation = excluded.allocation, recorded_at = excluded.recorded_at
        WHERE (excluded.stated_at, excluded.revision) >= (statement.stated_at, statement.revision)
          AND (excluded.stated_at, excluded.available, excluded.on_hand, excluded.production, excluded.valid_until,
               excluded.allocation)
              IS DISTINCT FROM (statement.stated_at, statement.available, statement.on_hand, statement.production,
                                statement.valid_until, statement.allocation)
    RETURNING customer_id, supplier_id, item_id
""")


async def limited_by(connection: AsyncConnection, pools: Sequence[Pool]) -> list[Key]:
    """Return the keys that have an agreement, on whatever day, which is limited by these pools."""
    if not pools:
        return []
    result = await connection.execute(_LIMITED_BY, _pools(pools))
    return sorted(Key(*row) for row in result)


_POOLS = "unnest(CAST(:customers AS text[]), CAST(:suppliers AS text[]), CAST(:items AS text[]))"
_LIMITED_BY = text(f"""
    SELECT DISTINCT agreement.customer_id, agreement.location_id, agreement.item_id
    FROM {_POOLS} AS pool (customer_id, supplier_id, item_id)
    JOIN agreement USING (supplier_id, item_id)
    WHERE agreement.terms ? 'supply_limit' AND pool.customer_id IN ('', agreement.customer_id)
""")  # noqa: S608 - our own words


async def hold(connection: AsyncConnection, wanted: Sequence[Pool]) -> Mapping[Pool, Stated]:
    """Return what stands of these pools, and keep others who share in them waiting until the commit.

    In sorted order, and what else is read of a pool is to be read in a later statement.
    """
    if not wanted:
        return {}
    result = await connection.execute(_HOLD, _pools(sorted(set(wanted))))
    return _stated(result)


def _stated(result: Iterable[Any]) -> dict[Pool, Stated]:
    return {
        Pool(row.customer_id, row.supplier_id, row.item_id): Stated(
            Statement(
                row.stated_at,
                row.available,
                row.on_hand,
                tuple((date.fromisoformat(day), Decimal(quantity)) for day, quantity in orjson.loads(row.production)),
                row.valid_until,
            ),
            Rule(row.allocation),
        )
        for row in result
    }


async def stated(connection: AsyncConnection, *, supplier_id: str | None = None) -> Mapping[Pool, Stated]:
    """Return what stands of all suppliers, or of one, in order."""
    return _stated(await connection.execute(_STATED, {"supplier": supplier_id}))


_STATED = text("""
    SELECT customer_id, supplier_id, item_id, stated_at, available, on_hand, production::text AS production,
           valid_until, allocation
    FROM supply_statement
    WHERE CAST(:supplier AS text) IS NULL OR supplier_id = :supplier
    ORDER BY supplier_id, item_id, customer_id
""")


_HOLD = text(f"""
    SELECT statement.customer_id, statement.supplier_id, statement.item_id, stated_at, available, on_hand,
           production::text AS production, valid_until, allocation
    FROM {_POOLS} AS pool (customer_id, supplier_id, item_id)
    JOIN supply_statement AS statement USING (customer_id, supplier_id, item_id)
    ORDER BY statement.customer_id, statement.supplier_id, statement.item_id
    FOR NO KEY UPDATE OF statement
""")  # noqa: S608 - our own words


@dataclass(frozen=True, slots=True)
class Claimed:
    """What a key needs of a pool."""

    pool: Pool
    claim: Claim[Key]
    order_day: date
    """Of the opportunity it is for."""
    reserved: Decimal
    """Offered for earlier opportunities and not answered yet."""
    share: Decimal = Decimal(0)
    """What it was given of it."""
    accepted: Decimal = Decimal(0)
    """Accepted in this transaction; not kept, since from then on it is among what is ``committed``."""


async def claims(connection: AsyncConnection, pools: Sequence[Pool]) -> list[Claimed]:
    """Return who needs of these pools, as it was when each was reviewed last."""
    result = await connection.execute(_CLAIMS, _pools(pools))
    return [
        Claimed(
            Pool(row.pool, row.supplier_id, row.item_id),
            Claim(
                Key(row.customer_id, row.location_id, row.item_id),
                row.need,
                target=row.target,
                position=row.position,
                quota=row.quota,
                priority=row.priority,
                pack=row.pack,
            ),
            row.order_day,
            row.reserved,
            row.share,
        )
        for row in result
    ]


_CLAIMS = text(f"""
    SELECT claim.* FROM {_POOLS} AS wanted (pool, supplier_id, item_id)
    JOIN supply_claim AS claim USING (pool, supplier_id, item_id)
""")  # noqa: S608 - our own words


async def claim(connection: AsyncConnection, claimed: Sequence[Claimed]) -> None:
    """Write what keys need. The caller holds the pools."""
    names = [one.claim.name for one in claimed]
    await connection.execute(
        _CLAIM,
        {
            "customers": [name.customer_id for name in names],
            "locations": [name.location_id for name in names],
            "items": [name.item_id for name in names],
            "suppliers": [one.pool.supplier_id for one in claimed],
            "pools": [one.pool.customer_id for one in claimed],
            "needs": [one.claim.need for one in claimed],
            "days": [one.order_day for one in claimed],
            "reserved": [one.reserved for one in claimed],
            "targets": [one.claim.target for one in claimed],
            "positions": [one.claim.position for one in claimed],
            "quotas": [one.claim.quota for one in claimed],
            "priorities": [one.claim.priority for one in claimed],
            "packs": [one.claim.pack for one in claimed],
            "shares": [one.share for one in claimed],
        },
    )


_CLAIM = text("""
    INSERT INTO supply_claim (
        customer_id, location_id, item_id, supplier_id, pool, order_day, need, reserved, target, position, quota,
        priority, pack, share)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:suppliers AS text[]),
        CAST(:pools AS text[]), CAST(:days AS date[]), CAST(:needs AS numeric[]), CAST(:reserved AS numeric[]),
        CAST(:targets AS numeric[]), CAST(:positions AS numeric[]), CAST(:quotas AS numeric[]),
        CAST(:priorities AS int[]), CAST(:packs AS numeric[]), CAST(:shares AS numeric[]))
    ON CONFLICT (customer_id, location_id, item_id, supplier_id) DO UPDATE SET
        pool = excluded.pool, order_day = excluded.order_day, need = excluded.need,
        reserved = excluded.reserved, target = excluded.target, position = excluded.position, quota = excluded.quota,
        priority = excluded.priority, pack = excluded.pack, share = excluded.share
""")


async def forget(connection: AsyncConnection, keys: Sequence[Key], *, kept: Sequence[tuple[Key, str]]) -> None:
    """Forget what keys needed, but for what they need of the suppliers ``kept`` with them."""
    if keys:
        await connection.execute(
            _FORGET,
            {
                "customers": [key.customer_id for key in keys],
                "locations": [key.location_id for key in keys],
                "items": [key.item_id for key in keys],
                "kept_customers": [key.customer_id for key, _ in kept],
                "kept_locations": [key.location_id for key, _ in kept],
                "kept_items": [key.item_id for key, _ in kept],
                "kept_suppliers": [supplier for _, supplier in kept],
            },
        )


_FORGET = text("""
    DELETE FROM supply_claim USING unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[])
    ) AS done (customer_id, location_id, item_id)
    WHERE supply_claim.customer_id = done.customer_id AND supply_claim.location_id = done.location_id
      AND supply_claim.item_id = done.item_id
      AND NOT EXISTS (
        SELECT FROM unnest(
            CAST(:kept_customers AS text[]), CAST(:kept_locations AS text[]), CAST(:kept_items AS text[]),
            CAST(:kept_suppliers AS text[])
        ) AS kept (customer_id, location_id, item_id, supplier_id)
        WHERE kept.customer_id = supply_claim.customer_id AND kept.location_id = supply_claim.location_id
          AND kept.item_id = supply_claim.item_id AND kept.supplier_id = supply_claim.supplier_id)
""")


async def committed(connection: AsyncConnection, pools: Mapping[Pool, datetime]) -> dict[Pool, Decimal]:
    """Return what was bound of each pool after the moment given with it: by who claims of it."""
    ordered = sorted(pools)
    result = await connection.execute(
        _COMMITTED,
        {**_pools(ordered), "times": [pools[pool] for pool in ordered], "bound": sorted(one.value for one in BOUND)},
    )
    return {Pool(row.pool, row.supplier_id, row.item_id): row.quantity for row in result}


# What was bound before the statement was made is taken off in it, whatever became of it since.
_COMMITTED = text("""
    SELECT wanted.pool, wanted.supplier_id, wanted.item_id, sum(proposal.quantity) AS quantity
    FROM unnest(
        CAST(:customers AS text[]), CAST(:suppliers AS text[]), CAST(:items AS text[]), CAST(:times AS timestamptz[])
    ) AS wanted (pool, supplier_id, item_id, stated_at)
    JOIN supply_claim AS claim USING (pool, supplier_id, item_id)
    JOIN proposal ON proposal.customer_id = claim.customer_id AND proposal.location_id = claim.location_id
        AND proposal.item_id = claim.item_id AND proposal.supplier_id = claim.supplier_id
    WHERE proposal.status = ANY (CAST(:bound AS text[])) AND proposal.issued_at > wanted.stated_at
      AND NOT EXISTS (
        SELECT FROM proposal_version AS version
        WHERE version.customer_id = proposal.customer_id AND version.proposal_id = proposal.proposal_id
          AND version.status = ANY (CAST(:bound AS text[])) AND version.issued_at <= wanted.stated_at)
    GROUP BY wanted.pool, wanted.supplier_id, wanted.item_id
""")


def _pools(pools: Sequence[Pool]) -> dict[str, object]:
    return {
        "customers": [pool.customer_id for pool in pools],
        "suppliers": [pool.supplier_id for pool in pools],
        "items": [pool.item_id for pool in pools],
    }
