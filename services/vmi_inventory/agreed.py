"""What holds for keys now: the moment, and the agreement."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from vmi_contracts.inbound import AgreementMade
from vmi_domain.stock.position import Key
from vmi_runtime.clock import ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import agreements, watermarks
from vmi_store.catalogue import LocationKey
from vmi_store.engine import Connection


async def nows(places: set[LocationKey], transaction: Transaction) -> dict[LocationKey, datetime]:
    """Return what *now* means at these locations, from all of which facts have come."""
    wall = transaction.clock.wall()
    if transaction.clock.mode is ClockMode.WALL:
        return dict.fromkeys(places, wall)
    reached = await watermarks.read(transaction.connection, sorted(places))
    return {place: reached.get(place, wall) for place in places}


async def in_force(
    connection: Connection, keys: Sequence[Key], now: Mapping[LocationKey, datetime]
) -> Mapping[Key, AgreementMade]:
    """Return the first agreement of each key that has one."""
    found = await agreements.in_force(connection, [(key, now[key[:2]].date()) for key in keys])
    return {key: agreed[0] for key, agreed in found.items()}
