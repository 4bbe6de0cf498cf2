"""What every document is: who and where, and lines, of which one is as legal as a thousand."""

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from vmi_contracts.values import CustomerId, Identifier, LocationId

MOST_LINES = 10_000
"""The longest document that is read; longer ones are for the sender to split."""


class Part(BaseModel):
    """A value inside a document. Unknown fields are ignored, so that a partner may add some."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class Line(Part):
    """One line of a document."""


class Document(Part):
    """What one message carries, about one location of one customer."""

    message_type: ClassVar[str]
    """The CloudEvents type: ``vmi.<what-happened>.v<N>``. It is the promise's name, never a class path."""

    customer_id: CustomerId
    """Whose stock it is about; on a party's own topic it must be that party."""

    location_id: LocationId
    """The customer's own name for the store, warehouse or tank."""

    revision: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """Counts up when the sender says the same document again with other contents."""

    document_id: Identifier | None = None
    """The sender's business number of it, for people; the message's identity is its CloudEvents source and id."""

    lines: Sequence[Line]

    @property
    def key(self) -> str:
        """The record's key: one location keeps its order within a topic."""
        return f"{self.customer_id}|{self.location_id}"
