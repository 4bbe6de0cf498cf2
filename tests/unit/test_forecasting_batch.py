"""The parts of the batch forecast: views of the past, their shares, boosted quantiles, weekdays, plans, censoring."""

from datetime import date

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from vmi_domain.distributions import by_the_data
from vmi_domain.forecasting import batch, boosting, censoring, combining, effects, windows
from vmi_domain.forecasting.ahead import ahead, totals_ahead
from vmi_domain.forecasting.panel import Panel, Period
from vmi_domain.forecasting.windows import PROBABILITIES, Past, Window

MONDAY = date(2025, 3, 3)


def panel(demand: NDArray[np.float64], **known: NDArray[np.float64] | NDArray[np.int64] | NDArray[np.bool_]) -> Panel:
    number = np.arange(len(demand))
    begins = np.zeros(len(demand), np.int64)
    return Panel(Period.DAY, MONDAY, demand, begins, number * 0, number, **known)  # type: ignore[arg-type]


def past(demand: NDArray[np.float64], ahead_of_it: int = 5) -> Past:
    count, periods = demand.shape
    number = np.arange(count)
    factors = np.ones((count, periods + ahead_of_it))
    return Past(demand, factors, np.zeros(count, np.int64), True, 364, (number % 2,), None)


def test_steady_demand_is_told_as_it_is() -> None:
    found = ahead(panel(np.full((3, 60), 7.0)), 4, [0.5])

    assert found.cumulative_mean[:, -1] == pytest.approx(28, rel=0.02)
    assert found.mean[0] == pytest.approx([7, 7, 7, 7], rel=0.02)


def test_the_levels_start_at_the_mean_and_forget() -> None:
    smoothed = windows.levels(past(np.array([[4.0, 0.0, 0.0]])), [1, 3])

    assert smoothed[1].smoothed[:, 0] == pytest.approx([4.0] * 5)
    # (4 · 0.98² + 0 + 0) / (0.98² + 0.98 + 1)
    assert smoothed[3].smoothed[0, 0] == pytest.approx(4 * 0.9604 / 2.9404)
    # Croston with its first size and interval: 4 every period, less half of α.
    assert smoothed[3].sba[0] == pytest.approx(0.95 * 4)


def test_what_follows_an_origin_is_not_in_its_view() -> None:
    random = np.random.default_rng(1)
    demand = random.poisson(2.0, (8, 60)).astype(float)
    changed = demand.copy()
    changed[:, 40:] = 1000.0
    for window in (Window(0, 5), Window(4, 5)):
        views = [windows.view(past(one), 40, windows.levels(past(one), [40])[40], window) for one in (demand, changed)]
        for before, after in zip(*views, strict=True):
            np.testing.assert_array_equal(before, after)


def test_origins_lie_half_a_horizon_apart_and_end_with_the_history() -> None:
    assert batch.origins(60, Window(0, 10)) == [50, 45, 40, 35, 30]
    assert batch.origins(8, Window(0, 10)) == []


def test_the_view_that_was_right_gets_the_larger_share() -> None:
    random = np.random.default_rng(2)
    outcomes = random.normal(10.0, 1.0, 4000)
    right = np.broadcast_to(10.0 + np.array([-1.28, 0.0, 1.28]), (4000, 3))
    wrong = right + 6.0
    learned = combining.shares(np.stack([wrong, right]), outcomes, np.array([0.1, 0.5, 0.9]), np.array([0.5, 0.5]))

    assert learned.sum() == pytest.approx(1.0)
    # Half of a quarter of trust, all there is to be had against the usual shares.
    assert learned[1] == pytest.approx(0.5 + 0.5 * combining.TRUST * 4000 / 4500, abs=0.02)


def test_boosting_moves_each_quantile_where_its_feature_says() -> None:
    random = np.random.default_rng(3)
    side = random.integers(0, 2, 6000).astype(float)
    features = np.stack([side, random.normal(size=6000)], axis=1)
    outcome = random.normal(np.where(side > 0, 1.0, -1.0), 1.0)
    residuals = np.repeat(outcome[:, None], len(PROBABILITIES), axis=1)
    boosted = boosting.fit(features, residuals, np.ones(6000), PROBABILITIES, outcomes=6000)

    moved = boosted.predict(np.array([[0.0, 0.0], [1.0, 0.0]]))
    middle = list(PROBABILITIES).index(0.5)
    assert moved[:, middle] == pytest.approx([-1.0, 1.0], abs=0.15)
    high = list(PROBABILITIES).index(0.9)
    assert moved[:, high] == pytest.approx([0.28, 2.28], abs=0.3)


def test_boosting_does_not_follow_the_chance_of_few_outcomes() -> None:
    # 40 series whose features tell them apart, each seen from 16 origins whose horizons overlap by two thirds.
    random = np.random.default_rng(11)
    features = np.repeat(random.normal(size=(40, 20)), 16, axis=0) + random.normal(scale=0.1, size=(640, 20))
    outcome = np.repeat(random.normal(size=(40, 6)), 3, axis=1)[:, :16].ravel()
    residuals = outcome[:, None] - ndtri(PROBABILITIES)
    boosted = boosting.fit(features, residuals, np.ones(640), PROBABILITIES, outcomes=640 / 3)

    told = ndtri(PROBABILITIES) + boosted.predict(features)
    at_95 = list(PROBABILITIES).index(0.95)
    assert ndtr(told[:, at_95]).mean() > 0.92


def test_the_next_three_months_of_few_series_are_covered_as_told() -> None:
    """The level is off, the spread is of 16 quarters, and boosting sees few outcomes: each made it too narrow."""
    random = np.random.default_rng(12)
    covered = []
    for _ in range(4):
        number = np.arange(40)
        demand = random.negative_binomial(10, 1 / 3, (40, 48)).astype(float)  # mean 20, variance 60
        months = Panel(Period.MONTH, date(2021, 1, 1), demand, number * 0, number * 0, number)
        totals = totals_ahead(months, 3, [2, 3])
        level = by_the_data(totals.mean[:, -1], totals.variance[:, -1]).quantile(0.95)
        to_come = random.negative_binomial(30, 1 / 3, (500, 40))
        # A whole number at .95 covers a little more: half of those who are exactly there.
        covered.append((to_come < level).mean() + (to_come == level).mean() / 2)

    assert 0.93 <= np.mean(covered) <= 0.97


def test_the_mean_of_a_short_history_is_off_and_the_spread_about_it_too_small() -> None:
    random = np.random.default_rng(13)
    demand = random.poisson(20.0, (40_000, 27)).astype(float)
    sums = np.lib.stride_tricks.sliding_window_view(demand[:, :24], 3, axis=1).sum(axis=2)
    squared = ((demand[:, 24:].sum(axis=1) - sums.mean(axis=1)) ** 2).mean()
    within = sums.var(axis=1, ddof=1).mean()

    assert squared / within == pytest.approx(windows.level_off(np.array([22]), 3)[0], rel=0.05)


def test_a_spread_is_shrunk_to_that_of_the_others_as_far_as_chance_alone_tells_them_apart() -> None:
    random = np.random.default_rng(14)
    mean, freedom = random.uniform(5.0, 50.0, 60), np.full(60, 16.0)
    chance = random.chisquare(16.0, 60) / 16
    alike = windows.shrunk(mean, 3 * mean * chance, freedom)
    own = mean * np.where(np.arange(60) % 2, 1.2, 20.0)
    apart = windows.shrunk(mean, own * chance, freedom)

    assert (alike / (3 * mean)).std() < chance.std() / 3
    assert alike.sum() == pytest.approx(3 * mean.sum(), rel=0.1)
    assert apart == pytest.approx(own * chance, rel=0.6)


def test_quantiles_between_those_modelled_lie_on_a_line_over_the_normal_score() -> None:
    modelled = 10 + 2 * ndtri(PROBABILITIES)[None, :]
    found = batch.at_probabilities(modelled, np.array([0.05, 0.25, 0.85, 0.99]), np.array([10.0]))

    assert found[0] == pytest.approx(10 + 2 * ndtri([0.05, 0.25, 0.85, 0.99]))


def test_quantiles_beyond_those_modelled_go_on_rising() -> None:
    modelled = np.linspace(1.0, 30.0, len(PROBABILITIES))[None, :]
    found = batch.at_probabilities(modelled, np.array([0.001, 0.05, 0.99, 0.999]), np.array([12.0]))[0]

    assert 0 <= found[0] <= found[1] == 1.0
    assert found[3] > found[2] == 30.0


def test_a_weekday_profile_is_found_and_shared_by_the_location() -> None:
    random = np.random.default_rng(4)
    usual = np.array([1.0, 1.0, 1.0, 1.0, 1.5, 1.5, 0.0])
    demand = random.poisson(5.0 * usual[np.arange(140) % 7], (20, 140)).astype(float)
    demand[0, :] = 0.0
    demand[0, 3] = 1.0
    factors = effects.weekday_factors(panel(demand))

    assert factors[1:].mean(axis=0) == pytest.approx(usual, abs=0.1)
    assert factors[0] == pytest.approx(usual, abs=0.35)
    assert factors.mean(axis=1) == pytest.approx(np.ones(20))


@pytest.mark.parametrize("shut", [0, 1, 3])
def test_closed_days_have_no_demand_and_change_no_other(shut: int) -> None:
    closed = np.zeros((4, 64), np.bool_)
    closed[:, 60 + shut] = True
    demand = np.random.default_rng(5).poisson(5.0, (4, 60)).astype(float)
    found = ahead(panel(demand, closed=closed), 4, [0.5, 0.99])

    assert found.mean[:, shut] == pytest.approx(0.0)
    assert (found.quantiles[:, shut] == 0).all()
    assert found.cumulative_mean[:, -1] == pytest.approx(15.0, rel=0.3)
    assert (found.quantiles[:, (shut + 1) % 4, 1] >= 8).all()


def test_the_effect_of_a_price_is_learned_over_all_items() -> None:
    random = np.random.default_rng(6)
    price = np.where(random.random((30, 125)) < 0.2, 0.7, 1.0)
    demand = random.poisson(20.0 * price[:, :120] ** -3.0).astype(float)
    known = panel(demand, price=price)
    found = effects.plan_effects(known, demand, np.ones((30, 125)), np.ones(demand.shape, np.bool_))

    assert found is not None
    assert found[0][price == 0.7].mean() == pytest.approx(-3 * np.log(0.7), rel=0.08)
    assert found[0][price == 1.0] == pytest.approx(0.0)


def test_a_day_that_sold_out_is_a_day_of_high_demand() -> None:
    demand = np.array([[2.0, 4.0, 3.0, 3.0] * 20])
    in_stock = np.ones_like(demand)
    in_stock[0, 1::4] = np.nan
    in_stock[0, 3::8] = 0.0
    ones = np.ones_like(demand)
    found = censoring.uncensored(np.where(in_stock == 0, 0.0, demand), in_stock, ones, ones > 0)

    assert (found.expected[0, 1::4] > 4).all()
    assert (found.drawn[0, 1::4] >= 4).all()
    assert found.expected[0, 3::8].mean() == pytest.approx(np.median(found.expected), rel=0.4)
    assert not found.observed[0, 3::8].any()
    assert found.expected[0, 0::4] == pytest.approx(2.0)


def test_half_a_day_in_stock_suggests_what_the_other_half_would_have_brought() -> None:
    demand = np.full((1, 200), 4.0)
    in_stock = np.ones_like(demand)
    demand[0, ::10], in_stock[0, ::10] = 2.0, 0.5
    ones = np.ones_like(demand)
    found = censoring.uncensored(demand, in_stock, ones, ones > 0)

    assert found.expected[0, ::10].mean() == pytest.approx(4.0, rel=0.05)
