"""From the agreement as it crosses the wire to the terms that decisions are made by."""

from datetime import timedelta
from decimal import ROUND_FLOOR, Decimal
from fractions import Fraction
from typing import Final

from vmi_contracts.inbound import AgreementMade, Approval, Mode
from vmi_contracts.inbound import Policy as AgreedPolicy
from vmi_contracts.inbound import ServiceMeasure as AgreedMeasure
from vmi_domain.costs import critical_ratio
from vmi_domain.replenishment.approving import Tolerance
from vmi_domain.replenishment.loading import Sizes, Truck
from vmi_domain.replenishment.needs import BufferFactors, Policy, PolicyKind, ServiceMeasure, UnmetDemand
from vmi_domain.replenishment.opportunities import Calendar
from vmi_domain.replenishment.promising import Limit
from vmi_domain.replenishment.quantities import OrderRules, Rounding
from vmi_domain.replenishment.reviewing import Sourcing, Terms
from vmi_domain.replenishment.steadiness import Steadiness
from vmi_domain.stock.feeds import FeedKind
from vmi_domain.understanding.classes import DEFAULT_TARGETS
from vmi_domain.units import FINEST


def terms_of(agreement: AgreementMade, *, zone: str) -> Terms:
    """Return what an agreement says about replenishment at a site in this time zone."""
    return Terms(
        supplier_id=agreement.supplier_id,
        calendar=Calendar(
            zone=zone,
            cut_off=agreement.order_cut_off,
            every_days=agreement.review_days,
            weekdays=None if agreement.order_weekdays is None else frozenset(agreement.order_weekdays),
            holidays=frozenset(agreement.holidays),
            lead_time_days=agreement.lead_time_days,
            lead_time_in_working_days=agreement.lead_time_in_working_days,
            receiving_weekdays=(
                None if agreement.receiving_weekdays is None else frozenset(agreement.receiving_weekdays)
            ),
            receiving_from=agreement.receiving_from,
            receiving_until=agreement.receiving_until,
        ),
        policy=policy_of(agreement),
        rules=OrderRules(
            multiple=agreement.multiple or agreement.pack,
            minimum_order=agreement.minimum_order,
            largest_order=agreement.largest_order,
            budget=_budget(agreement),
            capacity=agreement.capacity,
            maximum=agreement.maximum,
            maximum_is_hard=agreement.maximum_is_hard,
            rounding=Rounding(agreement.rounding.value),
            load_step=agreement.load_step,
        ),
        pack=agreement.pack,
        lead_time_sd_days=agreement.lead_time_sd_days,
        lead_time_is_learned=agreement.lead_time_source == "learned",
        extra_cover_days=agreement.extra_cover_days,
        expected_daily_demand=agreement.expected_daily_demand,
        answer_within=(
            None if agreement.answer_within_hours is None else timedelta(hours=agreement.answer_within_hours)
        ),
        accepts_by_itself=agreement.approval is not Approval.MANUAL,
        tolerance=_tolerance(agreement),
        unit_price=agreement.unit_price,
        steadiness=Steadiness(agreement.minimum_change, agreement.minimum_change_share, agreement.freeze_days),
        is_shadow=agreement.mode is Mode.SHADOW,
        sourcing=Sourcing(
            limit=Limit(agreement.supply_limit.value),
            quota=agreement.allocation_quota,
            priority=agreement.allocation_priority,
            source_share=agreement.supply_share,
            source_priority=agreement.supply_priority,
            splits=agreement.supply_split,
        ),
        truck=_truck(agreement),
        target_by_class=_by_class(agreement),
    )


def _truck(agreement: AgreementMade) -> Truck | None:
    holds = Sizes(*map(_exact, (agreement.load_pallets, agreement.load_weight, agreement.load_volume)))
    if not any(holds):
        return None
    return Truck(
        holds=holds,
        takes=Sizes(
            None if agreement.pallet is None else 1 / Fraction(agreement.pallet),
            _exact(agreement.gross_weight),
            _exact(agreement.gross_volume),
        ),
        step=agreement.truck_step,
        most=agreement.load_trucks,
        cover_days=agreement.load_cover_days,
        fills=agreement.load_building == "trucks",
    )


def _exact(size: Decimal | int | None) -> Fraction | None:
    return None if size is None else Fraction(size)


def _budget(agreement: AgreementMade) -> Decimal | None:
    if agreement.largest_value is None or not agreement.unit_price:
        return None
    return (agreement.largest_value / agreement.unit_price).quantize(FINEST, ROUND_FLOOR)


def _by_class(agreement: AgreementMade) -> tuple[tuple[str, float], ...]:
    agreed = agreement.service_target_by_class
    targets = DEFAULT_TARGETS if agreed == "default" else agreed or {}
    return tuple(sorted(targets.items()))


def policy_of(agreement: AgreementMade) -> Policy:
    """Return when an agreement orders and up to where."""
    policy = Policy(
        kind=_KINDS[agreement.policy],
        service_measure=ServiceMeasure(agreement.service_measure.value),
        service_target=_target(agreement),
        minimum=agreement.minimum,
        maximum=agreement.maximum,
        unmet_demand=UnmetDemand(agreement.unmet_demand),
        order_quantity=agreement.order_quantity,
        order_cost_periods=agreement.order_cost / agreement.holding_cost if agreement.holding_cost else 0.0,
        minimum_days=agreement.minimum_days,
        maximum_days=agreement.maximum_days,
        buffer=BufferFactors(agreement.lead_time_factor, agreement.variability_factor, agreement.order_cycle_days),
        shelf_life_days=agreement.shelf_life_days,
        calibration=agreement.calibration,
    )
    return policy.aiming_at(policy.service_target)


_KINDS: Final = {
    AgreedPolicy.ORDER_UP_TO: PolicyKind.ORDER_UP_TO,
    AgreedPolicy.BASE_STOCK: PolicyKind.ORDER_UP_TO,
    AgreedPolicy.REORDER_POINT_QUANTITY: PolicyKind.REORDER_POINT_QUANTITY,
    AgreedPolicy.REORDER_POINT_LEVEL: PolicyKind.REORDER_POINT_LEVEL,
    AgreedPolicy.PERIODIC_REORDER_POINT_LEVEL: PolicyKind.REORDER_POINT_LEVEL,
    AgreedPolicy.MINIMUM_MAXIMUM: PolicyKind.MINIMUM_MAXIMUM,
    AgreedPolicy.DAYS_OF_SUPPLY: PolicyKind.DAYS_OF_SUPPLY,
    AgreedPolicy.ONE_TO_ONE: PolicyKind.ONE_TO_ONE,
    AgreedPolicy.DDMRP: PolicyKind.DDMRP,
    AgreedPolicy.NEWSVENDOR: PolicyKind.NEWSVENDOR,
}
"""Base stock is (R, S), and (s, S) is (R, s, S), at whatever the calendar makes R."""


def _tolerance(agreement: AgreementMade) -> Tolerance | None:
    if agreement.approval is not Approval.TOLERANCE:
        return None
    return Tolerance(agreement.tolerance_quantity, agreement.tolerance_value, agreement.tolerance_deviation)


def _target(agreement: AgreementMade) -> float:
    """The agreed target, or by cost the critical ratio."""
    if agreement.service_measure is not AgreedMeasure.COST:
        return agreement.service_target
    assert agreement.holding_cost is not None
    assert agreement.shortage_cost is not None
    return critical_ratio(shortage_cost=agreement.shortage_cost, holding_cost=agreement.holding_cost)


def cadences_of(agreement: AgreementMade) -> tuple[tuple[FeedKind, timedelta], ...]:
    """Return how often the feeds come that an agreement watches."""
    agreed = (
        (FeedKind.STOCK, agreement.stock_cadence_hours),
        (FeedKind.SALES, agreement.sales_cadence_hours),
        (FeedKind.ORDERS, agreement.orders_cadence_hours),
    )
    return tuple((kind, timedelta(hours=hours)) for kind, hours in agreed if hours is not None)
