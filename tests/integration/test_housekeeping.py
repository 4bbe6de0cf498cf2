"""Bounded for years: what is old is deleted, and nothing that anything follows from is."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

import vmi_store.housekeeping
from vmi_contracts.inbound import SalesRetracted
from vmi_inventory import housekeeping
from vmi_inventory.housekeeping import delete_old
from vmi_runtime.settings import RetentionSettings
from vmi_store import quarantine
from vmi_testing import builders
from vmi_testing.builders import DAY, NOON
from vmi_testing.inventory import Desk

RETENTION = RetentionSettings()


@pytest.fixture
async def desk(engine: AsyncEngine, customer: str) -> Desk:
    made = Desk(engine, customer)
    await made.introduce("milk")
    return made


async def run(desk: Desk, statement: str) -> None:
    async with desk.engine.begin() as connection:
        await connection.execute(text(statement), {"customer": desk.customer})


async def rows(desk: Desk, table: str) -> int:
    async with desk.engine.connect() as connection:
        result = await connection.execute(
            text(f"SELECT count(*) FROM {table} WHERE customer_id = :customer"), {"customer": desk.customer}
        )
        count: int = result.scalar_one()
        return count


async def clean(desk: Desk) -> None:
    await delete_old(desk.engine, RETENTION, lambda: False)


async def test_a_document_leaves_the_inbox_when_it_is_old_and_still_counts_once(desk: Desk) -> None:
    sold = builders.sale(desk.customer, {"milk": 3})
    await desk.told(sold, "old")
    await desk.told(builders.sale(desk.customer, {"milk": 1}), "new")
    await run(
        desk,
        "UPDATE inbox SET received_at = now() - interval '401 days' WHERE customer_id = :customer AND ctid = ("
        "SELECT min(ctid) FROM inbox WHERE customer_id = :customer)",
    )
    await clean(desk)
    assert await rows(desk, "inbox") == 1

    await desk.told(sold, "old")
    assert (await desk.stock()).physical == -4


async def test_what_was_said_of_a_document_that_has_not_come_is_never_forgotten(desk: Desk) -> None:
    said: dict[str, Any] = {
        "customer_id": desk.customer,
        "location_id": "store-1",
        "retracts": [{"message_id": "late"}],
    }
    await desk.told(SalesRetracted.model_validate(said), "retraction")
    await run(desk, "UPDATE inbox SET received_at = now() - interval '9 years' WHERE customer_id = :customer")
    await clean(desk)
    await desk.told(builders.sale(desk.customer, {"milk": 3}), "late")
    assert (await desk.stock()).physical == 0


async def test_what_was_taken_in_after_all_leaves_quarantine_and_what_is_held_never_does(desk: Desk) -> None:
    await desk.tell(builders.sale(desk.customer, {"salt": 1}), builders.sale(desk.customer, {"pepper": 1}))
    await desk.introduce("salt")
    await desk.release()
    await run(
        desk,
        "UPDATE quarantine SET quarantined_at = quarantined_at - interval '9 years',"
        " settled_at = settled_at - interval '9 years' WHERE customer_id = :customer",
    )
    await clean(desk)
    assert [one.rejected.item_id for one in await desk.quarantined()] == ["pepper"]


async def test_of_old_reports_the_last_stays_and_of_counts_all_do(desk: Desk) -> None:
    await run(
        desk,
        "INSERT INTO reconciliation (customer_id, location_id, item_id, as_of, due, cause)"
        " SELECT :customer, 'store-1', 'milk', now() - age * interval '1 day', false, cause"
        " FROM (VALUES (2000, 'snapshot_reconcile'), (1500, 'count_reconcile'), (1000, 'snapshot_reconcile'),"
        " (900, 'snapshot_reconcile'), (100, 'snapshot_reconcile')) AS told (age, cause)",
    )
    await clean(desk)
    async with desk.engine.connect() as connection:
        result = await connection.execute(
            text(
                "SELECT round(extract(epoch FROM now() - as_of) / 86400) AS age FROM reconciliation"
                " WHERE customer_id = :customer ORDER BY as_of"
            ),
            {"customer": desk.customer},
        )
        assert [int(row.age) for row in result] == [1500, 900, 100]


async def test_an_overdue_shipment_is_forgotten_long_after_it_closed_and_what_may_open_again_is_not(desk: Desk) -> None:
    for kind, status, age in (
        ("shipment_overdue", "closed", 500),
        ("shipment_overdue", "open", 500),
        ("shipment_overdue", "closed", 10),
        ("receipt_mismatch", "closed", 500),
        ("band_change_requested", "closed", 500),
    ):
        async with desk.engine.begin() as connection:
            await connection.execute(
                text("""
                    INSERT INTO exception (
                        customer_id, exception_id, location_id, item_id, kind, name, version, occurrence, status,
                        seen_at, changed_at, sentence, details, author, note, suppressed)
                    VALUES (
                        :customer, :id, 'store-1', 'milk', :kind, 'S1', 2, 1, :status, :at, :at, '', '{}', '', '',
                        false)
                """),
                {
                    "customer": desk.customer,
                    "id": uuid4(),
                    "kind": kind,
                    "status": status,
                    "at": (await _now(desk)) - timedelta(days=age),
                },
            )
    await clean(desk)
    assert await rows(desk, "exception") == 3


async def _now(desk: Desk) -> Any:
    async with desk.engine.connect() as connection:
        return (await connection.execute(text("SELECT now()"))).scalar_one()


@pytest.mark.parametrize(
    "statement",
    ["_LETTERS", "_RECONCILIATIONS"],
)
async def test_what_is_old_is_found_by_an_index(desk: Desk, statement: str) -> None:
    """Where whole tables may not be read, and the tables are empty, none is: with a million rows none would be."""
    values = {"keep": timedelta(days=400), "at_most": 100}
    async with desk.engine.connect() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        found = await connection.execute(text(f"EXPLAIN {getattr(vmi_store.housekeeping, statement).text}"), values)
        plan = "\n".join(row[0] for row in found)
        await connection.rollback()
    assert "Seq Scan" not in plan
    assert "Index Cond: (as_of <" in plan or "Index Cond: (received_at <" in plan


async def test_the_bytes_of_what_was_discarded_go_when_they_are_old_and_who_did_it_stays(desk: Desk) -> None:
    await desk.tell(builders.sale(desk.customer, {"salt": 1, "pepper": 1}), builders.sale(desk.customer, {"salt": 2}))
    held = await desk.quarantined()
    assert len(held) == 3
    by_record = sorted(held, key=lambda one: (one.rejected.record_id, one.rejected.line))
    alone = next(one for one in held if sum(other.rejected.record_id == one.rejected.record_id for other in held) == 1)
    of_two = next(one for one in by_record if one.rejected.record_id != alone.rejected.record_id)
    async with desk.engine.begin() as connection:
        chosen = quarantine.Selection(ids=[alone.id, of_two.id])
        await quarantine.discard(connection, chosen, who="somebody", why="test data")
    await run(desk, "UPDATE quarantine SET settled_at = settled_at - interval '9 years' WHERE customer_id = :customer")

    await clean(desk)

    assert await rows(desk, "quarantine") == 3
    async with desk.engine.connect() as connection:
        bytes_left = await connection.execute(
            text("SELECT id FROM quarantined_record WHERE id = ANY (CAST(:ids AS uuid[]))"),
            {"ids": list({one.rejected.record_id for one in held})},
        )
        assert [row.id for row in bytes_left] == [of_two.rejected.record_id], "the other line of it is held"


async def test_what_is_much_goes_in_chunks(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "AT_ONCE", 2)
    monkeypatch.setattr(housekeeping, "PAUSE_SECONDS", 0)
    await desk.tell(*(builders.sale(desk.customer, {"milk": 1}, NOON - day * DAY) for day in range(7)))
    await run(desk, "UPDATE inbox SET received_at = now() - interval '401 days' WHERE customer_id = :customer")
    deleted = await delete_old(desk.engine, RETENTION, lambda: False)
    assert deleted["inbox"] >= 7
    assert await rows(desk, "inbox") == 0
