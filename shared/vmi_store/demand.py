"""What was demanded of each key on each of its site's days: sold and lost, less what came back."""

from collections.abc import Sequence
from datetime import date

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.forecasting import NO_DEMAND, History
from vmi_domain.position import Key

YEAR_1: date = date(1, 1, 1)


async def read(connection: AsyncConnection, since: Sequence[tuple[Key, date]], *, until: date) -> list[History]:
    """Return the demand of each key from its day up to ``until``, in the order asked; days without demand are left out.

    The caller holds the locks of the keys. Returns and corrections count on their original day; a day on
    which more came back than went is a day without demand.
    """
    result = await connection.execute(
        _READ,
        {
            "customers": [key.customer_id for key, _ in since],
            "locations": [key.location_id for key, _ in since],
            "items": [key.item_id for key, _ in since],
            "firsts": [day for _, day in since],
            "until": until,
        },
    )
    histories = [NO_DEMAND] * len(since)
    for row in result:
        days = np.array(row.days, np.int64) + YEAR_1.toordinal()
        histories[row.place - 1] = History(days, np.array(row.demand, np.float64))
    return histories


_READ = text("""
    SELECT wanted.place, array_agg(balance.day - DATE '0001-01-01') AS days, array_agg(balance.demand) AS demand
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:firsts AS date[])
    ) WITH ORDINALITY AS wanted (customer_id, location_id, item_id, first, place)
    CROSS JOIN LATERAL (
        SELECT day, CAST(sold + lost - returned AS double precision) AS demand
        FROM daily_balance
        WHERE daily_balance.customer_id = wanted.customer_id AND daily_balance.location_id = wanted.location_id
          AND daily_balance.item_id = wanted.item_id AND day >= wanted.first AND day <= :until
    ) AS balance
    WHERE balance.demand > 0
    GROUP BY wanted.place
""")


async def first_days(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, date]:
    """Return the first day with demand of each key that had any."""
    result = await connection.execute(
        _FIRST_DAYS,
        {
            "customers": [key.customer_id for key in keys],
            "locations": [key.location_id for key in keys],
            "items": [key.item_id for key in keys],
        },
    )
    return {Key(row.customer_id, row.location_id, row.item_id): row.day for row in result}


_FIRST_DAYS = text("""
    SELECT wanted.customer_id, wanted.location_id, wanted.item_id, earliest.day
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
         AS wanted (customer_id, location_id, item_id)
    CROSS JOIN LATERAL (
        SELECT day FROM daily_balance
        WHERE daily_balance.customer_id = wanted.customer_id AND daily_balance.location_id = wanted.location_id
          AND daily_balance.item_id = wanted.item_id AND sold + lost - returned > 0
        ORDER BY day LIMIT 1
    ) AS earliest
""")
