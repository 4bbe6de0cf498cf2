"""What partners may send and what is refused, field by field, at the door."""

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vmi_contracts import envelope, writing
from vmi_contracts.envelope import UnreadableEnvelope
from vmi_contracts.inbound import AgreementMade, LocationDefined, ProposalAnswered, SalesRecorded, StockReported
from vmi_contracts.values import plain

SALE: dict[str, Any] = {
    "customer_id": "retailer-1",
    "location_id": "0012",
    "occurred_at": "2025-03-04T12:00:00+01:00",
    "lines": [{"item_id": "007", "quantity": "3"}],
}


def sale_of(quantity: str) -> bytes:
    return json.dumps(SALE).replace('"3"', quantity).encode()


def test_p12_unknown_fields_are_ignored_so_that_a_partner_may_add_some() -> None:
    sale = SalesRecorded.model_validate({**SALE, "till": 7, "lines": [{**SALE["lines"][0], "colour": "blue"}]})

    assert sale.lines[0].quantity == 3


def test_identifiers_keep_their_leading_zeros() -> None:
    sale = SalesRecorded.model_validate(SALE)

    assert (sale.location_id, sale.lines[0].item_id) == ("0012", "007")
    assert sale.key == "retailer-1|0012"


@pytest.mark.parametrize(
    ("sent", "read"), [('"3"', "3"), ("3", "3"), ("2.5", "2.5"), ('"0.000001"', "0.000001"), ("1e3", "1000")]
)
def test_quantities_are_read_from_strings_and_from_numbers(sent: str, read: str) -> None:
    assert SalesRecorded.model_validate_json(sale_of(sent)).lines[0].quantity == Decimal(read)


@pytest.mark.parametrize(
    "sent",
    [
        '"NaN"',
        "NaN",
        '"Infinity"',
        "1e999",
        "1e30",
        '"0.0000001"',
        "0.12345678901234567",
        "true",
        '""',
        '"3\\u0000"',
        "-1",
        "[]",
        "null",
    ],
)
def test_what_is_no_plain_quantity_is_refused(sent: str) -> None:
    with pytest.raises(ValidationError):
        SalesRecorded.model_validate_json(sale_of(sent))


@pytest.mark.parametrize("name", ["", " ", "a\x00b", "a|b", "x" * 81, "tab\tbed"])
def test_what_is_no_identifier_is_refused(name: str) -> None:
    with pytest.raises(ValidationError):
        SalesRecorded.model_validate({**SALE, "customer_id": name})


@pytest.mark.parametrize(
    "moment", ["2025-03-04T12:00:00", "yesterday", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59Z"]
)
def test_a_time_without_its_offset_or_outside_history_is_refused(moment: str) -> None:
    with pytest.raises(ValidationError):
        SalesRecorded.model_validate({**SALE, "occurred_at": moment})


def test_a_stock_report_may_name_a_day_only() -> None:
    report = {"customer_id": "c", "location_id": "l", "lines": [{"item_id": "i", "on_hand": "5"}]}

    assert StockReported.model_validate_json(json.dumps({**report, "as_of": "2025-03-04"})).as_of == date(2025, 3, 4)
    assert isinstance(
        StockReported.model_validate_json(json.dumps({**report, "as_of": "2025-03-04T09:00:00Z"})).as_of, datetime
    )


def test_a_period_runs_forward() -> None:
    with pytest.raises(ValidationError, match="period_start lies after"):
        SalesRecorded.model_validate({**SALE, "period_start": "2025-03-05T12:00:00+01:00"})


def test_a_document_has_at_least_one_line() -> None:
    with pytest.raises(ValidationError):
        SalesRecorded.model_validate({**SALE, "lines": []})


def test_an_unknown_time_zone_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match="Mars/Olympus"):
        LocationDefined(customer_id="c", location_id="l", time_zone="Mars/Olympus")


@pytest.mark.parametrize(
    ("terms", "complaint"),
    [
        ({"policy": "minimum_maximum", "minimum": "5"}, "needs both"),
        ({"minimum": "5", "maximum": "4"}, "above the maximum"),
        ({"service_measure": "cost"}, "needs holding_cost"),
        ({"service_target": 1}, "service_target"),
        ({"pack": "0"}, "pack"),
        ({"effective_from": "2025-02-01", "effective_to": "2025-01-01"}, "before effective_from"),
        ({"load_building": "layers", "pallet": "40"}, "needs a pallet, and by layers a pallet_layer"),
        ({"load_building": "pallets", "pallet": "40", "pack": "12"}, "no whole number of the multiple or pack"),
        ({"load_building": "trucks", "pallet": "40"}, "what one holds"),
        ({"load_building": "trucks", "load_weight": "900"}, "needs a gross_weight"),
        ({"load_building": "trucks", "load_volume": "30"}, "needs a gross_volume"),
        ({"load_building": "trucks", "pallet": "40", "load_pallets": 26, "pack": "12"}, "trucks that fill by 40"),
    ],
)
def test_an_agreement_that_contradicts_itself_is_refused(terms: dict[str, Any], complaint: str) -> None:
    keys = {"customer_id": "c", "location_id": "l", "item_id": "i", "supplier_id": "s"}

    with pytest.raises(ValidationError, match=complaint):
        AgreementMade.model_validate({**keys, **terms})


def test_a_change_says_how_much() -> None:
    line = {"proposal_id": "12345678-1234-5678-1234-567812345678", "version": 1, "answer": "change"}

    with pytest.raises(ValidationError, match="quantity it changes to"):
        ProposalAnswered.model_validate(
            {"customer_id": "c", "location_id": "l", "answered_at": "2025-03-04T12:00:00Z", "lines": [line]}
        )


# The envelope --------------------------------------------------------------------------------------------------------


def test_a_record_is_written_in_binary_mode_and_read_back() -> None:
    sale = SalesRecorded.model_validate(SALE)
    written = writing.record(sale, source="/pos/12", message_id="42", time=datetime(2025, 3, 4, tzinfo=UTC))

    read = envelope.read(written.value, written.headers)

    assert (read.source, read.message_id, read.message_type) == ("/pos/12", "42", "vmi.sales-recorded.v1")
    assert SalesRecorded.model_validate_json(read.data) == sale
    assert json.loads(written.value)["lines"][0]["quantity"] == "3"


def test_structured_mode_is_read_too() -> None:
    event = {"specversion": "1.0", "id": "42", "source": "/pos/12", "type": "vmi.sales-recorded.v1", "data": SALE}

    read = envelope.read(json.dumps(event).encode(), [])

    assert read.message_id == "42"
    assert SalesRecorded.model_validate_json(read.data) == SalesRecorded.model_validate(SALE)


@pytest.mark.parametrize("missing", ["ce_specversion", "ce_id", "ce_source", "ce_type"])
def test_a_missing_header_is_named(missing: str) -> None:
    headers = envelope.headers(source="/pos/12", message_id="42", message_type="t")

    with pytest.raises(UnreadableEnvelope, match=f"{missing}|specversion"):
        envelope.read(b"{}", [(name, value) for name, value in headers if name != missing])


def test_another_version_of_cloudevents_is_an_unknown_version() -> None:
    headers = [
        (n, b"2.0" if n == "ce_specversion" else v)
        for n, v in envelope.headers(source="s", message_id="1", message_type="t")
    ]

    with pytest.raises(UnreadableEnvelope) as refused:
        envelope.read(b"{}", headers)

    assert refused.value.reason == "unknown_version"


@given(
    value=st.none() | st.binary(max_size=200),
    headers=st.lists(st.tuples(st.sampled_from(["ce_id", "ce_type", "ce_specversion", "x"]), st.binary(max_size=20))),
)
def test_any_bytes_are_either_an_envelope_or_refused_with_a_reason(
    value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    try:
        envelope.read(value, headers)
    except UnreadableEnvelope as refused:  # either is fine; that it says why is the law
        assert refused.reason in {"unreadable", "unknown_version"}  # noqa: PT017
        assert str(refused)  # noqa: PT017


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12) + 1, max_value=10**12 - 1, places=6))
def test_a_quantity_comes_back_exactly_as_it_was_written(quantity: Decimal) -> None:
    written = plain(quantity)

    assert Decimal(written) == quantity
    assert "e" not in written.lower()
