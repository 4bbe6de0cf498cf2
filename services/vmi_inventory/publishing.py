"""What changed, told to the other workers: one message a location and batch."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import groupby
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_contracts import topics
from vmi_contracts.internal import PositionLine, PositionsChanged
from vmi_store import outbox
from vmi_store.catalogue import LocationKey
from vmi_store.outbox import OutboxMessage
from vmi_store.positions import Changed

SOURCE: Final = "vmi/inventory"

MOST_LINES: Final = 1000
"""In one message; a batch that changes more items of a location sends several."""


async def tell(
    connection: AsyncConnection, changed: Sequence[Changed], reached: Mapping[LocationKey, datetime]
) -> None:
    """Put into the outbox which items changed. The caller holds their locks; ``reached`` has all their locations."""
    await outbox.add(connection, list(_messages(changed, reached)))


def _messages(changed: Sequence[Changed], reached: Mapping[LocationKey, datetime]) -> Iterator[OutboxMessage]:
    for place, of_place in groupby(changed, key=lambda one: one.key[:2]):
        items = list(of_place)
        for first in range(0, len(items), MOST_LINES):
            yield _message(place, items[first : first + MOST_LINES], reached[place])


def _message(place: LocationKey, changed: Sequence[Changed], reached_at: datetime) -> OutboxMessage:
    document = PositionsChanged(
        customer_id=place[0],
        location_id=place[1],
        reached_at=reached_at,
        lines=tuple(
            PositionLine(item_id=one.key.item_id, version=one.version, demand_from=one.demand_from) for one in changed
        ),
    )
    payload = document.model_dump_json(exclude_none=True).encode()
    return OutboxMessage(
        topic=topics.POSITIONS.name,
        key=document.key,
        customer_id=place[0],
        type=PositionsChanged.message_type,
        # Versions count up, so that no two payloads of a location are the same.
        message_id=UUID(bytes=blake2b(payload, digest_size=16).digest()),
        source=SOURCE,
        payload=payload,
        time=reached_at,
    )
