"""``vmi shadow``: agreements on trial, against what was really ordered."""

import asyncio
from dataclasses import asdict, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from vmi_cli.console import AsJson, out, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_contracts.values import plain
from vmi_domain.days import SiteCalendar
from vmi_domain.replenishment.shadowing import Score, Trial, score
from vmi_domain.stock.position import Key
from vmi_runtime.settings import Settings
from vmi_store import catalogue, demand, trials
from vmi_store.forecasts import Location
from vmi_store.trials import Kept

app = typer.Typer(no_args_is_help=True, help="Agreements on trial (mode: shadow): nothing of them goes out.")


@app.callback()
def _group() -> None:
    """Keep ``report`` a command of its own while it is the only one."""


@app.command()
def report(
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    location: Annotated[str | None, typer.Option(help="Only this location.")] = None,
    since: Annotated[datetime | None, typer.Option(formats=["%Y-%m-%d"], help="From this day on.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare what would have been proposed with what was really ordered, and
    with the stock-outs that followed.

    An order belongs to the order opportunity nearest to it. Of the days that
    sold out it is told whether the delivery before them would have been
    larger or smaller.

        vmi shadow report --customer retailer-1
    """
    scores = asyncio.run(_scores(connected(), customer, location, since))
    if as_json:
        print_json([_as_json(one) for one in scores])
        return
    print_rows(
        "Proposals on trial against orders (base units)",
        (
            "location",
            "item",
            "proposals",
            "orders",
            "proposed",
            "ordered",
            "within 10 %",
            "nothing ordered",
            "not proposed",
            "mean difference",
            "sold-out days",
            "we: more",
            "we: less",
        ),
        [
            (
                one.key.location_id,
                one.key.item_id,
                one.opportunities,
                one.orders,
                plain(one.proposed),
                plain(one.ordered),
                one.agreeing,
                one.without_order,
                one.without_proposal,
                plain(one.mean_difference),
                one.sold_out_days,
                one.sold_out_with_more_proposed,
                one.sold_out_with_less_proposed,
            )
            for one in scores
        ],
        nothing='No agreement was on trial: make one with mode "shadow", and wait for its order opportunity to pass.',
    )
    if scores:
        proposed, ordered = (sum(getattr(one, name) for one in scores) for name in ("proposed", "ordered"))
        share = f" ({float(proposed / ordered) - 1:+.1%})" if ordered else ""
        out.print(f"Proposed {plain(Decimal(proposed))}, ordered {plain(Decimal(ordered))}{share}", markup=False)


async def _scores(
    settings: Settings, customer: str | None, location: str | None, since: datetime | None
) -> list[Score]:
    begin = None if since is None else since.replace(tzinfo=UTC)
    async with opened(settings) as database, database.connect() as connection:
        kept = await trials.read(connection, customer_id=customer, location_id=location, since=begin)
        sold_out = await _sold_out(connection, kept)
    return [score(replace(_trial(key, one), sold_out_days=sold_out.get(key, ()))) for key, one in sorted(kept.items())]


def _trial(key: Key, kept: Kept) -> Trial:
    return Trial(key, kept.proposed, kept.ordered, lost=kept.lost)


async def _sold_out(connection: Any, kept: dict[Key, Kept]) -> dict[Key, list[date]]:
    """Return the days on which each key sold out, from its first proposal on."""
    if not kept:
        return {}
    keys = sorted(kept)
    sites = sorted({Location(*key[:2]) for key in keys})
    known = await catalogue.locations(connection, sites)
    calendars = {
        site: SiteCalendar() if (place := known.get(site)) is None else SiteCalendar(place.time_zone, place.day_ends_at)
        for site in sites
    }
    first = {key: calendars[Location(*key[:2])].day_of(min(one.order_at for one in kept[key].proposed)) for key in keys}
    until = max(one.deliver_at for each in kept.values() for one in each.proposed).date()
    histories = await demand.read(
        connection, [(key, first[key]) for key in keys], until=until, calendars=calendars, inherited=0
    )
    return {
        key: [date.fromordinal(int(day)) for day in history.sold_out]
        for key, history in zip(keys, histories, strict=True)
    }


def _as_json(one: Score) -> dict[str, Any]:
    told = {name: plain(value) if isinstance(value, Decimal) else value for name, value in asdict(one).items()}
    key = one.key
    return {"customer_id": key.customer_id, "location_id": key.location_id, "item_id": key.item_id} | {
        name: value for name, value in told.items() if name != "key"
    }
