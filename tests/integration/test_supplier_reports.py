"""What outlook, loads, suppliers and the report of a trial show of a real database, in words and as JSON."""

import asyncio
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.integration.test_supplies import Chain
from typer.testing import CliRunner, Result

from vmi_cli.__main__ import app
from vmi_testing import builders
from vmi_testing.builders import DAY, NOON

BY_DEMAND = {"policy": "order_up_to", "minimum": None, "maximum": None, "expected_daily_demand": 10}


@pytest.fixture
async def chain(engine: AsyncEngine, customer: str, database_url: str, monkeypatch: pytest.MonkeyPatch) -> Chain:
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")  # nothing is sent
    monkeypatch.setenv("VMI_CLOCK", "events")
    made = Chain(engine, customer)
    await made.desk.introduce("milk", location_id="store-1")
    return made


async def vmi(*arguments: str) -> Result:
    return await asyncio.to_thread(partial(CliRunner().invoke, app, arguments, env={"COLUMNS": "220"}))


async def shown_and_told(*arguments: str) -> tuple[list[list[str]], Any]:
    """Return the rows of the table, a list of cells each, and what --json has."""
    shown, told = await vmi(*arguments), await vmi(*arguments, "--json")
    assert shown.exit_code == told.exit_code == 0, shown.output + told.output
    lines = [line.split() for line in shown.stdout.splitlines() if line.strip()]
    return lines, json.loads(told.stdout)


def row_of(lines: Sequence[Sequence[str]], *begins: str) -> list[str]:
    [row] = [list(line) for line in lines if tuple(line[: len(begins)]) == begins]
    return row


async def test_the_outlook_shows_what_is_firm_and_what_is_planned_by_order_day(chain: Chain) -> None:
    await chain.agrees(**BY_DEMAND, supply_limit="none", pack="5")
    await chain.holds(20)
    await chain.accepts(await chain.latest())

    lines, told = await shown_and_told("outlook", "dairy", "--days", "14", "--customer", chain.customer)

    by_day = {one["order_at"][:10]: one for one in told}
    assert {day: one["commitment"] for day, one in by_day.items()} == {
        "2025-03-06": "firm",
        "2025-03-13": "planned",
    }
    assert {one["location_id"] for one in told} == {"store-1"}
    assert row_of(lines, "2025-03-06", "milk")[2:] == [by_day["2025-03-06"]["quantity"]]
    assert row_of(lines, "2025-03-13", "milk")[2:] == [by_day["2025-03-13"]["quantity"]]


async def test_the_outlook_of_a_supplier_that_nobody_has_an_agreement_with_is_refused(chain: Chain) -> None:
    refused = await vmi("outlook", "nobody", "--customer", chain.customer)

    assert refused.exit_code != 0
    assert "no agreement with 'nobody'" in str(refused.exception)


async def test_loads_show_need_and_fill_of_each_truck(chain: Chain) -> None:
    await chain.agrees(**BY_DEMAND, supply_limit="none", pack="10", pallet="50", pallet_layer="10", load_pallets=4)
    await chain.holds(0)

    lines, told = await shown_and_told("loads", "dairy", "--customer", chain.customer)

    [one] = told
    [line] = one["lines"]
    assert (one["loads"], one["pallets"]) == (1, "4")
    assert int(line["need"]) + int(line["fill"]) == 200
    assert int(line["need"]) == (await chain.latest()).quantity
    assert row_of(lines, chain.customer)[1:] == [
        "store-1", "2025-03-06", "1", "4.00", "pallets", "(100%)", "milk", line["need"], line["fill"],
    ]  # fmt: skip


async def test_loads_say_that_nothing_is_due(chain: Chain) -> None:
    lines, told = await shown_and_told("loads", "dairy", "--customer", chain.customer)

    assert told == []
    assert "No order is due" in " ".join(lines[-1])


async def test_suppliers_show_what_deliveries_and_their_own_word_say(chain: Chain) -> None:
    await chain.agrees(**BY_DEMAND)
    await chain.states(available_to_promise="30", production=[{"ready_on": "2025-03-07", "quantity": "20"}])
    for number in range(6):
        ordered_at = NOON - (30 - 2 * number) * DAY
        order = builders.order(chain.customer, f"o-{number}", [{"item_id": "milk", "quantity": "10"}], ordered_at)
        came = [{"item_id": "milk", "quantity": "10", "order_id": order.order_id}]
        await chain.desk.tell(order, builders.receipt(chain.customer, f"r-{number}", came, ordered_at + 5 * DAY))

    lines, told = await shown_and_told("suppliers", "dairy", "--customer", chain.customer)

    [one], [supply] = told["suppliers"], told["supply"]
    assert (one["deliveries"], one["agreed_lead_time_days"], one["lead_time_days"]) == (6, 2.0, 5.0)
    assert (one["in_full"], one["on_time_in_full"]) == (1.0, 0.0)
    assert (supply["item_id"], supply["available_to_promise"]) == ("milk", "30")
    assert row_of(lines, "dairy", chain.customer)[2:] == ["6", "2.0", "5.0", "0.00", "0%", "100%"]
    assert row_of(lines, "dairy", "milk")[-3:] == ["20", "on", "2025-03-07"]


async def test_the_report_of_a_trial_shows_what_was_proposed_and_ordered(chain: Chain) -> None:
    await chain.agrees(**BY_DEMAND, supply_limit="none", mode="shadow")
    await chain.holds(0)
    ordered_at = NOON + 2 * DAY
    await chain.desk.tell(builders.order(chain.customer, "o-1", [{"item_id": "milk", "quantity": "50"}], ordered_at))
    await chain.holds(0, at=NOON + 3 * DAY)

    lines, told = await shown_and_told("shadow", "report", "--customer", chain.customer)

    [one] = told
    assert (one["item_id"], one["orders"], one["ordered"]) == ("milk", 1, "50")
    assert row_of(lines, "store-1", "milk")[2:6] == [str(one["opportunities"]), "1", one["proposed"], "50"]
    assert lines[-1][:2] == ["Proposed", f"{one['proposed']},"]
