"""The life of a proposal: its identity, its versions, who may say what to it, and until when (S25, F51 to F55)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha1
from typing import Any, Final
from uuid import UUID

from vmi_domain.replenishment.approving import is_the_same_ground
from vmi_domain.replenishment.quantities import NOTHING
from vmi_domain.stock.position import Key
from vmi_domain.stock.supply import Stage, SupplyLine
from vmi_domain.values import dataclass

NAMESPACE: Final = UUID("6e1f0f6c-6f0e-5d0b-9d2a-5b7d3a6c1e11")
"""Never changed: every id of a proposal and of its messages hangs on it."""


class Status(StrEnum):
    """Where a proposal stands. Of a proposal's versions only the last one counts, whatever its status."""

    HELD = "held"
    """Computed, and offered to nobody: what it rests on is not to be trusted now, or the agreement only tries out."""
    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    CHANGED = "changed"
    """Accepted with another quantity."""
    REJECTED = "rejected"
    ORDERED = "ordered"
    SHIPPED = "shipped"
    RECEIVED = "received"
    """All that was bound has arrived."""
    CLOSED = "closed"
    """Nothing more will come, and what came is less than what was bound."""
    SUPERSEDED = "superseded"
    """Another proposal has taken its place: the agreement is with another supplier now."""
    EXPIRED = "expired"
    """Not answered, or not offered, in time."""
    CANCELLED = "cancelled"
    """Not needed any more, or the agreement ended; proposed again if the need is back before the cut-off."""


class HeldBecause(StrEnum):
    """Why a proposal is not offered."""

    STALE_DATA = "stale_data"
    """The customer's data are older than agreed: a dead feed looks like a full shelf, or an empty one (F12)."""
    SHADOW = "shadow"
    """The agreement is tried out: proposals are kept and compared with what was really ordered (F80)."""


_GOODS: Final = frozenset({Status.ORDERED, Status.SHIPPED, Status.RECEIVED, Status.CLOSED})
PROMISES: Final = frozenset({Status.ACCEPTED, Status.CHANGED})
"""What is bound by somebody's word, and no document of goods yet."""
_NOTHING: Final[frozenset[Status]] = frozenset()

STEPS: Final[Mapping[Status, frozenset[Status]]] = {
    Status.HELD: frozenset(Status),
    Status.PROPOSED: frozenset(Status),
    Status.ACCEPTED: _GOODS | PROMISES | {Status.CANCELLED},
    Status.CHANGED: _GOODS | PROMISES | {Status.CANCELLED},
    Status.REJECTED: PROMISES | {Status.REJECTED},
    Status.ORDERED: frozenset({Status.SHIPPED, Status.RECEIVED, Status.CLOSED, Status.CANCELLED}),
    Status.SHIPPED: frozenset({Status.RECEIVED, Status.CLOSED}),
    Status.CANCELLED: frozenset({Status.PROPOSED, Status.HELD}),
    Status.RECEIVED: _NOTHING,
    Status.CLOSED: _NOTHING,
    Status.SUPERSEDED: _NOTHING,
    Status.EXPIRED: _NOTHING,
}
"""From each status the ones that may follow; no other step is taken, whoever asks for it.

An order or a shipment that names a proposal accepts it by itself. What is held may be answered, since an earlier
version may have been offered; a promise goes before a refusal, so what was rejected may still be accepted.
"""

UNDECIDED: Final = frozenset({Status.HELD, Status.PROPOSED})
"""Nobody has agreed to it or refused it: its quantity follows the need."""
MAY_CHANGE: Final = UNDECIDED | PROMISES
"""Nothing is ordered or on its way: less of it may still be proposed, or asked for."""
BOUND: Final = PROMISES | _GOODS
"""What somebody has agreed to send: it counts as supply by its own facts, no longer as a proposal."""
TERMINAL: Final = frozenset(status for status, following in STEPS.items() if not following)
"""Nothing changes a proposal any more."""
FINISHED: Final = TERMINAL | {Status.REJECTED, Status.CANCELLED}
"""From here on a proposal matters to its own opportunity only."""
BY_AGREEMENT: Final = "agreement"
"""Who accepted what the agreement wants no answer to."""
BY_ORDER: Final = "order"
"""Who accepted what nobody answered before it was ordered or shipped."""
_HELD_BACK: Final = frozenset({Status.HELD, Status.EXPIRED})
_VOID: Final = frozenset({Status.REJECTED, Status.SUPERSEDED, Status.EXPIRED, Status.CANCELLED})


class IllegalStep(ValueError):
    """What was said does not fit where the proposal stands; ``reason`` is a code, the text says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def require_step(status: Status, following: Status) -> None:
    """Raise ``IllegalStep`` unless ``following`` may come after ``status``."""
    if following not in STEPS[status]:
        raise IllegalStep(
            f"proposal_{status.value}", f"a proposal that is {status.value} cannot become {following.value}"
        )


class AnswerKind(StrEnum):
    """What a party says to a version."""

    ACCEPT = "accept"
    CHANGE = "change"
    """To accept with another quantity, which is bound by it."""
    REJECT = "reject"
    COUNTER = "counter"
    """To propose another quantity or day, which binds nobody until the other party accepts it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a party said to one version of a proposal."""

    answer_id: UUID
    """The line's own name; the same line delivered twice has the same."""
    kind: AnswerKind
    version: int
    answered_at: datetime
    offered: Decimal
    """What that version proposed, base units."""
    quantity: Decimal
    """What the answer binds, base units; 0 for a rejection. Of a counter-proposal what it would rather have."""
    deliver_at: datetime
    """When the goods should arrive: as the answer says, else as that version said."""
    party: str = "supplier"
    reason: str = ""
    reason_code: str = ""
    """One of the contract's codes, for those who count reasons."""

    @property
    def is_counter(self) -> bool:
        return self.kind is AnswerKind.COUNTER

    @property
    def binds(self) -> bool:
        return self.quantity > 0 and not self.is_counter

    @property
    def declines(self) -> bool:
        """Whether something of what was offered is refused for this opportunity."""
        return self.quantity < self.offered and not self.is_counter

    @property
    def status(self) -> Status:
        if self.is_counter:
            return Status.PROPOSED
        if not self.binds:
            return Status.REJECTED
        return Status.ACCEPTED if self.quantity == self.offered else Status.CHANGED

    @property
    def rank(self) -> tuple[int, int, datetime, UUID]:
        """Of two answers the higher one counts, whichever came first.

        A promise to send goes before a refusal and a refusal before a counter-proposal, a later version
        before an earlier one, and of two words on one version the last one said.
        """
        weight = 0 if self.is_counter else 2 if self.binds else 1
        return (weight, self.version, self.answered_at, self.answer_id)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal as it stands now."""

    proposal_id: UUID
    key: Key
    supplier_id: str
    order_at: datetime
    """The order opportunity it is for."""
    part: int
    """1, and more where something was missing again after an earlier part of the same opportunity was bound."""
    version: int
    status: Status
    quantity: Decimal
    """What is proposed or bound, base units; 0 where nothing is to be sent."""
    deliver_at: datetime
    expires_at: datetime
    issued_at: datetime
    """When this version was issued."""
    answer: Answer | None = None
    """The answer that counts."""
    held_because: HeldBecause | None = None
    """Why it is not offered, while it is held; of one that expired so, why it never was."""
    needed: Decimal = NOTHING
    """What was missing when this quantity was decided, base units, before it was rounded."""
    requested: Decimal | None = None
    """What we ask to change the quantity to, where it is frozen or bound; it binds nobody (S25, S26)."""
    review_because: str = ""
    """Why a person must look at it: what it rests on is doubtful, or the agreement would else have it accept itself."""

    @property
    def countered_by(self) -> str:
        """The party whose counter-proposal it is that stands, nothing where it is ours."""
        return self.answer.party if self.is_open and self.answer is not None and self.answer.is_counter else ""

    @property
    def is_open(self) -> bool:
        """Whether it waits for an answer."""
        return self.status is Status.PROPOSED

    @property
    def is_undecided(self) -> bool:
        """Whether its quantity still follows the need."""
        return self.status in UNDECIDED

    def stepped(self, status: Status, quantity: Decimal, now: datetime, **changes: Any) -> "Proposal":
        """Return the next version, in another status and with other changes, or raise ``IllegalStep``."""
        require_step(self.status, status)
        following: dict[str, Any] = {
            "version": self.version + 1,
            "status": status,
            "quantity": NOTHING if status in _VOID else quantity,
            "issued_at": now,
            "held_because": self.held_because if status in _HELD_BACK else None,
            "requested": None,
            "review_because": self.review_because if status in UNDECIDED else "",
        }
        return replace(self, **(following | changes))


def proposal_id(key: Key, supplier_id: str, order_at: datetime, part: int) -> UUID:
    """Return the proposal's name: the same for the same agreement, order opportunity and part, wherever computed."""
    return _named("|".join((*key, supplier_id, order_at.astimezone(UTC).isoformat(), str(part))))


def consolidation_id(customer_id: str, location_id: str, supplier_id: str, order_day: date) -> UUID:
    """Return the name of the order that all proposals for a location, supplier and order day make together (F57)."""
    return _named("|".join(("consolidation", customer_id, location_id, supplier_id, order_day.isoformat())))


def message_id(versions: Iterable[tuple[UUID, int]]) -> UUID:
    """Return the name of the message that carries these versions of these proposals."""
    # As texts ids have the order that they have as numbers, and are compared much faster.
    ordered = sorted([(str(proposal), version) for proposal, version in versions])
    return _named("|".join([f"{proposal}:{version}" for proposal, version in ordered]))


def _named(name: str) -> UUID:
    """Return ``uuid5(NAMESPACE, name)``, which takes twice as long by itself: a version has two names."""
    return UUID(bytes=sha1(_NAMESPACE + name.encode(), usedforsecurity=False).digest()[:16], version=5)


_NAMESPACE: Final = NAMESPACE.bytes


# Which proposals count


def open_elsewhere(proposals: Iterable[Proposal], order_at: datetime) -> Decimal:
    """Return what waits for an answer at other opportunities: supply, until it is answered or expires (base units)."""
    return sum((one.quantity for one in proposals if one.is_open and one.order_at != order_at), NOTHING)


def at_opportunity(proposals: Iterable[Proposal], supplier_id: str, order_at: datetime) -> list[Proposal]:
    """Return the parts of one supplier's proposal for one opportunity, first to last."""
    parts = [one for one in proposals if one.order_at == order_at and one.supplier_id == supplier_id]
    return sorted(parts, key=lambda one: one.part)


def is_declined(parts: Iterable[Proposal]) -> bool:
    """Return whether the opportunity was answered with less than was offered: what is refused is not asked again."""
    return any(part.answer is not None and part.answer.declines for part in parts)


# What changes a proposal


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an opportunity's proposal should say."""

    quantity: Decimal
    needed: Decimal
    """What is missing, before it was rounded."""
    deliver_at: datetime
    expires_at: datetime
    held_because: HeldBecause | None = None
    """Why it is held instead of offered."""
    review_because: str = ""

    @property
    def status(self) -> Status:
        if not self.quantity:
            return Status.CANCELLED
        return Status.PROPOSED if self.held_because is None else Status.HELD


def reopens(parts: Sequence[Proposal]) -> bool:
    """Return whether the last part of an opportunity still follows the need."""
    return bool(parts) and (parts[-1].is_undecided or (parts[-1].status is Status.CANCELLED and not parts[-1].answer))


def proposed(
    parts: Sequence[Proposal], wanted: Wanted, *, key: Key, supplier_id: str, order_at: datetime, now: datetime
) -> Proposal | None:
    """Return the proposal in the version that says what is wanted, or None where nothing changes.

    ``parts`` are those of the same opportunity. The one that nobody has decided on gets its next
    version, one that was cancelled comes back, and after one that is bound or expired what is
    missing *still* is a part of its own: so nobody can take it for a change of what he has agreed to.
    A version that says 0 is a cancellation, never silence (S25). While a counter-proposal is on the
    table people talk, and we keep silent.
    """
    last = parts[-1] if parts else None
    if last is not None and last.countered_by:
        return None
    if is_declined(parts):
        most = last.quantity if last is not None and reopens(parts) else NOTHING
        wanted = replace(wanted, quantity=min(wanted.quantity, most))
    if last is not None and reopens(parts):
        if _is_said(last, wanted):
            return None
        return last.stepped(
            wanted.status,
            wanted.quantity,
            now,
            deliver_at=wanted.deliver_at,
            expires_at=wanted.expires_at,
            held_because=wanted.held_because if wanted.quantity else None,
            needed=wanted.needed,
            review_because=wanted.review_because if wanted.quantity else "",
        )
    if not wanted.quantity:
        return None
    part = 1 if last is None else last.part + 1
    return Proposal(
        proposal_id=proposal_id(key, supplier_id, order_at, part),
        key=key,
        supplier_id=supplier_id,
        order_at=order_at,
        part=part,
        version=1,
        status=wanted.status,
        quantity=wanted.quantity,
        deliver_at=wanted.deliver_at,
        expires_at=wanted.expires_at,
        issued_at=now,
        held_because=wanted.held_because,
        needed=wanted.needed,
        review_because=wanted.review_because,
    )


def _is_said(last: Proposal, wanted: Wanted) -> bool:
    if last.quantity != wanted.quantity or last.status is not wanted.status or last.requested is not None:
        return False
    return not wanted.quantity or differs_in_quantity_only(last, wanted)


def differs_in_quantity_only(last: Proposal, wanted: Wanted) -> bool:
    """Return whether day, what it is held for and why to look at it are as they were told."""
    return (last.deliver_at, last.held_because) == (wanted.deliver_at, wanted.held_because) and is_the_same_ground(
        last.review_because, wanted.review_because
    )


def answered(proposal: Proposal, answer: Answer, now: datetime) -> Proposal:
    """Return the proposal after an answer, itself where the answer changes nothing, or raise ``IllegalStep``.

    Status, quantity and day of delivery depend on the answers given, not on the order in which they arrive.
    """
    standing = proposal.answer
    if proposal.status in _GOODS:
        if standing is not None and _says_the_same(answer, standing):
            return proposal
        raise IllegalStep(
            f"proposal_{proposal.status.value}",
            f"the proposal is {proposal.status.value} already; what is to change now is a change of the order",
        )
    if standing is not None and answer.rank <= standing.rank:
        if _says_the_same(answer, standing):
            return proposal
        raise IllegalStep(
            "already_answered",
            f"an answer to version {standing.version} goes before this; the proposal is {proposal.status.value}",
        )
    if answer.is_counter and not proposal.is_open:
        raise IllegalStep(
            f"proposal_{proposal.status.value}", f"the proposal is {proposal.status.value}; nothing is to be countered"
        )
    require_step(proposal.status, answer.status)
    if standing is not None and _says_the_same(answer, standing):
        return replace(proposal, answer=answer)
    stepped = proposal.stepped(answer.status, answer.quantity, now)
    return replace(stepped, answer=answer, deliver_at=answer.deliver_at)


def _says_the_same(answer: Answer, standing: Answer) -> bool:
    return (answer.status, answer.quantity, answer.deliver_at, answer.is_counter and answer.party) == (
        standing.status,
        standing.quantity,
        standing.deliver_at,
        standing.is_counter and standing.party,
    )


def accepted_by_agreement(proposal: Proposal, now: datetime) -> Proposal:
    """Return the proposal accepted as it stands, because the agreement wants no answer."""
    return answered(proposal, acceptance(proposal, proposal.quantity, BY_AGREEMENT, now), now)


def acceptance(proposal: Proposal, quantity: Decimal, party: str, now: datetime) -> Answer:
    """Return the answer of what speaks in a party's place (``BY_AGREEMENT``, ``BY_ORDER``), for a quantity that is all
    it was asked for."""
    return Answer(
        answer_id=message_id([(proposal.proposal_id, proposal.version)]),
        kind=AnswerKind.ACCEPT,
        version=proposal.version,
        answered_at=now,
        offered=quantity,
        quantity=quantity,
        deliver_at=proposal.deliver_at,
        party=party,
    )


def withheld(proposal: Proposal, because: HeldBecause, now: datetime) -> Proposal:
    """Return what was offered as held: it is not to be acted on now. It keeps its quantity and its time."""
    return replace(proposal.stepped(Status.HELD, proposal.quantity, now), held_because=because)


def expired(proposal: Proposal, now: datetime, *, is_withheld: bool = False) -> Proposal | None:
    """Return the proposal expired, if it waits for an answer for longer than agreed, or was held past its cut-off.

    One that is still withheld has the time of one that is offered: it was, or would have been.
    """
    until = proposal.order_at if proposal.status is Status.HELD and not is_withheld else proposal.expires_at
    if proposal.is_undecided and until < now:
        return proposal.stepped(Status.EXPIRED, NOTHING, now)
    return None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the goods of a proposal are, base units; each sum holds what has gone further already."""

    ordered: Decimal = NOTHING
    """By an order document."""
    shipped: Decimal = NOTHING
    received: Decimal = NOTHING
    outstanding: Decimal = NOTHING
    """Still to come: on order or in transit."""
    cancelled: Decimal = NOTHING
    """Ordered once, and taken back."""
    short: Decimal = NOTHING
    """Declared as never to come."""


def progress_of(lines: Iterable[SupplyLine]) -> dict[UUID, Progress]:
    """Return how far the goods of each proposal are that the supply lines of a key name."""
    found: dict[UUID, Progress] = {}
    for line in lines:
        if line.proposal_id is not None:
            before, here = found.get(line.proposal_id), _progress(line)
            found[line.proposal_id] = here if before is None else _sum(before, here)
    return found


def _progress(line: SupplyLine) -> Progress:
    stage, quantity = line.stage, line.quantity
    if stage is Stage.CANCELLED:
        return Progress(cancelled=quantity)
    if stage is Stage.SHORT:
        return Progress(short=quantity)
    return Progress(
        ordered=quantity if line.order_id is not None else NOTHING,
        shipped=NOTHING if stage is Stage.ORDERED else quantity,
        received=quantity if stage is Stage.RECEIVED else NOTHING,
        outstanding=NOTHING if stage is Stage.RECEIVED else quantity,
    )


def _sum(one: Progress, other: Progress) -> Progress:
    return Progress(
        one.ordered + other.ordered,
        one.shipped + other.shipped,
        one.received + other.received,
        one.outstanding + other.outstanding,
        one.cancelled + other.cancelled,
        one.short + other.short,
    )


def followed(proposal: Proposal, progress: Progress, now: datetime) -> Proposal | None:
    """Return the proposal in the status its goods have reached, or None where it stands there already.

    Goods never take a proposal back a step: what a correction undoes is seen in the position. Where nobody has
    answered, the order or shipment that names it is what bound it, and stands as its acceptance.
    """
    quantity = max(progress.ordered, progress.shipped) if proposal.is_undecided else proposal.quantity
    status = _reached(quantity, progress)
    if status is None or status is proposal.status or status not in STEPS[proposal.status]:
        return None
    if status is Status.CANCELLED and proposal.is_undecided:
        return None
    following = proposal.stepped(status, quantity, now)
    if proposal.answer is not None and not proposal.answer.is_counter:
        return following
    return replace(following, answer=acceptance(proposal, quantity, BY_ORDER, now))


def _reached(bound: Decimal, progress: Progress) -> Status | None:
    if progress.outstanding > 0:
        if progress.shipped > 0:
            return Status.SHIPPED
        return Status.ORDERED if progress.ordered > 0 else None
    if progress.received > 0:
        return Status.RECEIVED if progress.received >= bound else Status.CLOSED
    if progress.short > 0:
        return Status.CLOSED
    return Status.CANCELLED if progress.cancelled > 0 else None
