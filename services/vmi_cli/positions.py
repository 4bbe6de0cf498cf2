"""``vmi position``: what stands where, and what is on its way."""

import typer

app = typer.Typer(no_args_is_help=True, help="The inventory position of customer locations and items.")
