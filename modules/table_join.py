"""`table.join`: bring two tables together by equal values.

DuckDB sees the key columns only, and answers with pairs of row numbers; Arrow then takes the rows, so every column
keeps its type, and a left table whose rows all stay in place is not copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from module_sdk import Column, Columns, DataError, Plan, module
from module_sdk.expressions import decoded, evaluation
from modules.expression_types import all_known
from modules.names import unknown_column
from modules.tables import Schemas, Table

if TYPE_CHECKING:
    import pyarrow as pa

How = Literal["inner", "left", "right", "full", "semi", "anti"]
_FAMILIES = {
    "int": "number",
    "uint": "number",
    "halffloat": "number",
    "float": "number",
    "double": "number",
    "decimal": "number",
    "string": "text",
    "large_string": "text",
    "binary": "bytes",
    "large_binary": "bytes",
    "fixed_size_binary": "bytes",
    "date": "date",
    "time": "time",
}
"""What the names of types begin with, and which of them can be compared with each other."""
_SQL = {"inner": "INNER", "left": "LEFT", "right": "RIGHT", "full": "FULL", "semi": "SEMI", "anti": "ANTI"}


def plan(params: Any, schemas: Schemas) -> Plan:
    """Keys are read, and columns of left that give one of right another name; the others pass."""
    import pyarrow as pa

    left, right, how = schemas["left"], schemas["right"], params["how"]
    keys = join_keys(params["on"], left.names, right.names)
    _check_types(
        {ours: theirs for ours, theirs in keys.items() if _known(ours, left) and _known(theirs, right)}, left, right
    )
    names = joined_names(left.names, right.names, keys, how, params["suffix"])
    both = [old for old, new in names.items() if new != old]
    made = keys if how in ("right", "full") else {}
    return Plan(
        reads={"left": [*keys, *both], "right": keys.values()},
        outputs=pa.schema([*left, *(right.field(old).with_name(new) for old, new in names.items())]),
        passes={
            "out": {name: ("left", name) for name in left.names if name not in made}
            | {new: ("right", old) for old, new in names.items()}
        },
    )


def _known(name: str, schema: pa.Schema) -> bool:
    return all_known([name], schema)


@module("table.join", version="1.1.0", title="Join tables", plan=plan)
def join(
    left: Table,
    right: Table,
    *,
    on: Annotated[
        Column | Columns | dict[str, str],
        Field(description="Columns that must be equal: a name, a list of names, or `{name in left: name in right}`."),
    ],
    how: Annotated[
        How,
        Field(
            description="inner: rows with a match; left, right, full: also the rows of that side (or both) without one; "
            "semi, anti: rows of left with, without a match, and no columns of right."
        ),
    ] = "inner",
    suffix: Annotated[
        str, Field(min_length=1, description="Added to the name of a column of right that left has as well.")
    ] = "_right",
) -> Table:
    """Bring the rows of two tables together where key columns are equal.

    The result has the columns of left, then those of right without its keys. A null is equal to nothing, not even to
    a null. Rows stand in the order of left, the matches of one row in the order of right; with `right` and `full`,
    rows of right without a match follow at the end, in their order, with their keys in left's key columns.
    """
    keys = join_keys(on, left.column_names, right.column_names)
    _check_types(keys, left.schema, right.schema)
    rows = _matches(left, right, keys, how)
    names = joined_names(left.column_names, right.column_names, keys, how, suffix)
    taken = _take(left, rows.left)
    columns = {name: taken.column(name) for name in left.column_names}
    if how in ("right", "full"):
        for left_key, right_key in keys.items():
            columns[left_key] = _filled(columns[left_key], right.column(right_key), rows, left_key)
    other = _take(right.select(list(names)), rows.right) if rows.right is not None else None
    columns |= {new: other.column(old) for old, new in names.items()} if other is not None else {}
    return table_of(columns)


def join_keys(on: str | Sequence[str] | Mapping[str, str], left: Sequence[str], right: Sequence[str]) -> dict[str, str]:
    """Names of key columns in right by name in left. Raises `DataError`."""
    if isinstance(on, str):
        on = [on]
    keys = dict(on) if isinstance(on, Mapping) else {name: name for name in on}
    if not keys:
        raise DataError("on: name at least one column")
    if len(set(keys.values())) < len(keys if isinstance(on, Mapping) else on):
        raise DataError("on: a column is named twice")
    for left_key, right_key in keys.items():
        if left_key not in left:
            raise unknown_column("on", left_key, left, "left")
        if right_key not in right:
            raise unknown_column("on", right_key, right, "right")
    return keys


def joined_names(
    left: Sequence[str], right: Sequence[str], keys: Mapping[str, str], how: How, suffix: str
) -> dict[str, str]:
    """New names of right's columns by old name. Raises `DataError` when two columns would have one name."""
    if how in ("semi", "anti"):
        return {}
    matched = set(keys.values())
    names = {name: name + suffix if name in left else name for name in right if name not in matched}
    taken = set(left)
    for old, new in names.items():
        if new in taken:
            raise DataError(
                f"suffix: the column {old!r} of 'right' would be called {new!r}, as another column is: choose another "
                "suffix, or rename it with table.select"
            )
        taken.add(new)
    return names


@dataclass(frozen=True, slots=True)
class _Rows:
    """Row numbers in left and right of each row of the result; null where a side has no match."""

    left: pa.ChunkedArray
    right: pa.ChunkedArray | None


def _matches(left: Table, right: Table, keys: Mapping[str, str], how: How) -> _Rows:
    one_sided = how in ("semi", "anti")
    equal = " AND ".join(f"l.k{index} = r.k{index}" for index in range(len(keys)))
    wanted = "l.n AS l" if one_sided else "l.n AS l, r.n AS r"
    order = "l" if one_sided else "l NULLS LAST, r NULLS LAST"
    statement = f"SELECT {wanted} FROM l {_SQL[how]} JOIN r ON {equal} ORDER BY {order}"  # noqa: S608  no text of others
    with evaluation(f"on: joining {_pairs(keys)}") as connection:
        connection.register("l", _numbered(left, list(keys)))
        connection.register("r", _numbered(right, list(keys.values())))
        pairs = connection.sql(statement).to_arrow_table()
    return _Rows(pairs.column("l"), None if one_sided else pairs.column("r"))


def _numbered(table: Table, keys: Sequence[str]) -> Table:
    import pyarrow as pa

    columns = [decoded(table.column(name)) for name in keys]
    names = [f"k{index}" for index in range(len(keys))]
    return pa.table([*columns, pa.arange(0, table.num_rows)], names=[*names, "n"])


def _take(table: Table, rows: pa.ChunkedArray) -> Table:
    """The rows of these numbers; the table itself when they are all of its rows in order."""
    import pyarrow as pa

    same = len(rows) == table.num_rows and rows.null_count == 0
    if same and rows.equals(pa.chunked_array([pa.arange(0, table.num_rows)])):
        return table
    return table.take(rows)


def _filled(values: pa.ChunkedArray, others: pa.ChunkedArray, rows: _Rows, name: str) -> pa.ChunkedArray:
    """A key of left, with right's where left has no row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        instead = others.take(rows.right).cast(values.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"on: the keys {name!r} of 'right' ({others.type}) do not fit the type of 'left' ({values.type}): {error}"
        ) from None
    return pc.if_else(pc.is_null(rows.left), instead, values)


def _check_types(keys: Mapping[str, str], left: pa.Schema, right: pa.Schema) -> None:
    for left_key, right_key in keys.items():
        ours, theirs = left.field(left_key).type, right.field(right_key).type
        if _family(ours) != _family(theirs):
            raise DataError(
                f"on: {left_key!r} of 'left' is {ours}, but {right_key!r} of 'right' is {theirs}: "
                "make one of them the other's type with table.derive first"
            )


def _family(kind: Any) -> str:
    """Types of one family can be compared with each other."""
    name = str(kind.value_type if str(kind).startswith("dictionary") else kind)
    if name.startswith("timestamp"):
        return "moment" if "tz=" in name else "timestamp"  # a zone makes it another thing
    return next((family for prefix, family in _FAMILIES.items() if name.startswith(prefix)), name)


def _pairs(keys: Mapping[str, str]) -> str:
    return ", ".join(f"{left!r}" if left == right else f"{left!r} with {right!r}" for left, right in keys.items())


def table_of(columns: Mapping[str, pa.ChunkedArray]) -> Table:
    """A table of these columns."""
    import pyarrow as pa

    return pa.table(list(columns.values()), names=list(columns))
