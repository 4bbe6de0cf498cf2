"""``vmi counts``: counts that are asked for, and what counts have found."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from vmi_cli.console import AsJson, Refused, out, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_contracts.values import plain
from vmi_domain.stock.confidence import confidence, reason_to_count
from vmi_domain.stock.position import Key
from vmi_inventory.requesting import held_by, record_of
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_store import agreements, count_requests, reconciling, watermarks
from vmi_store.count_requests import Request
from vmi_store.reconciling import Booked

app = typer.Typer(no_args_is_help=True, help="Counts that are asked for, and what counts have found.")

SHOWN = 10


@app.command("list")
def list_(
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    location: Annotated[str | None, typer.Option(help="Only this location.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Answered ones too.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the counts that are asked for, the latest first.

    vmi counts list --customer retailer-1 --location store-1
    """
    found = asyncio.run(_listed(connected(), customer, location, every, limit))
    if as_json:
        print_json([_request(one) for one in found])
        return
    print_rows(
        "Counts that are asked for",
        ("customer", "location", "item", "why", "expected", "confidence", "asked at", "counted"),
        [
            (
                one.key.customer_id,
                one.key.location_id,
                one.key.item_id,
                one.reason.value,
                plain(one.expected),
                f"{one.confidence:.0%}",
                f"{one.requested_at:%Y-%m-%d %H:%M}",
                "" if one.counted is None else plain(one.counted),
            )
            for one in found
        ],
        nothing="No count is asked for.",
    )


@app.command()
def show(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    location: Annotated[str, typer.Argument(help="The location's id.")],
    item: Annotated[str, typer.Argument(help="The item's id.")],
    as_json: AsJson = False,
) -> None:
    """Show how far a stock record can be trusted, and what its last counts and
    reports found.

        vmi counts show retailer-1 store-1 milk
    """
    found = asyncio.run(_record(connected(), Key(customer, location, item)))
    if as_json:
        print_json(found)
        return
    why = f"; a count is worth it ({found['reason_to_count']})" if found["reason_to_count"] else ""
    out.print(f"The record of {item} is right with a probability of {found['confidence']:.0%}{why}.", markup=False)
    print_rows(
        "Counts and reports, the latest first (base units)",
        ("as of", "cause", "counted", "expected", "drift", "sold", "received", "adjusted", "transferred", "facts"),
        [
            (
                one["as_of"].replace("T", " "),
                *(one[name] for name in ("cause", "counted", "expected", "drift", "sold", "received", "adjusted")),
                one["transferred"],
                one["facts"],
            )
            for one in found["counts"]
        ],
        nothing="none",
    )


async def _listed(
    settings: Settings, customer: str | None, location: str | None, every: bool, limit: int
) -> list[Request]:
    async with opened(settings) as database, database.connect() as connection:
        return await count_requests.listed(
            connection, customer_id=customer, location_id=location, answered=every, at_most=limit
        )


async def _record(settings: Settings, key: Key) -> dict[str, Any]:
    async with opened(settings) as database, database.connect() as connection:
        reached_at = (await watermarks.read(connection, [key[:2]])).get(key[:2])
        today = (reached_at or Clock().wall()).date()
        kept = await count_requests.kept(connection, {key[:2]: today}, key.item_id)
        if not kept:
            raise Refused(
                f"no count or report of item {key.item_id} at {key.location_id} of {key.customer_id} is known"
            )
        agreed = (await agreements.in_force(connection, [(key, today)])).get(key)
        agreement = agreed[0] if agreed else None
        counts = await reconciling.history(connection, key, at_most=SHOWN)
    record = record_of(kept[0], agreement, held_by(kept[0], agreement), today)
    reason = reason_to_count(record)
    return {
        "customer_id": key.customer_id,
        "location_id": key.location_id,
        "item_id": key.item_id,
        "confidence": round(confidence(record), 4),
        "reason_to_count": reason.value if reason else None,
        "counts": _booked(counts),
    }


def _booked(counts: Sequence[Booked]) -> list[dict[str, Any]]:
    return [
        {
            "as_of": one.as_of.isoformat(),
            "cause": one.cause.value,
            "counted": plain(one.counted),
            "expected": None if one.expected is None else plain(one.expected),
            "drift": plain(one.drift),
            "since": one.since.isoformat() if one.since else None,
            "sold": plain(one.sold),
            "received": plain(one.received),
            "adjusted": plain(one.adjusted),
            "transferred": plain(one.transferred),
            "facts": one.facts,
        }
        for one in counts
    ]


def _request(one: Request) -> dict[str, Any]:
    return {
        "request_id": str(one.request_id),
        "customer_id": one.key.customer_id,
        "location_id": one.key.location_id,
        "item_id": one.key.item_id,
        "reason": one.reason.value,
        "expected": plain(one.expected),
        "confidence": one.confidence,
        "requested_at": one.requested_at.isoformat(),
        "answered_at": one.answered_at.isoformat() if one.answered_at else None,
        "counted": None if one.counted is None else plain(one.counted),
    }
