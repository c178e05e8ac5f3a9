"""The process that decodes one file: limits, decoder, validation, batches into the shared file. Then it ends."""

from __future__ import annotations

import os
import resource
import signal
import socket
from typing import Any

import pyarrow as pa

from plugmesh.data.outside import wire
from plugmesh.data.outside.decoding import decoded, told_error
from plugmesh.data.outside.job import DecodeLimits, Job
from plugmesh.data.outside.regions import PAGE_BYTES, Regions
from plugmesh.data.outside.source import Source
from plugmesh.errors import PlugmeshError, StoreFull

AHEAD = 2
"""So many batches may wait for the one who asked; then the decoder waits."""
FAILED_CODE = 1
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ROOM_BYTES = 64 * 1024 * 1024
_LATER_S = 5


def decode(job: Job, link: socket.socket, file: int, shared: int) -> int:
    """All of it; the exit code. `shared` is what batches are written into."""
    set_limits(job.limits)
    batches = _Batches(link, shared)
    try:
        for one in decoded(job, Source(file, job.name, lambda value: wire.send(link, wire.TOLD, value))):
            batches.add(one)
        wire.send(link, wire.END)
    except PlugmeshError as error:
        wire.send(link, wire.FAILED, told_error(error))
        return FAILED_CODE
    return 0


def set_limits(limits: DecodeLimits) -> None:
    """For this process, and for good."""
    with open("/proc/self/statm", "rb") as statm:
        data_bytes = int(statm.read().split()[5]) * _PAGE
    memory = data_bytes + limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime + limits.cpu_s) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s + _LATER_S))
    written = limits.output_bytes + limits.memory_bytes + _ROOM_BYTES
    resource.setrlimit(resource.RLIMIT_FSIZE, (written, written))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in (signal.SIGXCPU, signal.SIGXFSZ):  # Python ignores the second
        signal.signal(number, signal.SIG_DFL)


class _Batches:
    """Writes the schema, then each batch, as an IPC stream of its own into a free part of the shared file; says where it is."""

    def __init__(self, link: socket.socket, shared: int) -> None:
        self._link, self._shared = link, shared
        self._regions = Regions()
        self._waiting = 0

    def add(self, one: pa.Schema | pa.RecordBatch) -> None:
        while self._waiting >= AHEAD:
            self._heed()
        size = _stream_bytes(one)
        offset = self._regions.take(size)
        self._write(one, offset)
        wire.send(self._link, wire.BATCH, [offset, size])
        self._waiting += 1

    def _heed(self) -> None:
        found = wire.receive(self._link)
        if found is None:  # nobody asks any more
            os._exit(0)
        self._waiting -= 1
        for offset in found[1]:
            self._regions.give_back(offset)

    def _write(self, one: pa.Schema | pa.RecordBatch, offset: int) -> None:
        try:
            os.ftruncate(self._shared, max(os.fstat(self._shared).st_size, self._regions.end))
            with pa.PythonFile(_At(self._shared, offset), mode="w") as sink:
                _write_stream(sink, one)
        except OSError as error:
            raise StoreFull(f"no room for what a file holds while it is decoded: {error.strerror or error}") from None


class _At:
    """What pyarrow writes to: a place in the shared file."""

    closed = False

    def __init__(self, fd: int, offset: int) -> None:
        self._fd, self._at = fd, offset

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        while view:
            written = os.pwrite(self._fd, view, self._at)
            self._at += written
            view = view[written:]
        return size

    def flush(self) -> None:
        """Called by pyarrow; nothing is held back."""

    def close(self) -> None:
        """The descriptor goes on."""


def _stream_bytes(one: pa.Schema | pa.RecordBatch) -> int:
    """Bytes of it as an IPC stream."""
    counted = pa.MockOutputStream()
    _write_stream(counted, one)
    size: int = counted.size()
    return max(size, PAGE_BYTES)


def _write_stream(sink: pa.NativeFile, one: pa.Schema | pa.RecordBatch) -> None:
    is_batch = isinstance(one, pa.RecordBatch)
    with pa.ipc.new_stream(sink, one.schema if is_batch else one) as out:
        if is_batch:
            out.write_batch(one)
