"""Schemas and rows of an output, as JSON text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
from pydantic_core import to_json

from gateway.errors import RequestInvalid
from gateway.reader.json_values import json_columns, json_rows
from gateway.reader.named import check_names
from gateway.reader.tables import take
from plugmesh.contracts.data import DataRef, FileRef, ValueRef, table_bytes
from plugmesh.data.schema import schema_of
from plugmesh.data.table import read_rows
from plugmesh.objects.port import ObjectStore

_ROWS_AT_A_TIME = 256


def schema(reference: DataRef | FileRef | ValueRef) -> bytes:
    """Rows, bytes, and name, type and nullability of each column."""
    if not isinstance(reference, DataRef):
        return no_table(reference)
    found = schema_of(reference)
    columns = [{**column, "nullable": field.nullable} for column, field in zip(json_columns(found), found, strict=True)]
    return to_json({"kind": "table", "rows": reference.rows, "bytes": table_bytes(reference), "columns": columns})


def rows(store: ObjectStore, reference: DataRef | FileRef | ValueRef, request: dict[str, Any]) -> bytes:
    """Rows from `offset`, or those whose numbers are in `at`; at most `limit_bytes` of them."""
    if not isinstance(reference, DataRef):
        return no_table(reference)
    columns, left_out = shown_columns(schema_of(reference), request.get("columns"), request.get("limit_columns"))
    if request.get("at") is not None:
        table = take(store, reference, request["at"], columns)
    else:
        table = read_rows(store, reference, request["offset"], request["limit"], columns)
    rest: dict[str, Any] = {"kind": "table", "columns": json_columns(table.schema), "total": reference.rows}
    rest |= {"matched": reference.rows, "offset": request["offset"], **request.get("about", {})}
    if left_out:
        rest |= {"columns_left_out": left_out, "message": left_out_message("shown", len(columns), left_out)}
    texts, truncated = _texts(table, int(request["limit_bytes"]))
    return b'{"rows":[' + b",".join(texts) + b"]," + to_json({**rest, "truncated": truncated})[1:]


def no_table(reference: FileRef | ValueRef) -> bytes:
    """What a file or a value is, in the form of an answer about a table."""
    return to_json({"rows": [], "columns": [], "total": 0, **reference.model_dump(mode="json")})


def without_rows(reference: FileRef | ValueRef) -> RequestInvalid:
    """What to raise when rows of something else than a table are asked for."""
    kind = "file: download it" if isinstance(reference, FileRef) else "value: it comes whole without sort and filter"
    return RequestInvalid(f"only a table can be sorted and filtered; this output is a {kind}")


def shown_columns(schema: pa.Schema, asked: Sequence[str] | None, limit: int | None) -> tuple[list[str], int]:
    """The columns to show, and how many are left out of those that nobody asked for."""
    names: list[str] = schema.names
    if asked is None:
        return names[:limit], 0 if limit is None else max(len(names) - limit, 0)
    check_names("columns", asked, names)
    return list(asked), 0


def left_out_message(done: str, shown: int, left_out: int) -> str:
    """What an answer says that does not have all columns."""
    return f"the first {shown:,} of {shown + left_out:,} columns are {done}: name others with columns=a,b"


def _texts(table: pa.Table, limit_bytes: int) -> tuple[list[bytes], bool]:
    texts: list[bytes] = []
    left = limit_bytes
    for batch in _checked(table):
        for row in json_rows(batch):
            text = to_json(row)
            left -= len(text) + 1
            if left < 0:
                return texts, True
            texts.append(text)
    return texts, False


def _checked(table: pa.Table) -> Iterator[pa.RecordBatch]:
    for batch in table.to_batches(max_chunksize=_ROWS_AT_A_TIME):
        batch.validate(full=True)
        yield batch
