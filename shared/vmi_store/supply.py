"""Supply: what documents said about it, and the supply lines that follow. Callers hold the locks of the keys."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from vmi_domain.replenishment.reliability import Delivery, deliveries_of
from vmi_domain.stock.closed_supply import closed
from vmi_domain.stock.position import Key, Kind, Supply
from vmi_domain.stock.supply import Stage, SupplyLine, supply_lines, totals
from vmi_domain.stock.supply_facts import Accepted, Fact, Ordered, Received, Shipped
from vmi_store import columns
from vmi_store.journal import JournalLine


async def record(connection: AsyncConnection, facts: Sequence[tuple[Key, Fact]]) -> None:
    """Keep what documents said. A fact that is there already (by key and ``fact_id``) stays as it is."""
    if not facts:
        return
    distinct = {(key, fact.fact_id): fact for key, fact in facts}
    ordered = sorted(distinct)
    rows = [_columns_of(distinct[identity]) for identity in ordered]
    names = ("stages", "documents", "revisions", "proposals", "orders", "shipments", "completed", "expected")
    await connection.execute(
        _RECORD,
        {
            **columns.of_keys([key for key, _ in ordered]),
            "ids": [fact_id for _, fact_id in ordered],
            "quantities": columns.decimals([distinct[identity].quantity for identity in ordered]),
            "times": [distinct[identity].at for identity in ordered],
            **dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)),
        },
    )


_RECORD = text("""
    INSERT INTO supply_fact (
        customer_id, location_id, item_id, fact_id, quantity, occurred_at, stage, document_id, revision, proposal_id,
        order_id, shipment_id, completed, expected_at
    )
    SELECT customer_id, location_id, item_id, fact_id, quantity::numeric, occurred_at, stage, document_id, revision,
           proposal_id, order_id, shipment_id, completed, expected_at
    FROM unnest(
        string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
        string_to_array(CAST(:items AS text), chr(10)), CAST(:ids AS uuid[]),
        string_to_array(CAST(:quantities AS text), chr(10)), CAST(:times AS timestamptz[]), CAST(:stages AS text[]),
        CAST(:documents AS text[]), CAST(:revisions AS int[]), CAST(:proposals AS uuid[]), CAST(:orders AS text[]),
        CAST(:shipments AS text[]), CAST(:completed AS boolean[]), CAST(:expected AS timestamptz[])
    ) AS told (
        customer_id, location_id, item_id, fact_id, quantity, occurred_at, stage, document_id, revision, proposal_id,
        order_id, shipment_id, completed, expected_at)
    ON CONFLICT (customer_id, location_id, item_id, fact_id) DO NOTHING
""")

_Columns = tuple[str, str, int, UUID | None, str | None, str | None, bool, datetime | None]


def _columns_of(fact: Fact) -> _Columns:
    match fact:
        case Accepted():
            document = str(fact.proposal_id)
            return ("accepted", document, fact.revision, fact.proposal_id, None, None, False, fact.expected_at)
        case Ordered():
            return ("ordered", fact.order_id, fact.revision, fact.proposal_id, None, None, False, fact.expected_at)
        case Shipped():
            names = (fact.proposal_id, fact.order_id)
            return ("shipped", fact.shipment_id, fact.revision, *names, None, False, fact.expected_at)
        case Received():
            return ("received", fact.receipt_id, 0, None, fact.order_id, fact.shipment_id, fact.completed, None)


def facts_of(lines: Sequence[JournalLine]) -> list[Fact]:
    """Return what a key's journal lines say about supply and still stand; they say all that was said."""
    told = [line for line in lines if line.kind in _FACTS_BY_KIND]
    if not told:  # which is most keys
        return []
    undone = {line.undone_id for line in lines if line.is_reversal}
    return [_FACTS_BY_KIND[line.kind](line) for line in told if not line.is_reversal and line.line_id not in undone]


def _said(line: JournalLine) -> dict[str, Any]:
    said: dict[str, Any] = orjson.loads(line.details or "{}")
    if "proposal_id" in said:
        said["proposal_id"] = UUID(said["proposal_id"])
    if "expected_at" in said:
        said["expected_at"] = datetime.fromisoformat(said["expected_at"])
    return {**said, "quantity": line.quantity, "at": line.occurred_at, "fact_id": UUID(bytes=line.line_id)}


_FACTS_BY_KIND: Final[Mapping[Kind, Callable[[JournalLine], Fact]]] = {
    Kind.ORDER: lambda line: Ordered(**_said(line)),
    Kind.SHIPMENT: lambda line: Shipped(**_said(line)),
    Kind.RECEIPT: lambda line: Received(**_said(line)),
}


async def withdraw(connection: AsyncConnection, facts: Sequence[tuple[Key, UUID]]) -> None:
    """Forget what documents said that are superseded; the journal keeps it. To be followed by ``refold``."""
    if facts:
        await connection.execute(
            _WITHDRAW, {**_columns([key for key, _ in facts]), "ids": [fact_id for _, fact_id in facts]}
        )


_WITHDRAW = text("""
    DELETE FROM supply_fact AS fact
    USING unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]), CAST(:ids AS uuid[]))
        AS withdrawn (customer_id, location_id, item_id, fact_id)
    WHERE fact.customer_id = withdrawn.customer_id AND fact.location_id = withdrawn.location_id
      AND fact.item_id = withdrawn.item_id AND fact.fact_id = withdrawn.fact_id
""")


async def refold(connection: AsyncConnection, keys: Iterable[Key]) -> dict[Key, list[Fact]]:
    """Make the supply lines of ``keys`` anew from their facts, and bring their positions' supply up to date.

    Return the facts of each key.
    """
    ordered = sorted(set(keys))
    if not ordered:
        return {}
    told: list[list[Fact]] = [[] for _ in ordered]
    counted_at: list[datetime | None] = [None] * len(ordered)
    for place, anchor, *said in await connection.execute(_FACTS_AND_ANCHORS, columns.of_keys(ordered)):
        counted_at[place - 1] = anchor
        if said[0] is not None:
            told[place - 1].append(_fact(*said))
    lines = [supply_lines(of_key) for of_key in told]
    await _write(connection, ordered, lines, list(map(totals, lines, counted_at)))
    return dict(zip(ordered, told, strict=True))


async def _write(
    connection: AsyncConnection,
    keys: Sequence[Key],
    lines: Sequence[Sequence[SupplyLine]],
    supplies: Sequence[Supply],
) -> None:
    """Put the lines in the place of those there were, and their totals into the positions; what has not changed is not
    written."""
    rows = [(key, place, line) for key, of_key in zip(keys, lines, strict=True) for place, line in enumerate(of_key)]
    await connection.execute(
        _WRITE,
        {
            **columns.of_keys(keys),
            "lengths": columns.integers(map(len, lines)),
            "on_order": columns.decimals([supply.on_order for supply in supplies]),
            "in_transit": columns.decimals([supply.in_transit for supply in supplies]),
            "probably_received": columns.decimals([supply.probably_received for supply in supplies]),
            "line_customers": [key.customer_id for key, _, _ in rows],
            "line_locations": [key.location_id for key, _, _ in rows],
            "line_items": [key.item_id for key, _, _ in rows],
            "places": [place for _, place, _ in rows],
            "stages": [line.stage.value for _, _, line in rows],
            "quantities": columns.decimals([line.quantity for _, _, line in rows]),
            "proposals": [line.proposal_id for _, _, line in rows],
            "orders": [line.order_id for _, _, line in rows],
            "shipments": [line.shipment_id for _, _, line in rows],
            "expected": [line.expected_at for _, _, line in rows],
            "since": [line.since for _, _, line in rows],
        },
    )


# The parts touch different rows: lines beyond a key's last one, its lines, its position.
_WRITE = text("""
    WITH wanted AS MATERIALIZED (
        SELECT customer_id, location_id, item_id, length::int AS length, on_order::numeric AS on_order,
               in_transit::numeric AS in_transit, probably_received::numeric AS probably_received
        FROM unnest(
            string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
            string_to_array(CAST(:items AS text), chr(10)), string_to_array(CAST(:lengths AS text), chr(10)),
            string_to_array(CAST(:on_order AS text), chr(10)), string_to_array(CAST(:in_transit AS text), chr(10)),
            string_to_array(CAST(:probably_received AS text), chr(10))
        ) AS wanted (customer_id, location_id, item_id, length, on_order, in_transit, probably_received)
    ), shortened AS (
        DELETE FROM supply_line USING wanted
        WHERE supply_line.customer_id = wanted.customer_id AND supply_line.location_id = wanted.location_id
          AND supply_line.item_id = wanted.item_id AND supply_line.place >= wanted.length
    ), written AS (
        INSERT INTO supply_line (
            customer_id, location_id, item_id, place, stage, quantity, proposal_id, order_id, shipment_id, expected_at,
            since
        )
        SELECT line.customer_id, line.location_id, line.item_id, line.place, line.stage, line.quantity::numeric,
               line.proposal_id, line.order_id, line.shipment_id, line.expected_at, line.since
        FROM unnest(
            CAST(:line_customers AS text[]), CAST(:line_locations AS text[]), CAST(:line_items AS text[]),
            CAST(:places AS int[]), CAST(:stages AS text[]), string_to_array(CAST(:quantities AS text), chr(10)),
            CAST(:proposals AS uuid[]), CAST(:orders AS text[]), CAST(:shipments AS text[]),
            CAST(:expected AS timestamptz[]), CAST(:since AS timestamptz[])
        ) AS line (
            customer_id, location_id, item_id, place, stage, quantity, proposal_id, order_id, shipment_id, expected_at,
            since)
        LEFT JOIN supply_line AS before USING (customer_id, location_id, item_id, place)
        WHERE (before.stage, before.quantity, before.proposal_id, before.order_id, before.shipment_id,
               before.expected_at, before.since)
            IS DISTINCT FROM (line.stage, line.quantity::numeric, line.proposal_id, line.order_id, line.shipment_id,
                              line.expected_at, line.since)
        ON CONFLICT (customer_id, location_id, item_id, place) DO UPDATE SET
            stage = excluded.stage, quantity = excluded.quantity, proposal_id = excluded.proposal_id,
            order_id = excluded.order_id, shipment_id = excluded.shipment_id, expected_at = excluded.expected_at,
            since = excluded.since
    )
    UPDATE position SET
        on_order = wanted.on_order, in_transit = wanted.in_transit, probably_received = wanted.probably_received
    FROM wanted
    WHERE position.customer_id = wanted.customer_id AND position.location_id = wanted.location_id
      AND position.item_id = wanted.item_id
      AND (position.on_order, position.in_transit, position.probably_received)
          IS DISTINCT FROM (wanted.on_order, wanted.in_transit, wanted.probably_received)
""")


async def lines(connection: AsyncConnection, keys: Iterable[Key]) -> Mapping[Key, list[SupplyLine]]:
    """Return where the units of each key stand, in every stage."""
    ordered = sorted(set(keys))
    result = await connection.execute(_LINES, _columns(ordered))
    found: dict[Key, list[SupplyLine]] = {key: [] for key in ordered}
    for row in result:
        found[Key(row.customer_id, row.location_id, row.item_id)].append(
            SupplyLine(
                Stage(row.stage),
                row.quantity,
                proposal_id=row.proposal_id,
                order_id=row.order_id,
                shipment_id=row.shipment_id,
                expected_at=row.expected_at,
                since=row.since,
            )
        )
    return found


_LINES = text("""
    SELECT customer_id, location_id, item_id, stage, quantity, proposal_id, order_id, shipment_id, expected_at, since
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[]))
        AS wanted (customer_id, location_id, item_id)
    JOIN supply_line USING (customer_id, location_id, item_id)
    ORDER BY customer_id, location_id, item_id, place
""")


async def deliveries(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, list[tuple[str, Delivery]]]:
    """Return what has come to each key, with its supplier's name; empty where it came of no proposal."""
    came = {key: deliveries_of(of_key) for key, of_key in (await facts(connection, keys)).items() if of_key}
    named = sorted({(key[0], one.proposal_id) for key, of_key in came.items() for one in of_key if one.proposal_id})
    result = await connection.execute(
        _SUPPLIERS, {"customers": [customer for customer, _ in named], "proposals": [name for _, name in named]}
    )
    suppliers = {row.proposal_id: row.supplier_id for row in result}
    return {key: [(suppliers.get(one.proposal_id, ""), one) for one in of_key] for key, of_key in came.items()}


_SUPPLIERS = text("""
    SELECT proposal_id, supplier_id
    FROM unnest(CAST(:customers AS text[]), CAST(:proposals AS uuid[])) AS wanted (customer_id, proposal_id)
    JOIN proposal USING (customer_id, proposal_id)
""")


async def facts(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, list[Fact]]:
    """Return what documents said about the supply of each key."""
    return _facts(keys, await connection.execute(_FACTS, _columns(keys)))


async def facts_beside_journal(connection: AsyncConnection, keys: Sequence[Key]) -> dict[Key, list[Fact]]:
    """Return of those facts the ones that no line of the journal tells: what was accepted, and what is archived."""
    return _facts(keys, await connection.execute(_FACTS_BESIDE_JOURNAL, _columns(keys)))


def _facts(keys: Sequence[Key], rows: Iterable[Sequence[Any]]) -> dict[Key, list[Fact]]:
    found: dict[Key, list[Fact]] = {key: [] for key in keys}
    for place, *said in rows:
        found[keys[place - 1]].append(_fact(*said))
    return found


_SAID = """
    stage, fact_id, document_id, revision, quantity, occurred_at, expected_at, proposal_id, order_id, shipment_id,
    completed
"""
_SELECT_FACTS = f"""
    SELECT wanted.place, {_SAID}
    FROM unnest(CAST(:customers AS text[]), CAST(:locations AS text[]), CAST(:items AS text[])) WITH ORDINALITY
        AS wanted (customer_id, location_id, item_id, place)
    JOIN supply_fact AS fact USING (customer_id, location_id, item_id)
"""  # noqa: S608 - our own words
_FACTS = text(_SELECT_FACTS)
_FACTS_BESIDE_JOURNAL = text(f"{_SELECT_FACTS} WHERE stage = 'accepted' OR archived")
_FACTS_AND_ANCHORS = text(f"""
    SELECT wanted.place, position.counted_at, {_SAID}
    FROM unnest(
        string_to_array(CAST(:customers AS text), chr(10)), string_to_array(CAST(:locations AS text), chr(10)),
        string_to_array(CAST(:items AS text), chr(10))
    ) WITH ORDINALITY AS wanted (customer_id, location_id, item_id, place)
    JOIN position USING (customer_id, location_id, item_id)
    LEFT JOIN supply_fact AS fact USING (customer_id, location_id, item_id)
""")  # noqa: S608 - our own words


async def keys_with_archived(connection: AsyncConnection, after: Key, *, at_most: int) -> list[Key]:
    """Return the next keys after this one, in their order, of which facts are archived."""
    found = await connection.execute(
        _KEYS_WITH_ARCHIVED,
        {
            "customer_id": after.customer_id,
            "location_id": after.location_id,
            "item_id": after.item_id,
            "at_most": at_most,
        },
    )
    return [Key(*row) for row in found]


_KEYS_WITH_ARCHIVED = text("""
    SELECT DISTINCT customer_id, location_id, item_id FROM supply_fact
    WHERE archived AND (customer_id, location_id, item_id) > (:customer_id, :location_id, :item_id)
    ORDER BY customer_id, location_id, item_id LIMIT :at_most
""")


async def forget_closed(connection: AsyncConnection, keys: Sequence[Key], before: datetime) -> int:
    """Forget what is over of what happened before a time; return how many facts. The caller holds the keys' locks.

    What the journal still holds stays, since it would come back with the next rebuild, and so does what is of a
    proposal that is not finished. What goes is in an archive, or is told by the versions of its proposal.
    """
    told = await facts(connection, keys)
    may_go = _facts(keys, await connection.execute(_MAY_GO, {**_columns(keys), "before": before}))
    gone = [(key, fact.fact_id) for key in keys if may_go[key] for fact in closed(told[key], may_go[key])]
    await withdraw(connection, gone)
    await refold(connection, [key for key, _ in gone])
    return len(gone)


_MAY_GO = text(f"""
    {_SELECT_FACTS} WHERE occurred_at < :before AND (stage = 'accepted' OR archived)
    AND NOT EXISTS (
        SELECT FROM proposal WHERE proposal.customer_id = fact.customer_id AND proposal.proposal_id = fact.proposal_id
          AND NOT proposal.finished)
""")


def _fact(
    stage: str,
    fact_id: UUID,
    document_id: str,
    revision: int,
    quantity: Decimal,
    at: datetime,
    expected_at: datetime | None,
    proposal_id: UUID | None,
    order_id: str | None,
    shipment_id: str | None,
    completed: bool,
) -> Fact:
    if stage == "accepted":
        assert proposal_id is not None
        return Accepted(proposal_id, quantity, at, expected_at, revision, fact_id)
    if stage == "ordered":
        return Ordered(document_id, quantity, at, proposal_id, expected_at, revision, fact_id)
    if stage == "shipped":
        return Shipped(document_id, quantity, at, order_id, proposal_id, expected_at, revision, fact_id)
    return Received(document_id, quantity, at, shipment_id, order_id, completed, fact_id)


def _columns(keys: Sequence[Key]) -> dict[str, object]:
    return {
        "customers": [key.customer_id for key in keys],
        "locations": [key.location_id for key in keys],
        "items": [key.item_id for key in keys],
    }
