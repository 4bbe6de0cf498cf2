"""The inventory worker without its broker: documents go through its own functions into a real Postgres."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import uuid4

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts import topics, writing
from vmi_contracts.internal import PositionsChanged
from vmi_domain.stock.position import Authority, Basis, Key, Stock, stock
from vmi_inventory.documents import read_facts
from vmi_inventory.master_data import read_master_data, record_master_data
from vmi_inventory.rebuilding import Outcome, rebuild
from vmi_inventory.recording import Facts
from vmi_inventory.releasing import release
from vmi_runtime.clock import Clock, ClockMode
from vmi_runtime.worker import FetchedRecord, Transaction
from vmi_store import engine as engines
from vmi_store import positions, quarantine
from vmi_store.positions import PositionRow
from vmi_store.quarantine import Held
from vmi_store.rebuilding import Scope
from vmi_testing import builders

RECORDED = datetime.fromisoformat("2025-06-01T00:00:00+00:00")
"""When the broker appended what tests send, unless they say otherwise."""

_offsets = count()


def record(document: Any, *, message_id: str | None = None, recorded_at: datetime = RECORDED) -> FetchedRecord:
    """Return a document's record, on its topic."""
    made = writing.record(document, source="/test", message_id=message_id or uuid4().hex)
    topic = topics.of_type(document.message_type).name
    return raw_record(made.value, made.headers, topic=topic, recorded_at=recorded_at)


def raw_record(
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    *,
    topic: str = topics.SALES.name,
    recorded_at: datetime = RECORDED,
) -> FetchedRecord:
    """Return a record of any bytes."""
    return FetchedRecord(topic, 0, next(_offsets), round(recorded_at.timestamp() * 1000), b"k", value, headers)


class Desk:
    """Where one customer's documents are taken in. Several desks on one database are several workers."""

    def __init__(self, engine: AsyncEngine, customer: str, clock: ClockMode = ClockMode.WALL) -> None:
        self.engine = engine
        self.customer = customer
        self._clock = Clock(clock)
        self._facts = Facts()

    async def introduce(self, *items: str, location_id: str = "store-1", **location: Any) -> None:
        """Let a location and items be known."""
        await self.define(
            builders.location(self.customer, location_id, **location),
            *(builders.item(self.customer, item) for item in items or ("milk",)),
        )

    async def define(self, *documents: Any, recorded_at: datetime = RECORDED) -> None:
        """Take in catalogue entries and agreements, in one batch."""
        entries = read_master_data([record(document, recorded_at=recorded_at) for document in documents])
        async with self.engine.begin() as connection:
            await record_master_data(entries, Transaction(connection, self._clock))

    async def tell(self, *documents: Any) -> None:
        """Take in documents, in one batch."""
        await self.deliver([record(document) for document in documents])

    async def deliver(self, records: Iterable[FetchedRecord]) -> None:
        """Take in records, in one batch."""
        post = read_facts(list(records))
        async with self.engine.begin() as connection:
            await self._facts.record(post, Transaction(connection, self._clock))

    async def release(self) -> None:
        """Try again what waited, as the worker does every second."""
        more = True
        while more:
            async with self.engine.begin() as connection:
                more = await release(self._facts, Transaction(connection, self._clock))

    async def rebuild(self, *, dry_run: bool = False, item_id: str | None = None) -> Outcome:
        """Make what is derived of this customer anew, as ``vmi rebuild`` does."""
        url = self.engine.url.render_as_string(hide_password=False)
        beside = engines.create(url, application_name="vmi-test-beside", pool_size=1)
        scope = Scope(self.customer, None if item_id is None else "store-1", item_id)
        try:
            return await rebuild(self.engine, beside, scope, dry_run=dry_run, report=lambda done, total: None)
        finally:
            await beside.dispose()

    async def row(self, item_id: str = "milk", location_id: str = "store-1") -> PositionRow:
        async with self.engine.connect() as connection:
            [row] = await positions.read(connection, [Key(self.customer, location_id, item_id)])
        return row

    async def stock(
        self,
        item_id: str = "milk",
        location_id: str = "store-1",
        authority: Authority = Authority.SNAPSHOT,
        basis: Basis = Basis.GROSS,
    ) -> Stock:
        row = await self.row(item_id, location_id)
        return stock(row.balance, row.supply, authority=authority, basis=basis)

    async def told(self, document: Any, name: str, **more: Any) -> None:
        """Take in a document under a name of its own."""
        await self.deliver([record(document, message_id=name, **more)])

    async def days(
        self, item_id: str = "milk", location_id: str = "store-1", *, whole: bool = False
    ) -> dict[str, tuple[Decimal, ...]]:
        """Return each day's moved, received, sold, returned and lost; ``whole``: held back and titled, too."""
        async with self.engine.connect() as connection:
            result = await connection.execute(
                text("""
                    SELECT day, moved, received, sold, returned, lost, held_back, titled FROM daily_balance
                    WHERE customer_id = :customer AND location_id = :location AND item_id = :item ORDER BY day
                """),
                {"customer": self.customer, "location": location_id, "item": item_id},
            )
            return {str(row.day): tuple(row[1:] if whole else row[1:6]) for row in result}

    async def quarantined(self) -> list[Held]:
        """Return what is held of this customer, in the order of documents and lines."""
        async with self.engine.connect() as connection:
            held = await quarantine.held(connection, customer_id=self.customer, at_most=1000)
        return sorted(held, key=lambda one: (one.rejected.offset, one.rejected.line or 0))

    async def published(self) -> list[PositionsChanged]:
        """Return what the other workers were told, in order."""
        async with self.engine.connect() as connection:
            result = await connection.execute(
                text("""
                    SELECT payload FROM outbox
                    WHERE customer_id = :customer AND aggregatetype = 'vmi.positions.v1' ORDER BY sequence
                """),
                {"customer": self.customer},
            )
            return [PositionsChanged.model_validate_json(row.payload) for row in result]
