"""Keeping forecasts up to date: closed days are learned once, late facts redo their series, news is told."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Final

from vmi_domain.stock.position import Key
from vmi_forecast import learning, remembering, telling
from vmi_forecast.changes import Changes, read_changes
from vmi_runtime import retrying
from vmi_runtime.clock import ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import forecasts, quarantine, turns
from vmi_store.forecasts import Location, Site
from vmi_store.quarantine import Held, Rejected
from vmi_store.turns import Work

CLOSING_GRACE: Final = timedelta(hours=12)
"""So long after its end a day is closed by the clock where no fact has closed it: feeds may be late."""
LOCATIONS_AT_ONCE: Final = 50
"""Locations that one tick closes in one transaction."""

DemandFrom = Mapping[str, date | None]


async def follow_positions(changes: Changes, transaction: Transaction) -> None:
    """Learn what the changes make known. A day is closed when the location's watermark has passed it."""
    await quarantine.add(transaction.connection, changes.rejected)
    await turns.take(transaction.connection, Work.FORECASTING, changes.demand_from)
    sites = await forecasts.sites(transaction.connection, sorted(changes.demand_from))
    closed = {location: _last_closed(site, site.reached_at) for location, site in sites.items()}
    await _keep_up(changes.demand_from, sites, closed, transaction)


async def take_again(due: Sequence[Held], transaction: Transaction) -> list[Rejected]:
    """Follow messages again that were put aside; return what is refused again."""
    changes = read_changes([retrying.record_of(held[0].rejected) for held in retrying.by_record(due)])
    refused, changes.rejected = changes.rejected, []
    await follow_positions(changes, transaction)
    return refused


async def close_quiet_days(transaction: Transaction) -> bool:
    """Close days at locations that no fact has closed; return whether there may be more."""
    if transaction.clock.mode is ClockMode.EVENTS:
        return False
    by_now = transaction.clock.wall() - CLOSING_GRACE
    behind = await forecasts.locations_behind(transaction.connection, by_now, at_most=LOCATIONS_AT_ONCE)
    await turns.take(transaction.connection, Work.FORECASTING, behind)
    sites = await forecasts.sites(transaction.connection, behind)
    closed = {location: _last_closed(site, by_now) for location, site in sites.items()}
    await _keep_up({location: {} for location in sites}, sites, closed, transaction)
    return len(sites) == LOCATIONS_AT_ONCE


def _last_closed(site: Site, reached_at: datetime | None) -> date | None:
    """Return the last closed day; a day that was closed stays so. None before there is any fact."""
    days = [] if reached_at is None else [site.calendar.last_closed_day(reached_at)]
    return max([*days, *([] if site.closed_through is None else [site.closed_through])], default=None)


async def _keep_up(
    demand_from: Mapping[Location, DemandFrom],
    sites: Mapping[Location, Site],
    closed: Mapping[Location, date | None],
    transaction: Transaction,
) -> None:
    """Bring locations up to their closed days. The caller has their turns."""
    connection = transaction.connection
    through = {location: day for location, day in closed.items() if day is not None}
    closing = [location for location, day in sorted(through.items()) if day != sites[location].closed_through]
    late = _late(demand_from, through)
    standing = await forecasts.at(connection, closing)
    closes = set(closing)
    named = {location: [Key(*location, item) for item in demand_from[location]] for location in through}
    new = {key for location in closing for key in named[location]} - standing.keys()
    new |= await forecasts.unknown(
        connection, [key for location, keys in named.items() if location not in closes for key in keys]
    )
    # The first day that closes here takes in all that is there: after a rebuild, too.
    unseen = [location for location in closing if sites[location].closed_through is None]
    everything = await forecasts.keys_with_a_position(connection, unseen) if unseen else []
    standing |= await forecasts.read(connection, late.keys() - new - standing.keys())
    keys = sorted({*new, *late, *standing, *everything})
    if not keys and not closing:
        return
    tasks = await learning.tasks(transaction, keys, standing, late, through)
    if tasks:
        learned = await learning.learn(transaction, tasks, sites, closing)
        await telling.tell(transaction, learned)
        await remembering.note(transaction, learned)
    await forecasts.close(connection, [(location, through[location]) for location in closing])


def _late(demand_from: Mapping[Location, DemandFrom], through: Mapping[Location, date]) -> dict[Key, date]:
    """Return the keys whose demand changed on a day that is closed already, with the earliest such day."""
    return {
        Key(*location, item): day
        for location, last in through.items()
        for item, day in demand_from[location].items()
        if day is not None and day <= last
    }
