"""Distributions of demand: values a person can check, and sums done the long way."""

import numpy as np
import pytest
from scipy import stats

from vmi_domain import distributions
from vmi_domain.distributions import Family

COUNTS = np.arange(3000)


def test_poisson_demand_of_five_stays_within_nine_in_95_of_100_cases():
    demand = distributions.poisson(5.0)

    assert demand.quantile(0.95) == 9
    assert demand.cdf(9) == pytest.approx(0.968172, abs=1e-6)
    assert demand.cdf(8.99) == demand.cdf(8)


def test_a_negative_binomial_has_the_mean_and_the_variance_it_was_given():
    demand = distributions.negative_binomial(12.0, 40.0)
    chances = np.diff(demand_cdf(demand, COUNTS), prepend=0.0)

    assert (COUNTS * chances).sum() == pytest.approx(12.0)
    assert ((COUNTS - 12.0) ** 2 * chances).sum() == pytest.approx(40.0)


@pytest.mark.parametrize(
    "demand", [distributions.poisson(5.0), distributions.negative_binomial(12.0, 40.0)], ids=["poisson", "binomial"]
)
@pytest.mark.parametrize("level", [0.0, 1.0, 6.5, 20.25, 60.0])
def test_the_expected_shortage_of_counts_is_the_sum_over_all_demands_above_the_level(demand, level):
    chances = np.diff(demand_cdf(demand, COUNTS), prepend=0.0)
    by_hand = (np.maximum(COUNTS - level, 0.0) * chances).sum()

    assert demand.expected_shortage(level) == pytest.approx(by_hand, abs=1e-9)
    assert demand.expected_stock(level) == pytest.approx(level - demand.mean + by_hand, abs=1e-9)


def test_the_normal_loss_has_its_golden_values():
    # formulas.md 5.4 with sigma 63.25 and Q = 500: z = 0 fills 94.95 %, z = 1 98.95 %.
    assert 1 - 63.25 * distributions.standard_normal_loss(0.0) / 500 == pytest.approx(0.9495, abs=5e-5)
    assert 1 - 63.25 * distributions.standard_normal_loss(1.0) / 500 == pytest.approx(0.9895, abs=5e-5)
    demand = distributions.normal(1000.0, 63.25**2)
    assert demand.expected_shortage(1000.0) == pytest.approx(25.233, abs=1e-3)
    assert demand.quantile(0.95) == pytest.approx(1000 + 1.6449 * 63.25, abs=0.01)


def test_the_family_is_chosen_by_the_data():
    mean = [0.4, 0.4, 0.4, 5000.0, 5000.0]
    variance = [0.4, 1.0, 1.0, 90000.0, 9000000.0]
    counts = [True, True, False, True, True]

    demand = distributions.by_the_data(mean, variance, counts=counts)

    assert [Family(value) for value in demand.family] == [
        Family.POISSON,
        Family.NEGATIVE_BINOMIAL,
        Family.NORMAL,
        Family.NORMAL,
        Family.NEGATIVE_BINOMIAL,
    ]


def test_less_spread_than_chance_is_not_believed():
    demand = distributions.by_the_data(5.0, 0.0)

    assert demand.family == Family.POISSON
    assert demand.variance == 5.0


def test_no_demand_needs_no_stock():
    demand = distributions.by_the_data([0.0, 0.0], [0.0, 4.0])

    assert demand.quantile(0.99).tolist() == [0.0, 0.0]
    assert demand.cdf(0).tolist() == [1.0, 1.0]
    assert demand.expected_shortage(0).tolist() == [0.0, 0.0]
    assert demand.expected_stock(3).tolist() == [3.0, 3.0]


def test_an_uncertain_lead_time_widens_and_poisson_becomes_negative_binomial():
    demand = distributions.by_the_data([5.0, 5.0, 5.0], [5.0, 8.0, 8.0], counts=[True, True, False])

    wider = demand.widened([4.0, 4.0, 4.0])

    assert wider.variance.tolist() == [9.0, 12.0, 12.0]
    assert wider.mean.tolist() == [5.0, 5.0, 5.0]
    assert wider.family.tolist() == [Family.NEGATIVE_BINOMIAL, Family.NEGATIVE_BINOMIAL, Family.NORMAL]


def test_large_regular_counts_are_as_well_served_by_the_normal():
    counted = distributions.negative_binomial(1000.0, 80.0**2)
    measured = distributions.normal(1000.0, 80.0**2)

    assert measured.quantile(0.99) == pytest.approx(counted.quantile(0.99), rel=0.01)


def test_a_level_below_zero_covers_nothing():
    demand = distributions.by_the_data([5.0, 5.0], [9.0, 9.0], counts=[True, False])

    assert demand.cdf(-1).tolist() == [0.0, 0.0]
    assert demand.expected_shortage(-1).tolist() == [6.0, 6.0]
    assert demand.expected_stock(-1).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("probability", [0.0, 1.0, -0.1, 1.5])
def test_certainty_has_no_quantile(probability):
    with pytest.raises(ValueError, match="between 0 and 1"):
        distributions.poisson(5.0).quantile(probability)


def test_quantiles_agree_with_scipy_over_six_orders_of_magnitude():
    random = np.random.default_rng(1)
    mean = 10 ** random.uniform(-3, 4, 3000)
    variance = mean * (1 + 10 ** random.uniform(-3, 3, 3000))
    probability = random.uniform(0.001, 0.999, 3000)

    quantile = distributions.negative_binomial(mean, variance).quantile(probability)

    assert np.array_equal(quantile, stats.nbinom.ppf(probability, mean**2 / (variance - mean), mean / variance))
    assert np.array_equal(distributions.poisson(mean).quantile(probability), stats.poisson.ppf(probability, mean))


def demand_cdf(demand: distributions.Demand, levels: np.ndarray) -> np.ndarray:
    return np.array([float(demand.cdf(level)) for level in levels])
