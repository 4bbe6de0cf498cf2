"""Those who take facts in and those who decide from them do not wait for each other, and nothing is lost by that."""

import asyncio
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts import writing
from vmi_contracts.internal import PositionLine, PositionsChanged
from vmi_contracts.outbound import ProposalLine
from vmi_domain.stock.supply_facts import Ordered
from vmi_forecast import changes as forecast_changes
from vmi_forecast import upkeep
from vmi_replenishment import answering, situations
from vmi_replenishment.following import Replenishment
from vmi_replenishment.reading import read_answers, read_changes
from vmi_runtime.clock import Clock, ClockMode
from vmi_runtime.worker import FetchedRecord, Transaction
from vmi_store import positions, supply, turns
from vmi_store import proposals as stored
from vmi_store.turns import Work
from vmi_testing.builders import DAY, HOUR, NOON, agreement, answer, sale, stock
from vmi_testing.inventory import Desk
from vmi_testing.published import proposals_issued
from vmi_testing.records import record

EVENTS = Clock(ClockMode.EVENTS)
BAND: dict[str, Any] = {
    "policy": "minimum_maximum",
    "minimum": "50",
    "maximum": "100",
    "order_weekdays": (4,),
}
STORE = "store-1"


class Chain:
    """The workers of one customer with one store, each called by hand."""

    def __init__(self, engine: AsyncEngine, customer: str) -> None:
        self.engine = engine
        self.customer = customer
        self.desk = Desk(engine, customer, ClockMode.EVENTS)

    async def opens(self, **items: int) -> None:
        """Let the store be known and agreed, with so much of each item on its shelves."""
        await self.desk.introduce(*items)
        await self.desk.define(*(agreement(self.customer, item, **BAND) for item in items))
        await self.desk.tell(stock(self.customer, items))

    def told(self, *items: str) -> FetchedRecord:
        """Return the message that tells of these items."""
        lines = tuple(PositionLine(item_id=item, version=1, demand_from=(NOON + DAY).date()) for item in items)
        document = PositionsChanged(customer_id=self.customer, location_id=STORE, reached_at=NOON, lines=lines)
        written = writing.record(document, source="vmi/inventory", message_id="1")
        return record(topic="vmi.positions.v1", value=written.value, headers=written.headers)

    def replenishing(self, *items: str, worker: Replenishment | None = None) -> "Decision":
        """A replenishment worker that has decided on these items, and has not committed yet."""
        changes = read_changes([self.told(*items)])

        async def decide(transaction: Transaction) -> None:
            await (worker or Replenishment()).follow_changes(changes, transaction)

        return Decision(self.engine, decide)

    def forecasting(self, *items: str) -> "Decision":
        """A forecast worker that has learned, and has not committed yet."""
        changes = forecast_changes.read_changes([self.told(*items)])

        async def learn(transaction: Transaction) -> None:
            await upkeep.follow_positions(changes, transaction)

        return Decision(self.engine, learn)

    def closing_quiet_days(self) -> "Decision":
        """A forecast worker that has closed all days up to yesterday by the clock, and has not committed yet."""

        async def close(transaction: Transaction) -> None:
            while await upkeep.close_quiet_days(Transaction(transaction.connection, Clock(ClockMode.WALL))):
                pass

        return Decision(self.engine, close)

    def answering(self, *lines: ProposalLine) -> "Decision":
        """A replenishment worker that has taken in the supplier's consent, and has not committed yet."""
        accepted = [{"proposal_id": one.proposal_id, "version": one.version, "answer": "accept"} for one in lines]
        written = writing.record(answer(self.customer, accepted), source="dairy", message_id=str(lines[0].proposal_id))
        one = record(topic=f"answers-{self.customer}", value=written.value, headers=written.headers)

        async def take(transaction: Transaction) -> None:
            await Replenishment().follow_answers(read_answers([one]), transaction)

        return Decision(self.engine, take)

    async def learned(self, item: str = "milk") -> bytes:
        """Return what the forecast of an item has learned."""
        async with self.engine.connect() as connection:
            state: bytes = (await connection.execute(_STATE, {"customer": self.customer, "item": item})).scalar_one()
        return state

    async def issued(self, item: str = "milk") -> list[ProposalLine]:
        """Return the versions in the outbox, in their order."""
        async with self.engine.connect() as connection:
            rows = await connection.execute(_ISSUED, {"customer": self.customer})
            documents = [proposals_issued(row.payload) for row in rows]
        return [line for document in documents for line in document.lines if line.item_id == item]


_STATE = text("SELECT state FROM forecast WHERE customer_id = :customer AND item_id = :item")
_ISSUED = text("""
    SELECT payload FROM outbox WHERE customer_id = :customer AND aggregatetype = 'vmi.proposals.v1' ORDER BY sequence
""")


class Decision:
    """A transaction that has done its work and is committed at the end of the block."""

    def __init__(self, engine: AsyncEngine, do: Any) -> None:
        self._engine = engine
        self._do = do

    async def __aenter__(self) -> None:
        self._connection = await self._engine.connect()
        await self._do(Transaction(self._connection, EVENTS))

    async def __aexit__(self, *_: object) -> None:
        await self._connection.commit()
        await self._connection.close()


@pytest.fixture
def chain(engine: AsyncEngine, customer: str) -> Chain:
    return Chain(engine, customer)


def said(lines: list[ProposalLine]) -> list[tuple[int, str, Decimal]]:
    return [(line.version, line.status.value, line.quantity) for line in lines]


async def test_facts_are_taken_in_while_the_same_items_are_decided_and_learned(chain: Chain) -> None:
    await chain.opens(milk=30, bread=30)

    async with asyncio.timeout(5), chain.replenishing("milk", "bread"), chain.forecasting("milk", "bread"):
        await chain.desk.tell(sale(chain.customer, {"milk": 7, "bread": 1}, NOON + HOUR))

    assert (await chain.desk.stock()).physical == 23


async def test_decisions_are_made_while_facts_of_the_same_items_are_taken_in(chain: Chain, engine: AsyncEngine) -> None:
    await chain.opens(milk=30)

    async with asyncio.timeout(5), engine.connect() as taking_in:
        await positions.lock(taking_in, [await _key(chain)])
        async with chain.forecasting("milk"):
            pass
        async with chain.replenishing("milk"):
            pass

    assert said(await chain.issued()) == [(1, "proposed", 70)]


async def _key(chain: Chain) -> Any:
    return (await chain.desk.row()).key


async def test_what_changes_during_a_decision_is_decided_again_on_its_message(chain: Chain) -> None:
    await chain.opens(milk=30)

    async with chain.replenishing("milk"):
        await chain.desk.tell(sale(chain.customer, {"milk": 7}, NOON + HOUR))
    async with chain.replenishing("milk"):
        pass

    assert said(await chain.issued()) == [(1, "proposed", 70), (2, "proposed", 77)]


async def test_the_message_of_a_change_waits_for_the_decision_that_did_not_see_it(chain: Chain) -> None:
    """Were the second decision not to wait for the first, it would read no proposal and issue version 1 once more."""
    await chain.opens(milk=30)

    async with chain.replenishing("milk"):
        await chain.desk.tell(sale(chain.customer, {"milk": 7}, NOON + HOUR))
        again = asyncio.create_task(_committed(chain.replenishing("milk")))
        await _somebody_waits(chain.engine)
    await again

    assert said(await chain.issued()) == [(1, "proposed", 70), (2, "proposed", 77)]


async def test_a_late_sale_that_the_closing_of_its_day_did_not_see_is_learned_on_its_message(chain: Chain) -> None:
    """The clock closes the day after NOON's while a sale of it is taken in; its message waits, and finds it late."""
    await chain.opens(milk=30)
    await chain.desk.tell(sale(chain.customer, {"milk": 1}, NOON + DAY))
    await _committed(chain.forecasting("milk"))
    async with chain.closing_quiet_days():
        await chain.desk.tell(sale(chain.customer, {"milk": 4}, NOON + DAY + HOUR))
        again = asyncio.create_task(_committed(chain.forecasting("milk")))
        await _somebody_waits(chain.engine)
    await again

    other = Chain(chain.engine, f"{chain.customer}-in-order")
    await other.opens(milk=30)
    await other.desk.tell(sale(other.customer, {"milk": 1}, NOON + DAY))
    await other.desk.tell(sale(other.customer, {"milk": 4}, NOON + DAY + HOUR))
    await _committed(other.forecasting("milk"))
    await _committed(other.closing_quiet_days())
    assert await chain.learned() == await other.learned()


async def test_facts_are_taken_in_while_what_was_answered_is_told(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positions are locked when all but what is bound is written, and what came in meanwhile stays."""
    await chain.opens(milk=30)
    await _committed(chain.replenishing("milk"))

    async def publish_slowly(*arguments: Any) -> None:
        await publish(*arguments)
        await chain.desk.tell(sale(chain.customer, {"milk": 7}, NOON + HOUR))

    publish = answering.publish
    monkeypatch.setattr(answering, "publish", publish_slowly)
    async with asyncio.timeout(5):
        await _committed(chain.answering(*await chain.issued()))

    assert (await chain.desk.stock()).physical == 23
    assert (await chain.desk.row()).supply.on_order == 70


async def test_goods_count_in_the_position_and_with_their_proposal_or_in_neither(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An order that comes between two looks would be seen with its proposal and not on order: 70 more proposed."""
    await chain.opens(milk=30)
    await _committed(chain.replenishing("milk"))
    [line] = await chain.issued()

    async def order(*arguments: Any) -> Any:
        key = await _key(chain)
        async with chain.engine.begin() as connection:
            await positions.lock(connection, [key])
            placed = Ordered("PO-1", Decimal(70), NOON, line.proposal_id, fact_id=UUID(int=1))
            await supply.record(connection, [(key, placed)])
            await supply.refold(connection, [key])
        return await standing(*arguments)

    standing = stored.standing
    monkeypatch.setattr(situations.proposals, "standing", order)
    await _committed(chain.replenishing("milk"))

    assert said(await chain.issued()) == [(1, "proposed", 70), (2, "ordered", 70)]


async def test_answers_decisions_and_facts_of_many_items_never_wait_in_a_ring(chain: Chain) -> None:
    items = [f"item-{number:02}" for number in range(20)]
    await chain.opens(**dict.fromkeys(items, 30))
    await _committed(chain.replenishing(*items))
    lines = [(await chain.issued(item))[-1] for item in items]

    async def facts(names: list[str]) -> None:
        for _ in range(5):
            await chain.desk.tell(*(sale(chain.customer, {name: 1}, NOON + HOUR) for name in names))

    await asyncio.gather(
        facts(items),
        facts(items[::-1]),
        _committed(chain.answering(*lines[10:])),
        _committed(chain.answering(*lines[:10][::-1])),
        *(_committed(chain.replenishing(*items[::way])) for way in (1, -1)),
    )

    for item in items:
        assert (await chain.desk.stock(item)).physical == 20
        assert (await chain.desk.row(item)).supply.on_order == 70


async def test_turns_are_taken_in_sorted_order(chain: Chain, engine: AsyncEngine) -> None:
    sites = [(chain.customer, f"store-{number}") for number in range(30)]

    async def work(way: int) -> None:
        for _ in range(10):
            async with engine.begin() as connection:
                await turns.take(connection, Work.REPLENISHING, sites[::way])

    await work(1)
    await asyncio.gather(*(work(way) for way in (1, -1, 1, -1)))


async def _committed(decision: Decision) -> None:
    async with decision:
        pass


async def _somebody_waits(engine: AsyncEngine) -> None:
    async with asyncio.timeout(10), engine.connect() as connection:
        while True:
            waiting = await connection.execute(_WAITING)
            await connection.commit()
            if waiting.scalar_one():
                return
            await asyncio.sleep(0.01)


_WAITING = text("""
    SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()
""")
