"""The Faust app of a worker: what of Faust is used, and what is switched off."""

import logging
from typing import Any

import faust
from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from vmi_runtime import kafka_client
from vmi_runtime.batch_path import Fence, NoFence, Transport
from vmi_runtime.settings import KafkaSettings, Settings

FOR_EVER_SECONDS = 30 * 24 * 3600.0
"""While the database is away we keep our partitions: nobody else could write either."""

CHUNKS_WAITING = 4096
"""Never reached: ``InFlight.room`` holds fetching back long before."""


class App(faust.App):
    """A Faust app that consumes by the batch path, keeps no tables and writes nothing to the disk."""

    logger = logging.getLogger("faust.app")

    def __init__(self, *args: Any, settings: Settings, fence: Fence, **options: Any) -> None:
        self.consuming = settings.consuming
        self.fence = fence
        super().__init__(*args, **options)

    async def wait_until_crashed(self) -> None:
        """Return when one of Faust's services has failed for good: ``crash_reason`` says why."""
        await self._crashed.wait()

    def _create_directories(self) -> None:
        """Do nothing: without tables there is nothing to keep in a directory."""


def create(settings: Settings, group: str, *, fence: Fence | None = None) -> App:
    """Return the app of a consumer group. It belongs to the running event loop; nothing connects yet."""
    consuming = settings.consuming
    app = App(
        group,
        settings=settings,
        fence=fence or NoFence(),
        broker=broker_urls(settings.kafka),
        broker_credentials=credentials(settings.kafka),
        broker_client_id=group,
        broker_session_timeout=consuming.session_timeout_seconds,
        broker_heartbeat_interval=consuming.heartbeat_seconds,
        broker_commit_interval=consuming.commit_seconds,
        broker_commit_every=None,
        broker_max_poll_interval=FOR_EVER_SECONDS,
        broker_rebalance_timeout=max(10.0, consuming.session_timeout_seconds),
        broker_request_timeout=max(40.0, 2 * consuming.session_timeout_seconds),
        consumer_auto_offset_reset="earliest",
        key_serializer="raw",
        value_serializer="raw",
        autodiscover=False,
        store="memory://",
        stream_buffer_maxsize=CHUNKS_WAITING,
        # Consumer.on_partitions_revoked waits instead, and not for ever.
        stream_wait_empty=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        web_enabled=False,
        web_host="127.0.0.1",
        web_stats_enabled=False,
        web_graph_enabled=False,
        web_router_enabled=False,
        web_tables_enabled=False,
        worker_redirect_stdouts=False,
    )
    app.transport = Transport(app.conf.broker_consumer, app)
    return app


def broker_urls(kafka: KafkaSettings) -> list[str]:
    """Return the broker's addresses as Faust wants them."""
    return [f"kafka://{server.strip()}" for server in kafka_client.address(kafka).split(",")]


def credentials(kafka: KafkaSettings) -> CredentialsT | None:
    """Return who we are, as Faust wants it."""
    if kafka.security_protocol == "PLAINTEXT":
        return None
    trust = kafka_client.trust(kafka)
    if kafka.security_protocol == "SSL":
        return SSLCredentials(context=trust)
    username, password = kafka_client.login(kafka)
    return SASLCredentials(username=username, password=password, ssl_context=trust, mechanism=kafka.sasl_mechanism)
