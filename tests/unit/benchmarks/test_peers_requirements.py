"""A peer's environment is the same one wherever it is made, and its script knows nothing of Plugmesh."""

import ast
import sys
from pathlib import Path

import pytest

from benchmarks.dataplane import chain_table
from benchmarks.peers import protocol
from benchmarks.peers.environment import place, requirements
from benchmarks.peers.systems import PEERS

_NAMES = [peer.name for peer in PEERS]
_THEIRS = {"celery", "dask", "distributed", "prefect", "pyarrow", "ray", "redis"}
_OURS = {"benchmarks.peers.protocol", "benchmarks.dataplane", "benchmarks.dataplane.chain_table"}


def _imports(script: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(script.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def _not_standard(modules: set[str]) -> set[str]:
    return {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names}


@pytest.mark.parametrize("name", _NAMES)
def test_every_package_has_an_exact_version(name: str) -> None:
    lines = [line for line in requirements(name).read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    assert [line for line in lines if line.partition(";")[0].count("==") != 1 or "*" in line] == []


@pytest.mark.parametrize("name", _NAMES)
def test_what_was_asked_for_is_among_the_locked_packages(name: str) -> None:
    file = requirements(name)
    locked = {line.partition("==")[0] for line in file.read_text().splitlines()}
    asked = {line.strip() for line in file.with_name("requirements.in").read_text().splitlines() if line[:1].isalpha()}
    assert {line.partition("[")[0].partition("<")[0] for line in asked} <= locked


@pytest.mark.parametrize("name", _NAMES)
def test_a_script_imports_its_own_system_the_protocol_and_the_table_only(name: str) -> None:
    found = _not_standard(_imports(requirements(name).with_name("peer.py")))
    ours = {module for module in found if module.partition(".")[0] not in _THEIRS}
    assert "benchmarks.peers.protocol" in ours
    assert ours <= _OURS


def test_the_protocol_needs_the_standard_library_only() -> None:
    assert protocol.__file__ is not None
    assert _not_standard(_imports(Path(protocol.__file__))) == set()


def test_the_table_needs_pyarrow_only() -> None:
    needed = _not_standard(_imports(Path(chain_table.__file__)))
    assert {module.partition(".")[0] for module in needed} == {"pyarrow"}


def test_other_packages_or_another_python_are_another_environment() -> None:
    cache = Path("/cache")
    here = place(cache, "ray", "ray==1\n", "3.11.7")
    assert here == place(cache, "ray", "ray==1\n", "3.11.7")
    assert here.parent == cache
    assert here.name.startswith("ray-")
    assert here != place(cache, "ray", "ray==2\n", "3.11.7")
    assert here != place(cache, "ray", "ray==1\n", "3.12.0")
