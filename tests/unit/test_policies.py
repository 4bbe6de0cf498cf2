"""Safety stock, reorder points and levels against the golden numbers of the field (formulas.md 5.2 to 5.4)."""

import numpy as np
import pytest

from vmi_domain import distributions
from vmi_domain.replenishment.policies.cycles import Cycles
from vmi_domain.replenishment.policies.levels import (
    fill_rate_of_level,
    level_for_cost,
    level_for_cycle_service,
    level_for_fill_rate,
)
from vmi_domain.replenishment.policies.normal import (
    fill_rate_of_quantity,
    interval_sd,
    normal_loss,
    order_up_to_level,
    reorder_point,
    safety_factor_for_fill_rate,
    safety_stock,
)

MEAN, SD, LEAD, CSL = 100.0, 20.0, 10.0, 0.95


def test_the_safety_stock_of_a_steady_lead_time_covers_demand_alone() -> None:
    stock = safety_stock(demand_mean=MEAN, demand_sd=SD, protection_days=LEAD, cycle_service_level=CSL)

    assert round(stock, 2) == 104.03


def test_an_uncertain_lead_time_enters_with_the_mean_and_once() -> None:
    stock = safety_stock(
        demand_mean=MEAN, demand_sd=SD, protection_days=LEAD, cycle_service_level=CSL, lead_time_sd_days=2
    )

    assert round(stock, 2) == 345.03
    assert round(stock, 2) not in (433.00, 328.97), "the additive and the linear variant are wrong"


def test_the_reorder_point_is_lead_time_demand_and_safety_stock() -> None:
    point = reorder_point(
        demand_mean=MEAN, demand_sd=SD, lead_time_days=LEAD, cycle_service_level=CSL, lead_time_sd_days=2
    )

    assert round(point, 2) == 1345.03


@pytest.mark.parametrize(("lead_time_sd_days", "level"), [(0.0, 1835.64), (2.0, 2055.84)])
def test_the_order_up_to_level_covers_review_and_lead_time(lead_time_sd_days: float, level: float) -> None:
    found = order_up_to_level(
        demand_mean=MEAN,
        demand_sd=SD,
        review_period_days=7,
        lead_time_days=LEAD,
        cycle_service_level=CSL,
        lead_time_sd_days=lead_time_sd_days,
    )
    safety = safety_stock(
        demand_mean=MEAN,
        demand_sd=SD,
        protection_days=LEAD + 7,
        cycle_service_level=CSL,
        lead_time_sd_days=lead_time_sd_days,
    )

    assert round(found, 2) == level
    assert round(safety, 2) == round(level - 1700, 2)
    assert round(found, 2) != 1104.03, "without the review it is the reorder point of a steady lead time"


@pytest.mark.parametrize(("lead_time_sd_days", "level"), [(0.0, 1835.64), (2.0, 2055.84)])
def test_the_general_form_gives_the_closed_one_for_normal_demand(lead_time_sd_days: float, level: float) -> None:
    demand = distributions.normal([17 * MEAN], [17 * SD**2]).widened((MEAN * lead_time_sd_days) ** 2)

    assert round(float(level_for_cycle_service(demand, CSL)[0]), 2) == level
    assert demand.sd[0] == pytest.approx(
        interval_sd(demand_mean=MEAN, demand_sd=SD, protection_days=17, lead_time_sd_days=lead_time_sd_days)
    )


@pytest.mark.parametrize(("safety_factor", "fill_rate"), [(0.0, 0.9495), (1.0, 0.9895), (1.645, 0.9974)])
def test_cycle_service_is_not_the_fill_rate(safety_factor: float, fill_rate: float) -> None:
    reached = fill_rate_of_quantity(safety_factor=safety_factor, order_quantity=500, lead_time_demand_sd=63.25)

    assert round(reached, 4) == fill_rate


@pytest.mark.parametrize(
    ("order_quantity", "safety_factor", "stock"), [(200, 1.466, 92.7), (500, 1.027, 65.0), (2000, 0.178, 11.3)]
)
def test_a_larger_order_needs_less_safety_for_the_same_fill_rate(
    order_quantity: float, safety_factor: float, stock: float
) -> None:
    lead_time_demand_sd = SD * LEAD**0.5

    z = safety_factor_for_fill_rate(
        fill_rate=0.99, order_quantity=order_quantity, lead_time_demand_sd=lead_time_demand_sd
    )

    assert round(z, 3) == safety_factor
    assert round(z * lead_time_demand_sd, 1) == stock


@pytest.mark.parametrize(
    ("review_days", "safety", "stock", "cycle_service"),
    [(1, 118, 168, 0.962), (7, 82, 432, 0.839), (14, 69, 769, 0.758), (28, 51, 1451, 0.659)],
)
def test_the_level_of_a_fill_rate_is_solved_from_the_distribution(
    review_days: int, safety: float, stock: float, cycle_service: float
) -> None:
    """formulas.md 5.9, the column of equal fill rate."""
    until_arrival = distributions.normal([LEAD * MEAN], [LEAD * SD**2])
    tau = review_days + LEAD
    until_next = distributions.normal([tau * MEAN], [tau * SD**2])

    level = level_for_fill_rate(Cycles(until_arrival, until_next, np.array([review_days])), 0.99)

    assert round(float(level[0]) - tau * MEAN) == safety
    assert round(float(level[0]) - tau * MEAN + MEAN * review_days / 2) == stock
    assert round(float(until_next.cdf(level)[0]), 3) == cycle_service
    assert fill_rate_of_level(level=level, until_arrival=until_arrival, until_next_arrival=until_next)[
        0
    ] == pytest.approx(0.99, abs=1e-6)


def test_the_level_of_counted_demand_is_the_least_whole_one_that_reaches_the_fill_rate() -> None:
    until_arrival = distributions.poisson([3.0, 0.2, 40.0])
    until_next = distributions.poisson([10.0, 0.9, 110.0])

    level = level_for_fill_rate(Cycles(until_arrival, until_next, np.ones(3)), [0.98, 0.98, 0.98])
    at = fill_rate_of_level(level=level, until_arrival=until_arrival, until_next_arrival=until_next)
    below = fill_rate_of_level(level=level - 1, until_arrival=until_arrival, until_next_arrival=until_next)

    assert (level == np.floor(level)).all()
    assert (at >= 0.98).all()
    assert (below < 0.98).all()


def test_the_level_by_cost_of_a_review_every_period_is_the_critical_quantile() -> None:
    """formulas.md 5.3: R = 1, F_{L+1}(S) = p / (p + h)."""
    until_next = distributions.poisson([15.0])
    cycles = Cycles(distributions.poisson([10.0]), until_next, np.ones(1))

    assert level_for_cost(cycles, 0.9)[0] == until_next.quantile(0.9)[0]


@pytest.mark.parametrize("periods", [7, 28])
def test_the_level_by_cost_of_a_long_review_averages_the_ends_of_its_periods(periods: int) -> None:
    """formulas.md 5.3: (1/R) Σ F_{L+j}(S) ≥ p / (p + h), and one unit less does not."""
    cycles = Cycles(
        distributions.poisson([4.0]), distributions.poisson([4.0 + 2.0 * periods]), np.array([float(periods)])
    )

    [level] = level_for_cost(cycles, 0.9)
    ends = distributions.poisson(4.0 + 2.0 * np.arange(1, periods + 1))

    assert ends.cdf(level).mean() >= 0.9 > ends.cdf(level - 1).mean()
    assert level < cycles.until_next_arrival.quantile(0.9)[0], "F_{L+R} alone overstocks"


@pytest.mark.parametrize(("periods", "ratio"), [(7, 0.95), (7, 0.9), (28, 0.95), (28, 0.9)])
def test_covering_the_last_period_by_the_critical_ratio_costs_an_eighth_to_a_third_more(
    periods: int, ratio: float
) -> None:
    """formulas.md 5.3: 13 to 30 % at R 7 to 28; here of Poisson demand, 5 a period, L 2."""
    ends = distributions.poisson(5.0 * (2.0 + np.arange(1, periods + 1)))
    cycles = Cycles(distributions.poisson([10.0]), ends.at(slice(periods - 1, periods)), np.array([float(periods)]))

    def cost(level: float) -> float:
        held, short = ends.expected_stock(level), ends.expected_shortage(level)
        return float(np.mean((1.0 - ratio) * held + ratio * short))

    dearer = cost(float(cycles.until_next_arrival.quantile(ratio)[0])) / cost(float(level_for_cost(cycles, ratio)[0]))

    assert 1.13 <= dearer <= 1.30


def test_where_nothing_is_wanted_nothing_is_kept() -> None:
    nothing = distributions.poisson([0.0])

    assert level_for_fill_rate(Cycles(nothing, nothing, np.ones(1)), 0.99)[0] == 0
    assert level_for_cycle_service(nothing, 0.99)[0] == 0


def test_what_was_short_before_the_arrival_is_not_this_cycles_shortage() -> None:
    """formulas.md 5.4, last line, for L = 2, R = 1, μ = 100, σ = 40 and S = 300: z₁ = 0, z₀ = 1.7678."""
    until_arrival = distributions.normal([200.0], [2 * 40.0**2])
    until_next = distributions.normal([300.0], [3 * 40.0**2])

    reached = fill_rate_of_level(level=[300.0], until_arrival=until_arrival, until_next_arrival=until_next)

    assert normal_loss(0.0) == pytest.approx(0.398942)
    assert reached[0] == pytest.approx(1 - (69.2820 * 0.398942 - 56.5685 * normal_loss(1.767767)) / 100, abs=1e-5)
    assert reached[0] > 1 - 69.2820 * 0.398942 / 100
