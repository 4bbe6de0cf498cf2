"""Demand where it could not be seen whole: what was sold is the least that was wanted (S15)."""

from typing import Final

import numpy as np

from vmi_domain.distributions import by_the_data
from vmi_domain.forecasting.effects import baseline
from vmi_domain.forecasting.panel import Flags, Floats

ROUNDS: Final = 3


def uncensored(demand: Floats, in_stock: Floats, factors: Floats, lived: Flags) -> tuple[Floats, Flags]:
    """Return demand as expected given what was sold, and the periods in which anything could be observed.

    A period that sold out, nobody knows when: E[D | D ≥ sold]. One that was in stock for a share p of its
    time: what was sold and (1 − p) of the rate that the sales suggest; with demand gamma-Poisson of
    shape a and rate b a period, that is (a + sold) / (b + p). A period with nothing to sell throughout says
    nothing; it stands as what was expected of it.
    """
    share = np.where((in_stock == 0) & (demand > 0), np.nan, in_stock)
    nothing = share == 0
    sold_out = np.isnan(share)
    part = ~nothing & ~sold_out & (share < 1)
    observed = lived & ~nothing
    wanted = demand.copy()
    for _ in range(ROUNDS):
        expected = baseline(wanted, factors, observed) * factors
        whole = observed & ~sold_out & ~part
        squared = np.where(whole, (demand - expected) ** 2, 0.0).sum(axis=1)
        number = whole.sum(axis=1)
        chance = np.where(observed, expected, 0.0).sum(axis=1) / np.maximum(observed.sum(axis=1), 1)
        dispersion = np.where(number > 0, squared / np.maximum(number, 1), 0.0) / np.maximum(chance, 1e-9)
        spread = np.maximum(dispersion, 1.2)[:, None] * expected
        wanted = np.where(nothing, expected, demand)
        wanted[sold_out] = _at_least(expected[sold_out], spread[sold_out], demand[sold_out])
        wanted[part] = _the_rest(expected[part], spread[part], demand[part], share[part])
    return wanted, ~nothing


def _at_least(mean: Floats, variance: Floats, sold: Floats) -> Floats:
    """Return E[D | D ≥ sold] = s + E[(D − s)⁺] / P(D ≥ s); at most one mean and one standard deviation are added."""
    period = by_the_data(mean, variance)
    more = period.expected_shortage(sold) / np.maximum(1.0 - period.cdf(np.ceil(sold) - 1.0), 1e-12)
    return np.asarray(sold + np.minimum(more, mean + period.sd))


def _the_rest(mean: Floats, variance: Floats, sold: Floats, share: Floats) -> Floats:
    shape = mean**2 / np.maximum(variance - mean, 1e-9)
    rate = (shape + sold) / (shape / np.maximum(mean, 1e-9) + share)
    return np.asarray(sold + (1 - share) * rate)
