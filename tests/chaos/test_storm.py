"""A short storm: every kind of fault against the real workers, and nothing is lost or doubled."""

import os
import signal
import sys
from pathlib import Path
from subprocess import PIPE, STDOUT, Popen

import pytest

ROOT = Path(__file__).parents[2]
SEED = "7"
MINUTES = "0.6"


@pytest.mark.timeout(900)  # on a busy machine all that piled up may take its time
def test_p03_p04_p05_p09_a_storm_of_all_faults_loses_nothing_and_doubles_nothing(tmp_path):
    command = [sys.executable, "-m", "tests.chaos", "--seed", SEED, "--minutes", MINUTES, "--log", str(tmp_path / "w")]
    # In a process of its own: it leaves broken connections behind, of which pytest would make errors.
    environment = {**os.environ, "PYTHONPATH": "tests"}
    with Popen(command, cwd=ROOT, env=environment, stdout=PIPE, stderr=STDOUT, text=True) as storm:
        try:
            said, _ = storm.communicate()
        finally:
            storm.send_signal(signal.SIGINT)  # if it still runs, it ends what it started

    print(said)
    assert storm.returncode == 0, said
    assert "lost 0, doubled 0: survived" in said
