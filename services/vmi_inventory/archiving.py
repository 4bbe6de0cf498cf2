"""Old facts into files: written, verified, summed up, and only then taken out of the journal."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final, Protocol

from vmi_domain.days import SiteCalendar
from vmi_domain.stock.position import Key
from vmi_inventory.rebuilding import sites_of
from vmi_runtime import failure
from vmi_store import archiving, positions, sums, supply
from vmi_store.archiving import Archive, SessionLostError
from vmi_store.engine import Connection, Engine
from vmi_store.journal import JournalLine
from vmi_store.partitions import Partition

LINES_AT_ONCE: Final = 20_000
KEYS_AT_ONCE: Final = 500

Report = Callable[[str, int], None]
"""Called with the partition that is being written and how many of its lines are."""


class Writer(Protocol):
    """Writes one file of journal lines."""

    def write(self, lines: Sequence[JournalLine]) -> None: ...

    def verified(self, lines: int, first_at: datetime, last_at: datetime) -> Archive:
        """Close the file, read it again, and return what it holds; raise if it is not ``lines``."""

    def abandon(self) -> None:
        """Remove the file."""


async def archive(
    engine: Engine, before: datetime, writer_of: Callable[[str], Writer], *, who: str, report: Report
) -> list[Archive]:
    """Move what is older than ``before`` out of the journal into files, a partition each; return them.

    What stays: the last count of each key with what moved after it on its day, and the sums of every day, so that
    positions, refolds and rebuilds are the same as before. Of orders, shipments and receipts that are over the latest
    deliveries stay, too.
    """
    done: list[Archive] = []
    async with engine.connect() as session:
        await archiving.begin(session)
        found = await archiving.parts(session, before)
        await session.commit()
        for part in found:
            done += await _archive(session, part, before, writer_of(part.table), who, report)
    await _forget_closed_supply(engine, before, report)
    return done


async def _forget_closed_supply(engine: Engine, before: datetime, report: Report) -> None:
    """Forget the archived facts about supply that are over, so that keys are folded from few of them for ever."""
    last, forgotten = Key("", "", ""), 0

    async def once() -> tuple[list[Key], int]:
        async with engine.begin() as connection:
            keys = await supply.keys_with_archived(connection, last, at_most=KEYS_AT_ONCE)
            await positions.lock(connection, keys)
            return keys, await supply.forget_closed(connection, keys, before)

    while True:
        keys, some = await failure.retried("forgetting supply that is over", once)
        if not keys:
            break
        last, forgotten = keys[-1], forgotten + some
        report("supply that is over", forgotten)


async def _archive(
    session: Connection, part: Partition, before: datetime, writer: Writer, who: str, report: Report
) -> list[Archive]:
    total = leaving = 0
    times: list[datetime] = []
    pending: list[list[JournalLine]] = []
    try:
        async for lines in archiving.lines_of(session, part, before):
            total += len(lines)
            pending.append(lines)
            if sum(map(len, pending)) >= LINES_AT_ONCE:
                leaving += await _sum_up(session, pending, writer, times)
                pending = []
                report(part.table, total)
        leaving += await _sum_up(session, pending, writer, times)
        if not leaving:
            writer.abandon()
            return []
        await session.commit()
        archived = writer.verified(leaving, min(times), max(times))

        async def once() -> None:
            try:
                await archiving.leave(session, part, before, archived, lines=total, who=who)
                await session.commit()
            except BaseException as error:
                if session.invalidated:
                    raise SessionLostError from error
                await session.rollback()
                raise

        await failure.retried(f"taking {part.table} out of the journal", once)
        report(part.table, total)
        return [archived]
    except BaseException as error:
        writer.abandon()
        if session.invalidated:
            raise SessionLostError from error
        await session.rollback()
        raise
    finally:
        if not session.invalidated:
            await archiving.finished(session)
            await session.commit()


async def _sum_up(
    session: Connection, of_keys: Sequence[Sequence[JournalLine]], writer: Writer, times: list[datetime]
) -> int:
    """Write the lines that may leave, note what they add to days, and return how many they are."""
    keys = [lines[0].key for lines in of_keys]
    sites = await sites_of(session, keys)
    counted_at = await archiving.counted_at(session, keys)
    leaving: list[JournalLine] = []
    days = []
    for lines in of_keys:
        key = lines[0].key
        site = sites[key[:2]]
        free = [line for line in lines if not _stays(line, counted_at.get(key), site)]
        leaving += free
        days += [(key, effect) for effect in sums.days_of(key, free, site)] if free else []
    if leaving:
        writer.write(leaving)
        await archiving.note(session, leaving, days)
        occurred = [*times, *(line.occurred_at for line in leaving)]
        times[:] = [min(occurred), max(occurred)]
    return len(leaving)


def _stays(line: JournalLine, counted_at: datetime | None, site: SiteCalendar) -> bool:
    """The last count and the rest of its day are what a position is folded from, besides sums."""
    if counted_at is None or line.occurred_at < counted_at:
        return False
    return line.occurred_at <= site.end_of(site.day_up_to(counted_at))
