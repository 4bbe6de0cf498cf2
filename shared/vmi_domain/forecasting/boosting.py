"""Gradient boosting of many quantiles at once: small trees whose leaves carry one figure a probability."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from vmi_domain.forecasting.panel import Floats, Integers
from vmi_domain.values import dataclass

TREES: Final = 60
STEP: Final = 0.12
DEPTH: Final = 3
BINS: Final = 24
SHRINKAGE: Final = 0.02
"""Weight, as a share of all samples', that pulls each leaf towards no correction."""
SMALLEST_LEAF: Final = 0.004
OUTCOMES_OF_SHRINKAGE: Final = 48.0
OUTCOMES_IN_A_LEAF: Final = 10.0
"""The least that both are in outcomes that do not overlap: a share of few is a leaf of three, which follows their
chance."""
SHARE_OF_SAMPLES: Final = 0.7
SHARE_OF_FEATURES: Final = 0.7
NEAR: Final = 0.15
"""Half the width, in spreads, over which the density at a quantile is counted."""
LOWEST_DENSITY: Final = 0.03

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tree:
    """Feature and last bin on the left of each node, level by level; the leaves' figures, one a probability."""

    splits: tuple[tuple[Integers, Integers], ...]
    leaves: Floats


@dataclass(frozen=True, slots=True)
class Boosted:
    """Trees that say how far each quantile lies from where it was thought to lie."""

    edges: tuple[Floats, ...]
    trees: tuple[Tree, ...]

    def predict(self, features: Floats) -> Floats:
        """Return the correction of each quantile, a row a sample, in the unit of the residuals."""
        codes = _codes(features, self.edges)
        return np.asarray(sum(tree.leaves[_leaf(codes, tree.splits)] for tree in self.trees), np.float64)


def fit(
    features: Floats, residuals: Floats, weight: Floats, probabilities: Floats, outcomes: float, *, seed: int = 0
) -> Boosted:
    """Return trees that move the quantiles to where ``residuals`` say they belong.

    ``residuals`` has a row a sample and a column a probability τ: outcome less the quantile as thought, in
    spreads; ``outcomes`` is how many of them do not overlap. A leaf moves each quantile by a Newton step on the
    quantile loss, (τ − share below) / density.
    """
    random = np.random.default_rng(seed)
    edges = tuple(np.unique(np.quantile(one, np.linspace(0, 1, BINS + 1)[1:-1])) for one in features.T)
    codes = _codes(features, edges)
    share = weight / weight.sum()
    density = np.maximum((share[:, None] * (np.abs(residuals) < NEAR)).sum(axis=0) / (2 * NEAR), LOWEST_DENSITY)
    pulled_by = max(SHRINKAGE, OUTCOMES_OF_SHRINKAGE / outcomes)
    smallest = max(SMALLEST_LEAF, OUTCOMES_IN_A_LEAF / outcomes)
    moved, trees = np.zeros_like(residuals), []
    for _ in range(TREES):
        used = share * (random.random(len(share)) < SHARE_OF_SAMPLES)
        shown = np.flatnonzero(random.random(features.shape[1]) < SHARE_OF_FEATURES)
        if not shown.size:
            continue
        pull = (probabilities - (residuals < moved)) * used[:, None]
        tree = _grow(codes, shown, pull, used, density, pulled_by, smallest)
        moved += tree.leaves[_leaf(codes, tree.splits)]
        trees.append(tree)
    return Boosted(edges, tuple(trees))


def _grow(
    codes: Codes, shown: Integers, pull: Floats, used: Floats, density: Floats, pulled_by: float, smallest: float
) -> Tree:
    count, width = codes.shape[0], len(shown)
    row = np.arange(count)
    both = np.concatenate([pull, used[:, None]], axis=1)
    node, splits = np.zeros(count, np.int64), []
    starts = np.arange(0, count * width + 1, width)
    place = codes[:, shown] + np.arange(width) * BINS
    for depth in range(DEPTH):
        nodes = 2**depth
        columns = (node[:, None] * (width * BINS) + place).ravel()
        cells = sparse.csr_matrix((np.ones(len(columns)), columns, starts), shape=(count, nodes * width * BINS))
        left = np.asarray(cells.T @ both).reshape(nodes, width, BINS, -1).cumsum(axis=2)
        right = left[:, :, -1:, :] - left
        gain = _gain(left, density, pulled_by) + _gain(right, density, pulled_by)
        gain[(left[..., -1] < smallest) | (right[..., -1] < smallest)] = -1.0
        flat = gain.reshape(nodes, -1)
        best = flat.argmax(axis=1)
        feature = shown[best // BINS]
        last_left = np.where(flat[np.arange(nodes), best] > 0, best % BINS, BINS)
        splits.append((feature, last_left))
        node = 2 * node + (codes[row, feature[node]] > last_left[node])
    leaves = sparse.csr_matrix((np.ones(count), node, np.arange(count + 1)), shape=(count, 2**DEPTH)).T @ both
    sums = np.asarray(leaves)
    return Tree(tuple(splits), STEP * sums[:, :-1] / (sums[:, -1:] + pulled_by) / density)


def _gain(sums: Floats, density: Floats, pulled_by: float) -> Floats:
    return np.asarray((sums[..., :-1] ** 2 @ (1 / density)) / (sums[..., -1] + pulled_by), np.float64)


def _leaf(codes: Codes, splits: tuple[tuple[Integers, Integers], ...]) -> Integers:
    node = np.zeros(len(codes), np.int64)
    row = np.arange(len(codes))
    for feature, last_left in splits:
        node = 2 * node + (codes[row, feature[node]] > last_left[node])
    return node


def _codes(features: Floats, edges: tuple[Floats, ...]) -> Codes:
    return np.stack(
        [np.searchsorted(edge, one, side="right") for one, edge in zip(features.T, edges, strict=True)], axis=1
    ).astype(np.int64)
