"""A broker that asks for a login over an encrypted connection: every client of ours logs in, and says why it cannot."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from subprocess import run
from sys import executable
from typing import Literal

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts import topics, writing
from vmi_contracts.internal import PositionsChanged
from vmi_runtime import broker, kafka_client, pipeline, reading_back
from vmi_runtime.settings import KafkaSettings
from vmi_testing import builders, servers
from vmi_testing.processes import started
from vmi_testing.secured import USER, Secured, secured_kafka


@pytest.fixture(scope="module")
def secured() -> Iterator[Secured]:
    with secured_kafka(servers.session_directory("-secured")) as found:
        yield found


def login(secured: Secured, mechanism: Literal["PLAIN", "SCRAM-SHA-512"]) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=secured.bootstrap_servers,
        security_protocol="SASL_SSL",
        sasl_mechanism=mechanism,
        username=USER,
        password=SecretStr(secured.password),
        ca_file=secured.ca_file,
    )


def variables(secured: Secured, mechanism: str, engine: AsyncEngine) -> dict[str, str]:
    return {
        "VMI_KAFKA__BOOTSTRAP_SERVERS": secured.bootstrap_servers,
        "VMI_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "VMI_KAFKA__SASL_MECHANISM": mechanism,
        "VMI_KAFKA__USERNAME": USER,
        "VMI_KAFKA__PASSWORD": secured.password,
        "VMI_KAFKA__CA_FILE": str(secured.ca_file),
        "VMI_DATABASE__URL": engine.url.render_as_string(hide_password=False),
        "VMI_CLOCK": "events",
    }


async def test_an_event_goes_through_workers_that_log_in(
    secured: Secured, engine: AsyncEngine, customer: str, tmp_path: Path
) -> None:
    kafka = login(secured, "SCRAM-SHA-512")
    await broker.create_topics(kafka, topics.ALL)
    told = variables(secured, "SCRAM-SHA-512", engine)
    with started("vmi_inventory", log=tmp_path / "i", **told), started("vmi_relay", log=tmp_path / "r", **told):
        async with AIOKafkaProducer(**kafka_client.arguments(kafka)) as producer:
            report = builders.stock(customer, {"milk": 7})
            for document in (builders.location(customer), builders.item(customer), report):
                made = writing.record(document, source="/test", message_id=document.message_type)
                await producer.send(
                    topics.of_type(document.message_type).name, made.value, key=made.key, headers=made.headers
                )
        changed = await asyncio.wait_for(published(kafka, customer), 60)

    assert [line.item_id for line in changed.lines] == ["milk"]


async def published(kafka: KafkaSettings, customer: str) -> PositionsChanged:
    consumer = AIOKafkaConsumer(
        topics.POSITIONS.name,
        **kafka_client.arguments(kafka),
        isolation_level="read_committed",
        auto_offset_reset="earliest",
    )
    async with consumer:
        async for record in consumer:
            document = PositionsChanged.model_validate_json(record.value)
            if document.customer_id == customer:
                return document
    raise AssertionError("the topic has an end")


async def test_a_login_may_be_plain_where_the_connection_is_encrypted(secured: Secured) -> None:
    assert await broker.cluster_id(login(secured, "PLAIN"))


@pytest.mark.parametrize(
    ("wrong", "because"),
    [
        ({"VMI_KAFKA__PASSWORD": "guessed"}, "does not know the user 'vmi'"),
        ({"VMI_KAFKA__CA_FILE": ""}, "certificate"),
        ({"VMI_KAFKA__SECURITY_PROTOCOL": "SASL_PLAINTEXT"}, "VMI_KAFKA__SECURITY_PROTOCOL"),
    ],
)
def test_who_may_not_log_in_is_told_why_in_a_line(
    secured: Secured, engine: AsyncEngine, wrong: dict[str, str], because: str
) -> None:
    told = {name: value for name, value in (variables(secured, "SCRAM-SHA-512", engine) | wrong).items() if value}
    command = [executable, "-m", "vmi_cli", "topics", "describe"]
    said = run(command, env=told, capture_output=True, text=True, timeout=120, check=False)

    assert said.returncode == 2, said.stderr
    assert because in said.stderr
    assert "Traceback" not in said.stderr
    assert "guessed" not in said.stderr


async def test_whoever_asks_the_broker_is_told_the_same_of_a_login_that_it_refuses(secured: Secured) -> None:
    wrong = login(secured, "SCRAM-SHA-512").model_copy(update={"password": SecretStr("guessed")})

    async def told(look: AbstractAsyncContextManager[object]) -> str:
        with pytest.raises(broker.BrokerUnreachable) as refused:
            async with look:
                pass
        return str(refused.value)

    looks = (broker.admin(wrong), reading_back.kept(wrong, [topics.SALES.name], {}), pipeline.reader(wrong))
    said = {await told(look) for look in looks}
    assert len(said) == 1
    assert "does not know the user 'vmi'" in said.pop()
