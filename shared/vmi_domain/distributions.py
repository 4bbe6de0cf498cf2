"""Distributions of demand over a mean and a variance, many at once: Poisson, negative binomial, normal."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from vmi_domain.values import dataclass

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

LARGE_MEAN: Final = 1000.0
"""Counts from here on, if they are regular, are as good as continuous."""
REGULAR: Final = 0.08
"""Coefficient of variation up to which the normal's 0.99 quantile is within 1 % of the negative binomial's."""
NEGLIGIBLE: Final = 1e-9
"""A mean below this is no demand."""
_SMALLEST: Final = 1e-12
_BARELY_SPREAD: Final = 1e-6
"""Excess of variance over mean, relative to the mean, below which the negative binomial is its Poisson limit."""


class Family(IntEnum):
    """The form of a distribution; its values are its mean and its variance."""

    POISSON = 0
    NEGATIVE_BINOMIAL = 1
    NORMAL = 2


_NORMAL: Final = int(Family.NORMAL)


@dataclass(frozen=True, slots=True)
class Demand:
    """Distributions of the demand of some time, base units: arrays of one shape, one distribution an element."""

    mean: Floats
    variance: Floats
    family: NDArray[np.int8]

    @property
    def sd(self) -> Floats:
        """Standard deviation, base units."""
        return np.sqrt(self.variance)

    def cdf(self, level: ArrayLike) -> Floats:
        """Return P(demand ≤ ``level``); nothing lies below zero."""
        x = self._like(level)
        above = self._by_family((_poisson_cdf, _negative_binomial_cdf, _normal_cdf), x, of_no_demand=1.0)
        return np.where(x < 0, 0.0, above)

    def quantile(self, probability: ArrayLike) -> Floats:
        """Return the least level, never below zero, that covers demand with at least ``probability`` (0 to 1, open).

        A whole number for the counting families.
        """
        p = self._like(probability)
        if np.any((p <= 0) | (p >= 1)):
            raise ValueError("a probability lies between 0 and 1, both excluded")
        return self._by_family((_poisson_quantile, _negative_binomial_quantile, _normal_quantile), p)

    def expected_shortage(self, level: ArrayLike) -> Floats:
        """Return E[(demand − ``level``)⁺], base units: what a stock of ``level`` would leave unserved."""
        x = self._like(level)
        above = self._by_family((_poisson_loss, _negative_binomial_loss, _normal_loss), np.maximum(x, 0.0))
        return np.where(x < 0, self.mean - x, above)

    def expected_stock(self, level: ArrayLike) -> Floats:
        """Return E[(``level`` − demand)⁺], base units: what would be left of a stock of ``level``."""
        return np.maximum(np.asarray(level, np.float64) - self.mean + self.expected_shortage(level), 0.0)

    def widened(self, variance: ArrayLike) -> "Demand":
        """Return the same means with ``variance`` added, base units squared.

        An uncertain lead time adds μ² s_L², μ the mean of one day's demand, s_L in days (formulas.md 5.2).
        """
        wider = self.variance + np.asarray(variance, np.float64)
        over = np.asarray(wider > self.mean * (1 + _BARELY_SPREAD))
        family = np.where((self.family == Family.POISSON) & over, Family.NEGATIVE_BINOMIAL, self.family)
        return replace(self, variance=wider, family=family.astype(np.int8))

    def at(self, index: int | slice | NDArray[np.intp] | Bools) -> "Demand":
        """Return some of the distributions."""
        return Demand(np.asarray(self.mean[index]), np.asarray(self.variance[index]), np.asarray(self.family[index]))

    def _like(self, values: ArrayLike) -> Floats:
        return np.broadcast_to(np.asarray(values, np.float64), self.mean.shape)

    def _by_family(self, formulas: Sequence["Formula"], argument: Floats, *, of_no_demand: float = 0.0) -> Floats:
        result = np.full(self.mean.shape, of_no_demand)
        for family, formula in zip(Family, formulas, strict=True):
            here = np.asarray((self.family == family) & (self.mean > 0))
            if here.any():
                result[here] = formula(self.mean[here], self.variance[here], argument[here])
        return result


Formula = Callable[[Floats, Floats, Floats], Floats]
"""Mean, variance and argument, all of one shape, to the value."""


def by_the_data(mean: ArrayLike, variance: ArrayLike, *, counts: ArrayLike = True) -> Demand:
    """Return the distributions that suit demand of this ``mean`` and ``variance``.

    ``counts`` says where demand comes in whole base units. Counts are negative binomial; where the
    variance does not exceed the mean they are Poisson, its limit (their spread is never taken to be
    narrower: that would promise more than a short history can show); where they are large and
    regular they are normal, as is all that is measured rather than counted.
    """
    mean, variance, counts = (
        np.maximum(np.asarray(mean, np.float64), 0.0),
        np.asarray(variance, np.float64),
        np.asarray(counts, np.bool_),
    )
    if not mean.shape == variance.shape == counts.shape:
        mean, variance, counts = np.broadcast_arrays(mean, variance, counts)
    mean = np.where(mean < NEGLIGIBLE, 0.0, mean)
    is_spread = variance > mean * (1 + _BARELY_SPREAD)
    is_normal = ~counts | ((mean >= LARGE_MEAN) & (variance <= (REGULAR * mean) ** 2))
    family = np.where(is_normal, _NORMAL, is_spread).astype(np.int8)
    spread = np.where(is_normal | is_spread, np.maximum(variance, 0.0), mean)
    return Demand(mean, spread, family)


def poisson(mean: ArrayLike) -> Demand:
    """Return Poisson demand."""
    mean = np.asarray(mean, np.float64)
    return Demand(mean, mean, np.full(mean.shape, Family.POISSON, np.int8))


def negative_binomial(mean: ArrayLike, variance: ArrayLike) -> Demand:
    """Return negative binomial demand: whole units, with a variance above the mean."""
    mean, variance = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(variance, np.float64))
    if np.any(variance <= mean):
        raise ValueError("a negative binomial has a variance above its mean; at or below it use poisson")
    return Demand(mean, variance, np.full(mean.shape, Family.NEGATIVE_BINOMIAL, np.int8))


def normal(mean: ArrayLike, variance: ArrayLike) -> Demand:
    """Return normal demand."""
    mean, variance = np.broadcast_arrays(np.asarray(mean, np.float64), np.asarray(variance, np.float64))
    return Demand(mean, variance, np.full(mean.shape, Family.NORMAL, np.int8))


# Poisson: the mean is all there is to it. P(D ≤ k) is the regularised incomplete gamma function Q(k + 1, μ).


def _poisson_cdf(mean: Floats, _: Floats, level: Floats) -> Floats:
    return np.asarray(special.gammaincc(np.floor(level) + 1.0, mean))


def _poisson_quantile(mean: Floats, variance: Floats, probability: Floats) -> Floats:
    return _least_count(_poisson_cdf, mean, mean, probability)


def _poisson_loss(mean: Floats, variance: Floats, level: Floats) -> Floats:
    """E[(D − s)⁺] = μ P(D ≥ s) − s P(D > s) at a whole s, straight lines between (from k p(k) = μ p(k − 1))."""
    whole = np.floor(level)
    above = special.gammainc(whole + 1.0, mean)
    at_or_above = np.where(whole > 0, special.gammainc(np.maximum(whole, 1.0), mean), 1.0)
    return np.asarray(mean * at_or_above - whole * above - (level - whole) * above)


# Negative binomial with size n = μ² / (σ² − μ) and success probability q = μ / σ²: P(D ≤ k) = I_q(n, k + 1).


def _size_and_success(mean: Floats, variance: Floats) -> tuple[Floats, Floats]:
    return mean * mean / np.maximum(variance - mean, _SMALLEST), mean / variance


def _negative_binomial_cdf(mean: Floats, variance: Floats, level: Floats) -> Floats:
    size, success = _size_and_success(mean, variance)
    return np.asarray(special.betainc(size, np.floor(level) + 1.0, success))


def _negative_binomial_quantile(mean: Floats, variance: Floats, probability: Floats) -> Floats:
    return _least_count(_negative_binomial_cdf, mean, variance, probability)


def _negative_binomial_loss(mean: Floats, variance: Floats, level: Floats) -> Floats:
    """E[(D − s)⁺] = μ P(D' ≥ s) − s P(D > s) at a whole s; D' has size n + 1 (k p(k; n) = μ p(k − 1; n + 1))."""
    size, success = _size_and_success(mean, variance)
    whole = np.floor(level)
    above = special.betaincc(size, whole + 1.0, success)
    next_at_or_above = np.where(whole > 0, special.betaincc(size + 1.0, np.maximum(whole, 1.0), success), 1.0)
    return np.asarray(mean * next_at_or_above - whole * above - (level - whole) * above)


def _least_count(cdf: Formula, mean: Floats, variance: Floats, probability: Floats) -> Floats:
    """Return the least whole k with cdf(k) ≥ ``probability``, found from a skewed guess by doubling and halving."""
    sd = np.sqrt(variance)
    z = special.ndtri(probability)
    skewness = (2.0 * variance / mean - 1.0) / sd
    guess: Floats = np.maximum(np.floor(mean + sd * (z + (z * z - 1.0) * skewness / 6.0)), 0.0)

    # Invariant once both loops end: cdf(low) < probability ≤ cdf(high); −1 covers nothing.
    low, high = guess - 1.0, guess
    step = np.maximum(np.ceil(0.02 * sd), 1.0)
    open_ = np.flatnonzero(cdf(mean, variance, high) < probability)
    while open_.size:
        low[open_] = high[open_]
        high[open_] += step[open_]
        step[open_] *= 2.0
        open_ = open_[cdf(mean[open_], variance[open_], high[open_]) < probability[open_]]
    step = np.maximum(np.ceil(0.02 * sd), 1.0)
    open_ = np.flatnonzero((low >= 0) & (high == guess))
    open_ = open_[cdf(mean[open_], variance[open_], low[open_]) >= probability[open_]]
    while open_.size:
        high[open_] = low[open_]
        low[open_] = np.maximum(low[open_] - step[open_], -1.0)
        step[open_] *= 2.0
        open_ = open_[low[open_] >= 0]
        open_ = open_[cdf(mean[open_], variance[open_], low[open_]) >= probability[open_]]
    open_ = np.flatnonzero(high - low > 1)
    while open_.size:
        middle = np.floor((low[open_] + high[open_]) / 2.0)
        covered = cdf(mean[open_], variance[open_], middle) >= probability[open_]
        high[open_] = np.where(covered, middle, high[open_])
        low[open_] = np.where(covered, low[open_], middle)
        open_ = open_[high[open_] - low[open_] > 1]
    return high


# Normal. Demand is never negative, so neither is a quantile; the loss is the textbook's σ G(z).


def _z(mean: Floats, variance: Floats, level: Floats) -> Floats:
    return (level - mean) / np.sqrt(np.maximum(variance, _SMALLEST))


def _normal_cdf(mean: Floats, variance: Floats, level: Floats) -> Floats:
    return np.asarray(special.ndtr(_z(mean, variance, level)))


def _normal_quantile(mean: Floats, variance: Floats, probability: Floats) -> Floats:
    return np.asarray(np.maximum(mean + special.ndtri(probability) * np.sqrt(variance), 0.0))


def _normal_loss(mean: Floats, variance: Floats, level: Floats) -> Floats:
    return np.asarray(np.sqrt(variance)) * standard_normal_loss(_z(mean, variance, level))


def standard_normal_loss(z: ArrayLike) -> Floats:
    """Return G(z) = φ(z) − z (1 − Φ(z)), the expected shortage in standard deviations (formulas.md, notation)."""
    z = np.asarray(z, np.float64)
    loss: Floats = np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi) - z * special.ndtr(-z)
    return loss
