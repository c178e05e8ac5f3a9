"""What the flow of the crash points computes; its sink can be asked later what it did."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pyarrow as pa
import pyarrow.compute as pc

from module_sdk import Context, module


@module("crash.start")
def start() -> pa.Table:
    """Three rows."""
    return pa.table({"n": [1, 2, 3]})


@module("crash.add")
def add(rows: pa.Table, *, n: int) -> pa.Table:
    """More of each; what is printed is kept, by the supervisor."""
    print("adding", n)
    return pa.table({"n": pc.add(rows["n"], n)})


@module("crash.sift")
def sift(rows: pa.Table, ctx: Context) -> pa.Table:
    """The odd ones; the others are rejected."""
    is_odd = pc.equal(pc.bit_wise_and(rows["n"], 1), 1)
    ctx.reject(rows.filter(pc.invert(is_odd)), "it is even")
    return rows.filter(is_odd)


@module("crash.note", idempotent=True, kind="sink")
def note(rows: pa.Table, ctx: Context, *, database: str, label: str) -> None:
    """Write down each number, once."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS effect (key TEXT PRIMARY KEY, label TEXT, n INTEGER)")
        for index, number in enumerate(rows["n"].to_pylist()):
            connection.execute(
                "INSERT INTO effect VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING", (ctx.sink_key(index), label, number)
            )
