"""A worker that writes down what it saw and fails as its records say: ``python -m vmi_testing.counting_worker``."""

import asyncio
import sys
from collections.abc import Sequence

from sqlalchemy import text

from vmi_contracts.topics import Topic
from vmi_runtime import process
from vmi_runtime.worker import Record, Subscription, Transaction, Worker

SEEN = """
    CREATE TABLE IF NOT EXISTS seen (
        topic text, partition int, place bigint, value text, times int NOT NULL DEFAULT 1,
        PRIMARY KEY (topic, partition, place)
    )
"""

Seen = tuple[str, int, int, str]


def decode(records: Sequence[Record]) -> list[Seen]:
    """Read the values; ``bug`` is one that ends the process."""
    values = [(record.value or b"").decode() for record in records]
    if "bug" in values:
        raise KeyError("a bug of the worker's")
    return [
        (record.topic, record.partition, record.offset, value) for record, value in zip(records, values, strict=True)
    ]


async def write_down(seen: list[Seen], transaction: Transaction) -> None:
    """Write down what was seen, and how often; ``thinking`` takes its time within the transaction."""
    if any(value.startswith("thinking") for *_, value in seen):
        await asyncio.sleep(0.2)
    await transaction.connection.execute(
        _WRITE,
        {
            "topics": [row[0] for row in seen],
            "partitions": [row[1] for row in seen],
            "places": [row[2] for row in seen],
            "values": [row[3] for row in seen],
        },
    )


_WRITE = text("""
    INSERT INTO seen (topic, partition, place, value)
    SELECT * FROM unnest(
        CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:places AS bigint[]), CAST(:values AS text[])
    )
    ON CONFLICT (topic, partition, place) DO UPDATE SET times = seen.times + 1
""")


def worker(name: str, topic: str) -> Worker:
    """Return the worker of a test, with a group of its own."""
    return Worker(name, subscriptions=(Subscription((Topic(topic, (), "any"),), decode, write_down),))


if __name__ == "__main__":
    process.main(worker(sys.argv[1], sys.argv[2]))
