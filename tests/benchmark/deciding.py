"""Stock at equal value-weighted fill, on real demand: our decisions and an ERP minimum and maximum beside them.

A period is: receive, order, demand, count; what is not on the shelf is lost. The history up to the middle of each panel
is known at the start, the first L + R periods are warm-up, and every decision knows what came before it and nothing
else. Stock is at the ends of periods, in days (months) of mean demand, both weighted by price. Between two points of a
frontier stock is read off on a straight line.

The bars are the best simple policies as measured elsewhere (the project's notes on accuracy). ``--targets`` are the
frontier's points, ``--known-demand`` lets forecasts learn from what was wanted (as the bars did) and not from what was
sold. ``--plot FILE`` draws all frontiers.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from tests.vmi_testing import panels
from tests.vmi_testing.panels import RealDemand

from vmi_domain.forecasting.ahead import DAYS_OF
from vmi_domain.forecasting.panel import Panel
from vmi_domain.forecasting.rehearsal import rehearsal
from vmi_domain.replenishment.needs import Policy, ServiceMeasure, UnmetDemand
from vmi_domain.replenishment.opportunities import Calendar
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.rehearsing import Agreed, Rules, erp_band
from vmi_domain.replenishment.replaying import Orders, Replayed, World, replay
from vmi_domain.replenishment.reviewing import Terms

FILLS: Final = (0.90, 0.95, 0.98)
TARGETS: Final = (0.5, 0.6, 0.7, 0.8, 0.87, 0.92, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.9995, 0.9999)
COVERS: Final = (0.3, 0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 4.0, 5.6, 8.0, 11.0, 16.0, 22.0, 32.0)

Floats = NDArray[np.float64]
Point = tuple[float, float]
"""Value-weighted fill and stock in periods of demand."""


@dataclass(frozen=True)
class Case:
    """A panel, how often is ordered, and how long that takes; periods."""

    panel: str
    review: int
    lead: int | None
    """None: as the data say."""
    bars: Sequence[float]


CASES: Final = {
    "CJ weekly": Case("CJ store×prod d", 7, 3, (13.3, 18.2, 24.2)),
    "CJ daily": Case("CJ store×prod d", 1, 3, (9.6, 12.9, 17.7)),
    "OR items": Case("OR item d", 7, 3, (22.9, 38.7, 112.0)),
    "RAF": Case("RAF m", 1, None, (60.0, 94.0, 150.0)),
}


class Bench:
    """One case."""

    def __init__(self, case: Case, real: RealDemand) -> None:
        count, periods = real.demand.shape
        self.first = periods // 2
        lead = real.lead_time if case.lead is None else np.full(count, case.lead)
        assert lead is not None
        assert real.value is not None
        self.value = real.value
        self.world = World(real.demand, lead, np.full(count, case.review), np.ones(count, np.bool_))
        begins = np.where(real.demand.any(axis=1), (real.demand > 0).argmax(axis=1), periods - 1)
        self.panel = Panel(real.period, real.first_period, real.demand, begins, real.location, real.item)

    def point(self, orders: Orders, opening: Floats) -> Point:
        """Return what comes of a policy."""
        found: Replayed = replay(self.world, orders, opening, self.first)
        periods = np.maximum(found.periods, 1)
        fill = (self.value * found.served).sum() / (self.value * found.wanted).sum()
        stock = (self.value * found.stock / periods).sum() / (self.value * found.wanted / periods).sum()
        return float(fill), float(stock)

    def ours(self, measure: ServiceMeasure, target: float, *, known_demand: bool) -> Point:
        """Return what comes of our decisions."""
        policy = Policy(service_measure=measure, service_target=target, unmet_demand=UnmetDemand.LOST)
        terms = [Terms("supplier", Calendar(), policy, OrderRules())] * len(self.value)
        orders = Agreed(
            terms,
            rehearsal(self.panel, self.first),
            lead_time=self.world.lead_time,
            review_period=self.world.review_period,
            period_days=DAYS_OF[self.panel.period],
            known_demand=known_demand,
        )
        return self.point(orders, orders.opening(np.arange(len(terms))))

    def erp(self, cover: float) -> Point:
        """Return what comes of a fixed minimum and maximum."""
        rules = Rules.of([OrderRules()] * len(self.value))
        history = self.world.demand[:, : self.first]
        world = self.world
        band = erp_band(history, self.panel.begins, world.lead_time, world.review_period, rules, cover=cover)
        return self.point(band, band.maximum)


def frontier(point: Callable[[float], Point], parameters: Sequence[float]) -> list[Point]:
    """Return points from little to much, until more buys nothing."""
    found: list[Point] = []
    for parameter in parameters:
        found.append(point(parameter))
        if found[-1][0] > FILLS[-1] + 0.005:
            break
    return found


def at(points: Sequence[Point], fill: float) -> float | None:
    """Return the stock at a fill, None where the frontier does not go there."""
    fills, stocks = np.array(sorted(points)).T
    return float(np.interp(fill, fills, stocks)) if fills[0] <= fill <= fills[-1] else None


def main(arguments: argparse.Namespace) -> None:
    """Print a row a case and policy."""
    known = {}
    frontiers: dict[str, dict[str, list[Point]]] = {}
    print("| case | policy | .90 | .95 | .98 | / bar | s |\n|---|---|---|---|---|---|---|", flush=True)
    for name, case in CASES.items():
        if arguments.case and name not in arguments.case:
            continue
        try:
            if case.panel not in known:
                known[case.panel] = panels.BUILDERS[case.panel](case.panel, arguments.data)
        except (FileNotFoundError, ModuleNotFoundError) as missing:
            print(f"{name}: left out, {missing}")
            continue
        bench = Bench(case, known[case.panel])
        policies: dict[str, Callable[[], list[Point]]] = {
            measure.value: lambda measure=measure, bench=bench: frontier(  # type: ignore[misc]
                lambda target: bench.ours(measure, target, known_demand=arguments.known_demand), arguments.targets
            )
            for measure in (ServiceMeasure(one) for one in arguments.measure)
        }
        policies["ERP minimum/maximum"] = lambda bench=bench: frontier(bench.erp, COVERS)  # type: ignore[misc]
        print(f"| {name} | best simple | {' | '.join(f'{one:g}' for one in case.bars)} | 1 | |", flush=True)
        for policy, points in policies.items():
            started = time.process_time()
            found = points()
            frontiers.setdefault(name, {})[policy] = found
            stocks = [at(found, fill) for fill in FILLS]
            ratios = [stock / bar for stock, bar in zip(stocks, case.bars, strict=True) if stock is not None]
            told = " | ".join("" if stock is None else f"{stock:.1f}" for stock in stocks)
            seconds = (time.process_time() - started) / len(found)
            print(f"| | {policy} | {told} | {' '.join(f'{one:.2f}' for one in ratios)} | {seconds:.1f} |", flush=True)
    if arguments.plot is not None:
        plot(frontiers, arguments.plot)


def plot(frontiers: dict[str, dict[str, list[Point]]], path: Path) -> None:
    """Draw the frontiers, a panel a case."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(frontiers), 4), layout="constrained")
    FigureCanvasAgg(figure)
    for place, (name, policies) in enumerate(frontiers.items()):
        axes = figure.add_subplot(1, len(frontiers), place + 1)
        for policy, points in policies.items():
            axes.plot(*zip(*sorted(points), strict=True), marker="o", markersize=3, label=policy)
        axes.plot(FILLS, CASES[name].bars, "kx", label="best simple")
        axes.set_title(name)
        axes.set_xlabel("value-weighted fill")
        axes.set_ylabel("stock, periods of demand")
        axes.set_xlim(0.7, 1.0)
        axes.legend(fontsize=7)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=panels.DATA)
    parser.add_argument("--case", action="append", help=f"one of {', '.join(CASES)}; all if not given")
    parser.add_argument("--measure", action="append", help="cycle_service, fill_rate or cost")
    parser.add_argument("--targets", type=lambda text: [float(one) for one in text.split(",")], default=TARGETS)
    parser.add_argument("--known-demand", action="store_true")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    options.measure = options.measure or ["cycle_service", "cost"]
    main(options)
