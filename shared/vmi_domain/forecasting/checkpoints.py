"""Which past states are kept, so that a late fact redoes its series from near its day and not from the beginning."""

from datetime import date
from typing import Final

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
