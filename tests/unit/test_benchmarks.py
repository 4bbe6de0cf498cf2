"""``make bench`` runs what stands in tests/benchmark: each finds what it imports, the way it is called."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
IMPORT_ALL = """
from importlib import import_module
from tests.benchmark.__main__ import BENCHMARKS
for name in BENCHMARKS:
    import_module(f"tests.benchmark.{name}")
"""


def test_each_benchmark_finds_what_it_needs() -> None:
    [recipe] = re.findall(
        r"^\t@(.*)\$\(BIN\)/python -m tests\.benchmark \$\(ARGS\)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= dict(re.findall(r"(\w+)=(\S+)", recipe))

    ran = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert ran.returncode == 0, ran.stderr
