"""The embedded default: Apache Kafka and Postgres on this machine, started and stopped by us."""

from vmi_local.errors import LocalServerError
from vmi_local.progress import Report, progress_bar
from vmi_local.servers import Addresses, LocalServers, ServerStatus, Status, local_servers

__all__ = [
    "Addresses",
    "LocalServerError",
    "LocalServers",
    "Report",
    "ServerStatus",
    "Status",
    "local_servers",
    "progress_bar",
]
