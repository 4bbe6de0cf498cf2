"""What the environment says: an address that is given there always wins over a server of ours."""

import os
from pathlib import Path

from vmi_local.errors import LocalServerError

BOOTSTRAP_SERVERS_VARIABLE = "VMI_KAFKA__BOOTSTRAP_SERVERS"
DATABASE_URL_VARIABLE = "VMI_DATABASE__URL"
DIRECTORY_VARIABLE = "VMI_LOCAL__DIRECTORY"
MAVEN_REPOSITORY_VARIABLE = "VMI_LOCAL__MAVEN_REPOSITORY"


def given_bootstrap_servers() -> str | None:
    """Return the broker that the environment names."""
    return _given(BOOTSTRAP_SERVERS_VARIABLE)


def given_database_url() -> str | None:
    """Return the database that the environment names, with our driver in the URL however it was written."""
    url = _given(DATABASE_URL_VARIABLE)
    return url and f"postgresql+asyncpg://{url.partition('://')[2]}"


def given_directory() -> Path | None:
    """Return where the environment wants the servers' data."""
    directory = os.environ.get(DIRECTORY_VARIABLE)
    return Path(directory).expanduser().absolute() if directory else None


def given_maven_repository() -> str | None:
    """Return whence the environment wants Kafka's jars to be fetched."""
    return os.environ.get(MAVEN_REPOSITORY_VARIABLE)


def _given(variable: str) -> str | None:
    """Return a variable's value, or the text of the file that ``…_FILE`` names, as secrets are often given."""
    if value := os.environ.get(variable):
        return value
    if file := os.environ.get(f"{variable}_FILE"):
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            raise LocalServerError(
                f"{variable}_FILE names {file}, which cannot be read: {error.strerror}. Correct or unset it."
            ) from error
    return None
