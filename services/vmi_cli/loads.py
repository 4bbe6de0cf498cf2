"""``vmi loads``: a supplier's next orders as trucks, filled up."""

import asyncio
from itertools import groupby
from typing import Annotated

import typer
from rich.progress import track

from vmi_cli.console import AsJson, err, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_contracts.values import plain
from vmi_domain.stock.position import Key
from vmi_replenishment import situations
from vmi_replenishment.loads import LoadedOrder
from vmi_replenishment.loads import loads as loaded
from vmi_replenishment.master_data import MasterData
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_runtime.worker import Transaction
from vmi_store import agreements


def loads(
    supplier: Annotated[str, typer.Argument(help="The supplier's id.")],
    customer: Annotated[str | None, typer.Option(help="Only for this customer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a supplier's next orders as trucks: what is needed, and what would fill the last truck up.

    For agreements with pallet (base units on one) and load_pallets. Up by lowest cover, never above the maximum, the
    space, or what sells before it expires; an order that exceeds full trucks by little is cut down by highest cover.
    Proposals are of the need, in whole layers or pallets where load_building asks for them; a customer asks for what
    fills the truck with a replenishment request.

        vmi loads dairy --customer retailer-1
    """
    found = asyncio.run(_loads(connected(), supplier, customer))
    if as_json:
        print_json(
            [
                {
                    "customer_id": one.customer_id,
                    "location_id": one.location_id,
                    "order_at": one.order_at.isoformat(),
                    "loads": one.load.loads,
                    "pallets": plain(one.load.pallets),
                    "lines": [
                        {"item_id": line.name, "need": plain(line.need), "fill": plain(line.fill)}
                        for line in one.load.lines
                    ],
                }
                for one in found
            ]
        )
        return
    print_rows(
        f"Loads of {supplier} (base units)",
        ("customer", "location", "order day", "trucks", "pallets", "item", "need", "fill"),
        [
            (
                one.customer_id,
                one.location_id,
                f"{one.order_at:%Y-%m-%d}",
                one.load.loads,
                f"{one.load.pallets:.2f}",
                line.name,
                plain(line.need),
                plain(line.fill),
            )
            for one in found
            for line in one.load.lines
        ],
        nothing="No order is due of agreements that say what a truck holds (pallet, load_pallets).",
    )


async def _loads(settings: Settings, supplier: str, customer: str | None) -> list[LoadedOrder]:
    async with opened(settings) as database, database.connect() as connection:
        keys = sorted(
            {
                Key(one.customer_id, one.location_id, one.item_id)
                for one in await agreements.standing(connection, customer_id=customer)
                if one.supplier_id == supplier and one.load_pallets is not None
            }
        )
        transaction, master_data = Transaction(connection, Clock(settings.clock)), MasterData()
        found: list[LoadedOrder] = []
        places = [list(of_place) for _, of_place in groupby(keys, key=lambda key: key[:2])]
        for of_place in track(places, "loading", console=err, transient=True, disable=not err.is_terminal):
            found += loaded(await situations.as_offered(of_place, transaction, master_data), supplier)
    return found
