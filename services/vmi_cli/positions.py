"""``vmi position``: what stands where, and what is on its way."""

import asyncio
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_cli.console import AsJson, Refused, out, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_contracts.inbound import AgreementMade, StockAuthority, StockBasis
from vmi_contracts.values import plain
from vmi_domain.stock.position import Authority, Basis, Key, inventory_position, stock
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_store import agreements, positions, watermarks
from vmi_store.positions import PositionRow

app = typer.Typer(no_args_is_help=True, help="The inventory position of customer locations and items.")


@app.callback()
def _group() -> None:
    """Keep ``show`` a command of its own while it is the only one."""


@app.command()
def show(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    location: Annotated[str, typer.Argument(help="The location's id.")],
    item: Annotated[str | None, typer.Argument(help="The item's id; all items of the location without it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what stands at a location and what is on its way, quantity by quantity,
    in base units.

    vmi position show retailer-1 store-1 vmi position show retailer-1
    store-1 milk --json
    """
    found = asyncio.run(_found(connected(), customer, location, item))
    if not found:
        what = f"item {item} at " if item else ""
        raise Refused(f"nothing is known of {what}location {location} of customer {customer}")
    if as_json:
        print_json(found)
        return
    names = ["physical", "unavailable", "reserved", "received_unconfirmed", "in_transit", "on_order", "backlog"]
    told = [name for name in names if name == "physical" or any(one[name] != "0" for one in found)]
    print_rows(
        f"{customer} {location} (base units; what is nothing everywhere is left out)",
        ("item", *(name.replace("_", " ") for name in told), "inventory position", "counted at"),
        [
            (
                one["item_id"],
                *(one[name] for name in told),
                one["inventory_position"],
                (one["counted_at"] or "never").replace("T", " "),
            )
            for one in found
        ],
        nothing="nothing",
    )
    out.print(f"Facts have reached {found[0]['reached_at'] or 'nothing yet'}")


async def _found(settings: Settings, customer: str, location: str, item: str | None) -> list[dict[str, Any]]:
    async with opened(settings) as database, database.connect() as connection:
        place = (customer, location)
        keys = [Key(*place, item)] if item else await positions.keys_at(connection, place)
        reached_at = (await watermarks.read(connection, [place])).get(place)
        rows = {row.key: row for row in await positions.read(connection, keys)}
        terms = await _terms(connection, list(rows), reached_at)
    return [_shown(rows[key], terms.get(key), reached_at) for key in sorted(rows)]


async def _terms(connection: AsyncConnection, keys: list[Key], reached_at: datetime | None) -> dict[Key, AgreementMade]:
    day = reached_at.date() if reached_at else Clock().wall().date()
    found = await agreements.in_force(connection, [(key, day) for key in keys])
    return {key: one[0] for key, one in found.items()}


def _shown(row: PositionRow, terms: AgreementMade | None, reached_at: datetime | None) -> dict[str, Any]:
    """Return one position in quantities by name. Without an agreement it is read as by the agreement's defaults."""
    held = stock(
        row.balance,
        row.supply,
        authority=Authority((terms.stock_authority if terms else StockAuthority.SNAPSHOT).value),
        basis=Basis((terms.stock_basis if terms else StockBasis.GROSS).value),
    )
    quantities = {name: value for name, value in asdict(held).items() if isinstance(value, Decimal)}
    return {
        "customer_id": row.key.customer_id,
        "location_id": row.key.location_id,
        "item_id": row.key.item_id,
        **{name: plain(value) for name, value in quantities.items()},
        "available": plain(held.available),
        "inventory_position": plain(inventory_position(held)),
        "counted_at": row.balance.counted_at.isoformat() if row.balance.counted_at else None,
        "reached_at": reached_at.isoformat() if reached_at else None,
        "agreed": terms is not None,
        "version": row.version,
    }
