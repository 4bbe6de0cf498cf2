"""``vmi rebuild``: derived tables made anew from the journal, compared with the live ones, and put in their place."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from vmi_cli.console import AsJson, Refused, err, out, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_contracts.topics import SUPPLY
from vmi_inventory import rebuilding, releasing, rereading
from vmi_inventory.__main__ import WORKER
from vmi_inventory.rebuilding import Outcome
from vmi_inventory.rereading import Reread, Source
from vmi_replenishment import restoring
from vmi_replenishment.__main__ import WORKER as REPLENISHMENT
from vmi_replenishment.restoring import Restored
from vmi_runtime import reading_back
from vmi_runtime.broker import BrokerUnreachable
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_store.rebuilding import Difference, Scope

EXIT_DIFFERENT = 1
SHOWN = 30


def rebuild(
    customer: Annotated[str | None, typer.Argument(help="Only this customer; all without it.")] = None,
    location: Annotated[str | None, typer.Argument(help="Only this location.")] = None,
    item: Annotated[str | None, typer.Argument(help="Only this item.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what differs: exit status 0 when nothing does, else 1.")
    ] = False,
    from_topics: Annotated[
        bool,
        typer.Option("--from-topics", help="First make the journal anew from the topics, as far as they are kept."),
    ] = False,
    forecasts: Annotated[
        bool,
        typer.Option("--forecasts", help="Then have the forecast worker learn every series anew from daily balances."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make positions, daily balances and supply anew from the journal, beside the
    live tables; compare, and put in place what differs.

    Workers may run meanwhile: only keys that differ are locked, a few at a
    time. What is put in place is told to the other workers. Decisions
    (proposals and what was accepted of them) are facts: they are kept, and
    never made again. It needs a session of its own: no PgBouncer that pools
    transactions.

    With --forecasts the forecast worker is told, last, to learn every series of
    the scope anew from its daily balances; proposals follow.

    With --from-topics the journal itself is made anew first, by the code that
    takes documents in, from all records that the workers have read: lines that
    are missing are entered, what is there stays as it is, also where the topics
    no longer hold it. Catalogue, agreements, requests to change them and
    suppliers' statements come back too, and proposals that were told, with who
    accepted them; where no location is named also inbox, corrections, plans,
    quarantine and what was answered. What somebody discarded from quarantine
    stays discarded; archived lines stay archived.

        vmi rebuild --dry-run
        vmi rebuild retailer-1
        vmi rebuild retailer-1 store-1 milk
        vmi rebuild --from-topics --dry-run
        vmi rebuild retailer-1 --from-topics
        vmi rebuild retailer-1 --forecasts
    """
    if forecasts and dry_run:
        raise Refused("--forecasts has nothing to compare with, so that it cannot be run dry; leave one of them out")
    scope = Scope(customer, location, item)
    settings = connected()
    found = asyncio.run(_reread(settings, scope, dry_run)) if from_topics else None
    restored = asyncio.run(_restore(settings, scope, dry_run)) if from_topics else None
    outcome = asyncio.run(_rebuild(settings, scope, dry_run))
    missing = any(one is not None and not one.is_same for one in (found, restored))
    if customer is not None and not outcome.keys and not missing:
        raise Refused(f"nothing is known of {' '.join(name for name in (customer, location, item) if name)}")
    learned = asyncio.run(_learn_anew(settings, scope)) if forecasts else None
    if as_json:
        print_json(
            _as_json(outcome, dry_run)
            | ({} if learned is None else {"series_to_learn_anew": learned})
            | ({"from_topics": _reread_as_json(found)} if found else {})
            | ({"proposals": asdict(restored)} if restored else {})
        )
    else:
        if found is not None:
            _show_reread(found, dry_run)
        if restored is not None:
            _show_restored(restored, dry_run)
        _show(outcome, dry_run)
        if learned is not None:
            out.print(f"The forecast worker was told to learn {learned:,} series anew; see `vmi status`")
    if dry_run and (missing or not outcome.is_same):
        raise typer.Exit(EXIT_DIFFERENT)


async def _reread(settings: Settings, scope: Scope, dry_run: bool) -> Reread:
    source = Source(
        settings.kafka,
        WORKER.group,
        [topic.name for topic in releasing.MASTER_DATA],
        [SUPPLY.name],
        [topic.name for topic in releasing.FACTS],
        Clock(settings.clock),
    )
    columns = (TextColumn("Reading"), BarColumn(), MofNCompleteColumn(), TextColumn("records"), TimeElapsedColumn())
    async with opened(settings, patient=True) as database, opened(settings, patient=True) as beside:
        with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as progress:
            bar = progress.add_task("", total=None)

            def report(done: int, total: int) -> None:
                progress.update(bar, completed=done, total=total)

            try:
                return await rereading.reread(database, beside, source, scope, dry_run=dry_run, report=report)
            except BrokerUnreachable as error:
                raise Refused(str(error)) from None


async def _restore(settings: Settings, scope: Scope, dry_run: bool) -> Restored:
    async with opened(settings, patient=True) as database:
        try:
            no_further = await reading_back.read_so_far(database, settings.kafka, REPLENISHMENT.group)
            return await restoring.restore(database, settings.kafka, no_further, scope, dry_run=dry_run)
        except BrokerUnreachable as error:
            raise Refused(str(error)) from None


def _show_restored(restored: Restored, dry_run: bool) -> None:
    if restored.is_same:
        out.print("No proposal is missing, and no word on one")
        return
    done = "nothing was changed" if dry_run else "they are back"
    out.print(
        f"{restored.versions:,} versions of proposals, {restored.documents:,} answers, requests and order numbers and "
        f"{restored.refused:,} refused words were missing; {done}"
    )


def _show_reread(found: Reread, dry_run: bool) -> None:
    compared = found.compared
    assert compared is not None
    print_rows(
        f"Missing in the journal (the first {SHOWN} of {compared.missing_lines:,})"
        if compared.missing_lines > SHOWN
        else "Missing in the journal",
        ("customer", "location", "item", "when", "what", "quantity", "recorded"),
        [
            (*one.key, one.occurred_at, one.kind.name.lower(), one.quantity, one.recorded_at)
            for one in compared.missing[:SHOWN]
        ],
        nothing="The journal holds all that the topics say.",
    )
    others = {
        "locations, items, agreements and requests to change them differ": found.master_data,
        "statements of suppliers differ": found.supply,
        "corrections are missing": compared.corrections,
        "plans are missing": compared.plans,
        "lines are missing in quarantine": compared.rejected,
        "lines would be read otherwise today, and stay as they are": compared.otherwise,
        "lines of the journal are in the topics no more, and stay": compared.kept,
        "lines are in an archive, and stay there": compared.archived,
    }
    for what, count in others.items():
        if count:
            out.print(f"{count:,} {what}")
    done = "nothing was changed" if dry_run else f"{found.entered:,} lines entered"
    out.print(f"{found.records:,} records with {compared.lines:,} lines; {done}")


def _reread_as_json(found: Reread) -> dict[str, Any]:
    compared = found.compared
    assert compared is not None
    return {
        "same": found.is_same,
        "records": found.records,
        "lines": compared.lines,
        "lines_missing": compared.missing_lines,
        "lines_entered": found.entered,
        "lines_read_otherwise": compared.otherwise,
        "lines_no_longer_in_topics": compared.kept,
        "lines_archived": compared.archived,
        "master_data_different": found.master_data,
        "supply_statements_different": found.supply,
        "corrections_missing": compared.corrections,
        "documents_missing": compared.documents,
        "plans_missing": compared.plans,
        "quarantine_missing": compared.rejected,
    }


async def _learn_anew(settings: Settings, scope: Scope) -> int:
    async with opened(settings, patient=True) as database:
        with Progress(
            TextColumn("Telling"), BarColumn(), MofNCompleteColumn(), console=err, transient=True
        ) as progress:
            bar = progress.add_task("", total=None)

            def report(done: int, total: int) -> None:
                progress.update(bar, completed=done, total=total)

            return await rebuilding.learn_anew(database, scope, report)


async def _rebuild(settings: Settings, scope: Scope, dry_run: bool) -> Outcome:
    columns = (TextColumn("Folding"), BarColumn(), MofNCompleteColumn(), TextColumn("lines"), TimeElapsedColumn())
    async with opened(settings, patient=True) as database, opened(settings, patient=True) as beside:
        with Progress(*columns, TimeRemainingColumn(), console=err, transient=True) as progress:
            bar = progress.add_task("", total=None)

            def report(done: int, total: int) -> None:
                progress.update(bar, completed=done, total=total)

            return await rebuilding.rebuild(database, beside, scope, dry_run=dry_run, report=report)


def _show(outcome: Outcome, dry_run: bool) -> None:
    print_rows(
        f"Differences (the first {SHOWN} of {outcome.different:,})" if outcome.different > SHOWN else "Differences",
        ("table", "customer", "location", "item", "what", "live", "rebuilt"),
        [row for one in outcome.differences[:SHOWN] for row in _rows(one)],
        nothing="The live tables are what the journal says.",
    )
    if outcome.watermarks_behind:
        out.print(f"{outcome.watermarks_behind} locations' facts have reached further than was noted")
    done = "nothing was changed" if dry_run else f"{outcome.put_in_place:,} keys put in place"
    out.print(f"{outcome.keys:,} keys with {outcome.lines:,} lines; {outcome.keys_different:,} keys differ; {done}")


def _rows(one: Difference) -> list[tuple[object, ...]]:
    head = (one.table, *one.key)
    if one.live is None or one.rebuilt is None:
        row = _brief(one.live or one.rebuilt or "{}")
        return [(*head, "the row", row if one.live else "missing", row if one.rebuilt else "not there")]
    day = f" of {one.day}" if one.day else ""
    return [(*head, f"{name}{day}", live, rebuilt) for name, (live, rebuilt) in one.columns.items()]


def _brief(row: str) -> str:
    said: dict[str, Any] = json.loads(row)
    return ", ".join(
        f"{name} {value}"
        for name, value in said.items()
        if value not in (None, 0, False) and name not in ("customer_id", "location_id", "item_id")
    )


def _as_json(outcome: Outcome, dry_run: bool) -> dict[str, Any]:
    return {
        "same": outcome.is_same,
        "dry_run": dry_run,
        "keys": outcome.keys,
        "lines": outcome.lines,
        "keys_different": outcome.keys_different,
        "rows_different": outcome.different,
        "watermarks_behind": outcome.watermarks_behind,
        "keys_put_in_place": outcome.put_in_place,
        "differences": [
            {
                "table": one.table,
                "customer_id": one.key.customer_id,
                "location_id": one.key.location_id,
                "item_id": one.key.item_id,
                "live": json.loads(one.live) if one.live else None,
                "rebuilt": json.loads(one.rebuilt) if one.rebuilt else None,
            }
            for one in outcome.differences
        ],
    }
