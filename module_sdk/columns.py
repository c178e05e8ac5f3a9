"""The columns of a module's ports: which ones it is handed, and whether they are what the contract says."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from plugmesh.contracts.module import InputPort, ModuleContract, OutputPort, PortKind
from plugmesh.data.check import NOTHING, ColumnMismatch, check_input, check_output
from plugmesh.planner.names import names_in

if TYPE_CHECKING:
    import pyarrow as pa

Port = TypeVar("Port", InputPort, OutputPort)
PARAM_COLUMN = re.compile(r"^\$\{params\.([A-Za-z_][A-Za-z0-9_]*)\}$")
"""A declared column whose name is a param's value: `{"${params.into}": "float64"}`."""


_OF_COLUMNS = frozenset({"column", "columns"})
_OF_EXPRESSIONS = frozenset({"expression"})
_ANY_COLUMN = "columns"
"""`COLUMNS('f.*')` in an expression: names that stand in a text."""


class Columns:
    """Columns of one module's ports. Where a name is a param's value, params say what it is.

    `numbered` are the inputs whose frames keep the numbers of their rows, so that columns which the module was not handed
    can be put beside what it returns.
    """

    def __init__(self, contract: ModuleContract, numbered: Collection[str] = ()) -> None:
        self._contract, self._numbered = contract, frozenset(numbered)
        self._inputs = {port.name: port for port in contract.inputs}
        self._outputs = {port.name: port for port in contract.outputs}
        properties: Mapping[str, Any] = contract.params.get("properties", {})
        self._defaults = {name: schema["default"] for name, schema in properties.items() if "default" in schema}
        self._named = dict(_named_by_params(contract, _OF_COLUMNS))
        self._expressions = dict(_named_by_params(contract, _OF_EXPRESSIONS))
        ports: list[InputPort | OutputPort] = [*contract.inputs, *contract.outputs]
        self._filled_in = frozenset(port.name for port in ports if any(map(PARAM_COLUMN.match, port.columns)))
        self._passing = {port.passes for port in contract.outputs if port.passes is not None}

    def is_fixed(self, port: str) -> bool:
        """Whether the columns of an input are the same whatever the params are."""
        return port not in self._filled_in and not self._named.get(port) and not self._expressions.get(port)

    def declares(self, port: str) -> bool:
        """Whether anything is to be checked or chosen for an input."""
        found = self._inputs.get(port)
        return found is not None and bool(found.columns)

    def handed(self, port: str, params: Mapping[str, Any], present: Sequence[str]) -> tuple[str, ...] | None:
        """Those of the `present` columns that an input is handed, in their order; `None`: all of them.

        They are the declared ones, those that params name, and those that an expression may read. All, too, when the rest
        pass on with rows of which nobody could say later which they were.
        """
        declared = self._inputs.get(port)
        if declared is None or declared.rest or declared.kind is not PortKind.TABLE:
            return None
        if not self.may_narrow(port):
            return None
        words = self._words_in(port, params)
        if _ANY_COLUMN in words:
            return None
        wanted = {*self._filled(declared, params), *self._named_in(port, params)}
        found = tuple(name for name in present if name in wanted or name.casefold() in words)
        return None if len(found) == len(present) else found

    def may_narrow(self, port: str) -> bool:
        """Whether columns of an input that are not handed over need not pass on, or can be put beside what is returned."""
        return port not in self._passing or self._contract.traits.rows == "same" or port in self._numbered

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
        self,
        port: str,
        table: pa.Table | pa.RecordBatchReader,
        given: Mapping[str, Any],
        params: Mapping[str, Any],
        wanted: Collection[str] | None = None,
    ) -> None:
        """Raises `ColumnMismatch` when what a module returned is not what it declares.

        `given`: what it was handed, by port. The rows of a stream are not known yet. Declared columns that nobody uses
        (`wanted` are those that somebody does) need not be there.
        """
        rows = getattr(table, "num_rows", None)
        check_output(
            self._contract,
            _without_unused(self.output(port, params), table.schema.names, wanted),
            table.schema,
            {name: value.schema for name, value in given.items()},
            {} if rows is None else {n: value.num_rows for n, value in given.items() if hasattr(value, "num_rows")},
            rows or 0,
        )

    def _real(self, declared: Port, params: Mapping[str, Any]) -> Port:
        """A port with the real names of its columns. What it makes anew it does not drop."""
        filled = self._filled(declared, params)
        update: dict[str, Any] = {} if filled is declared.columns else {"columns": filled}
        if dropped := getattr(declared, "drops", ()):
            update["drops"] = tuple(name for name in self._dropped(dropped, params) if name not in filled)
        return declared.model_copy(update=update) if update else declared

    def _filled(self, declared: InputPort | OutputPort, params: Mapping[str, Any]) -> Mapping[str, str]:
        if declared.name not in self._filled_in:
            return declared.columns
        return {self._real_name(name, params): kind for name, kind in declared.columns.items()}

    def _real_name(self, name: str, params: Mapping[str, Any]) -> str:
        named = PARAM_COLUMN.match(name)
        value = self._value(named[1], params) if named else None
        return name if value is None else str(value)

    def _dropped(self, names: Iterable[str], params: Mapping[str, Any]) -> Iterator[str]:
        """A param may name several."""
        for name in names:
            named = PARAM_COLUMN.match(name)
            yield from _texts(self._value(named[1], params)) if named else (name,)

    def _named_in(self, port: str, params: Mapping[str, Any]) -> list[str]:
        """The columns of an input that params name."""
        return [name for param in self._named.get(port, ()) for name in _texts(self._value(param, params))]

    def _words_in(self, port: str, params: Mapping[str, Any]) -> frozenset[str]:
        """What may be a column in the expressions of an input, whatever the case."""
        texts = (text for param in self._expressions.get(port, ()) for text in _texts(self._value(param, params)))
        return frozenset(name.casefold() for text in texts for name in names_in(text))

    def _value(self, param: str, params: Mapping[str, Any]) -> Any:
        return params[param] if param in params else self._defaults.get(param)


def _texts(value: Any) -> Iterator[str]:
    """The texts in the value of a param: it may be a list or, by name, a dict of them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, Iterable):
        for one in value:
            yield from _texts(one)


def _named_by_params(contract: ModuleContract, meshes: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """For each table input the params of these mesh types for it: those of the only one, or as `OfPort` says."""
    tables = [port.name for port in contract.inputs if port.kind is PortKind.TABLE]
    default = tables[0] if len(tables) == 1 else None
    properties: Mapping[str, Any] = contract.params.get("properties", {})
    for table in tables:
        yield table, [name for name, schema in properties.items() if _is_for(schema, meshes, table, default)]


def _is_for(schema: Mapping[str, Any], meshes: Collection[str], table: str, default: str | None) -> bool:
    for variant in (schema, *schema.get("anyOf", ())):
        port = variant.get("x-port", schema.get("x-port", default))
        inner = [variant.get("items"), variant.get("additionalProperties")]
        if any(one.get("x-mesh") in meshes for one in (variant, *inner) if isinstance(one, Mapping)) and port == table:
            return True
    return False


def _without_unused(port: OutputPort, there: Collection[str], wanted: Collection[str] | None) -> OutputPort:
    """A port without the declared columns that are not there, and that nobody uses."""
    if wanted is None or all(name in there for name in port.columns):
        return port
    used = {name.casefold() for name in wanted}
    kept = {name: kind for name, kind in port.columns.items() if name in there or name.casefold() in used}
    return port.model_copy(update={"columns": kept})
