"""Modules for inputs that are not what was written."""

import pyarrow as pa

from module_sdk import File, module


@module("d.texts")
def texts(rows: pa.Table) -> pa.Table:
    """Look at every text."""
    return pa.table({"n": [sum(len(text) for text in rows.column("y").to_pylist())]})


@module("d.decode")
def decode(*, file: File, how: str) -> pa.Table:
    """Decode a file of the outside world."""
    return file.decode(f"tests.integration.outside.decoders:{how}", {}).read_all()
