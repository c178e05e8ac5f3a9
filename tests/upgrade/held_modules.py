"""Modules of the story: they hold until a file `open` is there, so that a mesh can be killed while they are at work. An author's
file, served by whichever version of the SDK starts it."""

import os
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from module_sdk import module, serve

GATES = Path(os.environ["UPGRADE_GATES"])
MANY = 2_500_000


def hold() -> None:
    """Wait for the file."""
    while not (GATES / "open").exists():
        time.sleep(0.02)


@module("held.count")
def count(*, upto: int) -> pa.Table:
    """Count, once the gate is open."""
    hold()
    return pa.table({"n": list(range(upto))})


@module("held.double")
def double(rows: pa.Table, *, held: bool = True) -> pa.Table:
    """Add a column with the doubles of `qty`."""
    if held:
        hold()
    return rows.append_column("twice", pc.multiply(rows["qty"], 2))


@module("held.some")
def some(*, item: int) -> pa.Table:
    """One row; those of odd elements wait."""
    if item % 2:
        hold()
    return pa.table({"item": [item]})


@module("held.fetch")
def fetch() -> pa.Table:
    """Fails as a connection does, as long as the gate is closed."""
    if not (GATES / "open").exists():
        raise ConnectionError("nobody is there yet")
    return pa.table({"n": [1]})


@module("held.many")
def many() -> pa.Table:
    """A table that is large enough for pieces, and small when it is packed."""
    return pa.table({"flag": pa.array([False]).take(pa.array([0] * MANY))})


@module("held.flip", inputs={"rows": {"flag": "bool"}}, outputs={"out": {"flag": "bool"}}, rows="same", rowwise=True)
def flip(rows: pa.Table) -> pa.Table:
    """Turn each row; the first piece is done at once, the others hold."""
    mark = GATES / "first-piece"
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        hold()
    return pa.table({"flag": pc.invert(rows["flag"])})


@module("held.sum")
def total(rows: pa.Table) -> pa.Table:
    """How many rows there are, and how many of them are true."""
    return pa.table({"rows": [rows.num_rows], "true": [pc.sum(rows["flag"]).as_py()]})


if __name__ == "__main__":
    serve(count, double, some, fetch, many, flip, total, slots=6)
