"""Apache Kafka on this machine: one node, broker and controller in one process (KRaft), reached by 127.0.0.1 only."""

import base64
import re
import shutil
import signal
import socket
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import psutil

from vmi_local import ports
from vmi_local.directory import explained, full, make
from vmi_local.errors import LocalServerError
from vmi_local.jars import kafka_jars
from vmi_local.java import Java, find_java
from vmi_local.process import Daemon, alive, last_lines, run, set_aside
from vmi_local.progress import Cancellation, Report

START_PATIENCE_SECONDS = 90.0
STOP_PATIENCE_SECONDS = 20.0

# What comes on top of the directory and the ports. Few internal partitions, since each is files and start-up time; one
# replica of everything, since there is one node. A broker that was killed is let in again only when its old session
# has run out: 6 s instead of 9. (So it is with every broker that did not take leave: controlled shutdown stays on.)
SETTINGS = """\
process.roles=broker,controller
node.id=1
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
auto.create.topics.enable=false
group.initial.rebalance.delay.ms=0
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1500
log.cleaner.dedupe.buffer.size=16777216
"""

LOGGING = """\
rootLogger.level=INFO
rootLogger.appenderRef.file.ref=file
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={log}
appender.file.filePattern={log}.%i
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{{ISO8601}} %-5p %m (%c{{1}})%n
appender.file.policies.type=SizeBasedTriggeringPolicy
appender.file.policies.size=5MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=2
"""

# An archive of loaded classes (AutoCreateSharedArchive) would take 0.9 s of the 2.1 s of a start, for 48 MB of disk and
# 1.4 s at the first stop: not worth it.
JVM_OPTIONS = (
    "-Xmx512m",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    "-Djava.net.preferIPv4Stack=true",
    "-Dlog4j2.disable.jmx=true",
)


class Kafka:
    """The broker of one directory."""

    name = "Kafka"

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "kafka"
        self.log = self.directory / "kafka.log"
        self._ports_file = self.directory / "ports.json"
        self._settings = self.directory / "server.properties"
        self._logging = self.directory / "log4j2.properties"
        self._data = self.directory / "data"
        self._class_path = self.directory / "classpath.args"
        self._formatted = self.directory / "formatted"
        self._temporary = self.directory / "tmp"
        self.daemon = Daemon(
            pid_file=self.directory / "kafka.pid", log=self.directory / "kafka.out", mark=str(self._settings)
        )

    @property
    def address(self) -> str:
        """The bootstrap servers of this broker; its port is chosen with the first call."""
        return f"127.0.0.1:{self._ports()[0]}"

    def start(self, report: Report, cancellation: Cancellation) -> bool:
        """Bring the broker up and return whether it had to be started."""
        if process := self.daemon.process():
            self._wait(process, cancellation)
            report(self.name, "running", 1.0)
            return False
        report(self.name, "looking for Java", 0.0)
        java = find_java()
        report(self.name, "jars", 0.02)
        jars = kafka_jars(
            lambda have, total: report(self.name, f"jars {have}/{total}", 0.6 * have / total), cancellation.check
        )
        make(self._temporary)
        port, controller_port = self._ports()
        for taken in (port, controller_port):
            ports.refuse_taken(self.name, taken, self._ports_file)
        self._write_settings(port, controller_port, jars)
        if not self._formatted.exists():
            report(self.name, "format", 0.65)
            self._format(java)
        cancellation.check()
        report(self.name, "start", 0.75)
        set_aside(self.log)
        set_aside(self.daemon.log)
        process = self.daemon.start(self._command(java), home=self.directory)
        try:
            self._wait(process, cancellation)
        except BaseException:
            self.stop()
            raise
        report(self.name, "running", 1.0)
        return True

    def stop(self) -> None:
        """Stop the broker in its own way."""
        self.daemon.stop(signal.SIGTERM, STOP_PATIENCE_SECONDS)
        # The native libraries that the JVM unpacks; a broker that was killed leaves them behind.
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _ports(self) -> tuple[int, int]:
        make(self.directory)
        kept = ports.remembered(self._ports_file, ("broker", "controller"))
        return kept["broker"], kept["controller"]

    def _write_settings(self, port: int, controller_port: int, jars: Sequence[Path]) -> None:
        with explained(f"{self.directory} cannot be written"):
            # In a file, so that the command line stays readable.
            self._class_path.write_text(f'-cp "{":".join(map(str, jars))}"')
            self._logging.write_text(LOGGING.format(log=self.log))
            self._settings.write_text(
                SETTINGS
                + f"listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}\n"
                + f"advertised.listeners=PLAINTEXT://127.0.0.1:{port}\n"
                + f"controller.quorum.voters=1@127.0.0.1:{controller_port}\n"
                + f"log.dirs={self._data}\n"
            )

    def _format(self, java: Java) -> None:
        # What an interrupted format left behind is no data yet.
        shutil.rmtree(self._data, ignore_errors=True)
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes)[:22].decode()
        tool: list[str | Path] = [java.executable, f"@{self._class_path}", "kafka.tools.StorageTool"]
        formatted = run(
            # With "=", since an id may begin with a dash.
            [*tool, "format", f"--cluster-id={cluster_id}", f"--config={self._settings}"],
            home=self.directory,
        )
        if formatted.returncode != 0:
            raise self._failure((formatted.stdout + formatted.stderr).splitlines())
        with explained(f"{self._formatted} cannot be written"):
            self._formatted.touch()

    def _command(self, java: Java) -> list[str]:
        return [
            str(java.executable),
            *JVM_OPTIONS,
            f"-Djava.io.tmpdir={self._temporary}",
            f"-Dlog4j2.configurationFile={self._logging.as_uri()}",
            f"@{self._class_path}",
            "kafka.Kafka",
            str(self._settings),
        ]

    def _wait(self, process: psutil.Process, cancellation: Cancellation) -> None:
        port = self._ports()[0]
        deadline = time.monotonic() + START_PATIENCE_SECONDS
        while not answers(port):
            if not alive(process):
                raise self._failure(self._last_words())
            if time.monotonic() > deadline:
                raise LocalServerError(
                    f"Kafka did not answer within {START_PATIENCE_SECONDS:.0f} s. Its log {self.log} may say why."
                )
            cancellation.pause(0.05)

    def _last_words(self) -> list[str]:
        return last_lines(self.log, 100) + last_lines(self.daemon.log, 100)

    def _failure(self, lines: list[str]) -> LocalServerError:
        said = "\n".join(lines)
        if "No space left on device" in said or full(self.directory):
            return LocalServerError(
                f"Kafka cannot start: the disk of {self.directory} is full. "
                "Free some space or set VMI_LOCAL__DIRECTORY to a directory on another disk."
            )
        if "Address already in use" in said:
            return LocalServerError(
                f"Kafka cannot start: its port was taken meanwhile. "
                f"Try again, or delete {self._ports_file} to have another port chosen."
            )
        errors = [line for line in lines if re.search(r"ERROR|FATAL|Exception|Error:", line)]
        reason = errors[-1].strip() if errors else "it was killed, perhaps for lack of memory"
        return LocalServerError(f"Kafka ended while it started: {reason}. Its log: {self.log}.")


def answers(port: int) -> bool:
    """Tell whether a broker on ``port`` serves requests: it lists its protocol versions (ApiVersions, version 0)."""
    # Length, key 18, version 0, correlation id 1, no client id.
    request = bytes.fromhex("0000000a 0012 0000 00000001 ffff")
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(request)
            # Length, then the same correlation id, then error code 0.
            return connection.recv(10)[4:10] == bytes.fromhex("00000001 0000")
    except OSError:
        return False
