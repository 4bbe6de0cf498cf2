"""Whether a target fill rate is met by the week and by the month: ``vmi propose`` called again and again.

Small panels of independent series whose demand never changes, L 2 periods, R 1: sales with ``in_stock``, stock and
supply are written to files, proposals are read from one and arrive two periods later. The first three calls are
warm-up. Beside it the same decisions that know the demand's true mean and variance, on the same demand: what they have
too little or too much of is chance, and is taken off ours (a control variate). The standard error is over panels.

``--panels`` says how many panels of ``--series`` there are; ``--demand``, ``--period`` and ``--unmet`` choose a case;
``--spread`` looks at the forecasts alone: the three-period sum's spread, and where outcomes fall in it.
"""

import argparse
import csv
import io
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vmi_domain.distributions import by_the_data
from vmi_domain.forecasting.ahead import totals_ahead
from vmi_domain.forecasting.panel import Panel, Period
from vmi_domain.replenishment.decisions import Arrival, Basis, Expected, Need, Position, decide, outlooks
from vmi_domain.replenishment.needs import Policy, ServiceMeasure, UnmetDemand
from vmi_domain.replenishment.policies import levels
from vmi_domain.replenishment.policies.cycles import Cycles
from vmi_domain.replenishment.quantities import OrderRules
from vmi_files import proposals
from vmi_files.periods import Periods

Floats = NDArray[np.float64]

TARGET: Final = 0.95
LEAD: Final = 2
WARM_UP: Final = LEAD + 1
DEMANDS: Final = {"poisson": (20.0, 20.0), "negative-binomial": (20.0, 60.0), "slow": (0.6, 0.6)}
"""Mean and variance of a period."""
KNOWN: Final = {Period.WEEK: 80, Period.MONTH: 48}
CALLS: Final = {Period.WEEK: 14 + WARM_UP, Period.MONTH: 12 + WARM_UP}
FIRST: Final = {Period.WEEK: date(2023, 1, 2), Period.MONTH: date(2020, 1, 1)}
LONG: Final = (200, 60)
"""Series and periods from which it is known what those who know the demand attain."""


class Came(NamedTuple):
    """What came of calls, a row a series; units."""

    wanted: Floats
    served: Floats
    stock: Floats
    """At the ends of periods, on average."""


@dataclass
class Shelf:
    """Series of one panel from period to period."""

    on_hand: Floats
    owed: Floats
    """Backlog; zeros where demand is lost."""
    on_order: Floats
    """Series × lead time, the next to arrive first."""

    @classmethod
    def opening(cls, count: int, mean: float, variance: float) -> "Shelf":
        return cls(
            np.full(count, np.ceil(mean + np.sqrt(3 * variance))),
            np.zeros(count),
            np.full((count, LEAD), np.round(mean)),
        )

    def receive(self) -> None:
        self.on_hand = self.on_hand + self.on_order[:, 0]
        paid = np.minimum(self.on_hand, self.owed)
        self.on_hand, self.owed = self.on_hand - paid, self.owed - paid
        self.on_order = np.concatenate([self.on_order[:, 1:], np.zeros((len(self.on_hand), 1))], axis=1)

    def sell(self, wanted: Floats, *, waits: bool) -> Floats:
        """Return what is served from the shelf."""
        served = np.minimum(wanted, self.on_hand)
        self.on_hand = self.on_hand - served
        if waits:
            self.owed = self.owed + wanted - served
        return served


Orders = Callable[[Shelf, int], Floats]
"""What is ordered in a period's beginning; number of the call."""


def play(shelf: Shelf, orders: Orders, demand: Floats, *, waits: bool, sold: Callable[[Floats], None]) -> Came:
    """Return what came of ordering in each period after the warm-up."""
    served, stock = np.zeros(demand.shape), np.zeros(demand.shape)
    for call in range(demand.shape[1]):
        shelf.receive()
        shelf.on_order[:, -1] = orders(shelf, call)
        served[:, call] = shelf.sell(demand[:, call], waits=waits)
        stock[:, call] = shelf.on_hand
        sold(served[:, call])
    later = slice(WARM_UP, None)
    return Came(demand[:, later].sum(axis=1), served[:, later].sum(axis=1), stock[:, later].mean(axis=1))


def knowing(mean: float, variance: float, *, waits: bool) -> Orders:
    """Return the decisions of those who know the demand."""
    expected = Expected(
        Basis.HISTORY,
        *(
            outlooks([periods * 7.0], by_the_data([mean * periods], [variance * periods]))[0]
            for periods in (LEAD + 1, LEAD)
        ),
        period_days=7.0,
    )
    policy = Policy(service_measure=ServiceMeasure.FILL_RATE, service_target=TARGET, unmet_demand=unmet(waits=waits))

    def orders(shelf: Shelf, _: int) -> Floats:
        needs = [
            Need(
                Position(usable=Decimal(int(there)), on_order=Decimal(int(coming.sum())), backlog=Decimal(int(owed))),
                policy,
                OrderRules(),
                expected,
                tuple(Arrival(7.0 * (place + 1), Decimal(int(one))) for place, one in enumerate(coming[:-1]) if one),
            )
            for there, owed, coming in zip(shelf.on_hand, shelf.owed, shelf.on_order, strict=True)
        ]
        return np.array([float(one.quantity) for one in decide(needs)])

    return orders


def unmet(*, waits: bool) -> UnmetDemand:
    return UnmetDemand.BACKORDERED if waits else UnmetDemand.LOST


class Newcomer:
    """Calls ``vmi propose`` with the files that are there."""

    def __init__(self, period: Period, known: Floats, folder: Path, *, waits: bool) -> None:
        self.period, self.folder, self.waits = period, folder, waits
        self.rows: list[str] = []
        self.number = 0
        self.periods = Periods(period, FIRST[period])
        for demand in known.T:
            self._add(demand, np.ones(len(known), np.bool_))

    def _add(self, sold: Floats, in_stock: NDArray[np.bool_]) -> None:
        day = self.periods.start(self.number)
        self.rows += [
            f"l,{place:03},{day},{int(one)},{'true' if there else 'false'}"
            for place, (one, there) in enumerate(zip(sold, in_stock, strict=True))
        ]
        self.number += 1

    def sold(self, shelf: Shelf, wanted: Floats) -> Callable[[Floats], None]:
        """Return what takes note of what was sold; where demand waits, all of it is known."""
        calls = iter(wanted.T)

        def note(served: Floats) -> None:
            demand = next(calls)
            self._add(demand if self.waits else served, (shelf.on_hand > 0) | self.waits)

        return note

    def orders(self, shelf: Shelf, _: int) -> Floats:
        as_of = self.periods.start(self.number)
        at = Periods(self.period, as_of)
        lead = (at.start(LEAD) - as_of).days
        review = (at.start(LEAD + 1) - as_of).days - lead
        stock = [
            f"l,{place:03},{int(one)},{int(owed)}"
            for place, (one, owed) in enumerate(zip(shelf.on_hand, shelf.owed, strict=True))
        ]
        supply = [
            f"l,{place:03},{int(one)},{at.start(ahead_of + 1)}"
            for place, coming in enumerate(shelf.on_order[:, :-1])
            for ahead_of, one in enumerate(coming)
            if one
        ]
        terms = f"*,*,{lead},{review},fill_rate,{TARGET},{unmet(waits=self.waits).value}"
        names = {
            "sales": self._file("sales", "location_id,item_id,date,quantity,in_stock", self.rows),
            "stock": self._file("stock", "location_id,item_id,on_hand,backlog", stock),
            "supply": self._file("supply", "location_id,item_id,quantity,arrives_on", supply),
            "agreements": self._file(
                "agreements",
                "location_id,item_id,lead_time_days,review_days,service_measure,service_target,unmet_demand",
                [terms],
            ),
        }
        out = self.folder / "out.csv"
        order = proposals.Order(**names, periods=at, everything=True)
        proposals.run(order, str(out), warn=_silent, told=_silent)
        quantities = np.zeros(len(shelf.on_hand))
        for row in csv.DictReader(io.StringIO(out.read_text())):
            quantities[int(row["item_id"])] = float(row["quantity"])
        return quantities

    def _file(self, name: str, header: str, rows: list[str]) -> str:
        path = self.folder / f"{name}.csv"
        path.write_text("\n".join([header, *rows]) + "\n")
        return str(path)


def _silent(_: object) -> None:
    """Nobody is told."""


def drawn(random: np.random.Generator, demand: str, shape: tuple[int, int]) -> Floats:
    """Return demand of series that never change."""
    mean, variance = DEMANDS[demand]
    if variance <= mean:
        return random.poisson(mean, shape).astype(float)
    return random.negative_binomial(mean**2 / (variance - mean), mean / variance, shape).astype(float)


def attained(demand: str, period: Period, arguments: argparse.Namespace, *, waits: bool) -> None:
    """Print a row: fill and stock, ours and of those who know the demand."""
    mean, variance = DEMANDS[demand]
    started = time.process_time()
    series, periods = LONG
    known = knowing(mean, variance, waits=waits)
    long = play(
        Shelf.opening(series, mean, variance),
        known,
        drawn(np.random.default_rng(0), demand, (series, periods)),
        waits=waits,
        sold=_silent,
    )
    fill_of_knowing = long.served.sum() / long.wanted.sum()
    ours, theirs = [], []
    for number in range(arguments.first, arguments.first + arguments.panels):
        random = np.random.default_rng([1, number])
        before = drawn(random, demand, (arguments.series, KNOWN[period]))
        wanted = drawn(random, demand, (arguments.series, CALLS[period]))
        shelf = Shelf.opening(arguments.series, mean, variance)
        with tempfile.TemporaryDirectory() as folder:
            newcomer = Newcomer(period, before, Path(folder), waits=waits)
            ours.append(play(shelf, newcomer.orders, wanted, waits=waits, sold=newcomer.sold(shelf, wanted)))
        theirs.append(play(Shelf.opening(arguments.series, mean, variance), known, wanted, waits=waits, sold=_silent))
    wanted_units = np.array([one.wanted.sum() for one in ours])
    fill, beside = (np.array([one.served.sum() for one in each]) / wanted_units for each in (ours, theirs))
    stock, stock_beside = (np.mean([one.stock.mean() for one in each]) / mean for each in (ours, theirs))
    share = wanted_units / wanted_units.sum()
    raw, apart = float(share @ fill), float(share @ (fill - beside))

    print(
        f"| {demand} | {period.value} | {unmet(waits=waits).value} | {fill_of_knowing + apart:.4f} ± "
        f"{standard_error(fill - beside):.4f} | {raw:.4f} ± {standard_error(fill):.4f} | {fill_of_knowing:.4f} | "
        f"{stock:.3f} | {stock_beside:.3f} | {wanted_units.sum():,.0f} | {time.process_time() - started:.0f} |",
        flush=True,
    )


def spread(demand: str, period: Period, arguments: argparse.Namespace) -> None:
    """Print a row: what the forecasts say of three periods, and what levels by them would keep where demand waits."""
    mean, variance = DEMANDS[demand]
    length = LEAD + 1
    true_until, truth = (
        by_the_data(*np.full((2, arguments.series), [[periods * mean], [periods * variance]]))
        for periods in (LEAD, length)
    )
    sds, means, off, stocks, fills = [], [], [], [], []
    covers: dict[float, list[float]] = {0.95: [], 0.99: []}
    started = time.process_time()
    for number in range(arguments.first, arguments.first + arguments.panels):
        random = np.random.default_rng([1, number])
        count = np.arange(arguments.series)
        before = drawn(random, demand, (arguments.series, KNOWN[period]))
        totals = totals_ahead(Panel(period, FIRST[period], before, count * 0, count * 0, count), length, [LEAD, length])
        until, told = (by_the_data(totals.mean[:, end], totals.variance[:, end]) for end in (LEAD - 1, LEAD))
        sds.append(told.sd.mean())
        means.append(told.mean.mean() / truth.mean.mean())
        off.append(((told.mean - truth.mean) ** 2).mean())
        level = levels.level_for_fill_rate(Cycles(until, told, np.ones(len(before))), TARGET)
        stocks.append(level.mean() / mean - length)
        fills.append(levels.fill_rate_of_level(level=level, until_arrival=true_until, until_next_arrival=truth).mean())
        for quantile, kept in covers.items():
            # Counts jump over the quantile: the part of the jump that reaches it.
            at = told.quantile(quantile)
            below, here = told.cdf(at - 1), told.cdf(at)
            part = (quantile - below) / np.maximum(here - below, 1e-12)
            kept.append(float((truth.cdf(at - 1) + part * (truth.cdf(at) - truth.cdf(at - 1))).mean()))
    level_off, of_truth = np.sqrt(np.mean(off)), truth.sd.mean()
    print(
        f"| {demand} | {period.value} | {np.mean(sds):.2f} | {of_truth:.2f} | {level_off:.2f} | "
        f"{np.hypot(of_truth, level_off):.2f} | {np.mean(means):.3f} | {told_with_error(covers[0.95])} | "
        f"{np.mean(covers[0.99]):.4f} | {told_with_error(fills)} | {np.mean(stocks):.3f} | "
        f"{time.process_time() - started:.0f} |",
        flush=True,
    )


def standard_error(figures: Sequence[float] | Floats) -> float:
    """Return that of a mean; NaN for a single figure."""
    return float(np.std(figures, ddof=1) / np.sqrt(len(figures))) if len(figures) > 1 else float("nan")


def told_with_error(figures: Sequence[float]) -> str:
    return f"{np.mean(figures):.4f} ± {standard_error(figures):.4f}"


UNMET: Final = {"lost": (False,), "backordered": (True,), "both": (False, True)}
"""Whether demand waits, as ``--unmet`` says."""


def main(arguments: argparse.Namespace) -> None:
    """Print a row a case."""
    if arguments.spread:
        print(
            "| demand | by the | spread told | true | level off by | both | mean told / true | .95 covers | .99 | "
            "fill, waiting | safety, periods | s |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|---|---|", flush=True)
    else:
        print(
            "| demand | by the | unmet | fill ± standard error | as it came | knowing the demand | stock, periods | "
            "of those | units wanted | s |"
        )
        print("|---|---|---|---|---|---|---|---|---|---|", flush=True)
    for demand in arguments.demand or DEMANDS:
        for period in arguments.period or (Period.WEEK, Period.MONTH):
            if arguments.spread:
                spread(demand, period, arguments)
                continue
            for waits in UNMET[arguments.unmet]:
                attained(demand, period, arguments, waits=waits)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demand", action="append", choices=list(DEMANDS))
    parser.add_argument("--period", action="append", type=Period, choices=list(KNOWN))
    parser.add_argument("--panels", type=int, default=8)
    parser.add_argument("--first", type=int, default=0, help="number of the first panel, so that runs can be added up")
    parser.add_argument("--series", type=int, default=40)
    parser.add_argument("--unmet", choices=list(UNMET), default="lost", help="what becomes of unmet demand")
    parser.add_argument("--spread", action="store_true", help="the forecasts alone")
    main(parser.parse_args())
