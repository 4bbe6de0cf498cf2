"""The settings: read once, and a misspelt name stops the start."""

import pytest

from vmi_runtime import settings
from vmi_runtime.clock import ClockMode
from vmi_runtime.settings import SettingsError


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith("VMI_")]:
        monkeypatch.delenv(name)


def test_the_environment_sets_what_it_names_and_defaults_stand_for_the_rest(monkeypatch):
    monkeypatch.setenv("VMI_CLOCK", "events")
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "broker:9092")
    monkeypatch.setenv("VMI_CONSUMING__BATCH_RECORDS", "7")

    loaded = settings.load()

    assert loaded.clock is ClockMode.EVENTS
    assert loaded.kafka.bootstrap_servers == "broker:9092"
    assert loaded.consuming.batch_records == 7
    assert loaded.consuming.session_timeout_seconds == 10


def test_a_misspelt_name_is_refused_with_the_nearest_that_there_is(monkeypatch):
    monkeypatch.setenv("VMI_DATABSE__URL", "postgresql://x")

    with pytest.raises(
        SettingsError, match=r"^VMI_DATABSE__URL is no setting of ours; did you mean VMI_DATABASE__URL\?$"
    ):
        settings.load()


def test_a_value_that_cannot_be_is_refused_in_one_line_that_names_the_variable(monkeypatch):
    monkeypatch.setenv("VMI_CONSUMING__BATCH_RECORDS", "none")

    with pytest.raises(SettingsError, match=r"^VMI_CONSUMING__BATCH_RECORDS cannot be used: .*integer") as refused:
        settings.load()
    assert "\n" not in str(refused.value)


def test_the_variables_of_the_embedded_servers_are_left_alone(monkeypatch):
    monkeypatch.setenv("VMI_LOCAL__ANYTHING", "1")

    settings.load()


def test_a_secret_may_stand_in_a_file(monkeypatch, tmp_path):
    secret = tmp_path / "password"
    secret.write_text("hush\n")
    monkeypatch.setenv("VMI_KAFKA__PASSWORD_FILE", str(secret))
    monkeypatch.setenv("VMI_KAFKA__USERNAME", "vmi")

    loaded = settings.load()

    assert loaded.kafka.password.get_secret_value() == "hush"
    assert loaded.kafka.username == "vmi"


def test_a_setting_that_is_a_file_itself_is_one(monkeypatch, tmp_path):
    monkeypatch.setenv("VMI_KAFKA__CA_FILE", str(tmp_path / "ca.pem"))

    assert settings.load().kafka.ca_file == tmp_path / "ca.pem"


def test_a_secrets_file_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setenv("VMI_DATABASE__URL_FILE", "/nowhere")

    with pytest.raises(SettingsError, match="VMI_DATABASE__URL_FILE: /nowhere cannot be read"):
        settings.load()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg", "postgresql+psycopg"])
def test_a_postgres_address_is_understood_as_it_is_usually_written(monkeypatch, scheme):
    monkeypatch.setenv("VMI_DATABASE__URL", f"{scheme}://user:secret@host:5432/vmi")

    assert settings.load().database.url.get_secret_value() == "postgresql+asyncpg://user:secret@host:5432/vmi"


def test_another_database_is_refused_without_showing_its_password(monkeypatch):
    monkeypatch.setenv("VMI_DATABASE__URL", "mysql://user:secret@host/vmi")

    with pytest.raises(SettingsError, match="a Postgres address starts with postgresql://") as refused:
        settings.load()
    assert "secret" not in str(refused.value)


def test_secrets_do_not_show_when_settings_are_printed(monkeypatch):
    monkeypatch.setenv("VMI_DATABASE__URL", "postgresql://user:secret@host/vmi")

    assert "secret" not in repr(settings.load())


def test_settings_cannot_be_changed():
    with pytest.raises(ValueError, match="frozen"):
        settings.load().clock = ClockMode.EVENTS
