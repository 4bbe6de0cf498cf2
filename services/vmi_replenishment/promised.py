"""What suppliers can send of what is needed: shared out among all who need it, and told to whom it concerns."""

from collections.abc import Collection, Container, Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from zoneinfo import ZoneInfo

from vmi_domain.replenishment.promising import Limit, PassedOver, Promise
from vmi_domain.replenishment.quantities import NOTHING
from vmi_domain.replenishment.reviewing import (
    Case,
    Terms,
    Want,
    as_shared,
    fixed_elsewhere,
    limited,
    may_fall_over,
    promised_before,
    shared,
    splits,
    stays_with,
    wants,
)
from vmi_domain.replenishment.sharing import Claim, share_out
from vmi_domain.stock.position import Key
from vmi_domain.units import FINEST
from vmi_domain.values import dataclass
from vmi_replenishment import situations
from vmi_replenishment.master_data import MasterData
from vmi_replenishment.situations import Situations, all_but, replaced
from vmi_runtime.worker import Transaction
from vmi_store import due, promises
from vmi_store.engine import Connection
from vmi_store.promises import ANYBODY, Claimed, Pool, Stated


@dataclass(frozen=True, slots=True)
class _Limited:
    """A case that a supplier's statement limits."""

    place: int
    case: Case
    terms: Terms
    pool: Pool
    order_day: date


async def limit(
    found: Situations, transaction: Transaction, master_data: MasterData
) -> tuple[Situations, Mapping[int, Sequence[Case]]]:
    """Return the situations with what each key's supplier can send of what it needs, and, by their places, the cases of
    further sources that are asked for the rest.

    A supply that is short for several is shared out on need, by the need that each had when it was reviewed last; who
    gets another share by that is looked at again. Where a key has several suppliers and the one whose turn it is has
    less than its need, the next one is asked for the rest, or instead. The caller has the turn at the keys' locations.
    """
    connection = transaction.connection
    if not any(_may_be_limited(case) for case in found.cases):  # which is most batches
        await promises.forget(connection, sorted(found.claiming), kept=())
        return found, {}
    stated = await promises.hold(connection, _supplies(found.cases))
    found, staying = await _staying(found, transaction, master_data)
    found, further = await _split(found, staying, stated, transaction, master_data)
    settled = staying | {found.cases[place].key for place in further}
    found = await _in_turn(found, settled, stated, transaction, master_data)
    sources = [(place, case) for place, cases in further.items() for case in cases]
    some = _limited_ones([*found.cases, *(case for _, case in sources)], stated)
    idle = _idle(found.cases, {(one.case.key, one.pool.supplier_id) for one in some}, stated)
    ours = {case.key for case in found.cases}
    kept = [(one.claim.name, one.pool.supplier_id) for one in idle]
    kept += [(one.case.key, one.pool.supplier_id) for one in some]
    await promises.forget(connection, sorted(found.claiming), kept=kept)
    # What a key no longer asks of a source is for others there.
    pools = {one.pool for one in some} | {
        pool for pool in _supplies([case for case in found.cases if case.others]) if pool in stated
    }
    if not pools:
        return _until_statements_end(found, stated), further
    if idle:
        await promises.claim(connection, idle)
    division = await _divided(some, stated, pools, ours, connection, idle)
    shares = division.shares
    await promises.claim(connection, [replace(one, share=shares[name]) for name, one in sorted(division.own.items())])
    await due.bring_forward(
        connection,
        [one.claim.name for one in division.others if shares[one.pool, one.claim.name] != one.share],
        due.AT_ONCE,
    )
    cases = [*found.cases, *(case for _, case in sources)]
    for one in some:
        cases[one.place] = limited(one.case, division.promise(one, stated))
    own = len(found.cases)
    limited_further: dict[int, list[Case]] = {}
    for (place, _), case in zip(sources, cases[own:], strict=True):
        limited_further.setdefault(place, []).append(case)
    return _until_statements_end(replace(found, cases=cases[:own]), stated), limited_further


def _until_statements_end(found: Situations, stated: Mapping[Pool, Stated]) -> Situations:
    """Return the situations with each key looked at again when what its suppliers stated is not to be relied on any
    more: nothing else may tell that more can be asked for."""
    ends = {pool: one.statement.valid_until for pool, one in stated.items() if one.statement.valid_until is not None}
    if not ends:
        return found
    cases = list(found.cases)
    for place, case in enumerate(cases):
        moments = [ends[pool] for pool in _supplies([case]) if pool in ends and ends[pool] >= case.now]
        if moments:
            cases[place] = replace(case, changes_at=min([*moments, *([case.changes_at] if case.changes_at else ())]))
    return replace(found, cases=cases)


def _may_be_limited(case: Case) -> bool:
    """Whether a supplier's statement, or another supplier, may have a say in what is asked of a case's own."""
    return case.terms is not None and (case.terms.sourcing.limit is not Limit.NONE or bool(case.others))


def _supplies(cases: Sequence[Case]) -> list[Pool]:
    """Return the supplies that limit these cases, those of their further suppliers among them."""
    return [
        pool
        for case in cases
        if case.terms is not None and case.opportunity is not None
        for terms in (case.terms, *case.others.values())
        if terms.sourcing.limit is not Limit.NONE
        for pool in _pools(case.key, terms)
    ]


def _idle(cases: Sequence[Case], asked: Container[tuple[Key, str]], stated: Mapping[Pool, Stated]) -> list[Claimed]:
    """Return what keys claim of the sources they ask nothing of now: what was promised to them before stays theirs."""
    found = []
    for place, case in enumerate(cases):
        for name, terms in case.others.items():
            if terms.sourcing.limit is Limit.NONE or case.opportunity is None or (case.key, name) in asked:
                continue
            if (one := _limited(place, case, terms, stated)) is not None:
                found.append(_claimed(one, Want(NOTHING, NOTHING, NOTHING, promised_before(case, name))))
    return found


def _limited_ones(cases: Sequence[Case], stated: Mapping[Pool, Stated]) -> list[_Limited]:
    asking = [
        (place, case, case.terms)
        for place, case in enumerate(cases)
        if case.terms is not None and case.opportunity is not None and case.terms.sourcing.limit is not Limit.NONE
    ]
    return [one for asked in asking if (one := _limited(*asked, stated)) is not None]


# Whose turn it is


async def _staying(
    found: Situations, transaction: Transaction, master_data: MasterData
) -> tuple[Situations, frozenset[Key]]:
    """Return the situations with keys at the source that their need is fixed with, whoever's turn it is, and which."""
    wanted = {case.key: all_but(case, name) for case in found.cases if (name := stays_with(case)) is not None}
    if not wanted:
        return found, frozenset()
    again = await situations.read(sorted(wanted), transaction, master_data, instead_of=wanted)
    return replaced(found, again), frozenset(wanted)


async def _in_turn(
    found: Situations,
    staying: Collection[Key],
    stated: Mapping[Pool, Stated],
    transaction: Transaction,
    master_data: MasterData,
) -> Situations:
    """Return the situations with each key at its first source, by priority and share, that can send all that it needs.

    Where none of them can, it is the one that can send most. A need goes to one source as a whole: it is not to be
    split, or no other source has the same order opportunity; or it is fixed and ``staying``. Of several keys
    that are short of one supply only so many go elsewhere as makes it reach for the others, in the order of their
    names, so that the same ones go whenever they are looked at.
    """
    passed: dict[Key, dict[str, PassedOver]] = {}
    settled = set(staying)
    keys = frozenset(case.key for case in found.cases)
    while True:
        some = _limited_ones(found.cases, stated)
        several = [
            one
            for one in some
            if one.case.others and one.case.key not in settled and one.terms.sourcing.limit is Limit.CAP
        ]
        if not several:
            return _with(found, passed)
        pools = {one.pool for one in several}
        concerned = [one for one in some if one.pool in pools]
        division = await _divided(concerned, stated, pools, keys, transaction.connection)
        wanted = {}
        for one in _going(several, division, stated):
            promise = division.promise(one, stated)
            tried = passed.setdefault(one.case.key, {})
            tried[one.terms.supplier_id] = PassedOver(one.terms.supplier_id, promise.wanted, promise.share)
            if set(one.case.others) - set(tried):
                wanted[one.case.key] = frozenset(tried)
            else:
                settled.add(one.case.key)
                best = max(tried.values(), key=lambda source: source.covered)
                if best.supplier_id == one.terms.supplier_id:
                    continue
                wanted[one.case.key] = all_but(one.case, best.supplier_id)
        if not wanted:
            return _with(found, passed)
        again = await situations.read(sorted(wanted), transaction, master_data, instead_of=wanted)
        found = replaced(found, again)


def _going(several: Sequence[_Limited], division: "_Division", stated: Mapping[Pool, Stated]) -> list[_Limited]:
    """Return who is to ask the next source: of each supply so many as take what is missing with them."""
    short = {
        one.case.key: promise.short
        for one in several
        if may_fall_over(one.case, promise := division.promise(one, stated))
    }
    missing: dict[Pool, Decimal] = {}
    for one in several:
        missing[one.pool] = missing.get(one.pool, NOTHING) + short.get(one.case.key, NOTHING)
    going = []
    for one in sorted(several, key=lambda each: each.case.key):
        if one.case.key in short and missing[one.pool] > 0:
            missing[one.pool] -= division.own[one.pool, one.case.key].claim.need
            going.append(one)
    return going


async def _split(
    found: Situations,
    staying: Container[Key],
    stated: Mapping[Pool, Stated],
    transaction: Transaction,
    master_data: MasterData,
) -> tuple[Situations, Mapping[int, Sequence[Case]]]:
    """Return the situations with the cases of further sources for what a key's own cannot send, one after the other.

    Only sources that have the same order opportunity share a need. What is fixed with one already stays with it.
    """
    cases = list(found.cases)
    fixed = {
        place: fixed_elsewhere(case) for place, case in enumerate(cases) if splits(case) and case.key not in staying
    }
    for place in fixed:
        cases[place] = as_shared(cases[place])
    further: dict[int, list[Case]] = {place: [] for place in fixed}
    tried = {place: [_passed(cases[place])] for place in fixed}
    elsewhen: dict[int, set[str]] = {place: set() for place in fixed}
    waiting = set(fixed)
    keys = frozenset(case.key for case in cases)
    while waiting:
        last = {place: (further[place] or [cases[place]])[-1] for place in waiting}
        everyone = [*cases, *(case for some in further.values() for case in some)]
        some = _limited_ones(everyone, stated)
        promised: dict[tuple[Key, str], Promise] = {}
        if some:
            division = await _divided(some, stated, {one.pool for one in some}, keys, transaction.connection)
            promised = {(one.case.key, one.terms.supplier_id): division.promise(one, stated) for one in some}
        wanted = {}
        for place, case in last.items():
            assert case.terms is not None
            promise = promised.get((case.key, case.terms.supplier_id))
            names = elsewhen[place].union(one.supplier_id for one in tried[place])
            short = promise is not None and promise.limit is Limit.CAP and promise.short > 0
            if not (short or fixed[place].keys() - names) or not set(cases[place].others) - names:
                continue
            wanted[place] = names
            if promise is not None:
                tried[place][-1] = PassedOver(case.terms.supplier_id, promise.wanted, promise.share)
            else:
                [want] = wants([case])
                tried[place][-1] = PassedOver(case.terms.supplier_id, want.quantity, want.quantity)
        if not wanted:
            break
        again = await situations.read(
            sorted(cases[place].key for place in wanted),
            transaction,
            master_data,
            instead_of={cases[place].key: names for place, names in wanted.items()},
        )
        by_key = {case.key: case for case in again.cases}
        waiting = set()
        for place, names in wanted.items():
            own, source = cases[place], by_key.get(cases[place].key)
            assert own.opportunity is not None
            if source is None or source.terms is None or source.opportunity is None:
                continue
            if source.terms.supplier_id in names:
                continue
            if source.opportunity.order_at != own.opportunity.order_at:
                elsewhen[place].add(source.terms.supplier_id)
                waiting.add(place)
                continue
            sent = sum((min(one.share, one.wanted) for one in tried[place]), NOTHING)
            cases[place], source = shared(own, source, [one for one in tried[place] if one.share < one.wanted])
            further[place].append(replace(source, elsewhere=sent))
            tried[place].append(_passed(source))
            waiting.add(place)
    return replace(found, cases=cases), {place: some for place, some in further.items() if some}


def _passed(case: Case) -> PassedOver:
    assert case.terms is not None
    return PassedOver(case.terms.supplier_id, NOTHING, NOTHING)


def _with(found: Situations, passed: Mapping[Key, Mapping[str, PassedOver]]) -> Situations:
    """Return situations with the sources that each key was passed over for."""
    if not passed:
        return found
    cases = list(found.cases)
    for place, case in enumerate(cases):
        if case.key in passed:
            asked = None if case.terms is None else case.terms.supplier_id
            over = tuple(one for name, one in passed[case.key].items() if name != asked)
            cases[place] = replace(case, instead_of=over)
    return replace(found, cases=cases)


# What is there for whom


@dataclass(frozen=True, slots=True)
class _Asked:
    """What all who draw on a supply ask of it, together."""

    claims: int
    needing: int
    """Of these, how many need anything."""
    needed: Decimal

    @classmethod
    def by(cls, claimed: Sequence[Claimed]) -> "_Asked":
        needs = [one.claim.need for one in claimed]
        return cls(len(needs), sum(1 for need in needs if need), sum(needs, NOTHING))


@dataclass(frozen=True, slots=True)
class _Division:
    """What can be sent of some supplies, and to whom."""

    own: Mapping[tuple[Pool, Key], Claimed]
    others: Sequence[Claimed]
    asked: Mapping[Pool, "_Asked"]
    """By both."""
    available: Mapping[Pool, Mapping[date, Decimal]]
    shares: Mapping[tuple[Pool, Key], Decimal]

    def promise(self, one: _Limited, stated: Mapping[Pool, Stated]) -> Promise:
        name = (one.pool, one.case.key)
        asked = self.asked[one.pool]
        available = self.available[one.pool][one.order_day]
        return Promise(
            limit=one.terms.sourcing.limit,
            stated_at=stated[one.pool].statement.stated_at,
            available=available,
            wanted=self.own[name].claim.need,
            share=self.shares[name],
            spare=(max(available - asked.needed, NOTHING) / asked.claims).quantize(FINEST, ROUND_FLOOR),
            reliability=one.terms.on_time_in_full,
            competing=asked.needing - 1,
        )


async def _divided(
    some: Sequence[_Limited],
    stated: Mapping[Pool, Stated],
    pools: Collection[Pool],
    keys: Container[Key],
    connection: Connection,
    idle: Sequence[Claimed] = (),
) -> _Division:
    """Return how these supplies are shared between the given ones and all others who claimed of them before.

    What any of ``keys`` claimed before counts no more.
    """
    wanted = wants([one.case for one in some])
    own = {(one.pool, one.case.key): _claimed(one, want) for one, want in zip(some, wanted, strict=True)}
    others = [one for one in await promises.claims(connection, sorted(pools)) if one.claim.name not in keys]
    others += [one for one in idle if one.pool in pools]
    committed = await promises.committed(connection, {pool: stated[pool].statement.stated_at for pool in pools})
    by_pool: dict[Pool, list[Claimed]] = {pool: [] for pool in pools}
    for claimed in (*own.values(), *others):
        by_pool[claimed.pool].append(claimed)
    available = {
        pool: _available(stated[pool], claims, committed.get(pool, NOTHING)) for pool, claims in by_pool.items()
    }
    shares: dict[tuple[Pool, Key], Decimal] = {}
    for pool, claims in by_pool.items():
        shares |= {(pool, key): share for key, share in _shares(stated[pool], claims, available[pool]).items()}
    asked = {pool: _Asked.by(claims) for pool, claims in by_pool.items()}
    return _Division(own, others, asked, available, shares)


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
        want.before.offered,
        accepted=want.before.accepted,
    )


def _available(stated: Stated, claimed: Sequence[Claimed], committed: Decimal) -> dict[date, Decimal]:
    """Return what can be sent by each claim's order day, less what is promised to somebody already."""
    taken = committed + sum((one.reserved + one.accepted for one in claimed), NOTHING)
    return {one.order_day: max(stated.statement.promised_by(one.order_day) - taken, NOTHING) for one in claimed}


def _shares(stated: Stated, claimed: Sequence[Claimed], available: Mapping[date, Decimal]) -> dict[Key, Decimal]:
    """Return each claim's share of what can be sent by its own day; the same from whoever's point of view."""
    claims = [one.claim for one in claimed]
    by_day = {day: share_out(quantity, claims, stated.allocation) for day, quantity in available.items()}
    return {one.claim.name: by_day[one.order_day][one.claim.name] for one in claimed}
