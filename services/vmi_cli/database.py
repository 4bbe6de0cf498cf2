"""``vmi migrate``, and the connection that the looking commands share."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vmi_cli.console import Refused, err
from vmi_cli.surroundings import connected
from vmi_runtime.clock import Clock
from vmi_runtime.settings import Settings
from vmi_store import engine, partitions, schema_version


@asynccontextmanager
async def opened(settings: Settings, *, migrated: bool = True, patient: bool = False) -> AsyncIterator[engine.Engine]:
    """Give an engine for the database, whose schema must be this version's, or raise Refused.

    ``patient``: statements may take as long as they take.
    """
    assert settings.database.url is not None
    database = engine.create(
        settings.database.url.get_secret_value(),
        application_name="vmi-cli",
        pool_size=2,
        statement_cache=settings.database.statement_cache,
        statement_timeout_seconds=0 if patient else settings.database.statement_timeout_seconds,
    )
    try:
        await engine.reach(database)
        if migrated:
            await schema_version.require_head(database)
        yield database
    except Exception as error:
        if (reason := engine.turned_away(error)) is not None:
            raise Refused(f"Postgres lets nobody in ({reason}); see VMI_DATABASE__URL") from None
        if (reason := engine.unreachable(error)) is None:
            raise
        raise Refused(f"no Postgres answers ({reason}): is it running? `vmi local status` tells") from None
    finally:
        await database.dispose()


def migrate() -> None:
    """Bring the database's schema to this version's; harmless when it is there
    already.

        vmi migrate
    """
    before, after = asyncio.run(_migrate(connected()))
    err.print(f"The schema was {after} already" if before == after else f"Schema {before or 'empty'} → {after}")


async def _migrate(settings: Settings) -> tuple[str | None, str]:
    async with opened(settings, migrated=False) as database:
        before, after = await schema_version.migrate(database)
        async with database.begin() as connection:
            await partitions.prepare(connection, partitions.ahead(Clock().wall()))
        return before, after
