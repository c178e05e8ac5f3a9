"""Pieces of a table on their way: in memory while they are few, in a file that has no name when they are more.

So a table of any size can be kept until it is known which types its columns have.
"""

from __future__ import annotations

import tempfile
import weakref
from typing import TYPE_CHECKING, Any

from module_sdk import TransientError

if TYPE_CHECKING:
    import pyarrow as pa

MEMORY_BYTES = 32 * 1024 * 1024
"""So much is kept in memory."""


class Spool:
    """Batches, in the order in which they were added; each may have a schema of its own. Ends with `close`, or when nobody
    has it."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self._left = memory_bytes
        self._kept: list[pa.RecordBatch | tuple[int, int]] = []
        self._file: Any = None
        self._sink: Any = None
        self._map: Any = None

    def __len__(self) -> int:
        return len(self._kept)

    def add(self, batch: pa.RecordBatch) -> None:
        """One more. Raises `TransientError` where there is no room for it."""
        size = batch.get_total_buffer_size()
        if self._file is None and size <= self._left:
            self._left -= size
            self._kept.append(batch)
            return
        try:
            self._write(batch)
        except OSError as error:
            raise TransientError(
                f"the folder for temporary files ({tempfile.gettempdir()}) has no room: {error}"
            ) from None

    def _write(self, batch: pa.RecordBatch) -> None:
        import pyarrow as pa

        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="plugmesh-spool-")  # noqa: SIM115  closed below
            weakref.finalize(self, self._file.close)
            self._sink = pa.OSFile(self._path, mode="w")
        start = self._sink.tell()
        with pa.ipc.new_stream(self._sink, batch.schema) as writer:
            writer.write_batch(batch)
        self._kept.append((start, self._sink.tell() - start))

    def get(self, number: int) -> pa.RecordBatch:
        """One of them. Its bytes are those of the file, mapped, if it is there."""
        found = self._kept[number]
        if not isinstance(found, tuple):
            return found
        import pyarrow as pa

        start, size = found
        if self._map is None or self._map.size() < start + size:
            self._sink.flush()
            self._map = pa.memory_map(self._path)
        self._map.seek(start)
        with pa.ipc.open_stream(pa.BufferReader(self._map.read_buffer(size))) as reader:
            return reader.read_next_batch()

    def close(self) -> None:
        """Let the file go; what was read of it stays readable."""
        self._kept.clear()
        if self._file is not None:
            self._sink.close()
            self._file.close()

    @property
    def _path(self) -> str:
        return f"/proc/self/fd/{self._file.fileno()}"
