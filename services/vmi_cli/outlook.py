"""``vmi outlook``: what a supplier is to send over the weeks to come."""

import asyncio
from collections import defaultdict
from datetime import timedelta
from decimal import Decimal
from itertools import groupby
from typing import Annotated, Final

import typer
from rich.progress import track

from vmi_cli.console import AsJson, Refused, err, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_contracts.values import plain
from vmi_domain.replenishment.looking_ahead import Ahead, Commitment
from vmi_domain.stock.position import Key
from vmi_replenishment import situations
from vmi_replenishment.ahead import ahead
from vmi_replenishment.master_data import MasterData
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_runtime.worker import Transaction
from vmi_store import agreements

AT_ONCE: Final = 500
"""Keys that are read and decided on together."""


def outlook(
    supplier: Annotated[str, typer.Argument(help="The supplier's id.")],
    days: Annotated[int, typer.Option(min=1, max=366, help="How far ahead orders are planned.")] = 28,
    customer: Annotated[str | None, typer.Option(help="Only for this customer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a supplier is to send: what is firm, what is proposed, and what is planned after that.

    Planned is what demand, as it is expected now, will ask for at later order opportunities; nobody is bound by it. The
    table adds locations up, --json has each.

        vmi outlook dairy --days 28
    """
    rows = asyncio.run(_rows(connected(), supplier, timedelta(days=days), customer))
    if rows is None:
        raise Refused(f"no agreement with {supplier!r}: `vmi agreements export` shows who supplies what")
    if as_json:
        print_json(
            [
                {
                    **one.key._asdict(),
                    "order_at": one.order_at.isoformat(),
                    "deliver_at": one.deliver_at.isoformat(),
                    "quantity": plain(one.quantity),
                    "commitment": one.commitment.value,
                }
                for one in rows
            ]
        )
        return
    sums: dict[tuple[str, str], dict[Commitment, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    for one in rows:
        sums[f"{one.order_at:%Y-%m-%d}", one.key.item_id][one.commitment] += one.quantity
    print_rows(
        f"What {supplier} is to send (base units, by order day)",
        ("order day", "item", *Commitment),
        [
            (*place, *(plain(quantities[kind]) if kind in quantities else None for kind in Commitment))
            for place, quantities in sorted(sums.items())
        ],
        nothing="Nothing is firm, proposed or planned.",
    )


async def _rows(settings: Settings, supplier: str, horizon: timedelta, customer: str | None) -> list[Ahead] | None:
    async with opened(settings) as database, database.connect() as connection:
        keys = sorted(
            {
                Key(one.customer_id, one.location_id, one.item_id)
                for one in await agreements.standing(connection, customer_id=customer)
                if one.supplier_id == supplier
            }
        )
        transaction, master_data = Transaction(connection, Clock(settings.clock)), MasterData()
        found: list[Ahead] = []
        parts: list[list[Key]] = []
        for _, of_place in groupby(keys, key=lambda key: key[:2]):  # what shares a truck is looked at together
            some = list(of_place)
            if parts and len(parts[-1]) + len(some) <= AT_ONCE:
                parts[-1] += some
            else:
                parts.append(some)
        for part in track(parts, "looking ahead", console=err, transient=True, disable=not err.is_terminal):
            found += ahead(await situations.as_offered(part, transaction, master_data), supplier, horizon)
    return sorted(found, key=lambda one: (one.order_at, one.key)) if keys else None
