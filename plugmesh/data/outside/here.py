"""Decoding in the process that asks: where a module is tried out, and where a debugger looks on. Nothing is protected."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from plugmesh.data.outside.decoding import decoded, reader_of
from plugmesh.data.outside.job import Job
from plugmesh.data.outside.outside import Told
from plugmesh.data.outside.source import Source

if TYPE_CHECKING:
    import pyarrow as pa


class Here:
    """As `Decodings`, but in this process: only the output is limited, and a crash is a crash."""

    def decode(self, job: Job, fd: int, told: Told) -> pa.RecordBatchReader:
        """As `Decodings.decode`."""
        return reader_of(_batches(os.dup(fd), Job.of(json.loads(json.dumps(job.document()))), told))


def _batches(fd: int, job: Job, told: Told) -> Iterator[pa.Schema | pa.RecordBatch]:
    waiting: deque[Any] = deque()  # as of another process: what `told` raises is no business of the decoder
    items = decoded(job, Source(fd, job.name, waiting.append))
    try:
        while True:
            try:
                one = next(items, None)
            finally:
                while waiting:
                    told(waiting.popleft())
            if one is None:
                return
            yield one
    finally:
        os.close(fd)
