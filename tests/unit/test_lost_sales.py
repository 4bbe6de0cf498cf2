"""Lost sales: quantities against the optimum by dynamic programming, levels against the simulated long run."""

from decimal import Decimal
from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from vmi_domain import distributions
from vmi_domain.replenishment.decisions import decide
from vmi_domain.replenishment.needs import (
    Arrival,
    Basis,
    Expected,
    Need,
    Policy,
    Position,
    ServiceMeasure,
    UnmetDemand,
    outlooks,
)
from vmi_domain.replenishment.policies import grids, landing, levels, stationary
from vmi_domain.replenishment.policies.cycles import Cycles
from vmi_domain.replenishment.policies.spreads import Spread
from vmi_domain.replenishment.quantities import OrderRules
from vmi_testing.lost_sales import LostSalesWorld, drawn, simulated_base_stock


@cache
def world(lead: int, shortage: float, variance: float = 5.0) -> LostSalesWorld:
    """Demand of 5 a period: Poisson, or negative binomial with this variance."""
    if variance == 5.0:
        return LostSalesWorld(
            stats.poisson.pmf(np.arange(25), 5), lead=lead, holding=1, shortage=shortage, most=30, largest=13
        )
    chances = stats.nbinom.pmf(np.arange(60), 25 / (variance - 5), 5 / variance)
    return LostSalesWorld(chances, lead=lead, holding=1, shortage=shortage, most=60, largest=26)


def cycles(mean: float, variance: float, lead: float, review: float, keys: int = 1) -> Cycles:
    """Independent periods of this demand."""
    until = [
        distributions.by_the_data(np.full(keys, mean * days), np.full(keys, variance * days))
        for days in (lead, lead + review)
    ]
    return Cycles(until[0], until[1], np.full(keys, review))


def landing_policy(there: LostSalesWorld, variance: float, shortage: float) -> np.ndarray:
    """What is ordered in each state."""
    states = there.states()
    moments = np.tile(np.arange(1, there.lead) / there.lead, (len(states), 1))
    pipeline = landing.Pipeline(states[:, 0].astype(float), states[:, 1:].astype(float), moments)
    demand = cycles(5.0, variance, there.lead, 1.0, len(states))
    return landing.quantity_for_cost(demand, pipeline, shortage / (shortage + 1.0)).astype(np.int64)


@pytest.mark.parametrize(("level", "cost"), [(16, 4.639), (18, 4.943)])
def test_the_golden_base_stocks_cost_what_the_book_says(level: int, cost: float) -> None:
    """formulas.md 5.3: Poisson 5, h 1, p 4, L 2, R 1; the optimum is 4.395."""
    there = world(2, 4.0)
    base_stock = level - there.states().sum(axis=1)

    assert there.cost_of(base_stock) == pytest.approx(cost, abs=0.006)
    assert there.best_cost() == pytest.approx(4.395, abs=0.001)


@pytest.mark.parametrize("shortage", [4.0, 9.0, 19.0])
def test_where_demand_is_lost_no_base_stock_is_optimal_and_the_quantile_of_waiting_demand_overstocks(
    shortage: float,
) -> None:
    """formulas.md 5.3 for L 2, R 1: the best base stock is 2 to 6 % dearer; here the quantile is 6 to 13 %."""
    there = world(2, shortage)
    quantile = int(stats.poisson.ppf(shortage / (shortage + 1.0), 15.0))
    dearer = {
        level: there.cost_of(level - there.states().sum(axis=1)) / there.best_cost() - 1.0
        for level in range(quantile - 4, quantile + 2)
    }

    assert 0.02 <= min(dearer.values()) <= 0.06
    assert 0.06 <= dearer[quantile] <= 0.13
    assert min(dearer, key=lambda level: dearer[level]) < quantile


@pytest.mark.parametrize("lead", [1, 2, 3])
@pytest.mark.parametrize("shortage", [4.0, 9.0, 19.0])
def test_what_is_ordered_in_view_of_the_landing_costs_next_to_nothing_above_the_optimum(
    lead: int, shortage: float
) -> None:
    there = world(lead, shortage)

    assert there.cost_of(landing_policy(there, 5.0, shortage)) <= 1.002 * there.best_cost()


@pytest.mark.parametrize("lead", [1, 2])
def test_so_it_is_where_demand_is_erratic(lead: int) -> None:
    there = world(lead, 9.0, 15.0)

    assert there.cost_of(landing_policy(there, 15.0, 9.0)) <= 1.003 * there.best_cost()


WORLDS = [
    (5.0, 5.0, 1, 1), (5.0, 5.0, 7, 1), (2.0, 8.0, 28, 1), (5.0, 5.0, 3, 7), (2.0, 8.0, 14, 7), (0.1, 0.1, 7, 7),
    (40.0, 40.0, 28, 1), (40.0, 40.0, 7, 7),
]  # fmt: skip


@pytest.mark.parametrize(("mean", "variance", "lead", "review"), WORLDS)
@pytest.mark.parametrize("target", [0.9, 0.97])
def test_the_level_is_the_smallest_whose_long_run_fill_rate_reaches_the_target(
    mean: float, variance: float, lead: int, review: int, target: float
) -> None:
    demand = cycles(mean, variance, lead, review)
    enough = levels.level_for_fill_rate(demand, target)

    [level] = stationary.least_level_for_fill_rate(demand, target, enough)
    at, below = (stationary.long_run(demand, [one]).fill_rate[0] for one in (level, level - 1))
    fill_rate, cycle_service = simulated_base_stock(level, drawn(mean, variance), lead, review)

    assert below < target + 0.0005
    assert at >= target - 0.001, "levels of more than 64 units are found in steps of several"
    assert level <= enough[0], "where demand waits more is needed"
    assert fill_rate == pytest.approx(at, abs=0.005)
    if level < stationary.FINE_CELLS:
        assert cycle_service == pytest.approx(stationary.long_run(demand, [level]).cycle_service[0], abs=0.01)


def need(measure: ServiceMeasure, unmet: UnmetDemand, position: Position, *arrivals: Arrival) -> Need:
    """Poisson demand of 5 a day, a lead time of 14 days, a review every 7."""
    until, until_next = outlooks([14, 21], distributions.poisson([70.0, 105.0]))
    policy = Policy(service_measure=measure, service_target=0.95, unmet_demand=unmet)
    return Need(position, policy, OrderRules(), Expected(Basis.HISTORY, until_next, until), arrivals)


def test_a_low_fill_rate_of_large_and_regular_demand_has_a_level_that_rises_with_it() -> None:
    lead, whole = (
        distributions.normal([7787.2, 7787.2], [15574.4, 15574.4]),
        distributions.normal([15574.4, 15574.4], [31148.8, 31148.8]),
    )
    cycles = Cycles(lead, whole, np.full(2, 2.0))
    targets = np.array([0.5, 0.9])

    half, most = stationary.least_level_for_fill_rate(cycles, targets, levels.level_for_fill_rate(cycles, targets))

    assert 0 < half < most


@pytest.mark.parametrize("measure", ServiceMeasure)
def test_lost_sales_need_less_than_demand_that_waits(measure: ServiceMeasure) -> None:
    position = Position(Decimal(40), on_order=Decimal(35))

    lost, waiting = decide([need(measure, unmet, position) for unmet in UnmetDemand])

    assert lost.level is not None
    assert waiting.level is not None
    assert lost.level < waiting.level


def test_sales_that_will_be_lost_before_the_order_lands_are_not_ordered() -> None:
    """An empty shelf for 14 days: the order serves its own week, 35 units and what is safe above them."""
    [decision] = decide([need(ServiceMeasure.CYCLE_SERVICE, UnmetDemand.LOST, Position(Decimal(0)))])

    assert decision.quantity == stats.poisson.ppf(0.95, 35)


def test_supply_that_comes_too_late_for_today_is_there_for_tomorrow() -> None:
    """40 units on their way: if they come with the order they are there in full, if they come now they are sold."""
    coming = Position(Decimal(0), in_transit=Decimal(40))

    late, early = decide(
        [
            need(ServiceMeasure.CYCLE_SERVICE, UnmetDemand.LOST, coming, Arrival(days, Decimal(40)))
            for days in (14.0, 0.0)
        ]
    )

    assert late.quantity == max(stats.poisson.ppf(0.95, 35) - 40, 0)
    assert early.quantity == stats.poisson.ppf(0.95, 35)


@given(
    mean=st.floats(0.05, 400),
    excess=st.one_of(st.just(0.0), st.floats(0.01, 5)),
    cell=st.integers(2, 40),
    size=st.sampled_from([4, 16, 64]),
)
def test_chances_in_cells_of_a_few_units_are_those_of_the_distribution(
    mean: float, excess: float, cell: int, size: int
) -> None:
    demand = distributions.by_the_data([mean], [mean * (1 + excess)])
    width = np.array([float(cell)])
    edges = (np.arange(size) + 0.5) * cell
    halved = (grids.of_grid(demand, edges[None]) + grids.of_grid(demand, edges[None] - 0.5)) / 2.0

    assert np.allclose(grids.cell_chances(demand, width, size), np.diff(halved, prepend=0.0), atol=1e-9)
    assert np.allclose(
        grids.grid_cdf(demand, width, size), grids.of_grid(demand, np.arange(size)[None] * width), atol=1e-9
    )


def chances_of(mean: float, dispersion: float) -> np.ndarray:
    """P(demand = 0, 1, …), as scipy has it."""
    units = np.arange(400)
    if dispersion == 1.0:
        return stats.poisson.pmf(units, mean)
    return stats.nbinom.pmf(units, mean / (dispersion - 1.0), 1.0 / dispersion)


def followed(
    mean: float, dispersion: float, lead: int, on_hand: int, arriving: list[int], target: float, pack: int = 1
) -> int:
    """Return the least quantity for the target with a review every period: a stock followed unit by unit, a day
    at a time, that has to cover the next day's demand once the order is there. Packs make it up to pack − 1 more."""
    demand = chances_of(mean, dispersion)
    stock = np.eye(1, 400, on_hand)[0]
    for come in [*arriving, 0]:
        left = np.zeros(400)
        for there in np.flatnonzero(stock > 0):
            left[1 : there + 1] += stock[there] * demand[:there][::-1]
            left[0] += stock[there] * (1.0 - demand[:there].sum())
        stock = np.roll(left, come)
    covered = np.concatenate([np.zeros(400), np.cumsum(demand), np.ones(400)])
    covered = np.convolve(covered, np.ones(pack) / pack)[pack - 1 :]
    quantity = -on_hand - sum(arriving) - pack
    while stock @ covered[400 + quantity : 800 + quantity] < target:
        quantity += 1
    return quantity


def test_what_is_ordered_is_what_following_the_stock_day_by_day_says() -> None:
    random = np.random.default_rng(4)
    keys, lead = 60, 3
    mean, dispersion = random.gamma(1.0, 1.5, keys) + 0.05, random.choice([1.0, 1.7, 4.0], keys)
    on_hand, arriving = random.poisson(2 * mean), random.poisson(mean, (2, keys)).T
    arriving[::3, 0] = arriving[::4, 1] = 0
    target = random.choice([0.8, 0.95, 0.99], keys)
    until = [distributions.by_the_data(mean * days, dispersion * mean * days) for days in (lead, lead + 1)]
    pipeline = landing.Pipeline(on_hand.astype(float), arriving.astype(float), np.tile([1 / 3, 2 / 3], (keys, 1)))

    found = landing.quantity_for_cycle_service(Cycles(*until, np.ones(keys)), pipeline, target)

    told = zip(mean, dispersion, on_hand.tolist(), arriving.tolist(), target, strict=True)
    assert found.tolist() == [followed(one, wide, lead, there, comes, goal) for one, wide, there, comes, goal in told]


def test_by_cost_a_unit_that_later_orders_do_not_know_of_is_dearer_and_packs_are_looked_at_as_a_whole() -> None:
    stocks, ratio, pack = list(range(0, 60, 2)), 0.95, 100
    pipeline = landing.Pipeline(np.array(stocks, np.float64), np.zeros((len(stocks), 0)), np.zeros((len(stocks), 0)))
    packs = Spread(np.full(30, pack), np.tile(np.arange(100.0), 30), np.full(3000, 1 / pack))

    found = landing.quantity_for_cost(cycles(2.0, 9.0, 1.0, 1.0, len(stocks)), pipeline, ratio, packs)

    chance = ratio / (ratio + (1.0 - ratio) * (1.0 + landing.LATE_KNOWLEDGE))
    assert found.tolist() == [followed(2.0, 4.5, 1, there, [], chance, pack) for there in stocks]


def test_a_demand_that_comes_once_in_a_million_days_is_covered_where_so_much_is_asked() -> None:
    """Wherever the followed steps end: each demand reaches beyond another part of what is usually wanted."""
    rates, target = np.linspace(0.2, 4.0, 40), 1.0 - 1e-6
    until = [distributions.by_the_data(rates * days, 3.0 * rates * days) for days in (1, 2)]
    nothing = landing.Pipeline(np.zeros(40), np.zeros((40, 0)), np.zeros((40, 0)))

    found = landing.quantity_for_cycle_service(Cycles(*until, np.ones(40)), nothing, target)

    assert found.tolist() == [followed(rate, 3.0, 1, 0, [], target) for rate in rates]
