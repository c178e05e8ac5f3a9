"""Rows of a pandas frame are known again after pandas has picked them, and never after anything else."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from module_sdk.dataframes.adapters import adapter_for, from_native
from module_sdk.dataframes.pandas_frames import RowIndex, has_all_rows, row_positions
from plugmesh.errors import DataMismatch

TABLE = pa.table({"x": [3, 1, 2, 5, 4, 0], "k": list("aabbcc"), "w": pa.array(range(6), pa.float64())})
Change = Callable[[pd.DataFrame], pd.DataFrame]


def handed(table: pa.Table = TABLE) -> tuple[pd.DataFrame, RowIndex]:
    rows = RowIndex(table.num_rows)
    return adapter_for(pd.DataFrame).hand_over(table, rows=rows).native, rows


def positions(frame: pd.DataFrame, rows: RowIndex) -> list[int] | None:
    found = row_positions(frame, rows)
    return None if found is None else found.to_pylist()


PICKED: dict[str, tuple[Change, list[int]]] = {
    "mask": (lambda f: f[f.x > 1], [0, 2, 3, 4]),
    "masks": (lambda f: f[f.x > 1][lambda g: g.x < 5].sort_values("x"), [2, 0, 4]),
    "query": (lambda f: f.query("x > 1"), [0, 2, 3, 4]),
    "iloc": (lambda f: f.iloc[[3, 1]], [3, 1]),
    "loc": (lambda f: f.loc[[1, 1, 2]], [1, 1, 2]),
    "slice": (lambda f: f[1:3], [1, 2]),
    "backwards": (lambda f: f[::-1], [5, 4, 3, 2, 1, 0]),
    "sorted": (lambda f: f.sort_values("x"), [5, 1, 2, 0, 4, 3]),
    "head": (lambda f: f.head(2), [0, 1]),
    "drop": (lambda f: f.drop([1]), [0, 2, 3, 4, 5]),
    "drop_duplicates": (lambda f: f.drop_duplicates("k"), [0, 2, 4]),
    "nlargest": (lambda f: f.nlargest(2, "x"), [3, 4]),
    "best of each group": (lambda f: f.loc[f.groupby("k").x.idxmax()], [0, 3, 4]),
    "head of each group": (lambda f: f.groupby("k").head(1), [0, 2, 4]),
    "repeat": (lambda f: f.loc[f.index.repeat(2)].head(3), [0, 0, 1]),
    "none": (lambda f: f[f.x > 99], []),
}
ALL: dict[str, Change] = {
    "same": lambda f: f,
    "assign": lambda f: f.assign(y=f.x * 2),
    "copy": lambda f: f.copy(),
    "arithmetic": lambda f: f[["x", "w"]] * 2,
    "astype": lambda f: f.astype({"x": "float32"}),
    "new frame": lambda f: pd.DataFrame({"y": f.x.values + 1}, index=f.index),
    "of series": lambda f: pd.DataFrame({"y": f.x + 1}),
    "joined": lambda f: f.join(f.add_suffix("_2")),
    "side by side": lambda f: pd.concat([f, f.add_suffix("_2")], axis=1),
    "transform": lambda f: f.groupby("k").transform("sum"),
    "rolling": lambda f: f[["x"]].rolling(2).sum(),
    "sorted there and back": lambda f: f.sort_values("x").sort_index(),
}
NEW_ROWS: dict[str, Change] = {
    "reset_index": lambda f: f.reset_index(drop=True),
    "reset_index, kept": lambda f: f.reset_index(),
    "ignore_index": lambda f: f.sort_values("x", ignore_index=True),
    "group": lambda f: f.groupby("k").sum(),
    "every two rows": lambda f: f[["x"]].groupby(f.index // 2).sum(),
    "every two of some": lambda f: f[f.x > 1][["x"]].groupby(lambda row: row // 2).sum(),
    "shifted labels": lambda f: f.set_axis(f.index + 1).head(3),
    "shifted labels of some": lambda f: f[f.x > 1].pipe(lambda g: g.set_axis(g.index - 1)),
    "renamed labels": lambda f: f.rename(index=lambda row: row + 1),
    "mapped labels": lambda f: f.set_axis(f.index.map(lambda row: 5 - row)),
    "concat": lambda f: pd.concat([f, f]),
    "merge": lambda f: f.merge(f, on="k"),
    "set_index": lambda f: f.set_index("k"),
    "stacked": lambda f: f[["x"]].stack().to_frame("v"),
    "melted": lambda f: f.melt("k"),
    "other frame": lambda f: pd.DataFrame({"x": [1, 2]}),
}


@pytest.mark.parametrize("name", PICKED)
def test_rows_that_pandas_picked_are_known(name: str) -> None:
    frame, rows = handed()
    change, expected = PICKED[name]
    made = change(frame)
    assert positions(made, rows) == expected
    assert not has_all_rows(made, rows)
    assert made.x.tolist() == [TABLE["x"][row].as_py() for row in expected]


@pytest.mark.parametrize("name", ALL)
def test_all_rows_in_order_are_known(name: str) -> None:
    frame, rows = handed()
    made = ALL[name](frame)
    assert has_all_rows(made, rows) or name == "sorted there and back"
    assert positions(made, rows) == list(range(6))


@pytest.mark.parametrize("name", NEW_ROWS)
def test_labels_that_stand_for_no_row_prove_nothing(name: str) -> None:
    frame, rows = handed()
    made = NEW_ROWS[name](frame)
    assert positions(made, rows) is None
    assert not has_all_rows(made, rows)


def test_rows_of_another_frame_prove_nothing() -> None:
    (frame, _), (_, rows) = handed(), handed()
    assert positions(frame, rows) is None


def test_module_sees_the_default_index() -> None:
    frame, _ = handed()
    pd.testing.assert_index_equal(frame.index, pd.RangeIndex(6), exact=False)
    assert frame.index.name is None
    assert frame.reset_index().columns[0] == "index"
    assert frame.assign(y=pd.Series(range(6))).y.tolist() == list(range(6))
    assert frame.loc[5, "x"] == 0


def test_index_is_no_column_of_the_output() -> None:
    frame, _ = handed()
    assert from_native(frame.sort_values("x")).column_names == ["x", "k", "w"]


@pytest.mark.parametrize("change", [lambda frame: frame, lambda frame: frame[frame.x > 1]])
def test_pickled_index_is_an_ordinary_one(change: Change) -> None:
    frame, rows = handed()
    again = pickle.loads(pickle.dumps(change(frame)))
    pd.testing.assert_frame_equal(again, change(pd.DataFrame(frame.to_dict("list"))), check_dtype=False)
    assert type(again.index) in {pd.RangeIndex, pd.Index}
    assert positions(again, rows) is None


def test_rows_that_were_never_there_are_an_error() -> None:
    frame, rows = handed()
    rows.rows = 3
    with pytest.raises(DataMismatch, match="rows beyond the 3"):
        row_positions(frame, rows)


STEPS: dict[str, Callable[[pd.DataFrame, int], pd.DataFrame]] = {
    "mask": lambda f, n: f[f.v % 7 > n % 5],
    "sort": lambda f, n: f.sort_values(["v", "u"][n % 2], kind="stable"),
    "slice": lambda f, n: f[n % 3 : 40 : 1 + n % 3],
    "back": lambda f, n: f[::-1],
    "sample": lambda f, n: f.sample(frac=0.7, random_state=n),
    "twice": lambda f, n: f.take(np.repeat(np.arange(len(f)), 2)).head(60),
    "change": lambda f, n: f.assign(v=f.v * 3 + n),
    "dedupe": lambda f, n: f.drop_duplicates("u"),
    "group": lambda f, n: f.groupby("u").tail(1),
    "take": lambda f, n: f.take([n % max(len(f), 1)] * (len(f) > 0)),
}


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.integers(0, 99)), max_size=5))
def test_positions_are_true_after_any_steps(steps: list[tuple[str, int]]) -> None:
    row = np.arange(30)
    table = pa.table({"row": row, "v": row * 7 % 31, "u": row % 6})
    frame, rows = handed(table)
    for name, number in steps:
        frame = STEPS[name](frame, number)
    assert positions(frame, rows) == frame.row.tolist()


def test_frame_without_rows() -> None:
    frame, rows = handed(TABLE.slice(0, 0))
    assert positions(frame[frame.x > 1], rows) == []


def test_any_other_adapter_says_that_it_cannot() -> None:
    able: dict[str, Any] = {name: adapter_for(name).picks_rows for name in ("pd.DataFrame", "pl.DataFrame", "pa.Table")}
    assert able == {"pd.DataFrame": True, "pl.DataFrame": False, "pa.Table": False}
