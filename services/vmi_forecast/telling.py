"""Forecasts as rows and as messages: all are written, and those whose change matters are told."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final
from uuid import UUID, uuid5

import numpy as np

from vmi_contracts import topics
from vmi_contracts.internal import ForecastLine, ForecastsChanged
from vmi_domain import forecasting
from vmi_forecast.learning import Learned, levels
from vmi_runtime.worker import Transaction
from vmi_store import forecasts, outbox
from vmi_store.forecasts import Forecast
from vmi_store.outbox import OutboxMessage

SOURCE: Final = "vmi/forecast"
MOST_LINES: Final = 5000
"""Lines of one message: far below 2 MB with the longest names."""
NAMESPACE: Final = UUID("0f2f6a44-6f0b-5b8e-8c37-5a3d5f6f0c1e")
"""Ids are derived from the versions told, so that a message has the same id at every replay."""


async def tell(transaction: Transaction, learned: Learned) -> None:
    """Write what was learned, and put into the outbox what changed by more than is agreed to matter.

    The caller holds the locks of the keys.
    """
    now = levels(learned)
    told = [0.0 if one is None else one.told_level for one in learned.before]
    news = forecasting.matter(now, np.array(told))
    written = [
        Forecast(
            key=key,
            version=1 if before is None else before.version + 1,
            through=through,
            began_on=began_on,
            state=state,
            told_level=level if is_news else before_told,
        )
        for key, before, through, began_on, state, level, is_news, before_told in zip(
            learned.keys,
            learned.before,
            learned.through,
            learned.began_on,
            learned.states,
            now.tolist(),
            news.tolist(),
            told,
            strict=True,
        )
    ]
    await forecasts.write(transaction.connection, written)
    await outbox.add(
        transaction.connection, list(_messages([one for one, is_news in zip(written, news, strict=True) if is_news]))
    )


def _messages(news: Sequence[Forecast]) -> Iterator[OutboxMessage]:
    """Return one message a location, more only where it would get too long."""

    def location(forecast: Forecast) -> tuple[str, str]:
        return (forecast.key.customer_id, forecast.key.location_id)

    for (customer_id, location_id), group in groupby(news, key=location):
        lines = [ForecastLine(item_id=one.key.item_id, version=one.version, through=one.through) for one in group]
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
