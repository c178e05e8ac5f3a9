"""What the built-in modules say before they run, and that it is what they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from module_sdk.planning import names_of, unknown_type
from module_sdk.testing import plan, run, run_planned
from modules import csv_reader
from modules.io_read import read
from modules.table_aggregate import aggregate
from modules.table_derive import derive
from modules.table_filter import filter_rows
from modules.table_join import join
from modules.table_limit import limit
from modules.table_select import select
from modules.table_sort import sort
from plugmesh.contracts.plan import PlanAnswer, Predicate

T = pa.table(
    {
        "a": pa.array([3, 1, 2]),
        "b": pa.array(["x", "y", "x"]),
        "c": pa.array([0.5, None, 1.5]),
        "when": pa.array([1, 2, 3], pa.timestamp("us", "UTC")),
    }
)
OTHER = pa.table({"b": ["x", "y"], "c": [True, False], "d": [1, 2]})
CASES: list[tuple[Any, Any, dict[str, Any], dict[str, tuple[str, ...]]]] = [
    (select, T, {"columns": ["c", "a"], "rename": {"c": "z"}}, {"table": ()}),
    (select, T, {"drop": ["a"]}, {"table": ()}),
    (filter_rows, T, {"where": "a > 1 AND B = 'x'"}, {"table": ("a", "b")}),
    (
        derive,
        T,
        {"columns": {"n": "a + 1", "c": "c / 2", "t": "upper(b)", "day": '"when"::date'}},
        {"table": ("a", "c", "b", "when")},
    ),
    (limit, T, {"rows": 2}, {"table": ()}),
    (sort, T, {"by": ["-a", "b"]}, {"table": ("a", "b")}),
    (
        aggregate,
        T,
        {"by": ["b"], "measures": {"n": "count(*)", "m": "avg(c)", "s": "sum(a)", "l": "list(a)"}},
        {"table": ("b", "c", "a")},
    ),
    (aggregate, T, {"measures": {"n": "count(*)"}}, {"table": ()}),
    (join, {"left": T, "right": OTHER}, {"on": "b", "how": "left"}, {"left": ("b", "c"), "right": ("b",)}),
    (join, {"left": T, "right": OTHER}, {"on": "b", "how": "full"}, {"left": ("b", "c"), "right": ("b",)}),
    (join, {"left": T, "right": OTHER}, {"on": "b", "how": "anti"}, {"left": ("b",), "right": ("b",)}),
]  # fmt: skip


@pytest.mark.parametrize(("module", "tables", "params", "reads"), CASES)
def test_the_plan_of_a_table_module_is_what_it_does(
    module: Any, tables: Any, params: dict[str, Any], reads: dict[str, tuple[str, ...]]
) -> None:
    said = plan(module, tables, **params)
    assert said.problems == ()
    assert said.reads == reads
    assert said.outputs == {"out": names_of(run(module, tables, **params).schema)}


@pytest.mark.parametrize(("module", "tables", "params", "reads"), CASES)
def test_columns_that_only_pass_may_be_left_out(
    module: Any, tables: Any, params: dict[str, Any], reads: dict[str, tuple[str, ...]]
) -> None:
    """What `passes` promises: the same output but for the columns that were not handed over."""
    whole = run(module, tables, **params)
    said = plan(module, tables, **params)
    assert said.passes is not None
    ports = tables if isinstance(tables, dict) else {"table": tables}
    less = {
        port: table.select([name for name in table.column_names if name in reads[port]])
        for port, table in ports.items()
    }
    if not all(table.num_columns for table in less.values()):
        less = {port: table.select([*reads[port], *table.column_names[:1]]) for port, table in ports.items()}
    gone = [name for name, source in said.passes["out"].items() if source.column not in less[source.port].column_names]
    kept = [name for name in whole.column_names if name not in gone]
    found = run_planned(module, {"out": kept}, None, less, **params)
    assert found.select(kept).to_pydict() == whole.select(kept).to_pydict()


@pytest.mark.parametrize(
    ("module", "tables", "params", "param", "column", "part"),
    [
        (select, T, {"columns": ["aa"]}, "columns", "aa", "did you mean 'a'?"),
        (select, T, {"rename": {"x": "y"}}, "rename", "x", "has no column 'x'"),
        (filter_rows, T, {"where": "arr > 1"}, "where", "arr", "there is no column 'arr'"),
        (filter_rows, T, {"where": "a + 1"}, "where", None, "gives int64 values, not true or false"),
        (derive, T, {"columns": {"n": "bb || 'x'"}}, "columns", "bb", "did you mean 'b'?"),
        (derive, T, {"columns": {"n": "b + 1.5::date"}}, "columns", None, "columns.n"),
        (sort, T, {"by": ["-z"]}, "by", "z", "has no column 'z'"),
        (aggregate, T, {"by": ["bb"], "measures": {}}, "by", "bb", "did you mean 'b'?"),
        (aggregate, T, {"measures": {"n": "a"}}, "measures", None, "no aggregate function"),
        (join, {"left": T, "right": OTHER}, {"on": {"b": "e"}}, "on", "e", "'right' has no column 'e'"),
        (join, {"left": T, "right": OTHER}, {"on": {"a": "b"}}, "on", None, "is int64, but 'b' of 'right' is string"),
        (limit, T, {"rows": -1}, "rows", None, "greater than or equal to 0"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said_with_param_and_column(
    module: Any, tables: Any, params: dict[str, Any], param: str | None, column: str | None, part: str
) -> None:
    [problem] = plan(module, tables, **params).problems
    assert part in problem.message
    assert (problem.param, problem.column) == (param, column)


def test_a_type_that_is_not_known_stays_unknown_and_is_no_problem() -> None:
    schema = pa.schema([("a", unknown_type()), ("b", pa.string())])
    assert plan(filter_rows, schema, where="a > 3").problems == ()
    said = plan(derive, schema, columns={"n": "a + 1", "t": "b || '!'"})
    assert said.outputs == {"out": {"a": "any", "b": "string", "n": "any", "t": "string"}}
    said = plan(aggregate, schema, by=["a"], measures={"n": "count(*)", "m": "max(a)", "c": "max(b)"})
    assert said.outputs == {"out": {"a": "any", "n": "int64", "m": "any", "c": "string"}}
    assert plan(sort, schema, by=["a"]).problems == ()
    assert plan(join, {"left": schema, "right": T}, on="a").problems == ()


def test_types_of_extensions_pass_by_their_names() -> None:
    schema = pa.schema([("id", pa.uuid()), ("b", pa.string())])
    assert plan(limit, schema, rows=1).outputs == {"out": {"id": "extension<arrow.uuid>", "b": "string"}}


# -- io.read -----------------------------------------------------------------------------------------------------------

Put = Callable[[str, bytes], str]


@pytest.fixture
def put(tmp_path: Path) -> Put:
    def write(name: str, content: bytes) -> str:
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write


def outputs(said: PlanAnswer) -> Any:
    assert said.problems == ()
    return (said.outputs or {}).get("out")


def test_a_small_csv_file_tells_its_columns_and_types(put: Put) -> None:
    file = put("t.csv", b"a,b,c\n1,x,2026-01-01\n")
    assert outputs(plan(read, file=file)) == {"a": "int64", "b": "string", "c": "date32"}
    assert outputs(plan(read, file=file, columns=["b", "a"])) == {"b": "string", "a": "int64"}
    assert outputs(plan(read, file=put("e.csv", b"a,b\n"))) == {"a": "null", "b": "null"}


def test_of_a_large_one_only_text_and_given_types_are_sure(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_reader, "BLOCK_BYTES", 1000)
    file = put("t.csv", b"a,b,c,d\n" + b"1,x,2,NA\n" * 1000)
    assert outputs(plan(read, file=file, types={"c": "float64"})) == {
        "a": "any",
        "b": "string",
        "c": "float64",
        "d": "any",
    }


def test_parquet_and_arrow_files_say_their_types(put: Put, tmp_path: Path) -> None:
    pq.write_table(T, tmp_path / "t.parquet")
    with pa.ipc.new_file(tmp_path / "t.arrow", T.schema) as writer:
        writer.write_table(T)
    for name in ("t.parquet", "t.arrow"):
        assert outputs(plan(read, file=str(tmp_path / name))) == names_of(T.schema)
    assert outputs(plan(read, file=put("t.jsonl", b'{"a": 1}\n{"b": "x"}\n'))) == {"a": "int64", "b": "string"}


def test_a_file_that_cannot_be_read_is_a_problem(put: Put) -> None:
    [problem] = plan(read, file=put("t.csv", b"a,b\n1,x\n"), columns=["aa"]).problems
    assert problem.param == "columns"
    assert "has no column 'aa' (did you mean 'a'?)" in problem.message
    [problem] = plan(read, file=put("t.parquet", b"no parquet")).problems
    assert (problem.param, "cannot be read as parquet" in problem.message) == ("file", True)


@pytest.mark.parametrize("name", ["t.csv", "t.jsonl", "t.parquet", "t.arrow"])
def test_only_wanted_columns_and_rows_are_read_of_every_format(tmp_path: Path, name: str) -> None:
    table = pa.table({"Id": list(range(100)), "x": ["u", "v"] * 50, "y": [0.5] * 100})
    path = tmp_path / name
    if name == "t.csv":
        pa.csv.write_csv(table, path)
    elif name == "t.jsonl":
        path.write_text("".join(f'{{"Id": {n}, "x": "{"uv"[n % 2]}", "y": 0.5}}\n' for n in range(100)))
    elif name == "t.parquet":
        pq.write_table(table, path, row_group_size=10)
    else:
        with pa.ipc.new_file(path, table.schema) as writer:
            writer.write_table(table, max_chunksize=10)
    some = {"out": [Predicate(column="id", op=">", value=95), Predicate(column="X", op="=", value="v")]}
    found = run_planned(read, {"out": ["ID", "x"]}, some, file=str(path))
    assert found.to_pydict() == {"Id": [97, 99], "x": ["v", "v"]}
    assert run_planned(read, {"out": []}, None, file=str(path)).num_rows == 100


@pytest.mark.parametrize("op", ["=", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize(
    ("kind", "moments"),
    [
        ("timestamp[us]", [0, 300_000_000_000_000_000]),  # the latter is after the year 9999
        ("timestamp[ns]", [1_577_836_800_000_000_001] * 2),  # a nanosecond after 2020 began
        ("timestamp[ns]", [1_577_836_799_999_999_999] * 2),
    ],
)
def test_statistics_that_python_cannot_tell_leave_no_row_out(
    tmp_path: Path, kind: str, moments: list[int], op: Any
) -> None:
    unit = "us" if "us" in kind else "ns"
    table = pa.table({"t": pa.array(moments, pa.int64()).cast(pa.timestamp(unit))})
    pq.write_table(table, tmp_path / "t.parquet")
    some = {"out": [Predicate(column="t", op=op, value="2020-01-01")]}
    found = run_planned(read, None, some, file=str(tmp_path / "t.parquet"))
    left = run(filter_rows, found, where=f"t {op} '2020-01-01'")
    assert left.equals(run(filter_rows, table, where=f"t {op} '2020-01-01'"))
