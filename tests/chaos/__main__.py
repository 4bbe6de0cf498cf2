"""``make chaos SEED=… MINUTES=…``: long storms; a seed that fails can be run again."""

import argparse
import asyncio
import logging
import secrets
import sys
import time
from pathlib import Path

from .storm import run


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="which faults and records are drawn (default: any)")
    parser.add_argument("--minutes", type=float, default=5, help="how long the storm blows (default: 5)")
    parser.add_argument("--log", type=Path, default=Path(".vmi/chaos.log"), help="where the workers' lines go")
    given = parser.parse_args()
    seed = secrets.randbelow(10**6) if given.seed is None else given.seed
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # that the broker is away is meant
    given.log.parent.mkdir(parents=True, exist_ok=True)
    print(f"seed {seed}; the workers' lines: {given.log}", flush=True)
    given.log.unlink(missing_ok=True)
    begin = time.strftime("%Y-%m-%d %H:%M")
    outcome = asyncio.run(run(seed, given.minutes * 60, given.log, lambda line: print(line, flush=True)))
    print(begin)
    print(outcome.table())
    if outcome.verdict.complaints:
        print(f"run it again: make chaos SEED={seed} MINUTES={given.minutes:g}")
        sys.exit(1)


if __name__ == "__main__":
    main()
