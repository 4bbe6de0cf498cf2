"""The batch path: one Faust message carries what one fetch brought from one partition (a ``Chunk``).

Stock Faust walks every record through a dozen layers of Python; with chunks the same app, agents and handling of
rebalances run some thirty times faster. Private names of Faust and aiokafka are used here and nowhere else, so their
minor versions are fixed, and ``tests/unit/test_batch_path.py`` fails when one of the names changes.

What is committed follows from ``InFlight`` alone. Faust's own acknowledgements (which may pass what is still in
flight), its gaps and its back-pressure are switched off.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, Protocol, cast

import aiokafka
import structlog
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from vmi_runtime import header_names
from vmi_runtime.in_flight import Chunk, InFlight, TopicPartition
from vmi_runtime.settings import ConsumingSettings

log = structlog.get_logger(__name__)

SETTLE_SECONDS = 3.0
"""How long a rebalance waits for a batch that is being written. What takes longer is written under an old epoch, in
vain, and done again by the partition's new owner."""

NOTHING_ASSIGNED_SECONDS = 0.1


class Fence(Protocol):
    """Draws epochs, before anything is fetched from newly assigned partitions."""

    async def draw(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]: ...


class BatchApp(Protocol):
    """What the batch path asks of its app."""

    consuming: ConsumingSettings
    fence: Fence


class NoFence:
    """Stands where nothing is written to a database: benchmarks, and tests of the path alone."""

    async def draw(self, partitions: Iterable[TopicPartition]) -> Mapping[TopicPartition, int]:
        return dict.fromkeys(partitions, 0)


class Fetched(dict[TP, list[Any]]):
    """Records by partition, and where each partition goes on after them."""

    positions: Mapping[TopicPartition, int] = MappingProxyType({})


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread in which the bare client lives: fetches, heartbeats, commits."""

    consumer: "Consumer"
    logger = driver.logger

    def _create_worker_consumer(self, transport: driver.Transport) -> aiokafka.AIOKafkaConsumer:
        conf = self.app.conf
        self._assignor = RoundRobinPartitionAssignor
        return aiokafka.AIOKafkaConsumer(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[self._assignor],
            enable_auto_commit=False,
            auto_offset_reset=conf.consumer_auto_offset_reset,
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_min_bytes=self.consumer.settings.fetch_min_bytes,
            # A partition that runs dry while others hold a fetch open waits for that fetch: keep it short.
            fetch_max_wait_ms=self.consumer.settings.fetch_wait_ms,
            request_timeout_ms=int(conf.broker_request_timeout * 1000),
            check_crcs=conf.broker_check_crcs,
            session_timeout_ms=int(conf.broker_session_timeout * 1000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1000),
            # The relay writes in transactions; what it did not commit was never said.
            isolation_level="read_committed",
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
            **driver.credentials_to_aiokafka_auth(conf.broker_credentials, conf.ssl_context),
        )

    async def _fetch_records(self, consumer: aiokafka.AIOKafkaConsumer, *args: Any, **options: Any) -> Fetched:
        before = {tp: state.position for tp, state in _states(consumer)}
        try:
            fetched = Fetched(await super()._fetch_records(consumer, *args, **options))
        except UnicodeDecodeError as error:
            header_names.read_whatever_comes(error)
            # Other partitions' records may have been taken out already, and are lost with the error.
            await self.rewind(before)
            return Fetched()
        # No await between the fetch and this: the positions are those after exactly these records.
        fetched.positions = {_plain(tp): state.position for tp, state in _states(consumer)}
        return fetched

    async def rewind(self, offsets: Mapping[TP, int]) -> None:
        """Fetch again from these offsets, in the partitions that are ours and further on than that.

        Never forwards: another assignment may have begun, and stands where it must.
        """
        consumer = self._ensure_consumer()
        for tp, state in _states(consumer):
            offset = offsets.get(tp)
            if offset is not None and offset < state.position:
                consumer.seek(tp, offset)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        try:
            consumer = self._ensure_consumer()
            await consumer.commit({driver.ensure_aiokafka_TP(tp): offset for tp, offset in offsets.items()})
        except (KafkaError, IllegalStateError) as error:
            # Partitions just moved, or the broker is away. Nothing is lost by committing later, or never.
            log.warning("offsets not committed; later ones will be", reason=type(error).__name__)
            return False
        return True


class Consumer(driver.Consumer):
    """Faust's consumer, with chunks in place of records."""

    _thread: ConsumerThread
    logger = driver.logger

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        app = cast("BatchApp", self.app)
        self.settings = app.consuming
        self.in_flight = InFlight()
        self._fence = app.fence
        self._epochs: Mapping[TopicPartition, int] = {}
        self._epochs_of: int | None = None

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, ConsumerMessage]]:  # noqa: ASYNC109
        """Yield, as messages, the chunks of one fetch."""
        await self.in_flight.room(self.settings.prefetch_records)
        if not self.flow_active:
            await self.wait(self.can_resume_flow.wait())
        generation = self.app.consumer_generation_id
        await self._draw_epochs(generation)
        active = self._get_active_partitions()
        if not active:
            await self.sleep(NOTHING_ASSIGNED_SECONDS)
            return
        fetched = await self._getmany(active, timeout)
        not_handed_on = {tp: records[0].offset for tp, records in fetched.items()}
        for tp, chunk in self._chunks(fetched):
            if self.should_stop or not self.flow_active or self.app.consumer_generation_id != generation:
                break
            self.in_flight.add(chunk)
            not_handed_on[tp] = chunk.next_offset
            if chunk.records[-1] is fetched[tp][-1]:
                del not_handed_on[tp]
            # Faust would drop what lies below the offset it read last; after a rewind that is what we want.
            self._read_offset.pop(tp, None)
            yield tp, self._message(tp, chunk)
        if not_handed_on:
            # A rebalance came between. Stock Faust seeks to the committed offsets, which does nothing where none are.
            await self._thread.call_thread(self._thread.rewind, not_handed_on)
        elif isinstance(fetched, Fetched) and self.app.consumer_generation_id == generation:
            for partition, position in fetched.positions.items():
                self.in_flight.reached(partition, position)

    def _chunks(self, fetched: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Chunk]]:
        """Yield the chunks of a fetch, partitions in turn: what piled up in one keeps no other waiting."""
        size = self.settings.chunk_records
        for start in range(0, max(map(len, fetched.values()), default=0), size):
            for tp, records in fetched.items():
                if start < len(records):
                    partition = _plain(tp)
                    yield tp, Chunk(partition, records[start : start + size], self._epochs.get(partition, 0))

    def _message(self, tp: TP, chunk: Chunk) -> ConsumerMessage:
        return ConsumerMessage(
            topic=tp.topic,
            partition=tp.partition,
            offset=chunk.records[-1].offset,
            timestamp=0.0,
            timestamp_type=0,
            headers=None,
            key=None,
            value=cast(bytes, chunk),  # Faust's raw codec hands on whatever it is
            checksum=None,
            serialized_key_size=0,
            serialized_value_size=chunk.bytes,
            tp=tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def _draw_epochs(self, generation: int) -> None:
        """Draw epochs for a new assignment, before the first fetch from it."""
        if self._epochs_of == generation:
            return
        partitions = [_plain(tp) for tp in self.assignment()]
        self._epochs = await self._fence.draw(partitions) if partitions else {}
        self._epochs_of = generation

    async def perform_seek(self) -> None:
        """Go back to what is committed, in every partition. What is in flight from there on will come again."""
        try:
            await super().perform_seek()
        finally:
            self.in_flight.forget()

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Let the batch that is being written end, commit it, and forget the rest."""
        self.quiesce()
        if not await self.in_flight.settle(SETTLE_SECONDS):
            log.warning("partitions move while a batch is being written; it will be done again", seconds=SETTLE_SECONDS)
        await self.commit()
        await super().on_partitions_revoked(revoked)
        self.in_flight.forget()
        self._epochs_of = None

    def quiesce(self) -> None:
        """Hand no more chunks to the agents. Those that wait are dropped: their offsets are not committed."""
        self.stop_flow()
        self.app.flow_control.suspend()
        self.app.flow_control.clear()

    def _filter_tps_with_pending_acks(self, topics: Iterable[TP | str] | None = None) -> Iterator[TP]:
        for topic, partition in self.in_flight.partitions():
            tp = TP(topic, partition)
            if topics is None or tp in topics or topic in topics:
                yield tp

    def _new_offset(self, tp: TP) -> int | None:
        # Faust keeps a list of what was acknowledged, which is not asked and must not grow.
        self._acked.pop(tp, None)
        self._acked_index.pop(tp, None)
        return self.in_flight.committable(_plain(tp))

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: offsets jump from chunk to chunk, and a gap would let Faust commit past an unfinished one."""

    def on_buffer_full(self, tp: TP) -> None:
        """Do nothing: ``InFlight.room`` holds the fetching back, counted in records."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Do nothing, as on_buffer_full."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: Faust's warnings count messages, which are chunks here, and cry wolf anyway."""


class Transport(driver.Transport):
    """Faust's transport, with our consumer."""

    Consumer = Consumer


def _plain(tp: Any) -> TopicPartition:
    return tp.topic, tp.partition


def _states(consumer: aiokafka.AIOKafkaConsumer) -> Iterator[tuple[aiokafka.TopicPartition, Any]]:
    """Yield the client's state of each partition that is assigned and has a position."""
    subscription = consumer._subscription.subscription
    assignment = subscription.assignment if subscription is not None else None
    if assignment is None or not assignment.active:
        return
    for tp in assignment.tps:
        state = assignment.state_value(tp)
        if state is not None and state.has_valid_position:
            yield tp, state


def ready_chunks(stream: Any) -> Iterator[Chunk]:
    """Yield what else waits for an agent, without waiting for more."""
    queue = stream.channel.queue
    while not queue.empty():
        event = queue.get_nowait()
        if event.message.generation_id == stream.app.consumer_generation_id:
            yield event.value
