"""Bringing series up to their location's last closed day, from where each stands or from before a late fact."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Final

import numpy as np

from vmi_domain import forecasting
from vmi_domain.days import SiteCalendar
from vmi_domain.forecasting import History, Protection, States
from vmi_domain.forecasting.state import PERIOD
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_forecast import correcting
from vmi_forecast.correcting import Lesson
from vmi_forecast.terms import expected_daily_demand, protection
from vmi_runtime.worker import Transaction
from vmi_store import agreements, demand, forecasts, models
from vmi_store.forecasts import Checkpoint, Forecast, Location, Site, State

LONGEST_HISTORY: Final = timedelta(days=1100)
"""Older days weigh nothing any more."""
NO_HISTORY_BEFORE: Final = date(1950, 1, 1)
"""A day before it stands for the begin of all there is."""
DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Task:
    """A series that has something to learn."""

    key: Key
    before: Forecast | None
    """The forecast as it stands."""
    checkpoint: Checkpoint | None
    """The past state it is to be redone from."""
    from_scratch: bool
    through: date
    """The day it is to be brought to."""
    anew: bool = False
    """Whether what it begins with changed: a predecessor's history was given to it, or taken from it."""


@dataclass(frozen=True, slots=True)
class Weeks:
    """How a series is counted that is reported by the week."""

    begin: date
    """A day on which such a week begins."""
    reported: date
    """The last day that was reported on."""


@dataclass(frozen=True, slots=True)
class Learned:
    """A series as it stands after a batch."""

    key: Key
    before: Forecast | None
    through: date
    began_on: date
    state: State
    protection: Protection
    """What the forecast has to cover."""

    @property
    def is_new(self) -> bool:
        """Whether anything was learned: what is heard twice is not."""
        before = self.before
        if before is None or before.state is None or before.through != self.through:
            return True
        return not np.array_equal(before.state, self.state)


async def tasks(
    transaction: Transaction,
    keys: Sequence[Key],
    standing: Mapping[Key, Forecast],
    late: Mapping[Key, date],
    through: Mapping[Location, date],
) -> list[Task]:
    """Return what is to be learned of these sorted keys, of which ``standing`` has the forecasts there are.

    What is up to date is left out. The caller has their turn.
    """
    to_redo = {key: day for key, day in late.items() if key in standing and day <= standing[key].through}
    checkpoints = await forecasts.checkpoints_before(transaction.connection, list(to_redo.items()))
    found = []
    for location, here in groupby(keys, key=itemgetter(0, 1)):
        last = through[Location(*location)]
        for key in here:
            before = standing.get(key)
            anew = key in to_redo and to_redo[key] < NO_HISTORY_BEFORE
            if before is None or before.state is None:
                until = last if before is None else max(last, before.through)
                found.append(Task(key, before, None, True, until, anew))
            elif key in to_redo:
                checkpoint = checkpoints.get(key)
                scratch = anew or checkpoint is None
                found.append(Task(key, before, None if anew else checkpoint, scratch, max(last, before.through), anew))
            elif before.through < last:
                found.append(Task(key, before, None, False, last))
    return found


async def learn(
    transaction: Transaction, tasks: Sequence[Task], sites: Mapping[Location, Site], closing: Sequence[Location]
) -> list[Learned]:
    """Return the series with all days up to theirs learned, those that changed by it; keep their past states.

    Where a location closes a day all its series are among them, and share what they know of its week.
    """
    rates, covered = await _agreed(transaction, tasks)
    calendars = {location: site.calendar for location, site in sites.items()}
    news = await _news(transaction, tasks, calendars)
    tasks, weeks = await _by_their_periods(transaction, tasks, news, sites)
    began_on = await _beginnings(transaction, tasks)
    states, first_days = _where_they_stand(tasks, rates, began_on, weeks)
    await _lay_over_what_is_lost(transaction, tasks, states)
    states, throughs = await _fold(transaction, tasks, calendars, states, first_days, weeks, news)
    _share_weekdays([task.key for task in tasks], states, set(closing))
    learned = [
        Learned(task.key, task.before, through, began, state, protection)
        for task, through, began, state, protection in zip(tasks, throughs, began_on, states, covered, strict=True)
    ]
    return [one for one in learned if one.is_new]


async def _agreed(transaction: Transaction, tasks: Sequence[Task]) -> tuple[list[float], list[Protection]]:
    """Return the rate that is agreed of each series, NaN where none is, and what its forecast has to cover."""
    on = [(task.key, task.through + DAY) for task in tasks]
    rates, covered = [expected_daily_demand(())] * len(tasks), [protection(())] * len(tasks)
    for terms, places in await agreements.wordings(transaction.connection, on):
        rate, covers = expected_daily_demand(terms), protection(terms)
        for place in places:
            rates[place], covered[place] = rate, covers
    return rates, covered


async def _news(
    transaction: Transaction, tasks: Sequence[Task], calendars: Mapping[Location, SiteCalendar]
) -> dict[int, History]:
    """Return what those series that go on by days have to learn, by their places."""
    found: dict[int, History] = {}
    places = [place for place, task in enumerate(tasks) if _goes_on_by_days(task)]
    for through, some in _by_last_day(tasks, places):
        since = [(task.key, task.before.through + DAY) for task in (tasks[place] for place in some) if task.before]
        histories = await demand.read(transaction.connection, since, until=through, calendars=calendars)
        found.update(zip(some, histories, strict=True))
    return found


def _by_last_day(tasks: Sequence[Task], places: Sequence[int]) -> list[tuple[date, list[int]]]:
    """Return these places by the day that their series are to be brought to."""
    found: dict[date, list[int]] = defaultdict(list)
    for place in places:
        found[tasks[place].through].append(place)
    return sorted(found.items())


async def _by_their_periods(
    transaction: Transaction, tasks: Sequence[Task], news: dict[int, History], sites: Mapping[Location, Site]
) -> tuple[list[Task], dict[Key, Weeks]]:
    """Return the tasks, and how those series are counted that are reported by the week.

    One that was reported by the day is, until it is reported otherwise: its news tells when to ask. Where it is, the
    news is forgotten: the series is learned from scratch.
    """
    kept = list(tasks)
    asked = [place for place in range(len(kept)) if place not in news or news[place].tells_periods]
    weeks = await _weeks(transaction, [kept[place] for place in asked], sites)
    for place in asked:
        kept[place] = _by_its_period(kept[place], kept[place].key in weeks)
        if kept[place].from_scratch:
            news.pop(place, None)
    return kept, weeks


async def _weeks(transaction: Transaction, tasks: Sequence[Task], sites: Mapping[Location, Site]) -> dict[Key, Weeks]:
    """Return how those of these series are counted that are reported by the week."""
    since = [(task.key, task.before.through if task.before and _goes_on_by_days(task) else None) for task in tasks]
    reported = await demand.reported_by_week(transaction.connection, since)
    return {
        key: Weeks(calendar.day_of(starts_at), calendar.day_up_to(ended_at))
        for key, (starts_at, ended_at) in reported.items()
        for calendar in [sites[Location(*key[:2])].calendar]
    }


def _goes_on_by_days(task: Task) -> bool:
    """Whether the series was reported by the day, and only what is reported since is new to it."""
    state = None if task.before is None else task.before.state
    return state is not None and bool(state[PERIOD] <= 1) and not task.from_scratch and task.checkpoint is None


def _by_its_period(task: Task, weekly: bool) -> Task:
    """Return the task, from scratch where the series was learned by another period than it is reported by now."""
    state = None if task.before is None else task.before.state
    if state is None or bool(state[PERIOD] > 1) == weekly:
        return task
    return replace(task, checkpoint=None, from_scratch=True)


async def _beginnings(transaction: Transaction, tasks: Sequence[Task]) -> list[date]:
    """Return the first day of each series: as known, or of its first demand, or the next day that will close."""
    first_demand = await demand.first_days(transaction.connection, [task.key for task in tasks if task.from_scratch])
    beginnings = []
    for task in tasks:
        known = [] if task.before is None or task.anew else [task.before.began_on]
        if task.from_scratch and task.key in first_demand:
            known.append(first_demand[task.key])
        beginnings.append(max(min(known, default=task.through + DAY), task.through - LONGEST_HISTORY))
    return beginnings


def _where_they_stand(
    tasks: Sequence[Task],
    rates: Sequence[float],
    began_on: Sequence[date],
    weeks: Mapping[Key, Weeks],
) -> tuple[States, list[date]]:
    """Return each series' state to go on from, with the rate that is agreed now, and the first day to learn."""
    states = forecasting.start(rates, [7 if task.key in weeks else 1 for task in tasks])
    first_days = []
    for place, (task, began) in enumerate(zip(tasks, began_on, strict=True)):
        if task.before is None or task.before.state is None:
            first_days.append(began)
        elif task.from_scratch:
            states[place] = forecasting.with_what_lies_over(states[place], task.before.state)
            first_days.append(began)
        elif task.checkpoint is not None:
            states[place] = forecasting.with_what_lies_over(task.checkpoint.state, task.before.state)
            first_days.append(task.checkpoint.through + DAY)
        else:
            states[place] = task.before.state
            first_days.append(task.before.through + DAY)
    return forecasting.agree(states, rates), first_days


async def _lay_over_what_is_lost(transaction: Transaction, tasks: Sequence[Task], states: States) -> None:
    """Lay the choices that are kept over states that are learned from nothing, in place: after a rebuild."""
    lost = [place for place, task in enumerate(tasks) if task.before is None or task.before.state is None]
    if not lost:
        return
    kept = await models.read(transaction.connection, [tasks[place].key for place in lost])
    for place in lost:
        choice = kept.get(tasks[place].key)
        if choice is not None:
            over = forecasting.laid_over(states[[place]], choice.mean_share, choice.spread_share, [1.0])
            states[place] = over[0]


async def _fold(
    transaction: Transaction,
    tasks: Sequence[Task],
    calendars: Mapping[Location, SiteCalendar],
    states: States,
    first_days: Sequence[date],
    weeks: Mapping[Key, Weeks],
    news: Mapping[int, History],
) -> tuple[States, list[date]]:
    """Learn the days that each series lacks. Series that are brought to the same day go together."""
    learned, throughs = states.copy(), [task.through for task in tasks]
    lessons: list[tuple[int, Lesson]] = []
    for through, places in _by_last_day(tasks, range(len(tasks))):
        since = [(tasks[place].key, first_days[place]) for place in places]
        unread = [place for place in places if place not in news]
        read = await demand.read(
            transaction.connection,
            [(tasks[place].key, first_days[place]) for place in unread],
            until=through,
            calendars=calendars,
        )
        found = {**news, **dict(zip(unread, read, strict=True))}
        histories = [_by_weeks(found[place], weeks.get(tasks[place].key), through) for place in places]
        folded = forecasting.fold(states[places], [day for _, day in since], histories, through)
        learned[places] = folded.states
        for place, last in zip(places, folded.throughs, strict=True):
            throughs[place] = last
        lessons.extend(
            (place, Lesson(key, first, through, history))
            for place, (key, first), history in zip(places, since, histories, strict=True)
            if first < through or history.is_partial or history.adjusted.size
        )
        kept = [Checkpoint(since[place][0], day, state) for place, day, state in folded.checkpoints]
        await forecasts.keep_checkpoints(transaction.connection, kept)
        grown = sorted({checkpoint.key for checkpoint in kept})
        await forecasts.forget_checkpoints(transaction.connection, grown, forecasting.kept_days(through))
    daily = [(place, lesson) for place, lesson in lessons if lesson.history.week_begins is None]
    await correcting.note(transaction, [lesson for _, lesson in daily], learned[[place for place, _ in daily]])
    return learned, throughs


def _by_weeks(history: History, weeks: Weeks | None, through: date) -> History:
    """Return the history as it is counted; a week that was not reported yet is no week without demand, for a week."""
    if weeks is None:
        return history
    known = max(weeks.reported, through - WEEK)
    return replace(history, week_begins=weeks.begin.toordinal(), known_through=min(known, through).toordinal())


def _share_weekdays(keys: Sequence[Key], states: States, closing: set[Location]) -> None:
    """Give the series of each location that closed a day the weekday profile of them all, in place."""

    for where, group in groupby(range(len(keys)), key=lambda place: keys[place][:2]):
        if where in closing:
            places = list(group)
            states[places] = forecasting.pooled(states[places])
