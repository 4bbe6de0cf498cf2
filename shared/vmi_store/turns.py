"""Turns: the locks of those who decide about a location from its facts, and not of those who take facts in.

Each kind of work has a row of its own a location. Whoever forecasts or replenishes there holds it from before the first
read to the commit; whoever takes in facts holds the rows of ``position`` (``vmi_store.positions``) and no turn. So
decisions and facts never wait for each other, and a decision may be made on facts that change before it is committed.
Nothing is lost by that:

* A decision reads each key's facts in one statement: they are those of one instant, at version n.
* Whoever changes them later, to version n + 1, writes a message about it in the same transaction. It reaches a worker
  only after that commit, and leads to another decision.
* That other one waits for the turn, so until the first is committed, and reads in a later statement. It sees version
  n + 1 and all that the first decided, and corrects it where that matters.

Had it come first, the first would have waited for the turn, and read version n + 1 itself. So the last decision of a
key is always one on its last version.

Who holds a turn may go on to lock positions (what is accepted becomes supply), in one sorted go; nobody takes a turn
who holds positions. So they cannot wait for each other in a ring.
"""

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection


class Work(StrEnum):
    """What is done at a location by one transaction at a time."""

    FORECASTING = "forecasting"
    REPLENISHING = "replenishing"
    RECONCILING = "reconciling"
    PROFILING = "profiling"
    CHOOSING_MODELS = "choosing models"


async def take(connection: AsyncConnection, work: Work, locations: Iterable[tuple[str, str]]) -> None:
    """Hold the turn of ``work`` at each location (customer and location), until the commit. Once in a transaction.

    What is decided from is to be read in *later* statements.
    """
    ordered = sorted(set(locations))
    held = await _lock(connection, work, ordered)
    missing = [location for location in ordered if location not in held]
    if missing:  # a location's first decision
        await connection.execute(_MAKE, _columns(work, missing))
        await _lock(connection, work, missing)


async def hold_on(connection: AsyncConnection) -> None:
    """Say that who holds turns is alive: a transaction that stands still for long is ended, so that a frozen process
    keeps none waiting (``vmi_store.engine``)."""
    await connection.execute(_ALIVE)


async def _lock(connection: AsyncConnection, work: Work, ordered: list[tuple[str, str]]) -> set[tuple[str, str]]:
    result = await connection.execute(_LOCK, _columns(work, ordered))
    return {(row.customer_id, row.location_id) for row in result}


_ALIVE = text("SELECT 1")
_LOCK = text("""
    SELECT turn.customer_id, turn.location_id
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[])) AS wanted (customer_id, location_id)
    JOIN turn ON turn.customer_id = wanted.customer_id AND turn.location_id = wanted.location_id AND turn.work = :work
    ORDER BY turn.customer_id, turn.location_id
    FOR NO KEY UPDATE OF turn
""")
_MAKE = text("""
    INSERT INTO turn (customer_id, location_id, work)
    SELECT customer_id, location_id, :work
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[])) AS wanted (customer_id, location_id)
    ON CONFLICT (customer_id, location_id, work) DO NOTHING
""")


def _columns(work: Work, locations: list[tuple[str, str]]) -> dict[str, object]:
    return {
        "work": work.value,
        "customers": [customer for customer, _ in locations],
        "locations": [location for _, location in locations],
    }
