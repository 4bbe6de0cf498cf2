"""``vmi forecast run``: what it reads, how it counts periods, what it refuses and how it says so."""

import csv
import io
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console
from typer.testing import CliRunner

from vmi_cli import console
from vmi_cli.__main__ import app
from vmi_cli.console import Refused
from vmi_domain.forecasting.ahead import ahead
from vmi_domain.forecasting.panel import Panel, Period

MONDAY = date(2025, 3, 3)
HEADER = "customer_id,location_id,item_id,date,quantity"


def days(count: int, *, every: int = 1, quantity: int = 4, begin: date = MONDAY) -> list[str]:
    return [f"c,l,007,{begin + timedelta(days=every * n)},{quantity + n % 3}" for n in range(count)]


def run(folder: Path, rows: Sequence[str] | str, *options: str, as_of: date, header: str = HEADER) -> Any:
    text = rows if isinstance(rows, str) else "\n".join([header, *rows]) + "\n"
    sales, out = folder / "sales.csv", folder / "out.csv"
    sales.write_text(text)
    arguments = ["forecast", "run", "--sales", str(sales), "--as-of", str(as_of), "--horizon", "3", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, *options])
    if isinstance(result.exception, Refused):
        assert not out.exists()
        assert [one.name for one in folder.iterdir() if one.name.startswith(".")] == []
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def forecasts(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO((folder / "out.csv").read_text())))


def test_a_row_for_each_series_and_period_with_the_sum_beside_it(tmp_path: Path) -> None:
    run(tmp_path, days(60), "--quantiles", ".95,.5", as_of=MONDAY + timedelta(days=60))

    found = forecasts(tmp_path)
    assert list(found[0]) == [
        "customer_id", "location_id", "item_id", "period", "period_start", "mean", "q0.5", "q0.95",
        "cumulative_mean", "cumulative_q0.5", "cumulative_q0.95", "model", "reason",
    ]  # fmt: skip
    assert [(row["item_id"], row["period"], row["period_start"]) for row in found] == [
        ("007", "1", "2025-05-02"),
        ("007", "2", "2025-05-03"),
        ("007", "3", "2025-05-04"),
    ]
    assert float(found[2]["cumulative_mean"]) == pytest.approx(15, rel=0.1)
    assert float(found[2]["cumulative_mean"]) == pytest.approx(sum(float(row["mean"]) for row in found), rel=1e-6)


def test_a_series_goes_by_the_model_that_is_agreed_and_the_others_as_they_would(tmp_path: Path) -> None:
    """Sales double in the last two weeks; of two customers one has agreed on the season of a week ago."""
    as_of = MONDAY + timedelta(days=200)
    rows = [
        f"{customer},l,i,{MONDAY + timedelta(days=n)},{(20 if n >= 186 else 10) + n % 3}"
        for n in range(200)
        for customer in "ab"
    ]
    agreements = tmp_path / "agreed.csv"
    agreements.write_text(
        "customer_id,location_id,item_id,lead_time_days,review_days,forecast_models\na,*,*,2,1,seasonal_naive\nb,*,*,2,1,\n"
    )
    run(tmp_path, rows, as_of=as_of)
    usual = forecasts(tmp_path)
    run(tmp_path, rows, "--agreements", str(agreements), as_of=as_of)
    found = forecasts(tmp_path)

    assert [row for row in found if row["customer_id"] == "b"] == [row for row in usual if row["customer_id"] == "b"]
    ours = [row for row in found if row["customer_id"] == "a"]
    assert {(row["model"], row["reason"]) for row in ours} == {("seasonal naive", "it is agreed")}
    assert float(ours[2]["cumulative_mean"]) == pytest.approx(sum(float(row["mean"]) for row in ours), rel=0.02)
    for row in ours:
        assert float(row["mean"]) != float(usual[0]["mean"])
        assert float(row["q0.5"]) <= float(row["q0.9"]) <= float(row["q0.95"])


def test_weeks_begin_on_the_weekday_of_the_file(tmp_path: Path) -> None:
    thursday = MONDAY + timedelta(days=3)
    run(tmp_path, days(30, every=7, begin=thursday), "--period", "week", as_of=thursday + timedelta(weeks=30))

    assert [row["period_start"] for row in forecasts(tmp_path)] == ["2025-10-02", "2025-10-09", "2025-10-16"]


def test_months_are_counted_by_the_calendar(tmp_path: Path) -> None:
    rows = [f"c,l,i,{2024 + n // 12}-{n % 12 + 1:02}-01,{5 + n % 2}" for n in range(23)]
    run(tmp_path, rows, "--period", "month", as_of=date(2025, 12, 1))

    assert [row["period_start"] for row in forecasts(tmp_path)] == ["2025-12-01", "2026-01-01", "2026-02-01"]


def test_one_customer_needs_no_name_and_two_rows_of_a_day_add_up(tmp_path: Path) -> None:
    as_of = MONDAY + timedelta(days=40)
    once = [f"l,i,{MONDAY + timedelta(days=n)},6" for n in range(40)]
    twice = [f"l,i,{MONDAY + timedelta(days=n)},{part}" for n in range(40) for part in (2, 4)]
    header = "location_id,item_id,date,quantity"
    run(tmp_path, once, as_of=as_of, header=header)
    of_one_row = forecasts(tmp_path)
    run(tmp_path, twice, as_of=as_of, header=header)

    assert forecasts(tmp_path) == of_one_row
    assert of_one_row[0]["customer_id"] == "default"


def test_parquet_goes_in_and_out(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    as_of = MONDAY + timedelta(days=40)
    run(tmp_path, days(40), as_of=as_of)
    cells = [row.split(",") for row in days(40)]
    names = HEADER.split(",")
    columns: dict[str, Any] = {name: [row[place] for row in cells] for place, name in enumerate(names)}
    columns["date"] = pa.array([date.fromisoformat(day) for day in columns["date"]]).cast(pa.timestamp("ns"))
    columns["quantity"] = [int(one) for one in columns["quantity"]]
    parquet.write_table(pa.table(columns), tmp_path / "sales.parquet")
    sales, out = str(tmp_path / "sales.parquet"), str(tmp_path / "out.parquet")
    arguments = ["forecast", "run", "--sales", sales, "--as-of", str(as_of), "--horizon", "3", "--out", out]
    assert CliRunner().invoke(app, arguments).exit_code == 0

    written = parquet.read_table(out).to_pylist()
    assert [row["cumulative_q0.95"] for row in written] == [
        float(row["cumulative_q0.95"]) for row in forecasts(tmp_path)
    ]
    assert written[0]["period_start"] == as_of


def test_a_dash_is_standard_input_and_output(tmp_path: Path) -> None:
    as_of = str(MONDAY + timedelta(days=40))
    text = "\n".join([HEADER, *days(40)])
    arguments = ["forecast", "run", "--sales", "-", "--as-of", as_of, "--horizon", "1", "--out", "-"]
    result = CliRunner().invoke(app, arguments, input=text)

    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].startswith(f"c,l,007,1,{as_of},")


def test_unknown_columns_are_named_once(tmp_path: Path) -> None:
    rows = [f"{row},x,y" for row in days(40)]
    result = run(tmp_path, rows, as_of=MONDAY + timedelta(days=40), header=f"{HEADER},colour,size")

    assert result.stderr.count("warning") == 1
    assert "sales.csv: not used: colour, size" in result.stderr.replace("\n", "")


BAD = [
    ([f"c,l,i,{MONDAY},4", f"c,l,i,{MONDAY},four"], "line 3, column quantity: 'four' is not a number"),
    ([f"c,l,i,{MONDAY},nan"], "line 2, column quantity: 'nan' is not a number"),
    ([f"c,l,i,{MONDAY},"], "line 2, column quantity: empty"),
    (["c,l,i,31.03.2025,4"], "line 2, column date: '31.03.2025' is not a date like 2025-03-31"),
    ([f"c,l,,{MONDAY},4"], "line 2, column item_id: empty"),
    ([f"c,l,i,{MONDAY}"], "line 2: 4 cells under 5 columns"),
    ([f"c,l,i,{MONDAY + timedelta(days=90)},4"], "no row before --as-of"),
]


@pytest.mark.parametrize(("rows", "complaint"), BAD, ids=[complaint for _, complaint in BAD])
def test_a_bad_row_is_named_by_file_line_and_column(tmp_path: Path, rows: list[str], complaint: str) -> None:
    with pytest.raises(Refused) as refused:
        run(tmp_path, rows, as_of=MONDAY + timedelta(days=40))

    assert complaint in str(refused.value)
    assert "sales.csv" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("location_id,item_id,date\n", "column quantity missing"),
        ("", "the first line names the columns"),
        ("a;b\n1;2\n", "separated by commas"),
        ("date,date\n", "column date twice"),
    ],
)
def test_a_wrong_header_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(Refused, match=complaint):
        run(tmp_path, text, as_of=MONDAY)


def test_as_of_is_a_periods_first_day(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="begin on Mondays"):
        run(tmp_path, days(30, every=7), "--period", "week", as_of=MONDAY + timedelta(days=100))
    with pytest.raises(Refused, match="first day of a month"):
        run(tmp_path, ["c,l,i,2025-01-01,3"], "--period", "month", as_of=date(2025, 3, 2))
    with pytest.raises(Refused, match="line 3, column date: 2025-03-11 begins no week"):
        run(tmp_path, ["c,l,i,2025-03-03,3", "c,l,i,2025-03-11,3"], "--period", "week", as_of=date(2025, 3, 24))


@pytest.mark.parametrize("option", [("--quantiles", "0.5,2"), ("--quantiles", "half")])
def test_a_probability_lies_between_0_and_1(tmp_path: Path, option: tuple[str, str]) -> None:
    with pytest.raises(Refused, match="--quantiles"):
        run(tmp_path, days(30), *option, as_of=MONDAY + timedelta(days=30))


def test_what_was_never_in_stock_is_no_lack_of_demand(tmp_path: Path) -> None:
    sold = [f"{row},1" for row in days(60)]
    nothing = [f"c,l,007,{MONDAY + timedelta(days=60 + n)},0,0" for n in range(20)]
    run(tmp_path, [*sold, *nothing], as_of=MONDAY + timedelta(days=80), header=f"{HEADER},in_stock")

    assert float(forecasts(tmp_path)[0]["mean"]) == pytest.approx(5, rel=0.1)


def test_days_that_sold_out_count_as_more_than_was_sold(tmp_path: Path) -> None:
    sold = [(3, 1), (4, 1), (5, 1), (4, 0), (6, 1), (4, 0), (3, 1)]
    told = [f"c,l,i,{MONDAY + timedelta(days=n)},{sold[n % 7][0]},{bool(sold[n % 7][1])}" for n in range(84)]
    as_of = MONDAY + timedelta(days=84)
    run(tmp_path, told, as_of=as_of, header=f"{HEADER},in_stock")
    corrected = float(forecasts(tmp_path)[2]["cumulative_mean"])
    run(tmp_path, [row.rsplit(",", 1)[0] for row in told], as_of=as_of)

    assert corrected > 1.03 * float(forecasts(tmp_path)[2]["cumulative_mean"])


def test_a_planned_promotion_raises_its_own_day_and_no_other(tmp_path: Path) -> None:
    rows = [
        f"c,l,i,{MONDAY + timedelta(days=n)},{40 if n % 11 == 5 else 8 + n % 3},{'deal' if n % 11 == 5 else ''}"
        for n in range(154)
    ]
    as_of = MONDAY + timedelta(days=154)
    calendar = tmp_path / "calendar.csv"
    calendar.write_text(f"date,event,kind\n{as_of + timedelta(days=1)},deal,promotion\n")
    run(tmp_path, rows, "--calendar", str(calendar), as_of=as_of, header=f"{HEADER},promotion")

    means = [float(row["mean"]) for row in forecasts(tmp_path)]
    assert means == pytest.approx([9, 40, 9], rel=0.25)


def test_an_agreed_item_without_sales_is_forecast_at_its_agreed_rate(tmp_path: Path) -> None:
    agreements = tmp_path / "agreements.csv"
    agreements.write_text("customer_id,location_id,item_id,supplier_id,expected_daily_demand\nc,l,new,s,2.5\n")
    run(tmp_path, days(30), "--agreements", str(agreements), as_of=MONDAY + timedelta(days=30))

    means = [float(row["mean"]) for row in forecasts(tmp_path) if row["item_id"] == "new"]
    assert means == pytest.approx([2.5, 2.5, 2.5], rel=0.2)


def test_a_history_cut_off_by_its_own_stock_outs_is_seen_as_such() -> None:
    """Two thirds of the demand was sold: learned from sales the forecast is a third short, by likelihood a tenth."""
    random = np.random.default_rng(5)
    rates = random.gamma(1.5, 1.5, 150)
    demand = random.poisson(random.gamma(1.0, rates[:, None], (150, 140))).astype(float)
    sold, in_stock = np.zeros_like(demand), np.ones_like(demand)
    left = np.zeros(len(rates))
    for day in range(demand.shape[1]):
        left = np.ceil(rates * 5) if day % 7 == 0 else left
        in_stock[:, day] = np.where(left <= 0, 0.0, np.where(left <= demand[:, day], np.nan, 1.0))
        sold[:, day] = np.minimum(demand[:, day], left)
        left = left - sold[:, day]
    number = np.arange(len(rates))

    def mean(history: NDArray[np.float64], stocked: NDArray[np.float64] | None) -> float:
        panel = Panel(Period.DAY, MONDAY, history, number * 0, number % 5, number, stocked)
        return float(ahead(panel, 7, [0.5]).cumulative_mean[:, -1].sum() / (7 * rates.sum()))

    assert mean(demand, None) == pytest.approx(1.0, abs=0.05)
    assert mean(sold, None) < 0.75
    assert mean(sold, in_stock) == pytest.approx(1.0, abs=0.12)


def test_who_looks_on_sees_how_much_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console, "err", Console(file=io.StringIO(), force_terminal=True, width=80))
    run(tmp_path, days(60), as_of=MONDAY + timedelta(days=60))

    shown = console.err.file
    assert isinstance(shown, io.StringIO)
    assert "forecasting" in shown.getvalue()
    assert "\N{BOX DRAWINGS HEAVY HORIZONTAL}" in shown.getvalue()
