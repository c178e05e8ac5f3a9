"""Rows that a module rejects: counted or kept, whatever they come as; a function called again without some of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from module_sdk import Context, DataError, module, rejected_rows
from module_sdk import rejected as rejected_module
from module_sdk.errors import TooManyRejected
from module_sdk.rejected import Rejected
from module_sdk.rejected_rows import REASON, as_number, joined
from module_sdk.row_calls import RECALLS, row_mask
from module_sdk.testing import Reported, run
from plugmesh.contracts.flow import Rejects
from plugmesh.data.table import read_table
from plugmesh.errors import ContractError, LimitExceeded
from plugmesh.objects.local import LocalStore

pytestmark = pytest.mark.filterwarnings("ignore:nanobind")


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path, keep_free_bytes=0)


def rejected_of(store: LocalStore, limit: Rejects | None = None, rows_in: int | None = None) -> Rejected:
    return Rejected(lambda: store, lambda word: f"data/d/r/s/1/x-{word}", limit, rows_in)


def table_of(store: LocalStore, rejected: Rejected) -> pa.Table:
    ref = rejected.finish()
    assert ref is not None
    return read_table(store, ref, verify=True)


ROWS: dict[str, Any] = {
    "table": pa.table({"a": [1, 2]}),
    "batch": pa.record_batch({"a": [1, 2]}),
    "reader": pa.table({"a": [1, 2]}).to_reader(),
    "pandas": pd.DataFrame({"a": [1, 2]}),
    "polars": pl.DataFrame({"a": [1, 2]}),
    "dicts": [{"a": 1}, {"a": 2}],
    "series": [row for _, row in pd.DataFrame({"a": [1, 2]}).iterrows()],
}


@pytest.mark.parametrize("kind", ROWS)
def test_rows_of_every_kind_are_kept_with_their_reason(store: LocalStore, kind: str) -> None:
    rejected = rejected_of(store)
    assert rejected.keep(ROWS[kind], "odd") == 2
    assert table_of(store, rejected).to_pydict() == {"a": [1, 2], REASON: ["odd", "odd"]}
    assert (rejected.rows, rejected.reasons) == (2, {"odd": 2})


def test_one_dict_is_one_row_and_calls_with_other_columns_come_together(store: LocalStore) -> None:
    rejected = rejected_of(store)
    rejected.keep({"a": 1}, "first")
    rejected.keep(pa.table({"b": ["x"], "a": [2]}), "second")
    rejected.keep({"c": 2.5, REASON: "of an earlier step"}, "third")
    assert table_of(store, rejected).to_pydict() == {
        "a": [1, 2, None],
        "b": [None, "x", None],
        "c": [None, None, 2.5],
        REASON: ["first", "second", "third"],
    }


def test_a_column_of_two_types_becomes_one_that_holds_both(store: LocalStore) -> None:
    rejected = rejected_of(store)
    rejected.keep({"qty": 3, "n": 1, "deep": [1]}, "a")
    rejected.keep({"qty": "many", "n": 2.5, "deep": {"k": 1}}, "b")
    assert table_of(store, rejected).to_pylist() == [
        {"qty": "3", "n": 1.0, "deep": "[1]", REASON: "a"},
        {"qty": "many", "n": 2.5, "deep": '{"k": 1}', REASON: "b"},
    ]


def test_rows_are_written_as_they_come_and_pieces_of_other_columns_are_put_together(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("module_sdk.rejected.HELD_ROWS", 2)
    rejected = rejected_of(store)
    for number in range(9):
        rejected.keep({"a": number} if number % 4 < 2 else {"b": str(number)}, "r")
    table = table_of(store, rejected)
    assert table.column_names == ["a", "b", REASON]
    assert [row["a"] if row["b"] is None else int(row["b"]) for row in table.to_pylist()] == list(range(9))
    assert [found.key for found in store.list("data/")] == ["data/d/r/s/1/x-rejected"]


@pytest.mark.parametrize("large", [["x" * 1000] * 1000, {"a": {"b": "x" * 1_000_000}}, np.zeros(125_000)])
def test_large_values_are_not_held_for_long_wherever_they_lie(store: LocalStore, large: Any) -> None:
    rejected = rejected_of(store)
    for number in range(5):
        rejected.keep({"n": number, "large": large}, "r")
    assert rejected.bytes > rejected_module.HELD_BYTES // 2
    assert table_of(store, rejected)["n"].to_pylist() == list(range(5))


def test_many_shapes_share_their_columns_in_the_end(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("module_sdk.rejected.HELD_ROWS", 1)
    rejected = rejected_of(store)
    for number in range(20):
        rejected.keep({f"c{number % 12}": number}, "r")
    table = table_of(store, rejected)
    assert table.num_rows == 20
    assert [next(v for k, v in row.items() if k != REASON and v is not None) for row in table.to_pylist()] == list(
        range(20)
    )


def test_rows_of_ever_new_columns_are_refused(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("module_sdk.rejected.HELD_ROWS", 1)
    rejected = rejected_of(store)
    with pytest.raises(ContractError, match="different sets of columns"):
        rejected.keep([{f"c{number}": number} for number in range(100)], "r")


def test_columns_of_one_name_are_refused_in_words(store: LocalStore) -> None:
    with pytest.raises(ContractError, match="two columns called 'a'"):
        rejected_of(store).keep(pa.table([[1], [2]], names=["a", "a"]), "r")


def test_what_was_rejected_since_a_mark_can_be_forgotten(store: LocalStore) -> None:
    rejected = rejected_of(store)
    rejected.keep({"a": 1}, "stays")
    mark = rejected.mark()
    size = rejected.bytes
    rejected.keep([{"a": 2}, {"a": 3}], "goes")
    rejected.count(5, "goes")
    rejected.mark()
    rejected.back_to(mark)
    assert (rejected.rows, rejected.reasons, rejected.bytes) == (1, {"stays": 1}, size)
    assert table_of(store, rejected)["a"].to_pylist() == [1]


def test_nothing_kept_is_no_table(store: LocalStore) -> None:
    rejected = rejected_of(store)
    rejected.count(3, "only counted")
    rejected.keep(pa.table({"a": pa.array([], "int64")}), "none")
    assert rejected.finish() is None
    assert rejected.rows == 3


def test_a_limit_in_rows_holds_at_once(store: LocalStore) -> None:
    rejected = rejected_of(store, Rejects(rows=2))
    rejected.keep([{"a": 1}, {"a": 2}], "bad")
    rejected.check()
    rejected.count(1, "bad")
    with pytest.raises(TooManyRejected, match="3 rows were rejected, and the flow allows 2: most often"):
        rejected.check()


def test_a_limit_in_percent_counts_the_rows_that_came_in_or_else_those_that_were_met(store: LocalStore) -> None:
    known = rejected_of(store, Rejects(percent=10), rows_in=20)
    known.count(2, "bad")
    known.check()
    known.count(1, "bad")
    with pytest.raises(TooManyRejected, match="3 of 20 rows"):
        known.check()
    source = rejected_of(store, Rejects(percent=10))
    source.count(2, "bad")
    source.check()
    source.check(rows_out=18)
    with pytest.raises(TooManyRejected, match="2 of 19 rows"):
        source.check(rows_out=17)


def test_more_than_fits_is_an_error_and_no_silent_loss(store: LocalStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("module_sdk.rejected.KEPT_BYTES", 1000)
    monkeypatch.setattr("module_sdk.rejected.HELD_ROWS", 1)
    rejected = rejected_of(store)
    with pytest.raises(LimitExceeded, match="GiB"):
        rejected.keep([{"a": "x" * 1000}], "large")


@pytest.mark.parametrize("odd", ["text", b"bytes", 2.5, [1, 2], object()])
def test_what_is_no_rows_is_refused_in_words(store: LocalStore, odd: Any) -> None:
    with pytest.raises(TypeError, match=r"ctx\.reject was"):
        rejected_of(store).keep(odd, "why")


@given(
    st.lists(
        st.lists(
            st.dictionaries(st.sampled_from("abc"), st.one_of(st.none(), st.integers(-9, 9), st.text(max_size=3))),
            max_size=4,
        ),
        max_size=5,
    )
)
def test_whatever_rows_come_all_of_them_are_there(calls: list[list[dict[str, Any]]]) -> None:
    tables = [rejected_rows.table_of(list(rejected_rows.frames_of(rows, "r"))) for rows in calls if rows]
    if tables:
        assert joined(tables).num_rows == sum(len(rows) for rows in calls)


# -- calling again -----------------------------------------------------------------------------------------------------

MASKS: dict[str, Any] = {
    "numbers": [1, 3],
    "number": 1,
    "set": {3, 1},
    "range": range(1, 3),
    "truth": [False, True, False, True],
    "nullable": [None, True, None, True],
    "arrow": pa.array([1, 3]),
    "chunked": pa.chunked_array([[False, True], [False, True]]),
    "pandas": pd.Series([False, True, False, True]),
    "polars": pl.Series([1, 3]),
    "array": pd.Series([1, 3]).to_numpy(),
}


@pytest.mark.parametrize("kind", MASKS)
def test_rows_are_named_by_number_or_by_a_mask(kind: str) -> None:
    expected = {"number": [1], "range": [1, 2]}.get(kind, [1, 3])
    assert row_mask(MASKS[kind], 4).to_pylist() == [number in expected for number in range(4)]


@pytest.mark.parametrize(
    ("rows", "problem"),
    [([4], "row 4, and the table has the rows 0 to 3"), ([-1], "row -1"), ([True], "1 truth values"), ([], "no row"),
     ([False] * 4, "no row"), (["a"], "holds string"), (object(), "is object"), ([1, None], "holds int64")],
)  # fmt: skip
def test_rows_that_are_not_there_are_the_modules_mistake(rows: Any, problem: str) -> None:
    with pytest.raises(ContractError, match=problem):
        row_mask(rows, 4)


@module("t.strict", inputs={"rows": {"a": "int64"}}, outputs={"out": {"...": "rows", "half": "int64"}}, rows="same")
def strict(rows: pa.Table, *, ctx: Context, by: int = 2) -> pa.Table:
    ctx.progress(rows.num_rows)
    values = rows["a"].to_pylist()
    if odd := [number for number, value in enumerate(values) if value % by]:
        raise DataError(f"not divisible by {by}", rows=odd)
    return rows.append_column("half", pa.array([value // by for value in values], pa.int64()))


def test_a_module_is_called_again_without_the_rows_that_it_names() -> None:
    said = Reported()
    table = run(strict, {"a": [2, 3, 4, 5], "other": list("wxyz")}, said)
    assert table.to_pydict() == {"a": [2, 4], "other": ["w", "y"], "half": [1, 2]}
    assert said.rejected.to_pydict() == {"a": [3, 5], "other": ["x", "z"], REASON: ["not divisible by 2"] * 2}
    assert said.rows_failed == 2


@module("t.one_by_one")
def one_by_one(rows: pa.Table, *, ctx: Context) -> pa.Table:
    ctx.reject({"call": rows.num_rows}, "of a call")
    ctx.artifact("calls.txt", str(rows.num_rows))
    for number, value in enumerate(rows["a"].to_pylist()):
        if value < 0:
            raise DataError(f"{value} is below zero", rows=[number])
    return rows


def test_calls_that_count_for_nothing_leave_nothing() -> None:
    said = Reported()
    assert run(one_by_one, {"a": [1, -1, 2, -2]}, said)["a"].to_pylist() == [1, 2]
    assert said.rejected.to_pylist() == [
        {"a": -1, "call": None, REASON: "-1 is below zero"},
        {"a": -2, "call": None, REASON: "-2 is below zero"},
        {"a": None, "call": 2, REASON: "of a call"},
    ]
    assert said.artifacts["calls.txt"].read() == b"2"


def test_whoever_names_rows_again_and_again_fails_in_the_end() -> None:
    said = Reported()
    with pytest.raises(DataError, match="-9 is below zero"):
        run(one_by_one, {"a": [-4, -5, -6, -7, -8, -9, -10]}, said)
    assert said.rows_failed == RECALLS + 1  # and what the last call rejected itself


def test_an_error_that_does_not_call_its_base_is_about_no_rows() -> None:
    class Odd(DataError):
        def __init__(self, number: int) -> None:
            self.number = number

    @module("t.odd")
    def odd(rows: pa.Table) -> pa.Table:
        raise Odd(1)

    with pytest.raises(Odd):
        run(odd, {"a": [1, 2]})


def test_rows_cannot_be_rejected_where_all_are_promised() -> None:
    @module("t.promises", rows="same")
    def promises(rows: pa.Table, *, ctx: Context) -> pa.Table:
        ctx.reject(rows.slice(0, 1), "no")
        return rows

    with pytest.raises(ContractError, match=r'promises rows="same"'):
        run(promises, {"a": [1, 2]})


def test_with_two_tables_nobody_knows_whose_rows_are_meant() -> None:
    @module("t.two")
    def two(left: pa.Table, right: pa.Table) -> pa.Table:
        raise DataError("odd", rows=[0])

    with pytest.raises(DataError, match="odd"):
        run(two, {"left": {"a": [1]}, "right": {"a": [1]}})


def test_no_output_may_be_called_as_the_dead_letters_are() -> None:
    with pytest.raises(ContractError, match="'rejected', which every module has already"):

        @module("t.taken", outputs={"rejected": True})
        def taken(rows: pa.Table) -> pa.Table:
            return rows


def test_numbers_of_other_libraries_are_numbers() -> None:
    @module("t.counted")
    def counted(rows: pa.Table, *, ctx: Context) -> pa.Table:
        bad = rows["a"].to_numpy() < 0
        ctx.reject(bad.sum(), "below zero")
        if bad.any():
            raise DataError("the first one", rows=np.int64(bad.argmax()))
        return rows

    said = Reported()
    assert run(counted, {"a": [1, -1, 2, -2]}, said)["a"].to_pylist() == [1, 2]
    assert said.rejected["a"].to_pylist() == [-1, -2]
    assert as_number(np.array(0.5)) == 0.5
    assert as_number(True) is True
