"""What customers, suppliers and operators tell us: read tolerantly."""

from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, Self
from uuid import UUID
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, model_validator

from vmi_contracts.document import MOST_LINES, Document, Line, Part
from vmi_contracts.values import (
    Amount,
    CustomerId,
    Identifier,
    Instant,
    ItemId,
    LocationId,
    Quantity,
    SupplierId,
    Text,
    Unit,
)


class Reference(Part):
    """Another document, by the CloudEvents source and id under which it travels."""

    message_id: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]

    source: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]*$")] | None = None
    """The same source as that of the document that refers to it, where it is missing."""

    revision: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Its revisions up to this one; all of them where it is missing."""


References = Annotated[tuple[Reference, ...], Field(max_length=100)]


class CorrectableDocument(Document):
    """A document about what happened at a location. A higher ``revision`` of it takes the place of the lower ones."""

    replaces: References = ()
    """Documents whose place this one takes (a corrected report), whether they came before it or are still to come. What
    is replaced stays so: if it was right after all, it is sent again under a new id."""


class Retraction(Document):
    """Documents that should never have been sent: what they said is taken back, as of when it happened.

    It may reuse the id of the document it retracts, as an EPCIS error declaration does; it is no duplicate of it.
    """

    retracts: References = ()
    """Without any it is the document that travels under the retraction's own source and id, in all its revisions."""

    reason: Literal["did_not_occur", "incorrect_data", "other"] = "other"

    lines: Annotated[tuple[Line, ...], Field(max_length=MOST_LINES)] = ()
    """Whole documents are retracted; lines say nothing."""


class ItemLine(Line):
    """A line about one item."""

    item_id: ItemId

    unit: Unit | None = None
    """The unit of the line's quantities; the item's base unit where it is missing."""


# Stock ---------------------------------------------------------------------------------------------------------------


class Status(StrEnum):
    """Why stock that is there is unavailable."""

    QUALITY_CONTROL = "quality_control"
    DAMAGED = "damaged"
    ON_HOLD = "on_hold"
    DISPLAY = "display"
    """On display, not for sale."""
    PROMOTIONAL = "promotional"
    """Set aside for a promotion: not for base demand."""
    RECALLED = "recalled"


class StockLine(ItemLine):
    """What stands at a location of one item (S1: quantities have names)."""

    on_hand: Quantity
    """Gross or available as agreed (``stock_basis``); a negative record is refused, its line quarantined."""

    unavailable: Amount = Decimal(0)
    """There, and not to be sold for a reason without a field of its own. All that is unavailable is the sum of this and
    the following six."""
    quality_control: Amount = Decimal(0)
    damaged: Amount = Decimal(0)
    on_hold: Amount = Decimal(0)
    display: Amount = Decimal(0)
    """On display, not for sale."""
    promotional: Amount = Decimal(0)
    """Set aside for a promotion."""
    recalled: Amount = Decimal(0)

    reserved: Amount = Decimal(0)
    """Promised to somebody already."""

    backlog: Amount = Decimal(0)
    """Owed to the customer's own buyers."""

    supplier_owned: Amount | None = None
    """What of the gross stock is still the supplier's (consigned); where it is missing, as ``title_transfer`` has it.
    It counts in the position as all stock does."""


class StockReported(CorrectableDocument):
    """Stock records, absolute, as of a time: what the customer's system says is there."""

    message_type: ClassVar[str] = "vmi.stock-reported.v1"

    as_of: Instant | date
    """A date alone means the end of that day at the site, or its start as agreed (``snapshot_cut_off``, S6)."""

    lines: Annotated[tuple[StockLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class StockCounted(CorrectableDocument):
    """A physical count: people looked, and this is there."""

    message_type: ClassVar[str] = "vmi.stock-counted.v1"

    as_of: Instant

    lines: Annotated[tuple[StockLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class AdjustmentLine(ItemLine):
    quantity: Quantity = Decimal(0)
    """What was added (positive) or written off (negative)."""

    unavailable: Quantity = Decimal(0)
    """What became unavailable without leaving (positive), or is held back no longer (negative): it is usable again, or
    gone. Of 5 that are recalled: ``unavailable`` 5; when they go back: ``quantity`` -5 and ``unavailable`` -5."""

    status: Status | None = None
    """Which status ``unavailable`` is about."""

    reason: Literal[
        "damaged",
        "expired",
        "lost",
        "found",
        "correction",
        "recalled",
        "status_changed",
        "returned_to_supplier",
        "other",
    ] = "other"

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if "quantity" not in self.model_fields_set and "unavailable" not in self.model_fields_set:
            raise ValueError("neither quantity nor unavailable is given")
        return self


class StockAdjusted(CorrectableDocument):
    """Stock that changed without being sold, received or moved: found, written off, sent back."""

    message_type: ClassVar[str] = "vmi.stock-adjusted.v1"

    occurred_at: Instant

    lines: Annotated[tuple[AdjustmentLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class TransferLine(ItemLine):
    quantity: Amount


class StockTransferred(CorrectableDocument):
    """Stock that left this location for another one of the same customer.

    It arrives there at the same moment; with a ``transfer_id`` it is on its way until goods are received there that
    name it as their shipment.
    """

    message_type: ClassVar[str] = "vmi.stock-transferred.v1"

    occurred_at: Instant

    to_location_id: LocationId

    transfer_id: Identifier | None = None
    expected_at: Instant | None = None
    """When it should arrive, if it is on its way."""

    lines: Annotated[tuple[TransferLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class TitleLine(ItemLine):
    quantity: Quantity
    """What became the customer's; negative: what became the supplier's again."""


class TitleTransferred(CorrectableDocument):
    """Stock that changed its owner and not its place (S16): consigned goods that were taken over, or have aged."""

    message_type: ClassVar[str] = "vmi.title-transferred.v1"

    occurred_at: Instant

    lines: Annotated[tuple[TitleLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class StockRetracted(Retraction):
    """Reports, counts, adjustments or transfers that are taken back."""

    message_type: ClassVar[str] = "vmi.stock-retracted.v1"


# Sales ---------------------------------------------------------------------------------------------------------------


class SalesLine(ItemLine):
    """What one item sold."""

    quantity: Amount
    """Sold or withdrawn, before returns."""

    returned: Amount = Decimal(0)
    """Brought back by buyers and fit to be sold again: stock comes, demand is none the less."""

    returned_defective: Amount = Decimal(0)
    """Brought back and not fit to be sold: it is there, and unavailable."""

    lost: Amount = Decimal(0)
    """Asked for and not there: demand, but no movement of stock."""


class DemandStream(StrEnum):
    """What figures are figures of (S14). Streams show one demand at several places: they are never summed."""

    SELL_THROUGH = "sell_through"
    """Sold to the customer's own buyers, before returns."""
    NET_SELL_THROUGH = "net_sell_through"
    """The same less what came back: ``returned`` is in it already, and is not added to the stock again."""
    WITHDRAWAL = "withdrawal"
    """Taken out of a warehouse, in the customer's own batches."""
    ORDER = "order"
    """Ordered by the customer's own buyers or stores."""


class SalesRecorded(CorrectableDocument):
    """What a customer sold on to its own buyers (sell-out, not our sell-in), at a moment or over a period."""

    message_type: ClassVar[str] = "vmi.sales-recorded.v1"

    occurred_at: Instant
    """When it was sold; for a period its end, which is when stock moves."""

    period_start: Instant | None = None
    """Set when the lines add up a period that ends at ``occurred_at``."""

    stream: DemandStream = DemandStream.SELL_THROUGH
    """Only the agreed one (``demand_stream``) is demand and moves stock; the others are kept and count nowhere."""

    lines: Annotated[tuple[SalesLine, ...], Field(min_length=1, max_length=MOST_LINES)]

    @model_validator(mode="after")
    def _period_runs_forward(self) -> Self:
        if self.period_start is not None and self.period_start > self.occurred_at:
            raise ValueError("period_start lies after occurred_at, the period's end")
        return self


class SalesRetracted(Retraction):
    """Sales that are taken back: they were not made, or not so."""

    message_type: ClassVar[str] = "vmi.sales-retracted.v1"


# Orders, shipments, receipts -----------------------------------------------------------------------------------------


class OrderLine(ItemLine):
    quantity: Amount
    """What is wanted now, not the change; 0 cancels the line."""

    proposal_id: UUID | None = None
    """The proposal it answers; without it the oldest open accepted proposal is taken."""

    expected_at: Instant | None = None
    """When the goods should arrive."""


class OrderPlaced(CorrectableDocument):
    """A replenishment order placed, or changed (a higher ``revision`` of the same order)."""

    message_type: ClassVar[str] = "vmi.order-placed.v1"

    order_id: Identifier
    placed_at: Instant

    lines: Annotated[tuple[OrderLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class ShipmentLine(ItemLine):
    quantity: Amount

    order_id: Identifier | None = None
    proposal_id: UUID | None = None


class ShipmentDispatched(CorrectableDocument):
    """Goods on their way to the location (despatch advice, ASN)."""

    message_type: ClassVar[str] = "vmi.shipment-dispatched.v1"

    shipment_id: Identifier
    shipped_at: Instant
    expected_at: Instant | None = None

    lines: Annotated[tuple[ShipmentLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class ReceiptLine(ItemLine):
    quantity: Amount
    """Received in this receipt alone, never a running total."""

    shipment_id: Identifier | None = None
    order_id: Identifier | None = None

    completed: bool = False
    """Nothing more will come of this line, whatever was shipped."""


class GoodsReceived(CorrectableDocument):
    """Goods that arrived at the location (receiving advice)."""

    message_type: ClassVar[str] = "vmi.goods-received.v1"

    receipt_id: Identifier
    received_at: Instant

    lines: Annotated[tuple[ReceiptLine, ...], Field(min_length=1, max_length=MOST_LINES)]


class OrdersRetracted(Retraction):
    """Orders, shipments or receipts that are taken back as errors. An order is cancelled by ordering 0 of it."""

    message_type: ClassVar[str] = "vmi.orders-retracted.v1"


# Catalogue and agreements --------------------------------------------------------------------------------------------


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone of the IANA database, such as Europe/Berlin") from None
    return name


TimeZone = Annotated[str, Field(max_length=60), AfterValidator(_known_zone)]


class CatalogueEntry(Part):
    """What stands in the catalogue; the last word on each thing counts."""

    message_type: ClassVar[str]

    customer_id: CustomerId

    @property
    def key(self) -> str:
        raise NotImplementedError


class LocationDefined(CatalogueEntry):
    """A store, warehouse or tank of a customer."""

    message_type: ClassVar[str] = "vmi.location-defined.v1"

    location_id: LocationId
    name: Text = ""
    time_zone: TimeZone = "UTC"

    day_ends_at: time = time(0, 0)
    """The site's cut-off in its own zone: midnight, or say 04:00 for a bar. A day is named by its beginning."""

    counts_a_day: Annotated[int, Field(ge=0, le=10_000)] = 5
    """How many items it can be asked to count on a day; 0 asks for none."""

    @property
    def key(self) -> str:
        return f"location|{self.customer_id}|{self.location_id}"


class ItemDefined(CatalogueEntry):
    """An item as one customer names and measures it."""

    message_type: ClassVar[str] = "vmi.item-defined.v1"

    item_id: ItemId
    name: Text = ""

    base_unit: Unit = "EA"
    """All sums are kept in it."""

    units: dict[Unit, Annotated[Quantity, Field(gt=0)]] = Field(default_factory=dict, max_length=50)
    """How many base units one of another unit is, say ``{"CS": "12"}``."""

    shelf_life_days: Annotated[int, Field(gt=0)] | None = None

    @property
    def key(self) -> str:
        return f"item|{self.customer_id}|{self.item_id}"


class StockAuthority(StrEnum):
    """Which stream says what stands on the shelf (S11)."""

    SNAPSHOT = "snapshot"
    """Stock reports set it; a receipt waits as received, unconfirmed, until a report as of it or later."""
    LEDGER = "ledger"
    """Movements keep it; reports and counts reconcile."""


class StockBasis(StrEnum):
    """What ``on_hand`` in a report means (S1)."""

    GROSS = "gross"
    AVAILABLE = "available"


class SnapshotCutOff(StrEnum):
    """What moment a report means that names its day alone (S6)."""

    END_OF_DAY = "end_of_day"
    START_OF_DAY = "start_of_day"
    """Taken before the site opened: the day's movements are not in it."""


class TitleTransfer(StrEnum):
    """When what the supplier sends becomes the customer's (S16)."""

    ON_RECEIPT = "on_receipt"
    ON_WITHDRAWAL = "on_withdrawal"
    """Consignment: when it is sold or taken out."""


class ServiceMeasure(StrEnum):
    CYCLE_SERVICE = "cycle_service"
    """Probability of no stock-out between two arrivals."""
    FILL_RATE = "fill_rate"
    """Units from stock over units wanted."""
    COST = "cost"
    """The target follows from holding and shortage cost."""


class Policy(StrEnum):
    """When is ordered and up to where. R is the time between order opportunities, as the calendar has it."""

    ORDER_UP_TO = "order_up_to"
    """(R, S): at every opportunity up to S, which follows from demand and the service measure."""
    BASE_STOCK = "base_stock"
    """The same, by the name it has with an opportunity every period."""
    REORDER_POINT_QUANTITY = "reorder_point_quantity"
    """(s, Q): at or below s the order quantity, or as many of it as lift the position above s."""
    REORDER_POINT_LEVEL = "reorder_point_level"
    """(s, S): at or below s up to S = s + order quantity; by cost with an order cost both are optimal."""
    PERIODIC_REORDER_POINT_LEVEL = "periodic_reorder_point_level"
    """(R, s, S): the same, by the name it has where opportunities are seldom."""
    MINIMUM_MAXIMUM = "minimum_maximum"
    """At or below the agreed minimum, up to the agreed maximum."""
    DAYS_OF_SUPPLY = "days_of_supply"
    """Minimum and maximum as days of the demand after the day of the arrival: they follow the season."""
    ONE_TO_ONE = "one_to_one"
    """What was taken is sent again: up to the agreed maximum at every opportunity."""
    DDMRP = "ddmrp"
    """A buffer of red, yellow and green: at or below the top of yellow up to the top of green."""
    NEWSVENDOR = "newsvendor"
    """Short life: what is left at the end of the shelf life is scrapped, each order stands alone."""


class Rounding(StrEnum):
    UP = "up"
    NEAREST = "nearest"
    DOWN_IF_BREACHES_MAXIMUM = "down_if_breaches_maximum"


class Approval(StrEnum):
    MANUAL = "manual"
    """A proposal waits for its answer."""
    TOLERANCE = "tolerance"
    """What is within the agreed tolerance is accepted as if automatic; the rest waits for a person."""
    AUTOMATIC = "automatic"
    """What stands when its order opportunity comes is accepted by itself."""


class Mode(StrEnum):
    ACTIVE = "active"
    SHADOW = "shadow"
    """Tried out: proposals are kept and compared with what is really ordered, and nothing goes out."""


class SupplyLimit(StrEnum):
    """What the supplier's own word on its supply does to a proposal."""

    NONE = "none"
    ALERT = "alert"
    """The need is proposed, and what the supplier cannot promise is an exception."""
    CAP = "cap"
    """No more is proposed than the supplier can promise; the rest is an exception."""


Target = Annotated[float, Field(gt=0, lt=1)]
"""What the service measure is to reach."""


class ForecastModel(StrEnum):
    """The pool of models that a forecast may go by."""

    LIVE = "live"
    """The state that each closed day moves: a combination of smoothed means, Croston's kin among them."""
    SEASONAL_NAIVE = "seasonal_naive"
    SIMPLE_SMOOTHING = "simple_smoothing"
    DAMPED_HOLT_WINTERS = "damped_holt_winters"
    CROSTON = "croston"
    SBA = "sba"
    TSB = "tsb"
    ADIDA = "adida"
    IMAPA = "imapa"
    THETA = "theta"
    COMBINATION = "combination"
    """The mean of SBA, ADIDA, simple smoothing and Theta."""
    LINEAR = "linear"
    BOOSTING = "boosting"
    NEURAL = "neural"
    BLEND = "blend"
    """The mean of the live state, boosting and the network."""


Models = Annotated[tuple[ForecastModel, ...], Field(min_length=1, max_length=15)]
"""One is gone by; of several the service chooses."""


Party = Literal["customer", "supplier"]
"""Who of the two that an agreement is between."""


class AgreementMade(Part):
    """What a customer and a supplier agreed for one item at one location, from a day on.

    Every risky choice stands here, with a default; nothing is guessed in code. Names follow UBL's
    ItemManagementProfile where it has one.
    """

    message_type: ClassVar[str] = "vmi.agreement-made.v1"

    customer_id: CustomerId
    location_id: LocationId
    item_id: ItemId
    supplier_id: SupplierId

    effective_from: date = date(1970, 1, 1)
    effective_to: date | None = None
    """The last day; open-ended where it is missing."""

    made_by: Party | None = None
    """Whose word it is. Where the other one owns the band and the word changes it, it is a request that the owner
    answers (``AgreementChangeAnswered``), and what was agreed stands meanwhile. Missing, it is the word of both."""
    band_owner: Party | None = None
    """Who may set the minimum and the maximum, in units or days; whoever says so where it is missing."""

    stock_authority: StockAuthority = StockAuthority.SNAPSHOT
    stock_basis: StockBasis = StockBasis.GROSS
    snapshot_cut_off: SnapshotCutOff = SnapshotCutOff.END_OF_DAY
    """Of reports that name their day alone, in the site's zone and by its cut-off."""
    demand_stream: DemandStream = DemandStream.SELL_THROUGH
    """The one stream that is this item's demand and moves its stock."""
    title_transfer: TitleTransfer = TitleTransfer.ON_RECEIPT

    policy: Policy = Policy.ORDER_UP_TO
    service_measure: ServiceMeasure = ServiceMeasure.CYCLE_SERVICE
    service_target: Annotated[float, Field(gt=0, lt=1)] = 0.95
    service_target_by_class: Literal["default"] | dict[Literal["A", "B", "C"], Target] | None = None
    """Targets by the item's value class, in the place of ``service_target`` as soon as it has one; ``default`` is A
    0.97, B 0.95, C 0.90. Where it is missing, classes choose nothing."""
    forecast_models: Models | None = None
    """The models that the forecast may go by, from the next weekly pass on; of a series that is reported by the day.
    The service chooses of the whole pool where it is missing."""
    forecast_models_by_class: (
        dict[Literal["smooth", "erratic", "intermittent", "lumpy", "A", "B", "C"], Models] | None
    ) = None
    """The same by the item's demand pattern, else by its value class, in the place of ``forecast_models`` as soon as it
    has one of these."""
    calibration: Annotated[float, Field(ge=-2, le=2)] = 0.0
    """What the history adds to the log odds of the service target, so that it comes out: aimed at 0.962 for 0.95 by
    0.29. `vmi backtest --calibrate` tells it; 0 is what theory says."""
    holding_cost: Annotated[float, Field(gt=0)] | None = None
    """A base unit and day."""
    shortage_cost: Annotated[float, Field(gt=0)] | None = None
    """A base unit lost, or a base unit and day while backordered."""
    unmet_demand: Literal["lost", "backordered"] = "lost"
    """What becomes of demand that finds an empty shelf: it decides which theory sizes the order."""
    order_cost: Annotated[float, Field(ge=0)] = 0.0
    """What an order costs, whatever its quantity; in the unit of the holding cost."""
    order_quantity: Annotated[Quantity, Field(gt=0)] | None = None
    """Q of a reorder point policy, base units; the economic quantity of order and holding cost where it is missing."""
    minimum_days: Annotated[float, Field(ge=0, le=730)] | None = None
    maximum_days: Annotated[float, Field(ge=0, le=730)] | None = None
    """Of a days_of_supply policy."""
    lead_time_factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Of a DDMRP buffer: 0.2 to 0.4 for a long lead time, up to 0.6 for a medium one, up to 1 for a short one."""
    variability_factor: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Of a DDMRP buffer: 0.2 to 0.4 for low variability, up to 0.6 for medium, up to 1 for high."""
    order_cycle_days: Annotated[float, Field(ge=0, le=366)] = 0.0
    """Of a DDMRP buffer: the desired order cycle."""
    shelf_life_days: Annotated[float, Field(gt=0)] | None = None
    """From the arrival to the end of sale: no more is sent than sells by then. The newsvendor is sized by it, up to the
    next arrival where it is missing."""

    minimum: Amount | None = None
    """The reorder point of a minimum_maximum policy, base units. With a service target it is stock that is not to be
    fallen below: what is ordered leads up to the minimum and the demand expected until the next arrival, or to more
    where the target asks for it. Where nothing is known of the demand, it is the reorder point with every policy."""
    maximum: Amount | None = None
    """The most the inventory position may reach, base units."""
    maximum_is_hard: bool = True

    lead_time_days: Annotated[float, Field(ge=0, le=730)] = 1.0
    """From the order opportunity to goods on the shelf, calendar days."""
    lead_time_sd_days: Annotated[float, Field(ge=0, le=365)] = 0.0
    lead_time_source: Literal["agreed", "learned"] = "agreed"
    """Learned: the spread follows the item's own deliveries, and so far as they take longer than is agreed, so much
    more is covered; due dates stay as agreed. As agreed until there are five of them."""
    lead_time_in_working_days: bool = False
    """Whether the whole days of the lead time are Mondays to Fridays without holidays."""
    extra_cover_days: Annotated[float, Field(ge=0, le=366)] = 0.0
    """Days that an order lasts beyond the arrival of the next one; no due date moves by it."""
    review_days: Annotated[int, Field(ge=1, le=366)] = 1
    """An order opportunity every so many days, counted from 1970-01-05, a Monday."""
    order_weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] | None = None
    """ISO weekdays (Monday 1) on which orders go out; takes the place of ``review_days``."""
    order_cut_off: time = time(0, 0)
    """The moment of an order day, in the site's zone, at which its opportunity falls."""
    holidays: Annotated[tuple[date, ...], Field(max_length=1000)] = ()
    """Days without orders, without work and without arrivals."""
    receiving_weekdays: tuple[Annotated[int, Field(ge=1, le=7)], ...] | None = None
    """ISO weekdays on which goods are taken in; what would come on another day comes on the next one of these."""
    receiving_from: time | None = None
    receiving_until: time | None = None
    """The hours in which goods are taken in, in the site's zone: what would come before them comes when they begin,
    what would come after them on the next day of receiving."""

    pack: Annotated[Quantity, Field(gt=0)] = Decimal(1)
    """Base units in what is ordered and shipped as one."""
    minimum_order: Amount = Decimal(0)
    """Base units."""
    multiple: Annotated[Quantity, Field(gt=0)] | None = None
    """Base units; the pack where it is missing."""
    rounding: Rounding = Rounding.UP
    largest_order: Annotated[Quantity, Field(gt=0)] | None = None
    """The most that one order may bring, base units."""
    largest_value: Annotated[Quantity, Field(gt=0)] | None = None
    """The most that one order of the item may cost; needs ``unit_price``."""
    capacity: Annotated[Quantity, Field(gt=0)] | None = None
    """The space there (a shelf, a tank), base units: the inventory position never exceeds it."""
    pallet: Annotated[Quantity, Field(gt=0)] | None = None
    """Base units on a pallet."""
    pallet_layer: Annotated[Quantity, Field(gt=0)] | None = None
    """Base units in a layer of it: loads are filled up by layers; by pallets where it is missing."""
    load_pallets: Annotated[int, Field(ge=1, le=1000)] | None = None
    """Pallets of a full truck; ``vmi loads`` shows how they fill."""
    gross_weight: Annotated[Quantity, Field(gt=0)] | None = None
    """Kilograms of a base unit."""
    load_weight: Annotated[Quantity, Field(gt=0)] | None = None
    """Kilograms of a full truck."""
    gross_volume: Annotated[Quantity, Field(gt=0)] | None = None
    """Cubic metres of a base unit."""
    load_volume: Annotated[Quantity, Field(gt=0)] | None = None
    """Cubic metres of a full truck."""
    load_building: Literal["none", "layers", "pallets", "trucks"] = "none"
    """What orders are filled up to, as long as no limit is in the way: whole layers of a pallet or whole pallets of the
    item; or whole trucks of all that the supplier sends there for an order day, by the items that would run out first.
    What is not needed yet is told apart (``fill_quantity``)."""
    load_trucks: Annotated[int, Field(ge=1, le=1000)] | None = None
    """The most trucks for an order day; what is needed beyond them waits, the items that last longest first."""
    load_cover_days: Annotated[float, Field(gt=0, le=730)] | None = None
    """Days of expected demand that the inventory position may cover by filling up trucks; the maximum, space and shelf
    life limit it in any case."""

    supply_limit: SupplyLimit = SupplyLimit.NONE
    """Of suppliers who state their supply."""
    supply_share: Annotated[Quantity, Field(ge=0)] = Decimal(1)
    """Of several suppliers of an item: its share against the others', kept over ten proposals."""
    supply_priority: Annotated[int, Field(ge=1, le=99)] = 1
    """Of several suppliers: lower goes before, and the shares count among the first ones alone. The next one is asked
    where the agreement of one ends, or its stated supply is short and ``supply_limit`` caps it."""
    supply_split: bool = True
    """Of several suppliers: whether of a need that it can only send in part, by its stated supply where
    ``supply_limit`` caps it, the rest is asked of the next one with the same order opportunity, as a proposal of its
    own. Else, and where no other has that opportunity, the whole need goes to the next one."""
    allocation_quota: Annotated[Quantity, Field(gt=0)] = Decimal(1)
    """Of supply that is short for several and shared by quota: against the others' quotas."""
    allocation_priority: Annotated[int, Field(ge=1, le=99)] = 1
    """Of supply that is short and shared by priority: lower goes before."""

    mode: Mode = Mode.ACTIVE

    minimum_change: Amount = Decimal(0)
    """Base units; a need that moved by less since it was told is not told again."""
    minimum_change_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The same as a share of the quantity; the larger of the two counts. 0.02 keeps noise quiet and lets steps pass."""
    freeze_days: Annotated[float, Field(ge=0, le=366)] = 0.0
    """So long before its order opportunity a proposal is revised no more; a change is asked for instead."""

    approval: Approval = Approval.MANUAL
    tolerance_quantity: Amount | None = None
    """Base units up to which a proposal is accepted by itself (approval by tolerance)."""
    tolerance_value: Amount | None = None
    """The same in money; needs ``unit_price``."""
    tolerance_deviation: Annotated[float, Field(ge=0)] | None = None
    """The share by which it may differ from the demand expected between two arrivals."""
    answer_within_hours: Annotated[float, Field(gt=0, le=8760)] | None = None
    """How long a proposal waits for its answer; up to the opportunity after its own where it is missing."""

    expected_daily_demand: Annotated[float, Field(ge=0)] | None = None
    """Base units a day, for an item that has no history yet."""
    unit_price: Annotated[Quantity, Field(ge=0)] | None = None

    stock_cadence_hours: Annotated[float, Field(gt=0, le=8760)] | None = None
    """How old the newest stock report or count may be, its way to us included. Older than this by an hour, the feed is
    stale, and proposals are held. Without it the feed is not watched."""
    sales_cadence_hours: Annotated[float, Field(gt=0, le=8760)] | None = None
    """The same for sales."""
    orders_cadence_hours: Annotated[float, Field(gt=0, le=8760)] | None = None
    """The same for orders, shipments and receipts."""

    recovery_margin: Annotated[float, Field(ge=0, le=1)] = 0.05
    """An exception for too little stock ends this share above its threshold, so that it does not come and go."""
    above_maximum_tolerance: Annotated[float, Field(ge=0)] = 0.05
    """The share by which the maximum may be exceeded before it is an exception."""
    overdue_grace_hours: Annotated[float, Field(ge=0, le=8760)] = 24
    """After its expected arrival a shipment or order without a receipt is an exception."""
    negative_after_hours: Annotated[float, Field(ge=0, le=8760)] = 24
    """Stock that stays below zero for longer is an exception: late facts make it so for a while."""
    unanswered_after_hours: Annotated[float, Field(gt=0, le=8760)] | None = None
    """A proposal that waits longer for its answer is an exception; from its cut-off on where it is missing."""
    drift_tolerance: Amount | None = None
    """Base units by which a count or report may differ from the facts."""
    drift_tolerance_share: Annotated[float, Field(ge=0, le=1)] = 0.1
    """The same as a share of what was expected, and at least two units; used where ``drift_tolerance`` is missing."""
    receipt_tolerance_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    """The share of what was shipped by which a receipt may differ."""

    @property
    def load_step(self) -> Decimal | None:
        """Return the base units that orders are filled up to a whole number of."""
        return {"layers": self.pallet_layer, "pallets": self.pallet}.get(self.load_building)

    @property
    def truck_step(self) -> Decimal:
        """Return the base units by which a truck is filled up: a layer, a pallet, or what is ordered as one."""
        return self.pallet_layer or self.pallet or self.multiple or self.pack

    @property
    def identity(self) -> str:
        """Which agreement it is: whoever speaks of it, there is one."""
        return "|".join(
            (self.customer_id, self.location_id, self.item_id, self.supplier_id, self.effective_from.isoformat())
        )

    @property
    def key(self) -> str:
        """The record's key: what each party says of an agreement keeps its order."""
        return self.identity if self.made_by is None else f"{self.identity}|{self.made_by}"

    def is_request(self, standing: Self | None) -> bool:
        """Whether it changes a band that the other party owns by what stands (F78)."""
        if standing is None or self.made_by is None or standing.band_owner in (None, self.made_by):
            return False
        return bool(self.band_changes(standing))

    def band_changes(self, standing: Self) -> dict[str, tuple[object, object]]:
        """Return what it says otherwise of the band, by field: as it stands, and as it would be."""
        told = {name: (getattr(standing, name), getattr(self, name)) for name in _BAND}
        return {name: both for name, both in told.items() if both[0] != both[1]}

    @model_validator(mode="after")
    def _terms_fit_together(self) -> Self:
        if self.effective_to is not None and self.effective_to < self.effective_from:
            raise ValueError("effective_to lies before effective_from")
        if self.policy is Policy.MINIMUM_MAXIMUM and (self.minimum is None or self.maximum is None):
            raise ValueError("a minimum_maximum policy needs both a minimum and a maximum")
        if self.policy is Policy.ONE_TO_ONE and self.maximum is None:
            raise ValueError("a one_to_one policy needs a maximum, the stock that is kept")
        if self.policy is Policy.DAYS_OF_SUPPLY and (self.minimum_days is None or self.maximum_days is None):
            raise ValueError("a days_of_supply policy needs both minimum_days and maximum_days")
        if self.minimum_days is not None and self.maximum_days is not None and self.minimum_days > self.maximum_days:
            raise ValueError("minimum_days is above maximum_days")
        if self.order_cost and self.holding_cost is None:
            raise ValueError("an order_cost counts against a holding_cost, which is missing")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError("the minimum is above the maximum")
        if self.service_measure is ServiceMeasure.COST and (self.holding_cost is None or self.shortage_cost is None):
            raise ValueError("service by cost needs holding_cost and shortage_cost")
        if self.service_measure is ServiceMeasure.COST and self.service_target_by_class is not None:
            raise ValueError("service by cost has no targets, by class or otherwise")
        if self.order_weekdays is not None and not self.order_weekdays:
            raise ValueError("order_weekdays names no day")
        if self.receiving_weekdays is not None and not self.receiving_weekdays:
            raise ValueError("receiving_weekdays names no day")
        if self.receiving_from and self.receiving_until and self.receiving_until < self.receiving_from:
            raise ValueError("receiving_until lies before receiving_from")
        bounds = (self.tolerance_quantity, self.tolerance_value, self.tolerance_deviation)
        if self.approval is Approval.TOLERANCE and all(bound is None for bound in bounds):
            raise ValueError("approval by tolerance needs tolerance_quantity, tolerance_value or tolerance_deviation")
        if self.largest_value is not None and not self.unit_price:
            raise ValueError("largest_value needs a unit_price")
        if self.load_pallets is not None and self.pallet is None:
            raise ValueError("load_pallets needs a pallet, the base units on one")
        if self.load_step is not None and self.load_step % (self.multiple or self.pack):
            raise ValueError(f"{self.load_building} of {self.load_step} are no whole number of the multiple or pack")
        if self.load_building == "trucks":
            self._require_trucks()
        elif self.load_building != "none" and self.load_step is None:
            raise ValueError(f"load_building by {self.load_building} needs a pallet, and by layers a pallet_layer")
        if self.tolerance_value is not None and self.unit_price is None:
            raise ValueError("tolerance_value needs a unit_price")
        return self

    def _require_trucks(self) -> None:
        sizes = (self.load_pallets, self.load_weight, self.load_volume)
        if not any(sizes):
            raise ValueError("load_building by trucks needs load_pallets, load_weight or load_volume, what one holds")
        if self.load_weight is not None and self.gross_weight is None:
            raise ValueError("load_weight needs a gross_weight, the kilograms of a base unit")
        if self.load_volume is not None and self.gross_volume is None:
            raise ValueError("load_volume needs a gross_volume, the cubic metres of a base unit")
        if self.truck_step % (self.multiple or self.pack):
            raise ValueError(f"trucks that fill by {self.truck_step} need a whole number of the multiple or pack in it")


_BAND: Final = ("band_owner", "minimum", "maximum", "maximum_is_hard", "minimum_days", "maximum_days")


class AgreementChangeAnswered(Part):
    """What the owner of a band says to a change of it that the other party asked for."""

    message_type: ClassVar[str] = "vmi.agreement-change-answered.v1"

    customer_id: CustomerId
    request_id: UUID
    """As ``vmi agreements requests`` tells it."""
    answer: Literal["accept", "reject"]
    party: Party | None = None
    """Who answers: the other one than asked. Missing, it is the word of both."""
    reason: Text = ""

    @property
    def key(self) -> str:
        return f"answer|{self.customer_id}|{self.request_id}"


# What suppliers can send ---------------------------------------------------------------------------------------------


class Production(Part):
    """What can be shipped in addition from a day on."""

    ready_on: date
    quantity: Amount
    """Base units."""


class SupplyLine(Line):
    """One item, by the customer's name of it; base units."""

    item_id: ItemId

    available_to_promise: Amount | None = None
    """What can be promised now, commitments up to ``stated_at`` taken off."""
    on_hand: Amount | None = None
    """The supplier's stock; taken for what can be promised where that is missing."""
    production: Annotated[tuple[Production, ...], Field(max_length=1000)] = ()

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.available_to_promise is None and self.on_hand is None and not self.production:
            raise ValueError("neither available_to_promise nor on_hand nor production is stated")
        return self


class SupplyStated(Part):
    """A supplier's stock, production plan and availability to promise (UBL StockAvailabilityReport).

    Of each item the statement that was made last holds; an item that is not in it stays as it was.
    """

    message_type: ClassVar[str] = "vmi.supply-stated.v1"

    supplier_id: SupplierId
    customer_id: CustomerId | None = None
    """Whom it is for; whoever has an agreement with the supplier for the item, where it is missing."""
    stated_at: Instant
    valid_until: Instant | None = None
    """Not relied on afterwards."""
    allocation: Literal["proportional", "equal_share_of_target", "quota", "priority"] = "proportional"
    """How it is shared out where it is short for several (S27)."""
    revision: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Counts up when the same statement is made again with other contents."""
    document_id: Identifier | None = None

    lines: Annotated[tuple[SupplyLine, ...], Field(min_length=1, max_length=MOST_LINES)]

    @property
    def key(self) -> str:
        return self.supplier_id if self.customer_id is None else f"{self.customer_id}|{self.supplier_id}"


# Answers to proposals ------------------------------------------------------------------------------------------------


class Answer(StrEnum):
    ACCEPT = "accept"
    CHANGE = "change"
    """To accept with another quantity, which is bound by it."""
    REJECT = "reject"
    COUNTER = "counter"
    """To propose another quantity or day; nobody is bound until the other party accepts the version it becomes."""


class ReasonCode(StrEnum):
    """Why it is not accepted as it is."""

    OUT_OF_STOCK = "out_of_stock"
    PRODUCTION_DELAY = "production_delay"
    ALLOCATED = "allocated"
    """Short supply is shared out among customers."""
    DATE_NOT_POSSIBLE = "date_not_possible"
    PACKAGING = "packaging"
    """Packs, layers, trucks or a minimum order."""
    PRICE = "price"
    DISCONTINUED = "discontinued"
    NO_SPACE = "no_space"
    TOO_MUCH = "too_much"
    TOO_LITTLE = "too_little"
    PROMOTION = "promotion"
    """An event that the forecast does not know of."""
    DUPLICATE = "duplicate"
    """Ordered by another way already."""
    WRONG_DATA = "wrong_data"
    """The stock or the sales it rests on are wrong."""
    OTHER = "other"


class AnswerLine(Line):
    """What a party says to one version of one proposal."""

    proposal_id: UUID
    version: Annotated[int, Field(ge=1)]
    """The version that was read; an old one binds its own quantity."""

    answer: Answer

    quantity: Amount | None = None
    """Base units, for a change or a counter-proposal."""

    expected_at: Instant | None = None
    """When the goods should arrive, where it differs from the proposal."""

    reason_code: ReasonCode | None = None
    reason: Text = ""
    """The same in words, as free as they like."""

    @model_validator(mode="after")
    def _change_says_how_much(self) -> Self:
        if self.answer is Answer.CHANGE and self.quantity is None:
            raise ValueError("a change needs the quantity it changes to")
        if self.answer is Answer.COUNTER and not self.quantity:
            raise ValueError("a counter-proposal needs the quantity it proposes; to send nothing is to reject")
        return self


class ProposalAnswered(Document):
    """A supplier's or customer's answer to proposals for one location."""

    message_type: ClassVar[str] = "vmi.proposal-answered.v1"

    answered_at: Instant
    party: Literal["supplier", "customer"] = "supplier"

    lines: Annotated[tuple[AnswerLine, ...], Field(min_length=1, max_length=MOST_LINES)]


# What customers ask for beside answers -------------------------------------------------------------------------------


class RequestLine(Line):
    item_id: ItemId

    quantity: Amount | None
    """Base units to send at that opportunity, in the place of what is computed, rounded to whole packs only; 0 sends
    nothing. Null takes the wish back."""

    order_on: date | None = None
    """The site's day of the order opportunity it is for; the next one from ``requested_at`` on where it is missing."""

    reason: Text = ""


class ReplenishmentRequested(Document):
    """What a customer wants sent at one order opportunity, whatever is computed (852 QX): an opening, a display fill.

    It never outlives its opportunity.
    """

    message_type: ClassVar[str] = "vmi.replenishment-requested.v1"

    requested_at: Instant

    lines: Annotated[tuple[RequestLine, ...], Field(min_length=1, max_length=MOST_LINES)]


MOST_NUMBERS_OF_A_RANGE: Final = 10_000


class OrderNumberLine(Line):
    """One number, or a range of them."""

    number: Identifier

    last: Identifier | None = None
    """The last of a range that begins with ``number``; the two differ in their last digits only."""

    @property
    def numbers(self) -> tuple[str, ...]:
        """The numbers one by one."""
        if self.last is None:
            return (self.number,)
        head, digits = _head_and_digits(self.number)
        _, last = _head_and_digits(self.last)
        return tuple(f"{head}{number:0{len(digits)}d}" for number in range(int(digits), int(last) + 1))

    @model_validator(mode="after")
    def _range_counts_up(self) -> Self:
        if self.last is not None:
            (head, digits), (other, last) = _head_and_digits(self.number), _head_and_digits(self.last)
            if not digits or head != other or len(digits) != len(last):
                raise ValueError("a range runs between numbers that differ in their last digits only")
            if not 0 <= int(last) - int(digits) < MOST_NUMBERS_OF_A_RANGE:
                raise ValueError(f"a range counts up, over {MOST_NUMBERS_OF_A_RANGE} numbers at most")
        return self


def _head_and_digits(number: str) -> tuple[str, str]:
    digits = number[len(number.rstrip("0123456789")) :]
    return number[: len(number) - len(digits)], digits


class OrderNumbersAssigned(Document):
    """Purchase order numbers that a customer gives out for orders to come at a location (XPO)."""

    message_type: ClassVar[str] = "vmi.order-numbers-assigned.v1"

    assigned_at: Instant
    supplier_id: SupplierId | None = None
    """For orders to this supplier only."""

    lines: Annotated[tuple[OrderNumberLine, ...], Field(min_length=1, max_length=MOST_LINES)]
