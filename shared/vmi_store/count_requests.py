"""What is known of how right records are, and the counts that are asked for."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.confidence import Reason
from vmi_domain.stock.drift import Cause
from vmi_domain.stock.position import Balance, Key, Supply
from vmi_domain.values import dataclass

LocationKey = tuple[str, str]
"""Customer and location."""

WINDOW_DAYS = 56
"""Eight whole weeks: how often an item sells."""
MOST_COUNTS = 20
"""The last so many counts of a key tell how often its record is wrong."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A key's record, and what its past says of it; days are the site's own."""

    key: Key
    balance: Balance
    supply: Supply
    known_since: date
    """The day of the first count or report among the last ones."""
    looked_on: date | None
    """The day of the last count by people."""
    history: Sequence[tuple[Decimal, Decimal]]
    """Expected and drift of those among the last counts and reports that found something else than was expected."""
    last_sold: date | None
    last_received: date | None
    """None where it was before the last sale."""
    selling_days: int
    """In the window up to the last day with sales."""
    sold_in_window: Decimal
    window_days: int


@dataclass(frozen=True, slots=True)
class Request:
    """A count that is asked for, or was."""

    key: Key
    request_id: UUID
    requested_on: date
    requested_at: datetime
    reason: Reason
    expected: Decimal
    """On the shelf by the record, base units."""
    confidence: float
    answered_at: datetime | None = None
    """As-of time of the count."""
    counted: Decimal | None = None


async def unsurveyed(
    connection: AsyncConnection,
    now: datetime | None,
    *,
    at_most: int = 1000,
    only: Collection[LocationKey] | None = None,
) -> dict[LocationKey, date]:
    """Return locations where a day has begun since their records were judged, each with that day.

    Without ``now`` each location's own is how far its facts have reached.
    """
    places = sorted(only or ())
    result = await connection.execute(
        _UNSURVEYED,
        {
            "now": now,
            "at_most": at_most,
            "every": only is None,
            "customers": [customer for customer, _ in places],
            "locations": [location for _, location in places],
        },
    )
    return {(row.customer_id, row.location_id): row.today for row in result}


_UNSURVEYED = text("""
    SELECT customer_id, location_id, today FROM (
        SELECT customer_id, location_id, through_day,
               ((coalesce(CAST(:now AS timestamptz), reached_at) AT TIME ZONE coalesce(time_zone, 'UTC'))
                - (coalesce(day_ends_at, '00:00') - time '00:00'))::date AS today
        FROM location_watermark
        LEFT JOIN location USING (customer_id, location_id)
        LEFT JOIN record_survey USING (customer_id, location_id)
        WHERE :every OR (customer_id, location_id) IN (
            SELECT * FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[])))
    ) AS site
    WHERE through_day IS NULL OR through_day < today
    ORDER BY customer_id, location_id LIMIT :at_most
""")


async def survey(connection: AsyncConnection, days: Mapping[LocationKey, date]) -> None:
    """Note that locations' records have been judged, each for a day."""
    await connection.execute(_SURVEY, {**_places(days), "days": list(days.values())})


_SURVEY = text("""
    INSERT INTO record_survey (customer_id, location_id, through_day)
    SELECT * FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:days AS date[]))
    ON CONFLICT (customer_id, location_id) DO UPDATE SET through_day = excluded.through_day
""")


async def kept(
    connection: AsyncConnection, todays: Mapping[LocationKey, date], item_id: str | None = None
) -> list[Kept]:
    """Return the records of locations, or that of one item there, that were ever counted or reported, by their keys.

    ``todays`` is the day that runs at each of the locations.
    """
    result = await connection.execute(_KEPT, {**_places(todays), "todays": list(todays.values()), "item_id": item_id})
    return [_kept(row) for row in result]


def _places(places: Collection[LocationKey]) -> dict[str, object]:
    return {
        "customers": [customer for customer, _ in places],
        "locations": [location for _, location in places],
    }


def _kept(row: Sequence[Any]) -> Kept:
    (
        customer_id, location_id, item_id, counted_at, counted, unavailable, reserved, backlog, moved, received,
        on_order, in_transit, probably_received, known_since, expected, drift, looked_on, last_sold, last_received,
        selling_days, sold, first_sold,
    ) = row  # fmt: skip
    return Kept(
        Key(customer_id, location_id, item_id),
        Balance(counted_at, counted, unavailable, reserved, backlog, moved, received),
        Supply(on_order, in_transit, probably_received),
        known_since,
        looked_on,
        list(zip(expected, drift, strict=True)) if expected else (),
        last_sold,
        last_received,
        selling_days,
        sold,
        0 if first_sold is None or last_sold is None else (last_sold - first_sold).days + 1,
    )


_OF_THE_KEY = """
    customer_id = position.customer_id AND location_id = position.location_id AND item_id = position.item_id
"""
# Days of counts by UTC: a few hours do not matter to how old a record is.
_KEPT = text(f"""
    SELECT position.customer_id, position.location_id, position.item_id, counted_at, counted, unavailable, reserved,
           backlog, moved, position.received, on_order, in_transit, probably_received, counts.known_since,
           counts.expected, counts.drift, looked.as_of::date AS looked_on, last_sold.day AS last_sold,
           last_received.day AS last_received, sales.selling_days, sales.sold, sales.first_in_window
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:todays AS date[]))
        AS site (customer_id, location_id, today)
    JOIN position USING (customer_id, location_id)
    CROSS JOIN LATERAL (
        SELECT min(as_of)::date AS known_since, array_agg(expected) FILTER (WHERE drift <> 0) AS expected,
               array_agg(drift) FILTER (WHERE drift <> 0) AS drift
        FROM (
            SELECT as_of, expected, drift FROM reconciliation WHERE {_OF_THE_KEY} AND NOT due
            ORDER BY as_of DESC LIMIT {MOST_COUNTS}
        ) AS last_ones
    ) AS counts
    LEFT JOIN LATERAL (
        SELECT as_of FROM reconciliation
        WHERE {_OF_THE_KEY} AND NOT due AND cause = '{Cause.COUNT_RECONCILE.value}' ORDER BY as_of DESC LIMIT 1
    ) AS looked ON true
    LEFT JOIN LATERAL (
        SELECT day FROM daily_balance WHERE {_OF_THE_KEY} AND day <= site.today AND sold > 0 ORDER BY day DESC LIMIT 1
    ) AS last_sold ON true
    LEFT JOIN LATERAL (
        SELECT day FROM daily_balance
        WHERE {_OF_THE_KEY} AND day <= site.today AND day > coalesce(last_sold.day, '-infinity') AND received > 0
        ORDER BY day DESC LIMIT 1
    ) AS last_received ON true
    CROSS JOIN LATERAL (
        SELECT count(*)::int AS selling_days, coalesce(sum(daily_balance.sold), 0) AS sold,
               min(day) AS first_in_window
        FROM daily_balance
        WHERE {_OF_THE_KEY} AND daily_balance.sold > 0
          AND day > last_sold.day - {WINDOW_DAYS} AND day <= last_sold.day
    ) AS sales
    WHERE (CAST(:item_id AS text) IS NULL OR position.item_id = :item_id) AND counts.known_since IS NOT NULL
    ORDER BY position.customer_id, position.location_id, position.item_id
""")  # noqa: S608 - our own words


async def waiting(connection: AsyncConnection, places: Collection[LocationKey]) -> dict[LocationKey, set[str]]:
    """Return the items of each location for which a count is asked already."""
    found: dict[LocationKey, set[str]] = {place: set() for place in places}
    for customer_id, location_id, item_id in await connection.execute(_WAITING, _places(places)):
        found[customer_id, location_id].add(item_id)
    return found


_WAITING = text("""
    SELECT customer_id, location_id, item_id
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[])) AS wanted (customer_id, location_id)
    JOIN count_request USING (customer_id, location_id)
    WHERE answered_at IS NULL
""")


async def ask(connection: AsyncConnection, requests: Sequence[Request]) -> None:
    """Write requests."""
    if requests:
        await connection.execute(
            _ASK,
            {
                "customers": [one.key.customer_id for one in requests],
                "locations": [one.key.location_id for one in requests],
                "items": [one.key.item_id for one in requests],
                "ids": [one.request_id for one in requests],
                "days": [one.requested_on for one in requests],
                "ats": [one.requested_at for one in requests],
                "reasons": [one.reason.value for one in requests],
                "expected": [one.expected for one in requests],
                "confidences": [one.confidence for one in requests],
            },
        )


_ASK = text("""
    INSERT INTO count_request (
        customer_id, location_id, item_id, request_id, requested_on, requested_at, reason, expected, confidence)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:ids AS uuid[]),
        CAST(:days AS date[]), CAST(:ats AS timestamptz[]), CAST(:reasons AS text[]), CAST(:expected AS numeric[]),
        CAST(:confidences AS double precision[]))
""")


async def answer(connection: AsyncConnection, counts: Sequence[tuple[Key, datetime, Decimal]]) -> list[Request]:
    """Let counts answer what was asked of their keys before them; return the requests that were waiting."""
    if not counts:
        return []
    result = await connection.execute(
        _ANSWER,
        {
            "customers": [key.customer_id for key, _, _ in counts],
            "locations": [key.location_id for key, _, _ in counts],
            "items": [key.item_id for key, _, _ in counts],
            "ats": [as_of for _, as_of, _ in counts],
            "counted": [counted for _, _, counted in counts],
        },
    )
    return [_request(row) for row in result]


_NAMES = """
    customer_id, location_id, item_id, request_id, requested_on, requested_at, reason, expected, confidence,
    answered_at, counted
"""
_OF_REQUEST = ", ".join(f"request.{name.strip()}" for name in _NAMES.split(","))
_ANSWER = text(f"""
    UPDATE count_request AS request SET answered_at = count.at, counted = count.counted
    FROM (
        SELECT DISTINCT ON (customer_id, location_id, item_id) customer_id, location_id, item_id, at, counted
        FROM unnest(
            CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]),
            CAST(:ats AS timestamptz[]), CAST(:counted AS numeric[])
        ) AS count (customer_id, location_id, item_id, at, counted)
        ORDER BY customer_id, location_id, item_id, at DESC
    ) AS count
    WHERE request.customer_id = count.customer_id AND request.location_id = count.location_id
      AND request.item_id = count.item_id AND request.answered_at IS NULL AND request.requested_at <= count.at
    RETURNING {_OF_REQUEST}
""")  # noqa: S608 - our own words


async def listed(
    connection: AsyncConnection,
    *,
    customer_id: str | None = None,
    location_id: str | None = None,
    answered: bool = False,
    at_most: int = 100,
) -> list[Request]:
    """Return requests, the latest first: those that wait, or with ``answered`` all."""
    result = await connection.execute(
        _LISTED,
        {"customer_id": customer_id, "location_id": location_id, "answered": answered, "at_most": at_most},
    )
    return [_request(row) for row in result]


_LISTED = text(f"""
    SELECT {_NAMES} FROM count_request
    WHERE (:answered OR answered_at IS NULL)
      AND (CAST(:customer_id AS text) IS NULL OR customer_id = :customer_id)
      AND (CAST(:location_id AS text) IS NULL OR location_id = :location_id)
    ORDER BY requested_at DESC, customer_id, location_id, item_id LIMIT :at_most
""")  # noqa: S608 - our own words


def _request(row: Row[tuple[object, ...]]) -> Request:
    return Request(
        key=Key(row.customer_id, row.location_id, row.item_id),
        request_id=row.request_id,
        requested_on=row.requested_on,
        requested_at=row.requested_at,
        reason=Reason(row.reason),
        expected=row.expected,
        confidence=row.confidence,
        answered_at=row.answered_at,
        counted=row.counted,
    )
