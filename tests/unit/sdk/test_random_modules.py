"""Random modules, in every library, against a plain model: what they return is what is read by reference, columns that they
never received stand beside the rows they belong to, and nothing that is borrowed was changed."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import event, given, note, settings
from hypothesis import strategies as st

from module_sdk import module
from module_sdk.decorator import Module
from module_sdk.invoke import WrongReturn
from tests.unit.sdk import random_steps as steps_of
from tests.unit.sdk.inprocess import InProcess
from tests.unit.sdk.random_steps import KEY, Dry, Model, Step, apply, streamed

LIBRARIES: dict[str, tuple[Any, Any]] = {
    "table": (pa.Table, steps_of.ArrowFrames()),
    "batch": (pa.RecordBatch, steps_of.ArrowFrames()),
    "batches": (Iterator[pa.RecordBatch], steps_of.ArrowFrames()),
    "pandas": (pd.DataFrame, steps_of.PandasFrames()),
    "polars": (pl.DataFrame, steps_of.PolarsFrames()),
    "lazy": (pl.LazyFrame, steps_of.LazyFrames()),
    "duckdb": (duckdb.DuckDBPyRelation, steps_of.DuckFrames()),
}
OTHERS = ("x", "n", "s", "d", "t", "b", "l")
NEW = ("p", "q")
COLUMNS = st.sampled_from(OTHERS)

BORROWING = st.one_of(
    st.builds(steps_of.double, COLUMNS, st.sampled_from((*NEW, *OTHERS))),
    st.builds(steps_of.rename, COLUMNS, st.sampled_from((*NEW, *OTHERS))),
    st.builds(steps_of.drop, COLUMNS),
    st.builds(steps_of.reorder, st.integers(0, 5)),
)
KEEPING = st.one_of(
    BORROWING,
    st.builds(steps_of.add, st.sampled_from((*NEW, *OTHERS))),
    st.builds(steps_of.copy, st.sampled_from((KEY, *OTHERS))),
    st.just(steps_of.cast),
    st.just(steps_of.write),
    st.just(steps_of.set_one),
)
PICKING = st.one_of(
    KEEPING,
    st.just(steps_of.sort),
    st.just(steps_of.even),
    st.builds(steps_of.part, st.integers(0, 20), st.integers(0, 30)),
)
ANYTHING = st.one_of(PICKING, st.just(steps_of.twice), st.just(steps_of.reset))
ROWWISE = st.one_of(BORROWING, st.builds(steps_of.add, st.sampled_from(NEW)), st.just(steps_of.even))
numbers = itertools.count()


@st.composite
def tables(draw: st.DrawFn) -> pa.Table:
    """Small ones, and some that are mapped when they are read."""
    rows = draw(st.integers(0, 12))
    times = draw(st.sampled_from([1, 1, 1, 400]))
    floats = st.one_of(st.none(), st.sampled_from([0.0, -0.0, 0.5, 1e300]))
    texts = st.one_of(st.none(), st.sampled_from(["", "a", "ü", "longer than twelve"]))
    table = pa.table(
        {
            "x": _column(draw, floats, rows, pa.float64()),
            "n": _column(draw, st.one_of(st.none(), st.integers(-5, 2**60)), rows, pa.int64()),
            "s": _column(draw, texts, rows, pa.string()),
            "d": _column(draw, texts, rows, pa.string()).dictionary_encode(),
            "t": _column(
                draw,
                st.sampled_from([dt.datetime(2026, 1, day, tzinfo=dt.UTC).replace(tzinfo=None) for day in (1, 2)]),
                rows,
                pa.timestamp("us"),
            ),
            "b": _column(draw, st.one_of(st.none(), st.booleans()), rows, pa.bool_()),
            "l": _column(
                draw, st.one_of(st.none(), st.lists(st.integers(0, 3), max_size=2)), rows, pa.list_(pa.int64())
            ),
        }
    )
    table = pa.concat_tables([table] * times)
    keys = list(range(table.num_rows))
    keys = keys[::-1] if draw(st.booleans()) else keys[len(keys) // 3 :] + keys[: len(keys) // 3]
    return table.add_column(draw(st.integers(0, 7)), KEY, pa.array(keys, pa.int64())).combine_chunks()


def _column(draw: st.DrawFn, values: st.SearchStrategy[Any], rows: int, kind: pa.DataType) -> pa.Array:
    return pa.array(draw(st.lists(values, min_size=rows, max_size=rows)), kind)


class Trial:
    """One random module on one table."""

    def __init__(self, here: InProcess, name: str, table: pa.Table, made: list[Step], fragments: int) -> None:
        self.here, self.table, self.steps = here, table, made
        self.annotation, self.library = LIBRARIES[name]
        self.streams = name == "batches"
        here.clear()
        self.input = here.put(table, max_rows_per_fragment=max(1, table.num_rows // fragments))
        self.model = Model.of(table)
        self.keys = here.keys()

    def module(self, **declared: Any) -> Module[..., Any]:
        """It changes a model as it changes its frame."""

        def function(rows: Any) -> Any:
            if not self.streams:
                frame, self.model = apply(self.steps, self.library, rows, self.model)
                return frame
            made, self.model = streamed(self.steps, rows, self.model)
            return iter(made)

        function.__annotations__ = {"rows": self.annotation}
        return module(f"r.m{next(numbers)}", **declared)(function)

    def final(self, handed: Model) -> Model:
        """The columns that there will be."""
        return apply(self.steps, Dry(self.library), None, handed)[1]

    def run(self, made: Module[..., Any]) -> Any:
        done = self.here.run(made, {"rows": [self.input]})
        self.read = self.here.read(done.outputs["out"])
        return done

    def check_values(self, names: list[str], columns: dict[str, list[Any]]) -> None:
        """What is read is what was expected, and the input is what it was."""
        assert self.read.schema.names == names
        assert self.read.to_pydict() == columns
        assert self.here.read(self.input).equals(self.table)


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> InProcess:
    return InProcess(tmp_path_factory.mktemp("random"))


def examples(quick: int, full: int) -> Callable[[Any], Any]:
    """So many in the quick suite, and in the full one."""

    def both(check: Any) -> Any:
        return pytest.mark.parametrize(
            "most", [pytest.param(quick, id="quick"), pytest.param(full, id="full", marks=pytest.mark.full)]
        )(check)

    return both


def _run(check: Callable[..., None], most: int) -> None:
    settings(max_examples=most)(check)()


@pytest.mark.parametrize("name", LIBRARIES)
@examples(8, 250)
def test_a_module_that_is_handed_all_gives_what_it_returned(here: InProcess, name: str, most: int) -> None:
    steps = st.lists(ROWWISE if name == "batches" else ANYTHING, max_size=5)

    @given(tables(), steps, st.integers(1, 4))
    def check(table: pa.Table, made: list[Step], fragments: int) -> None:
        trial = Trial(here, name, table, made, fragments)
        if name == "batches" and not table.num_rows:
            return
        trial.run(trial.module())
        trial.check_values(trial.model.names, trial.model.columns)

    _run(check, most)


@pytest.mark.parametrize("name", sorted(set(LIBRARIES) - {"duckdb", "batches"}))
@examples(5, 100)
def test_what_only_drops_renames_and_reorders_writes_nothing(here: InProcess, name: str, most: int) -> None:
    @given(tables(), st.lists(BORROWING, max_size=5), st.integers(1, 4))
    def check(table: pa.Table, made: list[Step], fragments: int) -> None:
        # One chunk where the library itself puts several together: a batch is one, polars does so where columns differ in it.
        trial = Trial(here, name, table, made, fragments if name in {"table", "pandas"} else 1)
        done = trial.run(trial.module())
        trial.check_values(trial.model.names, trial.model.columns)
        if (
            table.num_rows
        ):  # an empty column that was renamed has nothing by which polars' own type could be told from its
            assert {one.name: one.type for one in trial.read.schema} == trial.model.types
        assert here.keys() == trial.keys
        assert done.stats.bytes_written == 0

    _run(check, most)


@pytest.mark.parametrize("name", LIBRARIES)
@examples(8, 250)
def test_columns_that_a_module_never_received_stand_beside_their_rows(here: InProcess, name: str, most: int) -> None:
    kinds = {"batches": st.one_of(KEEPING, ROWWISE), "pandas": ANYTHING}
    handed = st.sets(st.sampled_from(OTHERS), max_size=3)

    @given(tables(), st.lists(kinds.get(name, PICKING), max_size=4), handed, st.booleans(), st.integers(1, 4))
    def check(table: pa.Table, made: list[Step], asked: set[str], same: bool, fragments: int) -> None:
        if name == "batches" and not table.num_rows:
            return
        if same:
            made = [step for step in made if _keeps_rows(step)]
        trial = Trial(here, name, table, made, fragments)
        if same or name == "pandas":
            trial.model = trial.model.select([one for one in table.column_names if one == KEY or one in asked])
        before, after = trial.model, trial.final(trial.model)
        new = {one: "any" for one in after.names if one not in before.types or after.types[one] != before.types[one]}
        gone = {one: False for one in before.names if one not in after.types}
        one = trial.module(
            inputs={"rows": {KEY: "int64", **dict.fromkeys(sorted(asked), "any")}},
            outputs={"out": {"...": "rows", **new, **gone}},
            rows="same" if same else "any",
        )
        note(f"{one.contract.inputs[0].columns} {one.contract.outputs[0]} {one.contract.traits.rows}")
        refused = None
        try:
            trial.run(one)
        except WrongReturn as error:
            refused = str(error)
        if refused is None:
            trial.check_values(*_expected(trial, table, before))
            return
        event("refused")
        assert "three ways out" in refused
        assert name == "pandas"
        assert steps_of.reset in made or steps_of.twice in made
        assert not same

    _run(check, most)


def _keeps_rows(step: Step) -> bool:
    return step not in {steps_of.sort, steps_of.even, steps_of.twice} and "part" not in step.__qualname__


def _expected(trial: Trial, table: pa.Table, handed: Model) -> tuple[list[str], dict[str, list[Any]]]:
    """What the module returned, and the rest of the input's columns beside it, in the order of the input."""
    model, whole = trial.model, table.to_pydict()
    if len(handed.names) == table.num_columns:
        return model.names, model.columns
    rest = {
        name: [whole[name][row] for row in model.rows]
        for name in table.column_names
        if name not in handed.types and name not in model.types
    }
    if not rest:
        return model.names, model.columns
    columns = {**rest, **model.columns}
    first = [name for name in table.column_names if name in columns]
    names = [*first, *(name for name in model.names if name not in first)]
    return names, {name: columns[name] for name in names}
