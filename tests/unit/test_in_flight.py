"""What may be committed follows from which chunks are dealt with, and from nothing else."""

import asyncio

import pytest

from vmi_runtime.in_flight import Chunk, InFlight
from vmi_testing.records import records

SALES = ("vmi.sales.v1", 0)
STOCK = ("vmi.stock.v1", 3)


def fetched(in_flight, first, last, partition=SALES):
    chunk = Chunk(partition, records(partition, first, last))
    in_flight.add(chunk)
    return chunk


def test_p09_nothing_is_committed_of_a_partition_whose_first_chunk_is_being_written():
    in_flight = InFlight()
    fetched(in_flight, 0, 9)

    assert in_flight.committable(SALES) is None


def test_a_partition_is_committed_past_the_chunk_that_is_dealt_with():
    in_flight = InFlight()
    first = fetched(in_flight, 0, 9)
    fetched(in_flight, 10, 19)

    first.finish()

    assert in_flight.committable(SALES) == 10


def test_a_chunk_that_is_finished_early_waits_for_the_one_before_it():
    in_flight = InFlight()
    first, second = fetched(in_flight, 0, 9), fetched(in_flight, 10, 19)

    second.finish()
    assert in_flight.committable(SALES) is None

    first.finish()
    assert in_flight.committable(SALES) == 20


def test_offsets_may_jump_between_chunks_without_anything_being_passed_over():
    in_flight = InFlight()
    first, second = fetched(in_flight, 0, 9), fetched(in_flight, 57, 60)

    first.finish()
    assert in_flight.committable(SALES) == 10

    second.finish()
    assert in_flight.committable(SALES) == 61


def test_an_idle_partition_is_committed_to_its_end_past_the_markers_of_transactions():
    in_flight = InFlight()
    only = fetched(in_flight, 0, 9)
    in_flight.reached(SALES, 11)
    assert in_flight.committable(SALES) is None

    only.finish()

    assert in_flight.committable(SALES) == 11


def test_where_the_fetching_has_come_to_counts_only_when_all_of_it_is_dealt_with():
    in_flight = InFlight()
    fetched(in_flight, 0, 9).finish()
    fetched(in_flight, 10, 19)
    in_flight.reached(SALES, 20)

    assert in_flight.committable(SALES) == 10


def test_partitions_do_not_wait_for_each_other():
    in_flight = InFlight()
    fetched(in_flight, 0, 9)
    fetched(in_flight, 4, 5, STOCK).finish()

    assert in_flight.committable(SALES) is None
    assert in_flight.committable(STOCK) == 6


def test_what_was_taken_from_us_is_not_committed_even_if_it_is_finished_later():
    in_flight = InFlight()
    taken = fetched(in_flight, 0, 9)
    in_flight.forget([SALES])
    again = fetched(in_flight, 0, 4)

    taken.finish()
    assert in_flight.committable(SALES) is None

    again.finish()
    assert in_flight.committable(SALES) == 5


async def test_fetching_waits_while_too_much_is_in_flight():
    in_flight = InFlight()
    first = fetched(in_flight, 0, 99)
    room = asyncio.create_task(in_flight.room(at_most=100))
    await asyncio.sleep(0)
    assert not room.done()

    first.finish()

    await asyncio.wait_for(room, 1)


async def test_fetching_goes_on_after_partitions_were_taken_from_us():
    in_flight = InFlight()
    fetched(in_flight, 0, 99)
    room = asyncio.create_task(in_flight.room(at_most=100))
    await asyncio.sleep(0)

    in_flight.forget()

    await asyncio.wait_for(room, 1)


async def _until(event):
    await event.wait()


async def test_a_rebalance_waits_for_the_batch_that_is_being_written():
    in_flight = InFlight()
    written = asyncio.Event()
    in_flight.at_work(_until(written))
    settling = asyncio.create_task(in_flight.settle(5))
    await asyncio.sleep(0)
    assert not settling.done()
    written.set()

    assert await asyncio.wait_for(settling, 1) is True


async def test_nobody_waits_for_a_batch_that_was_broken_off_before_it_began():
    in_flight = InFlight()
    in_flight.at_work(_until(asyncio.Event())).cancel()

    assert await in_flight.settle(1) is True


async def test_a_rebalance_does_not_wait_for_ever():
    in_flight = InFlight()
    work = in_flight.at_work(_until(asyncio.Event()))

    assert await in_flight.settle(0.01) is False
    work.cancel()


def test_a_chunk_knows_how_large_it_is():
    assert Chunk(SALES, records(SALES, 0, 1, value=b"12345")).bytes == 10


@pytest.mark.parametrize("finished", [True, False])
def test_a_chunk_is_out_until_it_is_finished_or_forgotten(finished):
    in_flight = InFlight()
    chunk = fetched(in_flight, 0, 0)
    assert chunk.is_out

    if finished:
        chunk.finish()
    else:
        in_flight.forget([SALES])

    assert not chunk.is_out
