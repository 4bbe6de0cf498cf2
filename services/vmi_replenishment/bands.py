"""Customers' own minima and maxima beside what their service targets ask for."""

from vmi_domain.replenishment import bands
from vmi_domain.replenishment.bands import Band
from vmi_domain.replenishment.needs import Need
from vmi_domain.stock.position import Key
from vmi_replenishment.situations import Situations


def banded(found: Situations) -> list[tuple[Key, Band, Band]]:
    """Return theirs and ours of each key whose agreement in force has a minimum or a maximum."""
    some = []
    for case, watched in zip(found.cases, found.watched, strict=True):
        if case.terms is None or watched is None:
            continue
        policy = case.terms.policy
        if policy.minimum is not None or policy.maximum is not None:
            need = Need(case.position, policy, case.terms.rules, watched.expected)
            some.append((case.key, Band(policy.minimum, policy.maximum), need))
    ours = bands.ours([need for _, _, need in some])
    return [(key, theirs, own) for (key, theirs, _), own in zip(some, ours, strict=True)]
