"""What may be deleted when it is old, a chunk at a time. What anything still follows from is never among it.

The time is that of the statement: by a clock that goes on while it runs no index would be read.
"""

from datetime import timedelta

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection


async def delete_letters(connection: AsyncConnection, *, keep: timedelta, at_most: int) -> int:
    """Delete documents from the inbox that came longer than ``keep`` ago; return how many.

    Their lines stay, and enter the journal once (until they are archived); a correction of such a document finds
    nothing to take back. What was said about documents that have not come stays.
    """
    return await _delete(connection, _LETTERS, keep, at_most)


_LETTERS = text("""
    DELETE FROM inbox USING (
        SELECT customer_id, message_key FROM inbox
        WHERE received_at < statement_timestamp() - CAST(:keep AS interval) AND payload_hash IS NOT NULL
        LIMIT :at_most
    ) AS old
    WHERE inbox.customer_id = old.customer_id AND inbox.message_key = old.message_key
""")


async def delete_reconciliations(connection: AsyncConnection, *, keep: timedelta, at_most: int) -> int:
    """Delete what came of stock reports longer than ``keep`` ago; return how many.

    Stock counts stay, and of each key the last report before that time: the next one is compared with it.
    """
    return await _delete(connection, _RECONCILIATIONS, keep, at_most)


_RECONCILIATIONS = text("""
    DELETE FROM reconciliation AS count USING (
        SELECT customer_id, location_id, item_id, as_of FROM reconciliation AS count
        WHERE as_of < statement_timestamp() - CAST(:keep AS interval) AND NOT due AND cause = 'snapshot_reconcile'
          AND EXISTS (
              SELECT FROM reconciliation AS later
              WHERE later.customer_id = count.customer_id AND later.location_id = count.location_id
                AND later.item_id = count.item_id AND later.as_of > count.as_of
                AND later.as_of < statement_timestamp() - CAST(:keep AS interval))
        LIMIT :at_most
    ) AS old
    WHERE count.customer_id = old.customer_id AND count.location_id = old.location_id
      AND count.item_id = old.item_id AND count.as_of = old.as_of
""")


async def delete_exceptions(connection: AsyncConnection, *, keep: timedelta, at_most: int) -> int:
    """Delete exceptions about overdue shipments, and about requests, that closed longer than ``keep`` ago; return how
    many.

    The others stay: they are as many as there are items, suppliers and feeds, and open again, with versions that go on
    (what a person settled of a receipt must not be asked again).
    """
    return await _delete(connection, _EXCEPTIONS, keep, at_most)


_EXCEPTIONS = text("""
    DELETE FROM exception USING (
        SELECT customer_id, exception_id FROM exception
        WHERE status = 'closed' AND NOT suppressed AND kind IN ('shipment_overdue', 'band_change_requested')
          AND changed_at < statement_timestamp() - CAST(:keep AS interval)
        LIMIT :at_most
    ) AS old
    WHERE exception.customer_id = old.customer_id AND exception.exception_id = old.exception_id
""")


async def _delete(connection: AsyncConnection, statement: TextClause, keep: timedelta, at_most: int) -> int:
    return (await connection.execute(statement, {"keep": keep, "at_most": at_most})).rowcount
