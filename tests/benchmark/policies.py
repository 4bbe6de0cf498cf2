"""Levels and quantities: the cost gap to exact optima, fill rates computed and simulated, and decisions a second.

Oracles: newsvendor, base stock, (s, S) and (r, Q) with demand that waits, as recorded from stockpyl; lost sales by
dynamic programming. Fill rates: Poisson, negative binomial and normal demand, lead times and reviews from 1 to 28
periods, slow and fast; what waits and what is lost. ``--speed-only`` for the last table alone.
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product
from math import ceil, sqrt

import numpy as np
from scipy import stats
from tests.vmi_testing.lost_sales import LostSalesWorld, drawn, simulated_base_stock
from tests.vmi_testing.oracles import NEWSVENDOR_NORMAL, NEWSVENDOR_POISSON, REORDER_LEVELS, REORDER_QUANTITIES

from vmi_domain import distributions
from vmi_domain.distributions import Demand
from vmi_domain.replenishment.decisions import decide
from vmi_domain.replenishment.needs import (
    Basis,
    Expected,
    Need,
    Policy,
    Position,
    ServiceMeasure,
    UnmetDemand,
    outlooks,
)
from vmi_domain.replenishment.policies import landing, levels, reordering, short_life, stationary
from vmi_domain.replenishment.policies.cycles import Cycles
from vmi_domain.replenishment.policies.grids import cell_chances
from vmi_domain.replenishment.quantities import OrderRules

ONE = np.ones(1)


def newsvendor_cost(demand: Demand, level: float, holding: float, shortage: float) -> float:
    return float(holding * demand.expected_stock([level])[0] + shortage * demand.expected_shortage([level])[0])


def oracle_gaps() -> Iterator[float]:
    """Return how much dearer than its oracle each case is, as a share; the cost of what we choose, by their measure."""
    for holding, shortage, mean, sd, _, least in NEWSVENDOR_NORMAL:
        demand = distributions.normal([mean], [sd**2])
        level = short_life.newsvendor(demand, shortage / (shortage + holding))[0]
        yield newsvendor_cost(demand, level, holding, shortage) / least - 1
    for holding, shortage, mean, _, least in NEWSVENDOR_POISSON:
        demand = distributions.poisson([mean])
        level = levels.level_for_cost(
            Cycles(distributions.poisson([0.0]), demand, ONE), shortage / (shortage + holding)
        )
        yield newsvendor_cost(demand, level[0], holding, shortage) / least - 1
    places = np.arange(-80.0, 220.0)
    for holding, shortage, order, mean, _, _, least in REORDER_LEVELS:
        demand = distributions.poisson([mean])
        rates = reordering.cost_rates(Cycles(distributions.poisson([0.0]), demand, ONE), places, holding, shortage)
        yield reordering.cheapest_levels(rates, cell_chances(demand, ONE, 220)[0], order, -80).cost / least - 1
    for holding, shortage, order, rate, lead, _, _, least in REORDER_QUANTITIES:
        demand = distributions.poisson([rate * lead])
        rates = reordering.cost_rates(Cycles(distributions.poisson([0.0]), demand, ONE), places, holding, shortage)
        yield reordering.cheapest_quantity(rates, rate, order, -80).cost / least - 1


def lost_sales_gaps() -> Iterator[tuple[str, int, float, float]]:
    """Return the gap to the dynamic programme's optimum: demand, lead time, p / h, share."""
    for name, variance, leads, most, largest in (
        ("Poisson 5", 5.0, (1, 2, 3), 30, 13),
        ("NB 5, variance 15", 15.0, (1, 2), 60, 26),
    ):
        units = np.arange(25 if variance == 5.0 else 60)
        chances = (
            stats.poisson.pmf(units, 5)
            if variance == 5.0
            else stats.nbinom.pmf(units, 25 / (variance - 5), 5 / variance)
        )
        for lead, shortage in product(leads, (4.0, 9.0, 19.0)):
            world = LostSalesWorld(chances, lead=lead, holding=1, shortage=shortage, most=most, largest=largest)
            states = world.states()
            moments = np.tile(np.arange(1, lead) / lead, (len(states), 1))
            pipeline = landing.Pipeline(states[:, 0].astype(float), states[:, 1:].astype(float), moments)
            cycles = independent(5.0, variance, lead, 1, len(states))
            ordered = landing.quantity_for_cost(cycles, pipeline, shortage / (shortage + 1.0))
            yield name, lead, shortage, world.cost_of(ordered.astype(np.int64)) / world.best_cost() - 1


def independent(
    mean: float, variance: float, lead: float, review: float, keys: int = 1, *, normal: bool = False
) -> Cycles:
    until = [
        distributions.by_the_data(np.full(keys, mean * days), np.full(keys, variance * days), counts=not normal)
        for days in (lead, lead + review)
    ]
    return Cycles(until[0], until[1], np.full(keys, float(review)))


DEMANDS = {
    "Poisson 0.1": (0.1, 0.1, False),
    "Poisson 5": (5.0, 5.0, False),
    "Poisson 40": (40.0, 40.0, False),
    "NB 0.3, variance 0.9": (0.3, 0.9, False),
    "NB 2, variance 8": (2.0, 8.0, False),
    "normal 100 ± 20": (100.0, 400.0, True),
}
INTERVALS = ((1, 1), (7, 1), (28, 1), (3, 7), (7, 7), (10, 7), (28, 7), (7, 28), (28, 28))
TARGETS = (0.9, 0.95, 0.98)


WANTED_AT_LEAST = 1_200_000
"""Units that are wanted in a simulation, in parts: their spread says what its own error is."""
SIMULATED_IN = 8


@dataclass(frozen=True)
class Fills:
    """Fill rates computed and simulated."""

    distances: Sequence[float]
    """Points, of each case."""
    errors: Sequence[float]
    """Standard error of each simulation, points."""
    smallest: int
    """Levels of which one unit less would not reach the target, by computation."""


def fill_rates(name: str, *, lost: bool) -> Fills:
    mean, variance, normal = DEMANDS[name]
    distances, errors, smallest = [], [], 0
    for (lead, review), target in product(INTERVALS, TARGETS):
        cycles = independent(mean, variance, lead, review, normal=normal)
        level = levels.level_for_fill_rate(cycles, target)
        if lost:
            level = stationary.least_level_for_fill_rate(cycles, target, level)
        step = 1.0 if not normal else 0.02 * mean

        def computed(level: np.ndarray, cycles: Cycles = cycles) -> float:
            if lost:
                return float(stationary.long_run(cycles, level).fill_rate[0])
            return float(
                levels.fill_rate_of_level(
                    level=level, until_arrival=cycles.until_arrival, until_next_arrival=cycles.until_next_arrival
                )[0]
            )

        at, below = computed(level), computed(level - step)
        smallest += bool(below < target <= at + 0.001)
        days = 40 * review + 2 * (lead + review)
        stores = max(8000, ceil(WANTED_AT_LEAST / (mean * days))) // SIMULATED_IN
        draw = drawn(mean, variance, normal=normal)
        simulated = [
            simulated_base_stock(level[0], draw, lead, review, lost=lost, stores=stores, seed=seed)[0]
            for seed in range(SIMULATED_IN)
        ]
        distances.append(100 * abs(float(np.mean(simulated)) - at))
        errors.append(100 * float(np.std(simulated, ddof=1)) / sqrt(SIMULATED_IN))
    return Fills(distances, errors, smallest)


def speeds() -> None:
    """Print decisions a second of 2,000 different needs at once, packs of 6."""
    random = np.random.default_rng(1)
    count = 2000
    mean, spread = random.gamma(0.5, 6.0, count) + 0.01, random.uniform(1.01, 4.0, count)
    for lead, review in ((2, 1), (14, 7)):
        until, until_next = (
            outlooks([days] * count, distributions.by_the_data(mean * days, spread * mean * days))
            for days in (lead, lead + review)
        )
        for measure, unmet in product(ServiceMeasure, UnmetDemand):
            policy = Policy(service_measure=measure, service_target=0.95, unmet_demand=unmet)
            needs = [
                Need(
                    Position(Decimal(int(rate * review)), on_order=Decimal(int(rate * lead))),
                    policy,
                    OrderRules(multiple=Decimal(6)),
                    Expected(Basis.HISTORY, following, arrival),
                )
                for rate, arrival, following in zip(mean, until, until_next, strict=True)
            ]
            started = time.process_time()
            decide(needs)
            each = (time.process_time() - started) / count
            print(f"L {lead:2} R {review}  {measure:13} {unmet:11} {1 / each:9,.0f} decisions/s")


def main(arguments: argparse.Namespace) -> None:
    if not arguments.speed_only:
        gaps = list(oracle_gaps())
        print(f"{len(gaps)} exact oracles: largest gap {100 * max(gaps):.5f} %, mean {100 * np.mean(gaps):.5f} %\n")
        for name, lead, shortage, gap in lost_sales_gaps():
            print(
                f"lost sales, {name:18} L {lead} p/h {shortage:4.0f}: {100 * gap:6.3f} % above the optimum", flush=True
            )
        print()
        for lost, name in product((False, True), DEMANDS):
            found = fill_rates(name, lost=lost)
            print(
                f"{'lost' if lost else 'waiting':8} {name:21} {len(found.distances)} cases: {found.smallest} smallest "
                f"levels; computed and simulated fill at most {max(found.distances):.2f} points apart, "
                f"{np.mean(found.distances):.2f} on average, the simulation off by {max(found.errors):.2f} itself",
                flush=True,
            )
        print()
    speeds()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed-only", action="store_true")
    main(parser.parse_args())
