"""An example of each Arrow type, in the order in which the page of types lists them."""

import datetime as dt
import uuid
from decimal import Decimal

import pyarrow as pa

NOW = dt.datetime(2026, 11, 3, 4, 5, 6, 789000)  # noqa: DTZ001  naive on purpose
UNITS = ("s", "ms", "us", "ns")
TEXT = pa.array(["a", None, "ü", "longer than twelve bytes"])
BYTES = pa.array([b"\0\xff", None, b"", b"longer than twelve bytes"])

NUMBERS: dict[str, pa.Array] = {
    "null": pa.nulls(2),
    "bool": pa.array([True, False]),
    "bool with nulls": pa.array([True, None]),
    **{f"{sign}int{bits}": pa.array([1, 100], f"{sign}int{bits}") for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "int64 beyond floats": pa.array([-(2**63), 2**63 - 1], pa.int64()),
    "uint64 beyond int64": pa.array([0, 2**64 - 1], pa.uint64()),
    "int64 with nulls": pa.array([2**53 + 1, None], pa.int64()),
    "uint8 with nulls": pa.array([255, None], pa.uint8()),
    "float16": pa.array([1.5, -2.0], pa.float16()),
    "float32": pa.array([1.5, float("inf")], pa.float32()),
    "float64": pa.array([1.5, -0.0], pa.float64()),
    "float64 with nulls": pa.array([1.5, None], pa.float64()),
    "decimal32": pa.array([Decimal("1.10"), None], pa.decimal32(5, 2)),
    "decimal64": pa.array([Decimal("1.10"), None], pa.decimal64(15, 2)),
    "decimal128": pa.array([Decimal("1.10"), None], pa.decimal128(10, 2)),
    "decimal128 of 38 digits": pa.array([Decimal(10) ** 37, None], pa.decimal128(38, 0)),
    "decimal128 of tens": pa.array([Decimal("1E3"), None], pa.decimal128(5, -2)),
    "decimal256": pa.array([Decimal(10) ** 50, None], pa.decimal256(60, 2)),
}
TIMES: dict[str, pa.Array] = {
    "date32": pa.array([NOW.date(), None], pa.date32()),
    "date64": pa.array([NOW.date(), None], pa.date64()),
    **{f"time32[{unit}]": pa.array([dt.time(1, 2, 3), None], pa.time32(unit)) for unit in ("s", "ms")},
    **{f"time64[{unit}]": pa.array([dt.time(1, 2, 3, 4), None], pa.time64(unit)) for unit in ("us", "ns")},
    **{f"timestamp[{unit}]": pa.array([1, 2], pa.timestamp(unit)) for unit in UNITS},
    "timestamp[us] with nulls": pa.array([NOW, None], pa.timestamp("us")),
    **{
        f"timestamp[{unit}, tz=Europe/Paris]": pa.array([1, None], pa.timestamp(unit, "Europe/Paris")) for unit in UNITS
    },
    "timestamp[us, tz=+05:30]": pa.array([1, None], pa.timestamp("us", "+05:30")),
    **{f"duration[{unit}]": pa.array([1, None], pa.duration(unit)) for unit in UNITS},
    "month_day_nano_interval": pa.array([(1, 2, 3000), None], pa.month_day_nano_interval()),
}
WORDS: dict[str, pa.Array] = {
    "string": TEXT,
    "large_string": TEXT.cast(pa.large_string()),
    "string_view": TEXT.cast(pa.string_view()),
    "binary": BYTES,
    "large_binary": BYTES.cast(pa.large_binary()),
    "binary_view": BYTES.cast(pa.binary_view()),
    "fixed_size_binary[2]": pa.array([b"ab", None], pa.binary(2)),
    "dictionary of text": pa.array(["a", None, "b", "a"]).dictionary_encode(),
    "dictionary of text, int8": pa.array(["a", "b"]).dictionary_encode().cast(pa.dictionary(pa.int8(), pa.string())),
    "dictionary of text, ordered": pa.DictionaryArray.from_arrays(
        pa.array([0, 1, None]), pa.array(["b", "a"]), ordered=True
    ),
    "dictionary of numbers": pa.array([1.5, None, 2.5]).dictionary_encode(),
    "dictionary with null in it": pa.DictionaryArray.from_arrays(pa.array([0, 1]), pa.array(["a", None])),
    "dictionary with repeats": pa.DictionaryArray.from_arrays(pa.array([0, 1, 2]), pa.array(["a", "b", "a"])),
}
_STRUCT = pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])
NESTED: dict[str, pa.Array] = {
    "list": pa.array([[1, None], None, []], pa.list_(pa.int64())),
    "large_list": pa.array([["a"], None], pa.large_list(pa.string())),
    "fixed_size_list": pa.array([[1.0, 2.0], None], pa.list_(pa.float64(), 2)),
    "list_view": pa.array([[1], None], pa.list_view(pa.int64())),
    "large_list_view": pa.array([[1], None], pa.large_list_view(pa.int64())),
    "struct": pa.array([{"a": 1, "b": ["x"]}, None], _STRUCT),
    "list of struct": pa.array([[{"a": Decimal("1.5")}], None], pa.list_(pa.struct([("a", pa.decimal128(5, 1))]))),
    "list of timestamp[s]": pa.array([[1], None], pa.list_(pa.timestamp("s"))),
    "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    "run_end_encoded": pa.RunEndEncodedArray.from_arrays([2, 3], pa.array(["a", "b"])),
    "dense_union": pa.UnionArray.from_dense(
        pa.array([0, 1], pa.int8()), pa.array([0, 0], pa.int32()), [pa.array([1]), pa.array(["a"])]
    ),
}
EXTENSIONS: dict[str, pa.Array] = {
    "uuid": pa.ExtensionArray.from_storage(pa.uuid(), pa.array([uuid.UUID(int=7).bytes, None], pa.binary(16))),
    "json": pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": 1}', None])),
    "bool8": pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None], pa.int8())),
    "fixed_shape_tensor": pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.int32(), [2]), pa.array([[1, 2], [3, 4]], pa.list_(pa.int32(), 2))
    ),
    "opaque": pa.ExtensionArray.from_storage(pa.opaque(pa.binary(), "geometry", "maker"), pa.array([b"x", None])),
}
GROUPS = {
    "Numbers": NUMBERS,
    "Dates and times": TIMES,
    "Text, bytes and dictionaries": WORDS,
    "Nested": NESTED,
    "Extension types": EXTENSIONS,
}
EXAMPLES: dict[str, pa.Array] = {name: array for group in GROUPS.values() for name, array in group.items()}

_POLARS = dict.fromkeys(("decimal256", "month_day_nano_interval", "timestamp[us, tz=+05:30]", "dense_union"), "polars")
REFUSED: dict[str, dict[str, str]] = {
    "pandas.DataFrame": {},
    "polars.DataFrame": _POLARS,
    "polars.LazyFrame": _POLARS,
    "duckdb.DuckDBPyRelation": dict.fromkeys(("decimal256", "duration[ns]", "dense_union"), "DuckDB"),
}
"""What a library has no type for, by frame, and how the library is called. (DuckDB: nanoseconds, not whole microseconds.)"""
BECOMES: dict[str, dict[str, pa.DataType]] = {
    "duckdb.DuckDBPyRelation": {"dictionary of text, ordered": pa.string(), "uuid": pa.string()},
}
"""The type with which a column comes back that was changed, where it is another one."""
