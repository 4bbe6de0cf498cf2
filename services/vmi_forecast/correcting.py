"""What was learned in the place of what was observed: corrected days, and what promotions did."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Final

import numpy as np

from vmi_domain import forecasting
from vmi_domain.forecasting import History, States
from vmi_domain.forecasting.plans import PlanKind, PlanLine
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_runtime.worker import Transaction
from vmi_store import demand, plans
from vmi_store.demand import Corrected

LONGEST: Final = timedelta(days=400)
"""Corrected days, and promotions that uplifts are learned from, go so far back."""


@dataclass(frozen=True, slots=True)
class Lesson:
    """What one series was taught in one go."""

    key: Key
    first: date
    through: date
    history: History


async def note(transaction: Transaction, lessons: Sequence[Lesson], states: States) -> None:
    """Write which days were not learned as observed, and what promotions did; ``states`` are those after it."""
    if not lessons:
        return
    rows, corrected = [], []
    for place, lesson in enumerate(lessons):
        for day, share, cause in _corrected(lesson):
            rows.append((place, day, share))
            corrected.append((lesson.key, day, cause))
    since = [(lesson.key, max(lesson.first, lesson.through - LONGEST)) for lesson in lessons]
    touched = [
        one
        for one, lesson in zip(since, lessons, strict=True)
        if lesson.history.is_partial or lesson.history.adjusted.size
    ]
    late = [one for one, lesson in zip(since, lessons, strict=True) if lesson.first < lesson.through]
    written: list[Corrected] = []
    if rows:
        until = max(lesson.through for lesson in lessons)
        sold = dict(
            zip(
                [key for key, _ in touched],
                await demand.observed(transaction.connection, touched, until=until),
                strict=True,
            )
        )
        known = [sold[key].get(day.toordinal(), 0.0) for key, day, _ in corrected]
        learned = [_learned(lessons[place].history, day) for place, day, _ in rows]
        likely = forecasting.likely(
            states[[place for place, _, _ in rows]],
            [day.toordinal() for _, day, _ in rows],
            learned,
            [share for _, _, share in rows],
        )
        written = [
            Corrected(key, day, seen, float(wanted), cause)
            for (key, day, cause), seen, wanted in zip(corrected, known, likely, strict=True)
        ]
    again = sorted({*touched, *late})
    if again:
        await demand.correct(transaction.connection, again, written)
    await _note_uplifts(transaction, lessons, states)


def _corrected(lesson: Lesson) -> Iterator[tuple[date, float, str]]:
    """Yield the days not learned as observed, the share of them with something to sell, and why."""
    history = lesson.history
    shares = np.full(len(history.sold_out), np.nan) if history.shares is None else history.shares
    found = dict.fromkeys(history.adjusted.tolist(), (1.0, "adjusted"))
    found |= {day: (share, "sold_out") for day, share in zip(history.sold_out.tolist(), shares.tolist(), strict=True)}
    found |= dict.fromkeys(history.empty.tolist(), (0.0, "nothing_to_sell"))
    found |= dict.fromkeys(history.set_aside.tolist(), (0.0, "set_aside"))
    first = max(lesson.first, lesson.through - LONGEST).toordinal()
    for day in sorted(found):
        if first <= day <= lesson.through.toordinal():
            yield date.fromordinal(day), *found[day]


def _learned(history: History, day: date) -> float:
    place = np.flatnonzero(history.days == day.toordinal())
    return float(history.demand[place[0]]) if place.size else 0.0


async def _note_uplifts(transaction: Transaction, lessons: Sequence[Lesson], states: States) -> None:
    """Learn uplifts anew of the series that were taught a promoted day."""
    some = [place for place, lesson in enumerate(lessons) if lesson.history.set_aside.size]
    if not some:
        return
    since = [(lessons[place].key, lessons[place].through - LONGEST) for place in some]
    first = min(day for _, day in since)
    promotions = await plans.read(
        transaction.connection, [key for key, _ in since], since=first, kinds=frozenset({PlanKind.PROMOTION})
    )
    through = max(lessons[place].through for place in some)
    sold = await demand.observed(transaction.connection, since, until=through)
    outcomes: dict[Key, tuple[float, float]] = {}
    for place, (key, begin), days in zip(some, since, sold, strict=True):
        promoted = _promoted(promotions, key, begin, lessons[place].through)
        if promoted:
            usual = forecasting.likely(
                np.repeat(states[[place]], len(promoted), axis=0),
                promoted,
                np.zeros(len(promoted)),
                np.zeros(len(promoted)),
            )
            outcomes[key] = (float(usual.sum()), sum(days.get(day, 0.0) for day in promoted))
    await plans.note_uplifts(transaction.connection, outcomes)


def _promoted(promotions: Mapping[Key, Sequence[PlanLine]], key: Key, first: date, last: date) -> list[int]:
    days: set[int] = set()
    for line in promotions.get(key, ()):
        days.update(range(max(line.first_day, first).toordinal(), min(line.last_day, last).toordinal() + 1))
    return sorted(days)
