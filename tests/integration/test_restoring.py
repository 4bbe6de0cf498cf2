"""Proposals after a loss: what was told and answered comes back from the topics, and nothing is decided again."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts import topics
from vmi_contracts.outbound import ProposalsIssued
from vmi_domain.stock.supply_facts import Ordered
from vmi_replenishment.following import Replenishment
from vmi_replenishment.reading import Answers, Heard
from vmi_replenishment.restoring import read_proposals, restore, restore_versions, restore_words
from vmi_runtime import broker
from vmi_runtime.clock import Clock, ClockMode
from vmi_runtime.settings import KafkaSettings
from vmi_runtime.worker import Transaction
from vmi_store import supply
from vmi_store.rebuilding import Scope
from vmi_testing.builders import HOUR, NOON
from vmi_testing.records import record

from .test_replenishment import BAND, THURSDAY, Store, accept, store  # noqa: F401 - the fixture

EVENTS = Clock(ClockMode.EVENTS)
TABLES = ("proposal", "proposal_version", "supply_fact", "order_number", "replenishment_wish", "inbox")
NOT_TOLD = ["needed", "place", "taken_at", "received_at"]
"""What nobody was told of, or when it was written."""


class Listening(Replenishment):
    """A worker that remembers what it heard."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Heard] = []

    async def follow_answers(self, answers: Answers, transaction: Transaction) -> None:
        self.heard += answers.documents
        await super().follow_answers(answers, transaction)


@pytest.fixture
async def busy(store: Store) -> Store:  # noqa: F811
    """A store of which something was accepted, refused, countered, changed by us, asked for, and left open."""
    store.worker = Listening()
    await store.says("order-numbers-assigned", assigned_at=NOON, lines=[{"number": "PO-1"}, {"number": "PO-2"}])
    for item in ("milk", "bread", "oil", "rice", "salt"):
        await store.agrees(item, **BAND)
        await store.holds(30, item)
    await store.hears("milk", "bread", "oil", "rice")
    await store.answers(accept(await store.latest("milk")), at=NOON)
    await store.answers({**accept(await store.latest("bread")), "answer": "reject", "reason": "sold out"})
    await store.answers({**accept(await store.latest("rice")), "answer": "counter", "quantity": "40"})
    await store.holds(20, "oil", NOON + HOUR)
    await store.hears("oil")
    await store.says(
        "replenishment-requested", requested_at=NOON, lines=[{"item_id": "salt", "quantity": "12", "reason": "feast"}]
    )
    return store


async def rows(engine: AsyncEngine, customer: str) -> dict[str, list[str]]:
    found = {}
    async with engine.connect() as connection:
        for table in TABLES:
            told = await connection.execute(
                text(f"""
                    SELECT (to_jsonb({table}) - CAST(:but AS text[]))::text FROM {table} WHERE customer_id = :customer
                """),
                {"customer": customer, "but": NOT_TOLD},
            )
            found[table] = sorted(told.scalars())
    return found


async def told(busy: Store) -> Sequence[Any]:
    """Return the proposals as they stand on their topic."""
    documents = await busy.documents_issued()
    headers = {"ce_specversion": "1.0", "ce_id": "x", "ce_source": "vmi", "ce_type": ProposalsIssued.message_type}
    written = [(name, value.encode()) for name, value in headers.items()]
    return [
        record(
            place,
            topic=topics.PROPOSALS.name,
            key=one.key.encode(),
            value=one.model_dump_json().encode(),
            headers=written,
        )
        for place, one in enumerate(documents)
    ]


async def published(busy: Store, kafka: str) -> KafkaSettings:
    """Let all that was told and answered stand on real topics."""
    assert isinstance(busy.worker, Listening)
    settings = KafkaSettings(bootstrap_servers=kafka, replication_factor=1)
    await broker.create_topics(settings, topics.ALL)
    async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
        for one in await told(busy):
            await producer.send_and_wait(one.topic, one.value, key=one.key, headers=one.headers)
        for heard in busy.worker.heard:
            await producer.send_and_wait(
                topics.PROPOSAL_ANSWERS.name, heard.record.value, headers=list(heard.record.headers)
            )
    return settings


async def restored(busy: Store) -> tuple[int, int]:
    """Return how many versions and documents were missing."""
    assert isinstance(busy.worker, Listening)
    async with busy.engine.begin() as connection:
        transaction = Transaction(connection, EVENTS)
        versions = await restore_versions(read_proposals(await told(busy), Scope(busy.customer)), transaction)
    async with busy.engine.begin() as connection:
        return versions, (await restore_words(busy.worker.heard, Transaction(connection, EVENTS))).documents


async def test_nothing_is_missing_where_nothing_was_lost(busy: Store) -> None:
    before = await rows(busy.engine, busy.customer)
    assert await restored(busy) == (0, 0)
    assert await rows(busy.engine, busy.customer) == before


async def test_what_was_proposed_and_answered_comes_back_and_what_was_accepted_is_supply_again(
    busy: Store, kafka: str
) -> None:
    topic_settings = await published(busy, kafka)
    before = await rows(busy.engine, busy.customer)
    assert all(before.values())
    async with busy.engine.begin() as connection:
        for table in (*TABLES, "supply_line", "replenishment_due"):
            await connection.execute(
                text(f"DELETE FROM {table} WHERE customer_id = :customer"), {"customer": busy.customer}
            )

    lost = (len(before["proposal_version"]), len(before["inbox"]))
    for dry_run in (True, False):
        found = await restore(busy.engine, topic_settings, {}, Scope(busy.customer), dry_run=dry_run)
        assert (found.versions, found.documents) == lost
    after = await rows(busy.engine, busy.customer)
    for table in TABLES:
        assert after[table] == before[table], table
    assert (await restore(busy.engine, topic_settings, {}, Scope(busy.customer), dry_run=True)).is_same

    # And the worker goes on from there: no order twice, no number twice, no version twice.
    async with busy.engine.begin() as connection:
        await supply.refold(connection, [busy.key("milk")])
    issued = len(await busy.issued("milk"))
    await busy.hears("milk", "oil", worker=Replenishment())
    assert len(await busy.issued("milk")) == issued
    assert (await busy.position("milk")).supply.on_order == Decimal(70)


async def test_what_went_on_after_a_version_is_not_taken_back_to_it(busy: Store) -> None:
    """Topics may end before what the database holds, as after a loss on their side."""
    before = await rows(busy.engine, busy.customer)
    async with busy.engine.begin() as connection:
        first = text("DELETE FROM proposal_version WHERE customer_id = :customer AND version = 1")
        await connection.execute(first, {"customer": busy.customer})
    await restored(busy)
    assert await rows(busy.engine, busy.customer) == before


async def test_who_accepted_is_known_again_also_where_no_party_spoke_or_the_order_was_cancelled(
    store: Store,  # noqa: F811
) -> None:
    store.worker = Listening()
    for item in ("milk", "bread", "oil", "rice"):
        await store.agrees(item, **BAND)
        await store.holds(30, item)
    await store.agrees("salt", **BAND, approval="automatic")
    await store.holds(30, "salt")
    await store.hears("milk", "bread", "oil", "rice", "salt")
    first = {item: await store.latest(item) for item in ("milk", "bread", "oil", "rice", "salt")}
    for item in ("bread", "oil", "rice"):
        await store.answers(accept(first[item]))
    for number, item in enumerate(("milk", "bread", "oil")):
        order = Ordered(f"PO-{item}", Decimal(70), NOON, first[item].proposal_id, fact_id=UUID(int=10 + number))
        await store.documents(order, item=item)
        await store.hears(item)
        await store.answers({**accept(first[item]), "answer": "change", "quantity": "40"}, at=NOON + HOUR)
        if item != "oil":
            gone = replace(order, quantity=Decimal(0), revision=1, fact_id=UUID(int=20 + number))
            await store.documents(gone, item=item)
            await store.hears(item)
    await store.reaches(THURSDAY + HOUR)
    await store.hears("salt")
    statuses = {item: (await store.latest(item)).status.value for item in first}
    assert statuses == dict(zip(first, ("proposed", "proposed", "ordered", "accepted", "accepted"), strict=True))
    assert await store.quarantined() == ["proposal_ordered"] * 3
    before = await rows(store.engine, store.customer)
    async with store.engine.begin() as connection:
        for table in ("proposal", "proposal_version", "inbox"):
            await connection.execute(
                text(f"DELETE FROM {table} WHERE customer_id = :customer"), {"customer": store.customer}
            )

    await restored(store)

    assert await rows(store.engine, store.customer) == before
    issued = len([line for document in await store.documents_issued() for line in document.lines])
    await store.hears("milk", "bread", "oil", "rice", "salt", worker=Replenishment())
    assert len([line for document in await store.documents_issued() for line in document.lines]) == issued


class Wire:
    """The topics of a store, to which everything goes in the order in which it happened."""

    def __init__(self, store: Store, kafka: str) -> None:  # noqa: F811
        self.store = store
        self.worker = store.worker = Listening()
        self.settings = KafkaSettings(bootstrap_servers=kafka, replication_factor=1)
        self.told = self.heard = 0

    async def catches_up(self) -> None:
        proposals = (await told(self.store))[self.told :]
        said = [one.record for one in self.worker.heard[self.heard :]]
        async with AIOKafkaProducer(bootstrap_servers=self.settings.bootstrap_servers) as producer:
            for one in said:
                headers = list(one.headers)
                await producer.send_and_wait(topics.PROPOSAL_ANSWERS.name, one.value, key=b"k", headers=headers)
            for one in proposals:
                await producer.send_and_wait(one.topic, one.value, key=one.key, headers=one.headers)
        self.told, self.heard = self.told + len(proposals), len(self.worker.heard)


async def refused_words(store: Store) -> list[tuple[str, str, int | None]]:  # noqa: F811
    async with store.engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT reason, detail, line FROM quarantine WHERE customer_id = :customer ORDER BY 1, 2, 3"),
            {"customer": store.customer},
        )
        return [tuple(row) for row in rows]


async def test_words_that_were_refused_are_in_quarantine_again_for_the_same_reasons(
    store: Store,  # noqa: F811
    kafka: str,
) -> None:
    wire = Wire(store, kafka)
    await broker.create_topics(wire.settings, topics.ALL)
    for item in ("milk", "bread", "oil"):
        await store.agrees(item, **BAND)
        await store.holds(30, item)
    await store.hears("milk", "bread", "oil")
    await wire.catches_up()
    milk, bread, oil = [await store.latest(item) for item in ("milk", "bread", "oil")]
    order = Ordered("PO-1", Decimal(70), NOON, milk.proposal_id, fact_id=UUID(int=1))
    changed = {**accept(milk), "answer": "change", "quantity": "40"}
    await store.answers(accept(milk), at=NOON + HOUR, message_id=f"first {store.customer}")
    await wire.catches_up()
    await store.answers(changed, {**accept(oil), "version": 7}, at=NOON)  # said before, told after; and of no version
    await wire.catches_up()
    await store.documents(order)
    await store.hears("milk")
    await wire.catches_up()
    await store.answers(changed, at=NOON + 2 * HOUR)
    await wire.catches_up()
    await store.documents(replace(order, quantity=Decimal(0), revision=1, fact_id=UUID(int=2)))
    await store.hears("milk")
    await wire.catches_up()
    await store.answers({**accept(bread), "answer": "counter", "quantity": "40"})
    await wire.catches_up()
    await store.answers(accept(await store.latest("bread")))
    await store.answers(accept(bread), {**accept(oil), "proposal_id": UUID(int=9)}, party="customer")
    await store.answers(accept(oil), at=NOON + HOUR, message_id=f"first {store.customer}")  # other contents, one name
    lines = [{"proposal_id": str(oil.proposal_id), "version": 1, "answer": "perhaps"}, {**accept(oil), "version": 8}]
    await store.says("proposal-answered", answered_at=NOON, lines=lines)
    await wire.catches_up()
    before = await refused_words(store)
    assert [reason for reason, _, _ in before] == [
        "already_answered",
        "conflict",
        "invalid",
        "own_counter",
        "proposal_ordered",
        "unknown_proposal",
        "unknown_version",
        "unknown_version",
    ]

    async def comes_back(*tables: str) -> None:
        async with store.engine.begin() as connection:
            for table in tables:
                statement = text(f"DELETE FROM {table} WHERE customer_id = :customer")
                await connection.execute(statement, {"customer": store.customer})
        found = await restore(store.engine, wire.settings, {}, Scope(store.customer), dry_run=False)
        assert found.refused == len(before)
        assert await refused_words(store) == before
        assert (await restore(store.engine, wire.settings, {}, Scope(store.customer), dry_run=True)).is_same

    await comes_back("quarantine")
    await comes_back("quarantine", *TABLES, "supply_line", "replenishment_due")
