"""``vmi local``: the embedded broker and database of this machine."""

from dataclasses import asdict
from typing import Annotated

import typer

from vmi_cli.console import AsJson, err, out, print_json, print_rows
from vmi_local import LocalServers, progress_bar

app = typer.Typer(no_args_is_help=True, help="Kafka and Postgres on this machine, without Docker, Java or root.")


@app.command()
def up() -> None:
    """Start broker and database (the first time fetches them) and print their
    addresses.

    Starting twice is harmless; data survive `vmi local down`. Put the two
    lines into your shell to use them from elsewhere:

        vmi local up
        eval "$(vmi local up)"
    """
    servers = LocalServers()
    with progress_bar(err) as report:
        addresses = servers.up(report)
    print(f"export VMI_KAFKA__BOOTSTRAP_SERVERS={addresses.bootstrap_servers}")
    print(f"export VMI_DATABASE__URL={addresses.database_url}")
    err.print(f"Running; data and logs are in {servers.directory}. Stop with: vmi local down")


@app.command()
def down(
    remove_data: Annotated[
        bool, typer.Option("--remove-data", help="Remove all data of both servers, for good.")
    ] = False,
) -> None:
    """Stop broker and database; their data stay.

    vmi local down
    vmi local down --remove-data
    """
    servers = LocalServers()
    with err.status("Stopping ..."):
        if remove_data:
            servers.destroy()
        else:
            servers.down()
    err.print("Stopped; the data are removed" if remove_data else f"Stopped; the data stay in {servers.directory}")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show what runs, where, and since when.

    vmi local status
    """
    state = LocalServers().status()
    if as_json:
        print_json(asdict(state))
        return
    print_rows(
        f"Embedded servers in {state.directory}",
        ("server", "state", "address", "up for", "memory"),
        [
            (
                server.name,
                server.state,
                server.address,
                None if server.running_seconds is None else f"{server.running_seconds} s",
                None if server.memory_mb is None else f"{server.memory_mb} MB",
            )
            for server in state.servers
        ],
        nothing="nothing here",
    )


@app.command()
def logs(
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines of each.")] = 40,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with new lines; Ctrl-C ends.")] = False,
) -> None:
    """Print the servers' logs.

    vmi local logs --lines 100
    """
    servers = LocalServers()
    for line in servers.follow_logs(lines) if follow else servers.logs(lines):
        out.print(line, markup=False)
