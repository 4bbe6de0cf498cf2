"""``vmi status``: is everything running, and is anything stuck?"""

import asyncio
from collections import defaultdict
from typing import Any

from vmi_cli.console import AsJson, ago, out, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.supervision import WORKERS
from vmi_cli.surroundings import connected
from vmi_cli.workers import defined
from vmi_runtime import pipeline
from vmi_runtime.clock import Clock
from vmi_runtime.pipeline import PartitionLag
from vmi_runtime.settings import Settings
from vmi_store import exceptions, outbox, quarantine


def status(as_json: AsJson = False) -> None:
    """Show the workers, how far behind each is, what waits to be published, and
    what is in quarantine.

        vmi status
        vmi status --json
    """
    state = asyncio.run(_state(connected()))
    if as_json:
        print_json(state)
        return
    now = Clock().wall()
    print_rows(
        "Workers",
        ("group", "topic", "behind", "processes", "last batch"),
        [(r["group"], r["topic"], r["behind"], r["processes"], ago(r["last_batch_at"], now)) for r in state["topics"]],
        nothing="no workers",
    )
    waiting = state["outbox"]
    age = f", the oldest for {waiting['oldest_seconds']:.1f} s" if waiting["oldest_seconds"] else ""
    relays = state["relays"]
    out.print(f"Outbox: {waiting['messages']} waiting{age}; {relays} relay{'' if relays == 1 else 's'} alive")
    active = sum(state["exceptions"].values())
    kinds = ", ".join(f"{kind} {count}" for kind, count in state["exceptions"].items())
    out.print(f"Exceptions: {active}" + (f" ({kinds}); look with: vmi exceptions list" if active else ""))
    held = sum(state["quarantine"].values())
    reasons = ", ".join(f"{reason} {count}" for reason, count in state["quarantine"].items())
    out.print(f"Quarantine: {held}" + (f" ({reasons}); look with: vmi quarantine list" if held else ""))


async def _state(settings: Settings) -> dict[str, Any]:
    async with opened(settings) as database:
        async with pipeline.watched(settings.kafka, database, [defined(name) for name in WORKERS]) as pipe:
            backlog = await pipe.backlog()
        async with database.connect() as connection:
            held = await quarantine.counts(connection)
            active = await exceptions.counts(connection)
            relays = await outbox.relays_alive(connection)
    by_topic: dict[tuple[str, str], list[PartitionLag]] = defaultdict(list)
    for lag in backlog.partitions:
        by_topic[lag.group, lag.topic].append(lag)
    return {
        "topics": [
            {
                "group": group,
                "topic": topic,
                "behind": sum(lag.behind for lag in lags),
                "processes": len({lag.owner for lag in lags if lag.owner}),
                "last_batch_at": max((lag.advanced_at for lag in lags if lag.advanced_at), default=None),
            }
            for (group, topic), lags in by_topic.items()
        ],
        "outbox": {
            "messages": backlog.unpublished,
            "oldest_seconds": backlog.oldest_unpublished.total_seconds() if backlog.oldest_unpublished else None,
        },
        "relays": relays,
        "exceptions": active,
        "quarantine": held,
    }
