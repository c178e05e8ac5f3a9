"""What an import costs and where imports stand."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("plugmesh", "module_sdk", "registry", "scheduler", "gateway", "modules")
HEAVY = {"alembic", "duckdb", "numpy", "pandas", "polars", "pyarrow"}
MAY_COME_LATE = HEAVY | {"importlib.metadata", "annotationlib"}  # slow as well; not there before Python 3.14


@pytest.mark.parametrize("package", ["module_sdk", "plugmesh"])
def test_the_import_takes_no_heavy_library_along(package: str) -> None:
    code = f"import {package}, sys; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd="/")
    imported = set(done.stdout.split())
    assert not imported & (HEAVY | {"fastapi", "starlette", "sqlalchemy", "uvicorn", "typer"})


def test_an_import_inside_a_function_is_of_a_heavy_library_or_says_why() -> None:
    found = [place for package in PACKAGES for path in (ROOT / package).rglob("*.py") for place in late_imports(path)]
    assert found == [], "move these to the top of the file, or say why not in a comment on the line"


def late_imports(path: Path) -> list[str]:
    """`file:line` of every import inside a function that is neither known to be heavy nor explained."""
    text = path.read_text()
    lines = text.splitlines()
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    inside = {node for function in functions for node in ast.walk(function)}
    return [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for node in inside
        if isinstance(node, ast.Import | ast.ImportFrom)
        and not all(may_come_late(name) for name in imported(node))
        and "#" not in lines[node.lineno - 1]
    ]


def imported(node: ast.Import | ast.ImportFrom) -> list[str]:
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]


def may_come_late(name: str) -> bool:
    return any(name == heavy or name.startswith(f"{heavy}.") for heavy in MAY_COME_LATE)
