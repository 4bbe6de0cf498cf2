"""``vmi propose``: what the service would send, from files, without a broker."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from vmi_cli.console import Refused, err, file_progress, warn
from vmi_domain.forecasting.panel import Period


def propose(
    sales: Annotated[str, typer.Option(help="Sales, .csv or .parquet; - is standard input (CSV).")],
    stock: Annotated[str, typer.Option(help="What stands there at the start of the as-of day.")],
    agreements: Annotated[str, typer.Option(help="Lead time, review, service, packs …; * in an identifier means all.")],
    as_of: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The day on which is ordered.")],
    out: Annotated[str, typer.Option(help="Proposals, .csv or .parquet; - is standard output (CSV).")],
    supply: Annotated[str | None, typer.Option(help="What is on its way, and when it arrives.")] = None,
    calendar: Annotated[str | None, typer.Option(help="Promotions, holidays, closed days, known ahead.")] = None,
    period: Annotated[Period, typer.Option(help="What a row of the sales file is of.")] = Period.DAY,
    everything: Annotated[
        bool, typer.Option("--all", help="A row for every series, with the reason where nothing is proposed.")
    ] = False,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Replay the second half of the history; aim so that the targets come out."),
    ] = False,
) -> None:
    """Propose what to send for every series of a stock file, as of a day; later rows are not looked at.

    Stock: location_id, item_id, on_hand; optionally customer_id, reserved, unavailable, backlog, unit.

    Supply: location_id, item_id, quantity, arrives_on; optionally stage (ordered, shipped).

    Agreements: location_id, item_id; optionally lead_time_days, review_days, service_measure, service_target,
    holding_cost, shortage_cost, unmet_demand, pack, minimum_order, multiple, minimum, maximum, policy, unit_price …

        vmi propose --sales sales.csv --stock stock.csv --agreements agreed.csv --as-of 2025-03-03 --out proposals.csv
    """
    from vmi_files import proposals
    from vmi_files.periods import Periods
    from vmi_files.tables import FileRefused

    order = proposals.Order(
        sales=sales,
        stock=stock,
        agreements=agreements,
        periods=Periods(period, as_of.replace(tzinfo=UTC).date()),
        supply=supply,
        calendar=calendar,
        everything=everything,
        calibrate=calibrate,
    )
    try:
        with file_progress("proposing") as told:
            report = proposals.run(order, out, warn=warn, told=told)
    except FileRefused as refused:
        raise Refused(str(refused)) from None
    err.print(f"{report.proposals:,} proposals for {report.series:,} series: {out}", markup=False)
