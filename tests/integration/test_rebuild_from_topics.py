"""Rebuilding from the topics: a journal that is lost, wholly or in part, comes back row for row (P10)."""

import asyncio
import json
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_contracts import plans, topics, writing
from vmi_contracts.inbound import AgreementChangeAnswered, SalesRetracted, SupplyStated
from vmi_domain.stock.position import Key
from vmi_inventory import releasing, rereading
from vmi_inventory.master_data import read_master_data, record_master_data
from vmi_inventory.rereading import Reread, Source
from vmi_inventory.supplying import read_supply, record_supply
from vmi_runtime import broker
from vmi_runtime.clock import Clock
from vmi_runtime.settings import KafkaSettings
from vmi_runtime.worker import FetchedRecord, Transaction
from vmi_store import agreement_requests, quarantine
from vmi_store import engine as engines
from vmi_store.quarantine import Selection
from vmi_store.rebuilding import Scope
from vmi_testing import builders
from vmi_testing.builders import DAY, HOUR, NOON
from vmi_testing.inventory import Desk

JOURNAL = ("journal", "inbox", "supersession", "demand_plan", "demand_plan_line", "quarantine")
DERIVED = ("position", "daily_balance", "supply_fact", "supply_line", "location_watermark", "feed")
EVERYTHING = (*JOURNAL, *DERIVED)


class Shop:
    """A customer whose documents go over real topics, and are taken in as they stand there."""

    def __init__(self, engine: AsyncEngine, customer: str, kafka: str) -> None:
        self.engine = engine
        self.customer = customer
        self.kafka = kafka
        self.desk = Desk(engine, customer)

    async def send(self, *documents: Any, name: str | None = None) -> None:
        """Let documents be appended to their topics, and taken in."""
        records = []
        async with AIOKafkaProducer(bootstrap_servers=self.kafka) as producer:
            for document in documents:
                made = writing.record(document, source="/test", message_id=name or uuid4().hex)
                topic = topics.of_type(document.message_type).name
                sent = await producer.send_and_wait(topic, made.value, key=made.key, headers=made.headers)
                records.append(
                    FetchedRecord(
                        topic, sent.partition, sent.offset, sent.timestamp, made.key, made.value, made.headers
                    )
                )
        statements = [one for one in records if one.topic == topics.SUPPLY.name]
        agreed = [one for one in records if one.topic == topics.AGREEMENTS.name]
        async with self.engine.begin() as connection:
            await record_supply(read_supply(statements), Transaction(connection, Clock()))
            await record_master_data(read_master_data(agreed), Transaction(connection, Clock()))
        await self.desk.deliver([one for one in records if one not in statements and one not in agreed])

    async def reread(self, *, dry_run: bool = False, location: str | None = None, item: str | None = None) -> Reread:
        url = self.engine.url.render_as_string(hide_password=False)
        beside = engines.create(url, application_name="vmi-test-beside", pool_size=1)
        source = Source(
            KafkaSettings(bootstrap_servers=self.kafka),
            "vmi-inventory",
            [topic.name for topic in releasing.MASTER_DATA],
            [topics.SUPPLY.name],
            [topic.name for topic in releasing.FACTS],
            Clock(),
        )
        scope = Scope(self.customer, location, item)
        try:
            return await rereading.reread(
                self.engine, beside, source, scope, dry_run=dry_run, report=lambda done, total: None
            )
        finally:
            await beside.dispose()

    async def rows(self, *tables: str) -> dict[str, list[str]]:
        """Return all rows, but for when they were written and how often they changed."""
        found = {}
        async with self.engine.connect() as connection:
            for table in tables:
                result = await connection.execute(
                    text(f"""
                        SELECT (to_jsonb({table}) - ARRAY['version', 'received_at', 'quarantined_at'])::text
                        FROM {table} WHERE customer_id = :customer
                    """),
                    {"customer": self.customer},
                )
                found[table] = sorted(result.scalars())
        return found

    async def lose(self, *tables: str, only: str = "true") -> None:
        async with self.engine.begin() as connection:
            for table in tables:
                await connection.execute(
                    text(f"DELETE FROM {table} WHERE customer_id = :customer AND {only}"), {"customer": self.customer}
                )


@pytest.fixture
async def shop(engine: AsyncEngine, customer: str, kafka: str) -> Shop:
    """A customer with a little of everything, corrected here and there."""
    await broker.create_topics(KafkaSettings(bootstrap_servers=kafka, replication_factor=1), topics.ALL)
    made = Shop(engine, customer, kafka)
    await made.desk.introduce("milk", "bread", time_zone="Europe/Berlin")
    await made.desk.introduce("milk", "bread", location_id="store-2")
    await made.send(
        builders.stock(customer, {"milk": 30, "bread": 8}, NOON - 2 * DAY),
        builders.sale(customer, {"milk": 3, "bread": 1}, NOON - DAY),
        builders.sale(customer, {"milk": 1}, NOON, location_id="store-2"),
        builders.order(customer, "O1", [{"item_id": "milk", "quantity": "24"}], NOON - DAY),
        builders.shipment(customer, "S1", [{"item_id": "milk", "quantity": "20", "order_id": "O1"}], NOON - 20 * HOUR),
    )
    await made.send(
        builders.receipt(customer, "R1", [{"item_id": "milk", "quantity": "12", "shipment_id": "S1"}], NOON + HOUR),
        builders.sale(customer, {"milk": 2, "salt": 1}, NOON),  # salt is not known
        plans.DemandPlanned.model_validate(
            {
                "customer_id": customer,
                "location_id": "store-1",
                "plan_id": "P1",
                "basis": "gross",
                "author": "planner",
                "reason": "summer",
                "stated_at": NOON,
                "lines": [{"item_id": "milk", "from_day": "2025-07-01", "to_day": "2025-07-07", "quantity": "5"}],
            }
        ),
    )
    await made.send(builders.sale(customer, {"milk": 50}, NOON + HOUR), name="till")
    await made.send(builders.sale(customer, {"milk": 5}, NOON + HOUR).model_copy(update={"revision": 1}), name="till")
    await made.send(builders.sale(customer, {"bread": 4}, NOON + HOUR), name="mistake")
    await made.send(
        SalesRetracted.model_validate(
            {"customer_id": customer, "location_id": "store-1", "retracts": [{"message_id": "mistake"}]}
        )
    )
    return made


async def test_what_stands_is_what_the_topics_say(shop: Shop) -> None:
    before = await shop.rows(*EVERYTHING)
    found = await shop.reread(dry_run=True)
    assert found.is_same
    assert found.compared is not None
    assert (found.compared.otherwise, found.compared.kept, found.compared.documents) == (0, 0, 0)
    assert found.compared.lines == len(before["journal"])
    assert await shop.rows(*EVERYTHING) == before


async def test_everything_that_is_lost_comes_back_row_for_row(shop: Shop) -> None:
    before = await shop.rows(*EVERYTHING)
    await shop.lose(*EVERYTHING)
    assert not (await shop.reread(dry_run=True)).is_same
    assert (await shop.rows("journal"))["journal"] == []

    assert (await shop.reread()).entered == len(before["journal"])
    await shop.desk.rebuild()
    assert await shop.rows(*EVERYTHING) == before
    assert (await shop.reread(dry_run=True)).is_same
    assert (await shop.desk.rebuild(dry_run=True)).is_same


async def test_what_suppliers_stated_last_comes_back(shop: Shop) -> None:
    def stated(item: str, available: int, at: datetime) -> SupplyStated:
        return SupplyStated.model_validate(
            {
                "customer_id": shop.customer,
                "supplier_id": "dairy",
                "stated_at": at,
                "lines": [{"item_id": item, "available_to_promise": available, "on_hand": available}],
            }
        )

    await shop.send(
        stated("milk", 40, NOON), stated("bread", 7, NOON), stated("milk", 60, NOON - HOUR), stated("milk", 30, NOON)
    )
    before = await shop.rows("supply_statement")
    assert len(before["supply_statement"]) == 2
    assert (await shop.reread(dry_run=True)).supply == 0

    await shop.lose("supply_statement", only="item_id = 'milk'")
    found = await shop.reread(dry_run=True)
    assert (found.supply, found.is_same) == (1, False)
    assert len((await shop.rows("supply_statement"))["supply_statement"]) == 1
    assert (await shop.reread()).supply == 1
    assert await shop.rows("supply_statement") == before


async def test_f78_who_asked_for_another_band_and_what_was_answered_comes_back(shop: Shop) -> None:
    async def says(item: str, party: str, maximum: int) -> None:
        terms = {"minimum": "20", "maximum": str(maximum), "band_owner": "customer"}
        await shop.send(builders.agreement(shop.customer, item, made_by=party, **terms))

    async def answers(item: str, answer: str) -> None:
        async with shop.engine.connect() as connection:
            found = await agreement_requests.read(connection, customer_id=shop.customer)
        [name] = [one.request_id for one in found if one.agreement.item_id == item]
        told = {"customer_id": shop.customer, "request_id": name, "answer": answer, "party": "customer"}
        await shop.send(AgreementChangeAnswered.model_validate(told))

    for item in ("milk", "bread", "oil", "salt"):
        await says(item, "customer", 60)
        await says(item, "supplier", 90)
    await answers("bread", "accept")
    await answers("oil", "reject")
    await says("salt", "customer", 70)
    tables = ("agreement", "agreement_request")
    before = await shop.rows(*tables)
    assert [len(before[table]) for table in tables] == [4, 4]
    assert (await shop.reread(dry_run=True)).master_data == 0

    for lost in (["agreement_request"], tables):
        await shop.lose(*lost)
        assert not (await shop.reread(dry_run=True)).is_same
        assert (await shop.reread()).master_data
        assert await shop.rows(*tables) == before
        assert (await shop.reread(dry_run=True)).is_same
    async with shop.engine.connect() as connection:
        unknown = Selection(customer_id=shop.customer, reason="unknown_request")
        assert await quarantine.count_held(connection, unknown) == 0


async def test_what_is_missing_is_entered_and_what_is_there_stays(shop: Shop) -> None:
    before = await shop.rows("journal")
    await shop.lose("journal", only="item_id = 'bread'")
    lost = len(before["journal"]) - len((await shop.rows("journal"))["journal"])
    seen = await shop.reread(dry_run=True)
    assert seen.compared is not None
    assert {one.key.item_id for one in seen.compared.missing} == {"bread"}
    assert seen.compared.missing_lines == lost

    assert (await shop.reread()).entered == lost
    assert await shop.rows("journal") == before


async def test_one_key_comes_back_and_the_others_stay_as_they_are(shop: Shop) -> None:
    await shop.lose("journal")
    await shop.reread(location="store-1", item="bread")
    async with shop.engine.connect() as connection:
        result = await connection.execute(
            text("SELECT DISTINCT location_id, item_id FROM journal WHERE customer_id = :customer"),
            {"customer": shop.customer},
        )
        assert [tuple(row) for row in result] == [("store-1", "bread")]


async def test_what_the_topics_no_longer_hold_stays_and_what_takes_it_back_does_too(shop: Shop) -> None:
    # These came before the topics' oldest record.
    await shop.desk.told(builders.sale(shop.customer, {"milk": 7}, NOON - 9 * DAY), "old")
    await shop.desk.told(builders.sale(shop.customer, {"milk": 8}, NOON - 8 * DAY), "older")
    await shop.send(
        SalesRetracted.model_validate(
            {"customer_id": shop.customer, "location_id": "store-1", "retracts": [{"message_id": "old"}]}
        )
    )
    before = await shop.rows("journal", "supersession")
    same = await shop.reread(dry_run=True)
    assert same.is_same
    assert same.compared is not None
    assert same.compared.kept == 2

    await shop.lose("supersession")
    await shop.lose("journal", only="get_byte(line_id, 12) >= 128")
    await shop.reread()
    assert await shop.rows("journal", "supersession") == before


async def test_what_a_person_discarded_stays_discarded(shop: Shop) -> None:
    async with shop.engine.begin() as connection:
        await quarantine.discard(connection, Selection(customer_id=shop.customer), who="Ann", why="we do not keep salt")
    await shop.desk.introduce("salt")
    assert (await shop.reread(dry_run=True)).is_same
    await shop.reread()
    async with shop.engine.connect() as connection:
        result = await connection.execute(
            text("SELECT count(*) FROM journal WHERE customer_id = :customer AND item_id = 'salt'"),
            {"customer": shop.customer},
        )
        assert result.scalar_one() == 0


async def test_what_waited_and_was_taken_in_since_is_no_difference(shop: Shop) -> None:
    await shop.desk.introduce("salt")
    await shop.desk.release()
    assert (await shop.desk.row("salt")).key == Key(shop.customer, "store-1", "salt")
    assert (await shop.reread(dry_run=True)).is_same


async def test_on_the_command_line_the_exit_status_tells_whether_the_journal_is_what_the_topics_say(
    shop: Shop, database_url: str, kafka: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", kafka)

    async def vmi(*arguments: str) -> Any:
        command = ["rebuild", shop.customer, "--from-topics", *arguments]
        return await asyncio.to_thread(partial(CliRunner().invoke, app, command))

    before = await shop.rows(*EVERYTHING)
    assert (await vmi("--dry-run")).exit_code == 0
    await shop.lose(*EVERYTHING)
    shown = await vmi("--dry-run", "--json")
    assert shown.exit_code == 1
    assert json.loads(shown.stdout)["from_topics"]["lines_missing"] == len(before["journal"])
    assert (await vmi()).exit_code == 0
    assert await shop.rows(*EVERYTHING) == before
    assert (await vmi("--dry-run")).exit_code == 0
