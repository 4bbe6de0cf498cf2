"""The command line as a whole: every command is there, and none waits for what it does not use."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer import BadParameter
from typer.testing import CliRunner

from vmi_cli.__main__ import COMMANDS, app


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])

    assert result.exit_code == 0
    assert f"Usage: vmi {command}" in result.stdout


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command that does something, with its words."""
    names = command.list_commands(typer.Context(command)) if hasattr(command, "list_commands") else []
    if not names:
        yield path, command
    for name in names:
        yield from leaves(command.get_command(typer.Context(command), name), (*path, name))


LEAVES = dict(leaves(typer.main.get_command(app)))


@pytest.mark.parametrize("path", LEAVES, ids=" ".join)
def test_the_help_of_every_command_ends_with_examples_that_it_understands(path: tuple[str, ...]) -> None:
    lines = [line for line in LEAVES[path].help.splitlines() if line.lstrip().startswith("vmi ")]
    assert lines
    assert all(line.startswith("    vmi ") for line in lines)
    for line in lines:
        words = shlex.split(line, comments=True)[1:]
        words = words[: words.index("|")] if "|" in words else words
        words = words[: words.index(">")] if ">" in words else words
        command: Any = typer.main.get_command(app)
        for name in path:
            if words[:1] == [name]:  # `vmi position` alone is `vmi position show`
                words.pop(0)
            command = command.get_command(typer.Context(command), name)
        try:
            command.make_context(path[-1], list(words))
        except BadParameter as error:
            if "does not exist" not in str(error):  # a file that is not here
                raise


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
