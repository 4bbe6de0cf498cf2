"""Long computations in the background: in one process of the lowest priority, so that no event waits for them."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import Final, TypeVar

LOOK_SECONDS: Final = 5.0
LOWEST_PRIORITY: Final = 19

G = TypeVar("G")
R = TypeVar("R")


async def computed(work: Callable[[G], R], given: G, meanwhile: Callable[[], Awaitable[object]]) -> R:
    """Return ``work(given)``, computed in the background.

    ``work`` stands at the top of its module, and what it is given and returns can be pickled. ``meanwhile`` is called
    every five seconds until then. A background process that was ended (for want of memory, say) is a ConnectionError:
    the surroundings' fault, to be tried again. Where ``meanwhile`` fails, or nobody waits any more, the process is
    ended: else the next who asks would wait for what nobody wants.
    """
    process = _process()
    try:
        submitted = process.submit(work, given)
        computing = asyncio.wrap_future(submitted)
        try:
            while not (await asyncio.wait({computing}, timeout=LOOK_SECONDS))[0]:
                await meanwhile()
        except BaseException:
            computing.cancel()
            if not submitted.done() and not submitted.cancel():
                _end(process)
            raise
        return computing.result()
    except BrokenProcessPool as error:
        _forget(process)
        raise ConnectionError("the process that computes in the background was ended") from error


def _end(process: ProcessPoolExecutor) -> None:
    for one in list(process._processes.values()):
        one.kill()
    _forget(process)


def _forget(process: ProcessPoolExecutor) -> None:
    if _process() is process:
        _process.cache_clear()


@cache
def _process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), initializer=_begin)


def _begin() -> None:
    """Take the lowest priority, and end with the process that this one computes for, however that ends."""
    os.nice(LOWEST_PRIORITY)
    parent = parent_process()
    assert parent is not None

    def end() -> None:
        parent.join()
        os._exit(0)

    Thread(target=end, name="end with the parent", daemon=True).start()
