"""How quantities and instants travel: Postgres' numeric and timestamptz, read at a third of the price.

The driver makes a new object of every value it reads, digit by digit, and a batch reads ten thousands of them, most of
which are the same: nothing, a pack, the moment of an opportunity. What was read once is kept.
"""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

KEPT: Final = 8192
"""Values of each kind that are kept."""

_BEGINNING: Final = datetime(2000, 1, 1, tzinfo=UTC)
"""Postgres counts from here."""
_MICROSECOND: Final = timedelta(microseconds=1)

quantity: Final = lru_cache(KEPT)(Decimal)
"""Return the quantity that a text says."""


@lru_cache(KEPT)
def instant(sent: tuple[int]) -> datetime:
    """Return the moment of so many microseconds after the beginning of 2000, as Postgres sends it."""
    return _BEGINNING + sent[0] * _MICROSECOND


def sendable(moment: datetime) -> tuple[int]:
    """Return a moment as Postgres is sent it. (Of an hour that is shown twice both are the same to a cache.)"""
    return ((moment - _BEGINNING) // _MICROSECOND,)


def teach(engine: AsyncEngine) -> None:
    """Let all connections of an engine read and write so."""

    @event.listens_for(engine.sync_engine, "connect")
    def _(connection: Any, _record: object) -> None:
        connection.run_async(_teach)


async def _teach(driver: Any) -> None:
    await driver.set_type_codec("numeric", schema="pg_catalog", format="text", encoder=str, decoder=quantity)
    await driver.set_type_codec("timestamptz", schema="pg_catalog", format="tuple", encoder=sendable, decoder=instant)
