"""The life of an exception: opened once, closed by itself when its cause is gone, opened again as a new occurrence."""

from collections.abc import Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID, uuid5

from vmi_domain.values import dataclass

NAMESPACE: Final = UUID("0d0a8e0e-6e0b-5a58-8f0f-3d1c5a9b7e21")
"""Never changed: every id of an exception and of its messages hangs on it."""

NO_GRACE: Final = timedelta(0)


class Kind(StrEnum):
    """What is wrong (F63 to F65). The names are stored and published: none is given a new meaning."""

    STOCK_OUT = "stock_out"
    """Nothing usable stands there."""
    STOCK_OUT_PROJECTED = "stock_out_projected"
    """It will run out before what can be ordered next arrives."""
    BELOW_MINIMUM = "below_minimum"
    """Now, or within the lead time."""
    ABOVE_MAXIMUM = "above_maximum"
    STALE_FEED = "feed_stale"
    """No document of a kind for longer than agreed."""
    SHIPMENT_OVERDUE = "shipment_overdue"
    """Expected, and no receipt: what is in transit is doubtful."""
    RECEIPT_MISMATCH = "receipt_mismatch"
    """Received more or less than was shipped."""
    DRIFT = "drift"
    """A count or report differs from what the facts say by more than is tolerated."""
    NEGATIVE_STOCK = "negative_stock"
    """More has gone than ever came, for longer than late facts can explain: drift that shows without a count (S9)."""
    UNANSWERED = "proposal_unanswered"
    SUPPLY_SHORT = "supply_short"
    """The supplier sends less than was proposed, or has not got what was."""
    BAND_CHANGE_REQUESTED = "band_change_requested"
    """One party asks for another band than the one that the other owns, and waits for its answer (F78)."""


SETTLED_BY_A_PERSON: Final = frozenset({Kind.RECEIPT_MISMATCH})
"""What has happened and cannot end by itself: acknowledged, it is closed, and opens for other figures only."""


class Status(StrEnum):
    PENDING = "pending"
    """Seen, and not yet for as long as it must last to be told. Nobody is told of it."""
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    """A person has taken it up. It closes by itself like an open one."""
    SUPPRESSED = "suppressed"
    """A person does not want to hear of it, for a time or for good."""
    CLOSED = "closed"


class Subject(NamedTuple):
    """What an exception is about; two with the same subject are the same exception."""

    kind: Kind
    customer_id: str
    location_id: str
    item_id: str = ""
    """Empty where it concerns the location as a whole."""
    name: str = ""
    """What of the item or location: a shipment, a supplier, a kind of document. Empty where there is one only."""

    @property
    def exception_id(self) -> UUID:
        """The same wherever and whenever it is computed."""
        return _exception_id(self)


@lru_cache(10_000)
def _exception_id(subject: Subject) -> UUID:
    return uuid5(NAMESPACE, "|".join(subject))


@dataclass(frozen=True, slots=True)
class Observation:
    """How things stand with one subject, as somebody who knows has just seen it."""

    subject: Subject
    is_wrong: bool | None
    """None between the two thresholds: what was wrong still is, what was right still is. So no value flaps."""
    sentence: str = ""
    """What is wrong, for a person."""
    details: Mapping[str, str] = field(default_factory=dict)
    """The figures behind the sentence."""
    must_last: timedelta = NO_GRACE
    """How long it must be seen wrong before anybody is told."""


@dataclass(frozen=True, slots=True)
class Standing:
    """An exception as it stands."""

    subject: Subject
    version: int
    """Counts up with whatever is told of it. Apply only higher ones."""
    occurrence: int
    """How many times it has been opened."""
    status: Status
    seen_at: datetime
    """When it was first seen wrong, this time."""
    changed_at: datetime
    due_at: datetime | None = None
    """When it opens or speaks up again though nothing happens; None where it does not by itself."""
    opened_at: datetime | None = None
    """When it was told, this time."""
    closed_at: datetime | None = None
    sentence: str = ""
    details: Mapping[str, str] = field(default_factory=dict)
    author: str = ""
    """Who acknowledged or suppressed it."""
    note: str = ""
    """Why."""
    suppressed: bool = False
    """Whether a person does not want to hear of it: this holds over occurrences."""
    suppressed_until: datetime | None = None
    """Until when; None for good."""

    @property
    def exception_id(self) -> UUID:
        return self.subject.exception_id

    @property
    def is_active(self) -> bool:
        """Whether its cause is there, as far as anybody has seen."""
        return self.status is not Status.CLOSED

    def is_silent(self, now: datetime) -> bool:
        """Whether a person's suppression holds."""
        return _is_silent(self, now)


class Active(NamedTuple):
    """Of an exception that is not closed what says whether an observation changes it (see ``Standing``)."""

    status: Status
    due_at: datetime | None
    suppressed: bool
    suppressed_until: datetime | None


def _is_silent(one: Standing | Active, now: datetime) -> bool:
    return one.suppressed and (one.suppressed_until is None or now < one.suppressed_until)


@dataclass(frozen=True, slots=True)
class Step:
    """What an observation or a person's word leads to."""

    standing: Standing
    is_told: bool
    """Whether the world is to hear of it: a new version."""


def observed(standing: Standing | None, seen: Observation, now: datetime) -> Step | None:
    """Return what an observation leads to, or None where it changes nothing.

    A hundred observations of one cause are one exception: only what begins, ends or speaks up again changes anything.
    """
    if standing is None or not standing.is_active:
        return _begun(standing, seen, now) if seen.is_wrong else None
    if not is_moved(standing, seen, now):
        return None
    if seen.is_wrong is False:
        return _ended(standing, now)
    if standing.status is Status.PENDING:
        return _opened(standing, now)
    loud = _told(standing, now, status=Status.OPEN, suppressed=False, suppressed_until=None, due_at=None)
    return Step(loud, is_told=True)


def is_moved(active: Standing | Active, seen: Observation, now: datetime) -> bool:
    """Return whether an observation changes an exception that is active: it ends, opens, or speaks up again."""
    if seen.is_wrong is False:
        return True
    if active.status is Status.PENDING:
        return active.due_at is None or now >= active.due_at
    return active.status is Status.SUPPRESSED and not _is_silent(active, now)


def _begun(before: Standing | None, seen: Observation, now: datetime) -> Step | None:
    if before is not None and _was_settled(before, seen):
        return None
    first = Standing(
        subject=seen.subject,
        version=0,
        occurrence=0,
        status=Status.PENDING,
        seen_at=now,
        changed_at=now,
    )
    pending = replace(
        before or first,
        status=Status.PENDING,
        seen_at=now,
        changed_at=now,
        due_at=now + seen.must_last,
        opened_at=None,
        closed_at=None,
        sentence=seen.sentence,
        details=dict(seen.details),
    )
    return Step(pending, is_told=False) if seen.must_last > NO_GRACE else _opened(pending, now)


def _was_settled(before: Standing, seen: Observation) -> bool:
    """Whether a person has closed it with these very figures."""
    return seen.subject.kind in SETTLED_BY_A_PERSON and bool(before.author) and before.details == dict(seen.details)


def _opened(pending: Standing, now: datetime) -> Step:
    silent = pending.is_silent(now)
    opened = _told(
        pending,
        now,
        status=Status.SUPPRESSED if silent else Status.OPEN,
        occurrence=pending.occurrence + 1,
        due_at=pending.suppressed_until if silent else None,
        opened_at=now,
        author=pending.author if silent else "",
        note=pending.note if silent else "",
        suppressed=silent,
        suppressed_until=pending.suppressed_until if silent else None,
    )
    return Step(opened, is_told=True)


def _ended(standing: Standing, now: datetime) -> Step:
    if standing.status is Status.PENDING:  # nobody ever heard of it
        never = replace(standing, status=Status.CLOSED, changed_at=now, closed_at=now, due_at=None)
        return Step(never, is_told=False)
    return Step(_told(standing, now, status=Status.CLOSED, closed_at=now, due_at=None), is_told=True)


def _told(standing: Standing, now: datetime, **changes: object) -> Standing:
    return replace(standing, version=standing.version + 1, changed_at=now, **changes)  # type: ignore[arg-type]


class NotActive(ValueError):
    """There is nothing to acknowledge: the exception is closed, or was never told."""


def acknowledged(standing: Standing, *, author: str, note: str, now: datetime) -> Step:
    """Return the exception as taken up by a person, or raise ``NotActive``."""
    if standing.status in (Status.CLOSED, Status.PENDING):
        raise NotActive(f"the exception is {standing.status.value}: there is nothing to acknowledge")
    over = standing.subject.kind in SETTLED_BY_A_PERSON
    return Step(
        _told(
            standing,
            now,
            status=Status.CLOSED if over else Status.ACKNOWLEDGED,
            closed_at=now if over else None,
            author=author,
            note=note,
            suppressed=False,
            suppressed_until=None,
            due_at=None,
        ),
        is_told=True,
    )


def suppressed(standing: Standing, *, author: str, note: str, until: datetime | None, now: datetime) -> Step:
    """Return the exception as one that a person does not want to hear of, this time and the next ones until ``until``.

    Of a closed one nothing is told until it occurs again.
    """
    silent = {"author": author, "note": note, "suppressed": True, "suppressed_until": until}
    if standing.status in (Status.CLOSED, Status.PENDING):
        return Step(replace(standing, changed_at=now, **silent), is_told=False)  # type: ignore[arg-type]
    return Step(_told(standing, now, status=Status.SUPPRESSED, due_at=until, **silent), is_told=True)
