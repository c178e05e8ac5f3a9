"""The words of type names: what there is, how each is written, and what people write instead."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa


def _arrow(function: str) -> Callable[[], pa.DataType]:
    def make() -> pa.DataType:
        import pyarrow as pa

        return getattr(pa, function)()

    return make


SIMPLE: Mapping[str, Callable[[], pa.DataType]] = {
    name: _arrow({"bool": "bool_"}.get(name, name))
    for name in (
        *("null", "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
        *("float16", "float32", "float64", "string", "large_string", "string_view", "binary", "large_binary"),
        *("binary_view", "date32", "date64", "month_day_nano_interval"),
    )
}
"""Types that are only a name."""

ALIASES = {"double": "float64", "halffloat": "float16", "utf8": "string", "large_utf8": "large_string"}
LISTS = {"list": "list_", "large_list": "large_list", "list_view": "list_view", "large_list_view": "large_list_view"}
DECIMALS = ("decimal32", "decimal64", "decimal128", "decimal256")
_MEANT = {
    "int": "int64",
    "integer": "int64",
    "float": "float64 (or float32)",
    "number": "float64",
    "str": "string",
    "text": "string",
    "boolean": "bool",
    "bytes": "binary",
    "datetime": "timestamp[us]",
    "date": "date32",
    "time": "time64[us]",
    "timedelta": "duration[us]",
    "decimal": "decimal128(10, 2)",
    "category": "dictionary<values=string, indices=int32>",
    "categorical": "dictionary<values=string, indices=int32>",
    "array": "list<float64>",
    "dict": "struct<a: int64>",
    "object": "any",
}
EXAMPLES = {
    "timestamp": "timestamp[us] or timestamp[us, tz=UTC]",
    "time32": "time32[s]",
    "time64": "time64[us]",
    "duration": "duration[us]",
    "fixed_size_binary": "fixed_size_binary[16]",
    "fixed_size_list": "fixed_size_list<float32>[3]",
    "struct": "struct<a: int64, b: string>",
    "map": "map<string, int64>",
    "dictionary": "dictionary<values=string, indices=int32>",
    "run_end_encoded": "run_end_encoded<run_ends=int32, values=string>",
    **{name: f"{name}(9, 2)" for name in DECIMALS},
    **{name: f"{name}<float64>" for name in LISTS},
}


def meant_by(name: str) -> str | None:
    """The type that somebody probably meant."""
    meant = _MEANT.get(name.lower())
    near = [meant] if meant else difflib.get_close_matches(name, [*SIMPLE, *EXAMPLES, "any"], 1)
    return near[0] if near else None
