"""Whose fault a failure is decides between trying again, putting a record aside and ending the process."""

import asyncio
import subprocess
import sys

import asyncpg
import pytest
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from vmi_runtime import failure
from vmi_runtime.failure import Fault
from vmi_store import engine


def raised_by_sqlalchemy(error):
    """Wrap an error of the driver as SQLAlchemy does."""
    adapted = dialect.AsyncAdapt_asyncpg_dbapi.Error(str(error), error)
    adapted.__cause__ = error
    return DBAPIError("SELECT 1", {}, adapted)


def server_error(sqlstate):
    return asyncpg.PostgresError.new({"C": sqlstate, "M": "said the server"})


@pytest.mark.parametrize(
    "sqlstate",
    ["08006", "40001", "40P01", "53100", "53300", "57014", "57P01", "57P03", "25006", "25P03", "55P03", "0A000"],
)
def test_what_the_surroundings_do_is_tried_again(sqlstate):
    assert failure.fault(raised_by_sqlalchemy(server_error(sqlstate))) is Fault.TRANSIENT


@pytest.mark.parametrize("sqlstate", ["22021", "22003", "22P02", "22P05", "54000"])
def test_what_a_sender_can_send_and_the_database_refuses_is_the_datas_fault(sqlstate):
    assert failure.fault(raised_by_sqlalchemy(server_error(sqlstate))) is Fault.DATA


@pytest.mark.parametrize("sqlstate", ["42601", "42P01", "42703", "28P01", "XX000"])
def test_wrong_sql_is_our_fault(sqlstate):
    assert failure.fault(raised_by_sqlalchemy(server_error(sqlstate))) is Fault.BUG


@pytest.mark.parametrize("error", [ConnectionRefusedError(), TimeoutError(), PoolTimeoutError(), OSError("no route")])
def test_a_database_that_does_not_answer_is_tried_again(error):
    assert failure.fault(error) is Fault.TRANSIENT


@pytest.mark.parametrize(
    ("sqlstate", "told"),
    [("57P03", "nobody answers"), ("08006", "nobody answers"), ("28P01", "turned away"), ("3D000", "turned away"),
     ("53300", "turned away"), ("53100", ""), ("57014", ""), ("42P01", "")],
)  # fmt: skip
def test_on_the_command_line_a_database_that_is_down_lets_nobody_in_or_is_full_are_told_apart(sqlstate, told):
    """Whatever words the error has: a missing table may be named after connections."""
    error = asyncpg.PostgresError.new({"C": sqlstate, "M": "connected or not\nin two lines"})
    for one in (error, raised_by_sqlalchemy(error)):
        found = {"nobody answers": engine.unreachable(one), "turned away": engine.turned_away(one)}
        assert {name: line for name, line in found.items() if line} == ({told: "connected or not"} if told else {})


def test_a_database_that_starts_up_is_tried_again_also_where_sqlalchemy_does_not_wrap_it():
    assert failure.fault(asyncpg.CannotConnectNowError("starting up")) is Fault.TRANSIENT


def test_what_the_driver_cannot_encode_is_the_datas_fault():
    assert failure.fault(raised_by_sqlalchemy(asyncpg.DataError("value out of int64 range"))) is Fault.DATA


@pytest.mark.parametrize("error", [KeyError("x"), ValueError("x"), AssertionError(), asyncpg.InterfaceError("misused")])
def test_everything_else_is_a_bug(error):
    assert failure.fault(error) is Fault.BUG


def test_a_lost_connection_is_tried_again():
    error = DBAPIError("SELECT 1", {}, Exception("connection is closed"), connection_invalidated=True)

    assert failure.fault(error) is Fault.TRANSIENT


@pytest.mark.parametrize("sqlstate", ["23502", "23503", "23505", "23514", "22012", "22004", "2201B"])
def test_a_constraint_of_ours_and_what_we_compute_are_our_fault_and_nothing_is_put_aside_for_it(sqlstate):
    assert failure.fault(raised_by_sqlalchemy(server_error(sqlstate))) is Fault.BUG


async def test_transient_failures_are_tried_again_until_it_works(monkeypatch):
    monkeypatch.setattr(failure, "FIRST_PAUSE_SECONDS", 0.0)
    failures = iter([ConnectionRefusedError(), server_error("40P01"), None])

    async def do():
        if (error := next(failures)) is not None:
            raise error
        return "done"

    assert await failure.retried("the test", do) == "done"


async def test_a_bug_is_not_tried_again():
    calls = []

    async def do():
        calls.append(1)
        raise KeyError("x")

    with pytest.raises(KeyError):
        await failure.retried("the test", do)
    assert calls == [1]


async def test_trying_again_can_be_broken_off():
    async def do():
        raise ConnectionRefusedError

    retrying = asyncio.create_task(failure.retried("the test", do))
    await asyncio.sleep(0.01)
    retrying.cancel()

    with pytest.raises(asyncio.CancelledError):
        await retrying


def test_pauses_grow_and_stay_bounded():
    assert failure.pause_seconds(0) <= failure.FIRST_PAUSE_SECONDS
    assert all(0 < failure.pause_seconds(attempt) <= failure.LONGEST_PAUSE_SECONDS for attempt in range(2000))


def test_a_reason_is_one_line_and_tells_nothing_of_the_data():
    error = raised_by_sqlalchemy(server_error("23514"))

    assert failure.reason(error) == "CheckViolationError: said the server"


@pytest.mark.parametrize(
    ("error", "code"),
    [("aiokafka.errors.KafkaConnectionError('nobody')", 75), ("ConnectionResetError()", 75), ("KeyError('x')", 70)],
)
def test_a_process_whose_surroundings_went_away_does_not_end_as_if_by_a_bug(error: str, code: int) -> None:
    told = f"import aiokafka.errors; from vmi_runtime import failure; failure.die('the test', {error})"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False)

    assert done.returncode == code
    assert ("a bug ends this process" in done.stdout + done.stderr) == (code == 70)
