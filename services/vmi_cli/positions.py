"""``vmi position``: what stands where and what is on its way, now or as it was known at any time."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer
from typer.core import TyperGroup

from vmi_cli.console import AsJson, Refused, out, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_contracts.inbound import AgreementMade, StockAuthority, StockBasis, TitleTransfer
from vmi_contracts.values import plain
from vmi_domain.days import SiteCalendar
from vmi_domain.stock.position import (
    ABSOLUTE,
    Authority,
    Basis,
    Key,
    Kind,
    Title,
    inventory_position,
    ownership,
    stock,
)
from vmi_domain.stock.supply import Stage
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_store import agreements, catalogue, history, positions, watermarks
from vmi_store.engine import Connection
from vmi_store.history import Known
from vmi_store.positions import PositionRow


class ShowByDefault(TyperGroup):
    """Takes ``vmi position CUSTOMER …`` for ``vmi position show CUSTOMER …``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command in where none is named."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["show", *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=ShowByDefault, no_args_is_help=True, help="The inventory position of customer locations and items."
)


@app.callback()
def _group() -> None:
    """Keep ``show`` a command of its own while it is the only one."""


@app.command()
def show(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    location: Annotated[str, typer.Argument(help="The location's id.")],
    item: Annotated[str | None, typer.Argument(help="The item's id; all items of the location without it.")] = None,
    at: Annotated[
        str | None, typer.Option(help="As of this moment (or the end of this day) at the location; of one item.")
    ] = None,
    known_at: Annotated[
        str | None, typer.Option(help="By what had been recorded at this moment, or by the end of this day.")
    ] = None,
    facts: Annotated[bool, typer.Option("--facts", help="Show the facts it rests on; of one item.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what stands at a location and what is on its way, quantity by quantity, in base units.

    Why was 40 proposed on Tuesday? Ask what was known on Tuesday:

        vmi position retailer-1 store-1
        vmi position retailer-1 store-1 milk --facts --json
        vmi position retailer-1 store-1 milk --known-at 2025-03-04T09:00
        vmi position retailer-1 store-1 milk --at 2025-03-03 --known-at 2025-03-06

    Times without an offset are the location's own.
    """
    if item is None and (at or known_at or facts):
        raise Refused("--at, --known-at and --facts are about one item: name it after the location")
    if item is not None and (at or known_at or facts):
        found = [asyncio.run(_as_known(connected(), Key(customer, location, item), at, known_at, facts))]
    else:
        found = asyncio.run(_found(connected(), customer, location, item))
    if not found:
        what = f"item {item} at " if item else ""
        raise Refused(f"nothing is known of {what}location {location} of customer {customer}")
    if as_json:
        print_json(found)
        return
    _print(customer, location, found)


NAMES = ("physical", "unavailable", "reserved", "received_unconfirmed", "in_transit", "on_order", "backlog")


def _print(customer: str, location: str, found: Sequence[dict[str, Any]]) -> None:
    told = [name for name in NAMES if name == "physical" or any(one[name] != "0" for one in found)]
    if any(one["supplier_owned"] != "0" for one in found):
        told.append("supplier_owned")
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
    [first, *_] = found
    if first.get("statuses"):
        out.print("Unavailable: " + ", ".join(f"{name} {quantity}" for name, quantity in first["statuses"].items()))
    if any(one["negative"] for one in found):
        out.print("More is gone than ever came: facts are missing, or on their way.")
    if "archived_through" in first:
        out.print(f"Up to {first['archived_through']} rows are archived: the sums of their days are counted.")
    if "facts" in first:
        _print_facts(first)
    if "known_at" in first:
        out.print(f"As of {first['at'] or 'now'}, by what was known {first['known_at'] or 'until now'}")
    else:
        out.print(f"Facts have reached {first['reached_at'] or 'nothing yet'}")


def _print_facts(shown: dict[str, Any]) -> None:
    print_rows(
        "Facts, from the last count on",
        ("occurred at", "recorded at", "what", "quantity", "taken back at"),
        [
            (one["occurred_at"], one["recorded_at"], one["what"], one["quantity"], one["taken_back_at"])
            for one in shown["facts"]
        ],
        nothing="no facts",
    )
    print_rows(
        "On its way",
        ("stage", "quantity", "order", "shipment", "proposal", "expected at"),
        [
            (one["stage"], one["quantity"], one["order_id"], one["shipment_id"], one["proposal_id"], one["expected_at"])
            for one in shown["supply"]
        ],
        nothing="nothing is on its way",
    )


async def _found(settings: Settings, customer: str, location: str, item: str | None) -> list[dict[str, Any]]:
    async with opened(settings) as database, database.connect() as connection:
        place = (customer, location)
        keys = [Key(*place, item)] if item else await positions.keys_at(connection, place)
        reached_at = (await watermarks.read(connection, [place])).get(place)
        rows = {row.key: row for row in await positions.read(connection, keys)}
        terms = await _terms(connection, list(rows), reached_at)
    return [
        _shown(rows[key], terms.get(key)) | {"reached_at": _text(reached_at), "version": rows[key].version}
        for key in sorted(rows)
    ]


async def _as_known(
    settings: Settings, key: Key, at: str | None, known_at: str | None, with_facts: bool
) -> dict[str, Any]:
    """Return one position as of a time, as it was known at a time, by the journal alone."""
    async with opened(settings) as database, database.connect() as connection:
        place = key[:2]
        found = (await catalogue.locations(connection, [place])).get(place, catalogue.Location())
        site = SiteCalendar(found.time_zone, found.day_ends_at)
        moments = _moment("--at", at, site), _moment("--known-at", known_at, site)
        known = await history.read(connection, key, site, at=moments[0], known_at=moments[1])
        reached_at = (await watermarks.read(connection, [place])).get(place)
        terms = await _terms(connection, [key], moments[0] or reached_at)
    if not known.lines and not known.supply_lines and known.archived_through is None:
        words = [
            f"{name} {moment.isoformat()}"
            for name, moment in zip(("as of", "known at"), moments, strict=True)
            if moment
        ]
        raise Refused(" ".join(["nothing is known of", key.item_id, "at", key.location_id, *words]))
    shown = _shown(PositionRow(key, 0, known.balance, known.supply), terms.get(key))
    shown["statuses"] = {name: plain(quantity) for name, quantity in known.statuses.items()}
    shown |= {"at": _text(moments[0]), "known_at": _text(moments[1])}
    if known.archived_through is not None:
        shown["archived_through"] = known.archived_through.isoformat()
    return shown | (_facts(known) if with_facts else {})


def _facts(known: Known) -> dict[str, Any]:
    """Return the last count with what moved after it, taken back or not, and what is on its way."""
    since = known.balance.counted_at
    back = {line.undone_id: line.recorded_at for line in known.lines if line.is_reversal}
    return {
        "facts": [
            {
                "what": line.kind.name.lower(),
                "quantity": plain(line.quantity),
                "occurred_at": line.occurred_at.isoformat(),
                "recorded_at": line.recorded_at.isoformat(),
                "taken_back_at": _text(back.get(line.line_id)),
                "details": line.details,
            }
            for line in known.lines
            if not line.is_reversal
            and (since is None or line.occurred_at > since or (line.occurred_at == since and line.kind in ABSOLUTE))
            and line.kind not in (Kind.ORDER, Kind.SHIPMENT)
        ],
        "supply": [
            {
                "stage": line.stage.value,
                "quantity": plain(line.quantity),
                "order_id": line.order_id,
                "shipment_id": line.shipment_id,
                "proposal_id": None if line.proposal_id is None else str(line.proposal_id),
                "expected_at": _text(line.expected_at),
            }
            for line in known.supply_lines
            if line.stage in (Stage.ORDERED, Stage.SHIPPED)
        ],
    }


def _moment(option: str, text: str | None, site: SiteCalendar) -> datetime | None:
    """Return the moment that is meant: a day means its end, and a time without an offset is the location's own."""
    if text is None:
        return None
    try:
        if len(text) == len("2025-03-04"):
            return site.end_of(date.fromisoformat(text))
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            f"{option} {text!r} is no time: write 2025-03-04, 2025-03-04T09:00 or 2025-03-04T09:00+01:00"
        ) from None
    return moment.replace(tzinfo=ZoneInfo(site.zone)) if moment.tzinfo is None else moment


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()


async def _terms(connection: Connection, keys: list[Key], reached_at: datetime | None) -> dict[Key, AgreementMade]:
    day = reached_at.date() if reached_at else Clock().wall().date()
    found = await agreements.in_force(connection, [(key, day) for key in keys])
    return {key: one[0] for key, one in found.items()}


def _shown(row: PositionRow, terms: AgreementMade | None) -> dict[str, Any]:
    """Return one position in quantities by name. Without an agreement it is read as by the agreement's defaults."""
    held = stock(
        row.balance,
        row.supply,
        authority=Authority((terms.stock_authority if terms else StockAuthority.SNAPSHOT).value),
        basis=Basis((terms.stock_basis if terms else StockBasis.GROSS).value),
    )
    owned = ownership(row.balance, held, Title((terms.title_transfer if terms else TitleTransfer.ON_RECEIPT).value))
    price = terms.unit_price if terms else None
    quantities = {name: value for name, value in asdict(held).items() if isinstance(value, Decimal)}
    return {
        "customer_id": row.key.customer_id,
        "location_id": row.key.location_id,
        "item_id": row.key.item_id,
        **{name: plain(value) for name, value in quantities.items()},
        "available": plain(held.available),
        "inventory_position": plain(inventory_position(held)),
        "negative": held.is_negative,
        "supplier_owned": plain(owned.supplier),
        "customer_owned": plain(owned.customer),
        **({} if price is None else {"value_supplier_owned": plain(owned.supplier * price)}),
        **({} if price is None else {"value_customer_owned": plain(owned.customer * price)}),
        "counted_at": _text(row.balance.counted_at),
        "agreed": terms is not None,
    }
