"""What waited in quarantine and may go on: tried again when what it waited for has come, or a person says so."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from vmi_contracts.topics import AGREEMENTS, CATALOGUE, DEMAND_PLANS, ORDERS, SALES, STOCK, SUPPLY
from vmi_inventory.correcting import correct
from vmi_inventory.documents import read_facts
from vmi_inventory.lines import Accepted, accept
from vmi_inventory.master_data import read_master_data, take_in
from vmi_inventory.recording import Facts, conflicts
from vmi_inventory.rejecting import WORKER
from vmi_inventory.supplying import read_supply, record_supply
from vmi_runtime import retrying
from vmi_runtime.worker import Tick, Transaction
from vmi_store.quarantine import Held, Rejected

MASTER_DATA: Final = (CATALOGUE, AGREEMENTS)
FACTS: Final = (STOCK, SALES, ORDERS, DEMAND_PLANS)


def ticks(facts: Facts) -> tuple[Tick, ...]:
    """Return what tries again what was put aside: master data first, since facts may wait for them."""
    return (
        retrying.trying_again(WORKER, MASTER_DATA, take_master_data_again),
        retrying.trying_again(WORKER, (SUPPLY,), take_supply_again),
        retrying.trying_again(WORKER, FACTS, partial(take_facts_again, facts)),
    )


async def release(facts: Facts, transaction: Transaction) -> bool:
    """Try some facts again; return whether there may be more."""
    take = partial(take_facts_again, facts)
    return await retrying.try_again(WORKER, [topic.name for topic in FACTS], take, transaction)


async def take_facts_again(facts: Facts, due: Sequence[Held], transaction: Transaction) -> list[Rejected]:
    """Take facts in again; return what is refused.

    A line enters the journal by its own key, past the inbox, which has its document already. A record that was held as
    a whole may never have come to the inbox: it is noted there, and what came under a name that is taken stays held.
    """
    connection = transaction.connection
    accepted = Accepted()
    read = [(held, read_facts([retrying.record_of(held[0].rejected)])) for held in retrying.by_record(due)]
    waited = [told for _, post in read for told in post.told]
    for told in waited:
        told.may_be_superseded = True  # something may have been said about it while it waited
    known = await facts.known(connection, waited)
    whole = [told for held, post in read if retrying.numbers_of(held) is None for told in post.told]
    conflicting = {one.id: one for one in await conflicts(connection, whole, waited)}
    for held, post in read:
        # A record as a whole waited for its location: all its lines go on, but those that cannot be read.
        numbers = retrying.numbers_of(held)
        accepted.rejected += [one for one in post.rejected if numbers is None or one.line in numbers]
        if conflict := next((conflicting[one.id] for one in held if one.id in conflicting), None):
            accepted.rejected.append(conflict)
            continue
        for told in post.told:
            accept(told, known, accepted, numbers)
    await correct(connection, accepted)
    return [*accepted.rejected, *await facts.enter(transaction, accepted, known)]


async def take_master_data_again(due: Sequence[Held], transaction: Transaction) -> list[Rejected]:
    """Take locations, items and agreements in again; of each the latest word counts, whenever it came."""
    entries = read_master_data([retrying.record_of(held[0].rejected) for held in retrying.by_record(due)])
    return [*entries.rejected, *await take_in(entries, transaction)]


async def take_supply_again(due: Sequence[Held], transaction: Transaction) -> list[Rejected]:
    """Take suppliers' statements in again; of each item the one made last counts, whenever it came."""
    found = read_supply([retrying.record_of(held[0].rejected) for held in retrying.by_record(due)])
    refused, found.rejected = found.rejected, []
    await record_supply(found, transaction)
    return refused
