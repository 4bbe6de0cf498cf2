"""A server as a process in the background, known by its pid and the moment it started."""

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from vmi_local.directory import explained

CLOCK_TOLERANCE_SECONDS = 60.0
"""The start time is reckoned from the time of boot, which moves when the machine's clock is set."""

LINE_BYTES = 400
"""More than most lines of a log have."""


@dataclass(frozen=True, slots=True)
class User:
    """Whom a server runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class Daemon:
    """A server's process, or the place where it would be."""

    pid_file: Path
    log: Path
    mark: str
    """An argument that this server was started with and no other one."""

    def process(self) -> psutil.Process | None:
        """Return the live process, or None. A pid that now belongs to something else is not ours."""
        try:
            remembered = json.loads(self.pid_file.read_text())
            process = psutil.Process(remembered["pid"])
            with process.oneshot():
                same = abs(process.create_time() - remembered["started_at"]) < CLOCK_TOLERANCE_SECONDS
                ours = self.mark in process.cmdline()
                alive = process.status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, TypeError, KeyError, psutil.Error):
            return None
        return process if same and ours and alive else None

    def start(self, command: Sequence[str], *, user: User | None = None, home: Path) -> psutil.Process:
        """Start ``command`` in a session of its own, so that it outlives us and our terminal."""
        with explained(f"{self.log} cannot be written"), self.log.open("ab") as log:
            # The shell ends at once: the server is nobody's child, leaves no zombie and hears no Ctrl-C.
            shell = ["/bin/sh", "-c", f"{shlex.join(command)} >&2 & echo $!"]
            started = run(shell, user=user, home=home, log=log)
        process = psutil.Process(int(started.stdout))
        self._remember(process)
        return process

    def stop(self, stop_signal: signal.Signals, patience_seconds: float) -> None:
        """End the process in its own way; one that does not end in time is killed."""
        if process := self.process():
            try:
                process.send_signal(stop_signal)
                wait_until_ended(process, patience_seconds)
                if process.is_running():
                    process.kill()
                    wait_until_ended(process, 10)
            except psutil.NoSuchProcess:
                pass
        self.pid_file.unlink(missing_ok=True)

    def _remember(self, process: psutil.Process) -> None:
        # A server that died at once has no start time any more; the caller sees from the log why.
        try:
            text = json.dumps({"pid": process.pid, "started_at": process.create_time()})
        except psutil.NoSuchProcess:
            return
        with explained(f"{self.pid_file} cannot be written"):
            self.pid_file.write_text(text)


def alive(process: psutil.Process) -> bool:
    """Tell whether the process still does something; a zombie does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until_ended(process: psutil.Process, patience_seconds: float) -> None:
    """Return when the process has ended, or when ``patience_seconds`` have passed."""
    deadline = time.monotonic() + patience_seconds
    while alive(process) and time.monotonic() < deadline:
        time.sleep(0.02)


def run(
    command: Sequence[str | Path],
    *,
    user: User | None = None,
    home: Path,
    entered: str = "",
    log: IO[bytes] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, as ``user`` and in a session of its own, and return what it said.

    What it says on standard error goes to ``log`` where there is one. The caller's PG…, JAVA_… and KAFKA_… variables,
    which would steer the servers' programs, are kept from it.
    """
    kept = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
    return subprocess.run(  # noqa: S603 - the programs are the servers' own
        command,
        input=entered,
        stdout=subprocess.PIPE,
        stderr=log or subprocess.PIPE,
        text=True,
        errors="replace",
        cwd="/",
        env={**kept, "LC_ALL": "C", "HOME": str(home)},
        start_new_session=True,
        user=user.uid if user else None,
        group=user.gid if user else None,
        extra_groups=[] if user else None,
        check=False,
    )


def set_aside(log: Path) -> None:
    """Keep the log of the run before this one, and nothing older."""
    if log.exists():
        with explained(f"{log} cannot be written"):
            log.replace(log.with_name(log.name + ".previous"))


def last_lines(log: Path, count: int) -> list[str]:
    """Return the end of a log."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LINE_BYTES * count))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []
