"""Servers that a test may harm: nobody else uses them."""

import os
from collections.abc import Iterator

import pytest

from vmi_local import LocalServers
from vmi_testing import servers as testing_servers


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalServers]:
    """Servers of one test's own, to be killed."""
    for name in [name for name in os.environ if name.startswith("VMI_")]:
        monkeypatch.delenv(name)
    made = LocalServers(testing_servers.session_directory("-own"))
    try:
        made.up()
        yield made
    finally:
        made.destroy()
