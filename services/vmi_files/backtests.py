"""Backtests of files: policies and parameters side by side on a history, an ERP minimum and maximum beside them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

import numpy as np

from vmi_domain.forecasting.ahead import DAYS_OF
from vmi_domain.forecasting.panel import Floats, Integers, Panel, Period
from vmi_domain.forecasting.rehearsal import Over, rehearsal
from vmi_domain.replenishment import calibrating
from vmi_domain.replenishment.calibrating import Calibration, Group
from vmi_domain.replenishment.needs import PolicyKind, ServiceMeasure, UnmetDemand
from vmi_domain.replenishment.rehearsing import Agreed as AgreedOrders
from vmi_domain.replenishment.rehearsing import Rules, erp_band
from vmi_domain.replenishment.replaying import Replayed, World, replay
from vmi_domain.replenishment.reviewing import Terms
from vmi_files import agreements, forecasts, models, sales, tables
from vmi_files.agreements import Agreed
from vmi_files.classes import by_class, value_classes
from vmi_files.periods import Periods
from vmi_files.tables import FileRefused, Warn

ERP_COVERS: Final = (0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0, 4.0, 6.0)
"""Minimum of the ERP band over the mean demand of its protection interval: one point of its frontier each."""
ALL_OF_IT: Final = 0.9995
"""A fill rate beyond which more cover buys nothing."""
ERP: Final = "ERP minimum/maximum"
AS_AGREED: Final = "as agreed"


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be replayed."""

    sales: str
    agreements: str
    period: Period
    begin: date | None = None
    """The first period that is replayed; None: the middle of the history."""
    end: date | None = None
    """The day before which the history ends; None: it is used whole."""
    targets: Sequence[float] = ()
    """Service targets, each a point of the frontier, in place of the agreed ones."""
    measure: ServiceMeasure | None = None
    review_days: Sequence[int] = ()
    lead_time_days: float | None = None
    known_demand: bool = False
    """Let forecasts learn from what was wanted, not from what was sold."""
    calibrate: bool = False
    """Beside each policy, the same with what the history before the replay adds to its target."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What the history before the replay says of a group of series."""

    group: Group
    found: Calibration

    def as_row(self) -> dict[str, Any]:
        return {
            "measure": self.group.measure.value,
            "target": self.group.target,
            "unmet_demand": "lost" if self.group.is_lost else "backordered",
            "lead_time_periods": self.group.lead_time,
            "review_periods": self.group.review_period,
            "demand": "intermittent" if self.group.is_intermittent else "steady",
            "series": self.found.series,
            "cycles": self.found.cycles,
            "attained": self.found.attained,
            "calibration": self.found.shift,
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """One policy on the whole history; weighted by units unless it says otherwise."""

    policy: str
    target: float | None
    review_days: float
    fill_rate: float
    value_fill_rate: float
    cycle_service: float
    average_stock: float
    """Units at the end of a period, all series."""
    cover_days: float
    """Average stock over mean daily demand."""
    value_cover_days: float
    orders: float
    """Orders of a series and year."""
    unmet: float
    """Units lost, or not served in time."""
    cost: float | None
    """A series and period, by the agreement's costs; None where none are agreed."""
    bullwhip: float

    def as_row(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in Outcome.__slots__}


@dataclass(frozen=True, slots=True)
class Report:
    """All outcomes, the ERP band's frontier last."""

    series: int
    first_period: date
    periods: int
    outcomes: Sequence[Outcome]
    calibrated: Sequence[Calibrated] = ()

    def of(self, policy: str) -> list[Outcome]:
        return [one for one in self.outcomes if one.policy == policy]

    def erp_stock_at(self, fill_rate: float, review_days: float) -> float | None:
        """Return the ERP band's average stock at a fill rate, between two points of its frontier; None: never there."""
        points = sorted((one.fill_rate, one.average_stock) for one in self.of(ERP) if one.review_days == review_days)
        rates, stocks = np.array(points).T
        if not rates[0] <= fill_rate <= rates[-1]:
            return None
        return float(np.interp(fill_rate, rates, stocks))


def run(order: Order, *, warn: Warn, told: Callable[[float], None]) -> Report:
    """Return what each policy would have led to."""
    setting = _read(order, warn)
    reviews: Sequence[int | None] = order.review_days or [None]
    targets: Sequence[float | None] = order.targets or [None]
    total = len(reviews) * (len(targets) + 1)
    outcomes: list[Outcome] = []
    calibrated: list[Calibrated] = []
    erp: list[Outcome] = []
    for number, review_days in enumerate(reviews):
        world = setting.world(review_days)
        said = setting.review_days(review_days)
        for place, target in enumerate(targets):
            told((number * (len(targets) + 1) + place) / total)
            terms = [_with(one, target, order.measure) for one in setting.terms]
            policy = _name(terms, target is None and order.measure is None)
            outcomes.append(
                setting.outcome(policy, _target(terms), said, setting.replayed(terms, world, order.known_demand))
            )
            if order.calibrate:
                groups, numbers = setting.calibrations(terms, world)
                calibrated += [Calibrated(group, one) for group, one in numbers.items()]
                better = calibrating.calibrated(terms, groups, numbers)
                found = setting.replayed(better, world, order.known_demand)
                outcomes.append(setting.outcome(f"{policy}, calibrated", _target(terms), said, found))
        erp.extend(setting.erp(world, said))
    return Report(len(setting.terms), setting.start, setting.periods, [*outcomes, *erp], calibrated)


@dataclass(frozen=True, slots=True)
class OneRatio:
    """What one ratio of shortage to holding cost for all items would have led to, in the place of what is agreed."""

    as_agreed: Outcome
    shortage_over_holding: float
    """p / h, the same for each item, whatever it is worth."""
    outcome: Outcome


def one_ratio(order: Order, value_fill: float, *, warn: Warn, told: Callable[[float], None]) -> OneRatio:
    """Return the ratio of shortage to holding cost by which all items together reach a fill rate by value.

    The same fill rate for each item gives too much to those that are dear to cover; one ratio gives each what its value
    is worth (marginal allocation). Fill rises with the ratio: it is looked for between two that lie below and above,
    on a scale on which the share that is short falls in proportion.
    """
    setting = _read(order, warn)
    world = setting.world(None)
    days = setting.review_days(None)

    def outcome(target: float | None, measure: ServiceMeasure | None) -> Outcome:
        terms = [_with(one, target, measure) for one in setting.terms]
        name = _name(terms, measure is None)
        return setting.outcome(name, _target(terms), days, setting.replayed(terms, world, order.known_demand))

    as_agreed = outcome(None, None)
    told(1 / (MOST_RATIOS + 1))
    tried: list[tuple[float, Outcome]] = []
    ratio = 1.0 / (1.0 - value_fill)
    while len(tried) < MOST_RATIOS:
        share = ratio / (1.0 + ratio)
        found = outcome(share, ServiceMeasure.COST)
        tried.append((ratio, found))
        told((len(tried) + 1) / (MOST_RATIOS + 1))
        if abs(found.value_fill_rate - value_fill) <= NEAR_ENOUGH:
            break
        below = max((one for one in tried if one[1].value_fill_rate < value_fill), default=None, key=_ratio_of)
        above = min((one for one in tried if one[1].value_fill_rate >= value_fill), default=None, key=_ratio_of)
        if above is None and ratio >= LARGEST_RATIO:
            break
        if below is None or above is None:
            ratio = ratio * 10.0 if above is None else ratio / 10.0
        else:
            ratio = _between(below, above, value_fill)
    ratio, found = min(tried, key=lambda one: abs(one[1].value_fill_rate - value_fill))
    if found.value_fill_rate < value_fill - NOT_REACHED:
        most = f"it is {found.value_fill_rate:.1%} where a unit lost costs {ratio:,.0f} times its holding for a period"
        raise FileRefused(f"a fill rate by value of {value_fill:.2%} is not reached on this history: {most}")
    return OneRatio(as_agreed, ratio, found)


MOST_RATIOS: Final = 8
LARGEST_RATIO: Final = 1e5
"""Beyond it more stock buys next to nothing."""
NEAR_ENOUGH: Final = 0.002
NOT_REACHED: Final = 0.01


def _ratio_of(tried: tuple[float, Outcome]) -> float:
    return tried[0]


def _between(below: tuple[float, Outcome], above: tuple[float, Outcome], value_fill: float) -> float:
    """Return the ratio at a fill rate on a straight line in the logarithms of ratios and of shares that are short."""
    ratios = np.log([above[0], below[0]])
    short = np.log([max(1.0 - one[1].value_fill_rate, 1e-6) for one in (above, below)])
    place = np.interp(np.log(1.0 - value_fill), short, ratios)
    inside = np.clip(place, ratios[1] + 0.1 * (ratios[0] - ratios[1]), ratios[0] - 0.1 * (ratios[0] - ratios[1]))
    return float(np.exp(inside))


@dataclass(frozen=True, slots=True)
class _Setting:
    """The history as it is replayed."""

    panel: Panel
    first: int
    start: date
    periods: int
    agreed: Sequence[Agreed]
    terms: Sequence[Terms]
    lead_time: Integers
    days: float
    """Days of a period."""
    value: Floats
    over: Over | None
    """What agreed models, chosen when the replay begins, lay over the forecasts."""

    def world(self, review_days: int | None) -> World:
        every = [one.terms.calendar.every_days if review_days is None else review_days for one in self.agreed]
        review = np.maximum(np.round(np.array(every) / self.days), 1).astype(np.int64)
        lost = np.array([one.policy.unmet_demand is UnmetDemand.LOST for one in self.terms], np.bool_)
        return World(self.panel.demand, self.lead_time, review, lost)

    def review_days(self, review_days: int | None) -> float:
        if review_days is not None:
            return float(review_days)
        return float(np.mean([one.terms.calendar.every_days for one in self.agreed]))

    def replayed(self, terms: Sequence[Terms], world: World, known_demand: bool) -> Replayed:
        orders = AgreedOrders(
            terms,
            rehearsal(self.panel, self.first, self.over),
            lead_time=world.lead_time,
            review_period=world.review_period,
            period_days=self.days,
            known_demand=known_demand,
        )
        return replay(world, orders, orders.opening(np.arange(len(terms))), self.first)

    def calibrations(
        self, terms: Sequence[Terms], world: World
    ) -> tuple[list[Group | None], Mapping[Group, Calibration]]:
        """Return what the second half of the history before the replay says."""
        before = replace(world, demand=world.demand[:, : self.first])
        return calibrating.calibrations(terms, self.panel, before, self.first // 2, period_days=self.days)

    def erp(self, world: World, review_days: float) -> Iterator[Outcome]:
        rules = Rules.of([one.rules for one in self.terms])
        history = world.demand[:, : self.first]
        for cover in ERP_COVERS:
            band = erp_band(history, self.panel.begins, world.lead_time, world.review_period, rules, cover=cover)
            found = self.outcome(ERP, cover, review_days, replay(world, band, band.maximum, self.first))
            yield found
            if found.fill_rate > ALL_OF_IT:
                return

    def outcome(self, policy: str, target: float | None, review_days: float, found: Replayed) -> Outcome:
        periods = np.maximum(found.periods, 1)
        wanted, value = found.wanted.sum(), (self.value * found.wanted).sum()
        stock = (found.stock / periods).sum()
        a_period = (found.wanted / periods).sum()
        value_a_period = (self.value * found.wanted / periods).sum()
        value_stock = (self.value * found.stock / periods).sum()
        return Outcome(
            policy,
            target,
            review_days,
            _ratio(found.served.sum(), wanted),
            _ratio((self.value * found.served).sum(), value),
            _ratio(found.cycles_without_stock_out.sum(), found.cycles.sum()),
            float(stock),
            _ratio(stock, a_period) * self.days,
            _ratio(value_stock, value_a_period) * self.days,
            float(found.orders.sum() / periods.sum() * 365.25 / self.days),
            float(found.unmet.sum()),
            self._cost(found),
            _ratio(found.variance_of_orders.sum(), found.variance_of_demand.sum()),
        )

    def _cost(self, found: Replayed) -> float | None:
        """Holding on the stock at each period's end, shortage a unit lost or a unit and period that waits, orders."""
        made = [one.agreement for one in self.agreed]
        if any(one.holding_cost is None or one.shortage_cost is None for one in made):
            return None
        holding, shortage, ordering = (
            np.array([float(getattr(one, name) or 0.0) for one in made])
            for name in ("holding_cost", "shortage_cost", "order_cost")
        )
        lost = np.array([one.policy.unmet_demand is UnmetDemand.LOST for one in self.terms])
        short = np.where(lost, found.unmet, found.waiting)
        total = holding * found.stock + shortage * short + ordering * found.orders
        return float(total.sum() / max(found.periods.sum(), 1))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole > 0 else float("nan")


def _read(order: Order, warn: Warn) -> _Setting:
    end = order.end or sales.end_of(order.sales, order.period)
    periods = Periods(order.period, end)
    history = sales.read(order.sales, periods, warn)
    count = history.demand.shape[1]
    first = count // 2
    if order.begin is not None:
        first = int(periods.number(np.array([order.begin.toordinal()]))[0]) - history.first
    if not 0 < first < count:
        raise FileRefused(f"{order.sales}: the replay begins on {order.begin}, outside of the history")
    start = periods.start(history.first + first)
    agreed = agreements.read(order.agreements, start, warn)
    if order.period is not Period.DAY:
        agreements.warn_of_models(order.agreements, agreed, "where weeks or months are replayed", warn)
    found = [agreed.of(one) for one in history.series]
    names = value_classes(history.series, history.demand[:, :first], order.period, found)
    found = by_class(found, names)
    rows = np.array([row for row, one in enumerate(found) if one is not None and history.begins[row] < first], np.int64)
    if not rows.size:
        raise FileRefused(f"{order.agreements}: none in force on {start} for any series that is sold before then")
    if len(rows) < len(history.series):
        warn(f"{len(history.series) - len(rows)} series left out: new since {start}, or without an agreement then")
    panel = forecasts.panel_of(history, periods, None, np.array(agreements.rates(found), np.float64)).at(rows)
    kept = [one for row in rows.tolist() if (one := found[row]) is not None]
    if any(one.terms.truck is not None and one.terms.truck.fills for one in kept):
        warn(f"{order.agreements}: load_building trucks: each series is replayed by itself, and fills no truck")
    over = None
    if order.period is Period.DAY:
        before = replace(panel, demand=panel.demand[:, :first], in_stock=None)
        chosen = models.chosen(before, [one.agreement for one in kept], [names[row] for row in rows.tolist()])
        over = None if chosen is None else chosen.over
    days = DAYS_OF[order.period]
    lead = [one.terms.calendar.lead_time_days if order.lead_time_days is None else order.lead_time_days for one in kept]
    in_periods = np.array(lead) / days
    if np.abs(in_periods - np.round(in_periods)).max() > 0.05:
        warn(f"{order.agreements}: lead times are replayed in whole periods, to the nearest")
    price = np.array([float(one.agreement.unit_price or 0) for one in kept])
    if history.price is not None:
        with np.errstate(all="ignore"):
            of_sales = np.nan_to_num(np.nanmean(history.price[rows], axis=1))
        price = np.where(price > 0, price, of_sales)
    value = np.where(price > 0, price, price[price > 0].mean() if (price > 0).any() else 1.0)
    terms = [one.terms for one in kept]
    lead_time = np.round(in_periods).astype(np.int64)
    return _Setting(panel, first, start, count - first, kept, terms, lead_time, days, value, over)


def _with(terms: Terms, target: float | None, measure: ServiceMeasure | None) -> Terms:
    policy = terms.policy
    if measure is not None:
        policy = replace(policy, service_measure=measure, kind=PolicyKind.ORDER_UP_TO)
    if target is not None:
        policy = policy.aiming_at(target)
    return replace(terms, policy=policy)


def _name(terms: Sequence[Terms], as_agreed: bool) -> str:
    if as_agreed:
        return AS_AGREED
    kinds = {
        one.policy.service_measure.value if one.policy.kind is PolicyKind.ORDER_UP_TO else one.policy.kind.value
        for one in terms
    }
    return kinds.pop() if len(kinds) == 1 else AS_AGREED


def _target(terms: Sequence[Terms]) -> float | None:
    targets = {one.policy.agreed for one in terms}
    return targets.pop() if len(targets) == 1 else None


def write(report: Report, out: str) -> None:
    """Write a row an outcome."""
    tables.write(out, {name: [getattr(one, name) for one in report.outcomes] for name in Outcome.__slots__})


def plot(report: Report, path: str) -> None:
    """Draw stock over fill rate, a line a policy and review period, into a PNG file."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise FileRefused("a plot needs matplotlib: pip install 'vmi[plots]'") from None
    figure = Figure(figsize=(8, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    lines = dict.fromkeys((one.policy, one.review_days) for one in report.outcomes)
    for policy, review_days in lines:
        points = sorted(
            (one.fill_rate, one.cover_days)
            for one in report.outcomes
            if (one.policy, one.review_days) == (policy, review_days)
        )
        style = "--" if policy == ERP else "-"
        axes.plot(
            *zip(*points, strict=True), style, marker="o", markersize=4, label=f"{policy}, every {review_days:g} days"
        )
    axes.set_xlabel("fill rate, units from stock over units wanted")
    axes.set_ylabel("average stock, days of demand")
    axes.set_title(f"{report.series} series, {report.periods} periods from {report.first_period}")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
