"""Postgres on this machine: its own data directory, a password, 127.0.0.1 only."""

import os
import re
import secrets
import shutil
import signal
import time
from pathlib import Path

import psutil

from vmi_local import ports
from vmi_local.directory import SYSTEM_DIRECTORY, explained, full, make, short_name
from vmi_local.errors import LocalServerError
from vmi_local.postgres_binaries import find_binaries, may_enter, unprivileged_user
from vmi_local.process import Daemon, User, alive, last_lines, run, set_aside
from vmi_local.progress import Cancellation, Report

START_PATIENCE_SECONDS = 120.0
"""Long, since after a kill the log of changes is replayed first."""

STOP_PATIENCE_SECONDS = 30.0
ORPHANS_PATIENCE_SECONDS = 15.0
ROLE = DATABASE = "vmi"

# Durable (fsync and synchronous_commit stay on), and given room: large batches, few pauses for checkpoints.
SETTINGS = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
port = {port}
max_connections = 200
password_encryption = 'scram-sha-256'
shared_buffers = '256MB'
effective_cache_size = '1GB'
work_mem = '16MB'
maintenance_work_mem = '128MB'
wal_buffers = '16MB'
min_wal_size = '256MB'
max_wal_size = '2GB'
checkpoint_timeout = '15min'
random_page_cost = 1.1
autovacuum_naptime = '15s'
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
"""

ACCESS = """\
# type  database  user  address       method
host    all       all   127.0.0.1/32  scram-sha-256
"""


class Postgres:
    """The database server of one directory."""

    name = "Postgres"

    def __init__(self, directory: Path) -> None:
        self.directory = _reachable(directory / "postgres", unprivileged_user())
        self.log = self.directory / "postgres.log"
        self._data = self.directory / "data"
        self._ports_file = self.directory / "ports.json"
        self._password_file = self.directory / "password"
        self.daemon = Daemon(pid_file=self.directory / "postgres.pid", log=self.log, mark=str(self._data))

    @property
    def address(self) -> str:
        """The URL of the database, with its password; port and password are chosen with the first call."""
        return f"postgresql+asyncpg://{ROLE}:{self._password()}@127.0.0.1:{self._port()}/{DATABASE}"

    def start(self, report: Report, cancellation: Cancellation) -> bool:
        """Bring the server up and return whether it had to be started."""
        if process := self.daemon.process():
            self._wait(process, cancellation)
            report(self.name, "running", 1.0)
            return False
        report(self.name, "looking for Postgres", 0.0)
        user = self._user()
        binaries = find_binaries(user, self._data_version())
        make(self.directory)
        ports.refuse_taken(self.name, self._port(), self._ports_file)
        if self._data_version() is None:
            report(self.name, "initdb", 0.2)
            self._create(binaries, user)
        cancellation.check()
        report(self.name, "start", 0.7)
        self._write_settings(user)
        self._start(binaries, user, cancellation)
        report(self.name, "running", 1.0)
        return True

    def stop(self) -> None:
        """Stop the server in its fast mode: sessions are ended, what was committed is kept."""
        self.daemon.stop(signal.SIGINT, STOP_PATIENCE_SECONDS)

    def _start(self, binaries: Path, user: User | None, cancellation: Cancellation) -> None:
        set_aside(self.log)
        deadline = time.monotonic() + ORPHANS_PATIENCE_SECONDS
        while True:
            self._forget_stale_lock()
            process = self.daemon.start(
                [str(binaries / "postgres"), "-D", str(self._data)], user=user, home=self.directory
            )
            try:
                return self._wait(process, cancellation)
            except LocalServerError as error:
                self.stop()
                # After a kill the server's children need a moment to notice that it is gone.
                if "is still in use" not in str(error) or time.monotonic() > deadline:
                    raise
                cancellation.pause(0.2)
            except BaseException:
                self.stop()
                raise

    def _port(self) -> int:
        make(self.directory)
        return ports.remembered(self._ports_file, ("postgres",))["postgres"]

    def _password(self) -> str:
        make(self.directory)
        with explained(f"{self._password_file} cannot be read"):
            if not self._password_file.exists():
                # Whole or not there: the password of existing data must not be lost to a full disk.
                unfinished = self._password_file.with_suffix(".unfinished")
                unfinished.touch(mode=0o600)
                unfinished.write_text(secrets.token_urlsafe(24))
                unfinished.rename(self._password_file)
            return self._password_file.read_text()

    def _user(self) -> User | None:
        """Return whom the server runs as: the owner of the data where there are any."""
        user = unprivileged_user()
        if not self._data.exists():
            return user
        owner = self._data.stat()
        if user is not None and owner.st_uid != 0:
            return User(str(owner.st_uid), owner.st_uid, owner.st_gid)
        if user is None and owner.st_uid != os.geteuid():
            raise LocalServerError(
                f"{self._data} belongs to another user. Run this as that user, or set VMI_LOCAL__DIRECTORY to a "
                "directory of your own."
            )
        return user

    def _data_version(self) -> int | None:
        try:
            return int((self._data / "PG_VERSION").read_text())
        except (OSError, ValueError):
            return None

    def _create(self, binaries: Path, user: User | None) -> None:
        """Make the data directory whole or not at all: a half-made one would be taken for data at the next start."""
        unfinished = self.directory / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        with explained(f"{self.directory} cannot be written"):
            unfinished.mkdir(mode=0o700)
            if user is not None:
                os.chown(unfinished, user.uid, user.gid)
        try:
            self._initialise(binaries, unfinished, user)
            with explained(f"{self.directory} cannot be written"):
                unfinished.rename(self._data)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise

    def _initialise(self, binaries: Path, data: Path, user: User | None) -> None:
        # Nobody may connect until the password is set; a single-user session needs neither port nor password.
        options = [f"--pgdata={data}", f"--username={ROLE}", "--auth-local=reject", "--auth-host=reject"]
        self._run([binaries / "initdb", *options, "--encoding=UTF8", "--locale=C"], user)
        statements = f"ALTER ROLE {ROLE} PASSWORD '{self._password()}';\nCREATE DATABASE {DATABASE};\n"
        self._run([binaries / "postgres", "--single", "-D", data, "postgres"], user, statements)
        with explained(f"{data} cannot be written"):
            (data / "pg_hba.conf").write_text(ACCESS)
            with (data / "postgresql.conf").open("a") as configuration:
                configuration.write("\ninclude 'vmi.conf'\n")

    def _run(self, command: list[str | Path], user: User | None, entered: str = "") -> None:
        done = run(command, user=user, home=self.directory, entered=entered)
        said = done.stdout + done.stderr
        # A single-user session reports a failed statement and ends well.
        if done.returncode != 0 or re.search(r"\b(ERROR|FATAL|PANIC):", said):
            raise self._failure(said)

    def _write_settings(self, user: User | None) -> None:
        settings = self._data / "vmi.conf"
        with explained(f"{settings} cannot be written"):
            settings.write_text(SETTINGS.format(port=self._port()))
            if user is not None:
                os.chown(settings, user.uid, user.gid)

    def _forget_stale_lock(self) -> None:
        """Remove a lock file whose pid belongs to something else by now; Postgres itself would take it for alive."""
        lock = self._data / "postmaster.pid"
        try:
            process = psutil.Process(int(lock.read_text().split()[0]))
            stale = str(self._data) not in process.cmdline()
        except (OSError, ValueError, IndexError, psutil.Error):
            return
        if stale:
            lock.unlink(missing_ok=True)

    def _wait(self, process: psutil.Process, cancellation: Cancellation) -> None:
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while not self._ready(process.pid):
            if not alive(process):
                raise self._failure("\n".join(last_lines(self.log, 100)))
            if time.monotonic() > deadline:
                raise LocalServerError(
                    f"Postgres was not ready within {START_PATIENCE_SECONDS:.0f} s. Its log {self.log} may say why."
                )
            cancellation.pause(0.02)

    def _ready(self, pid: int) -> bool:
        """Tell whether the server says that it is ready, in the eighth line of its lock file, and answers."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and int(lines[0]) == pid and lines[7].strip() == "ready" and ports.accepts(self._port())

    def _failure(self, said: str) -> LocalServerError:
        if "No space left on device" in said or full(self.directory):
            return LocalServerError(
                f"Postgres cannot start: the disk of {self.directory} is full. "
                "Free some space or set VMI_LOCAL__DIRECTORY to a directory on another disk."
            )
        if "Address already in use" in said:
            return LocalServerError(
                f"Postgres cannot start: its port was taken meanwhile. "
                f"Try again, or delete {self._ports_file} to have another port chosen."
            )
        errors = re.findall(r"(?:ERROR|FATAL|PANIC|error|^initdb|^postgres):\s+(.*)", said, re.MULTILINE)
        reason = errors[-1] if errors else "it was killed, perhaps for lack of memory"
        return LocalServerError(f"Postgres ended while it started: {reason}. Its log: {self.log}.")


def _reachable(directory: Path, user: User | None) -> Path:
    """Return ``directory``, or a place of its own below /var/lib where ``user`` could not enter it.

    Nobody's permissions are changed for that, so below a closed home Postgres' data stand elsewhere.
    """
    existing = next(path for path in (directory, *directory.parents) if path.exists())
    if user is None or may_enter(user, existing):
        return directory
    return SYSTEM_DIRECTORY / "postgres" / short_name(directory.parent)
