"""Arrow tables as pandas frames and back, with every type kept and hardly a byte copied.

What a column becomes is said in `pandas_columns`. What comes back untouched is the column of the input again.

From pandas: NaN in a NumPy float column is how pandas marks a missing value, and becomes null. A default or unnamed
index is dropped; a named one and a MultiIndex become the first columns.
"""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from module_sdk.dataframes.handed import Handed, Origin, Returned
from module_sdk.dataframes.pandas_columns import bytes_of, is_pandas_type, to_arrow, to_column, values_of
from module_sdk.dataframes.same_bytes import Held
from plugmesh.errors import DataMismatch

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_MANY_COLUMNS = 90
"""From a hundred blocks on pandas warns; here each column is one, since it stays where it lies."""


class RowIndex:
    """The rows of one frame that is handed over: by it `row_positions` knows them again. It equals only itself."""

    __slots__ = ("rows",)

    def __init__(self, rows: int) -> None:
        self.rows = rows


def to_pandas(table: pa.Table, rows: RowIndex | None = None) -> tuple[pd.DataFrame, Mapping[str, Any]]:
    """A frame over the bytes of `table`, which has no two columns of one name, and by column what it holds, and where.

    With `rows` its index, to all appearances the default one, remembers which rows of the table it stands for.
    """
    import pandas as pd

    table = _with_pandas_types(table)
    columns = {name: to_column(table.column(index)) for index, name in enumerate(table.column_names)}
    index = pd.RangeIndex(table.num_rows) if rows is None else _index_of(rows)
    owner = pd.DataFrame(columns, index=index, copy=False)
    frame = owner.copy(deep=False)
    if table.num_columns > _MANY_COLUMNS:
        # pandas would advise whoever adds a column to copy all others into one block
        warnings.filterwarnings("ignore", "DataFrame is highly fragmented", pd.errors.PerformanceWarning)
    # As long as another frame shares the bytes, pandas copies a column before it writes to it.
    weakref.finalize(frame, _let_go, owner).atexit = False
    return frame, {name: (column, bytes_of(column)) for name, column in columns.items()}


def row_positions(frame: pd.DataFrame, rows: RowIndex) -> pa.Int64Array | None:
    """Which rows of the frame that `rows` was made for the rows of `frame` are; `None`: nothing says so.

    They were picked, sorted or repeated by pandas itself. Raises `DataMismatch` for rows that were never there.
    """
    import pyarrow as pa

    if getattr(frame.index, "origin", None) is not rows:
        return None
    positions = frame.index.to_numpy()
    if len(positions) and not 0 <= positions.min() <= positions.max() < rows.rows:
        raise DataMismatch(f"the index of the frame has rows beyond the {rows.rows} that it was made of")
    return pa.array(positions, pa.int64())


def has_all_rows(frame: pd.DataFrame, rows: RowIndex) -> bool:
    """True if the rows of `frame` are all those that `rows` was made for, in their order."""
    index: Any = frame.index
    return (
        getattr(index, "origin", None) is rows
        and len(index) == rows.rows
        and (getattr(index, "start", None), getattr(index, "step", None)) == (0, 1)
    )


def columns_of(frame: pd.DataFrame, given: Sequence[Handed] = ()) -> Iterator[Returned]:
    """The frame's columns. Raises `DataMismatch` naming the column that has no Arrow type."""
    held = _held(given) if len(frame) else None
    for label, series in (*_index_columns(frame.index), *frame.items()):
        if not isinstance(label, str):
            raise DataMismatch(
                f"column label {label!r} is no text: name the columns, e.g. df.columns = [str(c) for c in df.columns]"
            )
        place = None if held is None else bytes_of(values_of(series))
        found = None if held is None or place is None else held.find(label, *place)
        yield found or Returned(label, to_arrow(label, series))


def _held(given: Sequence[Handed]) -> Held | None:
    """Where the columns lie that frames were handed over with; `None` if there are none."""
    held = Held()
    before = [one for one in given if isinstance(one.before, dict)]
    for handed in before:
        for name, (_, place) in handed.before.items():
            if place is not None:
                held.add(Origin(handed, name), *place)
    return held if before else None


def _index_of(rows: RowIndex) -> pd.Index[Any]:
    from module_sdk.dataframes.pandas_rows import Whole  # takes pandas along

    return Whole.of(rows.rows, rows)


def _let_go(owner: pd.DataFrame) -> None:
    """The last use of `owner`: until the frame is gone it is held for this call."""


def _with_pandas_types(table: pa.Table) -> pa.Table:
    """`table` with the extension types for periods and intervals, which Arrow knows only once pandas has used them."""
    import pandas as pd
    import pyarrow as pa

    if not any(is_pandas_type((field.metadata or {}).get(b"ARROW:extension:name", b"")) for field in table.schema):
        return table
    for dtype in (pd.PeriodDtype("D"), pd.IntervalDtype("int64")):
        pa.array(pd.array([], dtype=dtype))  # registers the type
    return pa.RecordBatchReader.from_stream(table).read_all()


def _index_columns(index: pd.Index[Any]) -> Iterator[tuple[Any, Any]]:
    import pandas as pd

    if isinstance(index, pd.MultiIndex):
        for level, name in enumerate(index.names):
            yield f"level_{level}" if name is None else name, pd.Series(index.get_level_values(level))
    elif index.name is not None:
        yield index.name, pd.Series(index)
