"""The log of an attempt that takes long, kept chunk by chunk while it runs (`plugmesh/steplog.py` reads it)."""

from __future__ import annotations

from collections import deque

from module_sdk.steplog import StepLog
from module_sdk.storing import put
from plugmesh.contracts.messages import LogRef
from plugmesh.objects.port import ObjectStore
from plugmesh.steplog import chunk_key

LONG_S = 2.0
"""An attempt that takes longer is read about while it runs."""
CHUNK_BYTES = 64 * 1024
KEPT_FIRST_BYTES = 256 * 1024
KEPT_LAST_BYTES = 512 * 1024
_SLOWEST_S = 30.0
_PART = 50


class LogChunks:
    """Writes numbered lines in numbered objects, and deletes those in the middle when they become too many bytes.

    Blocking; one call at a time. Raises what the store raises.
    """

    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self._store, self._prefix = store, prefix
        self._lines = self._first_bytes = self._last_bytes = 0
        self._last: deque[tuple[int, int]] = deque()
        self._truncated = False
        self.count = 0

    def add(self, log: StepLog) -> None:
        """One more chunk."""
        if not log.lines:
            return
        data = b"".join(self._numbered(log.data))
        put(self._store, chunk_key(self._prefix, self.count + 1), data)
        self.count += 1
        self._lines += log.lines
        self._truncated = self._truncated or log.cut
        if self._first_bytes < KEPT_FIRST_BYTES:
            self._first_bytes += len(data)
            return
        self._last.append((self.count, len(data)))
        self._last_bytes += len(data)
        while self._last_bytes > KEPT_LAST_BYTES and len(self._last) > 1:
            number, size = self._last.popleft()
            self._last_bytes -= size
            self._truncated = True
            self._store.delete(chunk_key(self._prefix, number))

    def ref(self) -> LogRef:
        """All chunks."""
        return LogRef(
            key=chunk_key(self._prefix, 1),
            bytes=self._first_bytes + self._last_bytes,
            lines=self._lines,
            truncated=self._truncated,
            chunks=self.count,
        )

    def _numbered(self, data: bytes) -> list[bytes]:
        lines = data.splitlines(keepends=True)
        return [b'{"n": %d, ' % number + line[1:] for number, line in enumerate(lines, self._lines + 1)]


def pause_s(age_s: float) -> float:
    """How long to wait for the next chunk of an attempt that has run for `age_s`: an old one has fewer and larger ones."""
    return min(max(LONG_S, age_s / _PART), _SLOWEST_S)
