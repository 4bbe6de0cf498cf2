"""Forecasts as rows and as messages: all are written, and those whose change matters are told."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final
from uuid import UUID, uuid5

import numpy as np

from vmi_contracts import topics
from vmi_contracts.internal import ForecastLine, ForecastsChanged
from vmi_domain import forecasting
from vmi_forecast.learning import Learned
from vmi_runtime.worker import Transaction
from vmi_store import forecasts, outbox
from vmi_store.forecasts import Forecast
from vmi_store.outbox import OutboxMessage

SOURCE: Final = "vmi/forecast"
MOST_LINES: Final = 5000
"""Lines of one message: far below 2 MB with the longest names."""
NAMESPACE: Final = UUID("0f2f6a44-6f0b-5b8e-8c37-5a3d5f6f0c1e")
"""Ids are derived from the versions told, so that a message has the same id at every replay."""


async def tell(transaction: Transaction, learned: Sequence[Learned]) -> None:
    """Write what was learned, and put into the outbox what changed by enough to matter.

    The caller has the turn at their locations.
    """
    if not learned:
        return
    now = forecasting.levels(
        np.array([one.state for one in learned]),
        [one.protection.days for one in learned],
        [one.protection.service for one in learned],
    )
    told = np.array([0.0 if one.before is None else one.before.told_level for one in learned])
    is_news = forecasting.matter(now, told)
    written = [_forecast(*one) for one in zip(learned, np.where(is_news, now, told).tolist(), strict=True)]
    await forecasts.write(transaction.connection, written)
    lowered = now < told
    news = [
        (forecast, is_less)
        for forecast, matters, is_less in zip(written, is_news.tolist(), lowered.tolist(), strict=True)
        if matters
    ]
    await outbox.add(transaction.connection, list(_messages(news)))


def _forecast(learned: Learned, told_level: float) -> Forecast:
    return Forecast(
        key=learned.key,
        version=1 if learned.before is None else learned.before.version + 1,
        through=learned.through,
        began_on=learned.began_on,
        state=learned.state,
        told_level=told_level,
    )


def _messages(news: Sequence[tuple[Forecast, bool]]) -> Iterator[OutboxMessage]:
    """Return one message a location, more only where it would get too long."""

    def location(one: tuple[Forecast, bool]) -> tuple[str, str]:
        return (one[0].key.customer_id, one[0].key.location_id)

    for (customer_id, location_id), group in groupby(news, key=location):
        lines = [
            ForecastLine(item_id=one.key.item_id, version=one.version, through=one.through, lowered=is_less)
            for one, is_less in group
        ]
        for start in range(0, len(lines), MOST_LINES):
            yield _message(customer_id, location_id, lines[start : start + MOST_LINES])


def _message(customer_id: str, location_id: str, lines: Sequence[ForecastLine]) -> OutboxMessage:
    document = ForecastsChanged(customer_id=customer_id, location_id=location_id, lines=tuple(lines))
    versions = ",".join(f"{line.item_id}={line.version}" for line in lines)
    return OutboxMessage(
        topic=topics.FORECASTS.name,
        key=document.key,
        customer_id=customer_id,
        type=document.message_type,
        message_id=uuid5(NAMESPACE, f"{document.key}:{versions}"),
        source=SOURCE,
        payload=document.model_dump_json(exclude_none=True).encode(),
    )
