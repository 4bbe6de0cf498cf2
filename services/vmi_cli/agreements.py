"""``vmi agreements``: taken in from a file, written to one, their history, and a customer's own band beside ours."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import uuid4

import typer
from pydantic import ValidationError
from rich.progress import track

from vmi_cli.console import AsJson, Refused, err, out, print_json, print_rows, warn
from vmi_cli.database import opened
from vmi_cli.sending import SOURCE, Addressed, deliver
from vmi_cli.surroundings import connected
from vmi_contracts import topics
from vmi_contracts.inbound import AgreementChangeAnswered, AgreementMade
from vmi_contracts.values import plain
from vmi_domain.replenishment import bands
from vmi_domain.stock.position import Key
from vmi_files import agreement_files
from vmi_files.tables import FileRefused
from vmi_replenishment import situations
from vmi_replenishment.bands import banded
from vmi_replenishment.master_data import MasterData
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_runtime.worker import Transaction
from vmi_store import agreement_requests, agreements
from vmi_store.agreement_requests import Request

app = typer.Typer(no_args_is_help=True, help="What customers and suppliers agreed, from a day on.")

MOST_SHOWN: Final = 20
"""Lines of errors and of changes on a terminal; --json has them all."""
AT_ONCE: Final = 500
"""Keys whose band is computed together."""


@app.command("import")
def import_(
    file: Annotated[str, typer.Argument(help=".csv or .parquet; - is standard input (CSV).")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only check, and show what would change.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take agreements in from a file: one row, one agreement of one location, item and supplier.

    Columns are the agreement's own fields (location_id, item_id, supplier_id, effective_from, lead_time_days,
    review_days, service_measure, service_target, policy, minimum, maximum, pack, unit_price …); an empty cell is the
    default. Every wrong row is named, and then nothing is sent. What stands already is not sent again. A customer's
    own minimum and maximum are kept as they are: see `vmi agreements compare`. With made_by (customer or supplier) a
    row is that party's word; where the other one is the band_owner, a change of the band is a request to it.

        vmi agreements import agreed.csv --dry-run

        vmi agreements import agreed.csv
    """
    try:
        checked = agreement_files.read(file, warn)
    except FileRefused as refused:
        raise Refused(str(refused)) from None
    if checked.errors:
        _refuse(checked.errors, as_json=as_json)
    settings = connected()
    standing = asyncio.run(_standing(settings, {one.customer_id for one in checked.agreements}))
    new = [one for one in checked.agreements if one.identity not in standing]
    changed = {
        one.identity: difference
        for one in checked.agreements
        if one.identity in standing and (difference := agreement_files.difference(standing[one.identity], one))
    }
    told = [one for one in checked.agreements if one.identity not in standing or one.identity in changed]
    requests = [one for one in told if one.is_request(standing.get(one.identity))]
    if told and not dry_run:
        asyncio.run(deliver(settings.kafka, [_addressed(one) for one in told]))
    if as_json:
        print_json(
            {
                "rows": len(checked.agreements),
                "new": [one.identity for one in new],
                "changed": {
                    key: {name: {"before": before, "now": now} for name, (before, now) in fields.items()}
                    for key, fields in changed.items()
                },
                "unchanged": len(checked.agreements) - len(told),
                "requests": [one.identity for one in requests],
                "sent": 0 if dry_run else len(told),
            }
        )
        return
    _print_changes(changed)
    verb = "would be sent" if dry_run else "sent"
    err.print(
        f"{len(checked.agreements):,} rows: {len(new):,} new, {len(changed):,} changed, "
        f"{len(checked.agreements) - len(told):,} as they stand; {len(told):,} {verb} to {topics.AGREEMENTS.name}"
    )
    if requests:
        err.print(
            f"{len(requests):,} of them would change a band that the other party owns: requests, for it to answer "
            "(`vmi agreements requests`)"
        )


def _refuse(errors: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        print_json({"errors": list(errors), "sent": 0})
    else:
        for error in errors[:MOST_SHOWN]:
            err.print(error, markup=False, soft_wrap=True)
        if len(errors) > MOST_SHOWN:
            err.print(f"… and {len(errors) - MOST_SHOWN:,} more (--json has them all)", markup=False)
    rows = "row is" if len(errors) == 1 else "rows are"
    raise Refused(f"{len(errors):,} {rows} wrong; nothing was sent")


def _addressed(one: AgreementMade) -> Addressed:
    return Addressed(topics.AGREEMENTS, one, SOURCE, str(uuid4()))


def _print_changes(changed: Mapping[str, Mapping[str, tuple[str, str]]]) -> None:
    rows = [(key, name, before, now) for key, fields in changed.items() for name, (before, now) in fields.items()]
    if rows:
        print_rows("What changes", ("agreement", "field", "stands", "becomes"), rows[:MOST_SHOWN], nothing="")
    if len(rows) > MOST_SHOWN:
        out.print(f"… and {len(rows) - MOST_SHOWN:,} more (--json has them all)", markup=False)


async def _standing(settings: Settings, customers: set[str]) -> dict[str, AgreementMade]:
    async with opened(settings) as database, database.connect() as connection:
        return {
            one.identity: one
            for customer in sorted(customers)
            for one in await agreements.standing(connection, customer_id=customer)
        }


@app.command()
def export(
    file: Annotated[str, typer.Option("--out", help=".csv or .parquet; - is standard output (CSV).")] = "-",
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
) -> None:
    """Write all agreements, of every effective date, to a file that `vmi agreements import` reads as it is.

    vmi agreements export --customer retailer-1 --out agreed.csv
    """
    made = asyncio.run(_all(connected(), customer))
    try:
        agreement_files.write(file, made)
    except FileRefused as refused:
        raise Refused(str(refused)) from None
    err.print(f"{len(made):,} agreements: {file}", markup=False)


async def _all(settings: Settings, customer: str | None) -> list[AgreementMade]:
    async with opened(settings) as database, database.connect() as connection:
        return await agreements.standing(connection, customer_id=customer)


@app.command()
def history(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    location: Annotated[str, typer.Argument(help="The location's id.")],
    item: Annotated[str, typer.Argument(help="The item's id.")],
    as_json: AsJson = False,
) -> None:
    """Show what was said of an item's agreements over time: when we learned it, from when it holds, what changed.

    vmi agreements history retailer-1 store-1 milk
    """
    words = asyncio.run(_words(connected(), Key(customer, location, item)))
    if as_json:
        print_json(
            [
                {
                    "recorded_at": one.recorded_at.isoformat(),
                    **one.agreement.model_dump(mode="json", exclude_defaults=True),
                }
                for one in words
            ]
        )
        return
    rows = []
    last: dict[str, AgreementMade] = {}
    for word in words:
        one = word.agreement
        before = last.get(one.supplier_id) or AgreementMade(
            customer_id=customer, location_id=location, item_id=item, supplier_id=one.supplier_id
        )
        fields = agreement_files.difference(before, one)
        said = ", ".join(f"{name} {now or 'none'}" for name, (_, now) in fields.items() if name != "effective_from")
        rows.append(
            (
                _day(word.recorded_at),
                one.made_by or "both",
                one.supplier_id,
                one.effective_from,
                one.effective_to,
                said or "as before",
            )
        )
        last[one.supplier_id] = one
    print_rows(
        f"{item} at {location} of {customer}",
        (
            "learned",
            "word of",
            "supplier",
            "from",
            "to",
            "what it says beyond the word before (the first: beyond the defaults)",
        ),
        rows,
        nothing="Nothing was agreed; `vmi agreements import` takes agreements in.",
        sentences=True,
    )


async def _words(settings: Settings, key: Key) -> list[agreements.Word]:
    async with opened(settings) as database, database.connect() as connection:
        return await agreements.words(connection, key)


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


@app.command()
def requests(
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that were answered too.")] = False,
    as_json: AsJson = False,
) -> None:
    """List changes of a band that one party asks for and the other one, who owns it, has not answered.

    vmi agreements requests --customer retailer-1
    """
    found = asyncio.run(_requests(connected(), customer, open_only=not everything))
    if as_json:
        print_json([_told(*one) for one in found])
        return
    rows = [
        (
            str(one.request_id)[:NAME_SHOWN],
            _day(one.recorded_at),
            one.agreement.made_by,
            one.agreement.identity,
            ", ".join(f"{name} {before or 'none'} → {now or 'none'}" for name, (before, now) in asked.items()),
            one.status + (f": {one.reason}" if one.reason else ""),
        )
        for one, asked in found
    ]
    print_rows(
        "Changes of agreements that were asked for",
        ("request", "asked", "by", "agreement", "what it would change", "status"),
        rows,
        nothing="Nobody waits for an answer.",
        sentences=True,
    )


NAME_SHOWN: Final = 8
"""Characters of a request's id on a terminal, and the fewest that `answer` takes."""

Asked = tuple[Request, dict[str, tuple[str, str]]]
"""A request, and what it would change of what stands."""


def _told(request: Request, asked: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    return {
        "request_id": str(request.request_id),
        "asked_at": request.recorded_at.isoformat(),
        "agreement": request.agreement.model_dump(mode="json", exclude_defaults=True),
        "changes": {name: {"before": before, "now": now} for name, (before, now) in asked.items()},
        "status": request.status,
        "answered_at": None if request.answered_at is None else request.answered_at.isoformat(),
        "answered_by": request.answered_by,
        "reason": request.reason,
    }


async def _requests(settings: Settings, customer: str | None, *, open_only: bool) -> list[Asked]:
    async with opened(settings) as database, database.connect() as connection:
        found = await agreement_requests.read(connection, customer_id=customer, open_only=open_only)
        standing = {
            one.identity: one
            for name in sorted({one.agreement.customer_id for one in found})
            for one in await agreements.standing(connection, customer_id=name)
        }
    asked = []
    for one in found:
        before = standing.get(one.agreement.identity)
        asked.append((one, {} if before is None else agreement_files.difference(before, one.agreement)))
    return asked


async def _open_requests(settings: Settings) -> list[Request]:
    async with opened(settings) as database, database.connect() as connection:
        return await agreement_requests.read(connection, customer_id=None, open_only=True)


@app.command()
def answer(
    request: Annotated[str, typer.Argument(help="The request's id, or how it begins (8 characters or more).")],
    word: Annotated[str, typer.Argument(metavar="accept|reject", help="What the owner of the band says.")],
    party: Annotated[str | None, typer.Option(help="Who says it: customer or supplier; nobody is both.")] = None,
    reason: Annotated[str, typer.Option(help="Why, in words.")] = "",
) -> None:
    """Accept a change that was asked for, which is agreed by that, or reject it.

    vmi agreements answer 3ccde29c accept --party customer
    vmi agreements answer 3ccde29c reject --party customer --reason "no room on the shelf"
    """
    settings = connected()
    found = asyncio.run(_open_requests(settings))
    named = (
        [one for one in found if str(one.request_id).startswith(request.lower())] if len(request) >= NAME_SHOWN else []
    )
    if len(named) != 1:
        raise Refused(f"{len(named)} open requests are named {request!r}; `vmi agreements requests` lists them")
    asked = named[0].agreement
    if party is not None and party == asked.made_by:
        raise Refused(f"the {party} asked for it; the other party answers")
    try:
        said = AgreementChangeAnswered.model_validate(
            {
                "customer_id": asked.customer_id,
                "request_id": named[0].request_id,
                "answer": word,
                "party": party,
                "reason": reason,
            }
        )
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise Refused(f"{wrong['loc'][0]}: {wrong['msg']}") from None
    asyncio.run(deliver(settings.kafka, [Addressed(topics.AGREEMENTS, said, SOURCE, str(uuid4()))]))
    err.print(f"{said.answer}: {asked.identity}, sent to {topics.AGREEMENTS.name}", markup=False)


@app.command()
def compare(
    customer: Annotated[str, typer.Argument(help="The customer's id.")],
    location: Annotated[str | None, typer.Option(help="Only this location.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare a customer's own minimum and maximum with what its service target asks for today.

    Ours are the reorder point and the order-up-to level of the forecast. Nothing is overwritten.

        vmi agreements compare retailer-1
    """
    found = asyncio.run(_bands(connected(), customer, location))
    if as_json:
        print_json(
            [
                {
                    "location_id": key.location_id,
                    "item_id": key.item_id,
                    "minimum": _plain(theirs.minimum),
                    "maximum": _plain(theirs.maximum),
                    "our_minimum": _plain(ours.minimum),
                    "our_maximum": _plain(ours.maximum),
                }
                for key, theirs, ours in found
            ]
        )
        return
    print_rows(
        f"Minimum and maximum of {customer} (base units)",
        ("location", "item", "minimum", "ours", "maximum", "ours"),
        [
            (key.location_id, key.item_id, *map(_plain, (theirs.minimum, ours.minimum, theirs.maximum, ours.maximum)))
            for key, theirs, ours in found
        ],
        nothing="No agreement in force has a minimum or a maximum, or no fact has told of its item yet.",
    )


def _plain(quantity: Any) -> str | None:
    return None if quantity is None else plain(quantity)


async def _bands(settings: Settings, customer: str, location: str | None) -> list[tuple[Key, bands.Band, bands.Band]]:
    found = []
    async with opened(settings) as database, database.connect() as connection:
        transaction = Transaction(connection, Clock(settings.clock))
        keys = sorted(
            {
                Key(one.customer_id, one.location_id, one.item_id)
                for one in await agreements.standing(connection, customer_id=customer)
                if (one.minimum is not None or one.maximum is not None) and location in (None, one.location_id)
            }
        )
        master_data = MasterData()
        parts = [keys[first : first + AT_ONCE] for first in range(0, len(keys), AT_ONCE)]
        for part in track(parts, "comparing", console=err, transient=True, disable=not err.is_terminal):
            found += banded(await situations.read(part, transaction, master_data))
    return found
