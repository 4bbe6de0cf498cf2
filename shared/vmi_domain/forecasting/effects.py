"""What acts on demand in a known way: the weekday, closed days, and promotions and prices by plan (S22)."""

from typing import Final

import numpy as np

from vmi_domain.forecasting.panel import Flags, Floats, Integers, Panel, Period
from vmi_domain.forecasting.weekdays import NOISE_FLOOR, SPREAD_OF_PROFILES

WEEK: Final = 7
LOCATION_WORTH: Final = 200.0
"""Days with demand, over all its series, at which a location's own weekday profile counts half."""
BASELINE_SMOOTHING: Final = 0.1
ROUNDS: Final = 6
MOST_EVENTS: Final = 12
"""Kinds of event with an effect of their own, the commonest; the others share one."""
FEWEST_PERIODS: Final = 10
"""Periods under an event before it has an effect of its own."""
SPREAD_OF_EFFECTS: Final = 0.5
"""Usual standard deviation of one item's log effects around those of all."""
OVERDISPERSION: Final = 0.3
"""Squared coefficient of variation of a period's demand around its expectation, for weighing periods."""
STRONGEST: Final = (-2.0, 3.0)
"""A log effect is no weaker and no stronger than that."""


def weekday_factors(panel: Panel) -> Floats:
    """Return n × 7 factors, Monday first, mean 1: a series' own, shrunk to its location's, that to all locations'."""
    count, periods = panel.demand.shape
    if panel.period is not Period.DAY or periods < 2 * WEEK:
        return np.ones((count, WEEK))
    place = np.arange(periods)
    counted = place >= panel.begins[:, None]
    if panel.in_stock is not None:
        counted &= panel.in_stock == 1
    if panel.event is not None:
        counted &= panel.event[:, :periods] == 0
    weekday = (panel.first_period.weekday() + place) % WEEK
    days = np.stack([counted[:, weekday == one].sum(axis=1) for one in range(WEEK)], axis=1).astype(np.float64)
    demand = np.where(counted, panel.demand, 0.0)
    sums = np.stack([demand[:, weekday == one].sum(axis=1) for one in range(WEEK)], axis=1)
    variance = (demand**2).sum(axis=1) / np.maximum(days.sum(axis=1), 1)
    means = sums / np.maximum(days, 1)
    everywhere = _mean_one(means.sum(axis=0), np.ones(WEEK))
    here = np.zeros((int(panel.location.max(initial=0)) + 1, WEEK))
    np.add.at(here, panel.location, means)
    hits = np.bincount(panel.location, (demand > 0).sum(axis=1), minlength=len(here))
    worth = (hits / (hits + LOCATION_WORTH))[:, None]
    towards = (worth * _mean_one(here, everywhere) + (1 - worth) * everywhere)[panel.location]
    level = means.mean(axis=1, keepdims=True)
    noise = np.maximum(variance[:, None] - level**2, level) / np.maximum(days, 1)
    off = means - towards * level
    surely = np.maximum((off**2).mean(axis=1) - NOISE_FLOOR * noise.mean(axis=1), 0.0)[:, None]
    spread = SPREAD_OF_PROFILES * level**2 + surely
    own = spread / np.maximum(spread + noise, 1e-12) * (days > 0).all(axis=1, keepdims=True)
    return _mean_one(np.maximum(towards + own * off / np.maximum(level, 1e-9), 0.0), towards)


def calendar_factors(panel: Panel, horizon: int) -> Floats:
    """Return n × (T + N) factors of weekday and closed days."""
    columns = panel.periods + horizon
    factors = np.ones((len(panel.demand), columns))
    if panel.period is Period.DAY:
        weekday = (panel.first_period.weekday() + np.arange(columns)) % WEEK
        factors = weekday_factors(panel)[:, weekday]
    if panel.closed is not None:
        factors = np.where(panel.closed, 0.0, factors)
    return factors


def baseline(demand: Floats, factors: Floats, counted: Flags) -> Floats:
    """Return the level of demand around each period, per usual period, smoothed from both sides."""
    above, below = np.where(counted, demand, 0.0), np.where(counted, factors, 0.0)
    sums = []
    for figures in (above, below):
        both = -figures
        for order in (slice(None), slice(None, None, -1)):
            running = np.zeros(len(figures))
            for period, figure in zip(range(figures.shape[1])[order], figures.T[order], strict=True):
                running = (1 - BASELINE_SMOOTHING) * running + figure
                both[:, period] += running
        sums.append(both)
    return np.asarray(sums[0] / np.maximum(sums[1], 1e-9))


def plan_effects(panel: Panel, demand: Floats, calendar: Floats, counted: Flags) -> tuple[Floats, Floats] | None:
    """Return log effects of events and prices, n × (T + N), and further figures known ahead; None without any.

    A regression of demand on log relative price and events, with the level around each period as offset:
    for all items together, and each item's own shrunk towards that.
    """
    columns = calendar.shape[1]
    figures = _figures(panel, columns)
    if figures is None:
        return None
    past = slice(0, panel.periods)
    active = (figures[:, :, past] != 0).any(axis=0) & counted
    if active.sum() < FEWEST_PERIODS:
        return None
    effects = np.zeros(calendar.shape)
    row, period = np.nonzero(active)
    known = figures[:, row, period].T
    item = panel.item[row]
    slopes = np.zeros((int(panel.item.max(initial=0)) + 1, len(figures)))
    for _ in range(ROUNDS):
        level = baseline(demand, calendar[:, past] * np.exp(effects[:, past]), counted)
        usual = np.maximum((level * calendar[:, past])[row, period], 1e-6)
        slopes = _regressed(known, demand[row, period], usual, item, slopes)
        effects = np.clip(np.einsum("np,pnt->nt", slopes[panel.item], figures), *STRONGEST)
    return effects, _known_ahead(panel, effects, figures)


def _figures(panel: Panel, columns: int) -> Floats | None:
    """Return p × n × (T + N) figures: the log of the price over the series' usual one, and ones under each event."""
    found = []
    if panel.price is not None:
        known = panel.price > 0
        usual = np.nanmedian(np.where(known[:, : panel.periods], panel.price[:, : panel.periods], np.nan), axis=1)
        usual = np.where(np.isfinite(usual), usual, 1.0)[:, None]
        relative = np.log(np.where(known, panel.price, usual) / usual)
        found.append(np.where(np.isfinite(relative), relative, 0.0))
    if panel.event is not None:
        periods = np.bincount(panel.event[:, : panel.periods].ravel())
        periods[0] = 0
        own = [code for code in np.argsort(-periods, kind="stable")[:MOST_EVENTS] if periods[code] >= FEWEST_PERIODS]
        found.extend((panel.event == code).astype(np.float64) for code in own)
        found.append(((panel.event > 0) & ~np.isin(panel.event, own)).astype(np.float64))
    useful = [figure for figure in found if (figure[:, : panel.periods] != 0).any()]
    return np.stack(useful)[:, :, :columns] if useful else None


def _regressed(known: Floats, demand: Floats, usual: Floats, item: Integers, slopes: Floats) -> Floats:
    """Return each item's slopes after one step of reweighted least squares from ``slopes``."""
    expected = usual * np.exp(np.clip((known * slopes[item]).sum(axis=1), *STRONGEST))
    weight = expected / (1 + OVERDISPERSION * expected)
    working = (known * slopes[item]).sum(axis=1) + np.clip((demand - expected) / expected, -1.0, 3.0)
    width, items = known.shape[1], len(slopes)
    square = np.zeros((items, width, width))
    for one in range(width):
        for other in range(one, width):
            figure = np.bincount(item, weight * known[:, one] * known[:, other], minlength=items)
            square[:, one, other] = square[:, other, one] = figure
    right = np.stack([np.bincount(item, weight * known[:, one] * working, minlength=items) for one in range(width)], 1)
    together = np.linalg.solve(square.sum(axis=0) + np.eye(width), right.sum(axis=0))
    left = (weight * (working - known @ together) ** 2).sum() / max(len(working) - width, 1)
    prior = np.eye(width) * max(left, 1e-6) / SPREAD_OF_EFFECTS**2
    return np.asarray(np.linalg.solve(square + prior, (right + prior @ together)[:, :, None])[:, :, 0])


def _known_ahead(panel: Panel, effects: Floats, figures: Floats) -> Floats:
    """Return the log effect itself, its own and the location's relative price: boosting learns the rest of them."""
    known = [effects]
    if panel.price is not None:
        relative = figures[0]
        count = np.bincount(panel.location)
        sums = np.zeros((len(count), relative.shape[1]))
        np.add.at(sums, panel.location, relative)
        others = (sums[panel.location] - relative) / np.maximum(count[panel.location] - 1, 1)[:, None]
        known += [relative, others]
    else:
        sums = np.zeros((int(panel.location.max(initial=0)) + 1, effects.shape[1]))
        np.add.at(sums, panel.location, effects)
        known.append(sums[panel.location] - effects)
    return np.stack(known)


def _mean_one(profile: Floats, otherwise: Floats) -> Floats:
    mean = profile.mean(axis=-1, keepdims=True)
    return np.asarray(np.where(mean > 0, profile / np.where(mean > 0, mean, 1.0), otherwise))
