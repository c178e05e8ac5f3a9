"""What a function's signature says: which parameters are ports, which are params, and where the context goes."""

from __future__ import annotations

import collections.abc
import inspect
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from module_sdk.context import Context
from module_sdk.dataframes.adapters import adapter_for
from module_sdk.files import File
from plugmesh.contracts.module import PortKind
from plugmesh.errors import ContractError

_FRAME_LIBRARIES = frozenset({"numpy", "pyarrow", "pandas", "polars", "duckdb", "_duckdb"})
_STREAMS = (
    collections.abc.Iterator,
    collections.abc.Iterable,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncGenerator,
    collections.abc.AsyncIterable,
)


class Style(Enum):
    """How a port's values are handed to the function."""

    SINGLE = "single"
    LIST = "list"
    STAR = "star"


@dataclass(frozen=True, slots=True)
class PortParameter:
    """A parameter that is an input port. `annotation` is that of one value (`None`: none was given)."""

    name: str
    kind: PortKind
    annotation: Any
    style: Style
    optional: bool


@dataclass(frozen=True, slots=True)
class ParamParameter:
    """A keyword-only parameter: a setting. `default` is `inspect.Parameter.empty` when it must be given."""

    name: str
    annotation: Any
    default: Any


@dataclass(frozen=True, slots=True)
class ContextParameter:
    """Where the context is handed over."""

    name: str
    positional: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """A module's function, taken apart. `order` names the positional parameters in order."""

    place: Place
    ports: tuple[PortParameter, ...]
    params: tuple[ParamParameter, ...]
    context: ContextParameter | None
    order: tuple[str, ...]
    returns: Any
    concurrent: bool
    generator: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a function stands, for messages."""

    file: str
    line: int
    function: str

    def error(self, problem: str, parameter: str | None = None) -> ContractError:
        """A `ContractError` that names the place."""
        where = f"{self.function}()" if parameter is None else f"{self.function}(), parameter {parameter!r}"
        return ContractError(f"{self.file}:{self.line}: {where}: {problem}")


def place_of(function: Callable[..., Any]) -> Place:
    """The file, line and name of a function."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    name = getattr(function, "__qualname__", repr(function))
    if code is None:
        raise ContractError(f"{name} cannot be a module: @module is put on a function written with def")
    return Place(str(Path(code.co_filename)), code.co_firstlineno, name)


def read_signature(function: Callable[..., Any]) -> Signature:
    """Take a function apart. Raises `ContractError` for what cannot be a module."""
    place = place_of(function)
    ports: list[PortParameter] = []
    params: list[ParamParameter] = []
    context: ContextParameter | None = None
    order: list[str] = []
    for parameter in _parameters(function):
        annotation = _resolve(function, place, parameter.name, parameter.annotation)
        positional = parameter.kind is not parameter.KEYWORD_ONLY
        if parameter.kind is parameter.VAR_KEYWORD:
            raise place.error("a module cannot take **params: name each one after a '*'", parameter.name)
        if annotation is Context:
            if context is not None:
                raise place.error(f"the context is already handed over as {context.name!r}", parameter.name)
            context = ContextParameter(parameter.name, positional)
        elif positional:
            ports.append(_port(place, parameter, annotation))
        else:
            params.append(ParamParameter(parameter.name, annotation, parameter.default))
        if positional:
            order.append(parameter.name)
    raw_return = getattr(function, "__annotations__", {}).get("return", inspect.Parameter.empty)
    return Signature(
        place,
        tuple(ports),
        tuple(params),
        context,
        tuple(order),
        _resolve(function, place, "return", raw_return),
        inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function),
        inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function),
    )


def kind_of(annotation: Any) -> PortKind:
    """What an annotation stands for; `None` and `Any` mean a table."""
    plain = _plain(annotation)
    if plain is None or plain is Any or is_table(plain):
        return PortKind.TABLE
    if plain is File:
        return PortKind.FILE
    return PortKind.VALUE


def is_table(annotation: Any) -> bool:
    """True for the frames of the known libraries, for everything that speaks Arrow, and for streams of these."""
    plain = _plain(annotation)
    if isinstance(plain, str):  # it could not be resolved, but means a frame
        return True
    if typing.get_origin(plain) in _STREAMS or plain in _STREAMS:
        arguments = typing.get_args(plain)
        return not arguments or is_table(arguments[0])
    if typing.get_origin(plain) in (typing.Union, types.UnionType):
        return any(map(is_table, typing.get_args(plain)))
    library = str(getattr(plain, "__module__", "")).partition(".")[0]
    return library in _FRAME_LIBRARIES or hasattr(plain, "__arrow_c_stream__")


def without_none(annotation: Any) -> tuple[Any, bool]:
    """An annotation without its `| None`, and whether it had one."""
    if typing.get_origin(annotation) not in (typing.Union, types.UnionType):
        return annotation, False
    arguments = typing.get_args(annotation)
    rest = tuple(argument for argument in arguments if argument is not types.NoneType)
    if len(rest) == len(arguments):
        return annotation, False
    return (rest[0] if len(rest) == 1 else typing.Union[rest]), True  # noqa: UP007  built at run time


def _port(place: Place, parameter: inspect.Parameter, annotation: Any) -> PortParameter:
    name = parameter.name
    if parameter.default not in (parameter.empty, None):
        raise place.error(
            f"an input port has no default but None (it is {parameter.default!r}); "
            f"to make {name!r} a param, put it after a '*'",
            name,
        )
    if parameter.kind is parameter.VAR_POSITIONAL:
        return PortParameter(name, kind_of(annotation), annotation, Style.STAR, optional=True)
    inner, nullable = without_none(annotation)
    item = _list_item(inner)
    optional = parameter.default is None
    if nullable and not optional:
        raise place.error("an optional port needs '= None' as well, so that it can be left out", name)
    style, value = (Style.SINGLE, inner) if item is None else (Style.LIST, item)
    kind = kind_of(value)
    if kind is PortKind.TABLE:
        try:
            adapter_for(value)
        except ContractError as error:
            raise place.error(str(error), name) from error
    return PortParameter(name, kind, value, style, optional)


def _list_item(annotation: Any) -> Any:
    """The item's annotation of a list of tables or files; `None` for everything else."""
    if typing.get_origin(annotation) not in (list, tuple, collections.abc.Sequence):
        return None
    arguments = typing.get_args(annotation)
    if arguments and (is_table(arguments[0]) or _plain(arguments[0]) is File):
        return arguments[0]
    return None


def _plain(annotation: Any) -> Any:
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation


def _means_frame(text: str) -> bool:
    try:
        adapter_for(text)
    except ContractError:
        return False
    return True


def _parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    if sys.version_info >= (3, 14):
        import annotationlib

        forward = annotationlib.Format.FORWARDREF
        return list(inspect.signature(function, annotation_format=forward).parameters.values())
    return list(inspect.signature(function).parameters.values())


def _resolve(function: Callable[..., Any], place: Place, name: str, annotation: Any) -> Any:
    """The object behind an annotation, which may be text; `None` when there is none."""
    if annotation is inspect.Parameter.empty:
        return None
    holder = types.SimpleNamespace(__annotations__={name: annotation})
    names = {**getattr(function, "__globals__", {}), **inspect.getclosurevars(function).nonlocals}
    try:
        resolved = typing.get_type_hints(holder, names, names, include_extras=True)[name]
    except (NameError, AttributeError, SyntaxError, TypeError) as error:
        if isinstance(annotation, str) and _means_frame(annotation):
            return annotation  # imported under TYPE_CHECKING only, so that the file loads fast
        raise place.error(
            f"the annotation {annotation!r} cannot be resolved ({error}): import what it names at the top of the "
            "file, not only under TYPE_CHECKING",
            name,
        ) from error
    return None if name != "return" and resolved is types.NoneType else resolved
