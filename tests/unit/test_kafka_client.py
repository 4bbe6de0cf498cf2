"""What Kafka clients are told about the broker, and about who we are."""

import pytest
from faust.auth import SASLCredentials, SSLCredentials
from pydantic import SecretStr

from vmi_runtime import faust_app, kafka_client
from vmi_runtime.settings import KafkaSettings, SettingsError


def test_without_an_address_the_missing_variable_is_named():
    with pytest.raises(SettingsError, match="VMI_KAFKA__BOOTSTRAP_SERVERS"):
        kafka_client.arguments(KafkaSettings())


def test_a_plain_broker_needs_no_login():
    kafka = KafkaSettings(bootstrap_servers="one:9092,two:9092")

    assert kafka_client.arguments(kafka) == {
        "bootstrap_servers": "one:9092,two:9092",
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }
    assert faust_app.broker_urls(kafka) == ["kafka://one:9092", "kafka://two:9092"]
    assert faust_app.credentials(kafka) is None


def test_a_login_is_given_to_every_client():
    kafka = KafkaSettings(
        bootstrap_servers="one:9092", security_protocol="SASL_SSL", username="vmi", password=SecretStr("hush")
    )

    arguments = kafka_client.arguments(kafka)
    credentials = faust_app.credentials(kafka)

    assert arguments["sasl_mechanism"] == "SCRAM-SHA-512"
    assert (arguments["sasl_plain_username"], arguments["sasl_plain_password"]) == ("vmi", "hush")
    assert arguments["ssl_context"].check_hostname is True
    assert isinstance(credentials, SASLCredentials)
    assert (credentials.username, credentials.protocol.value, credentials.mechanism.value) == (
        "vmi",
        "SASL_SSL",
        "SCRAM-SHA-512",
    )
    assert "hush" not in repr(credentials)


def test_encryption_without_a_login_is_possible():
    kafka = KafkaSettings(bootstrap_servers="one:9092", security_protocol="SSL")

    assert isinstance(faust_app.credentials(kafka), SSLCredentials)
    assert kafka_client.arguments(kafka)["ssl_context"].check_hostname is True


def test_a_login_without_a_password_is_refused():
    kafka = KafkaSettings(bootstrap_servers="one:9092", security_protocol="SASL_PLAINTEXT", username="vmi")

    with pytest.raises(SettingsError, match="VMI_KAFKA__PASSWORD"):
        kafka_client.arguments(kafka)
