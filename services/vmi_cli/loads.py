"""``vmi loads``: a supplier's next orders as trucks, filled up."""

import asyncio
from itertools import groupby
from typing import Annotated

import typer
from rich.progress import track

from vmi_cli.console import AsJson, err, print_json, print_rows, warn
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_contracts.values import plain
from vmi_domain.replenishment.explanations import load_in_words
from vmi_domain.replenishment.loading import Load
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
    """Show a supplier's next orders as trucks: what is needed, and what fills the last truck up.

    For agreements that say what a truck holds (load_pallets, load_weight, load_volume) and what the item takes of it
    (pallet, gross_weight, gross_volume). Up by lowest cover, never above the maximum, the space, or what sells before
    it expires; what exceeds load_trucks waits, by highest cover. With load_building trucks the proposals say so; else
    it is only shown, and a customer asks for what fills the truck with a replenishment request.

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
                    "full": one.load.is_full,
                    "in_words": load_in_words(one.load),
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
        ("customer", "location", "order day", "trucks", "filled to", "item", "need", "fill"),
        [
            (
                one.customer_id,
                one.location_id,
                f"{one.order_at:%Y-%m-%d}",
                one.load.loads,
                _filled(one.load),
                line.name,
                plain(line.need),
                plain(line.fill),
            )
            for one in found
            for line in one.load.lines
        ],
        nothing="No order is due of agreements that say what a truck holds (load_pallets, load_weight, load_volume).",
    )
    for one in found:
        if one.load.unmeasured or one.load.exceeded or not one.load.is_full:
            warn(f"{one.location_id}, {one.order_at:%Y-%m-%d}: {load_in_words(one.load)}")


def _filled(load: Load) -> str:
    """Return how far the trucks are filled, by the kind of room that they are fullest in."""
    named = zip(("pallets", "kg", "m³"), load.of_a_truck, load.loaded, strict=True)
    rooms = [(size / (there * (load.loads or 1)), size, name) for name, there, size in named if there and size]
    if not rooms:
        return "-"
    share, size, name = max(rooms)
    return f"{float(size):.2f} {name} ({float(share):.0%})"


async def _loads(settings: Settings, supplier: str, customer: str | None) -> list[LoadedOrder]:
    async with opened(settings) as database, database.connect() as connection:
        keys = sorted(
            {
                Key(one.customer_id, one.location_id, one.item_id)
                for one in await agreements.standing(connection, customer_id=customer)
                if one.supplier_id == supplier and any((one.load_pallets, one.load_weight, one.load_volume))
            }
        )
        transaction, master_data = Transaction(connection, Clock(settings.clock)), MasterData()
        found: list[LoadedOrder] = []
        places = [list(of_place) for _, of_place in groupby(keys, key=lambda key: key[:2])]
        for of_place in track(places, "loading", console=err, transient=True, disable=not err.is_terminal):
            found += loaded(await situations.as_offered(of_place, transaction, master_data), supplier)
    return found
