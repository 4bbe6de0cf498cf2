"""Valid documents; a test names only what it is about."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from vmi_contracts.inbound import (
    AgreementMade,
    GoodsReceived,
    ItemDefined,
    LocationDefined,
    OrderPlaced,
    ProposalAnswered,
    SalesRecorded,
    ShipmentDispatched,
    StockCounted,
    StockReported,
)

NOON: Final = datetime(2025, 3, 4, 12, tzinfo=UTC)
"""A Tuesday."""
HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)

Quantities = Mapping[str, int | str | Decimal]
"""Items and how many of each."""


def location(customer: str, location_id: str = "store-1", **changes: Any) -> LocationDefined:
    return LocationDefined(customer_id=customer, location_id=location_id, **changes)


def item(customer: str, item_id: str = "milk", **changes: Any) -> ItemDefined:
    return ItemDefined(customer_id=customer, item_id=item_id, **changes)


def agreement(customer: str, item_id: str = "milk", location_id: str = "store-1", **changes: Any) -> AgreementMade:
    terms: dict[str, Any] = {"supplier_id": "dairy", "lead_time_days": 2, **changes}
    return AgreementMade.model_validate(
        {"customer_id": customer, "location_id": location_id, "item_id": item_id, **terms}
    )


def stock(customer: str, quantities: Quantities, at: datetime = NOON, location_id: str = "store-1") -> StockReported:
    return StockReported.model_validate(
        {
            "customer_id": customer,
            "location_id": location_id,
            "as_of": at,
            "lines": [{"item_id": name, "on_hand": str(quantity)} for name, quantity in quantities.items()],
        }
    )


def count(customer: str, quantities: Quantities, at: datetime = NOON, location_id: str = "store-1") -> StockCounted:
    return StockCounted.model_validate(
        {
            "customer_id": customer,
            "location_id": location_id,
            "as_of": at,
            "lines": [{"item_id": name, "on_hand": str(quantity)} for name, quantity in quantities.items()],
        }
    )


def sale(customer: str, quantities: Quantities, at: datetime = NOON, location_id: str = "store-1") -> SalesRecorded:
    return SalesRecorded.model_validate(
        {
            "customer_id": customer,
            "location_id": location_id,
            "occurred_at": at,
            "lines": [{"item_id": name, "quantity": str(quantity)} for name, quantity in quantities.items()],
        }
    )


def answer(customer: str, lines: list[dict[str, Any]], at: datetime = NOON) -> ProposalAnswered:
    return ProposalAnswered.model_validate(
        {"customer_id": customer, "location_id": "store-1", "answered_at": at, "lines": lines}
    )


def order(
    customer: str, order_id: str, lines: list[dict[str, Any]], at: datetime = NOON, revision: int = 0
) -> OrderPlaced:
    return OrderPlaced.model_validate(
        {
            "customer_id": customer,
            "location_id": "store-1",
            "order_id": order_id,
            "placed_at": at,
            "revision": revision,
            "lines": lines,
        }
    )


def shipment(customer: str, shipment_id: str, lines: list[dict[str, Any]], at: datetime = NOON) -> ShipmentDispatched:
    return ShipmentDispatched.model_validate(
        {
            "customer_id": customer,
            "location_id": "store-1",
            "shipment_id": shipment_id,
            "shipped_at": at,
            "lines": lines,
        }
    )


def receipt(customer: str, receipt_id: str, lines: list[dict[str, Any]], at: datetime = NOON) -> GoodsReceived:
    return GoodsReceived.model_validate(
        {"customer_id": customer, "location_id": "store-1", "receipt_id": receipt_id, "received_at": at, "lines": lines}
    )
