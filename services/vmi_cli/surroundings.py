"""Which broker and database the command line speaks to: those of the environment, else the embedded ones."""

import os

from pydantic import SecretStr

from vmi_cli.console import Refused, err
from vmi_local import Addresses, LocalServers, progress_bar
from vmi_runtime import settings as runtime_settings
from vmi_runtime.settings import Settings

BOOTSTRAP_SERVERS_VARIABLE = "VMI_KAFKA__BOOTSTRAP_SERVERS"
DATABASE_URL_VARIABLE = "VMI_DATABASE__URL"


def connected(*, start: bool = False) -> Settings:
    """Return the settings with both addresses filled in.

    An address in the environment always wins. Where one is missing, the embedded server's address is taken;
    ``start`` brings it up if it does not run, else that it does not run is the user's to mend.
    """
    settings = runtime_settings.load()
    if settings.kafka.bootstrap_servers and settings.database.url:
        return settings
    servers = LocalServers()
    if start:
        with progress_bar(err) as report:
            return with_addresses(settings, servers.up(report))
    stopped = [server.name for server in servers.status().servers if server.state == "stopped"]
    if stopped:
        raise Refused(
            f"the embedded {' and '.join(stopped)} {'is' if len(stopped) == 1 else 'are'} not running: "
            f"start with `vmi local up`, or name your own with {BOOTSTRAP_SERVERS_VARIABLE} and {DATABASE_URL_VARIABLE}"
        )
    return with_addresses(settings, servers.addresses())


def with_addresses(settings: Settings, addresses: Addresses) -> Settings:
    """Return the settings with these addresses in place of missing ones."""
    kafka = settings.kafka.model_copy(
        update={"bootstrap_servers": settings.kafka.bootstrap_servers or addresses.bootstrap_servers}
    )
    database = settings.database.model_copy(update={"url": settings.database.url or SecretStr(addresses.database_url)})
    return settings.model_copy(update={"kafka": kafka, "database": database})


def environment_of(settings: Settings) -> dict[str, str]:
    """Return the environment of a child process that shall use the same servers."""
    environment = dict(os.environ)
    if settings.kafka.bootstrap_servers:
        environment[BOOTSTRAP_SERVERS_VARIABLE] = settings.kafka.bootstrap_servers
    if settings.database.url:
        environment.pop(f"{DATABASE_URL_VARIABLE}_FILE", None)
        environment[DATABASE_URL_VARIABLE] = settings.database.url.get_secret_value()
    environment["VMI_CLOCK"] = settings.clock.value
    return environment
