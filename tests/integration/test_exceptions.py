"""Exceptions on a real Postgres: what the workers see opens one, and what they see later closes it."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_contracts.inbound import ProposalAnswered
from vmi_contracts.outbound import ExceptionLine, ExceptionsChanged, ExceptionStatus
from vmi_domain.exceptions.lifecycle import acknowledged, suppressed
from vmi_domain.stock.position import Key
from vmi_inventory.liveness import watch_feeds
from vmi_replenishment.following import Replenishment
from vmi_replenishment.reading import Changes, read_answers
from vmi_runtime import raising
from vmi_runtime.clock import Clock, ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import exceptions
from vmi_testing import builders
from vmi_testing.builders import DAY, HOUR, NOON
from vmi_testing.inventory import Desk, record
from vmi_testing.published import proposals_issued

STORE = "store-1"
EVENTS = Clock(ClockMode.EVENTS)
BAND: dict[str, Any] = {"policy": "minimum_maximum", "minimum": "50", "maximum": "100", "order_weekdays": (1,)}
"""Ordered on Mondays; NOON is a Tuesday."""


@dataclass
class Partner:
    """One customer whose documents go through inventory and replenishment."""

    engine: AsyncEngine
    customer: str
    desk: Desk = field(init=False)
    replenishment: Replenishment = field(default_factory=Replenishment)

    def __post_init__(self) -> None:
        self.desk = Desk(self.engine, self.customer, ClockMode.EVENTS)

    async def agrees(self, item: str = "milk", **terms: Any) -> None:
        await self.desk.introduce(item)
        await self.desk.define(builders.agreement(self.customer, item, **terms))

    async def tells(self, *documents: Any, items: Sequence[str] = ("milk",)) -> None:
        """Let inventory take documents in, and replenishment hear of the items."""
        if documents:
            await self.desk.tell(*documents)
        async with self.engine.begin() as connection:
            keys = {Key(self.customer, STORE, item) for item in items}
            await self.replenishment.follow_changes(Changes(keys), Transaction(connection, EVENTS))

    async def counts(self, quantity: int, at: datetime = NOON, item: str = "milk") -> None:
        await self.tells(builders.stock(self.customer, {item: quantity}, at), items=(item,))

    async def sells(self, quantity: int, at: datetime, item: str = "milk") -> None:
        await self.tells(builders.sale(self.customer, {item: quantity}, at), items=(item,))

    async def answers(self, line: dict[str, Any], at: datetime) -> None:
        document = ProposalAnswered.model_validate(
            {"customer_id": self.customer, "location_id": STORE, "answered_at": at, "lines": [line]}
        )
        async with self.engine.begin() as connection:
            answers = read_answers([record(document)])
            assert not answers.rejected
            await self.replenishment.follow_answers(answers, Transaction(connection, EVENTS))

    async def ticks(self, clock: Clock = EVENTS) -> None:
        """Let the inventory worker look at its feeds, and replenishment hear of what it tells."""
        more = True
        while more:
            async with self.engine.begin() as connection:
                more = await watch_feeds(Transaction(connection, clock))
        await self.tells()

    async def proposals(self, item: str = "milk") -> list[tuple[int, str, str | None, Decimal]]:
        async with self.engine.connect() as connection:
            rows = await connection.execute(_PROPOSALS, {"customer": self.customer})
            lines = [line for row in rows for line in proposals_issued(row.payload).lines]
            return [
                (line.version, line.status.value, line.held_because and line.held_because.value, line.quantity)
                for line in lines
                if line.item_id == item
            ]

    async def told(self) -> list[ExceptionLine]:
        """Return what stands on the topic, in order."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(_TOLD, {"customer": self.customer})
            return [line for row in rows for line in ExceptionsChanged.model_validate_json(row.payload).lines]

    async def story(self) -> list[tuple[str, str]]:
        return [(line.kind.value, line.status.value) for line in await self.told()]


_PROPOSALS = text("""
    SELECT payload FROM outbox WHERE customer_id = :customer AND aggregatetype = 'vmi.proposals.v1' ORDER BY sequence
""")
_TOLD = text("""
    SELECT payload FROM outbox WHERE customer_id = :customer AND aggregatetype = 'vmi.exceptions.v1' ORDER BY sequence
""")


@pytest.fixture
def partner(engine: AsyncEngine, customer: str) -> Partner:
    return Partner(engine, customer)


async def test_f64_a_hundred_events_below_the_minimum_are_one_exception_that_closes_on_recovery(
    partner: Partner,
) -> None:
    await partner.agrees(**BAND)
    await partner.counts(149)
    assert await partner.story() == [("above_maximum", "open")]
    for number in range(1, 101):
        await partner.sells(1, NOON + number * HOUR / 60)
    below = await partner.story()

    await partner.counts(90, NOON + DAY)
    await partner.counts(91, NOON + DAY + HOUR)
    await partner.counts(10, NOON + 2 * DAY)

    assert below == [("above_maximum", "open"), ("above_maximum", "closed"), ("below_minimum", "open")]
    assert (await partner.story())[3:] == [("below_minimum", "closed"), ("below_minimum", "open")]
    first, closed, again = (await partner.told())[2:]
    assert [one.version for one in (first, closed, again)] == [1, 2, 3]
    assert (again.exception_id, again.occurrence) == (first.exception_id, 2)
    assert first.details["minimum"] == "50"


async def test_f64_two_partners_in_the_same_state_and_other_thresholds_raise_one_exception(
    engine: AsyncEngine, customer: str
) -> None:
    strict, lenient = Partner(engine, f"{customer}-a"), Partner(engine, f"{customer}-b")
    await strict.agrees(**BAND)
    await lenient.agrees(**BAND, above_maximum_tolerance=0.5)

    for one in (strict, lenient):
        await one.counts(120)

    assert (await strict.story(), await lenient.story()) == ([("above_maximum", "open")], [])


async def test_an_item_that_runs_out_before_the_next_delivery_is_seen_before_it_is_out_of_stock(
    partner: Partner,
) -> None:
    await partner.agrees(expected_daily_demand=10, lead_time_days=5)
    await partner.counts(200)
    assert await partner.story() == []

    await partner.counts(30, NOON + 1 * HOUR)
    await partner.counts(0, NOON + 2 * HOUR)
    await partner.counts(200, NOON + 3 * HOUR)

    story = await partner.story()
    assert story[0] == ("stock_out_projected", "open")
    assert set(story[1:3]) == {("stock_out_projected", "closed"), ("stock_out", "open")}
    assert story[3:] == [("stock_out", "closed")]


async def test_f65_a_shipment_that_does_not_come_is_doubtful_until_it_is_received(partner: Partner) -> None:
    await partner.agrees(**BAND, stock_authority="ledger")
    await partner.counts(60)
    shipped = builders.shipment(partner.customer, "ASN-1", [{"item_id": "milk", "quantity": "30"}], NOON)
    await partner.tells(shipped.model_copy(update={"expected_at": NOON + DAY}))
    await partner.counts(60, NOON + 2 * DAY - HOUR)
    assert await partner.story() == []

    await partner.counts(60, NOON + 2 * DAY + HOUR)
    line = {"item_id": "milk", "quantity": "30", "shipment_id": "ASN-1"}
    await partner.tells(builders.receipt(partner.customer, "GR-1", [line], NOON + 3 * DAY))

    assert await partner.story() == [("shipment_overdue", "open"), ("shipment_overdue", "closed")]
    overdue = (await partner.told())[0]
    assert (overdue.subject, overdue.details["doubtful"]) == ("shipment ASN-1", "30")


async def test_an_unanswered_proposal_is_one_exception_until_the_supplier_speaks(partner: Partner) -> None:
    await partner.agrees(**BAND | {"order_weekdays": None})
    await partner.counts(40)
    for day in (1, 2, 3):
        await partner.counts(40, NOON + day * DAY)
    assert await partner.story() == [("below_minimum", "open"), ("proposal_unanswered", "open")]

    async with partner.engine.connect() as connection:
        query = text("SELECT proposal_id, version, quantity FROM proposal WHERE customer_id = :customer "
                     "AND status = 'proposed' ORDER BY order_at")  # fmt: skip
        waiting = (await connection.execute(query, {"customer": partner.customer})).all()
    for row in waiting:
        await partner.answers(
            {"proposal_id": row.proposal_id, "version": row.version, "answer": "accept"}, NOON + 3 * DAY
        )

    assert ("proposal_unanswered", "closed") in await partner.story()


async def test_a_supplier_who_sends_less_leaves_supply_short(partner: Partner) -> None:
    await partner.agrees(**BAND)
    await partner.counts(40)
    async with partner.engine.connect() as connection:
        query = text("SELECT proposal_id, version FROM proposal WHERE customer_id = :customer")
        row = (await connection.execute(query, {"customer": partner.customer})).one()

    await partner.answers(
        {"proposal_id": row.proposal_id, "version": row.version, "answer": "change", "quantity": "24"}, NOON + HOUR
    )

    [short] = [line for line in await partner.told() if line.kind.value == "supply_short"]
    assert (short.status, short.subject, short.details["short"]) == (ExceptionStatus.OPEN, "dairy", "36")


async def test_s9_stock_below_zero_is_told_only_if_late_facts_do_not_explain_it(partner: Partner) -> None:
    await partner.agrees(stock_authority="ledger")
    await partner.counts(5)
    await partner.sells(8, NOON + HOUR)
    await partner.sells(1, NOON + 2 * HOUR)
    assert "negative_stock" not in [kind for kind, _ in await partner.story()]

    await partner.sells(1, NOON + 26 * HOUR)
    await partner.counts(5, NOON + 27 * HOUR)

    assert [status for kind, status in await partner.story() if kind == "negative_stock"] == ["open", "closed"]


async def test_what_a_person_says_is_published_and_does_not_open_it_twice(partner: Partner) -> None:
    await partner.agrees(**BAND)
    await partner.counts(40)
    [line] = await partner.told()
    name = (partner.customer, line.exception_id)
    async with partner.engine.begin() as connection:
        held = (await exceptions.lock(connection, [name]))[line.exception_id]
        step = acknowledged(held, author="ann", note="truck is on its way", now=NOON + HOUR)
        await raising.write(connection, [step])
    await partner.sells(1, NOON + 2 * HOUR)
    async with partner.engine.begin() as connection:
        held = (await exceptions.lock(connection, [name]))[line.exception_id]
        step = suppressed(held, author="bob", note="rebuilding", until=NOON + 2 * DAY, now=NOON + 3 * HOUR)
        await raising.write(connection, [step])
    await partner.sells(1, NOON + 4 * HOUR)
    await partner.sells(1, NOON + 49 * HOUR)

    below = [one for one in await partner.told() if one.exception_id == line.exception_id]
    assert [one.status.value for one in below] == ["open", "acknowledged", "suppressed", "open"]
    assert [one.author for one in below] == [None, "ann", "bob", "bob"]


async def test_when_nothing_is_agreed_any_more_nothing_is_wrong(partner: Partner) -> None:
    await partner.agrees(**BAND)
    await partner.counts(40)
    await partner.desk.define(builders.agreement(partner.customer, **BAND, effective_to="2025-03-01"))
    await partner.tells()

    assert await partner.story() == [("below_minimum", "open"), ("below_minimum", "closed")]
    assert Decimal((await partner.told())[0].details["usable"]) == 40


# Feeds


async def test_f12_a_feed_that_is_silent_for_longer_than_agreed_holds_proposals_until_it_is_back(
    partner: Partner,
) -> None:
    await partner.agrees(**BAND, stock_cadence_hours=24)
    await partner.agrees("bread", **BAND)
    await partner.counts(80, NOON - HOUR)
    await partner.counts(30)
    await partner.ticks()
    await partner.sells(1, NOON + 24 * HOUR, item="bread")
    await partner.ticks()
    assert [kind for kind, _ in await partner.story() if kind == "feed_stale"] == []

    await partner.sells(1, NOON + 26 * HOUR, item="bread")
    await partner.ticks()
    await partner.ticks()
    held = await partner.proposals()
    await partner.counts(20, NOON + 27 * HOUR)
    await partner.ticks()

    stale = [line for line in await partner.told() if line.kind.value == "feed_stale"]
    assert [(line.status.value, line.subject, line.item_id) for line in stale] == [
        ("open", "stock", None),
        ("closed", "stock", None),
    ]
    assert stale[0].details["cadence_hours"] == "24"
    assert held[-1][:3] == (2, "held", "stale_data")
    assert (await partner.proposals())[-1] == (3, "proposed", None, Decimal(80))


async def test_f12_what_was_offered_for_an_opportunity_that_has_passed_is_held_too(partner: Partner) -> None:
    await partner.agrees(**BAND | {"order_weekdays": None}, stock_cadence_hours=24)
    await partner.agrees("bread", **BAND)
    await partner.counts(30)
    await partner.sells(1, NOON + 26 * HOUR, item="bread")
    await partner.ticks()
    await partner.ticks()
    held = await partner.proposals()
    await partner.counts(20, NOON + 27 * HOUR)
    await partner.ticks()

    assert [one[:3] for one in held] == [
        (1, "proposed", None),
        (2, "held", "stale_data"),
        (1, "held", "stale_data"),
    ]
    after = [one[:2] for one in (await partner.proposals())[3:]]
    assert after == [(3, "expired"), (2, "proposed")]


async def test_a_feed_is_judged_by_the_wall_clock_in_production(engine: AsyncEngine, customer: str) -> None:
    wall = Clock(ClockMode.WALL)
    partner = Partner(engine, customer)
    await partner.agrees(**BAND, stock_cadence_hours=24)
    yesterday = wall.wall() - 26 * HOUR

    await partner.desk.deliver([record(builders.stock(customer, {"milk": 30}, yesterday), recorded_at=wall.wall())])
    await partner.ticks(wall)
    stale = await partner.story()
    await partner.desk.deliver(
        [record(builders.stock(customer, {"milk": 30}, wall.wall() - HOUR), recorded_at=wall.wall())]
    )
    await partner.ticks(wall)

    assert ("feed_stale", "open") in stale
    assert ("feed_stale", "closed") in await partner.story()


async def test_when_the_cadence_is_not_agreed_any_more_the_feed_is_not_stale(partner: Partner) -> None:
    await partner.agrees(**BAND, stock_cadence_hours=24)
    await partner.counts(80)
    await partner.sells(1, NOON + 2 * DAY)
    await partner.ticks()
    await partner.desk.define(builders.agreement(partner.customer, **BAND))
    await partner.ticks()

    assert [one for one in await partner.story() if one[0] == "feed_stale"] == [
        ("feed_stale", "open"),
        ("feed_stale", "closed"),
    ]


# The command line


async def test_on_the_command_line_exceptions_are_listed_taken_up_and_suppressed(
    partner: Partner, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    await partner.agrees(**BAND, stock_cadence_hours=24)
    await partner.counts(40)

    async def vmi(*arguments: str) -> Any:
        result = await asyncio.to_thread(partial(CliRunner().invoke, app, ["exceptions", *arguments]))
        return json.loads(result.stdout) if result.exit_code == 0 else result

    [one] = await vmi("list", "--customer", partner.customer, "--json")
    assert (one["kind"], one["status"], one["item_id"]) == ("below_minimum", "open", "milk")
    name = one["exception_id"]

    assert "Missing option" in (await vmi("acknowledge", name)).output, "a reason is asked for"
    taken_up = await vmi("acknowledge", name, "--reason", "truck is on its way", "--author", "ann", "--json")
    assert (taken_up["status"], taken_up["author"], taken_up["note"]) == ("acknowledged", "ann", "truck is on its way")
    await vmi("suppress", name, "--reason", "rebuilding", "--days", "3", "--author", "bob", "--json")
    assert await vmi("list", "--customer", partner.customer, "--json") == []
    [quiet] = await vmi("list", "--customer", partner.customer, "--all", "--json")
    assert (quiet["status"], quiet["author"]) == ("suppressed", "bob")
    assert "no exception has an id" in str((await vmi("show", "nothing")).exception)
    [feed] = await vmi("feeds", "--customer", partner.customer, "--json")
    assert (feed["kind"], feed["watched"], feed["stale_since"]) == ("stock", True, None)

    assert [line.status.value for line in await partner.told()] == ["open", "acknowledged", "suppressed"]
