"""The text of a new module's file and of its test: small, whole, and working as they are. Pure."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from enum import StrEnum

from plugmesh.errors import ConfigurationError

_NAME = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z][a-z0-9_]*)*")
_LONGEST, _LONGEST_WORD = 200, 100
_TAKEN = {"pa", "pc", "pd", "pl", "module", "serve", "rows", "run", "json", "os", "path"}
"""Names that the file uses itself."""


class Kind(StrEnum):
    """What part a module plays in a flow."""

    SOURCE = "source"
    TRANSFORM = "transform"
    SINK = "sink"


class Frame(StrEnum):
    """The library whose tables a module works with."""

    PANDAS = "pandas"
    POLARS = "polars"
    ARROW = "arrow"


@dataclass(frozen=True, slots=True)
class Library:
    """How a library is imported, what its table is called, and its code in the three kinds of modules."""

    imports: str
    table: str
    made: str
    scaled: str
    listed: str


_LIBRARIES = {
    Frame.PANDAS: Library(
        "import pandas as pd",
        "pd.DataFrame",
        'pd.DataFrame({"n": range(1, count + 1)})',
        'rows.assign(scaled=rows["value"] * factor)',
        'rows.to_dict("records")',
    ),
    Frame.POLARS: Library(
        "import polars as pl",
        "pl.DataFrame",
        'pl.DataFrame({"n": range(1, count + 1)})',
        'rows.with_columns(scaled=pl.col("value") * factor)',
        "rows.to_dicts()",
    ),
    Frame.ARROW: Library(
        "import pyarrow as pa",
        "pa.Table",
        'pa.table({"n": pa.array(range(1, count + 1), pa.int64())})',
        'rows.append_column("scaled", pc.multiply(rows["value"], factor))',
        "rows.to_pylist()",
    ),
}


@dataclass(frozen=True, slots=True)
class NewModule:
    """A module that is about to be written. `function` is also the name of its file."""

    name: str
    function: str
    kind: Kind
    frame: Frame

    @property
    def text(self) -> str:
        """The module's file."""
        body = {Kind.SOURCE: _source, Kind.TRANSFORM: _transform, Kind.SINK: _sink}[self.kind]
        return body(self, _LIBRARIES[self.frame]) + _ENDING.format(function=self.function)

    @property
    def test(self) -> str:
        """The file of its test."""
        body = {Kind.SOURCE: _TEST_SOURCE, Kind.TRANSFORM: _TEST_TRANSFORM, Kind.SINK: _TEST_SINK}[self.kind]
        return body.format(name=self.name, function=self.function)


def new_module(name: str, kind: Kind, frame: Frame) -> NewModule:
    """A module of a name. Raises `ConfigurationError` for a name that no module can have."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"{name!r} is no name of a module: write words of a-z, 0-9 and _ with dots between them, as in "
            "orders.price_total"
        )
    last = name.rpartition(".")[2]
    if len(name) > _LONGEST or len(last) > _LONGEST_WORD:
        raise ConfigurationError(
            f"{name[:40]}… is too long for the name of a module: at most {_LONGEST} characters, and {_LONGEST_WORD} in "
            "the last word, which names its file"
        )
    return NewModule(name, f"{last}_" if keyword.iskeyword(last) or last in _TAKEN else last, kind, frame)


def _source(new: NewModule, library: Library) -> str:
    return f'''"""The module `{new.name}`."""

{library.imports}

from module_sdk import module, serve


@module("{new.name}", version="0.1.0", outputs={{"out": {{"n": "int64"}}}})
def {new.function}(*, count: int = 3) -> {library.table}:
    """Make rows numbered from 1."""
    return {library.made}
'''


def _transform(new: NewModule, library: Library) -> str:
    compute = "\nimport pyarrow.compute as pc" if new.frame is Frame.ARROW else ""
    return f'''"""The module `{new.name}`."""

{library.imports}{compute}

from module_sdk import module, serve


@module(
    "{new.name}",
    version="0.1.0",
    inputs={{"rows": {{"value": "float64"}}}},  # the columns that are read; the others are not even fetched
    outputs={{"out": {{"...": "rows", "scaled": "float64"}}}},  # "...": all other columns of rows pass through
    rows="same",  # one row for each row, in the same order
)
def {new.function}(rows: {library.table}, *, factor: float = 2.0) -> {library.table}:
    """Multiply each value by a factor."""
    return {library.scaled}
'''


def _sink(new: NewModule, library: Library) -> str:
    return f'''"""The module `{new.name}`."""

import json
import os

{library.imports}

from module_sdk import module, serve


@module("{new.name}", version="0.1.0", idempotent=True)  # writing the same rows again changes nothing
def {new.function}(rows: {library.table}, *, path: str) -> None:
    """Write the rows to a file, one JSON object a line; the file is whole, or not there."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        for row in {library.listed}:
            file.write(json.dumps(row, default=str) + "\\n")
    os.replace(path + ".new", path)
'''


_ENDING = """

if __name__ == "__main__":
    serve({function})
"""

_TEST_SOURCE = '''"""What `{name}` makes, tried without a mesh."""

from module_sdk.testing import run
from {function} import {function}


def test_rows_are_numbered_from_1():
    assert run({function}, count=2).to_pylist() == [{{"n": 1}}, {{"n": 2}}]


def test_no_rows_are_fine():
    assert run({function}, count=0).num_rows == 0
'''

_TEST_TRANSFORM = '''"""What `{name}` does, tried without a mesh."""

from module_sdk.testing import run
from {function} import {function}


def test_each_value_is_multiplied():
    out = run({function}, {{"value": [1.0, 2.5], "name": ["a", "b"]}}, factor=10)
    assert out["scaled"].to_pylist() == [10.0, 25.0]


def test_other_columns_pass_through():
    out = run({function}, {{"value": [1.0], "name": ["a"]}})
    assert out.to_pylist() == [{{"value": 1.0, "name": "a", "scaled": 2.0}}]
'''

_TEST_SINK = '''"""What `{name}` writes, tried without a mesh."""

import json

from module_sdk.testing import run
from {function} import {function}


def test_every_row_is_a_line(tmp_path):
    path = tmp_path / "rows.jsonl"
    run({function}, {{"n": [1, 2]}}, path=str(path))
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{{"n": 1}}, {{"n": 2}}]


def test_writing_again_changes_nothing(tmp_path):
    path = tmp_path / "rows.jsonl"
    run({function}, {{"n": [1]}}, path=str(path))
    run({function}, {{"n": [1]}}, path=str(path))
    assert len(path.read_text().splitlines()) == 1
'''
