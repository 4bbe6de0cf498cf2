"""The failure policy, written once: what is tried again, what is the data's fault, and what ends the process."""

import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import NoReturn, TypeVar

import structlog
from aiokafka.errors import KafkaConnectionError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

log = structlog.get_logger(__name__)

T = TypeVar("T")

EXIT_OF_A_BUG = 70
EXIT_OF_THE_SURROUNDINGS = 75
"""What was needed went away where nothing can be tried again in place; the process is to be started again."""
FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 2.0


class Fault(Enum):
    """Whose fault a failure is."""

    TRANSIENT = auto()
    """The surroundings': the same again will work, sooner or later."""

    DATA = auto()
    """The data's: the database will never take what was sent."""

    BUG = auto()
    """Ours."""


TRANSIENT_STATES = (
    "08",  # the connection
    "40",  # deadlock, serialization
    "53",  # disk full, out of memory, too many connections
    "57",  # administrator's shutdown, crash, starting up, statement timeout
    "58",  # the database's own disk
    "25006",  # read only: a failover is under way
    "25P03",  # this process stood still in a transaction
    "55P03",  # a lock not to be had
    "0A000",  # "cached plan must not change result type": the schema was changed under us
)
DATA_STATES = (
    "22000",  # what the driver itself cannot encode
    "22001",  # a text too long
    "22003",  # a number out of range
    "22007",  # a date, or
    "22008",  # a time that there is not
    "22021",  # a NUL in a text, or bytes that are none
    "22P02",  # half a surrogate pair in JSON
    "22P05",  # a NUL in JSON
    "54",  # larger than the database can hold
)
"""What a sender can cause that has passed the contracts. The other data exceptions (a division by zero) follow from
what we compute, and a constraint that is violated is a promise of ours: put aside as the sender's fault nobody would
ever look for them."""


def fault(error: BaseException) -> Fault:
    """Return whose fault ``error`` is."""
    if isinstance(error, (OSError, PoolTimeoutError, KafkaConnectionError)):
        return Fault.TRANSIENT  # nobody there, nobody answers
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Fault.TRANSIENT
    cause = _cause(error)
    if isinstance(cause, OSError):
        return Fault.TRANSIENT
    state = getattr(cause, "sqlstate", None) or ""
    if state.startswith(TRANSIENT_STATES):
        return Fault.TRANSIENT
    return Fault.DATA if state.startswith(DATA_STATES) else Fault.BUG


def _cause(error: BaseException) -> BaseException:
    """Return what the driver raised, out of SQLAlchemy's wrapping."""
    if isinstance(error, DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


async def retried(what: str, do: Callable[[], Awaitable[T]]) -> T:
    """Return what ``do`` returns, trying again for as long as its failures are the surroundings' fault."""
    attempt = 0
    while True:
        try:
            result = await do()
        except Exception as error:
            if fault(error) is not Fault.TRANSIENT:
                raise
            seconds = pause_seconds(attempt)
            log.warning(
                "tried again", what=what, attempt=attempt + 1, in_seconds=round(seconds, 2), reason=reason(error)
            )
            attempt += 1
            await asyncio.sleep(seconds)
        else:
            if attempt:
                log.info("it works again", what=what, attempts=attempt + 1)
            return result


def pause_seconds(attempt: int) -> float:
    """Return how long to wait after the failure of ``attempt`` (0 is the first): longer each time, never in step."""
    return min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(attempt, 20)) * random.uniform(0.5, 1.0)  # noqa: S311


def reason(error: BaseException) -> str:
    """Return an error as one line, without the data that caused it."""
    cause = _cause(error)
    return f"{type(cause).__name__}: {cause}".splitlines()[0]


def die(what: str, error: BaseException) -> NoReturn:
    """End the process at once: nothing is acknowledged, nothing tidied up, and whoever supervises starts it again."""
    if fault(error) is Fault.TRANSIENT:
        log.error("what it needs is gone; it ends and is to be started again", what=what, reason=reason(error))
        _exit(EXIT_OF_THE_SURROUNDINGS)
    log.critical("a bug ends this process; nothing of the batch is acknowledged", what=what, exc_info=error)
    _exit(EXIT_OF_A_BUG)


def _exit(code: int) -> NoReturn:
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(code)
