"""Quarantine worked off: tried again in the order in which it came, or discarded as a recorded act."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_inventory.releasing import FACTS, take_facts_again, take_master_data_again
from vmi_runtime import retrying
from vmi_runtime.clock import Clock
from vmi_runtime.worker import FetchedRecord, Transaction
from vmi_store import quarantine
from vmi_store.quarantine import Held, Rejected, Selection
from vmi_testing import builders
from vmi_testing.builders import HOUR, NOON
from vmi_testing.inventory import RECORDED, Desk, raw_record, record


@pytest.fixture
async def desk(engine: AsyncEngine, customer: str) -> Desk:
    made = Desk(engine, customer)
    await made.introduce("milk")
    return made


async def ask(desk: Desk, **which: Any) -> int:
    """Let a person ask that this customer's be tried again; return how many that is."""
    async with desk.engine.begin() as connection:
        return len(await quarantine.make_selected_due(connection, Selection(customer_id=desk.customer, **which)))


async def outcomes(desk: Desk, state: str = "any") -> list[Held]:
    async with desk.engine.connect() as connection:
        return await quarantine.held(connection, customer_id=desk.customer, state=state, at_most=1000)


async def test_what_is_still_wrong_stays_with_the_reason_of_today(desk: Desk) -> None:
    await desk.tell(builders.sale(desk.customer, {"bread": 3}))
    assert await ask(desk, reason="unknown_item") == 1
    await desk.release()
    [held] = await outcomes(desk)
    assert (held.state, held.tries, held.rejected.reason) == ("held", 1, "unknown_item")

    # Its unit is what is wrong now that the item is known.
    odd = {"item_id": "bread", "quantity": "1", "unit": "CRATE"}
    sold = builders.sale(desk.customer, {"bread": 1}).model_copy(update={"lines": ()}).model_dump(mode="json")
    made = record(builders.sale(desk.customer, {"bread": 1}))
    crate = FetchedRecord(
        made.topic, 0, made.offset, made.timestamp, b"", json.dumps({**sold, "lines": [odd]}).encode(), made.headers
    )
    await desk.deliver([crate])
    await desk.define(builders.item(desk.customer, "bread"))
    await desk.release()
    reasons = {one.rejected.reason: one.state for one in await outcomes(desk)}
    assert reasons == {"unit_not_convertible": "held", "unknown_item": "released"}
    assert (await desk.stock("bread")).physical == -3


async def test_lines_are_tried_again_in_the_order_in_which_they_came(desk: Desk) -> None:
    for late in (2, 0, 1):
        sold = builders.sale(desk.customer, {"bread": 1}, NOON + late * HOUR)
        await desk.deliver([record(sold, recorded_at=RECORDED + late * HOUR)])
    await ask(desk)
    tried: list[Held] = []

    async def take(due: Sequence[Held], transaction: Transaction) -> list[Rejected]:
        tried.extend(due)
        return []

    async with desk.engine.begin() as connection:
        topics = [topic.name for topic in FACTS]
        await retrying.try_again("inventory", topics, take, Transaction(connection, Clock()))
        # Another process finds nothing meanwhile: two would not keep the order.
        async with desk.engine.begin() as other:
            assert await quarantine.take_due(other, worker="inventory", topics=topics, at_most=10) == []
    mine = [one.rejected.recorded_at for one in tried if one.rejected.customer_id == desk.customer]
    assert mine == [RECORDED, RECORDED + HOUR, RECORDED + 2 * HOUR]


async def test_one_that_the_database_refuses_stops_none_of_the_others(desk: Desk) -> None:
    await desk.tell(builders.sale(desk.customer, {f"item-{number}": 1 for number in range(5)}))
    await ask(desk)
    bad = "item-3"

    async def take(due: Sequence[Held], transaction: Transaction) -> list[Rejected]:
        if any(one.rejected.item_id == bad for one in due):
            await transaction.connection.execute(text("SELECT CAST(1e30 AS integer)"))
        return []

    async with desk.engine.begin() as connection:
        topics = [topic.name for topic in FACTS]
        await retrying.try_again("inventory", topics, take, Transaction(connection, Clock()))
    states = {one.rejected.item_id: (one.state, one.rejected.reason) for one in await outcomes(desk)}
    assert states.pop(bad) == ("held", "refused_by_database")
    assert set(states.values()) == {("released", "unknown_item")}


async def test_another_document_under_a_name_that_is_taken_does_not_count_when_it_is_tried_again(desk: Desk) -> None:
    first, other = (builders.sale(desk.customer, {"milk": quantity}) for quantity in (1, 2))
    await desk.deliver([record(first, message_id="till-7"), record(other, message_id="till-7")])
    assert await ask(desk, reason="conflicting_duplicate") == 1
    await desk.release()
    [held] = await outcomes(desk)
    assert (held.state, held.rejected.reason, held.tries) == ("held", "conflicting_duplicate", 1)
    assert (await desk.stock()).physical == -1


async def test_what_was_of_the_future_counts_once_though_it_was_sent_again_meanwhile(desk: Desk) -> None:
    sold = record(builders.sale(desk.customer, {"milk": 2}, RECORDED + timedelta(days=3)), message_id="clock")
    await desk.deliver([sold])
    again = FetchedRecord(
        sold.topic, 0, sold.offset + 1000, sold.timestamp + 5 * 86_400_000, b"", sold.value, sold.headers
    )
    await desk.deliver([again])
    # The record itself says when it was appended: it stays of the future, whenever it is tried.
    await ask(desk)
    await desk.release()
    assert [one.state for one in await outcomes(desk)] == ["held"]
    assert (await desk.stock()).physical == -2


async def test_a_broken_catalogue_entry_stays_when_it_is_tried_again(desk: Desk) -> None:
    good = record(builders.location(desk.customer, "store-9"))
    broken = raw_record(b"{}", list(good.headers), topic=good.topic)
    from vmi_inventory.master_data import read_master_data, record_master_data

    async with desk.engine.begin() as connection:
        await record_master_data(read_master_data([broken]), Transaction(connection, Clock()))
        [one] = [h for h in await quarantine.held(connection) if h.rejected.offset == broken.offset]
        refused = await take_master_data_again([one], Transaction(connection, Clock()))
    assert [again.id for again in refused] == [one.id]


async def test_a_discard_says_who_did_it_and_why_and_is_never_tried_again(desk: Desk) -> None:
    await desk.tell(builders.sale(desk.customer, {"bread": 3, "wine": 1}))
    which = Selection(customer_id=desk.customer, reason="unknown_item")
    async with desk.engine.begin() as connection:
        assert await quarantine.count_held(connection, which) == 2
        gone = await quarantine.discard(connection, which, who="anna", why="a test of the supplier's")
        assert await quarantine.discard(connection, which, who="bob", why="again") == []
    assert len(gone) == 2
    for one in await outcomes(desk, "discarded"):
        assert (one.state, one.settled_who, one.settled_why) == ("discarded", "anna", "a test of the supplier's")
        assert one.settled_at is not None
        assert one.rejected.value is not None

    await desk.define(builders.item(desk.customer, "bread"))
    assert await ask(desk) == 0
    await desk.release()
    assert [one.state for one in await outcomes(desk)] == ["discarded"] * 2


async def test_the_database_itself_refuses_a_discard_without_a_reason(desk: Desk) -> None:
    await desk.tell(builders.sale(desk.customer, {"bread": 3}))
    with pytest.raises(IntegrityError):
        async with desk.engine.begin() as connection:
            await connection.execute(
                text("""
                    UPDATE quarantine SET settled_at = now(), settled_by = 'discarded' WHERE customer_id = :customer
                """),
                {"customer": desk.customer},
            )


async def test_old_rows_go_but_never_what_is_held_nor_who_discarded_what(desk: Desk) -> None:
    await desk.tell(builders.sale(desk.customer, {"bread": 1, "wine": 1, "oil": 1}))
    await desk.define(builders.item(desk.customer, "bread"))
    await desk.release()
    async with desk.engine.begin() as connection:
        wine = [one.id for one in await outcomes(desk, "held") if one.rejected.item_id == "wine"]
        await quarantine.discard(connection, Selection(wine), who="anna", why="no wine here")
        assert await quarantine.purge(connection, keep=timedelta(hours=1)) == 0
        while await quarantine.purge(connection, keep=timedelta(0)):
            pass
    left = {one.rejected.item_id: one for one in await outcomes(desk)}
    assert {item: one.state for item, one in left.items()} == {"oil": "held", "wine": "discarded"}
    assert left["oil"].rejected.value is not None

    async with desk.engine.begin() as connection:
        oil = Selection([left["oil"].id])
        await quarantine.discard(connection, oil, who="anna", why="nor oil")
        while await quarantine.purge(connection, keep=timedelta(0)):
            pass
    assert [(one.settled_why, one.rejected.value) for one in await outcomes(desk)] == [
        ("nor oil", None),
        ("no wine here", None),
    ]


async def test_on_the_command_line_a_selection_is_tried_again_and_the_rest_discarded(
    desk: Desk, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMI_DATABASE__URL", database_url)
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    await desk.tell(builders.sale(desk.customer, {"bread": 3}))
    chosen = ("--customer", desk.customer)

    async def vmi(*arguments: str) -> Any:
        return await asyncio.to_thread(partial(CliRunner().invoke, app, ["quarantine", *arguments]))

    listed = await vmi("list", *chosen, "--reason", "unknown_item", "--topic", "sales", "--json")
    [one] = json.loads(listed.stdout)
    assert (one["state"], one["tries"], one["worker"]) == ("held", 0, "inventory")
    assert json.loads((await vmi("list", *chosen, "--until", "2020-01-01", "--json")).stdout) == []

    trying = asyncio.create_task(vmi("retry", one["id"][:13], "--json"))
    while not trying.done():
        await desk.release()
        await asyncio.sleep(0.05)
    tried = await trying
    assert tried.exit_code == 1
    assert [held["tries"] for held in json.loads(tried.stdout)["held"]] == [1]

    assert (await vmi("retry")).exception is not None  # nothing chosen is not everything
    refused = await vmi("discard", *chosen, "--why", "no bread")
    assert "say --yes" in str(refused.exception)
    assert (await vmi("discard", *chosen)).exit_code == 2  # without a reason
    await vmi("discard", *chosen, "--why", "no bread", "--who", "anna", "--yes")
    [gone] = json.loads((await vmi("list", *chosen, "--state", "discarded", "--json")).stdout)
    assert (gone["settled_who"], gone["settled_why"]) == ("anna", "no bread")


async def test_facts_that_were_put_aside_by_their_reader_are_not_tried_by_another(desk: Desk) -> None:
    await desk.tell(builders.sale(desk.customer, {"bread": 3}))
    await ask(desk)
    async with desk.engine.begin() as connection:
        take = partial(take_facts_again, desk._facts)
        transaction = Transaction(connection, Clock())
        assert not await retrying.try_again("forecast", [topic.name for topic in FACTS], take, transaction)
    assert [one.state for one in await outcomes(desk)] == ["due"]
