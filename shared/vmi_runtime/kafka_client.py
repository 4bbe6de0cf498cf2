"""What every Kafka client is told: the address, and who we are."""

import ssl
from typing import Any

from vmi_runtime.settings import KafkaSettings, SettingsError


def arguments(kafka: KafkaSettings) -> dict[str, Any]:
    """Return the arguments with which any client of aiokafka is made."""
    found: dict[str, Any] = {
        "bootstrap_servers": address(kafka),
        "security_protocol": kafka.security_protocol,
        "ssl_context": trust(kafka),
    }
    if kafka.security_protocol.startswith("SASL"):
        username, password = login(kafka)
        found |= {
            "sasl_mechanism": kafka.sasl_mechanism,
            "sasl_plain_username": username,
            "sasl_plain_password": password,
        }
    return found


def address(kafka: KafkaSettings) -> str:
    """Return the broker's addresses as they are set, or raise SettingsError."""
    if not kafka.bootstrap_servers:
        raise SettingsError("no broker is named; set VMI_KAFKA__BOOTSTRAP_SERVERS=host:port")
    return kafka.bootstrap_servers


def trust(kafka: KafkaSettings) -> ssl.SSLContext | None:
    """Return whom we trust to be the broker; None without encryption."""
    if not kafka.security_protocol.endswith("SSL"):
        return None
    return ssl.create_default_context(cafile=str(kafka.ca_file) if kafka.ca_file else None)


def login(kafka: KafkaSettings) -> tuple[str, str]:
    """Return user name and password, or raise SettingsError."""
    if not kafka.username or kafka.password is None:
        raise SettingsError(
            f"{kafka.security_protocol} needs VMI_KAFKA__USERNAME and VMI_KAFKA__PASSWORD (or VMI_KAFKA__PASSWORD_FILE)"
        )
    return kafka.username, kafka.password.get_secret_value()
