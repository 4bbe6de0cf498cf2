"""Classes of items and customers: conventions that choose targets and methods, with a memory so that none flaps."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.values import dataclass

Floats = NDArray[np.float64]

INTERVAL_CUT: Final = 1.32
SIZE_CUT: Final = 0.49
"""Below them, not at them, intervals are short and sizes alike (Syntetos, Boylan and Croston)."""
VALUE_CUTS: Final = (0.80, 0.95)
"""Share of the value after which A ends, and B."""
VARIATION_CUTS: Final = (0.5, 1.0)
"""Coefficient of variation up to which demand is X, and Y."""
BAND: Final = 0.05
"""How far, as a share of it, a figure must lie beyond a cut before a class that was held is left (F29)."""
FEWEST_PERIODS: Final = 4
"""A class that was left is not left again before so many refreshes."""


def demand_interval(demand: ArrayLike) -> float:
    """Return ADI, periods / periods with demand; NaN without any. The caller begins where the item's life does.

    >>> demand_interval([0, 0, 5, 0, 0, 0, 3, 0, 6, 0, 0, 4])
    3.0
    """
    figures = np.asarray(demand, np.float64)
    hits = int((figures > 0).sum())
    return float("nan") if not hits else len(figures) / hits


def size_variation(demand: ArrayLike) -> float:
    """Return CV² of the demand sizes that are not zero, population sd; NaN without any.

    >>> round(size_variation([0, 0, 5, 0, 0, 0, 3, 0, 6, 0, 0, 4]), 4)
    0.0617
    """
    figures = np.asarray(demand, np.float64)
    sizes = figures[figures > 0]
    return float("nan") if not sizes.size else float((sizes.std() / sizes.mean()) ** 2)


def pattern(interval: float, variation: float, held: str | None = None) -> str:
    """Return smooth, erratic, intermittent or lumpy (formulas.md 5.7); ``none`` without demand.

    A pattern that is ``held`` is left only where a figure lies clearly beyond its cut.
    """
    if np.isnan(interval) or np.isnan(variation):
        return "none"
    seldom = _above(interval, INTERVAL_CUT, None if held is None else held in ("intermittent", "lumpy"))
    uneven = _above(variation, SIZE_CUT, None if held is None else held in ("erratic", "lumpy"))
    return {(False, False): "smooth", (False, True): "erratic", (True, False): "intermittent", (True, True): "lumpy"}[
        seldom, uneven
    ]


def _above(figure: float, cut: float, was_above: bool | None) -> bool:
    if was_above is None:
        return figure >= cut
    return figure >= cut * (1 - BAND) if was_above else figure >= cut * (1 + BAND)


def by_value(values: ArrayLike, held: Sequence[str | None] = ()) -> list[str]:
    """Return A, B or C of each item: the largest up to 80 % of all value are A, those up to 95 % B.

    The item that crosses a cut is on the better side of it. What has no value is C.
    """
    worth = np.maximum(np.nan_to_num(np.asarray(values, np.float64)), 0.0)
    total = worth.sum()
    if not len(worth) or total <= 0:
        return ["C"] * len(worth)
    order = np.argsort(-worth, kind="stable")
    before = np.empty(len(worth))
    running = worth[order].cumsum() / total
    before[order] = np.concatenate([[0.0], running[:-1]])
    known = held or [None] * len(worth)
    return [
        "C" if value <= 0 else _by_cuts(share, VALUE_CUTS, "ABC", one)
        for value, share, one in zip(worth.tolist(), before.tolist(), known, strict=True)
    ]


def by_variation(variation: float, held: str | None = None) -> str:
    """Return X (CV ≤ 0.5), Y (≤ 1.0) or Z of demand a period, the season taken out first; Z where it is not known."""
    if np.isnan(variation):
        return "Z"
    return _by_cuts(variation, tuple(np.nextafter(cut, np.inf) for cut in VARIATION_CUTS), "XYZ", held)


def _by_cuts(figure: float, cuts: Sequence[float], names: str, held: str | None) -> str:
    """Return the class of a figure; one that is held is kept within a band around its cuts."""
    if held is not None and held in names:
        place = names.index(held)
        lower = 0.0 if place == 0 else cuts[place - 1] * (1 - BAND)
        upper = np.inf if place == len(cuts) else cuts[place] * (1 + BAND)
        if lower <= figure < upper:
            return held
    return names[sum(figure >= cut for cut in cuts)]


def deseasonalised_variation(demand: ArrayLike, season: int) -> float:
    """Return the coefficient of variation of demand a period without its season (additive, of ``season`` periods).

    With fewer than two seasons there is none to take out.
    """
    figures = np.asarray(demand, np.float64)
    if not figures.size or figures.mean() <= 0:
        return float("nan")
    if len(figures) >= 2 * season > 2:
        place = np.arange(len(figures)) % season
        usual = np.bincount(place, figures, season) / np.bincount(place, minlength=season)
        # Each period's mean takes a part of the noise with it: n periods of n − season degrees of freedom.
        left = figures - usual[place]
        return float(np.sqrt((left**2).sum() / (len(figures) - season)) / figures.mean())
    return float(figures.std() / figures.mean())


class Customer:
    """Names of customers' classes."""

    KEY: Final = "key"
    REGULAR: Final = "regular"
    OCCASIONAL: Final = "occasional"


REGULAR_DAYS: Final = 10.0
"""A customer that buys at least every so many days, on average, is no occasional one."""
REGULAR_ENOUGH: Final = 0.5
"""Regularity from which a customer is regular however seldom it buys: 1 is as by the clock, 0 as by chance."""


def customer_class(value_class: str, interval_days: float, regularity: float, held: str | None = None) -> str:
    """Return key, regular or occasional: by value (ABC among customers), frequency and regularity of buying."""
    if np.isnan(interval_days):
        return Customer.OCCASIONAL
    often = not _above(interval_days, REGULAR_DAYS, None if held is None else held == Customer.OCCASIONAL)
    steady = _above(regularity, REGULAR_ENOUGH, None if held is None else held != Customer.OCCASIONAL)
    if value_class == "A" and (often or steady):
        return Customer.KEY
    return Customer.REGULAR if often or steady else Customer.OCCASIONAL


@dataclass(frozen=True, slots=True)
class Held:
    """A class and since how many refreshes it has been held."""

    name: str
    refreshes: int = FEWEST_PERIODS


def settled(fresh: str, held: Held | None) -> Held:
    """Return the class to hold: one that changed lately is kept, so that it changes once in some refreshes at most."""
    if held is None:
        return Held(fresh)
    if fresh == held.name or held.refreshes < FEWEST_PERIODS:
        return Held(held.name, held.refreshes + 1)
    return Held(fresh, 1)


DEFAULT_TARGETS: Final[Mapping[str, float]] = {"A": 0.97, "B": 0.95, "C": 0.90}
"""Cycle service by value class where an agreement asks for one and names none."""
