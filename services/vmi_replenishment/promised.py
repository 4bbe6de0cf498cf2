"""What suppliers can send of what is needed: shared out among all who need it, and told to whom it concerns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from vmi_domain.replenishment.promising import Limit, Promise
from vmi_domain.replenishment.quantities import NOTHING
from vmi_domain.replenishment.reviewing import Case, Terms, Want, limited, wants
from vmi_domain.replenishment.sharing import Claim, share_out
from vmi_domain.stock.position import Key
from vmi_replenishment.situations import Situations
from vmi_runtime.worker import Transaction
from vmi_store import due, promises
from vmi_store.promises import ANYBODY, Claimed, Pool, Stated

AT_ONCE: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What is due since then is due by every clock."""


@dataclass(frozen=True, slots=True)
class _Limited:
    """A case that a supplier's statement limits."""

    place: int
    case: Case
    terms: Terms
    pool: Pool
    order_day: date


async def limit(found: Situations, transaction: Transaction) -> Situations:
    """Return the situations with what each key's supplier can send of what it needs.

    A supply that is short for several is shared out on need, by the need that each had when it was reviewed last; who
    gets another share by that is looked at again. The caller has the turn at the keys' locations.
    """
    connection = transaction.connection
    asking = [
        (place, case, case.terms)
        for place, case in enumerate(found.cases)
        if case.terms is not None and case.opportunity is not None and case.terms.sourcing.limit is not Limit.NONE
    ]
    stated = await promises.hold(connection, [pool for _, case, terms in asking for pool in _pools(case.key, terms)])
    some = [one for asked in asking if (one := _limited(*asked, stated)) is not None]
    ours = {one.case.key for one in some}
    await promises.forget(connection, [case.key for case in found.cases if case.key not in ours])
    if not some:
        return found
    own = {one.case.key: _claimed(one, want) for one, want in zip(some, wants([one.case for one in some]), strict=True)}
    pools = sorted({one.pool for one in some})
    others = [one for one in await promises.claims(connection, pools) if one.claim.name not in own]
    committed = await promises.committed(connection, {pool: stated[pool].statement.stated_at for pool in pools})
    available: dict[Pool, Mapping[date, Decimal]] = {}
    shares: dict[Key, Decimal] = {}
    for pool in pools:
        claimed = [one for one in (*own.values(), *others) if one.pool == pool]
        available[pool] = _available(stated[pool], claimed, committed.get(pool, NOTHING))
        shares |= _shares(stated[pool], claimed, available[pool])
    await promises.claim(connection, [replace(one, share=shares[key]) for key, one in sorted(own.items())])
    await due.bring_forward(
        connection, [one.claim.name for one in others if shares[one.claim.name] != one.share], AT_ONCE
    )
    cases = list(found.cases)
    for one in some:
        key, limit_of = one.case.key, one.terms.sourcing.limit
        promise = Promise(
            limit=limit_of,
            stated_at=stated[one.pool].statement.stated_at,
            available=available[one.pool][one.order_day],
            wanted=own[key].claim.need,
            share=shares[key],
            reliability=one.terms.on_time_in_full,
            competing=sum(1 for other in (*own.values(), *others) if other.pool == one.pool and other.claim.need) - 1,
        )
        cases[one.place] = limited(one.case, promise)
    return replace(found, cases=cases)


def _pools(key: Key, terms: Terms) -> tuple[Pool, Pool]:
    """Return the supplies a key may draw on: what is stated for its customer, else what is stated for anybody."""
    return (
        Pool(key.customer_id, terms.supplier_id, key.item_id),
        Pool(ANYBODY, terms.supplier_id, key.item_id),
    )


def _limited(place: int, case: Case, terms: Terms, stated: Mapping[Pool, Stated]) -> _Limited | None:
    assert case.opportunity is not None
    pool = next((one for one in _pools(case.key, terms) if one in stated), None)
    if pool is None or not stated[pool].statement.holds_at(case.now):
        return None
    order_day = case.opportunity.order_at.astimezone(ZoneInfo(terms.calendar.zone)).date()
    return _Limited(place, case, terms, pool, order_day)


def _claimed(one: _Limited, want: Want) -> Claimed:
    return Claimed(
        one.pool,
        Claim(
            one.case.key,
            want.quantity,
            target=want.level,
            position=want.position,
            quota=one.terms.sourcing.quota,
            priority=one.terms.sourcing.priority,
            pack=one.terms.rules.multiple,
        ),
        one.order_day,
        want.reserved,
    )


def _available(stated: Stated, claimed: Sequence[Claimed], committed: Decimal) -> dict[date, Decimal]:
    """Return what can be sent by each claim's order day, less what is promised to somebody already."""
    taken = committed + sum((one.reserved for one in claimed), NOTHING)
    return {one.order_day: max(stated.statement.promised_by(one.order_day) - taken, NOTHING) for one in claimed}


def _shares(stated: Stated, claimed: Sequence[Claimed], available: Mapping[date, Decimal]) -> dict[Key, Decimal]:
    """Return each claim's share of what can be sent by its own day; the same from whoever's point of view."""
    claims = [one.claim for one in claimed]
    by_day = {day: share_out(quantity, claims, stated.allocation) for day, quantity in available.items()}
    return {one.claim.name: by_day[one.order_day][one.claim.name] for one in claimed}
