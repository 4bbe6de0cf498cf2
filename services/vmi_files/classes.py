"""The classes of a file's series, as the live worker would have them: service targets are agreed by them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from vmi_domain.forecasting.ahead import DAYS_OF
from vmi_domain.forecasting.panel import Floats, Period
from vmi_domain.understanding import classes
from vmi_files.agreements import Agreed
from vmi_files.sales import Series

VALUED_DAYS: Final = 366
"""Of the last year, both ends counted."""


def value_classes(
    series: Sequence[Series], demand: Floats, period: Period, agreed: Sequence[Agreed | None]
) -> list[str | None]:
    """Return A, B or C of each series among its customer's, by what its history says.

    Its worth is the demand of the last year by the agreed price, in base units without one. What has had no demand yet
    has no class.
    """
    price = np.array([1.0 if one is None else float(one.agreement.unit_price or 1) for one in agreed])
    value = demand[:, -round(VALUED_DAYS / DAYS_OF[period]) :].sum(axis=1) * price
    known = np.any(demand > 0, axis=1)
    customers = np.array([one.customer_id for one in series], object)
    found: list[str | None] = [None] * len(customers)
    for customer in dict.fromkeys(customers.tolist()):
        rows = np.flatnonzero(customers == customer)
        for row, name in zip(rows.tolist(), classes.by_value(value[rows]), strict=True):
            found[row] = name if known[row] else None
    return found


def by_class(agreed: Sequence[Agreed | None], names: Sequence[str | None]) -> list[Agreed | None]:
    """Return what is agreed, with the service targets that the classes choose where that is agreed."""
    return [
        None if one is None else replace(one, terms=one.terms.of_class(name))
        for one, name in zip(agreed, names, strict=True)
    ]
