"""Modules for inputs that are not what was written."""

import os

import pyarrow as pa

from module_sdk import Context, File, module


@module("d.texts")
def texts(rows: pa.Table) -> pa.Table:
    """Look at every text."""
    return pa.table({"n": [sum(len(text) for text in rows.column("y").to_pylist())]})


@module("d.decode")
def decode(*, file: File, how: str) -> pa.Table:
    """Decode a file of the outside world."""
    return file.decode(f"tests.integration.outside.decoders:{how}", {}).read_all()


@module("d.leaves")
def leaves(rows: pa.Table, *, ctx: Context) -> pa.Table:
    """Write something into the private folder, and end the process."""
    (ctx.tmp / "half.bin").write_bytes(b"x" * 1000)
    print(ctx.tmp, flush=True)
    os._exit(9)
