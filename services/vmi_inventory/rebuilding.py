"""Derived tables made anew from the journal while workers run: compared, and where they differ put in place."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date
from typing import Final

from vmi_domain.days import SiteCalendar
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_inventory import publishing
from vmi_inventory.planning import BEGIN
from vmi_runtime import failure
from vmi_store import catalogue, positions, rebuilding, reconciling, watermarks
from vmi_store.catalogue import LocationKey
from vmi_store.engine import Connection, Engine, be_patient
from vmi_store.folding import Changed
from vmi_store.rebuilding import Beside, Difference, Rebuilt, Scope

LINES_AT_ONCE: Final = 20_000
KEYS_AT_ONCE: Final = 500
MOST_SHOWN: Final = 1000
"""Differences that are kept to be shown; all are counted."""

Report = Callable[[int, int], None]
"""Called with how many lines are done, of how many."""


@dataclass(slots=True)
class Outcome:
    """What a rebuild found, and what it did about it."""

    keys: int = 0
    lines: int = 0
    different: int = 0
    """Rows."""
    keys_different: int = 0
    differences: list[Difference] = field(default_factory=list)
    """The first of them."""
    watermarks_behind: int = 0
    put_in_place: int = 0
    """Keys."""

    @property
    def is_same(self) -> bool:
        return not self.different and not self.watermarks_behind

    def note(self, found: Sequence[Difference]) -> None:
        self.different += len(found)
        self.keys_different += len({one.key for one in found})
        self.differences += found[: max(0, MOST_SHOWN - len(self.differences))]


async def rebuild(engine: Engine, beside_engine: Engine, scope: Scope, *, dry_run: bool, report: Report) -> Outcome:
    """Make the derived tables of a scope anew from the journal, and put them in place of the live ones.

    First without any lock: the tables beside are folded and compared in one snapshot, in which journal and live tables
    agree, since they are written together. What differs there is done again under the locks of its keys, so that no
    worker writes meanwhile, put in place, and told to the other workers. Counts that were never reconciled, or whose
    reconciliation is lost, are noted to be. Keys of which no derived row is left are folded in place at once, under
    their locks: there is nothing to compare with. With ``dry_run`` nothing is changed.

    ``beside_engine`` gives the session that holds the tables beside, and is of no use for anything else afterwards.
    """
    outcome = Outcome()
    async with engine.connect() as connection:
        wanted = await rebuilding.keys(connection, scope)
    async with engine.begin() as connection:
        behind = await rebuilding.watermarks_behind(connection, scope)
        outcome.watermarks_behind = len(behind)
        if behind and not dry_run:
            await watermarks.advance(connection, behind)
    line_counts = dict(wanted)
    total = sum(line_counts.values())
    async with beside_engine.connect() as session:
        beside = await Beside.make(session)
        for some, lines in _chunks(wanted):
            outcome.keys += len(some)
            outcome.lines += lines
            keys = some if dry_run else await _fold_lost(engine, some, line_counts, outcome)
            if not keys:
                report(outcome.lines, total)
                continue
            async with rebuilding.snapshot(session):
                counts = await beside.fold(session, keys, await sites_of(session, keys))
                found = await beside.differences(session, keys, MOST_SHOWN - len(outcome.differences))
                differing = sorted({one.key for one in found})
                seen = None
                if differing and not dry_run:
                    seen = _Seen(found, await beside.marks(session, differing), await beside.rows(session, differing))
            outcome.note(found)
            if seen is not None:
                outcome.put_in_place += await _put_in_place(engine, session, beside, seen, line_counts)
            if counts and not dry_run:
                async with engine.begin() as connection:
                    await reconciling.note_missing(connection, counts)
            report(outcome.lines, total)
    return outcome


async def learn_anew(engine: Engine, scope: Scope, report: Report) -> int:
    """Have the forecast worker learn all series of a scope anew from their daily balances; return how many.

    It is told as of a late fact on the very first day, and redoes each series from its begin, which tells the
    proposals.
    """
    async with engine.connect() as connection:
        wanted = [key for key, _ in await rebuilding.keys(connection, scope)]
    told = 0
    for first in range(0, len(wanted), KEYS_AT_ONCE):
        keys = wanted[first : first + KEYS_AT_ONCE]
        async with engine.begin() as connection:
            versions = await positions.count_up(connection, keys)
            reached = await watermarks.read(connection, [key[:2] for key in keys])
            changed = [Changed(key, versions[key], BEGIN) for key in keys if key[:2] in reached]
            await publishing.tell(connection, changed, reached)
        told += len(changed)
        report(first + len(keys), len(wanted))
    return told


def _chunks(wanted: Sequence[tuple[Key, int]]) -> Iterator[tuple[list[Key], int]]:
    """Yield keys that are folded together, at least one, and how many lines they have."""
    keys: list[Key] = []
    lines = 0
    for key, of_key in wanted:
        if keys and (lines + of_key > LINES_AT_ONCE or len(keys) == KEYS_AT_ONCE):
            yield keys, lines
            keys, lines = [], 0
        keys.append(key)
        lines += of_key
    if keys:
        yield keys, lines


async def sites_of(connection: Connection, keys: Sequence[Key]) -> Mapping[LocationKey, SiteCalendar]:
    """Return the calendars of keys' locations; one that no catalogue names keeps UTC days."""
    places = sorted({key[:2] for key in keys})
    known = await catalogue.locations(connection, places)
    return {
        place: SiteCalendar(known[place].time_zone, known[place].day_ends_at) if place in known else SiteCalendar()
        for place in places
    }


async def _fold_lost(engine: Engine, keys: Sequence[Key], lines: Mapping[Key, int], outcome: Outcome) -> list[Key]:
    """Fold those of the keys in place of which no derived row is left; return the others."""

    async def once() -> tuple[list[Key], list[Difference]]:
        async with engine.begin() as connection:
            if not (lost := await rebuilding.lost(connection, [key for key in keys if lines[key]])):
                return [], []
            await be_patient(connection)
            await catalogue.hold(connection, [key.customer_id for key in lost])
            await positions.lock(connection, lost)
            lost = await rebuilding.lost(connection, lost)  # and not taken up meanwhile
            sites = await sites_of(connection, lost)
            changed, counts = await rebuilding.fold_lost(connection, lost, sites, lines)
            await reconciling.note_missing(connection, counts)
            reached = await watermarks.read(connection, [key[:2] for key in lost])
            await publishing.tell(connection, [one for one in changed if one.key[:2] in reached], reached)
            return lost, await rebuilding.written(connection, lost, MOST_SHOWN - len(outcome.differences))

    lost, found = await failure.retried("folding lost keys", once)
    outcome.note(found)
    outcome.put_in_place += len(lost)
    return sorted(set(keys).difference(lost))


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a snapshot showed of keys that differ."""

    found: Sequence[Difference]
    marks: Mapping[Key, str]
    """Whoever writes anything about a key changes its mark."""
    rebuilt: Rebuilt

    @property
    def keys(self) -> list[Key]:
        return sorted({one.key for one in self.found})


async def _put_in_place(
    engine: Engine, session: Connection, beside: Beside, seen: _Seen, lines: Mapping[Key, int]
) -> int:
    """Put keys in place under their locks; those that were written since they were seen are folded again there."""

    async def once() -> int:
        now, keys = seen, seen.keys
        async with engine.begin() as connection:
            await be_patient(connection)
            # Nobody changes their calendars, and nobody writes anything about them, until the commit.
            await catalogue.hold(connection, [key.customer_id for key in keys])
            locked = await positions.lock(connection, keys)
            if not await rebuilding.are_as_seen(connection, keys, seen.marks):
                async with rebuilding.snapshot(session):
                    await beside.fold(session, keys, await sites_of(session, keys))
                    found = await beside.differences(session, keys, 0)
                    keys = sorted({one.key for one in found})
                    if not keys:
                        return 0
                    now = _Seen(found, {}, await beside.rows(session, keys))
            # After a loss the live versions have begun anew; no key had more of them than lines, or nearly.
            floors = {key: 0 if locked[key].version else lines.get(key, 0) for key in keys}
            versions = await rebuilding.put_in_place(connection, keys, now.rebuilt, floors)
            reached = await watermarks.read(connection, [key[:2] for key in keys])
            changed = [one for one in _changes(now.found, versions) if one.key[:2] in reached]
            await publishing.tell(connection, changed, reached)
            return len(keys)

    return await failure.retried("putting keys in place", once)


def _changes(found: Sequence[Difference], versions: Mapping[Key, int]) -> list[Changed]:
    first_days: dict[Key, date] = {}
    for one in found:
        if one.day is not None:
            first_days[one.key] = min(one.day, first_days.get(one.key, one.day))
    return [Changed(key, versions[key], first_days.get(key)) for key in sorted(versions)]
