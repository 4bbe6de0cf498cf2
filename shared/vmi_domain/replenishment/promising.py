"""What a supplier can promise: its stock, its production to come, and what of it is left for one (F58, F59)."""

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from vmi_domain.values import dataclass

NOTHING = Decimal(0)


class Limit(StrEnum):
    """What a supplier's word on its supply does to a proposal, as agreed."""

    NONE = "none"
    ALERT = "alert"
    """The need is proposed, and a person hears what is not covered."""
    CAP = "cap"
    """No more is proposed than can be promised; the rest is told as backlog."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What a supplier said of one item; base units."""

    stated_at: datetime
    available: Decimal | None = None
    """To promise now: commitments up to ``stated_at`` are taken off."""
    on_hand: Decimal | None = None
    """Its stock; taken for what can be promised where that is not said."""
    production: Sequence[tuple[date, Decimal]] = ()
    """What can be shipped in addition from a day on."""
    valid_until: datetime | None = None

    def holds_at(self, moment: datetime) -> bool:
        """Whether it is still to be relied on."""
        return self.valid_until is None or moment <= self.valid_until

    def promised_by(self, day: date) -> Decimal:
        """Return what can be sent up to and on a day, before what was committed since."""
        now = self.available if self.available is not None else self.on_hand or NOTHING
        return now + sum((quantity for ready, quantity in self.production if ready <= day), NOTHING)


@dataclass(frozen=True, slots=True)
class Promise:
    """What a supplier's word means for one proposal; base units."""

    limit: Limit
    stated_at: datetime
    available: Decimal
    """What it can send by the order's day, less what was committed since it said so."""
    wanted: Decimal
    """What would be proposed without limits of supply."""
    share: Decimal
    """What of the available is for this proposal; others need the rest."""
    competing: int = 0
    """Others who need of the same supply."""
    spare: Decimal = NOTHING
    """What nobody needs of the available, in equal parts for all who draw on it: a truck may be filled up with it."""
    reliability: float | None = None
    """Of what it confirmed, the share that came in time and in full, where that was learned."""

    @property
    def short(self) -> Decimal:
        """Return what the promise does not cover of what is wanted."""
        return max(self.wanted - self.share, NOTHING)

    @property
    def confidence(self) -> float:
        """Return how far the quantity wanted can be relied on: the share of it that is covered, times reliability."""
        covered = 1.0 if self.wanted <= 0 else float(min(self.share / self.wanted, Decimal(1)))
        return round(covered * (1.0 if self.reliability is None else self.reliability), 4)


@dataclass(frozen=True, slots=True)
class PassedOver:
    """A source that another one is asked instead of: it cannot send what is needed. Base units."""

    supplier_id: str
    wanted: Decimal
    share: Decimal
    """What it could send of that."""

    @property
    def covered(self) -> Decimal:
        """Return the share of the need that it could send."""
        return min(self.share / self.wanted, Decimal(1)) if self.wanted > 0 else Decimal(1)
