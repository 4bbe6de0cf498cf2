"""The barrier between simulated days: everything sent is processed, and everything that follows is published.

Without it the simulated stores would run ahead of the service and live through days whose proposals come too late.
"""

import asyncio
from collections.abc import Callable, Mapping
from itertools import count
from typing import Final, Protocol

from vmi_demo.wire import Reader, Received
from vmi_runtime.clock import monotonic
from vmi_runtime.pipeline import Backlog

LOOK_EVERY_SECONDS: Final = 0.25
READ_EVERY_LOOKS: Final = 4
"""Reading costs as much as looking, and only the last of it is waited for."""
STUCK_AFTER_SECONDS: Final = 120.0


class Stuck(Exception):
    """The workers got no further for a long time; the message says who waits where."""


class Watched(Protocol):
    """Tells what is still to be done: ``vmi_runtime.pipeline.Pipeline``."""

    async def backlog(self) -> Backlog: ...


Places = Mapping[tuple[str, str], int]
"""How many records wait for a group in a topic."""


async def settle(
    pipeline: Watched,
    reader: Reader,
    take_in: Callable[[list[Received]], None],
    look: Callable[[Places], None] = lambda _: None,
) -> None:
    """Wait until the workers have nothing left to do; hand over the proposals as they come, and show what waits."""
    last, last_moved_at = None, monotonic()
    for looks in count(1):
        # In this order: what the look finds published is on the topic, so what is read after it is all there is.
        backlog = await pipeline.backlog()
        where = waits(backlog)
        if not where or looks % READ_EVERY_LOOKS == 0:
            take_in(await reader.up_to_now())
        look(where)
        if not where:
            return
        if where != last:
            last, last_moved_at = where, monotonic()
        elif monotonic() - last_moved_at > STUCK_AFTER_SECONDS:
            raise Stuck(f"nothing moved for {STUCK_AFTER_SECONDS:.0f} s: {_in_words(where)}")
        await asyncio.sleep(LOOK_EVERY_SECONDS)


def waits(backlog: Backlog) -> Places:
    """Return how many records wait for each group in each topic, where there are any; the outbox under its own name."""
    found: dict[tuple[str, str], int] = {}
    for partition in backlog.partitions:
        if partition.behind:
            place = partition.group, partition.topic
            found[place] = found.get(place, 0) + partition.behind
    if backlog.unpublished:
        found["vmi-relay", "outbox"] = backlog.unpublished
    return found


def _in_words(where: Places) -> str:
    return "; ".join(f"{group} has {records} records of {topic} to do" for (group, topic), records in where.items())
