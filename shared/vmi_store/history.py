"""What was known of a key at any time: the fold over the rows of the journal that were there by then (F21)."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.position import ABSOLUTE, ADDING, NOTHING, Balance, Count, Key, Kind, Movement, Supply, fold
from vmi_domain.stock.supply import SupplyLine, supply_lines, totals
from vmi_domain.stock.supply_facts import Accepted
from vmi_store import journal, supply
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


async def read(
    connection: AsyncConnection, key: Key, *, at: datetime | None = None, known_at: datetime | None = None
) -> Known:
    """Return a key as of ``at``, as it was known at ``known_at``; without them as it is now."""
    lines = (await journal.of_keys(connection, [key]))[key]
    facts = (await supply.facts(connection, [key]))[key]
    return as_known(lines, [fact for fact in facts if isinstance(fact, Accepted)], at=at, known_at=known_at)


def as_known(
    lines: Iterable[JournalLine],
    accepted: Iterable[Accepted] = (),
    *,
    at: datetime | None = None,
    known_at: datetime | None = None,
) -> Known:
    """Return what the rows of one key say that happened up to ``at`` and were recorded up to ``known_at``.

    A reversal is recorded when we learned better: before, what it takes back stands. What was accepted of proposals is
    no row of the journal; we knew of it as it happened.
    """
    there = [
        line
        for line in lines
        if (at is None or line.occurred_at <= at) and (known_at is None or line.recorded_at <= known_at)
    ]
    bounds = [moment for moment in (at, known_at) if moment is not None]
    bound = [one for one in accepted if all(one.at <= moment for moment in bounds)]
    standing = journal.standing(there)
    counts = [count_of(line) for line in standing if line.kind in ABSOLUTE]
    balance = fold(counts, [movement_of(line) for line in standing if line.kind in ADDING])
    goods = supply_lines([*bound, *supply.facts_of(there)])
    return Known(balance, totals(goods, balance.counted_at), _statuses(standing, counts), there, goods)


def _statuses(standing: Sequence[JournalLine], counts: Sequence[Count]) -> dict[str, Decimal]:
    anchor = max(counts, key=lambda count: count.order, default=None)
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


def _details(line: JournalLine) -> dict[str, Any]:
    told: dict[str, Any] = orjson.loads(line.details) if line.details else {}
    return told
