"""``vmi propose``: what it reads, by which conventions it decides, what it refuses and how it says so."""

import csv
import io
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_cli.console import Refused

AS_OF = date(2025, 6, 2)
STEADY = [f"l,i,{AS_OF - timedelta(days=n)},{9 + n % 3}" for n in range(1, 141)]
"""Ten a day."""


class Files:
    """The files of one run, each a header and rows."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.texts: dict[str, str] = {}
        self.stderr = ""
        self.sales("location_id,item_id,date,quantity", *STEADY)
        self.stock("location_id,item_id,on_hand", "l,i,30")
        self.agreements("location_id,item_id,supplier_id,lead_time_days,review_days", "*,*,s,3,7")

    def sales(self, *lines: str) -> None:
        self.texts["sales"] = "\n".join(lines)

    def stock(self, *lines: str) -> None:
        self.texts["stock"] = "\n".join(lines)

    def supply(self, *lines: str) -> None:
        self.texts["supply"] = "\n".join(lines)

    def agreements(self, *lines: str) -> None:
        self.texts["agreements"] = "\n".join(lines)

    def calendar(self, *lines: str) -> None:
        self.texts["calendar"] = "\n".join(lines)

    def propose(self, *options: str, as_of: date = AS_OF) -> list[dict[str, str]]:
        """Return the rows that are written; refused is nothing half done."""
        out = self.folder / "out.csv"
        out.unlink(missing_ok=True)
        arguments = ["propose", "--as-of", str(as_of), "--out", str(out)]
        for name, text in self.texts.items():
            (self.folder / f"{name}.csv").write_text(text + "\n")
            arguments += [f"--{name}", str(self.folder / f"{name}.csv")]
        result = CliRunner().invoke(app, [*arguments, *options])
        if isinstance(result.exception, Refused):
            assert not out.exists()
            raise result.exception
        assert result.exit_code == 0, result.output
        self.stderr = result.stderr.replace("\n", " ")
        return list(csv.DictReader(io.StringIO(out.read_text())))

    def one(self, *options: str, as_of: date = AS_OF) -> Mapping[str, str]:
        (row,) = self.propose("--all", *options, as_of=as_of)
        return row


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_an_order_covers_from_now_to_the_arrival_of_the_next_one(files: Files) -> None:
    row = files.one()

    assert list(row)[:13] == [
        "customer_id", "location_id", "item_id", "supplier_id", "quantity", "unit", "arrives_on", "position",
        "order_up_to", "forecast_mean", "forecast_spread", "binding_constraint", "explanation",
    ]  # fmt: skip
    assert float(row["forecast_mean"]) == pytest.approx(100, rel=0.05)
    assert row["arrives_on"] == str(AS_OF + timedelta(days=3))
    assert (row["customer_id"], row["supplier_id"], row["position"]) == ("default", "s", "30")
    assert 70 <= float(row["quantity"]) <= 110
    assert float(row["order_up_to"]) == pytest.approx(30 + float(row["quantity"]))
    assert row["explanation"].startswith("Position 30 is")


def test_the_planner_sees_when_it_runs_out_and_how_long_it_lasts(files: Files) -> None:
    files.agreements("location_id,item_id,lead_time_days,review_days,unit_price", "*,*,1,7,2.5")
    row = files.one()

    assert row["stock_out_on"] == str(AS_OF + timedelta(days=3))
    assert row["order_by"] == str(AS_OF + timedelta(days=2))
    assert float(row["cover_days_before"]) == pytest.approx(3, rel=0.05)
    assert float(row["cover_days_after"]) == pytest.approx((30 + float(row["quantity"])) / 10, rel=0.05)
    assert float(row["value"]) == 2.5 * float(row["quantity"])
    assert row["reason"] == "needed"


def test_only_series_that_need_something_are_written_unless_all_are_asked_for(files: Files) -> None:
    files.stock("location_id,item_id,on_hand", "l,i,1000")

    assert files.propose() == []
    row = files.one()
    assert (row["quantity"], row["reason"]) == ("0", "covered")
    assert "covers the order-up-to level" in row["explanation"]


def test_what_is_on_its_way_counts_and_what_is_owed_or_reserved_does_not(files: Files) -> None:
    files.stock("location_id,item_id,on_hand,reserved,unavailable,backlog", "l,i,50,5,10,15")
    files.supply(
        "location_id,item_id,quantity,arrives_on,stage",
        f"l,i,12,{AS_OF},shipped",
        f"l,i,8,{AS_OF + timedelta(days=2)},ordered",
        f"l,i,4,{AS_OF - timedelta(days=2)},",
    )

    assert files.one()["position"] == "44"
    assert f"overdue, counts as arriving on {AS_OF} (1 rows)" in files.stderr


def test_the_more_specific_agreement_wins(files: Files) -> None:
    files.agreements(
        "customer_id,location_id,item_id,supplier_id,lead_time_days",
        "*,*,*,all,3", "*,l,*,place,3", "*,*,i,thing,3", "other,l,i,elsewhere,3",
    )  # fmt: skip
    assert files.one()["supplier_id"] == "place"
    files.agreements("customer_id,location_id,item_id,supplier_id", "*,l,*,place", "*,l,i,both", "default,*,i,whose")
    assert files.one()["supplier_id"] == "whose"


def test_the_agreement_in_force_on_the_day_counts(files: Files) -> None:
    header = "location_id,item_id,supplier_id,effective_from,effective_to"
    yesterday, tomorrow = AS_OF - timedelta(days=1), AS_OF + timedelta(days=1)
    files.agreements(header, f"l,i,old,,{yesterday}", f"l,i,now,{AS_OF},", f"l,i,soon,{tomorrow},", "*,*,else,,")
    assert files.one()["supplier_id"] == "now"


def test_an_agreement_that_ends_is_covered_to_its_end_and_no_farther(files: Files) -> None:
    header = "location_id,item_id,lead_time_days,review_days,effective_to"
    files.agreements(header, f"l,i,3,28,{AS_OF + timedelta(days=8)}")
    assert float(files.one()["forecast_mean"]) == pytest.approx(90, rel=0.05)

    files.agreements(header, f"l,i,3,7,{AS_OF + timedelta(days=1)}")
    row = files.one()
    assert (row["quantity"], row["reason"]) == ("0", "agreement_ends")


def test_packs_minimum_order_and_maximum_bind_in_this_order(files: Files) -> None:
    files.agreements("location_id,item_id,lead_time_days,review_days,pack", "*,*,3,7,24")
    assert float(files.one()["quantity"]) % 24 == 0
    files.agreements("location_id,item_id,lead_time_days,review_days,pack,minimum_order", "*,*,3,7,24,200")
    row = files.one()
    assert (row["quantity"], row["binding_constraint"]) == ("216", "multiple")
    files.agreements("location_id,item_id,lead_time_days,review_days,pack,maximum", "*,*,3,7,24,100")
    row = files.one()
    assert (row["quantity"], row["binding_constraint"]) == ("48", "maximum")


def test_an_agreed_minimum_and_maximum_may_be_the_policy(files: Files) -> None:
    files.agreements("location_id,item_id,policy,minimum,maximum", "*,*,minimum_maximum,30,70")
    assert files.one()["quantity"] == "40"
    files.stock("location_id,item_id,on_hand", "l,i,31")
    assert files.one()["reason"] == "above_reorder_point"


def test_s19_trucks_are_filled_up_by_what_runs_out_first_and_fill_is_told_apart(files: Files) -> None:
    slow = [line.replace("l,i,", "l,slow,").rpartition(",")[0] + ",2" for line in STEADY]
    files.sales("location_id,item_id,date,quantity", *STEADY, *slow)
    files.stock("location_id,item_id,on_hand", "l,i,30", "l,slow,60", "elsewhere,i,500")
    truck = "load_building,pallet,pallet_layer,load_pallets,lead_time_days,review_days"
    files.agreements(f"location_id,item_id,supplier_id,{truck}", "*,*,s,trucks,20,4,8,3,7")

    rows = {(row["location_id"], row["item_id"]): row for row in files.propose("--all")}

    truckload = [rows["l", "i"], rows["l", "slow"]]
    assert sum(float(row["quantity"]) for row in truckload) == pytest.approx(160, abs=4)
    assert float(rows["l", "i"]["fill_quantity"]) > 0
    assert rows["l", "i"]["binding_constraint"] == "trucks"
    assert float(rows["elsewhere", "i"]["quantity"]) == 0, "no truck goes for what nobody needs"


def test_weekly_data_serve_a_lead_time_of_days_pro_rata(files: Files) -> None:
    files.sales("location_id,item_id,date,quantity", *(f"l,i,{AS_OF - timedelta(weeks=n)},70" for n in range(1, 61)))
    files.agreements("location_id,item_id,lead_time_days,review_days", "*,*,10,7")
    row = files.one("--period", "week")

    assert float(row["forecast_mean"]) == pytest.approx(170, rel=0.05)
    assert row["arrives_on"] == str(AS_OF + timedelta(days=10))


def test_monthly_data_follow_the_calendar(files: Files) -> None:
    rows = [f"l,i,{2021 + n // 12}-{n % 12 + 1:02}-01,62" for n in range(48)]
    files.sales("location_id,item_id,date,quantity", *rows)
    files.agreements("location_id,item_id,lead_time_days,review_days", "*,*,31,28")
    row = files.one("--period", "month", as_of=date(2025, 1, 1))

    assert float(row["forecast_mean"]) == pytest.approx(124, rel=0.05)
    with pytest.raises(Refused, match="first day of a month"):
        files.one("--period", "month", as_of=date(2025, 1, 2))


def test_series_without_stock_or_agreement_are_named_and_left_out(files: Files) -> None:
    files.sales("location_id,item_id,date,quantity", *STEADY, *(one.replace("l,i", "l,j") for one in STEADY))
    files.stock("location_id,item_id,on_hand", "l,i,3", "m,i,4")
    files.agreements("location_id,item_id", "l,*")

    assert [row["item_id"] for row in files.propose()] == ["i"]
    assert "no stock row, so nothing is proposed: default/l/j" in files.stderr
    assert "no agreement in force, so nothing is proposed: default/m/i" in files.stderr


def test_a_new_item_is_ordered_at_its_agreed_rate_or_within_its_band_or_not_at_all(files: Files) -> None:
    files.stock("location_id,item_id,on_hand", "l,i,500", "l,new,0")
    files.agreements(
        "location_id,item_id,lead_time_days,review_days,expected_daily_demand", "*,*,3,7,", "l,new,3,7,2.5"
    )
    (row,) = files.propose()
    assert row["item_id"] == "new"
    assert float(row["forecast_mean"]) == pytest.approx(25, rel=0.1)
    assert "no history yet" in row["explanation"]

    files.agreements("location_id,item_id,minimum,maximum", "*,*,,", "l,new,5,20")
    assert [one["quantity"] for one in files.propose()] == ["20"]
    files.agreements("location_id,item_id", "*,*")
    assert [one["reason"] for one in files.propose("--all")] == ["covered", "demand_unknown"]


def test_nothing_sold_at_all_yet_is_a_history_too(files: Files) -> None:
    files.sales("location_id,item_id,date,quantity")
    files.agreements("location_id,item_id,lead_time_days,review_days,expected_daily_demand", "l,i,3,7,10")

    assert float(files.one()["forecast_mean"]) == pytest.approx(100)


def test_a_closed_day_by_the_calendar_needs_nothing(files: Files) -> None:
    before = float(files.one()["forecast_mean"])
    files.calendar("date,event,kind", *(f"{AS_OF + timedelta(days=n)},inventory,closed" for n in range(3)))

    assert float(files.one()["forecast_mean"]) == pytest.approx(before * 0.7, rel=0.05)


def test_later_sales_are_not_looked_at(files: Files) -> None:
    before = files.one()
    later = [f"l,i,{AS_OF + timedelta(days=n)},{'who knows' if n else 400}" for n in range(20)]
    files.sales("location_id,item_id,date,quantity", *STEADY, *later)

    assert files.one() == before


BAD: list[tuple[str, list[str], str]] = [
    ("stock", ["location_id,item_id,on_hand", "l,i,some"], "stock.csv, line 2, column on_hand: 'some' is not a number"),
    ("stock", ["location_id,item_id,on_hand", "l,i,"], "stock.csv, line 2, column on_hand: empty"),
    (
        "stock",
        ["location_id,item_id,on_hand", "l,i,4", "l,i,5"],
        "line 3, column item_id: default/l/i again",
    ),
    ("stock", ["location_id,item_id"], "column on_hand missing"),
    ("supply", ["location_id,item_id,quantity,arrives_on", "l,i,-4,2025-06-03"], "supply.csv, line 2, column quantity"),
    ("supply", ["location_id,item_id,quantity,arrives_on", "l,i,4,soon"], "supply.csv, line 2, column arrives_on"),
    ("agreements", ["location_id,item_id,review_days", "*,*,7", "l,i,often"], "line 3, column review_days: 'often'"),
    ("agreements", ["location_id,item_id,service_target", "*,*,95"], "line 2, column service_target: '95'"),
    ("agreements", ["location_id,item_id,service_measure", "*,*,cost"], "line 2, column holding_cost"),
    ("agreements", ["location_id,item_id", "*,*", "*,*"], "line 3, column item_id: the same as line 2"),
    ("agreements", ["location_id,item_id,pack", "*,*,0"], "line 2, column pack: '0'"),
    ("agreements", ["location_id,item_id,forecast_models", "*,*,sba oracle"], "column forecast_models"),
    (
        "agreements",
        ["location_id,item_id,forecast_models_by_class", "*,*,{lumpy: tsb}"],
        "line 2, column forecast_models_by_class: '{lumpy: tsb}': no JSON object",
    ),
]


@pytest.mark.parametrize(("file", "lines", "complaint"), BAD, ids=[complaint for _, _, complaint in BAD])
def test_a_bad_cell_is_named_by_file_line_and_column(files: Files, file: str, lines: list[str], complaint: str) -> None:
    getattr(files, file)(*lines)

    with pytest.raises(Refused) as refused:
        files.propose()
    assert complaint in str(refused.value)


def test_unknown_columns_are_left_out_with_one_warning_a_file(files: Files) -> None:
    files.agreements("location_id,item_id,colour,mood", "*,*,red,good")
    files.propose()

    assert files.stderr.count("warning") == 1
    assert "agreements.csv: not used: colour, mood" in files.stderr


def test_a_model_that_is_agreed_forecasts_here_too(files: Files) -> None:
    """Sales double in the last two weeks: who goes by the season of a week ago knows of it at once."""
    days = [(n, (20 if n <= 14 else 10) + n % 3) for n in range(1, 201)]
    files.sales("location_id,item_id,date,quantity", *(f"l,i,{AS_OF - timedelta(days=n)},{sold}" for n, sold in days))
    means = {}
    for model in ("", "live", "seasonal_naive", "croston"):
        files.agreements("location_id,item_id,lead_time_days,review_days,forecast_models", f"*,*,3,4,{model}")
        means[model] = float(files.one()["forecast_mean"])
    files.agreements(
        "location_id,item_id,lead_time_days,review_days,forecast_models_by_class",
        '*,*,3,4,"{""lumpy"": [""croston""], ""A"": [""seasonal_naive""]}"',
    )

    assert means["live"] == means[""]
    assert means["seasonal_naive"] != means["live"] != means["croston"] != means["seasonal_naive"]
    assert float(files.one()["forecast_mean"]) == means["seasonal_naive"], "it is the only item, so it is A"
    assert "warning" not in files.stderr


def test_a_model_that_is_agreed_is_said_not_to_count_where_weeks_are_forecast(files: Files) -> None:
    files.agreements("location_id,item_id,forecast_models", "*,*,sba tsb")
    files.calendar("date,event", f"{AS_OF + timedelta(days=2)},fair")
    files.propose()

    assert "agreements.csv: forecast_models: not used here, where days are forecast with a plan" in files.stderr


def test_a_class_chooses_the_service_target_as_it_does_live(files: Files) -> None:
    """By value of the last year among all of the customer's; what never sold has no class."""
    sold = {"most": 50, "some": 8, "little": 2}
    rows = [
        f"l,{item},{AS_OF - timedelta(days=n)},{each + n % 2}" for item, each in sold.items() for n in range(1, 141)
    ]
    files.sales("location_id,item_id,date,quantity", *rows)
    files.stock("location_id,item_id,on_hand", *(f"l,{item},5" for item in (*sold, "new")))
    terms = "location_id,item_id,lead_time_days,review_days,service_target"

    def levels() -> dict[str, str]:
        return {row["item_id"]: row["order_up_to"] for row in files.propose("--all")}

    files.agreements(terms, "*,most,3,7,.97", "*,some,3,7,.95", "*,little,3,7,.90", "*,*,3,7,.6")
    each_by_name = levels()
    files.agreements(f"{terms},service_target_by_class", "*,*,3,7,.6,default")
    assert levels() == each_by_name
    priced = f"{terms},service_target_by_class,unit_price"
    files.agreements(priced, "*,*,3,7,.6,default,1", "*,little,3,7,.6,default,99")
    dear = levels()

    assert "warning" not in files.stderr
    assert (dear["most"], dear["some"]) != (each_by_name["most"], each_by_name["some"])
    assert Decimal(dear["little"]) > Decimal(each_by_name["little"]), "by value, not by units"


def test_parquet_goes_in_and_out(files: Files, tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    written = files.one()
    for name, text in files.texts.items():
        rows = list(csv.DictReader(io.StringIO(text)))
        columns: dict[str, Any] = {column: [row[column] for row in rows] for column in rows[0]}
        for column in columns.keys() & {"quantity", "on_hand", "lead_time_days", "review_days"}:
            columns[column] = np.array(columns[column], float)
        parquet.write_table(pa.table(columns), tmp_path / f"{name}.parquet")
    arguments = ["propose", "--as-of", str(AS_OF), "--out", str(tmp_path / "out.parquet"), "--all"]
    for name in files.texts:
        arguments += [f"--{name}", str(tmp_path / f"{name}.parquet")]
    assert CliRunner().invoke(app, arguments).exit_code == 0

    (row,) = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert (row["quantity"], row["explanation"]) == (float(written["quantity"]), written["explanation"])
    assert row["arrives_on"] == date.fromisoformat(written["arrives_on"])


def test_of_several_suppliers_the_first_in_the_file_is_proposed_to(files: Files) -> None:
    files.agreements("location_id,item_id,supplier_id,lead_time_days,review_days", "*,*,near,3,7", "*,*,far,30,7")

    [row] = files.propose()

    assert row["supplier_id"] == "near"
    assert "line 3, column supplier_id: a further supplier of the same series" in files.stderr
