"""Croston and its kin: the golden numbers of formulas.md 5.8."""

import numpy as np
import pytest

from vmi_domain.forecasting import intermittent
from vmi_domain.forecasting.intermittent import Intermittent

SERIES = [0, 0, 5, 0, 0, 0, 3, 0, 6, 0, 0, 4]


def learned(series: list[float]) -> Intermittent:
    kept = Intermittent(*np.zeros((4, 1), np.float32))
    for demand in series:
        kept = intermittent.learn(kept, np.array([demand], np.float32), np.array([True]))
    return kept


def test_croston_and_its_corrections_have_their_golden_values():
    kept = learned(SERIES)

    assert kept.size[0] == pytest.approx(4.828, abs=5e-4)
    assert kept.interval[0] == pytest.approx(2.991, abs=5e-4)
    assert intermittent.croston(kept)[0] == pytest.approx(1.6142, abs=5e-5)
    assert intermittent.sba(kept)[0] == pytest.approx(1.5335, abs=5e-5)
    assert intermittent.sbj(kept)[0] == pytest.approx(1.5292, abs=5e-5)


def test_before_the_first_demand_there_is_no_rate():
    kept = learned([0, 0, 0])

    assert intermittent.croston(kept)[0] == 0
    assert intermittent.tsb(kept)[0] == 0


def test_tsb_forgets_an_item_that_died_and_croston_does_not():
    alive = learned(SERIES)
    dead = learned(SERIES + [0] * 200)

    assert intermittent.croston(dead)[0] == intermittent.croston(alive)[0]
    assert intermittent.tsb(dead)[0] < 0.001 < intermittent.tsb(alive)[0]
