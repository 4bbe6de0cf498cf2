"""The connection pool to Postgres."""

from typing import Final
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from vmi_store import codecs

Connection = AsyncConnection
"""An open transaction, for services to hand on: they hold no SQL of their own."""

Engine = AsyncEngine
"""The pool, for services that open transactions of their own."""

FROZEN_TRANSACTION_SECONDS = 15
"""A transaction that stands still so long (its process is frozen, say) is ended, and its locks are free."""


def create(
    url: str,
    *,
    application_name: str,
    pool_size: int = 4,
    statement_cache: int = 200,
    statement_timeout_seconds: float = 60,
) -> AsyncEngine:
    """Return an engine for ``postgresql+asyncpg://…``. It belongs to the running event loop; nothing connects yet.

    With ``statement_cache`` 0 no statement is prepared under a name that a PgBouncer could hand to another connection,
    and nothing is asked of the session at its start; give the role its timeouts with ALTER ROLE then.
    """
    arguments: dict[str, object] = {"statement_cache_size": 0, "timeout": 10}
    if statement_cache:
        arguments["prepared_statement_cache_size"] = statement_cache
        arguments["server_settings"] = {
            "application_name": application_name,
            "statement_timeout": str(int(statement_timeout_seconds * 1000)),
            "idle_in_transaction_session_timeout": str(FROZEN_TRANSACTION_SECONDS * 1000),
            "jit": "off",
        }
    else:
        arguments["prepared_statement_cache_size"] = 0
        arguments["prepared_statement_name_func"] = lambda: f"vmi_{uuid4().hex}"
    engine = create_async_engine(
        url, pool_size=pool_size, max_overflow=0, pool_timeout=30, hide_parameters=True, connect_args=arguments
    )
    if statement_cache:
        codecs.teach(engine)
    return engine


async def reach(engine: AsyncEngine) -> None:
    """Connect once, or raise ConnectionError where nobody answers."""
    try:
        async with engine.connect():
            pass
    except OSError as error:  # of what kind depends on how many addresses there are, and on the way to them
        raise ConnectionError(str(error) or "not in time") from error


_GONE: Final = ("08", "57P")
"""How the states (SQLSTATE) begin of a connection that is lost, and of a server that goes down or has not come up."""
_TURNED_AWAY: Final = ("28", "3D000", "53300")
"""Of a user or password that is wrong, a database that there is not, and too many connections."""


def unreachable(error: BaseException) -> str | None:
    """Return in one line why no Postgres answers, where an error says that none does: a full disk does not."""
    is_gone = isinstance(error, ConnectionError) or (isinstance(error, DBAPIError) and error.connection_invalidated)
    return _line(error) if is_gone or _state(error).startswith(_GONE) else None


def turned_away(error: BaseException) -> str | None:
    """Return in one line why Postgres, which answers, lets nobody in, where an error says so."""
    return _line(error) if _state(error).startswith(_TURNED_AWAY) else None


def _state(error: BaseException) -> str:
    return getattr(getattr(error, "orig", error), "sqlstate", None) or ""


def _line(error: BaseException) -> str:
    return str(getattr(error, "orig", None) or error).splitlines()[0]


async def be_patient(connection: AsyncConnection) -> None:
    """Let this transaction stand still, and its statements take, as long as it takes."""
    await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
    await connection.execute(text("SET LOCAL statement_timeout = 0"))
