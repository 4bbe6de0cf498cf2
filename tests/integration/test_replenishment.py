"""The replenishment worker on a real Postgres: versions, answers, goods, and workers side by side."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from vmi_contracts import writing
from vmi_contracts.inbound import ProposalAnswered
from vmi_contracts.internal import PositionLine, PositionsChanged
from vmi_contracts.outbound import HeldBecause as PromisedHeldBecause
from vmi_contracts.outbound import ProposalLine, ProposalsIssued, ProposalStands, ProposalStatus
from vmi_domain.replenishment.explanations import NO_HISTORY, recompute
from vmi_domain.replenishment.proposals import HeldBecause, Status
from vmi_domain.replenishment.shadowing import Trial, score
from vmi_domain.stock.position import Key
from vmi_domain.stock.supply_facts import Fact, Ordered, Received, Shipped
from vmi_replenishment import telling
from vmi_replenishment.following import Replenishment
from vmi_replenishment.reading import read_answers, read_changes
from vmi_runtime import retrying
from vmi_runtime.clock import Clock, ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import agreements, catalogue, due, positions, quarantine, supply, trials
from vmi_store.quarantine import Selection
from vmi_testing import builders
from vmi_testing.builders import DAY, HOUR, NOON
from vmi_testing.published import proposal_stands, proposals_issued
from vmi_testing.records import record

EVENTS = Clock(ClockMode.EVENTS)
STORE = "store-1"
BAND: Mapping[str, Any] = {
    "policy": "minimum_maximum",
    "minimum": "50",
    "maximum": "100",
    "order_weekdays": (4,),
    "lead_time_days": 2,
}
"""At or below 50 up to 100, ordered on Thursdays; NOON is a Tuesday."""
THURSDAY = datetime(2025, 3, 6, tzinfo=UTC)


class Store:
    """One location as the other workers leave it, and the replenishment worker at its side."""

    def __init__(self, engine: AsyncEngine, customer: str) -> None:
        self.engine = engine
        self.customer = customer
        self.worker = Replenishment()
        self.offset = 0

    def key(self, item: str = "milk") -> Key:
        return Key(self.customer, STORE, item)

    async def agrees(self, item: str = "milk", at: datetime = NOON, **terms: Any) -> None:
        async with self.engine.begin() as connection:
            await catalogue.touch(connection, [self.customer])
            agreed = builders.agreement(self.customer, item, STORE, **terms)
            await agreements.make(connection, [(agreed, at)])

    async def holds(self, quantity: int, item: str = "milk", at: datetime = NOON) -> None:
        """Let a stock report say so, and time reach it."""
        async with self.engine.begin() as connection:
            row = {"customer": self.customer, "location": STORE, "item": item, "quantity": quantity, "at": at}
            await connection.execute(_HOLD, row)
        await self.reaches(at)

    async def reaches(self, at: datetime) -> None:
        async with self.engine.begin() as connection:
            await connection.execute(_REACH, {"customer": self.customer, "location": STORE, "at": at})

    async def documents(self, *facts: Fact, item: str = "milk") -> None:
        """Let the inventory worker have taken in an order, a shipment or a receipt."""
        async with self.engine.begin() as connection:
            await positions.lock(connection, [self.key(item)])
            await supply.record(connection, [(self.key(item), fact) for fact in facts])
            await supply.refold(connection, [self.key(item)])

    async def hears(self, *items: str, worker: Replenishment | None = None, confirmed: bool = False) -> None:
        """Give the worker a message that these items changed."""
        lines = tuple(PositionLine(item_id=item, version=1, confirmed=confirmed) for item in items or ("milk",))
        document = PositionsChanged(customer_id=self.customer, location_id=STORE, reached_at=NOON, lines=lines)
        written = writing.record(document, source="vmi/inventory", message_id=str(uuid4()))
        async with self.engine.begin() as connection:
            changes = read_changes([record(value=written.value, headers=written.headers)])
            assert not changes.rejected
            await (worker or self.worker).follow_changes(changes, Transaction(connection, EVENTS))

    async def answers(
        self, *lines: Mapping[str, Any], at: datetime = NOON, message_id: str = "", party: str = "supplier"
    ) -> None:
        """Give the worker a supplier's answer, or a customer's."""
        await self.hears_from_supplier(self.answer(*lines, at=at, party=party), message_id=message_id)

    def answer(self, *lines: Mapping[str, Any], at: datetime = NOON, party: str = "supplier") -> bytes:
        document = ProposalAnswered.model_validate(
            {
                "customer_id": self.customer,
                "location_id": STORE,
                "answered_at": at,
                "party": party,
                "lines": lines,
            }
        )
        return document.model_dump_json().encode()

    async def says(self, kind: str, **document: Any) -> None:
        """Give the worker what the customer says beside answers."""
        told = {"customer_id": self.customer, "location_id": STORE, **document}
        await self.hears_from_supplier(orjson.dumps(told), message_type=f"vmi.{kind}.v1")

    async def hears_from_supplier(
        self, document: bytes, *, message_id: str = "", message_type: str = ProposalAnswered.message_type
    ) -> None:
        await self.hears_at_once((document, message_type), message_id=message_id)

    async def hears_at_once(self, *documents: tuple[bytes, str], message_id: str = "") -> None:
        """Give the worker documents, each with its type, in one batch."""
        some = []
        for document, message_type in documents:
            headers = {
                "ce_specversion": b"1.0",
                "ce_id": (message_id or str(uuid4())).encode(),
                "ce_source": b"dairy",
                "ce_type": message_type.encode(),
            }
            self.offset += 1
            topic = f"answers-{self.customer}"
            some.append(record(self.offset, topic=topic, value=document, headers=list(headers.items())))
        async with self.engine.begin() as connection:
            await self.worker.follow_answers(read_answers(some), Transaction(connection, EVENTS))

    async def issued(self, item: str = "milk") -> list[ProposalLine]:
        """Return the versions in the outbox, in their order."""
        documents = await self.documents_issued()
        return [line for document in documents for line in document.lines if line.item_id == item]

    async def documents_issued(self) -> list[ProposalsIssued]:
        async with self.engine.begin() as connection:
            rows = await connection.execute(_ISSUED, {"customer": self.customer})
            return [proposals_issued(row.payload) for row in rows]

    async def living(self) -> list[tuple[str, ProposalStands | None]]:
        """Return what goes to the compacted topic, in its order."""
        async with self.engine.begin() as connection:
            rows = await connection.execute(_LIVING, {"customer": self.customer})
            return [(row.aggregateid, None if row.payload is None else proposal_stands(row.payload)) for row in rows]

    async def kept(self) -> list[tuple[int, str, Decimal]]:
        """Return every version that was kept, told or not."""
        async with self.engine.begin() as connection:
            rows = await connection.execute(_KEPT, {"customer": self.customer})
            return [(row.version, row.status, row.quantity) for row in rows]

    async def latest(self, item: str = "milk") -> ProposalLine:
        return (await self.issued(item))[-1]

    async def position(self, item: str = "milk") -> positions.PositionRow:
        async with self.engine.begin() as connection:
            [row] = await positions.read(connection, [self.key(item)])
        return row

    async def is_due(self) -> list[Key]:
        """Return the keys that are looked at with whatever is heard of the store next."""
        async with self.engine.begin() as connection:
            return await due.at_locations(connection, {(self.customer, STORE): NOON})

    async def quarantined(self) -> list[str]:
        async with self.engine.begin() as connection:
            rows = await connection.execute(_QUARANTINED, {"topic": f"answers-{self.customer}"})
            return [row.reason for row in rows]


_HOLD = text("""
    INSERT INTO position (customer_id, location_id, item_id, version, counted_at, counted)
    VALUES (:customer, :location, :item, 1, :at, :quantity)
    ON CONFLICT (customer_id, location_id, item_id) DO UPDATE
        SET version = position.version + 1, counted_at = excluded.counted_at, counted = excluded.counted
""")
_REACH = text("""
    INSERT INTO location_watermark (customer_id, location_id, reached_at) VALUES (:customer, :location, :at)
    ON CONFLICT (customer_id, location_id) DO UPDATE SET reached_at = excluded.reached_at
""")
_ISSUED = text("""
    SELECT payload FROM outbox WHERE customer_id = :customer AND aggregatetype = 'vmi.proposals.v1' ORDER BY sequence
""")
_LIVING = text("""
    SELECT aggregateid, payload FROM outbox
    WHERE customer_id = :customer AND aggregatetype = 'vmi.live-proposals.v1' ORDER BY sequence
""")
_KEPT = text("""
    SELECT proposal_version.version, proposal_version.status, proposal_version.quantity
    FROM proposal_version JOIN proposal USING (customer_id, proposal_id)
    WHERE customer_id = :customer ORDER BY order_at, part, proposal_version.version
""")
_QUARANTINED = text("SELECT reason FROM quarantine WHERE topic = :topic ORDER BY quarantined_at")


@pytest.fixture
async def store(engine: AsyncEngine, customer: str) -> Store:
    async with engine.begin() as connection:
        await catalogue.define_locations(connection, [(builders.location(customer), NOON)])
        await catalogue.define_items(connection, [(builders.item(customer), NOON)])
    made = Store(engine, customer)
    await made.agrees(**BAND)
    return made


def accept(line: ProposalLine, version: int | None = None) -> dict[str, Any]:
    return {"proposal_id": line.proposal_id, "version": version or line.version, "answer": "accept"}


def said(lines: list[ProposalLine]) -> list[tuple[int, str, Decimal]]:
    return [(line.version, line.status.value, line.quantity) for line in lines]


# Versions


async def test_the_first_event_of_an_agreed_item_leads_to_a_proposal_that_explains_itself(store: Store) -> None:
    await store.holds(30)
    await store.hears()

    [line] = await store.issued()

    assert (line.status, line.quantity, line.version) == (ProposalStatus.PROPOSED, 70, 1)
    assert (line.order_at, line.deliver_at, line.expires_at) == (THURSDAY, THURSDAY + 2 * DAY, THURSDAY + 7 * DAY)
    assert line.explanation["note"] == NO_HISTORY
    assert recompute(line.explanation) == 70


async def test_an_agreed_rate_serves_until_there_is_history(store: Store) -> None:
    await store.agrees("bread", expected_daily_demand=10, pack="6", service_target=0.9)
    await store.holds(8, "bread")
    await store.hears("bread")

    line = await store.latest("bread")

    assert line.explanation["note"] == NO_HISTORY
    assert line.explanation["inputs"]["demand"]["basis"] == "agreed_rate"
    assert line.quantity % 6 == 0
    assert line.packs == line.quantity / 6
    assert recompute(line.explanation) == line.quantity


async def test_before_any_fact_the_shelf_is_unknown_and_nothing_is_proposed(store: Store) -> None:
    await store.reaches(NOON)
    await store.hears()

    assert await store.issued() == []


async def test_s25_a_new_version_supersedes_the_one_before_under_the_same_id(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    await store.holds(10)
    await store.hears()

    one, two = await store.issued()

    assert said([one, two]) == [(1, "proposed", 70), (2, "proposed", 90)]
    assert (two.proposal_id, two.supersedes_version) == (one.proposal_id, 1)


async def test_an_unchanged_decision_is_no_new_version(store: Store) -> None:
    await store.holds(30)
    for _ in range(3):
        await store.hears()

    assert len(await store.issued()) == 1


async def test_s25_a_need_that_is_gone_is_cancelled_never_silent(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    await store.holds(80)
    await store.hears()
    await store.hears()

    assert said(await store.issued()) == [(1, "proposed", 70), (2, "cancelled", 0)]


async def test_what_waits_for_an_answer_counts_as_supply_at_the_next_opportunity(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    await store.holds(10, at=NOON + 3 * DAY)
    await store.hears()

    assert said(await store.issued()) == [(1, "proposed", 70)], "10 and 70 are above the minimum of 50"


async def test_an_unanswered_proposal_expires_and_its_need_is_planned_again_once(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    await store.reaches(THURSDAY + 7 * DAY + HOUR)
    await store.hears("another")
    await store.hears("another")

    expired, again = (await store.issued())[1:]

    assert (expired.status, expired.quantity) == (ProposalStatus.EXPIRED, 0)
    assert (again.status, again.quantity, again.order_at) == (ProposalStatus.PROPOSED, 70, THURSDAY + 14 * DAY)
    assert again.proposal_id != expired.proposal_id


async def test_a_count_that_confirms_what_was_known_lowers_what_is_proposed_and_proposes_nothing(store: Store) -> None:
    await store.agrees("bread", expected_daily_demand=10, unmet_demand="backordered")
    await store.holds(8, "bread")
    await store.hears("bread")
    await store.reaches(NOON + 10 * HOUR)
    await store.hears("bread", confirmed=True)

    before, after = await store.issued("bread")
    assert after.quantity < before.quantity, "hours in which nothing was sold"

    await store.holds(30)  # which leads to a proposal when it is looked at
    await store.hears(confirmed=True)
    assert await store.issued() == []
    await store.hears()
    assert len(await store.issued()) == 1


async def test_an_agreement_that_begins_later_leads_to_a_proposal_then_though_nothing_happens(store: Store) -> None:
    begins = (NOON + 3 * DAY).date()
    await store.agrees("bread", **{**BAND, "effective_from": begins})
    await store.holds(30, "bread")
    await store.hears("bread")
    assert await store.issued("bread") == []

    await store.reaches(NOON + 3 * DAY)
    await store.hears("another")

    assert [line.quantity for line in await store.issued("bread")] == [70]


async def test_terms_that_hold_for_some_days_only_are_looked_at_before_the_usual_order_day(store: Store) -> None:
    await store.agrees("bread", **{**BAND, "order_weekdays": (1,)})
    first, last = (NOON + DAY).date(), (NOON + 4 * DAY).date()
    busy = {"minimum": "120", "maximum": "150", "order_weekdays": None}
    await store.agrees("bread", **{**BAND, **busy, "effective_from": first, "effective_to": last})
    await store.holds(90, "bread")
    await store.hears("bread")
    assert await store.issued("bread") == []

    await store.reaches(NOON + DAY)
    await store.hears("another")

    assert [line.quantity for line in await store.issued("bread")] == [60]


async def test_a_change_of_the_agreement_is_followed_at_once(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    await store.agrees(at=NOON + HOUR, **{**BAND, "maximum": "200"})
    await store.hears()

    assert said(await store.issued()) == [(1, "proposed", 70), (2, "proposed", 170)]


async def test_f14_a_pack_that_changes_before_the_order_day_rounds_its_order(store: Store) -> None:
    await store.agrees(**{**BAND, "effective_to": "2025-03-05"})
    await store.agrees(**{**BAND, "effective_from": "2025-03-06", "pack": "24"})
    await store.holds(30)
    await store.hears()

    line = await store.latest()

    assert (line.quantity, line.packs) == (48, 2)


async def test_when_the_agreement_ends_its_open_proposal_is_cancelled(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    await store.agrees(at=NOON + HOUR, **{**BAND, "effective_to": "2025-03-05"})
    await store.hears()

    assert said(await store.issued()) == [(1, "proposed", 70), (2, "cancelled", 0)]


# Workers side by side


async def test_two_workers_that_hear_of_the_same_key_propose_it_once(store: Store) -> None:
    await store.holds(30)

    await asyncio.gather(*(store.hears(worker=Replenishment()) for _ in range(6)))

    assert said(await store.issued()) == [(1, "proposed", 70)]


async def test_two_workers_with_many_keys_never_wait_for_each_other_in_a_ring(store: Store) -> None:
    items = [f"item-{number}" for number in range(30)]
    for item in items:
        await store.agrees(item, **BAND)
        await store.holds(30, item)

    await asyncio.gather(*(store.hears(*items[::way], worker=Replenishment()) for way in (1, -1, 1, -1)))

    for item in items:
        assert said(await store.issued(item)) == [(1, "proposed", 70)]


# Answers


async def test_what_is_accepted_counts_as_supply_and_is_not_proposed_again(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    await store.answers(accept(await store.latest()))
    await store.hears()

    assert said(await store.issued()) == [(1, "proposed", 70), (2, "accepted", 70)]
    assert (await store.position()).supply.on_order == 70
    assert recompute((await store.latest()).explanation) == 70


async def test_s28_a_late_fact_never_takes_back_what_was_accepted(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    await store.answers(accept(await store.latest()))
    await store.holds(500)
    await store.hears()

    assert said(await store.issued()) == [(1, "proposed", 70), (2, "accepted", 70)]
    assert (await store.position()).supply.on_order == 70


async def test_accepting_an_old_version_binds_that_quantity_and_the_rest_is_netted_again(store: Store) -> None:
    await store.agrees(at=NOON + HOUR, **{**BAND, "minimum": "90"})
    await store.holds(30)
    await store.hears()
    await store.holds(5)
    await store.hears()
    old, new = await store.issued()

    await store.answers(accept(new, version=old.version))
    accepted, rest = (await store.issued())[2:]

    assert (accepted.version, accepted.status, accepted.quantity) == (3, ProposalStatus.ACCEPTED, 70)
    assert (rest.version, rest.status, rest.quantity) == (1, ProposalStatus.PROPOSED, 25)
    assert rest.proposal_id != accepted.proposal_id
    assert rest.order_at == accepted.order_at
    assert recompute(accepted.explanation) == 70


async def test_who_accepts_what_stands_is_looked_at_again_with_the_next_change_at_the_store(store: Store) -> None:
    """What waited counted as supply in the same amount, so that nothing else follows at once."""
    await store.agrees("bread", **BAND)
    await store.holds(50)
    await store.hears()
    await store.answers(accept(await store.latest()))
    looked_at_then = await store.is_due()
    await store.hears("bread")

    assert looked_at_then == [store.key()]
    assert await store.is_due() == []
    assert said(await store.issued()) == [(1, "proposed", 50), (2, "accepted", 50)]


async def test_what_the_largest_order_left_out_is_proposed_as_soon_as_the_first_part_is_accepted(store: Store) -> None:
    weekly = {"policy": "order_up_to", "order_weekdays": (4,), "expected_daily_demand": 10, "largest_order": "30"}
    await store.agrees(at=NOON + HOUR, **weekly)
    await store.holds(60)
    await store.hears()
    await store.answers(accept(await store.latest()))

    assert said(await store.issued()) == [(1, "proposed", 30), (2, "accepted", 30), (1, "proposed", 30)]


async def test_a_wish_for_what_no_fact_has_told_of_makes_no_position_of_it(store: Store) -> None:
    """Whoever is answered in the same batch: what is derived from facts is so however words come together."""
    await store.holds(50)
    await store.hears()
    wish = {
        "customer_id": store.customer,
        "location_id": STORE,
        "requested_at": NOON,
        "lines": [{"item_id": "mlik", "quantity": "40"}],
    }
    accepted = store.answer(accept(await store.latest()))
    await store.hears_at_once(
        (accepted, ProposalAnswered.message_type), (orjson.dumps(wish), "vmi.replenishment-requested.v1")
    )

    async with store.engine.begin() as connection:
        assert await positions.keys_at(connection, (store.customer, STORE)) == [store.key()]
    assert said(await store.issued()) == [(1, "proposed", 50), (2, "accepted", 50)]


async def test_a_rejected_proposal_comes_again_at_the_next_opportunity_only(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    await store.answers({**accept(await store.latest()), "answer": "reject", "reason": "sold out"})
    await store.hears()
    rejected = await store.latest()
    await store.holds(30, at=THURSDAY + HOUR)
    await store.hears()
    again = await store.latest()

    assert (rejected.status, rejected.quantity) == (ProposalStatus.REJECTED, 0)
    assert "sold out" in rejected.reason
    assert (again.status, again.quantity, again.order_at) == (ProposalStatus.PROPOSED, 70, THURSDAY + 7 * DAY)


async def test_a_changed_quantity_is_what_is_bound(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    await store.answers({**accept(await store.latest()), "answer": "change", "quantity": "40"})

    assert said(await store.issued()) == [(1, "proposed", 70), (2, "changed", 40)]
    assert (await store.position()).supply.on_order == 40
    assert recompute((await store.latest()).explanation) == 40


async def test_the_same_answer_delivered_twice_counts_once(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    line = accept(await store.latest())
    for _ in range(3):
        await store.answers(line, message_id="one")
    await store.answers(line, message_id="another")

    assert said(await store.issued()) == [(1, "proposed", 70), (2, "accepted", 70)]
    assert (await store.position()).supply.on_order == 70
    assert await store.quarantined() == []


async def test_a_later_word_on_the_same_proposal_takes_the_place_of_the_first(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    line = await store.latest()
    await store.answers(accept(line))
    await store.answers({**accept(line), "answer": "change", "quantity": "60"}, at=NOON + HOUR)

    assert (await store.position()).supply.on_order == 60
    assert (await store.latest()).status is ProposalStatus.CHANGED


async def test_answers_that_fit_nothing_are_quarantined_with_their_reason(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    line = await store.latest()
    await store.answers({**accept(line), "proposal_id": uuid4()})
    await store.answers(accept(line, version=9))
    await store.answers(accept(line))
    await store.answers({**accept(line), "answer": "reject"}, at=NOON + HOUR)

    assert await store.quarantined() == ["unknown_proposal", "unknown_version", "already_answered"]
    assert (await store.position()).supply.on_order == 70


async def test_another_customer_cannot_answer(store: Store, engine: AsyncEngine) -> None:
    await store.holds(30)
    await store.hears()
    stranger = Store(engine, f"customer-{uuid4().hex[:12]}")

    await stranger.answers(accept(await store.latest()))

    assert await stranger.quarantined() == ["unknown_proposal"]
    assert said(await store.issued()) == [(1, "proposed", 70)]


async def test_a_message_id_that_comes_again_with_other_contents_is_quarantined(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    line = await store.latest()
    await store.answers(accept(line), message_id="one")
    await store.answers({**accept(line), "answer": "reject"}, message_id="one")

    assert await store.quarantined() == ["conflict"]


async def test_a_bad_line_does_not_stop_the_other_lines(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    good = accept(await store.latest())
    document = {
        "customer_id": store.customer,
        "location_id": STORE,
        "answered_at": NOON,
        "lines": [{"proposal_id": "nonsense", "version": 1, "answer": "accept"}, good],
    }

    await store.hears_from_supplier(orjson.dumps(document))

    assert await store.quarantined() == ["invalid"]
    assert (await store.latest()).status is ProposalStatus.ACCEPTED


async def test_bytes_that_are_no_answer_are_quarantined(store: Store) -> None:
    await store.hears_from_supplier(b"\x00")
    await store.hears_from_supplier(b'{"lines": []}')

    assert await store.quarantined() == ["unreadable", "invalid"]


async def test_an_agreement_that_wants_no_answer_accepts_when_the_opportunity_has_passed(store: Store) -> None:
    await store.agrees(at=NOON + HOUR, **{**BAND, "approval": "automatic"})
    await store.holds(30)
    await store.hears()
    await store.reaches(THURSDAY + HOUR)
    await store.hears("another")
    await store.hears()

    assert said(await store.issued()) == [(1, "proposed", 70), (2, "accepted", 70)]
    assert (await store.position()).supply.on_order == 70


# Counter-proposals, freezing, tolerance, trials


async def test_f54_a_counter_proposal_is_bound_when_the_other_party_accepts_its_version(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    line = await store.latest()
    wish = {**accept(line), "answer": "counter", "quantity": "40", "reason_code": "no_space", "reason": "rebuilding"}
    await store.answers(wish, party="customer")
    countered = await store.latest()
    await store.answers(accept(countered), party="customer")
    await store.answers(accept(countered), party="supplier")
    await store.hears()
    bound = await store.latest()

    assert (countered.version, countered.status, countered.quantity) == (2, ProposalStatus.PROPOSED, 40)
    assert countered.countered_by == "customer"
    assert countered.reason == "The customer would rather have 40 than 70: no space (rebuilding)."
    assert recompute(countered.explanation) == 40
    assert await store.quarantined() == ["own_counter"]
    assert (bound.version, bound.status, bound.quantity, bound.countered_by) == (3, ProposalStatus.CHANGED, 40, None)
    assert (await store.position()).supply.on_order == 40


async def test_s26_inside_the_freeze_a_change_is_asked_for_and_may_be_taken_up(store: Store) -> None:
    await store.agrees(at=NOON + HOUR, **{**BAND, "freeze_days": 3})
    await store.holds(30)
    await store.hears()
    await store.holds(10)
    await store.hears()
    await store.hears()
    asked = await store.latest()
    await store.answers({**accept(asked), "answer": "change", "quantity": "90"})
    bound = await store.latest()

    assert said([asked]) == [(2, "proposed", 70)]
    assert asked.requested_quantity == 90
    assert recompute(asked.explanation) == 70
    assert (bound.version, bound.status, bound.quantity, bound.requested_quantity) == (
        3,
        ProposalStatus.CHANGED,
        90,
        None,
    )


async def test_s25_what_is_missing_after_a_promise_is_asked_for_inside_the_freeze(store: Store) -> None:
    await store.agrees(at=NOON + HOUR, **{**BAND, "freeze_days": 3, "minimum": "90"})
    await store.holds(30)
    await store.hears()
    await store.answers(accept(await store.latest()))
    await store.holds(5)
    await store.hears()
    await store.hears()
    asked = await store.latest()
    await store.answers({**accept(asked), "answer": "change", "quantity": "95"})

    assert (asked.version, asked.status, asked.quantity, asked.requested_quantity) == (3, "accepted", 70, 95)
    assert (await store.position()).supply.on_order == 95


async def test_f48_a_small_move_of_the_need_is_not_told_again(store: Store) -> None:
    await store.agrees(at=NOON + HOUR, **{**BAND, "minimum_change": "5", "minimum_change_share": 0.02})
    await store.holds(30)
    await store.hears()
    await store.holds(26)
    await store.hears()
    await store.holds(22)
    await store.hears()

    assert said(await store.issued()) == [(1, "proposed", 70), (2, "proposed", 78)]


async def test_f53_what_is_out_of_tolerance_waits_for_a_person(store: Store) -> None:
    tolerance = {"approval": "tolerance", "tolerance_quantity": "60"}
    await store.agrees(at=NOON + HOUR, **{**BAND, **tolerance})
    await store.agrees("bread", **{**BAND, **tolerance})
    await store.holds(30)
    await store.holds(45, "bread")
    await store.hears("milk", "bread")
    await store.reaches(THURSDAY + HOUR)
    await store.hears("milk", "bread")

    assert said(await store.issued("bread")) == [(1, "proposed", 55), (2, "accepted", 55)]
    assert said(await store.issued()) == [(1, "proposed", 70)]
    assert (await store.latest()).review_because == "the quantity 70 is above 60"


async def test_f80_of_an_agreement_on_trial_everything_is_kept_and_nothing_goes_out(store: Store) -> None:
    await store.agrees(at=NOON + HOUR, **{**BAND, "mode": "shadow"})
    for usable, at in ((30, NOON), (80, NOON), (20, NOON), (20, THURSDAY + HOUR)):
        await store.holds(usable, at=at)
        await store.hears()
    kept = await store.kept()

    assert await store.issued() == []
    assert kept == [
        (1, "held", 70),
        (2, "cancelled", 0),
        (3, "held", 80),
        (4, "expired", 0),
        (1, "held", 80),
    ]


async def test_an_agreement_that_leaves_its_trial_offers_what_it_held(store: Store) -> None:
    await store.agrees(at=NOON + HOUR, **{**BAND, "mode": "shadow"})
    await store.holds(30)
    await store.hears()
    await store.agrees(at=NOON + 2 * HOUR, **BAND)
    await store.hears()
    await store.agrees(at=NOON + 3 * HOUR, **{**BAND, "mode": "shadow"})
    await store.hears()

    assert said(await store.issued()) == [(2, "proposed", 70), (3, "held", 70)]


# What customers ask for, and how proposals are told


async def test_f5_a_customer_override_goes_before_the_policy_for_one_opportunity(store: Store) -> None:
    await store.agrees(at=NOON + HOUR, **{**BAND, "pack": "12"})
    await store.holds(30)
    await store.hears()
    await store.says("replenishment-requested", requested_at=NOON, lines=[{"item_id": "milk", "quantity": "40"}])
    asked = await store.latest()
    await store.says("replenishment-requested", requested_at=NOON + HOUR, lines=[{"item_id": "milk", "quantity": None}])
    back = await store.latest()

    assert (asked.version, asked.quantity, asked.explanation["binding"]) == (2, 48, "customer_override")
    assert recompute(asked.explanation) == 48
    assert "customer_override" in asked.reason
    assert (back.version, back.quantity) == (3, 60)


async def test_u7_an_override_is_not_kept_for_the_next_opportunity(store: Store) -> None:
    wish = {"item_id": "milk", "quantity": "20", "order_on": "2025-03-06", "reason": "display"}
    await store.says("replenishment-requested", requested_at=NOON, lines=[wish])
    await store.holds(30)
    await store.hears()
    await store.answers(accept(await store.latest()))
    await store.holds(30, at=THURSDAY + HOUR)
    await store.hears()

    assert [line.quantity for line in await store.issued()] == [20, 20, 50], "50 are 100 less 30 less 20 on order"


async def test_f13_each_order_takes_a_number_of_the_pool_and_an_empty_pool_is_told(store: Store) -> None:
    await store.says("order-numbers-assigned", assigned_at=NOON, lines=[{"number": "PO-0099", "last": "PO-0100"}])
    numbers: dict[str, list[tuple[str | None, bool]]] = {}
    for week, items in enumerate((["milk", "bread"], ["eggs"], ["cheese"])):
        for item in items:
            await store.agrees(item, **BAND)
            await store.holds(30, item, at=NOON + 7 * week * DAY)
        await store.hears(*items)
        await store.answers(*[accept(await store.latest(item)) for item in items])
        for item in items:
            line = await store.latest(item)
            assert line.status is ProposalStatus.ACCEPTED
            numbers[item] = [(line.order_number, line.order_number_missing)]

    assert numbers["milk"] == numbers["bread"] == [("PO-0099", False)], "lines of one order"
    assert numbers["eggs"] == [("PO-0100", False)]
    assert numbers["cheese"] == [(None, True)]


async def test_f13_a_number_is_never_given_out_twice(store: Store) -> None:
    for _ in range(2):
        await store.says("order-numbers-assigned", assigned_at=NOON, lines=[{"number": "PO-1"}])
    for week in range(2):
        await store.holds(30, at=NOON + 7 * week * DAY)
        await store.hears()
        line = await store.latest()
        await store.answers({**accept(line), "answer": "change", "quantity": "10"})

    bound = [line for line in await store.issued() if line.status is ProposalStatus.CHANGED]
    assert [line.order_number for line in bound] == ["PO-1", None]
    assert await store.quarantined() == []


async def test_without_a_pool_nothing_is_said_of_numbers(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    await store.answers(accept(await store.latest()))

    assert ((await store.latest()).order_number, (await store.latest()).order_number_missing) == (None, False)


async def test_f57_proposals_are_told_by_location_supplier_and_order_day(store: Store) -> None:
    await store.agrees("bread", **{**BAND, "order_weekdays": (5,)})
    await store.agrees("eggs", **{**BAND, "supplier_id": "farm"})
    await store.agrees("butter", **BAND)
    for item in ("milk", "butter", "bread", "eggs"):
        await store.holds(30, item)
    await store.hears("milk", "butter", "bread", "eggs")
    told = {tuple(line.item_id for line in one.lines): one for one in await store.documents_issued()}

    assert sorted(map(sorted, told)) == [["bread"], ["butter", "milk"], ["eggs"]]
    assert len({one.consolidation_id for one in told.values()}) == 3
    assert {str(one.order_day) for one in told.values()} == {"2025-03-06", "2025-03-07"}


async def test_all_that_a_version_may_say_is_written_as_its_models_would_write_it(store: Store) -> None:
    """The messages are asked for it as they are read here, and in every other test of this file."""
    await store.says("order-numbers-assigned", assigned_at=NOON, lines=[{"number": "PO-1"}])
    await store.agrees(at=NOON + HOUR, **BAND, pack="8", freeze_days=3)
    await store.agrees("bread", **BAND, mode="shadow")
    await store.agrees("eggs", **BAND, approval="tolerance", tolerance_quantity="60")
    for item in ("milk", "bread", "eggs"):
        await store.holds(30, item)
    await store.hears("milk", "bread", "eggs")
    await store.holds(10)
    await store.hears()
    asked = await store.latest()
    wish = {**accept(asked), "answer": "counter", "quantity": "60.5", "expected_at": "2025-03-07T12:00:00+02:00"}
    await store.answers(wish, party="customer")
    await store.answers(accept(await store.latest()))

    lines = [line for document in await store.documents_issued() for line in document.lines]
    said_of_them = set().union(*(line.model_dump(exclude_none=True) for line in lines))

    assert len(await store.living()) == len(lines)
    assert said_of_them >= set(ProposalLine.model_fields) - {"held_because", "fill_quantity", "supply_confidence"}


def test_what_a_proposal_may_be_is_what_the_promise_says() -> None:
    assert {status.value for status in ProposalStatus} == {status.value for status in Status}
    assert {because.value for because in PromisedHeldBecause} == {because.value for because in HeldBecause}


async def test_the_compacted_topic_keeps_living_proposals_only(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    line = await store.latest()
    standing = await store.living()
    await store.answers({**accept(line), "answer": "reject"})

    [(key, stands)] = standing
    assert key == str(line.proposal_id)
    assert stands is not None
    assert (stands.version, stands.quantity, stands.customer_id) == (1, 70, store.customer)
    assert (await store.living())[-1] == (key, None), "and forgets what is finished"


# Goods


async def test_the_status_follows_order_shipment_and_receipt(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    line = await store.latest()
    await store.answers(accept(line))
    steps: list[Fact] = [
        Ordered("PO-1", Decimal(70), NOON, line.proposal_id, fact_id=UUID(int=1)),
        Shipped("ASN-1", Decimal(70), NOON + HOUR, order_id="PO-1", fact_id=UUID(int=2)),
        Received("GR-1", Decimal(70), NOON + 2 * HOUR, shipment_id="ASN-1", fact_id=UUID(int=3)),
    ]
    for step in steps:
        await store.documents(step)
        await store.hears()
    versions = await store.issued()

    assert [one.status.value for one in versions[:5]] == ["proposed", "accepted", "ordered", "shipped", "received"]
    assert [one.version for one in versions[:5]] == [1, 2, 3, 4, 5]
    assert all(one.quantity == 70 for one in versions[:5])


async def test_an_order_that_names_an_unanswered_proposal_takes_its_place(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    line = await store.latest()
    await store.documents(Ordered("PO-1", Decimal(70), NOON, line.proposal_id, fact_id=UUID(int=1)))
    await store.hears()

    assert said(await store.issued()) == [(1, "proposed", 70), (2, "ordered", 70)]


async def test_when_such_an_order_is_cancelled_its_proposal_ends_and_the_rest_is_proposed_anew(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    line = await store.latest()
    order = Ordered("PO-1", Decimal(70), NOON, line.proposal_id, fact_id=UUID(int=1))
    for document in (order, replace(order, quantity=Decimal(0), revision=1, fact_id=UUID(int=2))):
        await store.documents(document)
        await store.hears()
    lines = await store.issued()

    assert said(lines) == [(1, "proposed", 70), (2, "ordered", 70), (3, "cancelled", 0), (1, "proposed", 70)]
    assert lines[-1].proposal_id != line.proposal_id


# Time


async def test_by_the_wall_clock_the_tick_opens_the_next_opportunity(store: Store) -> None:
    """The facts lie in the past of the machine's clock; the proposals go for its next Thursday."""
    await store.holds(30)
    wall = Clock(ClockMode.WALL)
    async with store.engine.begin() as connection:
        await store.worker.follow_changes(read_changes([_message(store)]), Transaction(connection, wall))
    first = await store.latest()
    await _backdate(store)
    async with store.engine.begin() as connection:
        assert not await store.worker.let_time_pass(Transaction(connection, wall))

    assert first.order_at > wall.wall()
    assert len(await store.issued()) == 1, "nothing changed, and it is noted when to look next"
    async with store.engine.begin() as connection:
        assert await _due(connection, store) > wall.wall() - timedelta(minutes=1)


def _message(store: Store) -> Any:
    document = PositionsChanged(
        customer_id=store.customer,
        location_id=STORE,
        reached_at=NOON,
        lines=(PositionLine(item_id="milk", version=1),),
    )
    written = writing.record(document, source="vmi/inventory", message_id=str(uuid4()))
    return record(value=written.value, headers=written.headers)


async def _backdate(store: Store) -> None:
    async with store.engine.begin() as connection:
        await connection.execute(
            text("UPDATE replenishment_due SET due_at = '2025-01-01' WHERE customer_id = :customer"),
            {"customer": store.customer},
        )


async def _due(connection: AsyncConnection, store: Store) -> datetime:
    due_at: datetime = (
        await connection.execute(
            text("SELECT due_at FROM replenishment_due WHERE customer_id = :customer"), {"customer": store.customer}
        )
    ).scalar_one()
    return due_at


async def test_an_answer_that_came_before_the_version_it_names_counts_when_it_is_tried_again(
    engine: AsyncEngine, customer: str
) -> None:
    store = Store(engine, customer)
    await store.agrees(**BAND)
    await store.holds(20)
    await store.hears()
    proposed = await store.latest()
    line = {"proposal_id": proposed.proposal_id, "version": proposed.version + 1, "answer": "accept"}
    await store.answers(line)
    assert await store.quarantined() == ["unknown_version"]

    await store.holds(10)
    await store.hears()
    async with engine.begin() as connection:
        topic = f"answers-{customer}"
        [asked] = await quarantine.make_selected_due(connection, Selection(topic=topic))
        await retrying.try_again(
            "replenishment", [topic], store.worker.follow_answers_again, Transaction(connection, EVENTS)
        )
        [tried] = await quarantine.held(connection, Selection([asked]), state="any")
    assert (tried.state, tried.tries) == ("released", 1)
    assert (await store.latest()).status is ProposalStatus.ACCEPTED
    assert (await store.position()).supply.on_order == 90


# Why, and what a trial showed


async def story(store: Store, item: str = "milk") -> telling.Story | None:
    async with store.engine.connect() as connection:
        return await telling.of_key(store.key(item), Transaction(connection, EVENTS))


async def test_f56_why_tells_of_a_proposal_and_of_what_changed_since_the_version_before(store: Store) -> None:
    await store.agrees("bread", expected_daily_demand=10, pack="6", unit_price="2", unmet_demand="backordered")
    await store.holds(30, "bread")
    await store.hears("bread")
    await store.holds(8, "bread")
    await store.hears("bread")
    line = await store.latest("bread")

    told = await story(store, "bread")

    assert told is not None
    assert told.proposal is not None
    assert (told.proposal.proposal_id, told.proposal.version) == (line.proposal_id, 2)
    assert ("usable stock", "30", "8") in [(one.name, one.before, one.after) for one in told.changed]
    assert told.told.value == line.quantity * 2
    assert told.told.runs_out_at is not None
    assert [one.packs for one in told.told.packs] == [-1, 0, 1]
    assert "no history yet: the demand is the agreed one" in told.told.warnings
    assert [one.version for one in told.versions] == [1, 2]


async def test_f56_why_tells_what_stands_there_now_where_that_led_to_no_new_version(store: Store) -> None:
    damped = {"minimum_change": "20", "unmet_demand": "backordered"}
    await store.agrees("bread", expected_daily_demand=10, **damped)
    await store.holds(30, "bread")
    await store.hears("bread")
    at_first = await story(store, "bread")
    await store.holds(25, "bread")
    await store.hears("bread")

    told = await story(store, "bread")

    assert at_first is not None
    assert at_first.now == []
    assert told is not None
    assert [one.version for one in told.versions] == [1]
    assert [(one.name, one.before, one.after) for one in told.now] == [("usable stock", "30", "25")]
    assert told.decision.need.position.usable == 30
    assert told.told.cover_before_days == 2.5


async def test_s9_a_record_that_falls_below_zero_is_told_and_so_is_its_recovery(store: Store) -> None:
    await store.holds(0)
    await store.hears()
    await store.holds(-2)
    await store.hears()
    doubted = await story(store)
    await store.holds(0)
    await store.hears()
    cleared = await story(store)

    lines = await store.issued()
    assert [(one.version, one.quantity, one.review_because) for one in lines] == [
        (1, 100, None),
        (2, 100, "the stock record is below zero"),
        (3, 100, None),
    ]
    assert doubted is not None
    assert "the stock record is below zero" in doubted.told.warnings
    assert cleared is not None
    assert "the stock record is below zero" not in cleared.told.warnings
    assert [(one.name, one.before, one.after) for one in cleared.changed] == [
        ("doubts", "the stock record is below zero", "none")
    ]


async def test_f56_why_has_a_reason_for_nothing(store: Store) -> None:
    await store.holds(80)
    await store.hears()
    covered = await story(store)
    await store.holds(30)
    await store.hears()
    await store.answers({**accept(await store.latest()), "answer": "reject", "reason_code": "out_of_stock"})
    refused = await story(store)

    assert covered is not None
    assert covered.proposal is None
    assert covered.reason == "Position 80 is above the agreed minimum."
    assert refused is not None
    assert refused.reason.startswith("The supplier has answered rejected for 2025-03-06 (0 of 70)")
    assert await story(store, "unknown") is None


async def test_f56_why_tells_of_an_order_that_nobody_answered_before(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    line = await store.latest()
    await store.documents(Ordered("PO-1", Decimal(70), NOON, line.proposal_id, fact_id=UUID(int=1)))
    await store.hears()
    told = await story(store)

    assert told is not None
    assert told.reason == "It is ordered for 2025-03-06: 70."


async def test_f56_why_takes_no_cancelled_order_for_a_refusal(store: Store) -> None:
    await store.holds(30)
    await store.hears()
    line = await store.latest()
    await store.answers(accept(line))
    order = Ordered("PO-1", Decimal(70), NOON, line.proposal_id, fact_id=UUID(int=1))
    cancellation = replace(order, quantity=Decimal(0), revision=1, fact_id=UUID(int=2))
    for document in (order, cancellation):
        await store.documents(document)
        await store.holds(80)
        await store.hears()
    told = await story(store)
    last = (await store.issued())[-1]

    assert (last.status, last.reason) == (ProposalStatus.CANCELLED, "The order was cancelled.")
    assert told is not None
    assert told.reason == "Position 80 is above the agreed minimum."


async def test_f80_a_trial_is_scored_against_what_was_really_ordered(store: Store) -> None:
    await store.agrees(at=NOON + HOUR, **{**BAND, "mode": "shadow"})
    for week, quantity in enumerate((60, 90)):
        at = NOON + 7 * week * DAY
        await store.holds(30, at=at)
        await store.hears()
        order = Ordered(f"PO-{week}", Decimal(quantity), at + 2 * DAY, fact_id=UUID(int=week + 1))
        receipt = Received(
            f"GR-{week}", Decimal(quantity), at + 4 * DAY, order_id=order.order_id, fact_id=UUID(int=9 - week)
        )
        await store.documents(order, receipt)
        await store.holds(60, at=at + 5 * DAY)
        await store.hears()
    async with store.engine.connect() as connection:
        [(key, kept)] = (
            await trials.read(connection, customer_id=store.customer, location_id=None, since=None)
        ).items()

    one = score(Trial(key, kept.proposed, kept.ordered))

    assert await store.issued() == []
    assert (one.opportunities, one.orders, one.proposed, one.ordered) == (2, 2, 140, 150)
    assert one.mean_difference == 15


async def test_u4_an_order_that_comes_late_is_supply_all_the_same_and_nothing_is_ordered_twice(store: Store) -> None:
    await store.holds(30)
    await store.documents(Ordered("PO-1", Decimal(70), NOON, expected_at=NOON + 90 * DAY, fact_id=UUID(int=1)))
    await store.hears()

    assert await store.issued() == []


async def test_u3_who_never_answers_is_asked_once_an_opportunity_and_never_for_more(store: Store) -> None:
    for day in range(15):
        await store.holds(30, at=NOON + day * DAY)
        await store.hears()
    open_lines: dict[Any, ProposalLine] = {}
    for line in await store.issued():
        open_lines[line.proposal_id] = line

    waiting = [line for line in open_lines.values() if line.status is ProposalStatus.PROPOSED]
    assert [line.quantity for line in waiting] == [70]
    assert len(open_lines) == 2, "one expired, one planned again"
