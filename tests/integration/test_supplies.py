"""Suppliers' own word on their supply, from the topic to proposals, exceptions and shares (F58 to F60, S27)."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from vmi_cli import suppliers
from vmi_contracts import topics
from vmi_contracts.inbound import SupplyStated
from vmi_contracts.internal import PositionLine, PositionsChanged
from vmi_contracts.outbound import ProposalLine, ProposalsIssued
from vmi_domain.replenishment.explanations import recompute
from vmi_domain.stock.position import Key
from vmi_inventory.supplying import read_supply, record_supply
from vmi_replenishment import situations, telling
from vmi_replenishment.ahead import ahead
from vmi_replenishment.following import Replenishment
from vmi_replenishment.loads import loads
from vmi_replenishment.master_data import MasterData
from vmi_replenishment.reading import read_answers, read_changes
from vmi_runtime.clock import Clock, ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import due, proposals
from vmi_testing import builders
from vmi_testing.builders import DAY, HOUR, NOON
from vmi_testing.inventory import Desk, record
from vmi_testing.published import proposals_issued

EVENTS = Clock(ClockMode.EVENTS)
BAND = {"policy": "minimum_maximum", "minimum": "50", "maximum": "100", "order_weekdays": (4,), "lead_time_days": 2}
"""At or below 50 up to 100, ordered on Thursdays; NOON is a Tuesday."""


BOTH = ("dairy", "farm")


class Chain:
    """A customer's stores, the dairy that supplies them, and the two workers in between."""

    def __init__(self, engine: AsyncEngine, customer: str) -> None:
        self.engine = engine
        self.customer = customer
        self.desk = Desk(engine, customer, ClockMode.EVENTS)
        self.worker = Replenishment()

    async def agrees(self, store: str = "store-1", **terms: Any) -> None:
        agreed = builders.agreement(self.customer, "milk", store, **{**BAND, "supply_limit": "cap", **terms})
        await self.desk.define(agreed)

    async def holds(self, quantity: int, store: str = "store-1", at: datetime = NOON) -> None:
        await self.desk.tell(builders.stock(self.customer, {"milk": quantity}, at, store))
        await self.hears(store)

    async def states(self, at: datetime = NOON, **line: Any) -> None:
        """Let the dairy say what it can send."""
        said = SupplyStated.model_validate(
            {
                "customer_id": self.customer,
                "supplier_id": line.pop("supplier_id", "dairy"),
                "stated_at": at,
                **{name: line.pop(name) for name in ("allocation", "valid_until") if name in line},
                "lines": [{"item_id": "milk", **line}],
            }
        )
        async with self.engine.begin() as connection:
            found = read_supply([record(said)])
            assert not found.rejected
            await record_supply(found, Transaction(connection, EVENTS))

    async def hears(self, *stores: str) -> None:
        """Let the replenishment worker look at stores, and at whatever is due after that."""
        async with self.engine.begin() as connection:
            for store in stores:
                await self._follow(store, connection)

    async def _follow(self, store: str, connection: AsyncConnection) -> None:
        document = PositionsChanged(
            customer_id=self.customer,
            location_id=store,
            reached_at=NOON,
            lines=(PositionLine(item_id="milk", version=1),),
        )
        changes = read_changes([record(document)])
        await self.worker.follow_changes(changes, Transaction(connection, EVENTS))

    async def due_at_once(self) -> list[Key]:
        async with self.engine.begin() as connection:
            waiting = await due.before(connection, datetime(2000, 1, 1, tzinfo=UTC), at_most=100)
        return sorted(key for key in waiting if key.customer_id == self.customer)

    async def latest(self, store: str = "store-1") -> ProposalLine:
        async with self.engine.begin() as connection:
            rows = await connection.execute(_ISSUED, {"customer": self.customer})
            documents = [proposals_issued(row.payload) for row in rows]
        return [line for one in documents if one.location_id == store for line in one.lines][-1]

    async def document(self) -> ProposalsIssued:
        """Return the latest document of proposals."""
        async with self.engine.begin() as connection:
            rows = await connection.execute(_ISSUED, {"customer": self.customer})
            return [proposals_issued(row.payload) for row in rows][-1]

    async def asked(self) -> list[str]:
        """Return the suppliers of all proposals, by their opportunities."""
        async with self.engine.begin() as connection:
            return [row.supplier_id for row in await connection.execute(_STAND, {"customer": self.customer})]

    async def asked_now(self) -> list[tuple[str, str, Decimal]]:
        """Return what is proposed, by supplier and store."""
        async with self.engine.begin() as connection:
            rows = await connection.execute(_PROPOSED, {"customer": self.customer})
            return [(row.supplier_id, row.location_id, row.quantity) for row in rows]

    async def statuses(self) -> set[tuple[str, str]]:
        """Return how proposals stand, by supplier."""
        async with self.engine.begin() as connection:
            return {
                (row.supplier_id, row.status) for row in await connection.execute(_STAND, {"customer": self.customer})
            }

    async def issued(self) -> int:
        """Return how many versions were told."""
        async with self.engine.begin() as connection:
            return len(list(await connection.execute(_ISSUED, {"customer": self.customer})))

    async def said_of(self, supplier: str) -> ProposalLine:
        """Return the latest line to a supplier."""
        async with self.engine.begin() as connection:
            rows = await connection.execute(_ISSUED, {"customer": self.customer})
            documents = [proposals_issued(row.payload) for row in rows]
        return [line for one in documents if one.supplier_id == supplier for line in one.lines][-1]

    async def accepts(self, line: ProposalLine, store: str = "store-1") -> None:
        await self.answers(line, "accept", store)

    async def answers(self, line: ProposalLine, answer: str, store: str = "store-1") -> None:
        answered = builders.answer(
            self.customer, [{"proposal_id": line.proposal_id, "version": line.version, "answer": answer}]
        ).model_copy(update={"location_id": store})
        async with self.engine.begin() as connection:
            await self.worker.follow_answers(read_answers([record(answered)]), Transaction(connection, EVENTS))

    async def exceptions(self) -> dict[str, str]:
        """Return what is wrong, by kind and place, in words."""
        async with self.engine.begin() as connection:
            rows = await connection.execute(_EXCEPTIONS, {"customer": self.customer})
            return {f"{row.kind} {row.location_id}": row.sentence for row in rows}

    async def told(self) -> set[str]:
        """Return the stores that the gate told of."""
        async with self.engine.begin() as connection:
            rows = await connection.execute(_TOLD, {"customer": self.customer, "topic": topics.POSITIONS.name})
            return {PositionsChanged.model_validate_json(row.payload).location_id for row in rows}


_ISSUED = text("""
    SELECT payload FROM outbox WHERE customer_id = :customer AND aggregatetype = 'vmi.proposals.v1' ORDER BY sequence
""")
_TOLD = text("SELECT payload FROM outbox WHERE customer_id = :customer AND aggregatetype = :topic")
_STAND = text("SELECT supplier_id, status FROM proposal WHERE customer_id = :customer ORDER BY order_at")
_PROPOSED = text("""
    SELECT supplier_id, location_id, quantity FROM proposal WHERE customer_id = :customer AND status = 'proposed'
""")
_EXCEPTIONS = text("""
    SELECT kind, location_id, sentence FROM exception WHERE customer_id = :customer AND closed_at IS NULL
""")


@pytest.fixture
async def chain(engine: AsyncEngine, customer: str) -> Chain:
    made = Chain(engine, customer)
    await made.desk.introduce("milk", location_id="store-1")
    await made.desk.introduce("milk", location_id="store-2")
    return made


async def test_f59_thirty_can_be_promised_of_fifty_and_the_rest_is_backlog(chain: Chain) -> None:
    await chain.agrees()
    await chain.holds(50)
    await chain.states(available_to_promise="30")
    await chain.hears("store-1")

    line = await chain.latest()

    assert line.quantity == 30
    assert line.supply_confidence == pytest.approx(0.6)
    assert line.explanation["binding"] == "supply"
    assert line.explanation["supply"]["backlog"] == "20"
    assert recompute(line.explanation) == 30
    assert "supply_short store-1" in await chain.exceptions()


async def test_f59_by_agreement_the_need_is_proposed_and_a_person_hears_what_is_short(chain: Chain) -> None:
    await chain.agrees(supply_limit="alert")
    await chain.states(available_to_promise="30")
    await chain.holds(50)

    line = await chain.latest()

    assert (line.quantity, line.explanation["binding"]) == (50, "need")
    assert "20" in (await chain.exceptions())["supply_short store-1"]

    await chain.states(NOON + DAY, available_to_promise="30", production=[{"ready_on": "2025-03-06", "quantity": "40"}])
    await chain.hears("store-1")

    assert await chain.exceptions() == {}


async def test_who_is_limited_by_a_statement_is_told_of_it(chain: Chain) -> None:
    await chain.agrees()
    await chain.agrees("store-2", supply_limit="none")
    await chain.holds(50)
    before = await chain.told()
    await chain.states(available_to_promise="30")

    assert before | {"store-1"} == await chain.told()


async def test_s27_short_supply_is_shared_by_need_whoever_asks_first(chain: Chain) -> None:
    await chain.agrees("store-1")
    await chain.agrees("store-2")
    await chain.states(available_to_promise="60")
    await chain.holds(20, "store-1")
    assert (await chain.latest("store-1")).quantity == 60

    await chain.holds(40, "store-2")

    assert (await chain.latest("store-2")).quantity == 26  # 60 of 140, as 80 to 60
    assert await chain.due_at_once() == [Key(chain.customer, "store-1", "milk")]

    await chain.hears("store-1")

    assert (await chain.latest("store-1")).quantity == 34
    assert await chain.due_at_once() == [], "shares that have settled wake nobody"


async def test_what_is_accepted_is_promised_to_nobody_else(chain: Chain) -> None:
    await chain.agrees("store-1")
    await chain.agrees("store-2")
    await chain.states(available_to_promise="60")
    await chain.holds(50, "store-1", NOON + DAY)
    await chain.accepts(await chain.latest("store-1"))
    await chain.holds(20, "store-2", NOON + DAY)

    assert (await chain.latest("store-2")).quantity == Decimal(10)


async def test_what_the_agreement_accepts_by_itself_is_taken_from_the_supply_once(chain: Chain) -> None:
    await chain.agrees("store-1", approval="automatic")
    await chain.agrees("store-2")
    await chain.states(available_to_promise="60")
    await chain.holds(50, "store-1", NOON + DAY)
    await chain.holds(50, "store-1", NOON + 3 * DAY)
    await chain.holds(20, "store-2", NOON + 3 * DAY)

    assert await chain.statuses() == {("dairy", "accepted"), ("dairy", "proposed")}
    assert (await chain.latest("store-2")).quantity == Decimal(10)


async def test_a_statement_that_is_no_longer_valid_limits_nothing(chain: Chain) -> None:
    await chain.agrees()
    await chain.states(available_to_promise="30", valid_until=NOON - DAY)
    await chain.holds(20)

    line = await chain.latest()

    assert (line.quantity, line.supply_confidence) == (80, None)


async def test_when_a_statement_ends_what_it_limited_is_looked_at_again(chain: Chain) -> None:
    await chain.agrees()
    await chain.states(available_to_promise="0", valid_until=NOON + HOUR)
    await chain.holds(20)
    assert await chain.asked_now() == []

    await chain.desk.tell(builders.stock(chain.customer, {"milk": 20}, NOON + 2 * HOUR))
    async with chain.engine.begin() as connection:
        now = {(chain.customer, "store-1"): NOON + 2 * HOUR}
        due_then = await due.at_locations(connection, now)
    assert due_then == [Key(chain.customer, "store-1", "milk")]
    await chain.hears("store-1")

    assert await chain.asked_now() == [("dairy", "store-1", Decimal(80))]
    async with chain.engine.begin() as connection:
        assert await due.at_locations(connection, now) == []


# Several sources


async def test_f62_two_suppliers_take_turns_by_their_shares(chain: Chain) -> None:
    await chain.agrees(supply_limit="none", supply_share="0.6", approval="automatic", order_weekdays=None)
    await chain.agrees(
        supply_limit="none", supply_share="0.4", approval="automatic", order_weekdays=None, supplier_id="farm"
    )
    for day in range(20):  # what is on order covers every second day
        await chain.holds(50, at=NOON + day * DAY)
        received = [{"item_id": "milk", "quantity": "50"}]
        await chain.desk.tell(builders.receipt(chain.customer, f"receipt-{day}", received, NOON + (day + 0.9) * DAY))

    asked = await chain.asked()

    assert (asked.count("dairy"), asked.count("farm")) == (6, 4)


async def test_what_one_supplier_has_not_answered_yet_is_not_taken_from_the_others_supply(chain: Chain) -> None:
    for supplier in BOTH:
        await chain.agrees(supply_share="0.5", supplier_id=supplier)
        await chain.states(available_to_promise="60", supplier_id=supplier)
    await chain.holds(50)
    await chain.holds(0, at=NOON + 3 * DAY)

    assert sorted(await chain.asked_now()) == [("dairy", "store-1", 50), ("farm", "store-1", 50)]


async def test_what_one_supplier_has_accepted_stays_taken_from_its_supply_when_the_other_is_asked(chain: Chain) -> None:
    for supplier in BOTH:
        await chain.agrees(supply_share="0.5", supplier_id=supplier)
        await chain.states(available_to_promise="60", supplier_id=supplier)
    await chain.agrees("store-2")
    await chain.holds(50, at=NOON + DAY)
    await chain.accepts(await chain.latest())
    await chain.holds(0, at=NOON + 3 * DAY)
    await chain.holds(20, "store-2", NOON + 3 * DAY)

    assert sorted(await chain.asked_now()) == [("dairy", "store-2", 10), ("farm", "store-1", 50)]


async def test_what_one_supplier_has_not_answered_yet_stands_while_it_is_the_others_turn(chain: Chain) -> None:
    await chain.agrees(supply_limit="none", supply_share="0.5")
    await chain.agrees(supply_limit="none", supply_share="0.5", supplier_id="farm")
    await chain.holds(50)
    first = await chain.document()
    await chain.holds(0, at=NOON + 4 * DAY)
    second = await chain.document()

    assert (first.supplier_id, second.supplier_id) == ("dairy", "farm")
    assert second.lines[0].quantity == 50, "of the 100 that are missing the dairy was asked for 50"
    assert await chain.statuses() == {("dairy", "proposed"), ("farm", "proposed")}


async def test_a_source_that_is_short_falls_over_to_the_next_by_priority_and_back(chain: Chain) -> None:
    await chain.agrees(supply_split=False)
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none")
    await chain.states(available_to_promise="30")
    await chain.holds(50)
    over = await chain.document()
    await chain.states(at=NOON + DAY / 24, available_to_promise="60")
    await chain.hears("store-1")

    assert (over.supplier_id, over.lines[0].quantity) == ("farm", 50)
    assert "dairy can send 30 of 50." in over.lines[0].reason
    assert over.lines[0].explanation["instead_of"] == [{"supplier_id": "dairy", "wanted": "50", "share": "30"}]
    assert await chain.asked_now() == [("dairy", "store-1", 50)]
    assert await chain.statuses() == {("farm", "superseded"), ("dairy", "proposed")}


async def test_why_tells_of_the_source_that_was_asked_and_not_of_the_one_whose_turn_it_was(chain: Chain) -> None:
    await chain.agrees(supply_split=False)
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none", unit_price="2", maximum="150")
    await chain.states(available_to_promise="30")
    await chain.holds(50)
    async with chain.engine.connect() as connection:
        story = await telling.of_key(Key(chain.customer, "store-1", "milk"), Transaction(connection, EVENTS))

    assert story is not None
    assert "dairy can send 30 of 50." in story.reason
    assert story.told.value == 200, "at the price of the farm"


async def test_of_sources_that_are_all_short_the_one_that_can_send_most_is_asked(chain: Chain) -> None:
    await chain.agrees(supply_split=False)
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_split=False)
    await chain.states(available_to_promise="30")
    await chain.states(supplier_id="farm", available_to_promise="20")
    await chain.holds(50)

    asked = await chain.document()

    assert (asked.supplier_id, asked.lines[0].quantity) == ("dairy", 30)
    assert "farm can send 20 of 50. The supplier's promise leaves 20 of 50 uncovered." in asked.lines[0].reason


async def test_only_so_many_stores_go_to_the_next_source_as_makes_the_first_reach_for_the_others(chain: Chain) -> None:
    stores = ("store-1", "store-2")
    for store in stores:
        await chain.agrees(store, supply_split=False)
        await chain.agrees(store, supplier_id="farm", supply_priority=2, supply_limit="none")
    await chain.states(available_to_promise="60")
    for store in stores:
        await chain.holds(50, store)
    assert await chain.due_at_once() == [], "whoever looks again finds the same"
    await chain.hears(*stores)

    assert sorted(await chain.asked_now()) == [("dairy", "store-1", 50), ("farm", "store-2", 50)]


async def test_a_short_need_is_split_over_two_sources_as_two_proposals(chain: Chain) -> None:
    await chain.agrees()
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none")
    await chain.states(available_to_promise="30")
    await chain.holds(50)

    dairy, farm = await chain.said_of("dairy"), await chain.said_of("farm")

    assert sorted(await chain.asked_now()) == [("dairy", "store-1", 30), ("farm", "store-1", 20)]
    assert dairy.order_at == farm.order_at
    for line in (dairy, farm):
        assert recompute(line.explanation) == line.quantity
    assert dairy.explanation["rest_to"] == [{"supplier_id": "farm", "quantity": "20"}]
    assert "farm is asked for 20" in dairy.reason
    assert farm.explanation["instead_of"] == [{"supplier_id": "dairy", "wanted": "50", "share": "30"}]
    assert farm.explanation["inputs"]["elsewhere"] == "30"
    assert "dairy can send 30 of 50." in farm.reason
    assert await chain.exceptions() == {}, "nothing is short of what both send"

    issued = await chain.issued()
    await chain.hears("store-1")
    assert await chain.issued() == issued, "whoever looks again finds the same"
    assert await chain.due_at_once() == []


async def test_each_of_two_sources_answers_for_itself_and_what_is_bound_is_supply_for_the_other(chain: Chain) -> None:
    await chain.agrees()
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none")
    await chain.states(available_to_promise="30")
    await chain.holds(50, at=NOON + DAY / 24)
    await chain.accepts(await chain.said_of("farm"))

    assert await chain.statuses() == {("dairy", "proposed"), ("farm", "accepted")}
    assert await chain.asked_now() == [("dairy", "store-1", 30)]

    await chain.accepts(await chain.said_of("dairy"))

    assert await chain.statuses() == {("dairy", "accepted"), ("farm", "accepted")}
    assert await chain.asked_now() == [], "nothing is missing"


async def test_what_one_of_two_sources_refuses_is_missing_and_not_asked_of_it_again(chain: Chain) -> None:
    await chain.agrees()
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none")
    await chain.states(available_to_promise="30")
    await chain.holds(50)
    await chain.answers(await chain.said_of("farm"), "reject")
    await chain.hears("store-1")

    assert await chain.statuses() == {("dairy", "proposed"), ("farm", "rejected")}
    assert await chain.asked_now() == [("dairy", "store-1", 30)]
    assert "20" in (await chain.exceptions())["supply_short store-1"]


async def test_outlook_and_why_tell_of_each_source_its_own_part(chain: Chain) -> None:
    await chain.agrees()
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none")
    await chain.states(available_to_promise="30")
    await chain.holds(50)
    key = Key(chain.customer, "store-1", "milk")
    async with chain.engine.connect() as connection:
        transaction = Transaction(connection, EVENTS)
        found = await situations.as_offered([key], transaction, MasterData())
        stories = []
        for one in BOTH:
            [proposal] = await proposals.named(connection, str((await chain.said_of(one)).proposal_id))
            stories.append(await telling.of_proposal(proposal, transaction))

    assert [[row.quantity for row in ahead(found, one, DAY)] for one in BOTH] == [[30], [20]]
    assert [story.decision.quantity for story in stories] == [30, 20]
    assert "farm is asked for 20" in stories[0].reason
    assert "dairy can send 30 of 50" in stories[1].reason


async def test_a_source_that_can_send_all_again_takes_the_rest_back(chain: Chain) -> None:
    await chain.agrees()
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none")
    await chain.states(available_to_promise="30")
    await chain.holds(50)
    await chain.states(at=NOON + DAY / 24, available_to_promise="40")
    await chain.hears("store-1")
    assert sorted(await chain.asked_now()) == [("dairy", "store-1", 40), ("farm", "store-1", 10)]

    await chain.states(at=NOON + DAY / 12, available_to_promise="60")
    await chain.hears("store-1")

    assert await chain.asked_now() == [("dairy", "store-1", 50)]
    assert await chain.statuses() == {("dairy", "proposed"), ("farm", "superseded")}


async def test_three_sources_share_a_need_one_after_the_other_and_each_supply_fairly(chain: Chain) -> None:
    stores = ("store-1", "store-2")
    for store in stores:
        await chain.agrees(store)
        await chain.agrees(store, supplier_id="farm", supply_priority=2)
        await chain.agrees(store, supplier_id="ranch", supply_priority=3, supply_limit="none")
    await chain.states(available_to_promise="60")
    await chain.states(supplier_id="farm", available_to_promise="20")
    for store in stores:
        await chain.holds(50, store)
    await chain.hears(*stores)
    await chain.hears(*stores)

    assert await chain.due_at_once() == [], "shares that have settled wake nobody"
    assert sorted(await chain.asked_now()) == [
        ("dairy", "store-1", 30),
        ("dairy", "store-2", 30),
        ("farm", "store-1", 10),
        ("farm", "store-2", 10),
        ("ranch", "store-1", 10),
        ("ranch", "store-2", 10),
    ]


async def test_what_is_frozen_with_both_sources_stays_with_both(chain: Chain) -> None:
    await chain.agrees(freeze_days=3)
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none", freeze_days=3)
    await chain.states(available_to_promise="30")
    await chain.holds(50)
    await chain.states(at=NOON + DAY / 24, available_to_promise="60")
    await chain.hears("store-1")

    assert sorted(await chain.asked_now()) == [("dairy", "store-1", 30), ("farm", "store-1", 20)]


async def test_where_no_other_source_has_the_same_order_day_the_whole_need_goes_to_the_next(chain: Chain) -> None:
    await chain.agrees()
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none", order_weekdays=(5,))
    await chain.states(available_to_promise="30")
    await chain.holds(50)

    assert await chain.asked_now() == [("farm", "store-1", 50)]
    assert await chain.exceptions() == {}


async def test_a_source_with_another_order_day_is_passed_over_for_the_rest(chain: Chain) -> None:
    await chain.agrees()
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none", order_weekdays=(5,))
    await chain.agrees(supplier_id="ranch", supply_priority=3, supply_limit="none")
    await chain.states(available_to_promise="30")
    await chain.holds(50)
    await chain.hears("store-1")

    assert sorted(await chain.asked_now()) == [("dairy", "store-1", 30), ("ranch", "store-1", 20)]


async def test_what_is_frozen_with_a_source_stays_with_it_though_it_is_short(chain: Chain) -> None:
    await chain.agrees(freeze_days=3)
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none")
    await chain.states(available_to_promise="60")
    await chain.holds(50)
    await chain.states(at=NOON + DAY / 24, available_to_promise="10")
    await chain.hears("store-1")

    assert await chain.statuses() == {("dairy", "proposed")}


async def test_a_source_whose_agreement_ends_before_the_next_opportunity_gives_way_to_the_next(chain: Chain) -> None:
    await chain.agrees(supply_limit="none", effective_to=date(2025, 3, 5))
    await chain.agrees(supplier_id="farm", supply_priority=2, supply_limit="none", order_weekdays=(5,))
    await chain.holds(50)

    asked = await chain.document()

    assert (asked.supplier_id, asked.order_day) == ("farm", date(2025, 3, 7))


# Lead times


async def test_f61_deliveries_that_take_longer_and_vary_raise_the_level_and_move_no_due_date(chain: Chain) -> None:
    by_demand = {"policy": "order_up_to", "minimum": None, "maximum": None, "supply_limit": "none"}
    terms = {**by_demand, "expected_daily_demand": 10, "order_weekdays": None, "lead_time_days": 2}
    await chain.agrees("store-1", **terms)
    await chain.agrees("store-2", **terms, lead_time_source="learned")
    for store in ("store-1", "store-2"):
        for number in range(20):
            ordered_at, days = NOON - (60 - 2 * number) * DAY, 4 + number % 3
            line = [{"item_id": "milk", "quantity": "10"}]
            order = builders.order(chain.customer, f"{store}-{number}", line, ordered_at)
            receipt = builders.receipt(
                chain.customer, f"{store}-{number}", [{**line[0], "order_id": order.order_id}], ordered_at + days * DAY
            )
            await chain.desk.tell(*(one.model_copy(update={"location_id": store}) for one in (order, receipt)))
        await chain.holds(0, store)

    agreed, learned = await chain.latest("store-1"), await chain.latest("store-2")

    assert agreed.deliver_at == learned.deliver_at
    demand = learned.explanation["inputs"]["demand"]
    assert demand["lead_time_sd_days"] == pytest.approx(0.81, abs=0.05)
    assert learned.quantity > agreed.quantity + 25
    assert recompute(learned.explanation) == learned.quantity
    async with chain.engine.connect() as connection:
        [shown], _ = await suppliers.read(connection, "dairy", chain.customer)
    assert (shown["deliveries"], shown["in_full"], shown["on_time_in_full"]) == (40, 1.0, 0.0)
    assert shown["lead_time_days"] == pytest.approx(4.95, abs=0.05)


async def test_s23_holidays_and_working_days_of_the_agreement_move_opportunities_and_arrivals(chain: Chain) -> None:
    await chain.agrees(
        supply_limit="none",
        order_weekdays=(1, 4),
        lead_time_days=2,
        lead_time_in_working_days=True,
        holidays=("2025-03-07",),
    )
    await chain.holds(10)

    line = await chain.latest()

    assert line.order_at.date() == date(2025, 3, 6)
    assert line.deliver_at.date() == date(2025, 3, 11), "Friday is a holiday, then comes the weekend"
    assert line.explanation["opportunity"]["next_deliver_at"].startswith("2025-03-12"), "Monday's order's arrival"


# The outlook


async def test_the_supplier_sees_what_is_firm_then_proposed_then_planned_over_the_horizon(chain: Chain) -> None:
    by_demand = {"policy": "order_up_to", "minimum": None, "maximum": None, "supply_limit": "none"}
    await chain.agrees(**by_demand, expected_daily_demand=10, pack="5")
    await chain.holds(20)
    await chain.accepts(await chain.latest())
    await chain.holds(20, at=NOON + 3 * DAY)
    key = Key(chain.customer, "store-1", "milk")
    async with chain.engine.connect() as connection:
        found = await situations.read([key], Transaction(connection, EVENTS), MasterData())

    rows = ahead(found, "dairy", 28 * DAY)

    assert [one.commitment.value for one in rows] == ["firm", "proposed", "planned", "planned", "planned"]
    assert [one.order_at.date().isoformat() for one in rows] == [
        "2025-03-06",
        "2025-03-13",
        "2025-03-20",
        "2025-03-27",
        "2025-04-03",
    ]
    assert [one.quantity for one in rows[3:]] == [70, 70], "a week of ten a day"
    assert all(one.quantity % 5 == 0 for one in rows)
    assert ahead(found, "farm", 28 * DAY) == []


# Limits of the agreement


async def test_each_limit_of_the_agreement_cuts_the_proposal_under_its_own_name(chain: Chain) -> None:
    limits: list[tuple[dict[str, Any], str, int]] = [
        ({"largest_order": "30"}, "largest_order", 30),
        ({"largest_value": "100", "unit_price": "4"}, "budget", 25),
        ({"capacity": "60"}, "capacity", 40),
        ({"shelf_life_days": 3, "expected_daily_demand": 10, "policy": "order_up_to"}, "shelf_life", 45),
    ]
    found = []
    for limit, _, _ in limits:
        await chain.agrees(supply_limit="none", **limit)
        await chain.holds(20)
        line = await chain.latest()
        assert recompute(line.explanation) == line.quantity
        found.append((line.explanation["binding"], line.quantity))

    assert found == [(name, quantity) for _, name, quantity in limits]


async def test_f46_a_truck_is_filled_up_and_the_proposal_stays_what_is_needed(chain: Chain) -> None:
    await chain.agrees(supply_limit="none", pallet="10", load_pallets=10, expected_daily_demand=5, maximum_is_hard=True)
    await chain.holds(40)
    key = Key(chain.customer, "store-1", "milk")
    async with chain.engine.connect() as connection:
        found = await situations.read([key], Transaction(connection, EVENTS), MasterData())

    assert (await chain.latest()).quantity == 60
    [order] = loads(found, "dairy")
    assert (order.load.loads, order.load.pallets, order.load.lines[0].fill) == (1, 6, 0), "the maximum leaves no room"


async def test_s19_orders_are_filled_up_to_whole_layers_where_that_is_agreed(chain: Chain) -> None:
    terms = {"policy": "order_up_to", "minimum": None, "maximum": None, "expected_daily_demand": 10, "pack": "10"}
    await chain.agrees(**terms, pallet="200", pallet_layer="50", load_building="layers", load_pallets=1)
    await chain.holds(50)
    async with chain.engine.connect() as connection:
        key = Key(chain.customer, "store-1", "milk")
        found = await situations.read([key], Transaction(connection, EVENTS), MasterData())

    line = await chain.latest()

    assert line.quantity == 150
    assert line.fill_quantity is not None
    assert 0 < line.fill_quantity < 50
    assert line.fill_quantity % 10 == 0
    assert line.explanation["fill"] == str(line.fill_quantity)
    assert recompute(line.explanation) == line.quantity
    assert "filling up whole layers or pallets makes it 150." in line.reason
    [order] = loads(found, "dairy")
    assert order.load.lines[0].need == 150 - line.fill_quantity, "a truck tells need and fill apart, too"
