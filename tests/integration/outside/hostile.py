"""Files that are made to do harm: bombs, endless lengths, deep nesting."""

import gzip
import io
import struct
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from tests.unit.data.corpus import ipc_file, parquet_file, zipped

MIB = 1024**2
UNREADABLE, TOO_LARGE = "file-unreadable", "may be made of it|bytes of memory"


@dataclass(frozen=True)
class Hostile:
    """A file's name, what makes it, and what its error says, as a pattern."""

    name: str
    content: Callable[[], bytes]
    says: str
    large: bool = False


def _zeros(rows: int = 2 * MIB) -> pa.Table:
    return pa.table({"x": pa.array(memoryview(bytes(8 * rows)).cast("q"))})


def _same_text() -> pa.Table:
    """A dictionary of one long text, named by many rows: Parquet keeps it once."""
    return pa.table(
        {"x": pa.DictionaryArray.from_arrays(pa.array([0] * 400, pa.int32()), ["x" * MIB]).cast(pa.large_string())}
    )


def _csv_rows(rows: int) -> bytes:
    return b"a,b\n" + b"1,2\n" * rows


def _wrong_length(content: bytes, true: int, told: int) -> bytes:
    """Every place that holds a length holds another one."""
    assert struct.pack("<q", true) in content
    return content.replace(struct.pack("<q", true), struct.pack("<q", told))


def _ipc_buffer_lengths() -> bytes:
    return _wrong_length(ipc_file(pa.table({"x": pa.array(range(100), pa.int64())})), 800, 2**62)


def _ipc_row_count() -> bytes:
    return _wrong_length(ipc_file(pa.table({"x": pa.array(range(77), pa.int64())})), 77, 2**40)


def _ipc_uncompressed_length() -> bytes:
    """The length before a compressed buffer says that a terabyte is in it."""
    table = pa.table({"x": pa.array([7] * 150, pa.int64())})
    return _wrong_length(ipc_file(table, "stream", "lz4"), 1200, 2**40)


def _ipc_offsets() -> bytes:
    text = ipc_file(pa.table({"x": ["first", "second"]}))
    return text.replace(struct.pack("<3i", 0, 5, 11), struct.pack("<3i", 0, 5, 2_000_000_000))


def _ipc_dictionary_index() -> bytes:
    tags = pa.table({"x": pa.array(["a", "b", "c", "a", "b"]).dictionary_encode()})
    return ipc_file(tags).replace(struct.pack("<5i", 0, 1, 2, 0, 1), struct.pack("<5i", 0, 1, 2, 0, 2**31 - 1))


def _deep_type(depth: int) -> bytes:
    kind: pa.DataType = pa.int8()
    for _ in range(depth):
        kind = pa.struct([("x", kind)])
    sink = io.BytesIO()
    schema = pa.schema([("x", kind)])
    sink.write(schema.serialize())
    return sink.getvalue()


def _parquet_footer_length() -> bytes:
    return parquet_file(_zeros(10))[:-8] + struct.pack("<I", 2**32 - 1) + b"PAR1"


def _deep_json() -> bytes:
    return b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}\n"


HOSTILE = {
    "a gzip bomb": Hostile("bomb.csv.gz", lambda: gzip.compress(_csv_rows(2 * MIB)), TOO_LARGE),
    "a zstd bomb": Hostile(
        "bomb.csv.zst", lambda: pa.compress(_csv_rows(2 * MIB), codec="zstd", asbytes=True), TOO_LARGE, large=True
    ),
    "a zip bomb": Hostile("bomb.csv.zip", lambda: zipped("bomb.csv", _csv_rows(2 * MIB)), TOO_LARGE, large=True),
    "a line without an end": Hostile(
        "line.csv.gz",
        lambda: gzip.compress(b"a,b\n" + b"x" * 200 * MIB),
        "longer than 64 MiB|bytes of memory",
        large=True,
    ),
    "a packed Arrow file that is far larger": Hostile(
        "bomb.arrow.zst", lambda: pa.compress(bytes(512 * MIB), codec="zstd", asbytes=True), TOO_LARGE, large=True
    ),
    "compressed Arrow buffers": Hostile(
        "bomb.arrow", lambda: ipc_file(_zeros(), "file", "zstd", 2 * MIB), TOO_LARGE, large=True
    ),
    "a Parquet file of zeros": Hostile("bomb.parquet", lambda: parquet_file(_zeros(), compression="zstd"), TOO_LARGE),
    "a Parquet dictionary": Hostile("text.parquet", lambda: parquet_file(_same_text()), TOO_LARGE, large=True),
    "Arrow buffers beyond the end": Hostile("lengths.arrow", _ipc_buffer_lengths, UNREADABLE),
    "more Arrow rows than there are": Hostile("rows.arrow", _ipc_row_count, UNREADABLE),
    "a compressed buffer of a terabyte": Hostile("tera.arrow", _ipc_uncompressed_length, UNREADABLE),
    "text that points elsewhere": Hostile("offsets.arrow", _ipc_offsets, "offset"),
    "words that a dictionary lacks": Hostile("words.arrow", _ipc_dictionary_index, UNREADABLE),
    "a type nested very deep": Hostile("deep.arrow", lambda: _deep_type(300), UNREADABLE),
    "a Parquet footer of 4 GiB": Hostile("footer.parquet", _parquet_footer_length, UNREADABLE),
    "JSON nested very deep": Hostile("deep.jsonl", _deep_json, "nested more than"),
    "an empty file": Hostile("empty.parquet", bytes, UNREADABLE),
    "another format than its name says": Hostile("text.parquet", lambda: b"a,b\n1,2\n" * 100, UNREADABLE),
}
"""By what they are."""
