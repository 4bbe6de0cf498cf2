"""Who owns the band sets it; the other party's word on it is a request that the owner answers (F78)."""

import asyncio
import json
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from vmi_cli.__main__ import app
from vmi_contracts.inbound import AgreementChangeAnswered, AgreementMade
from vmi_contracts.outbound import ExceptionLine, ExceptionsChanged
from vmi_domain.stock.position import Key
from vmi_inventory.master_data import read_master_data, record_master_data
from vmi_runtime.clock import Clock
from vmi_runtime.worker import Transaction
from vmi_store import agreement_requests, agreements
from vmi_store.agreement_requests import Request
from vmi_testing.builders import agreement
from vmi_testing.inventory import RECORDED, Desk, record

HOUR = timedelta(hours=1)
CUSTOMERS_BAND = {"made_by": "customer", "band_owner": "customer", "minimum": "20", "maximum": "60"}


class Table:
    """A customer who owns the band, and a supplier who would like it to be another."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.now = RECORDED

    async def says(self, *documents: Any) -> None:
        self.now += HOUR
        await self.desk.define(*documents, recorded_at=self.now)

    async def agrees(self, **terms: Any) -> None:
        await self.says(agreement(self.desk.customer, **{**CUSTOMERS_BAND, **terms}))

    async def answers(self, answer: str, *, party: str | None = "customer", request: Any = None) -> None:
        [*_, last] = await self.requests()
        said = {"customer_id": self.desk.customer, "request_id": request or last.request_id, "answer": answer}
        await self.says(AgreementChangeAnswered.model_validate({**said, "party": party}))

    async def standing(self) -> AgreementMade:
        async with self.desk.engine.connect() as connection:
            [one] = await agreements.standing(connection, customer_id=self.desk.customer)
        return one

    async def band(self) -> tuple[Any, Any]:
        one = await self.standing()
        return one.minimum, one.maximum

    async def requests(self) -> list[Request]:
        async with self.desk.engine.connect() as connection:
            return await agreement_requests.read(connection, customer_id=self.desk.customer, open_only=False)

    async def exceptions(self) -> list[ExceptionLine]:
        """Return what is told of exceptions, in its order; of one message what closes before what opens."""
        async with self.desk.engine.connect() as connection:
            found = await connection.execute(
                text("SELECT payload FROM outbox WHERE customer_id = :customer AND type = :type ORDER BY sequence"),
                {"customer": self.desk.customer, "type": ExceptionsChanged.message_type},
            )
            documents = [ExceptionsChanged.model_validate_json(row.payload) for row in found]
        return [line for one in documents for line in sorted(one.lines, key=lambda line: line.status)]

    async def statuses(self) -> list[str]:
        return [one.status for one in await self.requests()]


@pytest.fixture
async def table(engine: AsyncEngine, customer: str) -> Table:
    made = Table(Desk(engine, customer))
    await made.agrees()
    return made


async def test_f78_a_band_change_by_who_does_not_own_it_is_a_request(table: Table) -> None:
    await table.agrees(made_by="supplier", maximum="90")

    assert await table.band() == (20, 60)
    assert [(one.status, one.agreement.maximum) for one in await table.requests()] == [("open", 90)]


async def test_s24_the_band_keeps_its_history_and_who_spoke_when(table: Table) -> None:
    await table.agrees(maximum="70")
    await table.agrees(made_by="supplier", maximum="90")
    await table.answers("accept")

    async with table.desk.engine.connect() as connection:
        said = await agreements.words(connection, Key(table.desk.customer, "store-1", "milk"))

    assert [(one.agreement.maximum, one.agreement.made_by) for one in said] == [
        (60, "customer"),
        (70, "customer"),
        (90, "supplier"),
    ]
    assert [one.recorded_at for one in said] == [RECORDED + hours * HOUR for hours in (1, 2, 4)]


async def test_the_owner_changes_the_band_at_once_and_so_does_the_word_of_both(table: Table) -> None:
    await table.agrees(maximum="70")
    assert await table.band() == (20, 70)
    await table.agrees(made_by=None, maximum="80")

    assert await table.band() == (20, 80)
    assert await table.statuses() == []


async def test_what_is_not_of_the_band_is_for_either_party_to_say(table: Table) -> None:
    await table.agrees(made_by="supplier", lead_time_days=3)

    assert (await table.standing()).lead_time_days == 3


async def test_the_owner_is_not_changed_by_the_other_party_nor_by_a_later_agreement_of_its_own(table: Table) -> None:
    await table.agrees(made_by="supplier", band_owner="supplier")
    await table.agrees(made_by="supplier", maximum="90", effective_from="2025-06-01")

    assert (await table.standing()).band_owner == "customer"
    assert await table.statuses() == ["open", "open"]


async def test_what_the_owner_accepts_is_agreed_and_what_it_rejects_is_not(table: Table) -> None:
    await table.agrees(made_by="supplier", maximum="90")
    await table.answers("reject")
    assert await table.band() == (20, 60)
    await table.agrees(made_by="supplier", maximum="80")
    await table.answers("accept")
    await table.answers("reject")

    assert await table.band() == (20, 80), "the first answer counts"
    assert await table.statuses() == ["rejected", "accepted"]


async def test_who_asked_does_not_answer_and_an_answer_to_nothing_is_set_aside(table: Table) -> None:
    await table.agrees(made_by="supplier", maximum="90")
    await table.answers("accept", party="supplier")
    await table.answers("accept", request=uuid4())

    assert await table.band() == (20, 60)
    assert [one.rejected.reason for one in await table.desk.quarantined()] == ["own_request", "unknown_request"]


async def test_who_owns_the_band_is_told_of_a_request_until_it_is_answered(table: Table) -> None:
    await table.agrees(made_by="supplier", maximum="90")
    await table.agrees(made_by="supplier", maximum="80", minimum="30")
    await table.answers("accept")

    told = [(one.kind.value, one.status.value, one.details["maximum"]) for one in await table.exceptions()]
    assert told == [
        ("band_change_requested", "open", "90"),
        ("band_change_requested", "closed", "90"),
        ("band_change_requested", "open", "80"),
        ("band_change_requested", "closed", "80"),
    ]
    [*_, last] = await table.exceptions()
    assert last.reason.startswith(
        "The supplier asks the customer for another band with dairy from 1970-01-01 on: minimum 20 → 30, maximum"
    )
    assert (last.details["owner"], last.details["minimum_before"]) == ("customer", "20")


async def test_a_later_request_and_a_later_word_of_the_owner_take_an_open_requests_place(table: Table) -> None:
    await table.agrees(made_by="supplier", maximum="90")
    await table.agrees(made_by="supplier", maximum="80")
    assert await table.statuses() == ["superseded", "open"]
    await table.agrees(maximum="70")

    assert await table.statuses() == ["superseded", "superseded"]
    assert await table.band() == (20, 70)


async def test_of_requests_that_come_together_the_last_one_of_each_party_and_agreement_waits(table: Table) -> None:
    asked = {**CUSTOMERS_BAND, "made_by": "supplier"}
    table.now += HOUR
    entries = [
        record(agreement(table.desk.customer, item, **{**asked, "maximum": maximum}), recorded_at=table.now + late)
        for item, maximum, late in (("milk", "90", 0 * HOUR), ("milk", "80", HOUR), ("milk", "75", 2 * HOUR))
    ]
    async with table.desk.engine.begin() as connection:
        await record_master_data(read_master_data(entries), Transaction(connection, Clock()))

    found = [(one.status, one.agreement.maximum, one.answered_at) for one in await table.requests()]
    assert found == [
        ("superseded", 90, table.now + HOUR),
        ("superseded", 80, table.now + 2 * HOUR),
        ("open", 75, None),
    ]


async def test_a_request_that_is_delivered_twice_is_one(table: Table) -> None:
    asked = agreement(table.desk.customer, **{**CUSTOMERS_BAND, "made_by": "supplier", "maximum": "90"})
    await table.says(asked)
    await table.desk.define(asked, recorded_at=table.now)

    assert await table.statuses() == ["open"]


@pytest.mark.usefixtures("at_home")
async def test_a_request_is_listed_with_what_it_would_change(table: Table) -> None:
    await table.agrees(made_by="supplier", maximum="90")

    told = await vmi("requests", "--customer", table.desk.customer, "--json")
    shown = await vmi("requests", "--customer", table.desk.customer)

    [one] = json.loads(told.stdout)
    assert one["changes"] == {"maximum": {"before": "60", "now": "90"}}
    assert "maximum 60 → 90" in shown.stdout
    assert one["request_id"][:8] in shown.stdout


@pytest.mark.usefixtures("at_home")
async def test_the_history_of_an_agreement_shows_whose_word_it_was(table: Table) -> None:
    await table.agrees(made_by=None, maximum="80")

    shown = await vmi("history", table.desk.customer, "store-1", "milk")

    words = [line for line in shown.stdout.splitlines() if "dairy" in line]
    assert [word.split()[2] for word in words] == ["customer", "both"]
    assert ["maximum 60" in words[0], "maximum 80" in words[1]] == [True, True]


@pytest.mark.usefixtures("at_home")
async def test_an_answer_to_no_open_request_is_refused_before_it_is_sent() -> None:
    refused = await vmi("answer", str(uuid4()), "accept")

    assert refused.exit_code != 0
    assert "vmi agreements requests" in str(refused.exception)


@pytest.fixture
def at_home(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:9")


async def vmi(*arguments: str) -> Result:
    return await asyncio.to_thread(partial(CliRunner().invoke, app, ["agreements", *arguments], env={"COLUMNS": "200"}))
