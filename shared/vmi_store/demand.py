"""What was demanded of each key on each of its site's days: sold and lost; when it sold out; what people said of it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.days import SiteCalendar
from vmi_domain.forecasting import NO_DEMAND, History
from vmi_domain.forecasting.plans import OF_HISTORY, PlanKind
from vmi_domain.forecasting.retelling import as_told
from vmi_domain.stock.position import Key, Kind
from vmi_domain.values import dataclass
from vmi_store import columns, plans
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
    if not since:
        return []
    asked = _asked(since, until)
    histories = [NO_DEMAND] * len(since)
    zero_days, telling_periods = await _zero_days(connection, since, asked, until, calendars)
    balances = {row[0] - 1: row for row in (await connection.execute(_BALANCES, asked)).all()}
    for place in balances.keys() | zero_days.keys():
        _, days, wanted, lost = balances.get(place, _NO_BALANCE)
        histories[place] = _history(days, wanted, lost, zero_days.get(place, set()), since[place][1], until)
    for place in telling_periods:
        histories[place] = replace(histories[place], tells_periods=True)
    histories = await _with_hours(connection, since, histories, calendars)
    return await _as_told(connection, since, histories, until, calendars, inherited)


_NO_BALANCE: tuple[int, Sequence[int], Sequence[float], Sequence[bool]] = (0, (), (), ())


def _asked(since: Sequence[tuple[Key, date]], until: date) -> dict[str, object]:
    return {**columns.of_keys([key for key, _ in since]), "firsts": [day for _, day in since], "until": until}


async def _zero_days(
    connection: AsyncConnection,
    since: Sequence[tuple[Key, date]],
    asked: Mapping[str, object],
    until: date,
    calendars: Mapping[Location, SiteCalendar],
) -> tuple[dict[int, set[date]], set[int]]:
    """Return by the keys' places the days at whose end nothing stood there, as counted and as it moved since.

    And the places of those with a report of sales over a period.
    """
    found: dict[int, set[date]] = defaultdict(set)
    telling_periods = set()
    for place, occurred_at, next_at, is_sale in (await connection.execute(_LINES, asked)).all():
        if is_sale:
            telling_periods.add(place - 1)
            continue
        calendar = calendars[Location(*since[place - 1][0][:2])]
        day = calendar.day_up_to(occurred_at)
        if next_at is None or calendar.day_up_to(next_at) > day:
            found[place - 1].add(day)
    for place, counted_at, stock, days, moved in (await connection.execute(_ENDS, asked)).all():
        key, first = since[place - 1]
        counted_on = calendars[Location(*key[:2])].day_up_to(counted_at)
        later = dict(zip(days or (), moved or (), strict=True))
        found[place - 1].update(_zeros(stock, later, counted_on, first - DAY, until))
    return found, telling_periods


def _zeros(stock: Decimal, moved: Mapping[date, Decimal], counted_on: date, first: date, until: date) -> list[date]:
    """Return the days since the last count at whose end nothing stood there, counted back from what is there now."""
    stock -= sum(quantity for day, quantity in moved.items() if day > until)
    found = []
    day = until
    while day >= max(counted_on, first):
        if stock == 0:
            found.append(day)
        stock -= moved.get(day, 0)
        day -= DAY
    return found


def _history(
    days: Sequence[int],
    demand: Sequence[float],
    lost: Sequence[bool],
    zero_days: Set[date],
    first: date,
    until: date,
) -> History:
    """Return a series' demand from its days' balances (days since the first of year 1).

    ``zero_days`` are those at whose end nothing stood there.
    """
    at = np.array(days, np.int64) + YEAR_1.toordinal()
    wanted = np.array(demand, np.float64)
    some = wanted > 0
    if not zero_days:
        return History(at[some], wanted[some])
    busy = set(at.tolist())
    known = {day for day, is_lost in zip(at.tolist(), lost, strict=True) if is_lost}
    ends = sorted(day for day in zero_days if first <= day <= until and day.toordinal() not in known)
    # Nothing came, nothing went, and nothing stood there the evening before: there was nothing to sell all day.
    empty = [day for day in ends if day.toordinal() not in busy and day - DAY in zero_days]
    sold_out = [day for day in ends if day not in set(empty)]
    return History(at[some], wanted[some], _ordinals(sold_out), _ordinals(empty))


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
            **columns.of_keys([since[place][0] for place, _ in short]),
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


_SINCE = f"""
    unnest({columns.KEYS}, CAST(:firsts AS date[]))
    WITH ORDINALITY AS wanted (customer_id, location_id, item_id, first, place)
"""
_OF_THE_KEY = """
    customer_id = wanted.customer_id AND location_id = wanted.location_id AND item_id = wanted.item_id
"""
# What stands there now, and how it moved since its last count: a count that is still to come says more. Only where
# nothing may have stood there at some day's end: now, or before what moved on a day and after it.
_ENDS = text(f"""
    SELECT wanted.place, position.counted_at, position.counted + position.moved + position.received AS stock,
           later.days, later.moved
    FROM {_SINCE}
    JOIN position USING (customer_id, location_id, item_id)
    CROSS JOIN LATERAL (
        SELECT array_agg(day) AS days, array_agg(quantity) AS moved, bool_or(
                   since_then = position.counted + position.moved + position.received) AS ran_out
        FROM (
            SELECT day, balance.moved + balance.received AS quantity,
                   sum(balance.moved + balance.received) OVER (ORDER BY day DESC) AS since_then
            FROM daily_balance AS balance
            WHERE balance.customer_id = wanted.customer_id AND balance.location_id = wanted.location_id
              AND balance.item_id = wanted.item_id AND day >= CAST(position.counted_at AS date) - 1
        ) AS by_day
    ) AS later
    WHERE position.counted_at < CAST(:until AS date) + 3
      AND (later.ran_out OR position.counted + position.moved + position.received = 0)
""")  # noqa: S608 - our own words
_LAST_SALES = text(f"""
    SELECT wanted.place, last.occurred_at AS last_at
    FROM unnest({columns.KEYS}, CAST(:begins AS timestamptz[]), CAST(:ends AS timestamptz[]))
    WITH ORDINALITY AS wanted (customer_id, location_id, item_id, begins, ends, place)
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
# Counts that found nothing, each with the next one, and sales over a period. A day or two more at either end than any
# site's own days need; the calendar decides.
_COUNTED = f"kind IN ({Kind.REPORT:d}, {Kind.COUNT:d})"
_LINES = text(f"""
    SELECT wanted.place, one.occurred_at, next.occurred_at AS next_at, one.is_sale
    FROM {_SINCE}
    CROSS JOIN LATERAL (
        SELECT occurred_at, line_id, kind = {Kind.SALE:d} AS is_sale FROM journal AS line
        WHERE {_OF_THE_KEY} AND occurred_at >= wanted.first - 2 AND occurred_at < CAST(:until AS date) + 3
          AND (kind = {Kind.SALE:d} AND details ? 'period_start' OR {_COUNTED} AND quantity <= 0 AND {STANDS})
        OFFSET 0
    ) AS one
    LEFT JOIN LATERAL (
        SELECT occurred_at FROM journal AS line
        WHERE {_OF_THE_KEY} AND (occurred_at, line_id) > (one.occurred_at, one.line_id)
          AND occurred_at < CAST(:until AS date) + 3 AND {_COUNTED} AND {STANDS}
        ORDER BY occurred_at, line_id LIMIT 1
    ) AS next ON NOT one.is_sale
""")  # noqa: S608 - our own words


async def reported_by_week(
    connection: AsyncConnection, since: Sequence[tuple[Key, date | None]]
) -> dict[Key, tuple[datetime, datetime]]:
    """Return the keys whose sales come by the week: a day on which such a week begins, and when the last one ended.

    The last line about sales tells: its period is of six to eight days. Where a day stands with a key, only lines from
    the day before it on are asked for (whatever the site's days): one that sells seldom has all its reports before
    them.
    """
    if not since:
        return {}
    begins = [day and day - DAY for _, day in since]
    asked = {**columns.of_keys([key for key, _ in since]), "begins": begins}
    result = await connection.execute(_BY_WEEK, asked)
    return {
        Key(row.customer_id, row.location_id, row.item_id): (row.starts_at, row.occurred_at)
        for row in result
        if 6 <= (row.occurred_at - row.starts_at) / DAY <= 8
    }


_BY_WEEK = text(f"""
    SELECT wanted.customer_id, wanted.location_id, wanted.item_id, last.occurred_at,
           CAST(last.details ->> 'period_start' AS timestamptz) AS starts_at
    FROM unnest({columns.KEYS}, CAST(:begins AS date[])) AS wanted (customer_id, location_id, item_id, begins)
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
    if not keys:
        return {}
    rows = (await connection.execute(_FIRST_DAYS, columns.of_keys(keys))).all()
    found = {Key(customer, location, item): day for customer, location, item, day in rows}
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


_FIRST_DAYS = text(f"""
    SELECT wanted.customer_id, wanted.location_id, wanted.item_id, earliest.day
    FROM unnest({columns.KEYS}) AS wanted (customer_id, location_id, item_id)
    CROSS JOIN LATERAL (
        SELECT day FROM daily_balance
        WHERE daily_balance.customer_id = wanted.customer_id AND daily_balance.location_id = wanted.location_id
          AND daily_balance.item_id = wanted.item_id AND sold + lost > 0
        ORDER BY day LIMIT 1
    ) AS earliest
""")  # noqa: S608 - our own words


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
    found: list[dict[int, float]] = [{} for _ in since]
    if since:
        for place, days, demand, _ in (await connection.execute(_BALANCES, _asked(since, until))).all():
            found[place - 1] = dict(zip((day + YEAR_1.toordinal() for day in days), demand, strict=True))
    return found


def _columns(keys: Sequence[Key]) -> dict[str, object]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }
