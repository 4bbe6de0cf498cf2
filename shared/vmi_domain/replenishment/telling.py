"""What a planner asks about a quantity: how long it lasts, what one pack more would do, what else to do (F56)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from math import sqrt
from typing import Any, Final

from vmi_domain.replenishment.approving import Doubt
from vmi_domain.replenishment.decisions import Decision
from vmi_domain.replenishment.explanations import Explanation
from vmi_domain.replenishment.needs import Basis, Expected
from vmi_domain.replenishment.sizing import demand_of
from vmi_domain.stock.supply import Stage, SupplyLine
from vmi_domain.units import plain
from vmi_domain.values import dataclass

DAY: Final = timedelta(days=1)
LONGEST: Final = 3650.0
"""Days beyond which nobody asks when it runs out."""
ONE_IN_TWENTY: Final = 1.645
"""Standard deviations of the normal that one in twenty passes."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """What another location of the customer holds above its own level."""

    location_id: str
    spare: Decimal
    """Base units."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What is told about: a decision, with what goes beyond it."""

    decision: Decision
    quantity: Decimal
    """What is proposed or bound, base units."""
    now: datetime
    """When it was decided."""
    order_at: datetime
    deliver_at: datetime
    """When what is ordered then stands on the shelf."""
    pack: Decimal = Decimal(1)
    unit_price: Decimal | None = None
    supply: Sequence[SupplyLine] = ()
    """Where the units under way stand."""
    elsewhere: Sequence[Elsewhere] = ()
    warnings: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class PackEffect:
    """What a quantity would do until the next arrival."""

    packs: int
    """More or fewer than the quantity itself."""
    quantity: Decimal
    service: float
    """Probability that nothing is short until the next order arrives."""
    short: float
    """Base units expected to be short by then."""
    left: float
    """Base units expected to be left by then."""
    value: Decimal | None


@dataclass(frozen=True, slots=True)
class Telling:
    """The answers; times and covers are None where no demand is known."""

    daily_demand: float | None
    runs_out_at: datetime | None
    """By the mean demand, with what is under way and without this proposal; None where it lasts for years."""
    may_run_out_at: datetime | None
    """The same if demand is as high as it is one time in twenty."""
    cover_before_days: float | None
    """What the inventory position lasts for."""
    cover_after_days: float | None
    latest_order_at: datetime | None
    """An order placed later arrives when it has run out."""
    is_too_late: bool
    value: Decimal | None
    packs: tuple[PackEffect, ...]
    advice: tuple[str, ...]
    warnings: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        told = asdict(self)
        return {name: _plain_json(value) for name, value in told.items()}


def tell(subject: Subject) -> Telling:
    """Return what follows from a decision besides its quantity."""
    expected = subject.decision.need.expected
    position = subject.decision.need.position
    rate, spread = _rate(expected)
    runs_out = _runs_out(subject, rate, 0.0)
    may_run_out = _runs_out(subject, rate, ONE_IN_TWENTY * spread)
    lead = subject.deliver_at - subject.order_at
    latest = None if runs_out is None else runs_out - lead
    after = position.inventory_position + subject.quantity
    return Telling(
        daily_demand=rate,
        runs_out_at=runs_out,
        may_run_out_at=may_run_out,
        cover_before_days=_cover(position.inventory_position, rate),
        cover_after_days=_cover(after, rate),
        latest_order_at=latest,
        is_too_late=latest is not None and latest < subject.now,
        value=None if subject.unit_price is None else subject.quantity * subject.unit_price,
        packs=_packs(subject, expected),
        advice=tuple(_advice(subject, runs_out, rate)),
        warnings=tuple(_warnings(subject, expected)),
    )


def _rate(expected: Expected | None) -> tuple[float | None, float]:
    """Return mean and standard deviation of one day's demand."""
    if expected is None or (mean := expected.until_next_arrival.daily_mean) is None:
        return None, 0.0
    return mean, expected.until_next_arrival.sd / sqrt(expected.until_next_arrival.days)


def _cover(quantity: Decimal, rate: float | None) -> float | None:
    return None if not rate else round(max(float(quantity), 0.0) / rate, 1)


def _runs_out(subject: Subject, rate: float | None, spread: float) -> datetime | None:
    """Return when stock and what arrives by then are used up; ``spread`` grows with the square root of the days."""
    if not rate:
        return None
    position = subject.decision.need.position
    arrivals = sorted(
        (max((line.expected_at - subject.now) / DAY, 0.0), float(line.quantity))
        for line in subject.supply
        if line.stage in (Stage.ORDERED, Stage.SHIPPED) and line.expected_at is not None
    )
    stock = max(float(position.on_hand), 0.0)
    for after, quantity in [*arrivals, (LONGEST, 0.0)]:
        lasts = _lasts(stock, rate, spread)
        if lasts < after:
            return subject.now + lasts * DAY
        stock += quantity
    return None


def _lasts(stock: float, rate: float, spread: float) -> float:
    """Return the days t with μ t + k σ √t = stock."""
    root = (-spread + sqrt(spread * spread + 4 * rate * stock)) / (2 * rate)
    return root * root


def _packs(subject: Subject, expected: Expected | None) -> tuple[PackEffect, ...]:
    if expected is None:
        return ()
    demand = demand_of([expected.until_next_arrival], [expected])
    effects = []
    for packs in (-1, 0, 1):
        quantity = subject.quantity + packs * subject.pack
        if quantity < 0:
            continue
        level = float(subject.decision.need.position.inventory_position + quantity)
        effects.append(
            PackEffect(
                packs=packs,
                quantity=quantity,
                service=round(float(demand.cdf(level)[0]), 4),
                short=round(float(demand.expected_shortage(level)[0]), 2),
                left=round(float(demand.expected_stock(level)[0]), 2),
                value=None if subject.unit_price is None else quantity * subject.unit_price,
            )
        )
    return tuple(effects)


def _warnings(subject: Subject, expected: Expected | None) -> list[str]:
    told = list(subject.warnings)
    if expected is None and subject.decision.level is None:
        told.append("nothing is known of the demand")
    elif expected is not None and expected.basis is Basis.AGREED_RATE:
        told.append("no history yet: the demand is the agreed one")
    late = [
        line
        for line in subject.supply
        if line.stage in (Stage.ORDERED, Stage.SHIPPED)
        and line.expected_at is not None
        and line.expected_at < subject.now
    ]
    told += [
        f"{_to_a_cent(line.quantity)} of {_name(line)} should have arrived by {_day(line.expected_at)}" for line in late
    ]
    return told


def _advice(subject: Subject, runs_out: datetime | None, rate: float | None) -> list[str]:
    """Return what else could be done about too little, or too much."""
    decision, deliver_at = subject.decision, subject.deliver_at
    told = []
    open_lines = [line for line in subject.supply if line.stage in (Stage.ORDERED, Stage.SHIPPED)]
    if runs_out is not None and rate and runs_out < deliver_at:
        gap = Decimal(repr(round(rate * ((deliver_at - runs_out) / DAY), 2)))
        told += [
            f"expedite {_to_a_cent(line.quantity)} of {_name(line)}, expected {_day(line.expected_at)}: "
            f"it runs out on {_day(runs_out)}"
            for line in open_lines
            if line.expected_at is not None and line.expected_at > runs_out
        ]
        for other in sorted(subject.elsewhere, key=lambda one: (-one.spare, one.location_id)):
            packs = (min(other.spare, gap + subject.pack) / subject.pack).to_integral_value(ROUND_FLOOR)
            if packs > 0:
                told.append(
                    f"transfer {_to_a_cent(packs * subject.pack)} from {other.location_id}, which holds "
                    f"{_to_a_cent(other.spare)} above its level"
                )
                break
    if decision.level is not None:
        beyond = decision.need.position.inventory_position - decision.level
        excess = decision.need.position.usable - decision.level
        for line in open_lines:
            unneeded = (min(line.quantity, beyond) / subject.pack).to_integral_value(ROUND_FLOOR) * subject.pack
            if line.stage is Stage.ORDERED and unneeded > 0:
                told.append(f"defer or cancel {_to_a_cent(unneeded)} of {_name(line)}: the position is above its level")
                beyond -= unneeded
        if excess >= subject.pack:
            lasts = "" if not rate else f", {float(excess) / rate:.0f} days of demand"
            told.append(f"{_to_a_cent(excess)} on the shelf are above the level {_to_a_cent(decision.level)}{lasts}")
    return told


@dataclass(frozen=True, slots=True)
class Difference:
    """An input or result that another version had otherwise."""

    name: str
    before: str
    after: str


_NAMES: Final = {
    "usable": "usable stock",
    "received_unconfirmed": "received, not yet reported",
    "in_transit": "in transit",
    "on_order": "on order",
    "proposed_open": "proposed for other days",
    "backlog": "backlog",
    "reserved": "reserved",
    "outdating": "expires before the next arrival",
}


def differences(before: Explanation, after: Explanation) -> list[Difference]:
    """Return what of two explanations differs, in a planner's words."""
    readers: list[tuple[str, Callable[[Explanation], str]]] = [
        ("demand until the next arrival", lambda one: _demand(one, "mean")),
        ("its standard deviation", lambda one: _demand(one, "sd")),
        ("days it must last", lambda one: _demand(one, "days")),
        ("level", lambda one: str(one["steps"][0]["value"])),
        ("policy", lambda one: _words(one["inputs"]["policy"])),
        ("order rules", lambda one: _words(one["inputs"]["rules"])),
        ("what binds", lambda one: str(one["binding"])),
    ]
    told = [Difference(name, read(before), read(after)) for name, read in readers]
    return [*differences_in_record(before, after), *(one for one in told if one.before != one.after)]


def differences_in_record(before: Explanation, after: Explanation) -> list[Difference]:
    """Return what of two explanations differs in the position, and in what is doubtful about it."""
    sides = (before, after)
    told = [
        Difference(name, *(str(one["inputs"]["position"].get(key, "0")) for one in sides))
        for key, name in _NAMES.items()
    ]
    doubts = (", ".join(Doubt(one).in_words for one in side.get("warnings", ())) for side in sides)
    told.append(Difference("doubts", *(words or "none" for words in doubts)))
    return [one for one in told if one.before != one.after]


def _demand(explanation: Explanation, name: str) -> str:
    demand = explanation["inputs"].get("demand")
    return "unknown" if demand is None else f"{demand['until_next_arrival'][name]:.5g}"


def _words(told: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in sorted(told.items()) if value not in (None, "", 0, "0"))


def _name(line: SupplyLine) -> str:
    if line.shipment_id is not None:
        return f"shipment {line.shipment_id}"
    return "what is accepted and not ordered" if line.order_id is None else f"order {line.order_id}"


def _day(at: datetime | None) -> str:
    return "some day" if at is None else f"{at:%Y-%m-%d}"


def _to_a_cent(quantity: Decimal) -> str:
    return plain(round(quantity, 2))


def _plain_json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return _to_a_cent(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain_json(one) for name, one in value.items()}
    return [_plain_json(one) for one in value] if isinstance(value, list | tuple) else value
