"""Trucks that are filled up: what is needed and what fills are kept apart (S19, F46).

Fill is demand of later days that was pulled forward: counted as need it would look like more demand to the supplier.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

NOTHING: Final = Decimal(0)
LITTLE: Final = Decimal("0.1")
"""The share of a truck by which an order may exceed full ones and be cut down to them."""


@dataclass(frozen=True, slots=True)
class LoadLine:
    """One item of an order; base units."""

    name: str
    need: Decimal
    """Without what fills up a layer or a pallet."""
    pallet: Decimal
    """On a pallet."""
    step: Decimal
    """By which it may grow or shrink: a layer or a pallet."""
    position: Decimal
    """The inventory position before this order."""
    daily_demand: float
    minimum: Decimal = NOTHING
    """Below which the position with the order must not fall by cutting down."""
    maximum: Decimal | None = None
    """Above which it must not rise by filling up: the agreed one, space, or what sells before it expires."""
    fill: Decimal = NOTHING
    """What fills up the layer or the pallet that is needed in part."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What goes on the truck of one item."""

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
    pallets: Decimal


def build(lines: Sequence[LoadLine], *, load_pallets: int) -> Load:
    """Return the order with its last truck filled up, or cut down to full ones where it exceeds them by little.

    Up by lowest projected cover among items below their maximum, down by highest cover above their minimum, step by
    step. What nobody needs is not filled up with, and where nothing may grow the truck goes as it is.
    """
    fills = {line.name: line.fill for line in lines}
    truck = Decimal(load_pallets)

    def pallets() -> Decimal:
        return sum(((line.need + fills[line.name]) / line.pallet for line in lines), NOTHING)

    full = (pallets() / truck).to_integral_value(ROUND_FLOOR)
    over = pallets() - full * truck
    if over > 0 and not (full and over <= LITTLE * truck and _cut_down(lines, fills, over)):
        _fill_up(lines, fills, (full + 1) * truck - pallets())
    loads = int((pallets() / truck).to_integral_value(ROUND_CEILING))
    return Load(tuple(Filled(line.name, line.need, fills[line.name]) for line in lines), loads, pallets())


def _cover(line: LoadLine, fill: Decimal) -> float:
    """Return the days that the position lasts with the order."""
    if line.daily_demand <= 0:
        return float("inf")
    return float(line.position + line.need + fill) / line.daily_demand


def _fill_up(lines: Sequence[LoadLine], fills: dict[str, Decimal], room: Decimal) -> None:
    while True:
        growing = [
            line
            for line in lines
            if line.step / line.pallet <= room and line.daily_demand > 0 and _may_grow(line, fills[line.name])
        ]
        if not growing:
            return
        line = min(growing, key=lambda one: (_cover(one, fills[one.name]), one.name))
        fills[line.name] += line.step
        room -= line.step / line.pallet


def _may_grow(line: LoadLine, fill: Decimal) -> bool:
    return line.maximum is None or line.position + line.need + fill + line.step <= line.maximum


def _cut_down(lines: Sequence[LoadLine], fills: dict[str, Decimal], over: Decimal) -> bool:
    """Cut the order by ``over`` pallets, or leave it and return False where that is not to be had."""
    cut = dict(fills)
    while over > 0:
        shrinking = [
            line
            for line in lines
            if line.need + cut[line.name] >= line.step
            and line.position + line.need + cut[line.name] - line.step >= line.minimum
        ]
        if not shrinking:
            return False
        line = max(shrinking, key=lambda one: (_cover(one, cut[one.name]), one.name))
        cut[line.name] -= line.step
        over -= line.step / line.pallet
    fills.update(cut)
    return True
