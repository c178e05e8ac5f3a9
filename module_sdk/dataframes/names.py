"""One name for each kind of frame, whichever way an annotation says it: `library.Class`, e.g. `pandas.DataFrame`.

Works on names alone, so that no library needs to be imported to be recognised.
"""

from __future__ import annotations

import ast
import inspect
import types
import typing
from collections.abc import Collection
from typing import Any

_STREAMS = frozenset({"Iterator", "Iterable", "Generator"})
_LIBRARIES = {"pa": "pyarrow", "pd": "pandas", "pl": "polars", "_duckdb": "duckdb"}


def name_of(annotation: Any, known: Collection[str]) -> str:
    """`library.Class` or `Iterator[library.Class]` for what an annotation means; else a text that is not `known`."""
    if annotation is None or annotation is Any or annotation is inspect.Parameter.empty:
        return "pyarrow.Table"
    if isinstance(annotation, str):
        return _name_in_text(annotation, known)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return name_of(arguments[0], known)
    if origin in (typing.Union, types.UnionType):
        rest = [argument for argument in arguments if argument is not types.NoneType]
        return name_of(rest[0], known) if len(rest) == 1 else shown(annotation)
    plain = origin or annotation
    if getattr(plain, "__module__", "") == "collections.abc" and plain.__name__ in _STREAMS:
        return f"Iterator[{name_of(arguments[0], known)}]" if arguments else "Iterator[pyarrow.RecordBatch]"
    return kind_of(plain, known) if isinstance(plain, type) else shown(annotation)


def _name_in_text(text: str, known: Collection[str]) -> str:
    try:
        return _name_in_tree(ast.parse(text.strip(), mode="eval").body, known)
    except SyntaxError:
        return text


def _name_in_tree(tree: ast.expr, known: Collection[str]) -> str:
    if isinstance(tree, ast.BinOp) and isinstance(tree.op, ast.BitOr):  # DataFrame | None
        return _name_in_tree(tree.left if ast.unparse(tree.right) == "None" else tree.right, known)
    if isinstance(tree, ast.Subscript):
        outer = ast.unparse(tree.value).rpartition(".")[2]
        first = tree.slice.elts[0] if isinstance(tree.slice, ast.Tuple) else tree.slice
        inner = _name_in_tree(first, known)
        return inner if outer in {"Optional", "Annotated"} else f"Iterator[{inner}]" if outer in _STREAMS else outer
    if isinstance(tree, ast.Constant) and isinstance(tree.value, str):
        return _name_in_text(tree.value, known)
    library, _, name = ast.unparse(tree).rpartition(".")
    if name in _STREAMS:
        return "Iterator[pyarrow.RecordBatch]"
    library = _LIBRARIES.get(library, library).partition(".")[0]
    return f"{library or _only_library_with(name, known)}.{name}"


def _only_library_with(name: str, known: Collection[str]) -> str:
    """`Table` can only be pyarrow's; a bare `DataFrame` may be pandas' or polars' and stays without a library."""
    libraries = [full.partition(".")[0] for full in known if full.rpartition(".")[2] == name]
    return libraries[0] if len(libraries) == 1 else ""


def kind_of(kind: type, known: Collection[str]) -> str:
    """`library.Class` of the first of the class's ancestors that an adapter is for, else of the class itself."""
    names = [f"{_library_of(ancestor)}.{ancestor.__name__}" for ancestor in kind.__mro__]
    return next((name for name in names if name in known), names[0])


def _library_of(kind: type) -> str:
    library = str(kind.__module__).partition(".")[0]
    return _LIBRARIES.get(library, library)


def shown(annotation: Any) -> str:
    """An annotation for a message."""
    if isinstance(annotation, str):
        return annotation
    return getattr(annotation, "__qualname__", None) or str(annotation)
