"""One event all the way to a proposal, an answer all the way to the shelf, and a worker killed on the way."""

from collections import defaultdict
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from tests.e2e.conftest import Published, Service

from vmi_cli.proposals import answered
from vmi_contracts import topics
from vmi_contracts.outbound import ProposalLine, ProposalStands, ProposalStatus
from vmi_domain.replenishment.explanations import recompute
from vmi_domain.replenishment.proposals import Proposal, Status
from vmi_domain.stock.position import Authority, Basis, Key, stock
from vmi_store import agreements, positions
from vmi_store.quarantine import Rejected
from vmi_testing import builders
from vmi_testing.builders import HOUR, NOON
from vmi_testing.topics import read_all
from vmi_testing.waiting import until


@pytest.fixture
def customer() -> str:
    return f"customer-{uuid4().hex[:12]}"


def latest(published: list[Published], item_id: str = "milk") -> ProposalLine:
    """What a consumer holds that applies only higher versions: the last proposal's last version."""
    lines = [one.line for one in published if one.line.item_id == item_id]
    assert lines, "no proposal"
    return max(lines, key=lambda line: (line.order_at, line.version))


async def physical(service: Service, customer: str, item_id: str = "milk", location_id: str = "store-1") -> Decimal:
    async with service.engine.connect() as connection:
        rows = await positions.read(connection, [Key(customer, location_id, item_id)])
        if not rows:
            return Decimal(0)
        [row] = rows
        agreed = await agreements.in_force(connection, [(row.key, NOON.date())])
    [terms] = agreed.get(row.key) or [builders.agreement(customer)]
    held = stock(row.balance, row.supply, authority=Authority(terms.stock_authority.value), basis=Basis.GROSS)
    return held.physical


USUAL = {"expected_daily_demand": 10, "pack": "6", "unmet_demand": "backordered"}


async def introduced(service: Service, customer: str, *items: str, **terms: object) -> None:
    """Let the service know a store with some items, each expected to sell ten a day.

    What is not there is waited for, so that quantities follow the position one to one; lost sales have tests elsewhere.
    """
    await service.send(topics.CATALOGUE, builders.location(customer), *(builders.item(customer, i) for i in items))
    await service.send(
        topics.AGREEMENTS,
        *(builders.agreement(customer, i, **{**USUAL, **terms}) for i in items),
    )
    await service.settled()


async def test_the_first_stock_report_leads_to_a_proposal_that_explains_itself(service: Service, customer: str) -> None:
    await introduced(service, customer, "milk")
    await service.send(topics.STOCK, builders.stock(customer, {"milk": 8}))

    await service.settled()
    line = latest(await service.proposals(customer))

    assert line.status is ProposalStatus.PROPOSED
    assert line.quantity > 0
    assert line.quantity % 6 == 0
    assert recompute(line.explanation) == line.quantity
    assert "no history" in line.reason


async def test_what_is_sold_changes_the_proposal_in_a_higher_version(service: Service, customer: str) -> None:
    await introduced(service, customer, "milk")
    await service.send(topics.STOCK, builders.stock(customer, {"milk": 30}))
    await service.settled()
    before = latest(await service.proposals(customer))

    await service.send(topics.SALES, builders.sale(customer, {"milk": 12}, NOON + HOUR))
    await service.settled()
    after = latest(await service.proposals(customer))

    assert after.proposal_id == before.proposal_id
    assert (after.version, after.supersedes_version) == (before.version + 1, before.version)
    assert after.quantity > before.quantity
    assert await physical(service, customer) == 18


async def test_an_accepted_quantity_is_followed_to_the_shelf_and_never_proposed_again(
    service: Service, customer: str
) -> None:
    await introduced(service, customer, "milk", stock_authority="ledger")
    await service.send(topics.STOCK, builders.stock(customer, {"milk": 8}))
    await service.settled()
    proposed = latest(await service.proposals(customer))
    agreed = {"proposal_id": str(proposed.proposal_id), "version": proposed.version, "answer": "accept"}

    await service.send(topics.PROPOSAL_ANSWERS, builders.answer(customer, [agreed]))
    await service.settled()

    line = {"item_id": "milk", "quantity": str(proposed.quantity)}
    steps = (
        builders.order(customer, "PO-1", [{**line, "proposal_id": str(proposed.proposal_id)}], NOON + HOUR),
        builders.shipment(customer, "ASN-1", [{**line, "order_id": "PO-1"}], NOON + 2 * HOUR),
        builders.receipt(customer, "GR-1", [{**line, "shipment_id": "ASN-1"}], NOON + 3 * HOUR),
    )
    for step in steps:
        await service.send(topics.ORDERS, step)
        await service.settled()
    published = await service.proposals(customer)

    statuses = [one.line.status for one in published if one.line.proposal_id == proposed.proposal_id]
    assert statuses[:2] == [ProposalStatus.PROPOSED, ProposalStatus.ACCEPTED]
    assert statuses[-1] in {ProposalStatus.RECEIVED, ProposalStatus.CLOSED}
    assert await physical(service, customer) == 8 + proposed.quantity
    others = [one.line for one in published if one.line.proposal_id != proposed.proposal_id and one.line.quantity]
    assert others == [], "what was accepted was proposed again"


async def test_a_supplier_answers_from_the_command_line_and_the_living_topic_forgets_what_is_finished(
    service: Service, customer: str
) -> None:
    await introduced(service, customer, "milk")
    await service.send(topics.STOCK, builders.stock(customer, {"milk": 8}))
    await service.settled()
    line = latest(await service.proposals(customer))
    name = str(line.proposal_id)
    counter: dict[str, Any] = {"answer": "counter", "quantity": Decimal(6), "version": None}

    _, countered = await answered(service.settings, name, counter, "customer", 20)
    _, refused = await answered(service.settings, name, {"answer": "accept", "version": None}, "customer", 20)
    _, bound = await answered(service.settings, name, {"answer": "reject", "version": None}, "supplier", 20)
    await service.settled()
    living = await read_all(service.settings.kafka.bootstrap_servers or "", topics.LIVE_PROPOSALS.name)
    mine = [value for _, key, value, _ in living if key == name.encode()]

    assert isinstance(countered, Proposal)
    assert (countered.quantity, countered.countered_by) == (6, "customer")
    assert isinstance(refused, Rejected)
    assert refused.reason == "own_counter"
    assert isinstance(bound, Proposal)
    assert bound.status is Status.REJECTED
    assert [None if value is None else ProposalStands.model_validate_json(value).version for value in mine] == [
        1,
        2,
        None,
    ]


async def test_bad_lines_are_kept_and_the_good_ones_count(service: Service, customer: str) -> None:
    await introduced(service, customer, "milk")
    await service.send(topics.STOCK, builders.stock(customer, {"milk": 8}))
    sale = builders.sale(customer, {"milk": 3, "unheard-of": 1}, NOON + HOUR)
    await service.producer.send_and_wait(topics.SALES.name, b"\x00 no document", key=sale.key.encode())
    await service.send(topics.SALES, sale)
    await service.settled()

    assert await physical(service, customer) == 5

    await service.send(topics.CATALOGUE, builders.item(customer, "unheard-of"))

    async def taken_in() -> bool:
        return await physical(service, customer, "unheard-of") == -1

    await until(taken_in)


async def test_a_worker_killed_in_the_middle_loses_nothing_and_doubles_nothing(service: Service, customer: str) -> None:
    items = [f"item-{number}" for number in range(20)]
    await introduced(service, customer, *items)
    await service.send(topics.STOCK, builders.stock(customer, dict.fromkeys(items, 1000)))
    await service.settled()

    rounds = 120
    for number in range(rounds):
        sales = [builders.sale(customer, {i: 1}, NOON + (number + 1) * HOUR / 60) for i in items]
        await service.send(topics.SALES, *sales)
        if number in (30, 60, 90):
            victim = service.supervisor.workers[(number // 30) % len(service.supervisor.workers)]
            deaths = victim.deaths
            assert victim.process is not None
            victim.process.kill()
            await until(lambda v=victim, d=deaths: v.deaths > d)  # type: ignore[misc]
    await service.settled(within_seconds=120)

    for i in items:
        assert await physical(service, customer, i) == 1000 - rounds
    published = await service.proposals(customer)
    versions: dict[object, list[int]] = defaultdict(list)
    contents: dict[tuple[object, int], ProposalLine] = {}
    for one in published:
        name = (one.line.proposal_id, one.line.version)
        assert contents.setdefault(name, one.line) == one.line, "one version, two contents"
        if one.line.version not in versions[one.line.proposal_id]:
            versions[one.line.proposal_id].append(one.line.version)
    assert all(found == sorted(found) for found in versions.values()), "versions out of order"
    keys = {(one.line.item_id, one.line.order_at) for one in published}
    assert len(keys) == len(versions), "two proposals for one item and opportunity"


async def test_what_a_person_must_act_on_stands_on_its_topic_once_and_ends_by_itself(
    service: Service, customer: str
) -> None:
    """Below the minimum, then a dead feed: each is one exception; what rests on dead data is held until it is back."""
    band = {"policy": "minimum_maximum", "minimum": "50", "maximum": "100", "stock_cadence_hours": 24}
    await introduced(service, customer, "milk", "bread", **band)
    await service.send(topics.STOCK, builders.stock(customer, {"milk": 90, "bread": 90}))
    await service.send(
        topics.SALES, *(builders.sale(customer, {"milk": 1}, NOON + n * HOUR / 60) for n in range(1, 51))
    )
    await service.settled()
    assert [(line.kind.value, line.status.value) for line in await service.exceptions(customer)] == [
        ("below_minimum", "open")
    ]

    await service.send(topics.SALES, builders.sale(customer, {"bread": 1}, NOON + 26 * HOUR))

    async def milk() -> tuple[str, str | None]:
        line = latest(await service.proposals(customer))
        return line.status.value, line.held_because and line.held_because.value

    async def story() -> list[tuple[str, str]]:
        return [(line.kind.value, line.status.value) for line in await service.exceptions(customer)]

    assert await until(milk, lambda seen: seen[0] == "held", every=0.5) == ("held", "stale_data")
    # The decision and the watch over feeds look on their own: a feed that is back before the watch has looked once
    # (every second) needs nobody.
    await until(story, lambda seen: ("feed_stale", "open") in seen, every=0.5)
    await service.send(topics.STOCK, builders.stock(customer, {"milk": 95, "bread": 80}, NOON + 27 * HOUR))
    await until(story, lambda seen: ("feed_stale", "closed") in seen, every=0.5)
    await service.settled()
    assert ("below_minimum", "closed") in await story()
    assert await milk() == ("cancelled", None)
