"""Arrow types by name, as contracts and messages write them: `int64`, `decimal128(10, 2)`, `timestamp[us, tz=UTC]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from module_sdk import DataError
from modules.names import unknown_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

_DECIMAL = re.compile(r"^decimal(?:128)?\((\d{1,2}), *(-?\d{1,2})\)$")
_ZONED = re.compile(r"^timestamp\[(s|ms|us|ns), *tz=([\w/+:-]+)\]$")


def named_types(types: Mapping[str, str], names: Sequence[str] | None) -> dict[str, pa.DataType]:
    """Arrow types by column. `names` are the columns there are, if known. Raises `DataError`."""
    for column in types:
        if names is not None and column not in names:
            raise unknown_column("types", column, names, "file")
    return {column: _type(column, name.strip()) for column, name in types.items()}


def _type(column: str, name: str) -> pa.DataType:
    import pyarrow as pa

    try:
        if found := _DECIMAL.match(name):
            return pa.decimal128(int(found[1]), int(found[2]))
        if found := _ZONED.match(name):
            return pa.timestamp(found[1], found[2])
        return pa.type_for_alias(name)
    except ValueError:
        raise DataError(
            f"types: {name!r}, for the column {column!r}, is no type: write for example string, int64, float64, bool, "
            "date32, timestamp[us], timestamp[us, tz=UTC] or decimal128(10, 2)"
        ) from None
