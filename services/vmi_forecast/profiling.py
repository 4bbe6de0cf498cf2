"""Profiles and classes kept fresh: a location's every week that it closes, its customer's with it.

Where an agreement chooses the service target by class, a key is decided on again when its class is another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, timedelta
from math import isfinite
from typing import Any, Final

import numpy as np

from vmi_domain.stock.position import Key
from vmi_domain.understanding import classes
from vmi_domain.understanding.classes import settled
from vmi_domain.understanding.profiles import LOOKED_BACK_DAYS, Profile, profile
from vmi_runtime.clock import monotonic
from vmi_runtime.worker import Transaction
from vmi_store import agreements, profiles, turns
from vmi_store import due as replenishment_due
from vmi_store.forecasts import Location
from vmi_store.profiles import Classes, CustomerProfile, ItemProfile
from vmi_store.turns import Work

EVERY_DAYS: Final = 7
LOCATIONS_AT_ONCE: Final = 20
SECONDS_AT_ONCE: Final = 1.0
"""After so many the rest is left to the next transaction: the worker has its batches, and its ticks, to see to."""
DAY: Final = timedelta(days=1)
LOOKED_BACK: Final = timedelta(days=LOOKED_BACK_DAYS)
A_YEAR: Final = timedelta(days=365)


async def refresh(transaction: Transaction) -> bool:
    """Refresh the profiles of some locations that are due, all of one customer; return whether there may be more.

    What a class is measured against is the whole customer: it is read once for all of them.
    """
    connection = transaction.connection
    due = await _due_together(transaction)
    if not due:
        return False
    await turns.take(connection, Work.PROFILING, due)
    due = {at: day for at, day in (await _due_together(transaction)).items() if at in due}  # another may have been here
    if due:
        [customer_id] = {location.customer_id for location in due}
        [through] = set(due.values())
        worth = await profiles.values(connection, customer_id, since=through - A_YEAR, until=through)
        if await _refresh_items(transaction, customer_id, sorted(due), through, worth):
            await _refresh_customer(transaction, customer_id, through, sum(worth.values()))
    return True


async def _due_together(transaction: Transaction) -> dict[Location, date]:
    """Return locations that are due: those of one customer that are closed through the same day."""
    due = await profiles.due(transaction.connection, every_days=EVERY_DAYS, at_most=LOCATIONS_AT_ONCE)
    first = min(due, default=None)
    return {at: day for at, day in due.items() if first and (at.customer_id, day) == (first.customer_id, due[first])}


async def _refresh_items(
    transaction: Transaction,
    customer_id: str,
    locations: Sequence[Location],
    through: date,
    worth: Mapping[Key, float],
) -> bool:
    """Refresh the items of locations, one after the other; return whether there was the time for all of them."""
    connection = transaction.connection
    held = await profiles.classes(connection, customer_id)
    keys = sorted(worth)
    names = [_value_class(held.get(key)) for key in keys]
    ranked = dict(zip(keys, classes.by_value([worth[key] for key in keys], names), strict=True))
    enough = monotonic() + SECONDS_AT_ONCE
    found: list[ItemProfile] = []
    refreshed: dict[Location, date] = {}
    for location in locations:
        demand = await profiles.daily_demand(connection, location, since=through - LOOKED_BACK + DAY, until=through)
        found += [
            _item(key, _by_day(*days, through), through, worth.get(key, 0.0), ranked.get(key, "C"), held.get(key))
            for key, days in sorted(demand.items())
        ]
        refreshed[location] = through
        if monotonic() > enough:
            break
    risen_or_fallen = [one.key for one in found if _value_class(held.get(one.key)) != one.value_class.name]
    aimed = await agreements.aimed_by_class(connection, risen_or_fallen)
    if aimed:  # who decides on them now, by the class that was, notes when they are due before we do
        await turns.take(connection, Work.REPLENISHING, {key[:2] for key in aimed})
    await profiles.write(connection, found, refreshed)
    await replenishment_due.bring_forward(connection, aimed, replenishment_due.AT_ONCE)
    return len(refreshed) == len(locations)


def _value_class(held: Classes | None) -> str | None:
    return None if held is None else held.value.name


def _by_day(days: list[int], demand: list[float], through: date) -> tuple[np.ndarray, date]:
    """Return a figure a day from the first one to the last closed one."""
    figures = np.zeros(max(through.toordinal() - days[0] + 1, 0))
    figures[np.array(days) - days[0]] = demand
    return figures, date.fromordinal(days[0])


def _item(
    key: Key, demand: tuple[np.ndarray, date], through: date, value: float, ranked: str, held: Classes | None
) -> ItemProfile:
    shown = profile(*demand, held_pattern=None if held is None else held.pattern.name)
    variation = classes.by_variation(shown.variation, None if held is None else held.variation.name)
    return ItemProfile(
        key,
        through,
        value,
        settled(ranked, None if held is None else held.value),
        settled(variation, None if held is None else held.variation),
        settled(shown.pattern, None if held is None else held.pattern),
        told(shown),
    )


def told(shown: Profile) -> Mapping[str, Any]:
    """Return a profile as JSON has it: what is not known is null, figures have as many digits as they mean."""

    def plain(value: Any) -> Any:
        if isinstance(value, tuple):
            return [plain(one) for one in value]
        if isinstance(value, float):
            return round(value, 4) if isfinite(value) else None
        return value

    return {name: plain(getattr(shown, name)) for name in _FIGURES}


_FIGURES: Final = tuple(field.name for field in fields(Profile))


async def _refresh_customer(transaction: Transaction, customer_id: str, through: date, worth: float) -> None:
    """Class a customer among all: by value, and by how often and how regularly its shelves are bought from."""
    connection = transaction.connection
    days, demand = await profiles.purchases(connection, customer_id, since=through - A_YEAR, until=through)
    if not days:
        return
    shown = profile(*_by_day(days, demand, through))
    known = {one.customer_id: one for one in await profiles.customers(connection)}
    value = {name: one.value for name, one in known.items()} | {customer_id: worth}
    names = sorted(value)
    ranks = dict(zip(names, classes.by_value([value[name] for name in names]), strict=True))
    before = known[customer_id].customer_class if customer_id in known else None
    fresh = classes.customer_class(
        ranks[customer_id], shown.mean_interval_days, shown.regularity, None if before is None else before.name
    )
    written = CustomerProfile(customer_id, through, value[customer_id], settled(fresh, before), told(shown))
    await profiles.write_customer(connection, written)
