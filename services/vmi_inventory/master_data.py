"""Catalogue and agreements: taken in, days counted anew where a site's calendar changed, waiting lines let go on."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from pydantic import ValidationError

from vmi_contracts import envelope
from vmi_contracts.envelope import UnreadableEnvelope
from vmi_contracts.inbound import AgreementChangeAnswered, AgreementMade, ItemDefined, LocationDefined
from vmi_domain.days import SiteCalendar
from vmi_domain.stock.position import Key
from vmi_inventory import agreeing, liveness, publishing
from vmi_inventory.agreeing import Answer, Outcome, Word
from vmi_inventory.documents import documents_of, unknown_type
from vmi_inventory.rejecting import rejected
from vmi_runtime.clock import ClockMode
from vmi_runtime.rejections import document_error
from vmi_runtime.worker import Record, Transaction, recorded_at
from vmi_store import agreements, catalogue, folding, positions, quarantine, watermarks
from vmi_store.catalogue import LocationKey
from vmi_store.engine import Connection
from vmi_store.folding import Changed
from vmi_store.quarantine import Rejected


@dataclass(slots=True)
class Entries:
    """What a batch of records says about master data, each with its record's append time."""

    locations: list[tuple[LocationDefined, datetime]] = field(default_factory=list)
    items: list[tuple[ItemDefined, datetime]] = field(default_factory=list)
    agreements: list[tuple[AgreementMade, datetime]] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)

    @property
    def customers(self) -> list[str]:
        places = {body.customer_id for body, _ in self.locations}
        agreed = {body.customer_id for body, _ in self.agreements} | {one.answered.customer_id for one in self.answers}
        return sorted(places | {body.customer_id for body, _ in self.items} | agreed)


def read_master_data(records: Sequence[Record]) -> Entries:
    """Return what the records say, and what of them cannot be read."""
    entries = Entries()
    for record in records:
        try:
            message = envelope.read(record.value, record.headers)
            document = documents_of(record.topic).get(message.message_type)
            if document is None:
                entries.rejected.append(unknown_type(record, message.message_type))
                continue
            _sort(entries, document.model_validate_json(message.data), record)
        except UnreadableEnvelope as error:
            entries.rejected.append(rejected(record, error.reason, str(error)))
        except ValidationError as error:
            entries.rejected.append(rejected(record, *document_error(error)))
    return entries


def _sort(entries: Entries, body: object, record: Record) -> None:
    told_at = recorded_at(record)
    match body:
        case LocationDefined():
            entries.locations.append((body, told_at))
        case ItemDefined():
            entries.items.append((body, told_at))
        case AgreementMade():
            entries.agreements.append((body, told_at))
        case AgreementChangeAnswered():
            entries.answers.append(Answer(body, record))


Agree = Callable[[Connection, Sequence[Word], Sequence[Answer]], Awaitable[Outcome]]
"""How words and answers about agreements take effect."""


async def record_master_data(entries: Entries, transaction: Transaction) -> None:
    """Take in what locations, items and agreements are from now on, and let everybody know whom it concerns."""
    refused = await take_in(entries, transaction)
    await quarantine.add(transaction.connection, [*entries.rejected, *refused])


async def take_in(entries: Entries, transaction: Transaction, agree: Agree = agreeing.agree) -> list[Rejected]:
    """Do so with what could be read; return the answers that belong to no request."""
    connection = transaction.connection
    if not entries.customers:
        return []
    await catalogue.touch(connection, entries.customers)
    locations, counted_anew = await _define_locations(connection, entries)
    items = await catalogue.define_items(connection, entries.items)
    outcome = await agree(connection, entries.agreements, entries.answers)
    agreed = outcome.changed
    await quarantine.make_due(
        connection,
        locations=sorted({*locations, *(key[:2] for key in agreed)}),
        items=sorted({*items, *((key.customer_id, key.item_id) for key in agreed)}),
    )
    concerned = {*agreed, *counted_anew, *await agreements.keys_of(connection, locations=locations, items=items)}
    await tell(transaction, sorted(concerned), counted_anew, _latest(entries))
    await agreeing.tell_owners(transaction, set(outcome.requests.values()))
    await liveness.follow_agreements(connection, outcome.made)
    return outcome.rejected


async def _define_locations(
    connection: Connection, entries: Entries
) -> tuple[list[LocationKey], dict[Key, date | None]]:
    """Write locations; return which changed, and the keys whose days were counted anew with their first day."""
    named = [(body.customer_id, body.location_id) for body, _ in entries.locations]
    before = await catalogue.locations(connection, named) if named else {}
    changed = await catalogue.define_locations(connection, entries.locations)
    after = await catalogue.locations(connection, changed) if changed else {}
    counted_anew: dict[Key, date | None] = {}
    for at in changed:
        old = before.get(at, catalogue.Location())
        if (old.time_zone, old.day_ends_at) != (after[at].time_zone, after[at].day_ends_at):
            site = SiteCalendar(after[at].time_zone, after[at].day_ends_at)
            counted_anew |= await folding.count_days_anew(connection, at, site)
    return changed, counted_anew


def _latest(entries: Entries) -> datetime:
    told = [at for _, at in (*entries.locations, *entries.items, *entries.agreements)]
    return max([*told, *(recorded_at(one.record) for one in entries.answers)])


async def tell(
    transaction: Transaction, keys: Sequence[Key], demand_from: Mapping[Key, date | None], told_at: datetime
) -> None:
    """Give each key a position and tell that it is to be looked at: this may lead to its first proposal.

    A location that no fact has reached yet has no time of its own: on the wall clock the record's time serves; a
    clock that runs by events has not begun to run there, and its first fact will be told of.
    """
    if not keys:
        return
    connection = transaction.connection
    versions = await positions.count_up(connection, keys)
    reached = dict(await watermarks.read(connection, [key[:2] for key in keys]))
    if transaction.clock.mode is ClockMode.WALL:
        reached = {key[:2]: told_at for key in keys} | reached
    changed = [Changed(key, versions[key], demand_from.get(key)) for key in keys if key[:2] in reached]
    await publishing.tell(connection, changed, reached)
