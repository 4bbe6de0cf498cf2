"""Workers as processes of one terminal: started, started again when they die, stopped together."""

import asyncio
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from vmi_runtime.worker import EXIT_CANNOT_START

WORKERS: Final = ("inventory", "forecast", "replenishment", "relay")
FIRST_PAUSE_SECONDS: Final = 0.5
LONGEST_PAUSE_SECONDS: Final = 30.0
LIVED_LONG_SECONDS: Final = 60.0
"""A worker that lived so long starts again without a pause grown by earlier deaths."""
STOP_WITHIN_SECONDS: Final = 20.0
Say = Callable[[str, str], None]
"""Called with a worker's name and one line of what it says, or of what happens to it."""


@dataclass(slots=True)
class Supervised:
    """One worker and its present process."""

    name: str
    process: Process | None = None
    deaths: int = 0


class Supervisor:
    """Keeps workers running until it is told to stop, or one cannot start at all."""

    def __init__(self, names: Sequence[str], environment: Mapping[str, str], say: Say) -> None:
        self.workers = [Supervised(name) for name in names]
        self._environment = {**environment, "VMI_ENDS_WITH_INPUT": "true"}
        self._say = say
        self._stopping = asyncio.Event()
        self._failed: str | None = None

    async def run(self) -> str | None:
        """Run until ``stop``; return the name of a worker that could not start, if one could not."""
        await asyncio.gather(*(self._keep(worker) for worker in self.workers))
        return self._failed

    def stop(self) -> None:
        """Ask every worker to end after the batch in hand."""
        self._stopping.set()

    async def _keep(self, worker: Supervised) -> None:
        pause = FIRST_PAUSE_SECONDS
        while not self._stopping.is_set():
            started = asyncio.get_running_loop().time()
            status = await self._one_life(worker)
            if self._stopping.is_set():
                return
            if status == EXIT_CANNOT_START:
                self._failed = worker.name
                self.stop()
                return
            worker.deaths += 1
            if asyncio.get_running_loop().time() - started > LIVED_LONG_SECONDS:
                pause = FIRST_PAUSE_SECONDS
            self._say(worker.name, f"ended with {_in_words(status)}; starts again in {pause:g} s")
            await _first(self._stopping.wait(), asyncio.sleep(pause))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _one_life(self, worker: Supervised) -> int:
        """Run one process to its end and return its exit status; when we stop, it is asked to end, then made to."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            f"vmi_{worker.name}",
            env=self._environment,
            stdin=PIPE,  # its end, when we are killed, is the worker's too: nobody would start it again, or stop it
            stdout=PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C reaches us alone: workers end in order, not all at once
        )
        worker.process = process
        talking = asyncio.create_task(self._pass_on(worker.name, process))
        try:
            await _first(self._stopping.wait(), process.wait())
            if process.returncode is None:
                await _end(process)
        finally:
            if process.returncode is None:
                process.kill()
            await talking
        return await process.wait()

    async def _pass_on(self, name: str, process: Process) -> None:
        assert process.stdout is not None
        while chunk := await process.stdout.readline():
            self._say(name, chunk.decode(errors="replace").rstrip())


async def _end(process: Process) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_WITHIN_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _first(*waits: Awaitable[object]) -> None:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _in_words(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
