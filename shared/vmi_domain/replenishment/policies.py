"""How far to fill up and when: safety stock, reorder points and order-up-to levels, closed and from a distribution."""

from collections.abc import Callable
from math import exp, pi, sqrt
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vmi_domain.distributions import Demand, Family, by_the_data

Floats = NDArray[np.float64]

STANDARD_NORMAL: Final = NormalDist()
_FINEST: Final = 1e-6
"""Levels of continuous demand are found to this share of a standard deviation."""
_COST_POINTS: Final = 7
"""Points of the review interval at which the chance of a shortage is taken for a level by cost."""


# Closed forms for normal demand (formulas.md 5.2 and 5.3): daily demand is independent with mean μ and standard
# deviation σ, the lead time has the standard deviation s_L days and is independent of demand.


def interval_sd(
    *, demand_mean: float, demand_sd: float, protection_days: float, lead_time_sd_days: float = 0.0
) -> float:
    """Return the standard deviation of the demand of the protection interval τ, base units.

    ::

        σ_τ = √(τ σ² + μ² s_L²)

    The lead time enters once and with the mean, because what is uncertain is for how long μ is drawn.
    """
    return sqrt(protection_days * demand_sd**2 + (demand_mean * lead_time_sd_days) ** 2)


def safety_stock(
    *,
    demand_mean: float,
    demand_sd: float,
    protection_days: float,
    cycle_service_level: float,
    lead_time_sd_days: float = 0.0,
) -> float:
    """Return z σ_τ, base units: what is held against demand above its mean within the protection interval.

    τ is the lead time L under continuous review, R + L under periodic review. ``demand_sd`` is the
    standard deviation of the forecast's error of one day where there is a forecast.

    >>> round(safety_stock(demand_mean=100, demand_sd=20, protection_days=10, cycle_service_level=0.95,
    ...                    lead_time_sd_days=2), 2)
    345.03
    """
    spread = interval_sd(
        demand_mean=demand_mean,
        demand_sd=demand_sd,
        protection_days=protection_days,
        lead_time_sd_days=lead_time_sd_days,
    )
    return STANDARD_NORMAL.inv_cdf(cycle_service_level) * spread


def reorder_point(
    *,
    demand_mean: float,
    demand_sd: float,
    lead_time_days: float,
    cycle_service_level: float,
    lead_time_sd_days: float = 0.0,
) -> float:
    """Return the reorder point s = μ L + z σ_L of a continuously reviewed policy, base units.

    >>> round(reorder_point(demand_mean=100, demand_sd=20, lead_time_days=10, cycle_service_level=0.95,
    ...                     lead_time_sd_days=2), 2)
    1345.03
    """
    return order_up_to_level(
        demand_mean=demand_mean,
        demand_sd=demand_sd,
        review_period_days=0.0,
        lead_time_days=lead_time_days,
        lead_time_sd_days=lead_time_sd_days,
        cycle_service_level=cycle_service_level,
    )


def order_up_to_level(
    *,
    demand_mean: float,
    demand_sd: float,
    review_period_days: float,
    lead_time_days: float,
    cycle_service_level: float,
    lead_time_sd_days: float = 0.0,
) -> float:
    """Return the order-up-to level S of an (R, S) policy, base units.

    What is ordered today must last until the *next* order can arrive, one review period R plus one
    lead time L from now (the protection interval)::

        S = μ (R + L) + z √((R + L) σ² + μ² s_L²)        z = Φ⁻¹(cycle service level)

    ``cycle_service_level`` is the probability of no stock-out in one cycle; it is not the fill rate.

    >>> round(order_up_to_level(demand_mean=100, demand_sd=20, review_period_days=7, lead_time_days=10,
    ...                         cycle_service_level=0.95, lead_time_sd_days=2), 2)
    2055.84
    """
    protection_days = review_period_days + lead_time_days
    return demand_mean * protection_days + safety_stock(
        demand_mean=demand_mean,
        demand_sd=demand_sd,
        protection_days=protection_days,
        lead_time_sd_days=lead_time_sd_days,
        cycle_service_level=cycle_service_level,
    )


# Service measures of normal demand (formulas.md 5.4).


def normal_loss(z: float) -> float:
    """Return G(z) = φ(z) − z (1 − Φ(z)): the expected shortage in standard deviations, at z of them above the mean."""
    return exp(-0.5 * z * z) / sqrt(2.0 * pi) - z * STANDARD_NORMAL.cdf(-z)


def fill_rate_of_quantity(*, safety_factor: float, order_quantity: float, lead_time_demand_sd: float) -> float:
    """Return the fill rate β of an (s, Q) policy whose unmet demand waits.

    ::

        β = 1 − σ_L (G(z) − G(z + Q/σ_L)) / Q

    >>> round(fill_rate_of_quantity(safety_factor=0, order_quantity=500, lead_time_demand_sd=63.25), 4)
    0.9495
    """
    at_arrival = normal_loss(safety_factor)
    at_order = normal_loss(safety_factor + order_quantity / lead_time_demand_sd)
    return 1.0 - lead_time_demand_sd * (at_arrival - at_order) / order_quantity


def safety_factor_for_fill_rate(*, fill_rate: float, order_quantity: float, lead_time_demand_sd: float) -> float:
    """Return the z of an (s, Q) policy that reaches the fill rate, from −10 to 10; found by halving, β rises with z.

    >>> round(safety_factor_for_fill_rate(fill_rate=0.99, order_quantity=500, lead_time_demand_sd=63.25), 3)
    1.027
    """
    low, high = -10.0, 10.0
    while high - low > _FINEST:
        middle = (low + high) / 2.0
        reached = fill_rate_of_quantity(
            safety_factor=middle, order_quantity=order_quantity, lead_time_demand_sd=lead_time_demand_sd
        )
        low, high = (low, middle) if reached >= fill_rate else (middle, high)
    return high


def fill_rate_of_level(*, level: ArrayLike, until_arrival: Demand, until_next_arrival: Demand) -> Floats:
    """Return the fill rate β of an order-up-to level S whose unmet demand waits, for demand of any distribution.

    What is short when the next order arrives, less what was short already when this one did, is what
    this order's cycle leaves unserved (for normal demand formulas.md 5.4, last line)::

        β = 1 − (E[(D_τ − S)⁺] − E[(D_L − S)⁺]) / (E D_τ − E D_L)
    """
    unserved = until_next_arrival.expected_shortage(level) - until_arrival.expected_shortage(level)
    wanted = until_next_arrival.mean - until_arrival.mean
    return np.where(wanted > 0, 1.0 - unserved / np.where(wanted > 0, wanted, 1.0), 1.0)


# Levels from the forecast's own distribution, many keys at once.


def level_for_cycle_service(demand: Demand, cycle_service_level: ArrayLike) -> Floats:
    """Return the least level that demand of the protection interval stays within, with the agreed probability."""
    return demand.quantile(cycle_service_level)


def level_for_fill_rate(until_arrival: Demand, until_next_arrival: Demand, fill_rate: ArrayLike) -> Floats:
    """Return the least level whose fill rate is at least the agreed one; whole units where demand is counted."""

    def reached(level: Floats) -> Floats:
        return fill_rate_of_level(level=level, until_arrival=until_arrival, until_next_arrival=until_next_arrival)

    return _least_level(reached, until_next_arrival, fill_rate)


def level_for_cost(until_arrival: Demand, until_next_arrival: Demand, critical_ratio: ArrayLike) -> Floats:
    """Return the level of least holding and shortage cost where unmet demand waits (formulas.md 5.3).

    It is the least S at which the chance of no shortage, averaged over the review interval, reaches
    the critical ratio p / (p + h)::

        (1/R) Σ_{j=1..R} F_{L+j}(S) ≥ p / (p + h)

    The sum is taken at seven moments between the two arrivals. F_{L+R} alone would overstock for R > 1.
    """
    shares = (np.arange(_COST_POINTS) + 0.5) / _COST_POINTS
    between = [_between(until_arrival, until_next_arrival, float(share)) for share in shares]

    def covered(level: Floats) -> Floats:
        return np.asarray(np.mean([demand.cdf(level) for demand in between], axis=0))

    return _least_level(covered, until_next_arrival, critical_ratio)


def _between(earlier: Demand, later: Demand, share: float) -> Demand:
    """Return the demand up to a moment between two: means and variances grow evenly from one to the other."""
    return by_the_data(
        earlier.mean + share * (later.mean - earlier.mean),
        earlier.variance + share * (later.variance - earlier.variance),
        counts=later.family != Family.NORMAL,
    )


def _least_level(measure: Callable[[Floats], Floats], demand: Demand, target: ArrayLike) -> Floats:
    """Return the least level at which ``measure`` (rising with the level) reaches its target.

    Whole units for the counting families; for normal demand to a millionth of a standard deviation.
    """
    goal = np.broadcast_to(np.asarray(target, np.float64), demand.mean.shape)
    step = np.where(demand.family == Family.NORMAL, np.maximum(_FINEST * demand.sd, 1e-9), 1.0)

    # Levels are counted in steps. Invariant once the first loop ends: low misses the target (−1 covers nothing), high
    # reaches it.
    low = np.full(demand.mean.shape, -1.0)
    high = np.ceil(demand.mean / step)
    missed = measure(high * step) < goal
    while missed.any():
        low = np.where(missed, high, low)
        high = np.where(missed, 2.0 * high + 1.0, high)
        missed = measure(high * step) < goal
    while (high - low > 1.0).any():
        middle = np.where(high - low > 1.0, np.floor((low + high) / 2.0), high)
        reaches = measure(middle * step) >= goal
        low = np.where(reaches, low, middle)
        high = np.where(reaches, middle, high)
    return np.where(demand.mean > 0, high * step, 0.0)
