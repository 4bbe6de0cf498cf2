"""The topics: the only place where a topic's name, key, partitions and retention are written."""

from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from vmi_contracts import inbound, internal, outbound, plans

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic and the documents that may stand on it. A breaking change is a new topic, ``….v2``."""

    name: str
    documents: tuple[type[BaseModel], ...]
    key: str
    """What a record's key is made of, in words."""
    partitions: int = 8
    retention_days: int | None = 30
    """None keeps records for ever (a compacted topic keeps the last of each key)."""
    compacted: bool = False

    @property
    def by_type(self) -> dict[str, type[BaseModel]]:
        """The documents by the CloudEvents type they travel under."""
        return {document.message_type: document for document in self.documents}  # type: ignore[attr-defined]

    @property
    def config(self) -> dict[str, str]:
        """The broker's settings of the topic. The append time is the broker's: it is our ``recorded_at``."""
        return {
            "message.timestamp.type": "LogAppendTime",
            "cleanup.policy": "compact" if self.compacted else "delete",
            "retention.ms": "-1" if self.retention_days is None else str(self.retention_days * DAY_MS),
            "max.message.bytes": str(2 * 1024 * 1024),
        }


CATALOGUE = Topic(
    "vmi.catalogue.v1",
    (inbound.LocationDefined, inbound.ItemDefined),
    key="location|customer|location or item|customer|item",
    retention_days=None,
    compacted=True,
)
AGREEMENTS = Topic(
    "vmi.agreements.v1",
    (inbound.AgreementMade, inbound.AgreementChangeAnswered),
    key="customer|location|item|supplier|effective from[|party] or answer|customer|request",
    retention_days=None,
    compacted=True,
)
STOCK = Topic(
    "vmi.stock.v1",
    (
        inbound.StockReported,
        inbound.StockCounted,
        inbound.StockAdjusted,
        inbound.StockTransferred,
        inbound.TitleTransferred,
        inbound.StockRetracted,
    ),
    key="customer|location",
    retention_days=None,
)
SALES = Topic(
    "vmi.sales.v1", (inbound.SalesRecorded, inbound.SalesRetracted), key="customer|location", retention_days=None
)
ORDERS = Topic(
    "vmi.orders.v1",
    (inbound.OrderPlaced, inbound.ShipmentDispatched, inbound.GoodsReceived, inbound.OrdersRetracted),
    key="customer|location",
    retention_days=None,
)
SUPPLY = Topic("vmi.supply.v1", (inbound.SupplyStated,), key="supplier or customer|supplier", retention_days=None)
DEMAND_PLANS = Topic("vmi.demand-plans.v1", plans.DOCUMENTS, key="customer|location", retention_days=None)
POSITIONS = Topic("vmi.positions.v1", (internal.PositionsChanged,), key="customer|location", retention_days=7)
FORECASTS = Topic("vmi.forecasts.v1", (internal.ForecastsChanged,), key="customer|location", retention_days=7)
PROPOSALS = Topic("vmi.proposals.v1", (outbound.ProposalsIssued,), key="customer|location", retention_days=None)
LIVE_PROPOSALS = Topic(
    "vmi.live-proposals.v1", (outbound.ProposalStands,), key="proposal", retention_days=None, compacted=True
)
PROPOSAL_ANSWERS = Topic(
    "vmi.proposal-answers.v1",
    (inbound.ProposalAnswered, inbound.ReplenishmentRequested, inbound.OrderNumbersAssigned),
    key="customer|location",
    retention_days=None,
)
EXCEPTIONS = Topic("vmi.exceptions.v1", (outbound.ExceptionsChanged,), key="customer|location", retention_days=None)
COUNT_REQUESTS = Topic(
    "vmi.count-requests.v1", (outbound.CountsRequested,), key="customer|location", retention_days=None
)

ALL: Final = (
    CATALOGUE,
    AGREEMENTS,
    STOCK,
    SALES,
    ORDERS,
    SUPPLY,
    DEMAND_PLANS,
    POSITIONS,
    FORECASTS,
    PROPOSALS,
    LIVE_PROPOSALS,
    PROPOSAL_ANSWERS,
    EXCEPTIONS,
    COUNT_REQUESTS,
)


def named(name: str) -> Topic:
    """Return the topic by its full name or by its plural alone (``sales``), or raise KeyError."""
    for topic in ALL:
        if name in (topic.name, topic.name.split(".")[1]):
            return topic
    raise KeyError(name)


def of_type(message_type: str) -> Topic:
    """Return the topic on which documents of this CloudEvents type stand, or raise KeyError."""
    for topic in ALL:
        if message_type in topic.by_type:
            return topic
    raise KeyError(message_type)
