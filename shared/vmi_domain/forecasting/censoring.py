"""Demand where it could not be seen whole: what was sold is the least that was wanted (S15)."""

from typing import Final, NamedTuple

import numpy as np

from vmi_domain.distributions import by_the_data
from vmi_domain.forecasting.effects import baseline
from vmi_domain.forecasting.panel import Flags, Floats

ROUNDS: Final = 6


class Uncensored(NamedTuple):
    """Demand where it could not be seen whole."""

    expected: Floats
    """Demand as expected, given what was sold."""
    drawn: Floats
    """One draw of it: its sums spread as those of demand do, which sums of expectations do not."""
    observed: Flags
    """Periods in which anything could be observed."""


def uncensored(demand: Floats, in_stock: Floats, factors: Floats, lived: Flags) -> Uncensored:
    """Return demand given what was sold.

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
    wanted, expected, spread = demand.copy(), demand, demand
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
    drawn = demand.copy()
    unseen = nothing | sold_out | part
    chance_of = np.random.default_rng(2).random(demand.shape)[unseen]
    missing = np.where(part, 1 - share, 1.0)[unseen]
    least = np.where(sold_out, demand, 0.0)[unseen]
    drawn[unseen] = _draw(expected[unseen] * missing, spread[unseen] * missing, least, chance_of)
    drawn[part] += demand[part]
    return Uncensored(wanted, drawn, ~nothing)


def _draw(mean: Floats, variance: Floats, least: Floats, chance: Floats) -> Floats:
    """Return draws of demand that is ``least`` or more."""
    period = by_the_data(mean, variance)
    below = period.cdf(np.ceil(least) - 1.0)
    drawn = period.quantile(np.clip(below + chance * (1 - below), 1e-9, 1 - 1e-9))
    return np.asarray(np.clip(drawn, least, least + 3 * (mean + period.sd)))


def _at_least(mean: Floats, variance: Floats, sold: Floats) -> Floats:
    """Return E[D | D ≥ sold] = s + E[(D − s)⁺] / P(D ≥ s); at most one mean and one standard deviation are added."""
    period = by_the_data(mean, variance)
    more = period.expected_shortage(sold) / np.maximum(1.0 - period.cdf(np.ceil(sold) - 1.0), 1e-12)
    return np.asarray(sold + np.minimum(more, mean + period.sd))


def _the_rest(mean: Floats, variance: Floats, sold: Floats, share: Floats) -> Floats:
    shape = mean**2 / np.maximum(variance - mean, 1e-9)
    rate = (shape + sold) / (shape / np.maximum(mean, 1e-9) + share)
    return np.asarray(sold + (1 - share) * rate)
