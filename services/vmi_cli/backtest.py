"""``vmi backtest`` and ``vmi whatif``: a history replayed through the code that runs live."""

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from vmi_cli.console import AsJson, Refused, err, file_progress, print_json, print_rows, warn
from vmi_domain.forecasting.panel import Period
from vmi_domain.replenishment.needs import ServiceMeasure

if TYPE_CHECKING:
    from vmi_files.backtests import Order, Report

Sales = Annotated[str, typer.Option(help="Sales, .csv or .parquet; - is standard input (CSV).")]
Agreements = Annotated[str, typer.Option(help="Lead time, review, service, packs …; * in an identifier means all.")]
OfPeriod = Annotated[Period, typer.Option(help="What a row of the sales file is of.")]
Begin = Annotated[
    datetime | None,
    typer.Option("--from", formats=["%Y-%m-%d"], help="First period replayed; the middle of the history if not given."),
]
Until = Annotated[
    datetime | None,
    typer.Option(formats=["%Y-%m-%d"], help="The history ends before this day; used whole if not given."),
]
KnownDemand = Annotated[
    bool, typer.Option("--known-demand", help="Forecasts learn from what was wanted, not from what was sold.")
]

TARGETS = ".8,.9,.95,.98"


def backtest(
    sales: Sales,
    agreements: Agreements,
    period: OfPeriod = Period.DAY,
    begin: Begin = None,
    until: Until = None,
    targets: Annotated[
        str, typer.Option(help="Service targets, a point of the frontier each; 'agreed' for none.")
    ] = TARGETS,
    measure: Annotated[
        ServiceMeasure | None, typer.Option(help="What targets mean; as agreed if not given. cost: p / (p + h).")
    ] = None,
    review_days: Annotated[str | None, typer.Option(help="Review periods side by side, like 1,7.")] = None,
    lead_time_days: Annotated[float | None, typer.Option(min=0, help="In place of the agreed one.")] = None,
    known_demand: KnownDemand = False,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate", help="Beside each policy, the same with what the history before --from adds to its target."
        ),
    ] = False,
    out: Annotated[str | None, typer.Option(help="The table, .csv or .parquet.")] = None,
    plot: Annotated[str | None, typer.Option(help="Stock over fill rate, .png; needs the extra 'plots'.")] = None,
    as_json: AsJson = False,
) -> None:
    """Replay a history: what service, stock, orders and cost each target would have led to.

    Nothing is known of what follows a decision. Sales lost to an empty shelf of the replay are hidden from the
    forecast, as they are live. A fixed minimum and maximum, as an ERP system keeps them, is always in the picture.

    With --calibrate the history before is replayed too: what it adds to the log odds of a target so that the target
    comes out, shrunk to theory, is the `calibration` of an agreement.

        vmi backtest --sales sales.csv --agreements agreements.csv --measure fill_rate --plot frontier.png
    """
    from vmi_files import backtests, tables
    from vmi_files.tables import FileRefused

    order = backtests.Order(
        sales,
        agreements,
        period,
        _day(begin),
        _day(until),
        targets=[] if targets == "agreed" else _numbers("--targets", targets, least=0.0, most=1.0),
        measure=measure,
        review_days=_review_days(review_days),
        lead_time_days=lead_time_days,
        known_demand=known_demand,
        calibrate=calibrate,
    )
    try:
        for path in (out, plot):
            if path is not None and path != plot:
                tables.check_writable(path)
        report = _run(order)
        if out is not None:
            backtests.write(report, out)
        if plot is not None:
            backtests.plot(report, plot)
    except FileRefused as refused:
        raise Refused(str(refused)) from None
    if as_json and calibrate:
        print_json(
            {
                "outcomes": [one.as_row() for one in report.outcomes],
                "calibrations": [one.as_row() for one in report.calibrated],
            }
        )
    elif as_json:
        print_json([one.as_row() for one in report.outcomes])
    elif out != "-":
        _show(report)


whatif = typer.Typer(no_args_is_help=True, help="What another choice would cost and save, on your own history.")


@whatif.callback()
def what_if() -> None:
    """What another choice would cost and save, on your own history."""


@whatif.command("review-period")
def review_period(
    sales: Sales,
    agreements: Agreements,
    period: OfPeriod = Period.DAY,
    begin: Begin = None,
    until: Until = None,
    review_days: Annotated[str, typer.Option(help="Review periods to compare.")] = "1,7,14,28",
    known_demand: KnownDemand = False,
    as_json: AsJson = False,
) -> None:
    """Show what a shorter or longer review period would cost and save, at the agreed service.

    A shorter one lowers the average stock and raises the number of orders; a longer one the other way round.

        vmi whatif review-period --sales sales.csv --agreements agreements.csv --review-days 1,7,14
    """
    from vmi_files import backtests
    from vmi_files.tables import FileRefused

    wanted = _review_days(review_days)
    order = backtests.Order(
        sales, agreements, period, _day(begin), _day(until), review_days=wanted, known_demand=known_demand
    )
    try:
        report = _run(order)
    except FileRefused as refused:
        raise Refused(str(refused)) from None
    found = report.of(backtests.AS_AGREED)
    if as_json:
        print_json([one.as_row() for one in found])
        return
    first = found[0]
    rows = [
        (
            f"{one.review_days:g}",
            f"{one.fill_rate:.1%}",
            f"{one.average_stock:,.1f}",
            f"{one.cover_days:,.1f}",
            "" if one is first else f"{one.average_stock / max(first.average_stock, 1e-9) - 1:+.0%}",
            f"{one.orders:,.1f}",
            "" if one is first else f"{one.orders / max(first.orders, 1e-9) - 1:+.0%}",
            "" if one.cost is None else f"{one.cost:,.3f}",
        )
        for one in found
    ]
    columns = ("review days", "fill rate", "average stock", "days of cover", "", "orders a year", "", "cost")
    print_rows(
        f"{report.series:,} series, {report.periods} periods from {report.first_period}", columns, rows, nothing=""
    )


@whatif.command("fill-of-all")
def fill_of_all(
    sales: Sales,
    agreements: Agreements,
    fill: Annotated[float, typer.Option(min=0.5, max=0.9999, help="Fill rate of all items together, by value.")] = 0.95,
    period: OfPeriod = Period.DAY,
    begin: Begin = None,
    until: Until = None,
    known_demand: KnownDemand = False,
    as_json: AsJson = False,
) -> None:
    """Show which one ratio of shortage to holding cost gives all items together a fill rate, and the stock it takes.

    The same fill rate for each item gives too much to items that are dear to cover. One ratio gives each item what its
    value is worth: agree on it by service_measure cost, with this shortage_cost and holding_cost for every item.

        vmi whatif fill-of-all --sales sales.csv --agreements agreements.csv --fill .95
    """
    from vmi_files import backtests
    from vmi_files.tables import FileRefused

    order = backtests.Order(sales, agreements, period, _day(begin), _day(until), known_demand=known_demand)
    try:
        with file_progress("replaying") as told:
            found = backtests.one_ratio(order, fill, warn=warn, told=told)
    except FileRefused as refused:
        raise Refused(str(refused)) from None
    if as_json:
        print_json(
            {
                "shortage_cost": found.shortage_over_holding,
                "holding_cost": 1,
                "one_ratio": found.outcome.as_row(),
                "as_agreed": found.as_agreed.as_row(),
            }
        )
        return
    rows = [
        (name, f"{one.value_fill_rate:.1%}", f"{one.fill_rate:.1%}", f"{one.value_cover_days:,.1f}",
         f"{one.cover_days:,.1f}", f"{one.orders:,.1f}")
        for name, one in (("as agreed", found.as_agreed), ("one cost ratio", found.outcome))
    ]  # fmt: skip
    columns = ("policy", "fill by value", "by units", "days of cover by value", "by units", "orders a year")
    print_rows(f"All items together at {fill:.1%}", columns, rows, nothing="")
    said = f"service_measure cost, holding_cost 1, shortage_cost {found.shortage_over_holding:.4g}"
    err.print(f"Agree on {said} for each of them.", markup=False)


def _run(order: "Order") -> "Report":
    from vmi_files import backtests

    with file_progress("replaying") as told:
        return backtests.run(order, warn=warn, told=told)


LEGEND: Final = (
    "review: days from order to order; fill: units from stock over units wanted, value: by price; cycles: without "
    "a stock-out; stock: units at a period's end; cover: the same in days of demand; orders: of a series and year; "
    "bullwhip: variance of orders over that of demand; to ERP: our stock against the ERP band's at the same fill.\n"
    "ERP: a minimum and maximum; its target is the minimum over mean demand of lead time and review."
)


def _show(report: "Report") -> None:
    from vmi_files.backtests import ERP

    rows = []
    for one in report.outcomes:
        same = None if one.policy == ERP else report.erp_stock_at(one.fill_rate, one.review_days)
        rows.append(
            (
                "ERP" if one.policy == ERP else one.policy,
                "" if one.target is None else f"{one.target:g}",
                f"{one.review_days:g}",
                f"{one.fill_rate:.1%}",
                f"{one.value_fill_rate:.1%}",
                f"{one.cycle_service:.1%}",
                f"{one.average_stock:,.1f}",
                f"{one.cover_days:,.1f}",
                f"{one.orders:,.1f}",
                f"{one.unmet:,.0f}",
                "" if one.cost is None else f"{one.cost:,.3f}",
                f"{one.bullwhip:.2f}",
                "" if same is None else f"{one.average_stock / same - 1:+.0%}",
            )
        )
    columns = (
        "policy", "target", "review", "fill", "value", "cycles", "stock", "cover", "orders", "unmet", "cost",
        "bullwhip", "to ERP",
    )  # fmt: skip
    reviews = {one.review_days for one in report.outcomes}
    costless = all(one.cost is None for one in report.outcomes)
    said = [
        name for name in columns if not (name == "review" and len(reviews) == 1) and not (name == "cost" and costless)
    ]
    every = f", reviewed every {min(reviews):g} days" if len(reviews) == 1 else ""
    print_rows(
        f"{report.series:,} series, {report.periods} periods from {report.first_period}{every}",
        said,
        [[cell for name, cell in zip(columns, row, strict=True) if name in said] for row in rows],
        nothing="",
    )
    if report.calibrated:
        told = [one.as_row() for one in report.calibrated]
        print_rows(
            "What the history before adds to the log odds of the targets (`calibration` of the agreement)",
            tuple(name.replace("_", " ") for name in told[0]),
            [tuple(f"{one:.3f}" if isinstance(one, float) else one for one in row.values()) for row in told],
            nothing="",
        )
    err.print(LEGEND, markup=False)


def _day(moment: datetime | None) -> date | None:
    return None if moment is None else moment.replace(tzinfo=UTC).date()


def _review_days(text: str | None) -> list[int]:
    return [] if text is None else [int(one) for one in _numbers("--review-days", text, least=0.5, most=366.5)]


def _numbers(option: str, text: str, *, least: float, most: float) -> list[float]:
    try:
        found = [float(one) for one in text.split(",") if one.strip()]
    except ValueError:
        raise Refused(f"{option} {text}: numbers, separated by commas") from None
    if not found or not all(least < one < most for one in found):
        raise Refused(f"{option} {text}: each lies between {least:g} and {most:g}")
    return found
