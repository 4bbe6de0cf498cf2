"""Kafka and Postgres of one directory: up, down, status, logs."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import psutil

from vmi_local.directory import default_directory, locked, make
from vmi_local.environment import given_bootstrap_servers, given_database_url
from vmi_local.kafka import Kafka
from vmi_local.postgres import Postgres
from vmi_local.process import last_lines
from vmi_local.progress import Cancellation, Report, silent

LOCK = ".lock"


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where broker and database are reached."""

    bootstrap_servers: str
    database_url: str
    """``postgresql+asyncpg://user:password@host:port/database``"""


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """What is known of one server. ``dataclasses.asdict`` gives it as JSON-able values."""

    name: str
    state: Literal["running", "stopped", "external"]
    """External: an address in the environment names another server, and none is started here."""

    address: str | None
    """Without password; None before the first start."""

    pid: int | None
    running_seconds: int | None
    memory_mb: int | None
    directory: str
    log: str


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of the servers of one directory."""

    directory: str
    servers: tuple[ServerStatus, ...]


class LocalServers:
    """Kafka and Postgres of one directory, as processes in the background that outlive the caller."""

    def __init__(self, directory: Path | None = None) -> None:
        self.directory = (directory or default_directory()).absolute()
        self._kafka = Kafka(self.directory)
        self._postgres = Postgres(self.directory)

    def up(self, progress: Report = silent) -> Addresses:
        """Start what does not run yet and return the addresses. An address in the environment always wins."""
        self._up(progress)
        return self.addresses()

    def down(self) -> None:
        """Stop both servers; their data stay."""
        if self.directory.exists():
            with self._locked():
                _together([self._kafka.stop, self._postgres.stop])

    def destroy(self) -> None:
        """Stop both servers and remove their data."""
        self.down()
        for directory in (self._kafka.directory, self._postgres.directory):
            shutil.rmtree(directory, ignore_errors=True)
        with suppress(OSError):  # something else may live there
            (self.directory / LOCK).unlink()
            self.directory.rmdir()

    def addresses(self) -> Addresses:
        """Return where broker and database are, or will be when they run."""
        return Addresses(
            bootstrap_servers=given_bootstrap_servers() or self._kafka.address,
            database_url=given_database_url() or self._postgres.address,
        )

    def status(self) -> Status:
        """Return what runs."""
        return Status(
            directory=str(self.directory),
            servers=(
                _status(self._kafka, _elsewhere(self._kafka, given_bootstrap_servers())),
                _status(self._postgres, _elsewhere(self._postgres, given_database_url())),
            ),
        )

    def logs(self, lines: int = 40) -> Iterator[str]:
        """Yield the last ``lines`` lines of each server's log, each with the server's name."""
        for server in (self._kafka, self._postgres):
            for line in last_lines(server.log, lines):
                yield f"{server.name:8} | {line}"

    def follow_logs(self, lines: int = 10) -> Iterator[str]:
        """Yield the last lines of each log, then new ones as they come, without end."""
        logs = {server.name: server.log for server in (self._kafka, self._postgres)}
        read = {name: _size(log) for name, log in logs.items()}
        yield from self.logs(lines)
        while True:
            for name, log in logs.items():
                size = _size(log)
                if size < read[name]:  # a new run, or a log that went round
                    read[name] = 0
                if size > read[name]:
                    with log.open("rb") as file:
                        file.seek(read[name])
                        for line in file.read(size - read[name]).decode(errors="replace").splitlines():
                            yield f"{name:8} | {line}"
                read[name] = size
            time.sleep(0.2)

    def _up(self, progress: Report) -> list[Kafka | Postgres]:
        """Start what does not run and return that. What cannot come up whole leaves nothing running behind."""
        wanted: list[Kafka | Postgres] = []
        if not _elsewhere(self._kafka, given_bootstrap_servers()):
            wanted.append(self._kafka)
        if not _elsewhere(self._postgres, given_database_url()):
            wanted.append(self._postgres)
        if not wanted:
            return []
        make(self.directory)
        with self._locked():
            return _start_together(wanted, progress)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with locked(self.directory / LOCK):
            yield


@contextmanager
def local_servers(directory: Path | None = None, progress: Report = silent) -> Iterator[Addresses]:
    """Have broker and database running inside the block; what was started for it is stopped after it."""
    servers = LocalServers(directory)
    started = servers._up(progress)
    try:
        yield servers.addresses()
    finally:
        if started:
            with servers._locked():
                _together([server.stop for server in started])


def _start_together(wanted: Sequence[Kafka | Postgres], progress: Report) -> list[Kafka | Postgres]:
    cancellation = Cancellation()
    with ThreadPoolExecutor(len(wanted)) as pool:
        starts = {pool.submit(server.start, progress, cancellation): server for server in wanted}
        try:
            wait(starts, return_when=FIRST_EXCEPTION)
            # The one that failed by itself first; the other one was only called off.
            failures = [start for start in starts if start.done() and start.exception()]
            if failures:
                failures[0].result()
        except BaseException:
            cancellation.cancel()
            wait(starts)
            _together([server.stop for start, server in starts.items() if not start.exception() and start.result()])
            raise
    return [server for start, server in starts.items() if start.result()]


def _together(actions: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(max(1, len(actions))) as pool:
        for done in [pool.submit(action) for action in actions]:
            done.result()


def _elsewhere(server: Kafka | Postgres, given: str | None) -> str | None:
    """Return the given address, unless it is this server's own: a shell keeps that after ``eval "$(vmi local up)"``."""
    own = server.address if server.directory.exists() else None
    return None if given == own else given


def _status(server: Kafka | Postgres, external: str | None) -> ServerStatus:
    process = server.daemon.process()
    address = external or (server.address if server.directory.exists() else None)
    return ServerStatus(
        name=server.name,
        state="external" if external else "running" if process else "stopped",
        address=_without_password(address) if address else None,
        pid=process.pid if process else None,
        running_seconds=int(time.time() - process.create_time()) if process else None,
        memory_mb=_memory_mb(process) if process else None,
        directory=str(server.directory),
        log=str(server.log),
    )


def _memory_mb(process: psutil.Process) -> int:
    """Return what the process and its children hold, pages they share counted once."""
    own = process.memory_info()
    private = [child.memory_info() for child in process.children()]
    return int(own.rss + sum(info.rss - getattr(info, "shared", 0) for info in private)) // 2**20


def _without_password(address: str) -> str:
    password = urlsplit(address).password if "://" in address else None
    return address.replace(f":{password}@", ":***@") if password else address


def _size(log: Path) -> int:
    try:
        return log.stat().st_size
    except FileNotFoundError:
        return 0
