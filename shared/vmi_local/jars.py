"""Kafka's jars, by Maven coordinates and with the hash each must have (``kafka.lock``)."""

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from vmi_local.directory import cache_directory, explained, locked, make
from vmi_local.environment import given_maven_repository
from vmi_local.errors import LocalServerError

if TYPE_CHECKING:
    from jgo.maven import MavenContext

DOWNLOADS_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Jar:
    """One line of the lock: what Maven calls the jar, and the sha256 of its bytes."""

    coordinate: str
    sha256: str


def locked_jars() -> list[Jar]:
    """Return what Kafka's class path consists of."""
    lines = (files("vmi_local") / "kafka.lock").read_text().splitlines()
    return [Jar(*line.split()) for line in lines if line and not line.startswith("#")]


def kafka_jars(report: Callable[[int, int], None], check: Callable[[], None]) -> list[Path]:
    """Return Kafka's jars, in the lock's order; what is not in the cache is fetched.

    ``report`` hears how many of how many are there, ``check`` may raise to call it off.
    """
    wanted = locked_jars()
    cache = make(cache_directory() / "maven")
    with locked(cache / ".lock"):
        present = {jar: path for jar in wanted if (path := _cached(cache, jar))}
        missing = [jar for jar in wanted if jar not in present]
        if missing:
            present |= _fetch(missing, cache, lambda left: report(len(wanted) - left, len(wanted)), check)
    return [present[jar] for jar in wanted]


def _fetch(
    missing: list[Jar], cache: Path, report: Callable[[int], None], check: Callable[[], None]
) -> dict[Jar, Path]:
    context = _context(cache)
    fetched: dict[Jar, Path] = {}
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        downloads = {pool.submit(_download, context, cache, jar): jar for jar in missing}
        try:
            for download in as_completed(downloads):
                fetched[downloads[download]] = download.result()
                report(len(missing) - len(fetched))
                check()
        finally:
            pool.shutdown(cancel_futures=True)
    return fetched


def _context(cache: Path) -> "MavenContext":
    try:
        from jgo.config import GlobalSettings
        from jgo.constants import MAVEN_CENTRAL_URL
        from jgo.maven import MavenContext
    except ImportError as error:
        raise LocalServerError(
            "Fetching Kafka needs the package jgo: install vmi with its extra 'local' (pip install 'vmi[local]'), "
            "or set VMI_KAFKA__BOOTSTRAP_SERVERS to a running Kafka."
        ) from error
    if given := given_maven_repository():
        repositories = {"given": given.rstrip("/")}
    else:
        repositories = {"central": MAVEN_CENTRAL_URL, **GlobalSettings.load().repositories}
    return MavenContext(repo_cache=cache, local_repos=[], remote_repos=repositories, timeout=30)


def _download(context: "MavenContext", cache: Path, jar: Jar) -> Path:
    import requests

    where = ", ".join(context.remote_repos.values())
    way_out = "or set VMI_LOCAL__MAVEN_REPOSITORY to a mirror, or VMI_KAFKA__BOOTSTRAP_SERVERS to a running Kafka"
    path = _path(cache, jar)
    # jgo takes a file that is there for a whole one; what an interrupted download left behind is not.
    path.unlink(missing_ok=True)
    with explained(f"{cache} cannot be written"):
        try:
            context.create_dependency(jar.coordinate).artifact.resolve()
        except requests.exceptions.SSLError as error:
            raise LocalServerError(
                f"Kafka's jars cannot be fetched from {where}: its certificate is not trusted here. Where a proxy of "
                f"your organisation stands between, name the file of its certificates in REQUESTS_CA_BUNDLE, {way_out}."
            ) from error
        except requests.RequestException as error:
            raise LocalServerError(
                f"Kafka's jars cannot be fetched from {where}: no connection. "
                f"The first start needs the network once: connect this machine, {way_out}."
            ) from error
        except RuntimeError as error:
            raise LocalServerError(f"{where} does not have {jar.coordinate}: try again later, {way_out}.") from error
    if _cached(cache, jar) is None:
        path.unlink(missing_ok=True)
        raise LocalServerError(f"{jar.coordinate} from {where} is not the file it should be: try again, {way_out}.")
    return path


def _cached(cache: Path, jar: Jar) -> Path | None:
    path = _path(cache, jar)
    try:
        with path.open("rb") as file:
            whole = hashlib.file_digest(file, "sha256").hexdigest() == jar.sha256
    except OSError:
        return None
    return path if whole else None


def _path(cache: Path, jar: Jar) -> Path:
    group, name, version = jar.coordinate.split(":")
    return cache.joinpath(*group.split("."), name, version, f"{name}-{version}.jar")
