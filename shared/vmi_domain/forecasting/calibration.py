"""What outcomes say of published distributions: a scale of their spread, moved as outcomes arrive.

Split conformal prediction, as a scale: with r = (y − m) / (Q − m), y the demand, m and Q the mean and the .95 quantile
as they were said, the scale that would have covered a share of the outcomes is their quantile r of that share. It moves
towards what would have covered .93 where less was covered, and .97 where more was.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike

LEAST: Final = 0.93
MOST: Final = 0.97
"""Shares of outcomes within the .95 quantile between which nothing is amiss."""
STEP: Final = 0.05
"""How far the outcomes of one time move the scale to what they say, however many they are: what a week has in common
(a season's begin, a holiday) is one draw for all its series. By larger steps the scale follows that draw, and the loss
on real demand was 1 to 2.5 % above that without any calibration."""
PAIRS: Final = 300.0
"""So many outcomes move it by half of that."""
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
    least, most = (
        float(np.quantile(ratio, min(np.ceil((count + 1) * share) / count, 1.0), method="inverted_cdf"))
        for share in (LEAST, MOST)
    )
    found = max(least, min(most, 1.0), 0.1)
    return float(np.clip(scale * found ** (STEP * count / (count + PAIRS)), *BOUNDS))
