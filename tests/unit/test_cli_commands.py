"""The command line as a whole: every command is there, and none waits for what it does not use."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from vmi_cli.__main__ import COMMANDS, app


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])

    assert result.exit_code == 0
    assert f"Usage: vmi {command}" in result.stdout


def test_the_file_doors_import_neither_broker_nor_database() -> None:
    asked = "import sys; from vmi_cli.__main__ import app; app(['forecast', '--help'], standalone_mode=False)"
    told = f"{asked}; print([one for one in ('faust', 'aiokafka', 'sqlalchemy', 'asyncpg') if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "[]"


def test_a_command_that_is_misspelt_is_guessed_and_not_run() -> None:
    done = subprocess.run([sys.executable, "-m", "vmi_cli", "sned", "x"], capture_output=True, text=True, check=False)

    assert done.returncode == 2
    assert done.stderr == "vmi: there is no command 'sned'; did you mean 'send'?\n"
    assert done.stdout == ""
