"""What documents say about others: that they take their place, or take them back (S7, S8).

The journal is only ever added to: what a superseded document said stays, and each of its lines is taken back by a line
of the same time that was recorded when we learned better. So what was known at any time can still be told.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from vmi_domain.stock.corrections import Target
from vmi_domain.stock.position import Kind
from vmi_inventory.documents import Told
from vmi_inventory.lines import Accepted, reach
from vmi_store import corrections, journal
from vmi_store.corrections import Supersession
from vmi_store.engine import Connection
from vmi_store.inbox import Identity
from vmi_store.journal import JournalLine

ABOUT_SUPPLY = (Kind.ORDER, Kind.SHIPMENT, Kind.RECEIPT)


def names_of(told: Iterable[Told]) -> list[Identity]:
    """Return the names of the documents that these say something about, and of their own where that may have been said
    about them: who holds them in the inbox can be sure that nobody takes them in, or speaks of them, meanwhile."""
    found: set[Identity] = set()
    for one in told:
        if one.supersedes or one.may_be_superseded:
            customer_id = one.letter.customer_id
            found.update((customer_id, target.name) for target in one.supersedes)
            if one.may_be_superseded:
                found.add((customer_id, one.name_key))
    return sorted(found)


async def correct(connection: Connection, accepted: Accepted) -> None:
    """Take back what superseded documents said: those that are known already, and those among the accepted.

    The caller holds the names of ``names_of`` in the inbox.
    """
    targets = {(one.letter.customer_id, target.name) for one in accepted.told for target in one.supersedes}
    suspects = [
        one
        for one in accepted.told
        if one.may_be_superseded or (targets and (one.letter.customer_id, one.name_key) in targets)
    ]
    if not targets and not suspects:
        return
    await corrections.declare(connection, [said for one in accepted.told for said in _declared(one)])
    known = await corrections.of_names(
        connection, [*targets, *((one.letter.customer_id, one.name_key) for one in suspects)]
    )
    _take_back_accepted(accepted, suspects, known)
    coming = {one.letter[:2] for one in accepted.told}
    await _take_back_known(connection, accepted, targets, known, coming)


async def taken_back(connection: Connection, known: Mapping[Identity, Sequence[Supersession]]) -> list[JournalLine]:
    """Return the lines that take back what these superseded documents said, as far as the journal has it."""
    accepted = Accepted()
    await _take_back_known(connection, accepted, known, known, set())
    return accepted.lines


def _declared(told: Told) -> list[Supersession]:
    """Return what a document says; a revision that takes no other's place says at least that it is there."""
    targets = list(told.supersedes)
    if (
        told.body.revision
        and told.name_key != told.letter.message_key
        and not any(target.name == told.name_key for target in targets)
    ):
        targets.append(Target(told.name_key, -1))
    return [
        Supersession(
            told.letter.customer_id,
            target.name,
            told.letter.message_key,
            target.through,
            told.body.revision if target.name == told.name_key else None,
            told.recorded_at,
        )
        for target in targets
    ]


def _superseded_at(said: Sequence[Supersession], revision: int) -> datetime | None:
    """Return when we were first told that this revision is superseded; None where it stands."""
    return min((one.recorded_at for one in said if revision <= one.through_revision), default=None)


def _take_back_accepted(
    accepted: Accepted, suspects: Sequence[Told], known: Mapping[Identity, Sequence[Supersession]]
) -> None:
    gone: dict[bytes, datetime] = {}
    for one in suspects:
        at = _superseded_at(known[one.letter.customer_id, one.name_key], one.body.revision)
        if at is not None:
            gone[one.letter.message_key[: journal.DOCUMENT_BYTES]] = at
    if gone:
        _take_back(accepted, [(line, at) for line in accepted.lines if (at := gone.get(line.document)) is not None])
        accepted.supply = [
            (key, fact) for key, fact in accepted.supply if fact.fact_id.bytes[: journal.DOCUMENT_BYTES] not in gone
        ]


async def _take_back_known(
    connection: Connection,
    accepted: Accepted,
    targets: Iterable[Identity],
    known: Mapping[Identity, Sequence[Supersession]],
    coming: set[Identity],
) -> None:
    """Take back what documents said that were taken in before, but those among the ``coming``."""
    gone: dict[Identity, datetime] = {}
    for customer_id, name in targets:
        said = known[customer_id, name]
        revisions = [(name, 0), *((one.by_key, one.own_revision) for one in said if one.own_revision is not None)]
        for message_key, revision in revisions:
            at = _superseded_at(said, revision)
            if at is not None and (customer_id, message_key) not in coming:
                gone[customer_id, message_key] = at
    if not gone:
        return
    at_of = {(customer_id, key[: journal.DOCUMENT_BYTES]): at for (customer_id, key), at in gone.items()}
    lines = await journal.of_documents(connection, sorted(gone))
    _take_back(accepted, [(line, at_of[line.customer_id, line.document]) for line in lines])


def _take_back(accepted: Accepted, lines: Sequence[tuple[JournalLine, datetime]]) -> None:
    for line, superseded_at in lines:
        accepted.lines.append(journal.reversal(line, max(line.recorded_at, superseded_at)))
        accepted.corrected_at.add((line.customer_id, line.location_id))
        reach(accepted.reached, (line.customer_id, line.location_id), min(line.occurred_at, line.recorded_at))
        if line.kind in ABOUT_SUPPLY:
            accepted.withdrawn.append((line.key, UUID(bytes=line.line_id)))
