"""Which schema the database has, and which one this code needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

MIGRATIONS = Path(__file__).parent / "migrations"
ONE_AT_A_TIME = 0x766D69
"""The advisory lock under which one process migrates while the others wait ("vmi")."""


class SchemaError(Exception):
    """The database's schema is not the one this code needs; the message is one line and says what to do."""


def head() -> str:
    """Return the revision that this code needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


async def require_head(engine: AsyncEngine) -> None:
    """Raise SchemaError unless the database has exactly the schema of this code."""
    async with engine.connect() as connection:
        revision = await connection.run_sync(_current)
    needed = head()
    if revision == needed:
        return
    if revision is None:
        raise SchemaError(f"The database has no schema yet (this version needs {needed}); run: vmi migrate")
    if revision not in _known():
        raise SchemaError(
            f"The database is newer than this version ({revision}, not {needed}); install the newer version"
        )
    raise SchemaError(f"The database has schema {revision}, this version needs {needed}; run: vmi migrate")


async def migrate(engine: AsyncEngine) -> tuple[str | None, str]:
    """Bring the database to the schema of this code, all or nothing; return the revisions before and after."""
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL statement_timeout = 0"))
        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ONE_AT_A_TIME})
        before = await connection.run_sync(_current)
        await connection.run_sync(_upgrade)
    return before, head()


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def _upgrade(connection: Connection) -> None:
    configuration = _config()
    configuration.attributes["connection"] = connection
    command.upgrade(configuration, "head")


def _known() -> set[str]:
    return {script.revision for script in ScriptDirectory.from_config(_config()).walk_revisions()}


def _config() -> Config:
    configuration = Config()
    # ConfigParser reads % as an interpolation.
    configuration.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    configuration.set_main_option("path_separator", "os")
    return configuration
