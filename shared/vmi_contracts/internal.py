"""What our workers tell each other: which keys changed. Topics tell when, Postgres tells what."""

from datetime import date
from typing import ClassVar

from vmi_contracts.document import Document, Line
from vmi_contracts.values import Instant, ItemId


class PositionLine(Line):
    """An item whose position or demand changed."""

    item_id: ItemId
    version: int
    """The position's version after the change; counts up."""

    demand_from: date | None = None
    """The earliest of the site's days whose demand changed; none where only stock or supply did."""

    confirmed: bool = False
    """Whether a report or count said just what the position said already: nothing of it changed but its time."""


class PositionsChanged(Document):
    """Items of one location whose position changed in one batch."""

    message_type: ClassVar[str] = "vmi.positions-changed.v1"

    reached_at: Instant
    """The location's watermark: the latest time its facts have reached."""

    lines: tuple[PositionLine, ...]


class ForecastLine(Line):
    item_id: ItemId
    version: int
    through: date
    """The last closed day the forecast has learned from."""

    lowered: bool = False
    """Whether less covers the demand to come than when it was told last."""


class ForecastsChanged(Document):
    """Items of one location whose forecast changed by more than the agreed materiality."""

    message_type: ClassVar[str] = "vmi.forecasts-changed.v1"

    lines: tuple[ForecastLine, ...]
