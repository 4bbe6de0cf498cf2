"""``vmi forecast``: what the service would say about a history in a file, and how right it was."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from vmi_cli import forecast_report
from vmi_cli.console import AsJson, Refused, err, file_progress, print_json, print_rows, warn
from vmi_cli.forecast_report import By
from vmi_domain.forecasting.accuracy import Group, Said, by_week, coverage, groups
from vmi_domain.forecasting.panel import Period
from vmi_domain.stock.position import Key
from vmi_files import accuracy, forecasts
from vmi_files.periods import Periods
from vmi_files.tables import FileRefused

app = typer.Typer(no_args_is_help=True, help="Forecasts of a history in a file, and how right forecasts were.")

QUANTILES = ".5,.9,.95"


@app.callback()
def forecast() -> None:
    """Forecasts of a history in a file, and how right forecasts were."""


@app.command()
def run(
    sales: Annotated[str, typer.Option(help="Sales, .csv or .parquet; - is standard input (CSV).")],
    as_of: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day on which the forecast is made.")],
    horizon: Annotated[int, typer.Option(min=1, max=1000, help="Periods ahead.")],
    out: Annotated[str, typer.Option(help="Forecasts, .csv or .parquet; - is standard output (CSV).")],
    quantiles: Annotated[str, typer.Option(help="Probabilities, separated by commas.")] = QUANTILES,
    period: Annotated[Period, typer.Option(help="What a row of the sales file is of.")] = Period.DAY,
    calendar: Annotated[str | None, typer.Option(help="Promotions, holidays, closed days, known ahead.")] = None,
    agreements: Annotated[str | None, typer.Option(help="Agreements: expected demand of what is new.")] = None,
) -> None:
    """Forecast every series of a sales file as of a day; later rows are not looked at.

    Columns: location_id, item_id, date, quantity; optionally customer_id, in_stock, price, promotion, lost_sales.

        vmi forecast run --sales sales.csv --as-of 2025-03-01 --horizon 14 --out forecasts.csv
    """
    order = forecasts.Order(
        sales=sales,
        periods=Periods(period, as_of.replace(tzinfo=UTC).date()),
        horizon=horizon,
        quantiles=_probabilities(quantiles),
        calendar=calendar,
        agreements=agreements,
    )
    try:
        with file_progress("forecasting") as told:
            count = forecasts.run(order, out, warn=warn, told=told)
    except FileRefused as refused:
        raise Refused(str(refused)) from None
    err.print(f"{count:,} series, {horizon} periods from {order.periods.as_of}: {out}", markup=False)


@app.command()
def report(
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    location: Annotated[str | None, typer.Option(help="Only this location.")] = None,
    item: Annotated[str | None, typer.Option(help="Only this item.")] = None,
    by: Annotated[By, typer.Option(help="What to tell errors of.")] = By.ALL,
    sales: Annotated[str | None, typer.Option(help="Replay a sales file instead, .csv or .parquet.")] = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="With --sales: later rows are not looked at.")
    ] = None,
    horizon: Annotated[int, typer.Option(min=1, max=400, help="With --sales: periods ahead.")] = 14,
    origins: Annotated[int, typer.Option(min=1, max=100, help="With --sales: past days to forecast from.")] = 4,
    period: Annotated[Period, typer.Option(help="With --sales: what a row of the file is of.")] = Period.DAY,
    calendar: Annotated[str | None, typer.Option(help="With --sales: promotions, holidays, closed days.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Write error and bias by lag as a PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show how right forecasts were, by how far ahead they spoke, against what was forecast at the time.

    From the database: what the service said, kept once a week for half a year, by weeks ahead; days that sold out
    are left out. From a file: forecasts made anew at past origins, each knowing what was known then.

        vmi forecast report --customer retailer-1 --by class
        vmi forecast report --sales sales.csv --as-of 2025-03-01 --horizon 14 --origins 4 --plot report.png
    """
    if sales is None:
        unit, found = "week", asyncio.run(_archived(customer, location, item, by))
    else:
        if as_of is None:
            raise Refused("--sales needs --as-of: the day up to which the history is looked at")
        day = as_of.replace(tzinfo=UTC).date()
        order = forecasts.Order(sales, Periods(period, day), horizon, [0.95], calendar)
        try:
            with file_progress("forecasting") as told:
                found, _ = accuracy.report(order, origins, by.value, warn=warn, told=told)
        except FileRefused as refused:
            raise Refused(str(refused)) from None
        unit = period.value
    if plot is not None:
        forecast_report.plot(found, unit, plot)
        err.print(f"{plot}: error and bias by {unit}s ahead", markup=False)
    if as_json:
        print_json(forecast_report.as_json(found, unit))
    else:
        forecast_report.show(found, unit)


@app.command()
def models(
    customer: Annotated[str | None, typer.Argument(help="The customer's id; all customers without it.")] = None,
    location: Annotated[str | None, typer.Argument(help="A location of it.")] = None,
    item: Annotated[str | None, typer.Argument(help="An item there.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show which model each series goes by and why, and how outcomes moved the spread of forecasts.

    Once a week each location's series are held against a pool of models, by the loss of the protection interval's
    demand at the agreed service. The live state stays unless another is clearly better. An agreement may name the model
    or the models to choose from (forecast_models), by demand pattern or value class too (forecast_models_by_class).

        vmi forecast models retailer-1
        vmi forecast models retailer-1 store-1 milk --json
    """
    series, calibrations = asyncio.run(_models(customer, location, item))
    if as_json:
        print_json({"series": series, "calibrations": calibrations})
        return
    rows = [
        (
            one["customer_id"],
            one["location_id"],
            one["item_id"],
            one["model"],
            one["chosen_by"],
            one["since"],
            f"{one['horizon_days']} d at {one['quantile']:.3g}",
            f"{one['mean_share']:.2f} / {one['spread_share']:.2f}",
            one["why"],
        )
        for one in series
    ]
    heads = ("customer", "location", "item", "model", "chosen by", "since", "judged by", "mean / spread", "why")
    print_rows("Models", heads, rows, nothing="no models were chosen yet: a location's are once a week", sentences=True)
    if calibrations:
        calibrated = [
            (
                one["customer_id"],
                one["location_id"],
                one["pattern"],
                f"{one['scale']:.2f}",
                f"{one['outcomes']:,}",
                f"{one['coverage_95']:.1%}" if one["outcomes"] else "",
            )
            for one in calibrations
        ]
        columns = ("customer", "location", "pattern", "spread times", "outcomes", "within the .95 quantile")
        print_rows("Calibration", columns, calibrated, nothing="")


async def _models(
    customer: str | None, location: str | None, item: str | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from vmi_cli.database import opened
    from vmi_cli.surroundings import connected
    from vmi_store import models
    from vmi_store.forecasts import Location

    async with opened(connected()) as database, database.connect() as connection:
        chosen = await models.chosen(connection, customer, location, item)
        where = sorted({Location(*one.key[:2]) for one in chosen})
        found = [(place, await models.calibrations(connection, place)) for place in where]
    series = [
        {
            "customer_id": one.key.customer_id,
            "location_id": one.key.location_id,
            "item_id": one.key.item_id,
            "model": one.choice.model,
            "chosen_by": one.choice.chosen_by.value,
            "why": one.choice.why,
            "since": one.since.isoformat(),
            "judged_on": one.judged_on.isoformat(),
            "horizon_days": one.horizon,
            "quantile": one.quantile,
            "origins": one.choice.origins,
            "mean_share": round(one.choice.mean_share, 4),
            "spread_share": round(one.choice.spread_share, 4),
            "loss_over_live": one.choice.ratios,
        }
        for one in chosen
    ]
    calibrations = [
        {
            "customer_id": place.customer_id,
            "location_id": place.location_id,
            "pattern": one.pattern,
            "scale": round(one.scale, 4),
            "outcomes": one.outcomes,
            "coverage_95": round(one.covered / max(one.outcomes, 1), 4),
        }
        for place, by_pattern in found
        for one in sorted(by_pattern.values(), key=lambda one: one.pattern)
    ]
    return series, calibrations


async def _archived(customer: str | None, location: str | None, item: str | None, by: By) -> list[Group]:
    """Return errors by weeks ahead of what the service said."""
    from vmi_cli.database import opened
    from vmi_cli.surroundings import connected
    from vmi_store import past_forecasts, profiles

    async with opened(connected()) as database, database.connect() as connection:
        outcomes = await past_forecasts.outcomes(connection, customer_id=customer, location_id=location, item_id=item)
        classes = await profiles.classes_of(connection, [one.said.key for one in outcomes]) if by is By.CLASS else {}
    if not outcomes:
        raise Refused("no forecast is archived yet: one is once a week, when a location closes its days")
    names = [_group(one.said.key, by, classes) for one in outcomes]
    said = Said(
        by_week(np.stack([one.said.means for one in outcomes])),
        by_week(np.stack([one.wanted for one in outcomes])),
        np.array([one.last_week for one in outcomes]),
    )
    if not np.isfinite(said.wanted).any():
        raise Refused("no week has closed since a forecast was archived: how right they are shows then")
    levels, label = np.array([one.said.quantiles[-1] for one in outcomes]), np.array(names, object)
    shares = {name: coverage(said.wanted[label == name, 0], levels[label == name]) for name in dict.fromkeys(names)}
    return groups(said, names, shares)


def _group(key: Key, by: By, classes: Mapping[Key, str]) -> str:
    match by:
        case By.CUSTOMER:
            return key.customer_id
        case By.LOCATION:
            return f"{key.customer_id}|{key.location_id}"
        case By.SERIES:
            return "|".join(key)
        case By.CLASS:
            return classes.get(key, "no class yet")
        case _:
            return "all"


def _probabilities(text: str) -> list[float]:
    try:
        found = sorted({float(one) for one in text.split(",") if one.strip()})
    except ValueError:
        raise Refused(f"--quantiles {text}: numbers, separated by commas, like {QUANTILES}") from None
    if not found or not all(0 < one < 1 for one in found):
        raise Refused(f"--quantiles {text}: each lies between 0 and 1")
    return found
