"""What bad input gets: quarantined with its reason, place and bytes, while everything else goes on."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from vmi_contracts import envelope, topics
from vmi_contracts.document import MOST_LINES
from vmi_inventory.documents import read_facts
from vmi_inventory.master_data import read_master_data
from vmi_runtime.worker import FetchedRecord
from vmi_testing.builders import NOON, agreement, item, location, sale
from vmi_testing.examples import examples
from vmi_testing.inventory import RECORDED, Desk, raw_record, record

SALE = "vmi.sales-recorded.v1"
HEADERS = envelope.headers(source="/test", message_id="1", message_type=SALE)


@pytest.fixture
async def desk(engine: AsyncEngine, customer: str) -> Desk:
    made = Desk(engine, customer)
    await made.introduce("milk")
    return made


def told(customer: str, *lines: dict[str, Any] | str, message_type: str = SALE, **fields: Any) -> FetchedRecord:
    """Return a record of a document, good or bad. A line that is text stands in it as it is."""
    topic = topics.of_type(message_type).name
    head = {"customer_id": customer, "location_id": "store-1", "occurred_at": NOON.isoformat(), **fields}
    body = ",".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    value = (json.dumps(head)[:-1] + f', "lines": [{body}]}}').encode()
    headers = envelope.headers(source="/test", message_id=str(hash(value)), message_type=message_type)
    return raw_record(value, headers, topic=topic)


GOOD = {"item_id": "milk", "quantity": "3"}


def line(quantity: str, **more: str) -> str:
    return json.dumps({"item_id": "milk", "quantity": "?", **more}).replace('"?"', quantity)


BAD_LINES = [
    (line('"NaN"'), "not_a_number"),
    (line("NaN"), "not_a_number"),
    (line('"Infinity"'), "not_a_number"),
    (line("1e999"), "not_a_number"),
    (line('"many"'), "not_a_number"),
    (line("null"), "not_a_number"),
    (line("1e30"), "too_large"),
    (line('"99999999999999999999"'), "too_large"),
    (line("-1"), "invalid"),
    (line('"0.0000001"'), "invalid"),
    (line("true"), "invalid"),
    (line("0.12345678901234567"), "invalid"),
    ("3", "invalid"),
    ("null", "invalid"),
    (json.dumps({"quantity": "3"}), "invalid"),
    (json.dumps({"item_id": "mi\x00lk", "quantity": "3"}), "invalid"),
    (json.dumps({"item_id": "x" * 81, "quantity": "3"}), "invalid"),
    (json.dumps({"item_id": "caviar", "quantity": "3"}), "unknown_item"),
    (line("3", unit="PAL"), "unit_not_convertible"),
]


@pytest.mark.parametrize(("bad", "reason"), BAD_LINES, ids=lambda value: str(value)[:40])
async def test_a_bad_line_is_put_aside_and_the_other_lines_count(desk: Desk, bad: str, reason: str) -> None:
    sent = told(desk.customer, GOOD, bad, GOOD)
    await desk.deliver([sent])

    assert (await desk.stock()).physical == -6
    [held] = await desk.quarantined()
    assert (held.rejected.reason, held.rejected.line) == (reason, 2)
    assert (held.rejected.topic, held.rejected.offset, held.rejected.value) == (sent.topic, sent.offset, sent.value)
    assert list(held.rejected.headers) == list(sent.headers)


async def test_a_line_that_is_too_large_in_base_units_is_put_aside(desk: Desk) -> None:
    await desk.define(item(desk.customer, units={"SHIP": "999999999999"}), recorded_at=RECORDED + timedelta(hours=1))
    await desk.deliver([told(desk.customer, GOOD, {"item_id": "milk", "quantity": "999999999", "unit": "SHIP"})])

    assert [held.rejected.reason for held in await desk.quarantined()] == ["too_large"]


async def test_a_negative_count_is_put_aside(desk: Desk) -> None:
    lines = [{"item_id": "milk", "on_hand": "-1"}, {"item_id": "milk", "on_hand": "7"}]
    await desk.deliver([told(desk.customer, *lines, message_type="vmi.stock-reported.v1", as_of=NOON.isoformat())])

    assert (await desk.stock()).physical == 7
    [held] = await desk.quarantined()
    assert (held.rejected.reason, held.rejected.line) == ("negative_count", 1)
    assert "-1" in held.rejected.detail


BAD_DOCUMENTS: list[tuple[dict[str, Any], str]] = [
    ({"occurred_at": "2099-01-01T00:00:00Z"}, "future_time"),
    ({"occurred_at": "9999-12-31T23:59:59Z"}, "invalid"),
    ({"occurred_at": "2025-03-04T12:00:00"}, "invalid"),
    ({"occurred_at": "2025-03-04T12:00:00Z", "period_start": "2023-03-04T12:00:00Z"}, "invalid"),
    ({"location_id": ""}, "invalid"),
    ({"location_id": "moon"}, "unknown_location"),
]


@pytest.mark.parametrize(("fields", "reason"), BAD_DOCUMENTS, ids=lambda value: str(value)[:50])
async def test_a_document_that_cannot_be_is_put_aside_whole_and_the_next_one_counts(
    desk: Desk, fields: dict[str, Any], reason: str
) -> None:
    bad = told(desk.customer, GOOD, **fields)
    post = read_facts([bad])
    await desk.deliver([bad, told(desk.customer, GOOD)])

    assert (await desk.stock()).physical == -3
    reasons = [one.reason for one in post.rejected] or [held.rejected.reason for held in await desk.quarantined()]
    assert reasons == [reason]


async def test_a_report_for_the_day_that_is_running_is_no_future(desk: Desk) -> None:
    today = RECORDED.date()
    await desk.deliver(
        [
            told(
                desk.customer,
                {"item_id": "milk", "on_hand": "7"},
                message_type="vmi.stock-reported.v1",
                as_of=today.isoformat(),
            )
        ]
    )

    assert (await desk.stock()).physical == 7


BAD_RECORDS: list[tuple[bytes | None, list[tuple[str, bytes]], str]] = [
    (None, HEADERS, "unreadable"),
    (b"", HEADERS, "unreadable"),
    (b"\xff\xfe\x00", HEADERS, "unreadable"),
    (b"{", HEADERS, "unreadable"),
    (b"[]", HEADERS, "invalid"),
    (b"{}", HEADERS, "invalid"),
    (b"{}", [], "unreadable"),
    (b"[" * 100_000, HEADERS, "unreadable"),
    (b'{"lines": ' + b"[" * 100_000, HEADERS, "unreadable"),
    (b"{}", [*HEADERS[1:]], "unreadable"),
    (b"{}", [("ce_specversion", b"0.3"), *HEADERS[1:]], "unknown_version"),
    (b"{}", [*HEADERS, ("ce_id", None)], "unreadable"),  # type: ignore[list-item]
    (b"{}", [*HEADERS, ("ce_id", b"\xff")], "unreadable"),
    (b"{}", envelope.headers(source="/t", message_id="1", message_type="vmi.sales-recorded.v9"), "unknown_version"),
    (b"{}", envelope.headers(source="/t", message_id="1", message_type="vmi.stock-reported.v1"), "unknown_type"),
    (b"{}", envelope.headers(source="/t", message_id="1", message_type="weather"), "unknown_type"),
]


@pytest.mark.parametrize(("value", "headers", "reason"), BAD_RECORDS, ids=lambda value: str(value)[:30])
async def test_bytes_that_are_no_document_are_put_aside(
    desk: Desk, value: bytes | None, headers: list[tuple[str, bytes]], reason: str
) -> None:
    bad = raw_record(value, headers)
    [refused] = read_facts([bad]).rejected
    await desk.deliver([bad, record(sale(desk.customer, {"milk": 3}))])

    assert (refused.reason, refused.line, refused.value) == (reason, None, value)
    assert refused.detail
    assert (await desk.stock()).physical == -3


async def test_a_document_with_too_many_lines_is_put_aside(desk: Desk) -> None:
    [refused] = read_facts([told(desk.customer, *[GOOD] * (MOST_LINES + 1))]).rejected

    assert (refused.reason, refused.line) == ("invalid", None)


async def test_a_document_delivered_again_does_not_fill_the_quarantine(desk: Desk) -> None:
    sent = told(desk.customer, GOOD, line('"NaN"'), line('"NaN"'))
    await desk.deliver([sent])
    await desk.deliver([sent])

    assert len(await desk.quarantined()) == 2


async def test_a_line_for_an_unknown_item_waits_and_counts_when_the_catalogue_names_it(desk: Desk) -> None:
    sent = told(desk.customer, GOOD, {"item_id": "caviar", "quantity": "2"}, {"item_id": "truffle", "quantity": "1"})
    await desk.deliver([sent])
    await desk.release()
    assert len(await desk.quarantined()) == 2

    await desk.define(item(desk.customer, "caviar"))
    await desk.release()

    assert (await desk.stock("caviar")).physical == -2
    assert (await desk.stock()).physical == -3
    assert [held.rejected.item_id for held in await desk.quarantined()] == ["truffle"]
    assert [line.item_id for line in (await desk.published())[-1].lines] == ["caviar"]


async def test_a_document_for_an_unknown_location_waits_and_counts_when_an_agreement_names_it(
    engine: AsyncEngine, customer: str
) -> None:
    desk = Desk(engine, customer)
    await desk.deliver([told(customer, GOOD, {"item_id": "bread", "quantity": "2"}, line('"NaN"'))])
    assert {held.rejected.reason for held in await desk.quarantined()} == {"unknown_location", "not_a_number"}

    await desk.define(agreement(customer, "milk"))
    await desk.release()
    assert (await desk.stock()).physical == -3
    assert [held.rejected.reason for held in await desk.quarantined()] == ["unknown_item", "not_a_number"]

    await desk.define(item(customer, "bread"))
    await desk.release()
    assert (await desk.stock("bread")).physical == -2


async def test_a_transfer_waits_for_the_location_it_goes_to(desk: Desk) -> None:
    sent = told(
        desk.customer,
        {"item_id": "milk", "quantity": "2"},
        message_type="vmi.stock-transferred.v1",
        to_location_id="store-2",
    )
    await desk.deliver([sent])
    assert [held.rejected.location_id for held in await desk.quarantined()] == ["store-2"]

    await desk.define(location(desk.customer, "store-2"))
    await desk.release()

    assert (await desk.stock(location_id="store-2")).physical == 2
    assert (await desk.stock()).physical == -2


async def test_a_transfer_to_where_it_comes_from_is_put_aside(desk: Desk) -> None:
    sent = told(
        desk.customer,
        {"item_id": "milk", "quantity": "2"},
        message_type="vmi.stock-transferred.v1",
        to_location_id="store-1",
    )

    assert [one.reason for one in read_facts([sent]).rejected] == ["invalid"]


async def test_a_line_whose_unit_becomes_known_counts_by_it(desk: Desk) -> None:
    await desk.deliver([told(desk.customer, line("2", unit="CS"))])
    await desk.define(item(desk.customer, units={"CS": 12}), recorded_at=RECORDED + timedelta(hours=1))
    await desk.release()

    assert (await desk.stock()).physical == -24
    assert await desk.quarantined() == []


async def test_what_was_released_does_not_count_again_when_it_is_delivered_again(desk: Desk) -> None:
    sent = told(desk.customer, {"item_id": "caviar", "quantity": "2"})
    await desk.deliver([sent])
    await desk.define(item(desk.customer, "caviar"))
    await desk.release()
    await desk.deliver([sent])
    await desk.release()

    assert (await desk.stock("caviar")).physical == -2


async def test_a_bad_catalogue_entry_is_put_aside_and_the_next_one_counts() -> None:
    bad = [
        raw_record(b"{", HEADERS, topic=topics.CATALOGUE.name),
        record(location("c")),
        raw_record(
            b'{"customer_id": "c", "location_id": "l", "time_zone": "Mars/Olympus"}',
            envelope.headers(source="/t", message_id="1", message_type="vmi.location-defined.v1"),
            topic=topics.CATALOGUE.name,
        ),
        raw_record(
            None,
            envelope.headers(source="/t", message_id="1", message_type="vmi.location-defined.v1"),
            topic=topics.CATALOGUE.name,
        ),
    ]

    entries = read_master_data(bad)

    assert [one.reason for one in entries.rejected] == ["unknown_type", "invalid", "unreadable"]
    assert len(entries.locations) == 1


async def test_an_agreement_on_a_model_that_nobody_knows_is_put_aside_and_says_which_there_are() -> None:
    made = agreement("c").model_dump(mode="json") | {"forecast_models": ["oracle"]}
    entries = read_master_data(
        [
            raw_record(
                json.dumps(made).encode(),
                envelope.headers(source="/t", message_id="1", message_type="vmi.agreement-made.v1"),
                topic=topics.AGREEMENTS.name,
            )
        ]
    )

    [rejected] = entries.rejected
    assert rejected.reason == "invalid"
    assert "forecast_models" in rejected.detail
    assert "simple_smoothing" in rejected.detail


headers = st.lists(st.tuples(st.text(max_size=20), st.binary(max_size=20)), max_size=3)
our_headers = st.sampled_from([HEADERS, HEADERS[1:], []])
anything = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
nearly_documents = st.fixed_dictionaries(
    {},
    optional={
        "customer_id": st.just("c") | anything,
        "location_id": st.just("l") | anything,
        "occurred_at": st.datetimes(timezones=st.just(UTC)).map(datetime.isoformat) | anything,
        "lines": st.lists(
            st.fixed_dictionaries({}, optional={"item_id": st.just("i") | anything, "quantity": anything}) | anything,
            max_size=3,
        )
        | anything,
    },
)


@settings(max_examples=examples(300, nightly=100_000), suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    value=st.none() | st.binary(max_size=50) | (anything | nearly_documents).map(lambda one: json.dumps(one).encode()),
    more=headers,
    ours=our_headers,
)
def test_p08_no_bytes_stop_the_worker(value: bytes | None, more: list[tuple[str, bytes]], ours: list[Any]) -> None:
    post = read_facts([raw_record(value, [*ours, *more])])

    assert len(post.told) + len(post.rejected) >= 1
    assert len(read_master_data([raw_record(value, [*ours, *more], topic=topics.AGREEMENTS.name)]).rejected) == 1
