"""What was demanded of each key on each of its site's days: sold and lost; when it sold out; what people said of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.days import SiteCalendar
from vmi_domain.forecasting import NO_DEMAND, History
from vmi_domain.forecasting.plans import OF_HISTORY, PlanKind
from vmi_domain.forecasting.retelling import as_told
from vmi_domain.stock.position import Key, Kind
from vmi_domain.values import dataclass
from vmi_store import plans
from vmi_store.forecasts import Location
from vmi_store.journal import STANDS

YEAR_1 = date(1, 1, 1)
DAY = timedelta(days=1)


MOST_SUCCESSIONS = 3
"""Items before an item whose history it inherits, one after the other."""


async def read(
    connection: AsyncConnection,
    since: Sequence[tuple[Key, date]],
    *,
    until: date,
    calendars: Mapping[Location, SiteCalendar],
    inherited: int = MOST_SUCCESSIONS,
) -> list[History]:
    """Return the demand of each key from its day up to ``until``, in the order asked; days without demand are left out.

    The caller has the turn of forecasting there. What came back is stock, and demand is not less by it (S17). A
    successor has its predecessor's demand too; what people said of the history is in it.
    """
    asked = {**_columns([key for key, _ in since]), "firsts": [day for _, day in since], "until": until}
    balances: dict[int, _Row] = {row.place - 1: row for row in await connection.execute(_BALANCES, asked)}
    zero_days: dict[int, set[date]] = {}
    for row in await connection.execute(_ZERO_COUNTS, asked):
        calendar = calendars[Location(*since[row.place - 1][0][:2])]
        day = calendar.day_up_to(row.occurred_at)
        if row.next_at is None or calendar.day_up_to(row.next_at) > day:
            zero_days.setdefault(row.place - 1, set()).add(day)
    for row in await connection.execute(_ENDS, asked):
        calendar = calendars[Location(*since[row.place - 1][0][:2])]
        zeros = _zeros(row, calendar.day_up_to(row.counted_at), since[row.place - 1][1] - DAY, until)
        zero_days.setdefault(row.place - 1, set()).update(zeros)
    histories = [
        _history(balances.get(place), zero_days.get(place, set()), first, until)
        for place, (_, first) in enumerate(since)
    ]
    histories = await _with_hours(connection, since, histories, calendars)
    return await _as_told(connection, since, histories, until, calendars, inherited)


_Row = Row[tuple[object, ...]]


def _zeros(row: _Row, counted_on: date, first: date, until: date) -> list[date]:
    """Return the days since the last count at whose end nothing stood there, counted back from what is there now."""
    moved = dict(zip(row.days or (), row.moved or (), strict=True))
    stock, found = row.stock - sum(quantity for day, quantity in moved.items() if day > until), []
    day = until
    while day >= max(counted_on, first):
        if stock == 0:
            found.append(day)
        stock -= moved.get(day, 0)
        day -= DAY
    return found


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


async def _with_hours(
    connection: AsyncConnection,
    since: Sequence[tuple[Key, date]],
    histories: list[History],
    calendars: Mapping[Location, SiteCalendar],
) -> list[History]:
    """Return histories that know at what part of a day it sold out, where its last sale is known to the moment."""
    short = [
        (place, date.fromordinal(day)) for place, history in enumerate(histories) for day in history.sold_out.tolist()
    ]
    if not short:
        return histories
    bounds = [calendars[Location(*since[place][0][:2])].bounds(day) for place, day in short]
    result = await connection.execute(
        _LAST_SALES,
        {
            **_columns([since[place][0] for place, _ in short]),
            "begins": [begins for begins, _ in bounds],
            "ends": [ends for _, ends in bounds],
        },
    )
    shares: dict[int, dict[int, float]] = {}
    for row in result:
        place, day = short[row.place - 1]
        begins, ends = bounds[row.place - 1]
        shares.setdefault(place, {})[day.toordinal()] = (row.last_at - begins) / (ends - begins)
    return [
        replace(history, shares=np.array([shares[place].get(day, np.nan) for day in history.sold_out.tolist()]))
        if place in shares
        else history
        for place, history in enumerate(histories)
    ]


async def _as_told(
    connection: AsyncConnection,
    since: Sequence[tuple[Key, date]],
    histories: list[History],
    until: date,
    calendars: Mapping[Location, SiteCalendar],
    inherited: int,
) -> list[History]:
    """Return histories with what people said of them: adjusted, days set aside, a predecessor's demand inherited."""
    first = min((day for _, day in since), default=until)
    told = await plans.read(connection, [key for key, _ in since], since=first, kinds=OF_HISTORY)
    if not told:
        return histories
    predecessors = {
        place: (Key(*key[:2], line.other_item), line)
        for place, (key, _) in enumerate(since)
        for line in told.get(key, ())
        if line.kind is PlanKind.SUCCESSION and line.other_item is not None and inherited
    }
    asked = [(before, since[place][1]) for place, (before, _) in predecessors.items()]
    theirs: list[History] = []
    if asked:
        theirs = await read(connection, asked, until=until, calendars=calendars, inherited=inherited - 1)
    of_predecessor = dict(zip(predecessors, theirs, strict=True))
    return [
        history
        if key not in told
        else as_told(history, told[key], since[place][1], until, predecessor=of_predecessor.get(place))
        for place, ((key, _), history) in enumerate(zip(since, histories, strict=True))
    ]


def _ordinals(days: Sequence[date]) -> np.ndarray:
    return np.array([day.toordinal() for day in days], np.int64)


_SINCE = """
    unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:firsts AS date[]))
    WITH ORDINALITY AS wanted (customer_id, location_id, item_id, first, place)
"""
_OF_THE_KEY = """
    customer_id = wanted.customer_id AND location_id = wanted.location_id AND item_id = wanted.item_id
"""
# What stands there now, and how it moved since its last count: a count that is still to come says more.
_ENDS = text(f"""
    SELECT wanted.place, position.counted_at, position.counted + position.moved + position.received AS stock,
           later.days, later.moved
    FROM {_SINCE}
    JOIN position USING (customer_id, location_id, item_id)
    CROSS JOIN LATERAL (
        SELECT array_agg(day) AS days, array_agg(balance.moved + balance.received) AS moved
        FROM daily_balance AS balance
        WHERE balance.customer_id = wanted.customer_id AND balance.location_id = wanted.location_id
          AND balance.item_id = wanted.item_id AND day >= CAST(position.counted_at AS date) - 1
    ) AS later
    WHERE position.counted_at < CAST(:until AS date) + 3
""")  # noqa: S608 - our own words
_LAST_SALES = text(f"""
    SELECT wanted.place, last.occurred_at AS last_at
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]),
        CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[])
    ) WITH ORDINALITY AS wanted (customer_id, location_id, item_id, begins, ends, place)
    CROSS JOIN LATERAL (
        SELECT occurred_at, details FROM journal AS line
        WHERE {_OF_THE_KEY} AND {STANDS} AND kind = {Kind.SALE:d}
          AND occurred_at >= wanted.begins AND occurred_at <= wanted.ends
        ORDER BY occurred_at DESC LIMIT 1
    ) AS last
    WHERE last.occurred_at < wanted.ends AND (last.details IS NULL OR NOT last.details ? 'period_start')
""")  # noqa: S608 - our own words
_BALANCES = text(f"""
    SELECT wanted.place, array_agg(balance.day - DATE '0001-01-01') AS days, array_agg(balance.demand) AS demand,
           array_agg(balance.lost) AS lost
    FROM {_SINCE}
    CROSS JOIN LATERAL (
        SELECT day, CAST(sold + lost AS double precision) AS demand, lost > 0 AS lost
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


async def reported_by_week(
    connection: AsyncConnection, since: Sequence[tuple[Key, date | None]]
) -> dict[Key, tuple[datetime, datetime]]:
    """Return the keys whose sales come by the week: a day on which such a week begins, and when the last one ended.

    The last line about sales tells: its period is of six to eight days. Where a day stands with a key, only lines from
    the day before it on are asked for (whatever the site's days): one that sells seldom has all its reports before
    them.
    """
    asked = {**_columns([key for key, _ in since]), "begins": [day and day - timedelta(days=1) for _, day in since]}
    result = await connection.execute(_BY_WEEK, asked)
    return {
        Key(row.customer_id, row.location_id, row.item_id): (row.starts_at, row.occurred_at)
        for row in result
        if 6 <= (row.occurred_at - row.starts_at) / DAY <= 8
    }


_BY_WEEK = text(f"""
    SELECT wanted.customer_id, wanted.location_id, wanted.item_id, last.occurred_at,
           CAST(last.details ->> 'period_start' AS timestamptz) AS starts_at
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:begins AS date[]))
         AS wanted (customer_id, location_id, item_id, begins)
    CROSS JOIN LATERAL (
        SELECT occurred_at, details FROM journal AS line
        WHERE {_OF_THE_KEY} AND {STANDS} AND kind = {Kind.SALE:d}
          AND occurred_at >= coalesce(wanted.begins, '-infinity')
        ORDER BY occurred_at DESC LIMIT 1
    ) AS last
    WHERE last.details ? 'period_start'
""")  # noqa: S608 - our own words


async def first_days(
    connection: AsyncConnection, keys: Sequence[Key], *, inherited: int = MOST_SUCCESSIONS
) -> dict[Key, date]:
    """Return the first day with demand of each key that had any; a successor begins with its predecessor."""
    result = await connection.execute(_FIRST_DAYS, _columns(keys))
    found = {Key(row.customer_id, row.location_id, row.item_id): row.day for row in result}
    told = await plans.read(connection, keys, since=date.min, kinds=frozenset({PlanKind.SUCCESSION}))
    before = {
        key: Key(*key[:2], line.other_item)
        for key, lines in told.items()
        for line in lines
        if inherited and line.other_item is not None
    }
    if before:
        theirs = await first_days(connection, sorted(set(before.values())), inherited=inherited - 1)
        for key, predecessor in before.items():
            days = [day for day in (found.get(key), theirs.get(predecessor)) if day is not None]
            found |= {key: min(days)} if days else {}
    return found


_FIRST_DAYS = text("""
    SELECT wanted.customer_id, wanted.location_id, wanted.item_id, earliest.day
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
         AS wanted (customer_id, location_id, item_id)
    CROSS JOIN LATERAL (
        SELECT day FROM daily_balance
        WHERE daily_balance.customer_id = wanted.customer_id AND daily_balance.location_id = wanted.location_id
          AND daily_balance.item_id = wanted.item_id AND sold + lost > 0
        ORDER BY day LIMIT 1
    ) AS earliest
""")


@dataclass(frozen=True, slots=True)
class Corrected:
    """A day whose demand, as forecasts see it, is not what was observed."""

    key: Key
    day: date
    observed: float
    """Sold and known to be lost, base units."""
    demand: float
    """What was wanted, as far as can be told."""
    cause: str
    """sold_out, nothing_to_sell, adjusted or set_aside."""


async def correct(
    connection: AsyncConnection, since: Sequence[tuple[Key, date]], corrected: Sequence[Corrected]
) -> None:
    """Write the corrected days of keys from a day on, in the place of those there were. Sales stay what they are."""
    await connection.execute(
        _FORGET_CORRECTED, {**_columns([key for key, _ in since]), "firsts": [day for _, day in since]}
    )
    if corrected:
        await connection.execute(
            _CORRECT,
            {
                **_columns([one.key for one in corrected]),
                "days": [one.day for one in corrected],
                "observed": [one.observed for one in corrected],
                "demands": [one.demand for one in corrected],
                "causes": [one.cause for one in corrected],
            },
        )


_FORGET_CORRECTED = text("""
    DELETE FROM corrected_demand AS corrected
    USING unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:firsts AS date[])
    ) AS learned (customer_id, location_id, item_id, first)
    WHERE corrected.customer_id = learned.customer_id AND corrected.location_id = learned.location_id
      AND corrected.item_id = learned.item_id AND corrected.day >= learned.first
""")
_CORRECT = text("""
    INSERT INTO corrected_demand (customer_id, location_id, item_id, day, observed, demand, cause)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:days AS date[]),
        CAST(:observed AS double precision[]), CAST(:demands AS double precision[]), CAST(:causes AS text[]))
""")


async def corrected_days(connection: AsyncConnection, keys: Sequence[Key], *, since: date) -> list[Corrected]:
    """Return the corrected days of keys from a day on, in their order."""
    result = await connection.execute(_CORRECTED_DAYS, {**_columns(keys), "since": since})
    return [
        Corrected(Key(row.customer_id, row.location_id, row.item_id), row.day, row.observed, row.demand, row.cause)
        for row in result
    ]


_CORRECTED_DAYS = text("""
    SELECT customer_id, location_id, item_id, day, observed, demand, cause
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN corrected_demand USING (customer_id, location_id, item_id)
    WHERE day >= :since ORDER BY customer_id, location_id, item_id, day
""")


async def observed(
    connection: AsyncConnection, since: Sequence[tuple[Key, date]], *, until: date
) -> list[dict[int, float]]:
    """Return what was sold and known to be lost by ``date.toordinal()``, of each key from its day on, uncorrected."""
    asked = {**_columns([key for key, _ in since]), "firsts": [day for _, day in since], "until": until}
    found: list[dict[int, float]] = [{} for _ in since]
    for row in await connection.execute(_BALANCES, asked):
        days = (day + YEAR_1.toordinal() for day in row.days)
        found[row.place - 1] = dict(zip(days, row.demand, strict=True))
    return found


def _columns(keys: Sequence[Key]) -> dict[str, object]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }
