"""``vmi quarantine``: what could not be taken in and why; tried again, or discarded for good."""

import asyncio
import getpass
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

import typer

from vmi_cli.console import AsJson, Refused, err, out, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_contracts import topics
from vmi_runtime.clock import monotonic
from vmi_runtime.settings import Settings
from vmi_store import quarantine
from vmi_store.quarantine import Held, Selection

app = typer.Typer(
    no_args_is_help=True,
    help="What could not be taken in: why, from where, and its original bytes; tried again, or discarded.",
)

MOST: Final = 10_000
EXIT_STILL_HELD: Final = 1


class State(StrEnum):
    """What has become of it."""

    HELD = "held"
    RELEASED = "released"
    DISCARDED = "discarded"
    ANY = "any"


Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Ids, or how they begin.")]
Reason = Annotated[str | None, typer.Option(help="Only this reason, e.g. unknown_item.")]
Customer = Annotated[str | None, typer.Option(help="Only this customer.")]
Location = Annotated[str | None, typer.Option(help="Only this location.")]
TopicName = Annotated[str | None, typer.Option(help="Only this topic, in full or its plural: sales.")]
Moment = datetime | None
Formats: Final = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]
Since = Annotated[Moment, typer.Option(formats=Formats, help="Put aside at this time or later; UTC without an offset.")]
Until = Annotated[Moment, typer.Option(formats=Formats, help="Put aside before this time.")]
All = Annotated[bool, typer.Option("--all", help="All that is held.")]


@app.command("list")
def list_(
    reason: Reason = None,
    customer: Customer = None,
    location: Location = None,
    topic: TopicName = None,
    since: Since = None,
    until: Until = None,
    state: Annotated[State, typer.Option(help="Or what was released or discarded: who, when and why.")] = State.HELD,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=MOST, help="At most so many of the latest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what is held, the latest first, or what became of it.

    vmi quarantine list --reason unknown_item --since 2025-03-01
    vmi quarantine list --state discarded
    """
    selection = _selection(None, reason, customer, location, topic, since, until)
    found = asyncio.run(_held(connected(), selection, state, limit))
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    settled = state is not State.HELD
    print_rows(
        "Quarantine" if state is State.HELD else f"Quarantine: {state}",
        ("id", "since", "reason", "customer", "location", "item", "where", *(("became",) * settled), "what is wrong"),
        [
            (
                str(one.id)[:8],
                f"{one.quarantined_at:%Y-%m-%d %H:%M:%S}",
                one.rejected.reason,
                one.rejected.customer_id,
                one.rejected.location_id,
                one.rejected.item_id,
                _place(one),
                *((_became(one),) * settled),
                one.rejected.detail,
            )
            for one in found
        ],
        nothing="Nothing is in quarantine." if state is State.HELD else f"Nothing there is {state}.",
        sentences=True,
    )
    if found:
        out.print("See one whole, with its bytes: vmi quarantine show ID")


@app.command()
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The id, or how it begins.")], as_json: AsJson = False
) -> None:
    """Show one with its place, its headers and its original bytes.

    vmi quarantine show 4f0c8a1e-77
    """
    [one] = asyncio.run(_named(connected(), [id_]))
    if as_json:
        print_json(_as_json(one))
        return
    waits = [
        w for w, on in (("location", one.rejected.waits_for_location), ("item", one.rejected.waits_for_item)) if on
    ]
    for name, value in (
        ("id", one.id),
        ("state", _became(one)),
        ("reason", one.rejected.reason),
        ("detail", one.rejected.detail),
        ("waits for", " and ".join(f"its {what} to become known" for what in waits)),
        ("tried again", f"{one.tries} times, last at {one.tried_at:%Y-%m-%d %H:%M:%S}" if one.tried_at else "never"),
        ("place", _place(one)),
        ("appended at", one.rejected.recorded_at.isoformat()),
        ("key", _text(one.rejected.key)),
        ("headers", ", ".join(f"{name}: {_text(value)}" for name, value in one.rejected.headers)),
        ("value", _text(one.rejected.value)),
    ):
        out.print(f"[bold]{name:12}[/]", end="", markup=True)
        out.print(str(value), markup=False, soft_wrap=True)


@app.command()
def retry(
    ids: Ids = None,
    reason: Reason = None,
    customer: Customer = None,
    location: Location = None,
    topic: TopicName = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    wait: Annotated[
        float, typer.Option(min=0, help="Seconds to wait for the workers to do it; 0 only asks them.")
    ] = 30,
    as_json: AsJson = False,
) -> None:
    """Let the workers try again, in the order in which it came, once its cause is
    mended (a unit defined in the catalogue, say).

    What is taken in counts as if it had come right at first; what still
    cannot be taken in stays, with the reason of today. The exit status is
    0 when all was taken in, 1 when something is still held.

        vmi quarantine retry --reason unit_not_convertible
        vmi quarantine retry 4f0c8a1e-77
        vmi quarantine retry --all
    """
    chosen = _chosen(ids, reason, customer, location, topic, since, until, everything)
    asked, settled = asyncio.run(_retry(connected(), chosen, ids, wait))
    waiting = [one for one in settled if one.is_due]
    still = [one for one in settled if one.settled_by is None and not one.is_due]
    if as_json:
        released = asked - len(waiting) - len(still)
        print_json({"asked": asked, "released": released, "waiting": len(waiting), "held": [*map(_as_json, still)]})
    elif not asked:
        err.print("Nothing that is held fits")
    else:
        _say_how_it_went(asked, still, waiting, wait)
    if still or (waiting and wait):
        raise typer.Exit(EXIT_STILL_HELD)


def _say_how_it_went(asked: int, still: Sequence[Held], waiting: Sequence[Held], wait: float) -> None:
    out.print(f"{asked - len(still) - len(waiting)} of {asked} taken in")
    if still:
        print_rows(
            "Still held",
            ("id", "reason", "where", "what is wrong"),
            [(str(one.id)[:8], one.rejected.reason, _place(one), one.rejected.detail) for one in still[:50]],
            sentences=True,
            nothing="",
        )
    if waiting:
        workers = ", ".join(sorted({one.rejected.worker for one in waiting}))
        late = f"after {wait:g} s: does it run? vmi status tells" if wait else "to do it"
        err.print(f"{len(waiting)} wait for the worker {workers} {late}")


@app.command()
def discard(
    why: Annotated[str, typer.Option(help="Why it will never be taken in; kept with it for good.")],
    ids: Ids = None,
    reason: Reason = None,
    customer: Customer = None,
    location: Location = None,
    topic: TopicName = None,
    since: Since = None,
    until: Until = None,
    everything: All = False,
    who: Annotated[str | None, typer.Option(help="Who decided so; the user of this machine without it.")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Settle what is held as never to be taken in. Who, when and why are kept; see
    them with `vmi quarantine list --state discarded`.

        vmi quarantine discard 4f0c8a1e-77 --why "test message of the supplier"
        vmi quarantine discard --topic sales --reason unreadable --why "wrong feed, sent again" --yes
    """
    if not why.strip():
        raise Refused("--why is empty: say why it will never be taken in")
    chosen = _chosen(ids, reason, customer, location, topic, since, until, everything)
    settings = connected()
    if not yes:
        many = asyncio.run(_count(settings, chosen, ids))
        if many and not (sys.stdin.isatty() and typer.confirm(f"Discard {many} for good?", err=True)):
            raise Refused(f"{many} would be discarded, and nothing was; say --yes to do so")
    gone = asyncio.run(_discard(settings, chosen, ids, who or getpass.getuser(), why.strip()))
    if as_json:
        print_json({"discarded": [str(one) for one in gone]})
    else:
        err.print(f"{len(gone)} discarded" if gone else "Nothing that is held fits")


def _selection(
    ids: Sequence[UUID] | None,
    reason: str | None,
    customer: str | None,
    location: str | None,
    topic: str | None,
    since: Moment,
    until: Moment,
) -> Selection:
    try:
        name = None if topic is None else topics.named(topic).name
    except KeyError:
        name = topic  # a party's own, or one that is no more
    return Selection(ids, reason, customer, location, name, since=_aware(since), until=_aware(until))


def _chosen(
    ids: list[str] | None,
    reason: str | None,
    customer: str | None,
    location: str | None,
    topic: str | None,
    since: Moment,
    until: Moment,
    everything: bool,
) -> Selection:
    """Return what was chosen; nothing must not mean everything."""
    selection = _selection(None, reason, customer, location, topic, since, until)
    if not ids and selection == quarantine.EVERYTHING and not everything:
        raise Refused("say which: ids, --reason, --customer, --topic, --since …, or --all")
    return selection


def _aware(moment: Moment) -> Moment:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


async def _held(settings: Settings, selection: Selection, state: State, limit: int) -> list[Held]:
    async with opened(settings) as database, database.connect() as connection:
        return await quarantine.held(connection, selection, state=state.value, at_most=limit)


async def _named(settings: Settings, prefixes: Sequence[str]) -> list[Held]:
    async with opened(settings) as database, database.connect() as connection:
        found = []
        for prefix in prefixes:
            some = await quarantine.named(connection, prefix)
            if not some:
                raise Refused(f"nothing in quarantine has an id that begins with {prefix}; see `vmi quarantine list`")
            if len(some) > 1:
                ids = ", ".join(str(one.id) for one in some)
                raise Refused(f"{len(some)} ids begin with {prefix}; give more of it: {ids}")
            found += some
        return found


async def _with_ids(settings: Settings, selection: Selection, prefixes: Sequence[str] | None) -> Selection:
    if not prefixes:
        return selection
    return replace(selection, ids=[one.id for one in await _named(settings, prefixes)])


async def _count(settings: Settings, selection: Selection, prefixes: Sequence[str] | None) -> int:
    selection = await _with_ids(settings, selection, prefixes)
    async with opened(settings) as database, database.connect() as connection:
        return await quarantine.count_held(connection, selection)


async def _discard(
    settings: Settings, selection: Selection, prefixes: Sequence[str] | None, who: str, why: str
) -> list[UUID]:
    selection = await _with_ids(settings, selection, prefixes)
    async with opened(settings) as database, database.begin() as connection:
        return await quarantine.discard(connection, selection, who=who, why=why)


async def _retry(
    settings: Settings, selection: Selection, prefixes: Sequence[str] | None, wait: float
) -> tuple[int, list[Held]]:
    """Ask for what was chosen to be tried again; return how many that is, and those that are not taken in."""
    selection = await _with_ids(settings, selection, prefixes)
    async with opened(settings) as database:
        async with database.begin() as connection:
            asked = await quarantine.make_selected_due(connection, selection)
        deadline = monotonic() + wait
        with err.status(f"Waiting for the workers to try {len(asked)} again ..."):
            while True:
                async with database.connect() as connection:
                    left = await quarantine.held(connection, Selection(asked), at_most=len(asked) or 1)
                if not any(one.is_due for one in left) or monotonic() >= deadline:
                    return len(asked), left
                await asyncio.sleep(0.2)


def _became(one: Held) -> str:
    if one.settled_at is None:
        return "held, and about to be tried again" if one.is_due else "held"
    by = f" by {one.settled_who}: {one.settled_why}" if one.settled_who else ""
    return f"{one.settled_by} {one.settled_at:%Y-%m-%d %H:%M:%S}{by}"


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
        "state": one.state,
        "quarantined_at": one.quarantined_at.isoformat(),
        "settled_at": one.settled_at.isoformat() if one.settled_at else None,
        "settled_who": one.settled_who,
        "settled_why": one.settled_why,
        "tries": one.tries,
        "tried_at": one.tried_at.isoformat() if one.tried_at else None,
        "reason": rejected.reason,
        "detail": rejected.detail,
        "worker": rejected.worker,
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
