"""How one thing differs from another, in words: contracts, and outputs of a replay. Pure, but for reading a file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from module_sdk.files import File
from plugmesh.cli.commands.authoring.printing import SAME
from plugmesh.cli.display.amounts import rows_text
from plugmesh.data.types import type_name

if TYPE_CHECKING:
    import pyarrow as pa

_SHOWN = 200


def differences(old: Any, new: Any, place: str = "") -> list[str]:
    """What is not the same in two JSON documents, a line each: `params.tax: 0.2, here 0.3`."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        names = list(dict.fromkeys([*old, *new]))
        return [
            line for name in names for line in differences(old.get(name), new.get(name), f"{place}.{name}".strip("."))
        ]
    if _is_list(old) and _is_list(new) and len(old) == len(new):
        pairs = enumerate(zip(old, new, strict=True))
        return [line for index, (one, other) in pairs for line in differences(one, other, f"{place}[{index}]")]
    return [] if old == new else [f"{place}: {_short(old)}, here {_short(new)}"]


def compare(value: Any, path: Path) -> str:
    """How an output differs from the accepted one, which was saved as Arrow, as JSON, or as it is."""
    if hasattr(value, "to_pylist"):
        return _tables(value, path)
    if isinstance(value, File):
        same = hashlib.sha256(value.read()).digest() == hashlib.sha256(path.read_bytes()).digest()
        return SAME if same else f"different: {value.bytes:,} bytes, accepted were {path.stat().st_size:,}"
    accepted = json.loads(path.read_text("utf-8"))
    return SAME if accepted == value else f"different: accepted was {_short(accepted)}"


def _tables(value: pa.Table, path: Path) -> str:
    from pyarrow import ipc

    with ipc.open_stream(path) as reader:
        accepted = reader.read_all()
    ours = {field.name: type_name(field.type) for field in value.schema}
    theirs = {field.name: type_name(field.type) for field in accepted.schema}
    if ours != theirs:
        return "different columns: " + "; ".join(differences(theirs, ours))
    if value.num_rows != accepted.num_rows:
        return f"different: {rows_text(value.num_rows)}, accepted were {accepted.num_rows:,}"
    changed = [name for name in value.column_names if not _same(value[name], accepted[name])]
    return SAME if not changed else f"different values in {', '.join(changed)}{_first(value, accepted, changed[0])}"


def _same(one: pa.ChunkedArray, other: pa.ChunkedArray) -> bool:
    return bool(one.cast(other.type).equals(other)) or one.to_pylist() == other.to_pylist()


def _first(value: pa.Table, accepted: pa.Table, column: str) -> str:
    pairs = zip(value[column].to_pylist(), accepted[column].to_pylist(), strict=True)
    found = next(((row, one, other) for row, (one, other) in enumerate(pairs) if one != other), None)
    return "" if found is None else f"; first in row {found[0]}: {_short(found[1])}, accepted was {_short(found[2])}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _short(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
