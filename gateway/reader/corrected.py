"""Rows of a dead letter as a person corrected them: read, checked against the letter's columns, and written.

Runs only in a reader process: what came from outside is decoded here, and nowhere else.
"""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from pydantic_core import to_json

from gateway.reader.typed_values import WrongValue, array_of, cell_value, value_of
from plugmesh.contracts.data import DataRef, FileRef, ValueRef
from plugmesh.data.reference import drop, spill
from plugmesh.data.schema import schema_of
from plugmesh.data.table import write_table
from plugmesh.errors import DataMismatch
from plugmesh.flows.problem import did_you_mean
from plugmesh.objects.port import ObjectStore

REASON = "_reason"
MOST_PROBLEMS = 100
_CELL_CHARACTERS = 16 * 1024 * 1024

Row = dict[str, Any]
Numbered = tuple[int, Row]
"""A line's number, from 1, and what is in it."""


@dataclass(slots=True)
class Checked:
    """Rows as they are read: columns of values, and what is wrong, with the place as `line:column`."""

    schema: pa.Schema
    columns: dict[str, list[Any]] = field(default_factory=dict)
    problems: list[dict[str, str]] = field(default_factory=list)
    rows: int = 0
    _unknown: set[str] = field(default_factory=set)

    def wrong(self, line: int, column: str, message: str) -> None:
        """Note a problem."""
        if len(self.problems) < MOST_PROBLEMS:
            where = f"{line}:{column}" if column else str(line)
            self.problems.append({"where": _sayable(where), "message": _sayable(message)})

    def add(self, line: int, row: Row, convert: Callable[[pa.DataType, Any], Any]) -> None:
        """One row."""
        self.rows += 1
        for name in row.keys() - self.columns.keys() - self._unknown:
            self._unknown.add(name)
            hint = did_you_mean(name, list(self.columns)) or f"there are {', '.join(list(self.columns)[:20])}"
            self.wrong(line, name[:100], f"the letter has no column {name[:100]!r} ({hint})")
        for name, values in self.columns.items():
            try:
                values.append(convert(self.schema.field(name).type, row.get(name)))
            except WrongValue as error:
                self.wrong(line, name, str(error))

    def table(self) -> pa.Table | None:
        """The rows; `None` if something is wrong."""
        fields = [one.with_nullable(True) for one in self.schema]
        arrays = [] if self.problems else [self._array(one) for one in fields]
        return None if self.problems else pa.table(arrays, schema=pa.schema(fields))

    def _array(self, column: pa.Field) -> pa.Array | None:
        try:
            return array_of(self.columns[column.name], column.type)
        except (pa.ArrowException, OverflowError, ValueError, TypeError) as error:  # of all values together
            said = str(error).partition("\n")[0]
            self.wrong(1, column.name, f"its values do not fit a column of {column.type}: {said}")
            return None


def correct(store: ObjectStore, reference: DataRef | FileRef | ValueRef, request: dict[str, Any]) -> bytes:
    """The reference to the corrected rows, written under `key`, and how many they are; or `problems`."""
    checked = Checked(schema_of(_table(reference)))
    checked.columns = {name: [] for name in checked.schema.names}
    body = base64.b64decode(request["body"])
    read, convert = (_csv_rows, _cell) if request["format"] == "csv" else (_json_rows, value_of)
    text = _decoded(body, checked)
    if text is not None:
        for line, row in read(text, checked):
            checked.add(line, row, convert)
            if len(checked.problems) >= MOST_PROBLEMS:
                break
    if not checked.problems and not checked.rows:
        checked.wrong(1, "", "there are no rows: to give the letter up, discard it")
    table = checked.table()
    if table is None:
        return to_json({"problems": checked.problems})
    found = write_table(store, request["key"], table)
    kept = spill(store, f"{request['key']}-ref", found)
    return to_json({"reference": kept, "rows": found.rows})


def feed(store: ObjectStore, reference: DataRef | FileRef | ValueRef, request: dict[str, Any]) -> bytes:
    """The reference to the rows as a step may be handed them: without their reasons. No row is moved."""
    table = _table(reference)
    names = schema_of(table).names
    found = drop(table, [REASON]) if REASON in names and len(names) > 1 else table
    return to_json(spill(store, request["key"], found))


def _sayable(text: str) -> str:
    """Text without halves of characters, which JSON may name and no message can carry."""
    return text.encode("utf-8", "replace").decode()


def _table(reference: DataRef | FileRef | ValueRef) -> DataRef:
    if not isinstance(reference, DataRef):
        raise DataMismatch("a dead letter is a table; this one is not")
    return reference


def _decoded(body: bytes, checked: Checked) -> str | None:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        checked.wrong(body[: error.start].count(b"\n") + 1, "", "this is no UTF-8 text")
        return None


def _json_rows(text: str, checked: Checked) -> Iterator[Numbered]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            checked.wrong(number, str(error.colno), f"this is no JSON: {error.msg}")
            continue
        except RecursionError:
            checked.wrong(number, "", "this is nested too deep")
            continue
        except ValueError:
            checked.wrong(number, "", "a number in it has too many digits")
            continue
        if isinstance(row, dict):
            yield number, row
        else:
            checked.wrong(number, "", "each line is one JSON object, by the names of the columns")


def _csv_rows(text: str, checked: Checked) -> Iterator[Numbered]:
    csv.field_size_limit(_CELL_CHARACTERS)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        names = next(reader, [])
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            checked.wrong(1, twice[:100], "the column is there twice")
            return
        start = reader.line_num + 1
        for cells in reader:
            if len(cells) == len(names):
                yield start, dict(zip(names, cells, strict=True))
            elif cells:
                checked.wrong(start, "", f"the line has {len(cells)} values, the header {len(names)}")
            start = reader.line_num + 1
    except csv.Error as error:
        checked.wrong(start, "", f"this is no CSV: {error}")


def _cell(kind: pa.DataType, cell: str | None) -> Any:
    return None if cell is None else cell_value(kind, cell)
