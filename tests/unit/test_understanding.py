"""What a demand is like, and which classes follow, in numbers a person can check."""

from datetime import date

import numpy as np
import pytest

from vmi_domain.understanding import classes
from vmi_domain.understanding.classes import Held, settled
from vmi_domain.understanding.profiles import profile, regularity

GOLDEN = [0, 0, 5, 0, 0, 0, 3, 0, 6, 0, 0, 4]
MONDAY = date(2024, 1, 1)


def test_the_golden_series_is_intermittent_and_not_lumpy() -> None:
    interval, variation = classes.demand_interval(GOLDEN), classes.size_variation(GOLDEN)

    assert interval == 3.0
    assert variation == pytest.approx(0.0617, abs=5e-5)
    assert classes.pattern(interval, variation) == "intermittent"


@pytest.mark.parametrize(
    ("interval", "variation", "expected"),
    [
        (1.31999, 0.48999, "smooth"),
        (1.31999, 0.49, "erratic"),
        (1.32, 0.48999, "intermittent"),
        (1.32, 0.49, "lumpy"),
        (float("nan"), float("nan"), "none"),
    ],
)
def test_f28_a_figure_at_the_cut_is_above_it(interval: float, variation: float, expected: str) -> None:
    assert classes.pattern(interval, variation) == expected


def test_f29_a_pattern_that_is_held_is_left_only_clearly() -> None:
    assert classes.pattern(1.35, 0.1, held="smooth") == "smooth"
    assert classes.pattern(1.40, 0.1, held="smooth") == "intermittent"
    assert classes.pattern(1.30, 0.1, held="intermittent") == "intermittent"
    assert classes.pattern(1.20, 0.1, held="intermittent") == "smooth"


def test_f29_an_item_that_swings_around_a_cut_changes_class_once_in_some_refreshes_at_most() -> None:
    held, changes = None, []
    for refresh in range(40):
        before = held
        held = settled("AB"[refresh % 2], held)
        if before is not None and held.name != before.name:
            changes.append(refresh)

    assert np.diff(changes).min() >= classes.FEWEST_PERIODS


def test_a_new_class_is_held_at_once_where_none_was() -> None:
    assert settled("A", None) == Held("A")


def test_abc_counts_the_value_before_an_item() -> None:
    assert classes.by_value([50, 30, 10, 6, 3, 1]) == ["A", "A", "B", "B", "C", "C"]
    assert classes.by_value([0, 0]) == ["C", "C"]
    assert classes.by_value([]) == []


def test_abc_keeps_what_lies_near_a_cut() -> None:
    values = [79, 10, 9, 2]

    assert classes.by_value(values) == ["A", "A", "B", "C"]
    assert classes.by_value(values, ["A", "B", "B", "C"]) == ["A", "B", "B", "C"]


@pytest.mark.parametrize(("variation", "expected"), [(0.5, "X"), (0.500001, "Y"), (1.0, "Y"), (1.000001, "Z")])
def test_xyz_cuts_are_inclusive(variation: float, expected: str) -> None:
    assert classes.by_variation(variation) == expected


def test_a_seasonal_item_is_not_irregular() -> None:
    season = np.tile(np.r_[np.full(40, 10.0), np.full(12, 100.0)], 3)

    assert season.std() / season.mean() > 1
    assert classes.by_variation(classes.deseasonalised_variation(season, 52)) == "X"


def test_who_buys_by_the_clock_is_regular_and_who_buys_by_chance_is_not() -> None:
    chance = np.random.default_rng(1).geometric(0.1, 4000)

    assert regularity([7] * 20) == 1
    assert regularity(chance) == pytest.approx(0, abs=0.05)
    assert np.isnan(regularity([7]))


@pytest.mark.parametrize(
    ("value", "interval", "steady", "expected"),
    [
        ("A", 7.0, 0.0, "key"),
        ("A", 30.0, 0.9, "key"),
        ("A", 30.0, 0.1, "occasional"),
        ("B", 3.0, 0.1, "regular"),
        ("C", 30.0, 0.9, "regular"),
        ("C", 30.0, 0.1, "occasional"),
        ("C", float("nan"), 0.9, "occasional"),
    ],
)
def test_f27_customers_are_classed_by_value_frequency_and_regularity(
    value: str, interval: float, steady: float, expected: str
) -> None:
    assert classes.customer_class(value, interval, steady) == expected


def test_f27_a_known_series_has_its_interval_size_and_weekdays() -> None:
    week = [4.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0]

    found = profile([0.0] * 7 + week * 52, MONDAY)

    assert (found.days, found.days_with_demand, found.total) == (364, 104, 312)
    assert found.mean_interval_days == 3.5
    assert found.interval_days == (3, 3, 4)
    assert found.weekdays == pytest.approx((4 / 6 * 7, 0, 0, 2 / 6 * 7, 0, 0, 0))
    assert found.regularity > 0.8
    assert found.trend_a_year == pytest.approx(0, abs=0.01)
    assert found.variation == pytest.approx(0)


def test_a_demand_that_doubles_within_a_year_has_a_trend() -> None:
    assert profile(np.linspace(10, 20, 364), MONDAY).trend_a_year == pytest.approx(10 / 15, rel=0.02)


def test_a_summer_shows_in_the_months_after_two_years() -> None:
    days = [date.fromordinal(MONDAY.toordinal() + place) for place in range(731)]

    found = profile([30.0 if day.month in (6, 7) else 10.0 for day in days], MONDAY)

    assert found.months[5] > 2 * found.months[0]
    assert profile([10.0] * 400, MONDAY).months == (1.0,) * 12


def test_what_never_was_wanted_has_no_profile() -> None:
    found = profile([0.0] * 30, MONDAY)

    assert (found.days, found.pattern) == (0, "none")
