"""The benchmarks: ``python -m tests.benchmark [NAME …]`` runs those named (all of them, if none is)."""

import runpy
import sys
from pathlib import Path

BENCHMARKS = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))


def main() -> None:
    """Run benchmarks one after the other; what follows a single name is the benchmark's own."""
    name, *arguments = sys.argv[1:] or [""]
    if name and name not in BENCHMARKS:
        sys.exit(f"no benchmark {name!r}; there are {', '.join(BENCHMARKS)}")
    for benchmark in [name] if name else BENCHMARKS:
        print(f"\n# {benchmark}\n")
        sys.argv = [benchmark, *arguments]
        runpy.run_module(f"tests.benchmark.{benchmark}", run_name="__main__")


if __name__ == "__main__":
    main()
