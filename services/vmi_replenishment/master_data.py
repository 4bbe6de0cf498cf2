"""What is agreed, and where: copies of master data, read again whenever a customer's master data changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import date, timedelta
from typing import Final, NamedTuple

from vmi_contracts.inbound import AgreementMade
from vmi_domain.days import SiteCalendar
from vmi_domain.exceptions.rules import Thresholds
from vmi_domain.replenishment.reviewing import Terms
from vmi_domain.stock.feeds import FeedKind
from vmi_domain.stock.position import Authority, Basis, Key
from vmi_domain.values import dataclass
from vmi_replenishment.terms import cadences_of, terms_of
from vmi_runtime.raising import thresholds_of
from vmi_runtime.worker import Transaction
from vmi_store import agreements, catalogue

MOST_AGREEMENTS: Final = 100_000
"""Copies kept of one customer; beyond that they are dropped and read again, so that memory stays within bounds."""
UNKNOWN_UNIT: Final = "EA"
DAY: Final = timedelta(days=1)

Site = tuple[str, str]
"""Customer and location."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """What holds for a key on one day."""

    terms: Terms
    authority: Authority
    basis: Basis
    thresholds: Thresholds
    cadences: tuple[tuple[FeedKind, timedelta], ...] = ()
    """How often the feeds come that are watched."""


class Term(NamedTuple):
    """From when to when a key's agreement is in force."""

    effective_from: date
    effective_to: date | None
    agreed: Agreed


@dataclass(eq=False, slots=True)
class Agreements:
    """All that is agreed for a key, on whatever day. Keys of which the same is agreed have the same one."""

    terms: tuple[Term, ...]
    """Suppliers in their order; of one supplier's the latest comes first."""

    def on(self, day: date) -> tuple[Agreed, ...]:
        """Return what is in force on a day, one a supplier, suppliers in their order."""
        found: dict[str, Agreed] = {}
        for effective_from, effective_to, agreed in self.terms:
            if effective_from <= day and (effective_to is None or day <= effective_to):
                found.setdefault(agreed.terms.supplier_id, agreed)
        return tuple(found.values())

    def change_after(self, day: date) -> date | None:
        """Return the first day after this one from which other terms may hold; None where they stay."""
        begin = [one.effective_from for one in self.terms]
        ended = [one.effective_to + DAY for one in self.terms if one.effective_to is not None]
        return min((one for one in (*begin, *ended) if one > day), default=None)


@dataclass(slots=True)
class _Customer:
    """Copies of one customer's master data, all of one version of it or a later one."""

    version: int
    calendars: dict[str, SiteCalendar] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    agreements: dict[Key, Agreements] = field(default_factory=dict)


@dataclass(slots=True)
class _Shared:
    """Most agreements say the same: what is equal is kept once, and is the same one."""

    agreed: dict[Agreed, Agreed] = field(default_factory=dict)
    agreements: dict[tuple[Term, ...], Agreements] = field(default_factory=dict)

    def one(self, agreed: Agreed) -> Agreed:
        if len(self.agreed) >= MOST_AGREEMENTS:
            self.agreed.clear()
        return self.agreed.setdefault(agreed, agreed)

    def all(self, terms: tuple[Term, ...]) -> Agreements:
        if len(self.agreements) >= MOST_AGREEMENTS:
            self.agreements.clear()
        found = self.agreements.get(terms)
        if found is None:
            found = self.agreements[terms] = Agreements(terms)
        return found


class MasterData:
    """Copies that several batches share. Nothing in them outlives a change of what they are copies of."""

    def __init__(self) -> None:
        self._customers: dict[str, _Customer] = {}
        self._shared = _Shared()

    async def as_of_now(self, transaction: Transaction, customers: Iterable[str]) -> "Copies":
        """Return the copies as a batch may use them: no older than its transaction.

        A copy is filed under the version that was read *before* it, so that it may be newer than that, never older.
        """
        versions = await catalogue.versions(transaction.connection, sorted(set(customers)))
        current = {}
        for customer, version in versions.items():
            held = self._customers.get(customer)
            if held is None or held.version < version:
                held = self._customers[customer] = _Customer(version)
            current[customer] = held if held.version == version else _Customer(version)
        return Copies(transaction, current, self._shared)


class Copies:
    """Master data for one batch."""

    def __init__(self, transaction: Transaction, customers: dict[str, _Customer], shared: _Shared) -> None:
        self._connection = transaction.connection
        self._customers = customers
        self._shared = shared

    async def calendars(self, sites: Iterable[Site]) -> Mapping[Site, SiteCalendar]:
        """Return the days of each site; one that no catalogue names has UTC days."""
        wanted = sorted(set(sites))
        missing = [site for site in wanted if self._copy(site[0]).calendars.get(site[1]) is None]
        if missing:
            known = await catalogue.locations(self._connection, missing)
            for customer_id, location_id in missing:
                place = known.get((customer_id, location_id))
                self._copy(customer_id).calendars[location_id] = (
                    SiteCalendar() if place is None else SiteCalendar(place.time_zone, place.day_ends_at)
                )
        return {site: self._copy(site[0]).calendars[site[1]] for site in wanted}

    async def units(self, keys: Iterable[Key]) -> Mapping[tuple[str, str], str]:
        """Return the base unit of each customer's item."""
        wanted = sorted({(key.customer_id, key.item_id) for key in keys})
        missing = [item for item in wanted if item[1] not in self._copy(item[0]).units]
        if missing:
            known = await catalogue.items(self._connection, missing)
            for customer_id, item_id in missing:
                item = known.get((customer_id, item_id))
                self._copy(customer_id).units[item_id] = UNKNOWN_UNIT if item is None else item.base_unit
        return {item: self._copy(item[0]).units[item[1]] for item in wanted}

    async def agreed(self, on: Sequence[tuple[Key, date, SiteCalendar, str]]) -> list[Agreed | None]:
        """Return what holds for each key on its day with a supplier, or with the first where that has no agreement.

        None where nothing is agreed.
        """
        calendars = {key[:2]: calendar for key, _, calendar, _ in on}
        agreements = await self.agreements([key for key, _, _, _ in on], calendars)
        offers = [one.on(day) for one, (_, day, _, _) in zip(agreements, on, strict=True)]
        return [
            next((one for one in found if one.terms.supplier_id == supplier), found[0]) if found else None
            for found, (_, _, _, supplier) in zip(offers, on, strict=True)
        ]

    async def agreements(self, keys: Sequence[Key], calendars: Mapping[Site, SiteCalendar]) -> list[Agreements]:
        """Return all that is agreed for each key; ``calendars`` are those of their sites."""
        held = [self._copy(key.customer_id).agreements.get(key) for key in keys]
        if None not in held:
            return [one for one in held if one is not None]
        read = await self._read([key for key, one in zip(keys, held, strict=True) if one is None], calendars)
        return [read[key] if one is None else one for key, one in zip(keys, held, strict=True)]

    async def _read(self, keys: Sequence[Key], calendars: Mapping[Site, SiteCalendar]) -> Mapping[Key, Agreements]:
        """Read all that is agreed for these keys, on whatever day: days pass, and agreements stay."""
        ordered = sorted(set(keys))
        read = dict.fromkeys(ordered, self._shared.all(()))
        for worded, places in await agreements.wordings_of_keys(self._connection, ordered):
            by_zone: dict[str, Agreements] = {}
            for key in [ordered[place] for place in places]:
                zone = calendars[key[:2]].zone
                if zone not in by_zone:
                    by_zone[zone] = self._shared.all(tuple(self._term(one, zone) for one in worded))
                read[key] = by_zone[zone]
        for key, found in read.items():
            copies = self._copy(key.customer_id).agreements
            if len(copies) >= MOST_AGREEMENTS:
                copies.clear()
            copies[key] = found
        return read

    def _term(self, agreement: AgreementMade, zone: str) -> Term:
        agreed = Agreed(
            terms_of(agreement, zone=zone),
            Authority(agreement.stock_authority.value),
            Basis(agreement.stock_basis.value),
            thresholds_of(agreement),
            cadences_of(agreement),
        )
        return Term(agreement.effective_from, agreement.effective_to, self._shared.one(agreed))

    def _copy(self, customer_id: str) -> _Customer:
        """A customer without master data has no version, and copies for this batch only."""
        copy = self._customers.get(customer_id)
        if copy is None:
            copy = self._customers[customer_id] = _Customer(0)
        return copy
