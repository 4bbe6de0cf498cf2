"""Everything fails at once, and nothing is lost, doubled or out of order (``make chaos`` runs longer)."""

import logging

import pytest

from .storm import run

SEED = 4
SECONDS = 40


@pytest.mark.timeout(900)
async def test_p03_p04_p05_p09_a_storm_of_faults_costs_time_and_never_truth(tmp_path, caplog):
    caplog.set_level(logging.CRITICAL, "aiokafka")

    outcome = await run(SEED, SECONDS, tmp_path / "workers.log", print)

    print(outcome.table())
    assert not outcome.verdict.complaints, outcome.table()
    assert outcome.faults
