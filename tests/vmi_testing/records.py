"""Records as they come from a broker, made by hand."""

from collections.abc import Sequence

from vmi_runtime.worker import FetchedRecord

NOON_MS = 1_750_000_000_000


def record(
    offset: int = 0,
    *,
    topic: str = "vmi.sales.v1",
    partition: int = 0,
    value: bytes | None = b"{}",
    key: bytes | None = b"customer|location",
    headers: Sequence[tuple[str, bytes]] = (),
    timestamp: int = NOON_MS,
) -> FetchedRecord:
    """Return a record; name what the test is about."""
    return FetchedRecord(topic, partition, offset, timestamp, key, value, headers)


def records(partition: tuple[str, int], first: int, last: int, value: bytes = b"{}") -> list[FetchedRecord]:
    """Return the records of a partition from one offset to another."""
    topic, number = partition
    return [record(offset, topic=topic, partition=number, value=value) for offset in range(first, last + 1)]
