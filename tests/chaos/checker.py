"""Judges a run by its history: what stands on the topics, in the journal, in quarantine, in the outbox."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from uuid import UUID

from aiokafka import AIOKafkaConsumer, TopicPartition
from sqlalchemy import text
from tests.integration.test_position_laws import reference

from vmi_cli.supervision import WORKERS
from vmi_cli.workers import defined
from vmi_contracts import topics
from vmi_contracts.outbound import ProposalsIssued
from vmi_domain.stock.position import Balance, Key
from vmi_runtime import broker, pipeline
from vmi_store import journal, positions
from vmi_store.engine import create
from vmi_store.journal import JournalLine
from vmi_testing.inventory import Desk
from vmi_testing.waiting import until

from .load import SERIAL, Load
from .stage import Stage

INBOUND = (topics.SALES, topics.STOCK, topics.ORDERS)
PUBLISHED = (topics.POSITIONS, topics.FORECASTS, topics.PROPOSALS, topics.EXCEPTIONS, topics.COUNT_REQUESTS)
"""Compacted topics are left out: they forget."""


NO_BUGS = (
    # uvloop's word for a connection that was cut while aiokafka was about to write; its fetcher does not outlive it.
    "the handler is closed",
    "was fenced, and no rebalance came",
)
"""What ends a worker as a bug would, and is none: it starts again, and nothing was acknowledged."""


@dataclass
class Verdict:
    """What was found; each complaint is one broken promise."""

    records: int = 0
    lines: int = 0
    quarantined: int = 0
    published: int = 0
    proposals: int = 0
    lost: int = 0
    doubled: int = 0
    complaints: list[str] = field(default_factory=list)

    def require(self, holds: bool, complaint: str) -> None:
        if not holds:
            self.complaints.append(complaint)


async def settled(stage: Stage, seconds: float) -> None:
    """Wait until nothing is behind, nothing unpublished and nothing due to be tried again, and it stays so."""
    await stage.engine.dispose()  # its connections are those of before
    times_quiet = 0
    async with pipeline.watched(stage.settings.kafka, stage.engine, PIPELINE) as pipe:

        async def left() -> object:
            nonlocal times_quiet
            async with stage.engine.connect() as connection:
                due = (await connection.execute(_DUE)).scalar_one()
            backlog = await pipe.backlog()
            lags = {(one.group, one.topic, one.partition): one.behind for one in backlog.partitions if one.behind}
            behind = (lags, backlog.unpublished, due) if lags or backlog.unpublished or due else None
            times_quiet = 0 if behind else times_quiet + 1
            return behind or (times_quiet < QUIET_LOOKS and "quiet, but not for long enough")

        await until(left, lambda behind: not behind, seconds=seconds, every=0.5)


PIPELINE = [defined(name) for name in WORKERS]
"""Here, since it imports much: while this process does that, its network stands still."""
QUIET_LOOKS = 4
_DUE = text("SELECT count(*) FROM quarantine WHERE settled_at IS NULL AND due_at <= clock_timestamp()")


async def judged(stage: Stage, load: Load) -> Verdict:
    """Compare what was sent with everything that came of it."""
    verdict = Verdict(records=len(load.sent))
    await _facts(stage, load, verdict)
    await _positions(stage, load, verdict)
    await _published(stage, verdict)
    unexplained = [bug for bug in stage.bugs() if not any(known in bug for known in NO_BUGS)]
    verdict.require(not unexplained, f"{len(unexplained)} workers ended by a bug: {unexplained[:3]}")
    return verdict


async def _facts(stage: Stage, load: Load, verdict: Verdict) -> None:
    """P3: what was sent stands exactly once in the journal or in quarantine, by line."""
    on_topics = await _read(stage, [topic.name for topic in INBOUND])
    at: dict[int, list[tuple[str, int, int]]] = defaultdict(list)
    for place, record in on_topics:
        at[int(dict(record.headers)[SERIAL])].append(place)
    wanted: Counter[bytes] = Counter()
    aside: Counter[tuple[str, int, int, int | None]] = Counter()
    for one in load.sent:
        times = len(at[one.serial])
        verdict.require(times == 1, f"{one.label} {one.serial} stands {times} times on Kafka")
        wanted.update(line.line_id for line in one.lines)
        aside.update((*place, line) for place in at[one.serial] for line in one.refused)
    async with stage.engine.connect() as connection:
        rows = await connection.execute(
            text("SELECT line_id, quantity FROM journal WHERE customer_id = ANY(:customers)"),
            {"customers": list(load.customers)},
        )
        stands = [(bytes(row.line_id), row.quantity) for row in rows]
        rows = await connection.execute(
            text("""
                SELECT topic, partition, "offset", line FROM quarantine
                WHERE settled_at IS NULL AND topic = ANY(:topics) AND worker = 'inventory'
            """),
            {"topics": [topic.name for topic in INBOUND]},
        )
        held = Counter(tuple(row) for row in rows)
    reversals = Counter(id_ for id_, _ in stands if id_[12] & 0x80)
    found = Counter(id_ for id_, _ in stands if not id_[12] & 0x80)
    verdict.lines, verdict.quarantined = found.total(), held.total()
    for what, sought, seen in (("journal", wanted, found), ("quarantine", aside, held)):
        missing, more = sought - seen, seen - sought
        verdict.lost += missing.total()
        verdict.doubled += more.total()
        verdict.require(not missing, f"{missing.total()} lines are missing in the {what}: {list(missing)[:3]}")
        verdict.require(not more, f"{more.total()} lines too many are in the {what}: {list(more)[:3]}")
    gone = Counter(
        line.line_id[:12] + bytes([line.line_id[12] | 0x80]) + line.line_id[13:]
        for one in load.sent
        for line in one.lines
        if (one.customer, line.document) in load.corrected
    )
    verdict.require(reversals == gone, "what was taken back is not what the corrections say")
    quantities = {line.line_id: line.quantity for one in load.sent for line in one.lines}
    verdict.require(
        all(quantity == quantities.get(id_, quantity) for id_, quantity in stands if not id_[12] & 0x80),
        "a line stands in the journal with another quantity",
    )


async def _positions(stage: Stage, load: Load, verdict: Verdict) -> None:
    """P1: each position is the pure fold of what was sent; P10: all that is derived can be made anew, the same."""
    true: dict[Key, list[JournalLine]] = defaultdict(list)
    for one in load.sent:
        for line in one.lines:
            if (one.customer, line.document) not in load.corrected:
                true[line.key].append(line)
            else:
                true.setdefault(line.key, [])
    async with stage.engine.connect() as connection:
        rows = {row.key: row.balance for row in await positions.read(connection, sorted(true))}
        lines = await journal.of_keys(connection, sorted(true))
    for key, said in true.items():
        verdict.require(
            rows.get(key, Balance()) == reference(said), f"{key}: {rows.get(key)} is not the fold of what was sent"
        )
        stands = {line.line_id for line in journal.standing(lines.get(key, ()))}
        verdict.require(stands == {line.line_id for line in said}, f"{key}: not what was sent stands")
    engine = create(stage.database_url, application_name="chaos-rebuild", pool_size=2)
    try:
        for customer in load.customers:
            rebuilt = await Desk(engine, customer).rebuild(dry_run=True)
            verdict.require(
                rebuilt.is_same, f"{customer}: made anew it differs in {[one.columns for one in rebuilt.differences]}"
            )
    finally:
        await engine.dispose()


async def _published(stage: Stage, verdict: Verdict) -> None:
    """P4 and P5: what is published is what was decided, in its order, and versions count up by one."""
    records = await _read(stage, [topic.name for topic in PUBLISHED])
    async with stage.engine.connect() as connection:
        rows = list(
            await connection.execute(
                text("SELECT id, aggregatetype, aggregateid, published_at FROM outbox ORDER BY sequence")
            )
        )
    verdict.require(all(row.published_at for row in rows), "messages in the outbox are unpublished")
    decided: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if row.aggregatetype in {topic.name for topic in PUBLISHED}:
            decided[(row.aggregatetype, row.aggregateid)].append(str(row.id))
    first: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for (topic, _, _), record in records:
        first[(topic, record.key.decode())].setdefault(dict(record.headers)["ce_id"].decode())
    verdict.published = sum(len(ids) for ids in first.values())
    for place in decided.keys() | first.keys():
        ours, theirs = list(dict.fromkeys(decided[place])), list(first[place])
        verdict.require(len(ours) == len(decided[place]), f"{place}: one id was decided twice")
        verdict.lost += len(set(ours) - set(theirs))
        verdict.doubled += len(set(theirs) - set(ours))
        verdict.require(set(ours) == set(theirs), f"{place}: decided {len(ours)}, published {len(theirs)}")
        verdict.require(ours == theirs, f"{place}: first published in another order than decided")
    versions: dict[UUID, dict[int, object]] = defaultdict(dict)
    names: dict[tuple, UUID] = {}
    for (topic, _, _), record in records:
        if topic != topics.PROPOSALS.name:
            continue
        document = ProposalsIssued.model_validate_json(record.value)
        for line in document.lines:
            same = versions[line.proposal_id].setdefault(line.version, line)
            verdict.require(same == line, f"proposal {line.proposal_id}: one version, two contents")
            opportunity = (document.customer_id, document.location_id, line.item_id, line.order_at)
            one = names.setdefault(opportunity, line.proposal_id)
            verdict.require(one == line.proposal_id, f"{opportunity}: two proposals")
    verdict.proposals = len(versions)
    for proposal, told in versions.items():
        numbers = list(told)
        verdict.require(
            numbers == list(range(numbers[0], numbers[0] + len(numbers))), f"proposal {proposal}: versions {numbers}"
        )
    verdict.require(verdict.proposals > 0, "nothing was proposed at all")


async def _read(stage: Stage, names: list[str]):
    """Return what readers see of some topics, with its places."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=stage.kafka_address, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        ends = await broker.end_offsets(stage.settings.kafka, names)
        partitions = {TopicPartition(*place): end for place, end in ends.items()}
        consumer.assign(list(partitions))
        await consumer.seek_to_beginning()
        found = []
        while behind := [tp for tp, end in partitions.items() if await consumer.position(tp) < end]:
            for records in (await consumer.getmany(*behind, timeout_ms=500)).values():
                found += [((one.topic, one.partition, one.offset), one) for one in records]
        return sorted(found, key=lambda pair: pair[0])
    finally:
        await consumer.stop()
