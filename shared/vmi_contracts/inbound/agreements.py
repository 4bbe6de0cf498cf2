"""What a customer and a supplier agree: every risky choice with its default, and answers to who asks for another."""

from datetime import date, time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from vmi_contracts.document import Part
from vmi_contracts.inbound.sales import DemandStream
from vmi_contracts.values import Amount, CustomerId, ItemId, LocationId, Party, Quantity, SupplierId, Text


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
        """The record's key: of each who speaks of an agreement the topic keeps the last word."""
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
