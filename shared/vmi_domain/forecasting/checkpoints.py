"""Which past states are kept, so that a late fact redoes its series from near its day and not from the beginning."""

from datetime import date
from typing import Final

import numpy as np

from vmi_domain.forecasting.learning import update
from vmi_domain.forecasting.state import States

EVERY_DAYS: Final = ((14, 28), (28, 112), (112, 448))
"""Pairs: one state every so many days, for so many days back. About nine a series, however long it lives."""


def kept_days(through: date) -> list[date]:
    """Return the days whose states are kept once ``through`` is closed, oldest first, ``through`` among them or not.

    They are the same days for all series, so that many series are redone together.
    """
    last = through.toordinal()
    days = {
        day for every, back in EVERY_DAYS for day in range(last - last % every, max(last - back, 0), -every) if day > 0
    }
    return [date.fromordinal(day) for day in sorted(days)]


def update_with_checkpoints(
    states: States, demands: np.ndarray, first_day: date
) -> tuple[States, list[tuple[date, States]]]:
    """Return the states after the days from ``first_day`` on, and those in between that are to be kept."""
    first = first_day.toordinal()
    last = first + demands.shape[1] - 1
    checkpoints = []
    begin = first
    for day in kept_days(date.fromordinal(last)) if last >= first else []:
        end = day.toordinal() + 1
        if end > begin:
            states = update(states, demands[:, begin - first : end - first], date.fromordinal(begin))
            checkpoints.append((day, states))
            begin = end
    return update(states, demands[:, begin - first :], date.fromordinal(begin)), checkpoints
