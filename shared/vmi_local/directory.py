"""Where the servers of this machine keep their data, and the lock that serialises starting and stopping them."""

import fcntl
import hashlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vmi_local.environment import given_directory
from vmi_local.errors import LocalServerError

SYSTEM_DIRECTORY = Path("/var/lib/vmi")
LOCK_PATIENCE_SECONDS = 180.0
NO_ROOM_BYTES = 1_000_000


def default_directory() -> Path:
    """Return where the servers live unless told otherwise: ``VMI_LOCAL__DIRECTORY``, else by the platform's custom."""
    if given := given_directory():
        return given
    if os.geteuid() == 0:
        return SYSTEM_DIRECTORY
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "vmi"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "vmi"


def cache_directory() -> Path:
    """Return where files are kept that can be fetched or copied again, shared by all servers of this user."""
    if os.geteuid() == 0:
        # Not below root's home: the unprivileged user that Postgres runs as must be able to enter it.
        return SYSTEM_DIRECTORY / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "vmi"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vmi"


def short_name(directory: Path) -> str:
    """Return a name for ``directory`` that no other directory of this machine has."""
    return f"{directory.name}-{hashlib.sha256(bytes(directory)).hexdigest()[:12]}"


def make(directory: Path) -> Path:
    """Create ``directory`` so that every user may enter it (what is secret in it is closed by itself)."""
    with explained(f"{directory} cannot be created"):
        for missing in reversed([path for path in (directory, *directory.parents) if not path.exists()]):
            missing.mkdir(exist_ok=True)
            missing.chmod(0o755)  # whatever the umask; never a directory that was there before
    return directory


@contextmanager
def explained(trouble: str) -> Iterator[None]:
    """Turn an error of the file system into one line with what to do."""
    try:
        yield
    except OSError as error:
        raise LocalServerError(
            f"{trouble}: {(error.strerror or str(error)).lower()}. "
            "Free some space or set VMI_LOCAL__DIRECTORY to a directory that you may write."
        ) from error


def full(directory: Path) -> bool:
    """Tell whether the disk of ``directory`` has no room left to speak of."""
    return shutil.disk_usage(directory).free < NO_ROOM_BYTES


@contextmanager
def locked(path: Path, patience_seconds: float = LOCK_PATIENCE_SECONDS) -> Iterator[None]:
    """Hold ``path`` alone; who comes second waits. The system releases it when the process dies."""
    with explained(f"{path} cannot be written"):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + patience_seconds
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    raise LocalServerError(
                        f"Another process has been starting or stopping the servers of {path.parent} for more than "
                        f"{patience_seconds:.0f} s. Wait for it or end it, then try again."
                    ) from error
                time.sleep(0.05)
        yield
    finally:
        os.close(file)
