"""Profiles, classes and archived forecasts on a real Postgres, as the forecast worker keeps them."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.integration.test_demand_plans import EVENTS, STORE, TODAY, Shop
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_domain.forecasting.accuracy import Said, by_lag, by_week
from vmi_domain.forecasting.panel import Period
from vmi_domain.stock.position import Key
from vmi_domain.understanding.profiles import LOOKED_BACK_DAYS
from vmi_files.classes import value_classes
from vmi_files.sales import Series
from vmi_forecast import profiling
from vmi_runtime.worker import Transaction
from vmi_store import due as replenishment_due
from vmi_store import past_forecasts, profiles
from vmi_store.past_forecasts import Outcome
from vmi_testing import builders
from vmi_testing.builders import DAY, NOON


@pytest.fixture
async def shop(engine: AsyncEngine, customer: str) -> Shop:
    made = Shop(engine, customer)
    await made.opens("milk", "bread")
    return made


async def refresh(shop: Shop) -> None:
    """Refresh what is due, as often as the worker would."""
    async with shop.engine.begin() as connection:
        while await profiling.refresh(Transaction(connection, EVENTS)):
            pass


async def passes(shop: Shop, days: int, quantities: dict[str, int], begin: int) -> None:
    """Let a store sell some of each item on each day, and its days be closed as they go."""
    for day in range(begin, begin + days):
        moment = datetime.combine(TODAY + timedelta(days=day), NOON.time(), UTC)
        await shop.tells(builders.sale(shop.customer, quantities, moment))


async def outcomes(shop: Shop, item: str = "milk") -> list[Outcome]:
    async with shop.engine.connect() as connection:
        return await past_forecasts.outcomes(connection, customer_id=shop.customer, item_id=item)


async def test_f27_a_customers_demand_is_known_by_item_and_as_a_whole(shop: Shop) -> None:
    await shop.sells([10, 0, 0, 0, 0, 0, 0] * 8)
    await shop.sells([90] * 56, item="bread")
    await refresh(shop)

    async with shop.engine.connect() as connection:
        bread, milk = await profiles.items(connection, customer_id=shop.customer)
        [own] = [one for one in await profiles.customers(connection) if one.customer_id == shop.customer]

    assert (milk.figures["mean_interval_days"], milk.figures["regularity"]) == (pytest.approx(7, rel=0.02), 1)
    assert (milk.pattern.name, bread.pattern.name) == ("intermittent", "smooth")
    assert (bread.value_class.name, milk.value_class.name) == ("A", "C")
    assert milk.figures["weekdays"][(TODAY - 56 * DAY).weekday()] == pytest.approx(7)
    assert own.figures["mean_interval_days"] == 1
    assert own.value == 80 + 90 * 55


async def test_profiles_are_refreshed_once_a_week_and_no_oftener(shop: Shop) -> None:
    await shop.sells([10] * 20)
    await refresh(shop)
    async with shop.engine.connect() as connection:
        [first, *_] = await profiles.items(connection, customer_id=shop.customer)

    await passes(shop, 3, {"milk": 10}, begin=0)
    await refresh(shop)

    async with shop.engine.connect() as connection:
        [still, *_] = await profiles.items(connection, customer_id=shop.customer)
    assert still.as_of == first.as_of


async def test_what_was_bought_longer_ago_than_three_years_is_not_in_a_profile(shop: Shop) -> None:
    for days_ago in (1096, 1095, 1):  # the last closed day is the first of them
        await shop.sells([7], last=TODAY - days_ago * DAY)
    await refresh(shop)
    async with shop.engine.connect() as connection:
        milk = next(
            one for one in await profiles.items(connection, customer_id=shop.customer) if one.key.item_id == "milk"
        )

    assert (milk.figures["days"], milk.figures["days_with_demand"]) == (LOOKED_BACK_DAYS, 2)


async def test_a_class_chooses_the_service_target_where_that_is_agreed(shop: Shop) -> None:
    await shop.sells([50, 40, 60] * 10)
    await refresh(shop)
    agreed = {"expected_daily_demand": 10, "lead_time_days": 2, "service_target": 0.6}

    targets = {}
    for name, by_class in (("own", None), ("default", "default"), ("agreed", {"A": 0.99})):
        made = builders.agreement(shop.customer, "milk", service_target_by_class=by_class, **agreed)
        await shop.desk.define(made)
        # Days later, so that what was proposed meanwhile has expired.
        await shop.tells(builders.stock(shop.customer, {"milk": 7}, NOON + (3 + 3 * len(targets)) * DAY))
        targets[name] = (await shop.latest()).explanation["inputs"]["policy"]["target"]

    assert targets == {"own": 0.6, "default": 0.97, "agreed": 0.99}


async def test_an_item_whose_class_is_another_is_decided_on_again_where_targets_go_by_class(shop: Shop) -> None:
    async def due_at_once() -> list[str]:
        async with shop.engine.connect() as connection:
            places = {(shop.customer, STORE): replenishment_due.AT_ONCE + DAY}
            return sorted(key.item_id for key in await replenishment_due.at_locations(connection, places))

    await shop.desk.define(builders.agreement(shop.customer, "milk", service_target_by_class="default"))
    await shop.sells([50] * 30)
    await shop.sells([10] * 30, item="bread")
    assert await due_at_once() == []
    await refresh(shop)
    assert await due_at_once() == ["milk"]

    await passes(shop, 8, {"milk": 50, "bread": 10}, begin=0)
    assert await due_at_once() == []
    await refresh(shop)
    assert await due_at_once() == [], "its class is as it was"


async def test_a_file_of_the_same_history_has_the_same_classes(shop: Shop) -> None:
    sold = {"bread": [90] * 56, "milk": [10, 0, 0, 0, 0, 0, 0] * 8}
    for item, quantities in sold.items():
        await shop.sells(quantities, item=item)
    await refresh(shop)
    keys = [Key(shop.customer, STORE, item) for item in sold]
    async with shop.engine.connect() as connection:
        live = await profiles.value_classes(connection, keys)

    demand = np.array(list(sold.values()), np.float64)
    series = [Series(*key) for key in keys]
    assert value_classes(series, demand, Period.DAY, [None, None]) == [live[key] for key in keys] == ["A", "C"]


async def test_f40_errors_are_against_what_was_forecast_then_and_not_now(shop: Shop) -> None:
    await shop.sells([10] * 40)
    await passes(shop, 30, {"milk": 30}, begin=0)

    found = await outcomes(shop)

    before = [one for one in found if one.said.made_on < TODAY]
    assert before
    assert before[-1].said.means == pytest.approx([10] * 28, rel=0.05)
    first = by_lag(
        Said(by_week(before[-1].said.means[None]), by_week(before[-1].wanted[None]), np.array([before[-1].last_week]))
    )[1]
    assert first.bias == pytest.approx(-2 / 3, abs=0.05)


async def test_what_is_redone_for_a_late_fact_leaves_what_was_said_as_it_was(shop: Shop) -> None:
    await shop.sells([10] * 40)
    await shop.tells(builders.sale(shop.customer, {"milk": 1}))
    before = [one.said.means for one in await outcomes(shop)]

    await shop.tells(builders.sale(shop.customer, {"milk": 300}, NOON - 5 * DAY))

    assert np.array_equal([one.said.means for one in await outcomes(shop)], before)


async def test_the_archive_is_bounded(shop: Shop) -> None:
    await shop.sells([1] * 30, last=TODAY - 300 * DAY)
    await passes(shop, 1, {"milk": 1}, begin=-250)
    await passes(shop, 1, {"milk": 1}, begin=0)

    assert min(one.said.made_on for one in await outcomes(shop)) >= TODAY - (past_forecasts.KEPT_DAYS + 1) * DAY


async def test_days_that_sold_out_are_not_held_against_a_forecast(shop: Shop) -> None:
    await shop.sells([10] * 30)
    await passes(shop, 6, {"milk": 10}, begin=0)
    key = Key(shop.customer, STORE, "milk")
    async with shop.engine.begin() as connection:
        await connection.execute(
            text("""
                INSERT INTO corrected_demand (customer_id, location_id, item_id, day, observed, demand, cause)
                VALUES (:customer, :location, :item, :day, 10, 20, 'sold_out')
            """),
            {"customer": key[0], "location": key[1], "item": key[2], "day": TODAY + 2 * DAY},
        )

    last = (await outcomes(shop))[-1]

    assert np.isnan(last.wanted[(TODAY + 2 * DAY - last.said.made_on).days - 1])


@pytest.fixture
def vmi(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Callable[..., Awaitable[Any]]:
    """``await vmi("profile", …)`` runs a command on the tests' database and returns its JSON."""
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")

    async def run(*arguments: str) -> Any:
        found = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--json"])
        assert found.exit_code == 0, found.output
        return json.loads(found.stdout)

    return run


async def test_people_can_look_at_profiles_and_at_how_right_forecasts_were(
    shop: Shop, vmi: Callable[..., Awaitable[Any]]
) -> None:
    await shop.sells([10] * 40)
    await passes(shop, 15, {"milk": 10, "bread": 1}, begin=0)
    await refresh(shop)

    shown = await vmi("profile", shop.customer)
    told = await vmi("forecast", "report", "--customer", shop.customer, "--by", "series")
    by_class = await vmi("forecast", "report", "--customer", shop.customer, "--by", "class")

    milk = next(one for one in shown["series"] if one["item_id"] == "milk")
    assert (milk["mean_interval_days"], milk["value_class"]) == (1, "A")
    [customer] = shown["customers"]
    assert customer["customer_class"] in ("key", "regular")
    largest = told[0]
    assert largest["group"] == f"{shop.customer}|{STORE}|milk"
    assert abs(largest["lags"][0]["bias"]) < 0.05
    assert by_class[0]["group"] == "A smooth"
