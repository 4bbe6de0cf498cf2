"""From documents to facts, and from facts to what follows: inbox, journal, positions, supply, outbox."""

from collections.abc import Iterable, Mapping, Sequence
from typing import cast

from vmi_contracts.inbound import ItemLine
from vmi_domain.stock.position import Key
from vmi_domain.stock.supply_facts import Fact, Received
from vmi_inventory import planning, publishing
from vmi_inventory.correcting import correct, names_of
from vmi_inventory.documents import Post, Told
from vmi_inventory.known import Known, MasterData
from vmi_inventory.lines import Accepted, accept, locations_of
from vmi_inventory.reconciling import compare_receipts
from vmi_inventory.rejecting import rejected
from vmi_runtime.rejections import Reason
from vmi_runtime.worker import Transaction
from vmi_store import feeds, folding, inbox, journal, positions, quarantine, supply, watermarks
from vmi_store import reconciling as noted
from vmi_store.catalogue import LocationKey
from vmi_store.engine import Connection
from vmi_store.folding import Changed
from vmi_store.inbox import Seen
from vmi_store.journal import OfKeys
from vmi_store.quarantine import Rejected


class Facts:
    """Takes facts in. One a process: it keeps copies of master data."""

    def __init__(self, master_data: MasterData | None = None) -> None:
        self._master_data = master_data or MasterData()

    async def record(self, post: Post, transaction: Transaction) -> None:
        """Take in what is new; keep aside what cannot be taken in."""
        accepted, known = await self.accept(transaction.connection, post)
        await quarantine.add(transaction.connection, await self.enter(transaction, accepted, known))

    async def accept(self, connection: Connection, post: Post) -> tuple[Accepted, Known]:
        """Return what new documents add to the facts, and what is known of it; keep aside what cannot be taken in."""
        known = await self.known(connection, post.told)
        new, conflicting = await _new(connection, post.told)
        accepted = Accepted()
        for told in new:
            accept(told, known, accepted)
        await correct(connection, accepted)
        await quarantine.add(connection, [*post.rejected, *conflicting, *accepted.rejected])
        return accepted, known

    async def known(self, connection: Connection, told: Iterable[Told]) -> Known:
        """Return what is known of all that documents speak of."""
        places: set[LocationKey] = set()
        items: dict[str, set[str]] = {}
        for one in told:
            if not one.is_fact:
                continue
            places.update(locations_of(one))
            of_customer = items.setdefault(one.body.customer_id, set())
            for line in cast(Sequence[ItemLine], one.body.lines):
                of_customer.add(line.item_id)
        return await self._master_data.of(connection, places, items)

    async def enter(self, transaction: Transaction, accepted: Accepted, known: Known) -> Sequence[Rejected]:
        """Enter facts in the journal and plans beside it, and bring everything that follows from them up to date.

        Return what is refused only now.
        """
        connection = transaction.connection
        entered = await journal.enter(connection, accepted.lines)
        planned, outdated = await planning.concerned(connection, accepted.drafts)
        if not entered and not planned.plans:
            return outdated
        if planned.plans:
            await positions.lock(connection, [*entered, *planned.learn_from])
        sites = known.sites
        if elsewhere := accepted.corrected_at - sites.keys():
            sites = {**sites, **(await self._master_data.of(connection, elsewhere, {})).sites}
        changed: Sequence[Changed] = await folding.fold(connection, entered, sites)
        await noted.note(connection, entered, {one.key: one.counted_at for one in changed})
        if planned.plans:
            changed = _once([*changed, *await planning.enter(connection, planned)])
        told = await _follow_supply(connection, accepted, entered)
        reached = await watermarks.advance(connection, accepted.reached)
        await feeds.advance(connection, accepted.heard)
        await compare_receipts(transaction, _received(accepted, entered), told)
        await publishing.tell(connection, changed, reached)
        return outdated


def _received(accepted: Accepted, entered: OfKeys) -> list[Key]:
    """Return the keys of which something was received, or the word on what was announced may have changed after it."""
    keys = {key for key, fact in accepted.supply if isinstance(fact, Received) or fact.revision}
    return sorted({*keys, *(key for key, _ in accepted.withdrawn)} & entered.keys())


async def _new(connection: Connection, told: Sequence[Told]) -> tuple[list[Told], list[Rejected]]:
    """Return the documents that were not there yet, and those that came under a name that is taken."""
    verdicts = await inbox.receive(connection, [one.letter for one in told], names_of(told))
    new = [one for one, seen in zip(told, verdicts, strict=True) if seen in (Seen.NEW, Seen.AWAITED)]
    for one, seen in zip(told, verdicts, strict=True):
        if seen is Seen.AWAITED:
            one.may_be_superseded = True
    return new, _conflicting(told, verdicts)


async def conflicts(connection: Connection, whole: Sequence[Told], waited: Sequence[Told]) -> list[Rejected]:
    """Note the documents that are tried again as a whole, and return those that came under a name that is taken.

    What all that waited speak of is held until the commit.
    """
    return _conflicting(whole, await inbox.receive(connection, [one.letter for one in whole], names_of(waited)))


def _conflicting(told: Sequence[Told], verdicts: Sequence[Seen]) -> list[Rejected]:
    return [
        rejected(
            one.record,
            Reason.CONFLICTING_DUPLICATE,
            "a document of other contents came under this source and id before; a change needs a higher revision",
            customer_id=one.body.customer_id,
            location_id=one.body.location_id,
        )
        for one, seen in zip(told, verdicts, strict=True)
        if seen is Seen.CONFLICT
    ]


def _once(changed: Sequence[Changed]) -> Sequence[Changed]:
    """Return each key once, with its last version and its earliest day, in their order."""
    found: dict[Key, Changed] = {}
    for one in changed:
        before = found.get(one.key)
        days = [day for day in (one.demand_from, before and before.demand_from) if day is not None]
        found[one.key] = (
            one if before is None else one._replace(demand_from=min(days, default=None), is_confirmed=False)
        )
    return [found[key] for key in sorted(found)]


async def _follow_supply(connection: Connection, accepted: Accepted, entered: OfKeys) -> Mapping[Key, Sequence[Fact]]:
    """Keep what documents say about supply, and make the supply lines of their keys anew; return all that was said.

    Of a line that the journal knew already, supply knows too; and its key's lock is perhaps not had.
    """
    if not accepted.supply and not accepted.withdrawn:
        return {}
    new = {line.line_id for lines in entered.values() for line in lines}
    facts = [(key, fact) for key, fact in accepted.supply if fact.fact_id.bytes in new]
    withdrawn = [(key, fact_id) for key, fact_id in accepted.withdrawn if key in entered]
    await supply.record(connection, facts)
    await supply.withdraw(connection, withdrawn)
    return await supply.refold(connection, [key for key, _ in (*facts, *withdrawn)])
