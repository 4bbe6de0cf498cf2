"""Who orders in a replay: the policies that run live, over forecasts that learn as the live ones do.

Order-up-to levels by service or cost go through the live formulas many series at once; what else an agreement may say
goes through ``decide``, a need at a time. Both give the same quantity, which a test holds them to.
"""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import numpy as np

from vmi_domain.distributions import Demand, Family, by_the_data
from vmi_domain.forecasting.rehearsal import Rehearsal
from vmi_domain.replenishment import sizing
from vmi_domain.replenishment.decisions import decide
from vmi_domain.replenishment.needs import DIGITS, Arrival, Basis, Expected, Need, PolicyKind, Position, outlooks
from vmi_domain.replenishment.policies.cycles import Cycles
from vmi_domain.replenishment.policies.landing import Pipeline
from vmi_domain.replenishment.quantities import OrderRules, Rounding
from vmi_domain.replenishment.replaying import Flags, Floats, Integers, Stand, in_multiples
from vmi_domain.replenishment.reviewing import Terms
from vmi_domain.values import dataclass

_AT_ONCE: Final = {
    sizing.LevelSource.CYCLE_SERVICE,
    sizing.LevelSource.FILL_RATE,
    sizing.LevelSource.COST,
    sizing.LevelSource.CYCLE_SERVICE_LOST_SALES,
    sizing.LevelSource.FILL_RATE_LOST_SALES,
    sizing.LevelSource.COST_LOST_SALES,
}
RENEWED_EVERY: Final = 28
"""Periods for which a level of the long run, the dearest to find, is kept as so many standard deviations above the mean
of the demand until the next arrival: it follows the forecast, and is found anew after them."""
NO_ROOM_NEEDED: Final = np.inf


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of orders as arrays, base units; what does not limit is infinite."""

    multiple: Floats
    minimum_order: Floats
    largest_order: Floats
    """What its budget pays for is a largest order, too."""
    maximum: Floats
    """A hard one, or the customer's space."""

    @classmethod
    def of(cls, rules: Sequence[OrderRules]) -> "Rules":
        return cls(
            np.array([float(one.multiple) for one in rules]),
            np.array([float(one.minimum_order) for one in rules]),
            np.array([_least(one.largest_order, one.budget) for one in rules]),
            np.array([_least(one.maximum if one.maximum_is_hard else None, one.capacity) for one in rules]),
        )

    def ordered(self, rows: Integers, missing: Floats, position: Floats) -> Floats:
        """Return what is ordered where so much is missing on top of these positions."""
        room = np.minimum(self.maximum[rows] - position, self.largest_order[rows])
        return in_multiples(missing, self.multiple[rows], self.minimum_order[rows], room)


def _least(*limits: Decimal | None) -> float:
    return min((float(one) for one in limits if one is not None), default=NO_ROOM_NEEDED)


class Agreed:
    """Orders by agreements, over forecasts that know what has been sold (or, if asked, what was wanted)."""

    def __init__(
        self,
        terms: Sequence[Terms],
        forecasts: Rehearsal,
        *,
        lead_time: Integers,
        review_period: Integers,
        period_days: float = 1.0,
        known_demand: bool = False,
    ) -> None:
        self._terms = terms
        self._forecasts = forecasts
        self._lead_time, self._review_period = lead_time, review_period
        self._period_days = period_days
        self._known_demand = known_demand
        self._rules = Rules.of([one.rules for one in terms])
        self._target = np.array([one.policy.service_target for one in terms])
        self._lead_time_sd = np.array([one.lead_time_sd_days / period_days for one in terms])
        self._minimum = np.array(
            [-np.inf if one.policy.minimum is None else float(one.policy.minimum) for one in terms]
        )
        self._source = [sizing.source_of(one.policy) for one in terms]
        simple = [
            one.policy.kind is PolicyKind.ORDER_UP_TO
            and one.policy.shelf_life_days is None
            and one.rules.rounding is Rounding.UP
            and one.rules.load_step is None
            and source in _AT_ONCE
            for one, source in zip(terms, self._source, strict=True)
        ]
        self._simple: Flags = np.array(simple, np.bool_)
        self._period = 0
        self._kept = np.full(len(terms), np.nan)
        self._kept_since = np.zeros(len(terms), np.int64)

    def place(self, period: int, stand: Stand) -> Floats:
        """Return what the agreements order."""
        self._period = period
        quantity = np.zeros(len(stand.rows))
        simple = self._simple[stand.rows]
        if simple.any():
            some = stand.at(np.flatnonzero(simple))
            quantity[simple] = self._rules.ordered(some.rows, self.levels(some) - some.position, some.position)
        others = np.flatnonzero(~simple)
        if others.size:
            quantity[others] = self._decided(stand, others)
        return quantity

    def learn(self, period: int, sold: Floats, in_stock: Floats, wanted: Floats) -> None:
        """Move the forecasts by a period."""
        if self._known_demand:
            self._forecasts.learn(wanted, np.ones_like(in_stock))
        else:
            self._forecasts.learn(sold, in_stock)

    def levels(self, stand: Stand) -> Floats:
        """Return up to where series are filled that are filled up to a level."""
        rows = stand.rows
        cycles = self._cycles(rows)
        pipeline = self._pipeline(stand)
        level = np.zeros(len(rows))
        for source in _AT_ONCE:
            here = np.flatnonzero([self._source[row] is source for row in rows.tolist()])
            if here.size:
                find = self._kept_levels if source is sizing.LevelSource.FILL_RATE_LOST_SALES else self._levels
                level[here] = find(source, rows[here], cycles.at(here), pipeline.at(here))
        # As ``sizing.least_position`` has it of one need.
        floor = self._minimum[rows] + cycles.until_next_arrival.mean
        return np.asarray(np.round(np.maximum(level, floor), DIGITS), np.float64)

    def _levels(self, source: sizing.LevelSource, rows: Integers, cycles: Cycles, pipeline: Pipeline) -> Floats:
        return sizing.level_by_measure(
            source,
            cycles,
            self._target[rows],
            pipeline=pipeline,
            multiple=self._rules.multiple[rows],
            minimum_order=self._rules.minimum_order[rows],
        )

    def _kept_levels(self, source: sizing.LevelSource, rows: Integers, cycles: Cycles, pipeline: Pipeline) -> Floats:
        demand = cycles.until_next_arrival
        counted = demand.family != Family.NORMAL
        sd = np.maximum(demand.sd, 1e-9)
        level = np.maximum(demand.mean + self._kept[rows] * sd, 0.0)
        level = np.where(counted, np.round(level), level)
        old = np.isnan(level) | (self._period - self._kept_since[rows] >= RENEWED_EVERY)
        here = np.flatnonzero(old)
        if here.size:
            some = rows[here]
            level[here] = self._levels(source, some, cycles.at(here), pipeline.at(here))
            self._kept[some] = (level[here] - demand.mean[here]) / sd[here]
            self._kept_since[some] = self._period
        return np.asarray(level, np.float64)

    def opening(self, rows: Integers) -> Floats:
        """Return a stock to begin with: the level where there is one, else one order on an empty shelf."""
        stand = Stand(rows, np.zeros(len(rows)), np.zeros((len(rows), 1)))
        found = self.place(0, stand)
        simple = np.flatnonzero(self._simple[rows])
        found[simple] = np.ceil(self.levels(stand.at(simple)))
        return found

    def _pipeline(self, stand: Stand) -> Pipeline:
        """What arrives at the start of the k-th period from now is there for a share k / L of the lead time."""
        lead = np.maximum(self._lead_time[stand.rows], 1)[:, None]
        share = np.minimum(np.arange(1, stand.arriving.shape[1] + 1) / lead, 1.0)
        return Pipeline(np.maximum(stand.on_hand, 0.0), stand.arriving, share)

    def _cycles(self, rows: Integers) -> Cycles:
        lead, review = self._lead_time[rows], self._review_period[rows]
        until_arrival, until_next = (_told(self._forecasts.demand(rows, periods)) for periods in (lead, lead + review))
        spread = self._lead_time_sd[rows]
        if spread.any():
            until_arrival, until_next = (
                one.widened((one.mean / np.where(periods > 0, periods, np.inf) * spread) ** 2)
                for one, periods in ((until_arrival, lead), (until_next, lead + review))
            )
        return Cycles(until_arrival, until_next, np.maximum(review.astype(np.float64), 1.0))

    def _decided(self, stand: Stand, places: Integers) -> Floats:
        rows = stand.rows[places]
        lead, review = self._lead_time[rows], self._review_period[rows]
        days = self._period_days
        until_arrival = outlooks((lead * days).tolist(), self._forecasts.demand(rows, lead))
        until_next = outlooks(((lead + review) * days).tolist(), self._forecasts.demand(rows, lead + review))
        needs = []
        for place, row, arrival, following in zip(
            places.tolist(), rows.tolist(), until_arrival, until_next, strict=True
        ):
            terms = self._terms[row]
            expected = Expected(Basis.HISTORY, following, arrival, terms.lead_time_sd_days, period_days=days)
            needs.append(
                Need(_position(stand, place), terms.policy, terms.rules, expected, _arrivals(stand, place, days))
            )
        return np.array([float(one.quantity) for one in decide(needs)])


def _told(demand: Demand) -> Demand:
    """Return the demand in the digits that are told (as ``needs.outlooks`` does)."""
    sd = np.round(demand.sd, DIGITS)
    return by_the_data(np.round(demand.mean, DIGITS), sd * sd, counts=demand.family != Family.NORMAL)


def _position(stand: Stand, place: int) -> Position:
    on_hand = _decimal(float(stand.on_hand[place]))
    return Position(
        usable=max(on_hand, Decimal(0)),
        backlog=max(-on_hand, Decimal(0)),
        on_order=_decimal(float(stand.arriving[place].sum())),
    )


def _arrivals(stand: Stand, place: int, days: float) -> tuple[Arrival, ...]:
    arriving = stand.arriving[place].tolist()
    return tuple(Arrival((number + 1) * days, _decimal(one)) for number, one in enumerate(arriving) if one > 0)


def _decimal(quantity: float) -> Decimal:
    quantity = round(quantity, DIGITS)
    return Decimal(repr(quantity)) if quantity % 1 else Decimal(int(quantity))


@dataclass(frozen=True, slots=True)
class Band:
    """A fixed minimum and maximum, as an ERP system keeps them: at or below the one, up to the other."""

    minimum: Floats
    maximum: Floats
    rules: Rules

    def place(self, period: int, stand: Stand) -> Floats:
        """Return what the band orders."""
        position = stand.position
        triggered = position <= self.minimum[stand.rows]
        missing = np.where(triggered, self.maximum[stand.rows] - position, 0.0)
        return self.rules.ordered(stand.rows, missing, position)

    def learn(self, period: int, sold: Floats, in_stock: Floats, wanted: Floats) -> None:
        """Learn nothing."""


def erp_band(
    history: Floats, begins: Integers, lead_time: Integers, review_period: Integers, rules: Rules, *, cover: float
) -> Band:
    """Return the band that a planner would key in once, from the mean demand μ of the history before the replay::

    minimum = cover · μ (L + R)        maximum = minimum + μ R
    """
    lived = np.maximum(history.shape[1] - begins, 1)
    mean = history.sum(axis=1) / lived
    minimum = np.ceil(cover * mean * (lead_time + review_period))
    return Band(minimum, np.maximum(np.ceil(minimum + mean * review_period), minimum + 1), rules)
