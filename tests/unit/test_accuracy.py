"""Errors by lag, in numbers a person can check, and the reports that show them."""

import json
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_domain.forecasting.accuracy import Said, by_lag, by_week, coverage, groups

NAN = float("nan")


def test_errors_are_told_by_lag_over_the_demand_that_is_known() -> None:
    said = Said(np.array([[12.0, 8.0], [6.0, 5.0]]), np.array([[10.0, 10.0], [10.0, NAN]]), np.array([10.0, 5.0]))

    first, second = by_lag(said)

    assert (first.lag, first.pairs, first.wape, first.bias) == (1, 2, 0.3, -0.1)
    assert first.rmse == pytest.approx(np.sqrt(10))
    assert first.mase == pytest.approx(6 / 5)
    assert (second.pairs, second.bias) == (1, -0.2)
    assert np.isnan(second.mase)


def test_a_week_of_which_a_day_is_not_known_is_not_known() -> None:
    weeks = by_week(np.array([[1.0] * 7 + [1.0] * 6 + [NAN]]))

    assert weeks[0, 0] == 7
    assert np.isnan(weeks[0, 1])


def test_groups_come_with_the_largest_demand_first() -> None:
    said = Said(np.ones((3, 1)), np.array([[1.0], [5.0], [2.0]]), np.ones(3))

    assert [group.name for group in groups(said, ["a", "b", "a"])] == ["b", "a"]


def test_coverage_is_of_what_is_known() -> None:
    assert coverage([1.0, 5.0, NAN], [2.0, 2.0, 2.0]) == 0.5
    assert np.isnan(coverage([NAN], [1.0]))


@pytest.fixture
def sales(tmp_path: Path) -> Path:
    random = np.random.default_rng(3)
    rows = ["location_id,item_id,date,quantity"]
    for day in range(120):
        rows += [
            f"s1,{item},{date(2024, 1, 1) + timedelta(days=day)},{quantity}"
            for item, quantity in (("milk", random.poisson(8)), ("salt", 7 * (day % 7 == 0)))
        ]
    path = tmp_path / "sales.csv"
    path.write_text("\n".join(rows))
    return path


def run(*arguments: str) -> str:
    found = CliRunner().invoke(app, list(arguments))
    assert found.exit_code == 0, found.output
    return found.stdout


def test_a_history_in_a_file_is_reported_on_by_lag(sales: Path) -> None:
    told = json.loads(
        run(
            "forecast", "report", "--sales", str(sales), "--as-of", "2024-04-30", "--horizon", "7", "--origins", "2",
            "--by", "series", "--json",
        )
    )  # fmt: skip

    milk = next(group for group in told if group["group"].endswith("milk"))
    assert [one["lag"] for one in milk["lags"]] == list(range(1, 8))
    assert [one["pairs"] for one in milk["lags"]] == [2] * 7
    assert all(one["wape"] < 1 for one in milk["lags"])


def test_the_report_is_a_table_for_people(sales: Path) -> None:
    told = run("forecast", "report", "--sales", str(sales), "--as-of", "2024-04-30", "--horizon", "3", "--origins", "1")

    assert "WAPE" in told
    assert "█" in told


def test_the_report_can_be_a_picture(sales: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "report.png"

    run(
        "forecast", "report", "--sales", str(sales), "--as-of", "2024-04-30", "--horizon", "3", "--origins", "1",
        "--plot", str(picture),
    )  # fmt: skip

    assert picture.read_bytes().startswith(b"\x89PNG")


def test_a_sales_file_has_profiles(sales: Path) -> None:
    told = json.loads(run("profile", "--sales", str(sales), "--as-of", "2024-04-30", "--json"))

    milk, salt = told["series"]
    assert (milk["item_id"], milk["value_class"], milk["pattern"]) == ("milk", "A", "smooth")
    assert (salt["pattern"], salt["regularity"]) == ("intermittent", 1)
    assert salt["mean_interval_days"] == pytest.approx(7, rel=0.06)
    assert told["customers"][0]["customer_class"] == "key"
    assert "default" in run("profile", "--sales", str(sales), "--as-of", "2024-04-30")
