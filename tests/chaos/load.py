"""What a trading partner sends while everything fails: good facts, doubled, late, corrected and broken ones.

Each record has a serial number in a header of its own, so that the checker knows what each one on a topic was.
"""

import asyncio
import json
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from random import Random

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from vmi_contracts import envelope, topics, writing
from vmi_contracts.inbound import OrdersRetracted, SalesRetracted, StockRetracted
from vmi_domain.stock.position import Kind
from vmi_store import inbox, journal
from vmi_store.journal import JournalLine
from vmi_testing import builders
from vmi_testing.builders import NOON

SERIAL = "chaos-serial"
SOURCE = "/chaos"
LOCATIONS = ("store-1", "store-2")
ITEMS = ("milk", "bread", "salt", "rice", "tea")
SCARCE = "plums"
"""There is too little of it everywhere, and nothing comes: that it must be proposed is certain."""
RETRACTIONS = {
    topics.SALES.name: SalesRetracted,
    topics.STOCK.name: StockRetracted,
    topics.ORDERS.name: OrdersRetracted,
}


@dataclass(frozen=True)
class Sent:
    """One record, and what must become of it."""

    serial: int
    topic: str
    key: bytes
    value: bytes | None
    headers: list[tuple[str, bytes]]
    label: str
    customer: str
    name: str = ""
    lines: tuple[JournalLine, ...] = ()
    """What must stand in the journal, once."""
    refused: tuple[int | None, ...] = ()
    """Which of its lines must stand in quarantine, once; None: the record as a whole."""


@dataclass
class Load:
    """Draws records, the same ones from the same seed."""

    seed: int
    customers: tuple[str, ...]
    sent: list[Sent] = field(default_factory=list)
    corrected: set[tuple[str, bytes]] = field(default_factory=set)
    """Customers and documents (the begins of their names) that another document took back."""

    def __post_init__(self) -> None:
        self._chance = Random(f"load {self.seed}")
        self._correctable: list[Sent] = []
        self._minutes = 0
        self._to_be_said = [(customer, location) for customer in self.customers for location in LOCATIONS]

    def introduction(self) -> list[writing.Writable]:
        """Return what the service must know first."""
        return [
            document
            for customer in self.customers
            for document in (
                *(builders.location(customer, location) for location in LOCATIONS),
                *(builders.item(customer, item) for item in (*ITEMS, SCARCE)),
                *(
                    builders.agreement(customer, item, location, expected_daily_demand=20, pack="6")
                    for location in LOCATIONS
                    for item in (*ITEMS, SCARCE)
                ),
            )
        ]

    def draw(self) -> Sent:
        """Return the next record to be sent."""
        chance = self._chance
        self._minutes += chance.randint(0, 3)
        draws = (
            [self._sale] * 10
            + [self._stock] * 4
            + [self._order] * 2
            + [self._shipment] * 1
            + [self._receipt] * 3
            + [self._again] * 3
            + [self._correction] * 2
            + [self._malformed] * 3
            + [self._half_good] * 2
            + [self._conflict] * 1
        )
        one = self._scarce(*self._to_be_said.pop()) if self._to_be_said else chance.choice(draws)()
        self.sent.append(one)
        return one

    def _place(self):
        """Return a customer, a location, some items, and a moment, which is late now and then."""
        chance = self._chance
        late = chance.random() < 0.15
        at = NOON + timedelta(minutes=self._minutes - (chance.randint(60, 20_000) if late else 0))
        items = chance.sample(ITEMS, chance.randint(1, 3))
        return chance.choice(self.customers), chance.choice(LOCATIONS), items, at

    def _document(self, document, kind: Kind, at, quantities, label: str, *, refused=(), value=None) -> Sent:
        serial = len(self.sent)
        name = f"{label}-{serial}"
        topic = topics.of_type(document.message_type).name
        made = writing.record(document, source=SOURCE, message_id=name)
        message_key = inbox.message_key(customer_id=document.customer_id, source=SOURCE, message_id=name, revision=0)
        return Sent(
            serial,
            topic,
            made.key,
            value or made.value,
            [*made.headers, (SERIAL, str(serial).encode())],
            label,
            document.customer_id,
            name,
            tuple(
                JournalLine(
                    document.customer_id,
                    document.location_id,
                    item,
                    at,
                    journal.line_id(message_key, number),
                    kind,
                    Decimal(quantity),
                    NOON,
                )
                for number, item, quantity in quantities
            ),
            tuple(refused),
        )

    def _kept(self, one: Sent) -> Sent:
        self._correctable.append(one)
        return one

    def _scarce(self, customer: str, location: str) -> Sent:
        document = builders.stock(customer, {SCARCE: 1}, NOON, location)
        return self._document(document, Kind.REPORT, NOON, [(1, SCARCE, 1)], "scarce")

    def _sale(self) -> Sent:
        customer, location, items, at = self._place()
        sold = {item: self._chance.randint(1, 9) for item in items}
        document = builders.sale(customer, sold, at, location)
        lines = [(number, item, -sold[item]) for number, item in enumerate(items, 1)]
        return self._kept(self._document(document, Kind.SALE, at, lines, "sale"))

    def _stock(self) -> Sent:
        customer, location, items, at = self._place()
        there = {item: self._chance.randint(0, 300) for item in items}
        kind, build = self._chance.choice([(Kind.REPORT, builders.stock), (Kind.COUNT, builders.count)])
        lines = [(number, item, there[item]) for number, item in enumerate(items, 1)]
        return self._kept(self._document(build(customer, there, at, location), kind, at, lines, "stock"))

    def _supply(self, build, kind: Kind, label: str) -> Sent:
        customer, location, items, at = self._place()
        amounts = {item: self._chance.randint(1, 40) for item in items}
        said = [{"item_id": item, "quantity": str(amounts[item])} for item in items]
        document = build(customer, f"{label}-{len(self.sent)}", said, at).model_copy(update={"location_id": location})
        lines = [(number, item, amounts[item]) for number, item in enumerate(items, 1)]
        return self._kept(self._document(document, kind, at, lines, label))

    def _order(self) -> Sent:
        return self._supply(builders.order, Kind.ORDER, "order")

    def _shipment(self) -> Sent:
        return self._supply(builders.shipment, Kind.SHIPMENT, "shipment")

    def _receipt(self) -> Sent:
        return self._supply(builders.receipt, Kind.RECEIPT, "receipt")

    def _again(self) -> Sent:
        """What was sent is sent once more, byte for byte: nothing comes of it."""
        good = [one for one in self.sent[-200:] if one.lines and one.label != "half good"]
        if not good:
            return self._sale()
        one = self._chance.choice(good)
        serial = len(self.sent)
        headers = [*one.headers[:-1], (SERIAL, str(serial).encode())]
        return Sent(serial, one.topic, one.key, one.value, headers, "duplicate", one.customer)

    def _conflict(self) -> Sent:
        """Another document under a name that is taken: it is put aside."""
        good = [one for one in self.sent[-200:] if one.label == "sale"]
        if not good:
            return self._sale()
        one = self._chance.choice(good)
        serial = len(self.sent)
        value = json.loads(one.value)
        value["lines"][0]["quantity"] = "1000"
        headers = [*one.headers[:-1], (SERIAL, str(serial).encode())]
        return Sent(
            serial, one.topic, one.key, json.dumps(value).encode(), headers, "conflict", one.customer, refused=(None,)
        )

    def _correction(self) -> Sent:
        """A document is taken back, often long after it came."""
        if not self._correctable:
            return self._sale()
        one = self._correctable.pop(self._chance.randrange(len(self._correctable)))
        location = one.lines[0].location_id
        serial = len(self.sent)
        document = RETRACTIONS[one.topic].model_validate(
            {"customer_id": one.customer, "location_id": location, "retracts": [{"message_id": one.name}]}
        )
        made = writing.record(document, source=SOURCE, message_id=f"correction-{serial}")
        self.corrected.add((one.customer, one.lines[0].document))
        headers = [*made.headers, (SERIAL, str(serial).encode())]
        return Sent(serial, one.topic, made.key, made.value, headers, "correction", one.customer)

    def _malformed(self) -> Sent:
        customer, location, _, _ = self._place()
        serial = len(self.sent)
        serial_header = (SERIAL, str(serial).encode())
        usual = envelope.headers(source=SOURCE, message_id=f"malformed-{serial}", message_type="vmi.sales-recorded.v1")
        value, headers = malformed(self._chance, usual)
        topic = self._chance.choice([topics.SALES.name, topics.STOCK.name, topics.ORDERS.name])
        key = f"{customer}|{location}".encode()
        return Sent(serial, topic, key, value, [*headers, serial_header], "malformed", customer, refused=(None,))

    def _half_good(self) -> Sent:
        """One line counts, one is broken, one is of an item that nobody knows."""
        customer, location, items, at = self._place()
        document = builders.sale(customer, {items[0]: 2}, at, location)
        value = json.loads(document.model_dump_json(exclude_none=True))
        value["lines"] += [{"item_id": items[0], "quantity": "NaN"}, {"item_id": "caviar", "quantity": "1"}]
        return self._document(
            document,
            Kind.SALE,
            at,
            [(1, items[0], -2)],
            "half good",
            refused=(2, 3),
            value=json.dumps(value).encode(),
        )


def malformed(chance: Random, usual: list[tuple[str, bytes]]) -> tuple[bytes | None, list[tuple[str, bytes]]]:
    """Return value and headers of a record that is no document; the headers are sometimes whole."""
    head = b'{"customer_id": "c", "location_id": "l", "occurred_at": "2025-03-04T12:00:00Z", "lines": '
    values = (
        lambda: chance.randbytes(chance.randint(0, 60)),
        lambda: b"[" * chance.choice([100, 5000]) + b"]" * 100,
        lambda: head + b'[{"item_id": "i", "quantity": 1e999}]',
        lambda: head + b"[" * 20_000,
        lambda: head + b'{"item_id": "i", "quantity": ' + b"9" * 4000 + b"}}",
        lambda: head.replace(b'"c"', b'"\xff\xfe"') + b"[]}",
        lambda: head + b"NaN}",
        lambda: head.replace(b'"c"', b'"\\u0000"') + b'[{"item_id": "i", "quantity": "1"}]}',
        lambda: b"null",
        lambda: b"",
        lambda: None,
        lambda: b'{"customer_id": ' + b'{"a": ' * 3000,
        lambda: head + b'[{"item_id": "i", "quantity": "1"}], "revision": ' + b"1" * 5000 + b"}",
    )
    broken = [("ce_type", b"\xff\xff"), ("ce_specversion", b"1.0")]
    no_text = [(name, b"\xff" if name == "ce_source" else value) for name, value in usual]
    headers = chance.choice([usual, usual, usual[1:], [], broken, no_text])
    return chance.choice(values)(), headers


@asynccontextmanager
async def sender(kafka: str, load: Load):
    """Give a producer that waits for a broker that is away, when the service has been introduced to the customers."""
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", enable_idempotence=True, request_timeout_ms=600_000, linger_ms=2
    )
    await producer.start()
    try:
        for document in load.introduction():
            made = writing.record(document, source=SOURCE, message_id=f"introduction-{document.key}")
            topic = topics.of_type(document.message_type)
            await producer.send(topic.name, made.value, key=made.key, headers=made.headers)
        await producer.flush()
        yield producer
    finally:
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(60):
                await producer.stop()


async def send(producer: AIOKafkaProducer, load: Load, *, per_second: float, until_time) -> None:
    """Send what the load draws until it is time; each record once, however long the broker is away."""
    loop = asyncio.get_running_loop()
    begin = loop.time()
    waiting = []
    while loop.time() < until_time():
        for _ in range(max(1, int((loop.time() - begin) * per_second) - len(load.sent))):
            one = load.draw()
            waiting.append(await producer.send(one.topic, one.value, key=one.key, headers=one.headers))
        await asyncio.sleep(0.05)
    await asyncio.gather(*waiting)
