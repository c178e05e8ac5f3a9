"""Decoding in the process that asks: where a module is tried out, and where a debugger looks on. Nothing is protected."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

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
        return reader_of(_batches(os.dup(fd), job, told))


def _batches(fd: int, job: Job, told: Told) -> Iterator[pa.RecordBatch]:
    try:
        yield from decoded(job, Source(fd, job.name, told))
    finally:
        os.close(fd)
