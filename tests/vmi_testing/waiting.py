"""Waiting for an effect, under a deadline: the only place where tests sleep."""

import asyncio
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any

LOOK_EVERY_SECONDS = 0.05


async def until(reached: Callable[[], Any | Awaitable[Any]], *, within_seconds: float = 30, what: str = "") -> Any:
    """Return what ``reached`` gives as soon as it is true; fail with ``what`` when that takes too long."""
    try:
        async with asyncio.timeout(within_seconds):
            while True:
                found = reached()
                if isawaitable(found):
                    found = await found
                if found:
                    return found
                await asyncio.sleep(LOOK_EVERY_SECONDS)
    except TimeoutError:
        raise AssertionError(f"not within {within_seconds:g} s: {what or reached}") from None
