"""Arrow types and the names that contracts give them.

    bool  int8 … int64  uint8 … uint64  float16 float32 float64  string  binary  date32  null  any
    timestamp[us]  timestamp[us, tz=UTC]  time64[ns]  duration[s]  decimal128(10, 2)  fixed_size_binary[16]
    list<float64>  fixed_size_list<float32>[3]  struct<a: int64, "odd name": list<string>>  map<string, int64>
    dictionary<values=string, indices=int32>  dictionary<values=string, indices=int8, ordered>

Fields inside may say `not null`: `list<int64 not null>`. What Arrow itself prints for these types is understood too.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from plugmesh.data.type_parser import TypeParser
from plugmesh.data.type_words import SIMPLE

if TYPE_CHECKING:
    import pyarrow as pa

ANY = "any"
"""The name that accepts every type."""

_WORD = re.compile(r"[A-Za-z_]\w*")
_ZONE = re.compile(r"[A-Za-z0-9_+\-/:]+")


def parse_type(name: str) -> pa.DataType | None:
    """The type called `name`; `None` for `any`. Raises `ContractError` saying what is wrong and what was meant."""
    return None if name.strip() == ANY else TypeParser(name).parse()


def type_name(kind: pa.DataType) -> str:
    """The name that `parse_type` reads back. A type of an extension is called `extension<its name>` and is not."""
    from pyarrow import types

    if types.is_struct(kind):
        inner = ", ".join(f"{_label(field.name)}: {_field(field)}" for field in kind)
        return f"struct<{inner}>"
    if types.is_map(kind):
        return f"map<{type_name(kind.key_type)}, {_field(kind.item_field)}{', sorted' if kind.keys_sorted else ''}>"
    if types.is_dictionary(kind):
        ordered = ", ordered" if kind.ordered else ""
        return f"dictionary<values={type_name(kind.value_type)}, indices={type_name(kind.index_type)}{ordered}>"
    if types.is_run_end_encoded(kind):
        return f"run_end_encoded<run_ends={type_name(kind.run_end_type)}, values={type_name(kind.value_type)}>"
    return _list_name(kind) or _plain_name(kind)


def accepts(expected: str, found: pa.DataType) -> bool:
    """True if a column of type `found` may stand where a contract says `expected`.

    The same type; or another layout of it: large and view types of text and bytes, dictionaries of them, any index
    type of a dictionary, large lists and list views, the storage of an extension type. Never another meaning: no
    other width, unit, time zone or precision. Raises `ContractError` for a name that is none.
    """
    wanted = parse_type(expected)
    return wanted is None or fits(wanted, found)


def _plain_name(kind: pa.DataType) -> str:
    from pyarrow import types

    if types.is_timestamp(kind):
        return f"timestamp[{kind.unit}]" if kind.tz is None else f"timestamp[{kind.unit}, tz={_zone(kind.tz)}]"
    if types.is_duration(kind):
        return f"duration[{kind.unit}]"
    if types.is_decimal(kind):
        return f"decimal{kind.bit_width}({kind.precision}, {kind.scale})"
    if hasattr(kind, "extension_name"):
        return f"extension<{kind.extension_name}>"
    if types.is_fixed_size_binary(kind):
        return f"fixed_size_binary[{kind.byte_width}]"
    # What is left is called as Arrow prints it: time32[s], time64[us].
    return next((simple for simple, make in SIMPLE.items() if kind.equals(make())), str(kind))


def _list_name(kind: pa.DataType) -> str | None:
    from pyarrow import types

    if types.is_fixed_size_list(kind):
        return f"fixed_size_list<{_field(kind.value_field)}>[{kind.list_size}]"
    for test, name in (
        (types.is_list, "list"),
        (types.is_large_list, "large_list"),
        (types.is_list_view, "list_view"),
        (types.is_large_list_view, "large_list_view"),
    ):
        if test(kind):
            return f"{name}<{_field(kind.value_field)}>"
    return None


def _field(field: pa.Field) -> str:
    return type_name(field.type) + ("" if field.nullable else " not null")


def _label(name: str) -> str:
    return name if _WORD.fullmatch(name) else json.dumps(name)


def _zone(zone: str) -> str:
    return zone if _ZONE.fullmatch(zone) else json.dumps(zone)


def fits(wanted: pa.DataType, found: pa.DataType) -> bool:
    """`accepts`, for a type instead of its name."""
    from pyarrow import types

    if wanted.equals(found):
        return True
    if hasattr(found, "storage_type"):
        return fits(wanted, found.storage_type)
    if types.is_dictionary(found):
        values = found.value_type
        if types.is_dictionary(wanted):
            return bool(wanted.ordered <= found.ordered) and fits(wanted.value_type, values)
        return (_is_text(wanted) and _is_text(values)) or (_is_bytes(wanted) and _is_bytes(values))
    if (_is_text(wanted) and _is_text(found)) or (_is_bytes(wanted) and _is_bytes(found)):
        return True
    return _fits_nested(wanted, found)


def _fits_nested(wanted: pa.DataType, found: pa.DataType) -> bool:
    from pyarrow import types

    if _is_list(wanted) and _is_list(found):
        return fits(wanted.value_type, found.value_type)
    if types.is_fixed_size_list(wanted) and types.is_fixed_size_list(found):
        return bool(wanted.list_size == found.list_size) and fits(wanted.value_type, found.value_type)
    if types.is_struct(wanted) and types.is_struct(found):
        same_names = [field.name for field in wanted] == [field.name for field in found]
        return same_names and all(fits(one.type, two.type) for one, two in zip(wanted, found, strict=True))
    if types.is_map(wanted) and types.is_map(found):
        return fits(wanted.key_type, found.key_type) and fits(wanted.item_type, found.item_type)
    return False


def _is_text(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_bytes(kind: pa.DataType) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_binary_view(kind))


def _is_list(kind: pa.DataType) -> bool:
    from pyarrow import types

    views = types.is_list_view(kind) or types.is_large_list_view(kind)
    return bool(types.is_list(kind) or types.is_large_list(kind) or views)
