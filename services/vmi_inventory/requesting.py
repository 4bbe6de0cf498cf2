"""Counts that are asked for: where records are likely wrong and it matters, within what a location can do a day."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from typing import Final
from uuid import UUID, uuid5

from vmi_contracts import topics
from vmi_contracts.inbound import AgreementMade, StockAuthority, StockBasis
from vmi_contracts.outbound import CountReason, CountRequestLine, CountRequestStatus, CountsRequested
from vmi_domain.exceptions.rules import Thresholds
from vmi_domain.stock.confidence import Candidate, Reason, Record, confidence, reason_to_count, worth_counting
from vmi_domain.stock.drift import is_tolerated
from vmi_domain.stock.position import Authority, Basis, Key, Stock, stock
from vmi_inventory.agreed import in_force, nows
from vmi_runtime.clock import ClockMode
from vmi_runtime.raising import thresholds_of
from vmi_runtime.worker import Transaction
from vmi_store import catalogue, count_requests, outbox, turns
from vmi_store.catalogue import LocationKey
from vmi_store.count_requests import Kept, Request
from vmi_store.engine import Connection
from vmi_store.outbox import OutboxMessage
from vmi_store.reconciling import Counted
from vmi_store.turns import Work

NAMESPACE: Final = UUID("5b1c1b5e-2a5f-5f0a-9a44-6d1f0f8a7c33")
"""Never changed: ids of requests and of their messages hang on it."""
SOURCE: Final = "vmi/inventory"
LOCATIONS_AT_ONCE: Final = 10
DAYS_OF_REQUESTS: Final = 7
"""Where nobody counts, no more is asked for than could be done in so many days."""


async def ask_for_counts(transaction: Transaction) -> bool:
    """Ask for the counts of a day at locations where one has begun; return whether there may be more."""
    connection = transaction.connection
    now = None if transaction.clock.mode is ClockMode.EVENTS else transaction.clock.wall()
    places = await count_requests.unsurveyed(connection, now, at_most=LOCATIONS_AT_ONCE)
    if not places:
        return False
    await turns.take(connection, Work.RECONCILING, places)
    await _ask(transaction, await count_requests.unsurveyed(connection, now, only=places))
    return len(places) == LOCATIONS_AT_ONCE


async def _ask(transaction: Transaction, todays: Mapping[LocationKey, date]) -> None:
    """Ask for what pays most at each of these locations, where the given day has begun."""
    if not todays:
        return
    connection = transaction.connection
    now = await nows(set(todays), transaction)
    await count_requests.survey(connection, todays)
    asking, waiting = await _budgets(connection, todays)
    doubtful = [
        one
        for one in (await count_requests.kept(connection, {at: todays[at] for at in asking}) if asking else ())
        if one.key.item_id not in waiting[one.key[:2]] and _is_doubtful(one, todays[one.key[:2]])
    ]
    if not doubtful:
        return
    agreed = await in_force(connection, [one.key for one in doubtful], now)
    held = {one.key: held_by(one, agreed[one.key]) for one in doubtful if one.key in agreed}
    candidates: dict[LocationKey, list[Candidate]] = {}
    for one in doubtful:
        if one.key in agreed:
            place, terms = one.key[:2], agreed[one.key]
            record = record_of(one, terms, held[one.key], todays[place])
            candidates.setdefault(place, []).append(Candidate(one.key.item_id, record, float(terms.unit_price or 1)))
    requests = [
        Request(
            key=(key := Key(*place, one.item_id)),
            request_id=uuid5(NAMESPACE, "|".join((*key, todays[place].isoformat()))),
            requested_on=todays[place],
            requested_at=now[place],
            reason=reason,
            expected=held[key].physical + held[key].received_unconfirmed,
            confidence=round(confidence(one.record), 4),
        )
        for place, of_place in candidates.items()
        for one, reason in worth_counting(of_place, asking[place])
    ]
    await count_requests.ask(connection, requests)
    await _tell(connection, requests)


async def _budgets(
    connection: Connection, places: Collection[LocationKey]
) -> tuple[Mapping[LocationKey, int], Mapping[LocationKey, set[str]]]:
    """Return how many counts may be asked for at each location where any may, and what is asked for already."""
    can = await catalogue.counts_a_day(connection, sorted(places))
    waiting = await count_requests.waiting(connection, places)
    budgets = {}
    for place in places:
        a_day = can.get(place, catalogue.COUNTS_A_DAY)
        budget = min(a_day, a_day * DAYS_OF_REQUESTS - len(waiting[place]))
        if budget > 0:
            budgets[place] = budget
    return budgets, waiting


def _is_doubtful(kept: Kept, today: date) -> bool:
    """Return whether the record may be worth a count, whatever is agreed about it: that is a few of very many.

    By an agreement less drift may be an error, and what is set apart may stand beside what was reported.
    """
    reported = kept.balance.counted + kept.balance.moved + kept.balance.received
    errors = len(kept.history)
    if reason_to_count(_record(kept, reported, errors, today)) is not None:
        return True
    apart = kept.balance.unavailable + kept.balance.reserved
    return apart != 0 and reason_to_count(_record(kept, reported + apart, errors, today)) is not None


def held_by(kept: Kept, agreement: AgreementMade | None) -> Stock:
    """Return the quantities of a key by their names, as it is agreed to read them."""
    authority = StockAuthority.SNAPSHOT if agreement is None else agreement.stock_authority
    basis = StockBasis.GROSS if agreement is None else agreement.stock_basis
    return stock(kept.balance, kept.supply, authority=Authority(authority.value), basis=Basis(basis.value))


def record_of(kept: Kept, agreement: AgreementMade | None, held: Stock, today: date) -> Record:
    """Return what is known of how right a key's record is."""
    thresholds = Thresholds() if agreement is None else thresholds_of(agreement)
    errors = sum(
        not is_tolerated(drift, expected, tolerance=thresholds.drift_tolerance, share=thresholds.drift_tolerance_share)
        for expected, drift in kept.history
    )
    return _record(kept, held.physical + held.received_unconfirmed, errors, today)


def _record(kept: Kept, on_hand: Decimal, errors: int, today: date) -> Record:
    yesterday = today - timedelta(days=1)
    quiet_since = max(filter(None, (kept.last_sold, kept.last_received, kept.looked_on)), default=yesterday)
    return Record(
        on_hand=float(on_hand),
        age_days=float((today - (kept.looked_on or kept.known_since)).days),
        observed_days=float((today - kept.known_since).days),
        errors=errors,
        selling_days=kept.selling_days,
        window_days=kept.window_days,
        quiet_days=max((yesterday - quiet_since).days, 0),
        daily_demand=float(kept.sold_in_window) / kept.window_days if kept.window_days else 0.0,
    )


async def answer(connection: Connection, counts: Sequence[Counted]) -> None:
    """Let counts answer the requests that were waiting for them."""
    answered = await count_requests.answer(connection, [(one.key, one.as_of, one.counted) for one in counts])
    await _tell(connection, answered)


async def _tell(connection: Connection, requests: Sequence[Request]) -> None:
    units = await catalogue.items(connection, [(one.key.customer_id, one.key.item_id) for one in requests])
    base_units = {item: described.base_unit for item, described in units.items()}
    await outbox.add(connection, list(_messages(requests, base_units)))


def _messages(requests: Sequence[Request], units: Mapping[tuple[str, str], str]) -> Iterator[OutboxMessage]:
    ordered = sorted(requests, key=lambda one: (one.key, one.requested_on))
    for (customer_id, location_id), group in groupby(ordered, key=lambda one: one.key[:2]):
        some = list(group)
        document = CountsRequested(
            customer_id=customer_id,
            location_id=location_id,
            issued_at=max(one.answered_at or one.requested_at for one in some),
            lines=tuple(_line(one, units.get((customer_id, one.key.item_id), "EA")) for one in some),
        )
        names = [f"{one.request_id}:{one.answered_at or 'open'}" for one in some]
        yield OutboxMessage(
            topic=topics.COUNT_REQUESTS.name,
            key=document.key,
            customer_id=customer_id,
            type=document.message_type,
            message_id=uuid5(NAMESPACE, "|".join(names)),
            source=SOURCE,
            payload=document.model_dump_json(exclude_none=True).encode(),
            time=document.issued_at,
        )


def _line(one: Request, unit: str) -> CountRequestLine:
    return CountRequestLine(
        request_id=one.request_id,
        status=CountRequestStatus.OPEN if one.answered_at is None else CountRequestStatus.ANSWERED,
        item_id=one.key.item_id,
        reason=CountReason(Reason(one.reason).value),
        expected=one.expected,
        unit=unit,
        confidence=one.confidence,
        requested_at=one.requested_at,
        answered_at=one.answered_at,
        counted=one.counted,
    )
