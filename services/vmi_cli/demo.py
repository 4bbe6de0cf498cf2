"""``vmi demo``: a retailer's year through the whole service."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

import typer

from vmi_cli.console import Refused, err, out


def demo(
    days: Annotated[int, typer.Option(min=1, max=300, help="Days played live, after the history.")] = 90,
    stores: Annotated[int, typer.Option(min=1, max=400, help="The busiest so many stores.")] = 20,
    items: Annotated[int, typer.Option(min=1, max=2000, help="The busiest so many products.")] = 200,
    keep: Annotated[bool, typer.Option("--keep", help="Leave servers and workers running, to look around.")] = False,
    summary_file: Annotated[Path | None, typer.Option("--json", help="Write the summary to this file too.")] = None,
) -> None:
    """Replay a retailer's year through real Kafka and Postgres, and watch
    proposals appear.

    Simulated stores sell from their shelves, report their stock each
    evening, accept what is proposed and receive it after the lead time; at
    the end the service stands beside a fixed minimum and maximum on the
    same demand. Broker and database are the demo's own and are removed at
    the end (unless --keep). Ctrl-C stops everything cleanly.

        vmi demo --days 14 --stores 3 --items 20
    """
    try:
        import vmi_demo
        from vmi_demo.purchases import DataMissing
        from vmi_demo.screen import print_summary
        from vmi_demo.settling import Stuck
        from vmi_demo.stage import DemoError
    except ModuleNotFoundError as missing:
        raise Refused(f"the demo needs {missing.name}: pip install 'vmi[demo,local]'") from None
    try:
        summary = asyncio.run(vmi_demo.run(vmi_demo.Options(days=days, stores=stores, items=items, keep=keep), err))
    except (DemoError, DataMissing, Stuck) as error:
        raise Refused(str(error)) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    except asyncio.CancelledError:  # SIGTERM; what there is to say has been said
        raise typer.Exit(143) from None
    print_summary(summary, out)
    if summary_file is not None:
        summary_file.write_text(json.dumps(summary.as_json(), indent=2, default=str), encoding="utf-8")
