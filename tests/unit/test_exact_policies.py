"""Exact optima where theory has them, against stockpyl 1.0.2 (its values recorded here: it pins an old Sphinx)."""

from decimal import Decimal

import numpy as np
import pytest

from vmi_domain import distributions
from vmi_domain.replenishment.decisions import decide
from vmi_domain.replenishment.needs import (
    Basis,
    BufferFactors,
    Expected,
    Need,
    Policy,
    PolicyKind,
    Position,
    ServiceMeasure,
    outlooks,
)
from vmi_domain.replenishment.policies import ddmrp, reordering, short_life
from vmi_domain.replenishment.policies.cycles import Cycles
from vmi_domain.replenishment.policies.grids import cell_chances
from vmi_domain.replenishment.policies.levels import level_for_cost
from vmi_domain.replenishment.policies.supply_days import dynamic_level
from vmi_domain.replenishment.quantities import OrderRules
from vmi_testing.oracles import NEWSVENDOR_NORMAL, NEWSVENDOR_POISSON, REORDER_LEVELS, REORDER_QUANTITIES

ONE = np.ones(1)


def one_period(demand: distributions.Demand) -> Cycles:
    """No lead time, a review every period."""
    return Cycles(distributions.poisson([0.0]), demand, ONE)


def cost(demand: distributions.Demand, level: float, holding: float, shortage: float) -> float:
    left, short = demand.expected_stock([level])[0], demand.expected_shortage([level])[0]
    return float(holding * left + shortage * short)


@pytest.mark.parametrize(("holding", "shortage", "mean", "sd", "level", "least"), NEWSVENDOR_NORMAL)
def test_the_newsvendor_of_normal_demand(
    holding: float, shortage: float, mean: float, sd: float, level: float, least: float
) -> None:
    demand = distributions.normal([mean], [sd**2])

    [found] = short_life.newsvendor(demand, shortage / (shortage + holding))

    assert found == pytest.approx(level, rel=1e-6)
    assert cost(demand, found, holding, shortage) == pytest.approx(least, rel=1e-5)


@pytest.mark.parametrize(("holding", "shortage", "mean", "level", "least"), NEWSVENDOR_POISSON)
def test_the_base_stock_by_cost_is_the_newsvendors(
    holding: float, shortage: float, mean: float, level: int, least: float
) -> None:
    demand = distributions.poisson([mean])

    [found] = level_for_cost(one_period(demand), shortage / (shortage + holding))

    assert found == level
    assert cost(demand, found, holding, shortage) == pytest.approx(least, rel=1e-5)


@pytest.mark.parametrize(("holding", "shortage", "order", "mean", "point", "level", "least"), REORDER_LEVELS)
def test_the_reorder_point_and_level_of_least_cost(
    holding: float, shortage: float, order: float, mean: float, point: int, level: int, least: float
) -> None:
    """(s, S), Zheng and Federgruen."""
    demand = distributions.poisson([mean])
    places = np.arange(-60.0, 200.0)
    rates = reordering.cost_rates(one_period(demand), places, holding, shortage)

    found = reordering.cheapest_levels(rates, cell_chances(demand, ONE, 200)[0], order, -60)

    assert found.cost == pytest.approx(least, rel=1e-6)
    assert (found.reorder_point, found.level) == (point, level)


@pytest.mark.parametrize(("holding", "shortage", "order", "mean", "point", "level", "least"), REORDER_LEVELS)
def test_decisions_find_the_same_reorder_point_and_level(
    holding: float, shortage: float, order: float, mean: float, point: int, level: int, least: float
) -> None:
    policy = Policy(
        PolicyKind.REORDER_POINT_LEVEL,
        service_measure=ServiceMeasure.COST,
        service_target=shortage / (shortage + holding),
        order_cost_periods=order / holding,
    )
    [until_next] = outlooks([1.0], distributions.poisson([mean]))

    [decision] = decide(
        [Need(Position(Decimal(0), backlog=Decimal(9)), policy, OrderRules(), Expected(Basis.HISTORY, until_next))]
    )

    assert (decision.reorder_point, decision.level) == (point, level)
    assert decision.quantity == level + 9


@pytest.mark.parametrize(
    ("holding", "shortage", "order", "rate", "lead", "point", "quantity", "least"), REORDER_QUANTITIES
)
def test_the_reorder_point_and_quantity_of_least_cost(
    holding: float, shortage: float, order: float, rate: float, lead: float, point: int, quantity: int, least: float
) -> None:
    """(r, Q), Federgruen and Zheng: continuous review, so that G is that of the lead time's demand."""
    places = np.arange(-80.0, 200.0)
    rates = reordering.cost_rates(one_period(distributions.poisson([rate * lead])), places, holding, shortage)

    found = reordering.cheapest_quantity(rates, rate, order, -80)

    assert found.cost == pytest.approx(least, rel=1e-6)
    assert found.reorder_point == point
    assert found.level - found.reorder_point == quantity


def test_a_fixed_quantity_has_its_own_best_reorder_point() -> None:
    """stockpyl's (r, Q) = (4, 17): with Q = 17 given, the level by cost averages over the positions 5 … 21."""
    [until_next] = outlooks([3.0], distributions.poisson([6.0]))
    policy = Policy(
        PolicyKind.REORDER_POINT_QUANTITY,
        service_measure=ServiceMeasure.COST,
        service_target=0.9,
        order_quantity=Decimal(17),
    )

    def quantity(on_hand: int) -> Decimal:
        expected = Expected(Basis.HISTORY, until_next, outlooks([2.0], distributions.poisson([4.0]))[0])
        [decision] = decide([Need(Position(Decimal(on_hand)), policy, OrderRules(), expected)])
        assert decision.reorder_point == 4
        return decision.quantity

    assert [quantity(on_hand) for on_hand in (5, 4, 0)] == [0, 17, 17]


def test_the_economic_quantity_balances_what_orders_and_stock_cost() -> None:
    assert reordering.economic_order_quantity(demand_mean=1300, order_cost=8, holding_cost=0.225) == pytest.approx(
        304.0468
    )


def test_packs_carry_positions_above_the_level_so_that_it_may_be_lower() -> None:
    """A pack of 24 at 1 unit a day: nearly always most of a pack stands there."""
    until, until_next = outlooks([7.0, 14.0], distributions.poisson([7.0, 14.0]))
    expected = Expected(Basis.HISTORY, until_next, until)
    policy = Policy(service_measure=ServiceMeasure.FILL_RATE, service_target=0.95)

    single, packed = decide(
        [Need(Position(Decimal(0)), policy, OrderRules(multiple=Decimal(pack)), expected) for pack in (1, 24)]
    )

    assert single.level is not None
    assert packed.level is not None
    assert packed.level < single.level


def test_what_a_reorder_point_is_undershot_by_is_covered() -> None:
    """formulas.md 5.3: neglecting the undershoot overstates the fill rate; simulated, (s, S) reaches its own."""
    until, until_next = outlooks([3.0, 4.0], distributions.negative_binomial([15.0, 20.0], [60.0, 80.0]))
    policy = Policy(
        PolicyKind.REORDER_POINT_LEVEL,
        service_measure=ServiceMeasure.FILL_RATE,
        service_target=0.95,
        order_quantity=Decimal(20),
    )
    [decision] = decide([Need(Position(Decimal(0)), policy, OrderRules(), Expected(Basis.HISTORY, until_next, until))])
    assert decision.reorder_point is not None

    assert 0.945 <= waiting_fill_rate(int(decision.reorder_point), 20) <= 0.965
    assert waiting_fill_rate(int(decision.reorder_point) - 1, 20) < 0.955


def waiting_fill_rate(point: int, quantity: int) -> float:
    """Simulate (s, S) on negative binomial demand of 5 a day with variance 20, a lead time of 3 days."""
    random = np.random.default_rng(3)
    stores = 4000
    net = position = np.full(stores, point + quantity)
    coming = np.zeros((4, stores), np.int64)
    short = wanted = 0
    for day in range(150):
        net = net + coming[day % 4]
        ordered = np.where(position <= point, point + quantity - position, 0)
        coming[(day + 3) % 4] = ordered
        position = position + ordered
        demand = random.negative_binomial(25 / 15, 0.25, stores)
        if day >= 30:
            short += (np.minimum(demand, np.maximum(demand - np.maximum(net, 0), 0))).sum()
            wanted += demand.sum()
        net, position = net - demand, position - demand
    return float(1.0 - short / wanted)


# Other rules


def test_s24_f42_dynamic_levels_leave_out_the_periods_own_demand() -> None:
    demand = [Decimal(one) for one in (10, 20, 30, 40)]

    assert dynamic_level(demand, 0, 2) == 50


@pytest.mark.parametrize(("position", "quantity"), [(61, 0), (60, 30), (10, 80)])
def test_days_of_supply_order_at_the_minimum_up_to_the_maximum(position: int, quantity: int) -> None:
    """10 a day, a lead time of 3 days: the arrival's day ends after 4, 2 and 5 days of supply lie beyond it."""
    policy = Policy(PolicyKind.DAYS_OF_SUPPLY, minimum_days=2, maximum_days=5)
    until, until_next = outlooks([3.0, 4.0], distributions.poisson([30.0, 40.0]))

    [decision] = decide(
        [Need(Position(Decimal(position)), policy, OrderRules(), Expected(Basis.HISTORY, until_next, until))]
    )

    assert (decision.reorder_point, decision.level) == (60, 90)
    assert decision.quantity == quantity


@pytest.mark.parametrize(("position", "quantity"), [(219, 0), (Decimal("218.5"), 60), (100, 180)])
def test_the_pillow_buffer_orders_at_the_top_of_yellow_up_to_the_top_of_green(position: Decimal, quantity: int) -> None:
    """formulas.md 5.6: ADU 23, DLT 5, LTF .5, VF .8, MOQ 10; tops 103.5, 218.5, 276; packs of 10."""
    until, until_next = outlooks([5.0, 6.0], distributions.poisson([115.0, 138.0]))
    policy = Policy(PolicyKind.DDMRP, buffer=BufferFactors(0.5, 0.8))
    rules = OrderRules(multiple=Decimal(10), minimum_order=Decimal(10))

    [decision] = decide([Need(Position(Decimal(position)), policy, rules, Expected(Basis.HISTORY, until_next, until))])

    assert (decision.reorder_point, decision.level) == (Decimal("218.5"), 276)
    assert decision.quantity == quantity


@pytest.mark.parametrize(("threshold", "qualified"), [(50, 67), (40, 107), (100, 7)])
def test_spikes_qualify_by_a_threshold_that_is_a_parameter(threshold: int, qualified: int) -> None:
    """Due 7; orders of 60, 40 and, beyond the horizon, 90."""
    upcoming = [Decimal(0), Decimal(60), Decimal(40), Decimal(0), Decimal(90)]

    assert ddmrp.qualified_demand(
        Decimal(7), upcoming, spike_threshold=Decimal(threshold), spike_horizon_days=4
    ) == Decimal(qualified)


@pytest.mark.parametrize(("on_hand", "alert"), [(51, "red"), (52, "yellow"), (103, "yellow"), (104, "green")])
def test_the_stock_on_hand_alerts_by_the_top_of_red(on_hand: float, alert: str) -> None:
    assert ddmrp.on_hand_alert(on_hand, 103.5).value == alert


def test_one_to_one_sends_what_was_taken() -> None:
    policy = Policy(PolicyKind.ONE_TO_ONE, maximum=Decimal(12))

    [decision] = decide([Need(Position(Decimal(9), in_transit=Decimal(1)), policy, OrderRules())])

    assert decision.quantity == 2


def test_a_short_life_ends_the_demand_that_an_order_serves() -> None:
    """A week between arrivals, goods that last two days: more than two days' demand would be scrapped."""
    until, until_next = outlooks([1.0, 8.0], distributions.poisson([0.0, 70.0]))
    until_next_only = Expected(Basis.HISTORY, until_next, until)

    def level(days: float | None) -> Decimal | None:
        policy = Policy(PolicyKind.NEWSVENDOR, service_target=0.8, shelf_life_days=days)
        [decision] = decide([Need(Position(Decimal(0)), policy, OrderRules(), until_next_only)])
        return decision.level

    assert level(2.0) == distributions.poisson([20.0]).quantile(0.8)[0]
    assert level(None) == distributions.poisson([70.0]).quantile(0.8)[0]


def test_s20_what_will_expire_unsold_is_no_stock() -> None:
    outdating = short_life.expected_outdating([(1.0, 30.0)], daily_demand=10.0)
    position = Position(Decimal(50), outdating=Decimal(outdating))

    assert outdating == 20
    assert position.inventory_position == 30
