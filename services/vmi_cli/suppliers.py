"""``vmi suppliers``: what suppliers' deliveries show, and what they say that they can send."""

import asyncio
from typing import Annotated, Any

import typer

from vmi_cli.console import AsJson, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_contracts.values import plain
from vmi_domain.replenishment.reliability import Delivery, learned
from vmi_domain.stock.position import Key
from vmi_store import agreements, promises, supply
from vmi_store.engine import Connection


def suppliers(
    supplier: Annotated[str | None, typer.Argument(help="The supplier's id; all suppliers without it.")] = None,
    customer: Annotated[str | None, typer.Option(help="Only deliveries to this customer.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show how long suppliers really take, how much that varies, how much comes in time and in full, and their supply.

    Learned from orders, shipments and receipts, the last 50 of a supplier and customer; from five on there is
    something to show. Where an agreement has lead_time_source "learned", its item's own deliveries size its orders.

        vmi suppliers
        vmi suppliers dairy --customer retailer-1 --json
    """
    shown, stated = asyncio.run(_read(supplier, customer))
    if as_json:
        print_json({"suppliers": shown, "supply": stated})
        return
    print_rows(
        "Suppliers",
        ("supplier", "customer", "deliveries", "agreed days", "days", "± days", "on time in full", "in full"),
        [
            (
                one["supplier_id"],
                one["customer_id"],
                one["deliveries"],
                f"{one['agreed_lead_time_days']:.1f}",
                *(_number(one[name], form) for name, form in _FIGURES.items()),
            )
            for one in shown
        ],
        nothing="no deliveries yet",
    )
    if stated:
        print_rows(
            "Supply",
            ("supplier", "item", "for", "stated at", "available", "on hand", "production"),
            [
                (
                    one["supplier_id"],
                    one["item_id"],
                    one["customer_id"] or "all",
                    one["stated_at"],
                    one["available_to_promise"],
                    one["on_hand"],
                    ", ".join(f"{each['quantity']} on {each['ready_on']}" for each in one["production"]),
                )
                for one in stated
            ],
            nothing="",
        )


_FIGURES = {"lead_time_days": ".1f", "lead_time_sd_days": ".2f", "on_time_in_full": ".0%", "in_full": ".0%"}


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


async def _read(supplier: str | None, customer: str | None) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    async with opened(connected()) as database, database.connect() as connection:
        return await read(connection, supplier, customer)


async def read(
    connection: Connection, supplier: str | None, customer: str | None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what deliveries show of each supplier and customer, and what suppliers say that they can send."""
    made = await agreements.standing(connection, customer_id=customer)
    agreed = {Key(one.customer_id, one.location_id, one.item_id): one for one in reversed(made)}
    told = await supply.deliveries(connection, sorted(agreed)) if agreed else {}
    stated = await promises.stated(connection, supplier_id=supplier)
    found: dict[tuple[str, str], list[Delivery]] = {}
    lead_times: dict[tuple[str, str], float] = {}
    for key, deliveries in told.items():
        for name, delivery in deliveries:
            pair = (name or agreed[key].supplier_id, key.customer_id)
            found.setdefault(pair, []).append(delivery)
            lead_times.setdefault(pair, agreed[key].lead_time_days)
    shown: list[dict[str, Any]] = []
    for pair in sorted(found):
        if supplier is not None and pair[0] != supplier:
            continue
        seen = learned(found[pair], lead_time_days=lead_times[pair])
        shown.append(
            {
                "supplier_id": pair[0],
                "customer_id": pair[1],
                "deliveries": len(found[pair]),
                "agreed_lead_time_days": lead_times[pair],
                **{name: None if seen is None else round(getattr(seen, name), 4) for name in _FIGURES},
            }
        )
    supplies = [
        {
            "supplier_id": pool.supplier_id,
            "customer_id": pool.customer_id or None,
            "item_id": pool.item_id,
            "stated_at": one.statement.stated_at.isoformat(),
            "valid_until": None if one.statement.valid_until is None else one.statement.valid_until.isoformat(),
            "available_to_promise": None if one.statement.available is None else plain(one.statement.available),
            "on_hand": None if one.statement.on_hand is None else plain(one.statement.on_hand),
            "production": [
                {"ready_on": day.isoformat(), "quantity": plain(quantity)} for day, quantity in one.statement.production
            ],
            "allocation": one.allocation.value,
        }
        for pool, one in stated.items()
        if customer is None or pool.customer_id in ("", customer)
    ]
    return shown, supplies
