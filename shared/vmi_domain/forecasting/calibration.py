"""What outcomes say of published distributions: a scale of their spread, moved as outcomes arrive.

Split conformal prediction, as a scale: with r = (y − m) / (Q − m), y the demand, m and Q the mean and the .95 quantile
as they were said, the scale that would have covered .95 of the outcomes is their .95 quantile of r.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

SHARE: Final = 0.95
PAIRS: Final = 300.0
"""So many outcomes move the scale half the way to what they say."""
BOUNDS: Final = (0.8, 1.3)
"""How far outcomes may move the spread."""
FEWEST: Final = 20


def moved(scale: float, wanted: ArrayLike, mean: ArrayLike, quantile: ArrayLike) -> float:
    """Return the scale after more outcomes of sayings that were made with it; of fewer than ``FEWEST`` nothing follows.

    Counts are spread over the unit around them, evenly by their order, so that a whole-number quantile is a place and
    not a jump (P(Y ≤ Q) and P(Y < Q) differ). The geometric step is shrunk by the number of outcomes, and clipped.
    """
    demand, said, level = (np.asarray(one, np.float64) for one in (wanted, mean, quantile))
    known = np.isfinite(demand) & (level > said)
    count = int(known.sum())
    if count < FEWEST:
        return scale
    around = (np.random.default_rng(0).random(count) - 0.5) * (demand[known] == np.floor(demand[known]))
    ratio = (demand[known] + around - said[known]) / (level[known] - said[known])
    place = min(np.ceil((count + 1) * SHARE) / count, 1.0)
    found = max(float(np.quantile(ratio, place, method="inverted_cdf")), 0.1)
    return float(np.clip(scale * found ** (count / (count + PAIRS)), *BOUNDS))
