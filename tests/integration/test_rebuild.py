"""Rebuilding: what is derived is made anew from the journal, row for row, while workers run."""

import asyncio
import json
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_domain.stock.position import Key
from vmi_domain.stock.supply_facts import Accepted
from vmi_inventory.rebuilding import learn_anew
from vmi_store import positions, supply
from vmi_store.rebuilding import Scope
from vmi_testing import builders
from vmi_testing.builders import DAY, HOUR, NOON
from vmi_testing.inventory import Desk, record

DERIVED = ("position", "daily_balance", "supply_line", "location_watermark")


@pytest.fixture
async def desk(engine: AsyncEngine, customer: str) -> Desk:
    """A customer with a little of everything."""
    made = Desk(engine, customer)
    await made.introduce("milk", "bread", time_zone="Europe/Berlin")
    await made.introduce("milk", "bread", location_id="store-2")
    await made.tell(
        builders.stock(customer, {"milk": 30, "bread": 8}, NOON - 2 * DAY),
        builders.sale(customer, {"milk": 3, "bread": 1}, NOON - DAY),
        builders.sale(customer, {"milk": 2}, NOON),
        builders.sale(customer, {"milk": 1}, NOON, location_id="store-2"),
        builders.order(customer, "O1", [{"item_id": "milk", "quantity": "24"}], NOON - DAY),
        builders.shipment(customer, "S1", [{"item_id": "milk", "quantity": "20", "order_id": "O1"}], NOON - 20 * HOUR),
    )
    await made.tell(
        builders.receipt(customer, "R1", [{"item_id": "milk", "quantity": "12", "shipment_id": "S1"}], NOON + HOUR),
        builders.stock(customer, {"milk": 17}, NOON - HOUR),
    )
    return made


async def state(engine: AsyncEngine, customer: str) -> dict[str, list[Any]]:
    """Return all derived rows of a customer, versions aside."""
    found = {}
    async with engine.connect() as connection:
        for table in DERIVED:
            result = await connection.execute(
                text(f"SELECT (to_jsonb({table}) - 'version')::text FROM {table} WHERE customer_id = :customer"),
                {"customer": customer},
            )
            found[table] = sorted(result.scalars())
    return found


async def change(engine: AsyncEngine, customer: str, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(f"{statement} WHERE customer_id = :customer"), {"customer": customer})


async def test_what_stands_is_what_the_journal_says(desk: Desk) -> None:
    outcome = await desk.rebuild(dry_run=True)
    assert outcome.is_same
    assert (outcome.keys, outcome.lines, outcome.put_in_place) == (3, 10, 0)


async def test_a_dry_run_shows_what_differs_and_changes_nothing(engine: AsyncEngine, desk: Desk) -> None:
    await change(
        engine,
        desk.customer,
        "UPDATE position SET moved = moved + 7",
        "UPDATE daily_balance SET sold = 99",
    )
    before = await state(engine, desk.customer)
    outcome = await desk.rebuild(dry_run=True)
    assert not outcome.is_same
    assert outcome.keys_different == 3
    wrong = {(one.table, one.key.item_id, *one.columns) for one in outcome.differences}
    assert wrong == {
        ("position", "milk", "moved"),
        ("position", "bread", "moved"),
        ("daily_balance", "milk", "sold"),
        ("daily_balance", "bread", "sold"),
    }
    assert await state(engine, desk.customer) == before


async def test_derived_tables_that_are_lost_come_back_row_for_row(engine: AsyncEngine, desk: Desk) -> None:
    before = await state(engine, desk.customer)
    known, version = len(await desk.published()), (await desk.row()).version
    await change(engine, desk.customer, *(f"DELETE FROM {table}" for table in (*DERIVED, "supply_fact")))

    outcome = await desk.rebuild()
    assert outcome.put_in_place == 3
    assert await state(engine, desk.customer) == before
    assert (await desk.rebuild(dry_run=True)).is_same
    # Versions go on, and the other workers are told from which day on to learn again.
    assert (await desk.row()).version > version
    told = (await desk.published())[known:]
    assert {
        line.item_id: str(line.demand_from) for one in told for line in one.lines if one.location_id == "store-1"
    } == {
        "milk": "2025-03-03",
        "bread": "2025-03-03",
    }


async def test_only_what_differs_is_put_in_place_and_its_version_goes_on(engine: AsyncEngine, desk: Desk) -> None:
    before = await state(engine, desk.customer)
    milk, bread = await desk.row("milk"), await desk.row("bread")
    async with engine.begin() as connection:
        await connection.execute(
            text("UPDATE position SET counted = 1000 WHERE customer_id = :customer AND item_id = 'bread'"),
            {"customer": desk.customer},
        )
    assert (await desk.rebuild()).put_in_place == 1
    assert await state(engine, desk.customer) == before
    assert (await desk.row("milk")).version == milk.version
    assert (await desk.row("bread")).version == bread.version + 1


async def test_one_key_is_made_anew_and_the_others_stay_as_they_are(engine: AsyncEngine, desk: Desk) -> None:
    await change(engine, desk.customer, "UPDATE position SET moved = moved + 7")
    assert (await desk.rebuild(item_id="milk")).put_in_place == 1
    left = [one.key[1:] for one in (await desk.rebuild(dry_run=True)).differences]
    assert sorted(left) == [("store-1", "bread"), ("store-2", "milk")]


async def test_what_was_accepted_is_a_fact_and_stays(engine: AsyncEngine, desk: Desk) -> None:
    key = Key(desk.customer, "store-1", "bread")
    async with engine.begin() as connection:
        await positions.lock(connection, [key])
        await supply.record(connection, [(key, Accepted(uuid4(), Decimal(40), NOON, fact_id=uuid4()))])
        await supply.refold(connection, [key])
    assert (await desk.rebuild(dry_run=True)).is_same

    await change(engine, desk.customer, "DELETE FROM supply_line", "UPDATE position SET on_order = 0")
    await desk.rebuild()
    assert (await desk.row("bread")).supply.on_order == 40


async def test_what_was_taken_back_stays_taken_back(engine: AsyncEngine, desk: Desk) -> None:
    again = builders.sale(desk.customer, {"milk": 5}, NOON).model_copy(update={"revision": 1})
    await desk.deliver([record(builders.sale(desk.customer, {"milk": 50}, NOON), message_id="till")])
    await desk.deliver([record(again, message_id="till")])
    before = await state(engine, desk.customer)
    assert (await desk.rebuild(dry_run=True)).is_same
    await change(engine, desk.customer, "DELETE FROM position", "DELETE FROM daily_balance")
    await desk.rebuild()
    assert await state(engine, desk.customer) == before


async def test_days_are_those_of_the_sites_calendar_of_today(engine: AsyncEngine, desk: Desk) -> None:
    await desk.define(builders.location(desk.customer, time_zone="Asia/Tokyo", day_ends_at="04:00"))
    assert (await desk.rebuild(dry_run=True)).is_same


async def test_facts_that_come_while_it_is_made_anew_are_in_it(engine: AsyncEngine, desk: Desk) -> None:
    await change(engine, desk.customer, "UPDATE position SET moved = moved + 7, version = version + 5")
    stop = asyncio.Event()
    sold = 0

    async def sell() -> None:
        nonlocal sold
        while not stop.is_set():
            await desk.tell(builders.sale(desk.customer, {"milk": 1, "bread": 1}, NOON + timedelta(seconds=sold)))
            sold += 1

    selling = asyncio.create_task(sell())
    for _ in range(3):
        await desk.rebuild()
        await change(engine, desk.customer, "UPDATE daily_balance SET sold = sold + 1")
    await desk.rebuild()
    stop.set()
    await selling
    assert sold > 3
    assert (await desk.rebuild(dry_run=True)).is_same
    assert (await desk.stock("bread")).physical == 8 - 1 - sold


async def test_series_are_learned_anew_from_the_very_first_day(desk: Desk) -> None:
    known, before = len(await desk.published()), await desk.row()
    assert await learn_anew(desk.engine, Scope(desk.customer, "store-1"), lambda done, total: None) == 2
    [told] = (await desk.published())[known:]
    assert {line.item_id: str(line.demand_from) for line in told.lines} == {"bread": "1900-01-01", "milk": "1900-01-01"}
    assert (await desk.row()).version == before.version + 1
    assert (await desk.rebuild(dry_run=True)).is_same


async def test_on_the_command_line_the_exit_status_tells_whether_anything_differs(
    engine: AsyncEngine, desk: Desk, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")

    async def vmi(*arguments: str) -> Any:
        return await asyncio.to_thread(partial(CliRunner().invoke, app, ["rebuild", desk.customer, *arguments]))

    assert (await vmi("--dry-run")).exit_code == 0
    await change(engine, desk.customer, "UPDATE position SET reserved = 2")
    shown = await vmi("--dry-run", "--json")
    assert shown.exit_code == 1
    said = json.loads(shown.stdout)
    assert (said["same"], said["keys_different"], said["keys_put_in_place"]) == (False, 3, 0)
    assert "reserved" in (await vmi("--dry-run")).stdout
    assert (await vmi()).exit_code == 0
    assert (await vmi("--dry-run")).exit_code == 0
    assert "nothing is known" in str((await vmi("no-such-store")).exception)
