"""Decoders for tests, good and bad. They run in a child: it finds them by their names."""

import ctypes
import os
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv

from plugmesh.data.outside.source import Source
from plugmesh.errors import DataError


def rows_of_csv(source: Source, _: Mapping[str, Any]) -> pa.Table:
    return csv.read_csv(source.open())


def numbers(source: Source, arguments: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    """`batches` of `rows` each; tells the number of each batch before it."""
    for number in range(arguments["batches"]):
        source.tell({"batch": number})
        yield pa.RecordBatch.from_pydict({"x": pa.repeat(pa.scalar(number, pa.int64()), arguments["rows"])})


def two_streams(source: Source, _: Mapping[str, Any]) -> pa.Table:
    """Streams have a place each, and the path is another way to the same bytes."""
    one, two = source.open(), source.open()
    first = one.read(3)
    with open(source.path, "rb") as by_path:
        return pa.table({"text": [first, two.read(3), one.read(2), by_path.read()], "n": [source.bytes] * 4})


def unhappy(_: Source, __: Mapping[str, Any]) -> pa.Table:
    raise DataError("types: there is no column 'zap'")


def careless(_: Source, __: Mapping[str, Any]) -> pa.Table:
    raise IndexError("list index out of range")


def invalid(_: Source, __: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    """A text column whose offsets point far behind its bytes."""
    offsets = pa.py_buffer(b"\0\0\0\0\xff\xff\xff\x7f")
    text = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"x")])
    yield pa.RecordBatch.from_arrays([text], ["text"])


def segfault(_: Source, __: Mapping[str, Any]) -> pa.Table:
    ctypes.string_at(0)
    raise AssertionError


def abort(_: Source, __: Mapping[str, Any]) -> pa.Table:
    os.write(2, b"decoder: corrupt block 17\n")
    os.abort()


def leave(_: Source, __: Mapping[str, Any]) -> pa.Table:
    os._exit(3)


def killed(_: Source, __: Mapping[str, Any]) -> pa.Table:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def killed_later(_: Source, __: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    yield pa.RecordBatch.from_pydict({"x": [1]})
    os.kill(os.getpid(), signal.SIGSEGV)


def greedy(_: Source, arguments: Mapping[str, Any]) -> pa.Table:
    if arguments["by"] == "arrow":
        return pa.table({"x": pa.Array.from_buffers(pa.int8(), 2**40, [None, pa.allocate_buffer(2**40)])})
    return pa.table({"x": [bytes(2**40)]})


def endless(_: Source, __: Mapping[str, Any]) -> pa.Table:
    while True:
        pass


def silent(_: Source, __: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    yield from ()


def waiting(source: Source, _: Mapping[str, Any]) -> Iterator[pa.RecordBatch]:
    """Says which process it is, and then waits for ever; the system shows it as `waiting`."""
    Path("/proc/self/comm").write_text("waiting")
    yield pa.RecordBatch.from_pydict({"pid": [os.getpid()]})
    signal.pause()
