"""What changed, told to the other workers: one message a location and batch."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import blake2b
from itertools import groupby
from typing import Final
from uuid import UUID

import orjson

from vmi_contracts import topics
from vmi_contracts.internal import PositionsChanged
from vmi_store import outbox
from vmi_store.catalogue import LocationKey
from vmi_store.engine import Connection
from vmi_store.folding import Changed
from vmi_store.outbox import OutboxMessage

SOURCE: Final = "vmi/inventory"

MOST_LINES: Final = 1000
"""In one message; a batch that changes more items of a location sends several."""


async def tell(connection: Connection, changed: Sequence[Changed], reached: Mapping[LocationKey, datetime]) -> None:
    """Put into the outbox which items changed. The caller holds their locks; ``reached`` has all their locations."""
    await outbox.add(connection, list(_messages(changed, reached)))


def _messages(changed: Sequence[Changed], reached: Mapping[LocationKey, datetime]) -> Iterator[OutboxMessage]:
    for place, of_place in groupby(changed, key=lambda one: one.key[:2]):
        items = list(of_place)
        for first in range(0, len(items), MOST_LINES):
            yield _message(place, items[first : first + MOST_LINES], reached[place])


def _message(place: LocationKey, changed: Sequence[Changed], reached_at: datetime) -> OutboxMessage:
    # Written without its model: a batch tells of as many items as it takes in lines. A test holds both together.
    payload = orjson.dumps(
        {
            "customer_id": place[0],
            "location_id": place[1],
            "revision": 0,
            "reached_at": reached_at,
            "lines": [_line(one) for one in changed],
        }
    )
    return OutboxMessage(
        topic=topics.POSITIONS.name,
        key=f"{place[0]}|{place[1]}",
        customer_id=place[0],
        type=PositionsChanged.message_type,
        # Versions count up, so that no two payloads of a location are the same.
        message_id=UUID(bytes=blake2b(payload, digest_size=16).digest()),
        source=SOURCE,
        payload=payload,
        time=reached_at,
    )


def _line(changed: Changed) -> dict[str, object]:
    line: dict[str, object] = {"item_id": changed.key.item_id, "version": changed.version}
    if changed.demand_from is not None:
        line["demand_from"] = changed.demand_from
    if changed.is_confirmed:
        line["confirmed"] = True
    return line
