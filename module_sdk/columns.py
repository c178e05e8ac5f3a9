"""The columns of a module's ports: which ones it is handed, and whether they are what the contract says."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, PortKind
from plugmesh.data.check import NOTHING, ColumnMismatch, check_input, check_output

if TYPE_CHECKING:
    import pyarrow as pa

Port = TypeVar("Port", InputPort, OutputPort)
PARAM_COLUMN = re.compile(r"^\$\{params\.([A-Za-z_][A-Za-z0-9_]*)\}$")
"""A declared column whose name is a param's value: `{"${params.into}": "float64"}`."""


class Columns:
    """Columns of one module's ports. Where a name is a param's value, params say what it is."""

    def __init__(self, contract: ModuleContract) -> None:
        self._contract = contract
        self._inputs = {port.name: port for port in contract.inputs}
        self._outputs = {port.name: port for port in contract.outputs}
        self._named = dict(_named_by_params(contract))
        ports: list[InputPort | OutputPort] = [*contract.inputs, *contract.outputs]
        self._filled_in = frozenset(port.name for port in ports if any(map(PARAM_COLUMN.match, port.columns)))
        self._passing = {port.passes for port in contract.outputs if port.passes is not None}

    def is_fixed(self, port: str) -> bool:
        """Whether the columns of an input are the same whatever the params are."""
        return port not in self._filled_in and not self._named.get(port)

    def declares(self, port: str) -> bool:
        """Whether anything is to be checked or chosen for an input."""
        found = self._inputs.get(port)
        return found is not None and bool(found.columns)

    def handed(self, port: str, params: Mapping[str, Any]) -> tuple[str, ...] | None:
        """The columns that an input is handed; `None`: all of them.

        All, too, when the rest must come back with other rows than they went in: nobody else could put them there.
        """
        declared = self._inputs.get(port)
        if declared is None or declared.rest or declared.kind is not PortKind.TABLE:
            return None
        if port in self._passing and self._contract.traits.rows != "same":
            return None
        return tuple(dict.fromkeys([*self._filled(declared, params), *self._named_in(port, params)]))

    def output(self, port: str, params: Mapping[str, Any]) -> OutputPort:
        """An output with the real names of its columns."""
        declared = self._outputs[port]
        return self._real(declared, params)

    def check_input(self, port: str, schema: pa.Schema, params: Mapping[str, Any]) -> None:
        """Raises `ColumnMismatch` when a declared column, or one that a param names, is missing or of another type."""
        declared = self._inputs.get(port)
        if declared is None:
            return
        check_input(self._contract, self._real(declared, params), schema)
        if declared.rest:
            return  # the module itself knows what to do about a name that is not there
        for name in self._named_in(port, params):
            if name not in schema.names:
                raise ColumnMismatch(
                    "a param names a column that is missing",
                    module=self._contract.ref,
                    port=port,
                    column=name,
                    expected="any",
                    found=NOTHING,
                    advice=f"There are: {', '.join(schema.names[:20])}.",
                )

    def check_output(
        self, port: str, table: pa.Table | pa.RecordBatchReader, given: Mapping[str, Any], params: Mapping[str, Any]
    ) -> None:
        """Raises `ColumnMismatch` when what a module returned is not what it declares.

        `given`: what it was handed, by port. The rows of a stream are not known yet.
        """
        rows = getattr(table, "num_rows", None)
        check_output(
            self._contract,
            self.output(port, params),
            table.schema,
            {name: value.schema for name, value in given.items()},
            {} if rows is None else {n: value.num_rows for n, value in given.items() if hasattr(value, "num_rows")},
            rows or 0,
        )

    def _real(self, declared: Port, params: Mapping[str, Any]) -> Port:
        """A port with the real names of its columns."""
        filled = self._filled(declared, params)
        return declared if filled is declared.columns else declared.model_copy(update={"columns": filled})

    def _filled(self, declared: InputPort | OutputPort, params: Mapping[str, Any]) -> Mapping[str, str]:
        if declared.name not in self._filled_in:
            return declared.columns
        return {_real_name(name, params): kind for name, kind in declared.columns.items()}

    def _named_in(self, port: str, params: Mapping[str, Any]) -> list[str]:
        """The columns of an input that params name."""
        names: list[str] = []
        for param in self._named.get(port, ()):
            value = params.get(param)
            names.extend([value] if isinstance(value, str) else value or ())
        return names


def _real_name(name: str, params: Mapping[str, Any]) -> str:
    named = PARAM_COLUMN.match(name)
    return str(params.get(named[1], name)) if named else name


def _named_by_params(contract: ModuleContract) -> Iterator[tuple[str, list[str]]]:
    """For each table input the params that name columns of it: those of the only one, or as `OfPort` says."""
    tables = [port.name for port in contract.inputs if port.kind is PortKind.TABLE]
    default = tables[0] if len(tables) == 1 else None
    properties: Mapping[str, Any] = contract.params.get("properties", {})
    for table in tables:
        yield table, [name for name, schema in properties.items() if _names_column_of(schema, table, default)]


def _names_column_of(schema: Mapping[str, Any], table: str, default: str | None) -> bool:
    for variant in (schema, *schema.get("anyOf", ())):
        port = variant.get("x-port", schema.get("x-port", default))
        if variant.get("x-mesh") in {"column", "columns"} and port == table:
            return True
    return False
