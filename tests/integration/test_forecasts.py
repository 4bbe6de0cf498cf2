"""The forecast worker on a real Postgres: closed days, late facts, bursts, and what is told."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from vmi_contracts import writing
from vmi_contracts.internal import PositionLine, PositionsChanged
from vmi_domain import forecasting
from vmi_domain.stock.position import Key, Kind
from vmi_forecast import upkeep
from vmi_forecast.changes import read_changes
from vmi_runtime.clock import Clock, ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import agreements, catalogue, forecasts, positions
from vmi_store.forecasts import Forecast
from vmi_testing import builders
from vmi_testing.records import record

FIRST = date(2024, 1, 1)
EVENTS = Clock(ClockMode.EVENTS)
STORE = "store-1"
random = np.random.default_rng(11)
MILK = random.poisson(4.0, 120)
BREAD = random.poisson(1.0, 120)


@pytest.fixture
def site(engine: AsyncEngine, customer: str) -> "Site":
    return Site(engine, customer)


class Site:
    """One location: its facts as the inventory worker leaves them, and the forecast worker at its side."""

    def __init__(self, engine: AsyncEngine, customer: str) -> None:
        self.engine = engine
        self.customer = customer

    def key(self, item: str) -> Key:
        return Key(self.customer, STORE, item)

    async def sells(self, item: str, demand: Sequence[float], first: date = FIRST) -> None:
        """Write daily demand down, telling nobody."""
        async with self.engine.begin() as connection:
            await positions.ensure(connection, [self.key(item)])
            for ahead, quantity in enumerate(demand):
                if quantity:
                    await connection.execute(_SELL, self._row(item, first + timedelta(days=ahead), quantity))

    async def loses(self, item: str, day: date, quantity: float) -> None:
        """Write down what was asked for on a day on which something was sold, and not sold."""
        async with self.engine.begin() as connection:
            await connection.execute(_LOSE, self._row(item, day, quantity))

    def _row(self, item: str, day: date, quantity: float) -> dict[str, Any]:
        return {"customer": self.customer, "location": STORE, "item": item, "day": day, "sold": str(quantity)}

    async def reaches(self, moment: datetime | date) -> None:
        """Move the watermark to a moment, or to noon of a day."""
        if not isinstance(moment, datetime):
            moment = datetime.combine(moment, datetime.min.time(), UTC) + timedelta(hours=12)
        async with self.engine.begin() as connection:
            await connection.execute(_REACH, {"customer": self.customer, "location": STORE, "reached": moment})

    async def hears(self, *messages: Mapping[str, date | None], clock: Clock = EVENTS) -> None:
        """Give the forecast worker a batch of messages: items, and from which day on their demand changed."""
        records = [
            record(offset, topic="vmi.positions.v1", value=written.value, key=written.key, headers=written.headers)
            for offset, written in enumerate(map(self._message, messages))
        ]
        async with self.engine.begin() as connection:
            await upkeep.follow_positions(read_changes(records), Transaction(connection, clock))

    def _message(self, demand_from: Mapping[str, date | None]) -> writing.Record:
        lines = [PositionLine(item_id=item, version=1, demand_from=day) for item, day in demand_from.items()]
        document = PositionsChanged(
            customer_id=self.customer, location_id=STORE, reached_at=builders.NOON, lines=tuple(lines)
        )
        return writing.record(document, source="vmi/inventory", message_id="1")

    async def forecast(self, item: str) -> Forecast:
        async with self.engine.begin() as connection:
            return (await forecasts.read(connection, [self.key(item)]))[self.key(item)]

    async def told(self) -> list[dict[str, Any]]:
        """Return the messages of this customer in the outbox, in their order."""
        async with self.engine.begin() as connection:
            rows = await connection.execute(_TOLD, {"customer": self.customer})
            return [orjson.loads(row.payload) for row in rows]

    async def agrees(self, item: str, **terms: Any) -> None:
        async with self.engine.begin() as connection:
            agreed = builders.agreement(self.customer, item, STORE, **terms)
            await agreements.make(connection, [(agreed, builders.NOON)])


_SELL = text("""
    INSERT INTO daily_balance (customer_id, location_id, item_id, day, moved, sold)
    VALUES (:customer, :location, :item, :day, -CAST(:sold AS text)::numeric, CAST(:sold AS text)::numeric)
    ON CONFLICT (customer_id, location_id, item_id, day) DO UPDATE SET sold = daily_balance.sold + excluded.sold
""")
_LOSE = text("""
    UPDATE daily_balance SET lost = CAST(:sold AS text)::numeric
    WHERE customer_id = :customer AND location_id = :location AND item_id = :item AND day = :day
""")
_REACH = text("""
    INSERT INTO location_watermark (customer_id, location_id, reached_at) VALUES (:customer, :location, :reached)
    ON CONFLICT (customer_id, location_id) DO UPDATE SET reached_at = excluded.reached_at
""")
_TOLD = text("SELECT payload FROM outbox WHERE customer_id = :customer ORDER BY sequence")


def day(place: int) -> date:
    return FIRST + timedelta(days=place)


def in_order(*series: Sequence[float]) -> forecasting.States:
    """What a location's series look like that were learned without any trouble."""
    states = forecasting.update(forecasting.start([float("nan")] * len(series)), series, FIRST)
    return forecasting.pooled(states)


async def test_closed_days_are_learned_and_the_open_one_is_not(site: Site) -> None:
    await site.sells("milk", [2, 3, 4, 5])
    await site.reaches(day(3))
    await site.hears({"milk": FIRST})

    learned = await site.forecast("milk")

    assert learned.through == day(2)
    assert np.array_equal(learned.state, in_order([2, 3, 4])[0])


async def test_days_without_sales_are_zeros_for_all_items_of_the_location(site: Site) -> None:
    await site.sells("milk", [2, 3, 4, 5, 1])
    await site.sells("bread", [1])
    await site.reaches(day(3))
    await site.hears({"milk": FIRST, "bread": FIRST})
    await site.reaches(day(5))
    await site.hears({"milk": day(4)})

    bread = await site.forecast("bread")

    assert bread.through == day(4)
    assert np.array_equal(bread.state, in_order([2, 3, 4, 5, 1], [1, 0, 0, 0, 0])[1])


async def test_a_day_ends_at_the_sites_cut_off_in_its_zone(site: Site) -> None:
    there = builders.location(site.customer, STORE, time_zone="Australia/Sydney", day_ends_at="04:00")
    async with site.engine.begin() as connection:
        await catalogue.define_locations(connection, [(there, builders.NOON)])
    await site.sells("milk", [2, 3])
    before = datetime(2024, 1, 3, 3, 59, tzinfo=ZoneInfo("Australia/Sydney"))

    await site.reaches(before)
    await site.hears({"milk": FIRST})
    assert (await site.forecast("milk")).through == day(0)

    await site.reaches(before + timedelta(minutes=1))
    await site.hears({"milk": None})
    assert (await site.forecast("milk")).through == day(1)


@pytest.mark.parametrize("late", [118, 100, 60, 3])
async def test_a_late_fact_leads_to_the_forecast_it_would_have_led_to_in_time(site: Site, late: int) -> None:
    await site.sells("milk", MILK)
    await site.sells("bread", BREAD)
    for reached in (10, 50, 90, 119):
        await site.reaches(day(reached))
        await site.hears({"milk": FIRST, "bread": FIRST})

    await site.sells("milk", [25], first=day(late))
    await site.hears({"milk": day(late)})
    await site.reaches(day(120))
    await site.hears({"bread": None})

    corrected = MILK.copy()
    corrected[late] += 25
    expected = in_order(corrected, BREAD)
    assert np.array_equal((await site.forecast("milk")).state, expected[0])
    assert np.array_equal((await site.forecast("bread")).state, expected[1])


async def test_a_fact_from_before_the_first_day_makes_the_series_longer(site: Site) -> None:
    await site.sells("milk", MILK[20:])
    await site.reaches(day(99))
    await site.hears({"milk": FIRST})

    await site.sells("milk", MILK[:20], first=day(-20))
    await site.hears({"milk": day(-20)})

    learned = await site.forecast("milk")
    from_the_start = forecasting.update(forecasting.start([float("nan")]), [MILK[:119]], day(-20))
    began = next(place for place, demand in enumerate(MILK) if demand) - 20
    assert learned.began_on == day(began)
    assert forecasting.daily_rate(np.atleast_2d(learned.state)) == forecasting.daily_rate(from_the_start)


async def test_a_late_fact_is_redone_from_near_its_day(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.sells("milk", MILK)
    await site.reaches(day(119))
    await site.hears({"milk": FIRST})
    firsts = []
    fold = forecasting.fold

    def watched(states: Any, first_days: Sequence[date], histories: Any, through: date) -> forecasting.Folded:
        firsts.extend(first_days)
        return fold(states, first_days, histories, through)

    monkeypatch.setattr(forecasting, "fold", watched)
    await site.hears({"milk": day(116)})
    await site.hears({"milk": day(40)})

    assert (day(116) - firsts[0]).days < 14
    assert (day(40) - firsts[1]).days < 112


async def test_past_states_are_few(site: Site) -> None:
    await site.sells("milk", [1] * 600)
    for reached in range(20, 600, 7):
        await site.reaches(day(reached))
        await site.hears({"milk": None})

    async with site.engine.begin() as connection:
        kept = (
            await connection.execute(
                text("SELECT through_day FROM forecast_checkpoint WHERE customer_id = :customer"),
                {"customer": site.customer},
            )
        ).scalars()

    assert len(list(kept)) <= 11


async def test_a_burst_of_messages_makes_one_update(site: Site) -> None:
    await site.sells("milk", [2, 3, 4, 5])
    await site.reaches(day(3))

    await site.hears(*[{"milk": FIRST}] * 500, *[{"milk": day(2)}] * 500)

    assert (await site.forecast("milk")).version == 1
    assert len(await site.told()) == 1


async def test_two_workers_that_meet_learn_a_day_once(site: Site) -> None:
    await site.sells("milk", [2, 3, 4, 5])
    await site.sells("bread", [1, 0, 0, 2])
    await site.reaches(day(3))

    await asyncio.gather(*[site.hears({"milk": FIRST, "bread": FIRST}) for _ in range(4)])

    assert (await site.forecast("milk")).version == 1
    assert np.array_equal((await site.forecast("bread")).state, in_order([2, 3, 4], [1, 0, 0])[1])
    assert len(await site.told()) == 1


async def test_what_was_asked_for_and_lost_is_demand(site: Site) -> None:
    await site.sells("milk", [2, 3, 4, 5])
    await site.loses("milk", day(1), 6)
    await site.reaches(day(3))
    await site.hears({"milk": FIRST})

    assert np.array_equal((await site.forecast("milk")).state, in_order([2, 9, 4])[0])


async def test_sales_of_the_open_day_change_nothing(site: Site) -> None:
    await site.sells("milk", [2, 3, 4, 5])
    await site.reaches(day(3))
    await site.hears({"milk": FIRST})

    await site.hears(*[{"milk": day(3)}] * 100)

    assert (await site.forecast("milk")).version == 1


async def test_a_restart_goes_on_without_learning_anew(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    await site.sells("milk", MILK)
    for reached in range(3, 120):
        await site.reaches(day(reached))
        await site.hears({"milk": day(reached)})
    learned_days = []
    fold = forecasting.fold

    def watched(states: Any, first_days: Sequence[date], histories: Any, through: date) -> forecasting.Folded:
        learned_days.extend((through - first).days + 1 for first in first_days)
        return fold(states, first_days, histories, through)

    monkeypatch.setattr(forecasting, "fold", watched)
    await site.reaches(day(120))
    await site.hears({"milk": None})

    assert learned_days == [1]
    assert np.array_equal((await site.forecast("milk")).state, in_order(MILK)[0])


async def test_nothing_is_told_when_nothing_that_matters_changed(site: Site) -> None:
    await site.sells("milk", [4] * 100)
    await site.reaches(day(90))
    await site.hears({"milk": FIRST})
    await site.reaches(day(95))
    await site.hears({"milk": None})

    assert len(await site.told()) == 1
    assert (await site.forecast("milk")).through == day(94)


async def test_a_change_that_matters_is_told_with_its_version(site: Site) -> None:
    await site.agrees("milk", lead_time_days=2, review_days=3)
    await site.sells("milk", [4] * 90 + [20] * 20)
    await site.sells("bread", [4] * 110)
    await site.reaches(day(90))
    await site.hears({"milk": FIRST, "bread": FIRST})
    await site.reaches(day(110))
    await site.hears({"milk": None})

    first, second = await site.told()

    assert [line["item_id"] for line in first["lines"]] == ["bread", "milk"]
    assert second["lines"] == [{"item_id": "milk", "version": 2, "through": day(109).isoformat(), "lowered": False}]
    assert second["customer_id"] == site.customer


async def test_that_less_is_expected_is_told_as_such(site: Site) -> None:
    await site.sells("milk", [20] * 90 + [2] * 30)
    await site.reaches(day(90))
    await site.hears({"milk": FIRST})
    await site.reaches(day(120))
    await site.hears({"milk": None})

    assert [[line["lowered"] for line in message["lines"]] for message in await site.told()] == [[False], [True]]


async def test_an_agreed_rate_serves_until_there_is_history(site: Site) -> None:
    await site.agrees("milk", expected_daily_demand=8)
    await site.reaches(day(0))
    await site.hears({"milk": None})

    agreed = await site.forecast("milk")
    assert forecasting.demand_over(agreed.state, day(0), 7).mean == pytest.approx(56)
    assert len(await site.told()) == 1

    await site.sells("milk", [2] * 60)
    await site.reaches(day(60))
    await site.hears({"milk": FIRST})

    learned = await site.forecast("milk")
    assert forecasting.demand_over(learned.state, day(60), 7).mean == pytest.approx(14, rel=0.25)


async def test_an_item_that_is_sold_without_an_agreement_is_forecast_too(site: Site) -> None:
    await site.sells("milk", [5] * 30)
    await site.reaches(day(30))
    await site.hears({"milk": FIRST})

    assert forecasting.daily_rate(np.atleast_2d((await site.forecast("milk")).state))[0] == pytest.approx(5, rel=0.1)


async def test_forecasts_that_were_dropped_come_back_as_they_were(site: Site) -> None:
    await site.sells("milk", MILK)
    await site.sells("bread", BREAD)
    for reached in (30, 119):
        await site.reaches(day(reached))
        await site.hears({"milk": FIRST, "bread": FIRST})
    before = [(await site.forecast(item)).state for item in ("milk", "bread")]

    async with site.engine.begin() as connection:
        for table in ("forecast", "forecast_checkpoint", "forecast_location"):
            statement = f"DELETE FROM {table} WHERE customer_id = :customer"
            await connection.execute(text(statement), {"customer": site.customer})
    await site.hears({"milk": None})

    after = [(await site.forecast(item)).state for item in ("milk", "bread")]
    assert np.array_equal(before, after)


async def test_before_the_first_fact_nothing_is_closed(site: Site) -> None:
    await site.agrees("milk", expected_daily_demand=8)

    await site.hears({"milk": None})

    async with site.engine.begin() as connection:
        assert await forecasts.read(connection, [site.key("milk")]) == {}


async def test_days_on_which_nothing_stood_on_the_shelf_teach_nothing(site: Site) -> None:
    await site.sells("milk", [4, 6] * 30)
    async with site.engine.begin() as connection:
        for place in range(60, 81):
            evening = datetime.combine(day(place), datetime.min.time(), UTC)
            await connection.execute(_COUNT_NOTHING, {"customer": site.customer, "at": evening})
    await site.reaches(day(80))
    await site.hears({"milk": FIRST})

    learned = await site.forecast("milk")

    assert learned.state[1] == 80
    assert learned.state[2] == 60
    assert forecasting.daily_rate(np.atleast_2d(learned.state))[0] == pytest.approx(5, rel=0.1)


_COUNT_NOTHING = text(f"""
    INSERT INTO journal (customer_id, location_id, item_id, occurred_at, line_id, kind, quantity, recorded_at)
    VALUES (:customer, '{STORE}', 'milk', :at, uuid_send(gen_random_uuid()), {Kind.REPORT:d}, 0, :at)
""")


async def test_the_clock_closes_days_where_facts_stay_away(site: Site) -> None:
    clock = Clock(ClockMode.WALL)
    today = clock.wall().date()
    await site.sells("milk", [4] * 20, first=today - timedelta(days=30))
    await site.reaches(today - timedelta(days=10))
    await site.hears({"milk": today - timedelta(days=30)}, clock=clock)
    assert (await site.forecast("milk")).through == today - timedelta(days=11)

    async with site.engine.begin() as connection:
        while await upkeep.close_quiet_days(Transaction(connection, clock)):
            pass

    assert (await site.forecast("milk")).through >= today - timedelta(days=2)


async def test_in_a_replay_the_clock_closes_nothing(site: Site) -> None:
    await site.sells("milk", [4] * 20)
    await site.reaches(day(20))
    await site.hears({"milk": FIRST})

    async with site.engine.begin() as connection:
        assert not await upkeep.close_quiet_days(Transaction(connection, EVENTS))

    assert (await site.forecast("milk")).through == day(19)


async def test_what_is_no_message_of_ours_goes_to_quarantine(engine: AsyncEngine, customer: str) -> None:
    bad = [
        record(0, topic="vmi.positions.v1", key=customer.encode(), value=b"\xff"),
        record(1, topic="vmi.positions.v1", key=customer.encode(), value=None),
    ]

    async with engine.begin() as connection:
        await upkeep.follow_positions(read_changes(bad), Transaction(connection, EVENTS))
        held = await _held(connection, customer)

    assert held == ["unreadable", "unreadable"]


async def _held(connection: AsyncConnection, customer: str) -> list[str]:
    rows = await connection.execute(
        text("""
            SELECT reason FROM quarantine JOIN quarantined_record AS record ON record.id = record_id
            WHERE key = CAST(:key AS bytea)
        """),
        {"key": customer.encode()},
    )
    return list(rows.scalars())
