"""A history replayed: the order of a period's events, who is told what, and that the live decision is made."""

from datetime import date
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from vmi_domain.forecasting.panel import Panel, Period
from vmi_domain.forecasting.rehearsal import rehearsal
from vmi_domain.replenishment.decisions import decide
from vmi_domain.replenishment.needs import (
    Basis,
    Expected,
    Need,
    Policy,
    PolicyKind,
    Position,
    ServiceMeasure,
    UnmetDemand,
    outlooks,
)
from vmi_domain.replenishment.opportunities import Calendar
from vmi_domain.replenishment.quantities import OrderRules, to_order
from vmi_domain.replenishment.rehearsing import Agreed, Band, Rules
from vmi_domain.replenishment.replaying import Stand, World, in_multiples, replay
from vmi_domain.replenishment.reviewing import Terms

MONDAY = date(2024, 1, 1)


def world(demand: Any, *, lead_time: int, review_period: int, lost: bool) -> World:
    rows = np.atleast_2d(np.array(demand, float))
    count = len(rows)
    return World(rows, np.full(count, lead_time), np.full(count, review_period), np.full(count, lost))


class UpTo:
    """Orders up to a level, and remembers what it was told."""

    def __init__(self, level: float) -> None:
        self.level = level
        self.told: list[tuple[float, float, float]] = []

    def place(self, period: int, stand: Stand) -> NDArray[np.float64]:
        return np.maximum(self.level - stand.position, 0.0)

    def learn(self, period: int, sold: Any, in_stock: Any, wanted: Any) -> None:
        self.told.append((sold[0], in_stock[0], wanted[0]))


def test_a_period_is_receive_order_demand_count() -> None:
    """Level 10, L 2, R 1, four wanted a period, lost: 6 and 2 are left, then two of twelve are lost."""
    orders = UpTo(10)
    found = replay(world([4] * 8, lead_time=2, review_period=1, lost=True), orders, np.array([10.0]), 0)

    assert [one[0] for one in orders.told[:6]] == [4, 4, 2, 4, 4, 2]
    assert [np.isnan(one[1]) for one in orders.told[:5]] == [False, False, True, True, True]
    assert found.periods.tolist() == [5]
    assert (found.wanted[0], found.served[0], found.stock[0]) == (20, 18, 0)


def test_what_waits_is_served_by_what_arrives_and_counts_as_unmet_once() -> None:
    found = replay(world([4] * 12, lead_time=2, review_period=1, lost=False), UpTo(10), np.array([10.0]), 0)

    assert found.served[0] / found.wanted[0] == pytest.approx(0.5)
    assert found.waiting[0] == 2 * found.periods[0]


def test_the_fill_rate_of_a_base_stock_is_the_textbooks() -> None:
    """Normal demand 100 ± 20, L 10, R 7: formulas.md has level and fill from simulation and theory (.9975)."""
    random = np.random.default_rng(3)
    demand = random.normal(100, 20, (40, 2000))
    found = replay(world(demand, lead_time=10, review_period=7, lost=False), UpTo(1700 + 82.5), np.full(40, 1782.5), 0)

    assert found.served.sum() / found.wanted.sum() == pytest.approx(0.99, abs=0.003)
    assert found.cycles_without_stock_out.sum() / found.cycles.sum() == pytest.approx(0.84, abs=0.02)


def test_warm_up_stays_out_of_the_figures() -> None:
    short = [50] * 5 + [1] * 10
    found = replay(world(short, lead_time=3, review_period=2, lost=True), UpTo(9), np.array([9.0]), 0)

    assert (found.periods[0], found.served[0]) == (10, 10)


def test_bullwhip_is_the_variance_of_orders_over_that_of_demand() -> None:
    random = np.random.default_rng(4)
    found = replay(
        world(random.poisson(20, (5, 400)), lead_time=2, review_period=1, lost=False), UpTo(90), np.full(5, 90.0), 0
    )

    assert found.variance_of_orders.sum() / found.variance_of_demand.sum() == pytest.approx(1.0, abs=0.02)


def test_orders_are_rounded_as_live_ones_are() -> None:
    random = np.random.default_rng(5)
    for _ in range(300):
        multiple, minimum, maximum = random.integers(1, 9), random.integers(0, 30), random.integers(5, 80)
        position, missing = int(random.integers(-10, 60)), round(float(random.uniform(-5, 60)), 3)
        rules = OrderRules(Decimal(int(multiple)), Decimal(int(minimum)), maximum=Decimal(int(maximum)))
        exact = to_order(missing=Decimal(str(missing)), position=Decimal(position), rules=rules).quantity
        room = np.array([float(maximum - position)])
        many = in_multiples(np.array([missing]), np.array([float(multiple)]), np.array([float(minimum)]), room)
        assert float(exact) == many[0]


MEASURES = [(measure, unmet) for measure in ServiceMeasure for unmet in UnmetDemand]


@pytest.mark.parametrize("minimum", [None, Decimal(9)], ids=["no minimum", "a minimum"])
@pytest.mark.parametrize(("measure", "unmet"), MEASURES, ids=lambda one: one.value)
def test_the_replay_orders_what_live_would(
    measure: ServiceMeasure, unmet: UnmetDemand, minimum: Decimal | None
) -> None:
    random = np.random.default_rng(6)
    rates = random.gamma(1.0, 3.0, 30)
    demand = random.poisson(rates[:, None], (30, 120)).astype(float)
    number = np.arange(30)
    panel = Panel(Period.DAY, MONDAY, demand, number * 0, number * 0, number)
    policy = Policy(service_measure=measure, service_target=0.9, unmet_demand=unmet, minimum=minimum)
    packs = [Decimal(int(one)) for one in random.integers(1, 7, 30)]
    terms = [Terms("s", Calendar(), policy, OrderRules(pack, Decimal(4))) for pack in packs]
    lead, review = random.integers(0, 6, 30), random.integers(1, 8, 30)
    forecasts = rehearsal(panel, 100)
    on_hand = random.integers(-3, 6, 30).astype(float)
    stand = Stand(number, on_hand, np.zeros((30, 1)))
    replayed = Agreed(terms, forecasts, lead_time=lead, review_period=review).place(100, stand)

    arrival = outlooks(lead.tolist(), forecasts.demand(number, lead))
    following = outlooks((lead + review).tolist(), forecasts.demand(number, lead + review))
    live = decide(
        [
            Need(
                Position(Decimal(max(int(held), 0)), backlog=Decimal(max(-int(held), 0))),
                policy,
                one.rules,
                Expected(Basis.HISTORY, after, before),
            )
            for held, one, before, after in zip(on_hand, terms, arrival, following, strict=True)
        ]
    )
    assert replayed.tolist() == [float(one.quantity) for one in live]


def test_other_policies_go_through_the_live_decision() -> None:
    number = np.arange(1)
    panel = Panel(Period.DAY, MONDAY, np.full((1, 60), 5.0), number, number, number)
    policy = Policy(PolicyKind.MINIMUM_MAXIMUM, minimum=Decimal(20), maximum=Decimal(50))
    terms = [Terms("s", Calendar(), policy, OrderRules())]
    orders = Agreed(terms, rehearsal(panel, 50), lead_time=number + 2, review_period=number + 1)

    for held, quantity in ((20.0, 30.0), (21.0, 0.0)):
        assert orders.place(50, Stand(number, np.array([held]), np.zeros((1, 3)))).tolist() == [quantity]


@pytest.mark.parametrize(
    ("policy", "rules"),
    [
        (Policy(), OrderRules(largest_order=Decimal(5))),
        (Policy(), OrderRules(budget=Decimal(5))),
        (Policy(), OrderRules(capacity=Decimal(5))),
        (Policy(shelf_life_days=0.5), OrderRules()),
    ],
    ids=["a largest order", "a budget", "space", "a short life"],
)
def test_what_limits_an_order_limits_it_in_the_replay_too(policy: Policy, rules: OrderRules) -> None:
    number = np.arange(1)
    panel = Panel(Period.DAY, MONDAY, np.full((1, 60), 5.0), number, number, number)
    orders = Agreed(
        [Terms("s", Calendar(), policy, rules)], rehearsal(panel, 50), lead_time=number, review_period=number + 7
    )

    [quantity] = orders.place(50, Stand(number, np.zeros(1), np.zeros((1, 1)))).tolist()

    assert 0 < quantity <= 5


@pytest.mark.parametrize("period", [Period.DAY, Period.WEEK])
def test_no_decision_knows_what_follows_it(period: Period) -> None:
    random = np.random.default_rng(7)
    demand = random.poisson(4.0, (6, 90)).astype(float)
    other = demand.copy()
    other[:, 70:] = random.poisson(40.0, (6, 20))
    number = np.arange(6)
    told = []
    for history in (demand, other):
        panel = Panel(period, MONDAY, history, number * 0, number * 0, number)
        orders = Agreed(
            [Terms("s", Calendar(), Policy(), OrderRules())] * 6,
            rehearsal(panel, 45),
            lead_time=number * 0 + 2,
            review_period=number * 0 + 1,
        )
        placed = []

        class Noted:
            def place(self, period: int, stand: Stand, orders: Agreed = orders, placed: Any = placed) -> Any:
                placed.append(orders.place(period, stand).tolist())
                return np.array(placed[-1])

            def learn(self, *said: Any, orders: Agreed = orders) -> None:
                orders.learn(*said)

        replay(World(history, number * 0 + 2, number * 0 + 1, number >= 0), Noted(), np.full(6, 20.0), 45)
        told.append(placed[: 70 - 45 + 1])
    assert told[0] == told[1]


def test_an_erp_band_orders_at_its_minimum_up_to_its_maximum() -> None:
    rules = Rules.of([OrderRules(Decimal(6))])
    band = Band(np.array([10.0]), np.array([30.0]), rules)

    for held, quantity in ((10.0, 24.0), (11.0, 0.0)):
        assert band.place(0, Stand(np.arange(1), np.array([held]), np.zeros((1, 1)))).tolist() == [quantity]
