"""``vmi proposals``: which wait for whom; ``vmi answer``: what a party says to one."""

import asyncio
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Annotated, Any, Final, Literal
from uuid import UUID, uuid4

import typer
from aiokafka import AIOKafkaProducer
from pydantic import ValidationError

from vmi_cli.console import AsJson, Refused, out, print_json, print_rows
from vmi_cli.database import opened
from vmi_cli.surroundings import connected
from vmi_contracts import topics, writing
from vmi_contracts.inbound import Answer, AnswerLine, ProposalAnswered, ReasonCode
from vmi_contracts.values import plain
from vmi_domain.replenishment.proposals import Proposal, Status
from vmi_runtime import broker, kafka_client
from vmi_runtime.settings import Settings
from vmi_store import proposals, quarantine
from vmi_store.quarantine import Rejected

app = typer.Typer(no_args_is_help=True, help="Proposals that live: what waits for an answer, and for whose.")

SOURCE: Final = "/vmi/cli"
LOOK_EVERY_SECONDS: Final = 0.2
LATEST: Final = 20
"""Of what is in quarantine so many are looked at for the answer's own line."""


class Party(StrEnum):
    """Who answers."""

    SUPPLIER = "supplier"
    CUSTOMER = "customer"


@app.callback()
def _group() -> None:
    """Keep ``list`` a command of its own while it is the only one."""


@app.command("list")
def list_(
    customer: Annotated[str | None, typer.Option(help="Only this customer.")] = None,
    location: Annotated[str | None, typer.Option(help="Only this location.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only this status; those that wait without it.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All that are not finished.")] = False,
    look: Annotated[bool, typer.Option("--look", help="Only those that a person must look at.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the proposals that wait for an answer, the next order opportunity first.

    vmi proposals list --look
    """
    wanted = None if every else status or Status.PROPOSED
    found = asyncio.run(_listed(connected(), customer, location, wanted, limit))
    found = [one for one in found if one.review_because or not look]
    if as_json:
        print_json([_as_json(one) for one in found])
        return
    print_rows(
        "Proposals",
        ("id", "version", "status", "customer", "location", "item", "quantity", "order by", "mind"),
        [
            (
                str(one.proposal_id)[:8],
                one.version,
                one.status.value,
                one.key.customer_id,
                one.key.location_id,
                one.key.item_id,
                plain(one.quantity),
                f"{one.order_at:%Y-%m-%d %H:%M}",
                _mind(one),
            )
            for one in found
        ],
        nothing="No proposal waits.",
        sentences=True,
    )
    if found:
        out.print("See why: vmi why ID   Say something to it: vmi answer ID accept|change|reject|counter")


async def _listed(
    settings: Settings, customer: str | None, location: str | None, status: Status | None, limit: int
) -> list[Proposal]:
    async with opened(settings) as database, database.connect() as connection:
        return await proposals.waiting(
            connection, customer_id=customer, location_id=location, status=status, at_most=limit
        )


def _mind(one: Proposal) -> str:
    told = [one.review_because]
    if one.countered_by:
        told.append(f"counter-proposal of the {one.countered_by}")
    if one.requested is not None:
        told.append(f"a change to {plain(one.requested)} is asked for")
    if one.held_because is not None:
        told.append(one.held_because.value.replace("_", " "))
    return "; ".join(word for word in told if word)


def _as_json(one: Proposal) -> dict[str, Any]:
    return {
        "proposal_id": str(one.proposal_id),
        "version": one.version,
        "status": one.status.value,
        "customer_id": one.key.customer_id,
        "location_id": one.key.location_id,
        "item_id": one.key.item_id,
        "supplier_id": one.supplier_id,
        "quantity": plain(one.quantity),
        "order_at": one.order_at.isoformat(),
        "deliver_at": one.deliver_at.isoformat(),
        "expires_at": one.expires_at.isoformat(),
        "held_because": one.held_because,
        "review_because": one.review_because or None,
        "countered_by": one.countered_by or None,
        "requested_quantity": None if one.requested is None else plain(one.requested),
    }


def answer(
    proposal: Annotated[str, typer.Argument(metavar="PROPOSAL", help="The id, or how it begins.")],
    kind: Annotated[Answer, typer.Argument(metavar="ANSWER", help="accept, change, reject or counter.")],
    quantity: Annotated[
        str | None, typer.Option("--quantity", "-q", help="Base units, for a change or a counter-proposal.")
    ] = None,
    version: Annotated[int | None, typer.Option(min=1, help="The version you read; the last one without it.")] = None,
    party: Annotated[Party, typer.Option(help="On whose behalf.")] = Party.SUPPLIER,
    code: Annotated[ReasonCode | None, typer.Option("--code", help="Why, for those who count reasons.")] = None,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why, in words.")] = "",
    expected_at: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M"], help="When it arrives, in UTC.")
    ] = None,
    wait: Annotated[float, typer.Option(min=0, help="Seconds to wait for what becomes of it.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Answer a proposal as its supplier or customer would: the answer goes to Kafka
    like anybody's.

        vmi answer 2cac224b accept
        vmi answer 2cac224b change --quantity 40 --code out_of_stock
        vmi answer 2cac224b counter -q 60 --party customer --code too_much
    """
    settings = connected()
    line = _line(kind, quantity, version, code, reason, expected_at)
    standing, after = asyncio.run(answered(settings, proposal, line, party.value, wait))
    if isinstance(after, Rejected):
        raise Refused(f"{after.reason}: {after.detail}; it is in quarantine, see `vmi quarantine list`")
    if as_json:
        print_json({"answered": _as_json(standing), "stands": None if after is None else _as_json(after)})
        return
    if after is None:
        out.print(
            "Sent. Nothing has become of it yet: does the replenishment worker run? `vmi status` and "
            "`vmi quarantine list` tell.",
            soft_wrap=True,
        )
        return
    out.print(
        f"{after.key.item_id}: {after.status.value}, {plain(after.quantity)}, version {after.version}", markup=False
    )


def _line(
    kind: Answer, quantity: str | None, version: int | None, code: ReasonCode | None, reason: str, at: datetime | None
) -> dict[str, Any]:
    try:
        amount = None if quantity is None else Decimal(quantity)
    except InvalidOperation:
        raise Refused(f"{quantity!r} is no quantity: say it in digits, such as 40 or 12.5") from None
    return {
        "version": version,
        "answer": kind,
        "quantity": amount,
        "reason_code": code,
        "reason": reason,
        "expected_at": None if at is None else at.replace(tzinfo=UTC),
    }


async def answered(
    settings: Settings, name: str, line: dict[str, Any], party: Literal["supplier", "customer"], wait: float
) -> tuple[Proposal, Proposal | Rejected | None]:
    """Send the answer; return the proposal as it stood, and as it stands once something became of the answer.

    Instead of the latter what quarantine says of it, where it was refused; None where nothing became of it in time.
    """
    async with opened(settings) as database:
        async with database.connect() as connection:
            standing = one_of(await proposals.named(connection, name), name)
        document = _document(standing, line, party)
        missing = await broker.missing_topics(settings.kafka, {topics.PROPOSAL_ANSWERS})
        if missing:
            raise Refused("the broker has no topic for answers: run `vmi topics create`")
        message_id = str(uuid4())
        record = writing.record(document, source=SOURCE, message_id=message_id)
        producer = AIOKafkaProducer(**kafka_client.arguments(settings.kafka), acks="all", enable_idempotence=True)
        await producer.start()
        try:
            await producer.send_and_wait(
                topics.PROPOSAL_ANSWERS.name, record.value, key=record.key, headers=record.headers
            )
        finally:
            await producer.stop()
        for _ in range(int(wait / LOOK_EVERY_SECONDS)):
            await asyncio.sleep(LOOK_EVERY_SECONDS)
            async with database.connect() as connection:
                [now] = await proposals.named(connection, str(standing.proposal_id))
                if now != standing:
                    return standing, now
                held = await quarantine.held(connection, customer_id=standing.key.customer_id, at_most=LATEST)
            for one in held:
                if ("ce_id", message_id.encode()) in one.rejected.headers:
                    return standing, one.rejected
    return standing, None


def one_of(found: list[Proposal], name: str) -> Proposal:
    """Return the one proposal that was meant, or raise Refused."""
    if not found:
        raise Refused(f"no proposal's id begins with {name}; see `vmi proposals list`")
    if len(found) > 1:
        raise Refused(f"{len(found)} ids begin with {name}; give more of it: {_ids(found)}")
    return found[0]


def _ids(found: list[Proposal]) -> str:
    return ", ".join(str(one.proposal_id) for one in found)


def _document(standing: Proposal, line: dict[str, Any], party: Literal["supplier", "customer"]) -> ProposalAnswered:
    proposal_id: UUID = standing.proposal_id
    try:
        said = AnswerLine(**{**line, "proposal_id": proposal_id, "version": line["version"] or standing.version})
    except ValidationError as error:
        raise Refused(error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    return ProposalAnswered(
        customer_id=standing.key.customer_id,
        location_id=standing.key.location_id,
        answered_at=datetime.now(UTC),
        party=party,
        lines=(said,),
    )
