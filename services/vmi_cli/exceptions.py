"""``vmi exceptions``: the few things a person must act on, and what that person says to them."""

import asyncio
import getpass
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from vmi_cli.console import AsJson, Refused, ago, out, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_domain.exceptions.lifecycle import Kind, NotActive, Standing, Status, Step, acknowledged, suppressed
from vmi_runtime import raising
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_store import exceptions
from vmi_store import feeds as stored_feeds

app = typer.Typer(no_args_is_help=True, help="What a person must act on: each opens once, and closes by itself.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The id, or how it begins.")]
Reason = Annotated[str, typer.Option("--reason", "-r", help="Why; it is published with the exception.")]
Author = Annotated[str | None, typer.Option(help="Who says so; you, where it is missing.")]

BY_DEFAULT = (Status.OPEN, Status.ACKNOWLEDGED)


@app.command("list")
def list_(
    kind: Annotated[Kind | None, typer.Option(help="Only this kind.")] = None,
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    location: Annotated[str | None, typer.Option(help="Only this location.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Suppressed and closed ones too.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what is open or acknowledged, the latest first.

    vmi exceptions list --kind stock_out --customer retailer-1
    """
    statuses = tuple(Status) if every else BY_DEFAULT
    found = asyncio.run(_listed(connected(), statuses, customer, location, kind, limit))
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    now = Clock().wall()
    print_rows(
        "Exceptions",
        ("id", "kind", "status", "customer", "location", "item", "since", "what"),
        [
            (
                str(one.exception_id)[:8],
                one.subject.kind.value,
                one.status.value,
                one.subject.customer_id,
                one.subject.location_id,
                one.subject.item_id,
                ago(one.opened_at, now),
                one.sentence,
            )
            for one in found
        ],
        nothing="Nothing is open." if not every else "There has been no exception yet.",
        sentences=True,
    )
    if found:
        out.print("See one whole: vmi exceptions show ID")


@app.command()
def show(id_: Id, as_json: AsJson = False) -> None:
    """Show one exception with the figures behind it.

    vmi exceptions show 3f2c
    """
    one = asyncio.run(_one(connected(), id_))
    if as_json:
        print_json(_as_json(one))
        return
    told = _as_json(one)
    details = told.pop("details")
    for name, value in (*told.items(), *details.items()):
        if value not in (None, ""):
            out.print(f"[bold]{name.replace('_', ' '):17}[/]", end="", markup=True)
            out.print(str(value), markup=False, soft_wrap=True)


@app.command()
def acknowledge(id_: Id, reason: Reason, author: Author = None, as_json: AsJson = False) -> None:
    """Take an exception up: others see that somebody is on it. It still closes by
    itself.

        vmi exceptions acknowledge 3f2c --reason "truck is on its way"
    """

    def say(standing: Standing, now: datetime) -> Step:
        try:
            return acknowledged(standing, author=author or getpass.getuser(), note=reason, now=now)
        except NotActive as error:
            raise Refused(f"{id_}: {error}") from None

    _said(asyncio.run(_say(connected(), id_, say)), as_json)


@app.command()
def suppress(
    id_: Id,
    reason: Reason,
    days: Annotated[float | None, typer.Option(min=0, help="For so many days; for good without it.")] = None,
    author: Author = None,
    as_json: AsJson = False,
) -> None:
    """Hear no more of an exception, now and when it happens again.

    vmi exceptions suppress 3f2c --days 14 --reason "store is rebuilt"
    """

    def say(standing: Standing, now: datetime) -> Step:
        until = None if days is None else now + timedelta(days=days)
        return suppressed(standing, author=author or getpass.getuser(), note=reason, until=until, now=now)

    _said(asyncio.run(_say(connected(), id_, say)), as_json)


@app.command()
def feeds(
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None, as_json: AsJson = False
) -> None:
    """List the feeds of documents, up to when each has told, and which are stale.

    vmi exceptions feeds --customer retailer-1
    """
    found = asyncio.run(_feeds(connected(), customer))
    if as_json:
        print_json(found)
        return
    print_rows(
        "Feeds",
        ("customer", "location", "kind", "told up to", "watched", "stale since"),
        [
            (one["customer_id"], one["location_id"], one["kind"], one["reached_at"], one["watched"], one["stale_since"])
            for one in found
        ],
        nothing="No feed has told of anything yet.",
    )


async def _feeds(settings: Settings, customer: str | None) -> list[dict[str, Any]]:
    async with opened(settings) as database, database.connect() as connection:
        found = await stored_feeds.listed(connection, customer_id=customer)
    return [
        {
            "customer_id": customer_id,
            "location_id": location_id,
            "kind": kind.value,
            "reached_at": one.feed.reached_at.isoformat() if one.feed.reached_at else None,
            "watched": one.due_at is not None,
            "stale_since": one.stale_since.isoformat() if one.stale_since else None,
        }
        for (customer_id, location_id, kind), one in found.items()
    ]


def _said(one: Standing, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(one))
    else:
        out.print(f"{one.exception_id} is {one.status.value}", markup=False)


async def _listed(
    settings: Settings,
    statuses: tuple[Status, ...],
    customer: str | None,
    location: str | None,
    kind: Kind | None,
    limit: int,
) -> list[Standing]:
    async with opened(settings) as database, database.connect() as connection:
        return await exceptions.listed(
            connection, statuses=statuses, customer_id=customer, location_id=location, kind=kind, at_most=limit
        )


async def _one(settings: Settings, prefix: str) -> Standing:
    async with opened(settings) as database, database.connect() as connection:
        return _only(await exceptions.named(connection, prefix), prefix)


async def _say(settings: Settings, prefix: str, say: Callable[[Standing, datetime], Step]) -> Standing:
    async with opened(settings) as database, database.begin() as connection:
        subject = _only(await exceptions.named(connection, prefix), prefix).subject
        return await raising.taken_up(connection, Clock(settings.clock), subject, say)


def _only(found: list[Standing], prefix: str) -> Standing:
    if not found:
        raise Refused(f"no exception has an id that begins with {prefix}; see `vmi exceptions list --all`")
    if len(found) > 1:
        raise Refused(
            f"{len(found)} ids begin with {prefix}; give more of it: "
            + ", ".join(str(one.exception_id) for one in found)
        )
    return found[0]


def _as_json(one: Standing) -> dict[str, Any]:
    return {
        "exception_id": str(one.exception_id),
        "kind": one.subject.kind.value,
        "status": one.status.value,
        "customer_id": one.subject.customer_id,
        "location_id": one.subject.location_id,
        "item_id": one.subject.item_id or None,
        "subject": one.subject.name or None,
        "reason": one.sentence,
        "opened_at": one.opened_at.isoformat() if one.opened_at else None,
        "closed_at": one.closed_at.isoformat() if one.closed_at else None,
        "occurrence": one.occurrence,
        "version": one.version,
        "author": one.author or None,
        "note": one.note or None,
        "suppressed_until": one.suppressed_until.isoformat() if one.suppressed_until else None,
        "details": dict(one.details),
    }
