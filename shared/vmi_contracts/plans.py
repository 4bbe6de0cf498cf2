"""What customers and planners say of demand to come, and of what the history should count: read tolerantly."""

from datetime import date
from enum import StrEnum
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from vmi_contracts.document import MOST_LINES, Document
from vmi_contracts.inbound import ItemLine
from vmi_contracts.values import Amount, Identifier, Instant, ItemId, Quantity, Text

Factor = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
"""Times what is usual: 1 is as usual, 1.5 half as much again, 0 nothing at all."""

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
"""Text that cannot be missing: who said it, and why."""

LONGEST_PLAN_DAYS = 800
"""The longest stretch of days that one line may speak of."""


class DayLine(ItemLine):
    """A line about one item on some of the site's own days."""

    from_day: date
    to_day: date | None = None
    """The last day; ``from_day`` alone where it is missing."""

    @model_validator(mode="after")
    def _days_run_forward(self) -> Self:
        if self.to_day is not None and not 0 <= (self.to_day - self.from_day).days < LONGEST_PLAN_DAYS:
            raise ValueError(f"to_day lies before from_day, or more than {LONGEST_PLAN_DAYS} days after it")
        return self


class DemandPlan(Document):
    """What every document about demand to come carries.

    A plan is named by ``plan_id``; a higher ``revision`` of it takes the place of all its lines, and one with
    ``withdrawn`` takes it back.
    """

    plan_id: Identifier
    stated_at: Instant

    based_on_revision: Annotated[int, Field(ge=0)] | None = None
    """The revision the sender has seen: where another one stands by now, this one is refused (F39)."""

    withdrawn: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.lines and not self.withdrawn:
            raise ValueError("lines: none, and the plan is not withdrawn")
        return self


class DemandBasis(StrEnum):
    """What a planned quantity means (S13); nothing serves as a default."""

    GROSS = "gross"
    """Demand: stock and what is on its way are netted here."""
    NET = "net"
    """What is to be delivered: the customer has netted stock and receipts already."""


class Commitment(StrEnum):
    """How far the customer stands by a planned quantity (EDIFACT 4017)."""

    FIRM = "firm"
    MANUFACTURING = "manufacturing"
    """Committed to manufacturing and material."""
    MATERIAL = "material"
    FORECAST = "forecast"


class PlannedLine(DayLine):
    quantity: Amount
    """Of all its days together."""
    commitment: Commitment = Commitment.FORECAST


class DemandPlanned(DemandPlan):
    """A customer's own plan of its demand, or of what it wants delivered: it takes the forecast's place on its days."""

    message_type: ClassVar[str] = "vmi.demand-planned.v1"

    basis: DemandBasis
    author: Text = ""
    reason: Text = ""

    lines: Annotated[tuple[PlannedLine, ...], Field(max_length=MOST_LINES)] = ()


class BookedLine(ItemLine):
    due_on: date
    quantity: Amount


class DemandBooked(DemandPlan):
    """Firm orders of the customer's own buyers: known demand, which uses up the forecast of its time (F36)."""

    message_type: ClassVar[str] = "vmi.demand-booked.v1"

    author: Text = ""
    reason: Text = ""

    lines: Annotated[tuple[BookedLine, ...], Field(max_length=MOST_LINES)] = ()


class OverrideLine(DayLine):
    quantity: Amount
    """What to expect of all its days together, in the place of the forecast."""


class ForecastOverridden(DemandPlan):
    """A person knows better: on these days the quantity *replaces* the forecast (F37)."""

    message_type: ClassVar[str] = "vmi.forecast-overridden.v1"

    author: Words
    reason: Words

    lines: Annotated[tuple[OverrideLine, ...], Field(max_length=MOST_LINES)] = ()


class HistoryLine(DayLine):
    quantity: Quantity | None = None
    """What is *added* to the demand the forecast learns from, over all its days; negative takes away."""
    excluded: bool = False
    """The forecast learns nothing from these days, as if nobody had looked."""

    @model_validator(mode="after")
    def _adds_or_excludes(self) -> Self:
        if (self.quantity is None) is not self.excluded:
            raise ValueError("a line either adds a quantity or is excluded")
        return self


class HistoryAdjusted(DemandPlan):
    """What the forecast should learn from differs from what was sold, say after a one-off project (F37).

    Sales and stock stay as they are.
    """

    message_type: ClassVar[str] = "vmi.history-adjusted.v1"

    author: Words
    reason: Words

    lines: Annotated[tuple[HistoryLine, ...], Field(max_length=MOST_LINES)] = ()


class PromotionLine(DayLine):
    uplift: Factor | None = None
    """Demand over what is usual; learned from this item's earlier promotions where it is missing."""


class PromotionPlanned(DemandPlan):
    """A promotion, an opening or another event, before it happens or after: its days are not what is usual (S22)."""

    message_type: ClassVar[str] = "vmi.promotion-planned.v1"

    kind: Literal["promotion", "opening", "event"] = "promotion"
    author: Text = ""
    reason: Text = ""

    lines: Annotated[tuple[PromotionLine, ...], Field(max_length=MOST_LINES)] = ()


class SurveyLine(DayLine):
    factor: Factor | None = None
    """Demand over what is usual."""
    change_per_day: Quantity | None = None
    """Base units or ``unit``, more or less than usual on each day."""

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if (self.factor is None) is (self.change_per_day is None):
            raise ValueError("a line says either a factor or a change_per_day")
        return self


class DemandSurveyed(DemandPlan):
    """What the customer's people expect, asked or of their own accord: a dated change of what is usual."""

    message_type: ClassVar[str] = "vmi.demand-surveyed.v1"

    author: Words
    reason: Words

    lines: Annotated[tuple[SurveyLine, ...], Field(max_length=MOST_LINES)] = ()


class SuccessionLine(ItemLine):
    """An item that ends; with ``successor_id``, one that takes its place."""

    last_order_day: date
    """After it nothing more is proposed of the item."""
    successor_id: ItemId | None = None
    from_day: date | None = None
    """The successor's first own day; the day after ``last_order_day`` where it is missing."""
    ratio: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] = 1.0
    """The successor's demand over its predecessor's, in base units of each."""
    is_interchangeable: bool = False
    """Whether the predecessor's stock serves the successor's buyers."""

    @model_validator(mode="after")
    def _follows_another_item(self) -> Self:
        if self.successor_id == self.item_id:
            raise ValueError("successor_id: an item cannot follow itself")
        return self


class RangeChanged(DemandPlan):
    """Items that end, and those that follow them and inherit their history (S21). Withdrawn, all is as before."""

    message_type: ClassVar[str] = "vmi.range-changed.v1"

    author: Text = ""
    reason: Text = ""

    lines: Annotated[tuple[SuccessionLine, ...], Field(max_length=MOST_LINES)] = ()


DOCUMENTS = (
    DemandPlanned,
    DemandBooked,
    ForecastOverridden,
    HistoryAdjusted,
    PromotionPlanned,
    DemandSurveyed,
    RangeChanged,
)
"""All that may stand on the topic of demand plans."""
