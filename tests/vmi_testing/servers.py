"""The broker and the database that tests run against: one interface, three ways to come by them."""

import gc
import os
import secrets
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import asyncpg
import psutil
from sqlalchemy.engine import make_url

from vmi_local import Addresses, LocalServers
from vmi_local.kafka import answers
from vmi_local.ports import free_ports

SESSIONS = Path(__file__).parents[2] / ".vmi" / "test"
KAFKA_IMAGE = "apache/kafka:4.1.1"
POSTGRES_IMAGE = "postgres:18"


def session_directory(label: str = "") -> Path:
    """Return a directory for servers of this test session; what a killed session leaves in it is removed later."""
    return SESSIONS / f"{os.getpid()}{label}"


@contextmanager
def local() -> Iterator[Addresses]:
    """Servers of this test session alone, from vmi_local; an address in the environment wins, as it always does."""
    _remove_leftovers()
    servers = LocalServers(session_directory())
    try:
        yield servers.up()
    finally:
        servers.destroy()


@contextmanager
def containers() -> Iterator[Addresses]:
    """Servers in containers (testcontainers), for those who have a Docker engine."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    [port] = free_ports(1)
    kafka = DockerContainer(KAFKA_IMAGE).with_bind_ports(9092, port).with_envs(**kafka_settings(port))
    kafka.waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    password = secrets.token_urlsafe(16)
    postgres = DockerContainer(POSTGRES_IMAGE).with_exposed_ports(5432)
    postgres.with_envs(POSTGRES_USER="vmi", POSTGRES_DB="vmi", POSTGRES_PASSWORD=password)
    # The first server that reports ready is the one that sets the image's database up; the second one stays.
    postgres.waiting_for(LogMessageWaitStrategy("database system is ready to accept connections", times=2))
    with ExitStack() as stack:
        stack.enter_context(kafka)
        stack.enter_context(postgres)
        assert answers(port)
        host, database_port = postgres.get_container_host_ip(), postgres.get_exposed_port(5432)
        yield Addresses(
            bootstrap_servers=f"127.0.0.1:{port}",
            database_url=f"postgresql+asyncpg://vmi:{password}@{host}:{database_port}/vmi",
        )


def kafka_settings(port: int) -> dict[str, str]:
    """Return the environment that makes the Kafka image one node, reached at ``port`` of this machine."""
    return {
        "KAFKA_NODE_ID": "1",
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_LISTENERS": "PLAINTEXT://:9092,CONTROLLER://:9093",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    }


def missing_docker() -> str | None:
    """Return why containers cannot be used here, or None where they can."""
    try:
        import docker  # type: ignore[import-untyped]
    except ImportError:
        return "the package 'docker' is not installed"
    with warnings.catch_warnings():
        # Its client forgets to close the socket with which it tried.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            docker.from_env(timeout=5).close()
        except docker.errors.DockerException as error:
            return f"no Docker engine answers ({error.__context__ or error})"
        finally:
            gc.collect()
    return None


class Databases:
    """Databases made for tests on one server, and dropped after them."""

    def __init__(self, server_url: str) -> None:
        self._server_url = server_url
        self._made: list[str] = []

    async def new(self, template: str | None = None) -> str:
        """Return the URL of a new database: empty, or a copy of the one at the URL ``template``.

        A database serves as template while nobody is connected to it.
        """
        name = f"vmi_test_{secrets.token_hex(6)}"
        source = make_url(template).database if template else "template1"
        await self._run(f'CREATE DATABASE {name} TEMPLATE "{source}"')
        self._made.append(name)
        return make_url(self._server_url).set(database=name).render_as_string(hide_password=False)

    async def drop_all(self) -> None:
        """Drop what was made, whoever is still connected."""
        while self._made:
            await self._run(f"DROP DATABASE {self._made.pop()} WITH (FORCE)")

    async def _run(self, statement: str) -> None:
        connection = await asyncpg.connect(plain(self._server_url))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def plain(database_url: str) -> str:
    """Return the URL as asyncpg itself wants it, without SQLAlchemy's name of the driver."""
    return make_url(database_url).set(drivername="postgresql").render_as_string(hide_password=False)


def _remove_leftovers() -> None:
    """End and remove the servers of test sessions that were killed."""
    for session in SESSIONS.glob("*"):
        pid = session.name.partition("-")[0]
        if pid.isdigit() and not psutil.pid_exists(int(pid)):
            LocalServers(session).destroy()
