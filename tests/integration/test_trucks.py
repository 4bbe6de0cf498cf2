"""Trucks that proposals fill, on a real database: by all items of an order, need and fill apart (S19, F46)."""

import asyncio
import json
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.integration.test_supplies import EVENTS, Chain
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_contracts.outbound import ProposalLine
from vmi_domain.replenishment.explanations import recompute
from vmi_domain.stock.position import Key
from vmi_replenishment import telling
from vmi_runtime.worker import Transaction
from vmi_testing import builders
from vmi_testing.builders import NOON

BY_DEMAND = {"policy": "order_up_to", "order_weekdays": (4,), "lead_time_days": 2, "pack": "10"}
TRUCK = {"load_building": "trucks", "pallet": "50", "pallet_layer": "10", "load_pallets": 8}


class Depot(Chain):
    """A store that gets two items of the dairy's on one truck."""

    async def agrees_on(self, daily: dict[str, int], **terms: Any) -> None:
        await self.desk.introduce(*daily)
        await self.desk.define(
            *(
                builders.agreement(self.customer, item, expected_daily_demand=rate, **{**BY_DEMAND, **TRUCK, **terms})
                for item, rate in daily.items()
            )
        )

    async def stands(self, **quantities: int) -> None:
        """Let stock be reported, of which the worker hears for the first item alone."""
        await self.desk.tell(builders.stock(self.customer, quantities, NOON))
        await self.hears("store-1")

    async def lines(self) -> dict[str, ProposalLine]:
        """Return the lines of the latest document."""
        return {line.item_id: line for line in (await self.document()).lines}


@pytest.fixture
async def depot(engine: AsyncEngine, customer: str) -> Depot:
    return Depot(engine, customer)


async def test_s19_a_truck_is_filled_by_the_items_that_run_out_first(depot: Depot) -> None:
    await depot.agrees_on({"milk": 10, "cream": 5})
    await depot.stands(milk=0, cream=80)

    lines = await depot.lines()

    assert set(lines) == {"milk", "cream"}, "what changed is milk, and cream goes on its truck"
    assert sum(line.quantity for line in lines.values()) == 400, "eight pallets of fifty"
    assert lines["milk"].fill_quantity is not None
    for line in lines.values():
        assert recompute(line.explanation) == line.quantity
        assert line.explanation["load"]["trucks"] == 1
        assert line.explanation["load"]["full"] is True
        assert line.explanation["load"]["rooms"]["pallets"] == {
            "of_a_truck": "8",
            "needed": line.explanation["load"]["rooms"]["pallets"]["needed"],
            "loaded": "8",
        }
        assert line.explanation["binding"] == "trucks"
        assert "1 truck: 8 of 8 pallets" in line.reason
    covers = [(lines["milk"].quantity + 0) / 10, (lines["cream"].quantity + 80) / 5]
    assert abs(covers[0] - covers[1]) <= 2, "both last as long, but for a layer"


async def test_a_filled_truck_stays_as_it_was_told_until_a_need_changes_it(depot: Depot) -> None:
    await depot.agrees_on({"milk": 10, "cream": 5})
    await depot.stands(milk=0, cream=80)
    first = await depot.document()

    await depot.hears("store-1")
    await depot.stands(milk=0, cream=75)
    assert await depot.document() == first, "five fewer of cream are on the truck already"

    await depot.accepts(first.lines[0])
    assert all(one.status == "accepted" for one in (await depot.document()).lines), "what is bound is aboard"
    await depot.hears("store-1")
    assert all(one.status == "accepted" for one in (await depot.document()).lines)


async def test_a_truck_takes_no_more_than_nobody_needs_of_a_stated_supply(depot: Depot) -> None:
    await depot.agrees_on({"milk": 10}, supply_limit="cap")
    await depot.states(available_to_promise="210")
    await depot.stands(milk=0)

    line = await depot.latest()

    assert line.fill_quantity is not None
    assert line.quantity == 210, "eight pallets hold 400; the dairy has 210"
    assert line.explanation["load"]["full"] is False
    assert recompute(line.explanation) == 210


async def test_what_exceeds_the_agreed_trucks_waits_and_the_line_says_so(depot: Depot) -> None:
    await depot.agrees_on({"milk": 30, "cream": 20}, load_trucks=1, minimum_change="1")
    await depot.stands(milk=0, cream=0)

    lines = await depot.lines()

    assert sum(line.quantity for line in lines.values()) == 400
    assert all(line.explanation["load"]["exceeded"] for line in lines.values())
    assert any(line.explanation["binding"] == "trucks" and line.fill_quantity is None for line in lines.values())
    assert all(recompute(line.explanation) == line.quantity for line in lines.values())
    assert "no more trucks are agreed, the rest waits" in lines["milk"].reason


async def test_a_truck_that_no_item_may_fill_goes_as_it_is_and_says_so(depot: Depot) -> None:
    await depot.agrees_on({"milk": 10}, maximum="150")
    await depot.stands(milk=0)

    line = await depot.latest()

    assert line.quantity == 150, "nothing passes the maximum"
    assert line.explanation["load"]["full"] is False
    assert "no item may be filled up further" in line.reason


async def test_a_truck_is_weighed_where_a_weight_is_agreed(depot: Depot) -> None:
    weighed = {"load_weight": "1200", "gross_weight": "5", "load_volume": "20", "gross_volume": "0.1"}
    await depot.agrees_on({"milk": 10, "cream": 5}, **weighed)
    await depot.stands(milk=0, cream=80)

    rooms = (await depot.latest()).explanation["load"]["rooms"]

    assert rooms["volume"]["loaded"] == "20", "it is full by its volume first"
    assert (Decimal(rooms["weight"]["loaded"]), Decimal(rooms["pallets"]["loaded"])) == (1000, 4)


async def test_why_and_loads_tell_of_the_truck_that_was_proposed(
    depot: Depot, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await depot.agrees_on({"milk": 10, "cream": 5})
    await depot.stands(milk=0, cream=80)
    lines = await depot.lines()
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")  # nothing is sent
    monkeypatch.setenv("VMI_CLOCK", "events")

    async with depot.engine.connect() as connection:
        story = await telling.of_key(Key(depot.customer, "store-1", "cream"), Transaction(connection, EVENTS))
    told = await asyncio.to_thread(
        partial(CliRunner().invoke, app, ["loads", "dairy", "--customer", depot.customer, "--json"])
    )

    assert story is not None
    assert story.decision.quantity == lines["cream"].quantity
    assert story.proposal is not None
    assert story.proposal.proposal_id == lines["cream"].proposal_id
    [load] = json.loads(told.stdout)
    assert (load["loads"], load["pallets"], load["full"]) == (1, "8", True)
    assert {one["item_id"]: Decimal(one["need"]) + Decimal(one["fill"]) for one in load["lines"]} == {
        item: line.quantity for item, line in lines.items()
    }
