"""What is written to Postgres comes back as it was, digit by digit and microsecond by microsecond."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

NEW_YORK = ZoneInfo("America/New_York")
THERE_AND_BACK = text("SELECT CAST(:one AS numeric), CAST(:some AS numeric[]), CAST(:at AS timestamptz)")


@pytest.mark.parametrize("digits", ["0", "0.000", "-1.50", "1E+3", "123456789012345678901234567890.000001"])
async def test_a_quantity_keeps_every_digit_that_was_said(engine: AsyncEngine, digits: str) -> None:
    quantity = Decimal(digits)

    async with engine.connect() as connection:
        row = (await connection.execute(THERE_AND_BACK, {"one": quantity, "some": [quantity, None], "at": None})).one()

    assert [f"{one:f}" for one in (row[0], row[1][0])] == [f"{quantity:f}"] * 2
    assert row[1][1] is None
    assert row[2] is None


@pytest.mark.parametrize(
    "moment",
    [
        datetime(1969, 12, 31, 23, 59, 59, 999_999, UTC),
        datetime(2025, 11, 2, 1, 30, tzinfo=NEW_YORK),
        datetime(2025, 11, 2, 1, 30, fold=1, tzinfo=NEW_YORK),  # the same hour, shown again
    ],
)
async def test_a_moment_keeps_its_place_in_time(engine: AsyncEngine, moment: datetime) -> None:
    async with engine.connect() as connection:
        row = (await connection.execute(THERE_AND_BACK, {"one": None, "some": [], "at": moment})).one()

    assert row[2] - moment.astimezone(UTC) == timedelta(0)
    assert row[2].tzinfo is UTC


async def test_a_moment_without_a_zone_is_refused(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError, match="offset-naive"):
            await connection.execute(THERE_AND_BACK, {"one": None, "some": [], "at": datetime(2025, 3, 4)})
