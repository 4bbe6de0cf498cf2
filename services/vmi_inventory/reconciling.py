"""Counts against what the facts said: the difference is booked, explained, and above tolerance a person is told."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Final

from vmi_contracts.inbound import AgreementMade, StockAuthority, StockBasis
from vmi_contracts.values import plain
from vmi_domain.exceptions.lifecycle import Kind, Observation, Subject
from vmi_domain.exceptions.rules import Thresholds
from vmi_domain.stock.drift import Cause, is_tolerated, unexplained
from vmi_domain.stock.mismatches import mismatches
from vmi_domain.stock.position import NOTHING, Key
from vmi_domain.stock.supply_facts import Fact
from vmi_inventory import requesting
from vmi_inventory.agreed import in_force, nows
from vmi_runtime import raising
from vmi_runtime.raising import thresholds_of
from vmi_runtime.worker import Transaction
from vmi_store import positions, reconciling, supply, turns
from vmi_store.catalogue import LocationKey
from vmi_store.engine import Connection
from vmi_store.reconciling import Booked
from vmi_store.turns import Work

KEYS_AT_ONCE: Final = 500


async def reconcile(transaction: Transaction) -> bool:
    """Derive the drift of counts that are due; return whether there may be more."""
    connection = transaction.connection
    keys = await reconciling.due(connection, at_most=KEYS_AT_ONCE)
    if not keys:
        return False
    await turns.take(connection, Work.RECONCILING, {key[:2] for key in keys})
    booked = await reconciling.derive(connection, keys)
    now = await nows({key[:2] for key in keys}, transaction)
    await requesting.answer(connection, [one for one in booked if one.cause is Cause.COUNT_RECONCILE])
    await _judge(connection, sorted({one.key for one in booked}), now)
    return len(keys) == KEYS_AT_ONCE and bool(booked)


async def _judge(connection: Connection, keys: Sequence[Key], now: Mapping[LocationKey, datetime]) -> None:
    """Tell where the last count differs by more than is tolerated; the next good one ends it."""
    # Most counts find what was expected: whatever is agreed, that is tolerated.
    differing = await reconciling.differing(connection, keys)
    agreed, in_transit = await _judged_by(connection, list(differing), now)
    seen = []
    for key, one in differing.items():
        terms = agreed.get(key)
        drift = _unexplained(one, terms, in_transit.get(key, NOTHING))
        thresholds = Thresholds() if terms is None else thresholds_of(terms)
        if one.expected is not None and not is_tolerated(
            drift, one.expected, tolerance=thresholds.drift_tolerance, share=thresholds.drift_tolerance_share
        ):
            seen.append(_drifted(one, one.expected, drift))
    await raising.settle(connection, keys, (Kind.DRIFT,), seen, now)


async def _judged_by(
    connection: Connection, keys: Sequence[Key], now: Mapping[LocationKey, datetime]
) -> tuple[Mapping[Key, AgreementMade], Mapping[Key, Decimal]]:
    """Return what is agreed for the keys, and what was probably received of them and is not booked."""
    if not keys:
        return {}, {}
    agreed = await in_force(connection, keys, now)
    return agreed, {row.key: row.supply.probably_received for row in await positions.read(connection, keys)}


def _unexplained(one: Booked, terms: AgreementMade | None, probably_received: Decimal) -> Decimal:
    in_snapshots = terms is None or terms.stock_authority is StockAuthority.SNAPSHOT
    is_available = terms is not None and terms.stock_basis is StockBasis.AVAILABLE
    return unexplained(
        one.drift,
        probably_received=probably_received if in_snapshots else NOTHING,
        set_apart=one.newly_apart if is_available else NOTHING,
    )


def _drifted(one: Booked, expected: Decimal, drift: Decimal) -> Observation:
    what = "Counted" if one.cause is Cause.COUNT_RECONCILE else "Reported"
    assert one.since is not None
    return Observation(
        Subject(Kind.DRIFT, *one.key),
        True,
        f"{what} {plain(one.counted)} at {one.as_of:%Y-%m-%d %H:%M} UTC; expected {plain(expected)} after {one.facts} "
        f"facts since {one.since:%Y-%m-%d %H:%M} UTC. {plain(drift)} is unexplained.",
        {
            "cause": one.cause.value,
            "drift": plain(one.drift),
            "unexplained": plain(drift),
            "counted": plain(one.counted),
            "expected": plain(expected),
            "since": one.since.isoformat(),
            "sold": plain(one.sold),
            "received": plain(one.received),
            "adjusted": plain(one.adjusted),
            "transferred": plain(one.transferred),
        },
    )


async def compare_receipts(transaction: Transaction, keys: Sequence[Key], told: Mapping[Key, Sequence[Fact]]) -> None:
    """Tell where what was received is not what was shipped or ordered (S10). The caller holds the keys' locks.

    ``told`` is what is known of some keys' supply; that of the others is read.
    """
    if not keys:
        return
    connection = transaction.connection
    now = await nows({key[:2] for key in keys}, transaction)
    if others := [key for key in keys if key not in told]:
        told = {**told, **(await supply.facts(connection, others))}
    # Most receipts are what was announced, and then it does not matter what is tolerated.
    differing = [key for key in keys if mismatches(told[key])]
    agreed = await in_force(connection, differing, now) if differing else {}
    seen = []
    for key in differing:
        share = agreed[key].receipt_tolerance_share if key in agreed else 0.0
        seen += _differing(key, told[key], share)
    await raising.settle(connection, keys, (Kind.RECEIPT_MISMATCH,), seen, now)


def _differing(key: Key, facts: Sequence[Fact], tolerance_share: float) -> list[Observation]:
    return [
        Observation(
            Subject(Kind.RECEIPT_MISMATCH, *key, one.name),
            True,
            f"{plain(one.received)} of {one.name} was received; {plain(one.announced)} was announced.",
            {
                "announced": plain(one.announced),
                "received": plain(one.received),
                "difference": plain(one.difference),
            },
        )
        for one in mismatches(facts, tolerance_share)
    ]
