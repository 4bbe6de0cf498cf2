"""Forecasts of series whose demand a person knows."""

from datetime import date, timedelta

import numpy as np
import pytest

from vmi_domain import forecasting
from vmi_domain.distributions import Family

MONDAY = date(2024, 1, 1)
UNKNOWN = float("nan")
WEEK = np.array([2.0, 4.0, 6.0, 8.0, 20.0, 30.0, 0.0])


def learned(*series, agreed: float = UNKNOWN, **kwargs) -> forecasting.States:
    return forecasting.update(forecasting.start([agreed] * len(series)), series, MONDAY, **kwargs)


def day_after(series) -> date:
    return MONDAY + timedelta(days=len(series))


def test_a_constant_demand_is_forecast_as_it_is():
    series = [10.0] * 140

    demand = forecasting.demand_over(learned(series)[0], day_after(series), 7)

    assert demand.mean == pytest.approx(70, rel=0.01)
    assert demand.family in (Family.POISSON, Family.NEGATIVE_BINOMIAL)
    assert demand.quantile(0.5) == pytest.approx(70, abs=1)


def test_a_demand_of_every_week_is_forecast_weekday_by_weekday():
    series = np.tile(WEEK, 30)
    state = learned(series)[0]

    days = [forecasting.demand_over(state, day_after(series) + timedelta(days=ahead), 1).mean for ahead in range(7)]

    assert days == pytest.approx(WEEK, abs=1.0)
    assert sum(days) == pytest.approx(70, rel=0.01)


def test_a_horizon_of_part_days_takes_its_part_of_each():
    series = np.tile(WEEK, 30)
    state = learned(series)[0]
    friday = day_after(series) + timedelta(days=4)

    def mean(first_day: date, days: float, elapsed: float = 0.0) -> float:
        return forecasting.demand_over(state, first_day, days, elapsed=elapsed).mean

    whole = mean(friday, 1)
    assert mean(friday, 0.25) == pytest.approx(0.25 * whole)
    assert mean(friday, 0.25, elapsed=0.75) == pytest.approx(0.25 * whole)
    assert mean(friday, 2.5, elapsed=0.5) == pytest.approx(mean(friday, 3) - 0.5 * whole)
    assert mean(friday, 17.5) == pytest.approx(
        mean(friday, 7) + mean(friday, 7) + mean(friday, 3) + 0.5 * mean(friday + timedelta(days=3), 1)
    )
    assert mean(friday, 0) == 0


def test_the_day_the_horizon_begins_may_differ_from_series_to_series():
    series = np.tile(WEEK, 30)
    states = learned(series, series)
    first = day_after(series)

    demand = forecasting.demands_over(states, [first.toordinal(), first.toordinal() + 5], [2.0, 1.0])

    assert demand.mean == pytest.approx([6, 30], abs=1.0)


def test_the_level_follows_when_demand_doubles():
    series = [10.0] * 200 + [20.0] * 60

    assert forecasting.daily_rate(learned(series))[0] == pytest.approx(20, rel=0.05)


def test_an_item_that_died_is_forgotten():
    series = [0.0, 2.0, 0.0, 1.0] * 40 + [0.0] * 120

    assert forecasting.daily_rate(learned(series))[0] < 0.05


def test_days_before_the_first_demand_do_not_count_where_no_rate_is_agreed():
    demand = [3.0, 5.0, 4.0] * 20

    early, late = learned([0.0] * 42 + demand), learned(demand)

    assert forecasting.daily_rate(early) == pytest.approx(forecasting.daily_rate(late), rel=0.02)


def test_an_agreed_rate_serves_until_there_is_history_and_then_fades():
    def rate(days: int) -> float:
        return float(forecasting.daily_rate(learned([2.0] * days, agreed=8.0))[0])

    assert rate(0) == 8
    assert 5 < rate(2) < 8
    assert rate(7) == pytest.approx(3.3, abs=0.5)
    assert rate(60) == pytest.approx(2, abs=0.2)


def test_an_agreed_item_that_never_sells_is_believed_less_and_less():
    rates = [float(forecasting.daily_rate(learned([0.0] * days, agreed=1.0))[0]) for days in (0, 10, 40, 200)]

    assert rates[0] == 1
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.05


def test_the_agreed_rate_can_change_without_losing_what_was_learned():
    state = learned([2.0] * 7, agreed=8.0)

    changed = forecasting.agree(state, [UNKNOWN])

    assert forecasting.daily_rate(changed)[0] == pytest.approx(1.7, abs=0.3)


def test_from_a_day_with_nothing_to_sell_nothing_is_learned():
    demand = [4.0, 6.0] * 60 + [0.0] * 20
    in_stock = [1.0] * 120 + [0.0] * 20

    told = forecasting.daily_rate(learned(demand, in_stock=[in_stock]))[0]
    untold = forecasting.daily_rate(learned(demand))[0]

    assert told == pytest.approx(5, rel=0.05)
    assert untold < 2.5


def test_without_any_history_and_rate_nothing_is_expected():
    demand = forecasting.demand_over(learned([0.0] * 50)[0], MONDAY, 7)

    assert demand.mean == 0
    assert demand.quantile(0.99) == 0


def test_what_is_sold_by_weight_is_normal():
    random = np.random.default_rng(1)
    series = random.gamma(30, 0.25, 200)

    demand = forecasting.demand_over(learned(series)[0], day_after(series), 5)

    assert demand.family == Family.NORMAL
    assert demand.mean == pytest.approx(37.5, rel=0.1)


def test_the_quantile_covers_poisson_demand_as_often_as_it_says():
    random = np.random.default_rng(7)
    rates = 10 ** random.uniform(-1, 1, 600)
    demand = random.poisson(rates[:, None], (600, 200 + 10)).astype(float)
    states = forecasting.update(forecasting.start([UNKNOWN] * 600), demand[:, :200], MONDAY)

    over = forecasting.demands_over(states, MONDAY + timedelta(days=200), 10)

    # Counts jump over 0.95; between the chances just above and just below the quantile a coin decides.
    sums = demand[:, 200:].sum(axis=1)
    below, at = over.cdf(sums - 1), over.cdf(sums)
    covered = (np.where(sums > 0, below, 0.0) + random.random(600) * (at - np.where(sums > 0, below, 0.0))) <= 0.95
    assert 0.93 <= covered.mean() <= 0.98


def test_demand_that_comes_in_runs_spreads_wider_over_long_horizons_than_chance_would():
    random = np.random.default_rng(3)
    busy = np.repeat(random.random(60) < 0.3, 7)
    series = np.where(busy, random.poisson(20, 420), random.poisson(2, 420)).astype(float)
    state = learned(series)[0]

    day, fortnight = (forecasting.demand_over(state, day_after(series), days) for days in (1, 14))

    assert fortnight.sd**2 > 1.5 * 14 * day.sd**2


def test_spread_grows_with_the_horizon_also_past_the_longest_measured():
    random = np.random.default_rng(3)
    series = random.poisson(3, 300).astype(float)
    state = learned(series)[0]

    spreads = [forecasting.demand_over(state, MONDAY, days).sd for days in (0.1, 0.5, 1, 1.5, 4, 13, 28, 40, 200)]

    assert spreads == sorted(spreads)


def test_a_young_series_borrows_the_week_of_its_location():
    old, young = np.tile(WEEK, 30), np.concatenate([np.zeros(7 * 28), WEEK[:4], np.zeros(10)])[:210]
    pooled = forecasting.pooled(learned(old, young))

    friday, sunday = day_after(old) + timedelta(days=4), day_after(old) + timedelta(days=6)

    assert forecasting.demand_over(pooled[1], friday, 1).mean > 3 * forecasting.demand_over(pooled[1], sunday, 1).mean


def test_a_state_is_kept_as_bytes_of_a_fixed_length():
    short, long = learned([1.0] * 10), learned([1.0] * 300)

    kept = forecasting.to_bytes(np.concatenate([short, long]))

    assert [len(state) for state in kept] == [4 * forecasting.WIDTH] * 2
    assert np.array_equal(forecasting.from_bytes(kept), np.concatenate([short, long]))


def test_a_horizon_is_not_negative():
    with pytest.raises(ValueError, match="negative"):
        forecasting.demand_over(learned([1.0])[0], MONDAY, -1)


def test_series_that_stand_at_different_days_are_brought_to_one():
    random = np.random.default_rng(5)
    demand = random.poisson(1.0, (3, 90)).astype(float)
    last = MONDAY + timedelta(days=89)
    begins = [0, 30, 30]
    states = np.concatenate(
        [
            forecasting.update(forecasting.start([UNKNOWN]), [series[:begin]], MONDAY)
            for series, begin in zip(demand, begins, strict=True)
        ]
    )

    folded = forecasting.fold(
        states, [MONDAY + timedelta(days=begin) for begin in begins], [history(series) for series in demand], last
    )

    assert np.array_equal(folded.states, learned(*demand))


def test_the_states_kept_on_the_way_are_those_of_their_days():
    demand = np.random.default_rng(5).poisson(1.0, 400).astype(float)
    last = MONDAY + timedelta(days=399)

    folded = forecasting.fold(forecasting.start([UNKNOWN]), [MONDAY], [history(demand)], last)

    days = [day for _, day, _ in folded.checkpoints]
    assert days == [day for day in forecasting.kept_days(last) if day >= MONDAY]
    for _, day, state in folded.checkpoints:
        assert np.array_equal(state, learned(demand[: (day - MONDAY).days + 1])[0])


def test_few_past_states_are_kept_and_near_ones_more_than_far_ones():
    for ahead in range(200):
        through = MONDAY + timedelta(days=ahead)
        kept = forecasting.kept_days(through)

        assert len(kept) <= 11
        assert any((through - day).days < 14 for day in kept)
        assert any(112 <= (through - day).days <= 448 for day in kept)


def test_a_day_whose_state_is_kept_was_kept_all_the_days_since():
    for ahead in range(1, 500):
        through = MONDAY + timedelta(days=ahead)
        new = set(forecasting.kept_days(through)) - set(forecasting.kept_days(through - timedelta(days=1)))

        assert new <= {through}


def test_a_change_matters_when_it_would_change_an_order():
    told = np.array([0.0, 0.0, 100.0, 100.0, 100.0])
    now = np.array([0.0, 1.0, 104.0, 106.0, 94.0])

    assert forecasting.matter(now, told).tolist() == [False, True, False, True, True]


def test_the_level_that_is_told_does_not_move_with_the_weekday():
    series = np.tile(WEEK, 30)
    on_sunday, on_monday = learned(series), learned(np.append(series, WEEK[0]))

    assert forecasting.levels(on_monday, 2.0, 0.95) == pytest.approx(forecasting.levels(on_sunday, 2.0, 0.95), rel=0.05)


def history(series) -> forecasting.History:
    days = np.flatnonzero(series)
    return forecasting.History(days + MONDAY.toordinal(), np.asarray(series)[days])


@pytest.mark.parametrize("count", [1, 3])
def test_learning_leaves_the_state_it_began_with_as_it_was(count):
    state = learned(*[[1.0, 2.0, 3.0]] * count)
    before = state.copy()

    forecasting.update(state, [[5.0]] * count, MONDAY)

    assert np.array_equal(state, before)


def test_a_day_that_sold_out_asked_for_more_than_was_sold():
    random = np.random.default_rng(2)
    wanted = random.poisson(3.0, 400).astype(float)
    sold, in_stock = np.minimum(wanted, 3.0), np.where(wanted >= 3, np.nan, 1.0)

    told, untold = learned(sold, in_stock=[in_stock]), learned(sold)

    assert forecasting.daily_rate(untold)[0] < 2.5
    assert forecasting.daily_rate(told)[0] == pytest.approx(3.0, rel=0.1)


def test_what_never_was_met_does_not_grow_without_end():
    series = [1.0] * 600

    rate = forecasting.daily_rate(learned(series, in_stock=[[np.nan] * 600]))[0]

    assert 1 < rate < 50


def test_a_day_that_sold_out_early_asked_for_more_than_one_that_sold_out_late():
    series = [6.0, 4.0, 5.0] * 20

    def after(share: float) -> float:
        return float(forecasting.daily_rate(learned([*series, 4.0], in_stock=[[1.0] * 60 + [share]]))[0])

    assert after(1.0) < after(0.8) < after(0.3)


def test_f50_a_one_off_is_no_reason_to_expect_another():
    random = np.random.default_rng(4)
    usual = random.poisson(5.0, 200).astype(float)
    odd = usual.copy()
    odd[150] = 5000.0

    rates = forecasting.daily_rate(learned(usual, odd))

    assert rates[1] == pytest.approx(rates[0], rel=0.25)


def test_an_order_that_comes_again_and_again_is_no_one_off():
    series = np.zeros(300)
    series[::10] = 200.0
    series[1::2] += 1.0

    assert forecasting.daily_rate(learned(series))[0] == pytest.approx(20.5, rel=0.3)


def test_f30_sixty_days_of_ten_with_twelve_out_of_stock_are_ten_a_day():
    out = np.arange(60) % 5 == 3
    sold, in_stock = np.where(out, 0.0, 10.0), np.where(out, 0.0, 1.0)

    assert forecasting.daily_rate(learned(sold))[0] == pytest.approx(8.0, rel=0.05)
    assert forecasting.daily_rate(learned(sold, in_stock=[in_stock]))[0] == pytest.approx(10.0, rel=0.02)


def weekly(demand, first: date = MONDAY, **changes) -> forecasting.History:
    """A history that was reported by the week, spread evenly over its days as facts are kept."""
    days = np.arange(len(demand) * 7) + first.toordinal()
    spread = np.repeat(np.asarray(demand, np.float64) / 7, 7)
    return forecasting.History(days[spread > 0], spread[spread > 0], week_begins=first.toordinal(), **changes)


def test_what_is_reported_by_the_week_is_modelled_by_the_week():
    random = np.random.default_rng(8)
    demand = random.negative_binomial(2, 2 / 42, 80).astype(float)
    state = forecasting.start([UNKNOWN], 7)

    folded = forecasting.fold(state, [MONDAY], [weekly(demand)], MONDAY + timedelta(days=80 * 7 + 2))
    week = forecasting.demand_over(folded.states[0], MONDAY + timedelta(weeks=80), 7)

    assert folded.throughs == [MONDAY + timedelta(days=80 * 7 - 1)]
    assert folded.states[0, forecasting.state.AGE] == 80
    assert week.mean == pytest.approx(demand.mean(), rel=0.2)
    assert week.sd == pytest.approx(demand.std(), rel=0.2)
    assert week.family == Family.NEGATIVE_BINOMIAL


def test_within_the_week_the_locations_days_tell_how_it_is_spread():
    states = np.concatenate([learned(np.tile(WEEK, 30)), forecasting.start([UNKNOWN], 7)])
    states[1:] = forecasting.fold(states[1:], [MONDAY], [weekly([70.0] * 30)], MONDAY + timedelta(days=209)).states
    shared = forecasting.pooled(states)

    days = [forecasting.demand_over(shared[1], MONDAY + timedelta(weeks=30, days=day), 1).mean for day in range(7)]

    assert sum(days) == pytest.approx(70, rel=0.01)
    assert days == pytest.approx(WEEK, abs=2)


def test_a_week_that_is_not_over_teaches_nothing_yet():
    state = forecasting.start([UNKNOWN], 7)

    folded = forecasting.fold(state, [MONDAY], [weekly([70.0])], MONDAY + timedelta(days=5))

    assert np.array_equal(folded.states, state)
    assert folded.throughs == [MONDAY - timedelta(days=1)]
