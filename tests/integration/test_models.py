"""Models chosen in the background on a real Postgres: kept, laid over what is told, and never in the way."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.integration.test_forecasts import EVENTS, STORE, Site, day
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_domain import forecasting
from vmi_domain.forecasting.selection import LIVE, ChosenBy
from vmi_forecast import profiling, selecting
from vmi_runtime import background
from vmi_runtime.worker import Transaction
from vmi_store import models
from vmi_store.forecasts import Location

DYING = np.where(np.arange(200) < 130, 3.0, 3.0 * 0.93 ** (np.arange(200) - 130))
random = np.random.default_rng(4)


@pytest.fixture
async def site(engine: AsyncEngine, customer: str) -> Site:
    return Site(engine, customer)


async def dies(site: Site, *items: str) -> None:
    for item in items:
        await site.sells(item, random.poisson(DYING).tolist())
    await site.reaches(day(200))
    await site.hears({item: day(0) for item in items})


async def choose(site: Site) -> None:
    """Choose models where it is due, as often as the worker would."""
    async with site.engine.begin() as connection:
        while await selecting.choose(Transaction(connection, EVENTS)):
            pass


async def chosen(site: Site) -> dict[str, models.Chosen]:
    async with site.engine.connect() as connection:
        found = await models.of_location(connection, Location(site.customer, STORE))
    return {key.item_id: one for key, one in found.items()}


async def test_f34_the_chosen_model_is_kept_with_its_reason_and_is_what_the_forecast_says(site: Site) -> None:
    await dies(site, "milk", "bread")
    before = await site.forecast("milk")

    await choose(site)

    kept, after = (await chosen(site))["milk"], await site.forecast("milk")
    assert kept.choice.model != LIVE
    assert "below that of live" in kept.choice.why
    assert kept.judged_on == kept.since == before.through
    said, plain = (forecasting.demand_over(one.state, day(200), 7) for one in (after, before))
    assert said.mean == pytest.approx(kept.choice.mean_share * plain.mean, rel=1e-4)
    assert after.version == before.version + 1


async def test_a_model_is_not_chosen_again_before_a_week_is_closed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await dies(site, "milk")
    await choose(site)
    judged = []
    computed: Callable[..., Any] = background.computed

    async def watched(*arguments: Any) -> Any:
        judged.append(arguments)
        return await computed(*arguments)

    monkeypatch.setattr(background, "computed", watched)
    await site.reaches(day(203))
    await site.hears({"milk": None})
    await choose(site)
    assert not judged

    await site.reaches(day(208))
    await site.hears({"milk": None})
    await choose(site)
    assert len(judged) == 1


async def test_a_day_and_a_late_fact_move_the_state_below_the_choice(site: Site) -> None:
    await dies(site, "milk")
    await choose(site)
    over = (await chosen(site))["milk"].choice
    await site.sells("milk", [2], first=day(190))
    await site.hears({"milk": day(190)})
    await site.reaches(day(201))
    await site.hears({"milk": None})

    learned = await site.forecast("milk")

    assert learned.through == day(200)
    plain = forecasting.laid_over(np.atleast_2d(learned.state), [1.0], [1.0], [1.0])
    ratio = forecasting.daily_rate(np.atleast_2d(learned.state)) / forecasting.daily_rate(plain)
    assert ratio == pytest.approx(over.mean_share, rel=1e-4)


async def test_choices_outlive_forecasts_that_are_made_anew(site: Site) -> None:
    await dies(site, "milk")
    await choose(site)
    before = (await site.forecast("milk")).state
    async with site.engine.begin() as connection:
        for table in ("forecast", "forecast_checkpoint", "forecast_location"):
            statement = f"DELETE FROM {table} WHERE customer_id = :customer"
            await connection.execute(text(statement), {"customer": site.customer})

    await site.hears({"milk": None})

    assert np.allclose((await site.forecast("milk")).state, before, atol=1e-5)


async def test_while_models_are_tried_days_are_closed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await dies(site, "milk")
    closed = asyncio.Event()
    computed: Callable[..., Any] = background.computed

    async def slow(*arguments: Any) -> Any:
        await asyncio.wait_for(closed.wait(), 20)
        return await computed(*arguments)

    monkeypatch.setattr(background, "computed", slow)
    passing = asyncio.create_task(choose(site))
    await site.reaches(day(202))
    await site.hears({"milk": None})  # would wait for the pass if it held the turn of forecasting
    closed.set()
    await passing

    assert (await site.forecast("milk")).through == day(201)
    assert (await chosen(site))["milk"].judged_on >= day(199)


async def test_a_choice_that_changes_little_is_told_to_nobody(site: Site) -> None:
    items = [f"item-{number}" for number in range(8)]
    for item in items:
        await site.sells(item, random.poisson(4, 200).tolist())
    await site.reaches(day(200))
    await site.hears(dict.fromkeys(items, day(0)))
    told = len(await site.told())

    await choose(site)

    news = {line["item_id"] for message in (await site.told())[told:] for line in message["lines"]}
    models_of = {item: one.choice.model for item, one in (await chosen(site)).items()}
    stayed = {item for item, model in models_of.items() if model == LIVE}
    assert len(stayed) >= len(items) // 2
    assert not stayed & news


async def test_f35_outcomes_widen_the_spread_of_what_is_told(site: Site) -> None:
    items = [f"item-{number}" for number in range(6)]
    for item in items:
        steady = random.poisson(5, 120).tolist()
        await site.sells(item, steady + (np.array([0, 0, 0, 0, 0, 0, 60] * 12) * random.integers(0, 3, 84)).tolist())
    for reached in range(118, 204, 7):
        await site.reaches(day(reached))
        await site.hears(dict.fromkeys(items, day(reached)))
    async with site.engine.connect() as connection:
        assert await models.calibrations(connection, Location(site.customer, STORE)) == {}

    await choose(site)

    async with site.engine.connect() as connection:
        found = await models.calibrations(connection, Location(site.customer, STORE))
    [one] = found.values()
    assert one.outcomes >= 60
    assert one.covered < one.outcomes
    assert one.scale != 1.0
    again = dict(found)
    await choose(site)
    async with site.engine.connect() as connection:
        assert await models.calibrations(connection, Location(site.customer, STORE)) == again


async def test_the_model_that_is_agreed_for_a_class_is_gone_by_from_the_next_pass_on(site: Site) -> None:
    await dies(site, "milk", "bread", "salt")
    await site.agrees("milk", forecast_models=["adida"])
    by_class = {pattern: ["theta"] for pattern in ("smooth", "erratic", "intermittent", "lumpy")}
    await site.agrees("bread", forecast_models=["sba"], forecast_models_by_class=by_class)
    async with site.engine.begin() as connection:
        while await profiling.refresh(Transaction(connection, EVENTS)):
            pass

    await choose(site)

    kept = await chosen(site)
    assert (kept["milk"].choice.model, kept["milk"].choice.chosen_by) == ("ADIDA", ChosenBy.AGREEMENT)
    assert (kept["bread"].choice.model, kept["bread"].choice.chosen_by) == ("theta", ChosenBy.AGREEMENT)
    assert kept["salt"].choice.chosen_by is ChosenBy.SERVICE


async def test_the_model_of_a_series_and_why_can_be_seen(
    site: Site, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await dies(site, "milk", "bread")
    await site.agrees("bread", forecast_models=["tsb"])
    await choose(site)
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("COLUMNS", "300")

    def run(*arguments: str) -> Any:
        return CliRunner().invoke(app, ["forecast", "models", site.customer, *arguments])

    shown = await asyncio.to_thread(run, STORE, "milk")
    told = await asyncio.to_thread(run, "--json")
    assert told.exit_code == 0, told.output
    machine = json.loads(told.stdout)

    assert shown.exit_code == 0, shown.output
    assert "below that of live" in shown.stdout
    assert {one["item_id"]: one["chosen_by"] for one in machine["series"]} == {"bread": "agreement", "milk": "service"}
    assert machine["series"][0]["loss_over_live"][LIVE] == 1.0
    assert timedelta(0) < timedelta(days=machine["series"][0]["horizon_days"])
