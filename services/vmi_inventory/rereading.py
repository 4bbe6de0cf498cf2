"""The journal made anew from the topics, as far back as they are kept, by the very code that takes documents in."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import field, replace
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from vmi_contracts.inbound import AgreementMade
from vmi_domain.values import dataclass
from vmi_inventory import planning, publishing
from vmi_inventory.agreeing import Answer, Word, agree, agree_again
from vmi_inventory.correcting import taken_back
from vmi_inventory.documents import Post, Told, read_facts
from vmi_inventory.lines import reach
from vmi_inventory.master_data import Entries, read_master_data, record_master_data, take_in
from vmi_inventory.rebuilding import Report
from vmi_inventory.recording import Facts
from vmi_inventory.rejecting import WORKER
from vmi_inventory.supplying import Stated, Statements, last_of_each, read_supply, record_supply
from vmi_runtime import batches, failure, reading_back
from vmi_runtime.clock import Clock
from vmi_runtime.failure import Fault
from vmi_runtime.settings import KafkaSettings
from vmi_runtime.worker import Record, Transaction, recorded_at
from vmi_store import (
    agreement_requests,
    catalogue,
    corrections,
    feeds,
    journal,
    plans,
    positions,
    promises,
    quarantine,
    rereading,
    watermarks,
)
from vmi_store.catalogue import LocationKey
from vmi_store.engine import Connection, Engine
from vmi_store.feeds import FeedKey
from vmi_store.folding import Changed
from vmi_store.plans import PlanName
from vmi_store.quarantine import Rejected
from vmi_store.rebuilding import Scope
from vmi_store.rereading import BesideJournal, Compared

NAMES_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Source:
    """Where the records stand, and who is to have read them: what the workers still have before them is theirs."""

    kafka: KafkaSettings
    group: str
    master_data: Sequence[str]
    """Topics' names."""
    supply: Sequence[str]
    facts: Sequence[str]
    clock: Clock


@dataclass(slots=True)
class Reread:
    """What the topics give, beside what is there, and what was done about it."""

    records: int = 0
    master_data: int = 0
    """Locations, items, agreements and requests to change them that are not as the topics say."""
    supply: int = 0
    """Suppliers' items of which another statement stands than the topics say."""
    compared: Compared | None = None
    entered: int = 0
    """Lines."""

    @property
    def is_same(self) -> bool:
        return not self.master_data and not self.supply and self.compared is not None and self.compared.is_same


async def reread(
    engine: Engine, beside_engine: Engine, source: Source, scope: Scope, *, dry_run: bool, report: Report
) -> Reread:
    """Make the journal of a scope anew from the topics, beside the live one, and enter what is missing there.

    With it inbox, corrections, quarantine and plans are made anew, and (in the live tables at once) master data and
    what suppliers state. What is there stays as it is. What follows from the journal is afterwards to be made anew
    (``rebuilding``). With ``dry_run`` nothing is changed.

    Records that the workers have not read yet are left to them. What was discarded from quarantine stays discarded.
    """
    done = Reread()
    at_most = await reading_back.read_so_far(engine, source.kafka, source.group)
    alone: set[Supplied] = set()
    async with reading_back.kept(source.kafka, source.master_data, at_most) as kept:
        async for records, _ in kept.batches():
            entries = _in_scope(read_master_data(records), scope)
            alone |= {_supplied(one) for one, _ in entries.agreements if one.made_by is not None}
            done.master_data += await _master_data(engine, _of_both(entries), source.clock, dry_run=dry_run)
    done.master_data += await _words_of_one(engine, source, alone, at_most, dry_run=dry_run)
    done.supply = await _supply(engine, source, scope, at_most, dry_run=dry_run)
    async with beside_engine.connect() as session:
        rereader = _Rereader(session, scope, await BesideJournal.make(session, scope), source.clock)
        async with engine.connect() as connection:
            rereader.discarded = await rereading.discarded(connection, scope)
        async with reading_back.kept(source.kafka, source.facts, at_most) as kept:
            report(0, kept.total)
            async for records, so_far in kept.batches():
                await rereader.take_in(records)
                done.records += len(records)
                report(so_far, kept.total)
        await rereader.take_back_what_is_older(engine)
        compared = done.compared = await rereader.beside.compare(session)
        if not dry_run:
            async for lines in rereader.beside.enter(session, compared):
                done.entered = lines
            await _reach(engine, rereader)
            for names in _some_at_once(await rereader.beside.enter_plans(session)):
                await _tell_of_plans(engine, names)
    return done


T = TypeVar("T")


def _some_at_once(names: Sequence[T]) -> Iterator[Sequence[T]]:
    for first in range(0, len(names), NAMES_AT_ONCE):
        yield names[first : first + NAMES_AT_ONCE]


def _in_scope(entries: Entries, scope: Scope) -> Entries:
    """Return what is told of the scope's customer; what cannot be read is nobody's."""
    if scope.customer_id is None:
        return entries
    return Entries(
        [one for one in entries.locations if one[0].customer_id == scope.customer_id],
        [one for one in entries.items if one[0].customer_id == scope.customer_id],
        [one for one in entries.agreements if one[0].customer_id == scope.customer_id],
        [one for one in entries.answers if one.answered.customer_id == scope.customer_id],
    )


async def _master_data(engine: Engine, entries: Entries, clock: Clock, *, dry_run: bool) -> int:
    """Return how many locations, items and agreements are not as told, and, unless ``dry_run``, let them be."""
    if not entries.customers:
        return 0
    async with engine.connect() as connection:
        await catalogue.touch(connection, entries.customers)
        changed = len(await catalogue.define_locations(connection, entries.locations))
        changed += len(await catalogue.define_items(connection, entries.items))
        changed += len((await agree(connection, entries.agreements, entries.answers)).changed)
        await connection.rollback()
    if changed and not dry_run:
        async with engine.begin() as connection:
            await record_master_data(entries, Transaction(connection, clock))
    return changed


Supplied = tuple[str, str, str, str]
"""Customer, location, item and supplier: what is agreed of them follows what was agreed before."""


def _supplied(one: AgreementMade) -> Supplied:
    return (one.customer_id, one.location_id, one.item_id, one.supplier_id)


def _of_both(entries: Entries) -> Entries:
    """Leave out what one party says alone, and answers to it: that is to be judged by all that was said before."""
    agreed = [one for one in entries.agreements if one[0].made_by is None]
    return replace(entries, agreements=agreed, answers=[])


async def _words_of_one(
    engine: Engine, source: Source, alone: Set[Supplied], at_most: Mapping[tuple[str, int], int], *, dry_run: bool
) -> int:
    """Let what one party said alone take effect, and answers to it; return how much of it had not.

    A party's word and an answer to it have other keys, so that a batch may hold one and not the other: all that is
    said of what is ``alone`` is read again, and taken in its order.
    """
    if not alone:
        return 0
    said: dict[Supplied, list[Word]] = {name: [] for name in alone}
    answers: list[Answer] = []
    async with reading_back.kept(source.kafka, source.master_data, at_most) as kept:
        async for records, _ in kept.batches():
            entries = read_master_data(records)
            for word in entries.agreements:
                if (name := _supplied(word[0])) in alone:
                    said[name].append(word)
            answers += entries.answers
    asked = {agreement_requests.request_id(*word): name for name, words in said.items() for word in words}
    answered: dict[Supplied, list[Answer]] = {}
    for one in answers:
        if (answered_name := asked.get(one.answered.request_id)) is not None:
            answered.setdefault(answered_name, []).append(one)
    changed = 0
    for names in _some_at_once(sorted(alone)):
        some = Entries(
            agreements=[word for name in names for word in said[name]],
            answers=[one for name in names for one in answered.get(name, ())],
        )
        async with engine.connect() as connection:
            await catalogue.touch(connection, some.customers)
            outcome = await agree_again(connection, some.agreements, some.answers)
            await connection.rollback()
        if (differing := len(outcome.changed) + len(outcome.requests)) and not dry_run:
            async with engine.begin() as connection:
                await take_in(some, Transaction(connection, source.clock), agree_again)
        changed += differing
    return changed


async def _supply(
    engine: Engine, source: Source, scope: Scope, at_most: Mapping[tuple[str, int], int], *, dry_run: bool
) -> int:
    """Return of how many suppliers' items another statement stands than the last that was made, and, unless
    ``dry_run``, let that stand."""
    last: list[Stated] = []
    async with reading_back.kept(source.kafka, source.supply, at_most) as kept:
        async for records, _ in kept.batches():
            told = [one for one in read_supply(records).stated if _is_wanted(one, scope)]
            last = last_of_each([*last, *told])
    if not last:
        return 0
    async with engine.connect() as connection:
        changed = len(await promises.state(connection, last))
        await connection.rollback()
    if changed and not dry_run:
        for some in _some_at_once(last):
            async with engine.begin() as connection:
                await record_supply(Statements(list(some)), Transaction(connection, source.clock))
    return changed


def _is_wanted(stated: Stated, scope: Scope) -> bool:
    """What is for whoever has an agreement is for the scope's customer, too."""
    return scope.customer_id is None or stated[0].customer_id in (None, scope.customer_id)


@dataclass(slots=True)
class _Rereader:
    """Takes records in, beside."""

    session: Connection
    scope: Scope
    beside: BesideJournal
    clock: Clock
    facts: Facts = field(default_factory=Facts)
    discarded: Mapping[UUID, frozenset[int] | None] = field(default_factory=dict)
    reached: dict[LocationKey, datetime] = field(default_factory=dict)
    heard: dict[FeedKey, datetime] = field(default_factory=dict)

    async def take_in(self, records: Sequence[Record]) -> None:
        """Take records in, or halve them until those that the database refuses are found."""
        post = self._wanted(read_facts(records))
        try:
            async with rereading.written(self.session):
                await self._enter(post)
        except Exception as error:
            if failure.fault(error) is not Fault.DATA:
                raise
            if len(records) > 1:
                half = len(records) // 2
                await self.take_in(records[:half])
                await self.take_in(records[half:])
            elif self.scope.customer_id is None or post.told:
                async with rereading.written(self.session):
                    await batches.put_aside(self.session, records[0], failure.reason(error), worker=WORKER)

    async def _enter(self, post: Post) -> None:
        accepted, _ = await self.facts.accept(self.session, post)
        # By its positions a location's items are found, where a document is taken back.
        await positions.ensure(self.session, [line.key for line in accepted.lines])
        await journal.enter(self.session, accepted.lines)
        planned, outdated = await planning.concerned(self.session, accepted.drafts)
        await plans.state(self.session, planned.plans)
        await quarantine.add(self.session, outdated)
        for place, moment in accepted.reached.items():
            reach(self.reached, place, moment)
        for feed, moment in accepted.heard.items():
            reach(self.heard, feed, moment)

    def _wanted(self, post: Post) -> Post:
        """Return what is told of the scope's customer and was not discarded.

        All of the customer's locations are wanted, whatever the scope: stock is transferred between them.
        """
        customer = self.scope.customer_id
        told = [
            one
            for one in post.told
            if (customer is None or one.body.customer_id == customer) and self._is_left_after_discards(one)
        ]
        refused = [one for one in post.rejected if customer is None or one.customer_id == customer]
        return Post(told, [one for one in refused if not self._is_discarded(one)])

    def _is_discarded(self, one: Rejected) -> bool:
        if not self.discarded or one.record_id not in self.discarded:
            return False
        lines = self.discarded[one.record_id]
        return lines is None or one.line in lines

    def _is_left_after_discards(self, told: Told) -> bool:
        """Take what a person discarded out of a document; return whether anything is left of it."""
        if not self.discarded:
            return True
        record = told.record
        name = quarantine.record_id(record.topic, record.partition, record.offset, recorded_at(record))
        if name not in self.discarded:
            return True
        gone = self.discarded[name]
        if gone is None:
            return False
        kept = [(number, line) for number, line in told.numbered if number not in gone]
        told.body = told.body.model_copy(update={"lines": [line for _, line in kept]})
        told.numbers = [number for number, _ in kept]
        return bool(kept)

    async def take_back_what_is_older(self, engine: Engine) -> None:
        """Take back what the journal holds of superseded documents that the topics no longer have."""
        names = await self.beside.names_without_document(self.session)
        await self.session.rollback()
        for some in _some_at_once(names):
            known = await corrections.of_names(self.session, some)
            async with engine.connect() as connection:
                lines = await taken_back(connection, known)
            async with rereading.written(self.session):
                await journal.enter(self.session, lines)


async def _reach(engine: Engine, rereader: _Rereader) -> None:
    """Let watermarks and feeds be no further back than what was told reaches."""
    scope = rereader.scope
    reached = {at: moment for at, moment in rereader.reached.items() if scope.holds(*at)}
    heard = {at: moment for at, moment in rereader.heard.items() if scope.holds(*at[:2])}
    async with engine.begin() as connection:
        if reached:
            await watermarks.advance(connection, reached)
        await feeds.advance(connection, heard)


async def _tell_of_plans(engine: Engine, names: Sequence[PlanName]) -> None:
    """Let everybody know whom plans concern that came back."""
    async with engine.begin() as connection:
        learn_from = await plans.keys_of(connection, names)
        if not learn_from:
            return
        versions = await positions.count_up(connection, list(learn_from))
        reached = await watermarks.read(connection, [key[:2] for key in learn_from])
        changed = [Changed(key, versions[key], day) for key, day in sorted(learn_from.items()) if key[:2] in reached]
        await publishing.tell(connection, changed, reached)
