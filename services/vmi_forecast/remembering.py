"""What forecasts say is kept once a week, so that it can be held against what comes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import numpy as np

from vmi_domain import forecasting
from vmi_forecast.learning import Learned
from vmi_runtime.worker import Transaction
from vmi_store import past_forecasts
from vmi_store.past_forecasts import DAYS_AHEAD, QUANTILES, Saying

WEEK: Final = 7
DAY: Final = timedelta(days=1)


async def note(transaction: Transaction, learned: Sequence[Learned]) -> None:
    """Keep what the series say that began another week. What is redone for a late fact was said already."""
    some = [one for one in learned if _begins_a_week(one)]
    if not some:
        return
    states = np.array([one.state for one in some])
    first_days = np.array([(one.through + DAY).toordinal() for one in some])
    means = forecasting.daily_means(states, first_days, DAYS_AHEAD)
    week = forecasting.demands_over(states, first_days, WEEK)
    quantiles = np.stack([week.quantile(share) for share in QUANTILES], axis=1)
    await past_forecasts.keep(
        transaction.connection,
        [Saying(one.key, one.through, *row) for one, row in zip(some, zip(means, quantiles, strict=True), strict=True)],
    )


def _begins_a_week(learned: Learned) -> bool:
    before = learned.before
    return before is None or before.through.toordinal() // WEEK < learned.through.toordinal() // WEEK
