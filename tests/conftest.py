"""Fixtures for everybody: a broker and a database, each started once a test session."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import hypothesis
import pytest

from vmi_local import Addresses
from vmi_testing import servers

# A law says nothing of time. By default an example that takes 200 ms fails, as any may on a machine that is busy.
hypothesis.settings.register_profile("laws", deadline=None)
hypothesis.settings.load_profile("laws")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--servers",
        choices=["local", "docker"],
        default="local",
        help="what the tests run against where the environment names nothing: vmi_local or containers",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if any(item.get_closest_marker("docker") for item in items) and (reason := servers.missing_docker()):
        for item in items:
            if item.get_closest_marker("docker"):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def addresses(pytestconfig: pytest.Config) -> Iterator[Addresses]:
    """Broker and database of this test session; VMI_KAFKA__BOOTSTRAP_SERVERS and VMI_DATABASE__URL win."""
    provider = servers.containers if pytestconfig.getoption("--servers") == "docker" else servers.local
    with provider() as found:
        yield found


@pytest.fixture(scope="session")
def kafka(addresses: Addresses) -> str:
    """The bootstrap servers of a real broker."""
    return addresses.bootstrap_servers


@pytest.fixture(scope="session")
async def new_database(addresses: Addresses) -> AsyncIterator[Callable[..., Awaitable[str]]]:
    """``await new_database()`` makes an empty database and returns its URL, ``new_database(url)`` a copy of another."""
    databases = servers.Databases(addresses.database_url)
    yield databases.new
    await databases.drop_all()


@pytest.fixture(scope="session")
async def database_url(new_database: Callable[..., Awaitable[str]]) -> str:
    """The URL of a database that was empty at the start of this test session (``postgresql+asyncpg://…``)."""
    return await new_database()
