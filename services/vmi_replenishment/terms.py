"""From the agreement as it crosses the wire to the terms that decisions are made by."""

from datetime import timedelta

from vmi_contracts.inbound import AgreementMade, Approval
from vmi_contracts.inbound import ServiceMeasure as AgreedMeasure
from vmi_domain.replenishment.decisions import Policy, PolicyKind, ServiceMeasure
from vmi_domain.replenishment.opportunities import Calendar
from vmi_domain.replenishment.quantities import OrderRules, Rounding
from vmi_domain.replenishment.reviewing import Terms


def terms_of(agreement: AgreementMade, *, zone: str) -> Terms:
    """Return what an agreement says about replenishment at a site in this time zone."""
    return Terms(
        supplier_id=agreement.supplier_id,
        calendar=Calendar(
            zone=zone,
            cut_off=agreement.order_cut_off,
            every_days=agreement.review_days,
            weekdays=None if agreement.order_weekdays is None else frozenset(agreement.order_weekdays),
            lead_time_days=agreement.lead_time_days,
        ),
        policy=Policy(
            kind=PolicyKind(agreement.policy.value),
            service_measure=ServiceMeasure(agreement.service_measure.value),
            service_target=_target(agreement),
            minimum=agreement.minimum,
            maximum=agreement.maximum,
        ),
        rules=OrderRules(
            multiple=agreement.multiple or agreement.pack,
            minimum_order=agreement.minimum_order,
            maximum=agreement.maximum,
            maximum_is_hard=agreement.maximum_is_hard,
            rounding=Rounding(agreement.rounding.value),
        ),
        pack=agreement.pack,
        lead_time_sd_days=agreement.lead_time_sd_days,
        expected_daily_demand=agreement.expected_daily_demand,
        answer_within=(
            None if agreement.answer_within_hours is None else timedelta(hours=agreement.answer_within_hours)
        ),
        accepts_by_itself=agreement.approval is Approval.AUTOMATIC,
    )


def _target(agreement: AgreementMade) -> float:
    """The agreed target, or by cost the critical ratio p / (p + h)."""
    if agreement.service_measure is not AgreedMeasure.COST:
        return agreement.service_target
    assert agreement.holding_cost is not None
    assert agreement.shortage_cost is not None
    return agreement.shortage_cost / (agreement.shortage_cost + agreement.holding_cost)
