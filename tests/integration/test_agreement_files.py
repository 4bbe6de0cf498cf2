"""Agreements from and to files: nothing is lost on the way, wrong rows are named, a customer's own band stays."""

import asyncio
import json
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner, Result

from vmi_cli.__main__ import app
from vmi_contracts import topics
from vmi_contracts.inbound import AgreementMade
from vmi_testing.builders import DAY, NOON, agreement, stock
from vmi_testing.inventory import RECORDED, Desk
from vmi_testing.waiting import until

WEDNESDAYS = agreement(
    "default",
    pack="12",
    minimum="24",
    maximum="120",
    order_weekdays=(1, 3),
    order_cut_off="11:30",
    approval="automatic",
)
BY_CLASS = agreement(
    "default",
    "bread",
    service_target_by_class={"A": 0.98, "B": 0.95, "C": 0.9},
    forecast_models=["sba", "tsb"],
    forecast_models_by_class={"smooth": ["theta"], "C": ["live", "adida"]},
)


@pytest.fixture
async def desk(engine: AsyncEngine, customer: str) -> Desk:
    made = Desk(engine, customer)
    await made.introduce("milk", "bread")
    return made


@pytest.fixture
def at_home(database_url: str, kafka: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", kafka)


async def vmi(*arguments: str) -> Result:
    return await asyncio.to_thread(partial(CliRunner().invoke, app, ["agreements", *arguments], env={"COLUMNS": "200"}))


def of(customer: str, *agreements: AgreementMade) -> list[AgreementMade]:
    return [one.model_copy(update={"customer_id": customer}) for one in agreements]


@pytest.mark.usefixtures("at_home")
async def test_what_is_exported_reads_the_same(desk: Desk, tmp_path: Path) -> None:
    await desk.define(*of(desk.customer, WEDNESDAYS, BY_CLASS))
    file = str(tmp_path / "agreed.csv")

    exported = await vmi("export", "--customer", desk.customer, "--out", file)
    again = await vmi("import", file, "--dry-run", "--json")

    assert exported.exit_code == again.exit_code == 0, again.output
    assert json.loads(again.stdout) == {"rows": 2, "new": [], "changed": {}, "unchanged": 2, "requests": [], "sent": 0}


@pytest.mark.usefixtures("at_home")
async def test_every_wrong_row_is_named_and_nothing_is_sent(tmp_path: Path, customer: str) -> None:
    file = tmp_path / "agreed.csv"
    file.write_text(
        "customer_id,location_id,item_id,supplier_id,lead_time_days,minimum,maximum\n"
        f"{customer},store-1,milk,dairy,2,,\n"
        f"{customer},store-1,bread,bakery,soon,,\n"
        f"{customer},*,eggs,farm,2,,\n"
        f"{customer},store-1,salt,mine,2,9,3\n"
        f"{customer},store-1,milk,dairy,3,,\n"
    )

    done = await vmi("import", str(file), "--json")

    assert done.exit_code != 0
    errors = json.loads(done.stdout)["errors"]
    assert [error.split(": ")[0].removeprefix(f"{file}, ") for error in errors] == [
        "line 3, column lead_time_days",
        "line 4, column location_id",
        "line 5, column minimum",
        "line 6, column item_id",
    ]
    assert "nothing was sent" in str(done.exception)


@pytest.mark.usefixtures("at_home")
async def test_what_is_new_or_changed_is_sent_and_what_stands_is_not(desk: Desk, kafka: str, tmp_path: Path) -> None:
    await desk.define(*of(desk.customer, WEDNESDAYS, BY_CLASS))
    created = await asyncio.to_thread(partial(CliRunner().invoke, app, ["topics", "create"]))
    assert created.exit_code == 0, created.output
    file = tmp_path / "agreed.csv"
    await vmi("export", "--customer", desk.customer, "--out", str(file))
    file.write_text(file.read_text().replace(",24,", ",36,"))

    done = await vmi("import", str(file), "--json")

    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    assert (said["new"], said["unchanged"], said["sent"]) == ([], 1, 1)
    assert list(said["changed"].values()) == [{"minimum": {"before": "24", "now": "36"}}]
    consumer = AIOKafkaConsumer(topics.AGREEMENTS.name, bootstrap_servers=kafka, auto_offset_reset="earliest")
    await consumer.start()
    try:
        found = await until(
            consumer.getone, lambda record: desk.customer.encode() in (record.value or b""), every=0, seconds=30
        )
    finally:
        await consumer.stop()
    assert json.loads(found.value)["minimum"] == "36"


@pytest.mark.usefixtures("at_home")
async def test_history_keeps_every_word_and_what_is_said_twice_is_one(desk: Desk) -> None:
    [first] = of(desk.customer, WEDNESDAYS)
    for day, maximum in enumerate(("120", "120", "96")):
        await desk.define(
            AgreementMade.model_validate({**first.model_dump(), "maximum": maximum}), recorded_at=RECORDED + day * DAY
        )

    done = await vmi("history", desk.customer, "store-1", "milk", "--json")

    said = json.loads(done.stdout)
    assert [one["maximum"] for one in said] == ["120", "96"]
    assert [one["recorded_at"] for one in said] == [RECORDED.isoformat(), (RECORDED + 2 * DAY).isoformat()]
    shown = await vmi("history", desk.customer, "store-1", "milk")
    assert "maximum 96" in shown.stdout


@pytest.mark.usefixtures("at_home")
async def test_a_customers_own_band_is_compared_and_not_overwritten(desk: Desk) -> None:
    banded = agreement(
        desk.customer, policy="minimum_maximum", minimum="3", maximum="90", expected_daily_demand=10, lead_time_days=2
    )
    await desk.define(banded)
    await desk.tell(stock(desk.customer, {"milk": 40}, NOON))

    done = await vmi("compare", desk.customer, "--json")

    assert done.exit_code == 0, done.output
    [band] = json.loads(done.stdout)
    assert (band["minimum"], band["maximum"]) == ("3", "90")
    assert 20 < float(band["our_minimum"]) <= float(band["our_maximum"]) < 90
    exported = await vmi("export", "--customer", desk.customer)
    assert ",3,90," in exported.stdout
