"""What is agreed: words that stand, words that ask the other party, who owns the band, and its answers (F78)."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Final
from uuid import UUID

from vmi_contracts.inbound import AgreementChangeAnswered, AgreementMade
from vmi_contracts.values import plain
from vmi_domain.exceptions.lifecycle import Kind, Observation, Subject
from vmi_domain.stock.position import Key
from vmi_domain.values import dataclass
from vmi_inventory.agreed import nows
from vmi_inventory.rejecting import rejected
from vmi_runtime import raising
from vmi_runtime.rejections import Reason
from vmi_runtime.worker import Record, Transaction, recorded_at
from vmi_store import agreement_requests, agreements
from vmi_store.agreement_requests import Request, Status
from vmi_store.engine import Connection
from vmi_store.quarantine import Rejected

Word = tuple[AgreementMade, datetime]
"""What was said of an agreement, and when the broker appended it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request, with the record it came in."""

    answered: AgreementChangeAnswered
    record: Record


@dataclass(slots=True)
class Outcome:
    """What came of words and answers."""

    made: list[Word] = field(default_factory=list)
    """What stands by them."""
    changed: set[Key] = field(default_factory=set)
    """The keys whose agreements are others now."""
    requests: dict[UUID, Key] = field(default_factory=dict)
    """Those that were asked for, answered or overtaken, and their keys."""
    rejected: list[Rejected] = field(default_factory=list)


Standing = dict[str, AgreementMade]
"""What stands of agreements, by their identities."""


async def agree(connection: Connection, words: Sequence[Word], answers: Sequence[Answer]) -> Outcome:
    """Let words and answers take effect in the order in which they were recorded. The caller has the customers' turn.

    Two words of an agreement may meet in one batch, and an answer between them belongs to the first.
    """
    return await _take_effect(connection, words, answers, None)


async def agree_again(connection: Connection, words: Sequence[Word], answers: Sequence[Answer]) -> Outcome:
    """Let all words and answers about some agreements that topics hold take effect as they once did.

    Each is judged by those before it, not by what stands today. An answer to what is told no more counts nothing.
    """
    outcome = await _take_effect(connection, words, answers, {})
    outcome.rejected.clear()
    return outcome


async def _take_effect(
    connection: Connection, words: Sequence[Word], answers: Sequence[Answer], standing: Standing | None
) -> Outcome:
    outcome = Outcome()
    said: list[tuple[datetime, Word | Answer]] = [(at, (one, at)) for one, at in words]
    said += [(recorded_at(one.record), one) for one in answers]
    said.sort(key=lambda pair: pair[0])
    for is_answer, group in groupby(said, key=lambda pair: isinstance(pair[1], Answer)):
        if is_answer:
            for _, one in group:
                assert isinstance(one, Answer)
                await _answer(connection, one, outcome, standing)
        else:
            await _make(connection, [one for _, one in group if not isinstance(one, Answer)], outcome, standing)
    return outcome


async def _make(connection: Connection, words: Sequence[Word], outcome: Outcome, standing: Standing | None) -> None:
    if standing is None:
        standing = await _standing(connection, words)
    made, requested = _told_apart(words, standing)
    outcome.made += made
    outcome.changed |= set(await agreements.make(connection, made))
    outcome.requests |= await agreement_requests.ask(connection, requested)
    outcome.requests |= await agreement_requests.overtake(connection, made)


async def tell_owners(transaction: Transaction, keys: Collection[Key]) -> None:
    """Let who owns a band know of each change of it that waits for an answer, and of each that waits no longer.

    It is an exception, as everything that a person must act on. The caller has the customers' turn.
    """
    if not keys:
        return
    connection, ordered = transaction.connection, sorted(keys)
    of_keys = await agreements.of_keys(connection, ordered)
    waiting = [
        _waits(one, before)
        for one in await agreement_requests.open_of(connection, ordered)
        if (before := _before(one.agreement, of_keys.get(_key(one.agreement), ()))) is not None
    ]
    now = await nows({key[:2] for key in ordered}, transaction)
    await raising.settle(connection, ordered, (Kind.BAND_CHANGE_REQUESTED,), waiting, now)


def _waits(request: Request, before: AgreementMade) -> Observation:
    asked = request.agreement
    changes = {name: (_told(was), _told(now)) for name, (was, now) in asked.band_changes(before).items()}
    words = ", ".join(f"{name} {was or 'none'} → {now or 'none'}" for name, (was, now) in changes.items())
    name = str(request.request_id)
    return Observation(
        Subject(Kind.BAND_CHANGE_REQUESTED, *_key(asked), name),
        True,
        f"The {asked.made_by} asks the {before.band_owner} for another band with {asked.supplier_id} from "
        f"{asked.effective_from} on: {words}. To answer it: vmi agreements answer {name[:8]} accept, or reject.",
        {
            "request_id": name,
            "asked_by": str(asked.made_by),
            "owner": str(before.band_owner),
            "supplier_id": asked.supplier_id,
            "effective_from": asked.effective_from.isoformat(),
            **{name: now for name, (_, now) in changes.items()},
            **{f"{name}_before": was for name, (was, _) in changes.items()},
        },
    )


def _told(value: object) -> str:
    if value is None:
        return ""
    return plain(value) if isinstance(value, Decimal) else str(value)


async def _standing(connection: Connection, words: Sequence[Word]) -> Standing:
    """Return what stands of the keys of which one party speaks; of others nobody needs it."""
    asking = {_key(one) for one, _ in words if one.made_by is not None}
    if not asking:
        return {}
    of_keys = await agreements.of_keys(connection, sorted(asking))
    return {one.identity: one for of_key in of_keys.values() for one in of_key}


def _told_apart(words: Sequence[Word], standing: Standing) -> tuple[list[Word], list[Word]]:
    """Return the words that stand, which are put to what is standing, and those that ask for what is the other
    party's to say."""
    made: list[Word] = []
    requested: list[Word] = []
    related: dict[tuple[Key, str], Standing] = {}
    for one in standing.values():
        related.setdefault((_key(one), one.supplier_id), {})[one.identity] = one
    for one, at in words:
        of_both = related.setdefault((_key(one), one.supplier_id), {})
        if one.is_request(_before(one, of_both.values())):
            requested.append((one, at))
        else:
            made.append((one, at))
            standing[one.identity] = of_both[one.identity] = one
    return made, requested


def _before(word: AgreementMade, standing: Iterable[AgreementMade]) -> AgreementMade | None:
    """Return what stands of the same agreement, or the supplier's last one before it, which it follows."""
    earlier = [
        one
        for one in standing
        if (_key(one), one.supplier_id) == (_key(word), word.supplier_id) and one.effective_from <= word.effective_from
    ]
    return max(earlier, key=lambda one: one.effective_from, default=None)


def _key(one: AgreementMade) -> Key:
    return Key(one.customer_id, one.location_id, one.item_id)


_STATUSES: Final[dict[str, Status]] = {"accept": "accepted", "reject": "rejected"}


async def _answer(connection: Connection, one: Answer, outcome: Outcome, standing: Standing | None) -> None:
    """Let an answer take effect: what is accepted is made as it was asked for. The first answer counts."""
    answered, at = one.answered, recorded_at(one.record)
    request = await agreement_requests.held(connection, answered.customer_id, answered.request_id)
    if request is None or request.agreement.made_by == answered.party:
        reason, detail = (
            (Reason.UNKNOWN_REQUEST, f"nobody asked for a change {answered.request_id}")
            if request is None
            else (Reason.OWN_REQUEST, f"the {answered.party} asked for it, and the other party answers")
        )
        outcome.rejected.append(rejected(one.record, reason, detail, customer_id=answered.customer_id))
        return
    if request.status != "open":
        return
    if answered.answer == "accept":
        outcome.made.append((request.agreement, at))
        outcome.changed |= set(await agreements.make(connection, [(request.agreement, at)]))
        if standing is not None:
            standing[request.agreement.identity] = request.agreement
    outcome.requests[request.request_id] = _key(request.agreement)
    await agreement_requests.answer(
        connection, request, _STATUSES[answered.answer], at=at, by=answered.party, reason=answered.reason
    )
