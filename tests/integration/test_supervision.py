"""Workers under supervision: real processes that die, refuse to start, and stop."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from vmi_cli.supervision import Supervisor
from vmi_testing.waiting import until

Said = list[tuple[str, str]]


@pytest.fixture
def said() -> Said:
    return []


@pytest.fixture
def supervise(tmp_path: Path, said: Said) -> Callable[..., Supervisor]:
    """A supervisor over workers that are made of a few lines of Python each."""

    def made(**workers: str) -> Supervisor:
        for name, body in workers.items():
            (tmp_path / f"vmi_{name}").mkdir()
            (tmp_path / f"vmi_{name}" / "__main__.py").write_text(body)
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONUNBUFFERED": "1"}
        return Supervisor(list(workers), environment, lambda name, line: said.append((name, line)))

    return made


async def test_a_worker_that_died_is_started_again(supervise: Callable[..., Supervisor], said: Said) -> None:
    supervisor = supervise(dying="print('alive'); raise SystemExit(70)")
    running = asyncio.create_task(supervisor.run())

    await until(lambda: said.count(("dying", "alive")) >= 2)
    supervisor.stop()

    assert await running is None
    assert ("dying", "ended with status 70; starts again in 0.5 s") in said


async def test_the_pause_grows_while_a_worker_keeps_dying(supervise: Callable[..., Supervisor], said: Said) -> None:
    supervisor = supervise(dying="raise SystemExit(1)")
    running = asyncio.create_task(supervisor.run())

    await until(lambda: len(said) >= 2)
    supervisor.stop()
    await running

    assert [line.split("again in ")[1] for _, line in said[:2]] == ["0.5 s", "1 s"]


async def test_a_worker_that_cannot_start_ends_all_and_is_named(
    supervise: Callable[..., Supervisor], said: Said
) -> None:
    supervisor = supervise(
        refusing="print('run: vmi migrate'); raise SystemExit(78)",
        patient="import time; time.sleep(60)",
    )

    async with asyncio.timeout(20):
        assert await supervisor.run() == "refusing"

    assert said == [("refusing", "run: vmi migrate")]


async def test_stop_ends_every_worker_by_sigterm(supervise: Callable[..., Supervisor], said: Said) -> None:
    body = (
        "import signal\nsignal.signal(signal.SIGTERM, lambda *_: (print('bye'), exit(0)))\nprint('up')\nsignal.pause()"
    )
    supervisor = supervise(one=body, two=body)
    running = asyncio.create_task(supervisor.run())
    await until(lambda: sorted(said) == [("one", "up"), ("two", "up")])

    supervisor.stop()

    assert await running is None
    assert sorted(said) == [("one", "bye"), ("one", "up"), ("two", "bye"), ("two", "up")]
