"""Laws of the forecast's state: how its days arrive does not matter."""

from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vmi_domain import distributions, forecasting

# How long an example takes depends on what else the machine does.
PATIENT = settings(deadline=None)
FIRST_DAY = date(2024, 2, 26)

demand = st.one_of(st.just(0.0), st.integers(0, 60).map(float), st.floats(0, 1e6), st.floats(0, 1e12))
series = st.integers(1, 60).flatmap(lambda days: st.lists(demand, min_size=days, max_size=days))
rates = st.one_of(st.just(float("nan")), st.floats(0, 100))


@PATIENT
@given(history=series, rate=rates, data=st.data())
def test_days_fed_one_by_one_or_together_lead_to_the_same_state(history, rate, data):
    stock = data.draw(st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=len(history), max_size=len(history)))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(history)), max_size=len(history))) | {0, len(history)})

    together = forecasting.update(forecasting.start([rate]), [history], FIRST_DAY, in_stock=[stock])
    in_parts = forecasting.start([rate])
    for begin, end in pairwise(cuts):
        kept = forecasting.from_bytes(forecasting.to_bytes(in_parts))
        day = FIRST_DAY + timedelta(days=begin)
        in_parts = forecasting.update(kept, [history[begin:end]], day, in_stock=[stock[begin:end]])

    assert np.array_equal(together, in_parts)


@PATIENT
@given(days=st.integers(1, 40), data=st.data())
def test_a_series_learns_the_same_alone_and_among_others(days, data):
    histories = data.draw(st.lists(st.lists(demand, min_size=days, max_size=days), min_size=1, max_size=7))

    together = forecasting.update(forecasting.start([float("nan")] * len(histories)), histories, FIRST_DAY)
    alone = [forecasting.update(forecasting.start([float("nan")]), [history], FIRST_DAY)[0] for history in histories]

    assert np.array_equal(together, np.array(alone))


@PATIENT
@given(history=series, rate=rates, days=st.floats(0, 800), elapsed=st.floats(0, 1))
def test_a_forecast_is_always_finite_and_never_below_zero(history, rate, days, elapsed):
    state = forecasting.update(forecasting.start([rate]), [history], FIRST_DAY)[0]

    over = forecasting.demand_over(state, FIRST_DAY, days, elapsed=elapsed)

    assert np.isfinite(state).all()
    assert np.isfinite(over.mean)
    assert over.mean >= 0
    assert np.isfinite(over.sd)
    assert 0 <= over.quantile(0.5) <= over.quantile(0.95) < np.inf


@PATIENT
@given(
    mean=st.floats(1e-6, 1e8),
    spread=st.floats(1e-6, 1e6),
    counts=st.booleans(),
    probability=st.floats(0.001, 0.999),
)
def test_a_quantile_is_the_least_level_that_covers(mean, spread, counts, probability):
    over = distributions.by_the_data(mean, mean * spread, counts=counts)

    level = float(over.quantile(probability))

    assert over.cdf(level) >= probability - 1e-9
    if over.family != distributions.Family.NORMAL:
        assert level == np.floor(level)
        assert over.cdf(level - 1) < probability
