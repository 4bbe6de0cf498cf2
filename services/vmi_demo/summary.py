"""What the demo has to say at its end."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from vmi_demo.documents import SERVICE_TARGET
from vmi_demo.erp_rule import SAFETY_DAYS
from vmi_demo.latency import Latency
from vmi_demo.shelves import Outcome
from vmi_demo.wire import Sent

HOW_LATENCY_IS_MEASURED: Final = (
    "by the broker's append times, from an event to the first version of a proposal that shows it: the sale that left "
    "the usable stock which the proposal's explanation starts from, else the store's closing report, a line for every "
    "item; a day's sales come within a second, all closing reports in the same moment"
)
HOW_IT_IS_COMPARED: Final = (
    "same demand, opening stock, packs, lead time and daily review; what is not on the shelf is lost; stock is counted "
    "at the end of each day; the ERP rule's minimum is the history's mean daily sales × (lead time + review + "
    f"{SAFETY_DAYS:.0f} days), its maximum one review period more; for equal fill both are scaled (with hindsight). "
    f"Agreed is no stock-out in {SERVICE_TARGET:.0%} of the times between two arrivals, which is not a fill rate"
)


@dataclass(slots=True)
class Volume:
    """How much was sent."""

    documents: dict[str, int] = field(default_factory=dict)
    """By topic."""
    lines: int = 0

    def add(self, sent: Iterable[Sent]) -> None:
        for one in sent:
            topic = one.outgoing.topic.name
            self.documents[topic] = self.documents.get(topic, 0) + 1
            self.lines += one.outgoing.lines


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds that the parts of the demo took."""

    start: float
    history: float
    live: float

    @property
    def whole(self) -> float:
        return self.start + self.history + self.live


@dataclass(frozen=True, slots=True)
class Summary:
    """What was sent, what came back, how fast, and how well the shelves fared."""

    stores: int
    items: int
    history_days: int
    live_days: int
    volume: Volume
    proposals: int
    versions: int
    repeated_versions: int
    accepted: int
    ordered_units: int
    sale_to_proposal: Latency
    report_to_proposal: Latency
    untimed_versions: int
    service_target: float
    opening_stock: int
    service: Outcome
    erp: Outcome
    erp_at_same_fill_rate: Outcome | None
    """None where the ERP rule reaches the service's fill rate at no cover that was tried."""
    took: Took

    def as_json(self) -> dict[str, Any]:
        """Return it in values that JSON has, with how it was measured."""
        return asdict(self) | {
            "documents": sum(self.volume.documents.values()),
            "latency_is_measured": HOW_LATENCY_IS_MEASURED,
            "is_compared": HOW_IT_IS_COMPARED,
            "took": asdict(self.took) | {"whole": self.took.whole},
        }
