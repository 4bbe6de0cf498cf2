"""A small network over all series together, in plain numpy: mean and tail of a horizon's sum from recent windows."""

from typing import Final

import numpy as np

from vmi_domain.distributions import Demand, by_the_data
from vmi_domain.forecasting.pool import Bucket, Fitted, Floats, Known
from vmi_domain.forecasting.regression import FEWEST_SAMPLES, Windows, lessons
from vmi_domain.values import dataclass

HIDDEN: Final = 24
ROUNDS: Final = 20
BATCH: Final = 256
STEP: Final = 0.01
DECAY: Final = 1e-3
TAIL: Final = 0.95
TAIL_SCORE: Final = 1.645
MOST: Final = 8.0
"""Outcomes farther than so many spreads from the level teach as those."""


@dataclass(frozen=True, slots=True)
class Network:
    """One hidden layer: tanh(x W + b) V + c, of standardised x; two figures, the mean and the .95 quantile."""

    centre: Floats
    scale: Floats
    weights: tuple[Floats, Floats, Floats, Floats]

    def predict(self, features: Floats) -> Floats:
        """Return mean and tail, in spreads of the window above the level, a row a series."""
        first, first_bias, second, second_bias = self.weights
        x = np.clip((features - self.centre) / self.scale, -4, 4)
        return np.asarray(np.tanh(x @ first + first_bias) @ second + second_bias)


def train(features: Floats, outcomes: Floats, *, seed: int = 0) -> Network:
    """Return the network of the least squared error of the mean and pinball loss of the tail (Adam: Kingma 2015)."""
    random = np.random.default_rng(seed)
    centre, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    x, y = np.clip((features - centre) / scale, -4, 4), np.clip(outcomes, -MOST, MOST)
    width = x.shape[1]
    weights = [
        random.normal(0, 1 / np.sqrt(width), (width, HIDDEN)),
        np.zeros(HIDDEN),
        random.normal(0, 0.1 / np.sqrt(HIDDEN), (HIDDEN, 2)),
        np.array([y.mean(), np.quantile(y, TAIL)]),
    ]
    first, second = [np.zeros_like(one) for one in weights], [np.zeros_like(one) for one in weights]
    count = 0
    steps = ROUNDS * max(len(y) // BATCH, 1)
    for _ in range(ROUNDS):
        order = random.permutation(len(y))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            hidden = np.tanh(x[rows] @ weights[0] + weights[1])
            said = hidden @ weights[2] + weights[3]
            pull = np.stack([said[:, 0] - y[rows], (y[rows] < said[:, 1]) - TAIL], axis=1) / len(rows)
            back = pull @ weights[2].T * (1 - hidden**2)
            slopes = [
                x[rows].T @ back + DECAY * weights[0],
                back.sum(axis=0),
                hidden.T @ pull + DECAY * weights[2],
                pull.sum(axis=0),
            ]
            count += 1
            step = STEP * (1 - count / (steps + ROUNDS + 1))
            for place, slope in enumerate(slopes):
                first[place] += 0.1 * (slope - first[place])
                second[place] += 0.001 * (slope**2 - second[place])
                moved = first[place] / (1 - 0.9**count)
                weights[place] -= step * moved / (np.sqrt(second[place] / (1 - 0.999**count)) + 1e-8)
    return Network(centre, scale, (weights[0], weights[1], weights[2], weights[3]))


class _Neural(Fitted):
    def __init__(self, known: Known, horizon: int) -> None:
        super().__init__(known)
        self._windows, self._horizon = Windows(known), horizon
        features, outcomes = lessons(known, horizon)
        self._network = train(features, outcomes) if len(outcomes) >= FEWEST_SAMPLES else None

    def _learn(self, bucket: Bucket) -> None:
        self._windows.learn(bucket.demand)

    def _mean_and_sd(self) -> tuple[Floats, Floats]:
        features, level, sd = self._windows.look()
        spread = sd * np.sqrt(self._horizon)
        if self._network is None:
            return level * self._horizon, spread
        said = self._network.predict(features)
        mean = np.maximum(level * self._horizon + spread * said[:, 0], 0.0)
        tail = level * self._horizon + spread * said[:, 1]
        return mean, np.maximum(tail - mean, 0.1 * spread) / TAIL_SCORE

    def mean_over(self, horizon: int) -> Floats:
        return np.asarray(self._mean_and_sd()[0] * horizon / self._horizon)

    def demand_over(self, horizon: int) -> Demand:
        mean, sd = self._mean_and_sd()
        share = horizon / self._horizon
        variance = np.maximum(sd**2, mean) * share ** (1 if share < 1 else 1.5)
        return by_the_data(mean * share, variance, counts=self.spread.counts())


@dataclass(frozen=True, slots=True)
class Neural:
    """The network, learned for one horizon."""

    horizon: int
    name: str = "neural"
    fewest_periods: int = 56

    def fit(self, known: Known) -> Fitted:
        return _Neural(known, self.horizon)
