"""Dataclasses of values that never change, without what it costs to forbid it while the program runs.

``frozen=True`` makes an instance four times as dear to build (each field is set by ``object.__setattr__``), and a batch
builds some twenty of them for every key. mypy forbids every assignment to a field of a frozen dataclass that it sees,
and it sees all of the product: so the rule is kept where it costs nothing.
"""

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass
else:

    def dataclass(*, frozen: bool = False, **options: Any) -> Callable[[type], type]:
        """Return ``dataclasses.dataclass``: what is frozen compares and hashes as such, and is built like any other."""
        return dataclasses.dataclass(unsafe_hash=frozen, **options)
