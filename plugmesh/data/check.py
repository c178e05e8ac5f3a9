"""Does a table have the columns that a port promises? Pure; on schemas and row counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, PortKind
from plugmesh.data.schema import listed
from plugmesh.data.types import accepts, fits, type_name
from plugmesh.errors import DataMismatch

if TYPE_CHECKING:
    import pyarrow as pa

NOTHING = "no such column"
"""What `found` or `expected` say where there is, or should be, no column."""


class ColumnMismatch(DataMismatch):
    """A `DataMismatch` that names its place. `column` is `None` where it is about rows."""

    def __init__(
        self, problem: str, *, module: str, port: str, column: str | None, expected: str, found: str, advice: str
    ) -> None:
        at = f"port {port!r}" if column is None else f"port {port!r}, column {column!r}"
        super().__init__(f"{module}, {at}: {problem}: expected {expected}, found {found}. {advice}")
        self.module, self.port, self.column = module, port, column
        self.expected, self.found = expected, found


def check_input(module: ModuleContract, port: InputPort, schema: pa.Schema) -> None:
    """Raises `ColumnMismatch` if `schema` lacks a column that the port declares, or has it with another type."""
    place = _Place(module.ref, port.name, schema)
    place.check_names("Rename one of them upstream.")
    for column, expected in port.columns.items():
        place.check_column(
            column,
            expected,
            missing=f"Connect an output that has it, or bind the name in the node: bind: {{{column}: its_name}}.",
            other="Convert it upstream, or correct the module's inputs=.",
        )


def check_output(  # noqa: PLR0917  what is checked, then what it is checked against
    module: ModuleContract,
    port: OutputPort,
    schema: pa.Schema,
    input_schemas: Mapping[str, pa.Schema],
    input_rows: Mapping[str, int],
    rows: int,
) -> None:
    """Raises `ColumnMismatch` if a returned table is not what the port declares.

    `input_schemas` and `input_rows` are, by port, of the tables that the function was given. A declared column must be
    there with its type; a column of the passed port too, with the type it came with, unless the port drops it; other
    columns only if the port is `open`. With `rows: same` there are as many rows as in the passed port, or else in the
    first input.
    """
    place = _Place(module.ref, port.name, schema)
    place.check_names("Rename one of them before you return the table.")
    for column, expected in port.columns.items():
        place.check_column(
            column,
            expected,
            missing="Return it, or take it out of the module's outputs=.",
            other="Convert it before you return it, or correct the module's outputs=.",
        )
    passed = input_schemas.get(port.passes) if port.passes else None
    if passed is not None:
        _check_passed(place, port, passed)
    if not port.open:
        _check_undeclared(place, port, passed)
    if module.traits.rows == "same":
        _check_rows(place, module, port, input_rows, rows)


class _Place:
    """A table at a port of a module."""

    def __init__(self, module: str, port: str, schema: pa.Schema) -> None:
        self.module, self.port, self.schema = module, port, schema
        self.names: list[str] = schema.names

    def fail(self, problem: str, column: str | None, expected: str, found: str, advice: str) -> ColumnMismatch:
        return ColumnMismatch(
            problem, module=self.module, port=self.port, column=column, expected=expected, found=found, advice=advice
        )

    def check_names(self, advice: str) -> None:
        for column, count in Counter(self.names).items():
            if count > 1:
                raise self.fail("the name is not unique", column, "one column", f"{count} of that name", advice)

    def check_column(self, column: str, expected: str | pa.DataType, *, missing: str, other: str) -> None:
        name = expected if isinstance(expected, str) else type_name(expected)
        if column not in self.names:
            advice = f"{missing} Present are: {listed(self.names)}."
            raise self.fail("the column is missing", column, name, NOTHING, advice)
        kind = self.schema.field(column).type
        if not (accepts(expected, kind) if isinstance(expected, str) else fits(expected, kind)):
            raise self.fail("the column has another type", column, name, type_name(kind), other)


def _check_passed(place: _Place, port: OutputPort, passed: pa.Schema) -> None:
    for field in passed:
        if field.name not in port.columns and field.name not in port.drops:
            place.check_column(
                field.name,
                field.type,
                missing=f"The module passes on the columns of {port.passes!r}: return it too, or declare in outputs= that it "
                f"does not pass: {field.name!r}: False.",
                other=f"The module passes on the columns of {port.passes!r}: declare the new type in outputs=.",
            )


def _check_undeclared(place: _Place, port: OutputPort, passed: pa.Schema | None) -> None:
    allowed = {*port.columns, *(passed.names if passed is not None else ())}
    allowed.difference_update(name for name in port.drops if name not in port.columns)
    for column in place.names:
        if column not in allowed:
            found = type_name(place.schema.field(column).type)
            advice = "Declare it in the module's outputs=, or drop it before you return the table."
            raise place.fail("the column is not declared", column, NOTHING, found, advice)


def _check_rows(
    place: _Place, module: ModuleContract, port: OutputPort, input_rows: Mapping[str, int], rows: int
) -> None:
    tables = [one.name for one in module.inputs if one.kind is PortKind.TABLE and one.name in input_rows]
    source = port.passes if port.passes in input_rows else next(iter(tables), None)
    if source is not None and input_rows[source] != rows:
        raise place.fail(
            "the module promises rows='same'",
            None,
            f"{input_rows[source]} rows, as in {source!r}",
            f"{rows} rows",
            "Return every row once and in order, or declare rows='any'.",
        )
