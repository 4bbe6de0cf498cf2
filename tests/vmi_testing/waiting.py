"""Waiting for an effect, under a deadline: the only place where tests sleep."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def until(
    look: Callable[[], Awaitable[T]], reached: Callable[[T], bool] = ..., *, seconds: float = ..., every: float = ...
) -> T: ...
@overload
async def until(
    look: Callable[[], T], reached: Callable[[T], bool] = ..., *, seconds: float = ..., every: float = ...
) -> T: ...
async def until(
    look: Callable[[], Any], reached: Callable[[Any], bool] = bool, *, seconds: float = 120, every: float = 0.05
) -> Any:
    """Return what ``look`` sees once it is as wanted; fail, with what was seen last, when the deadline passes."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if isawaitable(seen):
            seen = await seen
        if reached(seen):
            return seen
        assert time.monotonic() < deadline, f"after {seconds} s still {seen!r}"
        await asyncio.sleep(every)
