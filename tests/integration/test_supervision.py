"""Workers under supervision: real processes that die, refuse to start, and stop."""

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from vmi_cli.supervision import Supervisor
from vmi_testing.processes import ended, started
from vmi_testing.waiting import until

Said = list[tuple[str, str]]
NOWHERE = {
    "VMI_DATABASE__URL": "postgresql://nobody@127.0.0.1:1/none",
    "VMI_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1",
}


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


def lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


async def test_workers_end_when_who_supervises_them_is_killed(tmp_path: Path) -> None:
    program = (
        "import asyncio, os\n"
        "from vmi_cli.supervision import Supervisor\n"
        "asyncio.run(Supervisor(['relay'], os.environ, lambda name, line: print(line, flush=True)).run())\n"
    )
    (tmp_path / "supervising.py").write_text(program)

    with started("supervising", log=tmp_path / "log", **NOWHERE, PYTHONPATH=str(tmp_path)) as supervising:
        [relay] = await until(psutil.Process(supervising.pid).children)
        try:
            await until(lambda: "tried again" in (tmp_path / "log").read_text())
            supervising.kill()
            await until(lambda: not lives(relay))
        finally:
            with suppress(psutil.NoSuchProcess):
                relay.kill()


async def test_a_worker_that_waits_for_its_database_ends_at_once_when_it_is_told_to(tmp_path: Path) -> None:
    with started("vmi_relay", log=tmp_path / "log", **NOWHERE) as relay:
        await until(lambda: "tried again" in (tmp_path / "log").read_text())
        relay.terminate()
        assert await ended(relay) == 0
