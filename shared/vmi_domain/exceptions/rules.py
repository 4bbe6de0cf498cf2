"""When something is wrong with an item at a location: a table of its states, as a pure function."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

from vmi_domain.exceptions.lifecycle import NO_GRACE, Kind, Observation, Subject
from vmi_domain.replenishment.proposals import BOUND, Answer, Proposal, Status
from vmi_domain.stock.position import NOTHING, Key
from vmi_domain.units import plain
from vmi_domain.values import dataclass

OF_AN_ITEM: Final = frozenset(
    {
        Kind.STOCK_OUT,
        Kind.STOCK_OUT_PROJECTED,
        Kind.BELOW_MINIMUM,
        Kind.ABOVE_MAXIMUM,
        Kind.SHIPMENT_OVERDUE,
        Kind.NEGATIVE_STOCK,
        Kind.UNANSWERED,
        Kind.SUPPLY_SHORT,
    }
)
"""What ``of_item`` sees. An active one that it does not name is over."""

DAY: Final = timedelta(days=1)

Words = tuple[str, Mapping[str, object]]
"""What is wrong, for a person, and the figures behind it."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """From when on something is wrong, as agreed with a partner."""

    recovery_margin: float = 0.05
    """What came below a threshold is well again this share of it above; between the two nothing changes."""
    above_maximum_tolerance: float = 0.05
    """The share of the maximum by which it may be exceeded. At the maximum all is well again."""
    overdue_grace: timedelta = DAY
    """After the expected arrival."""
    negative_after: timedelta = DAY
    """Facts come out of order: so long stock may stay below zero (S9)."""
    unanswered_after: timedelta | None = None
    """After a version was issued; when its order opportunity has passed where nothing is agreed."""
    drift_tolerance: Decimal | None = None
    """Base units; the share where nothing is agreed."""
    drift_tolerance_share: float = 0.1
    """Of what was expected to stand there."""
    receipt_tolerance_share: float = 0.0
    """Of what was shipped."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """Goods on their way; base units."""

    quantity: Decimal
    at: datetime
    """When they should arrive, or are thought to."""
    name: str = ""
    """Of the shipment or order."""
    is_announced: bool = True
    """Whether somebody said when; what is only thought to arrive is never overdue."""
    may_be_there: bool = False
    """Whether the last report may hold it already: it is not counted a second time (S11)."""


@dataclass(frozen=True, slots=True)
class Item:
    """An item at a location as it stands now; base units."""

    key: Key
    now: datetime
    supplier_id: str
    usable: Decimal
    """What can be sold or used, received goods that are in no report yet among it; never below zero."""
    physical: Decimal
    backlog: Decimal = NOTHING
    is_known: bool = True
    """Whether anybody ever counted or received there: before, the shelf is not empty but unknown."""
    is_negative: bool = False
    """Whether more is gone than ever came."""
    arrivals: Sequence[Arrival] = ()
    arrives_next: datetime | None = None
    """When what can be ordered next would arrive: the lead time's end."""
    daily_demand: float | None = None
    """Expected; None where nothing is known."""
    minimum: Decimal | None = None
    minimum_is_reorder_point: bool = False
    """Whether coming down to it is what triggers an order, rather than a limit that stock must not pass."""
    maximum: Decimal | None = None
    overshoot: Decimal = NOTHING
    """By how much rounding may exceed the maximum."""
    proposals: Sequence[Proposal] = ()
    """Those that are not finished, and all of this opportunity."""
    promised_short: Decimal = NOTHING
    """What the supplier's own promise does not cover of what is proposed."""
    is_promised: bool = False
    """Whether the supplier said at all what it can send."""
    thresholds: Thresholds = field(default_factory=Thresholds)
    active: Collection[Subject] | None = None
    """Its exceptions that are open, where that is known: of these words were found once, and what lies between right
    and wrong is of no matter to any other."""


def of_item(item: Item) -> list[Observation]:
    """Return what is wrong, or between right and wrong; everything else is right.

    ================== ============================================ ======================================
    kind               wrong                                        right again
    ================== ============================================ ======================================
    stock-out          nothing usable                               anything usable
    stock-out          usable, and projected to run out before the  projected above zero by the margin, or
    projected          lead time's end                              out of stock
    below minimum      below it now or by the lead time's end       above it by the margin
    above maximum      position above it by the tolerance           position at or below it
    shipment overdue   expected, grace passed, not received         received, closed, re-announced
    negative stock     below zero for longer than allowed           not below zero
    unanswered         its opportunity (or the agreed wait) passed  answered, or not needed any more
    supply short       the last answer was less than was proposed,  answered in full; promised in full
                       or the promise does not cover it
    ================== ============================================ ======================================
    """
    seen: list[Observation] = []
    if item.is_known:
        seen += _of_stock(item)
    if item.arrivals:
        seen += _overdue(item)
    if item.is_negative:
        seen += _seen(
            item, Kind.NEGATIVE_STOCK, True, partial(_negative, item), must_last=item.thresholds.negative_after
        )
    if item.proposals:
        seen += _unanswered(item)
    if item.proposals or item.promised_short:
        seen += _short(item)
    return seen


def due_at(item: Item) -> datetime | None:
    """Return when to look again though nothing happens: the next arrival is overdue, the next answer too late."""
    if not item.arrivals and not item.proposals:  # which is most of them
        return None
    thresholds = item.thresholds
    moments = [one.at + thresholds.overdue_grace for one in item.arrivals if one.is_announced]
    moments += [_answer_wanted_by(item, one) for one in item.proposals if one.is_open]
    return min((moment for moment in moments if moment >= item.now), default=None)


# Stock


def _of_stock(item: Item) -> Sequence[Observation]:
    seen: Sequence[Observation] = ()
    if item.usable <= 0:
        seen = _seen(item, Kind.STOCK_OUT, True, partial(_out, item))
    elif item.daily_demand and item.arrives_next is not None and item.arrives_next > item.now:
        seen = _projected(item, item.daily_demand, item.arrives_next)
    if item.minimum is not None and item.minimum > 0:
        seen = [*seen, *_below(item, item.minimum)]
    if item.maximum is not None:
        seen = [*seen, *_above(item, item.maximum)]
    return seen


def _out(item: Item) -> Words:
    expected = "" if item.daily_demand is None else f" Expected demand is {item.daily_demand:.3g} a day."
    return f"Nothing usable stands there.{expected}", {"physical": item.physical}


def _negative(item: Item) -> Words:
    what = f"Stock has been below zero ({plain(item.physical)}): more has gone than ever came."
    return what, {"physical": item.physical}


def _projected(item: Item, daily_demand: float, until: datetime) -> Sequence[Observation]:
    lowest, at = _lowest(item, daily_demand, until)
    # At 0 what stands there lasts just until the next arrival, or the lead time's end: nobody finds an empty shelf.
    margin = item.thresholds.recovery_margin * daily_demand * ((until - item.now) / DAY)
    if lowest > margin:
        return ()

    def words() -> Words:
        what = (
            f"At {daily_demand:.3g} a day it runs out before {until:%Y-%m-%d %H:%M} UTC, when what can be ordered next "
            f"arrives (projected {lowest:.4g} at {at:%Y-%m-%d %H:%M} UTC)."
        )
        figures = {"usable": item.usable, "daily_demand": round(daily_demand, 6), "projected": round(lowest, 6)}
        return what, {**figures, "at": at}

    return _seen(item, Kind.STOCK_OUT_PROJECTED, True if lowest < 0 else None, words)


def _below(item: Item, minimum: Decimal) -> Sequence[Observation]:
    """A reorder point is compared with what is there and will be; a limit with the lowest stock until then."""
    until = item.arrives_next or item.now
    if item.minimum_is_reorder_point:
        value = float(item.usable - item.backlog + _arriving(item, until))
        within = "There and due within the lead time"
    else:
        value, _ = _lowest(item, item.daily_demand or 0.0, until)
        within = "The lowest stock until the lead time's end"
    if value >= float(minimum) * (1 + item.thresholds.recovery_margin):
        return ()

    def words() -> Words:
        what = f"{within} is {value:.6g}, the agreed minimum {plain(minimum)}."
        return what, {"minimum": minimum, "projected": round(value, 6), "usable": item.usable}

    return _seen(item, Kind.BELOW_MINIMUM, True if value < minimum else None, words)


def _above(item: Item, maximum: Decimal) -> Sequence[Observation]:
    position = item.usable - item.backlog
    for one in item.arrivals:
        if not one.may_be_there:
            position += one.quantity
    if position <= maximum + item.overshoot:
        return ()
    limit = maximum * (1 + Decimal(str(item.thresholds.above_maximum_tolerance))) + item.overshoot

    def words() -> Words:
        what = f"{plain(position)} stands there or is on its way; the agreed maximum is {plain(maximum)}."
        return what, {"maximum": maximum, "position": position, "usable": item.usable}

    return _seen(item, Kind.ABOVE_MAXIMUM, True if position > limit else None, words)


def _lowest(item: Item, daily_demand: float, until: datetime) -> tuple[float, datetime]:
    """Return the lowest projected stock from now until then, and when: just before something arrives, or at the end.

    Demand is spread evenly; what is overdue beyond its grace is not counted with (F65).
    """
    level = float(item.usable - item.backlog)
    lowest, at = level, item.now
    for arrival in sorted(_counted_with(item), key=lambda one: one.at) if item.arrivals else ():
        arrives = max(arrival.at, item.now)
        if arrives > until:
            break
        before = level - daily_demand * ((arrives - item.now) / DAY)
        if before < lowest:
            lowest, at = before, arrives
        level += float(arrival.quantity)
    end = level - daily_demand * max((until - item.now) / DAY, 0.0)
    return (end, until) if end < lowest else (lowest, at)


def _arriving(item: Item, until: datetime) -> Decimal:
    return sum((one.quantity for one in _counted_with(item) if one.at <= until), NOTHING)


def _counted_with(item: Item) -> Iterator[Arrival]:
    return (one for one in item.arrivals if not one.may_be_there and not _is_overdue(item, one))


# Supply


def _is_overdue(item: Item, arrival: Arrival) -> bool:
    return arrival.is_announced and arrival.at + item.thresholds.overdue_grace < item.now


def _overdue(item: Item) -> Iterator[Observation]:
    late: dict[str, list[Arrival]] = {}
    for arrival in item.arrivals:
        if _is_overdue(item, arrival):
            late.setdefault(arrival.name, []).append(arrival)
    for name, arrivals in late.items():
        yield from _seen(item, Kind.SHIPMENT_OVERDUE, True, partial(_doubtful, name, arrivals), name=name)


def _doubtful(name: str, arrivals: Sequence[Arrival]) -> Words:
    quantity = sum((one.quantity for one in arrivals), NOTHING)
    at = min(one.at for one in arrivals)
    what = f"{plain(quantity)} of {name} was expected at {at:%Y-%m-%d %H:%M} UTC; no receipt. It is doubtful."
    return what, {"doubtful": quantity, "expected_at": at}


def _answer_wanted_by(item: Item, proposal: Proposal) -> datetime:
    after = item.thresholds.unanswered_after
    return proposal.order_at if after is None else proposal.issued_at + after


def _unanswered(item: Item) -> Iterator[Observation]:
    """One exception a supplier, however many proposals wait; while the next one still has time, as it was."""
    waiting = [one for one in item.proposals if one.status in _WAITING]
    for supplier in sorted({one.supplier_id for one in waiting}):
        overdue = [one for one in waiting if one.supplier_id == supplier and _is_late(item, one)]
        if overdue:
            yield from _seen(item, Kind.UNANSWERED, True, partial(_not_answered, supplier, overdue), name=supplier)
        else:
            yield from _seen(item, Kind.UNANSWERED, None, name=supplier)


_WAITING: Final = frozenset({Status.PROPOSED, Status.EXPIRED})


def _is_late(item: Item, proposal: Proposal) -> bool:
    return not proposal.is_open or _answer_wanted_by(item, proposal) < item.now


def _not_answered(supplier: str, overdue: Sequence[Proposal]) -> Words:
    first = min(overdue, key=lambda one: (one.order_at, not one.is_open))
    what = (
        f"{supplier} has not answered the proposal of {plain(first.quantity)} for {first.order_at:%Y-%m-%d %H:%M} UTC."
    )
    return what, {"proposal_id": first.proposal_id, "order_at": first.order_at}


def _short(item: Item) -> Iterator[Observation]:
    """The supplier's last word counts: what it declined, or what its promise does not cover."""
    if item.promised_short > 0:
        yield from _seen(item, Kind.SUPPLY_SHORT, True, partial(_not_promised, item), name=item.supplier_id)
        return
    answered = [
        one
        for one in item.proposals
        if one.answer is not None and one.answer.party == "supplier" and (one.status in BOUND or not one.answer.binds)
    ]
    last = max(answered, key=lambda one: (one.order_at, one.part)) if answered else None
    if last is not None and last.answer is not None and last.answer.declines:
        yield from _seen(item, Kind.SUPPLY_SHORT, True, partial(_declined, last, last.answer), name=last.supplier_id)
    elif last is None and not item.is_promised:
        for supplier in sorted({one.supplier_id for one in item.proposals if one.is_open}):
            yield from _seen(item, Kind.SUPPLY_SHORT, None, name=supplier)


def _not_promised(item: Item) -> Words:
    what = f"{item.supplier_id} has promised {plain(item.promised_short)} less than is proposed."
    return what, {"short": item.promised_short}


def _declined(last: Proposal, answer: Answer) -> Words:
    because = f": {answer.reason}" if answer.reason else ""
    what = f"{last.supplier_id} sends {plain(answer.quantity)} of {plain(answer.offered)} proposed{because}."
    return what, {"proposal_id": last.proposal_id, "short": answer.offered - answer.quantity}


# Observations


def _seen(
    item: Item,
    kind: Kind,
    is_wrong: bool | None,
    words: Callable[[], Words] | None = None,
    *,
    name: str = "",
    must_last: timedelta = NO_GRACE,
) -> Sequence[Observation]:
    """Return what is seen, in words where it is news."""
    active = item.active
    if is_wrong is None and active is not None and not active:  # which is most of them
        return ()
    subject = Subject(kind, *item.key, name)
    if active is not None and subject in active:
        return (Observation(subject, is_wrong, must_last=must_last),)
    if not is_wrong or words is None:
        return () if active is not None else (Observation(subject, is_wrong),)
    sentence, figures = words()
    return (Observation(subject, is_wrong, sentence, _told(figures), must_last),)


def _told(figures: Mapping[str, object]) -> dict[str, str]:
    return {name: _text(value) for name, value in figures.items()}


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)
