"""Keeping the tables small while the years pass: what is old and followed by nothing is deleted, a chunk at a time."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Final, Protocol

import structlog

from vmi_runtime import failure
from vmi_runtime.settings import RetentionSettings
from vmi_runtime.worker import Surroundings
from vmi_store import housekeeping, quarantine
from vmi_store.engine import Connection, Engine

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 3600.0
AT_ONCE: Final = 2000
PAUSE_SECONDS: Final = 0.2
"""Between two chunks: whoever takes in facts goes first."""


class Delete(Protocol):
    """Deletes some of what is older; returns how many."""

    def __call__(self, connection: Connection, *, keep: timedelta, at_most: int) -> Awaitable[int]: ...


def _what(retention: RetentionSettings) -> list[tuple[str, Delete, float]]:
    return [
        ("inbox", housekeeping.delete_letters, retention.inbox_days),
        ("quarantine", quarantine.purge, retention.quarantine_days),
        ("exceptions", housekeeping.delete_exceptions, retention.exceptions_days),
        ("reconciliations", housekeeping.delete_reconciliations, retention.reconciliations_days),
    ]


async def keep_house(surroundings: Surroundings) -> None:
    """Delete, every hour, what is older than the settings say, until the process is to stop."""
    while not surroundings.stopping.is_set():
        await delete_old(surroundings.engine, surroundings.settings.retention, surroundings.stopping.is_set)
        try:
            await asyncio.wait_for(surroundings.stopping.wait(), EVERY_SECONDS)
        except TimeoutError:
            continue


async def delete_old(engine: Engine, retention: RetentionSettings, is_stopping: Callable[[], bool]) -> dict[str, int]:
    """Delete all that is older than it is to be kept; return how many rows, by what they are."""

    async def once(delete: Delete, keep: timedelta) -> int:
        async with engine.begin() as connection:
            return await delete(connection, keep=keep, at_most=AT_ONCE)

    deleted: dict[str, int] = {}
    for name, delete, days in _what(retention):
        deleted[name] = 0
        while not is_stopping():
            gone = await failure.retried(f"deleting old {name}", partial(once, delete, timedelta(days=days)))
            deleted[name] += gone
            if gone < AT_ONCE:
                break
            await asyncio.sleep(PAUSE_SECONDS)
    if any(deleted.values()):
        log.info("old rows deleted", **deleted)
    return deleted
