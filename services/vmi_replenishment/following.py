"""What makes the worker look at keys: messages about them, and time that passes."""

from collections.abc import Collection, Sequence
from typing import Final

from vmi_domain.exceptions.rules import OF_AN_ITEM
from vmi_domain.stock.position import Key
from vmi_replenishment.answering import take_answers, take_answers_again
from vmi_replenishment.master_data import MasterData, Site
from vmi_replenishment.reading import Answers, Changes, read_changes
from vmi_replenishment.reconsidering import reconsider
from vmi_replenishment.situations import nows
from vmi_runtime import retrying
from vmi_runtime.clock import ClockMode
from vmi_runtime.worker import Transaction
from vmi_store import due, exceptions, proposals, quarantine, turns
from vmi_store.quarantine import Held, Rejected
from vmi_store.turns import Work

KEYS_AT_ONCE: Final = 1000
"""Keys that one tick looks at in one transaction."""


class Replenishment:
    """The worker's handlers, over copies of master data that they share."""

    def __init__(self) -> None:
        self._master_data = MasterData()

    async def follow_changes(self, changes: Changes, transaction: Transaction) -> None:
        """Decide again on the keys that changed, each once however often it was named.

        Where less may be wanted, and not more, they are looked at if something is proposed, or a person is to act on
        something.
        """
        await quarantine.add(transaction.connection, changes.rejected)
        sites = {key[:2] for key in changes.keys | changes.lessened}
        await turns.take(transaction.connection, Work.REPLENISHING, sites)
        unsettled = await _unsettled(changes.lessened, transaction)
        passed = await self._passed(sites, transaction)
        await reconsider(changes.keys.union(unsettled, passed), transaction, self._master_data)

    async def follow_answers(self, answers: Answers, transaction: Transaction) -> None:
        """Take in what suppliers and customers say to proposals."""
        await take_answers(answers, transaction, self._master_data)

    async def follow_changes_again(self, due: Sequence[Held], transaction: Transaction) -> Sequence[Rejected]:
        """Follow messages again that were put aside; return what is refused again."""
        changes = read_changes([retrying.record_of(held[0].rejected) for held in retrying.by_record(due)])
        refused, changes.rejected = changes.rejected, []
        await self.follow_changes(changes, transaction)
        return refused

    async def follow_answers_again(self, due: Sequence[Held], transaction: Transaction) -> Sequence[Rejected]:
        """Take in answers again that were put aside; return what is refused again."""
        return await take_answers_again(due, transaction, self._master_data)

    async def let_time_pass(self, transaction: Transaction) -> bool:
        """Decide on keys whose cut-off has passed or whose proposal has expired; return whether there may be more."""
        if transaction.clock.mode is ClockMode.EVENTS:
            return False
        waiting = await due.before(transaction.connection, transaction.clock.wall(), at_most=KEYS_AT_ONCE)
        await turns.take(transaction.connection, Work.REPLENISHING, {key[:2] for key in waiting})
        await reconsider(waiting, transaction, self._master_data)
        return len(waiting) == KEYS_AT_ONCE

    async def _passed(self, sites: Collection[Site], transaction: Transaction) -> list[Key]:
        """By the events' clock time passes with the facts of a site: what is due there is looked at with them."""
        if transaction.clock.mode is ClockMode.WALL or not sites:
            return []
        return await due.at_locations(transaction.connection, await nows(sorted(sites), transaction))


async def _unsettled(keys: Collection[Key], transaction: Transaction) -> set[Key]:
    """Return the keys of which something is proposed that may still change, or which a person is to act on."""
    if not keys:
        return set()
    ordered = sorted(keys)
    active = await exceptions.active(transaction.connection, ordered, OF_AN_ITEM)
    return {
        *await proposals.changeable(transaction.connection, ordered),
        *(Key(one.customer_id, one.location_id, one.item_id) for one in active),
    }
