"""Workers as processes of their own, and waiting for what they do."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen

from .waiting import until

TESTS = Path(__file__).parents[1]


@contextmanager
def started(*arguments: str, log: Path, **variables: str) -> Iterator[Popen[bytes]]:
    """Run ``python -m …`` with these variables; it is killed at the end if it still runs. Its lines go to ``log``."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VMI_")}
    environment |= {"PYTHONPATH": str(TESTS), "PYTHONUNBUFFERED": "1", **variables}
    with log.open("ab") as lines:
        process = Popen([sys.executable, "-m", *arguments], env=environment, stdout=lines, stderr=lines)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)


async def ended(process: Popen[bytes], *, seconds: float = 30) -> int:
    """Return the exit code of a process that ends by itself."""

    await until(process.poll, lambda code: code is not None, seconds=seconds)
    return process.returncode
