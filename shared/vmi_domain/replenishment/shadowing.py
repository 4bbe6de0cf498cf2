"""An agreement on trial: what would have been proposed, against what was really ordered (F80)."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

from vmi_domain.replenishment.quantities import NOTHING
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass

LONGEST_APART = timedelta(days=7)
"""An order belongs to the proposal whose order opportunity is nearest, half their distance away at most, and this."""


@dataclass(frozen=True, slots=True)
class Proposed:
    """The last word on one order opportunity."""

    order_at: datetime
    deliver_at: datetime
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Ordered:
    """What the customer ordered by itself."""

    at: datetime
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Trial:
    """One key while it was tried out."""

    key: Key
    proposed: Sequence[Proposed]
    ordered: Sequence[Ordered]
    sold_out_days: Sequence[date] = ()
    lost: Decimal = NOTHING
    """Known to have been asked for and not there, base units."""


@dataclass(frozen=True, slots=True)
class Score:
    """How proposals and orders compare; base units."""

    key: Key
    opportunities: int
    """With a proposal."""
    orders: int
    proposed: Decimal
    ordered: Decimal
    agreeing: int
    """Opportunities whose order is within a tenth of what was proposed."""
    without_order: int
    """Opportunities with a proposal near which nothing was ordered."""
    without_proposal: int
    """Orders near which nothing was proposed."""
    mean_difference: Decimal
    """Mean of |ordered − proposed| over opportunities and orders without one."""
    sold_out_days: int
    sold_out_with_more_proposed: int
    """Of these days, those before which we had proposed more than was ordered."""
    sold_out_with_less_proposed: int
    lost: Decimal


def score(trial: Trial) -> Score:
    """Return how the trial's proposals compare with what was ordered, and which stock-outs followed on which."""
    matched: dict[int, Decimal] = dict.fromkeys(range(len(trial.proposed)), NOTHING)
    unmatched = []
    reach = _reach(trial.proposed)
    for order in trial.ordered:
        near = min(matched, key=lambda place: abs(trial.proposed[place].order_at - order.at), default=None)
        if near is not None and abs(trial.proposed[near].order_at - order.at) <= reach:
            matched[near] += order.quantity
        else:
            unmatched.append(order.quantity)
    differences = [abs(matched[place] - one.quantity) for place, one in enumerate(trial.proposed)] + unmatched
    more, less = _sold_out(trial, matched)
    return Score(
        key=trial.key,
        opportunities=len(trial.proposed),
        orders=len(trial.ordered),
        proposed=sum((one.quantity for one in trial.proposed), NOTHING),
        ordered=sum((one.quantity for one in trial.ordered), NOTHING),
        agreeing=sum(
            abs(matched[place] - one.quantity) * 10 <= one.quantity for place, one in enumerate(trial.proposed)
        ),
        without_order=sum(not quantity for quantity in matched.values()),
        without_proposal=len(unmatched),
        mean_difference=round(sum(differences, NOTHING) / len(differences), 2) if differences else NOTHING,
        sold_out_days=len(trial.sold_out_days),
        sold_out_with_more_proposed=more,
        sold_out_with_less_proposed=less,
        lost=trial.lost,
    )


def _reach(proposed: Sequence[Proposed]) -> timedelta:
    moments = sorted(one.order_at for one in proposed)
    apart = [later - earlier for earlier, later in pairwise(moments)]
    return min(sorted(apart)[len(apart) // 2] / 2, LONGEST_APART) if apart else LONGEST_APART / 2


def _sold_out(trial: Trial, matched: dict[int, Decimal]) -> tuple[int, int]:
    """Return the sold-out days whose last delivery before would have been larger, and smaller, with the proposal."""
    more = less = 0
    for day in trial.sold_out_days:
        before = [place for place, one in enumerate(trial.proposed) if one.deliver_at.date() <= day]
        if before:
            last = max(before, key=lambda place: trial.proposed[place].deliver_at)
            more += trial.proposed[last].quantity > matched[last]
            less += trial.proposed[last].quantity < matched[last]
    return more, less
