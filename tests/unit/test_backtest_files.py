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


def test_a_shorter_review_period_lowers_the_stock_and_raises_the_orders(files: list[str]) -> None:
    found = told(["whatif", "review-period", *files, "--review-days", "1,7,14"])

    stocks, orders = ([one[name] for one in found] for name in ("average_stock", "orders"))
    assert stocks == sorted(stocks)
    assert orders == sorted(orders, reverse=True)


def test_the_frontier_is_a_table_and_a_picture(files: list[str], tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    table, picture = tmp_path / "table.csv", tmp_path / "frontier.png"
    result = CliRunner().invoke(
        app, ["backtest", *files, "--targets", ".9", "--out", str(table), "--plot", str(picture)]
    )

    assert result.exit_code == 0, result.output
    assert table.read_text().startswith("policy,target,review_days,fill_rate,value_fill_rate,cycle_service,")
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "stock to ERP" in result.stdout.replace("\n", " ") or "ERP" in result.stdout


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
