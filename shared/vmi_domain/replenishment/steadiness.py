"""Against nervousness: small changes are not told, and what is frozen is asked for, not revised (S26, F48).

A supplier plans by what was proposed. Noise in the demand moves the need a little every day; told each time, it would
cost more than the units are worth. (Change costs and freezing cure nervousness better than safety stock does:
Blackburn, Kropp and Millen on rolling horizons.)
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from vmi_domain.replenishment.needs import Need
from vmi_domain.replenishment.proposals import Proposal, Status
from vmi_domain.replenishment.quantities import NOTHING, OrderRules, to_order
from vmi_domain.values import dataclass

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Steadiness:
    """What is agreed against nervousness; by default every change is told and nothing is frozen."""

    minimum_change: Decimal = NOTHING
    """Base units: a need that moved by less is not told again."""
    minimum_change_share: float = 0.0
    """The same as a share of the quantity; the larger of the two counts."""
    freeze_days: float = 0.0
    """So long before its order opportunity a proposal is revised no more; a change is asked for instead."""

    @property
    def tells_every_change(self) -> bool:
        """Whether no change is too small to be told."""
        return not self.minimum_change and not self.minimum_change_share


EVERY_CHANGE = Steadiness()


def is_damped(
    standing: Proposal, *, quantity: Decimal, missing: Decimal, need: Need, steadiness: Steadiness, rules: OrderRules
) -> bool:
    """Return whether what was told last stays, since the need has moved by less than is agreed to matter.

    The *need* is compared with the one that the standing version was made for, not the rounded
    quantities: a need that lies at the edge of a pack would turn over a whole pack at every unit sold.
    A quantity that the rules allow no more (a maximum in danger, another pack) never stays.
    """
    if not is_quiet(standing, quantity=quantity, missing=missing, steadiness=steadiness):
        return False
    turned_over = abs(quantity - told_last(standing))
    if turned_over >= _threshold(standing, quantity, steadiness) + rules.multiple:
        return False
    allowed = to_order(missing=standing.quantity, position=need.standing, rules=rules)
    return not standing.is_undecided or allowed.quantity == standing.quantity


def is_quiet(standing: Proposal, *, quantity: Decimal, missing: Decimal, steadiness: Steadiness) -> bool:
    """Return whether the need has moved by less since it was told than is agreed to matter."""
    if steadiness.tells_every_change:
        return False
    return abs(missing - standing.needed) < _threshold(standing, quantity, steadiness)


def _threshold(standing: Proposal, quantity: Decimal, steadiness: Steadiness) -> Decimal:
    share = Decimal(str(steadiness.minimum_change_share))
    return max(steadiness.minimum_change, share * max(told_last(standing), quantity))


def told_last(standing: Proposal) -> Decimal:
    """Return the quantity that was told last as wanted: what was asked for, else the proposal's own."""
    return standing.quantity if standing.requested is None else standing.requested


def is_frozen(order_at: datetime, now: datetime, steadiness: Steadiness) -> bool:
    """Return whether what was told for this opportunity is to be revised no more."""
    return steadiness.freeze_days > 0 and order_at - now <= steadiness.freeze_days * DAY


def asked(standing: Proposal, *, quantity: Decimal, missing: Decimal, now: datetime) -> Proposal | None:
    """Return the proposal in the version that asks for another quantity while its own stands, None where it does so.

    Its own quantity as the one that is wanted takes the question back.
    """
    wanted = None if quantity == standing.quantity else quantity
    if wanted == standing.requested:
        return None
    return replace(standing, version=standing.version + 1, requested=wanted, needed=missing, issued_at=now)


MAY_BE_ASKED = frozenset({Status.PROPOSED, Status.ACCEPTED, Status.CHANGED})
"""From these a change may be asked for; once it is ordered, the order is changed, not the proposal."""
