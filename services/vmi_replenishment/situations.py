"""Keys as they stand now, read in a few statements: position, agreement, forecast, proposals and their goods."""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from vmi_domain.days import SiteCalendar
from vmi_domain.forecasting.plans import AHEAD, PlanKind, PlanLine, learned_uplift
from vmi_domain.replenishment.approving import Doubt
from vmi_domain.replenishment.expectations import Question, expectations
from vmi_domain.replenishment.needs import Arrival, Basis, Expected, PolicyKind, Position
from vmi_domain.replenishment.opportunities import Calendar, Opportunity, next_opportunity
from vmi_domain.replenishment.overriding import Override
from vmi_domain.replenishment.proposals import HeldBecause
from vmi_domain.replenishment.reliability import learned
from vmi_domain.replenishment.reviewing import Case, Terms, asked_instead
from vmi_domain.replenishment.sharing import PROPOSALS_COUNTED, Source, next_source
from vmi_domain.replenishment.sizing import looks_at_arrivals
from vmi_domain.stock.feeds import FeedKind
from vmi_domain.stock.position import Key, Stock, Supply, stock
from vmi_domain.stock.supply import Stage
from vmi_domain.values import dataclass
from vmi_replenishment.master_data import Agreed, Copies, MasterData, Site
from vmi_runtime.clock import ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import feeds, forecasts, plans, positions, profiles, proposals, supply, watermarks, wishes
from vmi_store.positions import PositionRow

NO_SUPPLY: Final = Supply()
NOTHING: Final = Decimal(0)
DAY: Final = timedelta(days=1)
UNDER_WAY: Final = frozenset({Stage.ORDERED, Stage.SHIPPED})
NO_STOCK: Final = Position(NOTHING)


@dataclass(frozen=True, slots=True)
class Holding:
    """What is agreed for a key's next order opportunity."""

    agreed: Agreed
    opportunity: Opportunity
    others: tuple[Agreed, ...] = ()
    """What holds with further suppliers of it."""


@dataclass(frozen=True, slots=True)
class Situations:
    """Cases, and when each of their keys was noted to be looked at again."""

    cases: Sequence[Case]
    due_ats: Sequence[datetime | None]
    watched: "Sequence[Watched | None]"
    """What exceptions are seen by; None where nothing is agreed, or the key is not known."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A key's facts beside its case."""

    row: PositionRow
    held: Stock
    """Its quantities by their names."""
    holding: Holding
    expected: Expected | None
    """Also where no quantity follows from it."""


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
    connection = transaction.connection
    now = await nows(sorted({key[:2] for key in keys}), transaction)
    keys = [key for key in keys if key[:2] in now]
    if not keys:
        return Situations([], [], [])
    copies = await master_data.as_of_now(transaction, {key.customer_id for key in keys})
    calendars = await copies.calendars(now)
    changes_on = await _changes_on(keys, now, calendars, copies)
    holdings = await _holdings(keys, now, calendars, copies, transaction, instead_of)
    said = await _said(keys, now, calendars, transaction)
    holdings = {key: one for key, one in holdings.items() if not _has_ended(said.get(key, ()), one, calendars[key[:2]])}
    holdings = await _by_class(holdings, transaction)
    holdings = await _by_deliveries(holdings, transaction)
    standing = await proposals.standing(
        connection, [(key, holdings[key].opportunity.order_at if key in holdings else None) for key in keys]
    )
    decided = [key for key in keys if key in holdings and _is_known(standing[key].position)]
    outlooks = await _expected(decided, now, calendars, holdings, said, transaction)
    expected = {key: one for key, one in outlooks.items() if _asks_for_demand(holdings[key])}
    ordered_since = await _ordered_since(expected, said, transaction)
    interchangeable = await _of_predecessors(decided, said, transaction)
    stale = await _stale(holdings, now, transaction)
    arriving = await _arriving(
        [key for key in decided if key not in ordered_since], now, holdings, standing, transaction
    )
    asked_for = await _asked_for(decided, calendars, holdings, transaction)
    cases = []
    watched: list[Watched | None] = []
    for key in keys:
        holding, row = holdings.get(key), standing[key].position
        held = None if row is None or holding is None else _held(row, holding.agreed)
        cases.append(
            Case(
                key=key,
                now=now[key[:2]],
                position=(
                    ordered_since[key]
                    if key in ordered_since
                    else NO_STOCK
                    if held is None
                    else _position(held, interchangeable.get(key, NOTHING))
                ),
                terms=None if holding is None else holding.agreed.terms,
                opportunity=None if holding is None or not _is_known(row) else holding.opportunity,
                expected=expected.get(key),
                arrivals=arriving.get(key, ()),
                live=standing[key].live,
                progress=standing[key].goods,
                held_because=HeldBecause.STALE_DATA if key in stale else None,
                override=asked_for.get(key),
                others=_others(holding),
                doubts=(Doubt.NEGATIVE_STOCK,) if held is not None and held.is_negative else (),
                changes_at=calendars[key[:2]].bounds(changes_on[key])[0] if key in changes_on else None,
            )
        )
        if holding is None or row is None or held is None or not _is_known(row):
            watched.append(None)
        else:
            watched.append(Watched(row, held, holding, outlooks.get(key)))
    return Situations(cases, [standing[key].due_at for key in keys], watched)


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


async def _arriving(
    keys: Sequence[Key],
    now: Mapping[Site, datetime],
    holdings: Mapping[Key, Holding],
    standing: Mapping[Key, proposals.Standing],
    transaction: Transaction,
) -> dict[Key, tuple[Arrival, ...]]:
    """Return when what is on its way arrives, for keys to which it matters, as far as dates are known."""
    asking = []
    for key in keys:
        row = standing[key].position
        if row is not None and row.supply != NO_SUPPLY and looks_at_arrivals(holdings[key].agreed.terms.policy):
            asking.append(key)
    if not asking:
        return {}
    lines = await supply.lines(transaction.connection, asking)
    return {
        key: tuple(
            Arrival(round(max((line.expected_at - now[key[:2]]) / DAY, 0.0), 3), line.quantity)
            for line in lines[key]
            if line.stage in UNDER_WAY and line.expected_at is not None
        )
        for key in asking
    }


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


def _is_known(row: PositionRow | None) -> bool:
    """Whether any fact has told of the key: before, its shelf is not empty but unknown, and nothing is proposed."""
    return row is not None and (row.version > 0 or row.supply != NO_SUPPLY)


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


async def _holdings(
    keys: Sequence[Key],
    now: Mapping[Site, datetime],
    calendars: Mapping[Site, SiteCalendar],
    copies: Copies,
    transaction: Transaction,
    instead_of: Mapping[Key, Container[str]],
) -> dict[Key, Holding]:
    """Return what is agreed for each key's next opportunity; of several suppliers, with the one whose turn it is.

    When the next one is follows from what is agreed today; what is ordered then, from what is agreed for that day. A
    supplier whose agreement has ended by then gives way to the next one, whose own opportunity counts.
    """
    today = {site: calendar.day_of(now[site]) for site, calendar in calendars.items()}
    offers_today = await copies.offers([(key, today[key[:2]], calendars[key[:2]]) for key in keys])
    several = {key: now[key[:2]] for key, offers in zip(keys, offers_today, strict=True) if len(offers) > 1}
    given = await proposals.given(transaction.connection, several, at_most=PROPOSALS_COUNTED - 1) if several else {}
    # Most keys of a site share calendar and moment, and so what follows from them.
    known: dict[tuple[Calendar, Site], tuple[Opportunity, date]] = {}

    def opportunity(agreed: Agreed, site: Site) -> tuple[Opportunity, date]:
        wanted = (agreed.terms.calendar, site)
        if wanted not in known:
            following = next_opportunity(agreed.terms.calendar, now[site])
            known[wanted] = (following, calendars[site].day_of(following.order_at))
        return known[wanted]

    def chosen(key: Key, offers: Sequence[Agreed]) -> Agreed:
        return _chosen(offers, given.get(key, {}), instead_of.get(key, ()))

    offered = {key: offers for key, offers in zip(keys, offers_today, strict=True) if offers}
    some = [(key, chosen(key, offers)) for key, offers in offered.items()]
    offers_then = await copies.offers(
        [(key, opportunity(agreed, key[:2])[1], calendars[key[:2]]) for key, agreed in some]
    )
    found = {}
    for (key, agreed), offers in zip(some, offers_then, strict=True):
        if offers:
            then, following = chosen(key, offers), opportunity(agreed, key[:2])[0]
            if then.terms.supplier_id != agreed.terms.supplier_id:
                is_offered = any(one.terms.supplier_id == then.terms.supplier_id for one in offered[key])
                since = now[key[:2]] if is_offered else following.order_at
                following = next_opportunity(then.terms.calendar, since)
            found[key] = Holding(then, following, tuple(one for one in offers if one is not then))
    return found


async def _changes_on(
    keys: Sequence[Key], now: Mapping[Site, datetime], calendars: Mapping[Site, SiteCalendar], copies: Copies
) -> dict[Key, date]:
    """Return the next of the site's days from which other terms may hold, for keys that have such a day."""
    today = {site: calendar.day_of(now[site]) for site, calendar in calendars.items()}
    days = await copies.changes([(key, today[key[:2]], calendars[key[:2]]) for key in keys])
    return {key: day for key, day in zip(keys, days, strict=True) if day is not None}


def _chosen(offers: Sequence[Agreed], given: Mapping[str, Decimal], instead_of: Container[str]) -> Agreed:
    """Return whose turn it is by the agreed shares and priorities (F62)."""
    offers = [one for one in offers if one.terms.supplier_id not in instead_of] or offers
    if len(offers) == 1:
        return offers[0]
    by_name = {one.terms.supplier_id: one for one in offers}
    agreed = ((name, one.terms.sourcing) for name, one in by_name.items())
    sources = [Source(name, sourcing.source_share, sourcing.source_priority) for name, sourcing in agreed]
    return by_name[next_source(sources, given).supplier_id]


def _others(holding: Holding | None) -> dict[str, Terms]:
    return {} if holding is None else {one.terms.supplier_id: one.terms for one in holding.others}


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
    learned = await forecasts.read(transaction.connection, keys)
    promoted = [key for key in keys if any(one.kind is PlanKind.PROMOTION for one in said.get(key, ()))]
    uplifts = await plans.uplifts(transaction.connection, promoted)
    questions = []
    for key in keys:
        forecast, calendar = learned.get(key), calendars[key[:2]]
        questions.append(
            Question(
                now=now[key[:2]],
                terms=holdings[key].agreed.terms,
                opportunity=holdings[key].opportunity,
                zone=calendar.zone,
                day_ends_at=calendar.day_ends_at,
                state=None if forecast is None else forecast.state,
                plans=said.get(key, ()),
                uplift=learned_uplift(*uplifts[key]) if key in uplifts else 1.0,
            )
        )
    return dict(zip(keys, expectations(questions), strict=True))


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


async def _said(
    keys: Sequence[Key], now: Mapping[Site, datetime], calendars: Mapping[Site, SiteCalendar], transaction: Transaction
) -> Mapping[Key, Sequence[PlanLine]]:
    """Return what people said of demand to come; most keys have nothing said of them."""
    if not keys:
        return {}
    today = min(calendars[site].day_of(moment) for site, moment in now.items())
    return await plans.read(transaction.connection, keys, since=today, kinds=_SAID)


def _has_ended(said: Sequence[PlanLine], holding: Holding, calendar: SiteCalendar) -> bool:
    """Whether the next opportunity comes after the item's last order day (S21): it is as if nothing were agreed."""
    endings = [line.first_day for line in said if line.kind is PlanKind.ENDING]
    return bool(endings) and calendar.day_of(holding.opportunity.order_at) > min(endings)


async def _ordered_since(
    expected: Mapping[Key, Expected | None], said: Mapping[Key, Sequence[PlanLine]], transaction: Transaction
) -> dict[Key, Position]:
    """Return, for keys of a net plan, what was ordered since it was stated: it knows of all that was before."""
    keys = [key for key, one in expected.items() if one is not None and one.basis is Basis.NET_PLAN]
    if not keys:
        return {}
    lines = await supply.lines(transaction.connection, keys)
    found = {}
    for key in keys:
        stated_at = max(line.stated_at for line in said[key] if line.net)
        since = [line for line in lines[key] if line.since is not None and line.since > stated_at]
        on_its_way = sum((line.quantity for line in since if line.stage in UNDER_WAY), NOTHING)
        found[key] = Position(NOTHING, on_order=on_its_way)
    return found


async def _of_predecessors(
    keys: Sequence[Key], said: Mapping[Key, Sequence[PlanLine]], transaction: Transaction
) -> dict[Key, Decimal]:
    """Return what stands there of each item's predecessor and serves as well, in the item's own units."""
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
