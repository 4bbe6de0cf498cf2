"""Watermarks: the latest time that each location's facts have reached."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

LocationKey = tuple[str, str]
"""Customer and location."""


async def advance(
    connection: AsyncConnection, reached: Mapping[LocationKey, datetime]
) -> Mapping[LocationKey, datetime]:
    """Move watermarks forward, never back, and return where they stand then."""
    locations = sorted(reached)
    result = await connection.execute(
        _ADVANCE,
        {
            "customers": [customer for customer, _ in locations],
            "locations": [location for _, location in locations],
            "reached": [reached[location] for location in locations],
        },
    )
    return {(row.customer_id, row.location_id): row.reached_at for row in result}


_ADVANCE = text("""
    INSERT INTO location_watermark AS mark (customer_id, location_id, reached_at)
    SELECT customer_id, location_id, reached_at
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:reached AS timestamptz[]))
        AS told (customer_id, location_id, reached_at)
    ON CONFLICT (customer_id, location_id) DO UPDATE SET reached_at = greatest(mark.reached_at, excluded.reached_at)
    RETURNING customer_id, location_id, reached_at
""")


async def read(connection: AsyncConnection, locations: Sequence[LocationKey]) -> Mapping[LocationKey, datetime]:
    """Return the watermarks there are of these locations."""
    ordered = sorted(set(locations))
    result = await connection.execute(
        _READ,
        {"customers": [customer for customer, _ in ordered], "locations": [location for _, location in ordered]},
    )
    return {(row.customer_id, row.location_id): row.reached_at for row in result}


_READ = text("""
    SELECT customer_id, location_id, reached_at
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[])) AS wanted (customer_id, location_id)
    JOIN location_watermark USING (customer_id, location_id)
""")
