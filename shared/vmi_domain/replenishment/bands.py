"""A customer's own minimum and maximum beside what the service would set: compared, never overwritten."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from vmi_domain.replenishment.needs import Need, PolicyKind, UnmetDemand
from vmi_domain.replenishment.sizing import sizes
from vmi_domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Band:
    """When to order and up to where, base units; None where nothing is known to compute it from."""

    minimum: Decimal | None
    maximum: Decimal | None


def ours(needs: Sequence[Need]) -> list[Band]:
    """Return the reorder point s and the level S that each need's own service target asks for.

    Both follow from the forecast alone, as if no band were agreed; S is that of the protection interval, and s the
    least position from which the next opportunity is still in time.
    """
    free = [
        replace(
            need,
            policy=replace(
                need.policy,
                kind=kind,
                minimum=None,
                maximum=None,
                order_quantity=None,
                unmet_demand=UnmetDemand.BACKORDERED,  # whose levels say nothing of where the position stands today
            ),
        )
        for kind in (PolicyKind.REORDER_POINT_LEVEL, PolicyKind.ORDER_UP_TO)
        for need in needs
    ]
    found = sizes(free)
    points, levels = found[: len(needs)], found[len(needs) :]
    return [_band(point.reorder_point, level.level) for point, level in zip(points, levels, strict=True)]


def _band(minimum: Decimal | None, maximum: Decimal | None) -> Band:
    """A target that asks for less than the reorder point (fill rates with large packs) still reaches up to it."""
    return Band(minimum, maximum if minimum is None or maximum is None else max(minimum, maximum))
