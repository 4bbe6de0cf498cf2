"""The settings: one frozen tree, read once from ``VMI_…``. Nothing else reads the environment.

``VMI_KAFKA__BOOTSTRAP_SERVERS`` is ``settings.kafka.bootstrap_servers``. A secret may stand in a file instead:
``VMI_DATABASE__URL_FILE=/run/secrets/database-url``. A misspelt variable stops the start.
"""

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from vmi_runtime.clock import ClockMode

PREFIX = "VMI_"
BETWEEN = "__"
OF_A_FILE = "_FILE"
NOT_OURS = ("VMI_LOCAL__", "VMI_DEMO__")
"""Read by vmi_local and vmi_demo themselves."""


class SettingsError(Exception):
    """The settings cannot be used; the message is one line for the person who starts the process."""


class Branch(BaseModel):
    """A part of the tree. Names that we do not know are refused by load(), which can say what was meant."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


def _with_a_driver(url: SecretStr | None) -> SecretStr | None:
    """Return the address with our driver named, however Postgres addresses are usually written."""
    if url is None:
        return None
    scheme, separator, rest = url.get_secret_value().partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgres", "postgresql"):
        raise ValueError("a Postgres address starts with postgresql://")
    return SecretStr(f"postgresql+asyncpg://{rest}")


class KafkaSettings(Branch):
    """The broker."""

    bootstrap_servers: str | None = None
    """``host:port``, several with commas. Where none is given, ``vmi`` starts a broker of its own."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str | None = None
    password: SecretStr | None = None

    ca_file: Path | None = None
    """Who signed the broker's certificate; without it, the authorities that the machine trusts."""

    replication_factor: int = Field(default=1, ge=1)
    """Copies of each topic that ``vmi topics create`` asks for; 3 in production."""


class DatabaseSettings(Branch):
    """Postgres."""

    url: Annotated[SecretStr | None, AfterValidator(_with_a_driver)] = None
    """``postgresql://user:password@host:port/database``. Where none is given, ``vmi`` starts a database of its own."""

    pool_size: int = Field(default=4, ge=1)
    """Connections a process keeps: a worker's batch uses one, its ticks another."""

    statement_cache: int = Field(default=200, ge=0)
    """Prepared statements kept on each connection. 0 behind a PgBouncer that pools transactions."""

    statement_timeout_seconds: float = Field(default=60, gt=0)
    """A statement that takes longer is broken off and its batch tried again."""


class ConsumingSettings(Branch):
    """How workers consume (``vmi_runtime.consuming``)."""

    chunk_records: int = Field(default=500, ge=1)
    """Records of one partition in one Faust message, at most."""

    batch_records: int = Field(default=2000, ge=1)
    """Records in one transaction, at most, but never less than a chunk."""

    batch_bytes: int = Field(default=2_000_000, ge=1)
    """Bytes of values in one transaction, about."""

    prefetch_records: int = Field(default=8000, ge=1)
    """Fetching pauses while so many records wait: memory, and what is done twice after a rebalance."""

    fetch_min_bytes: int = Field(default=16 * 1024, ge=1)
    """A fetch that finds less is held by the broker for a while. At 1, records that trickle in are fetched one by one,
    which costs broker and worker a tenth of a core each."""

    fetch_wait_ms: int = Field(default=50, ge=1)
    """How long the broker holds a fetch that finds little. A partition that comes to life may wait as long."""

    session_timeout_seconds: float = Field(default=10, gt=0)
    heartbeat_seconds: float = Field(default=3, gt=0)
    commit_seconds: float = Field(default=1, gt=0)


class RelaySettings(Branch):
    """How the outbox reaches Kafka (``vmi_relay``)."""

    poll_seconds: float = Field(default=0.02, gt=0)
    """Between two looks at an outbox that was just empty."""

    idle_poll_seconds: float = Field(default=0.05, gt=0)
    """Between two looks at an outbox that has been empty for a while."""

    lease_seconds: float = Field(default=5, gt=0)
    """A relay that has not renewed its lease for so long loses its shards to another."""

    batch_messages: int = Field(default=500, ge=1)
    """Messages of one shard in one Kafka transaction, at most."""

    keep_hours: float = Field(default=24, ge=0)
    """Published messages stay in the outbox so long, to be looked at."""


class RetentionSettings(Branch):
    """How long the inventory worker keeps what is not the journal (that leaves by ``vmi archive``)."""

    inbox_days: float = Field(default=400, gt=0)
    """Documents can be corrected so long. One that is sent again later still counts once, unless it is archived."""

    quarantine_days: float = Field(default=90, gt=0)
    """What was taken in after all, and the bytes of what was discarded; who discarded what, and why, stays."""

    exceptions_days: float = Field(default=400, gt=0)
    """Closed exceptions about overdue shipments."""

    reconciliations_days: float = Field(default=800, gt=0)
    """What came of comparing stock reports with the facts. Stock counts stay."""


class Settings(BaseSettings):
    """All of it."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_prefix=PREFIX,
        env_nested_delimiter=BETWEEN,
        nested_model_default_partial_update=True,
        use_attribute_docstrings=True,
    )

    clock: ClockMode = ClockMode.WALL
    kafka: KafkaSettings = KafkaSettings()
    database: DatabaseSettings = DatabaseSettings()
    consuming: ConsumingSettings = ConsumingSettings()
    relay: RelaySettings = RelaySettings()
    retention: RetentionSettings = RetentionSettings()

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["auto", "console", "json"] = "auto"
    """``auto``: readable lines in a terminal, JSON elsewhere."""

    ends_with_input: bool = False
    """A worker ends when its standard input does. ``vmi run`` asks for it, so that none outlives it."""


def load() -> Settings:
    """Return the settings that the process's environment asks for, or raise SettingsError."""
    _refuse_what_we_do_not_know(os.environ)
    try:
        return Settings(**_from_files(os.environ))
    except ValidationError as error:
        first = error.errors()[0]
        name = PREFIX + BETWEEN.join(str(part) for part in first["loc"]).upper()
        raise SettingsError(f"{name} cannot be used: {first['msg'].removeprefix('Value error, ')}") from None


def names() -> list[str]:
    """Return every variable there is, in the order of the tree."""
    found = []
    for name, field in Settings.model_fields.items():
        branch = field.annotation
        if isinstance(branch, type) and issubclass(branch, Branch):
            found += [f"{PREFIX}{name}{BETWEEN}{leaf}".upper() for leaf in branch.model_fields]
        else:
            found.append(f"{PREFIX}{name}".upper())
    return found


def _refuse_what_we_do_not_know(environment: Mapping[str, str]) -> None:
    known = names()
    for name in environment:
        is_ours = name in known or name.removesuffix(OF_A_FILE) in known
        if not name.startswith(PREFIX) or name.startswith(NOT_OURS) or is_ours:
            continue
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        raise SettingsError(f"{name} is no setting of ours; did you mean {nearest}?")


def _from_files(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return, as a tree, the settings whose values stand in files."""
    tree: dict[str, Any] = {}
    known = names()
    for name, path in environment.items():
        setting = name.removesuffix(OF_A_FILE)
        if name in known or setting not in known:
            continue
        branch, _, leaf = setting.removeprefix(PREFIX).lower().partition(BETWEEN)
        try:
            tree.setdefault(branch, {})[leaf] = Path(path).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise SettingsError(f"{name}: {path} cannot be read: {error.strerror}") from None
    return tree
