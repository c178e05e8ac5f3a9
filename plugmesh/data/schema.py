"""Arrow schemas inside references."""

from __future__ import annotations

import base64
import difflib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from plugmesh.contracts.data import DataRef
from plugmesh.errors import DataMismatch, ObjectCorrupt

if TYPE_CHECKING:
    import pyarrow as pa

_NAME_SHOWN = 100


def make_schema_ipc(schema: pa.Schema) -> str:
    """`schema` as an encapsulated IPC message in base64, the way a `DataRef` carries it."""
    return base64.b64encode(schema.serialize()).decode()


def schema_of(ref: DataRef) -> pa.Schema:
    """The Arrow schema of a reference. Raises `ObjectCorrupt` if it cannot be read."""
    import pyarrow as pa

    try:
        return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(ref.schema_ipc, validate=True)))
    except (ValueError, OSError, pa.ArrowException) as error:
        raise ObjectCorrupt(f"the schema in a reference cannot be read ({error}): make the reference again") from error


def find_columns(present: Iterable[str], wanted: Sequence[str]) -> None:
    """Raises `DataMismatch`, with the nearest name, if one of `wanted` is not `present`."""
    names = list(present)
    known = set(names)
    for name in wanted:
        if name not in known:
            raise DataMismatch(f"there is no column {cut(name)!r}{did_you_mean(name, names)}")


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """`; did you mean 'price'?`, or else the names that there are."""
    near = difflib.get_close_matches(name, names, 1)
    return f"; did you mean {cut(near[0])!r}?" if near else f"; the columns are: {listed(names)}"


def listed(names: Sequence[str], shown: int = 20) -> str:
    """Names for a message, not too many of them, and none of them too long."""
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return (", ".join(cut(name) for name in names[:shown]) or "none") + more


def cut(name: str) -> str:
    """A name for a message: its first 100 characters."""
    return name if len(name) <= _NAME_SHOWN else name[: _NAME_SHOWN - 1] + "…"
