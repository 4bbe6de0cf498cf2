"""The embedded broker with one listener more, which asks for a login and is encrypted."""

import ipaddress
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from vmi_local.java import Java
from vmi_local.kafka import Kafka
from vmi_local.ports import free_ports
from vmi_local.process import run
from vmi_local.progress import Cancellation, silent

USER = "vmi"
SETTINGS = """\
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SECURED:SASL_SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-512
listener.name.secured.plain.sasl.jaas.config={plain} required user_{user}="{password}";
listener.name.secured.scram-sha-512.sasl.jaas.config={scram} required;
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
"""
LOGIN_MODULES = {
    "plain": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "scram": "org.apache.kafka.common.security.scram.ScramLoginModule",
}


@dataclass(frozen=True, slots=True)
class Secured:
    """How to reach the listener."""

    bootstrap_servers: str
    password: str
    ca_file: Path


@contextmanager
def secured_kafka(directory: Path) -> Iterator[Secured]:
    """A broker of this directory, until the end of the block."""
    kafka = _SecuredKafka(directory)
    try:
        kafka.start(silent, Cancellation())
        yield Secured(f"127.0.0.1:{kafka.port}", kafka.password, kafka.ca_file)
    finally:
        kafka.stop()
        shutil.rmtree(directory, ignore_errors=True)  # it may not have come to be


class _SecuredKafka(Kafka):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        [self.port] = free_ports(1)
        self.password = secrets.token_urlsafe(12)
        self.keystore = self.directory / "broker.pem"
        self.ca_file = self.directory / "ca.pem"

    def _write_settings(self, port: int, controller_port: int, jars: Sequence[Path]) -> None:
        super()._write_settings(port, controller_port, jars)
        _certify(self.keystore, self.ca_file)
        more = SETTINGS.format(user=USER, password=self.password, keystore=self.keystore, **LOGIN_MODULES)
        lines = self._settings.read_text().splitlines()
        listening = ("listeners=", "advertised.listeners=")
        with_ours = [f"{one},SECURED://127.0.0.1:{self.port}" if one.startswith(listening) else one for one in lines]
        self._settings.write_text("\n".join([*with_ours, more]))

    def _format(self, java: Java) -> None:
        tool: list[str | Path] = [java.executable, f"@{self._class_path}", "kafka.tools.StorageTool", "format"]
        login = f"--add-scram=SCRAM-SHA-512=[name={USER},password={self.password}]"
        made = run(
            [*tool, "--cluster-id=AAAAAAAAAAAAAAAAAAAAAA", f"--config={self._settings}", login], home=self.directory
        )
        assert made.returncode == 0, made.stderr
        self._formatted.touch()


def _certify(keystore: Path, ca_file: Path) -> None:
    """Write the broker's key with its certificate, and the certificate of the authority that signed it."""
    authority, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])
    now = datetime.now(UTC)

    def signed(subject: x509.Name, public_key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> bytes:
        builder = x509.CertificateBuilder(name, subject, public_key, x509.random_serial_number())
        dated = builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=1))
        return dated.add_extension(extension, critical=True).sign(authority, hashes.SHA256()).public_bytes(Encoding.PEM)

    itself = signed(name, authority.public_key(), x509.BasicConstraints(ca=True, path_length=0))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    of_broker = signed(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")]), key.public_key(), address)
    ca_file.write_bytes(itself)
    keystore.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + of_broker + itself)
    keystore.chmod(0o600)
