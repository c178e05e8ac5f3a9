"""JSON lines to Arrow: one object a line. Numbers widen over the whole file; text and numbers in one column do not mix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from module_sdk import DataError
from modules.arrow_types import named_types
from modules.bad_rows import BadRows, Reject
from modules.json_depth import BracketLimit, ManyBrackets, check_depth
from modules.json_lines import GoodObjects

if TYPE_CHECKING:
    import pyarrow as pa

BLOCK_BYTES = 8 * 1024 * 1024
"""Bytes parsed at once; an object must fit, so a file with a longer one is read again with larger blocks."""
_LARGEST_BLOCK_BYTES = 1024 * 1024 * 1024


def read_jsonl(reopen: Callable[[], Any], types: Mapping[str, str], reject: Reject | None = None) -> pa.Table:
    """Read the stream that `reopen()` gives anew each time it is called. With `reject`, lines that are no objects are left
    out and told to it. Raises `DataError`, `pyarrow.ArrowInvalid`."""
    if reject is None:
        return _read_whole(reopen, types)
    bad = BadRows(reject)

    def good() -> GoodObjects:
        bad.begin()
        return GoodObjects(reopen(), bad.add)

    table = _read_whole(good, types)
    bad.tell()
    return table


def _read_whole(reopen: Callable[[], Any], types: Mapping[str, str]) -> pa.Table:
    import pyarrow as pa

    block_bytes, checked = BLOCK_BYTES, False
    while True:
        try:
            return _read(reopen() if checked else BracketLimit(reopen()), types, block_bytes)
        except ManyBrackets:
            check_depth(reopen())
            checked = True
        except pa.ArrowInvalid as error:
            said = str(error)
            if "straddl" in said and block_bytes < _LARGEST_BLOCK_BYTES:
                block_bytes *= 8
            elif "Empty JSON" in said:
                raise DataError("file: the file is empty: it has no line with an object") from None
            elif "changed from" in said or "Failed to convert" in said:
                raise DataError(
                    f"file: a column has values of several types ({said.partition(': ')[2] or said}): make them one type, "
                    "or say in `types` what to read them as"
                ) from None
            else:
                raise


def _read(stream: Any, types: Mapping[str, str], block_bytes: int) -> pa.Table:
    import pyarrow as pa
    from pyarrow import json

    schema = pa.schema(list(named_types(types, None).items())) if types else None
    return json.read_json(
        stream,
        read_options=json.ReadOptions(block_size=block_bytes),
        parse_options=json.ParseOptions(explicit_schema=schema, unexpected_field_behavior="infer"),
    )
