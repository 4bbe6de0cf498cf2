"""How the demo measures the time from an event to its proposal, and knows that all is done."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from vmi_contracts.outbound import ProposalStatus
from vmi_contracts.topics import SALES, STOCK, Topic
from vmi_contracts.writing import Record
from vmi_demo.documents import Outgoing
from vmi_demo.latency import Stopwatch
from vmi_demo.proposals import Proposal, usable_stock
from vmi_demo.settling import Stuck, settle, waits
from vmi_demo.wire import Sent
from vmi_runtime.pipeline import Backlog, PartitionLag

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def after(milliseconds: float) -> datetime:
    return NOON + timedelta(milliseconds=milliseconds)


def sent(topic: Topic, at_ms: float, *left: tuple[str, int]) -> Sent:
    return Sent(Outgoing(topic, Record(b"", b"", []), 1, "7", left), after(at_ms))


def proposal(item_id: str, usable: int | None, status: ProposalStatus = ProposalStatus.PROPOSED) -> Proposal:
    return Proposal(uuid4(), 1, status, "7", item_id, 5, NOON, NOON, "", usable)


@pytest.fixture
def stopwatch() -> Stopwatch:
    running = Stopwatch()
    running.begin_day()
    return running


def test_a_proposal_is_timed_from_the_sale_that_left_the_stock_it_starts_from(stopwatch):
    stopwatch.sent([sent(SALES, 0, ("milk", 9)), sent(SALES, 40, ("milk", 7)), sent(STOCK, 60)])

    assert stopwatch.proposed(proposal("milk", 7), after(140)) == pytest.approx(100)
    assert stopwatch.after_sales().timed == 1


def test_a_second_proposal_from_the_same_stock_is_timed_from_the_stock_report(stopwatch):
    stopwatch.sent([sent(SALES, 0, ("milk", 9)), sent(STOCK, 60)])
    stopwatch.proposed(proposal("milk", 9), after(50))

    assert stopwatch.proposed(proposal("milk", 9), after(200)) == pytest.approx(140)


def test_a_proposal_for_what_did_not_sell_is_timed_from_the_stock_report(stopwatch):
    stopwatch.sent([sent(SALES, 0, ("milk", 9)), sent(STOCK, 60)])

    assert stopwatch.proposed(proposal("bread", 3), after(90)) == pytest.approx(30)


def test_what_answers_an_answer_is_not_timed(stopwatch):
    stopwatch.sent([sent(STOCK, 60)])

    assert stopwatch.proposed(proposal("milk", 9, ProposalStatus.ACCEPTED), after(90)) is None
    assert (stopwatch.after_sales().timed, stopwatch.after_reports().timed) == (0, 0)


def test_a_proposal_of_before_the_report_that_no_sale_explains_is_told_apart(stopwatch):
    stopwatch.sent([sent(STOCK, 60)])

    assert stopwatch.proposed(proposal("milk", 9), after(50)) is None
    assert stopwatch.untimed == 1


def test_yesterdays_events_explain_nothing_today(stopwatch):
    stopwatch.sent([sent(SALES, 0, ("milk", 9)), sent(STOCK, 60)])
    stopwatch.begin_day()

    assert stopwatch.proposed(proposal("milk", 9), after(90)) is None
    assert stopwatch.untimed == 1


def test_half_of_the_proposals_came_within_the_median():
    stopwatch = Stopwatch()
    stopwatch.begin_day()
    stopwatch.sent([sent(STOCK, 0)])
    for milliseconds in range(1, 101):
        stopwatch.proposed(proposal(f"item-{milliseconds}", 1), after(milliseconds))

    measured = stopwatch.after_reports()

    assert (measured.p50_ms, measured.longest_ms) == (pytest.approx(50.5), 100)
    assert measured.p99_ms == pytest.approx(99.01)


def test_usable_stock_is_read_from_the_explanation():
    assert usable_stock({"inputs": {"position": {"usable": "7"}}}) == 7
    assert usable_stock({}) is None


def lag(group: str, topic: str, partition: int, behind: int) -> PartitionLag:
    return PartitionLag(group, topic, partition, behind, owner=None, advanced_at=None)


def test_what_waits_is_added_up_by_group_and_topic():
    backlog = Backlog(
        [lag("vmi-inventory", "vmi.sales.v1", 0, 2), lag("vmi-inventory", "vmi.sales.v1", 1, 3), lag("a", "b", 0, 0)],
        unpublished=4,
        oldest_unpublished=None,
    )

    assert waits(backlog) == {("vmi-inventory", "vmi.sales.v1"): 5, ("vmi-relay", "outbox"): 4}


class FakePipeline:
    """Gives the backlogs it was made of, the last one again and again."""

    def __init__(self, *backlogs: Backlog) -> None:
        self._backlogs = list(backlogs)

    async def backlog(self) -> Backlog:
        return self._backlogs.pop(0) if len(self._backlogs) > 1 else self._backlogs[0]


class FakeReader:
    def __init__(self) -> None:
        self.reads = 0

    async def up_to_now(self) -> list[object]:
        self.reads += 1
        return []


async def test_a_day_is_over_when_nothing_waits_and_the_proposals_were_read_after_that():
    busy = Backlog([lag("vmi-inventory", "vmi.sales.v1", 0, 2)], 0, None)
    published = Backlog([], 1, timedelta(0))
    done = Backlog([], 0, None)
    reader = FakeReader()

    await settle(FakePipeline(busy, published, done), reader, lambda _: None)

    assert reader.reads == 1, "only the last look is waited for"


async def test_workers_that_stand_still_are_named(monkeypatch):
    monkeypatch.setattr("vmi_demo.settling.STUCK_AFTER_SECONDS", 0.0)
    busy = Backlog([lag("vmi-inventory", "vmi.sales.v1", 0, 2)], 0, None)

    with pytest.raises(Stuck, match=r"vmi-inventory has 2 records of vmi\.sales\.v1 to do"):
        await settle(FakePipeline(busy), FakeReader(), lambda _: None)
