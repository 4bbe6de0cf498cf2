"""The orders of next opportunities as trucks: what is needed, and what fills them up."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from vmi_domain.replenishment.loading import Load
from vmi_domain.replenishment.reviewing import Case, review
from vmi_domain.values import dataclass
from vmi_replenishment import situations
from vmi_replenishment.master_data import MasterData
from vmi_replenishment.situations import Situations
from vmi_runtime.worker import Transaction
from vmi_store import agreements


async def whole(found: Situations, transaction: Transaction, master_data: MasterData) -> Situations:
    """Return the situations with those of all keys that share a truck with one of them: they fill it together.

    The caller has the turn at the keys' locations.
    """
    orders = {(*case.key[:2], supplier) for case in found.cases for supplier in _trucks_of(case)}
    if not orders:
        return found
    sharing = await agreements.sharing_trucks(transaction.connection, sorted(orders))
    missing = set(sharing).difference(case.key for case in found.cases)
    if not missing:
        return found
    further = await situations.read(sorted(missing), transaction, master_data)
    return Situations(
        [*found.cases, *further.cases],
        [*found.due_ats, *further.due_ats],
        [*found.watched, *further.watched],
        found.claiming | further.claiming,
    )


def _trucks_of(case: Case) -> Sequence[str]:
    """Return the suppliers whose trucks a case may go on; of one that nothing is agreed for any more, those it did."""
    if case.terms is None:
        return [one.supplier_id for one in case.live if one.is_undecided]
    if case.terms.truck is None and not case.others:  # which is most of them
        return ()
    every = (case.terms, *case.others.values())
    return [terms.supplier_id for terms in every if terms.truck is not None and terms.truck.fills]


@dataclass(frozen=True, slots=True)
class LoadedOrder:
    """One order: a supplier's items for one location at one opportunity."""

    customer_id: str
    location_id: str
    supplier_id: str
    order_at: datetime
    load: Load


def loads(found: Situations, supplier_id: str) -> list[LoadedOrder]:
    """Return the orders to a supplier whose agreements say what a truck holds. Nothing is written.

    Where proposals fill trucks, it is what they say; else what would fill them. An item that is not needed yet may fill
    a truck, but no truck goes for it alone.
    """
    cases = [_filling(case) for case in found.cases]
    orders: dict[tuple[str, ...], LoadedOrder] = {}
    for case, result in zip(cases, review(cases), strict=True):
        if case.terms is None or case.terms.supplier_id != supplier_id or case.opportunity is None:
            continue
        if result.load is not None and (result.load.loads or result.load.unmeasured):
            order_at = case.opportunity.order_at
            name = (*case.key[:2], order_at.isoformat(), str(case.held_because))
            orders[name] = LoadedOrder(*case.key[:2], supplier_id, order_at, result.load)
    return [orders[name] for name in sorted(orders)]


def _filling(case: Case) -> Case:
    """Return the case as if its proposals filled trucks; what was told without them is nothing to keep."""
    terms = case.terms
    if terms is None or terms.truck is None or terms.truck.fills:
        return case
    return replace(case, terms=replace(terms, truck=replace(terms.truck, fills=True)))
