"""What inbound documents are made of: how one corrects or takes back another, and lines about one item."""

from typing import Annotated, Literal

from pydantic import Field

from vmi_contracts.document import MOST_LINES, Document, Line, Part
from vmi_contracts.values import ItemId, Unit


class Reference(Part):
    """Another document, by the CloudEvents source and id under which it travels."""

    message_id: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]*$")]

    source: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\x00]*$")] | None = None
    """The same source as that of the document that refers to it, where it is missing."""

    revision: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    """Its revisions up to this one; all of them where it is missing."""


References = Annotated[tuple[Reference, ...], Field(max_length=100)]


class CorrectableDocument(Document):
    """A document about what happened at a location. A higher ``revision`` of it takes the place of the lower ones."""

    replaces: References = ()
    """Documents whose place this one takes (a corrected report), whether they came before it or are still to come. What
    is replaced stays so: if it was right after all, it is sent again under a new id."""


class Retraction(Document):
    """Documents that should never have been sent: what they said is taken back, as of when it happened.

    It may reuse the id of the document it retracts, as an EPCIS error declaration does; it is no duplicate of it.
    """

    retracts: References = ()
    """Without any it is the document that travels under the retraction's own source and id, in all its revisions."""

    reason: Literal["did_not_occur", "incorrect_data", "other"] = "other"

    lines: Annotated[tuple[Line, ...], Field(max_length=MOST_LINES)] = ()
    """Whole documents are retracted; lines say nothing."""


class ItemLine(Line):
    """A line about one item."""

    item_id: ItemId

    unit: Unit | None = None
    """The unit of the line's quantities; the item's base unit where it is missing."""
