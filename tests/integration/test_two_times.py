"""Two times: what was known then, and what is known now (F21)."""

import asyncio
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_contracts.inbound import SalesRetracted, StockReported
from vmi_domain.days import SiteCalendar
from vmi_domain.stock.position import Key
from vmi_store import history, positions, supply
from vmi_testing.builders import DAY, HOUR, NOON, agreement, sale, shipment, stock
from vmi_testing.inventory import RECORDED, Desk, record

from .test_corrections import Said, stories

MONDAY = datetime(2025, 3, 3, 18, tzinfo=UTC)
THURSDAY = MONDAY + 3 * DAY
BERLIN = SiteCalendar("Europe/Berlin")


@pytest.fixture
async def desk(engine: AsyncEngine, customer: str) -> Desk:
    made = Desk(engine, customer)
    await made.introduce("milk")
    return made


async def known(desk: Desk, at: datetime | None = None, known_at: datetime | None = None) -> history.Known:
    async with desk.engine.connect() as connection:
        return await history.read(connection, Key(desk.customer, "store-1", "milk"), BERLIN, at=at, known_at=known_at)


async def physical(desk: Desk, at: datetime | None = None, known_at: datetime | None = None) -> int:
    balance = (await known(desk, at, known_at)).balance
    return int(balance.counted + balance.moved)


async def test_f21_what_was_known_on_monday_of_monday_differs_from_what_was_known_on_thursday(desk: Desk) -> None:
    await desk.told(stock(desk.customer, {"milk": 100}, MONDAY - 9 * HOUR), "A", recorded_at=MONDAY - 8 * HOUR)
    await desk.told(sale(desk.customer, {"milk": 5}, MONDAY - 3 * HOUR), "B", recorded_at=THURSDAY - HOUR)
    await desk.told(sale(desk.customer, {"milk": 7}, THURSDAY - 2 * HOUR), "C", recorded_at=THURSDAY - HOUR)

    assert await physical(desk, at=MONDAY, known_at=MONDAY) == 100
    assert await physical(desk, at=MONDAY, known_at=THURSDAY) == 95
    assert await physical(desk, at=THURSDAY, known_at=MONDAY) == 100
    assert await physical(desk) == await physical(desk, THURSDAY, THURSDAY) == 88


async def test_f21_what_was_taken_back_later_stood_until_then(desk: Desk) -> None:
    await desk.told(sale(desk.customer, {"milk": 5}, MONDAY), "A", recorded_at=MONDAY)
    await desk.told(stock(desk.customer, {"milk": 500}, MONDAY + HOUR), "R", recorded_at=MONDAY + HOUR)
    replaced = StockReported.model_validate(
        {**stock(desk.customer, {"milk": 50}, MONDAY + HOUR).model_dump(), "revision": 1}
    )
    await desk.told(replaced, "R", recorded_at=THURSDAY)
    retracted = SalesRetracted.model_validate(
        {"customer_id": desk.customer, "location_id": "store-1", "retracts": [{"message_id": "A"}]}
    )
    await desk.told(retracted, "X", recorded_at=THURSDAY)

    assert await physical(desk, at=MONDAY, known_at=MONDAY) == -5
    assert await physical(desk, at=MONDAY, known_at=THURSDAY) == 0
    assert await physical(desk, known_at=THURSDAY - HOUR) == 500
    assert await physical(desk, known_at=THURSDAY) == await physical(desk) == 50


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(story=stories())
async def test_f21_without_a_time_the_fold_over_the_journal_is_the_live_row_and_with_one_what_it_was(
    engine: AsyncEngine, story: tuple[Sequence[Said], Sequence[Sequence[int]]]
) -> None:
    told, batches = story
    desk = Desk(engine, f"two-times-{uuid4().hex}")
    await desk.introduce("milk", time_zone="Europe/Berlin")
    key = Key(desk.customer, "store-1", "milk")
    seen = []
    for minute, batch in enumerate(batches):
        now = RECORDED + timedelta(minutes=minute)
        await desk.deliver(
            [
                record(
                    one.kind.model_validate({"customer_id": desk.customer, "location_id": "store-1", **one.fields}),
                    message_id=one.name,
                    recorded_at=now,
                )
                for one in (told[place] for place in batch)
            ]
        )
        async with engine.connect() as connection:
            rows = await positions.read(connection, [key])
            lines = (await supply.lines(connection, [key]))[key]
        seen.append((now, rows, lines))

    for (now, rows, lines), later in pairwise([*seen, (None, [], [])]):
        for known_at in (now, None) if later[0] is None else (now,):
            then = await known(desk, known_at=known_at)
            assert [row.balance for row in rows] in ([], [then.balance])
            assert [row.supply for row in rows] in ([], [then.supply])
            assert list(then.supply_lines) == lines


async def vmi(*arguments: str) -> str:
    """Return what a command prints, as JSON if it is asked to."""
    result = await asyncio.to_thread(partial(CliRunner().invoke, app, [*arguments], env={"COLUMNS": "200"}))
    assert result.exit_code == 0, result.output
    return result.output


async def test_vmi_position_tells_what_was_known_when_it_was_proposed(
    desk: Desk, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    await desk.define(agreement(desk.customer, title_transfer="on_withdrawal", unit_price="2.5"))
    await desk.told(stock(desk.customer, {"milk": 100}, NOON - DAY), "A", recorded_at=NOON - DAY)
    await desk.told(shipment(desk.customer, "S", [{"item_id": "milk", "quantity": 24}], NOON), "S", recorded_at=NOON)
    await desk.told(sale(desk.customer, {"milk": 5}, NOON - HOUR), "B", recorded_at=NOON + DAY)
    asked = ("position", desk.customer, "store-1", "milk")

    [now] = json.loads(await vmi(*asked, "--json"))
    [then] = json.loads(await vmi(*asked, "--known-at", "2025-03-04", "--facts", "--json"))
    [same] = json.loads(await vmi(*asked, "--facts", "--json"))

    assert (now["physical"], then["physical"], same["physical"]) == ("95", "100", "95")
    assert {name: now[name] for name in now if name not in ("version", "reached_at")}.items() <= same.items()
    assert [one["what"] for one in then["facts"]] == ["report"]
    assert [(one["stage"], one["quantity"]) for one in then["supply"]] == [("shipped", "24")]
    assert (now["supplier_owned"], now["value_supplier_owned"]) == ("95", "237.5")
    shown = await vmi(*asked, "--facts")
    assert "sale" in shown
    assert "on its way" in shown.lower()


async def test_vmi_position_says_what_it_does_not_understand(
    desk: Desk, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")

    async def refused(*arguments: str) -> str:
        given = ["position", desk.customer, "store-1", *arguments]
        return str((await asyncio.to_thread(partial(CliRunner().invoke, app, given))).exception)

    assert "one item" in await refused("--facts")
    assert "'Tuesday' is no time" in await refused("milk", "--at", "Tuesday")
    assert "nothing is known of milk" in await refused("milk", "--at", "2020-01-01")
