"""What a person must act on: seen in the situations that were just reviewed, opened and closed with them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from vmi_domain.exceptions import rules
from vmi_domain.exceptions.lifecycle import Observation, Subject
from vmi_domain.exceptions.rules import Arrival, Item
from vmi_domain.replenishment.decisions import Basis, PolicyKind
from vmi_domain.replenishment.promising import Promise
from vmi_domain.replenishment.proposals import Proposal, Status
from vmi_domain.replenishment.quantities import NOTHING
from vmi_domain.replenishment.reviewing import Case, Review
from vmi_domain.stock.position import Authority, Key
from vmi_domain.stock.supply import UNDER_WAY, Stage, SupplyLine
from vmi_replenishment.situations import Situations, Watched
from vmi_runtime import raising
from vmi_runtime.worker import Transaction
from vmi_store import exceptions, supply
from vmi_store.exceptions import ItemAt

NO_SUBJECTS: Final[frozenset[Subject]] = frozenset()


async def watch(found: Situations, reviews: Sequence[Review], transaction: Transaction) -> Mapping[Key, datetime]:
    """Open and close exceptions of the keys; return when to look at some of them again though nothing happens.

    Where nothing is agreed any more nothing is wrong. The caller holds the locks of the keys.
    """
    keys = [case.key for case in found.cases]
    active = await exceptions.active(transaction.connection, keys, rules.OF_AN_ITEM)
    of_items: dict[ItemAt, set[Subject]] = {}
    for subject in active:
        of_items.setdefault((subject.customer_id, subject.location_id, subject.item_id), set()).add(subject)
    seen: list[Observation] = []
    due: dict[Key, datetime] = {}
    arrivals = await _arrivals(found, reviews, transaction)
    for case, watched, result in zip(found.cases, found.watched, reviews, strict=True):
        if watched is None:
            continue
        key = case.key
        item = _item(
            watched, arrivals.get(key, ()), _after(case, result), case.now, case.promise, of_items.get(key, NO_SUBJECTS)
        )
        seen += rules.of_item(item)
        if (at := rules.due_at(item)) is not None:
            due[key] = at
    now = {case.key[:2]: case.now for case in found.cases}
    later = await raising.settle(transaction.connection, keys, rules.OF_AN_ITEM, seen, now, active)
    for at_item, at in later.items():
        key = Key(*at_item)
        due[key] = min(at, due.get(key, at))
    return due


def _after(case: Case, result: Review) -> Sequence[Proposal]:
    """Return the proposals as they stand after the review."""
    if not result.issues:
        return case.live
    after = {one.proposal_id: one for one in case.live}
    after |= {issue.proposal.proposal_id: issue.proposal for issue in result.issues}
    return tuple(after.values())


def _item(
    watched: Watched,
    arrivals: Sequence[Arrival],
    proposals: Sequence[Proposal],
    now: datetime,
    promise: Promise | None,
    active: Collection[Subject],
) -> Item:
    row, agreed, terms = watched.row, watched.holding.agreed, watched.holding.agreed.terms
    held = watched.held
    return Item(
        key=row.key,
        now=now,
        supplier_id=terms.supplier_id,
        usable=held.usable + held.usable_unconfirmed,
        physical=held.physical + held.received_unconfirmed,
        backlog=held.backlog,
        is_known=row.balance.counted_at is not None or row.balance.received > 0,
        is_negative=held.is_negative,
        arrivals=arrivals,
        arrives_next=watched.holding.opportunity.deliver_at,
        daily_demand=_daily_demand(watched),
        minimum=terms.policy.minimum,
        minimum_is_reorder_point=terms.policy.kind is PolicyKind.MINIMUM_MAXIMUM,
        maximum=terms.policy.maximum,
        overshoot=NOTHING if terms.rules.maximum_is_hard else terms.rules.multiple,
        proposals=proposals,
        is_promised=promise is not None,
        promised_short=NOTHING if promise is None else promise.short,
        thresholds=agreed.thresholds,
        active=active,
    )


def _daily_demand(watched: Watched) -> float | None:
    """A net plan says what to order, not what is sold: nothing is projected by it."""
    expected = watched.expected
    if expected is None or expected.basis is Basis.NET_PLAN:
        return None
    return expected.until_next_arrival.daily_mean


async def _arrivals(
    found: Situations, reviews: Sequence[Review], transaction: Transaction
) -> Mapping[Key, Sequence[Arrival]]:
    """Return what is on its way to each key; where nobody said when it arrives, a lead time after it was ordered."""
    some = {one.row.key: one for one in found.watched if one is not None and one.coming}
    coming = {key: one.coming for key, one in some.items()}
    accepted = {
        case.key
        for case, result in zip(found.cases, reviews, strict=True)
        if result.issues and any(issue.proposal.status is Status.ACCEPTED for issue in result.issues)
    }
    if accepted := accepted & some.keys():  # just now, and on order since
        coming |= await supply.lines(transaction.connection, accepted)
    return {key: [_arrival(line, some[key]) for line in lines if _is_coming(line)] for key, lines in coming.items()}


def _is_coming(line: SupplyLine) -> bool:
    return line.stage in UNDER_WAY and line.since is not None


def _arrival(line: SupplyLine, watched: Watched) -> Arrival:
    agreed, counted_at, expected_at = watched.holding.agreed, watched.row.balance.counted_at, line.expected_at
    assert line.since is not None
    is_in_a_report = expected_at is not None and counted_at is not None and expected_at <= counted_at
    return Arrival(
        quantity=line.quantity,
        at=expected_at or line.since + timedelta(days=agreed.terms.calendar.lead_time_days),
        name=_name(line),
        is_announced=expected_at is not None,
        may_be_there=is_in_a_report and line.stage is Stage.SHIPPED and agreed.authority is Authority.SNAPSHOT,
    )


def _name(line: SupplyLine) -> str:
    if line.shipment_id is not None:
        return f"shipment {line.shipment_id}"
    return f"order {line.order_id}" if line.order_id is not None else f"proposal {line.proposal_id}"
