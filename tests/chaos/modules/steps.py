"""What the runs of chaos compute: small tables of numbers, quickly, slowly, in vain the first times, or fatally."""

from __future__ import annotations

import asyncio
import os
import signal
import time

import pyarrow as pa
import pyarrow.compute as pc

from module_sdk import Context, FatalError, TransientError, module


def _numbers(values: pa.ChunkedArray | list[int]) -> pa.Table:
    return pa.table({"n": values})


@module("chaos.start")
def start(*, first: int, rows: int = 3) -> pa.Table:
    """So many numbers."""
    return _numbers(list(range(first, first + rows)))


@module("chaos.add")
def add(rows: pa.Table, *, n: int, s: float = 0.0) -> pa.Table:
    """More, after a while that nothing interrupts."""
    time.sleep(s)
    return _numbers(pc.add(rows["n"], n))


@module("chaos.beside")
async def beside(rows: pa.Table, *, n: int, s: float = 0.0) -> pa.Table:
    """More, too, beside others in the same process."""
    await asyncio.sleep(s)
    return _numbers(pc.add(rows["n"], n))


@module("chaos.patient")
def patient(rows: pa.Table, ctx: Context, *, s: float) -> pa.Table:
    """The same, after a while in which it looks whether it is still wanted, and says how far it is."""
    until = time.monotonic() + s
    while (left := until - time.monotonic()) > 0 and not ctx.cancelled:
        ctx.progress(s - left, s)
        time.sleep(min(left, 0.1))
    return _numbers(rows["n"])


@module("chaos.join")
def join(tables: list[pa.Table]) -> pa.Table:
    """All rows, in the order of the inputs."""
    return pa.concat_tables(tables)


@module("chaos.flaky")
def flaky(rows: pa.Table, ctx: Context, *, fails: int) -> pa.Table:
    """The same, but not the first times."""
    if ctx.attempt <= fails:
        raise TransientError(f"not yet: attempt {ctx.attempt} of {fails} in vain")
    return _numbers(rows["n"])


@module("chaos.crash")
def crash(rows: pa.Table, ctx: Context) -> pa.Table:
    """The same, but the first attempt ends as native code ends that writes where it must not."""
    if ctx.attempt == 1:
        os.kill(os.getpid(), signal.SIGSEGV)
    return _numbers(rows["n"])


@module("chaos.sift")
def sift(rows: pa.Table, ctx: Context) -> pa.Table:
    """The even ones; the others become dead letters."""
    is_even = pc.equal(pc.bit_wise_and(rows["n"], 1), 0)
    ctx.reject(rows.filter(pc.invert(is_even)), "it is odd")
    return rows.filter(is_even)


@module("chaos.refuse")
def refuse(rows: pa.Table, *, stubborn: bool) -> pa.Table:
    """The same, unless it is told not to."""
    if stubborn:
        raise FatalError("it was told to refuse")
    return _numbers(rows["n"])
