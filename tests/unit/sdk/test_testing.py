"""The test harness: a module called the way the mesh calls it."""

import re
import resource
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from module_sdk import Column, Context, DataMismatch, File, FileWriter, module
from module_sdk.invoke import WrongReturn
from module_sdk.params import InvalidParams
from module_sdk.testing import Reported, run
from plugmesh.errors import LimitExceeded

ORDERS = pa.table({"price": [1.0, 2.5], "qty": [2, 4], "who": ["a", "b"]})
N = pa.array([1, 2])


@module("a.total", inputs={"orders": {"price": "float64", "...": True}})
def total(orders: pd.DataFrame, *, tax: float = 0.2) -> pd.DataFrame:
    return orders.assign(total=orders.price * orders.qty * (1 + tax))


def test_a_frame_of_any_library_goes_in_and_a_table_comes_out() -> None:
    expected = [2.0, 10.0]
    for frame in (ORDERS, ORDERS.to_pandas(), pl.from_arrow(ORDERS), ORDERS.to_pydict()):
        result = run(total, {"orders": frame}, tax=0.0)
        assert result.column("total").to_pylist() == expected


def test_the_only_port_needs_no_name() -> None:
    assert run(total, ORDERS, tax=0.0).num_rows == 2


def test_returning_the_input_gives_the_very_table_back() -> None:
    @module("a")
    def same(rows: pa.Table) -> pa.Table:
        return rows

    assert run(same, ORDERS) is ORDERS


def test_a_frame_that_was_changed_in_place_is_not_taken_for_the_input() -> None:
    @module("a")
    def changed(rows: pd.DataFrame) -> pd.DataFrame:
        rows.loc[0, "price"] = 9.0
        return rows

    assert run(changed, ORDERS).column("price").to_pylist() == [9.0, 2.5]


def test_several_outputs_are_a_dict_by_port() -> None:
    @module("a", outputs={"cheap": True, "dear": True})
    def split(rows: pl.DataFrame) -> dict[str, Any]:
        return {"cheap": rows.filter(pl.col("price") < 2), "dear": rows.filter(pl.col("price") >= 2)}

    result = run(split, ORDERS)
    assert {port: table.num_rows for port, table in result.items()} == {"cheap": 1, "dear": 1}


def test_variadic_optional_and_context_parameters_are_filled() -> None:
    @module("a")
    def stack(ctx: Context, first: pa.Table, other: pa.Table | None = None, *more: pa.Table, n: int = 0) -> pa.Table:
        assert ctx.params == {"n": 3}
        assert (ctx.tmp / "x").write_text("kept for a while") > 0
        assert other is None
        return pa.concat_tables([first, *more])

    assert run(stack, {"first": ORDERS, "more": [ORDERS, ORDERS]}, n=3).num_rows == 6


def test_generators_async_functions_and_async_generators_run() -> None:
    @module("a")
    def batches(rows: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        yield from rows

    @module("b")
    async def slow(rows: pa.Table) -> pa.Table:
        return rows.slice(0, 1)

    @module("c")
    async def ticks() -> AsyncIterator[pa.Table]:
        yield pa.table({"x": [1]})
        yield pa.table({"x": [2]})

    assert run(batches, ORDERS).equals(ORDERS)
    assert run(slow, ORDERS).num_rows == 1
    assert run(ticks).column("x").to_pylist() == [1, 2]


async def test_an_async_module_runs_inside_an_async_test() -> None:
    @module("a")
    async def where() -> dict[str, str]:
        return {"thread": threading.current_thread().name}

    assert run(where)["thread"] != threading.current_thread().name


def test_files_go_in_as_paths_and_come_out_as_files(tmp_path: Path) -> None:
    @module("a", outputs={"copy": "file", "bytes": "value"})
    def upper(doc: File, *, header: File, ctx: Context) -> dict[str, Any]:
        with ctx.create_file("out.txt", "text/plain") as out:
            out.write(header.read())
            with ctx.open_file(doc) as stream:
                out.write(stream.read().upper())
        return {"copy": out, "bytes": doc.bytes}

    (tmp_path / "doc.txt").write_text("hello")
    (tmp_path / "head.txt").write_text("# ")
    result = run(upper, tmp_path / "doc.txt", header=str(tmp_path / "head.txt"))
    assert result["bytes"] == 5
    assert (result["copy"].name, result["copy"].media_type) == ("out.txt", "text/plain")
    assert result["copy"].read() == b"# HELLO"
    assert result["copy"].path.read_bytes() == b"# HELLO"


def test_a_file_that_is_not_finished_is_not_made() -> None:
    made: list[FileWriter] = []

    @module("a", outputs={"copy": "file"})
    def broken(ctx: Context) -> Any:
        try:
            with ctx.create_file("x") as out:
                made.append(out)
                raise KeyError
        except KeyError:
            return out

    with pytest.raises(ValueError, match="given up"):
        run(broken)


def test_values_are_read_by_their_annotation() -> None:
    @module("a")
    def double(n: int) -> int:
        return n * 2

    assert run(double, {"n": "4"}) == 8
    with pytest.raises(DataMismatch, match="port 'n'"):
        run(double, {"n": "four"})


def test_a_value_that_is_too_large_says_what_to_do() -> None:
    @module("a")
    def large() -> list[str]:
        return ["x" * 9000]

    with pytest.raises(LimitExceeded, match="return a table or a file"):
        run(large)


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (None, "missing"),
        ([1, 2], "list"),
        ("text", "str"),
        ({"a": 1}, "dict"),
        (pd.Series([1]), "Series"),
    ],
)
def test_a_return_that_is_no_table_is_explained(returned: Any, words: str) -> None:
    @module("a.bad")
    def bad(rows: pa.Table) -> pa.Table:
        return returned

    with pytest.raises(WrongReturn) as caught:
        run(bad, ORDERS)
    assert "a.bad@0.1.0" in str(caught.value)
    assert "'out'" in str(caught.value)
    assert words in str(caught.value)


def test_a_dict_with_other_outputs_is_explained() -> None:
    @module("a", outputs={"good": True, "bad": True})
    def split(rows: pa.Table) -> Any:
        return {"good": rows, "ugly": rows}

    with pytest.raises(WrongReturn, match="good, ugly, expected the outputs good, bad"):
        run(split, ORDERS)


def test_a_sink_returns_nothing() -> None:
    @module("a")
    def sink(rows: pa.Table) -> None:
        return rows  # type: ignore[no-any-return]

    with pytest.raises(WrongReturn, match="has no outputs"):
        run(sink, ORDERS)


def test_wrong_params_are_listed_all_at_once() -> None:
    with pytest.raises(InvalidParams) as caught:
        run(total, ORDERS, tax="much", colour="red")
    assert "tax" in str(caught.value)
    assert "colour: there is no such param; there are tax" in str(caught.value)


def test_an_input_that_is_not_connected_is_named() -> None:
    with pytest.raises(DataMismatch, match="'orders' has no input"):
        run(total)
    with pytest.raises(DataMismatch, match="no input 'order'"):
        run(total, {"orders": ORDERS, "order": ORDERS})


def test_the_modules_own_error_comes_through() -> None:
    @module("a")
    def fails(rows: pa.Table) -> pa.Table:
        raise KeyError("price")

    with pytest.raises(KeyError, match="price"):
        run(fails, ORDERS)


def test_a_sink_key_does_not_depend_on_the_attempt() -> None:
    keys: list[str] = []

    @module("a")
    def sink(rows: pa.Table, *, ctx: Context) -> None:
        keys.extend([ctx.sink_key(), ctx.sink_key(1)])

    run(sink, ORDERS)
    run(sink, ORDERS)
    assert keys[:2] == keys[2:]
    assert keys[0] != keys[1]


def test_a_module_is_handed_the_columns_that_it_declares_and_the_rest_passes_through() -> None:
    seen: list[list[str]] = []

    @module(
        "a",
        inputs={"orders": {"price": "float64"}},
        outputs={"out": {"...": "orders", "double": "float64"}},
        rows="same",
    )
    def double(orders: pd.DataFrame, *, also: Column | None = None) -> pd.DataFrame:
        seen.append(list(orders.columns))
        return orders.assign(double=orders.price * 2)

    assert run(double, ORDERS).column_names == ["price", "qty", "who", "double"]
    run(double, ORDERS, also="who")
    assert seen == [["price"], ["price", "who"]]


def test_an_input_without_a_declared_column_names_module_port_and_column() -> None:
    with pytest.raises(DataMismatch) as caught:
        run(total, ORDERS.drop(["price"]))
    for word in ("a.total@0.1.0", "'orders'", "'price'", "float64"):
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (lambda t: t, ["'n'", "missing", "int64"]),
        (lambda t: t.append_column("n", pa.array([1.0, 2.0])), ["'n'", "int64", "float64"]),
        (lambda t: t.append_column("n", N).append_column("m", N), ["'m'", "not declared"]),
        (lambda t: t.append_column("n", N).drop(["who"]), ["'who'", "missing"]),
        (lambda t: t.append_column("n", N).slice(0, 1), ["rows", "2", "1"]),
    ],
)
def test_a_returned_table_that_breaks_the_promise_says_where(made: Any, words: list[str]) -> None:
    @module("a.n", outputs={"out": {"...": "rows", "n": "int64"}}, rows="same")
    def number(rows: pa.Table) -> pa.Table:
        return made(rows)

    with pytest.raises(DataMismatch) as caught:
        run(number, ORDERS)
    for word in ["a.n@0.1.0", "'out'", *words]:
        assert word in str(caught.value)


def test_a_declared_column_may_be_named_by_a_param() -> None:
    @module("a", outputs={"out": {"...": "rows", "${params.into}": "int64"}})
    def number(rows: pa.Table, *, into: str) -> pa.Table:
        return rows.append_column(into, N)

    assert run(number, ORDERS, into="line").column_names[-1] == "line"


# -- limits and reports ------------------------------------------------------------------------------------------------


@module("test.reports", outputs={"out": "value"})
def reports(*, fail: bool = False, ctx: Context) -> dict[str, int]:
    for _ in ctx.track(range(3), message="counting"):
        ctx.reject(2, "too small")
    ctx.artifact("note.txt", "three times")
    if fail:
        raise ValueError("no")
    return {"n": 3}


def test_what_a_module_reports_is_there_to_look_at() -> None:
    said = Reported()
    assert run(reports, None, said) == {"n": 3}
    assert said.progress == (3.0, 3.0, "counting")
    assert said.rows_failed == 6
    assert said.artifacts["note.txt"].read() == b"three times"


def test_what_a_module_reported_is_there_also_when_it_fails() -> None:
    said = Reported()
    with pytest.raises(ValueError, match="no"):
        run(reports, None, said, fail=True)
    assert (said.rows_failed, list(said.artifacts)) == (6, ["note.txt"])


@module("test.greedy", limits={"memory": 50 * 10**12, "open_files": 16, "output": "1kB"}, outputs={"out": "file"})
def greedy(*, what: str, ctx: Context) -> Any:
    if what == "files":
        with ExitStack() as opened:
            return [opened.enter_context(open("/dev/null")) for _ in range(100)]
    if what == "memory":
        return bytearray(60 * 10**12)
    with ctx.create_file("some.bin") as made:
        made.write(bytes(2000))
    return made


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("files", "the attempt had more than 16 files and sockets open"),
        ("memory", "the attempt needed more than its memory limit of 50 TB (set by limits= of the module (memory))"),
        ("output", "the attempt wrote more than its output limit of 1 kB"),
    ],
)
def test_limits_are_held_as_on_the_mesh(what: str, words: str) -> None:
    with pytest.raises(LimitExceeded, match=re.escape(words)):
        run(greedy, None, what=what)


def test_limits_end_with_the_call() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(LimitExceeded):
        run(greedy, None, what="files")
    assert (resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_DATA)) == before
