"""Trucks that are filled up: what is needed and what fills are kept apart (S19, F46).

Fill is demand of later days that was pulled forward: counted as need it would look like more demand to the supplier.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from heapq import heapify, heappop, heappush
from math import ceil
from typing import NamedTuple

from vmi_domain.replenishment.quantities import NOTHING
from vmi_domain.values import dataclass


class Sizes(NamedTuple):
    """Room by its kinds; None where a kind does not count, or is not known."""

    pallets: Fraction | None = None
    weight: Fraction | None = None
    """Kilograms."""
    volume: Fraction | None = None
    """Cubic metres."""


@dataclass(frozen=True, slots=True)
class Truck:
    """What is agreed for an item about the truck that it goes on."""

    holds: Sizes
    """A full one."""
    takes: Sizes
    """A base unit of the item."""
    step: Decimal
    """Base units by which a load grows or shrinks: a layer, a pallet, a pack."""
    most: int | None = None
    """The most trucks that go on an order day; what is needed beyond them waits."""
    cover_days: float | None = None
    """Days of expected demand that the position may cover by filling up."""
    fills: bool = False
    """Whether proposals fill it; else it is only shown what would."""


@dataclass(frozen=True, slots=True)
class LoadLine:
    """One item of an order; base units."""

    name: str
    need: Decimal
    """What is to go whatever the truck; of what is not to be changed, what stands."""
    truck: Truck
    position: Decimal
    """The inventory position before this order."""
    daily_demand: float
    minimum: Decimal = NOTHING
    """Below which the position with the order should not fall by cutting down."""
    most: Decimal | None = None
    """Of this order, by filling up: the agreed maximum, space, what sells before it expires, what can be promised."""
    least: Decimal = NOTHING
    """The smallest order."""
    filled: Decimal = NOTHING
    """What of ``need`` is not needed yet, and fills up a layer or a pallet."""
    aboard: Decimal = NOTHING
    """What is bound for this truck already, and counts in the position."""
    told: Decimal | None = None
    """What the standing proposal says."""
    damped: Decimal | None = None
    """Of that what was needed, where the need has moved by less since than is agreed to matter."""
    is_quiet: bool = False
    """Whether the need has moved by less, though the standing quantity may differ by more."""
    is_fixed: bool = False
    """Whether its quantity is not to be changed by the truck."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What goes on the trucks of one item; base units."""

    name: str
    need: Decimal
    fill: Decimal
    """Pulled forward; below zero where it waits for the next order."""


@dataclass(frozen=True, slots=True)
class Load:
    """An order as it is loaded."""

    lines: tuple[Filled, ...]
    loads: int
    """Trucks."""
    of_a_truck: Sizes
    needed: Sizes
    """What is needed takes."""
    loaded: Sizes
    """What goes takes."""
    is_full: bool = False
    """Whether no step of any item fits any more, or nothing goes."""
    exceeded: bool = False
    """Whether more is needed than the agreed trucks hold."""
    unmeasured: tuple[str, ...] = ()
    """Items of which it is not agreed what they take: nothing is filled up then."""

    @property
    def pallets(self) -> Decimal:
        return NOTHING if self.loaded.pallets is None else as_decimal(self.loaded.pallets)


def as_decimal(size: Fraction) -> Decimal:
    """Return a size to a thousandth."""
    return (Decimal(size.numerator) / Decimal(size.denominator)).quantize(Decimal("0.001"))


def build(lines: Sequence[LoadLine]) -> Load:
    """Return an order with its trucks filled up. What nobody needs is no reason for a truck, but may fill one.

    As many trucks as hold what is needed, and no more than are agreed at most. What the standing proposals say stays as
    far as it serves (it was filled up before, and the truck is full whichever item does it); what then is too much is
    taken back by highest cover, what fits still is added by lowest cover, step by step, up to each item's own limit.
    A need is cut only where the agreed trucks do not hold it: by highest cover, those above their minimum first.
    """
    holds = _least(line.truck.holds for line in lines)
    unmeasured = tuple(line.name for line in lines if _is_unmeasured(line, holds))
    quantities = {line.name: _start(line) for line in lines}
    if unmeasured or not lines:
        quantities = {line.name: line.need for line in lines}
        return _load(lines, quantities, holds, loads=0, unmeasured=unmeasured)
    trucks = _trucks(_taken(lines, {line.name: _basis(line) for line in lines}, holds), holds)
    room = _Room(lines, quantities, holds, trucks)
    if room.is_over:
        floors = {line.name: _floor(line, quantities[line.name]) for line in lines}
        trucks = max(trucks, _trucks(_taken(lines, floors, holds), holds))
        room = _Room(lines, quantities, holds, trucks)
    most = min((line.truck.most for line in lines if line.truck.most is not None), default=None)
    asked = {line.name: max(_basis(line), line.need) if line.is_fixed else _basis(line) for line in lines}
    exceeded = most is not None and max(trucks, _trucks(_taken(lines, asked, holds), holds)) > most
    if most is not None and exceeded:
        trucks = most
        quantities = _exceeding(lines, holds, trucks)
    else:
        _shrink(lines, quantities, room, {line.name: _floor(line, quantities[line.name]) for line in lines})
        if trucks:
            _fill_up(lines, quantities, room)
    return _load(lines, quantities, holds, loads=trucks, exceeded=exceeded)


def _load(
    lines: Sequence[LoadLine],
    quantities: Mapping[str, Decimal],
    holds: Sizes,
    *,
    loads: int,
    exceeded: bool = False,
    unmeasured: tuple[str, ...] = (),
) -> Load:
    needed = _taken(lines, {line.name: line.need - line.filled for line in lines}, holds)
    loaded = _taken(lines, quantities, holds)
    room = _Room(lines, quantities, holds, loads)
    return Load(
        lines=tuple(
            Filled(line.name, line.need - line.filled, quantities[line.name] - line.need + line.filled)
            for line in lines
        ),
        loads=loads,
        of_a_truck=holds,
        needed=needed,
        loaded=loaded,
        is_full=not unmeasured and not any(room.has(line, line.truck.step) for line in lines),
        exceeded=exceeded,
        unmeasured=unmeasured,
    )


# What goes where no truck changes it


def _start(line: LoadLine) -> Decimal:
    """Return what is told already as far as it serves, else what is needed."""
    told = line.told
    if told is None:
        return line.need
    if line.is_fixed or line.damped is not None:
        return told
    if told <= line.need:
        return line.need
    if line.most is None or told <= line.most:
        return told
    steps = (line.most - line.need) // line.truck.step
    return line.need + max(steps, NOTHING) * line.truck.step


def _basis(line: LoadLine) -> Decimal:
    """Return what a truck goes for."""
    if line.is_fixed:
        return _start(line)
    return line.need if line.damped is None else line.damped


def _floor(line: LoadLine, quantity: Decimal) -> Decimal:
    """Return down to where a quantity may be taken back."""
    return quantity if line.is_fixed else min(quantity, line.need)


def _is_unmeasured(line: LoadLine, holds: Sizes) -> bool:
    pairs = zip(line.truck.takes, holds, strict=True)
    return any(takes is None and there is not None for takes, there in pairs)


# Room


def _least(holds: Iterator[Sizes]) -> Sizes:
    """Return the smallest of several trucks, kind by kind."""
    kinds = zip(*holds, strict=True)
    return Sizes(*(min((size for size in kind if size is not None), default=None) for kind in kinds))


def _taken(lines: Sequence[LoadLine], quantities: Mapping[str, Decimal], holds: Sizes) -> Sizes:
    """Return what quantities take, and what is bound already, of the kinds that count."""

    def of(kind: int) -> Fraction | None:
        if holds[kind] is None:
            return None
        return sum(
            (Fraction(quantities[line.name] + line.aboard) * (line.truck.takes[kind] or 0) for line in lines),
            Fraction(0),
        )

    return Sizes(*(of(kind) for kind in range(len(holds))))


def _trucks(taken: Sizes, holds: Sizes) -> int:
    pairs = zip(taken, holds, strict=True)
    return max((ceil(size / there) for size, there in pairs if size is not None and there is not None), default=0)


class _Room:
    """What is left on the trucks, kind by kind; below zero what is too much."""

    def __init__(self, lines: Sequence[LoadLine], quantities: Mapping[str, Decimal], holds: Sizes, trucks: int) -> None:
        pairs = zip(holds, _taken(lines, quantities, holds), strict=True)
        self.left = [None if there is None or size is None else there * trucks - size for there, size in pairs]

    @property
    def is_over(self) -> bool:
        return any(left is not None and left < 0 for left in self.left)

    def has(self, line: LoadLine, more: Decimal) -> bool:
        pairs = zip(line.truck.takes, self.left, strict=True)
        return all(left is None or (takes or 0) * Fraction(more) <= left for takes, left in pairs)

    def take(self, line: LoadLine, more: Decimal) -> None:
        pairs = zip(line.truck.takes, self.left, strict=True)
        self.left = [None if left is None else left - (takes or 0) * Fraction(more) for takes, left in pairs]


# Step by step


def _cover(line: LoadLine, quantity: Decimal) -> float:
    """Return the days that the position lasts with the order."""
    if line.daily_demand <= 0:
        return float("inf")
    return float(line.position + quantity) / line.daily_demand


def _fill_up(lines: Sequence[LoadLine], quantities: dict[str, Decimal], room: _Room) -> None:
    """Add by lowest cover, up to each item's own limit."""
    some = [line for line in lines if not line.is_fixed and line.daily_demand > 0]
    _grow(some, quantities, room, {line.name: line.most for line in some}, _grown)


def _grown(line: LoadLine, quantity: Decimal) -> Decimal:
    step = line.truck.step
    if not quantity:
        return (max(line.least, line.need, step) / step).to_integral_value(ROUND_CEILING) * step
    return max(quantity + step, line.need)


def _grow(
    lines: Sequence[LoadLine],
    quantities: dict[str, Decimal],
    room: _Room,
    limits: Mapping[str, Decimal | None],
    grown: Callable[[LoadLine, Decimal], Decimal],
) -> None:
    """Add by lowest cover. A line that may not grow or does not fit now does not later: room only shrinks."""
    growing = [(_cover(line, quantities[line.name]), line.name, place) for place, line in enumerate(lines)]
    heapify(growing)
    while growing:
        _, name, place = heappop(growing)
        line, limit = lines[place], limits[name]
        following = grown(line, quantities[name])
        more = following - quantities[name]
        if more > 0 and room.has(line, more) and (limit is None or following <= limit):
            quantities[name] = following
            room.take(line, more)
            heappush(growing, (_cover(line, following), name, place))


def _exceeding(lines: Sequence[LoadLine], holds: Sizes, trucks: int) -> dict[str, Decimal]:
    """Return what goes where more is needed than fits: what was told while nothing has moved much, else cut needs."""
    if all(line.is_fixed or line.is_quiet or not (line.need or line.told) for line in lines):
        told = {line.name: _start(line) if line.told is None else line.told for line in lines}
        if not _Room(lines, told, holds, trucks).is_over:
            return told
    quantities = {line.name: _start(line) if line.is_fixed else line.need for line in lines}
    room = _Room(lines, quantities, holds, trucks)
    _cut_down(lines, quantities, room, down_to_minimum=True)
    _cut_down(lines, quantities, room, down_to_minimum=False)
    some = [line for line in lines if not line.is_fixed]
    needs = {line.name: line.need for line in some}
    _grow(some, quantities, room, needs, lambda line, quantity: min(quantity + line.truck.step, line.need))
    return quantities


def _cut_down(lines: Sequence[LoadLine], quantities: dict[str, Decimal], room: _Room, *, down_to_minimum: bool) -> None:
    """Cut by highest cover until what goes fits, down to each item's minimum or to nothing."""
    floors = {}
    for line in lines:
        quantity = quantities[line.name]
        floor = quantity if line.is_fixed else NOTHING
        if down_to_minimum and not line.is_fixed:
            steps = max(line.position + quantity - line.minimum, NOTHING) // line.truck.step
            floor = max(quantity - steps * line.truck.step, NOTHING)
        floors[line.name] = floor
    _shrink(lines, quantities, room, floors)


def _shrink(
    lines: Sequence[LoadLine], quantities: dict[str, Decimal], room: _Room, floors: Mapping[str, Decimal]
) -> None:
    shrinking = [(-_cover(line, quantities[line.name]), line.name, place) for place, line in enumerate(lines)]
    heapify(shrinking)
    while room.is_over and shrinking:
        _, name, place = heappop(shrinking)
        line, quantity = lines[place], quantities[name]
        shrunk = max(quantity - line.truck.step, floors[name])
        if 0 < shrunk < line.least and not floors[name] and line.need == 0:
            shrunk = NOTHING
        if shrunk < quantity:
            quantities[name] = shrunk
            room.take(line, shrunk - quantity)
            heappush(shrinking, (-_cover(line, shrunk), name, place))
