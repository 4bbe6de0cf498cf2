"""The orders of next opportunities as trucks: what is needed, and what fills them up."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from vmi_domain.replenishment.decisions import Decision, within_life
from vmi_domain.replenishment.loading import Load, LoadLine, build
from vmi_domain.replenishment.quantities import NOTHING
from vmi_domain.replenishment.reviewing import Terms, review
from vmi_domain.replenishment.sizing import least_position
from vmi_domain.stock.position import Key
from vmi_replenishment.situations import Situations


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

    An item that is not needed yet may fill a truck, but no truck goes for it alone.
    """
    orders: dict[tuple[str, str, datetime], list[tuple[LoadLine, int]]] = defaultdict(list)
    for case, result in zip(found.cases, review(found.cases), strict=True):
        terms, decision = case.terms, result.decision
        if terms is None or terms.pallets is None or decision is None or case.opportunity is None:
            continue
        if terms.supplier_id == supplier_id:
            place = (*case.key[:2], case.opportunity.order_at)
            orders[place].append((_line(case.key, terms, decision), terms.pallets.of_a_load))
    return [
        LoadedOrder(
            customer_id,
            location_id,
            supplier_id,
            order_at,
            build([line for line, _ in lines], load_pallets=min(pallets for _, pallets in lines)),
        )
        for (customer_id, location_id, order_at), lines in sorted(orders.items())
        if any(line.need for line, _ in lines)
    ]


def _line(key: Key, terms: Terms, decision: Decision) -> LoadLine:
    assert terms.pallets is not None
    need, rules = decision.need, within_life(decision.need)
    expected = need.expected
    until_next, daily = (
        (0.0, None) if expected is None else (expected.until_next_arrival.mean, expected.until_next_arrival.daily_mean)
    )
    most = [one for one in (rules.maximum, rules.sells_in_life, rules.capacity) if one is not None]
    return LoadLine(
        key.item_id,
        need=decision.quantity - decision.sized.fill,
        pallet=terms.pallets.pallet,
        step=terms.pallets.step,
        position=need.position.inventory_position,
        daily_demand=daily or 0.0,
        minimum=least_position(need.policy.minimum or NOTHING, until_next),
        maximum=min(most, default=None),
        fill=decision.sized.fill,
    )
