"""What the demo replays: the busiest stores and items, a history of daily sales and the live days' baskets."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from vmi_demo.purchases import Purchases

TIME_ZONE: Final = "America/New_York"
LIVE_PART_DAYS: Final = 90
"""The end of the data, kept for the live part; what lies before it is history (nine months)."""


@dataclass(frozen=True, slots=True)
class Basket:
    """What one buyer wanted in one store at one moment."""

    at: datetime
    basket_id: int
    store: int
    """Index of the store."""
    items: NDArray[np.int64]
    """Indexes of the items, each once."""
    wanted: NDArray[np.int64]
    """Units of each."""


@dataclass(frozen=True, slots=True)
class Journey:
    """Stores, items, what they sold before the first live day, and what is wanted on the live days."""

    stores: tuple[str, ...]
    items: tuple[str, ...]
    item_names: tuple[str, ...]
    history_days: tuple[date, ...]
    history: NDArray[np.int64]
    """Units sold, by day, store and item."""
    history_last_sale: dict[tuple[int, int], datetime]
    """When the last basket of a day was sold, by index of day and store."""
    live_days: tuple[date, ...]
    wanted: NDArray[np.int64]
    """Units wanted on the live days, by day, store and item."""
    baskets: tuple[tuple[Basket, ...], ...]
    """The live days' baskets, in time order within their day."""


def day_start(day: date) -> datetime:
    """Return the moment at which a day begins in the stores' zone, in UTC."""
    return datetime.combine(day, time(), tzinfo=ZoneInfo(TIME_ZONE)).astimezone(UTC)


def choose(purchases: Purchases, *, stores: int, items: int, days: int) -> Journey:
    """Return the journey of the busiest stores and items.

    The live part starts ``LIVE_PART_DAYS`` before the data's end, earlier if more ``days`` are asked for, and runs for
    ``days`` days. Busiest means most baskets (stores) and most purchases (items) *before* that: nothing is chosen by
    what the service is to meet later.
    """
    first_day, local_day = _local_days(purchases.at)
    days_of_data = int(local_day.max()) + 1
    live_from = days_of_data - max(days, LIVE_PART_DAYS)
    if live_from < 1:
        raise ValueError(f"the data has {days_of_data} days; at least one of them must be history")
    before = local_day < live_from
    chosen_stores = _busiest_stores(purchases, before, stores)
    in_stores = np.isin(purchases.store, chosen_stores)
    chosen_kinds = _most_frequent(purchases.kind[in_stores & before], items)
    kept = in_stores & np.isin(purchases.kind, chosen_kinds) & (local_day < live_from + days)
    order = np.flatnonzero(kept)[np.lexsort((purchases.basket[kept], purchases.at[kept]))]
    store = _index_in(chosen_stores, purchases.store[order])
    item = _index_in(chosen_kinds, purchases.kind[order])
    sold = np.zeros((live_from + days, len(chosen_stores), len(chosen_kinds)), dtype=np.int64)
    np.add.at(sold, (local_day[order], store, item), purchases.quantity[order])
    kind_names = [purchases.kinds[code] for code in chosen_kinds]
    return Journey(
        stores=tuple(str(number) for number in chosen_stores),
        items=item_ids(kind_names),
        item_names=tuple(name.capitalize() for name in kind_names),
        history_days=tuple(first_day + timedelta(days=day) for day in range(live_from)),
        history=sold[:live_from],
        history_last_sale=_last_sales(local_day[order], store, purchases.at[order], live_from),
        live_days=tuple(first_day + timedelta(days=live_from + day) for day in range(days)),
        wanted=sold[live_from:],
        baskets=_baskets(purchases, order, local_day[order] - live_from, store, item, days),
    )


def item_ids(kinds: Sequence[str]) -> tuple[str, ...]:
    """Return an identifier of each kind of goods, made of its name: ``FLUID MILK`` is ``fluid-milk``."""
    taken: list[str] = []
    for kind in kinds:
        slug = re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")
        identifier, number = slug, 2
        while identifier in taken:
            identifier, number = f"{slug}-{number}", number + 1
        taken.append(identifier)
    return tuple(taken)


def _local_days(at: NDArray[np.datetime64]) -> tuple[date, NDArray[np.int64]]:
    """Return the first day in the stores' zone, and for each moment how many days after it its own day is."""
    zone = ZoneInfo(TIME_ZONE)
    first = at.min().item().replace(tzinfo=UTC).astimezone(zone).date()
    last = at.max().item().replace(tzinfo=UTC).astimezone(zone).date()
    starts = [day_start(first + timedelta(days=day)) for day in range((last - first).days + 1)]
    utc_starts = np.array([start.replace(tzinfo=None) for start in starts], dtype="datetime64[s]")
    return first, np.searchsorted(utc_starts, at, side="right").astype(np.int64) - 1


def _busiest_stores(purchases: Purchases, considered: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """Return the stores with the most baskets."""
    _, first_line = np.unique(purchases.basket[considered], return_index=True)
    return _most_frequent(purchases.store[considered][first_line], count)


def _most_frequent(values: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the ``count`` most frequent values, most frequent first, ties by value."""
    distinct, times = np.unique(values, return_counts=True)
    return distinct[np.lexsort((distinct, -times))][:count]


def _index_in(chosen: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each value stands in ``chosen``; all of them do."""
    ascending = np.argsort(chosen)
    return ascending[np.searchsorted(chosen[ascending], values)]


def _last_sales(
    day: NDArray[np.int64], store: NDArray[np.int64], at: NDArray[np.datetime64], history_days: int
) -> dict[tuple[int, int], datetime]:
    """Return the latest moment of each history day and store; the arrays are in time order."""
    last: dict[tuple[int, int], datetime] = {}
    past = day < history_days
    for one_day, one_store, moment in zip(
        day[past].tolist(), store[past].tolist(), at[past].astype(object), strict=True
    ):
        last[one_day, one_store] = moment.replace(tzinfo=UTC)
    return last


def _baskets(
    purchases: Purchases,
    order: NDArray[np.int64],
    live_day: NDArray[np.int64],
    store: NDArray[np.int64],
    item: NDArray[np.int64],
    days: int,
) -> tuple[tuple[Basket, ...], ...]:
    """Return the baskets of the live days; lines of one basket stand together in ``order``."""
    by_day: list[list[Basket]] = [[] for _ in range(days)]
    live = np.flatnonzero(live_day >= 0)
    basket_ids = purchases.basket[order[live]]
    starts = np.flatnonzero(np.diff(basket_ids, prepend=basket_ids[:1] - 1))
    for lines in np.split(live, starts[1:]) if len(live) else []:
        first = lines[0]
        items, place = np.unique(item[lines], return_inverse=True)
        wanted = np.bincount(place, weights=purchases.quantity[order[lines]]).astype(np.int64)
        at = purchases.at[order[first]].item().replace(tzinfo=UTC)
        basket = Basket(at, int(purchases.basket[order[first]]), int(store[first]), items, wanted)
        by_day[int(live_day[first])].append(basket)
    return tuple(tuple(day) for day in by_day)
