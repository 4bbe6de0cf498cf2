"""A history as people told it: adjusted, with days set aside, and with what a predecessor sold."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from vmi_domain.forecasting.folding import History
from vmi_domain.forecasting.plans import PlanKind, PlanLine

Days = NDArray[np.int64]


def as_told(
    history: History, lines: Sequence[PlanLine], first: date, until: date, *, predecessor: History | None = None
) -> History:
    """Return the history a forecast is to learn from; stock and sales stay what they are (F37).

    An adjustment *adds*, evenly over its days, and demand does not fall below nothing. Days of promotions and days that
    are excluded are set aside. A successor inherits what its predecessor sold before its own first day, times the
    ratio (S21).
    """
    demand = dict(zip(history.days.tolist(), history.demand.tolist(), strict=True))
    sold_out = dict(zip(history.sold_out.tolist(), _shares(history), strict=True))
    empty = set(history.empty.tolist())
    adjusted, set_aside = set[int](), set[int]()
    for line in lines:
        days = range(max(line.first_day, first).toordinal(), min(line.last_day, until).toordinal() + 1)
        match line.kind:
            case PlanKind.SUCCESSION if predecessor is not None:
                _inherit(demand, sold_out, empty, predecessor, line)
            case PlanKind.ADJUSTMENT:
                for day in days:
                    demand[day] = max(demand.get(day, 0.0) + (line.quantity or 0.0) / line.days, 0.0)
                    adjusted.add(day)
            case PlanKind.PROMOTION | PlanKind.EXCLUSION:
                set_aside.update(days)
    kept = {day: quantity for day, quantity in demand.items() if quantity > 0 and day not in set_aside}
    short = {day: share for day, share in sold_out.items() if day not in set_aside}
    return replace(
        history,
        days=_days(kept),
        demand=np.array([kept[day] for day in sorted(kept)], np.float64),
        sold_out=_days(short),
        shares=np.array([short[day] for day in sorted(short)], np.float64),
        empty=_days(empty - set_aside),
        set_aside=_days(set_aside),
        adjusted=_days(adjusted - set_aside),
    )


def _shares(history: History) -> list[float]:
    shares = np.full(len(history.sold_out), np.nan) if history.shares is None else history.shares
    return list(shares.tolist())


def _inherit(
    demand: dict[int, float], sold_out: dict[int, float], empty: set[int], predecessor: History, line: PlanLine
) -> None:
    """Add a predecessor's days before the succession, in place; its shelf is the one that was short then."""
    own_first = line.first_day.toordinal()
    for day, quantity in zip(predecessor.days.tolist(), predecessor.demand.tolist(), strict=True):
        if day < own_first:
            demand[day] = demand.get(day, 0.0) + quantity * (line.factor or 1.0)
    empty.difference_update([day for day in empty if day < own_first])
    for day in [day for day in sold_out if day < own_first]:
        del sold_out[day]
    theirs = zip(predecessor.sold_out.tolist(), _shares(predecessor), strict=True)
    sold_out |= {day: share for day, share in theirs if day < own_first}
    empty.update(day for day in predecessor.empty.tolist() if day < own_first)


def _days(days: "set[int] | dict[int, float]") -> Days:
    return np.array(sorted(days), np.int64)
