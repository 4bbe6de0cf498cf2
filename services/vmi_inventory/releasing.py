"""What waited in quarantine and may go on: tried again when what it waited for has come."""

from collections.abc import Sequence
from itertools import groupby

from vmi_inventory.correcting import correct, names_of
from vmi_inventory.documents import read_facts
from vmi_inventory.lines import Accepted, accept
from vmi_inventory.recording import Facts
from vmi_runtime.worker import FetchedRecord, Transaction
from vmi_store import inbox, quarantine
from vmi_store.quarantine import Held, Rejected

AT_ONCE = 500
"""Lines in one transaction."""


async def release(facts: Facts, transaction: Transaction) -> bool:
    """Try some lines again, in the order in which they came; return whether there may be more.

    A released line enters the journal by its own key. It goes past the inbox, which has its document already.
    """
    connection = transaction.connection
    due = await quarantine.take_due(connection, at_most=AT_ONCE)
    if not due:
        return False
    accepted = Accepted()
    read = [(list(held), read_facts([_record(held[0].rejected)])) for held in _by_record(due)]
    waited = [told for _, post in read for told in post.told]
    for told in waited:
        told.may_be_superseded = True  # something may have been said about it while it waited
    known = await facts.known(connection, waited)
    await inbox.hold(connection, names_of(waited))
    for held, post in read:
        # A record as a whole waited for its location: all its lines go on, but those that cannot be read.
        whole = any(one.rejected.line is None for one in held)
        numbers = None if whole else frozenset(one.rejected.line for one in held if one.rejected.line is not None)
        accepted.rejected += post.rejected
        for told in post.told:
            accept(told, known, accepted, numbers)
    await correct(connection, accepted)
    await facts.enter(connection, accepted, known)
    held_ids = {one.id for one in due}
    again = {one.id: one for one in accepted.rejected}
    await quarantine.keep(connection, [one for id_, one in sorted(again.items()) if id_ in held_ids])
    await quarantine.add(connection, [one for id_, one in sorted(again.items()) if id_ not in held_ids])
    await quarantine.settle(connection, sorted(held_ids - again.keys()), by="released")
    return len(due) == AT_ONCE


def _by_record(due: Sequence[Held]) -> list[list[Held]]:
    return [list(held) for _, held in groupby(due, key=lambda one: one.rejected.record_id)]


def _record(rejected: Rejected) -> FetchedRecord:
    return FetchedRecord(
        topic=rejected.topic,
        partition=rejected.partition,
        offset=rejected.offset,
        timestamp=round(rejected.recorded_at.timestamp() * 1000),
        key=rejected.key,
        value=rejected.value,
        headers=rejected.headers,
    )
