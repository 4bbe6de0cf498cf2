"""``vmi journal``: the parts of the journal, and room for history that is to come."""

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from vmi_cli.console import AsJson, err, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_runtime import failure
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_store import partitions
from vmi_store.partitions import Partition, Quarter

app = typer.Typer(no_args_is_help=True, help="The journal of facts: its partitions by quarters of a year.")


@app.command("partitions")
def partitions_(as_json: AsJson = False) -> None:
    """List the journal's partitions with their sizes, the oldest first.

    vmi journal partitions
    """
    found = asyncio.run(_present(connected()))
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    print_rows(
        "Journal",
        ("partition", "from", "to", "lines, about", "MB"),
        [
            (
                one.table,
                one.quarter.begins.date() if one.quarter else "what has no quarter",
                one.quarter.ends.date() if one.quarter else "",
                f"{one.rows:,}",
                f"{one.size / 1e6:,.1f}",
            )
            for one in found
        ],
        nothing="The journal has no partitions.",
    )


@app.command()
def prepare(
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="From the quarter of this day on; from today's without it."),
    ] = None,
) -> None:
    """Make the quarters that are missing, up to half a year ahead; lines of theirs
    that are in no quarter yet move in.

    Workers do this by themselves from today's quarter on. Before a new
    customer's history is sent, make room for it:

        vmi journal prepare --since 2023-01-01
    """
    made = asyncio.run(_prepare(connected(), since))
    err.print(f"Made: {', '.join(quarter.table for quarter in made)}" if made else "Nothing was missing")


async def _present(settings: Settings) -> list[Partition]:
    async with opened(settings) as database, database.connect() as connection:
        return await partitions.present(connection)


async def _prepare(settings: Settings, since: datetime | None) -> list[Quarter]:
    wanted = partitions.ahead(Clock().wall())
    if since is not None:
        wanted = list(partitions.quarters(Quarter.of(since.replace(tzinfo=UTC).date()), wanted[-1]))
    made = []
    async with opened(settings, patient=True) as database:

        async def once(quarter: Quarter) -> list[Quarter]:
            async with database.begin() as connection:
                return await partitions.prepare(connection, [quarter])

        for quarter in wanted:  # each by itself, so that nobody waits long
            made += await failure.retried(f"making {quarter.table}", partial(once, quarter))
    return made


def _as_json(one: Partition) -> dict[str, object]:
    return {
        "partition": one.table,
        "from": one.quarter and one.quarter.begins,
        "to": one.quarter and one.quarter.ends,
        "lines": one.rows,
        "bytes": one.size,
    }
