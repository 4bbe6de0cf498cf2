"""Keys as they stand now, read in a few statements: position, agreement, forecast, proposals and their goods."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from vmi_domain.days import SiteCalendar
from vmi_domain.forecasting.plans import AHEAD, PlanKind, PlanLine, learned_uplift
from vmi_domain.replenishment.approving import Doubt
from vmi_domain.replenishment.expectations import Question, expectations
from vmi_domain.replenishment.needs import Arrival, Basis, Expected, PolicyKind, Position
from vmi_domain.replenishment.opportunities import Opportunity, next_opportunity
from vmi_domain.replenishment.overriding import Override
from vmi_domain.replenishment.proposals import FINISHED, HeldBecause
from vmi_domain.replenishment.reliability import learned
from vmi_domain.replenishment.reviewing import Case, Terms, asked_instead
from vmi_domain.replenishment.sharing import PROPOSALS_COUNTED, Source, next_source
from vmi_domain.replenishment.sizing import looks_at_arrivals
from vmi_domain.stock.feeds import FeedKind
from vmi_domain.stock.position import Key, Stock, Supply, stock
from vmi_domain.stock.supply import SupplyLine
from vmi_domain.values import dataclass
from vmi_replenishment.master_data import Agreed, Agreements, Copies, MasterData, Site
from vmi_runtime.clock import ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import feeds, forecasts, plans, positions, profiles, proposals, supply, watermarks, wishes
from vmi_store.positions import PositionRow
from vmi_store.proposals import Said, Standing

NO_SUPPLY: Final = Supply()
NOTHING: Final = Decimal(0)
DAY: Final = timedelta(days=1)
NO_STOCK: Final = Position(NOTHING)
NOBODY: Final[Mapping[str, Terms]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Holding:
    """What is agreed for a key's next order opportunity."""

    agreed: Agreed
    opportunity: Opportunity
    others: tuple[Agreed, ...] = ()
    """What holds with further suppliers of it."""
    looks_at_arrivals: bool = True
    """Whether it matters when what is on its way arrives."""

    @property
    def terms_of_others(self) -> Mapping[str, Terms]:
        return {one.terms.supplier_id: one.terms for one in self.others} if self.others else NOBODY


@dataclass(frozen=True, slots=True)
class Situations:
    """Cases, and when each of their keys was noted to be looked at again."""

    cases: Sequence[Case]
    due_ats: Sequence[datetime | None]
    watched: "Sequence[Watched | None]"
    """What exceptions are seen by; None where nothing is agreed, or the key is not known."""
    claiming: frozenset[Key] = frozenset()
    """Those of the keys that claim some of a supplier's stated supply."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A key's facts beside its case."""

    row: PositionRow
    held: Stock
    """Its quantities by their names."""
    holding: Holding
    expected: Expected | None
    """Also where no quantity follows from it."""
    coming: Sequence[SupplyLine] = ()
    """What is ordered or shipped."""


async def nows(sites: Sequence[Site], transaction: Transaction) -> Mapping[Site, datetime]:
    """Return what *now* means at each site; by the events' clock a site without facts has none."""
    if transaction.clock.mode is ClockMode.WALL:
        return dict.fromkeys(sites, transaction.clock.wall())
    reached = await watermarks.read(transaction.connection, sites)
    return {site: transaction.clock.now(moment) for site, moment in reached.items()}


async def read(
    keys: Sequence[Key],
    transaction: Transaction,
    master_data: MasterData,
    *,
    instead_of: Mapping[Key, Container[str]] = MappingProxyType({}),
) -> Situations:
    """Return the case of each key whose site has a now, in the order of ``keys``. The caller has the sites' turn.

    Position, proposals and goods of a key are read in one statement: they are those of one instant. Suppliers in
    ``instead_of`` are asked only where there is nobody else.
    """
    now = await nows(sorted({key[:2] for key in keys}), transaction)
    keys = [key for key in keys if key[:2] in now]
    if not keys:
        return Situations([], [], [])
    copies = await master_data.as_of_now(transaction, {key.customer_id for key in keys})
    calendars = await copies.calendars(now)
    prospects = await _prospects(keys, now, calendars, copies)
    holdings = await _holdings(keys, prospects, calendars, transaction, instead_of)
    today = min(calendars[site].day_of(moment) for site, moment in now.items())
    standing = await proposals.standing(
        transaction.connection,
        keys,
        [holdings[key].opportunity.order_at if key in holdings else None for key in keys],
        Said(since=today, kinds=_SAID),
    )
    planned = [key for key, one in zip(keys, standing, strict=True) if one.is_planned]
    said = await plans.read(transaction.connection, planned, since=today, kinds=_SAID)
    _end(holdings, keys, standing, said, calendars)
    holdings = await _by_class(holdings, transaction)
    holdings = await _by_deliveries(holdings, transaction)
    known = [
        (key, one)
        for key, one in zip(keys, standing, strict=True)
        if key in holdings and one.position is not None and _is_known(one.position)
    ]
    decided = [key for key, _ in known]
    outlooks = await _expected(decided, now, calendars, holdings, said, transaction)
    interchangeable = await _of_predecessors(decided, said, transaction)
    stale = await _stale(holdings, now, transaction)
    asked_for = await _asked_for([key for key, one in known if one.is_wished], calendars, holdings, transaction)
    cases = []
    watched: list[Watched | None] = []
    for key, prospect, stands in zip(keys, prospects, standing, strict=True):
        holding, facts = holdings.get(key), None
        if key in outlooks:
            assert holding is not None
            assert stands.position is not None
            held = _held(stands.position, holding.agreed)
            facts = Watched(stands.position, held, holding, outlooks[key], stands.coming)
        watched.append(facts)
        cases.append(
            Case(
                key=key,
                now=prospect.now,
                position=(
                    NO_STOCK
                    if facts is None
                    else _ordered_since(facts, said[key])
                    if key in said and _follows_net_plan(facts)
                    else _position(facts.held, interchangeable.get(key, NOTHING))
                ),
                terms=None if holding is None else holding.agreed.terms,
                opportunity=None if facts is None else facts.holding.opportunity,
                expected=facts.expected if facts is not None and _asks_for_demand(facts.holding) else None,
                arrivals=_arriving(facts, prospect.now) if facts is not None and facts.coming else (),
                live=stands.live,
                progress=stands.goods,
                held_because=HeldBecause.STALE_DATA if key in stale else None,
                override=asked_for.get(key),
                others=NOBODY if holding is None else holding.terms_of_others,
                doubts=(Doubt.NEGATIVE_STOCK,) if facts is not None and facts.held.is_negative else (),
                changes_at=prospect.changes_at,
            )
        )
    claiming = frozenset(key for key, one in zip(keys, standing, strict=True) if one.is_claiming)
    return Situations(cases, [one.due_at for one in standing], watched, claiming)


async def as_offered(keys: Sequence[Key], transaction: Transaction, master_data: MasterData) -> Situations:
    """Return the same with each key at the supplier that its next proposal stands with: for who tells, and not decides.

    Whose turn it is need not be who was asked, where a supply is short.
    """
    found = await read(keys, transaction, master_data)
    asked = {case.key: all_but(case, name) for case in found.cases if (name := asked_instead(case)) is not None}
    if not asked:
        return found
    return replaced(found, await read(sorted(asked), transaction, master_data, instead_of=asked))


def all_but(case: Case, supplier_id: str) -> frozenset[str]:
    """Return all suppliers of a case but one."""
    assert case.terms is not None
    return frozenset({case.terms.supplier_id, *case.others} - {supplier_id})


def replaced(found: Situations, again: Situations) -> Situations:
    """Return situations with some keys as they were read again."""
    places = {case.key: place for place, case in enumerate(again.cases)}
    cases, watched = list(found.cases), list(found.watched)
    for place, case in enumerate(found.cases):
        if case.key in places:
            cases[place], watched[place] = again.cases[places[case.key]], again.watched[places[case.key]]
    return replace(found, cases=cases, watched=watched)


def _arriving(facts: Watched, now: datetime) -> tuple[Arrival, ...]:
    """Return when what is on its way arrives, where that matters, as far as dates are known."""
    if not facts.holding.looks_at_arrivals or _follows_net_plan(facts):
        return ()
    return tuple(
        Arrival(_days_from(now, line.expected_at), line.quantity)
        for line in facts.coming
        if line.expected_at is not None
    )


@lru_cache(4096)
def _days_from(now: datetime, at: datetime) -> float:
    return round(max((at - now) / DAY, 0.0), 3)


async def _stale(holdings: Mapping[Key, Holding], now: Mapping[Site, datetime], transaction: Transaction) -> set[Key]:
    """Return the keys that rest on a feed which has been silent for longer than is agreed for it (F12)."""
    watching = [key for key, holding in holdings.items() if holding.agreed.cadences]
    if not watching:
        return set()
    heard = await feeds.read(transaction.connection, [key[:2] for key in watching])
    by_events = transaction.clock.mode is ClockMode.EVENTS

    def is_stale(key: Key, kind: FeedKind, cadence: timedelta) -> bool:
        feed = heard[(*key[:2], kind)].feed if (*key[:2], kind) in heard else None
        # By the events' clock a feed that never told of anything has no age.
        return feed is not None and not (by_events and feed.reached_at is None) and feed.is_stale(cadence, now[key[:2]])

    return {key for key in watching if any(is_stale(key, *one) for one in holdings[key].agreed.cadences)}


def _asks_for_demand(holding: Holding) -> bool:
    """Whether quantities follow expected demand; by a minimum and maximum they follow these alone."""
    return holding.agreed.terms.policy.kind not in _WITHOUT_DEMAND


_WITHOUT_DEMAND: Final = {PolicyKind.MINIMUM_MAXIMUM, PolicyKind.ONE_TO_ONE}


def _is_known(row: PositionRow) -> bool:
    """Whether any fact has told of the key: before, its shelf is not empty but unknown, and nothing is proposed."""
    return row.version > 0 or row.supply != NO_SUPPLY


def _held(row: PositionRow, agreed: Agreed) -> Stock:
    return stock(row.balance, row.supply, authority=agreed.authority, basis=agreed.basis)


def _position(held: Stock, interchangeable: Decimal) -> Position:
    return Position(
        usable=held.usable + interchangeable,
        received_unconfirmed=held.usable_unconfirmed,
        in_transit=held.in_transit,
        on_order=held.on_order,
        backlog=held.backlog,
    )


async def _asked_for(
    keys: Sequence[Key],
    calendars: Mapping[Site, SiteCalendar],
    holdings: Mapping[Key, Holding],
    transaction: Transaction,
) -> dict[Key, Override]:
    """Return what customers want sent at the opportunity of each key, where they want something."""
    found = {}
    for key, told in (await wishes.read(transaction.connection, keys)).items() if keys else ():
        holding = holdings[key]
        order_at = holding.opportunity.order_at
        for wish in told:
            if wish.order_on is None:
                meant = next_opportunity(holding.agreed.terms.calendar, wish.told_at).order_at == order_at
            else:
                meant = wish.order_on == calendars[key[:2]].day_of(order_at)
            if meant and wish.quantity is not None:
                found[key] = Override(wish.quantity, wish.told_at, wish.reason)
                break
    return found


@dataclass(frozen=True, slots=True)
class _Prospect:
    """What follows from all that is agreed, at one site."""

    now: datetime
    offers: tuple[Agreed, ...]
    """What holds today, one a supplier."""
    changes_at: datetime | None
    """When other terms may come into force."""
    agreements: Agreements
    holding: Holding | None
    """The next opportunity; None also where of several suppliers the key itself says whose turn it is."""
    has_choice: bool


async def _prospects(
    keys: Sequence[Key], now: Mapping[Site, datetime], calendars: Mapping[Site, SiteCalendar], copies: Copies
) -> list[_Prospect]:
    """Return what is agreed for each key; keys of a site of which the same is agreed share it."""
    known: dict[tuple[Site, Agreements], _Prospect] = {}
    found = []
    for key, agreements in zip(keys, await copies.agreements(keys, calendars), strict=True):
        site = key[:2]
        prospect = known.get((site, agreements))
        if prospect is None:
            prospect = known[site, agreements] = _prospect(agreements, now[site], calendars[site])
        found.append(prospect)
    return found


def _prospect(agreements: Agreements, now: datetime, calendar: SiteCalendar) -> _Prospect:
    today = calendar.day_of(now)
    offers, changes_on = agreements.on(today), agreements.change_after(today)
    holding = _holding(offers, agreements, now, calendar, {}, ())
    return _Prospect(
        now,
        offers,
        None if changes_on is None else calendar.bounds(changes_on)[0],
        agreements,
        holding,
        has_choice=len(offers) > 1 or (holding is not None and bool(holding.others)),
    )


async def _holdings(
    keys: Sequence[Key],
    prospects: Sequence[_Prospect],
    calendars: Mapping[Site, SiteCalendar],
    transaction: Transaction,
    instead_of: Mapping[Key, Container[str]],
) -> dict[Key, Holding]:
    """Return what is agreed for each key's next opportunity; of several suppliers, with the one whose turn it is."""
    found = {key: one.holding for key, one in zip(keys, prospects, strict=True) if one.holding is not None}
    choosing = [(key, one) for key, one in zip(keys, prospects, strict=True) if one.has_choice]
    several = {key: one.now for key, one in choosing if len(one.offers) > 1}
    given = await proposals.given(transaction.connection, several, at_most=PROPOSALS_COUNTED - 1) if several else {}
    for key, one in choosing:
        whose = given.get(key, {}), instead_of.get(key, ())
        holding = _holding(one.offers, one.agreements, one.now, calendars[key[:2]], *whose)
        if holding is None:
            found.pop(key, None)
        else:
            found[key] = holding
    return found


def _holding(
    offers: Sequence[Agreed],
    agreements: Agreements,
    now: datetime,
    calendar: SiteCalendar,
    given: Mapping[str, Decimal],
    instead_of: Container[str],
) -> Holding | None:
    """Return what is agreed for the next opportunity, with the supplier whose turn it is.

    When the next one is follows from what is agreed today (``offers``); what is ordered then, from what is agreed for
    that day. A supplier whose agreement has ended by then gives way to the next one, whose own opportunity counts.
    """
    if not offers:
        return None
    asked = _chosen(offers, given, instead_of)
    following = next_opportunity(asked.terms.calendar, now)
    offers_then = agreements.on(calendar.day_of(following.order_at))
    if not offers_then:
        return None
    then = _chosen(offers_then, given, instead_of)
    if then.terms.supplier_id != asked.terms.supplier_id:
        is_offered = any(one.terms.supplier_id == then.terms.supplier_id for one in offers)
        following = next_opportunity(then.terms.calendar, now if is_offered else following.order_at)
    others = tuple(one for one in offers_then if one is not then)
    return Holding(then, following, others, looks_at_arrivals(then.terms.policy))


def _chosen(offers: Sequence[Agreed], given: Mapping[str, Decimal], instead_of: Container[str]) -> Agreed:
    """Return whose turn it is by the agreed shares and priorities (F62)."""
    offers = [one for one in offers if one.terms.supplier_id not in instead_of] or offers
    if len(offers) == 1:
        return offers[0]
    by_name = {one.terms.supplier_id: one for one in offers}
    agreed = ((name, one.terms.sourcing) for name, one in by_name.items())
    sources = [Source(name, sourcing.source_share, sourcing.source_priority) for name, sourcing in agreed]
    return by_name[next_source(sources, given).supplier_id]


async def _expected(
    keys: Sequence[Key],
    now: Mapping[Site, datetime],
    calendars: Mapping[Site, SiteCalendar],
    holdings: Mapping[Key, Holding],
    said: Mapping[Key, Sequence[PlanLine]],
    transaction: Transaction,
) -> dict[Key, Expected | None]:
    """Return what demand to expect of each key: most quantities follow it, and stock-outs are projected by it."""
    if not keys:
        return {}
    states = await forecasts.states(transaction.connection, keys)
    promoted = [key for key in keys if any(one.kind is PlanKind.PROMOTION for one in said.get(key, ()))]
    uplifts = await plans.uplifts(transaction.connection, promoted)
    shared: dict[int, Question] = {}
    questions = []
    for key in keys:
        holding = holdings[key]
        question = shared.get(id(holding))
        if question is None:
            calendar = calendars[key[:2]]
            question = shared[id(holding)] = Question(
                now=now[key[:2]],
                terms=holding.agreed.terms,
                opportunity=holding.opportunity,
                zone=calendar.zone,
                day_ends_at=calendar.day_ends_at,
            )
        if key in said:
            uplift = learned_uplift(*uplifts[key]) if key in uplifts else 1.0
            question = replace(question, plans=said[key], uplift=uplift)
        questions.append(question)
    return dict(zip(keys, expectations(questions, states), strict=True))


async def _by_class(holdings: dict[Key, Holding], transaction: Transaction) -> dict[Key, Holding]:
    """Return holdings with the service targets that their items' classes choose, where that is agreed."""
    asking = [key for key, one in holdings.items() if one.agreed.terms.target_by_class]
    if not asking:
        return holdings
    names = await profiles.value_classes(transaction.connection, asking)
    chosen = {
        key: replace(
            holdings[key],
            agreed=replace(holdings[key].agreed, terms=holdings[key].agreed.terms.of_class(names.get(key))),
        )
        for key in asking
    }
    return {**holdings, **chosen}


async def _by_deliveries(holdings: dict[Key, Holding], transaction: Transaction) -> dict[Key, Holding]:
    """Return holdings with what the item's own deliveries show of its supplier, where that is agreed (F61)."""
    asking = [key for key, one in holdings.items() if one.agreed.terms.lead_time_is_learned]
    if not asking:
        return holdings
    found = dict(holdings)
    for key, told in (await supply.deliveries(transaction.connection, asking)).items():
        holding = holdings[key]
        terms = holding.agreed.terms
        # What came of no proposal is of the only supplier; of several nobody knows of which.
        names = {terms.supplier_id} if holding.others else {terms.supplier_id, ""}
        shown = learned(
            [one for supplier, one in told if supplier in names], lead_time_days=terms.calendar.lead_time_days
        )
        found[key] = replace(holding, agreed=replace(holding.agreed, terms=terms.after(shown)))
    return found


_SAID: Final = AHEAD | {PlanKind.ENDING, PlanKind.SUCCESSION}


def _end(
    holdings: dict[Key, Holding],
    keys: Sequence[Key],
    standing: Sequence[Standing],
    said: Mapping[Key, Sequence[PlanLine]],
    calendars: Mapping[Site, SiteCalendar],
) -> None:
    """Take away what is agreed where the next opportunity comes after the item's last order day (S21)."""
    if not said:
        return
    for key, stands in zip(keys, standing, strict=True):
        endings = [line.first_day for line in said.get(key, ()) if line.kind is PlanKind.ENDING]
        if endings and key in holdings and calendars[key[:2]].day_of(holdings[key].opportunity.order_at) > min(endings):
            del holdings[key]
            stands.live = [one for one in stands.live if one.status not in FINISHED]


def _follows_net_plan(facts: Watched) -> bool:
    expected = facts.expected
    return expected is not None and expected.basis is Basis.NET_PLAN and _asks_for_demand(facts.holding)


def _ordered_since(facts: Watched, said: Sequence[PlanLine]) -> Position:
    """Return what was ordered since a net plan was stated: it knows of all that was before."""
    stated_at = max(line.stated_at for line in said if line.net)
    since = (line.quantity for line in facts.coming if line.since is not None and line.since > stated_at)
    return Position(NOTHING, on_order=sum(since, NOTHING))


async def _of_predecessors(
    keys: Sequence[Key], said: Mapping[Key, Sequence[PlanLine]], transaction: Transaction
) -> dict[Key, Decimal]:
    """Return what stands there of each item's predecessor and serves as well, in the item's own units."""
    if not said:
        return {}
    predecessors = {
        key: (Key(key.customer_id, key.location_id, line.other_item), Decimal(repr(line.factor or 1.0)))
        for key in keys
        for line in said.get(key, ())
        if line.kind is PlanKind.SUCCESSION and line.interchangeable and line.other_item is not None
    }
    if not predecessors:
        return {}
    rows = await positions.read(transaction.connection, [key for key, _ in predecessors.values()])
    physical = {row.key: max(row.balance.counted + row.balance.moved + row.balance.received, NOTHING) for row in rows}
    return {key: physical.get(before, NOTHING) * ratio for key, (before, ratio) in predecessors.items()}
