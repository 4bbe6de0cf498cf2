"""Records as documents: who said what, line by line. One bad line does not stop the others."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, cast

from pydantic import BaseModel, ValidationError

from vmi_contracts import envelope, topics
from vmi_contracts.envelope import Envelope, UnreadableEnvelope
from vmi_contracts.inbound import (
    GoodsReceived,
    ItemLine,
    OrderPlaced,
    OrdersRetracted,
    Retraction,
    SalesRecorded,
    SalesRetracted,
    ShipmentDispatched,
    StockAdjusted,
    StockCounted,
    StockReported,
    StockRetracted,
    StockTransferred,
    TitleTransferred,
)
from vmi_contracts.plans import DOCUMENTS as PLANS
from vmi_contracts.plans import (
    DemandBooked,
    DemandPlanned,
    DemandSurveyed,
    ForecastOverridden,
    HistoryAdjusted,
    PromotionPlanned,
    RangeChanged,
)
from vmi_domain.stock import corrections
from vmi_domain.stock.corrections import Target
from vmi_inventory.rejecting import WORKER, rejected
from vmi_runtime.rejections import Reason, good_lines
from vmi_runtime.worker import Record, recorded_at
from vmi_store import inbox
from vmi_store.inbox import Letter
from vmi_store.quarantine import Rejected

FUTURE_SKEW: Final = timedelta(days=1)
"""How far a fact may lie after its record's append time: wrong clocks and zones, and reports for the day that runs."""

LONGEST_PERIOD: Final = timedelta(days=400)
"""The longest period over which sales are added up; a longer one says nothing about days."""

FactDocument = (
    SalesRecorded
    | StockReported
    | StockCounted
    | StockAdjusted
    | StockTransferred
    | TitleTransferred
    | OrderPlaced
    | ShipmentDispatched
    | GoodsReceived
    | DemandPlanned
    | DemandBooked
    | ForecastOverridden
    | HistoryAdjusted
    | PromotionPlanned
    | DemandSurveyed
    | RangeChanged
    | Retraction
)

_RETRACTIONS: Final = frozenset({StockRetracted, SalesRetracted, OrdersRetracted})
_CHANGES: Final = frozenset({OrderPlaced, ShipmentDispatched})
"""Documents whose revisions go on from each other; those of others take each other's place."""


_PLANS: Final = frozenset(PLANS)
"""Their revisions take each other's place by the plan's own name."""


@dataclass(slots=True)
class Told:
    """A document as somebody told it, and those of its lines that can be read."""

    record: Record
    letter: Letter
    body: FactDocument
    happened: datetime | date
    """When its facts happened, in UTC; a day where a report names no more than that."""
    recorded_at: datetime
    numbers: Sequence[int] | None = None
    """The place of each of the body's lines in the document as it was sent, from 1; None where all are there."""
    name_key: bytes = b""
    """The document's inbox key in revision 0: its name."""
    supersedes: Sequence[Target] = ()
    """What it takes the place of, or takes back, by their names' inbox keys."""
    may_be_superseded: bool = False
    """Whether something may have been said about it before it came."""

    @property
    def is_fact(self) -> bool:
        """Whether it tells what happened; a retraction tells of other documents alone."""
        return type(self.body) not in _RETRACTIONS

    @property
    def is_plan(self) -> bool:
        return type(self.body) in _PLANS

    @property
    def numbered(self) -> Iterable[tuple[int, ItemLine]]:
        lines = cast(Sequence[ItemLine], self.body.lines)
        return enumerate(lines, 1) if self.numbers is None else zip(self.numbers, lines, strict=True)


@dataclass(slots=True)
class Post:
    """What a batch of records brings."""

    told: list[Told] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)


def read_facts(records: Sequence[Record]) -> Post:
    """Return the documents that the records carry, and what of them cannot be read."""
    post = Post()
    for record in records:
        try:
            message = envelope.read(record.value, record.headers)
        except UnreadableEnvelope as error:
            post.rejected.append(rejected(record, error.reason, str(error)))
            continue
        document = documents_of(record.topic).get(message.message_type)
        if document is None:
            post.rejected.append(unknown_type(record, message.message_type))
            continue
        try:
            # What ``model_validate_json`` does, without its detour.
            body = cast(FactDocument, document.__pydantic_validator__.validate_json(message.data))
        except ValidationError as error:
            good, numbers, bad = good_lines(record, document, message.data, error, worker=WORKER)
            post.rejected += bad
            if good is not None:
                _take(post, record, message, cast(FactDocument, good), numbers)
        else:
            _take(post, record, message, body, None)
    return post


@lru_cache(maxsize=64)
def documents_of(topic: str) -> Mapping[str, type[BaseModel]]:
    """Return the documents that may stand on a topic, by their type."""
    return topics.named(topic).by_type


def unknown_type(record: Record, message_type: str) -> Rejected:
    """Return the rejection of a record whose document does not belong on its topic, or not in this version."""
    stem, _, version = message_type.rpartition(".")
    if version.startswith("v") and any(known.startswith(f"{stem}.") for known in documents_of(record.topic)):
        return rejected(record, Reason.UNKNOWN_VERSION, f"{stem!r} is not read in version {version!r}")
    return rejected(record, Reason.UNKNOWN_TYPE, f"{message_type!r} does not belong on {record.topic}")


def _take(post: Post, record: Record, message: Envelope, body: FactDocument, numbers: Sequence[int] | None) -> None:
    """Add a readable document to the post, unless it says what cannot be."""
    told_at = recorded_at(record)
    kind = type(body)
    is_fact = kind not in _RETRACTIONS
    happened = _HAPPENED_AT[kind](body) if is_fact else told_at
    if isinstance(happened, datetime):
        happened = happened.astimezone(UTC)
    refusal = _refusal(body, happened, told_at)
    if refusal is not None:
        reason, detail = refusal
        post.rejected.append(
            rejected(record, reason, detail, customer_id=body.customer_id, location_id=body.location_id)
        )
        return
    letter = inbox.letter(
        customer_id=body.customer_id,
        source=message.source,
        message_id=message.message_id,
        revision=body.revision,
        payload=message.data,
        declaration="" if is_fact else "retraction",
        location_id=body.location_id if is_fact else None,
        happened=happened if is_fact else None,
    )
    told = Told(record, letter, body, happened, told_at, numbers, letter.message_key)
    if not is_fact or (kind not in _PLANS and (body.revision or body.replaces)):  # type: ignore[union-attr]
        _correct(told, message)
    post.told.append(told)


def _correct(told: Told, message: Envelope) -> None:
    """Note what a document says about others, and about itself as it was before."""
    body: Any = told.body

    def name(source: str | None, message_id: str) -> bytes:
        return inbox.message_key(
            customer_id=body.customer_id, source=source or message.source, message_id=message_id, revision=0
        )

    own = name(None, message.message_id)
    if isinstance(body, Retraction):
        others = [(name(one.source, one.message_id), one.revision) for one in body.retracts] or [(own, None)]
        told.supersedes = corrections.targets(b"", 0, others)  # it has no name that others could refer to
        return
    told.name_key = own
    told.may_be_superseded = body.revision > 0
    others = [(name(one.source, one.message_id), one.revision) for one in body.replaces]
    told.supersedes = corrections.targets(own, body.revision, others, revises=type(body) not in _CHANGES)


# By the very type: asking pydantic's models whether they are instances takes longer than reading them.
_HAPPENED_AT: Final[Mapping[type[FactDocument], Callable[[Any], datetime | date]]] = {
    SalesRecorded: attrgetter("occurred_at"),
    StockAdjusted: attrgetter("occurred_at"),
    StockTransferred: attrgetter("occurred_at"),
    TitleTransferred: attrgetter("occurred_at"),
    StockReported: attrgetter("as_of"),
    StockCounted: attrgetter("as_of"),
    OrderPlaced: attrgetter("placed_at"),
    ShipmentDispatched: attrgetter("shipped_at"),
    GoodsReceived: attrgetter("received_at"),
    **dict.fromkeys(PLANS, attrgetter("stated_at")),
}


def _refusal(body: FactDocument, happened: datetime | date, told_at: datetime) -> tuple[Reason, str] | None:
    """Return why a document as a whole is not taken in, or None. The past is not bounded."""
    if (happened if isinstance(happened, datetime) else _begin(happened)) > told_at + FUTURE_SKEW:
        return Reason.FUTURE_TIME, f"it is of {happened.isoformat()}, and was recorded at {told_at.isoformat()}"
    if type(body) is StockTransferred and body.to_location_id == body.location_id:
        return Reason.INVALID, "to_location_id: it is where the stock is already"
    start: datetime | None = getattr(body, "period_start", None)
    if start is not None and isinstance(happened, datetime) and happened - start > LONGEST_PERIOD:
        return Reason.INVALID, f"period_start: the period is longer than {LONGEST_PERIOD.days} days"
    return None


def _begin(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
