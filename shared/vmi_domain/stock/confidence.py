"""How far a stock record can be trusted, and where a count pays most (F25).

Most records of stores are wrong ([IRI]: 65 % of 370,000), and VMI suffers more from it than ordering does ([SARI]).
"""

from collections.abc import Sequence
from enum import StrEnum
from math import exp
from typing import Final

from vmi_domain.values import dataclass

PRIOR_ERRORS: Final = 1.0
PRIOR_DAYS: Final = 180.0
"""Before anything is known of a record it is thought to go wrong once in so many days: of records that are counted once
a year two thirds to nine tenths are wrong then, as [IRI] found."""
SUSPICIOUS_INTERVALS: Final = 5.0
"""A record is suspected when nothing was sold for so many times the usual days between sales: by chance that happens
in less than one case of a hundred."""
FEWEST_SELLING_DAYS: Final = 3
"""Fewer say nothing about how often an item sells."""
ASK_BELOW: Final = 0.5
"""A record that is more likely wrong than right is worth a count."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one item's stock record at one location."""

    on_hand: float
    """Base units, by the facts."""
    age_days: float
    """Since people last looked; since the first report where they never did."""
    observed_days: float
    """Over which counts and reports are known."""
    errors: int = 0
    """Counts and reports in that time that found it wrong by more than is tolerated."""
    selling_days: int = 0
    """Days with sales among the ``window_days`` up to the last one."""
    window_days: int = 0
    quiet_days: int = 0
    """Closed days since the last sale, count and receipt: nothing was sold, and something stood there."""
    daily_demand: float = 0.0
    """Base units, over the window."""

    @property
    def selling_share(self) -> float:
        """The share of days on which it sells: 1 / the expected interval."""
        if self.selling_days < FEWEST_SELLING_DAYS or self.window_days <= 0:
            return 0.0
        return min(self.selling_days / self.window_days, 0.99)

    @property
    def is_phantom_suspect(self) -> bool:
        """Whether stock is on record and none is sold, for far longer than chance explains: it may not be there."""
        return self.on_hand > 0 and self.quiet_days * self.selling_share >= SUSPICIOUS_INTERVALS


def confidence(record: Record) -> float:
    """Return the probability, 0 to 1, that the record is right.

    Records go wrong at a rate h that is learned from how often counts found them wrong (a gamma prior of 1 error in 180
    days), so that after ``age_days`` one is right with::

        p = exp(−h · age)        h = (errors + 1) / (observed days + 180)

    Days without sales are evidence (Bayes). With q the share of days on which the item sells, n of them happen with
    (1 − q)ⁿ where the record is right, and for certain where nothing is there::

        confidence = p (1 − q)ⁿ / (p (1 − q)ⁿ + 1 − p)

    A record below zero is wrong.

    >>> round(confidence(Record(on_hand=10, age_days=30, observed_days=0)), 3)
    0.846
    >>> quiet = Record(on_hand=10, age_days=30, observed_days=0, selling_days=28, window_days=56, quiet_days=12)
    >>> round(confidence(quiet), 3), quiet.is_phantom_suspect
    (0.001, True)
    """
    if record.on_hand < 0:
        return 0.0
    rate = (record.errors + PRIOR_ERRORS) / (record.observed_days + PRIOR_DAYS)
    right = exp(-rate * max(record.age_days, 0.0))
    by_chance = (1.0 - record.selling_share) ** record.quiet_days if record.on_hand > 0 else 1.0
    seen = right * by_chance
    # In this order: a tiny ``seen`` would be lost beside 1, and nothing left to divide by.
    return seen / (seen + (1.0 - right)) if seen > 0 else 0.0


class Reason(StrEnum):
    """Why a count is asked for. Published: none is given a new meaning."""

    NEGATIVE_STOCK = "negative_stock"
    PHANTOM_SUSPECT = "phantom_suspect"
    LOW_CONFIDENCE = "low_confidence"


def reason_to_count(record: Record) -> Reason | None:
    """Return why the record is worth a count, None where it is not."""
    if record.on_hand < 0:
        return Reason.NEGATIVE_STOCK
    if record.is_phantom_suspect:
        return Reason.PHANTOM_SUSPECT
    return Reason.LOW_CONFIDENCE if confidence(record) < ASK_BELOW else None


def payoff(record: Record, unit_price: float = 1.0) -> float:
    """Return what a count is worth: the chance that the record is wrong, times what is sold by it a day."""
    return (1.0 - confidence(record)) * record.daily_demand * unit_price


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record that might be counted."""

    item_id: str
    record: Record
    unit_price: float = 1.0


def worth_counting(candidates: Sequence[Candidate], at_most: int) -> list[tuple[Candidate, Reason]]:
    """Return the records for which a count pays most, the best first: what is certainly wrong, then by payoff."""
    asked = [(one, reason) for one in candidates if (reason := reason_to_count(one.record)) is not None]
    asked.sort(
        key=lambda pair: (
            pair[1] is not Reason.NEGATIVE_STOCK,
            -payoff(pair[0].record, pair[0].unit_price),
            pair[0].item_id,
        )
    )
    return asked[: max(at_most, 0)]
