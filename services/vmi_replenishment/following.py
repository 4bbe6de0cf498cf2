"""What makes the worker look at keys: messages about them, and time that passes."""

from typing import Final

from vmi_domain.stock.position import Key
from vmi_replenishment.answering import take_answers
from vmi_replenishment.master_data import MasterData
from vmi_replenishment.reading import Answers, Changes
from vmi_replenishment.reconsidering import reconsider
from vmi_replenishment.situations import nows
from vmi_runtime.clock import ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import due, quarantine, turns
from vmi_store.turns import Work

KEYS_AT_ONCE: Final = 1000
"""Keys that one tick looks at in one transaction."""


class Replenishment:
    """The worker's handlers, over copies of master data that they share."""

    def __init__(self) -> None:
        self._master_data = MasterData()

    async def follow_changes(self, changes: Changes, transaction: Transaction) -> None:
        """Decide again on the keys that changed, each once however often it was named."""
        await quarantine.add(transaction.connection, changes.rejected)
        await turns.take(transaction.connection, Work.REPLENISHING, {key[:2] for key in changes.keys})
        passed = await self._passed(changes.keys, transaction)
        await reconsider(changes.keys.union(passed), transaction, self._master_data)

    async def follow_answers(self, answers: Answers, transaction: Transaction) -> None:
        """Take in what suppliers and customers say to proposals."""
        await take_answers(answers, transaction, self._master_data)

    async def let_time_pass(self, transaction: Transaction) -> bool:
        """Decide on keys whose cut-off has passed or whose proposal has expired; return whether there may be more."""
        if transaction.clock.mode is ClockMode.EVENTS:
            return False
        waiting = await due.before(transaction.connection, transaction.clock.wall(), at_most=KEYS_AT_ONCE)
        await turns.take(transaction.connection, Work.REPLENISHING, {key[:2] for key in waiting})
        await reconsider(waiting, transaction, self._master_data)
        return len(waiting) == KEYS_AT_ONCE

    async def _passed(self, changed: set[Key], transaction: Transaction) -> list[Key]:
        """By the events' clock time passes with the facts of a site: what is due there is looked at with them."""
        if transaction.clock.mode is ClockMode.WALL or not changed:
            return []
        now = await nows(sorted({key[:2] for key in changed}), transaction)
        return await due.at_locations(transaction.connection, now)
