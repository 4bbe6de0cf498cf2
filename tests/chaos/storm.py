"""One run: load and faults by a seed for a while, then peace, then the verdict."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from .checker import INBOUND, Verdict, judged, settled
from .load import Load, send, sender
from .nemesis import Nemesis
from .stage import Stage, opened

Tell = Callable[[str], None]
MOST_RSS_MB = 700
PER_SECOND = 15
"""Records that are sent."""
PATIENCE_SECONDS = 300
INBOUND_NAMES = [topic.name for topic in INBOUND]
_CAME_TO = """
    SELECT topic, coalesce(sum(next_offset), 0) AS records FROM consumer_progress
    WHERE topic = ANY($1::text[]) AND group_name = 'vmi-inventory' GROUP BY topic ORDER BY topic
"""
"""How many records of each topic the inventory workers have dealt with: whether they starve is to be seen."""


@dataclass
class Outcome:
    """What was done, and what came of it."""

    seed: int
    seconds: float
    injected: dict[str, int]
    ends: dict[str, int]
    calm_after_seconds: float
    most_rss_mb: int
    verdict: Verdict
    not_tried: str | None

    @property
    def faults(self) -> int:
        return sum(self.injected.values())

    def table(self) -> str:
        width = max(map(len, self.injected))
        rows = [f"  {name:<{width}}  {times:>5}" for name, times in sorted(self.injected.items())]
        found = self.verdict
        return "\n".join(
            [
                *rows,
                f"  {'faults':<{width}}  {self.faults:>5}",
                *([f"  disk full: not tried, since {self.not_tried}"] if self.not_tried else []),
                f"seed {self.seed}, {self.seconds:.0f} s: {found.records} records sent, {found.lines} lines in the "
                f"journal, {found.quarantined} in quarantine, {found.published} messages published, "
                f"{found.proposals} proposals",
                f"all caught up {self.calm_after_seconds:.1f} s after the last fault; largest worker "
                f"{self.most_rss_mb} MB; workers ended: {self.ends}",
                f"lost {found.lost}, doubled {found.doubled}: "
                + ("survived" if not found.complaints else "NOT SURVIVED"),
                *found.complaints[:20],
            ]
        )


async def run(seed: int, seconds: float, log: Path, tell: Tell) -> Outcome:
    """Let a storm of a seed blow for ``seconds``, or until each kind of fault came; return what came of it."""
    async with opened(log, f"-storm-{seed}") as stage:
        return await blow(stage, seed, seconds, tell)


async def blow(stage: Stage, seed: int, seconds: float, tell: Tell) -> Outcome:
    """The storm itself, on a stage that stands."""
    load = Load(seed, tuple(f"{name}-{uuid4().hex[:6]}" for name in ("acme", "bolt")))
    nemesis = Nemesis(stage, seed)
    loop = asyncio.get_running_loop()
    begin = 0.0

    def end() -> float:
        return begin + seconds

    async def told() -> None:
        while True:
            await asyncio.sleep(10)
            came_to = {row["topic"]: int(row["records"]) for row in await stage.administer(_CAME_TO, INBOUND_NAMES)}
            tell(
                f"{loop.time() - begin:4.0f} s  {len(load.sent)} records sent, {nemesis.injected.total()} faults, "
                f"{sum(stage.ends.values())} workers ended; read: {came_to or 'the database is away'}"
            )

    telling = asyncio.create_task(told())
    try:
        async with sender(stage.kafka_address, load) as producer, asyncio.TaskGroup() as group:
            begin = loop.time()
            group.create_task(send(producer, load, per_second=PER_SECOND, until_time=end))
            group.create_task(nemesis.rage(end))
        peace = time.monotonic()
        stage.broker_network.mend()
        stage.database_network.mend()
        await stage.up()
        await settled(stage, PATIENCE_SECONDS)
        calm = time.monotonic() - peace
    finally:
        telling.cancel()
    verdict = await judged(stage, load)
    missing = [kind for kind, times in nemesis.injected.items() if not times]
    verdict.require(not missing, f"these faults did not come: {missing}")
    rss = stage.most_rss // 2**20
    verdict.require(rss < MOST_RSS_MB, f"a worker held {rss} MB")
    return Outcome(seed, seconds, dict(nemesis.injected), dict(stage.ends), calm, rss, verdict, stage.disk.missing)
