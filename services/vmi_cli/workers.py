"""``vmi worker`` and ``vmi run``: one worker in the foreground, or all of them under supervision."""

import asyncio
import os
import signal
from importlib import import_module
from typing import Annotated

import typer

from vmi_cli.console import Refused, err
from vmi_cli.supervision import WORKERS, Supervisor
from vmi_cli.surroundings import connected, environment_of
from vmi_contracts.topics import ALL
from vmi_runtime import broker
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_runtime.worker import Worker
from vmi_store import engine, partitions, schema_version

COLOURS = dict(zip(WORKERS, ("cyan", "magenta", "green", "yellow"), strict=True))


def defined(name: str) -> Worker:
    """Return a worker's definition by its name, or raise Refused."""
    if name not in WORKERS:
        raise Refused(f"there is no worker {name!r}; there are: {', '.join(WORKERS)}")
    worker: Worker = import_module(f"vmi_{name}.__main__").WORKER
    return worker


def worker(name: Annotated[str, typer.Argument(help=f"One of: {', '.join(WORKERS)}.")]) -> None:
    """Run one worker in this process: what a container or a service manager
    starts.

    It ends cleanly on SIGTERM or Ctrl-C. Any number of one worker may run;
    they share the partitions.

        vmi worker inventory
    """
    from vmi_runtime import process  # Faust takes its time to import, and no other command needs it

    definition = defined(name)
    settings = connected()
    os.environ.update(environment_of(settings))
    process.main(definition)


def run(
    only: Annotated[list[str] | None, typer.Option("--only", help="Only this worker; may be given again.")] = None,
) -> None:
    """Run all workers in this terminal; Ctrl-C stops them cleanly.

    Starts the embedded broker and database where the environment names
    none, brings the schema up to date, creates missing topics. A worker
    that dies is started again, with a growing pause. One that is named
    twice runs in two processes, which share its partitions.

        vmi run
        vmi run --only inventory --only relay
    """
    for name in only or ():
        defined(name)
    settings = connected(start=True)
    status = asyncio.run(_run(settings, only or list(WORKERS)))
    if status is not None:
        raise Refused(f"the worker {status} cannot start; it says why above")


async def prepare(settings: Settings) -> None:
    """Bring database and broker to where workers can start: schema and topics."""
    assert settings.database.url is not None
    database = engine.create(settings.database.url.get_secret_value(), application_name="vmi-prepare", pool_size=1)
    try:
        before, after = await schema_version.migrate(database)
        async with database.begin() as connection:
            await partitions.prepare(connection, partitions.ahead(Clock().wall()))
    finally:
        await database.dispose()
    if before != after:
        err.print(f"Database brought to schema {after}")
    created = await broker.create_topics(settings.kafka, ALL)
    if created:
        err.print(f"{len(created)} topics created")


async def _run(settings: Settings, names: list[str]) -> str | None:
    await prepare(settings)

    def say(name: str, line: str) -> None:
        err.print(f"[{COLOURS[name]}]{name:13}[/] ", end="", markup=True)
        err.print(line, markup=False, soft_wrap=True)

    environment = environment_of(settings)
    if settings.log_format == "auto" and err.is_terminal:
        environment["VMI_LOG_FORMAT"] = "console"  # the workers speak through a pipe, and cannot see the terminal
    supervisor = Supervisor(names, environment, say)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, supervisor.stop)
    err.print(f"Running {', '.join(names)}; Ctrl-C stops. Look with: vmi status, vmi watch proposals")
    failed = await supervisor.run()
    err.print("All workers stopped.")
    return failed
