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


@dataclass(slots=True)
class _Customer:
    """Copies of one customer's master data, all of one version of it or a later one."""

    version: int
    calendars: dict[str, SiteCalendar] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    agreed: dict[Key, tuple[Term, ...]] = field(default_factory=dict)


class MasterData:
    """Copies that several batches share. Nothing in them outlives a change of what they are copies of."""

    def __init__(self) -> None:
        self._customers: dict[str, _Customer] = {}
        self._shared: dict[Agreed, Agreed] = {}

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

    def __init__(self, transaction: Transaction, customers: dict[str, _Customer], shared: dict[Agreed, Agreed]) -> None:
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
        offers = await self.offers([(key, day, calendar) for key, day, calendar, _ in on])
        return [
            next((one for one in found if one.terms.supplier_id == supplier), found[0]) if found else None
            for found, (_, _, _, supplier) in zip(offers, on, strict=True)
        ]

    async def offers(self, on: Sequence[tuple[Key, date, SiteCalendar]]) -> list[tuple[Agreed, ...]]:
        """Return what holds for each key on its day, one a supplier, suppliers in their order."""
        return [_on(day, terms) for (_, day, _), terms in zip(on, await self._terms(on), strict=True)]

    async def changes(self, after: Sequence[tuple[Key, date, SiteCalendar]]) -> list[date | None]:
        """Return the first day after its own from which other terms may hold for each key; None where they stay."""
        return [_change_after(day, terms) for (_, day, _), terms in zip(after, await self._terms(after), strict=True)]

    async def _terms(self, on: Sequence[tuple[Key, date, SiteCalendar]]) -> list[tuple[Term, ...]]:
        """Return all that is agreed for each key, on whatever day."""
        terms = [self._copy(key.customer_id).agreed.get(key) for key, _, _ in on]
        missing = {key: calendar for (key, _, calendar), known in zip(on, terms, strict=True) if known is None}
        read = await self._read_terms(missing) if missing else {}
        return [read[key] if known is None else known for (key, _, _), known in zip(on, terms, strict=True)]

    async def _read_terms(self, calendars: Mapping[Key, SiteCalendar]) -> Mapping[Key, tuple[Term, ...]]:
        """Read all that is agreed for these keys, on whatever day: days pass, and agreements stay."""
        agreed = await agreements.of_keys(self._connection, sorted(calendars))
        read = {
            key: tuple(
                Term(one.effective_from, one.effective_to, self._agreed(one, calendar)) for one in agreed.get(key, ())
            )
            for key, calendar in calendars.items()
        }
        for key, terms in read.items():
            copies = self._copy(key.customer_id).agreed
            if len(copies) >= MOST_AGREEMENTS:
                copies.clear()
            copies[key] = terms
        return read

    def _agreed(self, agreement: AgreementMade, calendar: SiteCalendar) -> Agreed:
        """Most agreements say the same: what is equal is kept once."""
        agreed = Agreed(
            terms_of(agreement, zone=calendar.zone),
            Authority(agreement.stock_authority.value),
            Basis(agreement.stock_basis.value),
            thresholds_of(agreement),
            cadences_of(agreement),
        )
        if len(self._shared) >= MOST_AGREEMENTS:
            self._shared.clear()
        return self._shared.setdefault(agreed, agreed)

    def _copy(self, customer_id: str) -> _Customer:
        """A customer without master data has no version, and copies for this batch only."""
        copy = self._customers.get(customer_id)
        if copy is None:
            copy = self._customers[customer_id] = _Customer(0)
        return copy


def _on(day: date, terms: Sequence[Term]) -> tuple[Agreed, ...]:
    """Return what is in force on a day. Of a supplier's terms, suppliers in their order, the latest comes first."""
    found: dict[str, Agreed] = {}
    for effective_from, effective_to, agreed in terms:
        if effective_from <= day and (effective_to is None or day <= effective_to):
            found.setdefault(agreed.terms.supplier_id, agreed)
    return tuple(found.values())


def _change_after(day: date, terms: Sequence[Term]) -> date | None:
    begin = [one.effective_from for one in terms]
    ended = [one.effective_to + DAY for one in terms if one.effective_to is not None]
    return min((one for one in (*begin, *ended) if one > day), default=None)
