"""What keeps the tables in shape while the years pass: the journal's next partitions."""

from vmi_runtime.worker import Transaction
from vmi_store import partitions


async def prepare_the_journal(transaction: Transaction) -> bool:
    """Make the journal's partitions of the quarter that runs and of the next ones, where they are missing."""
    await partitions.prepare(transaction.connection, partitions.ahead(transaction.clock.wall()))
    return False
