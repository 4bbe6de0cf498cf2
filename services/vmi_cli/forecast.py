"""``vmi forecast``: what the service would say about a history in a file, without a broker."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from vmi_cli.console import Refused, err, file_progress, warn
from vmi_domain.forecasting.panel import Period
from vmi_files import forecasts
from vmi_files.periods import Periods
from vmi_files.tables import FileRefused

app = typer.Typer(no_args_is_help=True, help="Forecasts of a history in a file; needs neither broker nor database.")

QUANTILES = ".5,.9,.95"


@app.callback()
def forecast() -> None:
    """Forecasts of a history in a file; needs neither broker nor database."""


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


def _probabilities(text: str) -> list[float]:
    try:
        found = sorted({float(one) for one in text.split(",") if one.strip()})
    except ValueError:
        raise Refused(f"--quantiles {text}: numbers, separated by commas, like {QUANTILES}") from None
    if not found or not all(0 < one < 1 for one in found):
        raise Refused(f"--quantiles {text}: each lies between 0 and 1")
    return found
