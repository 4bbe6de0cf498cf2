"""Periods of a file counted from the as-of day: 0 is the one that starts there, −1 the last that has ended."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vmi_domain.forecasting.panel import Period
from vmi_files.tables import FileRefused, Table

WEEKDAYS: Final = ("Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays")


@dataclass(frozen=True, slots=True)
class Periods:
    """The periods of one run."""

    period: Period
    as_of: date

    def start(self, number: int) -> date:
        """Return the first day of a period."""
        if self.period is Period.MONTH:
            months = self.as_of.year * 12 + self.as_of.month - 1 + number
            return date(months // 12, months % 12 + 1, 1)
        return self.as_of + timedelta(days=number * (7 if self.period is Period.WEEK else 1))

    def number(self, days: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the period that holds each day (``date.toordinal()``)."""
        if self.period is Period.MONTH:
            months = np.array([_month(day) for day in days.tolist()], np.int64)
            return months - _month(self.as_of.toordinal())
        return np.asarray((days - self.as_of.toordinal()) // (7 if self.period is Period.WEEK else 1))

    def until(self, days: float) -> float:
        """Return how many periods, whole or not, ``days`` days from the as-of day are; of a month the part pro rata."""
        if self.period is not Period.MONTH:
            return days / (7.0 if self.period is Period.WEEK else 1.0)
        whole = 0
        day = self.as_of.toordinal() + days
        while self.start(whole + 1).toordinal() <= day:
            whole += 1
        begins, ends = self.start(whole).toordinal(), self.start(whole + 1).toordinal()
        return whole + (day - begins) / (ends - begins)

    def check(self, table: Table, days: NDArray[np.int64]) -> None:
        """Refuse dates that are no period's first day, and an as-of that is none.

        Weeks begin on any weekday, the same for all: that of the earliest date.
        """
        if self.period is Period.MONTH:
            self._check_months(table, days)
        elif self.period is Period.WEEK and days.size:
            first = int(days.min())
            begins = WEEKDAYS[date.fromordinal(first).weekday()]
            odd = np.flatnonzero((days - first) % 7 != 0)
            if odd.size:
                day = date.fromordinal(int(days[odd[0]]))
                place = table.place(int(odd[0]), "date")
                raise FileRefused(f"{place}: {day} begins no week, the weeks of this file begin on {begins}")
            if (self.as_of.toordinal() - first) % 7:
                raise FileRefused(f"--as-of {self.as_of}: the weeks of {table.name} begin on {begins}")

    def _check_months(self, table: Table, days: NDArray[np.int64]) -> None:
        if self.as_of.day != 1:
            raise FileRefused(f"--as-of {self.as_of}: with monthly data it is the first day of a month")
        for row, day in enumerate(days.tolist()):
            if date.fromordinal(day).day != 1:
                place = table.place(row, "date")
                raise FileRefused(f"{place}: {date.fromordinal(day)} is not the first day of a month")


def _month(day: int) -> int:
    found = date.fromordinal(day)
    return found.year * 12 + found.month
