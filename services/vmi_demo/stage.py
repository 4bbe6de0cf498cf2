"""What the demo runs on: a broker, a database and workers of its own, fresh each time."""

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final

from pydantic import SecretStr
from rich.console import Console

from vmi_contracts.topics import ALL
from vmi_demo.settling import Watched
from vmi_local import LocalServerError, LocalServers, progress_bar
from vmi_local.directory import default_directory, locked, make
from vmi_local.environment import BOOTSTRAP_SERVERS_VARIABLE, DATABASE_URL_VARIABLE, DIRECTORY_VARIABLE
from vmi_local.process import Daemon, last_lines
from vmi_runtime import broker, pipeline
from vmi_runtime.clock import ClockMode
from vmi_runtime.settings import DatabaseSettings, KafkaSettings, Settings
from vmi_runtime.worker import Worker
from vmi_store import engine, schema_version

ADDRESSES: Final = tuple(
    name + suffix for name in (BOOTSTRAP_SERVERS_VARIABLE, DATABASE_URL_VARIABLE) for suffix in ("", "_FILE")
)
WORKERS: Final = ("inventory", "forecast", "replenishment", "relay")
WORKERS_STOP_WITHIN_SECONDS: Final = 40.0


class DemoError(Exception):
    """The demo cannot go on; the message is for the person who started it."""


@dataclass(frozen=True, slots=True)
class Stage:
    """Servers and workers, running."""

    directory: Path
    settings: Settings
    pipeline: Watched
    workers: Daemon

    def require_workers(self) -> None:
        """Raise DemoError if the workers' process has ended."""
        if self.workers.process() is None:
            said = "\n".join(last_lines(self.workers.log, 10))
            raise DemoError(f"the workers have ended; the last they said ({self.workers.log}):\n{said}")


@asynccontextmanager
async def stage(console: Console, *, keep: bool) -> AsyncIterator[Stage]:
    """Give fresh servers with workers, and remove all of it afterwards, unless the block ends well and ``keep``."""
    _leave_the_users_servers_alone(console)
    directory = default_directory() / "demo"
    servers = LocalServers(directory)
    workers = Daemon(directory / "workers.pid", directory / "workers.log", mark="vmi_cli")
    with ExitStack() as alone:
        _hold(alone, directory)
        if directory.exists():
            console.print(f"Removing an earlier demo from {directory}")
            await asyncio.to_thread(_remove, servers, workers)
        kept = False
        try:
            settings = await _started(servers, console)
            async with _prepared(settings) as watched:
                await asyncio.to_thread(_start_workers, workers, directory)
                yield Stage(directory, settings, watched, workers)
            kept = keep
        finally:
            if not kept:
                await asyncio.shield(asyncio.to_thread(_remove, servers, workers))


def _leave_the_users_servers_alone(console: Console) -> None:
    """The demo's clock runs on events and its topics are its own: it has no business on anybody's servers."""
    for variable in ADDRESSES:
        if os.environ.pop(variable, None):
            console.print(f"{variable} is left aside: the demo starts servers of its own", highlight=False)


def _hold(held: ExitStack, directory: Path) -> None:
    make(directory.parent)
    try:
        held.enter_context(locked(directory.with_suffix(".lock"), patience_seconds=0))
    except LocalServerError:
        raise DemoError(f"another demo is running in {directory}; let it end or stop it with Ctrl-C") from None


async def _started(servers: LocalServers, console: Console) -> Settings:
    with progress_bar(console) as report:
        addresses = await asyncio.to_thread(servers.up, report)
    return Settings(
        clock=ClockMode.EVENTS,
        kafka=KafkaSettings(bootstrap_servers=addresses.bootstrap_servers),
        database=DatabaseSettings(url=SecretStr(addresses.database_url)),
    )


@asynccontextmanager
async def _prepared(settings: Settings) -> AsyncIterator[Watched]:
    """Bring schema and topics to where they must be, and watch how far the workers are."""
    assert settings.database.url is not None
    database = engine.create(settings.database.url.get_secret_value(), application_name="vmi-demo", pool_size=2)
    try:
        await schema_version.migrate(database)
        await broker.create_topics(settings.kafka, ALL)
        async with pipeline.watched(settings.kafka, database, _definitions()) as watched:
            yield watched
    finally:
        await database.dispose()


def _definitions() -> list[Worker]:
    return [import_module(f"vmi_{name}.__main__").WORKER for name in WORKERS]


def _start_workers(workers: Daemon, directory: Path) -> None:
    """Start ``vmi run`` in the background, on the servers of the directory."""
    variables = {DIRECTORY_VARIABLE: str(directory), "VMI_CLOCK": ClockMode.EVENTS.value}
    environment = [f"{name}={value}" for name, value in variables.items()]
    named = [part for name in WORKERS for part in ("--only", name)]
    workers.start(["env", *environment, sys.executable, "-m", "vmi_cli", "run", *named], home=directory)


def _remove(servers: LocalServers, workers: Daemon) -> None:
    """Stop everything of this directory and remove it."""
    workers.stop(signal.SIGTERM, WORKERS_STOP_WITHIN_SECONDS)
    servers.destroy()
    shutil.rmtree(servers.directory, ignore_errors=True)
