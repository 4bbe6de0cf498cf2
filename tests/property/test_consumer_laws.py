"""A reader of proposals is right whatever the order, however often, whichever version is missing (S25)."""

import importlib.util
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import hypothesis.strategies as st
from hypothesis import given

from vmi_contracts import consumer, writing
from vmi_contracts.inbound import Answer, ProposalAnswered
from vmi_contracts.outbound import ProposalLine, ProposalsIssued, ProposalStands, ProposalStatus

NOON = datetime(2025, 3, 4, 12, tzinfo=UTC)


def line(number: int, version: int, status: str = "proposed", quantity: int = 10) -> ProposalLine:
    return ProposalLine(
        proposal_id=UUID(int=number),
        version=version,
        status=ProposalStatus(status),
        item_id=f"item-{number}",
        quantity=Decimal(quantity),
        unit="EA",
        packs=Decimal(quantity),
        order_at=NOON,
        deliver_at=NOON + timedelta(days=2),
        expires_at=NOON + timedelta(days=7),
        reason="",
        explanation={},
    )


def document(*lines: ProposalLine, consolidation: int = 1) -> ProposalsIssued:
    return ProposalsIssued(
        customer_id="acme",
        location_id="store-1",
        supplier_id="dairy",
        issued_at=NOON,
        consolidation_id=UUID(int=consolidation),
        order_day=NOON.date(),
        lines=lines,
    )


@st.composite
def histories(draw: st.DrawFn) -> list[ProposalsIssued]:
    """Documents as they were sent: each line one version of one of four proposals."""
    names = draw(st.lists(st.integers(1, 4), min_size=1, max_size=12))
    versions: dict[int, int] = {}
    documents = []
    for name in names:
        versions[name] = versions.get(name, 0) + 1
        status = draw(st.sampled_from(["proposed", "accepted", "held", "shipped"]))
        documents.append(document(line(name, versions[name], status, draw(st.integers(1, 99)))))
    return documents


@given(histories(), st.data())
def test_in_any_order_and_any_number_of_times_the_last_versions_are_held(
    sent: list[ProposalsIssued], data: st.DataObject
) -> None:
    repeats = data.draw(st.lists(st.sampled_from(sent), max_size=6))
    in_order: dict[UUID, ProposalStands] = {}
    shuffled: dict[UUID, ProposalStands] = {}
    for one in sent:
        consumer.apply(one, in_order)
    for one in data.draw(st.permutations([*sent, *repeats])):
        consumer.apply(one, shuffled)

    assert shuffled == in_order


@given(histories(), st.data())
def test_whichever_earlier_versions_are_missing_the_last_ones_are_held(
    sent: list[ProposalsIssued], data: st.DataObject
) -> None:
    last = {one.lines[0].proposal_id: one for one in sent}
    came = [one for one in sent if one is last[one.lines[0].proposal_id] or data.draw(st.booleans())]
    whole: dict[UUID, ProposalStands] = {}
    gaps: dict[UUID, ProposalStands] = {}
    for one in sent:
        consumer.apply(one, whole)
    missed = sum(len(change.missed) for one in came for change in consumer.apply(one, gaps))

    assert gaps == whole
    assert missed == len(sent) - len(came), "and what is missing is known"


@given(histories(), st.data())
def test_each_change_is_told_once_and_versions_only_rise(sent: list[ProposalsIssued], data: st.DataObject) -> None:
    held: dict[UUID, ProposalStands] = {}
    told: list[tuple[UUID, int]] = []
    for one in data.draw(st.permutations([*sent, *sent])):
        for change in consumer.apply(one, held):
            assert change.before is None or change.before.version < change.now.version
            told.append((change.now.proposal_id, change.now.version))

    assert len(told) == len(set(told))


def test_f52_a_reader_who_gets_version_5_and_then_4_keeps_5() -> None:
    held: dict[UUID, ProposalStands] = {}
    consumer.apply(document(line(1, 5, quantity=50)), held)

    assert consumer.apply(document(line(1, 4, quantity=40)), held) == []
    assert held[UUID(int=1)].quantity == 50


def test_f57_lines_of_one_location_supplier_and_day_make_one_order() -> None:
    held: dict[UUID, ProposalStands] = {}
    consumer.apply(document(line(1, 1, "accepted"), line(2, 1, "proposed")), held)
    consumer.apply(document(line(3, 1, "changed")), held)
    consumer.apply(document(line(4, 1, "accepted"), consolidation=2), held)

    made = {
        consolidation.int: [one.item_id for one in lines] for consolidation, lines in consumer.orders(held.values())
    }

    assert made == {1: ["item-1", "item-3"], 2: ["item-4"]}


def test_what_is_read_is_what_was_written() -> None:
    sent = document(line(1, 1))
    record = writing.record(sent, source="vmi/replenishment", message_id="1")

    assert consumer.read(record.value, record.headers) == sent


async def test_the_example_of_a_supplier_answers_each_version_once() -> None:
    example = _example("supplier")
    said: list[ProposalAnswered] = []

    async def say(answered: ProposalAnswered) -> None:
        said.append(answered)

    lines = [line(1, 1), line(1, 1), line(2, 1, quantity=25), line(1, 2, "accepted")]
    await example.follow(_records([document(one) for one in lines]), {}, Decimal(20), say)

    assert [(one.lines[0].answer, one.lines[0].version) for one in said] == [(Answer.ACCEPT, 1), (Answer.CHANGE, 1)]
    assert said[1].lines[0].quantity == 20
    assert len({consumer.answer_id(one) for one in said}) == 2


def _example(name: str) -> Any:
    place = Path(__file__).parents[2] / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def _records(documents: list[ProposalsIssued]) -> AsyncIterator[SimpleNamespace]:
    for one in documents:
        record = writing.record(one, source="vmi/replenishment", message_id="1")
        yield SimpleNamespace(value=record.value, headers=record.headers)
