"""Vectors of the field (semantics S29, formulas.md 5.1, 5.4, 5.9, 5.11) that concern no one module alone."""

from collections import deque
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vmi_domain import distributions
from vmi_domain.forecasting import WIDTH
from vmi_domain.replenishment.cover import periods_until_out
from vmi_domain.replenishment.expectations import Question, expectations
from vmi_domain.replenishment.needs import Policy, Position
from vmi_domain.replenishment.opportunities import Calendar, next_opportunity
from vmi_domain.replenishment.policies.levels import fill_rate_of_level
from vmi_domain.replenishment.policies.normal import order_up_to_level, safety_stock
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.replaying import Stand, World, replay
from vmi_domain.replenishment.reviewing import Case, Review, Terms, review
from vmi_domain.stock.position import Key

MIDNIGHT = datetime(2025, 6, 2, tzinfo=UTC)
MEAN, SD, LEAD = 100.0, 20.0, 10
BEFORE = 200
"""Periods of a replay after which it has forgotten how it began."""
NO_FORECAST = np.zeros((1, WIDTH), np.float32)


# S29


def reviewed(terms: Terms) -> Review:
    opportunity = next_opportunity(terms.calendar, MIDNIGHT)
    [expected] = expectations([Question(MIDNIGHT, terms, opportunity, "UTC", MIDNIGHT.time())], NO_FORECAST)
    [found] = review(
        [
            Case(
                Key("acme", "store-1", "pump"),
                MIDNIGHT,
                Position(Decimal(2)),
                terms,
                opportunity,
                expected,
            )
        ]
    )
    return found


def test_s29_cover_for_infrequent_demand_raises_the_quantity_and_moves_no_due_date() -> None:
    usual = Terms("dairy", Calendar(every_days=7, lead_time_days=3), Policy(), OrderRules(), expected_daily_demand=1.0)
    longer = replace(usual, extra_cover_days=20.0)

    [before], [after] = reviewed(usual).issues, reviewed(longer).issues

    assert after.proposal.quantity > before.proposal.quantity + 15
    assert (after.proposal.order_at, after.proposal.deliver_at) == (
        before.proposal.order_at,
        before.proposal.deliver_at,
    )
    assert reviewed(longer).due_at == reviewed(usual).due_at


# 5.1


def test_projected_stock_is_the_stock_before_and_what_comes_less_what_is_asked_for() -> None:
    """P₀ = 100; 50 come on the third day; 20 a day: 80, 60, 90, 70, 50, 30, 10 and half a day more."""
    arrivals = np.zeros((1, 14))
    arrivals[0, 2] = 50.0

    [days] = periods_until_out(np.array([100.0]), arrivals, np.full((1, 14), 20.0))

    assert days == 7.5


# 5.4


@pytest.mark.parametrize(("review", "fill_rate"), [(1, 0.98622), (7, 0.99754)])
def test_the_fill_rate_of_an_order_up_to_level_is_the_formulas(review: int, fill_rate: float) -> None:
    """95 % cycle service at μ 100, σ 20, L 10 fills this much of what is wanted: it was simulated over 400,000 days."""
    level = level_of(review)
    until_arrival, until_next = (distributions.normal([days * MEAN], [days * SD**2]) for days in (LEAD, LEAD + review))

    [found] = fill_rate_of_level(level=[level], until_arrival=until_arrival, until_next_arrival=until_next)

    assert round(float(found), 5) == fill_rate


def test_so_it_is_of_erratic_demand() -> None:
    """The case of a coefficient of variation of .8. Its L, R and service are not told; 5, 7 and .9 give its .98126."""
    level = order_up_to_level(
        demand_mean=MEAN, demand_sd=80.0, review_period_days=7, lead_time_days=5, cycle_service_level=0.9
    )
    until_arrival, until_next = (distributions.normal([days * MEAN], [days * 80.0**2]) for days in (5, 12))
    demand = np.random.default_rng(5).normal(MEAN, 80.0, (100, 4000))

    [found] = fill_rate_of_level(level=[level], until_arrival=until_arrival, until_next_arrival=until_next)
    replayed = replay(world(demand, 5, 7), UpTo(level), np.full(100, level), 0)

    assert round(float(found), 5) == 0.98126
    assert replayed.served.sum() / replayed.wanted.sum() == pytest.approx(0.98131, abs=0.001)


def level_of(review: int) -> float:
    return order_up_to_level(
        demand_mean=MEAN, demand_sd=SD, review_period_days=review, lead_time_days=LEAD, cycle_service_level=0.95
    )


# 5.9


@pytest.mark.parametrize(("review", "safety", "stock"), [(1, 109, 159), (7, 136, 486), (14, 161, 861), (28, 203, 1603)])
def test_a_shorter_review_lowers_the_stock_at_the_same_cycle_service(review: int, safety: int, stock: int) -> None:
    """Stock at a day's end is half a day's demand below the mean over the day; simulated within one per cent."""
    wanted = safety_stock(demand_mean=MEAN, demand_sd=SD, protection_days=LEAD + review, cycle_service_level=0.95)
    demand = np.random.default_rng(2).normal(MEAN, SD, (20, BEFORE + 28 * 40))
    found = replay(world(demand, LEAD, review), UpTo(level_of(review)), np.full(20, level_of(review)), 0)

    assert round(wanted) == safety
    assert round(wanted + MEAN * review / 2) == stock
    assert found.stock.sum() / found.periods.sum() + MEAN / 2 == pytest.approx(stock, rel=0.015)


# 5.11


@pytest.mark.parametrize(("interval", "periods", "ratio"), [(2, 5, 2.12), (4, 10, 2.12)])
def test_orders_up_to_a_moving_average_swing_more_than_demand(interval: int, periods: int, ratio: float) -> None:
    """Var(q) / Var(D) = 1 + 2 L / p + 2 L² / p², L the protection interval: what the replay reports (Chen et al.)."""
    demand = np.random.default_rng(3).normal(1000.0, 50.0, (20, 3000))
    found = replay(world(demand, interval - 1, 1), MovingAverage(interval, periods), np.full(20, interval * 1000.0), 0)

    assert 1 + 2 * interval / periods + 2 * (interval / periods) ** 2 == pytest.approx(ratio)
    assert found.variance_of_orders.sum() / found.variance_of_demand.sum() == pytest.approx(ratio, rel=0.03)


def world(demand: NDArray[np.float64], lead: int, review: int) -> World:
    count = len(demand)
    return World(demand, np.full(count, lead), np.full(count, review), np.zeros(count, np.bool_))


class UpTo:
    """Orders up to a level."""

    def __init__(self, level: float) -> None:
        self.level = level

    def place(self, period: int, stand: Stand) -> NDArray[np.float64]:
        return np.maximum(self.level - stand.position, 0.0)

    def learn(self, period: int, sold: Any, in_stock: Any, wanted: Any) -> None:
        """Learn nothing."""


class MovingAverage:
    """Orders up to the protection interval's demand at the mean of the last periods; less than nothing goes back."""

    def __init__(self, interval: int, periods: int) -> None:
        self.interval = interval
        self.seen: deque[NDArray[np.float64]] = deque(maxlen=periods)

    def place(self, period: int, stand: Stand) -> NDArray[np.float64]:
        if not self.seen:
            return np.zeros(len(stand.rows))
        return np.asarray(self.interval * np.mean(self.seen, axis=0)[stand.rows] - stand.position)

    def learn(self, period: int, sold: Any, in_stock: Any, wanted: Any) -> None:
        self.seen.append(np.asarray(wanted))
