"""What positions changed, as it is read from the topic: many messages of a location come down to one word an item."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from pydantic import ValidationError

from vmi_contracts import envelope
from vmi_contracts.envelope import UnreadableEnvelope
from vmi_contracts.internal import PositionsChanged
from vmi_runtime.rejections import document_error, rejected
from vmi_runtime.worker import Record
from vmi_store.forecasts import Location
from vmi_store.quarantine import Rejected


@dataclass(slots=True)
class Changes:
    """What a batch of messages says."""

    demand_from: dict[Location, dict[str, date | None]] = field(default_factory=dict)
    """For each item of a location the earliest day whose demand changed; None where none did."""
    rejected: list[Rejected] = field(default_factory=list)


def read_changes(records: Sequence[Record]) -> Changes:
    """Return what the records say, merged; what is no message of ours goes to quarantine."""
    changes = Changes()
    for record in records:
        try:
            message = envelope.read(record.value, record.headers)
            if message.message_type != PositionsChanged.message_type:
                raise UnreadableEnvelope("unknown_type", f"{message.message_type!r} does not belong on this topic")
            _merge(changes, PositionsChanged.model_validate_json(message.data))
        except UnreadableEnvelope as error:
            changes.rejected.append(rejected(record, error.reason, str(error), worker="forecast"))
        except ValidationError as error:
            changes.rejected.append(rejected(record, *document_error(error), worker="forecast"))
    return changes


def _merge(changes: Changes, document: PositionsChanged) -> None:
    items = changes.demand_from.setdefault(Location(document.customer_id, document.location_id), {})
    for line in document.lines:
        before, day = items.get(line.item_id), line.demand_from
        items[line.item_id] = day if before is None or (day is not None and day < before) else before
