"""What is computed in the background keeps nothing waiting, and outlives nobody."""

import asyncio
import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from vmi_runtime import background
from vmi_testing.processes import started
from vmi_testing.waiting import until

PROGRAM = """
import asyncio, os, time
from vmi_runtime import background

def for_long(log):
    with open(log, "w") as told:
        told.write(str(os.getpid()))
    time.sleep(600)

async def alive():
    pass

if __name__ == "__main__":
    asyncio.run(background.computed(for_long, os.environ["TOLD"], alive))
"""


def priority_after(seconds: float) -> tuple[int, int]:
    time.sleep(seconds)
    return os.getpid(), os.nice(0)


def end_by(number: int) -> None:
    os.kill(os.getpid(), number)


async def alive() -> None:
    """Do nothing."""


async def test_another_process_computes_at_the_lowest_priority_while_this_one_is_heard_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "LOOK_SECONDS", 0.05)
    heard = []

    async def hear() -> None:
        heard.append(1)

    process, priority = await background.computed(priority_after, 0.5, hear)

    assert process != os.getpid()
    assert priority == background.LOWEST_PRIORITY
    assert len(heard) > 1
    assert await background.computed(priority_after, 0, hear) == (process, priority), "one process for all"


async def test_a_background_process_that_was_ended_is_the_surroundings_fault_and_there_is_another_one() -> None:
    with pytest.raises(ConnectionError, match="was ended"):
        await background.computed(end_by, signal.SIGKILL, alive)

    assert (await background.computed(priority_after, 0, alive))[1] == background.LOWEST_PRIORITY


def told_pid(log: str) -> None:
    Path(log).write_text(str(os.getpid()))
    time.sleep(600)


async def test_what_nobody_waits_for_any_more_keeps_the_next_one_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "LOOK_SECONDS", 0.05)

    async def fail_once_it_computes() -> None:
        if (tmp_path / "log").exists() and (tmp_path / "log").read_text():
            raise ConnectionError("the session is gone")

    with pytest.raises(ConnectionError, match="the session is gone"):
        await background.computed(told_pid, str(tmp_path / "log"), fail_once_it_computes)

    async with asyncio.timeout(60):
        assert (await background.computed(priority_after, 0, alive))[1] == background.LOWEST_PRIORITY
    left = int((tmp_path / "log").read_text())
    await until(lambda: not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE)


async def test_it_ends_when_the_process_that_it_computes_for_is_killed(tmp_path: Path) -> None:
    (tmp_path / "asking.py").write_text(PROGRAM)
    told = tmp_path / "told"

    with started("asking", log=tmp_path / "log", PYTHONPATH=str(tmp_path), TOLD=str(told)) as asking:
        await until(lambda: told.exists() and told.read_text())
        computing = psutil.Process(int(told.read_text()))
        try:
            asking.kill()
            await until(lambda: not computing.is_running() or computing.status() == psutil.STATUS_ZOMBIE)
        finally:
            with suppress(psutil.NoSuchProcess):
                computing.kill()
