"""Feeds: up to when each location's documents of a kind have told, and which of them are watched."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.feeds import Feed, FeedKind
from vmi_domain.values import dataclass

LocationKey = tuple[str, str]
"""Customer and location."""
FeedKey = tuple[str, str, FeedKind]
"""Customer, location and kind."""


@dataclass(frozen=True, slots=True)
class Watched:
    """A feed as it stands."""

    feed: Feed
    stale_since: datetime | None
    due_at: datetime | None


async def advance(connection: AsyncConnection, reached: Mapping[FeedKey, datetime]) -> None:
    """Move feeds forward, never back. One that is stale is to be looked at at once."""
    if reached:
        keys = sorted(reached)
        await connection.execute(_ADVANCE, _columns(keys) | {"reached": [reached[key] for key in keys]})


_ADVANCE = text("""
    INSERT INTO feed (customer_id, location_id, kind, reached_at)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:kinds AS text[]), CAST(:reached AS timestamptz[]))
    ON CONFLICT (customer_id, location_id, kind) DO UPDATE SET
        reached_at = excluded.reached_at,
        due_at = CASE WHEN feed.stale_since IS NULL THEN feed.due_at ELSE 'epoch' END
        WHERE feed.reached_at IS NULL OR feed.reached_at < excluded.reached_at
""")


async def watch(connection: AsyncConnection, since: Mapping[LocationKey, datetime], watched: Sequence[FeedKey]) -> None:
    """Look at once at the feeds of locations whose agreements changed; from now on also at ``watched``."""
    if watched:
        await connection.execute(_WATCH, _columns(watched) | {"since": [since[key[:2]] for key in watched]})
    if since:
        places = sorted(since)
        customers, locations = [place[0] for place in places], [place[1] for place in places]
        await connection.execute(_LOOK, {"customers": customers, "locations": locations})


_WATCH = text("""
    INSERT INTO feed (customer_id, location_id, kind, watched_since, due_at)
    SELECT customer_id, location_id, kind, since, 'epoch'
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:kinds AS text[]), CAST(:since AS timestamptz[])
    ) AS watched (customer_id, location_id, kind, since)
    ORDER BY customer_id, location_id, kind
    ON CONFLICT (customer_id, location_id, kind) DO UPDATE
        SET watched_since = coalesce(feed.watched_since, excluded.watched_since), due_at = 'epoch'
""")
_LOOK = text("""
    UPDATE feed SET due_at = 'epoch'
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[])) AS changed (customer_id, location_id)
    WHERE feed.customer_id = changed.customer_id AND feed.location_id = changed.location_id AND feed.due_at IS NOT NULL
""")


async def due(connection: AsyncConnection, now: datetime | None, *, at_most: int) -> dict[LocationKey, datetime]:
    """Return locations with a feed that was to be looked at before ``now``, each with its *now*.

    Without ``now`` each location's own is how far its facts have reached.
    """
    result = await connection.execute(_DUE if now else _DUE_BY_EVENTS, {"now": now, "at_most": at_most})
    return {(row.customer_id, row.location_id): row.now for row in result}


_DUE = text("""
    SELECT DISTINCT customer_id, location_id, CAST(:now AS timestamptz) AS now
    FROM (SELECT customer_id, location_id FROM feed WHERE due_at < :now ORDER BY due_at LIMIT :at_most) AS due
""")
_DUE_BY_EVENTS = text("""
    SELECT DISTINCT customer_id, location_id, reached.reached_at AS now
    FROM feed JOIN location_watermark AS reached USING (customer_id, location_id)
    WHERE feed.due_at < reached.reached_at AND CAST(:now AS timestamptz) IS NULL LIMIT :at_most
""")


async def read(connection: AsyncConnection, locations: Sequence[LocationKey]) -> dict[FeedKey, Watched]:
    """Return the feeds there are of these locations."""
    result = await connection.execute(_READ, _places(locations))
    return _feeds(result.all())


async def lock(connection: AsyncConnection, locations: Sequence[LocationKey]) -> dict[FeedKey, Watched]:
    """Hold the feeds there are of these locations, in their order, and return them."""
    result = await connection.execute(_LOCK, _places(locations))
    return _feeds(result.all())


_READ = text("""
    SELECT customer_id, location_id, kind, reached_at, watched_since, stale_since, due_at
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[])) AS wanted (customer_id, location_id)
    JOIN feed USING (customer_id, location_id)
    ORDER BY customer_id, location_id, kind
""")
_LOCK = text(f"{_READ.text} FOR NO KEY UPDATE OF feed")


async def keep(connection: AsyncConnection, feeds: Mapping[FeedKey, Watched]) -> None:
    """Write since when feeds are stale and when to look again. The caller holds them."""
    if feeds:
        keys = sorted(feeds)
        stale = [feeds[key].stale_since for key in keys]
        await connection.execute(
            _KEEP, _columns(keys) | {"stale": stale, "due_ats": [feeds[key].due_at for key in keys]}
        )


_KEEP = text("""
    UPDATE feed SET stale_since = kept.stale_since, due_at = kept.due_at
    FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:kinds AS text[]), CAST(:stale AS timestamptz[]),
        CAST(:due_ats AS timestamptz[])
    ) AS kept (customer_id, location_id, kind, stale_since, due_at)
    WHERE feed.customer_id = kept.customer_id AND feed.location_id = kept.location_id AND feed.kind = kept.kind
""")


async def cadences(connection: AsyncConnection, on: Mapping[LocationKey, date]) -> dict[FeedKey, timedelta]:
    """Return the shortest cadence agreed for each feed of these locations on their days; not of unwatched ones."""
    places = sorted(on)
    result = await connection.execute(_CADENCES, _places(places) | {"days": [on[place] for place in places]})
    found = {}
    for row in result:
        for kind in FeedKind:
            if (hours := getattr(row, kind.value)) is not None:
                found[row.customer_id, row.location_id, kind] = timedelta(hours=hours)
    return found


_CADENCES = text("""
    SELECT customer_id, location_id, min((terms ->> 'stock_cadence_hours')::float) AS stock,
           min((terms ->> 'sales_cadence_hours')::float) AS sales,
           min((terms ->> 'orders_cadence_hours')::float) AS orders
    FROM (
        SELECT DISTINCT ON (customer_id, location_id, item_id, supplier_id) customer_id, location_id, terms
        FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:days AS date[]))
            AS wanted (customer_id, location_id, day)
        JOIN agreement USING (customer_id, location_id)
        WHERE effective_from <= day AND (effective_to IS NULL OR effective_to >= day)
        ORDER BY customer_id, location_id, item_id, supplier_id, effective_from DESC
    ) AS in_force
    GROUP BY customer_id, location_id
""")


async def listed(connection: AsyncConnection, *, customer_id: str | None = None) -> dict[FeedKey, Watched]:
    """Return all feeds, or those of one customer."""
    return _feeds((await connection.execute(_LISTED, {"customer_id": customer_id})).all())


_LISTED = text("""
    SELECT customer_id, location_id, kind, reached_at, watched_since, stale_since, due_at FROM feed
    WHERE CAST(:customer_id AS text) IS NULL OR customer_id = :customer_id ORDER BY customer_id, location_id, kind
""")


def _feeds(rows: Sequence[Row[tuple[object, ...]]]) -> dict[FeedKey, Watched]:
    return {
        (row.customer_id, row.location_id, FeedKind(row.kind)): Watched(
            Feed(row.reached_at, row.watched_since), row.stale_since, row.due_at
        )
        for row in rows
    }


def _columns(keys: Sequence[FeedKey]) -> dict[str, object]:
    return {
        "customers": [key[0] for key in keys],
        "locations": [key[1] for key in keys],
        "kinds": [key[2].value for key in keys],
    }


def _places(locations: Sequence[LocationKey]) -> dict[str, object]:
    distinct = sorted(set(locations))
    return {"customers": [place[0] for place in distinct], "locations": [place[1] for place in distinct]}
