"""The fold over the journal, kept incrementally: positions and daily balances, brought up to date batch by batch."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.days import SiteCalendar
from vmi_domain.stock.daily import DayEffect
from vmi_domain.stock.position import ABSOLUTE, ADDING, NOTHING, Key, Kind
from vmi_store import columns, journal, positions
from vmi_store.catalogue import LocationKey
from vmi_store.journal import JournalLine, OfKeys
from vmi_store.sums import Change, added_up


class Changed(NamedTuple):
    """A key whose facts changed."""

    key: Key
    version: int
    demand_from: date | None
    """The earliest of the site's days whose demand changed."""
    counted_at: datetime | None = None
    """As of when the last count was before the change."""
    is_confirmed: bool = False
    """Whether a count said what the facts had said already, and nothing else happened."""


async def fold(
    connection: AsyncConnection, entered: OfKeys, sites: Mapping[LocationKey, SiteCalendar]
) -> list[Changed]:
    """Bring positions and daily balances up to date for lines that were just entered in the journal.

    Takes the keys' locks. A movement after the anchor (the last count) adds its delta; one before it changes its day
    alone. A count that is the new anchor refolds its key: from daily balances, and from the journal of the anchor's
    own day. An older count changes nothing. Where a count is taken back that may be the anchor, the last one that
    stands is looked for.
    """
    if not entered:
        return []
    locked = await positions.lock(connection, list(entered))
    changes = [added_up(key, of_key, locked[key].counted_at, sites[key[:2]]) for key, of_key in entered.items()]
    applied: list[Change] = []
    told: list[_Anchor] = []
    sought: dict[Key, datetime] = {}
    for change in changes:
        anchor = _told(change, entered[change.key], locked[change.key].counted_at)
        if anchor is not None:
            told.append(anchor)
        elif change.anchor is not None and not change.is_voided:
            sought[change.key] = change.anchor
        # Where nothing moved beside the count its row is written once: that is most of what is reported.
        if anchor is None or not anchor.is_alone:
            applied.append(change)
    await _apply(connection, applied)
    if voided := [change.key for change in changes if change.is_voided]:
        standing = await _last_counts(connection, voided)
        sought |= standing
        await _unanchor(connection, [key for key in voided if key not in standing])
    confirmed = await _refold(connection, _REFOLD_TOLD, told, sites)
    confirmed |= await _refold(connection, _REFOLD, [_Anchor(key, at) for key, at in sought.items()], sites)
    # An order or a shipment beside the count moves no stock, and is news all the same.
    confirmed = {key for key in confirmed if all(line.kind in ABSOLUTE for line in entered[key])}
    return [
        Changed(
            change.key,
            locked[change.key].version + 1,
            change.demand_from,
            locked[change.key].counted_at,
            change.key in confirmed,
        )
        for change in changes
    ]


class _Anchor(NamedTuple):
    """A count from which its key is folded anew."""

    key: Key
    at: datetime
    line: JournalLine | None = None
    """None where the journal is to be asked for it."""
    is_alone: bool = False
    """Whether nothing moved beside it; the key's version is still to be counted up then."""


def _told(change: Change, lines: Sequence[JournalLine], counted_at: datetime | None) -> _Anchor | None:
    """Return a count that was just entered and is later than any that stands: nothing else can be the anchor."""
    at = change.anchor
    if at is None or change.is_voided or (counted_at is not None and at <= counted_at):
        return None
    counts = [line for line in lines if line.occurred_at == at and line.kind in ABSOLUTE]
    # In the order of vmi_domain.stock.position.Count.
    last = counts[0] if len(counts) == 1 else max(counts, key=_place)
    return _Anchor(change.key, at, last, not change.days)


def _place(count: JournalLine) -> tuple[int, Kind, bytes]:
    return (_said(count).get("revision", 0), count.kind, count.line_id)


def _said(count: JournalLine) -> dict[str, Any]:
    said: dict[str, Any] = orjson.loads(count.details) if count.details else {}
    return said


async def seed_archived_days(connection: AsyncConnection, keys: Sequence[Key]) -> None:
    """Let the days of these keys, which have none, begin with what archived lines add to them."""
    await connection.execute(_SEED_DAYS, _columns(keys))


_EFFECTS = ", ".join(name for name in DayEffect._fields if name != "day")
_SEED_DAYS = text(f"""
    INSERT INTO daily_balance (customer_id, location_id, item_id, day, {_EFFECTS})
    SELECT customer_id, location_id, item_id, day, {_EFFECTS}
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN archived_day USING (customer_id, location_id, item_id)
""")  # noqa: S608 - our own words


async def _apply(connection: AsyncConnection, changes: Sequence[Change]) -> None:
    """Add changes to days and positions. The caller holds the keys' locks."""
    if not changes:
        return
    keys: list[Key] = []
    days: list[DayEffect | None] = []
    moved: list[Decimal | None] = []
    received: list[Decimal | None] = []
    held_back: list[Decimal | None] = []
    titled: list[Decimal | None] = []
    for change in changes:
        days += change.days or (None,)
        others = len(days) - len(keys) - 1
        keys += [change.key] * (others + 1)
        moved += [change.moved] + [None] * others
        received += [change.received] + [None] * others
        held_back += [change.held_back] + [None] * others
        titled += [change.titled] + [None] * others
    written: dict[str, object] = {
        **columns.of_keys(keys),
        "days": [None if day is None else day.day for day in days],
        "moved": columns.decimals([NOTHING if day is None else day.moved for day in days]),
        "moved_after": columns.optional(moved),
    }
    if all(change.is_plain for change in changes):
        await connection.execute(_APPLY_PLAIN, written)
        return
    effects = [_NO_DAY if day is None else day for day in days]
    written |= {
        "received": columns.decimals([effect.received for effect in effects]),
        "sold": columns.decimals([effect.sold for effect in effects]),
        "returned": columns.decimals([effect.returned for effect in effects]),
        "lost": columns.decimals([effect.lost for effect in effects]),
        "held_back": columns.decimals([effect.held_back for effect in effects]),
        "titled": columns.decimals([effect.titled for effect in effects]),
        "received_after": columns.optional(received),
        "held_back_after": columns.optional(held_back),
        "titled_after": columns.optional(titled),
    }
    await connection.execute(_APPLY, written)


_NO_DAY = DayEffect(date.min)

# A row a key and day, neither twice; what is added to the position stands on the first row of its key.
_OF_THE_KEY = """
    position.customer_id = change.customer_id AND position.location_id = change.location_id
    AND position.item_id = change.item_id
"""
_CHANGES = """
    string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
    string_to_array(CAST(:items AS text), chr(10)), CAST(:days AS date[]),
    string_to_array(CAST(:moved AS text), chr(10)), string_to_array(CAST(:moved_after AS text), chr(10), '')
"""
# Days that are there are updated, the others inserted. Under the key's lock that is safe, and it takes half the time of
# an upsert, which locks each row before it writes it.
_OF_THE_DAY = """
    balance.customer_id = change.customer_id AND balance.location_id = change.location_id
    AND balance.item_id = change.item_id AND balance.day = change.day
"""
_APPLY_PLAIN = text(f"""
    WITH change AS MATERIALIZED (
        SELECT customer_id, location_id, item_id, day, moved::numeric AS moved, moved_after::numeric AS moved_after,
               place
        FROM unnest({_CHANGES}) WITH ORDINALITY
            AS change (customer_id, location_id, item_id, day, moved, moved_after, place)
    ), known_day AS (
        UPDATE daily_balance AS balance SET moved = balance.moved + change.moved, sold = balance.sold - change.moved
        FROM change WHERE {_OF_THE_DAY}
        RETURNING change.place
    ), new_day AS (
        INSERT INTO daily_balance (customer_id, location_id, item_id, day, moved, sold)
        SELECT customer_id, location_id, item_id, day, moved, -moved FROM change
        WHERE day IS NOT NULL AND place NOT IN (SELECT place FROM known_day)
    )
    UPDATE position SET version = position.version + 1, moved = position.moved + change.moved_after
    FROM change WHERE change.moved_after IS NOT NULL AND {_OF_THE_KEY}
""")  # noqa: S608 - our own words
_APPLY = text(f"""
    WITH change AS MATERIALIZED (
        SELECT customer_id, location_id, item_id, day, moved::numeric AS moved, received::numeric AS received,
               sold::numeric AS sold, returned::numeric AS returned, lost::numeric AS lost,
               held_back::numeric AS held_back, titled::numeric AS titled,
               moved_after::numeric AS moved_after, received_after::numeric AS received_after,
               held_back_after::numeric AS held_back_after, titled_after::numeric AS titled_after, place
        FROM unnest(
            {_CHANGES}, string_to_array(CAST(:received AS text), chr(10)),
            string_to_array(CAST(:sold AS text), chr(10)), string_to_array(CAST(:returned AS text), chr(10)),
            string_to_array(CAST(:lost AS text), chr(10)), string_to_array(CAST(:held_back AS text), chr(10)),
            string_to_array(CAST(:titled AS text), chr(10)),
            string_to_array(CAST(:received_after AS text), chr(10), ''),
            string_to_array(CAST(:held_back_after AS text), chr(10), ''),
            string_to_array(CAST(:titled_after AS text), chr(10), '')
        ) WITH ORDINALITY AS change (
            customer_id, location_id, item_id, day, moved, moved_after, received, sold, returned, lost, held_back,
            titled, received_after, held_back_after, titled_after, place)
    ), known_day AS (
        UPDATE daily_balance AS balance SET
            moved = balance.moved + change.moved, received = balance.received + change.received,
            sold = balance.sold + change.sold, returned = balance.returned + change.returned,
            lost = balance.lost + change.lost, held_back = balance.held_back + change.held_back,
            titled = balance.titled + change.titled
        FROM change WHERE {_OF_THE_DAY}
        RETURNING change.place
    ), new_day AS (
        INSERT INTO daily_balance (
            customer_id, location_id, item_id, day, moved, received, sold, returned, lost, held_back, titled)
        SELECT customer_id, location_id, item_id, day, moved, received, sold, returned, lost, held_back, titled
        FROM change
        WHERE day IS NOT NULL AND place NOT IN (SELECT place FROM known_day)
    )
    UPDATE position SET
        version = position.version + 1,
        moved = position.moved + change.moved_after,
        received = position.received + change.received_after,
        held_back = position.held_back + change.held_back_after, titled = position.titled + change.titled_after
    FROM change WHERE change.moved_after IS NOT NULL AND {_OF_THE_KEY}
""")  # noqa: S608 - our own words


async def _refold(
    connection: AsyncConnection,
    statement: TextClause,
    anchors: Sequence[_Anchor],
    sites: Mapping[LocationKey, SiteCalendar],
) -> set[Key]:
    """Fold keys anew from these counts; return those whose quantities are what they were before.

    The caller holds their locks; the lines are in the journal.
    """
    if not anchors:
        return set()
    days = [sites[one.key[:2]].day_up_to(one.at) for one in anchors]
    wanted: dict[str, object] = {
        **columns.of_keys([one.key for one in anchors]),
        "anchors": columns.instants([one.at for one in anchors]),
        "days": days,
        "day_ends": columns.instants([sites[one.key[:2]].end_of(day) for one, day in zip(anchors, days, strict=True)]),
        "news": columns.integers([int(one.is_alone) for one in anchors]),
    }
    if statement is _REFOLD_TOLD:
        lines = [one.line for one in anchors if one.line is not None]
        said = [_said(line) for line in lines]
        wanted |= {"counted": columns.decimals([line.quantity for line in lines])} | {
            name: columns.optional([one.get(name) for one in said])
            for name in ("unavailable", "reserved", "backlog", "supplier_owned")
        }
    return {anchors[place - 1].key for (place,) in await connection.execute(statement, wanted)}


_WANTED = """
    string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
    string_to_array(CAST(:items AS text), chr(10)), string_to_array(CAST(:anchors AS text), chr(10)),
    CAST(:days AS date[]), string_to_array(CAST(:day_ends AS text), chr(10)),
    string_to_array(CAST(:news AS text), chr(10))
"""
_AT = "'epoch'::timestamptz + {}::bigint * interval '1 microsecond'"
_OF_ANCHOR = f"""
    wanted.place, customer_id, location_id, item_id, {_AT.format("wanted.at")} AS occurred_at, wanted.day,
    {_AT.format("wanted.day_ends")} AS day_ends, wanted.news::int AS news
"""
_ANCHOR_TOLD = f"""
    SELECT {_OF_ANCHOR}, wanted.counted::numeric AS quantity, coalesce(wanted.unavailable::numeric, 0) AS unavailable,
           coalesce(wanted.reserved::numeric, 0) AS reserved, coalesce(wanted.backlog::numeric, 0) AS backlog,
           wanted.supplier_owned::numeric AS supplier_owned
    FROM unnest(
        {_WANTED}, string_to_array(CAST(:counted AS text), chr(10)),
        string_to_array(CAST(:unavailable AS text), chr(10), ''), string_to_array(CAST(:reserved AS text), chr(10), ''),
        string_to_array(CAST(:backlog AS text), chr(10), ''),
        string_to_array(CAST(:supplier_owned AS text), chr(10), '')
    ) WITH ORDINALITY AS wanted (
        customer_id, location_id, item_id, at, day, day_ends, news, counted, unavailable, reserved, backlog,
        supplier_owned, place)
"""  # noqa: S608 - our own words
# Of several counts at one instant the order of vmi_domain.stock.position.Count holds.
_ANCHOR = f"""
    SELECT DISTINCT ON (wanted.place)
           wanted.*, line.quantity,
           coalesce((line.details ->> 'unavailable')::numeric, 0) AS unavailable,
           coalesce((line.details ->> 'reserved')::numeric, 0) AS reserved,
           coalesce((line.details ->> 'backlog')::numeric, 0) AS backlog,
           (line.details ->> 'supplier_owned')::numeric AS supplier_owned
    FROM (
        SELECT {_OF_ANCHOR}
        FROM unnest({_WANTED}) WITH ORDINALITY
            AS wanted (customer_id, location_id, item_id, at, day, day_ends, news, place)
    ) AS wanted
    JOIN journal AS line USING (customer_id, location_id, item_id, occurred_at)
    WHERE line.kind IN ({Kind.REPORT:d}, {Kind.COUNT:d}) AND {journal.STANDS}
    ORDER BY wanted.place, coalesce((line.details ->> 'revision')::int, 0) DESC, line.kind DESC, line.line_id DESC
"""  # noqa: S608 - our own words


def _refolded(anchor: str) -> TextClause:
    return text(f"""
    WITH anchor AS MATERIALIZED ({anchor}), refolded AS (
        UPDATE position SET
            version = position.version + anchor.news, counted_at = anchor.occurred_at, counted = anchor.quantity,
            unavailable = anchor.unavailable, reserved = anchor.reserved, backlog = anchor.backlog,
            supplier_owned = anchor.supplier_owned,
            moved = later.moved + same_day.moved, received = later.received + same_day.received,
            held_back = later.held_back + same_day.held_back, titled = later.titled + same_day.titled,
            probably_received = CASE WHEN position.in_transit = 0 THEN 0 ELSE (
                SELECT coalesce(sum(supply.quantity), 0) FROM supply_line AS supply
                WHERE supply.customer_id = anchor.customer_id AND supply.location_id = anchor.location_id
                  AND supply.item_id = anchor.item_id AND supply.stage = 'shipped'
                  AND supply.expected_at <= anchor.occurred_at) END
        FROM anchor
        JOIN position AS before USING (customer_id, location_id, item_id)
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(balance.moved), 0) AS moved, coalesce(sum(balance.received), 0) AS received,
                   coalesce(sum(balance.held_back), 0) AS held_back, coalesce(sum(balance.titled), 0) AS titled
            FROM daily_balance AS balance
            WHERE balance.customer_id = anchor.customer_id AND balance.location_id = anchor.location_id
              AND balance.item_id = anchor.item_id AND balance.day > anchor.day
        ) AS later
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(line.quantity) FILTER (WHERE line.kind NOT IN ({Kind.RECEIPT:d}, {Kind.TITLE:d})), 0)
                       AS moved,
                   coalesce(sum(line.quantity) FILTER (WHERE line.kind = {Kind.RECEIPT:d}), 0) AS received,
                   coalesce(sum((line.details ->> 'unavailable')::numeric)
                       FILTER (WHERE line.kind IN ({Kind.SALE:d}, {Kind.ADJUSTMENT:d})), 0) AS held_back,
                   coalesce(sum(line.quantity) FILTER (WHERE line.kind = {Kind.TITLE:d}), 0) AS titled
            FROM journal AS line
            WHERE line.customer_id = anchor.customer_id AND line.location_id = anchor.location_id
              AND line.item_id = anchor.item_id
              AND line.occurred_at > anchor.occurred_at AND line.occurred_at <= anchor.day_ends
              AND line.kind IN ({", ".join(f"{kind:d}" for kind in sorted(ADDING))})
        ) AS same_day
        WHERE position.customer_id = anchor.customer_id AND position.location_id = anchor.location_id
          AND position.item_id = anchor.item_id
        RETURNING anchor.place,
                  before.counted_at IS NOT NULL AND before.received = 0 AND position.received = 0
                  AND position.counted + position.moved = before.counted + before.moved
                  AND position.unavailable = before.unavailable AND position.held_back = before.held_back
                  AND position.reserved = before.reserved AND position.backlog = before.backlog
                  AND position.titled = before.titled
                  AND position.supplier_owned IS NOT DISTINCT FROM before.supplier_owned
                  AND position.probably_received = before.probably_received AS is_confirmed
    )
    SELECT place FROM refolded WHERE is_confirmed
""")  # noqa: S608 - our own words


_REFOLD_TOLD: Final = _refolded(_ANCHOR_TOLD)
_REFOLD: Final = _refolded(_ANCHOR)


async def _last_counts(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, datetime]:
    """Return the as-of time of the last count that stands, of each key that has one."""
    return {Key(*row[:3]): row.occurred_at for row in await connection.execute(_LAST_COUNTS, _columns(keys))}


_LAST_COUNTS = text(f"""
    SELECT wanted.customer_id, wanted.location_id, wanted.item_id, count.occurred_at
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    CROSS JOIN LATERAL (
        SELECT occurred_at FROM journal AS line
        WHERE line.customer_id = wanted.customer_id AND line.location_id = wanted.location_id
          AND line.item_id = wanted.item_id AND line.kind IN ({Kind.REPORT:d}, {Kind.COUNT:d}) AND {journal.STANDS}
        ORDER BY occurred_at DESC LIMIT 1
    ) AS count
""")  # noqa: S608 - our own words


async def _unanchor(connection: AsyncConnection, keys: Sequence[Key]) -> None:
    """Fold keys anew that have no count any more: all that ever moved is what is there."""
    if keys:
        await connection.execute(_UNANCHOR, _columns(keys))


_UNANCHOR = text("""
    UPDATE position SET
        counted_at = NULL, counted = 0, unavailable = 0, reserved = 0, backlog = 0, probably_received = 0,
        supplier_owned = NULL, moved = total.moved, received = total.received, held_back = total.held_back,
        titled = total.titled
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(balance.moved), 0) AS moved, coalesce(sum(balance.received), 0) AS received,
               coalesce(sum(balance.held_back), 0) AS held_back, coalesce(sum(balance.titled), 0) AS titled
        FROM daily_balance AS balance
        WHERE balance.customer_id = wanted.customer_id AND balance.location_id = wanted.location_id
          AND balance.item_id = wanted.item_id
    ) AS total
    WHERE position.customer_id = wanted.customer_id AND position.location_id = wanted.location_id
      AND position.item_id = wanted.item_id
""")


async def count_days_anew(
    connection: AsyncConnection, location: LocationKey, site: SiteCalendar
) -> dict[Key, date | None]:
    """Make a location's daily balances anew from the journal: where its days begin has changed.

    Return its keys, each with the first day that was or is one of demand. Positions stay as they are: they depend on
    instants, not on days.
    """
    first_days: dict[Key, date | None] = {}
    keys = await positions.keys_at(connection, location)
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        some = keys[first : first + _KEYS_AT_ONCE]
        await positions.lock(connection, some)
        forgotten = {Key(*row[:3]): row.day for row in await connection.execute(_FORGET_DAYS, _columns(some))}
        await seed_archived_days(connection, some)
        found = await journal.of_keys(connection, some)
        changes = [added_up(key, found[key], None, site) for key in some]
        await _apply(connection, [change.of_days_alone for change in changes])
        for change in changes:
            days = [day for day in (forgotten.get(change.key), change.demand_from) if day is not None]
            first_days[change.key] = min(days, default=None)
    return first_days


_KEYS_AT_ONCE = 50
_FORGET_DAYS = text("""
    WITH forgotten AS (
        DELETE FROM daily_balance AS balance
        USING unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
            AS wanted (customer_id, location_id, item_id)
        WHERE balance.customer_id = wanted.customer_id AND balance.location_id = wanted.location_id
          AND balance.item_id = wanted.item_id
        RETURNING balance.customer_id, balance.location_id, balance.item_id, balance.day, balance.sold,
                  balance.returned, balance.lost
    )
    SELECT customer_id, location_id, item_id, min(day) AS day FROM forgotten
    WHERE sold <> 0 OR returned <> 0 OR lost <> 0 GROUP BY customer_id, location_id, item_id
""")


def _columns(keys: Sequence[Key]) -> dict[str, object]:
    customers, locations, items = zip(*keys, strict=True)
    return {"customers": customers, "locations": locations, "items": items}
