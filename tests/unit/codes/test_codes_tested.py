"""Every error code is one that a test sees: in what it compares, or among the cases that it is run with."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from plugmesh.codes.table import CODES
from tests.unit.codes.found import ROOT

HERE = Path(__file__).parent


def test_every_code_is_seen_by_a_test() -> None:
    seen = {code for path in (ROOT / "tests").rglob("*.py") if path.parent != HERE for code in _seen(path)}
    assert sorted(CODES.keys() - seen) == []


def _seen(path: Path) -> Iterator[str]:
    """The codes in the functions and tables of a file that speak of codes, or that stand in front of a message."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    tables = _speaks_of_codes(tree)
    for part in tree.body:
        found = [text.partition(": ")[:2] for text in _texts(part)]
        named = {code: (code, ": ") in found for code, _ in found if code in CODES}
        if not named:
            continue
        whole = _speaks_of_codes(part) if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef) else tables
        compared = set(_compared(part))
        for code, explained in named.items():
            # A code of one word is also a word: it counts where it is compared, or is one of the cases.
            if explained or (whole and ("-" in code or code in compared)):
                yield code


def _speaks_of_codes(part: ast.AST) -> bool:
    names = (getattr(node, "attr", getattr(node, "id", getattr(node, "arg", ""))) for node in ast.walk(part))
    return "code" in set(_texts(part)) or any(str(name).endswith(("code", "codes")) for name in names)


def _compared(part: ast.AST) -> Iterator[str]:
    """The texts that stand beside a comparison, and those of the cases of a decorator."""
    for node in ast.walk(part):
        if isinstance(node, ast.Compare):
            for side in (node.left, *node.comparators):
                among = side.elts if isinstance(side, ast.Tuple | ast.List | ast.Set) else [side]
                yield from (one.value for one in among if isinstance(one, ast.Constant) and isinstance(one.value, str))
    for decorator in getattr(part, "decorator_list", ()):
        yield from _texts(decorator)


def _texts(part: ast.AST) -> Iterator[str]:
    for node in ast.walk(part):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
