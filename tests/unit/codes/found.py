"""Every error code that the code base raises, found in its syntax."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("plugmesh", "module_sdk", "registry", "scheduler", "gateway", "modules")

_CODE = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_REPORTS = frozenset({"error", "warning", "_error", "_stop", "_fail", "_limit", "_stopped"})
"""Functions that take a code among their first arguments."""
_MAKERS = frozenset({"ProblemResponse", "Problem", "Misfit", "Fault", "ColumnProblem", "ReaderFailure"})
_SEVERITIES = frozenset({"error", "warning"})
_NAMES = frozenset({"code", "_MORE"})


@dataclass(frozen=True, slots=True)
class Found:
    """A code, and where it is."""

    code: str
    place: str


def found_codes() -> Iterator[Found]:
    """Every code in every package."""
    for path, tree in sources():
        for node in ast.walk(tree):
            for text in _codes(node):
                yield Found(text, f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}")


def sources() -> Iterator[tuple[Path, ast.Module]]:
    """Every source file, parsed."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if "codes" not in path.parts and "cli" not in path.parts:  # commands print the codes of answers
                yield path, ast.parse(path.read_text(encoding="utf-8"))


def _codes(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ClassDef):
        yield from _of_class(node)
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _assigned(target, node.value)
    elif isinstance(node, ast.Call):
        yield from _of_call(node)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and key.value == "code":
                yield from _texts(value)


def _of_class(node: ast.ClassDef) -> Iterator[str]:
    for line in node.body:
        if isinstance(line, ast.AnnAssign) and getattr(line.target, "id", "") == "code":
            yield from _texts(line.value)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name) and target.id in _NAMES:
        yield from _texts(value)
    elif isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, other in zip(target.elts, value.elts, strict=False):
            yield from _assigned(one, other)


def _of_call(node: ast.Call) -> Iterator[str]:
    for keyword in node.keywords:
        if keyword.arg == "code":
            yield from _texts(keyword.value)
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    severities = {argument.value for argument in node.args if isinstance(argument, ast.Constant)} & _SEVERITIES
    if name in _REPORTS | _MAKERS or (name == "add" and severities):
        for argument in node.args[:3]:
            yield from (text for text in _texts(argument) if text not in _SEVERITIES)


def _texts(value: ast.expr | None) -> Iterator[str]:
    """Constants that can be codes, also those of `a if b else c`."""
    if isinstance(value, ast.IfExp):
        yield from _texts(value.body)
        yield from _texts(value.orelse)
    if isinstance(value, ast.Constant) and isinstance(value.value, str) and _CODE.fullmatch(value.value):
        yield value.value
