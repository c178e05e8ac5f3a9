"""Files of every format that `io.read` knows, broken in seeded ways: the same seed gives the same file."""

import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache

import pyarrow as pa
from pyarrow import parquet

ROWS = 400
EXTREMES = (0, 1, 7, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1)


@dataclass(frozen=True)
class Case:
    """A broken file. `seed` makes it again."""

    seed: int
    name: str
    how: str
    content: bytes

    def __str__(self) -> str:
        return f"seed {self.seed}: {self.name}, {self.how}"


def case(seed: int) -> Case:
    """The file of a seed."""
    draw = random.Random(seed)
    names = sorted(base_files())
    name = names[seed % len(names)]
    content, how = bytearray(base_files()[name]), []
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        mutation = draw.choice(MUTATIONS)
        content = mutation(draw, content)
        how.append(mutation.__name__)
    return Case(seed, name, ", ".join(how), bytes(content))


@cache
def base_files() -> dict[str, bytes]:
    """Whole files by name."""
    table, flat = everything(), everything().select(["id", "price", "name", "day", "flag"])
    files = {
        f"{kind}-{compression or 'plain'}.arrow": ipc_file(table, kind, compression)
        for kind in ("file", "stream")
        for compression in (None, "lz4", "zstd")
    }
    for name, compression in (("plain", "none"), ("snappy", "snappy"), ("zstd", "zstd"), ("gzip", "gzip")):
        files[f"{name}.parquet"] = parquet_file(table, compression=compression, row_group_size=150)
    files["pages2.parquet"] = parquet_file(flat, data_page_version="2.0", data_page_size=512, write_page_index=True)
    files["flat.parquet"] = parquet_file(flat, use_dictionary=False, column_encoding={"id": "DELTA_BINARY_PACKED"})
    rows = flat.to_pylist()
    lines = [",".join(flat.column_names), *(",".join(map(str, row.values())) for row in rows)]
    text = "\n".join(lines).encode() + b"\n"
    files |= {"rows.csv": text, "rows.csv.gz": gzip.compress(text, mtime=0), "rows.csv.zip": zipped("rows.csv", text)}
    files["rows.csv.zst"] = pa.compress(text, codec="zstd", asbytes=True)
    json_text = b"".join(json.dumps(row, default=str).encode() + b"\n" for row in rows)
    files |= {"rows.jsonl": json_text, "rows.jsonl.gz": gzip.compress(json_text, mtime=0)}
    return files


def everything() -> pa.Table:
    """A small table of many types, with nulls."""
    numbers = range(ROWS)
    return pa.table(
        {
            "id": pa.array(numbers, pa.int64()),
            "price": pa.array([None if n % 7 == 0 else n / 3 for n in numbers]),
            "name": pa.array([f"name {n % 50}" if n % 5 else None for n in numbers]),
            "day": pa.array([datetime(2024, 1, 1 + n % 28, tzinfo=UTC) for n in numbers], pa.timestamp("us", "UTC")),
            "flag": pa.array([n % 3 == 0 for n in numbers]),
            "tag": pa.array([f"tag {n % 9}" for n in numbers]).dictionary_encode(),
            "money": pa.array([Decimal(n) / 100 for n in numbers], pa.decimal128(12, 2)),
            "list": pa.array([[n, None, n + 1][: n % 4] for n in numbers], pa.list_(pa.int32())),
            "place": pa.array([{"x": n, "names": [f"n{n}"] * (n % 3)} for n in numbers]),
            "map": pa.array([[(f"k{n}", n)] * (n % 2) for n in numbers], pa.map_(pa.string(), pa.int64())),
            "raw": pa.array([bytes([n % 256]) * (n % 6) for n in numbers], pa.binary()),
        }
    )


def ipc_file(table: pa.Table, kind: str = "file", compression: str | None = None, rows: int = 150) -> bytes:
    """An IPC file or stream."""
    sink, options = io.BytesIO(), pa.ipc.IpcWriteOptions(compression=compression)
    make = pa.ipc.new_file if kind == "file" else pa.ipc.new_stream
    with make(sink, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=rows)
    return sink.getvalue()


def parquet_file(table: pa.Table, **options: object) -> bytes:
    """A Parquet file."""
    sink = io.BytesIO()
    parquet.write_table(table, sink, **options)
    return sink.getvalue()


def zipped(name: str, content: bytes) -> bytes:
    """An archive with one file."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return sink.getvalue()


# -- mutations ---------------------------------------------------------------------------------------------------------

Mutation = Callable[[random.Random, bytearray], bytearray]


def _at(draw: random.Random, data: bytearray) -> int:
    """A place: often near the beginning or the end, where headers and footers are."""
    near = min(400, len(data) - 1)
    return max(
        0, draw.choice((draw.randrange(len(data)), draw.randint(0, near), len(data) - 1 - draw.randint(0, near)))
    )


def flip_bits(draw: random.Random, data: bytearray) -> bytearray:
    for _ in range(draw.choice((1, 2, 8, 64)) if data else 0):
        data[_at(draw, data)] ^= 1 << draw.randrange(8)
    return data


def set_bytes(draw: random.Random, data: bytearray) -> bytearray:
    for _ in range(draw.choice((1, 4, 16)) if data else 0):
        data[_at(draw, data)] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
    return data


def set_numbers(draw: random.Random, data: bytearray) -> bytearray:
    """What may be a length or an offset becomes an extreme one."""
    for _ in range(draw.choice((1, 2, 6)) if data else 0):
        size = draw.choice((2, 4, 4, 8))
        at = _at(draw, data) // size * size
        number = draw.choice((*EXTREMES, len(data), len(data) + 1)) % 2 ** (8 * size)
        piece = number.to_bytes(size, draw.choice(("little", "little", "big")))
        data[at : at + size] = piece[: len(data) - at]
    return data


def cut_off(draw: random.Random, data: bytearray) -> bytearray:
    return data[: _at(draw, data)] if data else data


def lose_a_piece(draw: random.Random, data: bytearray) -> bytearray:
    if data:
        at = _at(draw, data)
        del data[at : at + draw.choice((1, 8, 100, 4096))]
    return data


def repeat_a_piece(draw: random.Random, data: bytearray) -> bytearray:
    if data:
        at, size = _at(draw, data), draw.choice((1, 8, 100, 4096))
        data[at:at] = data[at : at + size]
    return data


def blank_a_piece(draw: random.Random, data: bytearray) -> bytearray:
    if data:
        at, size = _at(draw, data), draw.choice((8, 64, 512))
        data[at : at + size] = bytes(len(data[at : at + size]))
    return data


def exchange_pieces(draw: random.Random, data: bytearray) -> bytearray:
    size = draw.choice((4, 8, 64))
    if len(data) > 2 * size:
        one, two = sorted((_at(draw, data), _at(draw, data)))
        if one + size <= two <= len(data) - size:
            data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]
    return data


MUTATIONS: tuple[Mutation, ...] = (
    flip_bits, set_bytes, set_numbers, set_numbers, cut_off, lose_a_piece, repeat_a_piece, blank_a_piece, exchange_pieces,
)  # fmt: skip
