"""Which documents are superseded, and by what: kept, never changed."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_store.inbox import Identity


class Supersession(NamedTuple):
    """A document's revisions, up to one, that another document supersedes, or a higher revision of it."""

    customer_id: str
    name_key: bytes
    """The inbox key of the superseded document's revision 0: its name, whether it has come or not."""
    by_key: bytes
    """The inbox key of what supersedes it."""
    through_revision: int
    own_revision: int | None
    """Where ``by_key`` is itself a revision of the document: which one."""
    recorded_at: datetime
    """When the broker appended what supersedes it."""


async def declare(connection: AsyncConnection, supersessions: Sequence[Supersession]) -> None:
    """Keep what supersedes what. The caller holds the superseded documents' names (``inbox``)."""
    distinct = {one[:3]: one for one in supersessions}
    if not distinct:
        return
    customers, names, by, through, own, recorded = zip(*(distinct[one] for one in sorted(distinct)), strict=True)
    await connection.execute(
        _DECLARE,
        {"customers": customers, "names": names, "by": by, "through": through, "own": own, "recorded": recorded},
    )


_DECLARE = text("""
    INSERT INTO supersession (customer_id, name_key, by_key, through_revision, own_revision, recorded_at)
    SELECT * FROM unnest(
        CAST(:customers AS text[]), CAST(:names AS bytea[]), CAST(:by AS bytea[]), CAST(:through AS int[]),
        CAST(:own AS int[]), CAST(:recorded AS timestamptz[]))
    ON CONFLICT (customer_id, name_key, by_key) DO NOTHING
""")


async def of_names(connection: AsyncConnection, names: Sequence[Identity]) -> Mapping[Identity, list[Supersession]]:
    """Return what supersedes these documents. The caller holds their names."""
    ordered = sorted(set(names))
    found: dict[Identity, list[Supersession]] = {name: [] for name in ordered}
    result = await connection.execute(
        _OF_NAMES, {"customers": [customer for customer, _ in ordered], "names": [name for _, name in ordered]}
    )
    for row in result:
        found[row.customer_id, row.name_key].append(Supersession(*row))
    return found


_OF_NAMES = text("""
    SELECT customer_id, name_key, by_key, through_revision, own_revision, recorded_at
    FROM unnest(CAST(:customers AS text[]), CAST(:names AS bytea[])) AS wanted (customer_id, name_key)
    JOIN supersession USING (customer_id, name_key)
""")
