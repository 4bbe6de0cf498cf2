"""Where chaos takes place: a broker and a database of its own behind a bad network, and the real workers."""

import asyncio
import json
import os
import signal
import subprocess
from collections import Counter
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import psutil
from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_cli.workers import prepare
from vmi_local import LocalServers
from vmi_local.errors import LocalServerError
from vmi_local.kafka import SETTINGS, Kafka
from vmi_local.ports import free_ports
from vmi_runtime.clock import ClockMode
from vmi_runtime.settings import DatabaseSettings, KafkaSettings, Settings
from vmi_store import engine as engines
from vmi_testing import servers as testing_servers
from vmi_testing.fault_proxy import FaultProxy
from vmi_testing.processes import started
from vmi_testing.waiting import until

SESSION_SECONDS = 6
"""The least that Kafka allows by default; a worker that is frozen for longer is out."""
WORKERS = ("inventory", "inventory", "forecast", "replenishment", "relay", "relay")
DISK_MB = 600


class ProxiedKafka(Kafka):
    """A broker with a second listener, whose advertised address is that of a proxy."""

    def __init__(self, directory: Path, behind: int, proxy: int) -> None:
        super().__init__(directory)
        self._behind = behind
        self._proxy = proxy

    def _write_settings(self, port, controller_port, jars):
        super()._write_settings(port, controller_port, jars)
        own, behind = f"PLAINTEXT://127.0.0.1:{port}", f"PROXIED://127.0.0.1:{self._behind}"
        with self._settings.open("a") as file:  # of two lines with one name, the last one holds
            file.write(
                f"listeners={own},{behind},CONTROLLER://127.0.0.1:{controller_port}\n"
                f"advertised.listeners={own},PROXIED://127.0.0.1:{self._proxy}\n"
                "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT\n"
            )


assert "listeners" not in SETTINGS


class Disk:
    """A small disk of memory for the servers, which can be filled; without the right to mount it, none."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.missing: str | None = None
        if os.geteuid() != 0:
            self.missing = "mounting a small disk needs root"
            return
        directory.mkdir(parents=True)
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,mode=0755", "tmpfs", str(directory)],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            self.missing = f"a small disk cannot be mounted: {mounted.stderr.strip()}"

    def fill(self) -> None:
        with suppress(OSError), (self.directory / "filler").open("ab", buffering=0) as file:
            for size in (2**22, 2**12):
                with suppress(OSError):
                    while True:
                        file.write(bytes(size))

    def empty(self) -> None:
        (self.directory / "filler").unlink(missing_ok=True)

    def close(self) -> None:
        if self.missing is None:
            subprocess.run(["umount", "-l", str(self.directory)], check=False)
        with suppress(OSError):
            self.directory.rmdir()


class Member:
    """One place in the fleet: a worker, which is started again whenever it has ended."""

    def __init__(self, name: str, start) -> None:
        self.name = name
        self._start = start
        self._stack = ExitStack()
        self.process = self._stack.enter_context(start(name))
        self.frozen = False
        self.wanted = True

    def revive(self) -> int | None:
        """Start it again if it has ended; return with which status it had."""
        status = self.process.poll()
        if status is None:
            return None
        self._stack.close()
        if self.wanted:
            self.process = self._stack.enter_context(self._start(self.name))
        return status

    def signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    def end(self) -> None:
        self.wanted = False
        self.signal(signal.SIGCONT)
        self._stack.close()


class Stage:
    """The servers, the network and the fleet."""

    def __init__(self, directory: Path, log: Path) -> None:
        self.disk = Disk(directory)
        self.log = log
        self.kafka_port, self.database_port, behind = free_ports(3)
        self.servers = LocalServers(directory)
        self.kafka = self.servers._kafka = ProxiedKafka(self.servers.directory, behind, self.kafka_port)
        self.postgres = self.servers._postgres
        self.broker_network = FaultProxy(behind)
        self.members: list[Member] = []
        self.engine: AsyncEngine | None = None
        self.database_network: FaultProxy | None = None
        self._keeping: asyncio.Task[None] | None = None
        self.ends: Counter[str] = Counter()
        self.most_rss = 0
        self.patience = asyncio.Lock()

    async def open(self, clock: ClockMode = ClockMode.EVENTS, **variables: str) -> None:
        addresses = await asyncio.to_thread(self.servers.up)
        direct = make_url(addresses.database_url)
        assert direct.port is not None
        self.kafka_address = addresses.bootstrap_servers
        self.database_url = addresses.database_url
        self.database_network = FaultProxy(direct.port)
        await self.broker_network.start(self.kafka_port)
        await self.database_network.start(self.database_port)
        self.settings = Settings(
            clock=clock,
            kafka=KafkaSettings(bootstrap_servers=self.kafka_address),
            database=DatabaseSettings(url=SecretStr(self.database_url)),
        )
        await prepare(self.settings)
        self.engine = engines.create(self.database_url, application_name="chaos-checker", pool_size=4)
        self.variables = {
            "VMI_KAFKA__BOOTSTRAP_SERVERS": f"127.0.0.1:{self.kafka_port}",
            "VMI_DATABASE__URL": direct.set(port=self.database_port).render_as_string(hide_password=False),
            "VMI_CLOCK": clock.value,
            "VMI_LOG_FORMAT": "json",
            "VMI_CONSUMING__SESSION_TIMEOUT_SECONDS": str(SESSION_SECONDS),
            "VMI_CONSUMING__HEARTBEAT_SECONDS": "1",
            "VMI_CONSUMING__CHUNK_RECORDS": "10",
            "VMI_CONSUMING__BATCH_RECORDS": "20",
            **variables,
        }
        self.members = [self.joined(name) for name in WORKERS]
        self._keeping = asyncio.create_task(self._keep())
        # What does not run yet cannot be harmed.
        await until(lambda: self.log.read_text().count('"event": "started"'), lambda n: n >= len(WORKERS), seconds=300)

    def joined(self, name: str) -> Member:
        return Member(name, self._start)

    def _start(self, name: str):
        return started(f"vmi_{name}", log=self.log, **self.variables)

    async def _keep(self) -> None:
        """Start again whoever has ended, as a supervisor does, and look how much memory they hold."""
        while True:
            for member in self.members:
                status = member.revive()
                if status is not None:
                    self.ends[f"{member.name} {status}"] += 1
                with suppress(psutil.Error):
                    self.most_rss = max(self.most_rss, psutil.Process(member.process.pid).memory_info().rss)
            await asyncio.sleep(0.2)

    def bugs(self) -> list[str]:
        """Return, of each worker that ended by what it took for a bug, the last line of what it said."""
        with self.log.open(errors="replace") as lines:
            said = [json.loads(line) for line in lines if '"a bug ends this process' in line]
        return [str(one.get("exception", "")).strip().splitlines()[-1] for one in said]

    async def up(self) -> None:
        """Start whichever server is down, however often that takes."""
        async with self.patience:
            while True:
                try:
                    await asyncio.to_thread(self.servers.up)
                except (LocalServerError, OSError):
                    await asyncio.sleep(0.5)
                else:
                    return

    def kill(self, server) -> bool:
        """Let a server die suddenly; a Postgres that gets SIGKILL would leave children that a new one waits for."""
        process = server.daemon.process()
        if process is None:
            return False
        process.send_signal(signal.SIGKILL if server is self.kafka else signal.SIGQUIT)
        return True

    async def administer(self, statement: str, *arguments):
        """Run a statement on a connection of its own, outside the bad network; [] if the database is not there."""
        try:
            connection = await asyncpg.connect(testing_servers.plain(self.database_url), timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return []
        try:
            return await connection.fetch(statement, *arguments, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return []
        finally:
            connection.terminate()

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        for member in self.members:
            member.end()
        if self.engine is not None:
            await self.engine.dispose()
        for network in (self.broker_network, self.database_network):
            if network is not None:
                await network.stop()


@asynccontextmanager
async def opened(log: Path, label: str = "-storm", **variables: str):
    """Have a stage, whose workers have these variables too; what was started for it is gone after it."""
    await asyncio.to_thread(_remove_leftovers)
    given = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("VMI_")}
    stage = Stage(testing_servers.session_directory(label), log)
    try:
        try:
            await stage.open(**variables)
            yield stage
        finally:
            await stage.close()
    finally:
        stage.disk.empty()
        await asyncio.to_thread(stage.servers.destroy)
        stage.disk.close()
        os.environ.update(given)


def _remove_leftovers() -> None:
    """End and remove what runs that were killed left behind, with their disks."""
    for session in testing_servers.SESSIONS.glob("*-storm-*"):
        if not psutil.pid_exists(int(session.name.partition("-")[0])):
            (session / "filler").unlink(missing_ok=True)
            LocalServers(session).destroy()
            if session.is_mount():
                subprocess.run(["umount", "-l", str(session)], check=False)
                session.rmdir()
