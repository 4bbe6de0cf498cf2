"""When something is wrong with an item at a location: a table of its states, as a pure function."""

from collections.abc import Iterator, Sequence
from dataclasses import field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from vmi_domain.exceptions.lifecycle import Kind, Observation, Subject
from vmi_domain.replenishment.proposals import BOUND, Proposal, Status
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
    seen += _overdue(item)
    if item.is_negative:
        what = f"Stock has been below zero ({plain(item.physical)}): more has gone than ever came."
        seen.append(
            _wrong(item, Kind.NEGATIVE_STOCK, what, must_last=item.thresholds.negative_after, physical=item.physical)
        )
    seen += _unanswered(item)
    seen += _short(item)
    return seen


def due_at(item: Item) -> datetime | None:
    """Return when to look again though nothing happens: the next arrival is overdue, the next answer too late."""
    thresholds = item.thresholds
    moments = [one.at + thresholds.overdue_grace for one in item.arrivals if one.is_announced]
    moments += [_answer_wanted_by(item, one) for one in item.proposals if one.is_open]
    return min((moment for moment in moments if moment >= item.now), default=None)


# Stock


def _of_stock(item: Item) -> Iterator[Observation]:
    if item.usable <= 0:
        expected = "" if item.daily_demand is None else f" Expected demand is {item.daily_demand:.3g} a day."
        yield _wrong(item, Kind.STOCK_OUT, f"Nothing usable stands there.{expected}", physical=item.physical)
    elif item.daily_demand and item.arrives_next is not None and item.arrives_next > item.now:
        yield from _projected(item, item.daily_demand, item.arrives_next)
    if item.minimum is not None and item.minimum > 0:
        yield from _below(item, item.minimum)
    if item.maximum is not None:
        yield from _above(item, item.maximum)


def _projected(item: Item, daily_demand: float, until: datetime) -> Iterator[Observation]:
    lowest, at = _lowest(item, daily_demand, until)
    # At 0 what stands there lasts just until the next arrival, or the lead time's end: nobody finds an empty shelf.
    margin = item.thresholds.recovery_margin * daily_demand * ((until - item.now) / DAY)
    if lowest > margin:
        return
    what = (
        f"At {daily_demand:.3g} a day it runs out before {until:%Y-%m-%d %H:%M} UTC, when what can be ordered next "
        f"arrives (projected {lowest:.4g} at {at:%Y-%m-%d %H:%M} UTC)."
    )
    figures = {"usable": item.usable, "daily_demand": round(daily_demand, 6), "projected": round(lowest, 6)}
    yield _seen(item, Kind.STOCK_OUT_PROJECTED, True if lowest < 0 else None, what, **figures, at=at)


def _below(item: Item, minimum: Decimal) -> Iterator[Observation]:
    """A reorder point is compared with what is there and will be; a limit with the lowest stock until then."""
    until = item.arrives_next or item.now
    if item.minimum_is_reorder_point:
        value = float(item.usable - item.backlog + _arriving(item, until))
        within = "There and due within the lead time"
    else:
        value, _ = _lowest(item, item.daily_demand or 0.0, until)
        within = "The lowest stock until the lead time's end"
    if value >= float(minimum) * (1 + item.thresholds.recovery_margin):
        return
    what = f"{within} is {value:.6g}, the agreed minimum {plain(minimum)}."
    is_wrong = True if value < minimum else None
    yield _seen(
        item, Kind.BELOW_MINIMUM, is_wrong, what, minimum=minimum, projected=round(value, 6), usable=item.usable
    )


def _above(item: Item, maximum: Decimal) -> Iterator[Observation]:
    position = (
        item.usable - item.backlog + sum((one.quantity for one in item.arrivals if not one.may_be_there), NOTHING)
    )
    if position <= maximum + item.overshoot:
        return
    limit = maximum * (1 + Decimal(str(item.thresholds.above_maximum_tolerance))) + item.overshoot
    what = f"{plain(position)} stands there or is on its way; the agreed maximum is {plain(maximum)}."
    is_wrong = True if position > limit else None
    yield _seen(item, Kind.ABOVE_MAXIMUM, is_wrong, what, maximum=maximum, position=position, usable=item.usable)


def _lowest(item: Item, daily_demand: float, until: datetime) -> tuple[float, datetime]:
    """Return the lowest projected stock from now until then, and when: just before something arrives, or at the end.

    Demand is spread evenly; what is overdue beyond its grace is not counted with (F65).
    """
    level = float(item.usable - item.backlog)
    lowest, at = level, item.now
    for arrival in sorted(_counted_with(item), key=lambda one: one.at):
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
        quantity = sum((one.quantity for one in arrivals), NOTHING)
        at = min(one.at for one in arrivals)
        what = f"{plain(quantity)} of {name} was expected at {at:%Y-%m-%d %H:%M} UTC; no receipt. It is doubtful."
        yield _wrong(item, Kind.SHIPMENT_OVERDUE, what, name=name, doubtful=quantity, expected_at=at)


def _answer_wanted_by(item: Item, proposal: Proposal) -> datetime:
    after = item.thresholds.unanswered_after
    return proposal.order_at if after is None else proposal.issued_at + after


def _unanswered(item: Item) -> Iterator[Observation]:
    """One exception a supplier, however many proposals wait; while the next one still has time, as it was."""
    waiting = [one for one in item.proposals if one.is_open]
    late = [one for one in waiting if _answer_wanted_by(item, one) < item.now]
    expired = [one for one in item.proposals if one.status is Status.EXPIRED]
    for supplier in sorted({one.supplier_id for one in (*waiting, *expired)}):
        overdue = [one for one in (*late, *expired) if one.supplier_id == supplier]
        if not overdue:
            yield Observation(_subject(item, Kind.UNANSWERED, supplier), None)
            continue
        first = min(overdue, key=lambda one: one.order_at)
        what = (
            f"{supplier} has not answered the proposal of {plain(first.quantity)} for {first.order_at:%Y-%m-%d %H:%M} "
            "UTC."
        )
        yield _wrong(item, Kind.UNANSWERED, what, name=supplier, proposal_id=first.proposal_id, order_at=first.order_at)


def _short(item: Item) -> Iterator[Observation]:
    """The supplier's last word counts: what it declined, or what its promise does not cover."""
    if item.promised_short > 0:
        what = f"{item.supplier_id} has promised {plain(item.promised_short)} less than is proposed."
        yield _wrong(item, Kind.SUPPLY_SHORT, what, name=item.supplier_id, short=item.promised_short)
        return
    answered = [
        one
        for one in item.proposals
        if one.answer is not None and one.answer.party == "supplier" and (one.status in BOUND or not one.answer.binds)
    ]
    last = max(answered, key=lambda one: (one.order_at, one.part), default=None)
    if last is not None and last.answer is not None and last.answer.declines:
        answer = last.answer
        because = f": {answer.reason}" if answer.reason else ""
        what = f"{last.supplier_id} sends {plain(answer.quantity)} of {plain(answer.offered)} proposed{because}."
        yield _wrong(
            item,
            Kind.SUPPLY_SHORT,
            what,
            name=last.supplier_id,
            proposal_id=last.proposal_id,
            short=answer.offered - answer.quantity,
        )
    elif last is None and not item.is_promised:
        for supplier in sorted({one.supplier_id for one in item.proposals if one.is_open}):
            yield Observation(_subject(item, Kind.SUPPLY_SHORT, supplier), None)


# Observations


def _subject(item: Item, kind: Kind, name: str = "") -> Subject:
    return Subject(kind, *item.key, name)


def _wrong(
    item: Item, kind: Kind, sentence: str, *, name: str = "", must_last: timedelta = timedelta(0), **figures: object
) -> Observation:
    return Observation(_subject(item, kind, name), True, sentence, _told(figures), must_last)


def _seen(item: Item, kind: Kind, is_wrong: bool | None, sentence: str, **figures: object) -> Observation:
    return Observation(_subject(item, kind), is_wrong, sentence, _told(figures))


def _told(figures: dict[str, object]) -> dict[str, str]:
    return {name: _text(value) for name, value in figures.items()}


def _text(value: object) -> str:
    if isinstance(value, Decimal):
        return plain(value)
    return value.isoformat() if isinstance(value, datetime) else str(value)
