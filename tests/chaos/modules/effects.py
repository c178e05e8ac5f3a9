"""An idempotent sink whose effects anybody can count: rows of a SQLite table, found again by the key of the effect."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pyarrow as pa

from module_sdk import Context, module


@module("chaos.note", idempotent=True, kind="sink")
def note(rows: pa.Table, ctx: Context, *, database: str, label: str) -> None:
    """Write each number down, once, whoever else does the same; each is an effect of its own, so half may be done."""
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        connection.execute("INSERT INTO tried (label, step, attempt) VALUES (?, ?, ?)", (label, ctx.step, ctx.attempt))
        for index, number in enumerate(rows["n"].to_pylist()):
            connection.execute(
                "INSERT INTO effect (key, label, n) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
                (ctx.sink_key(index), label, number),
            )
