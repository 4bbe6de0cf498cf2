"""Trying again what was put aside: in the order in which it came, and one bad record stops no other."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from typing import Final

from vmi_contracts.topics import Topic
from vmi_runtime import failure
from vmi_runtime.failure import Fault
from vmi_runtime.rejections import Reason
from vmi_runtime.worker import FetchedRecord, Tick, Transaction
from vmi_store import quarantine
from vmi_store.quarantine import Held, Rejected

AT_ONCE: Final = 500
"""Records and lines in one transaction."""

TakeAgain = Callable[[Sequence[Held], Transaction], Awaitable[Sequence[Rejected]]]
"""Takes records and lines in once more, the earliest first, and returns what is refused again.

That may be lines of a record that was held as a whole. A line that was held goes past the inbox, which has its
document already.
"""


def trying_again(worker: str, topics: Sequence[Topic], take: TakeAgain) -> Tick:
    """Return the tick by which a worker tries again what it put aside of these topics, once that is due."""
    do = partial(try_again, worker, [topic.name for topic in topics], take)
    return Tick(f"try again what was put aside of {[topic.name for topic in topics]}", every_seconds=1, do=do)


async def try_again(worker: str, topics: Sequence[str], take: TakeAgain, transaction: Transaction) -> bool:
    """Try some of what is due again; return whether there may be more."""
    connection = transaction.connection
    due = await quarantine.take_due(connection, worker=worker, topics=topics, at_most=AT_ONCE)
    if not due:
        return False
    again = {one.id: one for one in await _take(due, take, transaction)}
    held = {one.id for one in due}
    await quarantine.keep(connection, [one for id_, one in sorted(again.items()) if id_ in held])
    await quarantine.add(connection, [one for id_, one in sorted(again.items()) if id_ not in held])
    await quarantine.settle(connection, sorted(held - again.keys()), by="released")
    return len(due) == AT_ONCE


async def _take(due: Sequence[Held], take: TakeAgain, transaction: Transaction) -> list[Rejected]:
    """Return what is refused again; what the database refuses is looked for by halving, as it is live."""
    try:
        async with transaction.connection.begin_nested():
            return list(await take(due, transaction))
    except Exception as error:
        if failure.fault(error) is not Fault.DATA:
            raise
        refusal = failure.reason(error)
    if len(due) == 1:
        return [replace(due[0].rejected, reason=Reason.REFUSED_BY_DATABASE.value, detail=refusal)]
    half = len(due) // 2
    return [*await _take(due[:half], take, transaction), *await _take(due[half:], take, transaction)]


def by_record(due: Sequence[Held]) -> list[list[Held]]:
    """Return held records and lines, those of one record together."""
    return [list(held) for _, held in groupby(due, key=lambda one: one.rejected.record_id)]


def numbers_of(held: Sequence[Held]) -> frozenset[int] | None:
    """Return which lines of a record were held; None where it is the record as a whole."""
    numbers = [one.rejected.line for one in held]
    return None if None in numbers else frozenset(number for number in numbers if number is not None)


def record_of(rejected: Rejected) -> FetchedRecord:
    """Return a record as it came."""
    return FetchedRecord(
        topic=rejected.topic,
        partition=rejected.partition,
        offset=rejected.offset,
        timestamp=round(rejected.recorded_at.timestamp() * 1000),
        key=rejected.key,
        value=rejected.value,
        headers=rejected.headers,
    )
