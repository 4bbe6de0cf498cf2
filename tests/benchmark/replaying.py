"""Speed of a replay: series, days and one policy, processor time of one core; dispersed demand that is lost or waits.

Demand is negative binomial, means lognormal about a median, variance m + m², a lead time of 3 days. A short look:
``--series 250``.
"""

import argparse
import time
from datetime import date
from itertools import product

import numpy as np

from vmi_domain.forecasting.panel import Panel, Period
from vmi_domain.forecasting.rehearsal import rehearsal
from vmi_domain.replenishment.needs import Policy, ServiceMeasure, UnmetDemand
from vmi_domain.replenishment.opportunities import Calendar
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.rehearsing import Agreed
from vmi_domain.replenishment.replaying import World, replay
from vmi_domain.replenishment.reviewing import Terms

KNOWN_DAYS = 120
LEAD_DAYS = 3


def seconds(policy: Policy, *, series: int, median: float, days: int, review: int) -> tuple[float, float]:
    """Return the processor time of a replay, and its fill rate."""
    random = np.random.default_rng(1)
    mean = median * np.exp(random.normal(0.0, 1.0, series))
    demand = random.negative_binomial(1, (1.0 / (1.0 + mean))[:, None], (series, KNOWN_DAYS + days)).astype(np.float64)
    nothing = np.zeros(series, np.int64)
    panel = Panel(Period.DAY, date(2024, 1, 1), demand, nothing, nothing, np.arange(series))
    lost = np.full(series, policy.unmet_demand is UnmetDemand.LOST)
    world = World(demand, np.full(series, LEAD_DAYS), np.full(series, review), lost)
    terms = [Terms("supplier", Calendar(), policy, OrderRules())] * series
    started = time.process_time()
    orders = Agreed(terms, rehearsal(panel, KNOWN_DAYS), lead_time=world.lead_time, review_period=world.review_period)
    found = replay(world, orders, orders.opening(np.arange(series)), KNOWN_DAYS)
    return time.process_time() - started, float(found.served.sum() / found.wanted.sum())


def main(arguments: argparse.Namespace) -> None:
    print(f"{arguments.series:,} series × {arguments.days} days, median {arguments.median:g} a day; wanted: 20 s")
    for unmet, review, measure in product(UnmetDemand, (1, 7), ServiceMeasure):
        policy = Policy(service_measure=measure, service_target=0.95, unmet_demand=unmet)
        spent, fill = seconds(
            policy, series=arguments.series, median=arguments.median, days=arguments.days, review=review
        )
        print(f"{unmet:11} review {review} {measure:13} {spent:5.1f} s, fill rate {fill:.3f}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=1000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--median", type=float, default=1.6)
    main(parser.parse_args())
