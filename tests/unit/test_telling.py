"""What a planner is told about a quantity, and how a trial is scored (F56, F80)."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from vmi_domain.distributions import Family
from vmi_domain.replenishment.decisions import decide
from vmi_domain.replenishment.needs import Basis, Expected, Need, Outlook, Policy, PolicyKind, Position
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.shadowing import Ordered, Proposed, Trial, score
from vmi_domain.replenishment.telling import Elsewhere, Subject, Telling, tell
from vmi_domain.stock.position import Key
from vmi_domain.stock.supply import Stage, SupplyLine

NOW = datetime(2025, 6, 2, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
TEN_A_DAY = Expected(Basis.HISTORY, Outlook(12.0, 120.0, 30.0, Family.NORMAL))


def told(usable: int, quantity: int = 0, **changes: Any) -> Telling:
    """Ten a day; ordered today it arrives in five days."""
    [decision] = decide(
        [
            Need(
                Position(Decimal(usable), on_order=Decimal(changes.pop("on_order", 0))),
                Policy(PolicyKind.ORDER_UP_TO, service_target=0.95),
                OrderRules(multiple=Decimal(12)),
                changes.pop("expected", TEN_A_DAY),
            )
        ]
    )
    subject = Subject(decision, Decimal(quantity), NOW, NOW, NOW + 5 * DAY, pack=Decimal(12))
    return tell(replace(subject, **changes))


def test_it_runs_out_when_the_mean_demand_has_used_up_what_is_there() -> None:
    one = told(80, 96)

    assert one.daily_demand == pytest.approx(10)
    assert one.runs_out_at == NOW + 8 * DAY
    assert one.may_run_out_at is not None
    assert NOW < one.may_run_out_at < one.runs_out_at
    assert (one.cover_before_days, one.cover_after_days) == (8.0, 17.6)
    assert one.latest_order_at == NOW + 3 * DAY
    assert not one.is_too_late


def test_what_is_under_way_counts_from_its_arrival_on() -> None:
    def coming(days: int) -> SupplyLine:
        return SupplyLine(Stage.SHIPPED, Decimal(50), shipment_id="A-1", expected_at=NOW + days * DAY)

    assert told(80, supply=[coming(4)]).runs_out_at == NOW + 13 * DAY
    assert told(30, supply=[coming(4)]).runs_out_at == NOW + 3 * DAY, "before it comes"


def test_too_late_is_said() -> None:
    assert told(30).is_too_late


def test_one_pack_less_or_more_moves_service_shortage_and_stock_the_right_way() -> None:
    less, same, more = told(80, 96, unit_price=Decimal("2.5")).packs

    assert (less.quantity, same.quantity, more.quantity) == (84, 96, 108)
    assert less.service < same.service < more.service
    assert less.short > same.short > more.short
    assert less.left < same.left < more.left
    assert same.value == 240
    assert [one.packs for one in told(200).packs] == [0, 1], "there is nothing less than nothing"


def test_what_a_pack_would_do_knows_of_a_lead_time_that_varies_as_the_level_does() -> None:
    counted = Expected(Basis.HISTORY, Outlook(12.0, 24.0, 24.0**0.5, Family.POISSON))
    sure = told(12, 12, expected=counted).packs
    unsure = told(12, 12, expected=replace(counted, lead_time_sd_days=3.0)).packs

    assert [one.short for one in unsure] > [one.short for one in sure]


def test_supply_that_comes_too_late_is_to_be_expedited() -> None:
    line = SupplyLine(Stage.SHIPPED, Decimal(50), order_id="PO-1", shipment_id="A-1", expected_at=NOW + 4 * DAY)

    [advice] = told(20, supply=[line]).advice

    assert advice == "expedite 50 of shipment A-1, expected 2025-06-06: it runs out on 2025-06-04"


def test_what_another_location_can_spare_is_to_be_transferred() -> None:
    elsewhere = [Elsewhere("store-2", Decimal(10)), Elsewhere("store-3", Decimal(500))]

    [advice] = told(20, elsewhere=elsewhere).advice

    assert advice == "transfer 36 from store-3, which holds 500 above its level"


def test_too_much_is_to_be_deferred_and_excess_is_named() -> None:
    line = SupplyLine(Stage.ORDERED, Decimal(60), order_id="PO-1", expected_at=NOW + 4 * DAY)

    defer, excess = told(250, on_order=60, supply=[line]).advice

    assert defer == "defer or cancel 60 of order PO-1: the position is above its level"
    assert excess.startswith("80.65 on the shelf are above the level 169.35")


def test_what_should_have_arrived_is_a_warning_and_so_is_a_demand_without_history() -> None:
    late = SupplyLine(Stage.SHIPPED, Decimal(5), shipment_id="A-1", expected_at=NOW - DAY)

    assert told(80, supply=[late]).warnings == ("5 of shipment A-1 should have arrived by 2025-06-01",)
    assert told(80, expected=replace(TEN_A_DAY, basis=Basis.AGREED_RATE)).warnings == (
        "no history yet: the demand is the agreed one",
    )


def test_without_any_demand_nothing_is_made_up() -> None:
    one = told(80, expected=None)

    assert (one.daily_demand, one.runs_out_at, one.cover_before_days, one.packs) == (None, None, None, ())
    assert one.warnings == ("nothing is known of the demand",)


# Trials

WEEKLY = [
    Proposed(NOW + 7 * week * DAY, NOW + (7 * week + 2) * DAY, Decimal(quantity))
    for week, quantity in enumerate((100, 50, 80))
]


def test_f80_an_order_belongs_to_the_opportunity_nearest_to_it() -> None:
    orders = [Ordered(NOW - DAY, Decimal(95)), Ordered(NOW + 8 * DAY, Decimal(90)), Ordered(NOW + 40 * DAY, Decimal(7))]

    one = score(Trial(Key("acme", "store-1", "milk"), WEEKLY, orders))

    assert (one.opportunities, one.orders, one.proposed, one.ordered) == (3, 3, 230, 192)
    assert (one.agreeing, one.without_order, one.without_proposal) == (1, 1, 1)
    assert one.mean_difference == Decimal(33), "5, 40, 80 and the 7 that nobody proposed"


def test_f80_stock_outs_that_followed_are_told_by_what_we_would_have_sent() -> None:
    orders = [Ordered(NOW, Decimal(60)), Ordered(NOW + 7 * DAY, Decimal(90))]
    days = [date(2025, 6, 1), date(2025, 6, 6), date(2025, 6, 13)]

    one = score(Trial(Key("acme", "store-1", "milk"), WEEKLY, orders, sold_out_days=days))

    assert (one.sold_out_days, one.sold_out_with_more_proposed, one.sold_out_with_less_proposed) == (3, 1, 1)


def test_a_trial_without_orders_scores_too() -> None:
    one = score(Trial(Key("acme", "store-1", "milk"), WEEKLY[:1], []))

    assert (one.without_order, one.mean_difference) == (1, 100)
