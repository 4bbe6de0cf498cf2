"""Raising exceptions: what workers see is put to how they stand; what changes is written and told with the batch."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby
from typing import Final
from uuid import uuid5

from vmi_contracts import topics
from vmi_contracts.inbound import AgreementMade
from vmi_contracts.outbound import ExceptionKind, ExceptionLine, ExceptionsChanged, ExceptionStatus
from vmi_domain.exceptions.lifecycle import (
    NAMESPACE,
    Active,
    Kind,
    Observation,
    Standing,
    Step,
    Subject,
    is_moved,
    observed,
)
from vmi_domain.exceptions.rules import Thresholds
from vmi_domain.stock.position import Key
from vmi_runtime.clock import Clock
from vmi_store import due, exceptions, outbox, watermarks
from vmi_store.engine import Connection
from vmi_store.exceptions import ItemAt
from vmi_store.outbox import OutboxMessage

SOURCE: Final = "vmi/exceptions"
MOST_LINES: Final = 500
"""Of one message."""

Nows = Mapping[tuple[str, str], datetime]
"""What *now* means at each customer's location."""


def thresholds_of(agreement: AgreementMade) -> Thresholds:
    """Return from when on something is wrong, as it is agreed."""
    after = agreement.unanswered_after_hours
    return Thresholds(
        recovery_margin=agreement.recovery_margin,
        above_maximum_tolerance=agreement.above_maximum_tolerance,
        overdue_grace=timedelta(hours=agreement.overdue_grace_hours),
        negative_after=timedelta(hours=agreement.negative_after_hours),
        unanswered_after=None if after is None else timedelta(hours=after),
        drift_tolerance=agreement.drift_tolerance,
        drift_tolerance_share=agreement.drift_tolerance_share,
        receipt_tolerance_share=agreement.receipt_tolerance_share,
    )


async def settle(
    connection: Connection,
    items: Sequence[ItemAt],
    kinds: Collection[Kind],
    seen: Sequence[Observation],
    now: Nows,
    active: Mapping[Subject, Active] | None = None,
) -> dict[ItemAt, datetime]:
    """Bring the exceptions of these kinds and items up to date with all that was seen of them.

    What is active (read here where it is not given) and not in ``seen`` is over. The caller is the only one who
    settles these kinds of these items now. Return when an item is to be looked at again though nothing happens, where
    one is to be.
    """
    if active is None:
        active = await exceptions.active(connection, items, kinds)
    named = {one.subject for one in seen} if active else set()
    over = [Observation(subject, False) for subject in active if subject not in named]
    changed = await _note(connection, [*seen, *over], now, active)
    dues: dict[Subject, datetime | None] = {subject: one.due_at for subject, one in active.items() if one.due_at}
    dues |= {step.standing.subject: step.standing.due_at if step.standing.is_active else None for step in changed}
    again: dict[ItemAt, datetime] = {}
    for subject, due_at in dues.items():
        if due_at is not None and due_at > _at(subject, now):
            at: ItemAt = (subject.customer_id, subject.location_id, subject.item_id)
            again[at] = min(due_at, again.get(at, due_at))
    return again


async def _note(
    connection: Connection, seen: Sequence[Observation], now: Nows, active: Mapping[Subject, Active]
) -> list[Step]:
    """Take observations to how exceptions stand; write and tell what changes."""
    # Nearly all of what is seen is right and was right before, or told already: that is passed over at once.
    may_change = []
    for one in seen:
        standing = active.get(one.subject)
        if one.is_wrong if standing is None else is_moved(standing, one, _at(one.subject, now)):
            may_change.append(one)
    if not may_change:
        return []
    # A person may have said something meanwhile: what counts is how they stand once their rows are held.
    held = await exceptions.lock(
        connection, {(one.subject.customer_id, one.subject.exception_id) for one in may_change}
    )
    steps = [observed(held.get(one.subject.exception_id), one, _at(one.subject, now)) for one in may_change]
    changed = [step for step in steps if step is not None]
    await write(connection, changed)
    return changed


def _at(subject: Subject, now: Nows) -> datetime:
    return now[subject.customer_id, subject.location_id]


async def write(connection: Connection, steps: Sequence[Step]) -> None:
    """Write exceptions that changed, and put what is told of them into the outbox. The caller holds their rows."""
    await exceptions.save(connection, [step.standing for step in steps])
    await outbox.add(connection, list(_messages([step.standing for step in steps if step.is_told])))


async def taken_up(
    connection: Connection, clock: Clock, subject: Subject, say: Callable[[Standing, datetime], Step]
) -> Standing:
    """Let a person say something to an exception as it stands now, and return how it stands then.

    ``say`` may raise what speaks against it.
    """
    place = (subject.customer_id, subject.location_id)
    reached_at = (await watermarks.read(connection, [place])).get(place, clock.wall())
    held = await exceptions.lock(connection, [(subject.customer_id, subject.exception_id)])
    step = say(held[subject.exception_id], clock.now(reached_at))
    await write(connection, [step])
    if subject.item_id and step.standing.due_at is not None:
        # Where nothing happens meanwhile it speaks up by itself.
        await due.bring_forward(connection, [Key(*place, subject.item_id)], step.standing.due_at)
    return step.standing


def _messages(told: Sequence[Standing]) -> Iterator[OutboxMessage]:
    def place(one: Standing) -> tuple[str, str]:
        return (one.subject.customer_id, one.subject.location_id)

    for (customer_id, location_id), group in groupby(sorted(told, key=place), key=place):
        of_place = sorted(group, key=lambda one: one.exception_id)
        for first in range(0, len(of_place), MOST_LINES):
            some = of_place[first : first + MOST_LINES]
            document = ExceptionsChanged(
                customer_id=customer_id,
                location_id=location_id,
                changed_at=max(one.changed_at for one in some),
                lines=tuple(_line(one) for one in some),
            )
            yield OutboxMessage(
                topic=topics.EXCEPTIONS.name,
                key=document.key,
                customer_id=customer_id,
                type=document.message_type,
                message_id=uuid5(NAMESPACE, "|".join(f"{one.exception_id}:{one.version}" for one in some)),
                source=SOURCE,
                payload=document.model_dump_json(exclude_none=True).encode(),
                time=document.changed_at,
            )


def _line(one: Standing) -> ExceptionLine:
    return ExceptionLine(
        exception_id=one.exception_id,
        version=one.version,
        occurrence=one.occurrence,
        kind=ExceptionKind(one.subject.kind.value),
        status=ExceptionStatus(one.status.value),
        item_id=one.subject.item_id or None,
        subject=one.subject.name or None,
        opened_at=one.opened_at or one.seen_at,
        closed_at=one.closed_at,
        reason=one.sentence,
        details=one.details,
        author=one.author or None,
        note=one.note or None,
        suppressed_until=one.suppressed_until,
    )
