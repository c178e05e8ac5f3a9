"""The `inputs=` and `outputs=` of a decorator, checked against the function's signature."""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping
from types import NoneType
from typing import Any, NamedTuple

from module_sdk.columns import PARAM_COLUMN
from module_sdk.signature import PortParameter, Signature, Style, kind_of, without_none
from plugmesh.contracts.base import NAME_PATTERN
from plugmesh.contracts.module import REJECTED, InputPort, ModuleKind, OutputPort, PortKind
from plugmesh.data.types import parse_type
from plugmesh.errors import ContractError

REST = "..."
Ports = Mapping[str, Any]


class _Spec(NamedTuple):
    """One declared port. `rest` is the value of `"..."`, `drops` are the columns that are declared as `False`."""

    kind: PortKind
    columns: dict[str, str] = {}
    rest: bool | str | None = None
    drops: tuple[str, ...] = ()


def input_ports(signature: Signature, declared: Ports | None) -> tuple[InputPort, ...]:
    """The input ports of a function. Raises `ContractError` when declaration and function differ."""
    declared = declared or {}
    names = [port.name for port in signature.ports]
    for name in declared:
        if name not in names:
            raise signature.place.error(
                f"inputs declares port {name!r}, which is no positional parameter (these are: {_list(names)})"
            )
    return tuple(_input(signature, port, declared.get(port.name)) for port in signature.ports)


def output_ports(signature: Signature, declared: Ports | None) -> tuple[OutputPort, ...]:
    """The output ports; one open port `out` when nothing is declared and the function returns something."""
    if declared is None:
        if signature.returns is NoneType and not signature.generator:
            return ()
        _refuse_undeclared_dict(signature)
        return (OutputPort(name="out", kind=_returned_kind(signature)),)
    single = len(declared) == 1
    return tuple(_output(signature, name, spec, single) for name, spec in declared.items())


def module_kind(given: str | None, inputs: tuple[InputPort, ...], outputs: tuple[OutputPort, ...]) -> ModuleKind:
    """The given kind; else a sink has no outputs and a source neither tables nor files as inputs."""
    if given is not None:
        return ModuleKind(given)
    if not outputs:
        return ModuleKind.SINK
    if all(port.kind is PortKind.VALUE for port in inputs):
        return ModuleKind.SOURCE
    return ModuleKind.TRANSFORM


def _input(signature: Signature, port: PortParameter, spec: Any) -> InputPort:
    kind, columns, rest, drops = _spec(signature, "inputs", port.name, spec, port.kind)
    if kind is not port.kind and port.annotation is not None:
        raise signature.place.error(
            f"inputs declares a {kind.value}, but the annotation {_name(port.annotation)} is a {port.kind.value}",
            port.name,
        )
    if rest not in (None, True):
        raise signature.place.error(f'in an input, "..." is True (all columns), not {rest!r}', port.name)
    if drops:
        raise signature.place.error(
            f"inputs declares {drops[0]!r} of {port.name!r} as False: an input names the columns that are read; False says "
            "in an output that a column does not pass"
        )
    return InputPort(
        name=port.name,
        kind=kind,
        columns=columns,
        rest=kind is PortKind.TABLE and (rest is True or not columns),
        optional=port.optional,
        variadic=port.style is not Style.SINGLE,
    )


def _output(signature: Signature, name: str, spec: Any, single: bool) -> OutputPort:
    default = _returned_kind(signature) if single else PortKind.TABLE
    if not re.match(NAME_PATTERN, name):
        raise signature.place.error(f"outputs declares {name!r}, which is no name (letters, digits, _ and -)")
    if name == REJECTED:
        raise signature.place.error(
            f"outputs declares {name!r}, which every module has already: the rows that it rejects (ctx.reject) go there"
        )
    kind, columns, rest, drops = _spec(signature, "outputs", name, spec, default)
    tables = [port.name for port in signature.ports if port.kind is PortKind.TABLE]
    if isinstance(rest, str) and rest not in tables:
        raise signature.place.error(
            f'the output {name!r} passes the columns of {rest!r} ("..."), which is no table input '
            f"(these are: {_list(tables)})"
        )
    if drops and not isinstance(rest, str):
        raise signature.place.error(
            f"outputs declares {drops[0]!r} of {name!r} as False, so that it does not pass, but no columns pass through "
            'this output: name the input whose columns do, e.g. "...": ' + f'"{next(iter(tables), "orders")}"'
        )
    open_ended = rest is True or (not columns and rest is None)
    passes = rest if isinstance(rest, str) else None
    return OutputPort(name=name, kind=kind, columns=columns, passes=passes, drops=drops, open=open_ended)


def _spec(signature: Signature, which: str, name: str, spec: Any, default: PortKind) -> _Spec:
    if spec is None or spec is True:
        return _Spec(default)
    if isinstance(spec, str):
        try:
            return _Spec(PortKind(spec))
        except ValueError as error:
            raise signature.place.error(
                f"{which} declares {name!r} as {spec!r}: it is 'table', 'file', 'value' or a dict of columns"
            ) from error
    if not isinstance(spec, Mapping):
        raise signature.place.error(
            f"{which} declares {name!r} as {spec!r}: it is a dict of columns and types, or 'table', 'file', 'value'"
        )
    rest = spec.get(REST)
    if rest is not None and rest is not True and not isinstance(rest, str):
        raise signature.place.error(f'"..." of {name!r} in {which} is {rest!r}: it is True or the name of an input')
    columns: dict[str, str] = {}
    drops: list[str] = []
    for column, declared in spec.items():
        if column == REST:
            continue
        _check_name(signature, which, name, column)
        if declared is False:
            drops.append(column)
        else:
            columns[column] = _type(signature, which, name, column, declared)
    return _Spec(PortKind.TABLE, columns, rest, tuple(drops))


def _check_name(signature: Signature, which: str, port: str, column: Any) -> None:
    """A column named by a param names one that is there."""
    if not isinstance(column, str) or not column:
        raise signature.place.error(f"{which} declares a column {column!r} of {port!r}: names of columns are text")
    named = PARAM_COLUMN.match(column)
    if named and named.group(1) not in {param.name for param in signature.params}:
        raise signature.place.error(f"{which} names the column {column!r} of {port!r} after a param that is not there")


def _type(signature: Signature, which: str, port: str, column: str, declared: Any) -> str:
    """The Arrow type's name."""
    name = declared if isinstance(declared, str) else str(declared)  # a pyarrow.DataType prints as its name
    try:
        parse_type(name)
    except ContractError as error:
        raise signature.place.error(f"{which}, column {column!r} of {port!r}: {error}") from error
    return name


def _returned_kind(signature: Signature) -> PortKind:
    if signature.generator:
        return PortKind.TABLE
    return kind_of(without_none(signature.returns)[0])


def _refuse_undeclared_dict(signature: Signature) -> None:
    arguments = typing.get_args(signature.returns)
    if typing.get_origin(signature.returns) is dict and arguments[1:] not in ((), (Any,)):
        inner = kind_of(arguments[1])
        if inner is not PortKind.VALUE:
            raise signature.place.error(
                f"it returns a dict of {inner.value}s, so it has several outputs: "
                'name them, as in outputs={"good": True, "bad": True}'
            )


def _name(annotation: Any) -> str:
    return getattr(annotation, "__qualname__", None) or str(annotation)


def _list(names: list[str]) -> str:
    return ", ".join(names) or "none"
