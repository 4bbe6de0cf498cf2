"""How far each consumer group has come, and the epoch that keeps a worker from writing after its partitions moved.

Kafka's own generation cannot serve: it starts again on a new cluster. The epoch is drawn from the database when a
partition is assigned, before anything is fetched from it, and checked in the transaction of each batch.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.values import dataclass

Partition = tuple[str, int]
"""Topic and partition."""


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group on one Kafka cluster."""

    cluster_id: str
    name: str


@dataclass(frozen=True, slots=True)
class Claim:
    """What a batch says of one partition: with this epoch we have come as far as ``next_offset``."""

    partition: Partition
    epoch: int
    next_offset: int


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a group has come in a partition, as the database knows it."""

    group: str
    topic: str
    partition: int
    next_offset: int | None
    owner: str
    advanced_at: datetime | None


async def draw(
    connection: AsyncConnection, group: Group, owner: str, partitions: Iterable[Partition]
) -> Mapping[Partition, int]:
    """Return a new epoch for each partition; whoever held an earlier one can write no more.

    It waits for a batch that is just being written, so that what follows sees its effects.
    """
    ordered = sorted(partitions)
    result = await connection.execute(
        _DRAW,
        {
            "cluster_id": group.cluster_id,
            "group_name": group.name,
            "owner": owner,
            "topics": [topic for topic, _ in ordered],
            "partitions": [partition for _, partition in ordered],
        },
    )
    return {(row.topic, row.partition): row.epoch for row in result}


_DRAW = text("""
    INSERT INTO consumer_progress (cluster_id, group_name, topic, partition, epoch, owner)
    SELECT :cluster_id, :group_name, topic, partition, nextval('consumer_epoch'), :owner
    FROM unnest(CAST(:topics AS text[]), CAST(:partitions AS int[])) AS assigned (topic, partition)
    ORDER BY topic, partition
    ON CONFLICT (cluster_id, group_name, topic, partition) DO UPDATE
        SET epoch = nextval('consumer_epoch'), owner = excluded.owner, assigned_at = clock_timestamp()
    RETURNING topic, partition, epoch
""")


async def claim(connection: AsyncConnection, group: Group, claims: Sequence[Claim]) -> set[Partition]:
    """Note how far the batch comes; return the partitions whose epoch still holds. The others' records are not ours."""
    result = await connection.execute(
        _CLAIM,
        {
            "cluster_id": group.cluster_id,
            "group_name": group.name,
            "topics": [claim.partition[0] for claim in claims],
            "partitions": [claim.partition[1] for claim in claims],
            "epochs": [claim.epoch for claim in claims],
            "next_offsets": [claim.next_offset for claim in claims],
        },
    )
    return {(row.topic, row.partition) for row in result}


_CLAIM = text("""
    UPDATE consumer_progress AS progress
    SET next_offset = claim.next_offset, advanced_at = clock_timestamp()
    FROM unnest(
        CAST(:topics AS text[]), CAST(:partitions AS int[]), CAST(:epochs AS bigint[]), CAST(:next_offsets AS bigint[])
    ) AS claim (topic, partition, epoch, next_offset)
    WHERE progress.cluster_id = :cluster_id AND progress.group_name = :group_name
      AND progress.topic = claim.topic AND progress.partition = claim.partition AND progress.epoch = claim.epoch
    RETURNING progress.topic, progress.partition
""")


async def of_cluster(connection: AsyncConnection, cluster_id: str) -> list[Progress]:
    """Return how far every group has come in every partition of a cluster."""
    result = await connection.execute(_OF_CLUSTER, {"cluster_id": cluster_id})
    return [
        Progress(row.group_name, row.topic, row.partition, row.next_offset, row.owner, row.advanced_at)
        for row in result
    ]


_OF_CLUSTER = text("""
    SELECT group_name, topic, partition, next_offset, owner, advanced_at
    FROM consumer_progress WHERE cluster_id = :cluster_id
    ORDER BY group_name, topic, partition
""")
