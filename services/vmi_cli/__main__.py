"""``vmi``: every command of the command line, and how it fails: one line that says what is wrong and what to do."""

import sys
from difflib import get_close_matches
from importlib import import_module
from inspect import cleandoc
from textwrap import dedent, indent
from typing import Any, Final

import typer
from typer.core import TyperGroup

from vmi_cli.console import Refused, err

COMMANDS: Final = {
    "local": "vmi_cli.local:app",
    "migrate": "vmi_cli.database:migrate",
    "topics": "vmi_cli.topics:app",
    "worker": "vmi_cli.workers:worker",
    "run": "vmi_cli.workers:run",
    "send": "vmi_cli.sending:send",
    "watch": "vmi_cli.watching:watch",
    "status": "vmi_cli.status:status",
    "proposals": "vmi_cli.proposals:app",
    "answer": "vmi_cli.proposals:answer",
    "why": "vmi_cli.why:why",
    "shadow": "vmi_cli.shadow:app",
    "position": "vmi_cli.positions:app",
    "exceptions": "vmi_cli.exceptions:app",
    "counts": "vmi_cli.counts:app",
    "quarantine": "vmi_cli.quarantine:app",
    "journal": "vmi_cli.journal:app",
    "rebuild": "vmi_cli.rebuild:rebuild",
    "agreements": "vmi_cli.agreements:app",
    "archive": "vmi_cli.archive:archive",
    "suppliers": "vmi_cli.suppliers:suppliers",
    "outlook": "vmi_cli.outlook:outlook",
    "loads": "vmi_cli.loads:loads",
    "forecast": "vmi_cli.forecast:app",
    "profile": "vmi_cli.profile:profile",
    "propose": "vmi_cli.propose:propose",
    "backtest": "vmi_cli.backtest:backtest",
    "whatif": "vmi_cli.backtest:whatif",
    "demo": "vmi_cli.demo:demo",
}
"""Where each command stands: a function, or an app with commands of its own."""

EXAMPLE: Final = "vmi "
"""How the lines of an example begin: where a help text is a sentence and examples, nothing is left of their indent."""

REFUSALS: Final = (
    ("vmi_local", "LocalServerError"),
    ("vmi_runtime.settings", "SettingsError"),
    ("vmi_store.schema_version", "SchemaError"),
    ("vmi_runtime.broker", "BrokerUnreachable"),
)
"""Errors whose message is for the person who asked, besides ``Refused``."""


class Commands(TyperGroup):
    """Imports a command's module when it is asked for: the file doors need neither Kafka nor Postgres, nor the time
    that importing their clients takes."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names, in the order of the table."""
        return [*COMMANDS, *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command, imported now."""
        if cmd_name not in COMMANDS:
            if near := get_close_matches(cmd_name, COMMANDS, n=1):
                raise Refused(f"there is no command {cmd_name!r}; did you mean {near[0]!r}?")
            return super().get_command(ctx, cmd_name)
        module, name = COMMANDS[cmd_name].split(":")
        found = getattr(import_module(module), name)
        if isinstance(found, typer.Typer):
            command: Any = typer.main.get_group(found)
            command.name = cmd_name
        else:
            alone = typer.Typer(add_completion=False, rich_markup_mode="rich", pretty_exceptions_enable=False)
            alone.command(cmd_name)(found)
            command = typer.main.get_command(alone)
        for one in (command, *getattr(command, "commands", {}).values()):
            one.help = _flowing(one.help or "")
        return command


def _flowing(text: str) -> str:
    """Return a help text whose sentences break where the terminal ends, not where the source does; examples stay, all
    with the same indent."""
    return "\n\n".join(
        indent(dedent(paragraph), "    ") if paragraph.startswith((" ", EXAMPLE)) else " ".join(paragraph.split())
        for paragraph in cleandoc(text).split("\n\n")
    )


app = typer.Typer(
    name="vmi",
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)


@app.callback()
def vmi() -> None:
    """Vendor-managed inventory: stock, sales and orders in, replenishment proposals out.

    Begin with `vmi demo`, or with `vmi run` in one terminal and `vmi send` and `vmi watch proposals` in another.
    """


def main() -> None:
    """Run the command line."""
    try:
        app()
    except Exception as error:
        if not _is_for_people(error):
            raise
        err.print("[bold red]vmi:[/] ", end="", markup=True)
        err.print(str(error), markup=False, soft_wrap=True)
        sys.exit(2)


def _is_for_people(error: Exception) -> bool:
    """Return whether the message says what is wrong and what to do. What was not imported cannot have been raised."""
    named = (getattr(sys.modules.get(module), name, None) for module, name in REFUSALS)
    return isinstance(error, (Refused, *(one for one in named if one is not None)))


if __name__ == "__main__":
    main()
