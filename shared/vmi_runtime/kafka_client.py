"""What every Kafka client is told: the address, and who we are."""

import ssl
from typing import Any

from faust.auth import SASLCredentials, SSLCredentials
from faust.types.auth import CredentialsT

from vmi_runtime.settings import KafkaSettings, SettingsError


def arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the arguments with which any client of aiokafka is made."""
    found: dict[str, Any] = {
        "bootstrap_servers": _address(kafka),
        "security_protocol": kafka.security_protocol,
        "ssl_context": _trust(kafka),
    }
    if kafka.security_protocol.startswith("SASL"):
        username, password = _login(kafka)
        found |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": username,
            "sasl_plain_password": password,
        }
    return found


def broker_urls(kafka: KafkaSettings) -> list[str]:
    """Return the broker's addresses as Faust wants them."""
    return [f"kafka://{server.strip()}" for server in _address(kafka).split(",")]


def credentials(kafka: KafkaSettings) -> CredentialsT | None:
    """Return who we are, as Faust wants it."""
    if kafka.security_protocol == "PLAINTEXT":
        return None
    trust = _trust(kafka)
    if kafka.security_protocol == "SSL":
        return SSLCredentials(context=trust)
    username, password = _login(kafka)
    return SASLCredentials(username=username, password=password, ssl_context=trust, mechanism=kafka.sasl_mechanism)


def _address(kafka: KafkaSettings) -> str:
    if not kafka.bootstrap_servers:
        raise SettingsError("no broker is named; set VMI_KAFKA__BOOTSTRAP_SERVERS=host:port")
    return kafka.bootstrap_servers


def _trust(kafka: KafkaSettings) -> ssl.SSLContext | None:
    if not kafka.security_protocol.endswith("SSL"):
        return None
    return ssl.create_default_context(cafile=str(kafka.ca_file) if kafka.ca_file else None)


def _login(kafka: KafkaSettings) -> tuple[str, str]:
    if not kafka.username or kafka.password is None:
        raise SettingsError(
            f"{kafka.security_protocol} needs VMI_KAFKA__USERNAME and VMI_KAFKA__PASSWORD (or VMI_KAFKA__PASSWORD_FILE)"
        )
    return kafka.username, kafka.password.get_secret_value()
