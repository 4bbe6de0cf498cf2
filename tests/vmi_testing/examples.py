"""How many examples a law is tried with: some in every run, many in the nightly one (``make test-nightly``)."""

import os

PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "")


def examples(usual: int, *, nightly: int) -> int:
    """Return the number of examples for this run: ``nightly`` where ``HYPOTHESIS_PROFILE=nightly``."""
    return nightly if PROFILE == "nightly" else usual
