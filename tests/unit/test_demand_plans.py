"""Plans laid over what is usual, in numbers a person can check."""

from datetime import UTC, date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmi_domain.forecasting.plans import (
    PlanKind,
    PlanLine,
    Usual,
    learned_uplift,
    net_of_orders,
    net_requirement,
    planned,
)

MONDAY = date(2025, 3, 3)
STATED = datetime(2025, 3, 1, tzinfo=UTC)


def usual(*means: float, variance: float = 40.0) -> Usual:
    return Usual(MONDAY, np.ones(len(means)), np.array(means, np.float64), variance)


def line(kind: PlanKind, first: int = 0, last: int = 0, **changes: object) -> PlanLine:
    values = {"plan_id": "p-1", "stated_at": STATED} | changes
    return PlanLine(kind, MONDAY.replace(day=3 + first), MONDAY.replace(day=3 + last), **values)  # type: ignore[arg-type]


def test_f36_orders_use_up_the_forecast_of_their_bucket() -> None:
    assert net_of_orders(np.array([350.0]), np.array([130.0])).tolist() == [220.0]
    assert net_of_orders(np.array([350.0]), np.array([400.0])).tolist() == [0.0]


def test_what_an_order_does_not_find_in_its_bucket_it_takes_from_near_ones_within_limits() -> None:
    forecast, orders = np.array([10.0, 10.0, 10.0, 10.0]), np.array([0.0, 0.0, 25.0, 0.0])

    assert net_of_orders(forecast, orders, earlier=2, later=0).tolist() == [5.0, 0.0, 0.0, 10.0]
    assert net_of_orders(forecast, orders, earlier=0, later=1).tolist() == [10.0, 10.0, 0.0, 0.0]
    assert net_of_orders(forecast, orders, earlier=0, later=0).tolist() == [10.0, 10.0, 0.0, 10.0]


@given(
    st.lists(st.tuples(st.floats(0, 100), st.floats(0, 200)), min_size=1, max_size=10),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_no_more_is_used_up_than_was_ordered_and_no_forecast_falls_below_zero(
    buckets: list[tuple[float, float]], earlier: int, later: int
) -> None:
    forecast, orders = np.array(buckets).T

    left = net_of_orders(forecast, orders, earlier=earlier, later=later)

    assert (left >= -1e-9).all()
    assert (left <= forecast + 1e-9).all()
    assert forecast.sum() - left.sum() <= orders.sum() + 1e-6
    assert left.sum() + orders.sum() >= forecast.sum() - 1e-6


def test_a_plan_takes_the_forecasts_place_on_its_days_as_days_usually_differ() -> None:
    found = planned(usual(10, 30, 20), [line(PlanKind.PLAN, 0, 1, quantity=200.0)])

    assert found.mean == pytest.approx(220)
    [layer] = found.layers
    assert (layer.before, layer.after) == (60, 220)


def test_only_the_part_of_a_plan_that_lies_in_the_horizon_counts() -> None:
    assert planned(usual(10, 10), [line(PlanKind.PLAN, 1, 4, quantity=40.0)]).mean == pytest.approx(20)


def test_lines_of_one_plan_add_up_and_a_later_plan_takes_their_place() -> None:
    two = [line(PlanKind.PLAN, 0, 0, quantity=5.0), line(PlanKind.PLAN, 0, 0, quantity=7.0)]
    later = line(PlanKind.PLAN, 0, 0, quantity=3.0, plan_id="p-2", stated_at=STATED.replace(hour=1))

    assert planned(usual(10), two).mean == pytest.approx(12)
    assert planned(usual(10), [later, *two]).mean == pytest.approx(3)


@pytest.mark.parametrize(("commitment", "left"), [("firm", 0.0), ("manufacturing", 10.0), ("material", 20.0)])
def test_the_more_a_customer_commits_the_less_is_left_open(commitment: str, left: float) -> None:
    found = planned(usual(10), [line(PlanKind.PLAN, quantity=10.0, commitment=commitment)])

    assert found.variance == pytest.approx(left)


def test_factors_multiply_then_an_override_replaces_what_they_made() -> None:
    lines = [
        line(PlanKind.OVERRIDE, 1, 1, quantity=5.0),
        line(PlanKind.SURVEY, 0, 1, factor=1.5),
        line(PlanKind.PROMOTION, 0, 1, factor=2.0),
    ]

    found = planned(usual(10, 10), lines)

    assert found.mean == pytest.approx(30 + 5)
    assert [layer.before for layer in found.layers] == [20, 40, 60]


def test_a_change_of_each_day_never_leaves_less_than_nothing() -> None:
    assert planned(usual(10, 2), [line(PlanKind.SURVEY, 0, 1, quantity=-4.0)]).mean == pytest.approx(6)


def test_net_plans_say_what_to_deliver_and_gross_ones_do_not() -> None:
    net, gross = (line(PlanKind.PLAN, 0, 1, quantity=30.0, net=one) for one in (True, False))

    assert net_requirement(usual(1, 1), [gross]) is None
    found = net_requirement(usual(1, 1), [net, gross])
    assert found is not None
    assert (found.mean, found.variance) == (30, 0)


def test_an_uplift_is_learned_from_an_items_own_promotions_and_meanwhile_from_all() -> None:
    assert learned_uplift(0, 0, 0, 0) == 1
    assert learned_uplift(0, 0, 1000, 3000) == pytest.approx(3, rel=0.01)
    assert learned_uplift(100, 150, 1000, 3000) == pytest.approx(1.5, rel=0.05)
