"""What a module's `plan` says before anything runs: which columns it reads, which ones its outputs will have.

    def plan(params, input_schemas):
        rows = input_schemas["rows"]
        return Plan(reads={"rows": [params["of"]]}, outputs={"out": rows.append(pa.field("share", pa.float64()))})

    @module("stats.share", plan=plan)

`params` are the function's own, defaults filled in; `input_schemas` has a `pyarrow.Schema` for each table port whose columns
are known. A column of which only the name is known has a type for which `is_known` is false. What cannot be said stays out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from module_sdk.decorator import Module
from module_sdk.errors import error_class_of
from module_sdk.files import OpenFile
from module_sdk.params import InvalidParams
from module_sdk.trace import place_of_error
from plugmesh.contracts.module import OutputPort, PortKind
from plugmesh.contracts.plan import PassedColumn, PlanAnswer, PlanProblem, PlanQuestion
from plugmesh.data.types import ANY, parse_type, type_name
from plugmesh.errors import ContractError, DataError, DataMismatch, ErrorClass

if TYPE_CHECKING:
    import pyarrow as pa

Reads = Mapping[str, Iterable[str] | None]
Outputs = Mapping[str, Any]
Passes = Mapping[str, str | Mapping[str, str | tuple[str, str]]]

_VENDOR = "plugmesh"
_MESSAGE_CHARS = 2000
_LATER = frozenset({ErrorClass.TRANSIENT, ErrorClass.CONNECTION})


@dataclass(frozen=True, slots=True)
class Plan:
    """What a `plan` returns; a tuple of `reads` and `outputs` means the same.

    `reads`: by input port, the columns that are needed whatever becomes of the outputs; a port that is left out is read
    whole. `outputs`: by output port its `pyarrow.Schema` (one schema will do for a module with one output); one that is
    left out is not known. `passes`: by output port, which of its columns are columns of an input, unchanged but perhaps with
    other rows: the name of the port, for all that are called the same there, or `{name: (port, name there)}`. Whoever gives
    it promises to do the same work when those of them that nobody needs are not handed over.
    """

    reads: Reads | None = None
    outputs: Any = None
    passes: Passes | None = None


def unknown_type(name: str = ANY) -> pa.DataType:
    """Stands for a type that is not known, or (with its name) that has no Arrow type here: those of extensions."""
    import pyarrow as pa

    return pa.opaque(pa.null(), name, _VENDOR)


def is_known(kind: pa.DataType) -> bool:
    """Whether a type in a schema given to `plan` is the one that the column will have."""
    return getattr(kind, "vendor_name", None) != _VENDOR


def answer(
    module: Module[..., Any],
    question: PlanQuestion,
    open_file: OpenFile | None = None,
    *,
    params: Mapping[str, Any] | None = None,
) -> PlanAnswer:
    """What the module's `plan` says. What it finds wrong, and its own mistakes, are problems of the answer. `params`: of a
    trial, in which a file is a path.

    Raises what may go better next time: a file that cannot be reached.
    """
    if module.plan is None:
        return PlanAnswer()
    try:
        values = question.params if params is None else params
        arguments = module.params.arguments(values, open_file, local_files=params is not None)
        schemas = {port: schema_from(columns) for port, columns in question.schemas.items()}
        return _answered(module, module.plan(arguments, schemas), question)
    except (InvalidParams, DataError, DataMismatch) as error:
        return PlanAnswer(problems=(_problem(module, error),))
    except Exception as error:
        if error_class_of(error) in _LATER:
            raise
        place = place_of_error(error, module.file) or module.file
        said = f"{module.contract.ref}: its plan failed ({place}): {type(error).__name__}: {error}"
        return PlanAnswer(problems=(PlanProblem(message=said[:_MESSAGE_CHARS]),))


def schema_from(columns: Mapping[str, str]) -> pa.Schema:
    """A schema of type names."""
    import pyarrow as pa

    return pa.schema([pa.field(name, _type(kind)) for name, kind in columns.items()])


def names_of(schema: pa.Schema) -> dict[str, str]:
    """Type names by column; two of one name are an error that the run itself will have."""
    return {field.name: _name(field.type) for field in schema}


def _type(name: str) -> pa.DataType:
    try:
        return parse_type(name) or unknown_type()
    except ContractError:  # an extension's: it has a name, but no type that could be made of it
        return unknown_type(name)


def _name(kind: pa.DataType) -> str:
    return type_name(kind) if is_known(kind) else str(kind.type_name)


def _answered(module: Module[..., Any], said: Any, question: PlanQuestion) -> PlanAnswer:
    plan = _plan(said)
    outputs = {port.name: port for port in module.contract.outputs if port.kind is PortKind.TABLE}
    schemas = {port: names_of(schema) for port, schema in _by_port(plan.outputs, outputs).items() if schema is not None}
    reads = None
    if plan.reads is not None:
        reads = {port: _read(port, names, question) for port, names in plan.reads.items() if names is not None}
    passes = None
    if plan.passes is not None:
        passes = {port: _passed(port, given, schemas, question) for port, given in plan.passes.items()}
    return PlanAnswer(reads=reads, outputs=schemas or None, passes=passes)


def _plan(said: Any) -> Plan:
    if said is None:
        return Plan()
    if isinstance(said, tuple) and len(said) == 2:
        return Plan(*said)
    if isinstance(said, Plan):
        return said
    raise TypeError(f"a plan returns a Plan or (reads, outputs), not {type(said).__name__}")


def _by_port(given: Any, ports: Mapping[str, OutputPort]) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        if len(ports) != 1:
            raise TypeError(f"the outputs are a dict by port: there are {', '.join(ports) or 'none'}")
        return {next(iter(ports)): given}
    for port in given:
        if port not in ports:
            raise ValueError(f"there is no table output {port!r}; there are {', '.join(ports) or 'none'}")
    return given


def _read(port: str, names: Iterable[str], question: PlanQuestion) -> tuple[str, ...]:
    there = _columns(port, question)
    wanted = tuple(dict.fromkeys(map(str, names)))
    for name in wanted:
        if name not in there:
            raise ValueError(f"it reads {name!r} of {port!r}, which has no such column")
    return wanted


def _passed(
    port: str, given: str | Mapping[str, Any], outputs: Mapping[str, Mapping[str, str]], question: PlanQuestion
) -> dict[str, PassedColumn]:
    if port not in outputs:
        raise ValueError(f"it passes columns through {port!r}, but does not say which columns that output has")
    if isinstance(given, str):
        there = _columns(given, question)
        return {name: PassedColumn(port=given, column=name) for name in outputs[port] if name in there}
    found = {}
    for name, source in given.items():
        origin, column = (source, name) if isinstance(source, str) else source
        if name not in outputs[port] or column not in _columns(origin, question):
            raise ValueError(f"it passes {column!r} of {origin!r} on as {name!r} of {port!r}: one of them is not there")
        found[name] = PassedColumn(port=origin, column=column)
    return found


def _columns(port: str, question: PlanQuestion) -> Mapping[str, str]:
    if port not in question.schemas:
        raise ValueError(f"there is no input {port!r} whose columns are known")
    return question.schemas[port]


def _problem(module: Module[..., Any], error: Exception) -> PlanProblem:
    """What an error says, and what it is about: a message of a module begins with the param that is wrong."""
    message = str(error)[:_MESSAGE_CHARS]
    first = message.partition(":")[0].partition(".")[0]
    param = first if first in module.params.names else None
    return PlanProblem(message=message, param=param, port=_of(error, "port"), column=_of(error, "column"))


def _of(error: Exception, what: str) -> str | None:
    found = getattr(error, what, None) or getattr(error, "arguments", {}).get(what)
    return None if found is None else str(found)
