"""Forecasts: a state of fixed size a series, moved by each closed day, that tells the demand of any horizon."""

from vmi_domain.forecasting.checkpoints import kept_days
from vmi_domain.forecasting.folding import NO_DEMAND, Folded, History, fold
from vmi_domain.forecasting.learning import likely, update
from vmi_domain.forecasting.materiality import Protection, levels, matter
from vmi_domain.forecasting.outlook import (
    DemandOver,
    daily_means,
    daily_rate,
    demand_over,
    demands_over,
    usual_demand_over,
)
from vmi_domain.forecasting.state import (
    LAYOUT,
    WIDTH,
    States,
    agree,
    from_bytes,
    laid_over,
    pooled,
    start,
    to_bytes,
    with_what_lies_over,
)

__all__ = [
    "LAYOUT",
    "NO_DEMAND",
    "WIDTH",
    "DemandOver",
    "Folded",
    "History",
    "Protection",
    "States",
    "agree",
    "daily_means",
    "daily_rate",
    "demand_over",
    "demands_over",
    "fold",
    "from_bytes",
    "kept_days",
    "laid_over",
    "levels",
    "likely",
    "matter",
    "pooled",
    "start",
    "to_bytes",
    "update",
    "usual_demand_over",
    "with_what_lies_over",
]
