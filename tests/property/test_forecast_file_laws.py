"""Laws of forecasts from a history: no peeking, no order of rows, quantiles in order."""

from datetime import date, timedelta
from itertools import product
from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vmi_domain.forecasting.ahead import ahead
from vmi_domain.forecasting.panel import Panel, Period
from vmi_files import forecasts
from vmi_files.periods import Periods

AS_OF = date(2025, 6, 2)
HEADER = "location_id,item_id,date,quantity,in_stock,price,promotion"
SLOW = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

rows = st.lists(
    st.builds(
        lambda place, item, back, quantity, stocked, price: (
            f"{place},{item},{AS_OF - timedelta(days=back)},{quantity},{stocked},{price},{'deal' if price < 3 else ''}"
        ),
        st.sampled_from("ab"),
        st.sampled_from("xyz"),
        st.integers(1, 90),
        st.integers(0, 20),
        st.sampled_from(["", "true", "false", "0.5", "0"]),
        st.integers(1, 5),
    ),
    min_size=1,
    max_size=120,
)


def forecast(folder: Path, lines: list[str]) -> str:
    sales, calendar, out = folder / "sales.csv", folder / "calendar.csv", folder / "out.csv"
    sales.write_text("\n".join([HEADER, *lines]))
    calendar.write_text(f"date,event,item_id,price\n{AS_OF + timedelta(days=2)},deal,x,2\n")
    order = forecasts.Order(str(sales), Periods(Period.DAY, AS_OF), 5, [0.05, 0.5, 0.95, 0.999], str(calendar))
    forecasts.run(order, str(out), warn=lambda text: None, told=lambda share: None)
    return out.read_text()


@SLOW
@given(lines=rows, later=rows)
def test_rows_after_the_as_of_day_change_nothing(tmp_path: Path, lines: list[str], later: list[str]) -> None:
    moved = []
    for line in later:
        cells = line.split(",")
        ahead_of_it = (AS_OF - date.fromisoformat(cells[2])).days - 1
        moved.append(",".join([*cells[:2], str(AS_OF + timedelta(days=ahead_of_it)), "who knows", *cells[4:]]))

    assert forecast(tmp_path, lines + moved) == forecast(tmp_path, lines)


@SLOW
@given(lines=rows, data=st.data())
def test_the_order_of_rows_changes_nothing(tmp_path: Path, lines: list[str], data: st.DataObject) -> None:
    one_a_day = list({tuple(line.split(",")[:3]): line for line in lines}.values())

    assert forecast(tmp_path, data.draw(st.permutations(one_a_day))) == forecast(tmp_path, one_a_day)


@SLOW
@given(
    seed=st.integers(0, 2**32 - 1),
    period=st.sampled_from(Period),
    shape=st.tuples(st.integers(1, 30), st.integers(1, 70)),
    rate=st.sampled_from([0.05, 1.0, 40.0]),
    horizon=st.integers(1, 9),
)
def test_quantiles_rise_with_the_probability_and_sums_with_the_horizon(
    seed: int, period: Period, shape: tuple[int, int], rate: float, horizon: int
) -> None:
    random = np.random.default_rng(seed)
    demand = random.negative_binomial(0.5 * rate, 0.5, shape).astype(float)
    number = np.arange(shape[0])
    panel = Panel(period, AS_OF, demand, random.integers(0, shape[1], shape[0]), number % 3, number % 5)
    found = ahead(panel, horizon, [0.01, 0.3, 0.5, 0.9, 0.99])

    for figures in (found.quantiles, found.cumulative_quantiles):
        assert (np.diff(figures, axis=2) >= 0).all()
        assert (figures >= 0).all()
    assert (np.diff(found.cumulative_quantiles, axis=1) >= 0).all()
    assert np.isfinite(found.cumulative_mean).all()
    np.testing.assert_allclose(found.mean.cumsum(axis=1), found.cumulative_mean, rtol=1e-9, atol=1e-9)


def test_future_demand_is_covered_as_often_as_it_is_said() -> None:
    random = np.random.default_rng(3)
    rates = random.gamma(1.0, 3.0, 400)
    demand = random.poisson(random.gamma(1.5, rates[:, None] / 1.5, (400, 150))).astype(float)
    number = np.arange(400)
    panel = Panel(Period.DAY, AS_OF, demand[:, :-7], np.zeros(400, np.int64), number % 4, number)
    found = ahead(panel, 7, [0.5, 0.9, 0.95])

    coming = demand[:, -7:].sum(axis=1)
    for place, share in enumerate((0.5, 0.9, 0.95)):
        level = found.cumulative_quantiles[:, -1, place]
        below, at = (coming < level).mean(), (coming <= level).mean()
        assert below - 0.04 <= share <= at + 0.04


def test_a_forecast_is_the_same_each_time(tmp_path: Path) -> None:
    lines = [f"{place},x,{AS_OF - timedelta(days=back)},{back % 5},,2," for place, back in product("ab", range(1, 80))]

    assert forecast(tmp_path, lines) == forecast(tmp_path, lines)
