"""What this worker does not take in goes into quarantine under its name, and is tried again by it."""

from functools import partial
from typing import Final

from vmi_runtime import rejections

WORKER: Final = "inventory"
rejected: Final = partial(rejections.rejected, worker=WORKER)
"""Return a record, or one line of it, as quarantine keeps it for this worker."""
