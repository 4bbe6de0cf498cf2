"""Archiving: what is old leaves the journal for verified files, and everything that follows from it stays."""

import asyncio
import errno
import hashlib
import json
import os
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from typer.testing import CliRunner

from vmi_cli.__main__ import app
from vmi_cli.archive import Csv
from vmi_domain.days import SiteCalendar
from vmi_domain.stock.closed_supply import DELIVERIES_KEPT
from vmi_domain.stock.position import Key
from vmi_domain.stock.supply import Stage
from vmi_inventory import archiving
from vmi_store import archiving as store
from vmi_store import engine as engines
from vmi_store import history, partitions, schema_version, supply
from vmi_store.archiving import ChangedMeanwhileError, SessionLostError
from vmi_store.journal import JournalLine
from vmi_testing import builders
from vmi_testing.inventory import Desk

OLD = datetime(2021, 2, 3, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BEFORE = datetime(2022, 1, 1, tzinfo=UTC)


@pytest.fixture
async def own(new_database: Any) -> Any:
    """A database of its own: archiving takes what is old of everybody."""
    url = await new_database()
    engine = engines.create(url, application_name="vmi-test", pool_size=4)
    await schema_version.migrate(engine)
    async with engine.begin() as connection:
        await partitions.prepare(connection, [partitions.Quarter(2021, 1), partitions.Quarter(2025, 1)])
    yield engine
    await engine.dispose()


@pytest.fixture
async def desk(own: AsyncEngine) -> Desk:
    """Milk was counted again since; bread never since 2021; oil never at all."""
    made = Desk(own, "keeper")
    await made.introduce("milk", "bread", "oil", time_zone="Europe/Berlin")
    await made.tell(
        builders.stock("keeper", {"milk": 30, "bread": 20}, OLD),
        builders.sale("keeper", {"milk": 1, "bread": 1, "oil": 1}, OLD + HOUR),
        builders.sale("keeper", {"milk": 2, "bread": 2, "oil": 2}, OLD + 5 * DAY),
        builders.sale("keeper", {"oil": 3}, OLD - 400 * DAY),
        builders.order("keeper", "O1", [{"item_id": "oil", "quantity": "24"}], OLD),
        builders.stock("keeper", {"milk": 9}, OLD + 1500 * DAY),
        builders.sale("keeper", {"milk": 4, "bread": 4, "oil": 4}, OLD + 1501 * DAY),
    )
    return made


async def archived(desk: Desk, directory: Path, again: str = "") -> Sequence[archiving.Archive]:
    return await archiving.archive(
        desk.engine,
        BEFORE,
        lambda table: Csv(directory / f"{table}{again}.csv.gz"),
        who="anna",
        report=lambda table, lines: None,
    )


async def everything(desk: Desk) -> Any:
    items = ("milk", "bread", "oil")
    return [(await desk.row(item), await desk.days(item)) for item in items]


async def test_what_is_left_says_the_same_as_the_whole_journal_did(desk: Desk, tmp_path: Path) -> None:
    before = await everything(desk)
    files = await archived(desk, tmp_path)
    # The count of bread stays, and what was sold on its day.
    assert [(one.file, one.lines) for one in files] == [("journal_2021_q1.csv.gz", 7), ("journal_strays.csv.gz", 1)]
    assert await everything(desk) == before
    rebuilt = await desk.rebuild(dry_run=True)
    assert rebuilt.is_same, [one.columns for one in rebuilt.differences]
    async with desk.engine.connect() as connection:
        tables = [one.table for one in await partitions.present(connection)]
    assert tables == ["journal_2025_q1", "journal_strays"]

    # And so do facts that come now: late ones, a new count, another calendar.
    await desk.tell(builders.sale("keeper", {"bread": 1, "oil": 1}, OLD + 6 * DAY))
    await desk.tell(builders.stock("keeper", {"oil": 50}, OLD + 2 * DAY))
    assert (await desk.stock("bread")).physical == 20 - 1 - 2 - 4 - 1
    assert (await desk.stock("oil")).physical == 50 - 2 - 4 - 1
    assert (await desk.rebuild(dry_run=True)).is_same
    await desk.define(builders.location("keeper", time_zone="Asia/Tokyo"))
    assert (await desk.rebuild(dry_run=True)).is_same
    assert sum(day[2] for day in (await desk.days("oil")).values()) == 1 + 2 + 3 + 4 + 1

    # A year later what came late has gone too; the counts stay.
    again = await archived(desk, tmp_path, "-again")
    assert [(one.file, one.lines) for one in again] == [("journal_strays-again.csv.gz", 2)]
    assert (await desk.rebuild(dry_run=True)).is_same


async def test_derived_rows_that_are_lost_after_archiving_come_back(desk: Desk, tmp_path: Path) -> None:
    before = [(row.balance, row.supply, days) for row, days in await everything(desk)]
    await archived(desk, tmp_path)
    async with desk.engine.begin() as connection:
        await connection.execute(text("TRUNCATE position, daily_balance, supply_line, location_watermark"))
    await desk.rebuild()
    assert [(row.balance, row.supply, days) for row, days in await everything(desk)] == before


async def known(desk: Desk, item: str, at: datetime | None = None) -> history.Known:
    async with desk.engine.connect() as connection:
        return await history.read(connection, Key(desk.customer, "store-1", item), SiteCalendar("Europe/Berlin"), at=at)


async def test_what_is_known_of_a_key_holds_what_is_archived_of_it(desk: Desk, tmp_path: Path) -> None:
    await archived(desk, tmp_path)
    for item in ("milk", "bread", "oil"):
        row, then = await desk.row(item), await known(desk, item)
        assert (then.balance, then.supply) == (row.balance, row.supply), item
    assert (await known(desk, "oil")).supply.on_order == 24
    assert (await known(desk, "oil", OLD + 30 * DAY)).balance.moved == -1 - 2 - 3
    assert (await known(desk, "oil", OLD + 30 * DAY)).archived_through == (OLD + 5 * DAY).date()
    assert (await known(desk, "oil", OLD - 30 * DAY)).supply.on_order == 0


async def test_supply_that_is_over_is_forgotten_with_its_archived_lines_but_for_the_latest_deliveries(
    desk: Desk, tmp_path: Path
) -> None:
    for number in range(DELIVERIES_KEPT + 7):
        at = OLD - 100 * DAY + number * HOUR
        await desk.tell(
            builders.order("keeper", f"W{number}", [{"item_id": "bread", "quantity": "6"}], at),
            builders.receipt(
                "keeper", f"W{number}", [{"item_id": "bread", "quantity": "6", "order_id": f"W{number}"}], at
            ),
        )
    await desk.tell(builders.shipment("keeper", "away", [{"item_id": "bread", "quantity": "5"}], OLD + 1500 * DAY))
    before = await desk.row("bread")
    assert before.supply.in_transit == 5

    await archived(desk, tmp_path)

    async with desk.engine.connect() as connection:
        counted = text("SELECT item_id, count(*) FROM supply_fact GROUP BY item_id ORDER BY item_id")
        facts = [tuple(row) for row in await connection.execute(counted)]
        lines = (await supply.lines(connection, [Key("keeper", "store-1", "bread")])).popitem()[1]
    assert facts == [("bread", 2 * DELIVERIES_KEPT + 1), ("oil", 1)]
    assert [line.quantity for line in lines if line.stage is Stage.SHIPPED] == [5]
    assert await desk.row("bread") == before
    assert (await desk.rebuild(dry_run=True)).is_same


async def test_a_file_that_does_not_hold_what_it_should_takes_nothing_out(desk: Desk, tmp_path: Path) -> None:
    class Forgetful(Csv):
        def write(self, lines: Sequence[JournalLine]) -> None:
            super().write(lines[1:])

    with pytest.raises(OSError, match="holds 6 lines, not 7"):
        await archiving.archive(
            desk.engine, BEFORE, lambda table: Forgetful(tmp_path / table), who="anna", report=lambda table, lines: None
        )
    assert os.listdir(tmp_path) == []
    async with desk.engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM journal"))).scalar_one() == 14


def url_of(engine: AsyncEngine) -> str:
    return engine.url.render_as_string(hide_password=False)


async def end_sessions_of(application_name: str, engine: AsyncEngine) -> None:
    """End sessions as an administrator, or a failover, does; from another event loop than theirs."""
    ending = engines.create(url_of(engine), application_name="vmi-test-ending", pool_size=1)
    async with ending.connect() as connection:
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = :name"),
            {"name": application_name},
        )
    await ending.dispose()


async def test_a_disk_may_be_slow(desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that stands still is ended elsewhere: this one waits for files (and for pyarrow to be loaded)."""

    class Slow(Csv):
        def write(self, lines: Sequence[JournalLine]) -> None:
            time.sleep(1.5)
            super().write(lines)

    monkeypatch.setattr(engines, "FROZEN_TRANSACTION_SECONDS", 1)
    engine = engines.create(url_of(desk.engine), application_name="vmi-test-impatient", pool_size=1)
    try:
        files = await archiving.archive(
            engine, BEFORE, lambda table: Slow(tmp_path / table), who="anna", report=lambda table, lines: None
        )
    finally:
        await engine.dispose()
    assert [one.lines for one in files] == [7, 1]


async def test_a_connection_that_is_lost_meanwhile_takes_nothing_out_and_is_what_is_told(
    desk: Desk, tmp_path: Path
) -> None:
    """And not that something it had made is gone."""

    class Cut(Csv):
        def write(self, lines: Sequence[JournalLine]) -> None:
            super().write(lines)
            thread = threading.Thread(target=lambda: asyncio.run(end_sessions_of("vmi-test-cut", desk.engine)))
            thread.start()
            thread.join()

    engine = engines.create(url_of(desk.engine), application_name="vmi-test-cut", pool_size=1)
    try:
        with pytest.raises(SessionLostError):
            await archiving.archive(
                engine, BEFORE, lambda table: Cut(tmp_path / table), who="anna", report=lambda table, lines: None
            )
    finally:
        await engine.dispose()
    assert os.listdir(tmp_path) == []


async def test_what_comes_in_meanwhile_is_not_lost(desk: Desk, tmp_path: Path) -> None:
    """The partition is counted again before anything leaves it."""

    async with desk.engine.connect() as session:
        await store.begin(session)
        [part, _] = await store.parts(session, BEFORE)
        lines = [line async for of_key in store.lines_of(session, part, BEFORE) for line in of_key]
        await session.commit()
        await desk.tell(builders.sale("keeper", {"oil": 1}, OLD))
        noted = archiving.Archive("file", len(lines), OLD, OLD, "")
        with pytest.raises(ChangedMeanwhileError):
            await store.leave(session, part, BEFORE, noted, lines=len(lines), who="anna")
        await session.rollback()
    assert sum(one.lines for one in await archived(desk, tmp_path)) == 9
    assert (await desk.rebuild(dry_run=True)).is_same


async def test_on_the_command_line_a_full_disk_is_not_taken_for_a_database_that_does_not_answer(
    own: AsyncEngine, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(self: Csv, lines: Sequence[JournalLine]) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Csv, "write", write)
    monkeypatch.setenv("VMI_DATABASE__URL", url_of(own))
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    command = ["archive", "--before", "2022-01-01", "--out", str(tmp_path), "--format", "csv"]
    ran = await asyncio.to_thread(partial(CliRunner().invoke, app, command))
    assert str(ran.exception) == f"{tmp_path}: No space left on device; nothing of that file left the journal"


@pytest.mark.parametrize("form", ["parquet", "csv"])
async def test_on_the_command_line_files_come_with_their_sums(
    desk: Desk, own: AsyncEngine, tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMI_DATABASE__URL", url_of(own))
    monkeypatch.setenv("VMI_KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    command = ["archive", "--before", "2022-01-01", "--out", str(tmp_path), "--format", form, "--json"]
    ran = await asyncio.to_thread(partial(CliRunner().invoke, app, command))
    assert ran.exit_code == 0, ran.output
    said = json.loads(ran.stdout)
    assert [one["lines"] for one in said] == [7, 1]
    sums = dict(reversed(line.split()) for line in (tmp_path / "SHA256SUMS").read_text().splitlines())
    for one in said:
        assert hashlib.sha256((tmp_path / one["file"]).read_bytes()).hexdigest() == one["sha256"] == sums[one["file"]]
    async with own.connect() as connection:
        noted = (await connection.execute(text("SELECT file, lines FROM journal_archive ORDER BY lines"))).all()
    assert [tuple(row) for row in noted] == [(one["file"], one["lines"]) for one in reversed(said)]
