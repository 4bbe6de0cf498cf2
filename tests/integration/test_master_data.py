"""Catalogue, agreements, inbox and quarantine on a real Postgres."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts.inbound import AgreementMade, ItemDefined, LocationDefined
from vmi_domain.stock.position import Key
from vmi_store import agreements, catalogue, inbox, quarantine
from vmi_store.inbox import Seen
from vmi_store.quarantine import Rejected

NOW = datetime(2025, 3, 4, 12, tzinfo=UTC)


def letter(customer: str, message_id: str = "1", payload: bytes = b"{}", revision: int = 0, source: str = "/s") -> Any:
    return inbox.letter(customer_id=customer, source=source, message_id=message_id, revision=revision, payload=payload)


async def test_a_document_delivered_again_is_a_duplicate(engine: AsyncEngine, customer: str) -> None:
    async with engine.begin() as connection:
        first = await inbox.receive(connection, [letter(customer)])
    async with engine.begin() as connection:
        second = await inbox.receive(connection, [letter(customer), letter(customer, "2")])

    assert (first, second) == ([Seen.NEW], [Seen.DUPLICATE, Seen.NEW])


async def test_the_same_identity_with_other_contents_is_a_conflict(engine: AsyncEngine, customer: str) -> None:
    async with engine.begin() as connection:
        await inbox.receive(connection, [letter(customer)])
    async with engine.begin() as connection:
        seen = await inbox.receive(connection, [letter(customer, payload=b"[]")])

    assert seen == [Seen.CONFLICT]


async def test_duplicates_and_conflicts_are_seen_within_one_batch_too(engine: AsyncEngine, customer: str) -> None:
    async with engine.begin() as connection:
        seen = await inbox.receive(
            connection, [letter(customer), letter(customer), letter(customer, payload=b"[]"), letter(customer, "2")]
        )

    assert seen == [Seen.NEW, Seen.DUPLICATE, Seen.CONFLICT, Seen.NEW]


async def test_a_revision_or_another_source_is_another_document(engine: AsyncEngine, customer: str) -> None:
    async with engine.begin() as connection:
        seen = await inbox.receive(
            connection,
            [
                letter(customer),
                letter(customer, revision=1, payload=b"[]"),
                letter(customer, source="/t", payload=b"x"),
            ],
        )

    assert seen == [Seen.NEW] * 3


async def test_the_same_id_at_two_customers_is_independent(engine: AsyncEngine, customer: str) -> None:
    async with engine.begin() as connection:
        seen = await inbox.receive(connection, [letter(customer), letter(customer + "-b", payload=b"[]")])

    assert seen == [Seen.NEW, Seen.NEW]


async def test_the_last_word_on_an_item_counts_whatever_comes_again(engine: AsyncEngine, customer: str) -> None:
    old = ItemDefined(customer_id=customer, item_id="i", units={"CS": Decimal(12)})
    new = ItemDefined(customer_id=customer, item_id="i", units={"CS": Decimal(10)})

    async with engine.begin() as connection:
        await catalogue.define_items(connection, [(new, NOW)])
        await catalogue.define_items(connection, [(old, NOW - timedelta(days=1))])
        found = await catalogue.items(connection, [(customer, "i"), (customer, "other")])

    assert found == {(customer, "i"): catalogue.Item("EA", {"CS": Decimal(10)})}


async def test_a_change_of_master_data_is_counted(engine: AsyncEngine, customer: str) -> None:
    async with engine.begin() as connection:
        assert await catalogue.versions(connection, [customer]) == {}
        await catalogue.touch(connection, [customer])
        assert await catalogue.versions(connection, [customer]) == {customer: 1}
        assert await catalogue.hold(connection, [customer, customer + "-b"]) == {customer: 1, customer + "-b": 0}


async def test_only_what_says_something_new_is_a_change(engine: AsyncEngine, customer: str) -> None:
    location = LocationDefined(customer_id=customer, location_id="l", time_zone="Europe/Berlin")
    item = ItemDefined(customer_id=customer, item_id="i")
    agreement = AgreementMade(customer_id=customer, location_id="l", item_id="i", supplier_id="s")

    for changes in (True, False):
        async with engine.begin() as connection:
            assert bool(await catalogue.define_locations(connection, [(location, NOW)])) is changes
            assert bool(await catalogue.define_items(connection, [(item, NOW)])) is changes
            assert bool(await agreements.make(connection, [(agreement, NOW)])) is changes
    async with engine.begin() as connection:
        found = await catalogue.locations(connection, [(customer, "l")])

    assert found[customer, "l"].time_zone == "Europe/Berlin"


async def test_master_data_do_not_change_while_facts_are_read_by_them(engine: AsyncEngine, customer: str) -> None:
    async with engine.begin() as connection:
        await catalogue.touch(connection, [customer])
    async with engine.begin() as reading, engine.begin() as reading_too, engine.connect() as changing:
        await catalogue.hold(reading, [customer])
        await catalogue.hold(reading_too, [customer])
        await changing.execute(text("SET LOCAL lock_timeout = '50ms'"))
        with pytest.raises(DBAPIError, match="lock timeout"):
            await catalogue.touch(changing, [customer])


async def test_of_a_suppliers_agreements_the_one_that_took_effect_last_is_in_force(
    engine: AsyncEngine, customer: str
) -> None:
    def agreed(supplier: str, since: date, pack: int, until: date | None = None) -> tuple[AgreementMade, datetime]:
        return AgreementMade(
            customer_id=customer,
            location_id="l",
            item_id="i",
            supplier_id=supplier,
            effective_from=since,
            effective_to=until,
            pack=Decimal(pack),
        ), NOW

    key = Key(customer, "l", "i")
    made = [
        agreed("a", date(2025, 1, 1), 12),
        agreed("a", date(2025, 3, 1), 10),
        agreed("b", date(2025, 1, 1), 5, until=date(2025, 2, 28)),
    ]
    async with engine.begin() as connection:
        await agreements.make(connection, made)

        async def packs(day: date) -> list[Decimal]:
            return [one.pack for one in (await agreements.in_force(connection, [(key, day)])).get(key, [])]

        assert await packs(date(2024, 12, 31)) == []
        assert await packs(date(2025, 2, 28)) == [Decimal(12), Decimal(5)]
        assert await packs(date(2025, 3, 1)) == [Decimal(10)]


def rejected(customer: str, **changes: Any) -> Rejected:
    basis: dict[str, Any] = {
        "topic": "vmi.sales.v1",
        "partition": 1,
        "offset": int(customer[-8:], 16),
        "recorded_at": NOW,
        "key": b"k",
        "value": b"\x00\xff",
        "headers": [("ce_id", b"1"), ("odd\x00name", b"\x00")],
        "reason": "unreadable",
        "detail": "no JSON \x00 \udcff here",
        "customer_id": customer,
        "worker": "inventory",
    }
    return Rejected(**{**basis, **changes})


async def test_what_is_quarantined_keeps_its_bytes_and_counts_once(engine: AsyncEngine, customer: str) -> None:
    one = rejected(customer)
    async with engine.begin() as connection:
        await quarantine.add(connection, [one, one])
        await quarantine.add(connection, [one])
        held = await quarantine.held(connection, customer_id=customer)
        named = await quarantine.named(connection, str(one.id)[:13])

    assert [h.id for h in held] == [one.id]
    assert held[0].rejected.value == b"\x00\xff"
    assert named == held


@pytest.mark.parametrize(("waits", "arrives"), [("location", "l"), ("item", "i")])
async def test_a_line_that_waits_is_found_when_what_it_waits_for_arrives(
    engine: AsyncEngine, customer: str, waits: str, arrives: str
) -> None:
    line = rejected(
        customer,
        line=3,
        reason=f"unknown_{waits}",
        location_id="l",
        item_id="i",
        waits_for_location=waits == "location",
        waits_for_item=waits == "item",
    )
    other = rejected(customer, line=4, location_id="l", item_id="i")
    arrived: dict[str, Any] = {"locations": [], "items": [], f"{waits}s": [(customer, arrives)]}
    async with engine.begin() as connection:
        await quarantine.add(connection, [line, other])
        assert await quarantine.make_due(connection, **arrived) == 1
        due = await quarantine.take_due(connection, worker="inventory", at_most=1000, topics=[line.topic])
        mine = [one for one in due if one.rejected.customer_id == customer]
        await quarantine.settle(connection, [one.id for one in mine], by="released")

        assert [one.rejected.line for one in mine] == [3]
        assert await quarantine.make_due(connection, **arrived) == 0
        assert [one.id for one in await quarantine.held(connection, customer_id=customer)] == [other.id]


async def test_a_record_is_kept_once_however_many_of_its_lines_are_held(engine: AsyncEngine, customer: str) -> None:
    lines = [rejected(customer, line=number, value=b"x" * 1000) for number in range(1, 101)]
    async with engine.begin() as connection:
        await quarantine.add(connection, lines)
        held = await quarantine.held(connection, customer_id=customer, at_most=1000)
        records = await connection.execute(
            text("SELECT count(*) FROM quarantined_record WHERE id = :id"), {"id": lines[0].record_id}
        )

        assert len(held) == 100
        assert records.scalar_one() == 1
