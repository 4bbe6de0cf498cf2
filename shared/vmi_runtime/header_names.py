"""Header names that are no UTF-8. A broker takes them; aiokafka cannot read them, and would stand still before them."""

from typing import Any

import structlog
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.memory_records import _MemoryRecordsPy

log = structlog.get_logger(__name__)


def read_whatever_comes(error: UnicodeDecodeError) -> None:
    """Let this process's consumer read any name from now on: what is no UTF-8 in it becomes ``\\xff``.

    This is done at the first such record, and not before, because aiokafka's reader in C is faster.
    """
    log.error("a record has a header name that is no UTF-8; reading more slowly from now on", reason=str(error))
    fetcher.MemoryRecords = _Records


class _Bytes(bytearray):
    """Bytes that decode whatever they are."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _Bytes(found) if isinstance(index, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")


class _Batch(_DefaultRecordBatchPy):  # type: ignore[misc]
    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        self._buffer: Any = _Bytes(self._buffer)


class _Records(_MemoryRecordsPy):  # type: ignore[misc]
    def next_batch(self, *_: Any) -> Any:
        found = self._next_slice
        if found is None:
            return None
        self._cache_next()
        magic = found[self.MAGIC_OFFSET]
        return _Batch(found) if magic >= 2 else LegacyRecordBatch(found, magic)
