"""Closed forms for normal demand: safety stock, reorder points, levels and service measures, as textbooks have them."""

from math import exp, pi, sqrt
from statistics import NormalDist
from typing import Final

STANDARD_NORMAL: Final = NormalDist()
_FINEST: Final = 1e-6
"""Safety factors are found to this."""


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
