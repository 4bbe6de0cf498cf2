"""``vmi``: every command of the command line, and how it fails: one line that says what is wrong and what to do."""

import sys

import typer

from vmi_cli import forecast, local, positions, quarantine, topics
from vmi_cli.console import Refused, err
from vmi_cli.database import migrate
from vmi_cli.demo import demo
from vmi_cli.sending import send
from vmi_cli.status import status
from vmi_cli.watching import watch
from vmi_cli.workers import run, worker
from vmi_local import LocalServerError
from vmi_runtime.broker import BrokerUnreachable
from vmi_runtime.settings import SettingsError
from vmi_store.schema_version import SchemaError

app = typer.Typer(
    name="vmi",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    help="Vendor-managed inventory: stock, sales and orders in, replenishment proposals out.\n\n"
    "Begin with `vmi demo`, or with `vmi run` in one terminal and `vmi send` and `vmi watch proposals` in another.",
)
app.add_typer(local.app, name="local")
app.command()(migrate)
app.add_typer(topics.app, name="topics")
app.command()(worker)
app.command()(run)
app.command()(send)
app.command()(watch)
app.command()(status)
app.add_typer(positions.app, name="position")
app.add_typer(quarantine.app, name="quarantine")
app.add_typer(forecast.app, name="forecast")
app.command()(demo)


def main() -> None:
    """Run the command line."""
    try:
        app()
    except (Refused, LocalServerError, SettingsError, SchemaError, BrokerUnreachable) as error:
        err.print("[bold red]vmi:[/] ", end="", markup=True)
        err.print(str(error), markup=False, soft_wrap=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
