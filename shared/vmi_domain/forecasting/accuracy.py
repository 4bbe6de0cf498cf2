"""How right forecasts were, by how far ahead they spoke: against what was known when they were made (F40)."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.values import dataclass

Floats = NDArray[np.float64]

WEEK: Final = 7


@dataclass(frozen=True, slots=True)
class LagError:
    """Errors of forecasts that spoke of the same time ahead; f is what was forecast, y what was wanted."""

    lag: int
    """Periods from the forecast to the demand, from 1: 1 is the next one."""
    pairs: int
    """Forecasts of a period whose demand is known."""
    wape: float
    """Σ|f − y| / Σy."""
    bias: float
    """Σ(f − y) / Σy: above zero too much was expected."""
    rmse: float
    """Base units of a period."""
    mase: float
    """Mean |f − y| over that of taking the last period for the next; NaN where demand never changed."""


@dataclass(frozen=True, slots=True)
class Said:
    """Forecasts as they were made: a row each, a column a period ahead; base units."""

    mean: Floats
    wanted: Floats
    """NaN where the demand is not known, or was not observed whole."""
    before: Floats
    """The last period's demand when the forecast was made: the naive forecast's word."""


def by_lag(said: Said) -> list[LagError]:
    """Return the errors of each lag of which any demand is known."""
    found = []
    for column in range(said.mean.shape[1]):
        known = np.isfinite(said.wanted[:, column])
        if not known.any():
            continue
        wanted = said.wanted[known, column]
        off = said.mean[known, column] - wanted
        naive = np.abs(said.before[known] - wanted)
        total = max(float(wanted.sum()), 1e-12)
        found.append(
            LagError(
                lag=column + 1,
                pairs=int(known.sum()),
                wape=float(np.abs(off).sum() / total),
                bias=float(off.sum() / total),
                rmse=float(np.sqrt((off**2).mean())),
                mase=_over(float(np.abs(off).sum()), float(np.nansum(naive))),
            )
        )
    return found


def _over(error: float, naive: float) -> float:
    return error / naive if naive > 0 else float("nan")


def coverage(wanted: ArrayLike, quantile: ArrayLike) -> float:
    """Return how often demand stayed within a quantile, NaN where none is known."""
    demand, level = np.asarray(wanted, np.float64), np.asarray(quantile, np.float64)
    known = np.isfinite(demand)
    return float((demand[known] <= level[known]).mean()) if known.any() else float("nan")


def by_week(daily: Floats) -> Floats:
    """Return sums of each seven columns; a week of which a day is not known is not known."""
    count = daily.shape[1] // WEEK
    return np.asarray(daily[:, : count * WEEK].reshape(len(daily), count, WEEK).sum(axis=2))


@dataclass(frozen=True, slots=True)
class Group:
    """Errors of some series together."""

    name: str
    errors: Sequence[LagError]
    coverage_95: float = float("nan")
    """Of the first period."""


def groups(said: Said, names: Sequence[str], covered: Mapping[str, float] | None = None) -> list[Group]:
    """Return the errors of each group of rows, the largest demand first."""
    label = np.array(names, object)
    total = {name: float(np.nansum(said.wanted[label == name])) for name in dict.fromkeys(names)}
    found = []
    for name in sorted(total, key=lambda one: (-total[one], one)):
        rows = label == name
        some = Said(said.mean[rows], said.wanted[rows], said.before[rows])
        found.append(Group(name, by_lag(some), (covered or {}).get(name, float("nan"))))
    return found
