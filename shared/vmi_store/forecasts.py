"""Forecasts: the state of each key, some of its past ones, and up to which day each location is closed.

Who writes them has the turn of forecasting at their locations (``vmi_store.turns``).
"""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain import forecasting
from vmi_domain.days import SiteCalendar
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_store import columns

State = NDArray[np.float32]
States = NDArray[np.float32]
"""A row a series."""


class Location(NamedTuple):
    """A customer's location."""

    customer_id: str
    location_id: str


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was learned of one key's demand."""

    key: Key
    version: int
    through: date
    """The last closed day it has learned from."""
    began_on: date
    """The first one."""
    state: State | None
    """None where it was kept in another layout and is to be learned anew."""
    told_level: float = 0.0
    """The demand level subscribers were last told of, base units."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A key's state after one past day."""

    key: Key
    through: date
    state: State


@dataclass(frozen=True, slots=True)
class Site:
    """What decides which of a location's days are closed."""

    calendar: SiteCalendar
    reached_at: datetime | None
    """The watermark; None before the first fact."""
    closed_through: date | None
    """The last day that was closed here."""


async def sites(connection: AsyncConnection, locations: Sequence[Location]) -> dict[Location, Site]:
    """Return these locations; one that no catalogue names keeps UTC days."""
    result = await connection.execute(_SITES, _location_columns(locations))
    return {_location(row): _site(row) for row in result}


_LOCATIONS = "unnest(CAST(:customers AS text[]), CAST(:locations AS text[]))"
_SITES = text(f"""
    SELECT wanted.customer_id, wanted.location_id, location.time_zone, location.day_ends_at,
           location_watermark.reached_at, forecast_location.through_day
    FROM {_LOCATIONS} AS wanted (customer_id, location_id)
    LEFT JOIN location USING (customer_id, location_id)
    LEFT JOIN location_watermark USING (customer_id, location_id)
    LEFT JOIN forecast_location USING (customer_id, location_id)
""")  # noqa: S608 - our own words


async def locations_behind(connection: AsyncConnection, reached_at: datetime, *, at_most: int) -> list[Location]:
    """Return some of the locations that have not closed all their days that are over at ``reached_at``."""
    # No day anywhere is more than 14 hours ahead of UTC's: what has closed that one is not behind.
    latest = (reached_at + _FARTHEST_EAST).date() - timedelta(days=1)
    result = await connection.execute(_LOCATIONS_BEHIND, {"latest": latest})
    behind = (_location(row) for row in result if row.through_day < _calendar(row).last_closed_day(reached_at))
    return list(islice(behind, at_most))


_FARTHEST_EAST = timedelta(hours=14)
_LOCATIONS_BEHIND = text("""
    SELECT customer_id, location_id, location.time_zone, location.day_ends_at, forecast_location.through_day
    FROM forecast_location
    LEFT JOIN location USING (customer_id, location_id)
    WHERE forecast_location.through_day < :latest
    ORDER BY customer_id, location_id
""")


async def read(connection: AsyncConnection, keys: Iterable[Key]) -> dict[Key, Forecast]:
    """Return the forecasts there are of these keys."""
    ordered = sorted(keys)
    return _forecasts((await connection.execute(_READ, columns.of_keys(ordered))).all()) if ordered else {}


async def at(connection: AsyncConnection, locations: Sequence[Location]) -> dict[Key, Forecast]:
    """Return all forecasts there are at these locations."""
    return _forecasts((await connection.execute(_AT, _location_columns(locations))).all()) if locations else {}


_COLUMNS = """
    forecast.customer_id, forecast.location_id, forecast.item_id, version, through_day, began_on, layout, state,
    told_level
"""
_KEYS = f"unnest({columns.KEYS})"
_READ = text(f"""
    SELECT {_COLUMNS} FROM {_KEYS} AS wanted (customer_id, location_id, item_id)
    JOIN forecast USING (customer_id, location_id, item_id)
""")  # noqa: S608 - our own words
_AT = text(f"""
    SELECT {_COLUMNS} FROM {_LOCATIONS} AS wanted (customer_id, location_id)
    JOIN forecast USING (customer_id, location_id)
""")  # noqa: S608 - our own words


async def states(connection: AsyncConnection, keys: Sequence[Key]) -> States:
    """Return the states of keys, a row each in their order; of zeros where there is none, or none in today's layout."""
    found = np.zeros((len(keys), forecasting.WIDTH), np.float32)
    if keys:
        rows = (await connection.execute(_STATES, {**columns.of_keys(keys), "layout": forecasting.LAYOUT})).all()
        if rows:
            places, kept = zip(*rows, strict=True)
            found[np.array(places) - 1] = forecasting.from_bytes(kept)
    return found


_STATES = text(f"""
    SELECT wanted.place, forecast.state
    FROM {_KEYS} WITH ORDINALITY AS wanted (customer_id, location_id, item_id, place)
    JOIN forecast USING (customer_id, location_id, item_id)
    WHERE layout = :layout
""")  # noqa: S608 - our own words


async def unknown(connection: AsyncConnection, keys: Iterable[Key]) -> set[Key]:
    """Return which of these keys have no forecast."""
    ordered = sorted(keys)
    if not ordered:
        return set()
    return {Key(*row) for row in (await connection.execute(_UNKNOWN, columns.of_keys(ordered))).all()}


_UNKNOWN = text(f"""
    SELECT customer_id, location_id, item_id
    FROM {_KEYS} AS wanted (customer_id, location_id, item_id)
    LEFT JOIN forecast USING (customer_id, location_id, item_id)
    WHERE forecast.version IS NULL
""")  # noqa: S608 - our own words


async def keys_with_a_position(connection: AsyncConnection, locations: Sequence[Location]) -> list[Key]:
    """Return the keys of these locations that have a position, with a forecast or without."""
    result = await connection.execute(_KEYS_WITH_A_POSITION, _location_columns(locations))
    return [_key(row) for row in result]


_KEYS_WITH_A_POSITION = text(f"""
    SELECT customer_id, location_id, item_id
    FROM {_LOCATIONS} AS wanted (customer_id, location_id)
    JOIN position USING (customer_id, location_id)
""")  # noqa: S608 - our own words


async def write(connection: AsyncConnection, forecasts: Sequence[Forecast]) -> None:
    """Put forecasts in the place of those there were; a version above 1 says that there was one."""
    for statement, some in (
        (_ADD, [forecast for forecast in forecasts if forecast.version == 1]),
        (_REPLACE, [forecast for forecast in forecasts if forecast.version > 1]),
    ):
        if some:
            await connection.execute(
                statement,
                {
                    **columns.of_keys([forecast.key for forecast in some]),
                    "versions": [forecast.version for forecast in some],
                    "throughs": [forecast.through for forecast in some],
                    "began_ons": [forecast.began_on for forecast in some],
                    "states": _bytes([forecast.state for forecast in some]),
                    "told_levels": [forecast.told_level for forecast in some],
                    "layout": forecasting.LAYOUT,
                },
            )


_LEARNED = f"""
    unnest(
        {columns.KEYS}, CAST(:versions AS bigint[]), CAST(:throughs AS date[]), CAST(:began_ons AS date[]),
        CAST(:states AS bytea[]), CAST(:told_levels AS double precision[])
    ) AS learned (customer_id, location_id, item_id, version, through_day, began_on, state, told_level)
"""
_ADD = text(f"""
    INSERT INTO forecast (
        customer_id, location_id, item_id, version, through_day, began_on, layout, state, told_level
    )
    SELECT customer_id, location_id, item_id, version, through_day, began_on, CAST(:layout AS smallint), state,
           told_level
    FROM {_LEARNED}
    ON CONFLICT (customer_id, location_id, item_id) DO UPDATE SET
        version = excluded.version, through_day = excluded.through_day, began_on = excluded.began_on,
        layout = excluded.layout, state = excluded.state, told_level = excluded.told_level
""")  # noqa: S608 - our own words
# An upsert would find, lock and log each row once more.
_REPLACE = text(f"""
    UPDATE forecast SET
        version = learned.version, through_day = learned.through_day, began_on = learned.began_on,
        layout = CAST(:layout AS smallint), state = learned.state, told_level = learned.told_level
    FROM {_LEARNED}
    WHERE forecast.customer_id = learned.customer_id AND forecast.location_id = learned.location_id
      AND forecast.item_id = learned.item_id
""")  # noqa: S608 - our own words


async def checkpoints_before(connection: AsyncConnection, days: Sequence[tuple[Key, date]]) -> dict[Key, Checkpoint]:
    """Return for each key its last kept state of before a day, where there is one in today's layout."""
    if not days:
        return {}
    result = await connection.execute(
        _CHECKPOINTS_BEFORE,
        {**columns.of_keys([key for key, _ in days]), "days": [day for _, day in days], "layout": forecasting.LAYOUT},
    )
    rows = result.all()
    states = forecasting.from_bytes([row.state for row in rows])
    return {_key(row): Checkpoint(_key(row), row.through_day, states[place]) for place, row in enumerate(rows)}


_CHECKPOINTS_BEFORE = text(f"""
    SELECT late.customer_id, late.location_id, late.item_id, kept.through_day, kept.state
    FROM unnest({columns.KEYS}, CAST(:days AS date[])) AS late (customer_id, location_id, item_id, day)
    CROSS JOIN LATERAL (
        SELECT through_day, state FROM forecast_checkpoint AS checkpoint
        WHERE checkpoint.customer_id = late.customer_id AND checkpoint.location_id = late.location_id
          AND checkpoint.item_id = late.item_id AND checkpoint.through_day < late.day AND layout = :layout
        ORDER BY through_day DESC LIMIT 1
    ) AS kept
""")  # noqa: S608 - our own words


async def keep_checkpoints(connection: AsyncConnection, checkpoints: Sequence[Checkpoint]) -> None:
    """Keep past states, in the place of those of the same days."""
    if checkpoints:
        await connection.execute(
            _KEEP_CHECKPOINTS,
            {
                **columns.of_keys([checkpoint.key for checkpoint in checkpoints]),
                "throughs": [checkpoint.through for checkpoint in checkpoints],
                "states": _bytes([checkpoint.state for checkpoint in checkpoints]),
                "layout": forecasting.LAYOUT,
            },
        )


_KEEP_CHECKPOINTS = text(f"""
    INSERT INTO forecast_checkpoint (customer_id, location_id, item_id, through_day, layout, state)
    SELECT customer_id, location_id, item_id, through_day, CAST(:layout AS smallint), state
    FROM unnest({columns.KEYS}, CAST(:throughs AS date[]), CAST(:states AS bytea[]))
         AS kept (customer_id, location_id, item_id, through_day, state)
    ON CONFLICT (customer_id, location_id, item_id, through_day) DO UPDATE SET
        layout = excluded.layout, state = excluded.state
""")  # noqa: S608 - our own words


async def forget_checkpoints(connection: AsyncConnection, keys: Sequence[Key], kept: Sequence[date]) -> None:
    """Delete the past states of these keys but those of the ``kept`` days."""
    if not keys:
        return
    await connection.execute(_FORGET_CHECKPOINTS, {**columns.of_keys(keys), "kept": list(kept)})


_FORGET_CHECKPOINTS = text(f"""
    DELETE FROM forecast_checkpoint AS checkpoint
    USING {_KEYS} AS grown (customer_id, location_id, item_id)
    WHERE checkpoint.customer_id = grown.customer_id AND checkpoint.location_id = grown.location_id
      AND checkpoint.item_id = grown.item_id AND checkpoint.through_day <> ALL (CAST(:kept AS date[]))
""")  # noqa: S608 - our own words


async def close(connection: AsyncConnection, closed: Sequence[tuple[Location, date]]) -> None:
    """Write up to which day locations are closed; never back."""
    if closed:
        await connection.execute(
            _CLOSE,
            {**_location_columns([location for location, _ in closed]), "throughs": [through for _, through in closed]},
        )


_CLOSE = text("""
    INSERT INTO forecast_location (customer_id, location_id, through_day)
    SELECT customer_id, location_id, through_day
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:throughs AS date[]))
         AS closed (customer_id, location_id, through_day)
    ORDER BY customer_id, location_id
    ON CONFLICT (customer_id, location_id) DO UPDATE SET through_day = excluded.through_day
    WHERE forecast_location.through_day < excluded.through_day
""")


def _location_columns(locations: Sequence[Location]) -> dict[str, object]:
    return {
        "customers": [location.customer_id for location in locations],
        "locations": [location.location_id for location in locations],
    }


def _location(row: Row[tuple[object, ...]]) -> Location:
    return Location(row.customer_id, row.location_id)


def _site(row: Row[tuple[object, ...]]) -> Site:
    return Site(_calendar(row), row.reached_at, row.through_day)


def _calendar(row: Row[tuple[object, ...]]) -> SiteCalendar:
    return SiteCalendar() if row.time_zone is None else SiteCalendar(row.time_zone, row.day_ends_at)


def _key(row: Row[tuple[object, ...]]) -> Key:
    return Key(row.customer_id, row.location_id, row.item_id)


def _forecasts(rows: Sequence[Any]) -> dict[Key, Forecast]:
    states = iter(forecasting.from_bytes([row.state for row in rows if row.layout == forecasting.LAYOUT]))
    found = {}
    for customer, location, item, version, through, began_on, layout, _, told_level in rows:
        key = Key(customer, location, item)
        state = next(states) if layout == forecasting.LAYOUT else None
        found[key] = Forecast(key, version, through, began_on, state, told_level)
    return found


def _bytes(states: Sequence[State | None]) -> list[bytes]:
    assert all(state is not None for state in states)
    return forecasting.to_bytes(np.array(states))
