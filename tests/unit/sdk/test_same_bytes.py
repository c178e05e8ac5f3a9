"""Untouched columns, and rows of them, are the input's own; nothing that differs ever is."""

import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk.dataframes.adapters import adapter_for, from_native
from module_sdk.dataframes.handed import Handed
from tests.unit.sdk.arrow_types import EXAMPLES, REFUSED

N = 1000
TABLE = pa.table(
    {
        "i": pa.array(range(N), pa.int64()),
        "n": pa.array([None if at % 3 == 0 else at for at in range(N)], pa.int64()),
        "f": pa.array(np.arange(N) / 7),
        "b": pa.array([at % 2 == 0 for at in range(N)]),
        "t": pa.array(range(N), pa.timestamp("us")),
        "s": pa.array([f"text number {at}" for at in range(N)]),
        "c": pa.array([f"c{at % 5}" for at in range(N)]).dictionary_encode(),
        "cn": pa.array([None if at % 4 == 0 else f"c{at % 5}" for at in range(N)]).dictionary_encode(),
        "l": pa.array([[at, at] for at in range(N)]),
        "st": pa.array([{"a": at, "b": str(at)} for at in range(N)]),
    }
)
Change = Callable[[Any], Any]


def addresses(column: pa.ChunkedArray) -> list[list[int]]:
    return [[0 if buffer is None else buffer.address for buffer in chunk.buffers()] for chunk in column.chunks]


def own(back: pa.Table, name: str, of: str | None = None) -> bool:
    """Whether the column's bytes are those of the input."""
    return addresses(back.column(name)) == addresses(TABLE.column(of or name))


def through(frame: Any, change: Change, table: pa.Table = TABLE) -> pa.Table:
    handed: Handed = adapter_for(frame).hand_over(table)
    back = from_native(change(handed.native), given=[handed])
    assert isinstance(back, pa.Table)
    back.validate(full=True)
    return back


KEPT: dict[str, tuple[Any, Change]] = {
    "pandas as it is": (pd.DataFrame, lambda f: f),
    "pandas assign": (pd.DataFrame, lambda f: f.assign(new=f.i + 1)),
    "pandas setitem": (pd.DataFrame, lambda f: (f.__setitem__("new", f.i + 1), f)[1]),
    "pandas copy": (pd.DataFrame, lambda f: f.copy(deep=False)),
    "pandas order": (pd.DataFrame, lambda f: f[list(reversed(f.columns))]),
    "pandas join": (pd.DataFrame, lambda f: f.join(pd.DataFrame({"new": range(N)}))),
    "polars as it is": (pl.DataFrame, lambda f: f),
    "polars with_columns": (pl.DataFrame, lambda f: f.with_columns(new=pl.col("i") + 1)),
    "polars order": (pl.DataFrame, lambda f: f.select(reversed(f.columns))),
    "polars hstack": (pl.DataFrame, lambda f: f.hstack([pl.Series("new", range(N))])),
    "polars lazily": (pl.DataFrame, lambda f: f.lazy().with_columns(new=pl.col("i") + 1).collect()),
    "LazyFrame": (pl.LazyFrame, lambda f: f.with_columns(new=pl.col("i") + 1)),
    "LazyFrame, collected": (pl.LazyFrame, lambda f: f.with_columns(new=pl.col("i") + 1).collect()),
    "LazyFrame, streamed": (pl.LazyFrame, lambda f: f.with_columns(new=pl.col("i") + 1).collect(engine="streaming")),
}


@pytest.mark.parametrize("name", KEPT)
def test_untouched_columns_are_the_inputs_own(name: str) -> None:
    back = through(*KEPT[name])
    assert [column for column in TABLE.column_names if not own(back, column)] == []


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pl.LazyFrame])
def test_renamed_column_is_the_inputs_own(frame: Any) -> None:
    rename = {name: f"{name}2" for name in TABLE.column_names}
    back = through(frame, lambda f: f.rename(columns=rename) if frame is pd.DataFrame else f.rename(rename))
    assert all(own(back, f"{name}2", name) for name in TABLE.column_names)


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_rows_in_one_piece_are_rows_of_the_inputs_own(frame: Any) -> None:
    back = through(frame, lambda f: f[64:256])
    for name in ("i", "f", "t"):
        chunk = back.column(name).chunk(0)
        assert chunk.buffers()[1].address == TABLE.column(name).chunk(0).buffers()[1].address
        assert chunk.offset == 64
    assert back.to_pylist() == TABLE.slice(64, 192).to_pylist()


CHANGED: dict[str, tuple[Any, Change, str]] = {
    "pandas value": (pd.DataFrame, lambda f: (f.loc.__setitem__((5, "i"), 99), f)[1], "i"),
    "pandas to missing": (pd.DataFrame, lambda f: (f.loc.__setitem__((5, "n"), None), f)[1], "n"),
    "pandas array": (pd.DataFrame, lambda f: with_first(f, 7), "n"),
    "pandas as time": (pd.DataFrame, lambda f: f.assign(i=f.i.values.view("M8[us]")), "i"),
    "pandas as unsigned": (pd.DataFrame, lambda f: f.assign(i=f.i.values.view("u8")), "i"),
    "pandas categories": (pd.DataFrame, lambda f: f.assign(c=f.c.cat.rename_categories(list("vwxyz"))), "c"),
    "pandas ordered": (pd.DataFrame, lambda f: f.assign(c=f.c.cat.as_ordered()), "c"),
    "polars value": (pl.DataFrame, lambda f: (f.__setitem__((5, "i"), 99), f)[1], "i"),
    "polars to null": (
        pl.DataFrame,
        lambda f: f.with_columns(f=pl.when(pl.int_range(pl.len()) > 5).then(pl.col("f"))),
        "f",
    ),
    "polars fill": (pl.DataFrame, lambda f: f.with_columns(pl.col("n").fill_null(0)), "n"),
    "polars as time": (pl.DataFrame, lambda f: f.with_columns(pl.col("i").cast(pl.Datetime("us"))), "i"),
    "polars as number": (pl.DataFrame, lambda f: f.with_columns(pl.col("t").cast(pl.Int64)), "t"),
    "polars zone": (pl.DataFrame, lambda f: f.with_columns(pl.col("t").dt.replace_time_zone("UTC")), "t"),
    "polars shift": (pl.DataFrame, lambda f: f.with_columns(pl.col("i").shift(1, fill_value=0)), "i"),
    "polars codes": (pl.DataFrame, lambda f: f.with_columns(pl.col("c").to_physical()), "c"),
    "polars reverse": (pl.DataFrame, lambda f: f.with_columns(pl.col("s").reverse()), "s"),
}


def with_first(frame: pd.DataFrame, value: int) -> pd.DataFrame:
    """An author's way past pandas: it changes the array of this frame alone."""
    frame["n"].array[0] = value
    return frame


@pytest.mark.parametrize("name", CHANGED)
def test_changed_column_is_as_the_library_has_it(name: str) -> None:
    frame, change, column = CHANGED[name]
    copy = adapter_for(frame).to_native(TABLE)
    expected = from_native(change(copy)).column(column).to_pylist()
    assert through(frame, change).column(column).to_pylist() == expected
    assert TABLE["n"].to_pylist()[0] is None


def test_same_values_in_new_bytes_are_equal_and_not_the_inputs() -> None:
    back = through(pd.DataFrame, lambda f: f.assign(i=f.i.values.copy()))
    assert not own(back, "i")
    assert back == TABLE


def test_column_of_another_input_is_known() -> None:
    other = pa.table({"z": pa.array(range(N))})
    one, two = adapter_for(pd.DataFrame).hand_over(TABLE), adapter_for(pd.DataFrame).hand_over(other, "more")
    back = from_native(two.native.join(one.native), given=[one, two])
    assert own(back, "s")
    assert addresses(back.column("z")) == addresses(other.column("z"))


def test_of_two_columns_of_the_same_bytes_each_is_itself() -> None:
    table = pa.table({"a": TABLE["i"], "b": TABLE["i"]})
    back = through(pd.DataFrame, lambda f: f.rename(columns={"a": "c"}), table)
    assert back.column_names == ["c", "b"]
    assert back.to_pydict() == {"c": list(range(N)), "b": list(range(N))}


@given(st.data())
@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame])
def test_any_cut_gives_the_rows_that_it_says(frame: Any, data: st.DataObject) -> None:
    library = "pandas.DataFrame" if frame is pd.DataFrame else "polars.DataFrame"
    name = data.draw(st.sampled_from(sorted(EXAMPLES.keys() - REFUSED[library].keys() - {"fixed_shape_tensor"})))
    array = EXAMPLES[name]
    pieces = data.draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), min_size=1, max_size=4))
    table = pa.table({"x": pa.chunked_array([array.slice(*piece) for piece in pieces], array.type)})
    start, rows = data.draw(st.integers(0, 6)), data.draw(st.integers(0, 8))
    handed = adapter_for(frame).hand_over(table)
    cut = handed.native.iloc if frame is pd.DataFrame else handed.native
    back = from_native(cut[start : start + rows], given=[handed])
    back.validate(full=True)
    assert back.schema == table.schema
    assert back.to_pylist() == table.slice(start, rows).to_pylist()


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pl.LazyFrame])
def test_nothing_holds_the_input_when_the_module_is_done(frame: Any) -> None:
    class Bytes(bytearray):
        """Can be referred to weakly."""

    memory = Bytes(8 * N)
    held = weakref.ref(memory)
    column = pa.Array.from_buffers(pa.int64(), N, [None, pa.py_buffer(memory)])
    table = pa.table({"x": column, "c": TABLE["c"]})
    del memory, column
    handed = adapter_for(frame).hand_over(table)
    made = handed.native[["x", "c"]] if frame is pd.DataFrame else handed.native.select("c", pl.col("x") + 1)
    back = from_native(made, given=[handed])
    assert held() is not None
    del handed, made, back, table
    assert held() is None
