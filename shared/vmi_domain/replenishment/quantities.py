"""From what is missing to what can be sent: minimum order, multiple and maximum, in exact decimals (S4, S18)."""

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import Final

from vmi_domain.units import FINEST
from vmi_domain.values import dataclass

NOTHING: Final = Decimal(0)
NOISE: Final = FINEST / 2
"""Half of the finest quantity: what is below it comes from arithmetic, not from need (F26)."""


class Rounding(StrEnum):
    """How a quantity comes to a multiple (S4)."""

    UP = "up"
    """To the next multiple; what would pass a hard maximum is then cut."""
    NEAREST = "nearest"
    """Down where no more than the tolerated share of a multiple is lost by it, else up."""
    DOWN_IF_BREACHES_MAXIMUM = "down_if_breaches_maximum"
    """Up, but down where up would pass the maximum, hard or soft."""


class Constraint(StrEnum):
    """What decided the quantity in the end."""

    NEED = "need"
    """Nothing: it is what is missing."""
    MINIMUM_ORDER = "minimum_order"
    MULTIPLE = "multiple"
    LARGEST_ORDER = "largest_order"
    MAXIMUM = "maximum"
    BUDGET = "budget"
    SHELF_LIFE = "shelf_life"
    """More would not be sold before it expires."""
    CAPACITY = "capacity"
    """The customer's space: a shelf, a tank."""
    SUPPLY = "supply"
    """What the supplier can promise."""
    LOAD = "load"
    """Whole layers or pallets."""
    TRUCKS = "trucks"
    """Whole trucks: what fills them up, or what the agreed number of them leaves room for."""


@dataclass(frozen=True, slots=True)
class OrderRules:
    """What the agreement says about the quantity of an order; all base units."""

    multiple: Decimal = Decimal(1)
    minimum_order: Decimal = NOTHING
    largest_order: Decimal | None = None
    maximum: Decimal | None = None
    """The most the inventory position may reach with the order."""
    maximum_is_hard: bool = True
    rounding: Rounding = Rounding.UP
    tolerance: Decimal = Decimal("0.5")
    """The share of a multiple that rounding to the nearest may leave out."""
    budget: Decimal | None = None
    """The quantity that the agreed value of an order pays for."""
    sells_in_life: Decimal | None = None
    """The most the inventory position may reach so that all of it is sold before it expires (S20)."""
    capacity: Decimal | None = None
    """The most that the customer has space for; never exceeded, whatever is soft."""
    available: Decimal | None = None
    """What the supplier can promise of this order, where it is not to exceed that."""
    load_step: Decimal | None = None
    """Base units in a layer or on a pallet, where orders are filled up to whole ones (S19)."""
    truck_fill: Decimal | None = None
    """What this item adds to fill up the trucks that its order goes on."""
    truck_room: Decimal | None = None
    """What of it these trucks hold, where no more of them are agreed."""

    def __post_init__(self) -> None:
        if self.multiple <= 0:
            raise ValueError("a multiple is above zero")


@dataclass(frozen=True, slots=True)
class Step:
    """One step on the way to the quantity, and what it made of it."""

    constraint: Constraint
    quantity: Decimal


@dataclass(frozen=True, slots=True)
class Sized:
    """The quantity of an order, the steps that led to it and what bound it."""

    quantity: Decimal
    binding: Constraint
    steps: tuple[Step, ...]
    fill: Decimal = NOTHING
    """What of the quantity is not needed yet and fills up a layer or a pallet: pulled forward, no sign of demand."""


def to_order(*, missing: Decimal, position: Decimal, rules: OrderRules) -> Sized:
    """Return what to order where ``missing`` base units are wanted on top of the inventory position.

    In this order, and only if something is missing: at least the minimum order, to the multiple, at
    most the largest order and what its budget pays for, never past the maximum, what sells before it
    expires and what there is space for, and no more than the supplier can promise; what these cut is
    rounded *down* to the multiple again. (Rounding first and raising to the minimum then
    would leave the multiple.) What is needed then is filled up to whole layers or pallets, where that
    is agreed and no limit is in the way, or by what was found to fill the order's trucks, for which
    nothing need be missing; it is kept apart as ``fill``.
    """
    if missing <= NOISE and not rules.truck_fill:
        return Sized(NOTHING, Constraint.NEED, (Step(Constraint.NEED, NOTHING),))
    if missing <= NOISE:
        missing = NOTHING
    steps = [Step(Constraint.NEED, missing)]
    quantity = missing

    if 0 < quantity < rules.minimum_order:
        quantity = rules.minimum_order
        steps.append(Step(Constraint.MINIMUM_ORDER, quantity))

    room = None if rules.maximum is None else max(rules.maximum - position, NOTHING)
    rounded = _to_multiple(quantity, rules, room)
    if rounded != quantity:
        quantity = rounded
        steps.append(Step(Constraint.MULTIPLE, quantity))

    for constraint, most in _limits(position, rules, room):
        if most is not None and quantity > most:
            quantity = _down(max(most, NOTHING), rules.multiple)
            steps.append(Step(constraint, quantity))
    fill = _fill(quantity, position, rules)
    if fill:
        steps.append(Step(Constraint.LOAD, quantity + fill))
    if rules.truck_fill:
        fill += rules.truck_fill
        steps.append(Step(Constraint.TRUCKS, quantity + fill))
    return Sized(quantity + fill, steps[-1].constraint, tuple(steps), fill)


def _fill(quantity: Decimal, position: Decimal, rules: OrderRules) -> Decimal:
    """Return what fills an order up to whole layers or pallets, nothing where a limit leaves no room for all of it."""
    if rules.load_step is None or not quantity:
        return NOTHING
    whole, most = _up(quantity, rules.load_step), most_to_fill(position, rules)
    return NOTHING if most is not None and whole > most else whole - quantity


def most_to_fill(position: Decimal, rules: OrderRules) -> Decimal | None:
    """Return up to what an order may be filled up, None where nothing limits it.

    Need may pass a soft maximum, what only fills up may not.
    """
    room = None if rules.maximum is None else max(rules.maximum - position, NOTHING)
    limits = (room, *(most for _, most in _limits(position, rules, room)))
    return min((most for most in limits if most is not None), default=None)


def _limits(
    position: Decimal, rules: OrderRules, room: Decimal | None
) -> tuple[tuple[Constraint, Decimal | None], ...]:
    """Return what may cut the quantity, in this order; what cuts last is what binds."""
    return (
        (Constraint.LARGEST_ORDER, rules.largest_order),
        (Constraint.BUDGET, rules.budget),
        (Constraint.MAXIMUM, room if rules.maximum_is_hard else None),
        (Constraint.SHELF_LIFE, None if rules.sells_in_life is None else rules.sells_in_life - position),
        (Constraint.CAPACITY, None if rules.capacity is None else rules.capacity - position),
        (Constraint.SUPPLY, rules.available),
        (Constraint.TRUCKS, rules.truck_room),
    )


_UP: Final = Rounding.UP


def _to_multiple(quantity: Decimal, rules: OrderRules, room: Decimal | None) -> Decimal:
    up = _up(quantity, rules.multiple)
    if rules.rounding is _UP:
        return up
    down = _down(quantity, rules.multiple)
    match rules.rounding:
        case Rounding.NEAREST if down >= rules.minimum_order and quantity - down <= rules.tolerance * rules.multiple:
            return down
        case Rounding.DOWN_IF_BREACHES_MAXIMUM if room is not None and up > room:
            return down
        case _:
            return up


def _up(quantity: Decimal, multiple: Decimal) -> Decimal:
    return ((quantity - NOISE) / multiple).to_integral_value(ROUND_CEILING) * multiple


def _down(quantity: Decimal, multiple: Decimal) -> Decimal:
    return ((quantity + NOISE) / multiple).to_integral_value(ROUND_FLOOR) * multiple
