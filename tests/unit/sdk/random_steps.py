"""What a random module does to its frame, in each library, and to a plain model beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

KEY = "k"
"""A column of integers, which steps compute with; it is there to the end."""
OTHER = 10_007
"""What is written into it in place."""


@dataclass
class Model:
    """A table as lists, with the numbers of its rows in the input; `None` for a row of no input."""

    columns: dict[str, list[Any]]
    rows: list[int]
    types: dict[str, pa.DataType | None] = field(default_factory=dict)

    @classmethod
    def of(cls, table: pa.Table) -> Model:
        types = {one.name: one.type for one in table.schema}
        return cls(table.to_pydict(), list(range(table.num_rows)), types)

    def pick(self, numbers: Sequence[int]) -> Model:
        """These rows, counted from 0."""
        columns = {name: [values[number] for number in numbers] for name, values in self.columns.items()}
        return Model(columns, [self.rows[number] for number in numbers], dict(self.types))

    def with_column(self, name: str, values: list[Any], kind: pa.DataType | None = None) -> Model:
        return Model({**self.columns, name: values}, self.rows, {**self.types, name: kind})

    def select(self, names: Sequence[str]) -> Model:
        return Model(
            {name: self.columns[name] for name in names}, self.rows, {name: self.types[name] for name in names}
        )

    def rename(self, old: str, new: str) -> Model:
        called = {name: new if name == old else name for name in self.columns}
        return Model(
            {called[name]: values for name, values in self.columns.items()},
            self.rows,
            {called[name]: kind for name, kind in self.types.items()},
        )

    @property
    def names(self) -> list[str]:
        return list(self.columns)

    def __len__(self) -> int:
        return len(self.rows)


class ArrowFrames:
    """`pa.Table`, and with it `pa.RecordBatch`."""

    def add(self, table: Any, name: str) -> Any:
        return self._put(table, name, pc.add(table[KEY], 1))

    def cast(self, table: Any) -> Any:
        return self._put(table, KEY, pc.cast(table[KEY], pa.float64()))

    def copy(self, table: Any, name: str) -> Any:
        column = table[name]
        chunks = column.chunks if isinstance(column, pa.ChunkedArray) else [column]
        pieces = [piece for chunk in chunks for piece in (chunk.slice(0, 1), chunk.slice(1))]
        return self._put(table, name, pa.concat_arrays(pieces) if pieces else column)

    def double(self, table: Any, name: str, new: str) -> Any:
        return self._put(table, new, table[name])

    def select(self, table: Any, names: list[str]) -> Any:
        return table.select(names)

    def rename(self, table: Any, old: str, new: str) -> Any:
        return table.rename_columns([new if name == old else name for name in table.schema.names])

    def sort(self, table: Any) -> Any:
        return table.sort_by(KEY)

    def filter(self, table: Any) -> Any:
        return table.filter(pc.equal(pc.bit_wise_and(pc.cast(table[KEY], pa.int64()), 1), 0))

    def slice(self, table: Any, start: int, rows: int) -> Any:
        return table.slice(start, rows)

    def twice(self, table: Any) -> Any:
        if isinstance(table, pa.RecordBatch):
            table = pa.Table.from_batches([table])
        return pa.concat_tables([table, table])

    def write(self, table: Any) -> Any:
        """Raises `ValueError` where the bytes are the input's own."""
        column = table[KEY]
        chunk = column.chunk(0) if isinstance(column, pa.ChunkedArray) else column
        chunk.to_numpy()[0] = OTHER
        return table

    def keys(self, table: Any) -> list[Any]:
        return list(table[KEY].to_pylist())

    @staticmethod
    def _put(table: Any, name: str, column: Any) -> Any:
        at = table.schema.get_field_index(name)
        return table.append_column(name, column) if at < 0 else table.set_column(at, name, column)


class PandasFrames:
    def add(self, frame: Any, name: str) -> Any:
        return frame.assign(**{name: frame[KEY] + 1})

    def cast(self, frame: Any) -> Any:
        return frame.astype({KEY: "float64"})

    def copy(self, frame: Any, name: str) -> Any:
        return frame.assign(**{name: frame[name].copy(deep=True)})

    def double(self, frame: Any, name: str, new: str) -> Any:
        return frame.assign(**{new: frame[name]})

    def select(self, frame: Any, names: list[str]) -> Any:
        return frame[names]

    def rename(self, frame: Any, old: str, new: str) -> Any:
        return frame.rename(columns={old: new})

    def sort(self, frame: Any) -> Any:
        return frame.sort_values(KEY, kind="stable")

    def filter(self, frame: Any) -> Any:
        return frame[frame[KEY] % 2 == 0]

    def slice(self, frame: Any, start: int, rows: int) -> Any:
        return frame.iloc[start : start + rows]

    def twice(self, frame: Any) -> Any:
        return pd.concat([frame, frame])

    def write(self, frame: Any) -> Any:
        frame[KEY].values[0] = OTHER
        return frame

    def set(self, frame: Any) -> Any:
        """pandas' own way to write: it copies first."""
        frame.loc[frame.index[0], KEY] = OTHER
        return frame

    def reset(self, frame: Any) -> Any:
        return frame.reset_index(drop=True)

    def keys(self, frame: Any) -> list[Any]:
        return list(frame[KEY].tolist())


class LazyFrames:
    def add(self, frame: Any, name: str) -> Any:
        return frame.with_columns((pl.col(KEY) + 1).alias(name))

    def cast(self, frame: Any) -> Any:
        return frame.with_columns(pl.col(KEY).cast(pl.Float64))

    def copy(self, frame: Any, name: str) -> Any:
        return frame.with_columns(pl.col(name).gather(pl.int_range(pl.len())))

    def double(self, frame: Any, name: str, new: str) -> Any:
        return frame.with_columns(pl.col(name).alias(new))

    def select(self, frame: Any, names: list[str]) -> Any:
        return frame.select(names)

    def rename(self, frame: Any, old: str, new: str) -> Any:
        return frame.rename({old: new})

    def sort(self, frame: Any) -> Any:
        return frame.sort(KEY, maintain_order=True)

    def filter(self, frame: Any) -> Any:
        return frame.filter(pl.col(KEY).cast(pl.Int64) % 2 == 0)

    def slice(self, frame: Any, start: int, rows: int) -> Any:
        return frame.slice(start, rows)

    def twice(self, frame: Any) -> Any:
        return pl.concat([frame, frame])


class PolarsFrames(LazyFrames):
    def write(self, frame: Any) -> Any:
        np.asarray(frame[KEY].to_numpy(writable=False))[0] = OTHER
        return frame

    def set(self, frame: Any) -> Any:
        frame[0, KEY] = OTHER
        return frame

    def keys(self, frame: Any) -> list[Any]:
        return list(frame[KEY].to_list())


class DuckFrames:
    def add(self, relation: Any, name: str) -> Any:
        return self._put(relation, name, f'"{KEY}" + 1')

    def cast(self, relation: Any) -> Any:
        return self._put(relation, KEY, f'CAST("{KEY}" AS DOUBLE)')

    def double(self, relation: Any, name: str, new: str) -> Any:
        return self._put(relation, new, f'"{name}"')

    def select(self, relation: Any, names: list[str]) -> Any:
        return relation.project(", ".join(f'"{name}"' for name in names))

    def rename(self, relation: Any, old: str, new: str) -> Any:
        return relation.project(
            ", ".join(f'"{name}" AS "{new}"' if name == old else f'"{name}"' for name in relation.columns)
        )

    def sort(self, relation: Any) -> Any:
        return relation.order(f'"{KEY}"')

    def filter(self, relation: Any) -> Any:
        return relation.filter(f'CAST("{KEY}" AS BIGINT) % 2 = 0')

    def _put(self, relation: Any, name: str, expression: str) -> Any:
        columns = [f'"{one}"' for one in relation.columns]
        made = f'{expression} AS "{name}"'
        if name in relation.columns:
            columns[relation.columns.index(name)] = made
        else:
            columns.append(made)
        return relation.project(", ".join(columns))


class Dry:
    """A library that does nothing: what a step makes of the model can be seen beforehand."""

    def __init__(self, library: Any) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        if name in {"write", "set"} or not hasattr(self._library, name):
            raise AttributeError(name)
        return lambda frame, *_: frame


Step = Callable[[Any, Any, Model], tuple[Any, Model]]
"""From (library, frame, model) to frame and model after the step."""


def add(name: str) -> Step:
    def step(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
        return library.add(frame, name), model.with_column(name, [k + 1 for k in model.columns[KEY]], model.types[KEY])

    return step


def cast(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
    return library.cast(frame), model.with_column(KEY, [float(key) for key in model.columns[KEY]], pa.float64())


def copy(name: str) -> Step:
    def step(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
        return (library.copy(frame, name) if hasattr(library, "copy") and name in model.columns else frame), model

    return step


def double(name: str, new: str) -> Step:
    def step(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
        if name not in model.columns:
            return frame, model
        return library.double(frame, name, new), model.with_column(new, model.columns[name], model.types[name])

    return step


def rename(old: str, new: str) -> Step:
    def step(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
        if old not in model.columns or new in model.columns:
            return frame, model
        return library.rename(frame, old, new), model.rename(old, new)

    return step


def drop(name: str) -> Step:
    def step(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
        left = [one for one in model.names if one != name]
        return library.select(frame, left), model.select(left)

    return step


def reorder(seed: int) -> Step:
    def step(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
        names = sorted(model.names, key=lambda name: hash((seed, *map(ord, name))))
        return library.select(frame, names), model.select(names)

    return step


def sort(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
    keys = model.columns[KEY]
    return library.sort(frame), model.pick(sorted(range(len(model)), key=lambda row: keys[row]))


def even(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
    return library.filter(frame), model.pick([row for row, key in enumerate(model.columns[KEY]) if int(key) % 2 == 0])


def part(start: int, rows: int) -> Step:
    def step(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
        if not hasattr(library, "slice"):
            return frame, model
        return library.slice(frame, start, rows), model.pick(range(len(model))[start : start + rows])

    return step


def twice(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
    if not hasattr(library, "twice"):
        return frame, model
    return library.twice(frame), model.pick([*range(len(model)), *range(len(model))])


def reset(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
    return (library.reset(frame) if hasattr(library, "reset") else frame), model


def write(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
    """Past the library, into the bytes: refused, or seen by everybody who looks at the frame."""
    return _written(library, frame, model, "write")


def set_one(library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
    """As the library itself does it."""
    return _written(library, frame, model, "set")


def _written(library: Any, frame: Any, model: Model, way: str) -> tuple[Any, Model]:
    if not hasattr(library, way) or not len(model):
        return frame, model
    try:
        frame = getattr(library, way)(frame)
    except ValueError as error:
        assert "read-only" in str(error)  # noqa: PT017  what else it could be
    keys = library.keys(frame)
    return frame, model if keys == model.columns[KEY] else model.with_column(KEY, keys, model.types[KEY])


def apply(steps: Sequence[Step], library: Any, frame: Any, model: Model) -> tuple[Any, Model]:
    for step in steps:
        frame, model = step(library, frame, model)
    return frame, model


def streamed(steps: Sequence[Step], batches: Any, model: Model) -> tuple[list[Any], Model]:
    """The same batch by batch, for steps that look at one row at a time."""
    made: list[Any] = []
    models: list[Model] = []
    start = 0
    for batch in batches:
        piece = model.pick(range(start, start + batch.num_rows))
        start += batch.num_rows
        frame, after = apply(steps, ArrowFrames(), batch, piece)
        made.append(frame)
        models.append(after)
    assert start == len(model)
    return made, joined(models)


def joined(models: Sequence[Model]) -> Model:
    columns = {name: [value for one in models for value in one.columns[name]] for name in models[0].names}
    return Model(columns, [row for one in models for row in one.rows], models[0].types)
