"""``vmi quarantine``: what could not be taken in, and why."""

import asyncio
from typing import Annotated, Any

import typer

from vmi_cli.console import AsJson, Refused, out, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_runtime.settings import Settings
from vmi_store import quarantine
from vmi_store.quarantine import Held

app = typer.Typer(no_args_is_help=True, help="What could not be taken in: why, from where, and its original bytes.")


@app.command("list")
def list_(
    reason: Annotated[str | None, typer.Option(help="Only this reason, e.g. unknown_item.")] = None,
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many, the latest first.")
    ] = 50,
    as_json: AsJson = False,
) -> None:
    """List what is held, the latest first.

    vmi quarantine list --reason unknown_item
    """
    found = asyncio.run(_held(connected(), reason, customer, limit))
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    print_rows(
        "Quarantine",
        ("id", "since", "reason", "what is wrong", "customer", "location", "item", "where"),
        [
            (
                str(one.id)[:13],
                f"{one.quarantined_at:%Y-%m-%d %H:%M:%S}",
                one.rejected.reason,
                one.rejected.detail,
                one.rejected.customer_id,
                one.rejected.location_id,
                one.rejected.item_id,
                _place(one),
            )
            for one in found
        ],
        nothing="Nothing is in quarantine.",
    )
    if found:
        out.print("See one whole, with its bytes: vmi quarantine show ID")


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The id, or how it begins.")], as_json: AsJson = False
) -> None:
    """Show one with its place, its headers and its original bytes."""
    found = asyncio.run(_named(connected(), id_))
    if not found:
        raise Refused(f"nothing in quarantine has an id that begins with {id_}; see `vmi quarantine list`")
    if len(found) > 1:
        raise Refused(f"{len(found)} ids begin with {id_}; give more of it: " + ", ".join(str(one.id) for one in found))
    one = found[0]
    if as_json:
        print_json(_as_json(one))
        return
    state = f"settled {one.settled_at} ({one.settled_by})" if one.settled_at else "held"
    waits = [
        w for w, on in (("location", one.rejected.waits_for_location), ("item", one.rejected.waits_for_item)) if on
    ]
    for name, value in (
        ("id", one.id),
        ("state", state),
        ("reason", one.rejected.reason),
        ("detail", one.rejected.detail),
        ("waits for", " and ".join(f"its {what} to become known" for what in waits)),
        ("place", _place(one)),
        ("appended at", one.rejected.recorded_at.isoformat()),
        ("key", _text(one.rejected.key)),
        ("headers", ", ".join(f"{name}: {_text(value)}" for name, value in one.rejected.headers)),
        ("value", _text(one.rejected.value)),
    ):
        out.print(f"[bold]{name:12}[/]", end="", markup=True)
        out.print(str(value), markup=False, soft_wrap=True)


async def _held(settings: Settings, reason: str | None, customer: str | None, limit: int) -> list[Held]:
    async with opened(settings) as database, database.connect() as connection:
        return await quarantine.held(connection, reason=reason, customer_id=customer, at_most=limit)


async def _named(settings: Settings, prefix: str) -> list[Held]:
    async with opened(settings) as database, database.connect() as connection:
        return await quarantine.named(connection, prefix)


def _place(one: Held) -> str:
    line = "" if one.rejected.line is None else f", line {one.rejected.line}"
    return f"{one.rejected.topic}[{one.rejected.partition}] offset {one.rejected.offset}{line}"


def _text(data: bytes | None) -> str:
    """Return the bytes as text where they are text, else as Python writes them."""
    if data is None:
        return "none"
    try:
        return data.decode()
    except UnicodeDecodeError:
        return repr(data)


def _as_json(one: Held) -> dict[str, Any]:
    rejected = one.rejected
    return {
        "id": str(one.id),
        "state": one.settled_by or "held",
        "quarantined_at": one.quarantined_at.isoformat(),
        "settled_at": one.settled_at.isoformat() if one.settled_at else None,
        "reason": rejected.reason,
        "detail": rejected.detail,
        "topic": rejected.topic,
        "partition": rejected.partition,
        "offset": rejected.offset,
        "line": rejected.line,
        "appended_at": rejected.recorded_at.isoformat(),
        "customer_id": rejected.customer_id,
        "location_id": rejected.location_id,
        "item_id": rejected.item_id,
        "key": _text(rejected.key),
        "headers": {name: _text(value) for name, value in rejected.headers},
        "value": _text(rejected.value),
    }
