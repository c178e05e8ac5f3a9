"""References: how modules name data without sending it.

A `DataRef` is an immutable table: its schema, its number of rows, and its *fragments*. A fragment is a range of
rows. Inside it, *column groups* say where each column's bytes are: an object key, and per column an offset, a
length and a hash. A key is never written twice, so a reference can never change its meaning, and a step that adds
one column to a table refers to the other columns where they already are.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue

from plugmesh.contracts.base import Contract

VALUE_LIMIT_BYTES = 8 * 1024
"""Largest JSON text of a value on an edge; anything larger is a table or a file."""

MESSAGE_LIMIT_BYTES = 64 * 1024
"""Largest message on the bus; a reference that does not fit is spilled to the object store."""


INLINE_LIMIT_BYTES = 4 * 1024
"""Most bytes of columns that a reference holds itself, where an object would lie on another machine."""

INLINE_LIMIT_CHARS = 4 * (INLINE_LIMIT_BYTES + 2) // 3
"""The same in base64."""


class ColumnSpan(Contract):
    """Where one column of a fragment is: `length` bytes from `offset` in the group's object, an Arrow IPC stream
    of exactly that column. `hash` is `xxh3:` and 32 hex digits of these bytes."""

    name: str
    offset: int = Field(ge=0)
    length: int = Field(ge=0)
    hash: str


class ColumnGroup(Contract):
    """Columns of a fragment that lie in one object.

    A fragment may be a part of what was written: its rows begin at row `start` of the streams, which have `rows` rows
    (`None`: as many as the fragment). Offsets, lengths and hashes are always those of whole streams.

    With `data` there is no such object: these are its bytes, in base64. `key` is then `inline/` and their hash.
    """

    key: str
    columns: tuple[ColumnSpan, ...]
    data: str | None = Field(default=None, max_length=INLINE_LIMIT_CHARS)
    start: int = Field(default=0, ge=0)
    rows: int | None = Field(default=None, ge=0)


class Fragment(Contract):
    """A range of rows of a table."""

    rows: int = Field(ge=0)
    groups: tuple[ColumnGroup, ...]


class DataRef(Contract):
    """An immutable table. `schema_ipc` is the Arrow schema as an encapsulated IPC message, in base64."""

    kind: Literal["table"] = "table"
    schema_ipc: str
    rows: int = Field(ge=0)
    fragments: tuple[Fragment, ...]


class FileRef(Contract):
    """One immutable version of a file: `name` is what people call it, `key` is the object with its bytes."""

    kind: Literal["file"] = "file"
    name: str
    key: str
    bytes: int = Field(ge=0)
    hash: str
    media_type: str = "application/octet-stream"


class ValueRef(Contract):
    """A small JSON value that travels itself (at most `VALUE_LIMIT_BYTES`)."""

    kind: Literal["value"] = "value"
    value: JsonValue = None


class SpilledRef(Contract):
    """A reference too large for a message: its JSON lies in the object store under `key`.

    With `start`, it stands for a part of that table only: `rows` rows from row `start` on. `schema_hash` is that of the
    table's `schema_ipc`: whether two tables have the same columns can be seen without reading them.
    """

    kind: Literal["spilled"] = "spilled"
    of: Literal["table", "file", "value"]
    key: str
    bytes: int = Field(ge=0)
    hash: str
    rows: int | None = None
    start: int | None = Field(default=None, ge=0)
    schema_hash: str | None = None


class JoinedRef(Contract):
    """The rows of several tables in their order, where one of them is spilled: nobody has to read it to say so."""

    kind: Literal["joined"] = "joined"
    rows: int = Field(ge=0)
    parts: tuple[DataRef | SpilledRef, ...]


AnyReference = DataRef | FileRef | ValueRef | SpilledRef | JoinedRef
Reference = Annotated[AnyReference, Field(discriminator="kind")]


def kind_of(reference: AnyReference) -> Literal["table", "file", "value"]:
    """What it stands for."""
    if isinstance(reference, SpilledRef):
        return reference.of
    return "table" if isinstance(reference, JoinedRef) else reference.kind


def referenced_keys(reference: AnyReference) -> set[str]:
    """The object keys that must exist for `reference` to be readable."""
    if isinstance(reference, DataRef):
        return {group.key for fragment in reference.fragments for group in fragment.groups if group.data is None}
    if isinstance(reference, JoinedRef):
        return {key for part in reference.parts for key in referenced_keys(part)}
    if isinstance(reference, FileRef | SpilledRef):
        return {reference.key}
    return set()


def table_bytes(ref: DataRef, columns: Collection[str] | None = None) -> int:
    """Bytes of a table's columns (`None`: all); of a stream of which it has only a part of the rows, that part."""
    return sum(
        span.length if group.rows is None else span.length * fragment.rows // max(group.rows, 1)
        for fragment in ref.fragments
        for group in fragment.groups
        for span in group.columns
        if columns is None or span.name in columns
    )


def value_bytes(value: Any) -> int:
    """Length in bytes of `value` as compact JSON."""
    return len(ValueRef(value=value).model_dump_json(include={"value"})) - len('{"value":}')


def non_finite(value: JsonValue) -> str | None:
    """The first number in `value` that JSON cannot hold: `NaN`, `Infinity` or `-Infinity`; None if there is none."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, float) and not math.isfinite(one):
            return "NaN" if math.isnan(one) else "Infinity" if one > 0 else "-Infinity"
        if isinstance(one, dict | list):
            left.extend(reversed(list(one.values() if isinstance(one, dict) else one)))
    return None
