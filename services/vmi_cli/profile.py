"""``vmi profile``: what demand is like, and which classes follow, from the database or from a sales file."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, Final

import typer

from vmi_cli.console import AsJson, Refused, print_json, print_rows, warn
from vmi_domain.forecasting.panel import Period

COLUMNS: Final = ("class", "pattern", "value", "days", "size", "steady", "a year", "week")
"""Days from one demand to the next, its size, 1 for as by the clock, trend, Monday to Sunday."""
BARS: Final = "▁▂▃▄▅▆▇█"


def profile(
    customer: Annotated[str | None, typer.Argument(help="The customer's id; all customers without it.")] = None,
    location: Annotated[str | None, typer.Argument(help="A location of it.")] = None,
    item: Annotated[str | None, typer.Argument(help="An item there.")] = None,
    sales: Annotated[str | None, typer.Option(help="A sales file instead of the database, .csv or .parquet.")] = None,
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="With --sales: later rows are not looked at.")
    ] = None,
    period: Annotated[Period, typer.Option(help="With --sales: what a row of the file is of.")] = Period.DAY,
    as_json: AsJson = False,
) -> None:
    """Show how often, how much, when and how regularly customers' shelves are bought from, and which classes follow.

    Classes: customers key, regular, occasional; items ABC by value, XYZ by variation without season; patterns smooth,
    erratic, intermittent, lumpy.

        vmi profile
        vmi profile retailer-1 store-1 milk
        vmi profile --sales sales.csv --as-of 2025-03-01
    """
    if sales is not None:
        series, customers = _from_file(sales, as_of, period)
    else:
        series, customers = asyncio.run(_from_database(customer, location, item))
    if as_json:
        print_json({"customers": customers, "series": series})
        return
    if customers:
        print_rows("Customers", ("customer", *COLUMNS), [_row(one, ("customer_id",)) for one in customers], nothing="")
    several = len({one["customer_id"] for one in series}) > 1
    names = ("customer_id", "location_id", "item_id") if several else ("location_id", "item_id")
    rows = [_row(one, names) for one in series]
    if rows or not customers:
        heads = (*(name.removesuffix("_id") for name in names), *COLUMNS)
        print_rows("Demand", heads, rows, nothing="No profile is kept yet: one is when a location has closed a week.")


def _from_file(path: str, as_of: datetime | None, period: Period) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from vmi_files import profiles
    from vmi_files.periods import Periods
    from vmi_files.tables import FileRefused

    if as_of is None:
        raise Refused("--sales needs --as-of: the day up to which the history is looked at")
    try:
        series, customers = profiles.run(path, Periods(period, as_of.replace(tzinfo=UTC).date()), warn)
    except FileRefused as refused:
        raise Refused(str(refused)) from None
    return [profiles.as_json(one) for one in series], [profiles.as_json(one) for one in customers]


async def _from_database(
    customer: str | None, location: str | None, item: str | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from vmi_cli.database import opened
    from vmi_cli.surroundings import connected
    from vmi_store import profiles

    async with opened(connected()) as database, database.connect() as connection:
        customers = await profiles.customers(connection)
        series = []
        if customer is not None:
            series = await profiles.items(connection, customer_id=customer, location_id=location, item_id=item)
    if customer is not None and not series:
        where = " ".join(one for one in (customer, location, item) if one)
        raise Refused(f"no profile of {where} yet: one is made when a location has closed its first day")
    shown = [
        {
            "customer_id": one.key.customer_id,
            "location_id": one.key.location_id,
            "item_id": one.key.item_id,
            "as_of": one.as_of.isoformat(),
            "value": one.value,
            "value_class": one.value_class.name,
            "variation_class": one.variation_class.name,
            **one.figures,
            "pattern": one.pattern.name,
        }
        for one in series
    ]
    return shown, [
        {
            "customer_id": one.customer_id,
            "as_of": one.as_of.isoformat(),
            "value": one.value,
            "customer_class": one.customer_class.name,
            **one.figures,
        }
        for one in customers
        if customer is None or (one.customer_id == customer and location is None)
    ]


def _row(one: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    known = one.get("customer_class") or f"{one['value_class']}{one['variation_class']}"
    return (
        *(one[name] for name in names),
        known,
        one["pattern"],
        f"{one['value']:,.0f}",
        _number(one["mean_interval_days"], ".1f"),
        _number(one["mean_size"], ".1f"),
        _number(one["regularity"], ".2f"),
        _number(one["trend_a_year"], "+.0%"),
        "".join(BARS[min(int(share / 3 * len(BARS)), len(BARS) - 1)] for share in one["weekdays"]),
    )


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
