"""What a supplier is to send over a horizon, by the keys as they stand now."""

from datetime import timedelta

from vmi_domain.replenishment.looking_ahead import Ahead, planned, told
from vmi_domain.replenishment.reviewing import review
from vmi_replenishment.situations import Situations


def ahead(found: Situations, supplier_id: str, horizon: timedelta) -> list[Ahead]:
    """Return what is firm, proposed and planned of each key, the first order first. Nothing is written."""
    rows: list[Ahead] = []
    for case, result in zip(found.cases, review(found.cases), strict=True):
        rows += told(case.live, supplier_id)
        if case.terms is not None and case.opportunity is not None and result.decision is not None:
            rows += planned(
                case.key,
                result.decision,
                case.terms,
                case.others,
                supplier_id=supplier_id,
                order_at=case.opportunity.order_at,
                now=case.now,
                until=case.now + horizon,
            )
    return sorted(rows, key=lambda one: (one.order_at, one.key))
