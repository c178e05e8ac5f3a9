"""What runs on the days of mutants: work that takes its time, that fails once, or whose process dies after its effect."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing

from module_sdk import Context, TransientError, module


@module("day.work")
def work(*, seconds: float = 0.0) -> int:
    """A number, after a while that nothing interrupts."""
    time.sleep(seconds)
    return 1


@module("day.again")
def again(ctx: Context, *, seconds: float = 0.0) -> int:
    """In vain the first time, then like work."""
    if ctx.attempt == 1:
        raise TransientError("not yet")
    time.sleep(seconds)
    return 1


@module("day.note", kind="sink", idempotent=True)
def note(ctx: Context, *, database: str, label: str, hang: bool = False) -> None:
    """An effect; with `hang` the attempt that has it first never comes back from it."""
    with closing(sqlite3.connect(database, timeout=60, isolation_level=None)) as connection:
        there = connection.execute("SELECT count(*) FROM effect WHERE label = ?", (label,)).fetchone()[0]
        connection.execute(
            "INSERT INTO effect (key, label, n) VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
            (ctx.sink_key(0), label, ctx.attempt),
        )
    if hang and not there:
        time.sleep(600)
