"""``vmi backtest`` and ``vmi whatif``: what they show of a history, and what they refuse."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_cli.console import Refused

BEGIN = date(2024, 1, 1)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    random = np.random.default_rng(8)
    rows = [
        f"l,{item},{BEGIN + timedelta(days=day)},{random.poisson(2 + 3 * item)}"
        for item in range(8)
        for day in range(300)
    ]
    (tmp_path / "sales.csv").write_text("\n".join(["location_id,item_id,date,quantity", *rows]))
    header = "location_id,item_id,lead_time_days,review_days,service_measure,service_target,unmet_demand,unit_price"
    (tmp_path / "agreed.csv").write_text(f"{header}\n*,*,2,7,fill_rate,.95,backordered,3\n")
    return ["--sales", str(tmp_path / "sales.csv"), "--agreements", str(tmp_path / "agreed.csv")]


def told(arguments: list[str]) -> Any:
    result = CliRunner().invoke(app, [*arguments, "--json"])
    if isinstance(result.exception, Refused):
        raise result.exception
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_more_service_takes_more_stock_and_the_target_is_met(files: list[str]) -> None:
    found = told(["backtest", *files, "--targets", ".8,.9,.95"])
    ours = [one for one in found if one["policy"] == "fill_rate"]

    assert [one["target"] for one in ours] == [0.8, 0.9, 0.95]
    for one in ours:
        assert one["fill_rate"] == pytest.approx(one["target"], abs=0.025)
    assert sorted(one["average_stock"] for one in ours) == [one["average_stock"] for one in ours]
    assert [one["policy"] for one in found].count("ERP minimum/maximum") >= 4


def test_what_is_agreed_by_class_is_replayed_by_the_classes_known_when_it_begins(
    files: list[str], tmp_path: Path
) -> None:
    """Demand rises by three from item to item: five to seven make 80 % of it less one item, zero and one are C."""
    header = "location_id,item_id,lead_time_days,review_days,service_target"
    by_hand = {item: target for items, target in ((range(3, 8), 0.97), ((1, 2), 0.95), ((0,), 0.9)) for item in items}
    named = [f"*,{item},2,7,{target}" for item, target in by_hand.items()]
    (tmp_path / "named.csv").write_text("\n".join([header, *named]))
    (tmp_path / "classes.csv").write_text(f"{header},service_target_by_class\n*,*,2,7,.5,default\n")

    one, other = (
        told(["backtest", *files[:2], "--agreements", str(tmp_path / name)])[0] for name in ("named.csv", "classes.csv")
    )

    assert one == other


def test_that_trucks_are_not_filled_in_a_replay_is_said(files: list[str], tmp_path: Path) -> None:
    truck = "load_building,pallet,load_pallets"
    (tmp_path / "trucks.csv").write_text(
        f"location_id,item_id,lead_time_days,review_days,{truck}\n*,*,2,7,trucks,40,8\n"
    )

    result = CliRunner().invoke(app, ["backtest", *files[:2], "--agreements", str(tmp_path / "trucks.csv"), "--json"])

    assert "fills no truck" in result.stderr.replace("\n", " ")


def test_an_agreed_model_is_replayed(files: list[str], tmp_path: Path) -> None:
    header = "location_id,item_id,lead_time_days,review_days,forecast_models"
    outcomes = {}
    for model in ("", "live", "seasonal_naive"):
        agreed = tmp_path / f"agreed-{model}.csv"
        agreed.write_text(f"{header}\n*,*,2,7,{model}\n")
        outcomes[model] = told(["backtest", *files[:2], "--agreements", str(agreed)])[0]

    assert outcomes["live"] == outcomes[""] != outcomes["seasonal_naive"]


def test_a_shorter_review_period_lowers_the_stock_and_raises_the_orders(files: list[str]) -> None:
    found = told(["whatif", "review-period", *files, "--review-days", "1,7,14"])

    stocks, orders = ([one[name] for one in found] for name in ("average_stock", "orders"))
    assert stocks == sorted(stocks)
    assert orders == sorted(orders, reverse=True)


def of_unlike_items(folder: Path) -> list[str]:
    """Half of the items cheap to cover and half dear: the same mean, bought in ones or in heaps."""
    random = np.random.default_rng(8)
    rows = []
    for item in range(8):
        often, heap = (1.0, 1) if item % 2 else (0.05, 20)
        demand = heap * (random.random(200) < often) * (1 if heap > 1 else random.poisson(1.0, 200))
        rows += [f"l,{item},{BEGIN + timedelta(days=day)},{int(demand[day])}" for day in range(200)]
    (folder / "unlike.csv").write_text("\n".join(["location_id,item_id,date,quantity", *rows]))
    header = "location_id,item_id,lead_time_days,review_days,service_measure,service_target,unit_price"
    (folder / "same.csv").write_text(f"{header}\n*,*,3,7,fill_rate,.9,3\n")
    return ["--sales", str(folder / "unlike.csv"), "--agreements", str(folder / "same.csv")]


def test_one_cost_ratio_reaches_the_fill_of_all_with_less_stock_than_one_fill_rate_for_each(tmp_path: Path) -> None:
    of_files = of_unlike_items(tmp_path)
    [each, *_] = told(["backtest", *of_files, "--targets", "agreed"])

    found = told(["whatif", "fill-of-all", *of_files, "--fill", str(round(each["value_fill_rate"], 4))])

    assert found["as_agreed"] == each
    assert found["one_ratio"]["value_fill_rate"] == pytest.approx(each["value_fill_rate"], abs=0.01)
    assert found["one_ratio"]["value_cover_days"] < 0.97 * each["value_cover_days"]
    ratio = found["shortage_cost"]
    [again, *_] = told(["backtest", *of_files, "--measure", "cost", "--targets", str(ratio / (1 + ratio))])
    assert again["value_fill_rate"] == found["one_ratio"]["value_fill_rate"]


def test_a_fill_that_no_ratio_reaches_is_refused_with_the_most_there_is(tmp_path: Path) -> None:
    grown = [f"l,i,{BEGIN + timedelta(days=day)},{1 if day < 60 else 400}" for day in range(100)]
    (tmp_path / "grown.csv").write_text("\n".join(["location_id,item_id,date,quantity", *grown]))
    (tmp_path / "slow.csv").write_text("location_id,item_id,lead_time_days,review_days\n*,*,10,7\n")
    of_files = ["--sales", str(tmp_path / "grown.csv"), "--agreements", str(tmp_path / "slow.csv")]

    with pytest.raises(Refused, match=r"98.00% is not reached on this history: it is \d"):
        told(["whatif", "fill-of-all", *of_files, "--fill", "0.98"])


def test_the_frontier_is_a_table_and_a_picture(files: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    table, picture = tmp_path / "table.csv", tmp_path / "frontier.png"
    result = CliRunner().invoke(
        app,
        ["backtest", *files, "--targets", ".9", "--out", str(table), "--plot", str(picture)],
        env={"COLUMNS": "80"},
    )

    assert result.exit_code == 0, result.output
    assert table.read_text().startswith("policy,target,review_days,fill_rate,value_fill_rate,cycle_service,")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "to ERP" in result.stdout
    assert "to ERP: our stock against" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--targets", "95"], "lies between 0 and 1"),
        (["--review-days", "often"], "numbers, separated by commas"),
        (["--from", "2030-01-01"], "outside of the history"),
    ],
)
def test_what_makes_no_sense_is_refused(files: list[str], options: list[str], complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        told(["backtest", *files, *options])
