"""Feeds that fall silent: watched as agreed, told when they go stale and when they come back."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from vmi_contracts.inbound import AgreementMade
from vmi_domain.days import SiteCalendar
from vmi_domain.exceptions.lifecycle import Kind, Observation, Subject
from vmi_domain.stock.feeds import FeedKind
from vmi_domain.values import dataclass
from vmi_inventory import publishing
from vmi_runtime import raising
from vmi_runtime.clock import ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import agreements, catalogue, feeds, positions, watermarks
from vmi_store.catalogue import LocationKey
from vmi_store.engine import Connection
from vmi_store.feeds import FeedKey, Watched
from vmi_store.folding import Changed

LOCATIONS_AT_ONCE: Final = 50
LOOK_AGAIN: Final = timedelta(days=1)
"""What is agreed may change with the day."""

_CADENCES: Final[Mapping[FeedKind, Callable[[AgreementMade], float | None]]] = {
    FeedKind.STOCK: lambda agreement: agreement.stock_cadence_hours,
    FeedKind.SALES: lambda agreement: agreement.sales_cadence_hours,
    FeedKind.ORDERS: lambda agreement: agreement.orders_cadence_hours,
}


async def follow_agreements(connection: Connection, agreed: Sequence[tuple[AgreementMade, datetime]]) -> None:
    """Watch the feeds that agreements name a cadence for, and look again at those of their locations."""
    since: dict[LocationKey, datetime] = {}
    watched: set[FeedKey] = set()
    for agreement, told_at in agreed:
        place = (agreement.customer_id, agreement.location_id)
        since[place] = max(told_at, since.get(place, told_at))
        watched |= {(*place, kind) for kind, cadence in _CADENCES.items() if cadence(agreement) is not None}
    await feeds.watch(connection, since, sorted(watched))


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at some locations found."""

    kept: Mapping[FeedKey, Watched]
    seen: Sequence[Observation]
    turned: set[LocationKey]
    """Where a feed has gone stale, or come back."""


async def watch_feeds(transaction: Transaction) -> bool:
    """Look at feeds that are due; return whether there may be more.

    Where one goes stale or comes back all that is agreed there is decided again. Positions are locked before feeds, as
    by who takes in facts.
    """
    connection = transaction.connection
    by_events = transaction.clock.mode is ClockMode.EVENTS
    now = await feeds.due(connection, None if by_events else transaction.clock.wall(), at_most=LOCATIONS_AT_ONCE)
    if not now:
        return False
    cadences = await _agreed(connection, now)
    turning = _looked(await feeds.read(connection, list(now)), cadences, now, by_events).turned
    keys = await agreements.keys_of(connection, locations=sorted(turning))
    versions = await positions.count_up(connection, keys)
    look = _looked(await feeds.lock(connection, list(now)), cadences, now, by_events)
    settled = {place: at for place, at in now.items() if place in turning or place not in look.turned}
    # What has turned between the two looks is left for the next time.
    await feeds.keep(connection, {key: one for key, one in look.kept.items() if key[:2] in settled})
    seen = [one for one in look.seen if (one.subject.customer_id, one.subject.location_id) in settled]
    await raising.settle(connection, [(*place, "") for place in settled], (Kind.STALE_FEED,), seen, settled)
    reached = {**now, **await watermarks.read(connection, list(now))}
    await publishing.tell(connection, [Changed(key, versions[key], None) for key in keys], reached)
    return len(now) == LOCATIONS_AT_ONCE


async def _agreed(connection: Connection, now: Mapping[LocationKey, datetime]) -> Mapping[FeedKey, timedelta]:
    known = await catalogue.locations(connection, list(now))
    sites = {
        place: SiteCalendar(known[place].time_zone, known[place].day_ends_at) if place in known else SiteCalendar()
        for place in now
    }
    return await feeds.cadences(connection, {place: sites[place].day_of(moment) for place, moment in now.items()})


def _looked(
    found: Mapping[FeedKey, Watched],
    cadences: Mapping[FeedKey, timedelta],
    now: Mapping[LocationKey, datetime],
    by_events: bool,
) -> _Look:
    """Return how each feed stands. By the events' clock a feed that never told of anything has no age."""
    kept: dict[FeedKey, Watched] = {}
    seen: list[Observation] = []
    turned: set[LocationKey] = set()
    for key, one in found.items():
        place, moment, cadence = key[:2], now[key[:2]], cadences.get(key)
        untold = by_events and one.feed.reached_at is None
        is_stale = cadence is not None and not untold and one.feed.is_stale(cadence, moment)
        if is_stale != (one.stale_since is not None):
            turned.add(place)
        due_at = None
        if cadence is not None:
            until = None if is_stale or untold else one.feed.fresh_until(cadence)
            due_at = min(moment + LOOK_AGAIN, until or moment + LOOK_AGAIN)
        kept[key] = Watched(one.feed, (one.stale_since or moment) if is_stale else None, due_at)
        if is_stale and cadence is not None:
            seen.append(_stale(key, one, cadence))
    return _Look(kept, seen, turned)


def _stale(key: FeedKey, one: Watched, cadence: timedelta) -> Observation:
    customer_id, location_id, kind = key
    reached = one.feed.reached_at
    hours = cadence / timedelta(hours=1)
    told = "has told of nothing yet" if reached is None else f"has told of nothing since {reached:%Y-%m-%d %H:%M} UTC"
    return Observation(
        Subject(Kind.STALE_FEED, customer_id, location_id, name=kind.value),
        True,
        f"The {kind.value} feed {told}; every {hours:g} hours is agreed. Proposals are held (held_stale_data).",
        {
            "cadence_hours": f"{hours:g}",
            "reached_at": "" if reached is None else reached.isoformat(),
            "proposals": "held_stale_data",
        },
    )
