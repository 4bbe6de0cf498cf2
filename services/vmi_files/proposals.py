"""Proposals from files: what the live service would propose in this state, and why."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from math import ceil, inf
from typing import Any, Final

import numpy as np

from vmi_contracts.inbound import AgreementMade
from vmi_domain.distributions import Demand, by_the_data
from vmi_domain.forecasting.ahead import DAYS_OF, Totals, totals_ahead
from vmi_domain.forecasting.panel import Flags, Floats, Integers, Panel
from vmi_domain.forecasting.rehearsal import Over, totals_by_day
from vmi_domain.replenishment import calibrating, cover, decisions, explanations
from vmi_domain.replenishment.decisions import (
    Basis,
    Decision,
    Expected,
    Need,
    Outlook,
    Position,
    decide,
    on_trucks,
    outlooks,
)
from vmi_domain.replenishment.loading import Load, LoadLine, build
from vmi_domain.replenishment.needs import UnmetDemand
from vmi_domain.replenishment.opportunities import next_opportunity
from vmi_domain.replenishment.replaying import World
from vmi_domain.replenishment.reviewing import load_line
from vmi_files import agreements, calendars, forecasts, models, sales, stock, tables
from vmi_files.agreements import Agreed
from vmi_files.classes import by_class, value_classes
from vmi_files.periods import Periods
from vmi_files.sales import ONLY_CUSTOMER, Series
from vmi_files.stock import Arrival, Held
from vmi_files.tables import Warn

DAY: Final = timedelta(days=1)
FARTHEST_DAYS: Final = 1100.0
"""A stock-out farther ahead is not told."""
MOST_NAMED: Final = 5
"""Series that one warning names."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be proposed for, from what."""

    sales: str
    stock: str
    agreements: str
    periods: Periods
    supply: str | None = None
    calendar: str | None = None
    everything: bool = False
    """A row for every series, also for those of which nothing is proposed."""
    calibrate: bool = False
    """Let the second half of the history say what its service targets are to aim at."""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of it."""

    proposals: int
    series: int
    without_stock: Sequence[Series]
    without_agreement: Sequence[Series]


@dataclass(frozen=True, slots=True)
class Times:
    """What is ordered on the as-of day, and when it and the next order arrive; days from the start of that day."""

    arrives: float
    next_arrives: float
    """Cut short where the agreement ends before."""

    @property
    def in_time(self) -> bool:
        """Whether what is ordered arrives before the agreement ends."""
        return self.next_arrives > self.arrives


@dataclass(frozen=True, slots=True)
class Situation:
    """A series as it stands."""

    series: Series
    row: int
    """Its row in the panel."""
    held: Held
    supply: Sequence[Arrival]
    agreed: Agreed
    times: Times
    value_class: str | None = None

    @property
    def position(self) -> Position:
        shipped, ordered = (
            sum((one.quantity for one in self.supply if one.shipped is stage), Decimal(0)) for stage in (True, False)
        )
        return Position(
            usable=self.held.usable,
            in_transit=shipped,
            on_order=ordered,
            backlog=self.held.backlog,
            reserved=self.held.reserved,
        )


def run(order: Order, out: str, *, warn: Warn, told: Callable[[float], None]) -> Report:
    """Write the proposals."""
    tables.check_writable(out)
    situations, panel, report = read(order, warn)
    if order.calibrate and situations:
        situations = calibrated(situations, panel, order.periods)
    demand = expected(situations, panel, order.periods, told)
    decided, loads = filled_up(demand, decide([one.need for one in demand]))
    _warn_of_trucks(order.agreements, loads, warn)
    rows = list(_rows(order, demand, decided))
    written = [row for row in rows if order.everything or row["quantity"]]
    tables.write(out, {name: [row[name] for row in written] for name in COLUMNS})
    return Report(sum(bool(row["quantity"]) for row in rows), len(situations), *report)


Place = tuple[str, str, str]
"""Customer, location and supplier."""


def filled_up(demand: Sequence["Demanded"], decided: Sequence[Decision]) -> tuple[list[Decision], Mapping[Place, Load]]:
    """Return the decisions with what fills the trucks of each supplier to a location, where that is agreed."""
    orders: dict[Place, list[tuple[int, LoadLine]]] = {}
    for place, (one, decision) in enumerate(zip(demand, decided, strict=True)):
        situation, terms = one.situation, one.situation.agreed.terms
        if terms.truck is not None and terms.truck.fills and situation.times.in_time:
            series = situation.series
            line = load_line(series.item_id, decision, terms.truck)
            orders.setdefault((series.customer_id, series.location_id, terms.supplier_id), []).append((place, line))
    found, loads = list(decided), {}
    for order, lines in sorted(orders.items()):
        load = loads[order] = build([line for _, line in lines])
        for (place, _), filled in zip(lines, load.lines, strict=True):
            found[place] = on_trucks(found[place], filled.fill - found[place].sized.fill)
    return found, loads


def _warn_of_trucks(path: str, loads: Mapping[Place, Load], warn: Warn) -> None:
    for (_, location, supplier), load in list(loads.items())[:MOST_NAMED]:
        if load.unmeasured or load.exceeded or not load.is_full:
            warn(f"{path}: {supplier} to {location}: {explanations.load_in_words(load)}")


def read(order: Order, warn: Warn) -> tuple[list[Situation], Panel, tuple[list[Series], list[Series]]]:
    """Return the series that can be decided on, the history, and the series that cannot: no stock row, no agreement."""
    periods, as_of = order.periods, order.periods.as_of
    agreed = agreements.read(order.agreements, as_of, warn)
    history = sales.read(order.sales, periods, warn, may_be_empty=True)
    customers = {one.customer_id for one in history.series} | {
        one.customer_id for one in agreed.named() if one.customer_id != agreements.ALL
    }
    customer = customers.pop() if len(customers) == 1 else ONLY_CUSTOMER
    held = stock.read_stock(order.stock, warn, customer=customer)
    supply: Mapping[Series, Sequence[Arrival]] = {}
    if order.supply is not None:
        supply = stock.read_supply(order.supply, as_of, warn, customer=customer)
    _warn_of(order.supply, "not in the stock file", sorted(set(supply) - set(held)), warn)
    sold = set(history.series)
    history = forecasts.with_new(history, list(held))
    agreed_for = [agreed.of(one) for one in history.series]
    names = value_classes(history.series, history.demand, periods.period, agreed_for)
    agreed_for = by_class(agreed_for, names)
    situations = [
        Situation(one, row, held[one], supply.get(one, ()), terms, _times(terms, as_of), names[row])
        for row, (one, terms) in enumerate(zip(history.series, agreed_for, strict=True))
        if terms is not None and one in held
    ]
    horizon = max([ceil(_periods_ahead(periods, one.times.next_arrives)) for one in situations], default=1)
    plan = None
    if order.calendar is not None:
        plan = calendars.read(order.calendar, history, periods, horizon, warn)
    elif history.promotion:
        forecasts.warn_of_promotions(order.sales, warn)
    panel = forecasts.panel_of(history, periods, plan, np.array(agreements.rates(agreed_for), np.float64))
    without_stock = sorted({one for one in sold | set(agreed.named()) if agreed.of(one) is not None} - set(held))
    without_agreement = [one for one, terms in zip(history.series, agreed_for, strict=True) if terms is None]
    _warn_of(order.stock, "no stock row, so nothing is proposed", without_stock, warn)
    _warn_of(order.agreements, "no agreement in force, so nothing is proposed", without_agreement, warn)
    if not models.is_by_day(panel):
        agreements.warn_of_models(order.agreements, agreed, models.NOT_BY_DAY, warn)
    return situations, panel, (without_stock, without_agreement)


def calibrated(situations: Sequence[Situation], panel: Panel, periods: Periods) -> list[Situation]:
    """Return the series with targets as the second half of their history, replayed in whole periods, asks for."""
    days = DAYS_OF[periods.period]
    terms = [one.agreed.terms for one in situations]
    some = panel.at(np.array([one.row for one in situations]))
    lead = np.array([one.calendar.lead_time_days for one in terms]) / days
    review = np.array([one.calendar.every_days for one in terms]) / days
    world = World(
        some.demand,
        np.round(lead).astype(np.int64),
        np.maximum(np.round(review), 1).astype(np.int64),
        np.array([one.policy.unmet_demand is UnmetDemand.LOST for one in terms], np.bool_),
    )
    groups, found = calibrating.calibrations(terms, some, world, some.periods // 2, period_days=days)
    return [
        replace(one, agreed=replace(one.agreed, terms=better))
        for one, better in zip(situations, calibrating.calibrated(terms, groups, found), strict=True)
    ]


def _warn_of(path: str | None, what: str, series: Sequence[Series], warn: Warn) -> None:
    if series:
        some = ", ".join("/".join(one) for one in series[:MOST_NAMED])
        more = f" and {len(series) - MOST_NAMED} more" if len(series) > MOST_NAMED else ""
        warn(f"{path}: {what}: {some}{more}")


def _times(agreed: Agreed, as_of: date) -> Times:
    """The as-of day is an opportunity; the next follows from the review days, or from the agreed weekdays."""
    calendar = agreed.terms.calendar
    days = float(calendar.every_days)
    if calendar.weekdays is not None:
        following = next_opportunity(calendar, datetime.combine(as_of + DAY, time(0), tzinfo=UTC))
        days = float((following.order_at.date() - as_of).days)
    lead = calendar.lead_time_days
    until = lead + days + agreed.terms.extra_cover_days
    if agreed.ends is not None:
        until = min(until, float((agreed.ends + DAY - as_of).days))
    return Times(lead, max(until, lead))


def _periods_ahead(periods: Periods, days: float) -> float:
    """Return the periods up to a moment; a hair above a whole one is none."""
    return round(periods.until(days), 9)


@dataclass(frozen=True, slots=True)
class Demanded:
    """A series with the demand it is to expect."""

    situation: Situation
    need: Need
    daily_mean: float
    out_after: float
    """Days after which stock is expected to be gone if nothing is ordered; infinity where it lasts."""
    forecast: Outlook


def expected(
    situations: Sequence[Situation], panel: Panel, periods: Periods, told: Callable[[float], None]
) -> list[Demanded]:
    """Return what demand each series is to expect until its order arrives, and until the next one does.

    Days are told by the live worker's own state. It knows no weeks or months, and no plan of a file's: these are for
    the larger model.
    """
    if not situations:
        return []
    arrives = np.array([_periods_ahead(periods, one.times.arrives) for one in situations])
    until = np.array([_periods_ahead(periods, one.times.next_arrives) for one in situations])
    horizon = max(int(np.ceil(until).max()), 1)
    ends = sorted({int(end) for both in (arrives, until) for side in (np.floor, np.ceil) for end in side(both)} - {0})
    if models.is_by_day(panel):
        totals = totals_by_day(panel, horizon, _over(situations, panel, told))
    else:
        totals = totals_ahead(panel, horizon, ends or [1], told=told)
    rows = np.array([one.row for one in situations])
    begins = [one.times.arrives for one in situations]
    untils = [one.times.next_arrives for one in situations]
    of_arrival = outlooks(begins, _at(totals, rows, arrives))
    of_next = outlooks(untils, _at(totals, rows, until))
    a_period = np.diff(totals.mean[rows], axis=1, prepend=0.0)
    daily = a_period.mean(axis=1) / DAYS_OF[periods.period]
    out_after = _out_after(situations, a_period, periods)
    known: Flags = np.any(panel.demand > 0, axis=1)
    agreed = np.zeros(len(known), np.bool_) if panel.agreed is None else panel.agreed > 0
    found = []
    for place, one in enumerate(situations):
        something = bool(known[one.row] or agreed[one.row])
        forecast = Expected(
            Basis.HISTORY if known[one.row] else Basis.AGREED_RATE,
            of_next[place],
            of_arrival[place],
            one.agreed.terms.lead_time_sd_days,
            period_days=DAYS_OF[periods.period],
        )
        terms = one.agreed.terms
        arrivals = tuple(decisions.Arrival(float((at.on - periods.as_of).days), at.quantity) for at in one.supply)
        need = Need(one.position, terms.policy, terms.rules, forecast if something else None, arrivals)
        found.append(Demanded(one, need, float(daily[place]), float(out_after[place]), of_next[place]))
    return found


def _over(situations: Sequence[Situation], panel: Panel, told: Callable[[float], None]) -> Over | None:
    """Return what agreed models lay over it."""
    made: list[AgreementMade | None] = [None] * len(panel.demand)
    names: list[str | None] = [None] * len(panel.demand)
    for one in situations:
        made[one.row], names[one.row] = one.agreed.agreement, one.value_class
    chosen = models.chosen(panel, made, names, told)
    return None if chosen is None else chosen.over


def _at(totals: Totals, rows: Integers, periods: Floats) -> Demand:
    """Return the demand up to so many periods; in one that is there in part, mean and variance grow evenly."""
    whole = np.floor(periods).astype(np.int64)
    part = periods - whole

    def at(figures: Floats) -> Floats:
        running = np.concatenate([np.zeros((len(rows), 1)), figures[rows]], axis=1)
        place = np.arange(len(rows))
        next_one = np.minimum(whole + 1, running.shape[1] - 1)
        return np.asarray(running[place, whole] * (1 - part) + running[place, next_one] * part)

    counts = totals.counts if isinstance(totals.counts, bool) else totals.counts[rows]
    return by_the_data(at(totals.mean), at(totals.variance), counts=counts)


def _out_after(situations: Sequence[Situation], a_period: Floats, periods: Periods) -> Floats:
    """Return the days after which each series is expected to be out of stock; later periods are as the last ones."""
    days = DAYS_OF[periods.period]
    count = ceil(FARTHEST_DAYS / days)
    mean = np.repeat(a_period.mean(axis=1)[:, None], max(count, a_period.shape[1]), axis=1)
    mean[:, : a_period.shape[1]] = a_period
    arrivals = np.zeros_like(mean)
    as_of = periods.as_of
    for row, one in enumerate(situations):
        for arrival in one.supply:
            number = int(periods.number(np.array([arrival.on.toordinal()]))[0])
            if number < arrivals.shape[1]:
                arrivals[row, number] += float(arrival.quantity)
    there = np.array([float(one.held.usable - one.held.backlog - one.held.reserved) for one in situations], np.float64)
    out = cover.periods_until_out(there, arrivals, mean)
    starts = [(periods.start(number) - as_of).days for number in range(mean.shape[1] + 1)]
    return np.array([inf if one == inf else np.interp(one, range(len(starts)), starts) for one in out.tolist()])


COLUMNS: Final = (
    "customer_id", "location_id", "item_id", "supplier_id", "quantity", "unit", "arrives_on", "position",
    "order_up_to", "forecast_mean", "forecast_spread", "binding_constraint", "explanation", "stock_out_on",
    "cover_days_before", "cover_days_after", "value", "order_by", "reason", "fill_quantity",
)  # fmt: skip


def _rows(order: Order, demand: Sequence[Demanded], decided: Sequence[Decision]) -> Iterator[dict[str, Any]]:
    as_of = order.periods.as_of
    for one, decision in zip(demand, decided, strict=True):
        situation, forecast = one.situation, one.forecast
        agreement = situation.agreed.agreement
        position = one.need.position.inventory_position
        out_on = None if one.out_after == inf else as_of + cover.whole_days(one.out_after) * DAY
        lead = timedelta(days=ceil(situation.times.arrives))
        known = one.need.expected is not None
        price = agreement.unit_price
        quantity = decision.quantity if situation.times.in_time else Decimal(0)
        explanation = explanations.in_words(decision)
        reason = decision.reason_for_zero.value if decision.reason_for_zero else "needed"
        if not situation.times.in_time:
            reason = "agreement_ends"
            explanation = f"The agreement ends on {situation.agreed.ends}, before an order would arrive."
        yield {
            **situation.series._asdict(),
            "supplier_id": agreement.supplier_id,
            "quantity": quantity,
            "unit": situation.held.unit,
            "arrives_on": as_of + cover.whole_days(situation.times.arrives) * DAY,
            "position": position,
            "order_up_to": position if decision.level is None else decision.level,
            "forecast_mean": forecast.mean if known else None,
            "forecast_spread": forecast.sd if known else None,
            "binding_constraint": decision.binding.value,
            "explanation": explanation,
            "stock_out_on": out_on,
            "cover_days_before": _to_a_tenth(cover.days_of_cover(position, one.daily_mean)),
            "cover_days_after": _to_a_tenth(cover.days_of_cover(position + quantity, one.daily_mean)),
            "value": None if price is None else price * quantity,
            "order_by": None if out_on is None else max(out_on - lead, as_of),
            "reason": reason,
            "fill_quantity": decision.sized.fill if quantity else Decimal(0),
        }


def _to_a_tenth(days: float | None) -> float | None:
    return None if days is None else round(days, 1)
