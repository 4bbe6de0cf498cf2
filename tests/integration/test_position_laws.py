"""The theorem about positions on a real Postgres, through the worker's own functions.

Whatever the order, repetition and split of what arrives, the rows are those of the pure fold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from uuid import uuid4

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts.inbound import (
    GoodsReceived,
    OrderPlaced,
    SalesRecorded,
    ShipmentDispatched,
    StockAdjusted,
    StockCounted,
    StockReported,
    TitleTransferred,
)
from vmi_domain.days import SiteCalendar
from vmi_domain.stock.daily import effects
from vmi_domain.stock.position import ABSOLUTE, MOVING, NOTHING, Balance, Count, Key, Kind, Movement, fold
from vmi_domain.stock.supply import supply_lines, totals
from vmi_store import journal, positions, supply
from vmi_store.journal import JournalLine, held_back_by, sales_of
from vmi_testing.examples import examples
from vmi_testing.inventory import Desk, record

BEGIN = datetime(2025, 3, 28, tzinfo=UTC)
SITE = SiteCalendar("Europe/Berlin")
"""Its clocks change within the days of these tests."""

moments = st.integers(0, 5 * 24 * 2).map(lambda half_hours: BEGIN + timedelta(minutes=30 * half_hours))
quantities = st.integers(0, 50).map(Decimal)


@dataclass(frozen=True)
class Story:
    """Documents, and how they reach us: in batches, in any order, some of them twice."""

    documents: Sequence[Any]
    batches: Sequence[Sequence[int]]


def line(**fields: Any) -> dict[str, Any]:
    return {"item_id": "milk", **fields}


orders = st.sampled_from(["O1", "O2"])
shipments = st.sampled_from(["S1", "S2"])
documents = st.one_of(
    st.builds(lambda at, q: (SalesRecorded, {"occurred_at": at, "lines": [line(quantity=q)]}), moments, quantities),
    st.builds(
        lambda at, hours, q, r, lost, d: (
            SalesRecorded,
            {
                "occurred_at": at,
                "period_start": at - timedelta(hours=hours),
                "lines": [line(quantity=q, returned=r, lost=lost, returned_defective=d)],
            },
        ),
        moments,
        st.integers(0, 60),
        quantities,
        quantities,
        quantities,
        quantities,
    ),
    st.builds(
        lambda kind, at, q, u, r, b: (
            kind,
            {
                "as_of": at,
                "lines": [
                    line(on_hand=q, damaged=u, unavailable=r, reserved=r, backlog=b, supplier_owned=u if b else None)
                ],
            },
        ),
        st.sampled_from([StockReported, StockCounted]),
        moments,
        quantities,
        quantities,
        quantities,
        quantities,
    ),
    st.builds(
        lambda at, q: (
            StockAdjusted,
            {"occurred_at": at, "lines": [line(quantity=q - 25), line(quantity=1), line(unavailable=7 - q)]},
        ),
        moments,
        quantities,
    ),
    st.builds(
        lambda at, q: (TitleTransferred, {"occurred_at": at, "lines": [line(quantity=q - 25)]}), moments, quantities
    ),
    st.builds(
        lambda name, at, q, revision: (
            OrderPlaced,
            {"order_id": name, "placed_at": at, "revision": revision, "lines": [line(quantity=q)]},
        ),
        orders,
        moments,
        quantities,
        st.integers(0, 2),
    ),
    st.builds(
        lambda name, at, q, of, eta: (
            ShipmentDispatched,
            {"shipment_id": name, "shipped_at": at, "expected_at": eta, "lines": [line(quantity=q, order_id=of)]},
        ),
        shipments,
        moments,
        quantities,
        st.none() | orders,
        st.none() | moments,
    ),
    st.builds(
        lambda at, q, of, completed: (
            GoodsReceived,
            {"receipt_id": "R", "received_at": at, "lines": [line(quantity=q, shipment_id=of, completed=completed)]},
        ),
        moments,
        quantities,
        st.none() | shipments,
        st.booleans(),
    ),
)


@st.composite
def stories(draw: st.DrawFn) -> Story:
    told = draw(st.lists(documents, min_size=1, max_size=10))
    arrivals = draw(st.permutations([*range(len(told)), *draw(st.lists(st.integers(0, len(told) - 1), max_size=4))]))
    cuts = sorted(draw(st.sets(st.integers(1, len(arrivals)), max_size=4)))
    edges = [0, *cuts, len(arrivals)]
    return Story(told, [arrivals[a:b] for a, b in pairwise(edges)])


@settings(
    max_examples=examples(60, nightly=10_000),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(story=stories())
async def test_p01_any_order_repetition_and_split_of_arrival_leads_to_the_reference(
    engine: AsyncEngine, story: Story
) -> None:
    desk = Desk(engine, f"law-{uuid4().hex}")
    await desk.introduce("milk", time_zone=SITE.zone)
    records = [
        record(kind.model_validate({"customer_id": desk.customer, "location_id": "store-1", **fields}))
        for kind, fields in story.documents
    ]
    for batch in story.batches:
        await desk.deliver([records[place] for place in batch])

    key = Key(desk.customer, "store-1", "milk")
    async with engine.begin() as connection:
        lines = (await journal.of_keys(connection, [key]))[key]
        [row] = await positions.read(connection, [key])
        stood = (await supply.lines(connection, [key]))[key]
        facts = (await supply.facts(connection, [key]))[key]
    assert len(lines) == sum(len(fields["lines"]) for _, fields in story.documents)
    assert row.balance == reference(lines)
    assert await desk.days(whole=True) == reference_days(lines)
    assert stood == supply_lines(facts)
    assert row.supply == totals(stood, row.balance.counted_at)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(story=stories())
async def test_p10_what_is_rebuilt_from_the_journal_is_what_stands(engine: AsyncEngine, story: Story) -> None:
    desk = Desk(engine, f"law-{uuid4().hex}")
    await desk.introduce("milk", time_zone=SITE.zone)
    records = [
        record(kind.model_validate({"customer_id": desk.customer, "location_id": "store-1", **fields}))
        for kind, fields in story.documents
    ]
    for batch in story.batches:
        await desk.deliver([records[place] for place in batch])

    rebuilt = await desk.rebuild(dry_run=True)
    assert rebuilt.is_same, [one.columns for one in rebuilt.differences]
    assert rebuilt.lines == sum(len(fields["lines"]) for _, fields in story.documents)


def reference(lines: Sequence[JournalLine]) -> Balance:
    """Return the balance by the pure fold over the whole journal of a key."""
    said, moved = [], []
    for one in lines:
        details = orjson.loads(one.details or "{}")
        if one.kind in ABSOLUTE:
            unavailable, reserved, backlog = (
                Decimal(details.get(name, 0)) for name in ("unavailable", "reserved", "backlog")
            )
            owned = details.get("supplier_owned")
            said.append(
                Count(
                    one.occurred_at,
                    one.quantity,
                    unavailable,
                    reserved,
                    backlog,
                    None if owned is None else Decimal(owned),
                    kind=one.kind,
                    line_id=one.line_id,
                )
            )
        elif one.kind is Kind.TITLE:
            moved.append(Movement(one.occurred_at, NOTHING, titled=one.quantity))
        elif one.kind in MOVING:
            held_back = Decimal(details.get("unavailable", 0))
            moved.append(
                Movement(one.occurred_at, one.quantity, is_receipt=one.kind is Kind.RECEIPT, held_back=held_back)
            )
    return fold(said, moved)


def reference_days(lines: Sequence[JournalLine]) -> dict[str, tuple[Decimal, ...]]:
    days: dict[str, tuple[Decimal, ...]] = {}
    for one in lines:
        for effect in effects(one.kind, one.quantity, one.occurred_at, sales_of(one), SITE, held_back_by(one)):
            before = days.get(str(effect.day), (NOTHING,) * 7)
            days[str(effect.day)] = tuple(a + b for a, b in zip(before, effect[1:], strict=True))
    return dict(sorted(days.items()))
