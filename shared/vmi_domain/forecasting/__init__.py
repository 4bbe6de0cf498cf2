"""Forecasts: a state of fixed size a series, moved by each closed day, that tells the demand of any horizon."""

from vmi_domain.forecasting.learning import update
from vmi_domain.forecasting.outlook import DemandOver, daily_rate, demand_over, demands_over, usual_demand_over
from vmi_domain.forecasting.state import LAYOUT, WIDTH, States, agree, from_bytes, pooled, start, to_bytes

__all__ = [
    "LAYOUT",
    "WIDTH",
    "DemandOver",
    "States",
    "agree",
    "daily_rate",
    "demand_over",
    "demands_over",
    "from_bytes",
    "pooled",
    "start",
    "to_bytes",
    "update",
    "usual_demand_over",
]
