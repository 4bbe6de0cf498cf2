"""Answers to proposals."""

from enum import StrEnum
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import Field, model_validator

from vmi_contracts.document import MOST_LINES, Document, Line
from vmi_contracts.values import Amount, Instant, Party, Text


class Answer(StrEnum):
    ACCEPT = "accept"
    CHANGE = "change"
    """To accept with another quantity, which is bound by it."""
    REJECT = "reject"
    COUNTER = "counter"
    """To propose another quantity or day; nobody is bound until the other party accepts the version it becomes."""


class ReasonCode(StrEnum):
    """Why it is not accepted as it is."""

    OUT_OF_STOCK = "out_of_stock"
    PRODUCTION_DELAY = "production_delay"
    ALLOCATED = "allocated"
    """Short supply is shared out among customers."""
    DATE_NOT_POSSIBLE = "date_not_possible"
    PACKAGING = "packaging"
    """Packs, layers, trucks or a minimum order."""
    PRICE = "price"
    DISCONTINUED = "discontinued"
    NO_SPACE = "no_space"
    TOO_MUCH = "too_much"
    TOO_LITTLE = "too_little"
    PROMOTION = "promotion"
    """An event that the forecast does not know of."""
    DUPLICATE = "duplicate"
    """Ordered by another way already."""
    WRONG_DATA = "wrong_data"
    """The stock or the sales it rests on are wrong."""
    OTHER = "other"


class AnswerLine(Line):
    """What a party says to one version of one proposal."""

    proposal_id: UUID
    version: Annotated[int, Field(ge=1)]
    """The version that was read; an old one binds its own quantity."""

    answer: Answer

    quantity: Amount | None = None
    """Base units, for a change or a counter-proposal."""

    expected_at: Instant | None = None
    """When the goods should arrive, where it differs from the proposal."""

    reason_code: ReasonCode | None = None
    reason: Text = ""
    """The same in words, as free as they like."""

    @model_validator(mode="after")
    def _change_says_how_much(self) -> Self:
        if self.answer is Answer.CHANGE and self.quantity is None:
            raise ValueError("a change needs the quantity it changes to")
        if self.answer is Answer.COUNTER and not self.quantity:
            raise ValueError("a counter-proposal needs the quantity it proposes; to send nothing is to reject")
        return self


class ProposalAnswered(Document):
    """A supplier's or customer's answer to proposals for one location."""

    message_type: ClassVar[str] = "vmi.proposal-answered.v1"

    answered_at: Instant
    party: Party = "supplier"

    lines: Annotated[tuple[AnswerLine, ...], Field(min_length=1, max_length=MOST_LINES)]
