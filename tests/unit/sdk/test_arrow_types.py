"""Every Arrow type through every adapter in both directions."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from module_sdk.dataframes.adapters import adapter_for, from_native
from plugmesh.errors import DataMismatch
from tests.unit.sdk.arrow_types import BECOMES, EXAMPLES, REFUSED
from tests.unit.sdk.types_page import page

ROOT = Path(__file__).parents[3]
FRAMES = ("pandas.DataFrame", "polars.DataFrame")
HANDED = [(frame, name) for frame in FRAMES for name in EXAMPLES if name not in REFUSED[frame]]
DUCKDB = "duckdb.DuckDBPyRelation"


def shapes(array: pa.Array) -> dict[str, pa.ChunkedArray]:
    return {
        "whole": pa.chunked_array([array]),
        "chunked": pa.chunked_array([array, array]),
        "empty": pa.chunked_array([], array.type),
        "sliced": pa.chunked_array([array[1:]]),
    }


@pytest.mark.parametrize(("frame", "name"), HANDED)
def test_what_comes_back_untouched_is_the_input(frame: str, name: str) -> None:
    for shape, column in shapes(EXAMPLES[name]).items():
        table = pa.table({"x": column, "n": pa.array(range(len(column)), pa.int64())})
        handed = adapter_for(frame).hand_over(table)
        back = from_native(handed.native, given=[handed])
        back.validate(full=True)
        assert back.schema == table.schema, shape
        assert back.to_pylist() == table.to_pylist(), shape


@pytest.mark.parametrize(("frame", "name"), HANDED)
def test_changed_column_has_its_type_again(frame: str, name: str) -> None:
    array = EXAMPLES[name]
    adapter = adapter_for(frame)
    handed = adapter.hand_over(pa.table({"x": array}))
    others = copied(pa.table({"x": pa.chunked_array([array, array])}))
    back = from_native(adapter.to_native(others), given=[handed])
    back.validate(full=True)
    assert back.schema.field("x").type == BECOMES.get(frame, {}).get(name, array.type)
    assert back.column("x").to_pylist() == others["x"].to_pylist()


def test_lazy_frame_gives_back_all_types_that_polars_has() -> None:
    names = [name for name in EXAMPLES if name not in REFUSED["polars.LazyFrame"]]
    rows = [[EXAMPLES[name].slice(at % len(EXAMPLES[name]), 1) for at in range(4)] for name in names]
    table = pa.table([pa.chunked_array(chunks) for chunks in rows], names)
    handed = adapter_for("polars.LazyFrame").hand_over(table)
    back = from_native(handed.native, given=[handed])
    assert back.schema == table.schema
    assert back.to_pylist() == table.to_pylist()


def copied(table: pa.Table) -> pa.Table:
    """The same table in other buffers."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return pa.ipc.open_file(sink.getvalue()).read_all()


@pytest.fixture(scope="module")
def through_duckdb() -> pa.Table:
    names = [name for name in EXAMPLES if name not in REFUSED[DUCKDB]]
    columns: dict[str, Any] = {}
    for name in names:
        array = EXAMPLES[name]
        columns[name] = pa.chunked_array([array.slice(at % len(array), 1) for at in range(4)], array.type)
    handed = adapter_for(DUCKDB).hand_over(pa.table(columns))
    back = from_native(handed.native.project("*"), given=[handed])
    back.validate(full=True)
    return back


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in REFUSED[DUCKDB]])
def test_duckdb_gives_values_and_type_back(through_duckdb: pa.Table, name: str) -> None:
    array = EXAMPLES[name]
    column = through_duckdb.column(name)
    assert column.type == BECOMES[DUCKDB].get(name, array.type)
    expected = [array[at % len(array)].as_py() for at in range(4)]
    assert column.to_pylist() == ([one and str(one) for one in expected] if name == "uuid" else expected)


@pytest.mark.parametrize(("frame", "name"), [(frame, name) for frame, names in REFUSED.items() for name in names])
def test_type_that_a_library_lacks_is_said_with_its_column(frame: str, name: str) -> None:
    table = pa.table({"fine": EXAMPLES[name].is_null(), "odd": EXAMPLES[name]})
    library = REFUSED[frame][name]
    with pytest.raises(DataMismatch, match=rf"column 'odd' .* cannot be handed over as a {library}.*: .*pd\.DataFrame"):
        adapter_for(frame).hand_over(table)


def test_page_of_types_is_up_to_date() -> None:
    text = (ROOT / "docs" / "reference" / "types.md").read_text(encoding="utf-8")
    assert text == page(), "run scripts/types-page"
