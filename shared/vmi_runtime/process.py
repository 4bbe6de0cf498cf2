"""A worker as a process: everything it needs is made here, in order, and taken down again in the other order."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from threading import Thread
from time import sleep
from typing import TypeVar

import structlog
from aiokafka.errors import KafkaError

from vmi_contracts.topics import Topic
from vmi_runtime import broker, consuming, failure, faust_app, logs
from vmi_runtime.batch_path import Consumer
from vmi_runtime.batches import Database, PutAside, put_aside
from vmi_runtime.clock import Clock
from vmi_runtime.faust_app import App
from vmi_runtime.settings import Settings, SettingsError, load
from vmi_runtime.worker import EXIT_CANNOT_START, Surroundings, Worker
from vmi_store import engine, progress, schema_version
from vmi_store.schema_version import SchemaError

log = structlog.get_logger(__name__)

SWITCH_SECONDS = 0.0005

STOP_SECONDS = 10.0
"""How long a clean stop may take before the process ends anyway: nothing that is unfinished is acknowledged."""


T = TypeVar("T")


class CannotStartError(Exception):
    """The process cannot start; the message is one line that says what to do."""


def main(worker: Worker) -> None:
    """Run a worker until it is told to stop; the exit code says how it ended."""
    try:
        settings = load()
        if settings.ends_with_input:
            Thread(target=_end_with_input, name="standard input", daemon=True).start()
        code = run(worker, settings)
    except (SettingsError, SchemaError, CannotStartError) as error:
        sys.stderr.write(f"vmi worker {worker.name}: {error}\n")
        code = EXIT_CANNOT_START
    sys.stderr.flush()
    # Threads of libraries may still be about; what had to be committed is.
    os._exit(code)


def _end_with_input() -> None:
    """Tell this process to end once its standard input has, and end it if it does not."""
    while os.read(sys.stdin.fileno(), 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    sleep(2 * STOP_SECONDS)
    os._exit(128 + signal.SIGTERM)


def run(worker: Worker, settings: Settings, aside: PutAside | None = None) -> int:
    """Run a worker until SIGTERM or SIGINT; return the exit code."""
    logs.configure(settings, worker.name)
    collect_garbage_less_often()
    # A batch is decoded in a thread while another is written: what the database answers must not wait for it long.
    sys.setswitchinterval(SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=_loop) as runner:
        return runner.run(_run(worker, settings, aside or partial(put_aside, worker=worker.name)))


def collect_garbage_less_often() -> None:
    """Let Python look for cycles less often than it does by default.

    A batch makes up to some hundred thousand small objects that all live until it is written, and none of them in a
    cycle; looking through them every 700 allocations takes a third of the time that consuming takes, and every 20,000
    still a fifth of the time that reading how keys stand takes. They are gone before anybody looks now.
    """
    gc.set_threshold(250_000, 5, 10)


def _loop() -> asyncio.AbstractEventLoop:
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    # The policy too: Faust's consumer makes a loop of its own in its thread.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    return uvloop.new_event_loop()


async def _run(worker: Worker, settings: Settings, aside: PutAside) -> int:
    if settings.database.url is None:
        raise SettingsError("no database is named; set VMI_DATABASE__URL=postgresql://user:password@host:port/database")
    database = engine.create(
        settings.database.url.get_secret_value(),
        application_name=worker.group,
        pool_size=settings.database.pool_size,
        statement_cache=settings.database.statement_cache,
        statement_timeout_seconds=settings.database.statement_timeout_seconds,
    )
    stopping = asyncio.Event()
    surroundings = Surroundings(settings, database, Clock(settings.clock), stopping)
    with _signals(stopping):
        try:
            app = await _unless(stopping, _ready(worker, surroundings, aside))
            return 0 if stopping.is_set() else await _work(worker, surroundings, app)
        finally:
            await database.dispose()


async def _unless(stopping: asyncio.Event, work: Awaitable[T]) -> T | None:
    """Return what the work returns; None, and it is broken off, where the process is to stop before."""
    task, told = asyncio.ensure_future(work), asyncio.create_task(stopping.wait())
    await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait({task})
    return None


async def _ready(worker: Worker, surroundings: Surroundings, aside: PutAside) -> App | None:
    """Return the worker's app, if it needs one, once database and broker answer and are as it needs them."""
    await failure.retried("looking at the schema", lambda: schema_version.require_head(surroundings.engine))
    return await _app(worker, surroundings, aside) if worker.subscriptions or worker.ticks else None


async def _work(worker: Worker, surroundings: Surroundings, app: App | None) -> int:
    tasks = [asyncio.ensure_future(task(surroundings)) for task in worker.tasks]
    if app is not None:
        tasks.append(asyncio.create_task(_consume(app, surroundings.stopping)))
    log.info("started", group=worker.group, process=os.getpid())
    until = asyncio.create_task(surroundings.stopping.wait())
    done, _ = await asyncio.wait({until, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    for task in done - {until}:
        error = task.exception() or RuntimeError("it ended, and nobody told it to")
        failure.die(f"worker {worker.name}", error)
    log.info("stopping")
    _, left = await asyncio.wait(tasks, timeout=STOP_SECONDS)
    log.info("stopped", cleanly=not left)
    return 0


async def _app(worker: Worker, surroundings: Surroundings, aside: PutAside) -> App:
    settings = surroundings.settings
    cluster_id = await _cluster_id(settings, [topic for s in worker.subscriptions for topic in s.topics])
    database = Database(
        surroundings.engine,
        progress.Group(cluster_id, worker.group),
        f"{socket.gethostname()}:{os.getpid()}",
        surroundings.clock,
        aside,
    )
    app = faust_app.create(settings, worker.group, fence=database)
    for subscription in worker.subscriptions:
        consuming.subscribe(app, subscription, database)
    for tick in worker.ticks:
        consuming.periodically(app, tick, database)
    return app


async def _consume(app: App, stopping: asyncio.Event) -> None:
    """Run the app until the process is to stop, then let the batch that is being written end, and commit it."""
    app.finalize()
    await app.start()
    stop = asyncio.create_task(stopping.wait())
    crash = asyncio.create_task(app.wait_until_crashed())
    await asyncio.wait({stop, crash}, return_when=asyncio.FIRST_COMPLETED)
    if not stopping.is_set():
        raise app.crash_reason or RuntimeError("Faust stopped without a reason")
    consumer = app.consumer
    assert isinstance(consumer, Consumer)
    consumer.quiesce()
    await consumer.in_flight.settle(STOP_SECONDS / 2)
    await app.stop()


async def _cluster_id(settings: Settings, topics: Sequence[Topic]) -> str:
    """Return the id of the Kafka cluster, once it answers, having seen that the topics are there."""

    async def once() -> str:
        try:
            if missing := await broker.missing_topics(settings.kafka, topics):
                raise CannotStartError(f"the topic {missing[0]} does not exist; run: vmi topics create")
            return await broker.cluster_id(settings.kafka)
        except (broker.BrokerUnreachable, KafkaError) as error:
            raise ConnectionError(str(error)) from error

    return await failure.retried("looking for the broker", once)


@contextmanager
def _signals(stopping: asyncio.Event) -> Iterator[None]:
    """Set ``stopping`` at the first SIGTERM or SIGINT; end at once at the second."""

    def stop() -> None:
        if stopping.is_set():
            os._exit(128 + signal.SIGINT)
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
