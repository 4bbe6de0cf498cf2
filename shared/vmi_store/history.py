"""What was known of a key at any time: the fold over the rows of the journal that were there by then (F21)."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.days import SiteCalendar
from vmi_domain.stock.daily import DayEffect
from vmi_domain.stock.position import ABSOLUTE, ADDING, NOTHING, Balance, Count, Key, Kind, Movement, Supply, fold
from vmi_domain.stock.supply import SupplyLine, supply_lines, totals
from vmi_domain.stock.supply_facts import Fact
from vmi_domain.values import dataclass
from vmi_store import archiving, journal, supply
from vmi_store.journal import JournalLine


@dataclass(frozen=True, slots=True)
class Known:
    """A key as it was, as far as was known; base units."""

    balance: Balance
    supply: Supply
    statuses: dict[str, Decimal]
    """What was unavailable, by the status that was told with it; the rest of it was told without one."""
    lines: Sequence[JournalLine]
    """All the rows that were there, in the order in which they happened: those that are taken back, and what took them
    back, too."""
    supply_lines: Sequence[SupplyLine]
    archived_through: date | None = None
    """The last day of which archived rows are counted, as the sums of their days."""


async def read(
    connection: AsyncConnection,
    key: Key,
    site: SiteCalendar,
    *,
    at: datetime | None = None,
    known_at: datetime | None = None,
) -> Known:
    """Return a key as of ``at``, as it was known at ``known_at``; without them as it is now."""
    lines = (await journal.of_keys(connection, [key]))[key]
    beside = (await supply.facts_beside_journal(connection, [key]))[key]
    days = await archiving.days(connection, key)
    return as_known(lines, beside, days, site, at=at, known_at=known_at)


def as_known(
    lines: Iterable[JournalLine],
    beside: Iterable[Fact],
    days: Iterable[DayEffect],
    site: SiteCalendar,
    *,
    at: datetime | None,
    known_at: datetime | None,
) -> Known:
    """Return what the rows of one key say that happened up to ``at`` and were recorded up to ``known_at``.

    A reversal is recorded when we learned better: before, what it takes back stands. ``beside`` the rows are facts
    about supply of which none tells (accepted, or archived); we knew of them as they happened. Of archived rows
    ``days`` has the sums: a day counts from its end on, and the counts that set its stock are in the archive alone.
    """
    there = [
        line
        for line in lines
        if (at is None or line.occurred_at <= at) and (known_at is None or line.recorded_at <= known_at)
    ]
    bounds = [moment for moment in (at, known_at) if moment is not None]
    known = [one for one in beside if all(one.at <= moment for moment in bounds)]
    standing = journal.standing(there)
    counts = [count_of(line) for line in standing if line.kind in ABSOLUTE]
    anchor = max(counts, key=lambda count: count.order, default=None)
    # Of the anchor's own day what came after it is not archived.
    after = date.min if anchor is None else site.day_up_to(anchor.as_of)
    summed = [one for one in days if one.day > after and all(site.end_of(one.day) <= moment for moment in bounds)]
    moved = [movement_of(line) for line in standing if line.kind in ADDING]
    balance = fold(counts, [*moved, *(movement for one in summed for movement in _movements_of(one, site))])
    goods = supply_lines([*known, *supply.facts_of(there)])
    return Known(
        balance,
        totals(goods, balance.counted_at),
        _statuses(standing, anchor),
        there,
        goods,
        archived_through=max((one.day for one in summed), default=None),
    )


def _statuses(standing: Sequence[JournalLine], anchor: Count | None) -> dict[str, Decimal]:
    found: dict[str, Decimal] = {}
    for line in standing:
        is_anchor = anchor is not None and line.line_id == anchor.line_id.bytes and line.kind in ABSOLUTE
        is_later = line.kind is Kind.ADJUSTMENT and (anchor is None or line.occurred_at > anchor.as_of)
        if is_anchor or is_later:
            for status, quantity in journal.statuses_of(line).items():
                found[status] = found.get(status, NOTHING) + quantity
    return {status: quantity for status, quantity in sorted(found.items()) if quantity}


def count_of(line: JournalLine) -> Count:
    """Return a report's or count's line as the count it is."""
    told = _details(line)
    owned = told.get("supplier_owned")
    return Count(
        line.occurred_at,
        line.quantity,
        unavailable=Decimal(told.get("unavailable", 0)),
        reserved=Decimal(told.get("reserved", 0)),
        backlog=Decimal(told.get("backlog", 0)),
        supplier_owned=None if owned is None else Decimal(owned),
        revision=int(told.get("revision", 0)),
        kind=line.kind,
        line_id=UUID(bytes=line.line_id),
    )


def movement_of(line: JournalLine) -> Movement:
    """Return the line of what adds to the stock as the movement it is."""
    if line.kind is Kind.TITLE:
        return Movement(line.occurred_at, NOTHING, titled=line.quantity)
    return Movement(
        line.occurred_at,
        line.quantity,
        is_receipt=line.kind is Kind.RECEIPT,
        held_back=journal.held_back_by(line),
    )


def _movements_of(day: DayEffect, site: SiteCalendar) -> tuple[Movement, Movement]:
    """Return what archived rows add to a day as if it had moved at its end: receipts apart."""
    at = site.end_of(day.day)
    return (
        Movement(at, day.moved, held_back=day.held_back, titled=day.titled),
        Movement(at, day.received, is_receipt=True),
    )


def _details(line: JournalLine) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(line.details) if line.details else {}
    return told
