"""What locations and items are."""

from datetime import time
from typing import Annotated, ClassVar
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field

from vmi_contracts.document import Part
from vmi_contracts.values import CustomerId, ItemId, LocationId, Quantity, Text, Unit


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
