"""What a supplier is to send over a horizon: what is bound, what is proposed, and what is planned after it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from vmi_domain.replenishment.decisions import Decision, is_triggered
from vmi_domain.replenishment.opportunities import days_until, next_opportunity
from vmi_domain.replenishment.proposals import BOUND, FINISHED, Proposal
from vmi_domain.replenishment.quantities import NOTHING, to_order
from vmi_domain.replenishment.reviewing import Terms
from vmi_domain.replenishment.sharing import Source, next_source
from vmi_domain.stock.position import Key
from vmi_domain.units import FINEST
from vmi_domain.values import dataclass


class Commitment(StrEnum):
    """How sure it is."""

    FIRM = "firm"
    """Somebody has agreed to send it."""
    PROPOSED = "proposed"
    PLANNED = "planned"
    """What demand, as it is expected now, will ask for at later opportunities; nobody is bound by it."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """A quantity to come, base units."""

    key: Key
    order_at: datetime
    deliver_at: datetime
    quantity: Decimal
    commitment: Commitment


def told(live: Sequence[Proposal], supplier_id: str) -> list[Ahead]:
    """Return what is bound, or offered, to a supplier and has not come."""
    return [
        Ahead(
            one.key,
            one.order_at,
            one.deliver_at,
            one.quantity,
            Commitment.FIRM if one.status in BOUND else Commitment.PROPOSED,
        )
        for one in live
        if one.supplier_id == supplier_id and one.status not in FINISHED and (one.status in BOUND or one.is_open)
    ]


def planned(
    key: Key,
    decision: Decision,
    terms: Terms,
    others: Mapping[str, Terms],
    *,
    supplier_id: str,
    order_at: datetime,
    now: datetime,
    until: datetime,
) -> list[Ahead]:
    """Return what follows the decision for ``order_at`` at later opportunities up to ``until``, by expected demand.

    The level and the reorder point stay as decided; the position falls by the mean demand. Of several suppliers each
    has its turns by its share.
    """
    expected = decision.need.expected
    daily = None if expected is None else expected.until_next_arrival.daily_mean
    if decision.level is None or daily is None:
        return []
    position = decision.need.position.inventory_position + decision.quantity
    given = {terms.supplier_id: decision.quantity}
    sources = [
        Source(name, one.sourcing.source_share, one.sourcing.source_priority)
        for name, one in {terms.supplier_id: terms, **others}.items()
    ]
    found: list[Ahead] = []
    since, at = now, order_at
    while True:
        at = next_opportunity(terms.calendar, at + at.resolution).order_at
        if at > until:
            return found
        position -= Decimal(daily * days_until(since, at, terms.calendar.zone)).quantize(FINEST)
        since = at
        point = decision.reorder_point
        if point is not None and not is_triggered(inventory_position=position, reorder_point=point):
            continue
        missing = max(decision.level - position, NOTHING)
        quantity = to_order(missing=missing, position=position, rules=terms.rules).quantity
        if not quantity:
            continue
        position += quantity
        source = next_source(sources, given).supplier_id
        given[source] = given.get(source, NOTHING) + quantity
        if source == supplier_id:
            arrives = next_opportunity(terms.calendar, at).deliver_at
            found.append(Ahead(key, at, arrives, quantity, Commitment.PLANNED))
