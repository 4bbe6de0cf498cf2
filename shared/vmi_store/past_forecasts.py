"""Forecasts as they were at their time, and the demand that came after them."""

from collections.abc import Sequence
from datetime import date
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass

DAYS_AHEAD: Final = 28
QUANTILES: Final = (0.5, 0.9, 0.95)
"""Of the sum of the first seven days."""
KEPT_DAYS: Final = 182
YEAR_1: Final = date(1, 1, 1)

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Saying:
    """What one forecast said."""

    key: Key
    made_on: date
    """The last closed day it knew."""
    means: Floats
    """Of each of the ``DAYS_AHEAD`` days after it, base units."""
    quantiles: Floats


async def keep(connection: AsyncConnection, sayings: Sequence[Saying]) -> None:
    """Keep what was said, unless something of that day is kept already; forget what is older than half a year."""
    if not sayings:
        return
    columns = _columns([one.key for one in sayings]) | {"made_ons": [one.made_on for one in sayings]}
    said = [np.concatenate([one.means, one.quantiles]).astype("<f4").tobytes() for one in sayings]
    await connection.execute(_KEEP, columns | {"said": said})
    await connection.execute(_FORGET, columns | {"kept_days": KEPT_DAYS})


_KEEP = text("""
    INSERT INTO forecast_archive (customer_id, location_id, item_id, made_on, said)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:made_ons AS date[]),
        CAST(:said AS bytea[]))
    ON CONFLICT (customer_id, location_id, item_id, made_on) DO NOTHING
""")
_FORGET = text("""
    DELETE FROM forecast_archive AS old
    USING unnest(
        CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:made_ons AS date[])
    ) AS new (customer_id, location_id, item_id, made_on)
    WHERE old.customer_id = new.customer_id AND old.location_id = new.location_id AND old.item_id = new.item_id
      AND old.made_on < new.made_on - CAST(:kept_days AS int)
""")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a forecast said and what came: NaN for days that are not closed, and those not observed whole."""

    said: Saying
    wanted: Floats
    last_week: float
    """Demand of the week before it was made."""


async def outcomes(
    connection: AsyncConnection,
    *,
    customer_id: str | None = None,
    location_id: str | None = None,
    item_id: str | None = None,
    made_after: date | None = None,
) -> list[Outcome]:
    """Return what was said (after a day) and what came after it, of all keys that are meant."""
    meant = {"customer": customer_id, "location": location_id, "item": item_id, "made_after": made_after}
    result = await connection.execute(_OUTCOMES, {**meant, "ahead": DAYS_AHEAD})
    found = []
    for row in result:
        figures = np.frombuffer(row.said, "<f4").astype(np.float64)
        made_on = row.made_on.toordinal()
        wanted = np.zeros(DAYS_AHEAD + 7)
        for day, demand in zip(row.days or (), row.demand or (), strict=True):
            wanted[day + YEAR_1.toordinal() - made_on + 6] = demand
        for day in row.corrected or ():
            wanted[day + YEAR_1.toordinal() - made_on + 6] = np.nan
        closed = row.through_day.toordinal() - made_on
        ahead = wanted[7:]
        ahead[max(closed, 0) :] = np.nan
        key = Key(row.customer_id, row.location_id, row.item_id)
        saying = Saying(key, row.made_on, figures[:DAYS_AHEAD], figures[DAYS_AHEAD:])
        found.append(Outcome(saying, ahead, float(wanted[:7].sum())))
    return found


_OUTCOMES = text("""
    SELECT archive.customer_id, archive.location_id, archive.item_id, archive.made_on, archive.said,
           forecast_location.through_day, sold.days, sold.demand, partly.days AS corrected
    FROM forecast_archive AS archive
    JOIN forecast_location USING (customer_id, location_id)
    CROSS JOIN LATERAL (
        SELECT array_agg(day - DATE '0001-01-01') AS days,
               array_agg(CAST(balance.sold + balance.lost AS double precision)) AS demand
        FROM daily_balance AS balance
        WHERE balance.customer_id = archive.customer_id AND balance.location_id = archive.location_id
          AND balance.item_id = archive.item_id
          AND day > archive.made_on - 7 AND day <= archive.made_on + CAST(:ahead AS int)
    ) AS sold
    CROSS JOIN LATERAL (
        SELECT array_agg(day - DATE '0001-01-01') AS days
        FROM corrected_demand AS corrected
        WHERE corrected.customer_id = archive.customer_id AND corrected.location_id = archive.location_id
          AND corrected.item_id = archive.item_id
          AND day > archive.made_on - 7 AND day <= archive.made_on + CAST(:ahead AS int)
    ) AS partly
    WHERE (CAST(:customer AS text) IS NULL OR archive.customer_id = :customer)
      AND (CAST(:location AS text) IS NULL OR archive.location_id = :location)
      AND (CAST(:item AS text) IS NULL OR archive.item_id = :item)
      AND (CAST(:made_after AS date) IS NULL OR archive.made_on > :made_after)
    ORDER BY archive.customer_id, archive.location_id, archive.item_id, archive.made_on
""")


def _columns(keys: Sequence[Key]) -> dict[str, object]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }
