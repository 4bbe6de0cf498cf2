"""A migrated database, shared by the tests of a session: each test uses customers of its own."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_store import engine as engines
from vmi_store import schema_version


@pytest.fixture(scope="session")
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine for a real Postgres with our schema."""
    made = engines.create(database_url, application_name="vmi-test", pool_size=8)
    await schema_version.migrate(made)
    yield made
    await made.dispose()


@pytest.fixture
def customer() -> str:
    """A customer whom no other test knows."""
    return f"customer-{uuid4().hex[:12]}"
