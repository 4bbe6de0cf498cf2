"""The pool of models: golden numbers of each formula, one interface, and which model a series goes by."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from vmi_domain import forecasting
from vmi_domain.forecasting import calibration, classical, selection
from vmi_domain.forecasting.neural import Neural
from vmi_domain.forecasting.pool import Bucket, Known, Model
from vmi_domain.forecasting.regression import Boosting, Linear
from vmi_domain.forecasting.selection import LIVE

SPARSE = [0, 0, 5, 0, 0, 0, 3, 0, 6, 0, 0, 4]
MONDAY = 738_521


def known(*series: Any, season: int = 7) -> Known:
    demand = np.atleast_2d(np.array(series, float))
    begins = (demand > 0).argmax(axis=1)
    return Known(demand, begins, MONDAY, season)


def from_the_start(*series: Any, season: int = 7) -> Known:
    demand = np.atleast_2d(np.array(series, float))
    return Known(demand, np.zeros(len(demand), np.int64), MONDAY, season)


@pytest.mark.parametrize(("model", "rate"), [(classical.CROSTON, 1.6142), (classical.SBA, 1.5335)])
def test_crostons_kin_have_their_golden_values_in_the_pool(model: Model, rate: float) -> None:
    assert model.fit(from_the_start(SPARSE)).mean_over(1)[0] == pytest.approx(rate, abs=5e-5)


def test_simple_smoothing_goes_half_the_way_at_a_weight_of_a_half() -> None:
    assert classical.smoothed(from_the_start([3, 5, 4, 8]), [0.5]).mean_over(2)[0] == pytest.approx(2 * 6.0)


def test_the_seasonal_naive_says_last_week_again() -> None:
    week = [1, 2, 3, 4, 5, 6, 7]
    assert classical.SEASONAL_NAIVE.fit(from_the_start([9] * 7 + week)).mean_over(9)[0] == 28 + 1 + 2


def test_damped_holt_winters_follows_its_recurrences_by_hand() -> None:
    fitted = classical.holt_winters(from_the_start([2, 4, 5, 3], season=2), [(0.5, 0.5, 0.5, 0.5)])

    # Level 3, seasons -1 and +1. y = 5: off 3, l = 4.5, b = .75, s = .5. y = 3: off 3 - 4.875 - 1 = -2.875.
    level, trend = 4.875 - 0.5 * 2.875, 0.5 * (4.875 - 0.5 * 2.875 - 4.5) + 0.5 * 0.5 * 0.75
    assert fitted.mean_over(1)[0] == pytest.approx(level + 0.5 * trend + 0.5)


def test_theta_goes_on_with_half_the_trend() -> None:
    line = np.arange(1.0, 201.0)
    said = classical.THETA.fit(from_the_start(line)).mean_over(1)[0]

    # α = .4: the level lags a line by 1/α - 1 periods; half a trend of one, 1/α ahead, makes up for a half of it.
    assert said == pytest.approx(200 - (1 / 0.4 - 1) + 0.5 / 0.4, abs=1e-6)


def test_adida_smooths_sums_over_the_mean_interval() -> None:
    # Every second day: sums of two days 4, 8; plainly averaged at first: 6 in two days.
    assert classical.ADIDA.fit(from_the_start([0, 4, 0, 8])).mean_over(1)[0] == pytest.approx(3.0)


def test_imapa_is_the_mean_over_levels_up_to_the_mean_interval() -> None:
    # By days: 0, then 4 averaged to 2, then weights 1/3 and 1/4: (0 + 4 + 0 + 8) / 4 = 3; by two days 3.
    assert classical.IMAPA.fit(from_the_start([0, 4, 0, 8])).mean_over(1)[0] == pytest.approx(3.0)


def test_the_combination_is_the_mean_of_its_four() -> None:
    series = from_the_start(SPARSE * 5)
    four = (classical.SBA, classical.ADIDA, classical.SES, classical.THETA)
    mean = np.mean([model.fit(series).mean_over(7)[0] for model in four])
    assert classical.COMBINATION.fit(series).mean_over(7)[0] == pytest.approx(mean)


def test_the_linear_model_learns_weekday_and_promotion_from_eight_weeks() -> None:
    promoted = np.zeros((1, 56))
    promoted[0, ::9] = 1.0
    weekday = (MONDAY + np.arange(56)) % 7
    demand = 10 + 5.0 * (weekday == 3) + 20.0 * promoted
    fitted = Linear().fit(Known(demand, np.zeros(1, np.int64), MONDAY, promoted=promoted))

    # Shrunk: a promotion of ten days seen six times is worth a third of what it truly is.
    assert fitted.coefficients()[0, 1 + 3] > 1.5
    assert fitted.planned(7, 0.0, 1.0)[0] > fitted.mean_over(7)[0] + 40


random = np.random.default_rng(3)
MIXED = random.poisson(random.gamma(1, 2, (40, 1)) * np.ones(200)).astype(float)


@pytest.mark.parametrize("model", selection.whole_pool(7), ids=lambda model: model.name)
def test_each_model_moves_by_a_day_to_where_the_whole_history_leads(model: Model) -> None:
    whole = known(*MIXED)
    if isinstance(model, Boosting | Neural) or model.name == "blend":
        pytest.skip("learned over all series: what it learned before is not learned anew with a day")
    before = model.fit(whole.until(190))
    for day in range(190, 200):
        before.update(Bucket(MIXED[:, day]))
    moved, fitted = before.demand_over(10), model.fit(known(*MIXED)).demand_over(10)

    # The interval that ADIDA and IMAPA aggregate over is that of the fit.
    tolerance = 0.2 if model.name in {"ADIDA", "IMAPA", "combination"} else 1e-3
    assert np.median(np.abs(moved.mean - fitted.mean) / (fitted.mean + 0.1)) <= tolerance
    assert np.median(np.abs(moved.sd - fitted.sd) / (fitted.sd + 0.1)) <= tolerance


@pytest.mark.parametrize("model", selection.whole_pool(7), ids=lambda model: model.name)
def test_each_model_follows_day_by_day_where_demand_trebles(model: Model) -> None:
    trebled = MIXED * np.where(np.arange(200) < 180, 1, 3)
    fitted = model.fit(known(*trebled).until(180))
    before = fitted.mean_over(7).sum()
    for day in range(180, 200):
        fitted.update(Bucket(trebled[:, day]))

    assert fitted.mean_over(7).sum() > 1.3 * before


@pytest.mark.parametrize("model", selection.whole_pool(7), ids=lambda model: model.name)
def test_each_model_is_near_the_truth_where_demand_is_steady(model: Model) -> None:
    rates = np.linspace(1, 20, 60)
    demand = np.random.default_rng(5).poisson(rates[:, None] * np.ones(300)).astype(float)
    said = model.fit(from_the_start(*demand)).demand_over(7)

    assert np.abs(said.mean - 7 * rates).mean() / (7 * rates.mean()) < (0.2 if model.name == "seasonal naive" else 0.1)
    assert (said.quantile(0.95) > said.mean).all()


def chosen(*series: Any, horizon: int = 7) -> list[selection.Choice]:
    found = selection.backtest(known(*series), selection.light_pool(), horizon, 0.95)
    return selection.choose(found, [LIVE] * len(series), ["one"] * len(series))


def test_f34_a_strong_trend_goes_to_a_model_that_knows_trends() -> None:
    rate = 5 + 0.5 * np.arange(300)
    rising = [np.random.default_rng(seed).poisson(rate).astype(float) for seed in range(5)]

    assert {one.model for one in chosen(*rising, horizon=14)} == {"damped Holt-Winters"}


def test_f34_a_dying_item_goes_to_a_model_that_forgets() -> None:
    def dying(seed: int) -> Any:
        rate = np.where(np.arange(300) < 200, 2.0, 2.0 * 0.94 ** (np.arange(300) - 200))
        return np.random.default_rng(seed).poisson(rate).astype(float)

    choices = chosen(*[dying(seed) for seed in range(5)])

    assert all(one.model != LIVE and one.ratios[one.model] < 0.95 for one in choices), choices


def test_f34_where_nothing_is_clearly_better_the_live_state_stays() -> None:
    steady = np.random.default_rng(1).poisson(4.0, (20, 300)).astype(float)

    choices = chosen(*steady)

    assert {(one.model, one.mean_share, one.spread_share) for one in choices} == {(LIVE, 1.0, 1.0)}
    assert "asked of a challenger" in choices[0].why or "no other" in choices[0].why


def test_f41_a_short_history_falls_back_and_says_why() -> None:
    [choice] = chosen([0.0] * 10 + [3.0] * 40)

    assert choice.model == LIVE
    assert "past origins" in choice.why


STEADY = np.random.default_rng(1).poisson(4.0, (4, 300)).astype(float)


def agreed_on(*pool: str, series: Any = STEADY, champion: str = LIVE) -> selection.Choice:
    found = selection.backtest(known(*series), selection.light_pool(), 7, 0.95)
    first, *_ = selection.choose(found, [champion] * len(series), ["one"] * len(series), [pool] * len(series))
    return first


def test_the_model_that_is_agreed_is_gone_by_whatever_its_loss() -> None:
    choice = agreed_on("seasonal naive")

    assert (choice.model, choice.chosen_by) == ("seasonal naive", selection.ChosenBy.AGREEMENT)
    assert choice.mean_share != 1.0


def test_an_agreed_model_waits_for_the_history_it_needs() -> None:
    choice = agreed_on("damped Holt-Winters", series=np.tile([0.0] * 280 + [3.0] * 20, (4, 1)))

    assert (choice.model, choice.chosen_by) == (LIVE, selection.ChosenBy.SERVICE)
    assert choice.why == "agreed is damped Holt-Winters, which needs 56 periods of history, there are 20"


def test_of_several_agreed_models_the_service_chooses_the_best_and_goes_on_with_it() -> None:
    rising = np.random.default_rng(0).poisson(5 + 0.5 * np.arange(300), (4, 300)).astype(float)

    first = agreed_on("SBA", "theta", series=rising)
    again = agreed_on("SBA", "theta", series=rising, champion=first.model)

    assert first.ratios["damped Holt-Winters"] < first.ratios["SBA"] < first.ratios["theta"]
    assert (first.model, first.chosen_by) == ("SBA", selection.ChosenBy.AGREED_POOL)
    assert again.model == "SBA"


def test_a_champion_does_not_change_for_a_little() -> None:
    steady = np.random.default_rng(1).poisson(4.0, (20, 300)).astype(float)
    found = selection.backtest(known(*steady), selection.light_pool(), 7, 0.95)

    again = selection.choose(found, ["SBA"] * 20, ["one"] * 20)

    margin = 1 - selection.MARGIN
    for one in again:
        assert (one.model == "SBA") == (min(one.ratios.values()) >= margin * one.ratios["SBA"])
    best = [min(one.ratios, key=lambda name, ratios=one.ratios: ratios[name]) for one in again]
    assert sum(one.model == "SBA" for one in again) > best.count("SBA")


def test_a_biased_champion_goes() -> None:
    gone = np.random.default_rng(2).poisson(np.where(np.arange(300) < 220, 20.0, 0.0), (5, 300)).astype(float)
    found = selection.backtest(known(*gone), selection.light_pool(), 7, 0.95)

    again = selection.choose(found, ["Croston"] * 5, ["one"] * 5)

    assert all(one.model != "Croston" for one in again)


def test_a_choice_lies_over_what_the_state_says_and_not_over_what_it_learns() -> None:
    states = forecasting.update(forecasting.start([float("nan")]), [MIXED[0]], _day(0))
    over = forecasting.laid_over(states, [1.2], [1.1], [1.25])
    plain, chosen_demand = (forecasting.demands_over(one, _day(200), 7) for one in (states, over))
    moved = forecasting.update(over, [[3.0]], _day(200))

    assert chosen_demand.mean == pytest.approx(1.2 * plain.mean)
    assert chosen_demand.sd == pytest.approx(1.1 * 1.25 * plain.sd)
    untouched = forecasting.update(states, [[3.0]], _day(200))
    assert forecasting.daily_rate(moved) == pytest.approx(1.2 * forecasting.daily_rate(untouched))


def _day(place: int) -> Any:
    from datetime import date, timedelta

    return date.fromordinal(MONDAY) + timedelta(days=place)


def _scale(draw: Callable[[Any], Any], weeks: int = 156) -> tuple[float, float]:
    """Return the scale and the coverage of the last weeks, of sayings .95 of a normal with deviation 10."""
    random, scale, covered = np.random.default_rng(7), 1.0, []
    for _ in range(weeks):
        wanted, level = draw(random), 100 + 16.45 * scale
        covered.append((wanted <= level).mean())
        scale = calibration.moved(scale, wanted, np.full(500, 100.0), np.full(500, level))
    return scale, float(np.mean(covered[-26:]))


def test_outcomes_widen_what_was_too_narrow_until_it_covers() -> None:
    scale, covered = _scale(lambda random: random.normal(100, 12, 500))
    assert scale == pytest.approx(1.2, abs=0.08)
    assert 0.93 <= covered <= 0.97


def test_outcomes_leave_what_keeps_its_word() -> None:
    scale, covered = _scale(lambda random: random.normal(100, 10, 500))
    assert scale == pytest.approx(1.0, abs=0.08)
    assert 0.93 <= covered <= 0.97


def test_one_odd_week_moves_the_spread_by_little_however_many_series_had_it() -> None:
    odd = np.random.default_rng(7).normal(115, 10, 5000)
    moved = calibration.moved(1.0, odd, np.full(5000, 100.0), np.full(5000, 116.45))
    assert 1.0 < moved < 1.05


def test_outcomes_move_the_spread_within_bounds_and_few_of_them_not_at_all() -> None:
    far = np.full(500, 1000.0)
    assert calibration.moved(1.2, far, np.full(500, 100.0), np.full(500, 120.0)) == calibration.BOUNDS[1]
    assert calibration.moved(1.1, far[:5], np.full(5, 100.0), np.full(5, 120.0)) == 1.1
