"""Whether a position is sure to reach its level, found out without the level: never where something is missing."""

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
from numpy.typing import NDArray

from vmi_domain.distributions import Family, by_the_data
from vmi_domain.replenishment.decisions import decide
from vmi_domain.replenishment.needs import Arrival, Basis, Expected, Need, Outlook, Policy, Position, UnmetDemand
from vmi_domain.replenishment.quantities import OrderRules
from vmi_domain.replenishment.sizing import are_covered

KEYS = 1500


def needs(seed: int, unmet: UnmetDemand, *, means: tuple[float, float], whole: bool) -> list[Need]:
    """Return needs of all kinds of demand, with stock about where the level may be, part of it on its way."""
    random = np.random.default_rng(seed)

    def quantity(most: float) -> Decimal:
        amount = random.uniform(0, most)
        return Decimal(round(amount) if whole else round(amount, 2))

    found = []
    for daily in np.exp(random.uniform(*np.log(means), KEYS)).tolist():
        lead, review = float(random.choice([0, 0.5, 1, 2, 3, 7, 14])), float(random.choice([1, 2, 7]))
        dispersion, level = random.choice([1.0, 1.2, 2.0, 6.0]), random.choice([0.0, 0.0, 0.01, 0.2, 1.5, 40.0])
        outlooks = []
        for days in (lead, lead + review):
            mean = round(daily * days, 6)
            sd = round((dispersion * mean + level * mean * mean) ** 0.5, 6)
            outlooks.append(Outlook(days, mean, sd, Family(int(by_the_data(mean, sd * sd).family))))
        most = outlooks[1].mean + 4.0 * outlooks[1].sd + 2.0
        arrivals = tuple(Arrival(random.uniform(0, lead + 1), quantity(most / 4)) for _ in range(random.integers(0, 4)))
        undated = random.random() < 0.2
        position = Position(
            usable=quantity(most),
            backlog=quantity(most / 4) if random.random() < 0.1 else Decimal(0),
            on_order=sum((one.quantity for one in arrivals), quantity(most / 4) if undated else Decimal(0)),
        )
        policy = Policy(service_target=float(random.choice([0.5, 0.9, 0.98, 0.9999])), unmet_demand=unmet)
        expected = Expected(Basis.HISTORY, outlooks[1], outlooks[0])
        found.append(Need(position, policy, OrderRules(), expected, arrivals))
    return found


def missing(some: Sequence[Need]) -> NDArray[np.float64]:
    return np.array([float(one.missing) for one in decide(some)])


@pytest.mark.parametrize("whole", [True, False], ids=["whole units", "parts of units"])
@pytest.mark.parametrize("means", [(0.01, 2.0), (2.0, 200.0)], ids=["slow", "fast"])
@pytest.mark.parametrize("unmet", UnmetDemand)
def test_what_is_sure_to_be_covered_misses_nothing(unmet: UnmetDemand, means: tuple[float, float], whole: bool) -> None:
    some = needs(7, unmet, means=means, whole=whole)

    covered, is_missing = np.array(are_covered(some)), missing(some) > 0

    assert not (covered & is_missing).any()
    assert covered.sum() > 0.2 * (~is_missing).sum(), "much of what is covered is known to be"


def test_what_has_other_limits_than_its_level_is_looked_at() -> None:
    [plenty] = needs(1, UnmetDemand.LOST, means=(1.0, 1.1), whole=True)[:1]
    plenty = replace(plenty, position=Position(Decimal(10_000)))
    banded = replace(plenty, policy=replace(plenty.policy, minimum=Decimal(20_000)))

    assert are_covered([plenty, banded, replace(plenty, expected=None)]) == [True, False, False]
