"""The models that agreements name for series by the day, chosen among as the live worker's weekly pass would."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import numpy as np

from vmi_contracts.inbound import AgreementMade
from vmi_domain.forecasting import selection
from vmi_domain.forecasting.ahead import silent
from vmi_domain.forecasting.panel import Flags, Panel, Period
from vmi_domain.forecasting.pool import Known
from vmi_domain.forecasting.rehearsal import Over
from vmi_domain.forecasting.selection import AT_ONCE, LIVE, LOOKED_BACK_DAYS, horizon_of
from vmi_domain.understanding.profiles import LOOKED_BACK_DAYS as PROFILED_DAYS
from vmi_domain.understanding.profiles import profile
from vmi_forecast.terms import models, protection

NOT_BY_DAY: Final = "where days are forecast with a plan, or weeks or months"
"""Where models that are agreed do not count."""


def is_by_day(panel: Panel) -> bool:
    """Return whether the live worker's own state tells the demand: of days, and without a plan from a file."""
    planned = panel.event is not None or panel.price is not None or panel.closed is not None
    return panel.period is Period.DAY and not planned


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen of each series' agreed models; the live state as it is where none are agreed."""

    over: Over
    is_agreed: Flags
    """Whether its agreement names models."""
    model: list[str]
    why: list[str]


def names_models(agreements: Sequence[AgreementMade | None]) -> bool:
    return any(one is not None and (one.forecast_models or one.forecast_models_by_class) for one in agreements)


def chosen(
    panel: Panel,
    agreements: Sequence[AgreementMade | None],
    value_classes: Sequence[str | None],
    told: Callable[[float], None] = silent,
) -> Chosen | None:
    """Return what is chosen of each series and lies over its live state, None where no agreement names a model.

    Series are judged together that are at one location and are covered alike, as they are live. Of series whose
    agreement names no model the live state stands, as it does everywhere in a file.
    """
    if not names_models(agreements):
        return None
    patterns = _patterns(panel)
    pools = [
        () if one is None else models((one,), patterns[row], value_classes[row] or "")
        for row, one in enumerate(agreements)
    ]
    count = len(pools)
    is_agreed = np.array([bool(pool) for pool in pools], np.bool_)
    found = Chosen(Over(np.ones(count), np.ones(count)), is_agreed, [LIVE] * count, [""] * count)
    alike: dict[tuple[int, int, float], list[int]] = {}
    for row, one in enumerate(agreements):
        if one is not None and panel.begins[row] < panel.periods:
            covered = protection((one,))
            alike.setdefault((int(panel.location[row]), horizon_of(covered.days), covered.service), []).append(row)
    done = 0
    for (_, horizon, quantile), rows in alike.items():
        for start in range(0, len(rows), AT_ONCE):
            some = rows[start : start + AT_ONCE]
            told(done / len(pools))
            if any(pools[row] for row in some):
                _choose(panel, some, horizon, quantile, patterns, pools, found)
            done += len(some)
    return found


def _choose(
    panel: Panel,
    rows: Sequence[int],
    horizon: int,
    quantile: float,
    patterns: Mapping[int, str],
    pools: Sequence[tuple[str, ...]],
    chosen: Chosen,
) -> None:
    since = max(panel.periods - LOOKED_BACK_DAYS, 0)
    first = (panel.first_period + timedelta(days=since)).toordinal()
    known = Known(panel.demand[rows, since:], np.maximum(panel.begins[rows] - since, 0), first)
    found = selection.backtest(known, selection.whole_pool(horizon), horizon, quantile)
    labels = np.array([patterns[row] for row in rows], object)
    choices = selection.choose(found, [LIVE] * len(rows), labels, [pools[row] for row in rows])
    for row, choice in zip(rows, choices, strict=True):
        if pools[row]:
            chosen.over.mean[row], chosen.over.deviation[row] = choice.mean_share, choice.spread_share
            chosen.model[row], chosen.why[row] = choice.model, choice.why


def _patterns(panel: Panel) -> dict[int, str]:
    since = max(panel.periods - PROFILED_DAYS, 0)
    first = panel.first_period + timedelta(days=since)
    return {row: profile(demand, first).pattern for row, demand in enumerate(panel.demand[:, since:])}
