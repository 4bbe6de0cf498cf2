"""What customers say of demand to come changes what is proposed: from the document to the proposal."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts import plans, topics
from vmi_contracts.outbound import ProposalLine
from vmi_domain import forecasting
from vmi_domain.days import SiteCalendar
from vmi_domain.distributions import Family
from vmi_domain.replenishment.explanations import recompute
from vmi_domain.stock.position import Key
from vmi_forecast import upkeep
from vmi_forecast.changes import read_changes as read_positions
from vmi_replenishment.following import Replenishment
from vmi_replenishment.reading import read_changes
from vmi_runtime.clock import Clock, ClockMode
from vmi_runtime.worker import FetchedRecord, Transaction
from vmi_store import demand, forecasts
from vmi_store.forecasts import Forecast
from vmi_testing import builders
from vmi_testing.builders import DAY, HOUR, NOON
from vmi_testing.inventory import Desk
from vmi_testing.published import proposals_issued

EVENTS = Clock(ClockMode.EVENTS)
TODAY = NOON.date()
STORE = "store-1"


class Shop:
    """One store behind all three workers, each through its own functions; a message goes on as soon as it is there."""

    def __init__(self, engine: AsyncEngine, customer: str) -> None:
        self.engine = engine
        self.customer = customer
        self.desk = Desk(engine, customer, ClockMode.EVENTS)
        self.replenishment = Replenishment()
        self.heard = 0

    async def opens(self, *items: str, **terms: Any) -> None:
        """Agree on items that sell ten a day, ordered daily, there two days later.

        What is not there is waited for, so that quantities follow plans and stock one to one.
        """
        await self.desk.introduce(*items)
        usual = {"expected_daily_demand": 10, "lead_time_days": 2, "unmet_demand": "backordered", **terms}
        await self.desk.define(*(builders.agreement(self.customer, item, **usual) for item in items))
        await self.goes_on()

    async def tells(self, *documents: Any) -> None:
        await self.desk.tell(*documents)
        await self.goes_on()

    async def plans(self, document: type[plans.DemandPlan], *lines: Mapping[str, Any], **changes: Any) -> None:
        """State a plan."""
        body: dict[str, Any] = {
            "customer_id": self.customer,
            "location_id": STORE,
            "plan_id": "p-1",
            "stated_at": NOON,
            "author": "Ada",
            "reason": "told so",
            "lines": [{"item_id": "milk", **line} for line in lines],
        }
        await self.tells(document.model_validate(body | changes))

    async def goes_on(self) -> None:
        """Let the forecast and the replenishment worker hear what they were told since."""
        for source, sequence, payload in await self._since():
            self.heard = sequence
            written = FetchedRecord(source, 0, sequence, 0, b"k", payload, headers(source))
            async with self.engine.begin() as connection:
                transaction = Transaction(connection, EVENTS)
                if source == topics.POSITIONS.name:
                    await upkeep.follow_positions(read_positions([written]), transaction)
                if source in (topics.POSITIONS.name, topics.FORECASTS.name):
                    await self.replenishment.follow_changes(read_changes([written]), transaction)
        if await self._since():
            await self.goes_on()

    async def _since(self) -> list[tuple[str, int, bytes]]:
        statement = text("""
            SELECT aggregatetype, sequence, payload FROM outbox
            WHERE customer_id = :customer AND sequence > :heard
              AND aggregatetype IN ('vmi.positions.v1', 'vmi.forecasts.v1') ORDER BY sequence
        """)
        async with self.engine.connect() as connection:
            result = await connection.execute(statement, {"customer": self.customer, "heard": self.heard})
            return [(row.aggregatetype, row.sequence, bytes(row.payload)) for row in result]

    async def latest(self, item: str = "milk") -> ProposalLine:
        """Return the last version of the last opportunity's proposal."""
        statement = text("""
            SELECT payload FROM outbox WHERE customer_id = :customer AND aggregatetype = :topic ORDER BY sequence
        """)
        async with self.engine.connect() as connection:
            rows = await connection.execute(statement, {"customer": self.customer, "topic": topics.PROPOSALS.name})
            lines = [line for row in rows for line in proposals_issued(row.payload).lines]
        last = max((line for line in lines if line.item_id == item), key=lambda line: (line.order_at, line.version))
        if last.explanation.get("outcome") is None:
            assert recompute(last.explanation) == last.quantity
        return last

    async def forecast(self, item: str = "milk") -> Forecast:
        async with self.engine.connect() as connection:
            key = Key(self.customer, STORE, item)
            return (await forecasts.read(connection, [key]))[key]

    async def rate(self, item: str = "milk") -> float:
        state = (await self.forecast(item)).state
        assert state is not None
        return float(forecasting.daily_rate(state[None, :])[0])

    async def sells(self, quantities: list[int], last: date = TODAY - DAY, item: str = "milk") -> None:
        """Sell at noon of each day up to the last one."""
        days = [last - (len(quantities) - 1 - place) * DAY for place in range(len(quantities))]
        await self.tells(
            *(
                builders.sale(self.customer, {item: quantity}, datetime(day.year, day.month, day.day, 12, tzinfo=UTC))
                for day, quantity in zip(days, quantities, strict=True)
            )
        )


def headers(topic: str) -> list[tuple[str, bytes]]:
    kind = {topics.POSITIONS.name: "vmi.positions-changed.v1", topics.FORECASTS.name: "vmi.forecasts-changed.v1"}
    written = {"ce_specversion": "1.0", "ce_id": uuid4().hex, "ce_source": "/t", "ce_type": kind.get(topic, "x")}
    return [(name, value.encode()) for name, value in written.items()]


def days(first: int, last: int) -> dict[str, date]:
    """From so many days ahead to so many."""
    return {"from_day": TODAY + timedelta(days=first), "to_day": TODAY + timedelta(days=last)}


@pytest.fixture
async def shop(engine: AsyncEngine, customer: str) -> Shop:
    made = Shop(engine, customer)
    await made.opens("milk", "bread")
    return made


async def test_f6_the_same_plan_gross_and_net_differs_by_exactly_stock_and_receipts(
    engine: AsyncEngine, customer: str
) -> None:
    found = {}
    for basis in ("gross", "net"):
        shop = Shop(engine, f"{customer}-{basis}")
        await shop.opens("milk")
        await shop.tells(builders.stock(shop.customer, {"milk": 17}, NOON - HOUR))
        await shop.tells(builders.order(shop.customer, "o-1", [{"item_id": "milk", "quantity": "6"}], NOON - HOUR))
        await shop.plans(plans.DemandPlanned, {**days(0, 9), "quantity": "500", "commitment": "firm"}, basis=basis)
        found[basis] = await shop.latest()

    assert found["net"].quantity - found["gross"].quantity == 17 + 6
    assert found["net"].explanation["inputs"]["demand"]["basis"] == "net_plan"


async def test_what_was_ordered_since_a_net_plan_is_not_ordered_again(shop: Shop) -> None:
    await shop.plans(plans.DemandPlanned, {**days(0, 9), "quantity": "500"}, basis="net")
    before = await shop.latest()

    ordered = {"item_id": "milk", "quantity": "100"}
    await shop.tells(builders.order(shop.customer, "o-1", [ordered], NOON + timedelta(minutes=1)))

    assert (await shop.latest()).quantity == pytest.approx(before.quantity - 100, abs=1)


async def test_s26_what_is_committed_firmly_needs_no_safety_stock(shop: Shop) -> None:
    wanted = {}
    for revision, commitment in enumerate(("forecast", "material", "manufacturing", "firm")):
        line = {**days(0, 9), "quantity": "400", "commitment": commitment}
        await shop.plans(plans.DemandPlanned, line, basis="gross", revision=revision)
        wanted[commitment] = (await shop.latest()).quantity

    assert wanted["forecast"] > wanted["material"] > wanted["manufacturing"] > wanted["firm"]


async def test_f37_an_override_replaces_the_forecast_and_says_who_wanted_it(shop: Shop) -> None:
    await shop.tells(builders.stock(shop.customer, {"milk": 5}))
    before = await shop.latest()

    await shop.plans(plans.ForecastOverridden, {**days(0, 6), "quantity": "700"})
    after = await shop.latest()

    assert after.quantity > before.quantity + 200
    [note] = after.explanation["inputs"]["demand"]["plans"]
    assert (note["kind"], note["author"], note["reason"]) == ("override", "Ada", "told so")
    assert note["before"] < note["after"]
    assert "override p-1" in after.reason


async def test_a_plan_that_is_withdrawn_leaves_the_proposal_as_it_was(shop: Shop) -> None:
    await shop.tells(builders.stock(shop.customer, {"milk": 5}))
    before = (await shop.latest()).quantity
    await shop.plans(plans.ForecastOverridden, {**days(0, 6), "quantity": "700"})

    await shop.plans(plans.ForecastOverridden, revision=1, withdrawn=True)

    assert (await shop.latest()).quantity == before


async def test_a_promotion_ahead_of_time_raises_what_is_ordered_for_its_days(shop: Shop) -> None:
    await shop.tells(builders.stock(shop.customer, {"milk": 5}))
    before = (await shop.latest()).quantity

    await shop.plans(plans.PromotionPlanned, {**days(1, 3), "uplift": 3})

    assert (await shop.latest()).quantity > before * 3 / 2


async def test_a_survey_changes_what_is_expected_and_two_factors_multiply(shop: Shop) -> None:
    await shop.tells(builders.stock(shop.customer, {"milk": 5}))
    await shop.plans(plans.PromotionPlanned, {**days(0, 9), "uplift": 2})
    await shop.plans(plans.DemandSurveyed, {**days(0, 9), "factor": 1.5}, plan_id="p-2")

    demand = (await shop.latest()).explanation["inputs"]["demand"]

    assert demand["until_next_arrival"]["mean"] == pytest.approx(3 * demand["plans"][0]["before"], rel=1e-3)
    assert demand["plans"][1]["before"] == pytest.approx(2 * demand["plans"][0]["before"], rel=1e-3)


async def test_f36_booked_orders_use_up_the_forecast_and_only_what_exceeds_it_adds(shop: Shop) -> None:
    await shop.tells(builders.stock(shop.customer, {"milk": 5}))
    usual = (await shop.latest()).explanation["inputs"]["demand"]["until_next_arrival"]["mean"]

    await shop.plans(plans.DemandBooked, {"due_on": TODAY + DAY, "quantity": "12"})
    small = (await shop.latest()).explanation["inputs"]["demand"]["until_next_arrival"]["mean"]
    await shop.plans(plans.DemandBooked, {"due_on": TODAY + DAY, "quantity": "500"}, revision=1)
    large = (await shop.latest()).explanation["inputs"]["demand"]["until_next_arrival"]["mean"]

    assert small == pytest.approx(usual, rel=0.01)
    assert large > 500


async def test_f39_a_revision_made_from_an_outdated_one_is_kept_aside(shop: Shop) -> None:
    line = {**days(0, 6), "quantity": "700"}
    await shop.plans(plans.ForecastOverridden, line, revision=1)
    await shop.plans(plans.ForecastOverridden, {**line, "quantity": "800"}, revision=2, based_on_revision=1)
    before = (await shop.latest()).quantity

    await shop.plans(plans.ForecastOverridden, {**line, "quantity": "1"}, revision=3, based_on_revision=1)

    assert [one.rejected.reason for one in await shop.desk.quarantined()] == ["outdated_base"]
    assert (await shop.latest()).quantity == before


async def test_revisions_may_arrive_in_any_order(shop: Shop) -> None:
    await shop.plans(plans.ForecastOverridden, {**days(0, 6), "quantity": "700"}, revision=2)
    before = (await shop.latest()).quantity

    await shop.plans(plans.ForecastOverridden, {**days(0, 6), "quantity": "70"}, revision=1)

    assert (await shop.latest()).quantity == before


async def test_a_plan_for_an_unknown_item_waits_for_it(shop: Shop) -> None:
    await shop.plans(
        plans.ForecastOverridden,
        {**days(0, 6), "quantity": "700"},
        {**days(0, 6), "quantity": "140", "item_id": "cheese"},
    )
    assert [one.rejected.reason for one in await shop.desk.quarantined()] == ["unknown_item"]

    await shop.opens("cheese")
    await shop.desk.release()
    await shop.goes_on()

    assert await shop.desk.quarantined() == []
    assert (await shop.latest("cheese")).explanation["inputs"]["demand"]["plans"]
    assert (await shop.latest("milk")).explanation["inputs"]["demand"]["plans"]


async def test_a_person_must_say_who_and_why(shop: Shop) -> None:
    body = {
        "customer_id": shop.customer,
        "location_id": STORE,
        "plan_id": "p-1",
        "stated_at": NOON.isoformat(),
        "author": " ",
        "reason": "",
        "lines": [{"item_id": "milk", "from_day": "2025-03-05", "quantity": "3"}],
    }
    with pytest.raises(ValueError, match="author"):
        plans.ForecastOverridden.model_validate(body)


# The history


async def test_f37_excluding_a_day_changes_the_forecast_and_not_the_stock(shop: Shop) -> None:
    await shop.tells(builders.stock(shop.customer, {"milk": 900}, NOON - 40 * DAY))
    await shop.sells([10] * 29 + [60])
    await shop.tells(builders.sale(shop.customer, {"milk": 1}))
    with_it, stock = await shop.rate(), await shop.desk.stock()

    await shop.plans(plans.HistoryAdjusted, {"from_day": TODAY - DAY, "excluded": True})

    assert await shop.rate() < with_it - 0.5
    assert (await shop.desk.stock()).physical == stock.physical
    assert (await shop.desk.days())[str(TODAY - DAY)][2] == 60


async def test_f37_an_adjustment_of_the_history_adds(shop: Shop) -> None:
    await shop.sells([10] * 30)
    await shop.tells(builders.sale(shop.customer, {"milk": 1}))
    before = await shop.rate()

    await shop.plans(plans.HistoryAdjusted, {"from_day": TODAY - 10 * DAY, "to_day": TODAY - DAY, "quantity": "100"})
    after = await shop.rate()
    await shop.plans(plans.HistoryAdjusted, revision=1, withdrawn=True)

    assert after > before + 2
    assert await shop.rate() == pytest.approx(before, abs=1e-4)


async def test_f31_a_promotion_does_not_raise_what_is_usual_after_it_ends(shop: Shop) -> None:
    promoted = {"from_day": TODAY - 9 * DAY, "to_day": TODAY - 3 * DAY}
    await shop.plans(plans.PromotionPlanned, promoted, stated_at=NOON - 20 * DAY)
    await shop.sells([10] * 31 + [40] * 7 + [10] * 2)
    await shop.tells(builders.sale(shop.customer, {"milk": 1}))

    assert await shop.rate() == pytest.approx(10, rel=0.05)


async def test_s22_a_promotion_that_is_told_late_is_no_trend(shop: Shop) -> None:
    await shop.sells([10] * 31 + [40] * 7 + [10] * 2)
    await shop.tells(builders.sale(shop.customer, {"milk": 1}))
    as_trend = await shop.rate()
    promoted = {"from_day": TODAY - 9 * DAY, "to_day": TODAY - 3 * DAY}
    await shop.plans(plans.PromotionPlanned, promoted, stated_at=NOON)

    assert as_trend > 11
    assert await shop.rate() == pytest.approx(10, rel=0.05)


async def test_the_uplift_of_the_next_promotion_is_learned_from_the_last(shop: Shop) -> None:
    promoted = {"from_day": TODAY - 9 * DAY, "to_day": TODAY - 3 * DAY}
    await shop.plans(plans.PromotionPlanned, promoted, stated_at=NOON - 20 * DAY)
    await shop.sells([10] * 31 + [40] * 7 + [10] * 2)
    await shop.tells(builders.stock(shop.customer, {"milk": 5}))

    await shop.plans(plans.PromotionPlanned, days(0, 9), plan_id="next")

    [note] = (await shop.latest()).explanation["inputs"]["demand"]["plans"]
    assert note["factor"] == pytest.approx(4, rel=0.1)


async def test_s21_a_successor_inherits_its_predecessors_history_and_gives_it_back(shop: Shop) -> None:
    await shop.sells([20] * 40)
    await shop.tells(builders.sale(shop.customer, {"milk": 1}))

    line = {"last_order_day": TODAY - DAY, "successor_id": "bread", "ratio": 0.5}
    await shop.plans(plans.RangeChanged, line)
    inherited = await shop.forecast("bread")
    await shop.plans(plans.RangeChanged, revision=1, withdrawn=True)

    assert inherited.state is not None
    assert inherited.state[2] == 40
    assert float(forecasting.daily_rate(inherited.state[None, :])[0]) == pytest.approx(10, rel=0.05)
    given_back = (await shop.forecast("bread")).state
    assert given_back is not None
    assert given_back[2] <= 1


async def test_s21_a_history_is_given_back_also_where_an_older_version_had_learned_it(shop: Shop) -> None:
    await shop.sells([20] * 40)
    await shop.tells(builders.sale(shop.customer, {"milk": 1}))
    await shop.plans(plans.RangeChanged, {"last_order_day": TODAY - DAY, "successor_id": "bread", "ratio": 0.5})
    async with shop.engine.begin() as connection:
        older = text("UPDATE forecast SET layout = layout - 1 WHERE customer_id = :customer")
        await connection.execute(older, {"customer": shop.customer})

    await shop.plans(plans.RangeChanged, revision=1, withdrawn=True)

    given_back = (await shop.forecast("bread")).state
    assert given_back is not None
    assert given_back[2] <= 1


async def test_s21_of_an_item_that_ended_nothing_is_proposed(shop: Shop) -> None:
    await shop.tells(builders.stock(shop.customer, {"milk": 5}))
    assert (await shop.latest()).quantity > 0

    await shop.plans(plans.RangeChanged, {"last_order_day": TODAY - DAY})

    assert (await shop.latest()).quantity == 0


async def test_s21_a_predecessors_stock_counts_where_it_serves_as_well(shop: Shop) -> None:
    await shop.tells(builders.stock(shop.customer, {"milk": 12, "bread": 3}))
    before = (await shop.latest("bread")).quantity

    line = {"last_order_day": TODAY - DAY, "successor_id": "bread", "from_day": TODAY, "is_interchangeable": True}
    await shop.plans(plans.RangeChanged, line)

    assert (await shop.latest("bread")).quantity == before - 12


async def test_s15_kpis_never_see_corrected_demand_as_sales(shop: Shop) -> None:
    await shop.tells(builders.stock(shop.customer, {"milk": 306}, NOON - 31 * DAY - HOUR))
    await shop.sells([10] * 30 + [6])
    await shop.tells(builders.sale(shop.customer, {"bread": 1}))

    async with shop.engine.connect() as connection:
        [one] = await demand.corrected_days(connection, [Key(shop.customer, STORE, "milk")], since=TODAY - 30 * DAY)

    assert (one.day, one.observed, one.cause) == (TODAY - DAY, 6, "sold_out")
    assert one.demand > 8
    assert (await shop.desk.days())[str(TODAY - DAY)][2] == Decimal(6)


async def test_f8_what_buyers_bring_back_is_stock_and_not_negative_demand(shop: Shop) -> None:
    await shop.sells([10] * 30)
    await shop.tells(builders.sale(shop.customer, {"bread": 1}))
    before = await shop.rate()

    returned = builders.sale(shop.customer, {"milk": 0}, NOON - 2 * DAY)
    line = returned.lines[0].model_copy(update={"returned": Decimal(3)})
    await shop.tells(returned.model_copy(update={"lines": (line,)}))

    assert await shop.rate() == pytest.approx(before, abs=1e-6)


async def test_what_is_reported_by_the_week_is_learned_by_the_week(shop: Shop) -> None:
    monday = datetime(2024, 9, 2, tzinfo=UTC)
    sold = [70, 35, 0, 105, 70, 140, 0, 35] * 3

    async def report(week: int) -> None:
        begins = monday + 7 * week * DAY
        document = builders.sale(shop.customer, {"milk": sold[week]}, begins + 7 * DAY)
        await shop.tells(document.model_copy(update={"period_start": begins}))

    for week in range(len(sold)):
        await report(week)

    learned = await shop.forecast()
    assert learned.state is not None
    assert learned.state[forecasting.state.PERIOD] == 7
    assert learned.state[forecasting.state.AGE] == len(sold)
    assert learned.through == (monday + (7 * len(sold) - 1) * DAY).date()
    week = forecasting.demand_over(learned.state, monday.date(), 7)
    assert week.sd == pytest.approx(float(np.std(sold)), rel=0.4)
    assert week.family != Family.NORMAL


@pytest.mark.parametrize("sold_in_the_week", [35, 0])
async def test_who_reports_by_the_week_after_many_days_is_learned_by_the_week(
    shop: Shop, sold_in_the_week: int
) -> None:
    monday = datetime(2024, 9, 2, tzinfo=UTC)
    for number in range(14):
        await shop.tells(builders.sale(shop.customer, {"milk": 5}, monday + number * DAY + HOUR))
    by_the_day = await shop.forecast()

    ends = monday + 21 * DAY
    week = builders.sale(shop.customer, {"milk": sold_in_the_week}, ends)
    await shop.tells(week.model_copy(update={"period_start": ends - 7 * DAY}))

    by_the_week = await shop.forecast()
    assert by_the_day.state is not None
    assert by_the_day.state[forecasting.state.PERIOD] == 1
    assert by_the_week.state is not None
    assert by_the_week.state[forecasting.state.PERIOD] == 7
    assert by_the_week.through == (ends - DAY).date()


async def test_s15_an_hour_is_known_from_the_position_alone(shop: Shop) -> None:
    """No report says that the shelf is empty: the last count and what was sold since do."""
    await shop.tells(builders.stock(shop.customer, {"milk": 304}, NOON - 31 * DAY - HOUR))
    await shop.sells([10] * 30 + [4])
    await shop.tells(builders.sale(shop.customer, {"bread": 1}))

    async with shop.engine.connect() as connection:
        day = TODAY - DAY
        key = Key(shop.customer, STORE, "milk")
        [history] = await demand.read(
            connection, [(key, day)], until=day, calendars={forecasts.Location(shop.customer, STORE): SiteCalendar()}
        )

    assert history.sold_out.tolist() == [day.toordinal()]
    assert history.shares is not None
    assert history.shares.tolist() == [0.5]
