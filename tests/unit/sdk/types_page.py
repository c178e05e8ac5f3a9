"""docs/reference/types.md: what is made of each Arrow type, found out by trying it."""

from __future__ import annotations

from typing import Any, NamedTuple

import duckdb
import pandas as pd
import pyarrow as pa

from module_sdk.dataframes.adapters import adapter_for, from_native
from module_sdk.dataframes.duckdb_frames import to_relation
from plugmesh.data.types import type_name
from plugmesh.errors import DataMismatch
from tests.unit.sdk.arrow_types import BECOMES, GROUPS

LIBRARIES = {
    "pandas": "pandas.DataFrame",
    "polars": "polars.DataFrame",
    "DuckDB": "duckdb.DuckDBPyRelation",
}
INTRODUCTION = """\
# Types

<!-- Made by scripts/types-page, which hands an example of each type to each library: a test fails when it is out of date. -->

Columns are Arrow's. What a module gets for one depends on the frame that its annotation asks for:

- `pa.Table`, `pa.RecordBatch`, `pa.RecordBatchReader`: the column itself, whatever its type.
- `pd.DataFrame`: a read-only **NumPy** array over the same bytes for numbers, truth values (unpacked) and naive
  timestamps without nulls; **`category`** for dictionaries; **`pd.ArrowDtype`** over the same bytes for everything else,
  so for a number with nulls, too: it stays exact, and is computed with about three times as slowly.
- `pl.DataFrame`: polars' own types, over the same bytes for numbers and times; text, nested columns and categories are
  made anew. `pl.LazyFrame` is the same, for the columns that the query asks for.
- a DuckDB relation: DuckDB reads the Arrow table itself, again only the columns that the query asks for.

What comes back:

- **An untouched column is the input's own**, of every type, from pandas and polars: nothing is converted or written. A
  part of its rows that lies in one piece (`df.head(9)`) is that part of the input.
- **A changed column keeps its type** if it keeps its name and the library alone would have made another one of it:
  polars has no `timestamp[s]`, but the column `at` goes out as one if it came as one. Values that the old type cannot
  hold (half a second) keep the new type. Where that is not possible, the table says what a changed one becomes. In a
  stream of frames, and in what a lazy frame or a relation computes from more than 1 GiB, only the layout is kept
  (`string`, not `large_string`), for a later part might not fit.
- **A new column** has the type that the table gives after the arrow (→), or else the same type as in the first column.
- NaN in a NumPy column of pandas that is new or changed becomes null, for that is what pandas means by it. In arrays of
  NumPy it stays NaN.
- The index of a pandas frame is dropped if it has no name; with a name it becomes the first column, as do all levels of
  a `MultiIndex` (an unnamed one is called `level_0`, `level_1`, …).
- Two columns of one name, a label that is no text, and a column of Python objects of several kinds are errors that name
  the column.

Besides frames a module may return a structured NumPy array, a dict of columns (arrays of NumPy or Arrow, series, lists),
a list of dicts, a generator of any of these, and anything with `__arrow_c_stream__`.
"""


class Made(NamedTuple):
    """What a library makes of a type: its own, and the Arrow type of a new column of it."""

    own: str
    new: str


def made(frame: str, array: pa.Array, database: duckdb.DuckDBPyConnection) -> Made | str:
    """`str`: why the library cannot have it."""
    table = pa.table({"x": pa.chunked_array([array, array])})
    try:
        in_sql = frame == LIBRARIES["DuckDB"]
        native = to_relation(table, database)[0] if in_sql else adapter_for(frame).to_native(table)
    except DataMismatch as error:
        reason = str(error).partition(" cannot be handed over as ")[2].partition(": ")[2].partition(". Annotate")[0]
        return reason.removeprefix("Not implemented Error: ")
    return Made(_own(frame, native), _arrow(from_native(native)))


def _arrow(table: Any) -> str:
    return type_name(table.schema.field("x").type)


def _own(frame: str, native: Any) -> str:
    if frame == LIBRARIES["pandas"]:
        kind = native.dtypes["x"]
        return "ArrowDtype" if isinstance(kind, pd.ArrowDtype) else str(kind)
    if frame == LIBRARIES["polars"]:
        text = (
            str(native.schema["x"]).replace(", time_zone=None", "").replace("time_unit=", "").replace("time_zone=", "")
        )
        return text.partition("(")[0] if text.startswith("Extension") else text
    return str(native.types[0])


def page() -> str:
    """The whole page."""
    sections = [INTRODUCTION]
    database = duckdb.connect()
    for group, examples in GROUPS.items():
        rows = [f"## {group}", "", "| Arrow | " + " | ".join(LIBRARIES) + " |", "| --- |" + " --- |" * len(LIBRARIES)]
        for name, array in examples.items():
            cells = [_cell(frame, name, array, database) for frame in LIBRARIES.values()]
            rows.append(f"| {_head(name, array)} | " + " | ".join(cells) + " |")
        sections.append("\n".join(rows) + "\n")
    return "\n".join(sections)


def _head(name: str, array: pa.Array) -> str:
    kind = type_name(array.type)
    return f"`{kind}`{name.removeprefix(kind)}" if name.startswith(kind) else f"{name}: `{kind}`"


def _cell(frame: str, name: str, array: pa.Array, database: duckdb.DuckDBPyConnection) -> str:
    found = made(frame, array, database)
    if isinstance(found, str):
        return "error: " + found.replace("|", "\\|")
    text = f"`{found.own}`"
    if found.new != type_name(array.type):
        text += f" → `{found.new}`"
    changed = BECOMES.get(frame, {}).get(name)
    return text + (f", changed `{type_name(changed)}`" if changed is not None else "")
