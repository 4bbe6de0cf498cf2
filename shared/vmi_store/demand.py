"""What was demanded of each key on each of its site's days: sold and lost, less what came back; when it sold out."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

import numpy as np
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.days import SiteCalendar
from vmi_domain.forecasting import NO_DEMAND, History
from vmi_domain.stock.position import Key, Kind
from vmi_store.forecasts import Location
from vmi_store.journal import STANDS

YEAR_1 = date(1, 1, 1)
DAY = timedelta(days=1)


async def read(
    connection: AsyncConnection,
    since: Sequence[tuple[Key, date]],
    *,
    until: date,
    calendars: Mapping[Location, SiteCalendar],
) -> list[History]:
    """Return the demand of each key from its day up to ``until``, in the order asked; days without demand are left out.

    The caller has the turn of forecasting there. Returns and corrections count on their original day; a day on
    which more came back than went is a day without demand.
    """
    asked = {**_columns([key for key, _ in since]), "firsts": [day for _, day in since], "until": until}
    balances: dict[int, _Row] = {row.place - 1: row for row in await connection.execute(_BALANCES, asked)}
    zero_days: dict[int, set[date]] = {}
    for row in await connection.execute(_ZERO_COUNTS, asked):
        calendar = calendars[Location(*since[row.place - 1][0][:2])]
        day = calendar.day_up_to(row.occurred_at)
        if row.next_at is None or calendar.day_up_to(row.next_at) > day:
            zero_days.setdefault(row.place - 1, set()).add(day)
    return [
        _history(balances.get(place), zero_days.get(place, set()), first, until)
        for place, (_, first) in enumerate(since)
    ]


_Row = Row[tuple[object, ...]]


def _history(balance: "_Row | None", zero_days: set[date], first: date, until: date) -> History:
    """Return a series' demand; ``zero_days`` are those at whose end nothing stood there."""
    if balance is None and not zero_days:
        return NO_DEMAND
    days = np.array([] if balance is None else balance.days, np.int64) + YEAR_1.toordinal()
    wanted = np.array([] if balance is None else balance.demand, np.float64)
    demand = wanted > 0
    busy = set(days.tolist())
    known = set() if balance is None else {day for day, lost in zip(days.tolist(), balance.lost, strict=True) if lost}
    ends = sorted(day for day in zero_days if first <= day <= until and day.toordinal() not in known)
    # Nothing came, nothing went, and nothing stood there the evening before: there was nothing to sell all day.
    empty = [day for day in ends if day.toordinal() not in busy and day - DAY in zero_days]
    sold_out = [day for day in ends if day not in set(empty)]
    return History(days[demand], wanted[demand], _ordinals(sold_out), _ordinals(empty))


def _ordinals(days: Sequence[date]) -> np.ndarray:
    return np.array([day.toordinal() for day in days], np.int64)


_SINCE = """
    unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:firsts AS date[]))
    WITH ORDINALITY AS wanted (customer_id, location_id, item_id, first, place)
"""
_OF_THE_KEY = """
    customer_id = wanted.customer_id AND location_id = wanted.location_id AND item_id = wanted.item_id
"""
_BALANCES = text(f"""
    SELECT wanted.place, array_agg(balance.day - DATE '0001-01-01') AS days, array_agg(balance.demand) AS demand,
           array_agg(balance.lost) AS lost
    FROM {_SINCE}
    CROSS JOIN LATERAL (
        SELECT day, CAST(sold + lost - returned AS double precision) AS demand, lost > 0 AS lost
        FROM daily_balance
        WHERE {_OF_THE_KEY} AND day >= wanted.first AND day <= :until
          AND (sold > 0 OR lost > 0 OR received > 0)
    ) AS balance
    GROUP BY wanted.place
""")  # noqa: S608 - our own words
# A day or two more at either end than any site's own days need; the calendar decides.
_ZERO_COUNTS = text(f"""
    SELECT place, occurred_at, next_at
    FROM {_SINCE}
    CROSS JOIN LATERAL (
        SELECT occurred_at, quantity, lead(occurred_at) OVER (ORDER BY occurred_at) AS next_at
        FROM journal AS line
        WHERE {_OF_THE_KEY} AND {STANDS} AND kind IN ({Kind.REPORT:d}, {Kind.COUNT:d})
          AND occurred_at >= wanted.first - 2 AND occurred_at < CAST(:until AS date) + 3
    ) AS count
    WHERE quantity <= 0
""")  # noqa: S608 - our own words


async def first_days(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, date]:
    """Return the first day with demand of each key that had any."""
    result = await connection.execute(_FIRST_DAYS, _columns(keys))
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


def _columns(keys: Sequence[Key]) -> dict[str, object]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }
