"""From needs to levels: which formula a policy asks for, and one array computation a formula."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from math import ceil, floor
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain.distributions import Demand, Family
from vmi_domain.replenishment.needs import (
    DIGITS,
    Basis,
    Expected,
    Need,
    Outlook,
    Policy,
    PolicyKind,
    ServiceMeasure,
    UnmetDemand,
)
from vmi_domain.replenishment.policies import (
    ddmrp,
    landing,
    levels,
    lost_sales,
    reordering,
    short_life,
    stationary,
)
from vmi_domain.replenishment.policies.cycles import Cycles
from vmi_domain.replenishment.policies.grids import cell_chances
from vmi_domain.replenishment.policies.spreads import Spread, no_spread
from vmi_domain.replenishment.quantities import NOTHING, Rounding
from vmi_domain.values import dataclass

Floats = NDArray[np.float64]

_FINE: Final = 0.05
"""Packs below this share of a standard deviation leave continuous demand's level where it is."""
_MOST_UNDATED: Final = 4
"""Parts that supply of unknown date is spread in."""
_WIDEST: Final = 4000
"""Positions that are compared for the cheapest reorder point; beyond them several units are taken as one."""


class LevelSource(StrEnum):
    """Where a decision's level comes from, which is the formula it is recomputed by."""

    CYCLE_SERVICE = "cycle_service"
    FILL_RATE = "fill_rate"
    COST = "cost"
    CYCLE_SERVICE_LOST_SALES = "cycle_service_lost_sales"
    FILL_RATE_LOST_SALES = "fill_rate_lost_sales"
    COST_LOST_SALES = "cost_lost_sales"
    ORDER_COST = "order_cost"
    DAYS_OF_SUPPLY = "days_of_supply"
    BUFFER = "buffer"
    SHORT_LIFE = "short_life"
    AGREED_MAXIMUM = "agreed_maximum"
    AGREED_MINIMUM = "agreed_minimum"
    """The agreed minimum is to be left until the next arrival, and asks for more than the service does."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Size:
    """Up to where a need is filled, and from when on; base units."""

    source: LevelSource
    level: Decimal | None = None
    reorder_point: Decimal | None = None
    order_quantity: Decimal | None = None


def sizes(needs: Sequence[Need]) -> list[Size]:
    """Return one size a need; each depends on its own need alone."""
    sources = [_source(need) for need in needs]
    found = [_agreed(need, source) for need, source in zip(needs, sources, strict=True)]
    for source, formula in _FORMULAS.items():
        places = [place for place, chosen in enumerate(sources) if chosen is source]
        if places:
            for place, size in zip(places, formula([needs[place] for place in places], source), strict=True):
                found[place] = size
    return [_above_minimum(need, size) for need, size in zip(needs, found, strict=True)]


def are_covered(needs: Sequence[Need]) -> list[bool]:
    """Return of each need whether its position is sure to reach its level, which is cheaper to say than the level.

    False says nothing: the level is to be looked at.
    """
    found = [False] * len(needs)
    sources = [_source_of_a_screen(need) for need in needs]
    for source in _SCREENED:
        places = [place for place, one in enumerate(sources) if one is source]
        if not places:
            continue
        some = [needs[place] for place in places]
        cycles, targets = _cycles(some), np.array([need.policy.service_target for need in some])
        if source is LevelSource.CYCLE_SERVICE:
            whole = cycles.until_next_arrival
            position = np.array([float(need.position.inventory_position) for need in some])
            reached = (whole.family != Family.NORMAL) & (position >= 0) & (whole.cdf(position) >= targets)
        else:
            parts = np.array([len(need.arrivals) + _MOST_UNDATED if need.position.on_its_way else 0 for need in some])
            supply = np.array([_whole_supply(need) for need in some])
            reached = landing.are_covered(cycles, supply, parts, targets)
        for place in np.flatnonzero(reached).tolist():
            found[places[place]] = True
    return found


_SCREENED: Final = (LevelSource.CYCLE_SERVICE, LevelSource.CYCLE_SERVICE_LOST_SALES)


def _source_of_a_screen(need: Need) -> LevelSource | None:
    """Return the formula of a need whose level is the only thing that its position has to reach, None of others."""
    policy, expected = need.policy, need.expected
    if policy.kind is not PolicyKind.ORDER_UP_TO or policy.minimum is not None:
        return None
    if expected is None or expected.basis is Basis.NET_PLAN:
        return None
    return source_of(policy)


def _whole_supply(need: Need) -> float:
    """Return what stands there and comes, in units; less what parts of a unit may be counted short by."""
    position = need.position
    supply = float(position.inventory_position)
    if position.backlog or position.reserved or position.outdating:
        return -1.0 if position.on_hand < 0 else float(floor(supply)) - len(need.arrivals) - _MOST_UNDATED
    on_its_way = position.on_its_way
    if not on_its_way:
        return float(floor(supply))
    dated = sum((one.quantity for one in need.arrivals), NOTHING)
    if dated == on_its_way and all(not one.quantity % 1 for one in need.arrivals):
        return float(floor(supply))
    return float(floor(supply)) - len(need.arrivals) - _MOST_UNDATED


def least_position(minimum: Decimal, until_next_arrival: float) -> Decimal:
    """Return the position that an order must lead up to, so that the minimum is expected to be left until the next one.

    A minimum is stock that is not to be fallen below: what is expected to be wanted meanwhile comes on top of it.
    """
    return minimum + _decimal(until_next_arrival)


def _above_minimum(need: Need, size: Size) -> Size:
    """Return the size, lifted where an agreed minimum asks for more. A net plan is met as it is."""
    policy, expected = need.policy, need.expected
    if policy.minimum is None or expected is None or expected.basis is Basis.NET_PLAN or policy.kind not in _FLOORED:
        return size
    floor = least_position(policy.minimum, expected.until_next_arrival.mean)
    least = size.level if size.reorder_point is None else size.reorder_point
    if size.level is None or least is None or least >= floor:
        return size
    if size.reorder_point is None:
        return replace(size, source=LevelSource.AGREED_MINIMUM, level=floor)
    lifted = size.level + floor - size.reorder_point
    return replace(size, source=LevelSource.AGREED_MINIMUM, level=lifted, reorder_point=floor)


_FLOORED: Final = {PolicyKind.ORDER_UP_TO, PolicyKind.REORDER_POINT_LEVEL, PolicyKind.REORDER_POINT_QUANTITY}


def _source(need: Need) -> LevelSource:
    """Without any demand to go by, an agreed minimum and maximum serve as the policy; a net plan is met as it is."""
    if need.policy.kind in (PolicyKind.ONE_TO_ONE, PolicyKind.MINIMUM_MAXIMUM):
        return source_of(need.policy)
    if need.expected is None:
        return _banded(need.policy)
    return LevelSource.CYCLE_SERVICE if need.expected.basis is Basis.NET_PLAN else source_of(need.policy)


def source_of(policy: Policy) -> LevelSource:
    """Return which formula a policy asks for, where there is demand to go by."""
    kind = policy.kind
    if kind is not PolicyKind.ORDER_UP_TO:  # which is most of them
        match kind:
            case PolicyKind.ONE_TO_ONE:
                return LevelSource.AGREED_MAXIMUM if policy.maximum is not None else LevelSource.NONE
            case PolicyKind.MINIMUM_MAXIMUM:
                return _banded(policy)
            case PolicyKind.DAYS_OF_SUPPLY:
                return LevelSource.DAYS_OF_SUPPLY
            case PolicyKind.DDMRP:
                return LevelSource.BUFFER
            case PolicyKind.NEWSVENDOR:
                return LevelSource.SHORT_LIFE
    source = _BY_MEASURE[policy.service_measure, policy.unmet_demand]
    if kind is PolicyKind.REORDER_POINT_LEVEL and source is LevelSource.COST and policy.order_quantity is None:
        return LevelSource.ORDER_COST
    return source


_BY_MEASURE: Final = {
    (measure, unmet): LevelSource(measure.value + ("_lost_sales" if unmet is UnmetDemand.LOST else ""))
    for measure in ServiceMeasure
    for unmet in UnmetDemand
}


def follows_a_target(policy: Policy) -> bool:
    """Return whether a service target, or a critical ratio, has a say in the level."""
    return source_of(policy) in _MEASURES


def looks_at_arrivals(policy: Policy) -> bool:
    """Return whether it matters to a policy when what is on its way arrives."""
    return policy.kind is PolicyKind.ORDER_UP_TO and source_of(policy) in _IN_VIEW_OF_THE_LANDING


def level_by_measure(
    source: LevelSource,
    cycles: Cycles,
    target: Floats,
    *,
    multiple: Floats,
    minimum_order: Floats,
    pipeline: landing.Pipeline | None = None,
) -> Floats:
    """Return order-up-to levels of many keys whose orders are rounded up: what ``sizes`` says of each of them.

    Where the level follows from what stands there and comes, it does so with a ``pipeline``; without one
    it is that of stationary sales.
    """
    counted = cycles.until_next_arrival.family != Family.NORMAL
    sd = cycles.until_next_arrival.sd
    width = np.maximum(multiple, minimum_order - cycles.wanted)
    width = np.where(width <= 1.0, 1.0, width)
    width = np.where(~counted & (width <= _FINE * sd), 0.0, width)
    spread = reordering.even_spread(width, np.zeros(len(width)), sd, counted)
    if source is LevelSource.FILL_RATE_LOST_SALES:
        return _long_run_level(cycles, target, spread)
    if pipeline is not None and source in _IN_VIEW_OF_THE_LANDING:
        quantity = _landing(source, cycles, pipeline, target, spread)
        return np.asarray(pipeline.on_hand + pipeline.arriving.sum(axis=1) + quantity)
    return _MEASURES[source](cycles, target, spread)


_IN_VIEW_OF_THE_LANDING: Final = {LevelSource.CYCLE_SERVICE_LOST_SALES, LevelSource.COST_LOST_SALES}


def _landing(source: LevelSource, cycles: Cycles, pipeline: landing.Pipeline, target: Floats, spread: Spread) -> Floats:
    if source is LevelSource.COST_LOST_SALES:
        return landing.quantity_for_cost(cycles, pipeline, target, spread)
    return landing.quantity_for_cycle_service(cycles, pipeline, target)


def _banded(policy: Policy) -> LevelSource:
    banded = policy.minimum is not None and policy.maximum is not None
    return LevelSource.AGREED_MAXIMUM if banded else LevelSource.NONE


def _agreed(need: Need, source: LevelSource) -> Size:
    if source is not LevelSource.AGREED_MAXIMUM:
        return Size(source)
    one_to_one = need.policy.kind is PolicyKind.ONE_TO_ONE
    return Size(source, need.policy.maximum, None if one_to_one else need.policy.minimum)


# By service or cost: a level, or a reorder point with what is ordered at it


def _with_lost_sales(needs: Sequence[Need], source: LevelSource) -> list[Size]:
    """Return order-up-to levels where unmet demand is lost; reorder points follow from those of waiting demand.

    By fill rate the level is that of the long run. By cycle service and cost it is the position and what
    the order should bring, in view of what will stand there when it lands.
    """
    found: list[Size] = [Size(source)] * len(needs)
    with_point = [place for place, need in enumerate(needs) if need.policy.kind in _WITH_REORDER_POINT]
    for place, size in zip(with_point, _by_measure([needs[place] for place in with_point], source), strict=True):
        found[place] = size
    places = [place for place, need in enumerate(needs) if need.policy.kind not in _WITH_REORDER_POINT]
    some = [needs[place] for place in places]
    if not some:
        return found
    cycles = _cycles(some)
    targets = np.array([need.policy.service_target for need in some])
    spread = _spread(some, cycles, [None] * len(some)) if source in _ROUNDED else no_spread(len(some))
    if source is LevelSource.FILL_RATE_LOST_SALES:
        told = _told(_long_run_level(cycles, targets, spread))
    else:
        told = _landing_level(some, source, cycles, targets, spread)
    for place, level in zip(places, told, strict=True):
        found[place] = Size(source, level)
    return found


def _long_run_level(cycles: Cycles, targets: Floats, spread: Spread) -> Floats:
    """Return the least level of the fill rate."""
    enough = levels.level_for_fill_rate(cycles, targets)
    return stationary.least_level_for_fill_rate(cycles, targets, enough, spread)


def _landing_level(
    needs: Sequence[Need], source: LevelSource, cycles: Cycles, targets: Floats, spread: Spread
) -> list[Decimal]:
    owed = np.maximum([-float(need.position.on_hand) for need in needs], 0.0)
    quantity = _landing(source, cycles, _pipeline(needs), targets, spread)
    return [need.position.inventory_position + one for need, one in zip(needs, _told(quantity + owed), strict=True)]


def _pipeline(needs: Sequence[Need]) -> landing.Pipeline:
    """Return what stands there and what comes when; what is on its way without a date comes evenly until the order."""
    arrivals = [_arrivals(need) for need in needs]
    wide = max(map(len, arrivals))
    padded = [[*one, *[(1.0, 0.0)] * (wide - len(one))] for one in arrivals]
    table = np.array(padded).reshape(len(needs), wide, 2)
    on_hand = np.maximum([float(need.position.on_hand) for need in needs], 0.0)
    return landing.Pipeline(on_hand, table[:, :, 1], table[:, :, 0])


def _arrivals(need: Need) -> list[tuple[float, float]]:
    """Return when (as a share of the time until this order's arrival) and how much arrives, the earliest first."""
    lead, on_its_way = _days_until_arrival(need), need.position.on_its_way
    dated = []
    for one in sorted(need.arrivals, key=lambda one: one.days):
        quantity = min(one.quantity, on_its_way)
        if quantity > 0:
            on_its_way -= quantity
            dated.append((min(max(one.days / lead, 0.0), 1.0) if lead > 0 else 1.0, float(quantity)))
    if on_its_way > 0:
        parts = int(min(max(round(lead / max(_review_days(need), 1e-9)), 1), _MOST_UNDATED))
        dated += [((part + 0.5) / parts, float(on_its_way) / parts) for part in range(parts)]
    return sorted(dated)


def _by_measure(needs: Sequence[Need], source: LevelSource) -> list[Size]:
    """Return order-up-to levels, or reorder points: both are the least level that the measure is reached from."""
    if not needs:
        return []
    cycles = _cycles(needs)
    quantities = _order_quantities(needs, cycles)
    spread = _spread(needs, cycles, quantities) if source in _ROUNDED else no_spread(len(needs))
    least = _MEASURES[source](cycles, np.array([need.policy.service_target for need in needs]), spread)
    # What is firm is covered to the unit; a search for its level would end a millionth above, and be rounded up.
    least = np.where(cycles.until_next_arrival.variance > 0, least, cycles.until_next_arrival.mean)
    return [
        _sized(need, source, level, quantity)
        for need, level, quantity in zip(needs, _told(least), quantities, strict=True)
    ]


def _sized(need: Need, source: LevelSource, least: Decimal, quantity: Decimal | None) -> Size:
    match need.policy.kind:
        case PolicyKind.REORDER_POINT_QUANTITY:
            assert quantity is not None
            return Size(source, least + quantity, least, quantity)
        case PolicyKind.REORDER_POINT_LEVEL:
            assert quantity is not None
            return Size(source, least + quantity, least)
        case _:
            return Size(source, least)


_ROUNDED: Final = {
    LevelSource.FILL_RATE,
    LevelSource.COST,
    LevelSource.FILL_RATE_LOST_SALES,
    LevelSource.COST_LOST_SALES,
}
"""Measures to which it matters how far orders are rounded beyond a level; cycle service is that of the level itself."""
Measure = Callable[[Cycles, Floats, Spread], Floats]
_MEASURES: Final[Mapping[LevelSource, Measure]] = {
    LevelSource.CYCLE_SERVICE: lambda cycles, target, _: levels.level_for_cycle_service(
        cycles.until_next_arrival, target
    ),
    LevelSource.FILL_RATE: levels.level_for_fill_rate,
    LevelSource.COST: levels.level_for_cost,
    LevelSource.CYCLE_SERVICE_LOST_SALES: lambda cycles, target, _: lost_sales.level_for_cycle_service(cycles, target),
    LevelSource.FILL_RATE_LOST_SALES: lost_sales.level_for_fill_rate,
    LevelSource.COST_LOST_SALES: lost_sales.level_for_cost,
}


def _order_quantities(needs: Sequence[Need], cycles: Cycles) -> list[Decimal | None]:
    """Return what is ordered at a reorder point: as agreed, else the economic quantity; in whole multiples."""
    if not any(need.policy.kind in _WITH_REORDER_POINT for need in needs):
        return [None] * len(needs)
    a_period = (cycles.wanted / np.maximum(np.round(cycles.periods), 1.0)).tolist()
    return [
        _order_quantity(need, demand) if need.policy.kind in _WITH_REORDER_POINT else None
        for need, demand in zip(needs, a_period, strict=True)
    ]


_WITH_REORDER_POINT: Final = {PolicyKind.REORDER_POINT_QUANTITY, PolicyKind.REORDER_POINT_LEVEL}


def _order_quantity(need: Need, demand_mean: float) -> Decimal:
    policy, multiple = need.policy, need.rules.multiple
    wanted = policy.order_quantity
    if wanted is None:
        economic = reordering.economic_order_quantity(
            demand_mean=demand_mean, order_cost=policy.order_cost_periods, holding_cost=1.0
        )
        wanted = Decimal(repr(round(economic, DIGITS)))
    least = max(wanted, need.rules.minimum_order, multiple)
    return (least / multiple).to_integral_value(ROUND_CEILING) * multiple


def _spread(needs: Sequence[Need], cycles: Cycles, quantities: Sequence[Decimal | None]) -> Spread:
    """Return where orders leave the positions: packs above a level, a quantity or less above a reorder point."""
    counted = cycles.until_next_arrival.family != Family.NORMAL
    sd = cycles.until_next_arrival.sd
    width, first = np.zeros(len(needs)), np.zeros(len(needs))
    for place, (need, quantity) in enumerate(zip(needs, quantities, strict=True)):
        if quantity is not None:
            width[place], first[place] = float(quantity), 1.0 if counted[place] else 0.0
        else:
            width[place], first[place] = _pack_spread(need, float(cycles.wanted[place]))
    width = np.where(~counted & (width <= _FINE * sd), 0.0, width)
    first = np.where(counted, np.round(first), np.where(width > 0, first, 0.0))
    even = reordering.even_spread(width, first, sd, counted)
    renewed = np.array([need.policy.kind is PolicyKind.REORDER_POINT_LEVEL for need in needs])
    if not renewed.any():
        return even
    places = np.flatnonzero(renewed)
    review = cycles.between_arrivals().at(places)
    return _merged(even, reordering.renewal_spread(width[places], review), places)


def _pack_spread(need: Need, review_demand: float) -> tuple[float, float]:
    """Return how wide and from where on positions lie about an order-up-to level.

    A minimum order carries them as far as it exceeds what a review wants.
    """
    rules = need.rules
    multiple = float(rules.multiple)
    width = max(multiple, float(rules.minimum_order) - review_demand)
    if width <= 1.0:
        return 1.0, 0.0
    return width, -float(rules.tolerance) * multiple if rules.rounding is Rounding.NEAREST else 0.0


def _merged(even: Spread, other: Spread, places: NDArray[np.intp]) -> Spread:
    """Return a spread in which the keys at ``places`` have the other one."""
    parts = [
        (one.count, np.split(one.distance, np.cumsum(one.count)[:-1]), np.split(one.weight, np.cumsum(one.count)[:-1]))
        for one in (even, other)
    ]
    count, distances, weights = parts[0]
    count = count.copy()
    for at, place in enumerate(places.tolist()):
        count[place], distances[place], weights[place] = parts[1][0][at], parts[1][1][at], parts[1][2][at]
    return Spread(count, np.concatenate(distances), np.concatenate(weights))


def _by_order_cost(needs: Sequence[Need], source: LevelSource) -> list[Size]:
    """Return the (s, S) of least cost of orders, stock and shortage, exactly (formulas.md 5.3)."""
    cycles = _cycles(needs)
    return [_cheapest(need, source, cycles.at(np.array([place]))) for place, need in enumerate(needs)]


def _cheapest(need: Need, source: LevelSource, cycles: Cycles) -> Size:
    whole, review = cycles.until_next_arrival, cycles.between_arrivals()
    ratio = need.policy.service_target
    a_period = float(cycles.wanted[0] / max(round(float(cycles.periods[0])), 1))
    quantity = reordering.economic_order_quantity(
        demand_mean=a_period, order_cost=need.policy.order_cost_periods, holding_cost=1.0 - ratio
    )
    least = float(cycles.until_arrival.mean[0]) - 4.0 * float(whole.sd[0]) - 3.0 * quantity
    most = float(whole.quantile(1.0 - (1.0 - ratio) / 100)[0]) + 3.0 * quantity + 2.0
    cell = max(1, ceil((most - least) / _WIDEST))
    first = int(np.floor(least / cell))
    places = np.arange(first, int(most / cell) + 2, dtype=np.float64)
    rates = reordering.cost_rates(cycles, places * cell, 1.0, ratio / (1.0 - ratio))
    chances = cell_chances(review, np.array([float(cell)]), len(places))[0]
    found = reordering.cheapest_levels(rates, chances, need.policy.order_cost_periods, first)
    return Size(source, Decimal(found.level * cell), Decimal(found.reorder_point * cell))


# By other rules than service and cost


def _by_days_of_supply(needs: Sequence[Need], source: LevelSource) -> list[Size]:
    """Return s and S as the demand up to so many days after the period of the arrival (formulas.md 5.1, S24).

    What is projected at the end of that period is compared with the demand of the days that follow it.
    """
    found = []
    for need in needs:
        expected = need.expected
        assert expected is not None
        least = _mean_until(expected, need.policy.minimum_days or 0.0, expected.until_minimum)
        most = _mean_until(
            expected, max(need.policy.maximum_days or 0.0, need.policy.minimum_days or 0.0), expected.until_maximum
        )
        found.append(Size(source, _decimal(most), _decimal(least)))
    return found


def _mean_until(expected: Expected, days: float, known: Outlook | None) -> float:
    """Return the mean demand up to so many days after the arrival's period; in proportion where it is not told."""
    if known is not None:
        return known.mean
    whole = expected.until_next_arrival
    until_arrival = expected.until_arrival
    begun = 0.0 if until_arrival is None else until_arrival.days
    return whole.mean / max(whole.days, 1e-9) * (begun + expected.period_days + days)


def _by_buffer(needs: Sequence[Need], source: LevelSource) -> list[Size]:
    """Return the top of green and the top of yellow: the net flow is the position, with the backlog as due demand."""
    cycles = _cycles(needs)
    days = np.array([need.expected.until_next_arrival.days for need in needs if need.expected is not None])
    lead = np.array([_days_until_arrival(need) for need in needs])
    zones = ddmrp.buffers(
        average_daily_usage=cycles.until_next_arrival.mean / np.maximum(days, 1e-9),
        lead_time_days=lead,
        lead_time_factor=[need.policy.buffer.lead_time_factor for need in needs],
        variability_factor=[need.policy.buffer.variability_factor for need in needs],
        minimum_order=[float(need.rules.minimum_order) for need in needs],
        order_cycle_days=[need.policy.buffer.order_cycle_days for need in needs],
    )
    return [
        Size(source, top, yellow)
        for top, yellow in zip(_told(zones.top_of_green), _told(zones.top_of_yellow), strict=True)
    ]


def _by_short_life(needs: Sequence[Need], source: LevelSource) -> list[Size]:
    cycles = _cycles(needs)
    review = np.array([_review_days(need) for need in needs])
    life = np.array([np.inf if (days := need.policy.shelf_life_days) is None else days for need in needs])
    demand = short_life.selling_window(cycles, review, life)
    found = short_life.newsvendor(demand, [need.policy.service_target for need in needs])
    return [Size(source, level) for level in _told(found)]


Formula = Callable[[Sequence[Need], LevelSource], list[Size]]
_FORMULAS: Final[Mapping[LevelSource, Formula]] = {
    LevelSource.CYCLE_SERVICE: _by_measure,
    LevelSource.FILL_RATE: _by_measure,
    LevelSource.COST: _by_measure,
    LevelSource.CYCLE_SERVICE_LOST_SALES: _with_lost_sales,
    LevelSource.FILL_RATE_LOST_SALES: _with_lost_sales,
    LevelSource.COST_LOST_SALES: _with_lost_sales,
    LevelSource.ORDER_COST: _by_order_cost,
    LevelSource.DAYS_OF_SUPPLY: _by_days_of_supply,
    LevelSource.BUFFER: _by_buffer,
    LevelSource.SHORT_LIFE: _by_short_life,
}


# Needs as arrays


def _cycles(needs: Sequence[Need]) -> Cycles:
    """Return the demand of the needs' cycles, each outlook widened by the spread of the lead time.

    Without an outlook until the arrival nothing is short before it, which asks for more rather than less.
    """
    expected = [need.expected for need in needs if need.expected is not None]
    nothing = Outlook(0.0, 0.0, 0.0, Family.POISSON)
    periods = [_review_days(need) / one.period_days for need, one in zip(needs, expected, strict=True)]
    return Cycles(
        demand_of([one.until_arrival or nothing for one in expected], expected),
        demand_of([one.until_next_arrival for one in expected], expected),
        np.maximum(periods, 1.0),
    )


def _days_until_arrival(need: Need) -> float:
    expected = need.expected
    return 0.0 if expected is None or expected.until_arrival is None else expected.until_arrival.days


def _review_days(need: Need) -> float:
    assert need.expected is not None
    return need.expected.until_next_arrival.days - _days_until_arrival(need)


def demand_of(outlooks: Sequence[Outlook], expected: Sequence[Expected]) -> Demand:
    """Return the demand of the outlooks, widened by the spread of the lead time."""
    mean = np.array([outlook.mean for outlook in outlooks])
    days = np.array([outlook.days for outlook in outlooks])
    sd = np.array([outlook.sd for outlook in outlooks])
    spread = np.array([one.lead_time_sd_days for one in expected])
    demand = Demand(mean, sd * sd, np.array([outlook.family for outlook in outlooks], np.int8))
    if not spread.any():
        return demand
    daily = mean / np.where(days > 0, days, np.inf)
    return demand.widened((daily * spread) ** 2)


def _told(found: Floats) -> list[Decimal]:
    rounded: list[float] = np.round(found, DIGITS).tolist()
    return [_decimal(level) for level in rounded]


def _decimal(level: float) -> Decimal:
    level = round(level, DIGITS)
    return Decimal(repr(level)) if level % 1 else Decimal(int(level))
