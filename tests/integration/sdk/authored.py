"""What authors write, and what goes wrong in it. Loaded by executors, never by the tests' own process."""

import asyncio
import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from module_sdk import ConnectionFailed, Context, DataError, FatalError, File, TransientError, module


@module("t.same")
def same(rows: pa.Table) -> pa.Table:
    return rows


@module(
    "t.double",
    inputs={"rows": {"x": "int64"}},
    outputs={"out": {"...": "rows", "double": "int64"}},
    rows="same",
)
def double(rows: pa.Table) -> pa.Table:
    return rows.append_column("double", pc.multiply(rows["x"], 2))


@module("t.rename")
def rename(rows: pa.Table) -> pa.Table:
    return rows.select(["y", "x"]).rename_columns(["why", "x"]).append_column("copy", rows["x"])


@module("t.wrong", outputs={"out": {"n": "int64"}})
def wrong(rows: pa.Table) -> pa.Table:
    return pa.table({"n": ["text"]})


@module("t.raises")
def raises(rows: pa.Table, *, how: str = "value") -> pa.Table:
    if how == "data":
        raise DataError("bad rows")
    if how == "transient":
        raise TransientError("later")
    if how == "connection":
        raise ConnectionFailed("nobody answers")
    if how == "fatal":
        raise FatalError("no use")
    if how == "exit":
        sys.exit(3)
    raise ValueError("no good")


@module("t.dies")
def dies(rows: pa.Table, *, how: str) -> pa.Table:
    print("last words")
    if how == "exit":
        os._exit(7)
    ctypes.string_at(0)
    return rows


@module("t.spins")
def spins(rows: pa.Table, *, marker: str, gently: bool = True, ctx: Context) -> pa.Table:
    while True:
        try:
            Path(marker).touch()  # in here, where a cancel is seen
            time.sleep(0.01)
        except BaseException:
            if gently:
                Path(marker + ".cleaned").touch()
                raise


@module("t.waits")
def waits(rows: pa.Table, *, marker: str) -> pa.Table:
    Path(marker + ".started").touch()
    while not Path(marker).exists():
        time.sleep(0.005)
    return rows


@module("t.talks")
def talks(rows: pa.Table, *, lines: int = 1) -> pa.Table:
    for number in range(lines):
        print("printed", number)
    sys.stderr.write("to stderr, no newline")
    logging.getLogger("author").warning("logged %d", 1)
    os.write(1, b"raw bytes\n")
    subprocess.run(["echo", "from a child"], check=True)
    ctypes.CDLL(None).printf(b"from C\n")
    return rows


@module("t.leaves")
def leaves(rows: pa.Table) -> dict[str, int]:
    child = subprocess.Popen(["sleep", "600"])
    orphan = subprocess.run(
        ["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"], check=True, capture_output=True, text=True
    )
    return {"child": child.pid, "orphan": int(orphan.stdout)}


@module("t.leaves_and_dies")
def leaves_and_dies(rows: pa.Table, *, marker: str) -> pa.Table:
    orphan = subprocess.run(
        ["sh", "-c", "setsid sleep 600 >/dev/null 2>&1 & echo $!"], check=True, capture_output=True, text=True
    )
    Path(marker).write_text(orphan.stdout)
    os.kill(os.getpid(), 9)
    return rows


@module("t.ends_its_child")
def ends_its_child(rows: pa.Table) -> pa.Table:
    child = os.fork()
    if not child:
        while True:
            time.sleep(0.01)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGTERM
    return rows


@module("t.batches")
def batches(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        yield batch.select(["x"])


@module("t.loses_rows", outputs={"out": {"...": "rows"}}, rows="same")
def loses_rows(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in rows:
        yield batch.slice(1)


@module("t.files", outputs={"copy": "file", "path": "value"})
def files(doc: File, *, ctx: Context) -> dict[str, object]:
    with doc.path.open("rb") as stream, ctx.create_file("copy.txt", "text/plain") as out:
        out.write(stream.read().upper())
    (ctx.tmp / "left").touch()
    return {"copy": out, "path": str(ctx.tmp)}


@module("t.source", outputs={"out": {"pid": "int64"}})
def source() -> pa.Table:
    return pa.table({"pid": [os.getpid()]})


@module("t.many")
def many(*tables: pa.Table, ctx: Context) -> dict[str, object]:
    return {"rows": sum(table.num_rows for table in tables), "step": ctx.step, "key": ctx.sink_key()}


@module("t.async_waits")
async def async_waits(rows: pa.Table, *, marker: str, label: str = "") -> pa.Table:
    print("async", label)
    Path(f"{marker}.{label}.started").touch()
    while not Path(marker).exists():
        await asyncio.sleep(0.005)
    print("done", label)
    return rows


@module("t.async_dies")
async def async_dies(rows: pa.Table, *, marker: str) -> pa.Table:
    while not Path(marker).exists():
        await asyncio.sleep(0.005)
    os._exit(9)


@module("t.sink")
def sink(rows: pa.Table, *, marker: str) -> None:
    Path(marker).touch()
    while True:
        time.sleep(0.01)
