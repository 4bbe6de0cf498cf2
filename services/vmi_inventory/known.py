"""What is known of customers' locations and items: copies that batches share, read again when master data changed."""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import field
from datetime import date, datetime
from typing import Final

from vmi_domain.days import SiteCalendar
from vmi_domain.values import dataclass
from vmi_store import agreements, catalogue
from vmi_store.agreements import Reading
from vmi_store.catalogue import Item, ItemKey, LocationKey
from vmi_store.engine import Connection

MOST_COPIES: Final = 500_000
"""Beyond that all copies are dropped and read again, so that memory stays within bounds."""

BY_AGREEMENT: Final = Item(base_unit="EA", units={})
"""An item that an agreement names and no catalogue describes: it has one unit."""


Readings = Mapping[tuple[str, str], Sequence[Reading]]
"""By location and item."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a batch may rely on until its commit. What is in neither is unknown."""

    sites: Mapping[LocationKey, SiteCalendar]
    items: Mapping[str, Mapping[str, Item]]
    """By customer and item."""
    readings: Mapping[str, Readings] = field(default_factory=dict)
    """By customer: where facts are to be read otherwise than by default."""

    def reading(self, customer_id: str, location_id: str, item_id: str, happened: datetime | date) -> Reading | None:
        """Return how a fact is to be read by what is agreed for its day; None by default."""
        of_key = self.readings[customer_id].get((location_id, item_id))
        if of_key is None:
            return None
        site = self.sites[customer_id, location_id]
        day = site.day_of(happened) if isinstance(happened, datetime) else happened
        for one in of_key:
            if one.effective_from <= day and (one.effective_to is None or day <= one.effective_to):
                return one
        return None


@dataclass(slots=True)
class _Copies:
    """Copies of one customer's master data, all of one version."""

    version: int
    sites: dict[str, SiteCalendar] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    readings: dict[tuple[str, str], list[Reading]] = field(default_factory=dict)


class MasterData:
    """The copies of this process. What is unknown is not remembered: it may come to be known at any time."""

    def __init__(self) -> None:
        self._customers: dict[str, _Copies] = {}

    async def of(self, connection: Connection, sites: Iterable[LocationKey], items: Mapping[str, Set[str]]) -> Known:
        """Return what is known of these sites and customers' items; it cannot change before the commit."""
        wanted = set(sites)
        changed = []
        for customer, version in (await catalogue.hold(connection, [*items, *(one for one, _ in wanted)])).items():
            held = self._customers.get(customer)
            if held is None or held.version != version:
                self._customers[customer] = _Copies(version)
                changed.append(customer)
        if changed:
            for customer, readings in (await agreements.readings(connection, changed)).items():
                of_customer = self._customers[customer].readings
                for one in readings:
                    of_customer.setdefault((one.location_id, one.item_id), []).append(one)
        await self._read_sites(connection, {at for at in wanted if at[1] not in self._customers[at[0]].sites})
        await self._read_items(
            connection, {(of, item) for of in items for item in items[of] - self._customers[of].items.keys()}
        )
        known = Known(
            {at: site for at in wanted if (site := self._customers[at[0]].sites.get(at[1])) is not None},
            {of: self._customers[of].items for of in items},
            {of: self._customers[of].readings for of in items},
        )
        if sum(len(copies.sites) + len(copies.items) for copies in self._customers.values()) > MOST_COPIES:
            self._customers.clear()
        return known

    async def _read_sites(self, connection: Connection, missing: set[LocationKey]) -> None:
        if not missing:
            return
        found = await catalogue.locations(connection, sorted(missing))
        for (customer, location), place in found.items():
            self._customers[customer].sites[location] = SiteCalendar(place.time_zone, place.day_ends_at)
        if rest := missing - found.keys():
            for customer, location in await agreements.locations(connection, sorted(rest)):
                self._customers[customer].sites[location] = SiteCalendar()

    async def _read_items(self, connection: Connection, missing: set[ItemKey]) -> None:
        if not missing:
            return
        found = await catalogue.items(connection, sorted(missing))
        for (customer, item), described in found.items():
            self._customers[customer].items[item] = described
        if rest := missing - found.keys():
            for customer, item in await agreements.items(connection, sorted(rest)):
                self._customers[customer].items[item] = BY_AGREEMENT
