"""``vmi topics``: the topics, as declared and as the broker has them."""

import asyncio
from typing import Any

import typer

from vmi_cli.console import AsJson, out, print_json, print_rows
from vmi_cli.surroundings import connected
from vmi_contracts.topics import ALL, Topic
from vmi_runtime import broker

app = typer.Typer(no_args_is_help=True, help="Create the topics, and see how they stand.")


@app.command()
def create() -> None:
    """Create the topics that are missing; those that exist stay as they are.

    vmi topics create
    """
    created = asyncio.run(broker.create_topics(connected().kafka, ALL))
    for name in created:
        out.print(f"created {name}")
    out.print(f"{len(created)} created, {len(ALL) - len(created)} were there" if created else "All topics are there.")


@app.command()
def describe(as_json: AsJson = False) -> None:
    """Show every topic: what it carries, its key, and how the broker's settings
    differ from the declared ones.

        vmi topics describe
    """
    found = asyncio.run(broker.partitions_and_config(connected().kafka, ALL))
    rows = [_described(topic, found.get(topic.name)) for topic in ALL]
    if as_json:
        print_json(rows)
        return
    print_rows(
        "Topics",
        ("topic", "carries", "kept", "at the broker"),
        [(row["name"], "\n".join(row["documents"]), row["kept"], row["at_the_broker"]) for row in rows],
        nothing="no topics",
    )


def _described(topic: Topic, found: tuple[int, Any] | None) -> dict[str, Any]:
    if found is None:
        state = "missing: vmi topics create"
    else:
        partitions, config = found
        differing = [f"{name}={config.get(name)}" for name, value in topic.config.items() if config.get(name) != value]
        if partitions != topic.partitions:
            differing.insert(0, f"{partitions} partitions")
        state = "differs: " + ", ".join(differing) if differing else "as declared"
    return {
        "name": topic.name,
        "documents": list(topic.by_type),
        "key": topic.key,
        "partitions": topic.partitions,
        "kept": "last of each key"
        if topic.compacted
        else f"{topic.retention_days} days"
        if topic.retention_days
        else "for ever",
        "at_the_broker": state,
    }
