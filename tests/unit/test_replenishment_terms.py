"""What an agreement on the wire means for decisions."""

from datetime import time, timedelta
from decimal import Decimal

from vmi_contracts.inbound import AgreementMade
from vmi_domain.replenishment.decisions import PolicyKind, ServiceMeasure
from vmi_domain.replenishment.quantities import Rounding
from vmi_replenishment.terms import terms_of
from vmi_testing import builders


def agreement(**changes: object) -> AgreementMade:
    return builders.agreement("acme", **changes)


def test_what_is_not_agreed_has_its_default() -> None:
    terms = terms_of(agreement(), zone="Europe/Berlin")

    assert terms.calendar.zone == "Europe/Berlin"
    assert (terms.calendar.every_days, terms.calendar.weekdays, terms.calendar.lead_time_days) == (1, None, 2.0)
    assert terms.policy.kind is PolicyKind.ORDER_UP_TO
    assert (terms.rules.multiple, terms.rules.maximum, terms.rules.maximum_is_hard) == (1, None, True)
    assert terms.answer_within is None
    assert not terms.accepts_by_itself


def test_all_that_is_agreed_arrives() -> None:
    terms = terms_of(
        agreement(
            policy="minimum_maximum",
            minimum="5",
            maximum="50",
            maximum_is_hard=False,
            pack="6",
            multiple="12",
            minimum_order="24",
            rounding="nearest",
            order_weekdays=(1, 4),
            order_cut_off="15:00",
            lead_time_sd_days=0.5,
            answer_within_hours=4,
            approval="automatic",
            expected_daily_demand=3,
        ),
        zone="UTC",
    )

    assert terms.calendar.weekdays == frozenset({1, 4})
    assert terms.calendar.cut_off == time(15, 0)
    assert (terms.policy.minimum, terms.policy.maximum) == (Decimal(5), Decimal(50))
    assert (terms.pack, terms.rules.multiple, terms.rules.minimum_order) == (6, 12, 24)
    assert terms.rules.rounding is Rounding.NEAREST
    assert not terms.rules.maximum_is_hard
    assert terms.lead_time_sd_days == 0.5
    assert terms.answer_within == timedelta(hours=4)
    assert terms.accepts_by_itself
    assert terms.expected_daily_demand == 3


def test_the_pack_is_the_multiple_where_none_is_agreed() -> None:
    assert terms_of(agreement(pack="6"), zone="UTC").rules.multiple == 6


def test_service_by_cost_is_the_critical_ratio() -> None:
    terms = terms_of(agreement(service_measure="cost", holding_cost=1, shortage_cost=4), zone="UTC")

    assert terms.policy.service_measure is ServiceMeasure.COST
    assert terms.policy.service_target == 0.8
