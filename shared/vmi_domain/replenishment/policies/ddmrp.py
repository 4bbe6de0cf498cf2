"""DDMRP buffers: zones, net flow and its trigger, and what the stock on hand alerts to (formulas.md 5.6)."""

from collections.abc import Sequence
from decimal import Decimal
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.values import dataclass

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Buffers:
    """The zones of many buffers, base units."""

    red: Floats
    yellow: Floats
    green: Floats

    @property
    def top_of_red(self) -> Floats:
        return self.red

    @property
    def top_of_yellow(self) -> Floats:
        """An order is triggered at or below it (S3)."""
        return self.red + self.yellow

    @property
    def top_of_green(self) -> Floats:
        """What is ordered up to."""
        return self.red + self.yellow + self.green


def buffers(
    *,
    average_daily_usage: ArrayLike,
    lead_time_days: ArrayLike,
    lead_time_factor: ArrayLike,
    variability_factor: ArrayLike,
    minimum_order: ArrayLike = 0.0,
    order_cycle_days: ArrayLike = 0.0,
) -> Buffers:
    """Return the buffers of an average daily usage ADU and a decoupled lead time DLT.

    ::

        yellow = ADU · DLT
        red    = ADU · DLT · LTF · (1 + VF)
        green  = max(MOQ, ADU · order cycle, ADU · DLT · LTF)

    >>> pillow = buffers(average_daily_usage=23, lead_time_days=5, lead_time_factor=0.5, variability_factor=0.8,
    ...                  minimum_order=10)
    >>> float(pillow.top_of_red), float(pillow.top_of_yellow), float(pillow.top_of_green)
    (103.5, 218.5, 276.0)
    """
    usage = np.asarray(average_daily_usage, np.float64)
    yellow = usage * np.asarray(lead_time_days, np.float64)
    red_base = yellow * np.asarray(lead_time_factor, np.float64)
    red = red_base * (1.0 + np.asarray(variability_factor, np.float64))
    cycle = usage * np.asarray(order_cycle_days, np.float64)
    green = np.maximum(np.maximum(np.asarray(minimum_order, np.float64), cycle), red_base)
    return Buffers(red, yellow, green)


def qualified_demand(
    due: Decimal, upcoming: Sequence[Decimal], *, spike_threshold: Decimal, spike_horizon_days: int
) -> Decimal:
    """Return the demand that counts against the net flow: what is due, and spikes within their horizon.

    ``due`` is what is due today and past due, ``upcoming`` the known orders of each day from tomorrow on.
    A day counts with all its orders where they reach the threshold. How the threshold is set differs (half
    of the red zone in OCA's code today, half of the top of green in its roadmap of 2018).
    """
    spikes = (day for day in upcoming[:spike_horizon_days] if day >= spike_threshold)
    return due + sum(spikes, Decimal(0))


class Alert(StrEnum):
    """What the stock on hand says in execution."""

    RED = "red"
    YELLOW = "yellow"
    GREEN = "green"


def on_hand_alert(on_hand: float, top_of_red: float) -> Alert:
    """Return the alert: red below half of the top of red, yellow below it."""
    if on_hand < 0.5 * top_of_red:
        return Alert.RED
    return Alert.YELLOW if on_hand < top_of_red else Alert.GREEN
