"""A supplier's system in ten lines: it accepts what it has, and ships what is agreed, never twice.

Run it beside ``vmi run``:  python examples/supplier.py localhost:9092 100
"""

import asyncio
import sys
from collections.abc import AsyncIterable, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from vmi_contracts import consumer, writing
from vmi_contracts.inbound import ProposalAnswered
from vmi_contracts.outbound import ProposalStatus


async def follow(
    records: AsyncIterable[Any], held: consumer.Held, stock: Decimal, say: Callable[[ProposalAnswered], Awaitable[None]]
) -> None:
    """Answer every offer that is new: with what was asked for, or as much of it as there is."""
    async for record in records:
        for change in consumer.apply(consumer.read(record.value, record.headers), held):
            if change.now.status is ProposalStatus.PROPOSED and change.now.countered_by != "supplier":
                much = min(change.now.quantity, stock)
                kind = "accept" if much == change.now.quantity else "change" if much else "reject"
                code = None if kind == "accept" else consumer.ReasonCode.OUT_OF_STOCK
                at = datetime.now(UTC)
                await say(consumer.answer(change.now, kind, answered_at=at, quantity=much or None, reason_code=code))
            print(change.now.item_id, "version", change.now.version, change.now.status, change.now.quantity)


async def main(servers: str, stock: Decimal) -> None:
    """Read proposals from the beginning: what was answered is answered once more, under the same id, and ignored."""
    producer = AIOKafkaProducer(bootstrap_servers=servers)
    reader = AIOKafkaConsumer("vmi.proposals.v1", bootstrap_servers=servers, auto_offset_reset="earliest")

    async def say(document: ProposalAnswered) -> None:
        record = writing.record(document, source="/supplier", message_id=consumer.answer_id(document))
        await producer.send_and_wait("vmi.proposal-answers.v1", record.value, key=record.key, headers=record.headers)

    async with producer, reader:
        await follow(reader, {}, stock, say)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Decimal(sys.argv[2])))
