"""Choosing models in the background: a location's series, a week after week, held against the whole pool.

It has a turn of its own and computes in a process of the lowest priority, so that closed days are learned meanwhile and
nobody waits; the turn of forecasting is held only while what was chosen is laid over the states. The states stay what
is moved by each day, and what is fallen back to.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Final

import numpy as np

from vmi_domain import forecasting
from vmi_domain.forecasting import Protection, calibration, selection
from vmi_domain.forecasting.pool import Known
from vmi_domain.forecasting.selection import AT_ONCE, LIVE, LOOKED_BACK_DAYS, Choice, horizon_of
from vmi_domain.forecasting.state import PERIOD
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_forecast import telling
from vmi_forecast.learning import Learned
from vmi_forecast.terms import models as models_agreed
from vmi_forecast.terms import protection
from vmi_runtime import background
from vmi_runtime.worker import Transaction
from vmi_store import agreements, forecasts, models, past_forecasts, profiles, turns
from vmi_store.forecasts import Forecast, Location
from vmi_store.models import Calibration, Chosen
from vmi_store.past_forecasts import Outcome
from vmi_store.turns import Work

EVERY_DAYS: Final = 7
LOOKED_BACK: Final = timedelta(days=LOOKED_BACK_DAYS)
NO_PATTERN: Final = "none"
DAY: Final = timedelta(days=1)
WEEK: Final = 7

Terms = tuple[int, float]
"""Days of the horizon that is judged, and the quantile."""


@dataclass(frozen=True, slots=True)
class Judging:
    """Series that are held against the pool together."""

    demand: Sequence[tuple[list[int], list[float]]]
    """Days and what was wanted on them, of each."""
    through: date
    terms: Terms
    patterns: Sequence[str]
    champions: Sequence[str]
    agreed: Sequence[tuple[str, ...]]
    """The models that each may go by; none: all."""


async def choose(transaction: Transaction) -> bool:
    """Choose models for one location that is due; return whether there may be more."""
    connection = transaction.connection
    due = await models.due(connection, every_days=EVERY_DAYS, at_most=1)
    if not due:
        return False
    await turns.take(connection, Work.CHOOSING_MODELS, due)
    due = await models.due(connection, every_days=EVERY_DAYS, at_most=1)  # another one may have been here
    for location, through in due.items():
        await _choose(transaction, location, through)
    return bool(due)


async def _choose(transaction: Transaction, location: Location, through: date) -> None:
    connection = transaction.connection
    standing = await models.of_location(connection, location)
    here = await profiles.items(connection, customer_id=location.customer_id, location_id=location.location_id)
    patterns = {one.key: one.pattern.name for one in here}
    value_classes = {one.key: one.value_class.name for one in here}
    demand = await profiles.daily_demand(connection, location, since=through - LOOKED_BACK + DAY, until=through)
    known = await forecasts.read(connection, demand)
    keys = [key for key in sorted(known) if known[key].state is not None and not _is_weekly(known[key])]
    agreed = await agreements.in_force(connection, [(key, through + DAY) for key in keys])
    covered = {key: protection(agreed.get(key, ())) for key in keys}
    alike: dict[Terms, list[Key]] = defaultdict(list)
    for key in keys:
        alike[horizon_of(covered[key].days), covered[key].service].append(key)
    found: list[Chosen] = []
    for terms, some in alike.items():
        for start in range(0, len(some), AT_ONCE):
            part = some[start : start + AT_ONCE]
            labels = [patterns.get(key, NO_PATTERN) for key in part]
            champions = [standing[key].choice.model if key in standing else LIVE for key in part]
            pools = [
                models_agreed(agreed.get(key, ()), label, value_classes.get(key, ""))
                for key, label in zip(part, labels, strict=True)
            ]
            judging = Judging([demand[key] for key in part], through, terms, labels, champions, pools)
            # The session is heard of while this goes on: one that stands still is ended, as a frozen worker's.
            choices = await background.computed(_judged, judging, partial(turns.hold_on, connection))
            found.extend(
                Chosen(key, choice, _since(standing.get(key), choice, through), through, *terms)
                for key, choice in zip(part, choices, strict=True)
            )
    scales = await _calibrated(transaction, location, patterns, through)
    await models.choose(connection, found)
    await models.passed(connection, location, through)
    await _lay_over(
        transaction, location, found, {key: scales.get(patterns.get(key, NO_PATTERN)) for key in keys}, covered
    )


def _is_weekly(forecast: Forecast) -> bool:
    return forecast.state is not None and bool(forecast.state[PERIOD] > 1)


def _since(before: Chosen | None, choice: Choice, through: date) -> date:
    return before.since if before is not None and before.choice.model == choice.model else through


def _judged(these: Judging) -> list[Choice]:
    """Return the choice of each series."""
    horizon, quantile = these.terms
    first = min(days[0] for days, _ in these.demand)
    figures = np.zeros((len(these.demand), these.through.toordinal() - first + 1))
    for row, (days, wanted) in enumerate(these.demand):
        figures[row, np.array(days) - first] = wanted
    begins = np.array([days[0] - first for days, _ in these.demand], np.int64)
    found = selection.backtest(Known(figures, begins, first), selection.whole_pool(horizon), horizon, quantile)
    return selection.choose(found, these.champions, np.array(these.patterns, object), these.agreed)


async def _calibrated(
    transaction: Transaction, location: Location, patterns: Mapping[Key, str], through: date
) -> dict[str, Calibration]:
    """Take in the outcomes of whole weeks since the last time; return the calibrations by pattern."""
    before = await models.calibrations(transaction.connection, location)
    seen_through = max((one.through for one in before.values()), default=None)
    outcomes = await past_forecasts.outcomes(
        transaction.connection,
        customer_id=location.customer_id,
        location_id=location.location_id,
        made_after=None if seen_through is None else seen_through - timedelta(days=WEEK),
    )
    news: dict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        pattern = patterns.get(one.said.key, NO_PATTERN)
        ended = one.said.made_on + timedelta(days=WEEK)
        if ended <= through and (pattern not in before or ended > before[pattern].through):
            news[pattern].append(one)
    for pattern, some in news.items():
        wanted = np.array([one.wanted[:WEEK].sum() for one in some])
        mean = np.array([one.said.means[:WEEK].sum() for one in some])
        level = np.array([one.said.quantiles[-1] for one in some])
        kept = before.get(pattern, Calibration(pattern, 1.0, through, 0, 0))
        seen = np.isfinite(wanted)
        before[pattern] = Calibration(
            pattern,
            calibration.moved(kept.scale, wanted, mean, level),
            through,
            kept.outcomes + int(seen.sum()),
            kept.covered + int((wanted[seen] <= level[seen]).sum()),
        )
    await models.calibrate(transaction.connection, location, before)
    return before


async def _lay_over(
    transaction: Transaction,
    location: Location,
    found: Sequence[Chosen],
    scales: Mapping[Key, Calibration | None],
    covered: Mapping[Key, Protection],
) -> None:
    """Lay choices and calibrations over the states as they stand by now; tell what changed by enough to matter."""
    if not found:
        return
    await turns.take(transaction.connection, Work.FORECASTING, [location])
    standing = await forecasts.read(transaction.connection, [one.key for one in found])
    some = [one for one in found if one.key in standing and standing[one.key].state is not None]
    if not some:
        return
    scale = [1.0 if (one := scales.get(chosen.key)) is None else one.scale for chosen in some]
    states = forecasting.laid_over(
        np.array([standing[one.key].state for one in some]),
        [one.choice.mean_share for one in some],
        [one.choice.spread_share for one in some],
        scale,
    )
    learned = [
        Learned(one.key, before, before.through, before.began_on, state, covered[one.key])
        for one, state in zip(some, states, strict=True)
        for before in [standing[one.key]]
    ]
    await telling.tell(transaction, [one for one in learned if one.is_new])
