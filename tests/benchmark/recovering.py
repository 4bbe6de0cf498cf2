"""A worker is killed (SIGKILL) while work comes in: how long until nothing is behind any more.

The whole service runs as ``vmi run`` runs it (two inventory workers, forecast, replenishment, two relays; the settings
a worker has by itself, started again at once). One worker is killed, and at that moment 300 documents of the chaos
suite's load are sent; the time is from the kill until every group has read everything and everything is published.
"""

import argparse
import asyncio
import signal
import statistics
import tempfile
import time
from collections import Counter
from pathlib import Path
from uuid import uuid4

from tests.chaos.checker import PIPELINE
from tests.chaos.load import Load, sender
from tests.chaos.stage import WORKERS as FLEET
from tests.chaos.stage import opened
from tests.vmi_testing.waiting import until

from vmi_cli.supervision import WORKERS
from vmi_runtime import pipeline
from vmi_runtime.settings import ConsumingSettings

COUNTED = Counter(FLEET)
_OWNERS = "SELECT group_name, count(DISTINCT owner) AS owners FROM consumer_progress GROUP BY group_name"
DOCUMENTS = 300
PATIENCE_SECONDS = 300


async def run(arguments: argparse.Namespace, log: Path) -> None:
    usual = ConsumingSettings()
    variables = {
        "VMI_CONSUMING__SESSION_TIMEOUT_SECONDS": str(usual.session_timeout_seconds),
        "VMI_CONSUMING__HEARTBEAT_SECONDS": str(usual.heartbeat_seconds),
        "VMI_CONSUMING__CHUNK_RECORDS": str(usual.chunk_records),
        "VMI_CONSUMING__BATCH_RECORDS": str(usual.batch_records),
    }
    async with opened(log, "-storm-recovering", **variables) as stage:
        load = Load(arguments.seed, tuple(f"{name}-{uuid4().hex[:6]}" for name in ("acme", "bolt")))
        watched = pipeline.watched(stage.settings.kafka, stage.engine, PIPELINE)
        async with sender(stage.kafka_address, load) as producer, watched as pipe:

            async def behind() -> int:
                return (await pipe.backlog()).behind

            def started() -> int:
                return log.read_text().count('"event": "started"')

            async def everybody_works() -> bool:
                """Whether every process has started, and each that consumes has partitions."""
                owners = {row["group_name"]: row["owners"] for row in await stage.administer(_OWNERS)}
                return started() == len(stage.members) + sum(stage.ends.values()) and all(
                    owners.get(f"vmi-{name}") == COUNTED[name] for name in COUNTED if name != "relay"
                )

            await until(behind, lambda left: left == 0, seconds=PATIENCE_SECONDS, every=0.1)
            for name in arguments.worker or WORKERS:
                [victim, *_] = [member for member in stage.members if member.name == name]
                took = []
                for _ in range(arguments.rounds):
                    await until(everybody_works, seconds=PATIENCE_SECONDS, every=0.2)
                    killed, ended = victim.process, time.monotonic()
                    victim.signal(signal.SIGKILL)
                    sending = [
                        await producer.send(one.topic, one.value, key=one.key, headers=one.headers)
                        for one in (load.draw() for _ in range(DOCUMENTS))
                    ]
                    await asyncio.gather(*sending)
                    await until(lambda killed=killed, victim=victim: victim.process is not killed, seconds=30)
                    await until(behind, lambda left: left == 0, seconds=PATIENCE_SECONDS, every=0.1)
                    took.append(time.monotonic() - ended)
                print(
                    f"{name:14} {', '.join(f'{one:.1f}' for one in took)} s; median {statistics.median(took):.1f}",
                    flush=True,
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="kills of each kind of worker (default: 3)")
    parser.add_argument("--worker", choices=WORKERS, action="append", help="only kill these (default: each kind)")
    parser.add_argument("--seed", type=int, default=15)
    parser.add_argument("--log", type=Path, help="where the workers' lines go (default: nowhere)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(run(arguments, arguments.log or Path(directory) / "workers.log"))


if __name__ == "__main__":
    main()
